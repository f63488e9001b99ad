"""The adding problem: the sum of two marked numbers among many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_below, draw_lengths, last_seen, positions, step_signal


@dataclass(frozen=True)
class Adding(Task):
    """Output, at the last step, the sum of the two marked values (Hochreiter & Schmidhuber 1997).

    Values are uniform in [0, 1]; one step of the first half is marked and one of the second, each equally
    likely. The best constant guess, 1, has a mean squared error of 1/6.

    >>> values = torch.tensor([[0.5, 0.25, 0.75, 1.0]])
    >>> batch = Adding(length=4).batch(values, torch.tensor([[1, 3]]), torch.tensor([4]))
    >>> batch.signals["sum"].values.tolist(), batch.signals["marks"].values.int().tolist()
    ([[0.0, 0.25, 0.25, 1.25]], [[0, 1, 1, 2]])
    >>> batch.targets["sum"][batch.scored["sum"]].tolist()
    [[1.25]]
    """

    name = "adding"
    summary = "the sum of two marked numbers among many"
    source = "Hochreiter & Schmidhuber 1997"
    smallest = Smallest(1, 1.2, 1, 1)
    result: ClassVar[tuple[str, str]] = ("sum", "sum of the marked values so far")

    length: int = parameter(20, "longest sequence, in steps", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)

    def __post_init__(self) -> None:
        check_parameters(self, shortest=2)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("value", "mark")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target(self.result[0]),)

    @staticmethod
    def combined(
        values: Float[Tensor, "sequence time"], marks: Float[Tensor, "sequence time"]
    ) -> Float[Tensor, "sequence time"]:
        """Return what the values marked so far (marks are 0 or 1) come to."""
        return (values * marks).cumsum(1)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        values = torch.rand(n, int(lengths.max()), generator=rng)
        half = lengths // 2
        marked = torch.stack([draw_below(half, rng), half + draw_below(lengths - half, rng)], dim=1)
        return self.batch(values, marked, lengths)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        # Two values are marked in any sequence; of more, the rule says nothing.
        result = self.combined(inputs[..., 0], inputs[..., 1])
        result = result.masked_fill(inputs[..., 1].cumsum(1) > 2, float("nan"))
        return {self.result[0]: result.unsqueeze(-1)}

    def batch(
        self,
        values: Float[Tensor, "sequence time"],
        marked: Int[Tensor, "sequence 2"],
        lengths: Int[Tensor, " sequence"],
    ) -> Batch:
        """Return the batch of these values with these two steps marked."""
        step = positions(*values.shape)
        first, second = (step == marked[:, k : k + 1] for k in range(2))
        marks = (first | second).float()
        name, meaning = self.result
        result = self.combined(values, marks)
        signals = by_name(
            [
                Signal(name, result, "continuous", "target", meaning),
                Signal(
                    "first",
                    last_seen(values, first),
                    "continuous",
                    "latent",
                    "the first marked value; 0 before it",
                ),
                Signal("second", last_seen(values, second), "continuous", "latent", "the second; 0 before it"),
                Signal("marks", marks.cumsum(1), "categorical", "latent", "marks so far"),
                Signal("value", values, "continuous", "distractor", "the value now shown"),
                Signal("total", values.cumsum(1), "continuous", "distractor", "sum of all values, marked or not"),
                step_signal(*step.shape),
            ]
        )
        last = step == (lengths - 1).unsqueeze(1)
        inputs = torch.stack([values, marks], dim=-1)
        return Batch(inputs, {name: result.unsqueeze(-1)}, self.targets, lengths, signals, {name: last})
