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
from lstm_probe.figures.sheet import Sheet, columns, fitting, tall_of
from lstm_probe.figures.style import (
    GREY,
    INK,
    first_fitting,
    font,
    letters,
    line_styles,
    shortened,
    styled,
    text_width,
    wrapped,
)

#: So many targets have a panel, beside the one of all.
MOST = 8
#: So many dots of a panel are named: those farthest from where the two bars cross.
NAMED = 6

# All in inches.
_WIDE, _TALL, _LEFT, _GAP, _BELOW = 2.7, 2.5, 0.54, 0.2, 0.52
_LABEL_SIZE, _LETTERS, _CLEAR = 7.0, 0.125, 0.06
#: A panel of axes: how wide and how tall it is.
Size = tuple[float, float]

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


def _place(
    k: int, wide: float, dots: np.ndarray, taken: list[tuple[float, ...]], panel: Size
) -> tuple[float, float] | None:  # fmt: skip
    """Return the left end and the middle of the label of dot `k`, in inches within the axes; None where it has no room.

    Beside the dot, above or below it: clear of the axes' edge, of all other dots and of what is `taken`.
    """
    (x, y), others, high = dots[k], np.delete(dots, k, axis=0), letters(_LETTERS)
    beside = [(x + 0.07, y), (x - 0.07 - wide, y), (x - wide / 2, y + 0.12), (x - wide / 2, y - 0.12)]
    for left, middle in beside:
        box = (left, middle - high / 2, left + wide, middle + high / 2)
        inside = min(box[:2]) > 0 and box[2] < panel[0] and box[3] < panel[1]
        hit = (others > np.array(box[:2]) - _CLEAR) & (others < np.array(box[2:]) + _CLEAR)
        apart = (box[2] + _CLEAR < b[0] or box[0] > b[2] + _CLEAR or box[3] < b[1] or box[1] > b[3] for b in taken)
        clear = all(apart)
        if inside and clear and not hit.all(1).any():
            taken.append(box)
            return float(left), float(middle)
    return None


def _name_quarters(axes: Axes, panel: Size) -> list[tuple[float, ...]]:
    """Write in the corners what the quarters are, and return their places in inches."""
    taken: list[tuple[float, ...]] = []
    size, high = font(_LABEL_SIZE), letters(_LETTERS)
    for word, right, top in (
        ("costs only", False, True), ("tells and costs", True, True), ("neither", False, False),
        ("tells only", True, False),
    ):  # fmt: skip
        wide = text_width(word, size)
        x, y = (panel[0] - 0.04 if right else 0.04), (panel[1] - 0.09 if top else 0.09)
        at: dict[str, Any] = {"ha": "right" if right else "left", "va": "center", "size": size, "color": GREY}
        axes.text(x / panel[0], y / panel[1], word, transform=axes.transAxes, **at)
        left = x - wide if right else x
        taken.append((left, y - high / 2, left + wide, y + high / 2))
    return taken


def _draw(axes: Axes, own: pd.DataFrame, x: str, bars: tuple[float, float], panel: Size) -> None:
    """Draw one panel: dots, bars, the quarters' names, and the numbers of the units that stand out."""
    axes.set_xlim(_X)
    axes.set_yscale("symlog", linthresh=_STRAIGHT, linscale=0.8)
    axes.set_ylim(_Y)
    axes.axvline(bars[0], color=GREY, lw=0.7, ls=(0, (4, 2)), zorder=1)
    axes.axhline(bars[1], color=GREY, lw=0.7, ls=(0, (4, 2)), zorder=1)
    at = np.clip(own[[x, "refit_drop"]].to_numpy(dtype=float), 0, 1)
    needed, tracked = own["needed"].to_numpy(), own["tracks"].to_numpy(dtype=bool)
    for word, style in _STYLES.items():
        for tracks in (False, True):
            rows = (needed == word) & (tracked == tracks)
            if not rows.any():
                continue
            axes.scatter(
                at[rows, 0], at[rows, 1], s=22, marker=style["marker"], linewidths=0.9, alpha=0.85, zorder=3,
                facecolors=style["color"] if tracks else "white", edgecolors=style["color"],
            )  # fmt: skip
    axes.set_xticks(
        [0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"] if panel[0] > 1.5 else ["0", "", "0.5", "", "1"]
    )
    axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
    axes.minorticks_off()
    taken = _name_quarters(axes, panel)
    pixels = axes.transData.transform(np.vstack([at, bars]))
    inches = axes.transAxes.inverted().transform(pixels) * panel
    dots, crossing = inches[:-1], inches[-1]
    taken += [(crossing[0], 0.0, crossing[0], panel[1]), (0.0, crossing[1], panel[0], crossing[1])]
    counts = (at >= bars).any(1)
    far = np.where(counts, np.linalg.norm(dots - crossing, axis=1), -1.0)
    keys = list(own[["layer", "direction", "unit"]].itertuples(index=False, name=None))
    for k in [int(k) for k in np.argsort(-far, kind="stable")[:NAMED] if far[k] >= 0]:
        label = unit_label(keys[k], several_layers(keys))
        place = _place(k, text_width(label, font(_LABEL_SIZE)), dots, taken, panel)
        if place is not None:
            how: dict[str, Any] = {"ha": "left", "va": "center", "size": font(_LABEL_SIZE), "color": INK}
            axes.text(place[0] / panel[0], place[1] / panel[1], label, transform=axes.transAxes, **how)


def _notes(own: pd.DataFrame, left_out: int) -> str:
    lines = [
        "numbers: units; filled: it tracks the signal; hollow: not shown to",
        "dashed: the bars of the effect, and of the drop of a score of 1",
    ]
    if (own["refit_drop"] < -_STRAIGHT).any():
        lines.append("drops below 0 are drawn at 0")
    if left_out:
        lines.append(f"not shown: {left_out} more target{'s' if left_out > 1 else ''}")
    return "; ".join(lines)


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
    grid = columns(len(names), 3 if len(names) != 4 else 2, left=letters(_LEFT), wide=_WIDE, gap=_GAP, least=4.6)
    panel = (grid.wide, letters(_TALL) if grid.number > 1 else min(letters(_TALL), 0.6 * grid.wide))
    sheet, room = Sheet(grid.width), grid.step - _GAP - 0.1
    subs = [wrapped(sub, font(7.5), room) for sub in subs]
    under = max(tall_of(sub, font(7.5)) for sub in subs)
    title, below = 1.4 * font(10) / 72 + under + 0.05, letters(_BELOW)
    number = fitting(grid, len(names), title + panel[1] + below, 1.3)
    sheet.heading("Tracked against needed", _notes(shown, left_out + len(names) - number))
    names = names[:number]
    for k, (name, head, sub) in enumerate(zip(names, heads, subs)):
        left, top = grid.x(k), sheet.y + k // grid.number * (title + panel[1] + below) + title
        axes = sheet.axes(left, top, *panel)
        own = shown[shown["target"] == name]
        numbers = name == OVERALL or bool(own["metric"].isin(OF_NUMBERS).all())
        bars = (min_effect if numbers else min_effect_class, min_drop)
        _draw(axes, own, "strength" if name == OVERALL else "effect", bars, panel)
        scale = "as R²" if name == OVERALL else "R²" if numbers else "2·AUROC − 1"
        axes.set_xlabel(f"effect: {scale}")
        if k % grid.number == 0:
            forms = ("refitted drop when clamped alone", "drop when clamped alone", "drop")
            axes.set_ylabel(first_fitting(forms, font(9), panel[1]))
        begin = left - (letters(_LEFT) - 0.1)
        sheet.text(begin, top - title, shortened(head, font(10), room, bold=True), font(10), weight="bold")
        sheet.text(begin, top - under - 0.05, sub, font(7.5), color=GREY)
    sheet.y += grid.rows(len(names)) * (title + panel[1] + below)
    words = [word for word in _STYLES if (shown["needed"] == word).any()]
    sheet.legend([
        Line2D([], [], color=_STYLES[word]["color"], marker=_STYLES[word]["marker"], ls="", ms=5, label=_WORDS[word])
        for word in words
    ], handletextpad=0.2)  # fmt: skip
    return sheet.finished()
