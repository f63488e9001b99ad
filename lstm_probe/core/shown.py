"""What people see of an object when they look at it in Python: a few lines of text, or in a notebook a small page.

The page stands by itself: no script, no style sheet, styles on its own elements alone, no colours of its own but shades
that suit light and dark; every text is escaped. Looking costs nothing: only what is known without computing is shown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lstm_probe.core.errors import clean, clean_line
from lstm_probe.core.numbers import cell, many

#: So many names of a list are shown, rows of a table, sections of a page, and lines of a text; characters of a name.
MOST_NAMES, MOST_ROWS, MOST_SECTIONS, MOST_LINES, LONGEST = 8, 60, 24, 8, 60

_EDGE = "1px solid rgba(128,128,128,.35)"
_CELL = "padding:2px 10px 2px 0;text-align:{align};vertical-align:top;background:none;color:inherit;border:0"
_HEAD = f"{_CELL};font-weight:600;border-bottom:{_EDGE}"
_TABLE = "border-collapse:collapse;border:0;margin:4px 0 8px;font-size:inherit;color:inherit;background:none"
_PAGE = "line-height:1.45;max-width:60em;color:inherit"


@dataclass(frozen=True)
class SmallTable:
    """A table of a notebook's page: what its columns are called, and their values; only the first rows are shown.

    Attributes:
        caption: stands above it; nothing where it is empty.
        whole: how the rest is had, where there are more rows than are shown.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    whole: str = ""


@dataclass(frozen=True)
class Told:
    """What is said of an object.

    Attributes:
        title: what it is, in one line.
        lines: what else is worth knowing, in text and page alike; of the text, the first few.
        tables: on the page alone.
        brief: further lines of the text alone.
        sections: headings with what stands below each, on the page alone; of many the first.
        more: further lines of the page alone, above the tables.
        below: likewise, below them.
    """

    title: str
    lines: Sequence[str] = ()
    tables: Sequence[SmallTable] = ()
    more: Sequence[str] = ()
    below: Sequence[str] = ()
    brief: Sequence[str] = ()
    sections: Sequence[tuple[str, str]] = ()

    def text(self) -> str:
        """Return a few lines of text."""
        every = [*self.lines, *self.brief]
        shown = [*every[:MOST_LINES], *_rest(len(every) - MOST_LINES, "line")]
        return "\n  ".join(map(clean_line, (self.title, *shown)))

    def page(self) -> str:
        """Return a piece of HTML."""
        told = "".join(f"<div>{bidi(line)}</div>" for line in (*self.lines, *self.more))
        below = "".join(f"<div>{bidi(line)}</div>" for line in self.below)
        tables = "".join(map(_table, self.tables))
        sections = "".join(
            f'<div style="margin-top:6px"><b>{bidi(head)}</b></div><div>{bidi(text)}</div>'
            for head, text in self.sections[:MOST_SECTIONS]
        )
        title = f'<div style="font-weight:600">{bidi(self.title)}</div>'
        return f'<div style="{_PAGE}">{title}{told}{tables}{sections}{below}</div>'


class Shown:
    """An object that is shown in a few lines of text, and in a notebook as a small page.

    A class says what by `_told`. Looking never fails: of an object that is not complete the kind alone is shown.
    A dataclass that derives from this takes `repr=False`.
    """

    def _told(self) -> Told:
        raise NotImplementedError

    def __repr__(self) -> str:
        return _seen(self._told, Told.text) or f"<{type(self).__name__}, not complete>"

    def _repr_html_(self) -> str | None:
        return _seen(self._told, Told.page)


def _seen(told: Callable[[], Told], form: Callable[[Told], str]) -> str | None:
    try:
        return form(told())
    except Exception:  # whoever debugs looks at objects that are not made yet
        return None


def bidi(text: object) -> str:
    """Return text for a page: escaped, and apart from its surroundings where it is written from right to left."""
    return f"<bdi>{escape(clean(str(text), None))}</bdi>"


def named(text: object) -> str:
    """Return a name, without control characters, in which what is longer than fits has lost its middle."""
    return clean(str(text), LONGEST)


def listed(names: Iterable[object], most: int = MOST_NAMES) -> str:
    """Return names, or how many more there are.

    >>> listed(["a", "b", "c", "d"], most=2), listed([])
    ('a, b and 2 more', 'none')
    """
    every = [named(name) for name in names]
    return ", ".join(every[:most]) + "".join(f" and {n} more" for n in [len(every) - most] if n > 0) or "none"


def tensor_words(values: Any) -> str:
    """Return a tensor's type of numbers and device: "float32 on cpu"."""
    return f"{str(values.dtype).removeprefix('torch.')} on {values.device}"


def shape_words(values: Any) -> str:
    """Return a shape: "4 × 60 × 32"."""
    return " × ".join(f"{size:,}" for size in values.shape)


def sequences_words(lengths: Any, time: int) -> str:
    """Return "64 sequences of 10 to 50 steps"; of lengths on another device, which stay there, the longest possible."""
    words = many(len(lengths), "sequence")
    if not len(lengths):
        return words
    if lengths.device.type != "cpu":
        return f"{words} of up to {many(time, 'step')}"
    low, high = int(lengths.min()), int(lengths.max())
    return f"{words} of {f'{low:,} to ' if low < high else ''}{many(high, 'step')}"


def _rest(left: int, word: str) -> list[str]:
    return [f"and {left} more {word}{'s' if left > 1 else ''}"] if left > 0 else []


def _table(table: SmallTable) -> str:
    if not table.rows:
        return ""
    right = [all(isinstance(row[k], int | float) for row in table.rows) for k in range(len(table.header))]
    align = ["right" if numbers else "left" for numbers in right]
    head = "".join(_cell("th scope='col'", _HEAD, side, name) for side, name in zip(align, table.header))
    rows = "".join(
        f'<tr style="background:none">{"".join(_cell("td", _CELL, side, cell(one)) for side, one in zip(align, row))}'
        "</tr>"
        for row in table.rows[:MOST_ROWS]
    )
    caption = f'<caption style="caption-side:top;text-align:left;color:inherit">{bidi(table.caption)}</caption>'
    left = _rest(len(table.rows) - MOST_ROWS, "row")
    more = "".join(f"<div>{bidi(line + (f': {table.whole}' if table.whole else ''))}</div>" for line in left)
    return (
        f'<table style="{_TABLE}">{caption if table.caption else ""}<thead><tr style="background:none">{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table>{more}"
    )


def _cell(tag: str, style: str, align: str, value: object) -> str:
    return f'<{tag} style="{style.format(align=align)}">{bidi(value)}</{tag[:2]}>'
