"""How a figure is divided at its width: headings, panels in as many columns as fit, legends and notes below.

All lengths are inches from the figure's upper left corner; how tall the figure is follows from what is on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from lstm_probe.figures.style import (
    GREY,
    available_width,
    font,
    height_left,
    legend_beside,
    letters,
    new_figure,
    shortened,
    text_width,
    wrapped,
)

MARGIN = 0.08
#: A panel is drawn this much narrower than in a notebook before there is one column less.
_NARROWER = 0.85


@dataclass(frozen=True)
class Columns:
    """Panels side by side: how many, how wide one is, and how wide the figure."""

    number: int
    wide: float
    left: float
    step: float
    width: float
    before: float = 0.0

    def x(self, k: int) -> float:
        """Return where panel `k`'s axes begin."""
        return MARGIN + self.before + self.left + k % self.number * self.step

    def room(self, k: int) -> float:
        """Return how wide what stands above panel `k` may be: up to the next panel's axes, or to the figure's edge."""
        last = k % self.number == self.number - 1
        return (self.width - self.x(k) if last else self.step) - 0.1

    def rows(self, count: int) -> int:
        """Return how many rows so many panels take."""
        return -(-count // self.number)


def columns(
    count: int, most: int, *, left: float, wide: float, right: float = 0.0, gap: float = 0.0, least: float = 0.0,
    before: float = 0.0,
    narrow: float | None = None,
) -> Columns:  # fmt: skip
    """Return how panels are put side by side, as many as fit, so that they fill the width that was asked for.

    Args:
        count: of panels.
        most: columns at most.
        left: what a panel's labels take left of its axes.
        wide: the axes, in a notebook.
        right: what stands right of the axes.
        gap: between columns.
        least: the figure's width at least, where none was asked for.
        before: what stands left of all columns.
        narrow: how narrow axes may become, in a notebook, before there is one column less.
    """
    beside = left + right
    number = max(1, min(most, count))
    natural = max(least, 2 * MARGIN + before + number * (beside + wide + gap) - gap)
    width = available_width(natural)
    if width == natural:
        return Columns(number, wide, left, beside + wide + gap, width, before)
    room = width - 2 * MARGIN - before + gap
    number = max(1, min(number, int(room / (beside + letters(narrow or _NARROWER * wide) + gap))))
    number = -(-count // -(-count // number))
    own = min(room / number - gap - beside, 2 * wide)
    return Columns(number, own, left, beside + own + gap, width, before)


def fitting(grid: Columns, count: int, cell: float, around: float) -> int:
    """Return how many panels there is room for: a page of a paper ends.

    Args:
        grid: how they stand side by side.
        count: how many there are.
        cell: how tall one is with its labels.
        around: how tall everything above and below all of them is.
    """
    rows = min(grid.rows(count), max(1.0, (height_left() - around) / cell))
    return min(count, grid.number * int(rows))


def left_out(count: int, what: str) -> str:
    """Return a line about panels for which there was no room; nothing if there are none.

    >>> left_out(2, "signal")
    'not shown, for want of room: 2 more signals'
    """
    return f"not shown, for want of room: {count} more {what}{'s' if count > 1 else ''}" if count > 0 else ""


def all_shortened(names: Sequence[Any], size: float, width: float) -> tuple[list[str], float]:
    """Return names that fit into so many inches, and what the longest takes."""
    short = [shortened(str(name), size, width) for name in names]
    return short, max((text_width(name, size) for name in short), default=0.0)


def tall_of(text: str, size: float) -> float:
    """Return how many inches a text's lines take upwards."""
    return (1 + text.count("\n")) * 1.2 * size / 72


def legend_width(labels: Sequence[str]) -> float:
    """Return how many inches a legend beside axes takes."""
    return max((text_width(label, font(8)) for label in labels), default=0.0) * 1.03 + 5.4 * font(8) / 72


class Sheet:
    """A figure that is filled from above; `y` is how far down it is filled."""

    def __init__(self, width: float) -> None:
        """Begin with an empty figure of this width."""
        self.width, self.y = width, 0.08
        self.figure = new_figure(width, 1.0)
        self._placed: list[Callable[[float], None]] = []

    @property
    def room(self) -> float:
        """Return the width between the margins."""
        return self.width - 2 * MARGIN

    def axes(self, x: float, y: float, wide: float, tall: float) -> Axes:
        """Return axes whose upper left corner is at (x, y)."""
        axes = self.figure.add_axes((x / self.width, 0, wide / self.width, 1))
        self._placed.append(lambda height: axes.set_position(
            (x / self.width, 1 - (y + tall) / height, wide / self.width, tall / height)))  # fmt: skip
        return axes

    def text(self, x: float, y: float, words: str, size: float, **options: Any) -> Text:
        """Write words whose upper left corner is at (x, y), unless `ha` and `va` say otherwise."""
        text = self.figure.text(x / self.width, 0, words, size=size, **{"va": "top", "ha": "left", **options})
        self._placed.append(lambda height: text.set_y(1 - y / height))
        return text

    def words(self, words: str, size: float, *, bold: bool = False, **options: Any) -> None:
        """Write words over the whole width, and go on below them."""
        size = font(size)
        lines = "\n".join(wrapped(line, size, 0.95 * self.room, bold=bold) for line in words.split("\n"))
        self.text(MARGIN, self.y, lines, size, weight="bold" if bold else "normal", **options)
        self.y += tall_of(lines, size) + 0.03

    def heading(self, title: str, note: str = "") -> None:
        """Write the figure's title, and below it in grey what has to be known to read it."""
        self.words(title, 10, bold=True)
        if note:
            self.words(note, 8, color=GREY)
        self.y += letters(0.06)

    def legend(self, handles: Sequence[Artist], **own: Any) -> None:
        """Put a legend here, in as many columns as fit, and go on below it."""
        if not handles:
            return
        options: dict[str, Any] = {"loc": "upper left", "borderaxespad": 0.0, "borderpad": 0.0, "columnspacing": 1.4,
                   "handlelength": 1.8, "labelspacing": 0.4} | own  # fmt: skip
        size = font(8)
        room = self.room - (options["handlelength"] + 1.0) * size / 72
        labels = [wrapped(str(handle.get_label()), size, room) for handle in handles]
        for number in range(len(handles), 0, -1):
            legend = self.figure.legend(handles=list(handles), labels=labels, ncols=number, **options)
            box = legend.get_window_extent()
            if box.width <= self.room * self.figure.dpi or number == 1:
                break
            legend.remove()
        place, y = legend.set_bbox_to_anchor, self.y
        self._placed.append(lambda height: place((MARGIN / self.width, 1 - y / height)))
        self.y += box.height / self.figure.dpi + 0.04

    def legend_of(self, axes: Axes, width: float) -> None:
        """Put the legend of axes beside them if so many inches hold it, else here."""
        handles, labels = axes.get_legend_handles_labels()
        if not handles:
            return
        if legend_width(labels) <= width:
            legend_beside(axes)
            return
        for handle, label in zip(handles, labels):
            handle.set_label(label.replace("\n", " "))
        self.legend(handles)

    def finished(self) -> Figure:
        """Return the figure, tall enough for what is on it."""
        height = self.y + 0.05
        self.figure.set_size_inches(self.width, height)
        for place in self._placed:
            place(height)
        return self.figure
