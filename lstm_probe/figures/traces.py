"""Units at work: the best unit of each signal drawn over the true signal."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lstm_probe.core.numbers import number
from lstm_probe.core.vocabulary import NUMBERS, VARIABLE_MEANINGS
from lstm_probe.figures.style import GREY, INK, new_figure, styled

TRACE_COLUMNS = (
    "signal",
    "kind",
    "role",
    "unit",
    "variable",
    "lag",
    "effect",
    "tracks",
    "step",
    "true",
    "fitted",
)
_TRACKED, _PANEL = "#d55e00", 1.08
_FITTED: Any = {"lw": 1.4, "ls": (0, (4, 1.2))}


def _draw(axes: Axes, trace: pd.DataFrame) -> None:
    first = trace.iloc[0]
    tracks = bool(first["tracks"])
    steps: dict[str, Any] = {"drawstyle": "steps-mid"} if first["kind"] not in NUMBERS else {}
    axes.plot(trace["step"], trace["true"], color=INK, lw=1.6, **steps)
    axes.plot(trace["step"], trace["fitted"], color=_TRACKED if tracks else GREY, **_FITTED)
    low, high = np.nanmin(trace["true"]), np.nanmax(trace["true"])
    room = 0.35 * (high - low) or 0.5
    # A poor fit may leave the panel; the true signal never does.
    axes.set_ylim(low - room, high + room)
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=first["kind"] not in NUMBERS))
    role = "" if first["role"] == "target" else f" ({first['role']})"
    lag = f" {first['lag']} steps ago" if first["lag"] else ""
    axes.set_title(f"{first['signal']}{lag}{role}", pad=3, fontsize=9)
    words = f"unit {first['unit']}, effect {number(first['effect'])}" + ("" if tracks else ": not tracked")
    axes.set_title(words, loc="right", pad=3, fontsize=8, weight="normal", color=_TRACKED if tracks else GREY)


@styled
def traces(table: pd.DataFrame) -> Figure:
    """Draw, for each signal, the variable of its best unit over the true signal in one example sequence.

    Args:
        table: columns `TRACE_COLUMNS`, one row for each signal and step; `fitted` is the unit's variable
            brought to the signal's scale.
    """
    signals = list(table["signal"].unique())
    columns = 1 if len(signals) == 1 else 2
    rows = -(-len(signals) // columns)
    height = 0.75 + _PANEL * rows + 0.2
    figure = new_figure(9.6 if columns == 2 else 5.6, height)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    figure.subplots_adjust(
        left=0.05 * 9.6 / figure.get_figwidth(), right=0.985, top=1 - 0.28 / height, bottom=0.75 / height,
        hspace=0.62, wspace=0.13,
    )  # fmt: skip
    for k, axes in enumerate(grid.flat):
        if k < len(signals):
            _draw(axes, table[table["signal"] == signals[k]])
        else:
            axes.set_visible(False)
        if k + columns >= len(signals) and k < len(signals):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("step", labelpad=1)
    variable = table["variable"].iloc[0]
    word = VARIABLE_MEANINGS[variable].split(":")[0]
    best = f"{word} {variable} of its best unit, on the signal's scale"
    handles = [
        Line2D([], [], color=INK, lw=1.6, label="true signal"),
        Line2D([], [], color=_TRACKED, **_FITTED, label=best),
        Line2D([], [], color=GREY, **_FITTED, label=f"{word} {variable} of a unit that does not track it"),
    ]
    tracked = table["tracks"].astype(bool)
    shown = [
        handles[0],
        *([handles[1]] if tracked.any() else []),
        *([handles[2]] if not tracked.all() else []),
    ]
    figure.legend(handles=shown, loc="lower center", ncols=1 if columns == 1 else 3, handlelength=3)
    return figure
