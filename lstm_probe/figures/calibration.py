"""Calibration: error rates and coverage of intervals over simulated datasets, against what they should be."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.figures.style import GREY, line_styles, new_figure, styled, text_width

CALIBRATION_COLUMNS = (
    "about", "series", "null", "sequences", "steps", "measure", "nominal", "datasets", "share", "low", "high",
)  # fmt: skip
TITLES = {
    "errors": "Errors: at most 5 %", "coverage": "Intervals hold the truth: 93 to 97 %",
    "settings": "Nothing to find: at most 5 %", "planted": "Planted: all to be found",
}  # fmt: skip
_GOAL = "#dff0e6"
_GOALS = {"errors": (0.0, 0.05), "coverage": (0.93, 0.97), "settings": (0.0, 0.05), "planted": (0.95, 1.0)}
_ROW, _TOP, _BOTTOM, _RIGHT, _PANEL = 0.34, 0.4, 1.25, 0.25, 3.4


def _settings(own: pd.DataFrame) -> list[str]:
    names = own["series"] + np.where(own["null"].isin(["", "shuffle"]), "", ", " + own["null"].astype(str))
    return list(names + ", " + own["sequences"].astype(str) + " × " + own["steps"].astype(str))


def _panel(axes: Axes, own: pd.DataFrame, about: str) -> None:
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
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(TITLES[about])
    axes.set_xlabel("share of datasets, with 95 % intervals")
    axes.grid(axis="y", visible=False)
    if about == "errors":
        axes.set_xlim(-0.003, max(0.1, float(own["high"].max()) * 1.05))
    elif about != "coverage":
        axes.set_xlim(-0.03, 1.03)
    else:
        axes.set_xlim(min(0.88, float(own["low"].min()) - 0.01), 1.003)
    handles = [
        Line2D([], [], color=styles[m]["color"], marker=styles[m]["marker"], lw=1, ms=4, label=m) for m in measures
    ]
    under = (0, -0.5 / (_ROW * len(rows)))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=under, ncols=2, columnspacing=1.2, borderaxespad=0)


@styled
def calibration(table: pd.DataFrame) -> Figure:
    """Draw how often something false is found, and how often intervals hold the truth; the goals are shaded.

    Args:
        table: columns `CALIBRATION_COLUMNS`; `about` is one of `TITLES`.
    """
    panels = [about for about in TITLES if (table["about"] == about).any()]
    labels = [list(dict.fromkeys(_settings(table[table["about"] == about]))) for about in panels]
    left = max(text_width(name, 8) for names in labels for name in names) + 0.25
    height = _TOP + _BOTTOM + _ROW * max(map(len, labels))
    width = (left + _PANEL + _RIGHT) * len(panels)
    figure = new_figure(width, height)
    for k, (about, names) in enumerate(zip(panels, labels)):
        x, tall = k * width / len(panels) + left, _ROW * len(names)
        box = (x / width, 1 - (_TOP + tall) / height, _PANEL / width, tall / height)
        _panel(figure.add_axes(box), table[table["about"] == about], about)
    return figure
