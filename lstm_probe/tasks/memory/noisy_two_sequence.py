"""The noisy two-sequence problem: signal and noise on one line."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, positions, step_signal


@dataclass(frozen=True)
class NoisyTwoSequence(Task):
    """Say, at the end of a noisy line, which of two classes its first steps showed.

    The first `carriers` steps are +1 for class 1 and −1 for class 0; all others are Gaussian noise around 0
    (Hochreiter & Schmidhuber 1997, task 3a). With `noisy_carriers` the same noise is added to the first steps
    too (task 3b). Both classes are equally likely; the answer counts at the last
    step only. Short sequences among the long ones show the way.

    >>> task = NoisyTwoSequence(carriers=2)
    >>> batch = task.batch(torch.tensor([[-1.0, -1.0, 0.5, -0.25]]), torch.tensor([0]), torch.tensor([4]))
    >>> batch.signals["evidence"].values.tolist(), batch.signals["noise_sum"].values.tolist()
    ([[-1.0, -2.0, -2.0, -2.0]], [[0.0, 0.0, 0.5, 0.25]])
    >>> batch.targets["class"][batch.scored["class"]].tolist()
    [0]
    """

    name = "noisy_two_sequence"
    summary = "what the first steps showed, kept against the noise that follows on the same line"
    source = "Hochreiter & Schmidhuber 1997"
    smallest = Smallest(1, 0.9, 1, 1)

    length: int = parameter(30, "longest sequence, in steps", 2, 100_000)
    min_length: int = parameter(5, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    carriers: int = parameter(3, "steps at the beginning that show the class", 1, 1000)
    variance: float = parameter(0.2, "variance of the noise", 0.0, 100.0)
    noisy_carriers: bool = parameter(False, "whether the first steps are noisy too")

    def __post_init__(self) -> None:
        check_parameters(self)
        shortest = self.min_length or self.length
        if self.carriers >= shortest:
            raise InputError(f"task.carriers={self.carriers}: must be below the shortest sequence, {shortest} steps.")

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("line",)

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("class", "class", size=2),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        classes = torch.randint(2, (n,), generator=rng)
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        line = torch.randn(n, int(lengths.max()), generator=rng) * self.variance**0.5
        told = (2.0 * classes - 1).unsqueeze(1)
        line[:, : self.carriers] = told + line[:, : self.carriers] * self.noisy_carriers
        return self.batch(line, classes, lengths)

    def batch(
        self,
        line: Float[Tensor, "sequence time"],
        classes: Int[Tensor, " sequence"],
        lengths: Int[Tensor, " sequence"],
    ) -> Batch:
        """Return the batch of these lines."""
        step = positions(*line.shape)
        telling = step < self.carriers
        known = classes.unsqueeze(1).expand(step.shape)
        signals = by_name(
            [
                Signal("class", known.float(), "binary", "target", "the class that the first steps show"),
                Signal(
                    "evidence",
                    (line * telling).cumsum(1),
                    "continuous",
                    "latent",
                    "sum of the first steps' values",
                ),
                Signal(
                    "noise_sum",
                    (line * ~telling).cumsum(1),
                    "continuous",
                    "distractor",
                    "sum of the values after them",
                ),
                Signal("line", line, "continuous", "distractor", "the value now shown"),
                Signal("telling", telling.float(), "binary", "nuisance", "1 at the first steps"),
                step_signal(*step.shape),
            ]
        )
        last = step == (lengths - 1).unsqueeze(1)
        return Batch(line.unsqueeze(-1), {"class": known.contiguous()}, self.targets, lengths, signals, {"class": last})
