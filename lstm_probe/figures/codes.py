"""Localist, copied or distributed: the two best units, random directions and all units together, for each signal."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import word_of
from lstm_probe.core.order import shown_variable, signal_order
from lstm_probe.figures.sheet import MARGIN, Sheet, all_shortened
from lstm_probe.figures.style import (
    GREY,
    INK,
    TRACKS_MAP,
    UNDEFINED,
    available_width,
    font,
    letters,
    styled,
    text_width,
)

BLOCK = ["layer", "direction"]

#: A unit's dot is filled where it holds the signal by itself.
HOLDS = TRACKS_MAP(0.7)

# All in inches.
_ROW, _BELOW, _GAP, _SIDE, _BEYOND = 0.27, 0.30, 0.16, 4.6, 0.12
_TEXT = 8


def shown_lag(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each block and signal: that of the lag at which all units together predict it best."""
    strongest = table.sort_values("effect", ascending=False, kind="stable", na_position="last")
    return strongest.drop_duplicates([*BLOCK, "signal"])


def block_name(layer: int, direction: str, variable: str, several: bool, cell: Cell | None = None) -> str:
    """Return what a panel's units are called."""
    word = word_of(variable, cell)
    where = f"layer {layer}{' reverse' if direction == 'reverse' else ''}, " if several else ""
    return f"{where}{variable} ({word})"


def words(row: pd.Series) -> str:
    """Return what stands beside a signal: its code and the units that hold it by themselves."""
    if row["code"] == "copies":
        return f"copies: units {row['best_unit']}, {row['second_unit']}"
    return f"{row['code']}: unit {row['best_unit']}" if row["code"] == "localist" else str(row["code"])


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
    for y, (_, row) in enumerate(rows.iterrows()):
        axes.barh(y, row["rotated_high"] - row["rotated"], left=row["rotated"], height=0.6, color=UNDEFINED, zorder=1)
        axes.plot([row["rotated"]] * 2, [y - 0.3, y + 0.3], color=GREY, lw=1.2, zorder=2)
        axes.plot(row["effect"], y, marker="D", markersize=5, markerfacecolor="white", markeredgecolor=INK, zorder=3)
        holds = row["code"] in ("localist", "copies")
        for unit, size, filled in (("second", 4.5, row["code"] == "copies"), ("best", 6.5, holds)):
            axes.plot(row[f"{unit}_effect"], y, marker="o", markersize=size, color=HOLDS if filled else "white",
                      markeredgecolor=HOLDS, zorder=4)  # fmt: skip
        own: dict[str, Any] = {"weight": "bold", "color": INK} if holds else {"color": GREY}
        axes.annotate(
            words(row), (1, y), xycoords=axes.get_yaxis_transform(), xytext=(72 * _BEYOND, 0),
            textcoords="offset points", va="center", size=font(_TEXT), annotation_clip=False, **own,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows["name"]), fontsize=font(_TEXT))
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _handles() -> list[Any]:
    empty: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}
    return [
        Line2D([], [], marker="o", color=HOLDS, **empty, label="best single unit (filled: holds it by itself)"),
        Line2D([], [], marker="o", color=HOLDS, **empty, markersize=4.5, label="second-best single unit"),
        Line2D([], [], marker="D", color=INK, **empty, markersize=5, label="all units together"),
        Patch(color=UNDEFINED, label="best direction of random bases, median to 95 %"),
    ]


@styled
def codes(table: pd.DataFrame, *, variable: str = "c", cell: Cell | None = None) -> Figure:
    """Draw, for each signal, what its two best units, random directions and all units together predict of it.

    One panel for each layer and direction; targets first, then latent signals, distractors and nuisances.

    Args:
        table: columns `SIGNAL_CODE_COLUMNS`. Of several lags, that at which all units together predict best is shown.
        variable: whose units are shown; the first one there where this one is not.
        cell: what the units are, for the words; None: an LSTM.
    """
    variable = shown_variable(table, variable)
    own = shown_lag(table[table["variable"] == variable])
    several_lags = table["lag"].nunique() > 1
    names = own["signal"].astype(str) + (", lag " + own["lag"].astype(str) if several_lags else "")
    size = font(_TEXT)
    beyond = max(text_width(words(row), size, bold=True) for _, row in own.iterrows()) + _BEYOND
    natural = max(text_width(name, size) for name in names) + _SIDE + beyond + 0.2
    width = available_width(max(natural, 4.6))
    short, left = all_shortened(names.tolist(), size, max(0.3 * width, width - _SIDE - beyond - 0.2))
    own = own.assign(name=short, place=own["signal"].map({s: k for k, s in enumerate(signal_order(table))}))
    blocks: list[Any] = list(own.sort_values(BLOCK, kind="stable").groupby(BLOCK, sort=False))
    left += MARGIN + 0.08
    sheet = Sheet(width)
    for (layer, direction), rows in blocks:
        sheet.heading(f"Which units hold it? {block_name(layer, direction, variable, len(blocks) > 1, cell)}")
        inside = letters(_ROW) * len(rows)
        axes = sheet.axes(left, sheet.y, width - left - beyond - MARGIN, inside)
        _draw(axes, rows.sort_values("place"))
        sheet.y += inside + letters(_BELOW) + _GAP
    axes.set_xlabel("held-out R²")
    sheet.y += letters(0.12)
    sheet.legend(_handles())
    return sheet.finished()
