"""Calibration: error rates and coverage of intervals over simulated datasets, against what they should be."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.figures.sheet import Sheet, all_shortened, columns, fitting, left_out
from lstm_probe.figures.style import GREY, available_width, font, height_left, letters, line_styles, shortened, styled

CALIBRATION_COLUMNS = (
    "about", "series", "null", "sequences", "steps", "measure", "nominal", "datasets", "share", "low", "high",
)  # fmt: skip
TITLES = {
    "errors": "Errors: at most 5 %", "coverage": "Intervals hold the truth: 93 to 97 %",
    "settings": "Nothing to find: at most 5 %", "planted": "Planted: all to be found",
}  # fmt: skip
_GOAL = "#dff0e6"
_GOALS = {"errors": (0.0, 0.05), "coverage": (0.93, 0.97), "settings": (0.0, 0.05), "planted": (0.95, 1.0)}
# In inches: a row, a panel, and what stands around it.
_ROW, _TITLE, _BELOW, _RIGHT, _PANEL = 0.34, 0.28, 0.5, 0.15, 3.4


def _settings(own: pd.DataFrame) -> list[str]:
    names = own["series"] + np.where(own["null"].isin(["", "shuffle"]), "", ", " + own["null"].astype(str))
    return list(names + ", " + own["sequences"].astype(str) + " × " + own["steps"].astype(str))


def _panel(axes: Axes, own: pd.DataFrame, about: str, names: list[str], room: float) -> list[Line2D]:
    """Draw one row for each setting; measures side by side in it, in colours and markers of their own."""
    settings = _settings(own)
    rows = {name: k for k, name in enumerate(dict.fromkeys(settings))}
    measures = list(own["measure"].unique())
    styles = line_styles(measures)
    offsets = dict(zip(measures, np.linspace(-0.3, 0.3, len(measures))))
    low, high = _GOALS[about]
    axes.axvspan(low, high, color=_GOAL, zorder=0)
    axes.axvline(own["nominal"].iloc[0], color=GREY, lw=1, zorder=1)
    for measure in measures:
        some = own["measure"].to_numpy() == measure
        y = np.array([rows[name] for name in np.array(settings)[some]]) + offsets[measure]
        colour, marker = styles[measure]["color"], styles[measure]["marker"]
        axes.hlines(y, own.loc[some, "low"], own.loc[some, "high"], color=colour, lw=1)
        axes.plot(own.loc[some, "share"], y, marker, color=colour, ms=4, mec="white", mew=0.4)
    axes.set_yticks(range(len(rows)), names, fontsize=font(8))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(shortened(TITLES[about], font(10), room, bold=True), fontsize=font(10))
    axes.set_xlabel("share of datasets, with 95 % intervals")
    axes.grid(axis="y", visible=False)
    if about == "errors":
        axes.set_xlim(-0.003, max(0.1, float(own["high"].max()) * 1.05))
    elif about != "coverage":
        axes.set_xlim(-0.03, 1.03)
    else:
        axes.set_xlim(min(0.88, float(own["low"].min()) - 0.01), 1.003)
    return [Line2D([], [], color=styles[m]["color"], marker=styles[m]["marker"], lw=1, ms=4, label=m) for m in measures]


@styled
def calibration(table: pd.DataFrame) -> Figure:
    """Draw how often something false is found, and how often intervals hold the truth; the goals are shaded.

    Args:
        table: columns `CALIBRATION_COLUMNS`; `about` is one of `TITLES`.
    """
    panels = [about for about in TITLES if (table["about"] == about).any()]
    settings = {about: list(dict.fromkeys(_settings(table[table["about"] == about]))) for about in panels}
    every = [name for names in settings.values() for name in names]
    size, most = font(8), max(map(len, settings.values()))
    left = all_shortened(every, size, 0.42 * available_width(99.0))[1] + 0.16
    grid = columns(len(panels), len(panels), left=left, wide=_PANEL, right=_RIGHT, narrow=2.0)
    frame = letters(_TITLE + _BELOW) + 0.5
    row = min(letters(_ROW), max(1.15 * size / 72, ((height_left() - 0.4) / grid.rows(len(panels)) - frame) / most))
    sheet, number = Sheet(grid.width), fitting(grid, len(panels), frame + row * most, 0.4)
    for start in range(0, number, grid.number):
        own, tall = panels[start : start + grid.number], row * most
        handles: dict[str, Line2D] = {}
        for k, about in enumerate(own):
            names, _ = all_shortened(settings[about], size, left - 0.15)
            axes = sheet.axes(grid.x(k), sheet.y + letters(_TITLE), grid.wide, row * len(names))
            room = grid.wide + _RIGHT
            lines = _panel(axes, table[table["about"] == about], about, names, room)
            handles |= {str(line.get_label()): line for line in lines}
        sheet.y += letters(_TITLE + _BELOW) + tall
        sheet.legend(list(handles.values()))
        sheet.y += 0.08
    if number < len(panels):
        sheet.words(left_out(len(panels) - number, "panel"), 8, color=GREY)
    return sheet.finished()
