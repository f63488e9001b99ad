"""A table's file, CSV or Parquet, read with care; and a small example for those who have none at hand."""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from pandas.api.types import is_numeric_dtype

from lstm_probe.core.budget import reading, size_of_regular, spend
from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.own import EXACT
from lstm_probe.core.seeding import generator
from lstm_probe.tasks.table.parquet import read_parquet

KINDS = "a CSV file (comma, semicolon or tab between the fields, names in the first line) or a Parquet file"
MOST_COLUMNS = 10_000
LONGEST_HEADER = 2**24  # characters of the first line in which the mark between the fields is looked for
#: Numbers of a column in which some have decimals behind a comma.
COMMAS = re.compile(r"\s*[+-]?(?:\d*,)?\d+(?:[eE][+-]?\d+)?\s*")
#: Of them those that may be whole numbers, with a mark between thousands.
THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")
NUMERALS = "0123456789.+-eE "
#: Words that count as empty cells, and that somebody may have meant as a class.
NO_VALUE = frozenset({"None", "NA", "N/A", "n/a", "NULL", "null", "NaN", "nan"})
MOST_NAMED = 4  # lines, sequences or columns that a message names before it only counts


def named(things: list[str], most: int = MOST_NAMED) -> str:
    """Return the first few of some things, and how many more there are.

    >>> named(["1", "2", "3"], 2)
    '1, 2 and 1 more'
    """
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(things[:most]) + more


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table as it stands in its file.

    Attributes:
        label: what messages call it.
        frame: its columns, rows in the file's order.
        digest: SHA-256 of the file's bytes; None for the example.
        lines: of a CSV file the line in which each row ends, the first being 1; None for others.
        emptied: of a CSV file, how many cells of a column had which word that counts as an empty cell.
        written: of a CSV file, returns a column's cells letter by letter.
    """

    label: str
    frame: pd.DataFrame
    digest: str | None = None
    lines: Int[np.ndarray, " row"] | None = None
    emptied: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    written: Callable[[str], pd.Series] | None = None

    def place(self, row: int) -> str:
        """Return where a row is: its line in a CSV file, else its number, counted from 0 as pandas does."""
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"

    def places(self, wrong: np.ndarray) -> str:
        """Return where the rows are for which `wrong` is true: the first few, and how many more."""
        rows = np.flatnonzero(wrong)
        return named([self.place(row) for row in rows[:MOST_NAMED].tolist()]) + (
            f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
        )


def read_table(path: str | None) -> TableFile:
    """Return the table in a file, or the example where `path` is None. A file is read once, until it changes.

    Raises:
        InputError: there is no such file, it is of no kind that is read, damaged, or has no rows.
    """
    if path is None:
        return example()
    key = f"task.path={path}"
    if not Path(path).exists():
        raise InputError(f"{key}: there is no such file; a run on a table needs the file where it was.")
    if Path(path).is_dir():
        raise InputError(f"{key}: is a folder; must be {KINDS}.")
    size = size_of_regular(key, Path(path))
    return _read(path, Path(path).stat().st_mtime_ns, size)


@lru_cache(maxsize=4)
def _read(path: str, _changed: int, size: int) -> TableFile:
    file, key = Path(path), f"task.path={path}"
    with reading(key, size):
        return _read_within(key, file, size)


def _read_within(key: str, file: Path, size: int) -> TableFile:
    emptied: dict[str, Counter[str]] = {}
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{key}: cannot be read: {error.strerror}.") from None
    if not head:
        raise InputError(f"{key}: is empty.")
    if head == b"PAR1":
        frame, lines, written = _read_parquet(key, file), None, None
    elif file.suffix.lower() in (".csv", ".tsv", ".txt"):
        spend(size, "its text")
        frame, lines, emptied, written = _read_csv(key, file)
    else:
        raise InputError(
            f"{key}: does not begin as a Parquet file does, and its name does not end in .csv, .tsv or .txt; must be "
            f"{KINDS}."
        )
    if frame.empty:
        raise InputError(f"{key}: has no rows below the names of its columns.")
    return TableFile(clean(file.name), frame, digest, lines, emptied, written)


def _read_parquet(key: str, file: Path) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = read_parquet(file, MOST_COLUMNS).to_pandas()
        if any(name is not None for name in frame.index.names):
            frame = pd.concat([frame.index.to_frame(index=False), frame.reset_index(drop=True)], axis=1)
    except InputError:
        raise
    except Exception as error:  # of many kinds, as Arrow has it
        raise InputError(f"{key}: is damaged or incomplete ({(str(error).splitlines() or [''])[0][:120]}).") from None
    names = [str(name) for name in frame.columns]
    if problems := _header_problems(key, names):
        raise InputError(*problems)
    return _whole_again(frame.set_axis(names, axis=1).reset_index(drop=True))


def _read_csv(
    key: str, file: Path
) -> tuple[pd.DataFrame, np.ndarray, dict[str, Counter[str]], Callable[[str], pd.Series]]:
    lines: list[int] = []
    empty: dict[int, Counter[str]] = {}
    ragged: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline(LONGEST_HEADER)
            mark = max(",;\t", key=first.count)
            stream.seek(0)
            reader = csv.reader(stream, delimiter=mark, skipinitialspace=True, strict=True)
            header = next((row for row in reader if row), [])
            if len(header) > MOST_COLUMNS:
                raise InputError(f"{key}: has {len(header)} columns; at most {MOST_COLUMNS} are read.")
            for row in filter(None, reader):
                lines.append(reader.line_num)
                spend(_cells_bytes(row), "what it holds")
                if not NO_VALUE.isdisjoint(map(str.strip, row)):
                    for k, cell in enumerate(map(str.strip, row)):
                        if cell in NO_VALUE:
                            empty.setdefault(k, Counter())[cell] += 1
                if len(row) != len(header):
                    ragged.append(f"line {reader.line_num} has {len(row)}")
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x}"
        raise InputError(f"{key}: is not UTF-8 text ({byte}); convert it first.") from None
    except csv.Error as error:
        raise InputError(f"{key}: line {reader.line_num}: {error}.") from None
    problems = _header_problems(key, header)
    if ragged:
        problems.append(f"{key}: its first line names {len(header)} fields, but {named(ragged)}.")
    if problems:
        raise InputError(*problems)
    try:
        frame = _numbers(key, file, mark)
    except InputError:
        raise
    except Exception as error:  # pandas has no common one
        raise InputError(f"{key}: cannot be read ({(str(error).splitlines() or [''])[0][:120]}).") from None
    if len(frame) != len(lines):
        raise InputError(f"{key}: cannot be read for certain: {len(lines)} rows, or {len(frame)} as pandas counts.")
    whole = _whole_again(frame.rename(columns=str.strip))
    words = {str(whole.columns[k]): counts for k, counts in empty.items()}
    names = list(whole.columns)

    def written(name: str) -> pd.Series:
        return _as_written(file, mark, names.index(name))

    return _long_numbers(whole, written), np.array(lines, dtype=np.int64), words, written


def _as_written(file: Path, mark: str, column: int) -> pd.Series:
    """Return a column's cells as they stand in a CSV file, without spaces around them."""
    read = pd.read_csv(file, sep=mark, encoding="utf-8-sig", skipinitialspace=True, dtype=str, usecols=[column])
    bare = read.iloc[:, 0].str.strip()
    return bare.mask(bare.isin(["", *NO_VALUE]))


def _bare(file: Path, mark: str) -> str:
    """Return a CSV file's text without spaces around its cells; a cell that is nothing but spaces in quotes stays."""
    spend(4 * file.stat().st_size, "its text")
    cells = pd.read_csv(
        file, sep=mark, encoding="utf-8-sig", skipinitialspace=True, dtype=str, keep_default_na=False
    )  # fmt: skip
    return str(cells.map(lambda cell: cell.strip() or cell).to_csv(sep=mark, index=False, quoting=csv.QUOTE_ALL))


def _spaced(cells: pd.Series) -> bool:
    """Return whether there are spaces around some of a column's texts: pandas takes those in front alone."""
    return not is_numeric_dtype(cells) and any(cell != (cell.strip() or cell) for cell in cells.dropna().astype(str))


def _numbers(key: str, file: Path, mark: str) -> pd.DataFrame:
    """Return a CSV file's columns; commas stand before decimals where columns of numbers have those and none points."""
    bare: str | None = None

    def read(decimal: str) -> pd.DataFrame:
        source: Any = file if bare is None else io.StringIO(bare)
        return pd.read_csv(
            source, sep=mark, decimal=decimal, encoding="utf-8-sig", skipinitialspace=True, low_memory=False
        )

    frame = read(".")
    if any(_spaced(frame[name]) for name in frame):
        bare = _bare(file, mark)
        frame = read(".")
    texts = [name for name in frame if not is_numeric_dtype(frame[name])] if mark != "," else []
    commas = [name for name in texts if all(map(COMMAS.fullmatch, frame[name].dropna().astype(str)))]
    if not commas:
        return frame
    written = [cell for name in commas for cell in frame[name].dropna().astype(str) if "," in cell]
    if all(map(THOUSANDS.fullmatch, written)):
        raise InputError(
            f"{key}: {written[0].strip()} in {commas[0]} and all other numbers with a comma may have it before "
            "decimals, or between thousands: write decimals with a point, and thousands without a mark."
        )
    again = read(",")
    points = [name for name in frame if is_numeric_dtype(frame[name]) and not is_numeric_dtype(again[name])]
    if points:
        raise InputError(f"{key}: numbers have commas before their decimals in {commas[0]}, and points in {points[0]}.")
    return again


def _whole_again(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with whole numbers as such where cells are empty: pandas makes 7.0 of 7 there, and writes it."""

    def whole(cells: pd.Series) -> bool:
        return cells.dtype == np.float64 and bool(cells.isna().any() and cells.notna().any()) and _exact(cells.dropna())

    return frame.astype({name: "Int64" for name in frame.columns if whole(frame[name])})


def _long_numbers(frame: pd.DataFrame, written: Callable[[str], pd.Series]) -> pd.DataFrame:
    """Return the frame with whole numbers of many digits exact beside cells that are empty.

    To 63 bits pandas rounds them to 53; of 64 bits it makes texts, and of an empty cell a text, too.
    """
    for name in frame.columns:
        cells = frame[name]
        if not is_numeric_dtype(cells) and (empty := cells.isin(["", *NO_VALUE])).any():
            frame[name] = cells.mask(empty)
            cells = pd.to_numeric(frame[name], errors="coerce").astype(np.float64)
        if cells.dtype != np.float64 or not cells.isna().any() or not cells.abs().max() > EXACT:
            continue
        texts, signed = written(name).astype("string"), cells.min() < 0
        fits = cells.abs().max() < (2.0**63 if signed else 2.0**64)
        if fits and texts.dropna().str.fullmatch(r"[+-]?\d+").all():
            frame[name] = texts.astype("Int64" if signed else "UInt64")
    return frame


def _exact(numbers: pd.Series) -> bool:
    return bool(((numbers % 1 == 0) & (numbers.abs() <= EXACT)).all())


def _cells_bytes(row: list[str]) -> int:
    """Return what a row takes on its way into a table, about: more for each cell that is no number."""
    texts = sum(map(bool, (cell.strip(NUMERALS) for cell in row))) if "".join(row).strip(NUMERALS) else 0
    return 24 * len(row) + 64 * texts


def _header_problems(key: str, header: list[str]) -> list[str]:
    names = [name.strip() for name in header if name.strip()]
    if not names:
        return [f"{key}: is empty."]
    twice = [name for name, n in Counter(names).items() if n > 1]
    return [f"{key}: {named(twice)}: a column's name appears twice."] if twice else []


@lru_cache(maxsize=1)
def example() -> TableFile:
    """Return a table of accounts: what goes in and out in each month, and the balance that comes of it."""
    rng = generator(0, "example table")
    paid = torch.randint(1, 4, (120, 40, 2), generator=rng) * (torch.rand(120, 40, 2, generator=rng) < 0.3)
    months = torch.randint(20, 41, (120,), generator=rng)
    rows = []
    for account, payments in enumerate(paid.tolist()):
        balance = largest = 0
        for month, (paid_in, paid_out) in enumerate(payments[: months[account]]):
            balance, largest = balance + paid_in - paid_out, max(largest, paid_in)
            rows.append((account, month, paid_in, paid_out, float(balance), balance < 0, float(largest)))
    columns = ["sequence", "time", "x_in", "x_out", "y_balance", "signal_debt", "signal_top"]
    return TableFile("the built-in example", pd.DataFrame(rows, columns=columns))
