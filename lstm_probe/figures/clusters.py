"""Clusters of units: in which conditions each unit varies, units ordered by cluster."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_probe.core.numbers import number
from lstm_probe.core.order import shown_variable
from lstm_probe.figures.codes import BLOCK, block_name
from lstm_probe.figures.style import GREY, INK, TRACKS_MAP, new_figure, styled, text_width

# All in inches.
_CELL, _NARROW, _ROW, _TITLE, _BELOW, _BAR, _GAP = 0.2, 0.06, 0.26, 0.62, 0.5, 0.9, 0.2
_TEXT = 8

#: More units have no number each.
MOST_NUMBERED = 48


def clusters_words(row: Any) -> str:
    """Return what a panel's title says of its clusters: how many, or that none are shown."""
    if pd.isna(row.mean_silhouette):
        return "too few units that differ to look for clusters"
    told = f"silhouette {number(row.mean_silhouette)}; random directions {number(row.rotated)}, 95 % below "
    told += f"{number(row.rotated_high)}; p = {number(row.p_rotation, 3)}"
    return f"{row.n_clusters} clusters ({told})" if row.found else f"no clusters shown ({told})"


def _draw(axes: Axes, own: pd.DataFrame) -> Any:
    wide = own.pivot(index="unit", columns="condition", values="share")[list(dict.fromkeys(own["condition"]))]
    about = own.drop_duplicates("unit").set_index("unit").loc[wide.index]
    found = bool(own["found"].iloc[0])
    peak = wide.fillna(0).to_numpy().argmax(1)
    keys = pd.DataFrame({"cluster": about["cluster"].fillna(10**6).astype(int) if found else 0, "peak": peak})
    order = keys.set_index(wide.index).sort_values(["cluster", "peak"], kind="stable").index
    drawn = axes.imshow(np.ma.masked_invalid(wide.loc[order].to_numpy().T), aspect="auto", cmap=TRACKS_MAP, vmin=0,
                        vmax=1, interpolation="nearest")  # fmt: skip
    axes.set_yticks(range(wide.shape[1]), [str(name) for name in wide], fontsize=_TEXT)
    axes.set_ylabel(own["by"].iloc[0])
    numbered = len(order) <= MOST_NUMBERED
    axes.set_xticks(range(len(order)) if numbered else [], [str(u) for u in order] if numbered else [], fontsize=_TEXT)
    axes.set_xlabel("unit" if numbered else f"{len(order)} units")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if found:
        _name_clusters(axes, about.loc[order, "cluster"].fillna(-1).to_numpy(dtype=int))
    return drawn


def _name_clusters(axes: Axes, labels: np.ndarray) -> None:
    """Draw lines between clusters, and their numbers above."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    for edge in edges:
        axes.axvline(edge - 0.5, color="white", lw=2.5)
    starts, ends = [0, *edges], [*edges, len(labels)]
    for start, end in zip(starts, ends):
        name = "constant" if labels[start] < 0 else str(labels[start])
        axes.annotate(name, ((start + end - 1) / 2, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 3),
                      textcoords="offset points", ha="center", size=_TEXT, color=GREY)  # fmt: skip


@styled
def clusters(table: pd.DataFrame, *, variable: str = "c") -> Figure:
    """Draw how much each unit varies in each condition, units ordered by cluster where there are clusters.

    One panel for each layer and direction; a number above each cluster.

    Args:
        table: columns as of `lstm_probe.unit_clusters`.
        variable: whose units are shown; the first one there where this one is not.
    """
    variable = shown_variable(table, variable)
    own = table[table["variable"] == variable]
    blocks: list[Any] = list(own.groupby(BLOCK, sort=False))
    units = max(rows["unit"].nunique() for _, rows in blocks)
    inside = max(2.4, units * (_CELL if units <= MOST_NUMBERED else _NARROW))
    left = 0.5 + max(text_width(str(name), _TEXT) for name in own["condition"])
    titles = {key: (f"In which conditions do units vary? {block_name(key[0], key[1], variable, len(blocks) > 1)}",
                    clusters_words(next(rows.itertuples()))) for key, rows in blocks}  # fmt: skip
    widest = max(text_width(line, size) for two in titles.values() for line, size in zip(two, (10.6, _TEXT)))
    width = max(left + inside + _BAR, widest + 0.2)
    tall = [_TITLE + _ROW * rows["condition"].nunique() + _BELOW for _, rows in blocks]
    height = sum(tall) + _GAP * (len(blocks) - 1)
    figure = new_figure(width, height)
    top: float = height
    for (key, rows), own_height in zip(blocks, tall):
        high = own_height - _TITLE - _BELOW
        axes = figure.add_axes((left / width, (top - _TITLE - high) / height, inside / width, high / height))
        drawn = _draw(axes, rows)
        figure.text(0.08 / width, (top - 0.08) / height, titles[key][0], weight="bold", size=10, va="top")
        figure.text(0.08 / width, (top - 0.27) / height, titles[key][1], size=_TEXT, color=INK, va="top")
        bar = figure.add_axes(
            ((left + inside + 0.12) / width, (top - _TITLE - high) / height, 0.1 / width, high / height)
        )
        figure.colorbar(drawn, cax=bar, label="share of its\nlargest variance", ticks=[0, 1])
        top -= own_height + _GAP
    return figure
