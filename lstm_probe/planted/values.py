"""Components that keep numbers: a leaky sum, numbers that are asked for, and the first numbers of a sequence.

The numbers come on lines that take any real number. They are written as 2⁻¹² of themselves, where tanh is so nearly
straight that numbers up to 4 come out again to 2·10⁻⁶ of a unit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.kinds import Signal
from lstm_probe.core.target import Target
from lstm_probe.planted.units import NAME, RATE
from lstm_probe.planted.wiring import SATURATED, SHOWN, STEEP, Component, Wiring
from lstm_probe.tasks.steps import last_seen

#: What a number is written as, for each 1.
FAINT = 2.0**-12

_OPEN = 40.0  # of a gate beside a memory that fades: exp(−40) is nothing in 32 bits


@dataclass(frozen=True)
class Leak(Component):
    """One unit whose memory fades: each step keeps a share of it and adds the line's number.

    The forget gate stands at that share, f = sigmoid(log(keep / (1 − keep))), and the others are open.

    >>> Leak(keep=0.5).truth(torch.tensor([[[1.], [0.], [2.]]]))[0].tolist()
    [[[1.0], [0.5], [2.25]]]
    """

    name: str = parameter("leak", NAME)
    keep: float = parameter(0.8, "share of the memory that a step keeps", 0.01, 0.99)

    fragile = 2.8e-5

    @property
    def lines(self) -> tuple[str, ...]:
        return (f"{self.name}.in",)

    @property
    def real(self) -> tuple[str, ...]:
        return self.lines

    @property
    def memories(self) -> Mapping[str, float]:
        return {self.name: FAINT}

    @property
    def target(self) -> Target:
        return Target(self.name)

    def wiring(self) -> Wiring:
        wiring = Wiring(1, 1, 1)
        wiring.gate("i", _OPEN)
        wiring.gate("f", math.log(self.keep / (1 - self.keep)))
        wiring.gate("g", 0.0, x=FAINT)
        wiring.gate("o", _OPEN)
        wiring.readout += 1 / FAINT
        return wiring

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        return torch.randn(n, length, 1, generator=rng)

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time 1"], dict[str, Signal]]:
        sums = torch.zeros(inputs.shape[:2], dtype=torch.float64)
        kept = torch.zeros(len(inputs), dtype=torch.float64)
        for t, added in enumerate(inputs[..., 0].double().unbind(1)):
            kept = self.keep * kept + added
            sums[:, t] = kept
        values = sums.to(inputs.dtype)
        meaning = f"sum of what came, fading by {1 - self.keep:g} a step"
        return values.unsqueeze(-1), {self.name: Signal(self.name, values, "continuous", "target", meaning)}


class _Numbers(Component):
    """A component that keeps `count` numbers, which come on one line."""

    fragile = 4e-5
    name: str
    count: int
    rate: float

    @property
    def real(self) -> tuple[str, ...]:
        return (f"{self.name}.value",)

    @cached_property
    def _kept(self) -> list[str]:
        return [f"{self.name}.value{k}" for k in range(self.count)]

    def _signals(self, kept: Float[Tensor, "sequence time number"], meaning: str) -> dict[str, Signal]:
        rows = zip(self._kept, kept.unbind(-1))
        return {name: Signal(name, values, "continuous", "latent", meaning) for name, values in rows}

    def _fired(self, n: int, length: int, rng: torch.Generator, lines: int) -> Float[Tensor, "sequence time line"]:
        return (torch.rand(n, length, lines, generator=rng) < self.rate).float()


@dataclass(frozen=True)
class Recall(_Numbers):
    """Units that each keep a number that was written into them, and show it only when they are asked.

    A write opens the unit's input gate and shuts its forget gate; its cue opens the output gate. So c has the number
    at every step, and h only where it is asked for. The output is the sum of the numbers that are asked for.

    >>> recall = Recall(count=1)
    >>> recall.lines
    ('recall.write0', 'recall.cue0', 'recall.value')
    >>> recall.truth(torch.tensor([[[1., 0., 5.], [0., 0., 9.], [0., 1., 9.]]]))[0].tolist()
    [[[0.0], [0.0], [5.0]]]
    """

    name: str = parameter("recall", NAME)
    count: int = parameter(3, "how many numbers, each in a unit of its own", 1, 100)
    rate: float = parameter(0.1, RATE, 0.0, 1.0)

    @property
    def lines(self) -> tuple[str, ...]:
        kinds = [f"{self.name}.{what}{k}" for what in ("write", "cue") for k in range(self.count)]
        return (*kinds, *self.real)

    @property
    def memories(self) -> Mapping[str, float]:
        return dict.fromkeys(self._kept, FAINT)

    @property
    def target(self) -> Target:
        return Target(self.name)

    def wiring(self) -> Wiring:
        n = self.count
        wiring = Wiring(n, 2 * n + 1, 1)
        write = torch.cat([torch.eye(n), torch.zeros(n, n + 1)], dim=1)
        wiring.gate("i", -STEEP / 2, x=STEEP * write)
        wiring.gate("f", STEEP / 2, x=-STEEP * write)
        wiring.gate("o", -STEEP / 2, x=STEEP * write.roll(n, dims=1))
        value = torch.zeros(2 * n + 1)
        value[-1] = FAINT
        wiring.gate("g", 0.0, x=value)
        wiring.readout += 1 / FAINT
        return wiring

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        fired = self._fired(n, length, rng, 2 * self.count)
        return torch.cat([fired, torch.randn(n, length, 1, generator=rng)], dim=-1)

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time 1"], dict[str, Signal]]:
        writes, cues, value = inputs.split([self.count, self.count, 1], dim=-1)
        kept = torch.stack([last_seen(value[..., 0], write > 0) for write in writes.unbind(-1)], dim=-1)
        meaning = "the number that was last written there, 0 before"
        return (cues * kept).sum(-1, keepdim=True), self._signals(kept, meaning)


@dataclass(frozen=True)
class FirstValues(_Numbers):
    """Units that keep the first numbers that are stored, in order, and as many that know which places are taken.

    Place j, its number and its mark alike, is written where

        store + taken_(j−1) − taken_j > 3/2,    for the first place store − taken_0 > 1/2,

    with what was taken before this step. All numbers are shown at every step; a place that is not taken shows 0.

    >>> first = FirstValues(count=2)
    >>> first.lines
    ('first.store', 'first.value')
    >>> first.truth(torch.tensor([[[1., 5.], [0., 7.], [1., 6.], [1., 8.]]]))[0][0].tolist()
    [[5.0, 0.0], [5.0, 0.0], [5.0, 6.0], [5.0, 6.0]]
    """

    name: str = parameter("first", NAME)
    count: int = parameter(3, "how many numbers, each in a unit of its own", 1, 100)
    rate: float = parameter(0.1, RATE, 0.0, 1.0)

    @property
    def lines(self) -> tuple[str, ...]:
        return (f"{self.name}.store", *self.real)

    @property
    def memories(self) -> Mapping[str, float]:
        return dict.fromkeys(self._kept, FAINT) | dict.fromkeys(self._marks, 1.0)

    @cached_property
    def _marks(self) -> list[str]:
        return [f"{self.name}.taken{k}" for k in range(self.count)]

    @property
    def target(self) -> Target:
        return Target(self.name, size=self.count)

    def wiring(self) -> Wiring:
        n = self.count
        wiring = Wiring(2 * n, 2, n)
        marks = (torch.diag(torch.ones(n - 1), -1) - torch.eye(n)) / SHOWN
        hears = torch.cat([torch.zeros(n, n), marks], dim=1).repeat(2, 1)
        needed = torch.full((n,), 1.5)
        needed[0] = 0.5
        store = torch.tensor([1.0, 0.0])
        wiring.gate("i", -STEEP * needed.repeat(2), x=STEEP * store, h=STEEP * hears)
        wiring.gate("f", STEEP * needed.repeat(2), x=-STEEP * store, h=-STEEP * hears)
        wiring.gate("g", torch.tensor([0.0, SATURATED]).repeat_interleave(n),
                    x=torch.tensor([[0.0, FAINT], [0.0, 0.0]]).repeat_interleave(n, dim=0))  # fmt: skip
        wiring.gate("o", SATURATED)
        wiring.readout[:, :n] = torch.eye(n) / FAINT
        return wiring

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        return torch.cat([self._fired(n, length, rng, 1), torch.randn(n, length, 1, generator=rng)], dim=-1)

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time number"], dict[str, Signal]]:
        store, value = inputs[..., 0] > 0, inputs[..., 1]
        stored = store.cumsum(1)
        places: list[Bool[Tensor, "sequence time"]] = [store & (stored == k + 1) for k in range(self.count)]
        kept = torch.stack([last_seen(value, place) for place in places], dim=-1)
        signals = self._signals(kept, "the number that was stored there, 0 before")
        for k, name in enumerate(self._marks):
            taken = (stored > k).to(inputs.dtype)
            signals[name] = Signal(name, taken, "binary", "latent", "1 where there is a number")
        return kept, signals
