"""The user's own data: a table with one row per step."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, positions, step_signal
from lstm_probe.tasks.table.coding import class_numbers, coded, target_of
from lstm_probe.tasks.table.columns import Column, Wanted
from lstm_probe.tasks.table.data import TableData, hold_out, read_data
from lstm_probe.tasks.table.few import FEWEST, too_few
from lstm_probe.tasks.table.file import read_table
from lstm_probe.tasks.table.premises import premises
from lstm_probe.tasks.table.remarks import describe

SCORED = ("every", "last", "given")
GAPS = ("refuse", "accept", "split")
HELD_OUT = 0.3


@dataclass(frozen=True)
class Table(Task):
    """Sequences of your own, from a CSV or Parquet file with one row for each step.

    A column holds the id of the sequence; the others are inputs (named input_* or x_*), targets (target_* or y_*)
    and signals (signal_*), or what the parameters say. Kinds follow from the values: text, two values, and up to
    ten different whole numbers from 0 on are classes, the rest are numbers. Numbers among inputs and targets are
    standardised (mean 0, deviation 1) for training. An empty cell of a target or a signal is a step without a label:
    it is in no loss, score or statistic. One value in each sequence is the label of the whole sequence. Which sequences
    are held out of training follows from their ids, and a group is held out as a whole; everything is measured on
    these, on each once where more are asked for. Without a file it is a small example.

    >>> task = Table()
    >>> task.input_names, [(target.name, target.loss) for target in task.targets]
    (('x_in', 'x_out'), [('y_balance', 'regression')])
    >>> list(task.sample(1, seed=0).signals)
    ['y_balance', 'signal_debt', 'signal_top', 'step']
    """

    name = "table"
    summary = "your own data: a CSV or Parquet file with one row for each step"
    source = "your file"

    path: str | None = parameter(None, "a CSV or Parquet file; null: a small example", example="data.csv")
    sequence: str | None = parameter(
        "sequence", "the column that says which sequence a row belongs to; null: all are one long series", example="id"
    )
    time: str | None = parameter(
        None, "the column that orders a sequence's steps; null: time, step or t if there is one, else as in the file",
        example="hour",
    )  # fmt: skip
    no_time: bool = parameter(False, "leave a column time, step or t out: steps are in the file's order")
    gaps: str = parameter(
        "refuse", "what a step above 1.5 usual ones is: an error (refuse), the next step all the same (accept), or the"
        " start of another sequence (split)", choices=GAPS,
    )  # fmt: skip
    window: int | None = parameter(
        None, "cut each sequence into windows of this many steps; those of one sequence are a group", 2, 1_000_000
    )
    group_columns: list[str] | None = parameter(  # noqa: RUF009
        None, "what sequences have in common that belong together, such as a subject; no inputs", example="[subject]"
    )
    shift: int = parameter(0, "targets are the columns this many steps ahead: a forecast", 0, 1_000_000)
    input_columns: list[str] | None = parameter(  # noqa: RUF009
        None, "what the network sees; null: columns input_* and x_*", example="[a,b]"
    )
    target_columns: list[str] | None = parameter(  # noqa: RUF009
        None, "what it should output; null: columns target_* and y_*", example="[a,b]"
    )
    signal_columns: list[str] | None = parameter(  # noqa: RUF009
        None, "what its units may track; null: columns signal_*", example="[a,b]"
    )
    continuous: list[str] | None = parameter(  # noqa: RUF009
        None, "targets and signals to be read as numbers although they look like classes", example="[a,b]"
    )
    categorical: list[str] | None = parameter(  # noqa: RUF009
        None, "targets and signals to be read as classes although they look like numbers", example="[a,b]"
    )
    circular: list[str] | None = parameter(  # noqa: RUF009
        None, "signals that are angles, in radians from −2π to 2π", example="[a,b]"
    )
    classes: int | None = parameter(
        None, "classes of each target that has classes; null: as many as there are, one yes-or-no output for two",
        2, 1000,
    )  # fmt: skip
    scored: str = parameter(
        "every", "the steps at which targets count: every one that has it, a sequence's last, or where its cell is"
        " given", choices=SCORED,
    )  # fmt: skip
    held_out: float | None = parameter(
        None, "share of the sequences that is held out of training; null: 0.3, or all for an imported network",
        0.01, 1.0,
    )  # fmt: skip
    standardise: bool | None = parameter(
        None, "standardise inputs and targets (mean 0, deviation 1); null: yes, but not for an imported network"
    )
    content: str | None = parameter(
        None, "SHA-256 of the file, by which a run recognises its data; null: that of the file as it is now",
        example="9f86d081",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.path is not None:
            object.__setattr__(self, "path", str(Path(self.path).expanduser().resolve()))
        digest = read_table(self.path).digest
        if self.content not in (None, digest):
            raise InputError(
                f"task.path={self.path}: has changed: its content is not what this run was made with (SHA-256"
                f" {self.content[:12]} ...). Put the old file back, or make a new run with the new one."
            )
        object.__setattr__(self, "content", digest)
        problems = self._contradictions()
        if problems:
            raise InputError(*problems)
        if problem := too_few(self):
            raise InputError(problem)
        for target in self.data.columns.targets:
            self._check_target(target)

    @property
    def data(self) -> TableData:
        """The sequences of the file."""

        def listed(names: list[str] | None) -> tuple[str, ...] | None:
            return None if names is None else tuple(names)

        table, sequence = read_table(self.path), self.sequence
        if self.window is not None and sequence == "sequence" and sequence not in table.frame:
            sequence = None
        wanted = Wanted(
            sequence, self.time, self.no_time, self.gaps, self.window, tuple(self.group_columns or ()), self.shift,
            self.scored, listed(self.input_columns), listed(self.target_columns), listed(self.signal_columns),
            tuple(self.continuous or ()), tuple(self.categorical or ()), tuple(self.circular or ()),
        )  # fmt: skip
        return read_data(table, wanted)

    def _contradictions(self) -> list[str]:
        """Return a line for each pair of parameters that cannot both be meant."""
        problems = []
        if self.no_time and self.time is not None:
            problems.append(f"task.no_time=true: task.time={self.time} is given too; one has to go.")
        if self.shift and self.scored == "last":
            problems.append(f"task.shift={self.shift}: nothing is known ahead of a last step; not with scored=last.")
        if self.sequence is None and self.window is None and self.gaps != "split":
            problems.append(
                "task.sequence=null: one long series has to be cut into several sequences, as with task.window=50."
            )
        return problems

    def _check_target(self, target: Column) -> None:
        label, counts = self.data.table.label, self.scored_rows(target)
        held, seen = (target.values[rows][counts[rows]] for rows in map(self.rows_of, self.parts))
        if not held.size or (not seen.size and len(self.parts[1])):
            where = "held out of" if not held.size else "kept for"
            raise InputError(f"{label}: {target.name}: not given in any of the sequences {where} training.")
        if (held == held[0]).all():
            raise InputError(
                f"{label}: {target.name}: the target is the same wherever it counts in the"
                " sequences held out of training: it cannot be scored; a larger task.held_out may help."
            )
        if target.labels and self.classes is not None and len(target.labels) > self.classes:
            raise InputError(f"task.classes={self.classes}: {target.name} has {len(target.labels)} classes.")

    @cached_property
    def parts(self) -> tuple[Int[np.ndarray, " held"], Int[np.ndarray, " training"]]:
        """The sequences that are held out of training, and those that are not."""
        n = len(self.data.lengths)
        few = round(HELD_OUT * n)
        count = max(few, min(2 * FEWEST, n // 2)) if self.held_out is None else round(self.held_out * n)
        return hold_out(self.data, count)

    def rows_of(self, sequences: Int[np.ndarray, " sequence"]) -> Int[np.ndarray, " row"]:
        """Return the rows of the file that belong to these sequences."""
        data = self.data
        rows = [data.order[data.starts[s] : data.starts[s] + data.lengths[s]] for s in sequences]
        return np.concatenate([data.order[:0], *rows])

    @cached_property
    def _last(self) -> np.ndarray:
        """Where the file's rows are a sequence's last step."""
        last = np.zeros(len(self.data.table.frame), dtype=bool)
        last[self.data.order[self.data.starts + self.data.lengths - 1]] = True
        return last

    def scored_rows(self, target: Column) -> np.ndarray:
        """Return where a target counts, by the file's rows."""
        known: np.ndarray = np.isfinite(target.values)
        return known & self._last if self.scored == "last" else known

    def _coded(self, target: Column) -> Float[np.ndarray, " row"]:
        """Return a target's values as the network shall output them, in the file's order."""
        values: np.ndarray = np.nan_to_num(target.values)
        if not target.labels:
            mean, spread = self._scale(target)
            values = (values - mean) / spread
        else:
            numbers = class_numbers(target, self.classes)
            values = np.array(numbers, dtype=np.float64)[values.astype(np.int64)]
        return values

    def _scale(self, column: Column) -> tuple[float, float]:
        """Return mean and deviation, over what is trained on, of a column of numbers; 0 and 1 if it stays as it is."""
        if self.standardise is False or column.kind != "continuous":
            return 0.0, 1.0
        part = self.parts[1] if len(self.parts[1]) else self.parts[0]
        known = column.values[self.rows_of(part)]
        known = known[np.isfinite(known)]
        same = known.min() == known.max()  # the deviation of many a constant is not 0, but its rounding
        return float(known[0] if same else known.mean()), 1.0 if same else float(known.std())

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The input columns."""
        return tuple(column.name for column in self.data.columns.inputs)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The target columns: numbers, yes or no (two classes), or classes."""
        return tuple(target_of(column, self.classes) for column in self.data.columns.targets)

    @cached_property
    def _tensors(self) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Inputs, targets, signals and the steps at which targets count, sequence after sequence."""
        order, columns = self.data.order, self.data.columns
        scales = [self._scale(column) for column in columns.inputs]
        inputs = [(c.values - mean) / spread for c, (mean, spread) in zip(columns.inputs, scales)]
        seen = torch.from_numpy(np.stack(inputs, axis=1)[order].astype(np.float32))
        targets = {}
        for column, spec in zip(columns.targets, self.targets):
            values = torch.from_numpy(self._coded(column)[order])
            targets[column.name] = values.float().unsqueeze(1) if spec.loss == "regression" else values.long()
        told = (*columns.targets, *columns.signals)
        signals = {c.name: torch.from_numpy(c.values[order]) for c in told}
        scored = {c.name: torch.from_numpy(self.scored_rows(c)[order]) for c in columns.targets}
        return seen, targets, signals, {name: steps for name, steps in scored.items() if not steps.all()}

    @property
    def in_order(self) -> bool:
        """Return True."""
        return True

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """Return `n` of the sequences that are held out, or all of them where there are fewer, in the file's order."""
        held = torch.from_numpy(self.parts[0])
        return self._batch(held[torch.randperm(len(held), generator=rng)[:n].sort().values])

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return `n` of the sequences that are not held out, drawn with replacement."""
        rest = torch.from_numpy(self.parts[1])
        if not len(rest) or not self.targets:
            what = "holds all sequences out of training" if self.targets else "the table has no targets"
            key = f"task.held_out={self.held_out}" if self.targets else "task.target_columns"
            raise InputError(f"{key}: {what}, so there is nothing to train on.")
        return self._batch(rest[torch.randint(len(rest), (n,), generator=rng)])

    def _batch(self, sequences: Int[Tensor, " sequence"]) -> Batch:
        inputs, targets, signals, scored = self._tensors
        data = self.data
        lengths = torch.from_numpy(data.lengths)[sequences]
        step = positions(len(sequences), int(lengths.max()))
        real = step < lengths.unsqueeze(1)
        rows = torch.where(real, torch.from_numpy(data.starts)[sequences].unsqueeze(1) + step, 0)

        def take(values: Float[Tensor, "row *size"] | Int[Tensor, " row"]) -> Tensor:
            return torch.where(real if values.ndim == 1 else real.unsqueeze(-1), values[rows], 0)

        told = {column.name: column for column in (*data.columns.targets, *data.columns.signals)}
        found = [
            Signal(name, take(values), told[name].kind, "target" if name in targets else "latent",
                   f"column of {data.table.label}" if told[name].kind == "continuous" else told[name].words)
            for name, values in signals.items()
        ]  # fmt: skip
        if "step" not in told:
            found.append(step_signal(*step.shape))
        return Batch(
            take(inputs), {name: take(values) for name, values in targets.items()}, self.targets, lengths,
            by_name(found), {name: steps[rows] & real for name, steps in scored.items()},
            torch.from_numpy(data.groups)[sequences] if data.grouped else None,
        )  # fmt: skip

    def for_network(self, outputs: int | None, last_step: bool) -> "Table":
        """Return the same table for an imported network: as it is, all of it, with that network's classes.

        Args:
            outputs: of the network; None if it has no readout.
            last_step: whether it was made to output something after the last step alone.
        """
        chosen: dict[str, Any] = {"held_out": 1.0} if self.held_out is None else {}
        if self.standardise is None:
            chosen["standardise"] = False
        if last_step and self.scored == "every":
            chosen["scored"] = "last"
        specs = self.targets
        if len(specs) == 1 and specs[0].loss in ("binary", "class") and self.classes is None and outputs is not None:
            chosen |= {"classes": outputs} if outputs > specs[0].size else {}
        return replace(self, **chosen)

    @property
    def attainable(self) -> bool:
        """Return False: how well these targets can be told is not known."""
        return False

    @property
    def coded(self) -> tuple[str, ...]:
        """Return by which means and deviations columns were standardised, and which classes outputs stand for."""
        inputs, targets = self.data.columns.inputs, self.data.columns.targets
        scales = {c.name: self._scale(c) for c in (*inputs, *targets)}
        return tuple(coded(inputs, targets, scales, self.classes))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what was found in the file: sequences, columns and their kinds, and what is odd about them."""
        scaled = "" if self.standardise is False else ", standardised"
        lines = describe(self.data, self.parts, self.sequence, scaled, self.group_columns or (), self.scored,
                         self.path is None)  # fmt: skip
        return *lines, *premises(self)
