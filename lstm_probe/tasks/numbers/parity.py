"""Parity: has there been an odd number of ones?"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, step_signal, steps_since


@dataclass(frozen=True)
class Parity(Task):
    """Say after every bit whether the number of ones so far is odd. Bits are independent of each other.

    >>> batch = Parity().batch(torch.tensor([[1, 0, 1, 1, 0]]).bool(), torch.tensor([5]))
    >>> batch.signals["parity"].values.int().tolist()
    [[1, 1, 0, 1, 1]]
    """

    name = "parity"
    summary = "has there been an odd number of ones?"
    source = "Minsky & Papert 1969; here at every step"
    smallest = Smallest(1, 0.6, 1, 1)

    length: int = parameter(20, "longest sequence, in bits", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    rate: float = parameter(0.5, "probability of a one", 0.01, 0.99)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("bit",)

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("parity", "multilabel"),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        return self.batch(torch.rand(n, int(lengths.max()), generator=rng) < self.rate, lengths)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        return self.batch(inputs[..., 0] > 0, lengths).targets

    def batch(self, bits: Bool[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these bits."""
        ones = bits.cumsum(1)
        parity = (ones & 1).float()
        signals = by_name(
            [
                Signal("parity", parity, "binary", "target", "1 after an odd number of ones"),
                Signal("ones", ones.float(), "continuous", "distractor", "ones so far"),
                Signal("since", steps_since(bits).float(), "continuous", "distractor", "steps since the last one"),
                step_signal(*bits.shape),
            ]
        )
        return Batch(bits.float().unsqueeze(-1), {"parity": parity.unsqueeze(-1)}, self.targets, lengths, signals)
