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
from lstm_probe.core.signal import Batch, Signal
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, positions, step_signal
from lstm_probe.tasks.table.columns import Column, Wanted
from lstm_probe.tasks.table.data import TableData, read_data
from lstm_probe.tasks.table.file import named, read_table

SCORED = ("every", "last", "given")
HELD_OUT, FEWEST = 0.3, 5


@dataclass(frozen=True)
class Table(Task):
    """Sequences of your own, from a CSV or Parquet file with one row for each step.

    A column holds the id of the sequence; the others are inputs (named input_* or x_*), targets (target_* or y_*)
    and signals (signal_*), or what the parameters say. Kinds follow from the values: text, two values, and up to
    ten different whole numbers from 0 on are classes, the rest are numbers. Numbers among inputs and targets are
    standardised (mean 0, deviation 1) for training. Which sequences are held out of training follows from their ids;
    everything is measured on these, on each once where more are asked for. Without a file it is a small example.

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
    sequence: str = parameter("sequence", "the column that says which sequence a row belongs to", example="id")
    time: str | None = parameter(
        None, "the column that orders a sequence's steps; null: time, step or t if there is one, else as in the file",
        example="hour",
    )  # fmt: skip
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
    classes: int | None = parameter(
        None, "classes of each target that has classes; null: as many as there are, one yes-or-no output for two",
        2, 1000,
    )  # fmt: skip
    scored: str = parameter(
        "every", "the steps at which targets count: every, a sequence's last, or where one is given", choices=SCORED
    )
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
        held, rest = (len(part) for part in self._parts)
        if held < FEWEST:
            raise InputError(
                f"task.held_out={self.held_out}: holds {held} of {held + rest} sequences out of training; to measure on"
                f" them, at least {FEWEST} are needed: a larger share, or more sequences."
            )
        for target in self.data.columns.targets:
            self._check_target(target)

    @property
    def data(self) -> TableData:
        """The sequences of the file."""

        def listed(names: list[str] | None) -> tuple[str, ...] | None:
            return None if names is None else tuple(names)

        wanted = Wanted(
            self.sequence, self.time, listed(self.input_columns), listed(self.target_columns),
            listed(self.signal_columns), tuple(self.continuous or ()), tuple(self.categorical or ()),
        )  # fmt: skip
        return read_data(read_table(self.path), wanted, self.scored != "every")

    def _check_target(self, target: Column) -> None:
        rows = self._scored_rows(target)[self._rows_of(self._parts[0])]
        held = target.values[self._rows_of(self._parts[0])][rows]
        if not held.size or np.isnan(held).any():
            raise InputError(f"{self.data.table.label}: {target.name}: not given at every step that counts.")
        if (held == held[0]).all():
            raise InputError(
                f"{self.data.table.label}: {target.name}: the target is the same wherever it counts in the"
                " sequences held out of training: it cannot be scored; a larger task.held_out may help."
            )
        if target.labels and max(self._numbers(target)) >= self._size(target):
            raise InputError(f"task.classes={self.classes}: {target.name} has {len(target.labels)} classes.")

    @cached_property
    def _parts(self) -> tuple[Int[np.ndarray, " held"], Int[np.ndarray, " training"]]:
        """The sequences that are held out of training, and those that are not."""
        n = len(self.data.lengths)
        few = round(HELD_OUT * n)
        count = max(few, min(2 * FEWEST, n // 2)) if self.held_out is None else round(self.held_out * n)
        return np.sort(self.data.shuffled[:count]), np.sort(self.data.shuffled[count:])

    def _rows_of(self, sequences: Int[np.ndarray, " sequence"]) -> Int[np.ndarray, " row"]:
        """Return the rows of the file that belong to these sequences."""
        data = self.data
        return np.concatenate([data.order[data.starts[s] : data.starts[s] + data.lengths[s]] for s in sequences])

    @cached_property
    def _last(self) -> np.ndarray:
        """Where the file's rows are a sequence's last step."""
        last = np.zeros(len(self.data.order), dtype=bool)
        last[self.data.order[self.data.starts + self.data.lengths - 1]] = True
        return last

    def _scored_rows(self, target: Column) -> np.ndarray:
        """Return where a target counts, by the file's rows."""
        if self.scored == "last":
            return self._last
        rows: np.ndarray = np.isfinite(target.values) | (self.scored != "given")
        return rows

    def _numbers(self, target: Column) -> tuple[int, ...]:
        """Return the class number of each of a target's labels: whole numbers are their own, as far as they fit."""
        if all(label.isdigit() for label in target.labels):
            own = tuple(map(int, target.labels))
            if max(own) < (self.classes or 2 * len(own) * (0 in own)):
                return own
        return tuple(range(len(target.labels)))

    def _size(self, target: Column) -> int:
        return self.classes or max(self._numbers(target)) + 1

    def _coded(self, target: Column) -> Float[np.ndarray, " row"]:
        """Return a target's values as the network shall output them, in the file's order."""
        values: np.ndarray = np.nan_to_num(target.values)
        if not target.labels:
            mean, spread = self._scale(target)
            values = (values - mean) / spread
        else:
            values = np.array(self._numbers(target), dtype=np.float64)[values.astype(np.int64)]
        return values

    def _scale(self, column: Column) -> tuple[float, float]:
        """Return mean and deviation, over what is trained on, of a column of numbers; 0 and 1 if it stays as it is."""
        if self.standardise is False or column.kind != "continuous":
            return 0.0, 1.0
        part = self._parts[1] if len(self._parts[1]) else self._parts[0]
        known = column.values[self._rows_of(part)]
        known = known[np.isfinite(known)]
        return float(known.mean()), float(known.std()) or 1.0

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The input columns."""
        return tuple(column.name for column in self.data.columns.inputs)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The target columns: numbers, yes or no (two classes), or classes."""
        return tuple(map(self._target, self.data.columns.targets))

    def _target(self, column: Column) -> Target:
        if not column.labels:
            return Target(column.name)
        if self._size(column) == 2 and self.classes is None:
            return Target(column.name, "binary")
        return Target(column.name, "class", size=self._size(column))

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
        signals = {c.name: torch.from_numpy(np.nan_to_num(c.values)[order]).float() for c in told}
        scored = {c.name: torch.from_numpy(self._scored_rows(c)[order]) for c in columns.targets}
        return seen, targets, signals, scored if self.scored != "every" else {}

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        held = torch.from_numpy(self._parts[0])
        return self._batch(held[torch.randperm(len(held), generator=rng)[:n]])

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return `n` of the sequences that are not held out, drawn with replacement."""
        rest = torch.from_numpy(self._parts[1])
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
            return values[rows] * (real if values.ndim == 1 else real.unsqueeze(-1)).to(values.dtype)

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
    def remarks(self) -> tuple[str, ...]:
        """Return what was found in the file: sequences, columns and their kinds, and what is odd about them."""
        data, (held, rest) = self.data, self._parts
        shortest, longest = data.lengths.min(), data.lengths.max()
        steps = f"{longest} steps" if shortest == longest else f"{shortest} to {longest} steps"
        everything = "all are used for measuring (as if never trained on)"
        kept = f"{len(held)} are held out of training" if len(rest) else everything
        columns = data.columns
        scaled = "" if self.standardise is False else ", standardised"
        counts = {"last": ", counts at the last step", "given": ", counts where it is given"}.get(self.scored, "")
        rows = [(self.sequence, "sequence", ""), *([(columns.time, "time", "")] if columns.time else [])]
        for role, group in (("input", columns.inputs), ("target", columns.targets), ("signal", columns.signals)):
            rows += [
                (c.name, role, c.words + (scaled if c.kind == "continuous" and role != "signal" else "")
                 + (counts if role == "target" else ""))
                for c in group
            ]  # fmt: skip
        wide = max(len(name) for name, _, _ in rows)
        lines = [f"{data.table.label}: {len(data.lengths)} sequences of {steps}; {kept}"]
        lines += [f"  {name:{wide}}  {role:8}  {words}".rstrip() for name, role, words in rows]
        if columns.unused:
            lines.append(f"  not used: {named(list(columns.unused), 8)}")
        constant = [c.name for c in (*columns.inputs, *columns.signals) if c.constant]
        if constant:
            lines.append(f"warning: never changes, so nothing can be said about it: {named(constant, 8)}")
        if self.path is None:
            lines.append("warning: this is the built-in example; your own data: task.path=<file>")
        return tuple(lines)
