"""What does a signal do? What is left of each target's score when its linear trace is taken out at every step."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lstm_probe.figures.sheet import Sheet, all_shortened, columns, fitting, left_out
from lstm_probe.figures.style import GREY, INK, UNDEFINED, USES_MAP, available_width, font, letters, shortened, styled

#: The colour of a signal on its own target.
OWN = USES_MAP(0.55)

# All in inches.
_WIDE, _ROW, _TITLE, _ACROSS, _DOWN = 1.35, 0.24, 0.26, 0.24, 0.36
_COLUMNS, _TEXT, _LEAST = 5, 8, 5.6


def _draw(axes: Axes, own: pd.DataFrame, target: str, name: str) -> None:
    rows: Any = own.itertuples()
    for k, row in enumerate(rows):
        if np.isfinite(row.control_low):
            axes.barh(
                k, row.control_high - row.control_low, left=row.control_low, height=0.6, color=UNDEFINED, zorder=1
            )
            axes.plot([row.control_mean] * 2, [k - 0.3, k + 0.3], color=GREY, lw=1, zorder=2)
        colour = OWN if row.signal == target else INK
        axes.hlines(k, row.ci_low, row.ci_high, color=colour, lw=1.3, zorder=3)
        axes.plot(row.left, k, "o", ms=5, color=colour, mfc=colour if row.gone else "white", zorder=4)
    axes.set(xlim=(-0.05, max(1.06, 1.02 * float(own["left"].max()))), ylim=(len(own) - 0.4, -0.6))
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, pad=3)
    axes.spines["left"].set_visible(False)
    axes.set_title(name, fontsize=font(9), pad=4)


def _dot(colour: Any, label: str, face: Any = None) -> Line2D:
    return Line2D([], [], color=colour, marker="o", ms=5, lw=1.3, mfc=colour if face is None else face, label=label)


@styled
def erasure(table: pd.DataFrame) -> Figure:
    """Draw the share of each target's score that is left without each signal, a panel for each target.

    Lines are 95 % intervals, bands reach from the 5 % to the 95 % quantile of what random directions leave, with their
    mean. Hollow is a signal that was not taken out.

    Args:
        table: columns `COLUMNS` of `causal.erasure`, without missing shares.
    """
    signals, panels = list(table["signal"].unique()), list(table.groupby("target", sort=False))
    short, beside = all_shortened(signals, font(_TEXT), max(1.2, 0.35 * available_width(9.0)))
    beside += 0.1
    # The names of the signals stand beside the first panel of a row alone.
    within = columns(len(panels), _COLUMNS, left=0.0, wide=_WIDE, gap=_ACROSS, right=0.0, least=_LEAST, before=beside)
    tall = letters(_ROW) * len(signals)
    cell = letters(_TITLE) + tall + letters(_DOWN)
    number = fitting(within, len(panels), cell, 1.2)
    sheet = Sheet(within.width)
    sheet.heading("What does a signal do?", left_out(len(panels) - number, "target"))
    for k, (target, own) in enumerate(panels[:number]):
        axes = sheet.axes(within.x(k), sheet.y + k // within.number * cell + letters(_TITLE), within.wide, tall)
        name = shortened(str(target), font(9), 0.96 * within.wide, bold=True)
        _draw(axes, own.set_index("signal", drop=False).reindex(signals), str(target), name)
        axes.set_yticks(
            range(len(signals)), short if k % within.number == 0 else [""] * len(signals), fontsize=font(_TEXT)
        )
    sheet.y += within.rows(number) * cell - letters(0.1)
    sheet.text(sheet.width / 2, sheet.y, "share of the score left without the signal", font(9), ha="center")
    sheet.y += 1.2 * font(9) / 72 + 0.08
    handles: list[Artist] = [_dot(OWN, "its own target"), _dot(INK, "another")]
    if not table["gone"].all():
        handles.append(_dot(INK, "not taken out", "white"))
    if table["control_low"].notna().any():
        handles.append(Patch(color=UNDEFINED, label=f"{int(table['controls'].max())} random directions"))
    sheet.legend(handles)
    return sheet.finished()
