"""Does a larger network use more units? A dot for each network: how many it uses, against how many it has."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lstm_probe.figures.sheet import MARGIN, Sheet
from lstm_probe.figures.style import GREY, available_width, font, height_left, letters, line_styles, shortened, styled

_WIDE, _TALL, _LEFT, _BESIDE = 4.6, 2.9, 0.55, 1.7
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
    left, beside = letters(_LEFT), letters(_BESIDE)
    width = available_width(MARGIN + left + _WIDE + beside)
    beside = beside if width - left - beside > letters(2.6) else 0.1
    wide = width - MARGIN - left - beside
    sheet, tall = Sheet(width), min(letters(_TALL), max(1.0, height_left() / len(tasks) - letters(1.4)))
    for task in tasks:
        sheet.y += letters(0.22)
        axes = sheet.axes(MARGIN + left, sheet.y, wide, tall)
        _panel(axes, table[table["task"] == task], shortened(task, font(10), wide, bold=True), trained.get(task))
        sheet.y += tall + letters(0.48)
        sheet.legend_of(axes, beside)
    return sheet.finished()
