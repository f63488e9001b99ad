"""Clusters of units: in which conditions each unit varies, units ordered by cluster."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_probe.cells.declared import Cell
from lstm_probe.core.numbers import known, number
from lstm_probe.core.order import shown_variable
from lstm_probe.figures.codes import BLOCK, block_name
from lstm_probe.figures.sheet import MARGIN, Sheet, all_shortened
from lstm_probe.figures.style import GREY, TRACKS_MAP, available_width, font, letters, styled, text_width

# All in inches.
_CELL, _NARROW, _ROW, _NAMES, _BELOW, _BAR, _GAP = 0.2, 0.06, 0.26, 0.14, 0.42, 1.0, 0.14
_TEXT = 8

#: More units have no number each.
MOST_NUMBERED = 48


def clusters_words(row: Any) -> str:
    """Return what a panel's title says of its clusters: how many, or that none are shown."""
    if pd.isna(row.mean_silhouette):
        return "too few units that differ to look for clusters"
    told = f"silhouette {number(row.mean_silhouette)}; random directions {number(row.rotated)}, 95 % below "
    told += f"{number(row.rotated_high)}; p = {number(row.p_rotation, 3)}"
    shuffled = getattr(row, "p_shuffled", float("nan"))  # not in tables of earlier versions
    told += f"; exchanged sequences p = {number(shuffled, 3)}" if known(shuffled) else ""
    return f"{row.n_clusters} clusters ({told})" if row.found else f"no clusters shown ({told})"


def _draw(axes: Axes, own: pd.DataFrame, names: list[str], wide: float) -> Any:
    shares = own.pivot(index="unit", columns="condition", values="share")[list(dict.fromkeys(own["condition"]))]
    about = own.drop_duplicates("unit").set_index("unit").loc[shares.index]
    found = bool(own["found"].iloc[0])
    peak = shares.fillna(0).to_numpy().argmax(1)
    keys = pd.DataFrame({"cluster": about["cluster"].fillna(10**6).astype(int) if found else 0, "peak": peak})
    order = keys.set_index(shares.index).sort_values(["cluster", "peak"], kind="stable").index
    drawn = axes.imshow(np.ma.masked_invalid(shares.loc[order].to_numpy().T), aspect="auto", cmap=TRACKS_MAP, vmin=0,
                        vmax=1, interpolation="nearest")  # fmt: skip
    axes.set_yticks(range(shares.shape[1]), names, fontsize=font(_TEXT))
    axes.set_ylabel(own["by"].iloc[0])
    numbered = len(order) * 1.15 * text_width(f"{max(order)}", font(_TEXT)) <= wide and len(order) <= MOST_NUMBERED
    axes.set_xticks(
        range(len(order)) if numbered else [], [str(u) for u in order] if numbered else [], fontsize=font(_TEXT)
    )
    axes.set_xlabel("unit" if numbered else f"{len(order)} units")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if found:
        _name_clusters(axes, about.loc[order, "cluster"].fillna(-1).to_numpy(dtype=int), wide)
    return drawn


def _name_clusters(axes: Axes, labels: np.ndarray, wide: float) -> None:
    """Draw lines between clusters, and their numbers above."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    for edge in edges:
        axes.axvline(edge - 0.5, color="white", lw=2.5)
    starts, ends = [0, *edges], [*edges, len(labels)]
    for start, end in zip(starts, ends):
        name = "constant" if labels[start] < 0 else str(labels[start])
        room = wide * (end - start) / len(labels)
        if start and text_width(name, font(_TEXT)) > room + 0.05:
            name = "–" if labels[start] < 0 else ""
        axes.annotate(name, ((start + end - 1) / 2, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 3),
                      textcoords="offset points", ha="center", size=font(_TEXT), color=GREY)  # fmt: skip


@styled
def clusters(table: pd.DataFrame, *, variable: str = "c", cell: Cell | None = None) -> Figure:
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
    conditions = list(dict.fromkeys(own["condition"]))
    short, left = all_shortened(conditions, font(_TEXT), 0.35 * available_width(9.0))
    names, left = dict(zip(conditions, short)), MARGIN + left + letters(0.32)
    told = max(text_width(clusters_words(next(rows.itertuples())), font(_TEXT)) for _, rows in blocks)
    width = available_width(max(left + inside + _BAR, 1.06 * told + 2 * MARGIN))
    inside = width - left - letters(_BAR)
    sheet = Sheet(width)
    for key, rows in blocks:
        sheet.heading("In which conditions do units vary? "
                      f"{block_name(key[0], key[1], variable, len(blocks) > 1, cell)}",
                      clusters_words(next(rows.itertuples())))  # fmt: skip
        top = sheet.y + letters(_NAMES)
        tall = max(letters(_ROW) * rows["condition"].nunique(), letters(0.62))
        axes = sheet.axes(left, top, inside, tall)
        drawn = _draw(axes, rows, [names[name] for name in dict.fromkeys(rows["condition"])], inside)
        bar = sheet.axes(left + inside + 0.12, top, 0.1, tall)
        sheet.figure.colorbar(drawn, cax=bar, label="share of its\nlargest", ticks=[0, 1])
        sheet.y = top + tall + letters(_BELOW) + _GAP
    return sheet.finished()
