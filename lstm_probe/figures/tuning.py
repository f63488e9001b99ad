"""Tuning curves: what a unit's variable is at each value of a signal."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lstm_probe.core.order import several_layers, unit_label
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.figures.sheet import Sheet, columns, fitting, left_out
from lstm_probe.figures.style import INK, font, letters, shortened, styled, text_width

_MEAN, _SPREAD = "#0173b2", "#b8d4e8"
_CURVE = ["layer", "direction", "variable", "unit", "signal", "lag"]
# In inches: a panel, and what stands around it.
_WIDE, _TALL, _LEFT, _BELOW, _RIGHT, _LEGEND = 1.9, 1.35, 0.6, 0.45, 0.12, 4.15


def _signal_label(first: pd.Series) -> str:
    """Return the signal's name, and below it what else has to be said of it."""
    lag, role = first["lag"], first["role"]
    ago = f"{lag} step{'s' if lag > 1 else ''} ago" if lag else ""
    more = " ".join([ago] * bool(ago) + [f"({role})"] * (role != "target"))
    return f"{first['signal']}\n{more}" if more else str(first["signal"])


def _draw(axes: Axes, curve: pd.DataFrame) -> None:
    level, mean, sd = curve["level"], curve["mean"], curve["sd"]
    # An interval of few resampled sequences may lie beside the mean.
    error: Any = [(mean - curve["ci_low"]).clip(lower=0), (curve["ci_high"] - mean).clip(lower=0)]
    bars: dict[str, Any] = {"color": _MEAN, "elinewidth": 1.1, "capsize": 0, "markersize": 3.5}
    if curve["kind"].iloc[0] in NUMBERS:
        axes.fill_between(level, mean - sd, mean + sd, color=_SPREAD, lw=0)
        axes.errorbar(level, mean, yerr=error, marker="o", lw=1.5, **bars)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        places = np.arange(len(level))  # one beside the other, whatever their numbers
        axes.errorbar(places, mean, yerr=sd, fmt="none", ecolor=_SPREAD, elinewidth=9, capsize=0)
        axes.errorbar(places, mean, yerr=error, fmt="o", **bars)
        shown = slice(None, None, -(-len(places) // 10))
        axes.set_xticks(places[shown], [f"{value:.10g}" for value in level[shown]])
        axes.set_xlim(-0.6, len(places) - 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(True)
    axes.set_axisbelow(True)


@styled
def tuning(table: pd.DataFrame) -> Figure:
    """Draw the mean, its interval and the spread of a variable at each value of a signal, a panel for each curve.

    Args:
        table: columns `TUNING_COLUMNS`, of the units and signals that are to be seen: a dozen curves at most.
    """
    curves: list[tuple[Any, pd.DataFrame]] = list(table.groupby(_CURVE, sort=False))
    labels = [_signal_label(curve.iloc[0]) for _, curve in curves]
    size = font(9)
    wide = max(_WIDE, max(text_width(label, size) for label in labels))
    # Numbers of many digits take more room beside the axis.
    most = 4 if len(curves) > 6 else 3
    sides = {"left": letters(_LEFT), "right": _RIGHT, "least": _LEGEND}
    grid = columns(len(curves), most, wide=wide, narrow=1.25, **sides)
    sheet, tall = Sheet(grid.width), letters(_TALL)
    below = letters(_BELOW + 0.15 * max(label.count("\n") for label in labels) + 0.14)
    number = fitting(grid, len(curves), tall + below, 0.8)
    note, curves = left_out(len(curves) - number, "curve"), curves[:number]
    layers = several_layers([(layer, direction, unit) for (layer, direction, _, unit, _, _), _ in curves])
    for k, ((layer, direction, variable, unit, _, _), curve) in enumerate(curves):
        axes = sheet.axes(grid.x(k), sheet.y + k // grid.number * (tall + below), grid.wide, tall)
        _draw(axes, curve)
        lines = [shortened(line, size, grid.wide + 0.1) for line in labels[k].split("\n")]
        axes.set_xlabel("\n".join(lines), labelpad=2)
        axes.set_ylabel(f"{variable} of unit {unit_label((layer, direction, unit), layers)}", labelpad=2)
    sheet.y += grid.rows(len(curves)) * (tall + below)
    handles = [
        Line2D([], [], color=_MEAN, marker="o", markersize=3.5, lw=1.5, label="mean, with its 95 % interval"),
        Patch(color=_SPREAD, label="± standard deviation"),
    ]
    sheet.legend(handles, labelcolor=INK)
    if note:
        sheet.words(note, 8, color=INK)
    return sheet.finished()
