"""A table's rows put together as sequences, and which of these are held out of training."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from lstm_probe.core.errors import InputError
from lstm_probe.tasks.table.columns import Columns, Wanted, read_columns
from lstm_probe.tasks.table.file import TableFile, named


@dataclass(frozen=True, eq=False)
class TableData:
    """Sequences one after the other.

    Attributes:
        table: the file.
        columns: its columns; their values are in the file's order.
        order: the file's rows, sequence by sequence and step by step.
        starts: where in `order` each sequence begins.
        lengths: how many steps each has.
        shuffled: the sequences in an order that follows from their ids alone.
    """

    table: TableFile
    columns: Columns
    order: Int[np.ndarray, " row"]
    starts: Int[np.ndarray, " sequence"]
    lengths: Int[np.ndarray, " sequence"]
    shuffled: Int[np.ndarray, " sequence"]


@lru_cache(maxsize=4)
def read_data(table: TableFile, wanted: Wanted, sparse_targets: bool) -> TableData:
    """Return a table's sequences.

    Args:
        table: the file.
        wanted: what the user says of its columns.
        sparse_targets: whether the targets' cells may be empty.

    Raises:
        InputError: everything that is wrong with the table, a line each.
    """
    columns, problems = read_columns(table, wanted, sparse_targets)
    if wanted.sequence not in table.frame:
        raise InputError(*_with_file(table, problems))
    ids = table.frame[wanted.sequence]
    missing = ids.isna().to_numpy()
    if missing.any():
        problems.append(f"{wanted.sequence}: no sequence id in {table.places(missing)}.")
    codes, levels = pd.factorize(ids)
    codes = np.asarray(codes, dtype=np.int64)
    # An empty cell makes floats of whole numbers: 7 stays 7.
    names = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in levels]
    order = np.argsort(codes, kind="stable")
    if columns.time is not None and columns.time in table.frame:
        times = _times(table, columns.time, problems)
        order = np.lexsort((times, codes))
        problems += _gaps(table, columns.time, times[order], codes[order], order)
    order = order[codes[order] >= 0]
    lengths = np.bincount(codes[codes >= 0], minlength=len(names))
    short = [name for name, length in zip(names, lengths) if length < 2]
    if short:
        which = f"sequence{'s' if len(short) > 1 else ''} {named(short)}"
        problems.append(f"{which}: only one step; a sequence needs two or more rows of the same {wanted.sequence}.")
    if problems:
        raise InputError(*_with_file(table, problems))
    marks = [hashlib.sha256(name.encode()).digest() for name in names]
    shuffled = np.array(sorted(range(len(marks)), key=marks.__getitem__), dtype=np.int64)
    return TableData(table, columns, order, np.cumsum(lengths) - lengths, lengths, shuffled)


def _with_file(table: TableFile, problems: list[str]) -> list[str]:
    """Return the problems, each with the file's name in front if it names no key."""
    return [line if line.startswith("task") else f"{table.label}: {line}" for line in problems]


def _times(table: TableFile, name: str, problems: list[str]) -> Float[np.ndarray, " row"]:
    """Return the column that orders the steps as numbers; seconds where it holds dates."""
    cells = table.frame[name]
    if not pd.api.types.is_numeric_dtype(cells):
        cells = pd.to_datetime(cells, errors="coerce", format="ISO8601", utc=True)
        times = cells.to_numpy(dtype="datetime64[ns]").astype(np.int64) / 1e9
    else:
        times = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = cells.isna().to_numpy() | ~np.isfinite(times)
    if wrong.any():
        problems.append(f"{name}: must be numbers or dates such as 2024-12-31, unlike in {table.places(wrong)}.")
    return np.where(wrong, 0.0, times) if wrong.any() else times


def _gaps(
    table: TableFile,
    name: str,
    times: Float[np.ndarray, " row"],
    codes: Int[np.ndarray, " row"],
    order: Int[np.ndarray, " row"],
) -> list[str]:
    """Return a line for times that are there twice in a sequence and one for gaps: above 1.5 usual steps."""
    within = (codes[1:] == codes[:-1]) & (codes[1:] >= 0)
    steps = np.diff(times)
    problems = []
    if (twice := within & (steps <= 0)).any():
        rows = order[1:][twice]
        problems.append(f"{name}: the same time twice in a sequence: {_places(table, rows)}.")
    usual = np.median(steps[within & (steps > 0)]) if (within & (steps > 0)).any() else 1.0
    if (gap := within & (steps > 1.5 * usual)).any():
        rows = order[1:][gap]
        apart = f"more than the usual {usual:g} apart"
        problems.append(f"{name}: steps are missing ({apart}) before {_places(table, rows)}.")
    return problems


def _places(table: TableFile, rows: Int[np.ndarray, " wrong"]) -> str:
    wrong = np.zeros(len(table.frame), dtype=bool)
    wrong[rows] = True
    return table.places(wrong)
