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

from lstm_probe.figures.style import INK, UNDEFINED, new_figure, styled, text_width

COLOURED_TEXT_COLUMNS = ("panel", "step", "character", "value")
COLOURS = sns.color_palette("vlag", as_cmap=True)
WIDTH = 90  # characters of the longest row; longer lines continue in the next one
SHOWN = {"\n": "↵", "\t": "→"}
NO_GLYPH = "▯"

_FONT, _SIZE = FontProperties(family="DejaVu Sans Mono"), 8.0
_ADVANCE, _LEADING = 0.602, 1.45  # a letter's width, which is the font's, and a row's height, by the font's size
_CELL, _ROW = _ADVANCE * _SIZE / 72, _LEADING * _SIZE / 72  # the same in inches
_LEFT, _RIGHT, _TITLE, _GAP, _BOTTOM = 0.15, 0.95, 0.3, 0.12, 0.12


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


def _draw(axes: Axes, panel: pd.DataFrame) -> QuadMesh:
    characters, values = panel["character"].tolist(), panel["value"].to_numpy(float)
    rows = rows_of(characters)
    grid = np.full((len(rows), WIDTH), np.nan)
    for k, (start, end) in enumerate(rows):
        grid[k, : end - start] = values[start:end]
    mesh = axes.pcolormesh(np.ma.masked_invalid(grid), cmap=COLOURS, vmin=-1, vmax=1)
    axes.add_patch(PathPatch(letters(["".join(map(glyph, characters[a:b])) for a, b in rows]), fc=INK, lw=0))
    axes.set(xlim=(0, WIDTH), ylim=(len(rows), 0))
    axes.axis("off")
    axes.set_title(str(panel["panel"].iloc[0]), pad=4)
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
    heights = [_ROW * len(rows_of(panel["character"].tolist())) for panel in panels]
    title = max(1.15 * text_width(str(panel["panel"].iloc[0]), 10) for panel in panels)
    width = _LEFT + max(_CELL * WIDTH + _RIGHT, title)
    height = sum(heights) + (_TITLE + _GAP) * len(panels) + _BOTTOM
    figure = new_figure(width, height)
    y = height
    for panel, tall in zip(panels, heights):
        y -= _TITLE + tall
        axes = figure.add_axes((_LEFT / width, y / height, _CELL * WIDTH / width, tall / height))
        mesh = _draw(axes, panel)
        y -= _GAP
    bar_height = min(1.7, height - _TITLE - _BOTTOM)
    place = (_LEFT + _CELL * WIDTH + 0.2, height - _TITLE - bar_height, 0.13, bar_height)
    box = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
    box.set_facecolor(UNDEFINED)
    bar = figure.colorbar(mesh, cax=box, ticks=[-1, 0, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    bar.set_label(label, labelpad=-2)
    return figure
