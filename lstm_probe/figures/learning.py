"""The learning curve: each target's score, and the loss, against training steps."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_probe.figures.style import (
    GREY,
    INK,
    LEGEND_LINE,
    legend_beside,
    line_styles,
    new_figure,
    plain_powers,
    styled,
)


@styled
def learning_curve(history: pd.DataFrame, *, solved: float | None = None) -> Figure:
    """Draw each target's score on held-out sequences, and the loss, against steps.

    Args:
        history: columns `HISTORY_COLUMNS`; rows with metric "loss" are losses, all others scores, and those
            of the validation sequences are drawn.
        solved: the lowest score at which a target counts as solved, drawn as a line; None for no line.
    """
    height = max(3.1, 0.9 + LEGEND_LINE * (1 + history["target"].nunique()))
    figure = new_figure(9.6, height)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    figure.subplots_adjust(left=0.06, right=0.98, top=1 - 0.36 / height, bottom=0.46 / height, wspace=0.55)
    losses = history[history["metric"] == "loss"]
    scores = history[history["metric"] != "loss"]
    splits = list(scores["split"].unique())
    scores = scores[scores["split"] == ("validation" if "validation" in splits else (splits or [""])[-1])]
    styles = line_styles(list(scores["target"].unique()))
    target: Any
    for target, own in scores.groupby("target", sort=False):
        sparse = {"markevery": max(1, len(own) // 12), "markersize": 3.5}
        left.plot(own["step"], own["value"], lw=1.5, label=target, **sparse, **styles[target])
    if solved is not None:
        left.axhline(solved, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=0, label=f"solved: {solved:g}")
    left.set(
        title="Score of each target",
        xlabel="step",
        ylabel="score (0 = chance, 1 = perfect)",
        ylim=(-0.03, 1.04),
    )
    legend_beside(left)
    for split, own in losses.groupby("split", sort=False):
        colour = INK if split == "train" else "#0173b2"
        right.plot(own["step"], own["value"], lw=1.5, color=colour, label=split)
    if len(losses) and (losses["value"] > 0).all():
        right.set_yscale("log")
        plain_powers(right.yaxis)
    right.set(title="Loss", xlabel="step", ylabel="loss")
    if losses["split"].nunique() > 1:
        right.legend(loc="upper right")
    for axes in (left, right):
        axes.grid(True)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure
