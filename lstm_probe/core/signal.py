"""Batch: sequences, and what is known to be true of them at every step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import group_codes
from lstm_probe.core.kinds import Signal
from lstm_probe.core.numbers import many
from lstm_probe.core.own import padded_inputs, read_signals, read_targets
from lstm_probe.core.shown import Shown, SmallTable, Told, listed, named, sequences_words, tensor_words
from lstm_probe.core.target import Target


@dataclass(frozen=True, repr=False)
class Batch(Shown):
    """Sequences, padded after their ends, with everything known about them; `Batch.make` makes one of plain arrays.

    Attributes:
        inputs: what the network sees.
        targets: by target name: (sequence, time, size), or (sequence, time) of class numbers for "next_symbol",
            "class" and "binary".
        target_specs: the targets' losses and scores, in the order of the network's outputs.
        lengths: how many steps of each sequence are real.
        signals: by name; values beyond a sequence's length mean nothing.
        scored: by target name: the steps at which the target counts; without an entry, every real step does.
        groups: of each sequence, the number of the group of those that it is not independent of, such as windows of
            one series or sequences of one subject; None where every sequence is its own.
    """

    inputs: Float[Tensor, "sequence time feature"]
    targets: Mapping[str, Tensor]
    target_specs: tuple[Target, ...]
    lengths: Int[Tensor, " sequence"]
    signals: Mapping[str, Signal]
    scored: Mapping[str, Bool[Tensor, "sequence time"]] = field(default_factory=dict)
    groups: Int[Tensor, " sequence"] | None = None

    @classmethod
    def make(
        cls,
        inputs: Any,
        signals: Signals = None,
        *,
        targets: Signals = None,
        target_specs: Sequence[Target] = (),
        lengths: Any = None,
        groups: Any = None,
    ) -> "Batch":
        """Return a batch made of plain arrays: NumPy's, PyTorch's or lists.

        Args:
            inputs: (sequence, time, feature), or (sequence, time) of one feature; or a list of sequences, each (time,
                feature) or (time,), which are padded with zeros. Float tensors keep their type; all else becomes
                float32. Tokens are given one-hot, or as one feature, their numbers; a module that begins with an
                embedding is handed them as such.
            signals: as `probe_units` takes them: by name, arrays of (sequence, time) or (sequence,), lists of sequences
                of their own lengths, or `Signal`s; NaN, None or a mask where a step has no label; or a DataFrame. Kinds
                of arrays are inferred likewise; a signal that has the name of a target has the role "target", others
                are "latent".
            targets: by name, in the order of the network's outputs, what it shall output: (sequence, time), (sequence,
                time, size), or a list of sequences; a step with NaN or None does not count. Or (sequence,): what it
                shall output at each sequence's last step.
            target_specs: a `Target` for each of those whose loss is not the inferred one. Yes or no (False and True,
                0 and 1) is "binary"; text, and non-negative whole numbers of an integer type (of any, beside NaN) with
                3 to 10 levels, is "class"; all other numbers are "regression".
            lengths: how many steps of each sequence are real, 1 or more, the others standing behind them; None: all,
                or those of a list of sequences.
            groups: of each sequence, a number or text, equal for those that are not independent of each other.

        Raises:
            InputError: every problem: shapes that do not go together, inputs at a real step that are no numbers,
                values that do not fit their kind or loss.

        >>> steps = [[0.2, -1.0, 0.5], [1.0, 0.3]]
        >>> Batch.make(steps, {"up": [[0, 0, 1], [0, 0]]}, targets={"sum": [[0.2, -0.8, -0.3], [1.0, 1.3]]})
        Batch: 2 sequences of 2 to 3 steps, 1 input, float32 on cpu
          target: sum (regression)
          signal: up (binary, latent)
        """
        values, real = padded_inputs(inputs, lengths)
        mask = torch.arange(values.shape[1]) < real.unsqueeze(1)
        problems: list[str] = []
        found, specs, scored = read_targets(targets, target_specs, mask.numpy(), problems)
        known = read_signals(signals, set(found), mask.numpy(), problems)
        try:
            codes = group_codes(groups, len(values))
        except InputError as error:
            problems += error.problems
        if problems:
            raise InputError(*problems)
        return cls(values, found, specs, real, known, scored, None if codes is None else torch.from_numpy(codes))

    def _told(self) -> Told:
        size = f"{sequences_words(self.lengths, self.inputs.shape[1])}, {many(self.inputs.shape[2], 'input')}"
        specs, signals = self.target_specs, list(self.signals.values())
        lines = [
            f"target{'s' * (len(specs) != 1)}: {listed(f'{named(one.name)} ({one.loss})' for one in specs)}",
            f"signal{'s' * (len(signals) != 1)}: "
            f"{listed(f'{named(name)} ({one.kind}, {one.role})' for name, one in self.signals.items())}",
        ]
        lines += ["sequences are in groups (batch.groups)"] * (self.groups is not None)
        at = dict.fromkeys(self.scored, "some steps")
        rows = [(one.name, one.loss, one.size, one.metric, at.get(one.name, "every real step")) for one in specs]
        about = [(name, one.kind, one.role, one.meaning) for name, one in self.signals.items()]
        tables = [
            SmallTable(("target", "loss", "outputs", "score", "counts at"), rows),
            SmallTable(("signal", "kind", "role", "meaning"), about),
        ]
        return Told(f"Batch: {size}, {tensor_words(self.inputs)}", lines, tables)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def mask(self) -> Bool[Tensor, "sequence time"]:
        """True where a step is real."""
        return torch.arange(self.inputs.shape[1], device=self.lengths.device) < self.lengths.unsqueeze(1)

    def scored_steps(self, target: str) -> Bool[Tensor, "sequence time"]:
        """Return True where a step is real and this target counts."""
        return self.mask & self.scored[target] if target in self.scored else self.mask

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with every tensor changed by `change`."""
        return Batch(
            change(self.inputs),
            {name: change(values) for name, values in self.targets.items()},
            self.target_specs,
            change(self.lengths),
            {name: replace(signal, values=change(signal.values)) for name, signal in self.signals.items()},
            {name: change(steps) for name, steps in self.scored.items()},
            None if self.groups is None else change(self.groups),
        )

    def __getitem__(self, sequences: slice | Tensor) -> "Batch":
        """Return the batch of these sequences alone."""
        return self.map(lambda values: values[sequences])

    def to(self, device: str | torch.device) -> "Batch":
        """Return the batch on another device."""
        return self.map(lambda values: values.to(device))

    def split_outputs(self, outputs: Float[Tensor, "sequence time output"]) -> dict[str, Tensor]:
        """Return each target's own slice of a network's outputs."""
        parts = outputs.split([spec.size for spec in self.target_specs], dim=-1)
        return {spec.name: part for spec, part in zip(self.target_specs, parts)}

    def loss(self, outputs: Float[Tensor, "sequence time output"]) -> Float[Tensor, ""]:
        """Return the mean loss over each target's scored steps, each target weighted alike."""
        parts = self.split_outputs(outputs)
        losses = [spec.losses(parts[spec.name], self.targets[spec.name]) for spec in self.target_specs]
        counts = torch.stack([self.scored_steps(spec.name) for spec in self.target_specs])
        return ((torch.stack(losses) * counts).sum((1, 2)) / counts.sum((1, 2)).clamp(min=1)).mean()

    def statistics(self, outputs: Float[Tensor, "sequence time output"]) -> dict[str, Tensor]:
        """Return, for each target, each sequence's sums for its score, on the CPU (see `Target.statistics`)."""
        parts = self.split_outputs(outputs)
        return {
            spec.name: spec.statistics(parts[spec.name], self.targets[spec.name], self.scored_steps(spec.name)).cpu()
            for spec in self.target_specs
        }

    def scores(self, outputs: Float[Tensor, "sequence time output"]) -> dict[str, float]:
        """Return each target's score between 0 (chance or worse) and 1."""
        statistics = self.statistics(outputs)
        return {spec.name: max(0.0, float(spec.score(statistics[spec.name].sum(0)))) for spec in self.target_specs}
