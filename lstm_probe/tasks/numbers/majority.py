"""Majority: have there been more ones than zeros?"""

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
from lstm_probe.tasks.steps import by_name, draw_lengths, one_hot, padded, step_signal


@dataclass(frozen=True)
class Majority(Task):
    """Say after every bit whether there have been more ones than zeros. Bits are independent of each other.

    A counter read through a threshold: the network is never asked for the count itself. A tie is no majority.

    >>> batch = Majority().batch(torch.tensor([[1, 0, 0, 1, 1]]).bool(), torch.tensor([5]))
    >>> batch.signals["lead"].values.int().tolist(), batch.signals["majority"].values.int().tolist()
    ([[1, 0, -1, 0, 1]], [[1, 0, 0, 0, 1]])
    """

    name = "majority"
    summary = "have there been more ones than zeros?"
    source = "this project"
    smallest = Smallest(1, 0.6, 1, 1)

    length: int = parameter(20, "longest sequence, in bits", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    rate: float = parameter(0.5, "probability of a one", 0.01, 0.99)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("zero", "one")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("majority", "multilabel"),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        return self.batch(torch.rand(n, int(lengths.max()), generator=rng) < self.rate, lengths)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        return self.batch(inputs[..., 1] > 0, lengths).targets

    def batch(self, bits: Bool[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these bits."""
        lead = (2 * bits.long() - 1).cumsum(1)
        majority = (lead > 0).float()
        signals = by_name(
            [
                Signal("majority", majority, "binary", "target", "1 where there have been more ones than zeros"),
                Signal("lead", lead.float(), "continuous", "latent", "ones minus zeros so far"),
                Signal(
                    "tie",
                    (lead == 0).float(),
                    "binary",
                    "latent",
                    "1 where there have been as many ones as zeros",
                ),
                Signal("ones", bits.cumsum(1).float(), "continuous", "distractor", "ones so far"),
                step_signal(*bits.shape),
            ]
        )
        inputs = one_hot(padded(bits.long(), lengths), 2)
        return Batch(inputs, {"majority": majority.unsqueeze(-1)}, self.targets, lengths, signals)
