"""Does a larger network use more units? A dot for each network: how many it uses, against how many it has."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lstm_probe.figures.style import GREY, legend_beside, line_styles, new_figure, styled

_WIDE, _TALL = 5.2, 3.0
#: How far the dots of one size reach, in octaves, and what is left beside the outer sizes.
_REACH, _EDGE = 0.2, 0.4
_NAMES = {"used": "others merged", "unclamped": "others clamped"}


def _panel(axes: Axes, own: pd.DataFrame, task: str, enough: int | None) -> None:
    sizes = np.sort(own["units"].unique())
    ends = np.array([sizes[0] / 2**_EDGE, sizes[-1] * 2**_EDGE])
    axes.plot(ends, ends, color=GREY, lw=0.9, ls=(0, (1, 2)), label="all units", zorder=1)
    if enough is not None:
        axes.axhline(enough, color=GREY, lw=1.1, ls=(0, (5, 2)), label="trained from\nthe start", zorder=1)
    known = [name for name in _NAMES if own[name].notna().any()]
    for name, style in line_styles(known).items():
        count = own.groupby("units")["seed"].transform("size")
        place = own.groupby("units")["seed"].rank(method="first") - (count + 1) / 2
        x = own["units"] * 2 ** (_REACH * place / count.max())
        means = own.groupby("units")[name].mean()
        axes.plot(means.index, means, color=style["color"], ls=style["linestyle"], lw=1.2)
        axes.plot(x, own[name], **{**style, "linestyle": "none"}, markersize=5, alpha=0.75)
        axes.plot([], [], **style, markersize=5, label=_NAMES[name])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_ticks(sizes, [str(size) for size in sizes])
    lowest = min(float(np.nanmin(own[known])), np.inf if enough is None else enough)
    axes.set(xlim=tuple(ends), ylim=(lowest / 2**_EDGE, ends[1]), title=task, xlabel="units")
    axes.set_ylabel("units that carry the task")
    axes.grid(True)
    axes.set_axisbelow(True)
    legend_beside(axes)


@styled
def used_over_sizes(table: pd.DataFrame, *, trained: Mapping[str, int] = MappingProxyType({})) -> Figure:
    """Draw how many units carry the task when the others are merged into them, or clamped, against the units there are.

    One panel for each task, in it a dot for each network and a line through the means of each size; dotted, as many as
    there are.

    Args:
        table: columns `USED_COLUMNS` of `sizing.used`.
        trained: how many units are enough for half of the networks that are trained from the start, by task; dashed.
    """
    tasks = list(table["task"].unique())
    width, height = _WIDE + 1.4, (_TALL + 0.75) * len(tasks)
    figure = new_figure(width, height)
    grid = figure.subplots(len(tasks), 1, squeeze=False)
    figure.subplots_adjust(
        left=0.6 / width, right=_WIDE / width, top=1 - 0.3 / height, bottom=0.55 / height, hspace=0.4
    )
    for axes, task in zip(grid[:, 0], tasks):
        _panel(axes, table[table["task"] == task], task, trained.get(task))
    return figure
