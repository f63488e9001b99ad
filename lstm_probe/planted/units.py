"""Components of one unit each: a counter, a latch, a parity bit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.kinds import Kind, Signal
from lstm_probe.core.target import Target
from lstm_probe.planted.wiring import SATURATED, SHOWN, STEEP, Component, Wiring
from lstm_probe.tasks.steps import latest_step

RATE = "probability that each of its lines fires in a step"
NAME = "of the signal, and the beginning of its lines' names"


class Events(Component):
    """A component of one unit; its lines are 1 where an event happens and 0 elsewhere, each by itself."""

    rate: float
    _events: tuple[str, ...]
    _kind: Kind
    _meaning: str

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{event}" for event in self._events)

    @property
    def memories(self) -> Mapping[str, float]:
        return {self.name: 1.0}

    @property
    def target(self) -> Target:
        return Target(self.name)

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        return (torch.rand(n, length, len(self._events), generator=rng) < self.rate).float()

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time 1"], dict[str, Signal]]:
        values = self.values(inputs)
        signal = Signal(self.name, values, self._kind, "target", self._meaning)
        return values.unsqueeze(-1), {self.name: signal}

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        """Return the signal for these events."""
        raise NotImplementedError


@dataclass(frozen=True)
class Counter(Events):
    """One unit that counts: c = step · (ups minus downs).

    Nothing is forgotten (f = 1), everything is written (i = 1), and the cell input is ±step for an up or a
    down. With the default step of 2^-12 float32 adds up without rounding, and tanh(c) still is so nearly
    straight that the readout of a count of 1,000 is 2 % off. With a larger step the counts stay right in c,
    while h bends sooner.

    >>> Counter().values(torch.tensor([[[1., 0.], [1., 0.], [0., 1.], [1., 1.]]])).tolist()
    [[1.0, 2.0, 1.0, 1.0]]
    """

    name: str = parameter("count", NAME)
    rate: float = parameter(0.15, RATE, 0.0, 1.0)
    step: float = parameter(2**-12, "how much c grows for an up", 2**-20, 0.99)

    fragile = 8e-6
    _events = ("up", "down")
    _kind = "continuous"
    _meaning = "ups minus downs so far"

    @property
    def memories(self) -> Mapping[str, float]:
        return {self.name: self.step}

    def wiring(self) -> Wiring:
        wiring = Wiring(1, 2, 1)
        for letter in "ifo":
            wiring.gate(letter, SATURATED)
        one = math.atanh(self.step)
        wiring.gate("g", 0.0, x=[one, -one])
        wiring.readout += 1 / self.step
        return wiring

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        return (inputs[..., 0] - inputs[..., 1]).cumsum(1)


@dataclass(frozen=True)
class Latch(Events):
    """One unit that is 1 since a set and 0 since a reset, and 0 at first; where both happen, the reset wins.

    Either event empties the memory (f = 0); a set without a reset writes the cell input, which always is 1.

    >>> Latch().values(torch.tensor([[[0., 0.], [1., 0.], [0., 0.], [1., 1.]]])).tolist()
    [[0.0, 1.0, 1.0, 0.0]]
    """

    name: str = parameter("latch", NAME)
    rate: float = parameter(0.1, RATE, 0.0, 1.0)

    _events = ("set", "reset")
    _kind = "binary"
    _meaning = "1 if the latest of set and reset was a set"

    def wiring(self) -> Wiring:
        wiring = Wiring(1, 2, 1)
        wiring.gate("i", -STEEP / 2, x=[STEEP, -STEEP])
        wiring.gate("f", STEEP / 2, x=-STEEP)
        wiring.gate("g", SATURATED)
        wiring.gate("o", SATURATED)
        wiring.readout += 1 / SHOWN
        return wiring

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        return (latest_step(inputs[..., 0] > 0) > latest_step(inputs[..., 1] > 0)).float()


@dataclass(frozen=True)
class Parity(Events):
    """One unit that is 1 after an odd number of flips and 0 after an even number.

    Exclusive-or needs a product, and a unit has two. A flip empties the memory (f = 0), and writes 1 into it
    (g = 1) only if it was empty before: the input gate sees the flip and the unit's own h[t-1], which is 0 or
    tanh(1),

        i = sigmoid(400 · (flip − h[t-1] / tanh(1) − 1/2)).

    So one unit is enough, although training seldom finds it with fewer than several.

    >>> Parity().values(torch.tensor([[[1.], [0.], [1.], [1.]]])).tolist()
    [[1.0, 1.0, 0.0, 1.0]]
    """

    name: str = parameter("parity", NAME)
    rate: float = parameter(0.1, RATE, 0.0, 1.0)

    fragile = 85.0
    _events = ("flip",)
    _kind = "binary"
    _meaning = "1 after an odd number of flips"

    def wiring(self) -> Wiring:
        wiring = Wiring(1, 1, 1)
        wiring.gate("i", -STEEP / 2, x=STEEP, h=-STEEP / SHOWN)
        wiring.gate("f", STEEP / 2, x=-STEEP)
        wiring.gate("g", SATURATED)
        wiring.gate("o", SATURATED)
        wiring.readout += 1 / SHOWN
        return wiring

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        return inputs[..., 0].cumsum(1) % 2
