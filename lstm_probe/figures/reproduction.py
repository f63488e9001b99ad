"""A published result beside ours: every seed's value of every measure, the published number, the goal."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_probe.figures.sheet import MARGIN, Sheet, tall_of
from lstm_probe.figures.style import GREY, INK, available_width, font, letters, styled, wrapped

REPRODUCTION_COLUMNS = ("measure", "meaning", "seed", "value", "line", "least", "most", "low", "high")
# In inches: a row's dots and what is below them, what they are of, and the whole figure.
_DOTS, _AXIS, _LEFT, _WIDTH = 0.28, 0.26, 4.2, 8.6
#: A figure narrower than this, in inches, has the words above the dots.
_NARROW = 6.0
_GOAL, _OWN, _LINE = "#dff0e6", "#0173b2", "#d55e00"


def _limits(own: pd.DataFrame) -> tuple[float, float]:
    """Return the range to draw: of the values, the published number and the goal, and 0 to 1 for shares."""
    first = own.iloc[0]
    values = [*own["value"], first["line"], first["least"], first["most"]]
    values += [0.0, 1.0] if first["high"] == 1 else [0.0]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.04 * ((high - low) or 1.0)
    return low - room, high + room


def _row(axes: Axes, own: pd.DataFrame) -> None:
    first, values = own.iloc[0], own["value"].to_numpy(float)
    left, right = _limits(own)
    least, most = first["least"], first["most"]
    if np.isfinite(least) or np.isfinite(most):
        ends = (least if np.isfinite(least) else left, most if np.isfinite(most) else right)
        least_width = 0.004 * (right - left)
        axes.axvspan(ends[0] - least_width, ends[1] + least_width, color=_GOAL, zorder=0)
    if np.isfinite(first["line"]):
        axes.axvline(first["line"], color=_LINE, lw=1.6, zorder=1)
    # Equal values side by side, so that each seed is seen.
    spread = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot(values, spread, "o", color=_OWN, ms=5, mec="white", mew=0.5, zorder=3)
    axes.set(xlim=(left, right), ylim=(-0.5, 0.5), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="x", length=2, pad=1, labelsize=font(7))
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)


@styled
def reproduction(table: pd.DataFrame) -> Figure:
    """Draw each measure in a row of its own: dots for seeds, a line for the published number, the goal shaded.

    Args:
        table: columns `REPRODUCTION_COLUMNS`, one row for each measure and seed; NaN where there is no published
            number or no goal.
    """
    names = list(table["measure"].unique())
    width = available_width(_WIDTH)
    beside = width >= _NARROW
    left = _LEFT * width / _WIDTH if beside else MARGIN + 0.1
    sheet, size = Sheet(width), font(8.5)
    for name in names:
        own = table[table["measure"] == name]
        room = 0.94 * (left if beside else sheet.room)
        meaning = " ".join(str(own["meaning"].iloc[0]).split())
        words = wrapped(meaning, size, room)
        tall = letters(_DOTS)
        if beside:
            high = max(tall, tall_of(words, size))
            sheet.text(left - 0.12, sheet.y + high / 2, words, size, ha="right", va="center", color=INK, ma="right")
            axes = sheet.axes(left, sheet.y + (high - tall) / 2, width - left - 0.2, tall)
            sheet.y += max(high, (high + tall) / 2 + letters(_AXIS))
        else:
            sheet.text(MARGIN, sheet.y, words, size, color=INK)
            sheet.y += tall_of(words, size) + 0.03
            axes = sheet.axes(left, sheet.y, width - left - 0.2, tall)
            sheet.y += tall + letters(_AXIS)
        _row(axes, own)
        sheet.y += 0.02
    sheet.words("dots: one for each seed; orange: published; green: the goal", 7.5, color=GREY)
    return sheet.finished()
