"""What the columns of a table are: sequence id, time, inputs, targets, signals; and the kinds of their values."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from lstm_probe.core.errors import nearest
from lstm_probe.core.signal import Kind
from lstm_probe.tasks.table.file import TableFile, named

#: What a column's name begins with, alone or before "_" or a number, if nobody says what the column is.
PREFIXES = {"input": ("input", "x"), "target": ("target", "y"), "signal": ("signal",)}
TIMES = ("time", "step", "t")
MOST_LABELS = 10  # non-negative whole numbers with at most this many values are taken for classes
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Wanted:
    """What the user says of a table's columns; None or nothing where that is to be found out by their names."""

    sequence: str = "sequence"
    time: str | None = None
    inputs: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    signals: tuple[str, ...] | None = None
    continuous: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Column:
    """One column's values.

    Attributes:
        name: as in the file.
        kind: continuous, binary or categorical.
        values: numbers, or class numbers; NaN where a cell is empty.
        labels: what the classes are called, by class number; empty for a continuous column.
    """

    name: str
    kind: Kind
    values: Float[np.ndarray, " row"]
    labels: tuple[str, ...] = ()

    @property
    def constant(self) -> bool:
        """Return whether all its values are the same."""
        known = self.values[np.isfinite(self.values)]
        return known.size == 0 or bool((known == known[0]).all())

    @property
    def words(self) -> str:
        """Return its kind and classes in words."""
        shown = named(list(self.labels), 8)
        return f"{self.kind}: {shown}" if self.labels else self.kind


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table by their role, and the names of those that have none."""

    time: str | None
    inputs: tuple[Column, ...]
    targets: tuple[Column, ...]
    signals: tuple[Column, ...]
    unused: tuple[str, ...]


@dataclass
class Reader:
    """Reads columns and collects what is wrong with them, one line each."""

    table: TableFile
    wanted: Wanted
    problems: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the names of all columns."""
        return list(self.table.frame.columns)

    def by_role(self) -> dict[str, list[str]]:
        """Return the names of inputs, targets and signals, as given or by their beginnings."""
        taken = {self.wanted.sequence, self.time}
        given = {"input": self.wanted.inputs, "target": self.wanted.targets, "signal": self.wanted.signals}
        said = {name for names in given.values() for name in names or ()} | taken
        found: dict[str, list[str]] = {}
        for role, names in given.items():
            if names is None:
                shape = re.compile(rf"({'|'.join(PREFIXES[role])})(_.*|\d+)?", re.IGNORECASE)
                found[role] = [n for n in self.names if n not in said and shape.fullmatch(n)]
            else:
                found[role] = [n for n in names if self.has(f"{role}_columns", n)]
        roles = Counter(n for names in (*found.values(), taken) for n in names)
        self.problems += [f"task: the column {n} cannot be two things at once." for n, k in roles.items() if k > 1]
        return found

    @property
    def time(self) -> str | None:
        """Return the name of the column that orders the steps, None if there is none."""
        if self.wanted.time is not None:
            return self.wanted.time
        groups = (self.wanted.inputs, self.wanted.targets, self.wanted.signals)
        said = {name for names in groups for name in names or ()} | {self.wanted.sequence}
        return next((name for name in TIMES if name in self.names and name not in said), None)

    def has(self, key: str, name: str) -> bool:
        """Return whether there is a column of this name; a line is added where there is none."""
        if name in self.names:
            return True
        there = f"{nearest(name, self.names)} It has {named(self.names, 12)}."
        self.problems.append(f"task.{key}={name}: {self.table.label} has no such column.{there}")
        return False

    def numbers(self, name: str) -> tuple[Float[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
        """Return a column as numbers, NaN where a cell is empty or no number, and where the latter is."""
        cells = self.table.frame[name]
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers, np.isnan(numbers) & cells.notna().to_numpy()

    def input(self, name: str) -> Column:
        """Return an input: every cell must be a number."""
        values, wrong = self.numbers(name)
        if wrong.any():
            first = self.table.frame[name].iloc[int(np.flatnonzero(wrong)[0])]
            self.problems.append(
                f"{name}: an input must be numbers, and {self.table.places(wrong)} is none: {first!r:.40}."
                " Text has to be made into numbers, such as a column of 0 and 1 for each word."
            )
        self.complete(name, np.where(wrong, 0.0, values))
        levels = np.unique(values[np.isfinite(values)])
        return Column(name, "binary" if set(levels) <= {0.0, 1.0} else "continuous", values)

    def complete(self, name: str, values: Float[np.ndarray, " row"], empty: bool = True, also: str = "") -> None:
        """Add a line for empty and for infinite cells.

        Args:
            name: the column.
            values: of it.
            empty: whether empty cells are wrong.
            also: added where cells are empty.
        """
        missing, infinite = np.isnan(values), np.isinf(values)
        if empty and missing.any():
            self.problems.append(f"{name}: has no value (empty or NaN) in {self.table.places(missing)}.{also}")
        if infinite.any():
            self.problems.append(f"{name}: is infinite in {self.table.places(infinite)}.")

    def told(self, name: str, empty: bool, also: str = "") -> Column:
        """Return a target or signal, its kind as given or from its values; `empty` and `also` as in `complete`."""
        values, wrong = self.numbers(name)
        cells = self.table.frame[name]
        known = cells.notna().to_numpy()
        categorical = name in self.wanted.categorical
        if wrong.any() and not categorical and (name in self.wanted.continuous or not wrong[known].all()):
            first = cells.iloc[int(np.flatnonzero(wrong)[0])]
            self.problems.append(
                f"{name}: {self.table.places(wrong)} is no number: {first!r:.40}."
                + ("" if name in self.wanted.continuous else f" If these are names: task.categorical=[{name}].")
            )
            return Column(name, "continuous", np.where(wrong, 0.0, values))
        if not wrong.any():
            self.complete(name, values, empty, also)
            levels = np.unique(values[np.isfinite(values)])
            if name in self.wanted.continuous or not (categorical or self._classes(cells, levels)):
                return Column(name, "continuous", values)
            labels = tuple(f"{level:.12g}" for level in levels)
            codes = np.where(np.isfinite(values), np.searchsorted(levels, values), np.nan)
        else:
            texts = cells.astype(str).to_numpy(dtype=str)
            labels = tuple(np.unique(texts[known]).tolist())
            codes = np.where(known, np.searchsorted(np.array(labels), texts), np.nan)
            self.complete(name, codes, empty, also)
        if len(labels) > MOST_CLASSES:
            self.problems.append(f"{name}: has {len(labels)} different values; at most {MOST_CLASSES} can be classes.")
        return Column(name, "binary" if len(labels) == 2 else "categorical", codes, labels)

    @staticmethod
    def _classes(cells: pd.Series, levels: Float[np.ndarray, " level"]) -> bool:
        """Return whether numbers are taken for classes: two values are, and few that are written as whole numbers."""
        if len(levels) == 2 or pd.api.types.is_bool_dtype(cells):
            return True
        return pd.api.types.is_integer_dtype(cells) and 1 < len(levels) <= MOST_LABELS and bool(levels[0] >= 0)

    def missing_role(self, role: str) -> str:
        """Return what to say where no column has a role that is needed."""
        begins = " or ".join(f"{prefix}_*" for prefix in PREFIXES[role])
        return (
            f"task.{role}_columns: {self.table.label} has no columns {begins}; say which of its columns they are,"
            f" as in task.{role}_columns=[{self.names[-1]}]. It has {named(self.names, 12)}."
        )


def read_columns(table: TableFile, wanted: Wanted, sparse_targets: bool) -> tuple[Columns, list[str]]:
    """Return a table's columns by role, and a line for everything that is wrong with them and their values.

    Args:
        table: the file.
        wanted: what the user says of them.
        sparse_targets: whether the targets' cells may be empty.
    """
    reader = Reader(table, wanted)
    reader.has("sequence", wanted.sequence)
    if wanted.time is not None:
        reader.has("time", wanted.time)
    roles = reader.by_role()
    if not roles["input"] and not wanted.inputs:
        reader.problems.append(reader.missing_role("input"))
    if not roles["target"] and not roles["signal"] and not (wanted.targets or wanted.signals):
        reader.problems.append(reader.missing_role("target"))
    forced: Sequence[tuple[str, tuple[str, ...]]] = (
        ("continuous", wanted.continuous), ("categorical", wanted.categorical)
    )  # fmt: skip
    for key, names in forced:
        for name in names:
            if reader.has(key, name) and name not in (*roles["target"], *roles["signal"]):
                reader.problems.append(f"task.{key}={name}: is neither a target nor a signal.")
    both = sorted(set(wanted.continuous) & set(wanted.categorical))
    reader.problems += [f"task.continuous={name}: is in task.categorical too." for name in both]
    inputs = tuple(reader.input(name) for name in roles["input"])
    also = " Where a target counts at some steps alone: task.scored=given."
    targets = tuple(reader.told(name, not sparse_targets, also) for name in roles["target"])
    signals = tuple(reader.told(name, True) for name in roles["signal"])
    reader.problems += [
        f"{column.name}: the target is the same wherever it is given: there is nothing to learn or to score."
        for column in targets
        if column.constant
    ]
    used = {wanted.sequence, reader.time, *(column.name for column in (*inputs, *targets, *signals))}
    unused = tuple(name for name in reader.names if name not in used)
    return Columns(reader.time, inputs, targets, signals, unused), list(dict.fromkeys(reader.problems))
