"""What networks of every size that was tried do: scores, tracked signals, and units that are needed and not needed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from lstm_probe.figures.sheet import Sheet, columns
from lstm_probe.figures.style import GREY, font, height_left, letters, line_styles, shortened, styled, text_width

# In inches: a panel, and what stands around it.
_WIDE, _TALL, _LEFT, _TITLE, _BELOW = 2.6, 2.1, 0.52, 0.28, 0.48
#: What is counted in the last panel, and what its lines are called.
_NEEDS = {"needed_alone_units": "alone", "needed_together_units": "together", "not_needed_units": "not needed"}
#: How far two dots of one size stand apart, as a share of the panel, at most; how far all of them reach, as a share of
#: the way to the next size; and octaves between the outer sizes and the panel's edges.
_APART, _REACH, _EDGE = 0.014, 0.7, 0.32
#: The lowest score that is drawn where it is; what is below it stands on the panel's lower edge.
_LOWEST = -0.5


def _units_axis(axes: Axes, units: list[int], wide: float) -> None:
    axes.set_xscale("log", base=2)
    few = units if len(units) <= 8 else [u for u in units if u & (u - 1) == 0]
    room = wide / (np.log2(units[-1] / units[0]) + 2 * _EDGE)  # inches of an octave
    apart: list[int] = []
    for u in few:
        if not apart or np.log2(u / apart[-1]) * room > text_width(str(u), font(8)) + 0.04:
            apart.append(u)
    few = apart
    axes.xaxis.set_major_locator(FixedLocator(few))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(few, [f"{u}" for u in few])
    axes.set_xlim(units[0] / 2**_EDGE, units[-1] * 2**_EDGE)
    axes.set_xlabel("units")
    axes.grid(True)
    axes.set_axisbelow(True)


def _curves(axes: Axes, table: pd.DataFrame, seeds: pd.DataFrame, by: str) -> None:
    """Draw, for each value of column `by`, a dot for each seed and a line through their means, a little apart.

    Error bars only where `table` has an interval.
    """
    names = list(table[by].unique())
    styles = line_styles(names)
    apart = _octaves_apart(seeds, len(names))
    for k, name in enumerate(names):
        own = table[table[by] == name].sort_values("units")
        each = seeds[seeds[by] == name]
        of_size = each.groupby("units")["seed"]
        shift = 2 ** (apart * of_size.transform("size").max() * (k - (len(names) - 1) / 2))
        colour, dashes, marker = styles[name].values()
        line = {"color": colour, "ls": dashes, "lw": 1.2}
        dots = {
            "marker": marker,
            "markersize": 4.5,
            "markeredgecolor": colour,
            "markerfacecolor": (*to_rgb(colour), 0.4),
        }
        axes.plot(own["units"] * shift, own["mean"], **line)
        barred = own[own["ci_low"].notna()]
        if len(barred):
            error = np.stack([barred["mean"] - barred["ci_low"], barred["ci_high"] - barred["mean"]]).clip(min=0)
            axes.errorbar(
                barred["units"] * shift, barred["mean"], yerr=error, fmt="none", ecolor=colour, lw=0.9, capsize=2
            )
        place = of_size.rank(method="first") - (of_size.transform("size") + 1) / 2
        axes.plot(each["units"] * shift * 2 ** (apart * place), each["value"], ls="none", clip_on=False, **dots)
        axes.plot([], [], label=name, **line, **dots)


def _octaves_apart(seeds: pd.DataFrame, lines: int) -> float:
    """Return how many octaves two dots of one size stand apart, so that they show and no two sizes are mixed."""
    octaves = np.log2(np.sort(seeds["units"].unique()))
    if not len(octaves):
        return 0.0
    dots = lines * seeds.groupby(["units", "quantity", "target"]).size().max()
    room = min([2 * _EDGE, *np.diff(octaves)])
    return float(min(_APART * (np.ptp(octaves) + 2 * _EDGE), _REACH * room / dots))


def _row(axes: list[Axes], table: pd.DataFrame, seeds: pd.DataFrame, task: str, wide: float, tall: float) -> None:
    units = sorted(int(u) for u in table["units"].unique())
    score, each = table[table["quantity"] == "score"], seeds[seeds["quantity"] == "score"]
    lowest = max(_LOWEST, float(min(0.0, each["value"].min()))) - 0.04
    columns = ["mean", "ci_low", "ci_high"]
    _curves(
        axes[0],
        score.assign(**score[columns].clip(lower=lowest)),
        each.assign(value=each["value"].clip(lower=lowest)),
        "target",
    )
    name = shortened(f"{task}: score of each target", font(10), wide + letters(_LEFT) - 0.1, bold=True)
    full = "score (0 = chance, 1 = perfect)"
    label = full if tall > text_width(full, font(9)) else "score"
    axes[0].set(title=name, ylabel=label, ylim=(lowest, 1.06))

    tracked, each = (one[one["quantity"] == "tracked_signals"] for one in (table, seeds))
    _curves(axes[1], tracked, each, "quantity")
    axes[1].set(title="Signals that a unit tracks", ylabel="number of signals")
    if len(tracked):
        axes[1].set_ylim(bottom=-0.2, top=0.4 + float(np.nanmax([*tracked["ci_high"], each["value"].max()])))
        axes[1].yaxis.set_major_locator(MaxNLocator(5, integer=True))

    _curves(axes[2], *_shares(table, seeds), "quantity")
    axes[2].set(title="Units that are needed", ylabel="share of all units", ylim=(-0.04, 1.06))
    for panel in axes:
        if not panel.lines:
            panel.text(0.5, 0.5, "not measured", transform=panel.transAxes, ha="center", va="center", color=GREY)
        _units_axis(panel, units, wide)


def _shares(table: pd.DataFrame, seeds: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the counts of units that are needed as shares of all units, over seeds and of each."""
    every = table[table["quantity"] == "all_units"].set_index("units")["mean"]
    named: Mapping[str, str] = _NEEDS
    means, each = (one[one["quantity"].isin(named)] for one in (table, seeds))
    shares = means[["mean", "ci_low", "ci_high"]].div(means["units"].map(every), axis=0).clip(upper=1.0)
    return (
        means.assign(quantity=means["quantity"].map(named), **shares),
        each.assign(quantity=each["quantity"].map(named), value=each["value"] / each["highest"]),
    )


@styled
def capacity_curves(summary: pd.DataFrame, seeds: pd.DataFrame) -> Figure:
    """Draw scores, the number of tracked signals, and the shares of units that are needed, against `units`.

    One row of panels for each task, in them a dot for each seed and a line through their means. Error bars are
    intervals over seeds, where there are enough seeds for one. A score below -0.5 stands on the panel's lower edge.

    Args:
        summary: columns `CAPACITY_COLUMNS` of `sizing.sweeps`.
        seeds: columns `CAPACITY_SEED_COLUMNS`, of the same runs.
    """
    tasks = list(summary["task"].unique())
    grid = columns(3, 3, left=letters(_LEFT), wide=_WIDE, gap=0.15)
    rows = grid.rows(3) * len(tasks)
    frame = letters(_TITLE) + letters(_BELOW)
    room = (height_left() - 0.6 - 0.75 * len(tasks)) / rows - frame
    sheet, tall = Sheet(grid.width), min(letters(_TALL), max(0.5, room))
    for task in tasks:
        panels = [sheet.axes(grid.x(k), sheet.y + k // grid.number * (tall + frame) + letters(_TITLE), grid.wide, tall)
                  for k in range(3)]  # fmt: skip
        _row(panels, summary[summary["task"] == task], seeds[seeds["task"] == task], task, grid.wide, tall)
        sheet.y += grid.rows(3) * (tall + frame)
        # What the lines of the first panel are, and those of the last.
        for panel in (panels[0], panels[2]):
            sheet.legend_of(panel, 0.0)
            sheet.y += 0.04
    sheet.y += 0.04
    sheet.words(_note(summary), 8, color=GREY)
    return sheet.finished()


def _note(summary: pd.DataFrame) -> str:
    """Return what dots, lines and bars are."""
    if summary["n_seeds"].max() == 1:
        return "one dot for each network: one seed of each size, so no intervals"
    barred = summary["ci_low"].notna()
    note = "one dot for each seed; lines: their means; "
    if not barred.any():
        return note + f"no intervals: {summary['n_seeds'].max()} seeds at most are too few for them"
    fewest = summary.loc[barred, "n_seeds"].min()
    return f"{note}bars: 95 % intervals of the mean" + f", where there are {fewest} seeds or more" * (not barred.all())
