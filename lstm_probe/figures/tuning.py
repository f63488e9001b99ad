"""Tuning curves: what a unit's variable is at each value of a signal."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from lstm_probe.core.order import several_layers, unit_label
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.figures.style import INK, STYLE, new_figure, styled, text_width

_MEAN, _SPREAD = "#0173b2", "#b8d4e8"
_CURVE = ["layer", "direction", "variable", "unit", "signal", "lag"]
# In inches: a panel with its labels, the panel alone, and what stands around it and around all of them.
_WIDE, _TALL, _LEFT, _BELOW, _ABOVE, _RIGHT, _FOOT = 2.5, 1.35, 0.68, 0.45, 0.14, 0.15, 0.3
_LEGEND = 4.0


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
        axes.errorbar(level, mean, yerr=sd, fmt="none", ecolor=_SPREAD, elinewidth=9, capsize=0)
        axes.errorbar(level, mean, yerr=error, fmt="o", **bars)
        classes = level.astype(int).tolist()
        axes.xaxis.set_major_locator(FixedLocator(classes[:: -(-len(classes) // 10)]))
        axes.set_xlim(classes[0] - 0.6, classes[-1] + 0.6)
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
    columns = min(len(curves), 4 if len(curves) > 6 else 3)
    rows = -(-len(curves) // columns)
    labels = [_signal_label(curve.iloc[0]) for _, curve in curves]
    cell = max(_WIDE, _LEFT + max(text_width(label, STYLE["axes.labelsize"]) for label in labels))
    below = _BELOW + 0.15 * max(label.count("\n") for label in labels)
    tall = _TALL + below + _ABOVE
    width, height = max(cell * columns, _LEGEND) + _RIGHT, tall * rows + _FOOT
    figure = new_figure(width, height)
    layers = several_layers([(layer, direction, unit) for (layer, direction, _, unit, _, _), _ in curves])
    for k, ((layer, direction, variable, unit, _, _), curve) in enumerate(curves):
        x, y = cell * (k % columns) + _LEFT, height - tall * (k // columns + 1) + below
        axes = figure.add_axes((x / width, y / height, (cell - _LEFT) / width, _TALL / height))
        _draw(axes, curve)
        axes.set_xlabel(labels[k], labelpad=2)
        axes.set_ylabel(f"{variable} of unit {unit_label((layer, direction, unit), layers)}", labelpad=2)
    handles = [
        Line2D([], [], color=_MEAN, marker="o", markersize=3.5, lw=1.5, label="mean, with its 95 % interval"),
        Patch(color=_SPREAD, label="± standard deviation"),
    ]
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.1 / width, 0.02 / height), ncols=2,
                  borderaxespad=0, labelcolor=INK)  # fmt: skip
    return figure
