"""Signal and Batch: sequences, and what is known to be true of them at every step."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from lstm_probe.core.target import Target

Kind = Literal["continuous", "binary", "categorical", "circular"]
Role = Literal["target", "latent", "distractor", "nuisance"]

#: The largest angle: those of 32 bits may be a little beyond a full circle.
FULL_CIRCLE = 2 * math.pi + 1e-5


@dataclass(frozen=True)
class Signal:
    """A named ground-truth variable with a value at every step of every sequence; NaN where it is not labelled.

    A circular one is an angle in radians, −2π to 2π.
    """

    name: str
    values: Shaped[Tensor, "sequence time"]
    kind: Kind = "continuous"
    role: Role = "latent"
    meaning: str = ""


@dataclass(frozen=True)
class Batch:
    """Sequences, padded after their ends, with everything known about them.

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
        """Return, for each target, each sequence's sums for its score (see `Target.statistics`)."""
        parts = self.split_outputs(outputs)
        return {
            spec.name: spec.statistics(parts[spec.name], self.targets[spec.name], self.scored_steps(spec.name))
            for spec in self.target_specs
        }

    def scores(self, outputs: Float[Tensor, "sequence time output"]) -> dict[str, float]:
        """Return each target's score between 0 (chance or worse) and 1."""
        statistics = self.statistics(outputs)
        return {spec.name: max(0.0, float(spec.score(statistics[spec.name].sum(0)))) for spec in self.target_specs}
