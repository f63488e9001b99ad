"""Is a code stable? How well a readout fitted at one time does at every other, one panel for each signal."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from lstm_probe.core.order import shown_variable, signal_order
from lstm_probe.figures.style import GREY, TRACKS_MAP, UNDEFINED, new_figure, styled, text_width

# All in inches.
_LEFT, _TOP, _BOTTOM, _SIDE, _GAP, _TITLE = 0.62, 0.42, 0.5, 1.45, 0.42, 0.5
_BAR_WIDTH, _BAR_HEIGHT, _BAR_ROOM = 0.13, 1.3, 0.8
_COLUMNS = 4
_WORDS = {"step": "in the window from step …", "lag": "as the value … steps ago"}
_MEANINGS = {
    "step": "each readout is fitted in one window of the sequence and tested in all",
    "lag": "each readout is fitted to the signal's value at one lag and tested at all",
}


def _panel(axes: Axes, own: pd.DataFrame) -> QuadMesh:
    wide = own.pivot(index="fitted", columns="tested", values="effect").sort_index().sort_index(axis=1)
    axes.set_facecolor(UNDEFINED)
    n = len(wide)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(wide.to_numpy(float)), cmap=TRACKS_MAP, vmin=0, vmax=1, edgecolors="white", linewidth=0.4
    )
    # No more labels than there is room for.
    every = -(-n // 6)
    at, labels = np.arange(0, n, every) + 0.5, [str(name) for name in wide.index[::every]]
    axes.set_xticks(at, labels)
    axes.set_yticks(at, labels)
    axes.set(xlim=(0, n), ylim=(0, n))
    axes.tick_params(length=0, pad=2, labelsize=7)
    axes.spines[:].set_visible(False)
    return mesh


def _title(block: tuple[int, str], signal: str, several: bool) -> str:
    """Return what a panel is called: its signal, with the layer where there are several."""
    return f"layer {block[0]}{'←' if block[1] == 'reverse' else ''}: {signal}" if several else signal


def _bar(axes: Axes, mesh: QuadMesh) -> None:
    """Draw what the colours mean."""
    bar = axes.figure.colorbar(mesh, cax=axes, ticks=[0, 0.5, 1])
    bar.ax.tick_params(length=2, labelsize=7.5)
    bar.outline.set_visible(False)
    bar.set_label("effect: 0 = chance or worse,\n1 = predicts the signal exactly", fontsize=7.5)


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
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    note = _MEANINGS[along] + ("; grey: undefined" if own["effect"].isna().any() else "")
    titles = [_title(block, name, len(blocks) > 1) for block, name in panels]
    # Bold letters are wider.
    apart = max(_SIDE + _GAP, 1.15 * max(text_width(words, 9) for words in titles) + 0.1)
    inner = _LEFT + (columns - 1) * apart + max(_SIDE, apart - _GAP)
    width = max(inner + 0.25 + _BAR_WIDTH + _BAR_ROOM, _LEFT + text_width(note, 8) + 0.1)
    height = _TOP + rows * (_TITLE + _SIDE) + _BOTTOM
    figure = new_figure(width, height)
    for k, ((layer, direction), name) in enumerate(panels):
        x = _LEFT + (k % columns) * apart
        y = height - _TOP - (k // columns + 1) * (_TITLE + _SIDE)
        axes = figure.add_axes((x / width, y / height, _SIDE / width, _SIDE / height))
        rows_of = own[(own["layer"] == layer) & (own["direction"] == direction) & (own["signal"] == name)]
        mesh = _panel(axes, rows_of)
        role = rows_of["role"].iloc[0]
        axes.set_title(titles[k], pad=3 if role == "target" else 11, fontsize=9)
        if role != "target":
            above: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "color": GREY, "fontsize": 7.5}
            axes.annotate(role, (0, 1), xycoords="axes fraction", **above)
    at: dict[str, Any] = {"x": _LEFT / width, "ha": "left", "va": "top"}
    figure.text(y=1 - 0.1 / height, s="How long a code stays the same", weight="bold", size=10, **at)
    figure.text(y=1 - 0.3 / height, s=note, size=8, color=GREY, **at)
    middle = (_LEFT + (inner - _LEFT) / 2) / width
    figure.text(middle, 0.08 / height, f"tested {_WORDS[along]}", ha="center", va="bottom")
    centre = (_BOTTOM + rows * (_TITLE + _SIDE) / 2) / height
    figure.text(0.08 / width, centre, f"fitted {_WORDS[along]}", ha="left", va="center", rotation=90)
    corner = (inner + 0.25, height - _TOP - _TITLE - _BAR_HEIGHT)
    bar_at = (corner[0] / width, corner[1] / height, _BAR_WIDTH / width, _BAR_HEIGHT / height)
    _bar(figure.add_axes(bar_at), mesh)
    return figure
