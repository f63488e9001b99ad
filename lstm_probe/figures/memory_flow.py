"""Write, hold, read: for each unit the events that write it, how long a value lasts in it, and who reads it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.figures.sheet import MARGIN, Sheet, all_shortened, left_out
from lstm_probe.figures.style import GREY, INK, available_width, font, height_left, letters, styled

#: As many events and readers of a unit are drawn.
MOST_BARS = 7

# In inches: a bar, the names beside bars, a panel, and what stands around it.
_BAR, _LABELS, _WIDE, _LEFT, _BELOW, _TITLE, _GAP = 0.19, 1.6, 1.35, 0.3, 0.42, 0.42, 0.12
_CONFIRMED, _OTHER = "#0173b2", "#c9c9c9"


def _bars(axes: Axes, rows: pd.DataFrame, name: str, room: float) -> None:
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
    axes.set_yticks(places, all_shortened(rows["other"].tolist(), font(8), room)[0])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(-0.6, MOST_BARS - 0.4), xlim=(0, None))
    axes.set_xlabel(name, labelpad=1)


def _hold(axes: Axes, rows: pd.DataFrame, wide: float) -> None:
    """Draw what is left of a value against steps."""
    kept = rows[rows["effect"].notna()]
    lags, left = [0, *kept["lag"]], [1.0, *kept["effect"]]
    axes.plot(lags, [1.0, *kept["gate_alone"]], color=GREY, ls=(0, (4, 1.5)), lw=1.2)
    axes.plot(lags, left, color=_CONFIRMED, marker="o", ms=3, lw=1.5)
    axes.vlines(kept["lag"].to_numpy(float), kept["ci_low"], kept["ci_high"], color=INK, lw=0.8)
    end, ticks = float(rows["lag"].max()) + 0.8, [0]
    for lag in rows["lag"]:
        if (lag - ticks[-1]) / end * wide > letters(0.2):
            ticks.append(int(lag))
    axes.set_xticks(ticks)
    drawn, end = [*left, *kept["gate_alone"].dropna()], float(rows["lag"].max()) + 0.5
    axes.set(ylim=(min(-0.05, *drawn), 1.05 * max(1.05, *drawn)), xlim=(-0.3, end), yticks=[0, 0.5, 1])
    axes.set_xlabel("steps later", labelpad=1)
    axes.grid(True)
    axes.set_axisbelow(True)


@styled
def memory_flow(table: pd.DataFrame) -> Figure:
    """Draw what writes each unit, how long it holds a value, and who reads it: a line of three panels for each.

    Args:
        table: columns of `lstm_probe.columns("memory_flow")`, of as many units as there is room for.
    """
    about: dict[Any, Any] = {"keeps": "f", "words": {"f": "forget gate"}} | table.attrs
    gate = about["words"].get(about["keeps"])
    alone = f"what the {gate} alone would leave" if gate else "what each step keeps would leave"
    memory = table["variable"].iloc[0] if len(table) else "c"
    units: Any = list(table.groupby(UNIT, sort=False))
    layers = several_layers([key for key, _ in units])
    number, tall = len(units), letters(_BAR) * MOST_BARS
    others = [str(other) for other in table.loc[table["link"] != "hold", "other"].dropna().unique()]
    width = available_width(2 * MARGIN + 3 * _WIDE + 2 * _LABELS + letters(_LEFT) + 2 * _GAP)
    # Where there is no room for three panels, what is held stands below.
    narrow = width < 2 * letters(_WIDE) + 3 * _WIDE
    room = min(all_shortened(others, font(8), (0.2 if narrow else 0.15) * width)[1], letters(_LABELS) - 0.06)
    names = room + 0.06
    lefts = [names, names, letters(_LEFT)] if narrow else [names, letters(_LEFT), names]
    side = 2 if narrow else 3
    wide = (width - 2 * MARGIN - sum(lefts[:side]) - (side - 1) * _GAP) / side
    frame = letters(_TITLE) + letters(_BELOW)
    line = (2 if narrow else 1) * (tall + frame)
    number = min(number, int(min(float(number), max(1.0, (height_left() - 0.8) / line))))
    sheet = Sheet(width)
    sheet.heading("How memories are written, held and read", left_out(len(units) - number, "unit"))
    for key, own in units[:number]:
        sheet.text(MARGIN, sheet.y, f"unit {unit_label(key, layers)}", font(9), weight="bold")
        rows = {link: own[(own["link"] == link) & own["effect"].notna()] for link in ("write", "read")}
        draw: dict[str, Callable[[Axes], None]] = {
            "written by": partial(_bars, rows=rows["write"], name=f"change of {memory}", room=room),
            "held: share left": partial(_hold, rows=own[own["link"] == "hold"], wide=wide),
            "read by": partial(_bars, rows=rows["read"], name="change, in sd", room=room),
        }
        x = MARGIN
        for k, name in enumerate(sorted(draw, key="held: share left".__eq__) if narrow else draw):
            x = MARGIN if k == side else x
            axes = sheet.axes(x + lefts[k], sheet.y + letters(_TITLE) + k // side * (tall + frame), wide, tall)
            draw[name](axes)
            axes.set_title(name, fontsize=font(9), pad=3)
            x += lefts[k] + wide + _GAP
        sheet.y += line
    sheet.legend([
        Patch(color=_CONFIRMED, label="confirmed by intervention"), Patch(color=_OTHER, label="not confirmed"),
        Line2D([], [], color=GREY, ls=(0, (4, 1.5)), label=alone),
    ])  # fmt: skip
    return sheet.finished()
