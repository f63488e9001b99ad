"""What the columns of a table are: sequence id, time, inputs, targets, signals; and the kinds of their values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from lstm_probe.core.errors import nearest
from lstm_probe.core.kinds import FULL_CIRCLE, Kind
from lstm_probe.core.own import EXACT
from lstm_probe.tasks.table.file import TableFile, named

#: What a column's name begins with, alone or before "_" or a number, if nobody says what the column is.
PREFIXES = {"input": ("input", "x"), "target": ("target", "y"), "signal": ("signal",)}
TIMES = ("time", "step", "t")
IDS = re.compile(r"(.*[_ ])?(id|seq|sequence|series|trial|session|subject|patient|user|case|run)s?", re.IGNORECASE)
MOST_LABELS = 10  # non-negative whole numbers with at most this many values are taken for classes
MOST_CLASSES = 1000
LARGEST = float(np.finfo(np.float32).max)  # networks and signals are in 32 bits
#: Numbers as others write them: 0,5 and 1,000 and 1_000 and 50% and −1.5.
_FOREIGN = re.compile(r"\s*[+\-−]?(?:\d+|\d{1,3}(?:[.,'’_\s]\d{3})+)(?:[.,]\d+)?\s*[%‰]?\s*")
_NAMES = "If these are names: task.categorical=[{}]."
MOST_PROPOSED = 40  # columns that a proposal writes out


@dataclass(frozen=True)
class Wanted:
    """What the user says of a table; see the parameters of `Table`.

    None or nothing where what a column is has to be found out by its name; the whole table is one series where
    `sequence` is None.
    """

    sequence: str | None = "sequence"
    time: str | None = None
    no_time: bool = False
    gaps: str = "refuse"
    window: int | None = None
    groups: tuple[str, ...] = ()
    shift: int = 0
    scored: str = "every"
    inputs: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    signals: tuple[str, ...] | None = None
    continuous: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    circular: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Column:
    """One column's values.

    Attributes:
        name: as in the file.
        kind: continuous, binary, categorical or circular.
        values: numbers, or class numbers; NaN where a cell is empty.
        labels: what the classes are called, by class number; empty for a column of numbers.
        once: whether its one value in each sequence was taken for the label of the whole sequence.
    """

    name: str
    kind: Kind
    values: Float[np.ndarray, " row"]
    labels: tuple[str, ...] = ()
    once: bool = False

    @property
    def constant(self) -> bool:
        """Return whether all its values are the same."""
        known = self.values[np.isfinite(self.values)]
        return known.size == 0 or bool((known == known[0]).all())

    @property
    def words(self) -> str:
        """Return its kind and classes in words, and whether it is a label of whole sequences or has gaps."""
        words = f"{self.kind}: {named(list(self.labels), 8)}" if self.labels else self.kind
        known = int(np.isfinite(self.values).sum())
        given = f", given at {known} of {len(self.values)} steps" if known < len(self.values) else ""
        return words + (", one for each sequence" if self.once else "") + given


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
        """Return the names of inputs, targets and signals, as given or by their beginnings.

        A column may have several of these roles. But what is said to be a target is no input by its name alone, nor
        the other way round, unless the target lies ahead: else the network would see what it shall output.
        """
        ways = {self.wanted.sequence, self.time, *self.wanted.groups}
        given: dict[str, tuple[str, ...] | None] = {
            "input": self.wanted.inputs,
            "target": self.wanted.targets,
            "signal": self.wanted.signals,
        }
        apart = {} if self.wanted.shift else {"input": given["target"], "target": given["input"]}
        found: dict[str, list[str]] = {}
        for role, names in given.items():
            if names is None:
                shape = re.compile(rf"({'|'.join(PREFIXES[role])})(_.*|\d+)?", re.IGNORECASE)
                taken = {*ways, *(apart.get(role) or ())}
                found[role] = [n for n in self.names if n not in taken and shape.fullmatch(n)]
            else:
                found[role] = [n for n in names if self.has(f"{role}_columns", n)]
        order = {"sequence": self.wanted.sequence, "time": self.time}
        for role, chosen in found.items():
            self.problems += [
                f"task.{role}_columns={n}: is the column that says the {what}, and can't be two things at once."
                for n in chosen for what, own in order.items() if n == own
            ]  # fmt: skip
        self.problems += [
            f"task.group_columns={n}: can't be an input too: the network would see the group."
            for n in found["input"] if n in self.wanted.groups
        ]  # fmt: skip
        return found

    @property
    def time(self) -> str | None:
        """Return the name of the column that orders the steps, None if there is none."""
        if self.wanted.time is not None or self.wanted.no_time:
            return self.wanted.time
        groups = (self.wanted.inputs, self.wanted.targets, self.wanted.signals, self.wanted.groups)
        said = {name for names in groups for name in names or ()} | {self.wanted.sequence}
        return next((name for name in TIMES if name in self.names and name not in said), None)

    @property
    def likely_id(self) -> str | None:
        """Return the first column that sounds like the id of a sequence."""
        return next((name for name in self.names if IDS.fullmatch(name)), None)

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
        if cells.dtype.kind in "mM":  # as numbers they would count from 1970 in units that nobody chose
            return np.full(len(cells), np.nan), cells.notna().to_numpy()
        numbers = pd.to_numeric(cells, errors="coerce").astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
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
        missing = np.isnan(values) & ~wrong
        if missing.any():
            self.problems.append(f"{name}: has no value (empty or NaN) in {self.table.places(missing)}.")
        self.in_range(name, values)
        levels = np.unique(values[np.isfinite(values)])
        return Column(name, "binary" if set(levels) <= {0.0, 1.0} else "continuous", values)

    def in_range(self, name: str, values: Float[np.ndarray, " row"]) -> None:
        """Add a line for values that are infinite, or beyond what 32 bits hold."""
        infinite = np.isinf(values)
        if infinite.any():
            self.problems.append(f"{name}: is infinite in {self.table.places(infinite)}.")
        beyond = ~infinite & (np.abs(values) > LARGEST)
        if beyond.any():
            first = values[np.flatnonzero(beyond)[0]]
            where = self.table.places(beyond)
            self.problems.append(f"{name}: {first:.6g} is beyond 32-bit numbers (±{LARGEST:.2g}), in {where}.")

    def told(self, name: str) -> Column:
        """Return a target or signal, its kind as given or from its values."""
        values, wrong = self.numbers(name)
        cells = self.table.frame[name]
        known = cells.notna().to_numpy()
        categorical, numeric = name in self.wanted.categorical, name in self.wanted.continuous + self.wanted.circular
        if wrong.any() and not categorical and (numeric or not wrong[known].all()):
            return self.no_number(name, values, wrong, "" if numeric else f" {_NAMES.format(name)}")
        if wrong.any() and not categorical:
            if any(isinstance(cell, list | tuple | dict | np.ndarray) for cell in cells[known]):
                return self.no_number(name, values, wrong, " A cell has one number or text.")
            if all(map(_FOREIGN.fullmatch, cells[known].astype(str))):
                more = f" Numbers have a point before their decimals and no other marks. {_NAMES.format(name)}"
                return self.no_number(name, values, wrong, more)
        levels = np.unique(values[np.isfinite(values)])
        if not wrong.any() and (numeric or not self._are_ids(cells, levels, categorical)):
            self.in_range(name, values)
            if name in self.wanted.circular:
                return self.angle(name, values)
            if name in self.wanted.continuous or not (categorical or self._classes(cells, levels)):
                return Column(name, "continuous", values)
            labels = tuple(f"{level:.0f}" if level % 1 == 0 else f"{level:.12g}" for level in levels)
            codes = np.where(np.isfinite(values), np.searchsorted(levels, values), np.nan)
        else:
            texts = cells[known].astype(str).to_numpy(dtype=str)  # beside an empty cell each would be cut to one letter
            names, own = np.unique(texts, return_inverse=True)
            labels, codes = tuple(names.tolist()), np.full(len(cells), np.nan)
            codes[known] = own
        if len(labels) > MOST_CLASSES:
            self.problems.append(f"{name}: has {len(labels)} different values; at most {MOST_CLASSES} can be classes.")
        return Column(name, "binary" if len(labels) == 2 else "categorical", codes, labels)

    def no_number(
        self, name: str, values: Float[np.ndarray, " row"], wrong: Bool[np.ndarray, " row"], more: str
    ) -> Column:
        """Add a line for cells that are no numbers, and return a column with something in their place."""
        first = self.table.frame[name].iloc[int(np.flatnonzero(wrong)[0])]
        self.problems.append(f"{name}: {self.table.places(wrong)} is no number: {first!r:.40}.{more}")
        return Column(name, "continuous", np.where(wrong, np.arange(len(values)), values))

    def angle(self, name: str, values: Float[np.ndarray, " row"]) -> Column:
        """Return a signal of angles; a line is added where one is beyond a full circle."""
        beyond = np.abs(np.nan_to_num(values)) > FULL_CIRCLE
        if beyond.any():
            self.problems.append(
                f"task.circular={name}: {values[np.flatnonzero(beyond)[0]]:.6g} in {self.table.places(beyond)}: angles"
                " are in radians, from −2π to 2π (these may be degrees)."
            )
        return Column(name, "circular", values)

    def _are_ids(self, cells: pd.Series, levels: Float[np.ndarray, " level"], categorical: bool) -> bool:
        """Return whether whole numbers are classes that may be the same number in 64 bits with a point."""
        if not (pd.api.types.is_integer_dtype(cells) and len(levels) and np.abs(levels).max() > EXACT):
            return False
        exact = np.array(sorted(cells.dropna().unique().tolist()))
        return categorical or self._classes(cells, exact)

    @staticmethod
    def _classes(cells: pd.Series, levels: np.ndarray) -> bool:
        """Return whether numbers are taken for classes: two values are, and few that are written as whole numbers."""
        if len(levels) == 2 or pd.api.types.is_bool_dtype(cells):
            return True
        return pd.api.types.is_integer_dtype(cells) and 1 < len(levels) <= MOST_LABELS and bool(levels[0] >= 0)

    def check_roles(self, roles: dict[str, list[str]]) -> None:
        """Add a line where no column has a role that is needed, with what the columns might be."""
        no_input = not roles["input"] and not self.wanted.inputs
        no_goal = not (roles["target"] or roles["signal"] or self.wanted.targets or self.wanted.signals)
        missing = [role for role, none in (("input", no_input), ("target", no_goal)) if none]
        if not missing:
            return
        named_so = " and none ".join(" or ".join(f"{p}_*" for p in PREFIXES[role]) for role in missing)
        keys = " and ".join(f"task.{role}_columns" for role in missing)
        self.problems.append(
            f"{keys}: {self.table.label} has no columns {named_so}; say which of its columns they are"
            f"{self.proposal(roles, no_input, no_goal)}. It has {named(self.names, 12)}."
        )

    def proposal(self, roles: dict[str, list[str]], no_input: bool, no_goal: bool) -> str:
        """Return how the columns that have no role yet may be split: the last is the target, numbers are inputs."""
        taken = {self.wanted.sequence, self.time, *self.wanted.groups, *(n for names in roles.values() for n in names)}
        taken |= {self.likely_id} if self.wanted.sequence not in self.names else set()
        free = [name for name in self.names if name not in taken]
        goal = free[-1:] if no_goal else []
        inputs = [n for n in free if n not in goal and not self.numbers(n)[1].any()][:MOST_PROPOSED] if no_input else []
        if no_goal and not (inputs or roles["input"]):  # a single series: its own future
            inputs = [n for n in goal if not self.numbers(n)[1].any()]
        ahead = no_goal and (not goal or goal == inputs)
        goal = goal or (roles["input"] or inputs)[-1:] if no_goal else []
        parts = [f"task.input_columns=[{','.join(inputs)}]"] if inputs else []
        parts += [f"task.target_columns=[{goal[0]}]"] if goal else []
        parts += ["task.shift=1 (a forecast)"] if goal and ahead else []
        return f", as in {' '.join(parts)}" if parts else ""


def read_columns(table: TableFile, wanted: Wanted) -> tuple[Columns, list[str]]:
    """Return a table's columns by role, and a line for everything that is wrong with them and their values."""
    reader = Reader(table, wanted)
    if wanted.sequence is not None and not reader.has("sequence", wanted.sequence) and wanted.window is None:
        own = f" Is it task.sequence={reader.likely_id}?" if reader.likely_id else ""
        reader.problems[-1] += f"{own} If all is one long series: task.sequence=null task.window=50."
    if wanted.time is not None:
        reader.has("time", wanted.time)
    for group in wanted.groups:
        reader.has("group_columns", group)
    roles = reader.by_role()
    reader.check_roles(roles)
    forced: Sequence[tuple[str, tuple[str, ...]]] = (
        ("continuous", wanted.continuous), ("categorical", wanted.categorical), ("circular", wanted.circular)
    )  # fmt: skip
    for key, given in forced:
        for name in given:
            if reader.has(key, name) and name not in (*roles["target"], *roles["signal"]):
                reader.problems.append(f"task.{key}={name}: is neither a target nor a signal.")
            elif key == "circular" and name in roles["target"]:
                reader.problems.append(f"task.circular={name}: a target can't be an angle: give its sine and cosine.")
    for (key, given), (other, more) in combinations(forced, 2):
        both = sorted(set(given) & set(more))
        reader.problems += [f"task.{key}={name}: is in task.{other} too." for name in both]
    inputs = tuple(reader.input(name) for name in roles["input"])
    targets = tuple(reader.told(name) for name in roles["target"])
    # A target is a signal by itself, unless it lies ahead: then the present value is another one.
    apart = [name for name in roles["signal"] if wanted.shift or name not in roles["target"]]
    signals = tuple(reader.told(name) for name in apart)
    reader.problems += [
        f"{column.name}: the target is the same wherever it is given: there is nothing to learn or to score."
        for column in targets
        if column.constant
    ]
    used = {wanted.sequence, reader.time, *wanted.groups, *(column.name for column in (*inputs, *targets, *signals))}
    unused = tuple(name for name in reader.names if name not in used)
    return Columns(reader.time, inputs, targets, signals, unused), list(dict.fromkeys(reader.problems))
