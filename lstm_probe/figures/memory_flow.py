"""Write, hold, read: for each unit the events that write it, how long a value lasts in it, and who reads it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.figures.style import GREY, INK, new_figure, styled

#: As many events and readers of a unit are drawn.
MOST_BARS = 7

_BAR, _LABELS, _WIDE, _BELOW, _HEAD, _TITLE, _LEGEND = 0.19, 1.05, 1.35, 0.5, 0.35, 0.28, 0.3
_CONFIRMED, _OTHER = "#0173b2", "#c9c9c9"


def _bars(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    """Draw one bar for each row, the longest on top after outputs that read, with its interval."""
    sure = rows["confirmed"].fillna(value=False).astype(bool)
    first = rows.assign(sure=sure, first=sure & rows["other"].str.startswith("output ")).sort_values(
        ["first", "effect"], ascending=False, kind="stable")  # fmt: skip
    rows = first.head(MOST_BARS)[::-1]
    colours = [_CONFIRMED if flag else _OTHER for flag in rows["sure"]]
    places = np.arange(len(rows))
    axes.barh(places, rows["effect"], color=colours, height=0.7)
    low, high = (rows[end].fillna(rows["effect"]).to_numpy(float) for end in ("ci_low", "ci_high"))
    axes.hlines(places, low, high, color=INK, lw=0.8)
    axes.set_yticks(places, [str(other) for other in rows["other"]])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(-0.6, MOST_BARS - 0.4), xlim=(0, None))
    axes.set_xlabel(name, labelpad=1)


def _hold(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw what is left of a value against steps."""
    kept = rows[rows["effect"].notna()]
    lags, left = [0, *kept["lag"]], [1.0, *kept["effect"]]
    axes.plot(lags, [1.0, *kept["gate_alone"]], color=GREY, ls=(0, (4, 1.5)), lw=1.2)
    axes.plot(lags, left, color=_CONFIRMED, marker="o", ms=3, lw=1.5)
    axes.vlines(kept["lag"].to_numpy(float), kept["ci_low"], kept["ci_high"], color=INK, lw=0.8)
    axes.set_xticks([0, *rows["lag"]])
    top = max(1.05, *left) if len(left) else 1.05
    axes.set(ylim=(min(-0.05, *left), 1.05 * top), xlim=(-0.3, float(rows["lag"].max()) + 0.5), yticks=[0, 0.5, 1])
    axes.set_xlabel("steps later", labelpad=1)
    axes.grid(True)
    axes.set_axisbelow(True)


@styled
def memory_flow(table: pd.DataFrame) -> Figure:
    """Draw what writes each unit, how long it holds a value, and who reads it: a line of three panels for each.

    Args:
        table: columns of `lstm_probe.columns("memory_flow")`, of as many units as there is room for.
    """
    units: Any = list(table.groupby(UNIT, sort=False))
    layers = several_layers([key for key, _ in units])
    tall = _BAR * MOST_BARS
    line, cell = _TITLE + tall + _BELOW, _LABELS + _WIDE
    width, height = 3 * cell + 0.2, _HEAD + line * len(units) + _LEGEND
    figure = new_figure(width, height)
    for k, (key, own) in enumerate(units):
        y = height - _HEAD - line * k - _TITLE - tall
        panels = [figure.add_axes(((cell * n + _LABELS) / width, y / height, _WIDE / width, tall / height))
                  for n in range(3)]  # fmt: skip
        rows = {link: own[(own["link"] == link) & own["effect"].notna()] for link in ("write", "read")}
        _bars(panels[0], rows["write"], "change of c")
        _hold(panels[1], own[own["link"] == "hold"])
        _bars(panels[2], rows["read"], "change, in sd")
        for axes, name in zip(panels, ("written by", "held: share left", "read by")):
            axes.set_title(name, fontsize=9, pad=3)
        figure.text(0.1 / width, (y + tall + 0.05) / height, f"unit {unit_label(key, layers)}", weight="bold", size=9)
    figure.text(0.1 / width, 1 - 0.08 / height, "How memories are written, held and read", weight="bold", size=10,
                ha="left", va="top")  # fmt: skip
    figure.legend(
        handles=[Patch(color=_CONFIRMED, label="confirmed by intervention"), Patch(color=_OTHER, label="not confirmed"),
                 Line2D([], [], color=GREY, ls=(0, (4, 1.5)), label="what the forget gate alone would leave")],
        loc="lower left", bbox_to_anchor=(0.0, 0.0), ncols=3, borderaxespad=0.3,
    )  # fmt: skip
    return figure
