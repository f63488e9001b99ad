"""What each unit tells of a target against what clamping it costs that target: tracked against needed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.causal.against import OVERALL, correlation_words
from lstm_probe.core.order import several_layers, unit_label
from lstm_probe.core.scale import OF_NUMBERS
from lstm_probe.figures.style import GREY, INK, line_styles, new_figure, styled, text_width

#: So many targets have a panel, beside the one of all.
MOST = 8
#: So many dots of a panel are named: those farthest from where the two bars cross.
NAMED = 6

# All in inches.
_WIDE, _TALL, _LEFT, _GAP, _TITLE, _BELOW, _HEAD = 2.7, 2.5, 0.62, 0.2, 0.42, 0.52, 0.36
_LABEL_SIZE, _LETTERS, _NOTE_LINE, _CLEAR = 7.0, 0.125, 0.135, 0.06

#: Up to here the axis of drops is straight, beyond it logarithmic: what is too small to count takes its own room.
_STRAIGHT = 0.01
_X, _Y = (-0.04, 1.04), (-0.0055, 2.4)

_STYLES: Mapping[str, Mapping[str, Any]] = line_styles(("alone", "together", "no")) | {
    "not measured": {"color": GREY, "marker": "D"}
}
_WORDS = {
    "alone": "needed alone", "together": "needed together with others", "no": "not needed",
    "not measured": "no cost alone, more is not known",
}  # fmt: skip


def _panels(table: pd.DataFrame) -> tuple[list[str], int]:
    """Return which targets are drawn, all of them together first, and how many are left out."""
    targets = [str(name) for name in table["target"].unique() if name != OVERALL]
    return [OVERALL, *targets[:MOST]], max(0, len(targets) - MOST)


def _place(k: int, wide: float, dots: np.ndarray, taken: list[tuple[float, ...]]) -> tuple[float, float] | None:
    """Return the left end and the middle of the label of dot `k`, in inches within the axes; None where it has no room.

    Beside the dot, above or below it: clear of the axes' edge, of all other dots and of what is `taken`.
    """
    (x, y), others = dots[k], np.delete(dots, k, axis=0)
    beside = [(x + 0.07, y), (x - 0.07 - wide, y), (x - wide / 2, y + 0.12), (x - wide / 2, y - 0.12)]
    for left, middle in beside:
        box = (left, middle - _LETTERS / 2, left + wide, middle + _LETTERS / 2)
        inside = min(box[:2]) > 0 and box[2] < _WIDE and box[3] < _TALL
        hit = (others > np.array(box[:2]) - _CLEAR) & (others < np.array(box[2:]) + _CLEAR)
        apart = (box[2] + _CLEAR < b[0] or box[0] > b[2] + _CLEAR or box[3] < b[1] or box[1] > b[3] for b in taken)
        clear = all(apart)
        if inside and clear and not hit.all(1).any():
            taken.append(box)
            return float(left), float(middle)
    return None


def _name_quarters(axes: Axes) -> list[tuple[float, ...]]:
    """Write in the corners what the quarters are, and return their places in inches."""
    taken: list[tuple[float, ...]] = []
    for word, right, top in (
        ("needed only", False, True), ("tracked and needed", True, True), ("neither", False, False),
        ("tracked only", True, False),
    ):  # fmt: skip
        wide = text_width(word, _LABEL_SIZE)
        x, y = (_WIDE - 0.04 if right else 0.04), (_TALL - 0.09 if top else 0.09)
        at: dict[str, Any] = {"ha": "right" if right else "left", "va": "center", "size": _LABEL_SIZE, "color": GREY}
        axes.text(x / _WIDE, y / _TALL, word, transform=axes.transAxes, **at)
        left = x - wide if right else x
        taken.append((left, y - _LETTERS / 2, left + wide, y + _LETTERS / 2))
    return taken


def _draw(axes: Axes, own: pd.DataFrame, x: str, bars: tuple[float, float]) -> None:
    """Draw one panel: dots, bars, the quarters' names, and the numbers of the units that stand out."""
    axes.set_xlim(_X)
    axes.set_yscale("symlog", linthresh=_STRAIGHT, linscale=0.8)
    axes.set_ylim(_Y)
    axes.axvline(bars[0], color=GREY, lw=0.7, ls=(0, (4, 2)), zorder=1)
    axes.axhline(bars[1], color=GREY, lw=0.7, ls=(0, (4, 2)), zorder=1)
    drawn = own.assign(x=own[x].clip(0, 1), y=own["refit_drop"].clip(0, 1))
    for word, style in _STYLES.items():
        for tracks in (False, True):
            rows = drawn[(drawn["needed"] == word) & (drawn["tracks"].astype(bool) == tracks)]
            axes.scatter(
                rows["x"], rows["y"], s=22, marker=style["marker"], facecolors=style["color"] if tracks else "white",
                edgecolors=style["color"], linewidths=0.9, alpha=0.85, zorder=3,
            )  # fmt: skip
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
    axes.minorticks_off()
    taken = _name_quarters(axes)
    pixels = axes.transData.transform(np.vstack([drawn[["x", "y"]].to_numpy(dtype=float), bars]))
    inches = axes.transAxes.inverted().transform(pixels) * (_WIDE, _TALL)
    dots, crossing = inches[:-1], inches[-1]
    taken += [(crossing[0], 0.0, crossing[0], _TALL), (0.0, crossing[1], _WIDE, crossing[1])]
    counts = ((drawn["x"] >= bars[0]) | (drawn["y"] >= bars[1])).to_numpy()
    far = np.where(counts, np.linalg.norm(dots - crossing, axis=1), -1.0)
    keys = list(own[["layer", "direction", "unit"]].itertuples(index=False, name=None))
    for k in [int(k) for k in np.argsort(-far, kind="stable")[:NAMED] if far[k] >= 0]:
        label = unit_label(keys[k], several_layers(keys))
        place = _place(k, text_width(label, _LABEL_SIZE), dots, taken)
        if place is not None:
            at: dict[str, Any] = {"ha": "left", "va": "center", "size": _LABEL_SIZE, "color": INK}
            axes.text(place[0] / _WIDE, place[1] / _TALL, label, transform=axes.transAxes, **at)


def _notes(own: pd.DataFrame, left_out: int) -> str:
    lines = [
        "numbers: units; filled: it tracks the signal; hollow: not found to",
        "dashed: the bars of the effect and of the drop",
    ]
    if (own["refit_drop"] < -_STRAIGHT).any():
        lines.append("drops below 0 are drawn at 0")
    if left_out:
        lines.append(f"not shown: {left_out} more target{'s' if left_out > 1 else ''}")
    return "\n".join(lines)


@styled
def tracked_needed(
    table: pd.DataFrame,
    correlations: pd.DataFrame,
    *,
    min_effect: float = 0.25,
    min_effect_class: float = 0.46,
    min_drop: float = 0.01,
) -> Figure:
    """Draw, for all targets together and for each, every unit's effect against its refitted drop.

    Args:
        table: from `tracked_against_needed`. At most 8 targets are drawn; drops below 0 at 0.
        correlations: from `rank_correlations`, of the same table.
        min_effect: the bar of effects of numbers, and of all signals on one scale, 0 to 1.
        min_effect_class: the bar of effects of classes, 0 to 1.
        min_drop: the bar of drops, in the target's score, 0 to 1.
    """
    names, left_out = _panels(table)
    shown = table[table["target"].isin(names) & table["strength"].notna() & table["refit_drop"].notna()]
    told = correlations.set_index("target").to_dict("index")
    heads = ["any signal, any target" if name == OVERALL else name for name in names]
    subs = [correlation_words(told[name]) if name in told else "" for name in names]
    across = min(3, len(names)) if len(names) != 4 else 2
    down = -(-len(names) // across)
    texts = [1.15 * text_width(head, 10) for head in heads] + [text_width(sub, 7.5) for sub in subs]
    step = max(_WIDE, *texts) + _LEFT + _GAP
    words = [word for word in _STYLES if (shown["needed"] == word).any()]
    notes = _notes(shown, left_out)
    lines = max(len(words), 1 + notes.count("\n"))
    bottom = 0.16 + 0.175 * lines
    legend = max((text_width(_WORDS[word], 8) for word in words), default=0.0) + 0.6
    beside = text_width(notes, 7.5) + 0.3
    width = max(across * step, beside + legend, text_width("Tracked against needed", 10) * 1.15 + 0.3)
    height = _HEAD + down * (_TITLE + _TALL + _BELOW) + bottom
    figure = new_figure(width, height)
    for k, (name, head, sub) in enumerate(zip(names, heads, subs)):
        left, top = (k % across) * step + _LEFT, _HEAD + (k // across) * (_TITLE + _TALL + _BELOW) + _TITLE
        axes = figure.add_axes((left / width, 1 - (top + _TALL) / height, _WIDE / width, _TALL / height))
        own = shown[shown["target"] == name]
        numbers = name == OVERALL or bool(own["metric"].isin(OF_NUMBERS).all())
        bars = (min_effect if numbers else min_effect_class, min_drop)
        _draw(axes, own, "strength" if name == OVERALL else "effect", bars)
        scale = "as R²" if name == OVERALL else "R²" if numbers else "2·AUROC − 1"
        axes.set_xlabel(f"effect: {scale}")
        if k % across == 0:
            axes.set_ylabel("refitted drop when clamped alone")
        at: dict[str, Any] = {"x": left / width, "ha": "left", "va": "bottom"}
        figure.text(y=1 - (top - 0.2) / height, s=head, weight="bold", size=10, **at)
        figure.text(y=1 - (top - 0.05) / height, s=sub, size=7.5, color=GREY, **at)
    figure.text(0.1 / width, 1 - 0.1 / height, "Tracked against needed", weight="bold", size=10, va="top")
    figure.text(0.1 / width, (bottom - 0.08) / height, notes, size=7.5, color=GREY, va="top")
    handles = [
        Line2D([], [], color=_STYLES[word]["color"], marker=_STYLES[word]["marker"], ls="", ms=5, label=_WORDS[word])
        for word in words
    ]
    if handles:
        corner = (beside / width, (bottom - 0.06) / height)
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, borderaxespad=0, handletextpad=0.2)
    return figure
