"""How well methods read networks that are ever harder to read: a line for each method, ours and others told apart."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.figures.sheet import Sheet, columns, fitting, left_out
from lstm_probe.figures.style import GREY, available_width, font, height_left, letters, line_styles, shortened, styled

HARDNESS_COLUMNS = ("question", "level", "method", "ours", "score", "low", "high")
# In inches: axes, what stands around them.
_WIDE, _TALL, _LEFT, _TITLE, _BELOW, _GAP = 3.6, 2.3, 0.5, 0.26, 0.52, 0.25
#: Scores between which a method neither fails nor does well; a guess is at a half.
_FAILS, _WELL, _CHANCE = 0.8, 0.95, 0.5
#: How far methods stand apart at one level, from the first to the last.
_SPREAD = 0.5


def looks(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return how each method's line looks: ours filled and solid, the others hollow and dashed."""
    ours = dict(zip(table["method"], table["ours"]))
    return {
        name: style | ({"linestyle": "-", "lw": 1.6} if ours[name] else
                       {"linestyle": (0, (3, 1.5)), "lw": 1.0, "markerfacecolor": "white"})
        for name, style in line_styles(list(ours)).items()
    }  # fmt: skip


def _panel(axes: Axes, own: pd.DataFrame, styles: dict[str, dict[str, Any]], levels: list[str]) -> None:
    methods = list(dict.fromkeys(own["method"]))
    offsets = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(methods)) if len(methods) > 1 else np.zeros(1)
    for at in (_FAILS, _WELL):
        axes.axhline(at, color="#bbbbbb", lw=0.8, zorder=0)
    axes.axhline(_CHANCE, color=GREY, lw=0.9, ls=(0, (1, 2)), zorder=0)
    for name, offset in zip(methods, offsets):
        mine = own[own["method"] == name].set_index("level").reindex(levels)
        x = np.arange(len(levels)) + offset
        axes.vlines(x, mine["low"], mine["high"], color=styles[name]["color"], lw=0.8, alpha=0.6)
        axes.plot(x, mine["score"], **styles[name], markersize=4, markeredgewidth=0.9)
    lowest = min(0.45, float(np.nanmin([own["score"].min(), own["low"].min(), 0.45])) - 0.03)
    axes.set(xlim=(-0.6, len(levels) - 0.4), ylim=(lowest, 1.04))
    axes.grid(False)


def _ticks(axes: Axes, levels: list[str], wide: float) -> None:
    """Name the levels below the axes, turned where they do not fit beside each other."""
    size, room = font(8), 0.95 * wide / (len(levels) + 0.2)
    short = [shortened(name, size, room) for name in levels]
    axes.set_xticks(range(len(levels)), short, fontsize=size)


@styled
def hardness(table: pd.DataFrame) -> Figure:
    """Draw the score of each method against how hard a knob is turned, from easy to hard.

    Lines at 0.8, below which a method fails, and at 0.95, above which it does well; dotted where a guess is. Intervals
    where there are some. Methods stand beside each other at each level, so that equal ones are seen.

    Args:
        table: columns `HARDNESS_COLUMNS`, a row for each question, level (from easy to hard) and method; `question` is
            the title of a panel; NaN where a score or an interval's end is not known.
    """
    known = table[table["score"].notna()]
    questions, levels = list(dict.fromkeys(known["question"])), list(dict.fromkeys(table["level"]))
    if not questions:
        sheet = Sheet(available_width(_WIDE))
        sheet.words("Nothing to rank: there is only one answer.", 8, color=GREY)
        return sheet.finished()
    grid = columns(len(questions), 2, left=letters(_LEFT), wide=_WIDE, gap=_GAP)
    styles, methods = looks(table), list(dict.fromkeys(known["method"]))
    frame = letters(_TITLE + _BELOW)
    legends = (len(methods) + 2) * 1.5 * font(8) / 72
    tall = min(letters(_TALL), max(1.0, (height_left() - legends) / grid.rows(len(questions)) - frame))
    number = fitting(grid, len(questions), tall + frame, legends)
    sheet = Sheet(grid.width)
    for start in range(0, number, grid.number):
        for k, question in enumerate(questions[start : start + grid.number]):
            own = known[known["question"] == question]
            axes = sheet.axes(grid.x(k), sheet.y + letters(_TITLE), grid.wide, tall)
            _panel(axes, own, styles, levels)
            _ticks(axes, levels, grid.wide)
            axes.set_title(shortened(question, font(10), grid.room(k), bold=True), fontsize=font(10))
            axes.set_xlabel("level, from easy to hard")
            axes.set_ylabel("AUROC" if k == 0 else "")
        sheet.y += tall + frame
    sheet.legend([Line2D([], [], **styles[name], markersize=4, label=name) for name in methods])
    sheet.words("filled: ours; hollow: others; dotted: a guess", 7.5, color=GREY)
    if number < len(questions):
        sheet.words(left_out(len(questions) - number, "panel"), 8, color=GREY)
    return sheet.finished()
