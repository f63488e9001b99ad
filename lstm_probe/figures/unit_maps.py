"""Heatmaps of units, one row each, side by side or one below the other, with what the colours mean below."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from lstm_probe.figures.memory import spread_out
from lstm_probe.figures.sheet import MARGIN, Sheet, tall_of
from lstm_probe.figures.style import (
    GREY,
    INK,
    SMALLEST,
    UNDEFINED,
    available_width,
    first_fitting,
    font,
    height_left,
    letters,
    text_width,
    wrapped,
)

#: How tall a figure may be where no page ends, in inches.
FREE = 16.0
# In inches: between panels, a colour bar, and what its labels' slant makes of a length.
_GAP, _BAR, _SLANT = 0.12, 1.7, 0.71
_LABEL, _NOTE = 8.5, 7.5


@dataclass(frozen=True)
class Panel:
    """One heatmap: values and marks (dots, and rings) with units as rows."""

    values: np.ndarray
    marks: np.ndarray
    rings: np.ndarray
    columns: list[str]
    title: str
    note: str
    bar: str
    colours: Colormap


@dataclass(frozen=True)
class Rows:
    """The units of the rows: their names, the groups that they are in, and what the names are of."""

    names: list[str]
    groups: list[str]
    title: str


@dataclass(frozen=True)
class _Plan:
    """Where everything is: widths of a column, of the units' names left and of the groups' names right."""

    cell: float
    left: float
    right: float
    stacked: bool
    width: float

    def x(self, panels: list[Panel], k: int) -> float:
        """Return where panel `k` begins."""
        before = 0 if self.stacked else sum(len(panel.columns) * self.cell + self.left + _GAP for panel in panels[:k])
        return MARGIN + self.left + before


def _natural_cell(panels: list[Panel]) -> float:
    most = max(len(panel.columns) for panel in panels)
    return letters(0.66 if most <= 8 else 0.45 if most <= 14 else 0.34)


def _plan(panels: list[Panel], names: list[str], groups: list[str]) -> _Plan:
    left = max(text_width(name, font(_LABEL)) for name in names) + 0.08
    words = max(text_width(word, font(_NOTE)) for word in set(groups))
    counts = [len(panel.columns) for panel in panels]
    beside = len(panels) * left + (len(panels) - 1) * _GAP + 2 * MARGIN
    cell = _natural_cell(panels)
    natural = max(beside + cell * sum(counts) + words + 0.2, letters(4.6))
    width = available_width(natural)
    right = words + 0.2 if width >= natural else min(words, letters(1.2)) + 0.14
    room = (width - beside - right) / sum(counts)
    if room >= 1.15 * font(_LABEL) / 72 / _SLANT or len(panels) == 1:
        return _Plan(min(cell, room), left, right, False, width)
    room = (width - left - 2 * MARGIN - right) / max(counts)
    return _Plan(min(cell, room), left, right, True, width)


def _for_rows(plan: _Plan) -> float:
    """Return how tall the rows of one panel may be together."""
    several = 2 if plan.stacked else 1
    limit = min(FREE, height_left())
    return (limit - several * letters(3.1) - 0.15) / several


def most_rows(panels: list[Panel], groups: list[str]) -> int:
    """Return how many units can have a row each."""
    return max(8, int(_for_rows(_plan(panels, ["999 others"], groups)) / _least_row()))


def _least_row() -> float:
    return max(letters(0.125), 1.2 * font(6) / 72)


def _row_height(n: int, plan: _Plan) -> float:
    row = 0.42 if n <= 4 else 0.30 if n <= 16 else 0.24 if n <= 32 else 0.17 if n <= 64 else 0.125
    return max(min(letters(row), _for_rows(plan) / n), _least_row())


def _draw(axes: Axes, panel: Panel, row: float, cell: float) -> QuadMesh:
    """Draw one heatmap with its marks."""
    rows, columns = panel.values.shape
    axes.set_facecolor(UNDEFINED)
    gap = 0.8 if row > 0.2 else 0.4
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(panel.values),
        cmap=panel.colours,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=gap,
    )
    size = min(36 * min(row, cell), 9) ** 2 * 0.35
    y, x = np.nonzero(panel.marks)
    axes.scatter(x + 0.5, y + 0.5, s=size, c="white", edgecolors=INK, linewidths=0.7, zorder=3)
    if panel.rings.any():
        y, x = np.nonzero(panel.rings)
        for width, colour in ((2.2, "white"), (1.0, INK)):
            axes.scatter(x + 0.5, y + 0.5, s=1.6 * size, c="none", edgecolors=colour, linewidths=width, zorder=3)
    axes.set(xlim=(0, columns), ylim=(rows, 0), yticks=[])
    axes.spines[:].set_visible(False)
    return mesh


def _label_size(cell: float) -> float:
    """Return the size of the labels over columns: slanted ones stand so close."""
    return max(SMALLEST, min(font(_LABEL), _SLANT * cell * 72 / 1.15))


def _labels(panel: Panel, cell: float, room: float) -> tuple[list[str], int, float]:
    """Return the labels over the columns, their slant in degrees, and how far up they reach.

    Args:
        panel: whose columns they are.
        cell: how wide a column is.
        room: from the panel's left edge to the figure's right one.
    """
    size = _label_size(cell)
    if max(text_width(label, size) for label in panel.columns) <= cell - 0.06:
        return panel.columns, 0, max(tall_of(label, size) for label in panel.columns) + 0.03
    if _SLANT * cell * 72 < 1.15 * size:  # they would touch
        names = [
            first_fitting((name.replace("\n", ", "), name.split("\n")[0]), size, letters(1.6)) for name in panel.columns
        ]
        return names, 90, max(text_width(name, size) for name in names) + 0.12
    lengths = [min((room - cell * (k + 0.5) - 0.08) / _SLANT, letters(2.2)) for k in range(len(panel.columns))]
    forms = [(name.replace("\n", ", "), name.split("\n")[0]) for name in panel.columns]
    names = [first_fitting(both, size, most) for both, most in zip(forms, lengths)]
    return names, 45, _SLANT * max(text_width(name, size) for name in names) + 0.12


def _group_names(axes: Axes, names: list[str], row: float, room: float) -> None:
    """Write beside the rows which of them belong together, with a line along each group."""
    starts = [k for k, name in enumerate(names) if k == 0 or name != names[k - 1]]
    ends = [*starts[1:], len(names)]
    across, size = axes.get_yaxis_transform(), font(_NOTE)
    words = [wrapped(names[start], size, room) for start in starts]
    tallest = max(tall_of(word, size) for word in words) / row
    middles = [(start + end) / 2 for start, end in zip(starts, ends)]
    if len(words) > 1 and min(np.diff(middles)) < tallest:
        middles = spread_out(middles, tallest, min(tallest / 2, middles[0]), max(len(names) - tallest / 2, middles[-1]))
    for start, end, word, middle in zip(starts, ends, words, middles):
        margin = min(0.25, 0.025 / row)
        axes.plot(
            [1.0, 1.0], [start + margin, end - margin], color=GREY, lw=1.2, transform=across, clip_on=False,
            solid_capstyle="butt", zorder=4,
        )  # fmt: skip
        axes.annotate(
            word, (1.0, middle), xycoords=across, xytext=(5, 0), textcoords="offset points", va="center", color=GREY,
            fontsize=size, annotation_clip=False,
        )  # fmt: skip


def _bar(sheet: Sheet, x: float, y: float, wide: float, mesh: QuadMesh, words: str) -> float:
    """Draw what the colours mean, and return how tall that is."""
    size = font(_NOTE)
    bar = sheet.figure.colorbar(mesh, cax=sheet.axes(x, y, min(_BAR, wide), 0.09), ticks=[0, 0.5, 1],
                                orientation="horizontal")  # fmt: skip
    bar.ax.set_xticklabels(["0", "0.5", "1"])
    bar.ax.tick_params(length=2, pad=1.5, labelsize=size)
    bar.outline.set_visible(False)
    lines = "\n".join(wrapped(line, size, wide) for line in words.split("\n"))
    below = 0.09 + 1.2 * size / 72 + 0.06
    sheet.text(x, y + below, lines, size, color=INK)
    return below + tall_of(lines, size)


def draw_maps(panels: list[Panel], rows: Rows) -> Figure:
    """Draw heatmaps with the same rows: side by side, or where that is too narrow one below the other."""
    plan = _plan(panels, [*rows.names, rows.title], rows.groups)
    sheet, row = Sheet(plan.width), _row_height(len(rows.names), plan)
    for step in [[k] for k in range(len(panels))] if plan.stacked else [list(range(len(panels)))]:
        _draw_row(sheet, plan, panels, step, rows, row)
        sheet.y += 0.12
    return sheet.finished()


def _draw_row(sheet: Sheet, plan: _Plan, panels: list[Panel], step: list[int], rows: Rows, row: float) -> None:
    """Draw those panels that stand side by side, and go on below them."""
    xs = [plan.x(panels, k) for k in step]
    ends = [*(x - plan.left - _GAP for x in xs[1:]), plan.width - MARGIN]
    labels = [_labels(panels[k], plan.cell, plan.width - x) for k, x in zip(step, xs)]
    heads = []
    for k, x, end in zip(step, xs, ends):
        title = wrapped(panels[k].title, font(10), 0.97 * (end - x), bold=True)
        heads.append((title, wrapped(panels[k].note, font(8), 0.95 * (end - x))))
    titles, notes = (max(tall_of(head[n], font(size)) for head in heads) for n, size in ((0, 10), (1, 8)))
    top = sheet.y + titles + 0.03 + notes + 0.08 + max(up for *_, up in labels)
    tall, below = row * len(rows.names), 0.0
    for k, x, end, (names, slanted, _), (title, note) in zip(step, xs, ends, labels, heads):
        panel, wide = panels[k], plan.cell * len(panels[k].columns)
        sheet.text(x, sheet.y, title, font(10), weight="bold")
        sheet.text(x, sheet.y + titles + 0.03, note, font(8), color=GREY)
        axes = sheet.axes(x, top, wide, tall)
        mesh = _draw(axes, panel, row, plan.cell)
        axes.xaxis.tick_top()
        slant: dict[str, Any] = {"rotation": slanted, "ha": "left", "rotation_mode": "anchor"} if slanted else {}
        slant |= {"va": "center"} if slanted == 90 else {}
        axes.set_xticks(np.arange(len(names)) + 0.5, names, **slant)
        axes.tick_params(length=0, pad=2, labelsize=font(_LABEL))
        axes.tick_params(axis="x", labelsize=_label_size(plan.cell))
        for label, name in zip(axes.get_xticklabels(), panel.columns):
            label.set_color(GREY if "\n" in name else INK)
        axes.set_yticks(
            np.arange(len(rows.names)) + 0.5, rows.names, fontsize=max(font(6), min(font(_LABEL), row * 60))
        )
        sheet.text(x - 0.05, top - 0.03, rows.title, font(8), ha="right", va="bottom", color=GREY)
        if k == step[-1]:
            _group_names(axes, rows.groups, row, plan.width - MARGIN - x - wide - 0.08)
        below = max(below, _bar(sheet, x, top + tall + 0.1, end - x, mesh, panel.bar))
    sheet.y = top + tall + 0.1 + below
