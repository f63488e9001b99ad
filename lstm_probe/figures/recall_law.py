"""How much of several numbers networks of so many units say again: a dot for each, and the law."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_probe.figures.sheet import Sheet, columns
from lstm_probe.figures.style import INK, letters, styled

#: Of each network: what share of the variance of so many `values` it said again, and the most that its size can.
RECALL_COLUMNS = ("units", "seed", "values", "recalled", "law")
_DOT = "#0173b2"
_WIDE, _TALL, _LEFT, _TITLE, _BELOW = 5.6, 2.5, 0.56, 0.28, 0.46


@styled
def recall_law(table: pd.DataFrame) -> Figure:
    """Draw each network's share against its units, and the law units / values, up to 1.

    Args:
        table: columns `RECALL_COLUMNS`.
    """
    values, most = int(table["values"].iloc[0]), int(table["units"].max())
    grid = columns(1, 1, left=letters(_LEFT), wide=_WIDE, right=0.1)
    sheet = Sheet(grid.width)
    axes = sheet.axes(grid.x(0), sheet.y + letters(_TITLE), grid.wide, letters(_TALL))
    sheet.y += letters(_TITLE + _TALL + _BELOW)
    ends = np.array([0, values, max(most, values) + 1])
    words = f"the most that is possible: units / {values}"
    axes.plot(ends, np.minimum(ends / values, 1), color=INK, lw=1.2, label=words)
    of_size = table.groupby("units")["seed"]
    beside = of_size.rank(method="first") - (of_size.transform("size") + 1) / 2
    axes.plot(table["units"] + 0.12 * beside, table["recalled"].clip(lower=-0.04), "o", color=_DOT, ms=5.5, mec="white",
              mew=0.6, clip_on=False, label="a network")  # fmt: skip
    axes.set(xlim=(0, ends[-1]), ylim=(-0.05, 1.06), xlabel="units", ylabel="share said again (R²)")
    axes.xaxis.set_major_locator(MaxNLocator(min(int(ends[-1]), int(grid.wide / letters(0.3))), integer=True))
    axes.set_title(f"{values} numbers take {values} units")
    axes.grid(True)
    axes.set_axisbelow(True)
    sheet.legend_of(axes, 0.0)
    return sheet.finished()
