"""How many units are needed: scores, tracked signals, and units that are needed and not needed, against `units`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from lstm_probe.figures.style import GREY, LEGEND_LINE, legend_beside, line_styles, new_figure, styled

_ROW = 3.0
#: What is counted in the last panel, and what its lines are called.
_NEEDS = {"needed_alone_units": "alone", "needed_together_units": "together", "not_needed_units": "not\nneeded"}


def _units_axis(axes: Axes, units: list[int]) -> None:
    axes.set_xscale("log", base=2)
    few = units if len(units) <= 8 else [u for u in units if u & (u - 1) == 0]
    axes.xaxis.set_major_locator(FixedLocator(few))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(few, [f"{u}" for u in few])
    axes.set_xlim(units[0] / 1.25, units[-1] * 1.25)
    axes.set_xlabel("units")
    axes.grid(True)
    axes.set_axisbelow(True)


def _curves(axes: Axes, table: pd.DataFrame, by: str) -> None:
    """Draw a line with error bars for each value of column `by`, a little apart so that all show."""
    names = list(table[by].unique())
    styles = line_styles(names)
    spread = 0.05 if len(names) > 1 else 0.0
    for k, name in enumerate(names):
        own = table[table[by] == name].sort_values("units")
        mean, low, high = own["mean"], own["ci_low"], own["ci_high"]
        shift = 2 ** (spread * (k - (len(names) - 1) / 2))
        error = np.nan_to_num(np.stack([mean - low, high - mean])).clip(min=0)
        axes.errorbar(
            own["units"] * shift, mean, yerr=error, lw=1.4, elinewidth=0.9, capsize=2, markersize=4,
            label=name, **styles[name],
        )  # fmt: skip


def _row(axes: list[Axes], table: pd.DataFrame, task: str) -> None:
    units = sorted(int(u) for u in table["units"].unique())
    score = table[table["quantity"] == "score"]
    _curves(axes[0], score, "target")
    axes[0].set(title=f"{task}: score of each target", ylabel="score (0 = chance, 1 = perfect)", ylim=(-0.04, 1.06))
    legend_beside(axes[0])

    tracked = table[table["quantity"] == "tracked_signals"]
    _curves(axes[1], tracked, "quantity")
    axes[1].set(title="Signals that a unit tracks", ylabel="number of signals")
    axes[1].set_ylim(bottom=-0.2, top=0.4 + float(np.nanmax(tracked[["mean", "ci_high"]])))
    axes[1].yaxis.set_major_locator(MaxNLocator(5, integer=True))

    counts = table[table["quantity"].isin(_NEEDS)]
    every = counts["units"].map(table[table["quantity"] == "all_units"].set_index("units")["mean"])
    shares = counts[["mean", "ci_low", "ci_high"]].div(every, axis=0).clip(upper=1.0)
    _curves(axes[2], counts.assign(quantity=counts["quantity"].map(_NEEDS), **shares), "quantity")
    axes[2].set(title="Units that are needed", ylabel="share of all units", ylim=(-0.04, 1.06))
    if len(counts):
        legend_beside(axes[2])
    else:
        axes[2].text(0.5, 0.5, "not measured", transform=axes[2].transAxes, ha="center", va="center", color=GREY)
    for panel in axes:
        _units_axis(panel, units)


@styled
def capacity_curves(summary: pd.DataFrame) -> Figure:
    """Draw scores, the number of tracked signals, and the shares of units that are needed, against `units`.

    One row of panels for each task. Error bars are intervals over seeds, where there is more than one.

    Args:
        summary: columns `CAPACITY_COLUMNS`.
    """
    tasks = list(summary["task"].unique())
    lines = summary.groupby("task")["target"].nunique().max()
    height = max(_ROW, 0.7 + LEGEND_LINE * lines) * len(tasks) + 0.45
    figure = new_figure(12.0, height)
    grid = figure.subplots(len(tasks), 3, squeeze=False, width_ratios=(1.2, 1, 1))
    figure.subplots_adjust(left=0.05, right=0.91, top=1 - 0.35 / height, bottom=0.75 / height, wspace=0.5, hspace=0.45)
    for axes, task in zip(grid, tasks):
        _row(list(axes), summary[summary["task"] == task], task)
    seeds = sorted({int(n) for n in summary["n_seeds"]})
    words = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    note = f"bars: 95 % intervals of the mean over {words} seeds" + "; none where there is one" * (seeds[0] == 1)
    note = "one seed: no intervals" if seeds == [1] else note
    figure.text(0.05, 0.08 / height, note, ha="left", va="bottom", fontsize=8, color="#777777")
    return figure
