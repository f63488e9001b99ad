"""How much of several numbers networks of so many units say again: a dot for each, and the law."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_probe.figures.style import INK, new_figure, styled

#: Of each network: what share of the variance of so many `values` it said again, and the most that its size can.
RECALL_COLUMNS = ("units", "seed", "values", "recalled", "law")
_DOT = "#0173b2"


@styled
def recall_law(table: pd.DataFrame) -> Figure:
    """Draw each network's share against its units, and the law units / values, up to 1.

    Args:
        table: columns `RECALL_COLUMNS`.
    """
    values, most = int(table["values"].iloc[0]), int(table["units"].max())
    figure = new_figure(6.4, 3.4)
    axes = figure.add_axes((0.1, 0.16, 0.86, 0.72))
    ends = np.array([0, values, max(most, values) + 1])
    words = f"the most that is possible: units / {values}"
    axes.plot(ends, np.minimum(ends / values, 1), color=INK, lw=1.2, label=words)
    of_size = table.groupby("units")["seed"]
    beside = of_size.rank(method="first") - (of_size.transform("size") + 1) / 2
    axes.plot(table["units"] + 0.12 * beside, table["recalled"].clip(lower=-0.04), "o", color=_DOT, ms=5.5, mec="white",
              mew=0.6, clip_on=False, label="a network")  # fmt: skip
    axes.set(xlim=(0, ends[-1]), ylim=(-0.05, 1.06), xlabel="units", ylabel="share of the numbers said again (R²)")
    axes.set_xticks(range(ends[-1] + 1))
    axes.set_title(f"{values} numbers take {values} units")
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")
    return figure
