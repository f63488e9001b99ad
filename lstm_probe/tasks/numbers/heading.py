"""Heading: which way does one face after turns to the left and to the right?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, draw_lengths, step_signal


@dataclass(frozen=True)
class Heading(Task):
    """Output, after every turn, sine and cosine of the heading: the sum of all turns, from 0 on.

    Turns are normal with mean 0 and the standard deviation `turn`, in radians: path integration as of head direction
    cells (Cueva & Wei 2018). The heading is an angle, the only circular signal of the catalogue.

    >>> batch = Heading().batch(torch.tensor([[1.0, 3.0, -0.5]]), torch.tensor([3]))
    >>> [round(value, 2) for value in batch.signals["heading"].values[0].tolist()]
    [1.0, -2.28, -2.78]
    """

    name = "heading"
    summary = "the direction one faces after turns left and right"
    source = "after Cueva & Wei 2018"
    smallest = Smallest(7, 3.5, 5, 10)

    length: int = parameter(20, "longest sequence, in turns", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)
    turn: float = parameter(0.5, "standard deviation of a turn, in radians", 0.01, 3.0)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("turn",)

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("heading", size=2),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        return self.batch(self.turn * torch.randn(n, int(lengths.max()), generator=rng), lengths)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        return self.batch(inputs[..., 0], lengths).targets

    def batch(self, turns: Float[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these turns, in radians."""
        net = turns.cumsum(1)
        heading = torch.remainder(net + math.pi, 2 * math.pi) - math.pi
        signals = by_name(
            [
                Signal("heading", heading, "circular", "target", "sum of all turns, as an angle"),
                Signal("net", net, "continuous", "latent", "sum of all turns, full circles counted"),
                Signal("turned", turns.abs().cumsum(1), "continuous", "distractor", "turned so far, either way"),
                step_signal(*turns.shape),
            ]
        )
        target = torch.stack([net.sin(), net.cos()], dim=-1)
        return Batch(turns.unsqueeze(-1), {"heading": target}, self.targets, lengths, signals)
