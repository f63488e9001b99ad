"""Tables of the pages: what each cell says, and the exact value that sorting and the CSV take."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import UNKNOWN, cell, number


@dataclass(frozen=True)
class Cell:
    """What a cell says where that is more than its value.

    Args:
        text: what is shown; escaped, unless it is Markup.
        value: what the table is sorted by and what the CSV has; None for what is not known. Left out, it is the text.
    """

    text: str
    value: Any = ...


@dataclass(frozen=True)
class Column:
    """A column of a page's table.

    Args:
        key: its name in the rows and in the CSV.
        label: its name on the page; left out, the key with spaces.
        meaning: a sentence on what it says, which stands under the table.
        digits: decimals of its numbers; left out, three digits are shown in all.
        meter: whether a bar stands before each number, from 0 to 1.
        upper: the key of an interval's upper end, where `key` is that of its lower end: both are shown as one.
    """

    key: str
    label: str = ""
    meaning: str = ""
    digits: int | None = None
    meter: bool = False
    upper: str = ""


@dataclass(frozen=True)
class Head:
    """A column as the template takes it."""

    key: str
    label: str
    meaning: str
    number: bool
    upper: str


@dataclass(frozen=True)
class Shown:
    """A cell as the template takes it; `value` and `upper` are None where the text says it all."""

    text: str
    value: str | None = None
    upper: str | None = None
    bar: int | None = None


@dataclass(frozen=True)
class Table:
    """A table as the template takes it, made by `page_table`; the first column names the rows."""

    caption: str
    name: str
    columns: tuple[Head, ...]
    rows: tuple[tuple[Shown, ...], ...]


def page_table(
    caption: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]] | pd.DataFrame, *, name: str = ""
) -> Table:
    """Return a table for a page; `data_table` of table.html shows it.

    Args:
        caption: what the table shows, in a few words.
        columns: in the order in which they are shown; the first names the rows.
        rows: for each row its values by key: numbers, words, True or False, None or NaN for what is not known, or a
            `Cell`. A column of which all known values are numbers is sorted as numbers, one of NaN alone too.
        name: of the CSV file, without its ending; left out, made from the caption.
    """
    if isinstance(rows, pd.DataFrame):
        rows = [dict(zip(rows.columns, row)) for row in rows.itertuples(index=False, name=None)]
    heads = [Head(one.key, one.label or one.key.replace("_", " "), one.meaning,
                  _numbers([_value(row[one.key]) for row in rows]), one.upper) for one in columns]  # fmt: skip
    shown = [tuple(_shown(row, column) for column in columns) for row in rows]
    return Table(caption, name or re.sub(r"\W+", "-", caption.lower()).strip("-"), tuple(heads), tuple(shown))


def frame_table(caption: str, frame: pd.DataFrame, meanings: Mapping[str, str], *, name: str = "") -> Table:
    """Return a tidy table for a page, with the sentence on each column where there is one; see `page_table`."""
    columns = [Column(str(key), meaning=meanings.get(str(key), "")) for key in frame.columns]
    return page_table(caption, columns, frame, name=name)


def exact(value: Any) -> str:
    """Return a value as the CSV has it: nothing for what is not known, and a number that reads back as itself.

    >>> exact(0.1 + 0.2), exact(float("nan")), exact(None), exact(True), exact("-x")
    ('0.30000000000000004', '', '', 'True', '-x')
    """
    return "" if _unknown(value) else str(value)


def _unknown(value: Any) -> bool:
    return value is None or value is pd.NA or (not isinstance(value, str) and pd.api.types.is_scalar(value)
                                               and bool(pd.isna(value)))  # fmt: skip


def _value(of: Any) -> Any:
    """Return a cell's value."""
    if isinstance(of, Cell):
        return of.text if of.value is ... else of.value
    return of


def _numbers(values: Sequence[Any]) -> bool:
    told = [value for value in values if not _unknown(value)] or [value for value in values if isinstance(value, float)]
    return bool(told) and all(pd.api.types.is_number(value) and not isinstance(value, bool) for value in told)


def _text(value: Any, digits: int | None) -> str:
    if _unknown(value):
        return UNKNOWN
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    if pd.api.types.is_float(value):
        return cell(float(value)) if digits is None else number(float(value), digits)
    return str(value)


def _shown(row: Mapping[str, Any], column: Column) -> Shown:
    """Return a row's cell in a column."""
    held = row[column.key]
    value = _value(held)
    upper = exact(row[column.upper]) if column.upper else None
    if isinstance(held, Cell):
        text = held.text
    elif column.upper:
        ends = (value, row[column.upper])
        text = UNKNOWN if any(map(_unknown, ends)) else " to ".join(_text(end, column.digits) for end in ends)
    else:
        text = _text(value, column.digits)
    bar = round(100 * min(max(float(value), 0), 1)) if column.meter and not _unknown(value) else None
    return Shown(text, None if text == exact(value) else exact(value), upper, bar)
