"""The learning curve: each target's score, and the loss, against training steps."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from lstm_probe.figures.sheet import Sheet, columns
from lstm_probe.figures.style import GREY, INK, letters, line_styles, plain_powers, styled

_WIDE, _TALL, _LEFT, _TITLE, _BELOW, _GAP = 3.6, 2.3, 0.52, 0.28, 0.46, 0.3


@styled
def learning_curve(history: pd.DataFrame, *, solved: float | None = None) -> Figure:
    """Draw each target's score on held-out sequences, and the loss, against steps.

    Args:
        history: columns `HISTORY_COLUMNS`; rows with metric "loss" are losses, all others scores, and those
            of the validation sequences are drawn.
        solved: the lowest score at which a target counts as solved, drawn as a line; None for no line.
    """
    grid = columns(2, 2, left=letters(_LEFT), wide=_WIDE, gap=letters(_GAP))
    sheet, tall = Sheet(grid.width), letters(_TALL)
    top, row = sheet.y + letters(_TITLE), letters(_TITLE) + tall + letters(_BELOW)
    left, right = (sheet.axes(grid.x(k), top + k // grid.number * row, grid.wide, tall) for k in range(2))
    sheet.y += grid.rows(2) * row
    losses = history[history["metric"] == "loss"]
    scores = history[history["metric"] != "loss"]
    splits = list(scores["split"].unique())
    scores = scores[scores["split"] == ("validation" if "validation" in splits else (splits or [""])[-1])]
    styles = line_styles(list(scores["target"].unique()))
    target: Any
    for target, own in scores.groupby("target", sort=False):
        sparse: dict[str, Any] = {"markevery": max(1, len(own) // 12), "markersize": 3.5}
        left.plot(own["step"], own["value"], lw=1.5, label=target, **sparse, **styles[target])
    if solved is not None:
        left.axhline(solved, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=0, label=f"solved: {solved:g}")
    left.set(
        title="Score of each target",
        xlabel="step",
        ylabel="score (0 = chance, 1 = perfect)",
        ylim=(-0.03, 1.04),
    )
    for split, own in losses.groupby("split", sort=False):
        colour = INK if split == "train" else "#0173b2"
        right.plot(own["step"], own["value"], "o-" if len(own) == 1 else "-", lw=1.5, ms=3.5, color=colour, label=split)
    # Less than a power of ten has one number on such an axis, or none.
    if losses["value"].min() > 0 and losses["value"].max() >= 10 * losses["value"].min():
        right.set_yscale("log")
        if losses["value"].max() < 100 * losses["value"].min():
            right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        plain_powers(right.yaxis)
    right.set(title="Loss", xlabel="step", ylabel="loss")
    if losses["split"].nunique() > 1:
        right.legend(loc="upper right")
    for axes in (left, right):
        axes.grid(True)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    sheet.legend_of(left, 0.0)
    return sheet.finished()
