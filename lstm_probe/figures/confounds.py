"""What each unit predicts of a signal, against what it adds beyond the input, the step and other signals."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.core.order import several_layers, shown_variable, signal_order, unit_label
from lstm_probe.figures.sheet import MARGIN, Sheet, legend_width
from lstm_probe.figures.style import GREY, INK, available_width, font, letters, line_styles, styled, text_width, wrapped

#: Pairs of a unit and a signal are shown from this effect on.
LEAST_EFFECT = 0.25

#: How many of the dots that are farthest from the line are named.
NAMED = 8

# All in inches.
_LEFT, _RIGHT, _BOTTOM, _SIDE = 0.72, 0.15, 0.5, 3.6
_LABEL_SIZE, _LETTERS = 7.5, 0.14
#: How far a label keeps from dots that are not its own.
_CLEAR = 0.09
_LIMITS = (0.0, 1.04)

_NOTE = (
    "on the line: nothing else predicts what the unit predicts; below it: the input, the step or "
    "other signals predict part of it too; above it: once those are known, the unit predicts more"
)
_HOLLOW = "hollow: another signal, or a part of one, is nearly the same here; the unit may track that one instead"


def _place(k: int, wide: float, dots: np.ndarray, taken: list[tuple[float, ...]], side: float) -> float | None:
    """Return where the label of dot `k` begins, in inches from the axes' own left, or None where there is no room.

    Right of the dot or left of it, clear of the axes' edge, of all other dots and of the labels `taken`.
    """
    (x, y), others = dots[k], np.delete(dots, k, axis=0)
    for left in (x + 0.08, x - 0.08 - wide):
        box = (left, y - letters(_LETTERS) / 2, left + wide, y + letters(_LETTERS) / 2)
        inside = min(box) > 0 and max(box) < side
        hit = (others > np.array(box[:2]) - _CLEAR) & (others < np.array(box[2:]) + _CLEAR)
        clear = all(box[2] < b[0] or box[0] > b[2] or box[3] < b[1] or box[1] > b[3] for b in taken)
        if inside and clear and not hit.all(1).any():
            taken.append(box)
            return float(left)
    return None


def _name_extremes(axes: Axes, table: pd.DataFrame, styles: dict[str, dict[str, Any]], side: float) -> None:
    """Write beside the dots farthest from the line which unit they are."""
    scale = side / (_LIMITS[1] - _LIMITS[0])
    dots = table[["effect", "partial"]].to_numpy() * scale
    keys = list(table[["layer", "direction", "unit"]].itertuples(index=False, name=None))
    taken: list[tuple[float, ...]] = []
    for k in np.argsort(-np.abs(dots[:, 0] - dots[:, 1]), kind="stable")[:NAMED]:
        label = f"unit {unit_label(keys[k], several_layers(keys))}"
        left = _place(int(k), text_width(label, font(_LABEL_SIZE)), dots, taken, side)
        if left is not None:
            colour = styles[table["signal"].iloc[k]]["color"]
            at: dict[str, Any] = {"size": font(_LABEL_SIZE), "color": colour, "ha": "left", "va": "center"}
            axes.text(left / scale, dots[k, 1] / scale, label, **at)


def _notes(own: pd.DataFrame, shown: pd.DataFrame) -> str:
    """Return what has to be said below the picture."""
    lines = [_NOTE]
    if (shown["collinear_with"] != "").any():
        lines.append(_HOLLOW)
    known = own.groupby("signal", sort=False)["partial"].apply(lambda values: values.isna().all())
    strong = set(own["signal"][own["effect"] >= LEAST_EFFECT])
    missing = [str(name) for name in known.index[known] if name in strong]
    if missing:
        lines.append(f"not shown, because all else explains it fully: {', '.join(missing)}")
    return "\n".join(lines)


@styled
def confounds(table: pd.DataFrame, *, variable: str = "c") -> Figure:
    """Draw, for each unit and signal, the effect against the partial effect.

    Args:
        table: columns `CONFOUND_COLUMNS`. Pairs with an effect from 0.25 on are shown, where there is a partial one.
        variable: which of a unit's variables is shown; the first one there where this one is not.
    """
    own = table[table["variable"] == shown_variable(table, variable)]
    names = signal_order(own)
    styles = line_styles(names)
    shown = own[(own["effect"] >= LEAST_EFFECT) & own["partial"].notna()]
    names = [name for name in names if (shown["signal"] == name).any()]
    roles = own.drop_duplicates("signal").set_index("signal")["role"]
    labels = [name if roles[name] == "target" else f"{name} ({roles[name]})" for name in names]
    beside, left = legend_width(labels), letters(_LEFT)
    width = available_width(max(MARGIN + left + _SIDE + _RIGHT + beside, 5.2))
    beside = beside if width - left - beside > 0.75 * letters(_SIDE) else 0.0
    side = min(_SIDE, width - MARGIN - left - beside - _RIGHT)
    sheet = Sheet(width)
    sheet.heading("What a unit predicts, and what only it predicts")
    axes = sheet.axes(MARGIN + left, sheet.y, side, side)
    sheet.y += side + letters(_BOTTOM)
    axes.plot(_LIMITS, _LIMITS, color=GREY, lw=0.8, zorder=1)
    for name in names:
        rows = shown[shown["signal"] == name]
        colour, marker = styles[name]["color"], styles[name]["marker"]
        hollow = (rows["collinear_with"] != "").to_numpy()
        for which, face in ((~hollow, colour), (hollow, "white")):
            axes.scatter(
                rows["effect"][which], rows["partial"][which], s=22, marker=marker, facecolors=face, edgecolors=colour,
                linewidths=0.9, alpha=0.85, zorder=3, clip_on=False,
            )  # fmt: skip
    _name_extremes(axes, shown, styles, side)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=_LIMITS, ylim=_LIMITS, xticks=ticks, yticks=ticks)
    axes.set_xlabel("effect: R² of the unit alone")
    axes.set_ylabel(wrapped("partial effect: share of what all else leaves unexplained", font(9), side))
    if not len(shown):
        axes.text(0.5, 0.5, f"no unit has an effect of {LEAST_EFFECT}", ha="center", color=INK)
    handles = [
        Line2D([], [], color=styles[name]["color"], marker=styles[name]["marker"], ls="", ms=5, label=label)
        for name, label in zip(names, labels)
    ]
    if handles and beside:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1 + 0.1 / side, 1.0), borderaxespad=0,
                    handletextpad=0.2)  # fmt: skip
    else:
        sheet.legend(handles, handletextpad=0.2)
    sheet.words(_notes(own, shown), 7.5, color=GREY)
    return sheet.finished()
