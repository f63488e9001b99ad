"""Tables and lists in the terminal in which no word is broken, however narrow it is.

A column is at least as wide as its longest word, the heading's included. Where that is too wide for the terminal, or
very tall, each row becomes a short list of its own. Only a word that is longer than a whole line is broken.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.padding import Padding
from rich.text import Text

#: How wide a column of sentences must be, or else spare columns are left out.
NARROW = 12
GAP = 2  # spaces between columns
#: How wide a column of sentences should be at least; the first that fits.
PROSE = (24, 16, 0)
#: Stands for a space at which no line ends.
GLUE = "\ue000"
#: A table that takes so many times the lines of its rows as lists is shown as lists.
TALL = 2
#: The widest column of names of a list.
WIDEST_NAME = 28


class WordTable:
    """A table whose cells are wrapped between words only.

    Args:
        header: the names of its columns.
        numbers: columns that are aligned to the right.
        spare: columns that are left out, the first first, where not all fit.
        title: a line above it.
    """

    def __init__(self, *header: str, numbers: Collection[str] = (), spare: Sequence[str] = (), title: str = "") -> None:
        self.header = [_glued(Text(name, "bold")) for name in header]
        self.right = [name in numbers for name in header]
        self.spare, self.title = spare, title
        self.rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row; square brackets in a cell mean themselves."""
        self.rows.append([_glued(cell if isinstance(cell, Text) else Text(cell)) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self._lines(console, options):
            line.plain = line.plain.replace(GLUE, " ")
            yield line

    def _lines(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        if self.title:
            yield Text(self.title, "italic")
        shown = self._narrowed(options.max_width)
        if (widths := shown.widths(options.max_width)) is None:
            yield from self._as_lists(console, options.max_width)
            return
        lines = list(shown._as_table(console, widths))
        if len(lines) - 1 > TALL * max(1, len(self.rows)):  # a list has at least one line for each row
            lists = list(self._as_lists(console, options.max_width))
            lines = lists if len(lines) - 1 > TALL * max(1, len(lists)) else lines
        yield from lines

    def _narrowed(self, width: int) -> "WordTable":
        """Return the table without so many of its spare columns that sentences have room."""
        for n in range(len(self.spare) + 1):
            kept = [k for k, name in enumerate(self.header) if name.plain not in self.spare[:n]]
            shown = WordTable()
            shown.header, shown.right = [self.header[k] for k in kept], [self.right[k] for k in kept]
            shown.rows = [[row[k] for k in kept] for row in self.rows]
            if shown.widths(width, (NARROW,)) is not None:
                break
        return shown

    def widths(self, width: int, prose_widths: Sequence[int] = PROSE) -> list[int] | None:
        """Return the columns' widths where all fit between words, else None."""
        columns = [[name, *cells] for name, *cells in zip(self.header, *self.rows, strict=True)]
        room = width - GAP * (len(columns) - 1)
        most = [max(longest(cell.plain.splitlines()) for cell in column) for column in columns]
        if sum(most) <= room:
            return most
        least = [max(longest(cell.plain.split()) for cell in column) for column in columns]
        for prose in prose_widths:
            wanted = [max(own, min(full, prose)) for own, full in zip(least, most)]
            if sum(wanted) <= room:
                return _spread(wanted, most, room)
        return None

    def _as_table(self, console: Console, widths: Sequence[int]) -> Iterator[Text]:
        for row in (self.header, *self.rows):
            cells = [_in_lines(cell, console, width) for cell, width in zip(row, widths)]
            for n in range(max(1, *map(len, cells))):
                line = Text()
                for own, width, right in zip(cells, widths, self.right):
                    part = own[n] if n < len(own) else Text()
                    part.rstrip()
                    space = " " * (width - cell_len(part.plain))
                    line.append(space if right else "").append(part).append("" if right else space)
                    line.append(" " * GAP)
                line.rstrip()
                yield line

    def _as_lists(self, console: Console, width: int) -> Iterator[Text]:
        """Go through the lines of the rows as lists: the first cell, below it the others with their headings."""
        for first, *others in self.rows:
            if first.plain:
                yield from wrapped(Text(first.plain, first.style or "bold"), console, width, 0)
            line = Text("  ")
            for name, cell in zip(self.header[1:], others, strict=True):
                if not cell.plain.strip():
                    continue
                heading = f"{' '.join(name.plain.split())}: " if name.plain else ""
                pair = Text.assemble((heading, "dim"), Text(" ".join(cell.plain.split()), cell.style))
                if line.plain.strip() and cell_len(line.plain) + 3 + cell_len(pair.plain) > width:
                    yield from wrapped(line, console, width, 4)
                    line = Text("  ")
                line.append("   " if line.plain.strip() else "").append(pair)
            if line.plain.strip():
                yield from wrapped(line, console, width, 4)


class Entries:
    """Names, each with what is said of it beside it, or below it where the name is long.

    Args:
        rows: pairs of a name and sentences.
        indent: spaces before the names.
    """

    def __init__(self, *rows: tuple[str, str], indent: int = 2) -> None:
        self.rows, self.indent = rows, indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = options.max_width
        most = max(8, min(WIDEST_NAME, width // 2 - self.indent - 2))
        short = [cell_len(name) for name, _ in self.rows if cell_len(name) <= most]
        beside = self.indent + max(short, default=0) + 2
        for name, said in self.rows:
            lines = list(Text(said).wrap(console, max(1, width - beside)))
            start = Text(" " * self.indent + name)
            if cell_len(name) <= most and lines:
                start.append(" " * (beside - cell_len(start.plain))).append(lines.pop(0))
            yield from wrapped(start, console, width, self.indent + 2)
            for line in lines:
                line.rstrip()
                yield Text(" " * beside).append(line)


def wrapped(text: Text, console: Console, width: int, indent: int) -> Iterator[Text]:
    """Go through the lines of a text; those after the first are indented."""
    first, *others = text.wrap(console, width) or [Text()]
    rest = text.plain[len(first.plain) :].strip()
    first.rstrip()
    yield first
    if others:
        start = len(text.plain) - len(text.plain[len(first.plain) :].lstrip())
        for line in text[start : start + len(rest)].wrap(console, max(1, width - indent)):
            line.rstrip()
            yield Text(" " * indent).append(line)


def indented(line: str) -> Padding:
    """Return a line of text, whose further lines stand below its beginning."""
    return Padding(Text(line.strip()), (0, 0, 0, len(line) - len(line.lstrip())), expand=False)


def longest(parts: Collection[str]) -> int:
    """Return the width of the widest of these, in columns of the terminal; 0 for none."""
    return max(map(cell_len, parts), default=0)


def _in_lines(cell: Text, console: Console, width: int) -> list[Text]:
    """Return a cell's lines; most have one, for which rich's own way takes a hundred times as long."""
    if cell.plain.isascii() and len(cell.plain) <= width and "\n" not in cell.plain and "\t" not in cell.plain:
        return [cell.copy()]
    return list(cell.wrap(console, width))


def _glued(text: Text) -> Text:
    """Return a text in which a number is not parted from its percent sign."""
    glued = text.copy()
    glued.plain = re.sub(r"(?<=\d) %(?=[.,;:)]?(?:\s|$))", f"{GLUE}%", glued.plain)
    return glued


def _spread(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Return widths from `least` to `most` that fit: what is left is shared so that the narrow get it first."""

    def at(level: int) -> list[int]:
        return [max(own, min(full, level)) for own, full in zip(least, most)]

    return next(at(level) for level in range(room, -1, -1) if sum(at(level)) <= room)
