"""What is said of a table of which too few sequences are held out of training, and the way out that is tried first."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import text
from lstm_probe.core.numbers import many

if TYPE_CHECKING:
    from lstm_probe.tasks.table.table import Table

#: How many sequences have to be held out at least, to measure on them.
FEWEST = 5


def too_few(table: "Table") -> str | None:
    """Return what is wrong where too few sequences are held out of training, with what would help; None: enough are.

    A way out is named where it was tried: a larger share, windows of so many steps, or smaller ones.
    """
    held, rest = map(len, table.parts)
    if held >= FEWEST:
        return None
    n = held + rest
    ways = [*_shares(n, table)] if n >= 2 * FEWEST else [*_windows(table), *_shares(n, table)]
    key, value = next((way for way in ways if _helps(table, *way)), ("path", table.path))
    cut = "smaller" if table.window is not None else "cut it into" if n == 1 else "cut each into"
    way = {
        "held_out": f"a larger share, as with task.held_out={value}",
        "window": f"{cut} windows, as with task.window={value}",
        "path": "more sequences",
    }[key]
    return (
        f"task.{key}={text(getattr(table, key))}: of {many(n, 'sequence')}, {held or 'none'} "
        f"{'is' if held < 2 else 'are'} held out of training; to measure on them, at least {FEWEST} are needed: {way}."
    )


def _shares(n: int, table: "Table") -> Iterator[tuple[str, Any]]:
    """Go through shares that may hold enough sequences out, and leave some to train on."""
    if table.held_out != 1 and n > FEWEST:
        yield from (("held_out", share / 100) for share in range(5, 95, 5) if round(share / 100 * n) >= FEWEST)


def _windows(table: "Table") -> Iterator[tuple[str, Any]]:
    """Go through lengths of windows that may give enough sequences, the longest first."""
    steps = int(table.data.lengths.sum())
    for parts in (2 * FEWEST, 4 * FEWEST, 8 * FEWEST):
        length = steps // parts
        if length >= 2 and (table.window is None or length < table.window):
            size = 10 ** max(0, len(str(length)) - 2)
            yield "window", length // size * size


def share_for_groups(table: "Table", groups: int) -> float | None:
    """Return the smallest share, in steps of 0.05, that holds so many groups out and leaves one; None if none does."""
    for share in (step / 100 for step in range(5, 100, 5)):
        held, rest = _with(table, "held_out", share).parts
        if len(rest) and len(np.unique(table.data.groups[held])) >= groups:
            return share
    return None


def _helps(table: "Table", key: str, value: Any) -> bool:
    """Return whether enough sequences are held out, and some are left where some were to be, with another value."""
    try:
        held, rest = map(len, _with(table, key, value).parts)
    except InputError:
        return False
    return held >= FEWEST and (rest > 0 or table.held_out == 1)


def _with(table: "Table", key: str, value: Any) -> "Table":
    """Return the table with another value: what is checked of a table that is made is what is asked of this one."""
    other = object.__new__(type(table))
    for f in fields(table):
        object.__setattr__(other, f.name, value if f.name == key else getattr(table, f.name))
    return other
