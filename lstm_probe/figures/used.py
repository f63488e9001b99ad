"""How many units are used? What is left of each target's score, against how many units the others are merged into."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_probe.figures.style import GREY, styled
from lstm_probe.figures.sufficient import ALL, kept_dots, target_styles, two_panels


def _random(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the mean over random orders, and a band from the lowest to the highest."""
    over = rows.groupby("kept")["score"].agg(["mean", "min", "max"])
    axes.fill_between(over.index, over["min"], over["max"], color=GREY, alpha=0.2, lw=0, zorder=1)
    axes.plot(over.index, over["mean"], color=GREY, lw=1.2, ls=(0, (4, 2)), zorder=1.5)


def _best(axes: Axes, own: pd.DataFrame, style: Mapping[str, Any]) -> None:
    """Draw the curve of the best order, with a mark where the fewest units are that carry the target."""
    own = own.sort_values("kept")
    axes.plot(own["kept"], own["score"], **{**style, "marker": ""}, zorder=2 if style["lw"] > 2 else 3)
    fewest = own[own["used"].astype(bool)]
    axes.plot(fewest["kept"], fewest["score"], **{**style, "linestyle": "none"}, zorder=4)


@styled
def used(table: pd.DataFrame) -> Figure:
    """Draw the robustness curve of each target and of all, and what the fewest units keep on other sequences.

    On the left, a mark stands at the fewest units; dashed is the mean of random orders for all targets, within the band
    of the lowest and highest. On the right, bars are 95 % intervals, and the dotted line is what has to be kept.

    Args:
        table: columns `COLUMNS` of `capacity.used`, with its `attrs`.
    """
    targets = list(table["target"].unique())
    styles = target_styles(targets)
    about: Mapping[str, Any] = table.attrs.get("used", {})
    # One target alone is all there is.
    shown = targets if len(targets) != 2 or ALL not in targets else [name for name in targets if name != ALL]
    best, random = (table[table["order"] == order] for order in ("best", "random"))
    n = int(table["kept"].max())
    fewest = best[best["used"].astype(bool)].set_index("target")["kept"]
    labels = [f"{name}: {fewest[name]} of {n}" for name in shown]
    note = "marks: the fewest units that are enough; dotted: what they have to keep"
    draws = random["draw"].nunique()
    note += f"; grey: {draws} random orders" if draws else ""
    sheet, left, right, labels = two_panels(labels, "How many units are used?", note)
    _random(left, random[random["target"] == (ALL if ALL in shown else shown[0])])
    for name in shown:
        _best(left, best[best["target"] == name], styles[name])
    left.set(xlim=(-0.02 * n, 1.02 * n), ylim=(-0.04, 1.06), yticks=[0, 0.5, 1], ylabel="share of the score left")
    left.set_xlabel("units kept, all others merged into them")
    left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    left.grid(True)
    left.set_axisbelow(True)
    kept_dots(right, labels, [about.get(name, {}) for name in shown], [styles[name] for name in shown])
    return sheet.finished()
