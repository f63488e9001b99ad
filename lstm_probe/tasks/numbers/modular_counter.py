"""Modular counter: where on a circle does one stand after steps back and forth?"""

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
from lstm_probe.tasks.steps import by_name, draw_lengths, one_hot, padded, step_signal

MOVES = ("back", "stay", "on")


@dataclass(frozen=True)
class ModularCounter(Task):
    """Say after every move on which of `modulus` places of a circle one stands, from place 0 on.

    The three moves (one place back, none, one on) are equally likely. Asked at the end only, this is the
    cycle navigation of Delétang and others (2023).

    >>> batch = ModularCounter(modulus=3).batch(torch.tensor([[1, 1, 1, 0, -1, -1]]), torch.tensor([6]))
    >>> batch.signals["place"].values.tolist()
    [[1, 2, 0, 0, 2, 1]]
    """

    name = "modular_counter"
    summary = "the position on a circle after steps back and forth"
    source = "after Delétang and others 2023"
    smallest = Smallest(6, 2.7, 4, 10)

    modulus: int = parameter(5, "number of places", 2, 64)
    length: int = parameter(20, "longest sequence, in moves", 2, 100_000)
    min_length: int = parameter(0, "shortest sequence; 0: all are as long as the longest", 0, 100_000)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return MOVES

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("place", "class", size=self.modulus),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        lengths = draw_lengths(self.min_length, self.length, n, rng)
        return self.batch(torch.randint(-1, 2, (n, int(lengths.max())), generator=rng), lengths)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        return self.batch(inputs.argmax(-1) - 1, lengths).targets

    def batch(self, moves: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these moves: −1, 0 or 1."""
        count = moves.cumsum(1)
        place = count % self.modulus
        signals = by_name(
            [
                Signal("place", place, "categorical", "target", f"net moves modulo {self.modulus}"),
                Signal("net", count.float(), "continuous", "distractor", "net moves, not modulo anything"),
                Signal(
                    "moves",
                    moves.abs().cumsum(1).float(),
                    "continuous",
                    "distractor",
                    "moves so far, either way",
                ),
                step_signal(*moves.shape),
            ]
        )
        inputs = one_hot(padded(moves + 1, lengths), len(MOVES))
        return Batch(inputs, {"place": place}, self.targets, lengths, signals)
