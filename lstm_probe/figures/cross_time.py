"""Is a code stable? How well a readout fitted at one time does at every other, one panel for each signal."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from lstm_probe.core.order import shown_variable, signal_order
from lstm_probe.figures.sheet import MARGIN, Sheet, columns, fitting, left_out, tall_of
from lstm_probe.figures.style import (
    GREY,
    TRACKS_MAP,
    UNDEFINED,
    first_fitting,
    font,
    letters,
    shortened,
    styled,
    text_width,
    wrapped,
)

# All in inches.
_LEFT, _SIDE, _GAP, _TITLE, _BELOW = 0.3, 1.45, 0.42, 0.42, 0.24
_BAR_WIDTH, _BAR_HEIGHT = 1.3, 0.1
_COLUMNS = 4
_WORDS = {"step": "in the window from step …", "lag": "as the value … steps ago"}
_SHORTER = {"step": "at step …", "lag": "… steps ago"}
_MEANINGS = {
    "step": "each readout is fitted in one window of the sequence and tested in all",
    "lag": "each readout is fitted to the signal's value at one lag and tested at all",
}


def _panel(axes: Axes, own: pd.DataFrame, side: float) -> QuadMesh:
    wide = own.pivot(index="fitted", columns="tested", values="effect").sort_index().sort_index(axis=1)
    axes.set_facecolor(UNDEFINED)
    n = len(wide)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(wide.to_numpy(float)), cmap=TRACKS_MAP, vmin=0, vmax=1, edgecolors="white", linewidth=0.4
    )
    # No more labels than there is room for.
    every = max(1, -(-n // max(1, int(side / (text_width(f"{wide.index[-1]}", font(7)) + 0.08)))))
    at, labels = np.arange(0, n, every) + 0.5, [str(name) for name in wide.index[::every]]
    axes.set_xticks(at, labels)
    axes.set_yticks(at, labels)
    axes.set(xlim=(0, n), ylim=(0, n))
    axes.tick_params(length=0, pad=2, labelsize=font(7))
    axes.spines[:].set_visible(False)
    return mesh


def _title(block: tuple[int, str], signal: str, several: bool) -> str:
    """Return what a panel is called: its signal, with the layer where there are several."""
    return f"layer {block[0]}{'←' if block[1] == 'reverse' else ''}: {signal}" if several else signal


def _bar(axes: Axes, mesh: QuadMesh) -> None:
    """Draw what the colours mean."""
    bar = axes.figure.colorbar(mesh, cax=axes, ticks=[0, 0.5, 1], orientation="horizontal")
    bar.ax.tick_params(length=2, labelsize=font(7.5))
    bar.outline.set_visible(False)


@styled
def cross_time(table: pd.DataFrame, *, variable: str = "c", along: str | None = None) -> Figure:
    """Draw the effect of readouts by the time that they were fitted at (up) and tested at (to the right).

    Args:
        table: columns `CROSS_TIME_COLUMNS`.
        variable: which of a unit's variables is shown; the first one there where this one is not.
        along: lag or step; the first one there where this is None.
    """
    along = along or str(table["along"].iloc[0])
    own = table[(table["variable"] == shown_variable(table, variable)) & (table["along"] == along)]
    blocks = list(own[["layer", "direction"]].drop_duplicates().itertuples(index=False, name=None))
    panels = [(block, name) for block in blocks for name in signal_order(own)]
    note = _MEANINGS[along] + ("; grey: undefined" if own["effect"].isna().any() else "")
    titles = [_title(block, name, len(blocks) > 1) for block, name in panels]
    wide = max(_SIDE, min(2.4, max(text_width(words, font(9), bold=True) for words in titles)))
    grid = columns(len(panels), _COLUMNS, left=letters(_LEFT), wide=wide, gap=_GAP / 2, before=letters(0.2), least=4.4,
                   narrow=1.0)  # fmt: skip
    side = min(grid.wide, _SIDE)
    cell = letters(_TITLE) + side + letters(_BELOW)
    number = fitting(grid, len(panels), cell, 1.3)
    sheet = Sheet(grid.width)
    more = left_out(len(panels) - number, "panel")
    sheet.heading("How long a code stays the same", note + (f"; {more}" if more else ""))
    top = sheet.y
    for k, ((layer, direction), name) in enumerate(panels[:number]):
        axes = sheet.axes(grid.x(k), top + k // grid.number * cell + letters(_TITLE), side, side)
        rows_of = own[(own["layer"] == layer) & (own["direction"] == direction) & (own["signal"] == name)]
        mesh = _panel(axes, rows_of, side)
        role = rows_of["role"].iloc[0]
        words = shortened(titles[k], font(9), grid.room(k), bold=True)
        axes.set_title(words, pad=3 if role == "target" else 3 + font(8), fontsize=font(9))
        if role != "target":
            above: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "color": GREY}
            axes.annotate(role, (0, 1), xycoords="axes fraction", fontsize=font(7.5), **above)
    sheet.y += grid.rows(number) * cell
    centre = top + (sheet.y - top) / 2
    beside = first_fitting([f"fitted {words[along]}" for words in (_WORDS, _SHORTER)], font(9), 1.15 * (sheet.y - top))
    sheet.text(MARGIN, centre, beside, font(9), va="center", rotation=90)
    sheet.text(sheet.width / 2, sheet.y, f"tested {_WORDS[along]}", font(9), ha="center")
    sheet.y += 1.2 * font(9) / 72 + 0.12
    _bar(sheet.axes(MARGIN + 0.1, sheet.y, _BAR_WIDTH, _BAR_HEIGHT), mesh)
    x, size = MARGIN + 0.1 + _BAR_WIDTH + 0.15, font(7.5)
    words = wrapped(
        "effect: 0 = chance or worse, 1 = predicts the signal exactly", size, min(2.2, sheet.width - x - MARGIN)
    )
    sheet.text(x, sheet.y - 0.02, words, size)
    sheet.y += max(0.34, tall_of(words, size))
    return sheet.finished()
