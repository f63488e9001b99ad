"""The text that a network reads, every character on the colour of one unit's state after it."""

from functools import cache

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from lstm_probe.figures.sheet import MARGIN, Sheet, left_out
from lstm_probe.figures.style import GREY, INK, UNDEFINED, available_width, font, height_left, styled, wrapped

COLOURS = sns.color_palette("vlag", as_cmap=True)
WIDTH = 90  # characters of the longest row; longer lines continue in the next one
SHOWN = {"\n": "↵", "\t": "→"}
NO_GLYPH = "▯"

_FONT, _SIZE = FontProperties(family="DejaVu Sans Mono"), 8.0
_ADVANCE, _LEADING = 0.602, 1.45  # a letter's width, which is the font's, and a row's height, by the font's size
#: The width of the bar that says what the colours are, in inches.
_BAR = 1.7


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(_FONT)).get_charmap())


def glyph(character: str) -> str:
    """Return what is drawn for a character: signs for line ends and tabs, a box for what the font has not.

    >>> "".join(map(glyph, "a\\n\\t語"))
    'a↵→▯'
    """
    shown = SHOWN.get(character, character)
    return shown if ord(shown) in _glyphs() and shown.isprintable() else NO_GLYPH


def rows_of(characters: list[str], width: int = WIDTH) -> list[tuple[int, int]]:
    """Return where each drawn row begins and ends: at line ends, and after `width` characters.

    >>> rows_of(list("ab\\ncdefg"), width=3)
    [(0, 3), (3, 6), (6, 8)]
    """
    rows, start = [], 0
    for k, character in enumerate(characters):
        if character == "\n" or k + 1 - start == width or k + 1 == len(characters):
            rows.append((start, k + 1))
            start = k + 1
    return rows


def letters(rows: list[str]) -> Path:
    """Return the outlines of rows of text, each letter in its own unit square, rows downwards from 0.

    Text that matplotlib sets itself has its letters on whole pixels, where they drift out of their cells.
    """
    outlines = []
    for k, row in enumerate(rows):
        vertices, codes = text_to_path.get_text_path(_FONT, row)
        if len(vertices):
            points = np.asarray(vertices) / text_to_path.FONT_SCALE
            points = points * (1 / _ADVANCE, -1 / _LEADING) + (0, k + 0.75)
            outlines.append(Path(points, codes))
    return Path.make_compound_path(*outlines) if outlines else Path(np.empty((0, 2)))


def _draw(axes: Axes, panel: pd.DataFrame, across: int) -> QuadMesh:
    characters, values = panel["character"].tolist(), panel["value"].to_numpy(float)
    rows = rows_of(characters, across)
    grid = np.full((len(rows), across), np.nan)
    for k, (start, end) in enumerate(rows):
        grid[k, : end - start] = values[start:end]
    mesh = axes.pcolormesh(np.ma.masked_invalid(grid), cmap=COLOURS, vmin=-1, vmax=1)
    axes.add_patch(PathPatch(letters(["".join(map(glyph, characters[a:b])) for a, b in rows]), fc=INK, lw=0))
    axes.set(xlim=(0, across), ylim=(len(rows), 0))
    axes.axis("off")
    return mesh


@styled
def coloured_text(table: pd.DataFrame, *, label: str = "tanh(c)") -> Figure:
    """Draw a text once for each unit, every character coloured by what the unit held after reading it.

    After Karpathy, Johnson & Fei-Fei (2015), who coloured by tanh(c).

    Args:
        table: columns `COLOURED_TEXT_COLUMNS`, one row for each unit and character: `panel` is the title over the
            unit's copy of the text, `value` lies between −1 and 1.
        label: what the value is.
    """
    panels = [panel.sort_values("step") for _, panel in table.groupby("panel", sort=False)]
    cell, row = _ADVANCE * font(_SIZE) / 72, _LEADING * font(_SIZE) / 72
    width = available_width(2 * MARGIN + cell * WIDTH)
    across = min(WIDTH, int((width - 2 * MARGIN) / cell + 1e-6))
    sheet = Sheet(width)
    drawn = 0
    for panel in panels:
        title = wrapped(str(panel["panel"].iloc[0]), font(10), 0.95 * sheet.room, bold=True)
        tall, above = row * len(rows_of(panel["character"].tolist(), across)), (1 + title.count("\n")) * font(10) / 56
        if drawn and sheet.y + above + tall > height_left() - 0.75:
            break
        drawn += 1
        axes = sheet.axes(MARGIN, sheet.y + above, cell * across, tall)
        mesh = _draw(axes, panel, across)
        axes.set_title(title, pad=4)
        sheet.y += above + tall + 0.1
    box = sheet.axes(MARGIN + 0.2, sheet.y + 0.05, _BAR, 0.12)
    box.set_facecolor(UNDEFINED)
    bar = sheet.figure.colorbar(mesh, cax=box, ticks=[-1, 0, 1], orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    sheet.text(MARGIN + _BAR + 0.4, sheet.y + 0.11, label, font(9), va="center")
    sheet.y += 0.2 + 1.5 * font(8) / 72
    if drawn < len(panels):
        sheet.words(left_out(len(panels) - drawn, "panel"), 8, color=GREY)
    return sheet.finished()
