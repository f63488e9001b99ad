"""A table's rows put together as sequences, what groups these form, and in which order groups are held out."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from pandas.api.types import is_numeric_dtype

from lstm_probe.core.errors import InputError
from lstm_probe.tasks.table.columns import Column, Columns, Wanted, read_columns
from lstm_probe.tasks.table.dates import LEGAL, UnreadError, in_words, read_times
from lstm_probe.tasks.table.file import TableFile, named

GAP = 1.5  # usual steps from which a step is a gap


@dataclass(frozen=True, eq=False)
class TableData:
    """Sequences one after the other.

    Attributes:
        table: the file.
        columns: its columns; their values are in the file's order, those of targets already taken from ahead.
        order: the file's rows, sequence by sequence and step by step; without those that are left out.
        starts: where in `order` each sequence begins.
        lengths: how many steps each has.
        groups: the number of each sequence's group.
        grouped: whether a group may have several sequences.
        shuffled: the groups in an order that follows from their names alone.
        series: how many series there were before they were cut.
        short: how many parts of one step were left out when series were cut.
    """

    table: TableFile
    columns: Columns
    order: Int[np.ndarray, " row"]
    starts: Int[np.ndarray, " sequence"]
    lengths: Int[np.ndarray, " sequence"]
    groups: Int[np.ndarray, " sequence"]
    grouped: bool
    shuffled: Int[np.ndarray, " group"]
    series: int
    short: int


@lru_cache(maxsize=4)
def read_data(table: TableFile, wanted: Wanted) -> TableData:
    """Return a table's sequences.

    Raises:
        InputError: everything that is wrong with the table, a line each.
    """
    columns, problems = read_columns(table, wanted)
    if wanted.sequence is not None and wanted.sequence not in table.frame:
        raise InputError(*_with_file(table, problems))
    codes, names = _series(table, wanted, problems)
    if not names:
        raise InputError(*_with_file(table, problems))
    order, gaps = _ordered(table, columns.time, codes, wanted, problems)
    order, gaps = order[codes[order] >= 0], gaps[codes[order] >= 0]
    group, group_names = _groups(table, wanted, codes, names, problems)
    breaks = _starts(codes[order]) | (gaps & (wanted.gaps == "split"))
    columns = replace(
        columns,
        targets=tuple(_ahead(_label(c, codes, wanted.scored != "given"), order, breaks, wanted.shift)
                      for c in columns.targets),
        signals=tuple(_label(c, codes, True) for c in columns.signals),
    )  # fmt: skip
    if wanted.window is not None:
        since = np.arange(len(order)) - np.maximum.accumulate(np.where(breaks, np.arange(len(order)), 0))
        breaks = breaks | (since % wanted.window == 0)
    starts = np.flatnonzero(breaks)
    lengths = np.diff(np.append(starts, len(order)))
    cut = len(starts) > len(names)
    if not cut and (lengths < 2).any():
        short = [names[code] for code in codes[order[starts[lengths < 2]]]]
        which = f"sequence{'s' if len(short) > 1 else ''} {named(short)}"
        rows = "two or more rows" + (f" of the same {wanted.sequence}" if wanted.sequence else "")
        problems.append(f"{which}: only one step; a sequence needs {rows}.")
    if problems:
        raise InputError(*_with_file(table, problems))
    kept = lengths >= 2
    own = group[codes[order[starts]]][kept]
    marks = [hashlib.sha256(name.encode()).digest() for name in group_names]
    shuffled = sorted(np.unique(own).tolist(), key=marks.__getitem__)
    return TableData(
        table, columns, order, starts[kept], lengths[kept], own, cut or bool(wanted.groups),
        np.array(shuffled, dtype=np.int64), len(names), int((~kept).sum()),
    )  # fmt: skip


def hold_out(data: TableData, count: int) -> tuple[Int[np.ndarray, " held"], Int[np.ndarray, " training"]]:
    """Return about `count` sequences to hold out of training, in whole groups, and the others.

    Of a single series that was cut, the last ones are held out: there the future is what has not been seen.

    Raises:
        InputError: there is one group of several series, of which none can be held out.
    """
    every, groups = np.arange(len(data.lengths)), len(data.shuffled)
    if groups == 1 and count < len(every):
        if data.series > 1:
            raise InputError("task.group_columns: all sequences are of one group, of which none can be held out.")
        return every[len(every) - count :], every[: len(every) - count]
    total = np.append(0, np.cumsum(np.bincount(data.groups)[data.shuffled]))
    whole = int(np.abs(total - count).argmin())
    if data.grouped and count < len(every):
        whole = min(max(whole, 1), groups - 1)
    held = np.isin(data.groups, data.shuffled[:whole])
    return every[held], every[~held]


def _with_file(table: TableFile, problems: list[str]) -> list[str]:
    """Return the problems, each with the file's name in front if it names no key."""
    return [line if line.startswith("task") else f"{table.label}: {line}" for line in problems]


def _starts(codes: Int[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
    """Return where another series begins."""
    return np.append(True, codes[1:] != codes[:-1])[: len(codes)]


def _series(table: TableFile, wanted: Wanted, problems: list[str]) -> tuple[Int[np.ndarray, " row"], list[str]]:
    """Return the number of each row's series, −1 for none, and what the series are called."""
    if wanted.sequence is None:
        return np.zeros(len(table.frame), dtype=np.int64), ["of the whole table"]
    ids = table.frame[wanted.sequence]
    missing = ids.isna().to_numpy()
    if missing.any():
        problems.append(f"{wanted.sequence}: no sequence id in {table.places(missing)}.")
    if ids.dtype.kind == "f" and table.lines is not None and (decimals := ids.to_numpy() % 1 > 0).any():
        first = f"{ids[decimals].iloc[0]:g}"
        problems.append(
            f"{wanted.sequence}: {first} in {table.places(decimals)} has decimals, and {first}0 would be the same:"
            " ids must be whole numbers or texts."
        )
    else:
        problems += _written_twice(table, wanted.sequence)
    codes, levels = pd.factorize(ids)
    # An empty cell makes floats of whole numbers: 7 stays 7.
    names = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in levels]
    return np.asarray(codes, dtype=np.int64), names


def _written_twice(table: TableFile, name: str) -> list[str]:
    """Return a line if a column of ids has one number written in several ways: 1 and 01 may be two, or the same."""
    ids = table.frame[name]
    if table.written is None or not is_numeric_dtype(ids):
        return []
    ways = pd.DataFrame({"number": ids, "text": table.written(name)}).dropna().drop_duplicates()
    several = ways[ways["number"].duplicated(keep=False)]
    if several.empty:
        return []
    first = several[several["number"] == several["number"].iloc[0]]
    where = [f"{text} in {table.place(row)}" for row, text in first["text"].items()]
    return [
        f"{name}: {' and '.join(where[:2])} are the same number, and may be different ids: write each id in one way."
    ]


def _groups(
    table: TableFile, wanted: Wanted, codes: Int[np.ndarray, " row"], names: list[str], problems: list[str]
) -> tuple[Int[np.ndarray, " series"], list[str]]:
    """Return the number of each series' group, and what the groups are called: a series by itself is one."""
    there = [name for name in wanted.groups if name in table.frame]
    if not there:
        return np.arange(len(names)), names
    before = len(problems)
    for name in there:
        missing = table.frame[name].isna().to_numpy()
        if missing.any():
            problems.append(f"{name}: no group in {table.places(missing)}.")
        problems += _written_twice(table, name)
        own, _ = pd.factorize(table.frame[name])
        first = np.zeros(len(names), dtype=np.int64)
        rows = np.flatnonzero(codes >= 0)[::-1]
        first[codes[rows]] = own[rows]
        if (other := (codes >= 0) & ~missing & (own != first[codes])).any():
            told = f"sequence {names[codes[np.flatnonzero(other)[0]]]}"
            problems.append(
                f"task.group_columns={name}: differs within {told} ({table.places(other)}); a sequence has one group."
            )
    if len(problems) > before:
        return np.arange(len(names)), names
    group, levels = pd.factorize(pd.MultiIndex.from_frame(table.frame[there]))
    of_series = np.zeros(len(names), dtype=np.int64)
    of_series[codes[codes >= 0]] = group[codes >= 0]
    return of_series, ["\x1f".join(map(str, level)) for level in levels]


def _ordered(
    table: TableFile, name: str | None, codes: Int[np.ndarray, " row"], wanted: Wanted, problems: list[str]
) -> tuple[Int[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Return the rows series by series and step by step, and before which of these a step is missing."""
    order = np.argsort(codes, kind="stable")
    nowhere = np.zeros(len(order), dtype=bool)
    if name is None or name not in table.frame:
        return order, nowhere
    try:
        times, dated = read_times(table.frame[name])
    except UnreadError as why:
        where = "it" if why.wrong is None else table.places(why.wrong)
        problems.append(f"{name}: must be {LEGAL}; {where} {why}.")
        return order, nowhere
    order = np.lexsort((times, codes))
    within = ~_starts(codes[order]) & (codes[order] >= 0)
    steps = np.diff(times[order], prepend=0.0)
    if (twice := within & (steps <= 0)).any():
        problems.append(
            f"{name}: the same time twice in a sequence: {_places(table, order[twice])};"
            " with task.no_time=true steps are in the file's order."
        )
        return order, nowhere
    usual = float(np.median(steps[within])) if within.any() else 1.0
    gaps = within & (steps > GAP * usual)
    if gaps.any() and wanted.gaps == "refuse":
        apart = f"more than the usual {in_words(usual) if dated else f'{usual:g}'} apart"
        problems.append(
            f"{name}: steps are missing ({apart}) before {_places(table, order[gaps])}; task.gaps=accept takes them as"
            " successive steps, task.gaps=split begins a new sequence there."
        )
    return order, gaps


def _places(table: TableFile, rows: Int[np.ndarray, " wrong"]) -> str:
    wrong = np.zeros(len(table.frame), dtype=bool)
    wrong[rows] = True
    return table.places(wrong)


def _label(column: Column, codes: Int[np.ndarray, " row"], wanted: bool) -> Column:
    """Return the column, at all steps of each series if it is given once in most series and nowhere more often."""
    known = np.isfinite(column.values) & (codes >= 0)
    counts = np.bincount(codes[known], minlength=int(codes.max()) + 1)
    if not wanted or known.all() or counts.max() != 1 or 2 * counts.sum() <= len(counts):
        return column
    own = np.full(len(counts), np.nan)
    own[codes[known]] = column.values[known]
    return replace(column, values=np.where(codes >= 0, own[codes], np.nan), once=True)


def _ahead(column: Column, order: Int[np.ndarray, " row"], breaks: Bool[np.ndarray, " row"], shift: int) -> Column:
    """Return the column as it will be `shift` steps on in the same sequence, NaN where that ends before."""
    if not shift:
        return column
    part = np.cumsum(breaks)
    there = part[shift:] == part[: max(0, len(part) - shift)]
    values: Float[np.ndarray, " row"] = np.full(len(column.values), np.nan)
    values[order[: len(there)][there]] = column.values[order[shift:][there]]
    return replace(column, name=f"{column.name}_in_{shift}", values=values)
