"""Components that keep what came when: the steps since an event, and which of two events came first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.kinds import Signal
from lstm_probe.planted.units import NAME, RATE, Events
from lstm_probe.planted.wiring import SATURATED, SHOWN, STEEP, Wiring
from lstm_probe.tasks.steps import steps_since


@dataclass(frozen=True)
class Since(Events):
    """One unit that holds how many steps ago its event last happened, up to a cap: c = step · steps.

    An event empties the memory (f = 0) and writes nothing (i = 0). Any other step adds one, until the input gate,
    which sees the unit's own h[t-1], finds the cap reached:

        i = sigmoid(slope · (middle − h[t-1]) − shut · event),

    where the middle lies between what the unit shows of the cap and of one less. Before the first event the steps
    since the beginning are counted, the first as 1.

    >>> Since(cap=3).values(torch.tensor([[[0.], [1.], [0.], [0.], [0.], [0.]]])).tolist()
    [[1.0, 0.0, 1.0, 2.0, 3.0, 3.0]]
    """

    name: str = parameter("since", NAME)
    rate: float = parameter(0.1, RATE, 0.0, 1.0)
    cap: int = parameter(20, "what it stops at", 1, 1000)
    step: float = parameter(2**-12, "how much c grows in a step", 2**-14, 2**-4)

    fragile = 7e-5
    _events = ("tick",)
    _kind = "continuous"
    _meaning = "steps since the last tick, or since the beginning, up to the cap"

    @property
    def memories(self) -> Mapping[str, float]:
        return {self.name: self.step}

    def wiring(self) -> Wiring:
        wiring = Wiring(1, 1, 1)
        below, at = (math.tanh(self.step * count) for count in (self.cap - 1, self.cap))
        middle, slope = (below + at) / 2, STEEP / (at - below)
        wiring.gate("i", slope * middle, x=-(slope * middle + SATURATED), h=-slope)
        wiring.gate("f", STEEP / 2, x=-STEEP)
        wiring.gate("g", math.atanh(self.step))
        wiring.gate("o", SATURATED)
        wiring.readout += 1 / self.step
        return wiring

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        return steps_since(inputs[..., 0] > 0).clamp(max=self.cap).float()


@dataclass(frozen=True)
class Compare(Events):
    """Two units that keep whether the first a came before the first b; where both come at once, it did not.

    One of them keeps whether there was a b. The other one is 1 from an a on, if there was none and none comes with it:
    i is open where a − b − seen > 1/2, and f is shut there, so that it is written once.

    >>> Compare().values(torch.tensor([[[0., 0.], [1., 0.], [0., 1.]], [[0., 1.], [1., 0.], [0., 0.]]])).tolist()
    [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """

    name: str = parameter("compare", NAME)
    rate: float = parameter(0.03, RATE, 0.0, 1.0)

    _events = ("a", "b")
    _kind = "binary"
    _meaning = "1 if the first a came before the first b"

    @property
    def memories(self) -> Mapping[str, float]:
        return {self.name: 1.0, f"{self.name}.seen": 1.0}

    def wiring(self) -> Wiring:
        wiring = Wiring(2, 2, 1)
        hears = torch.tensor([[0.0, 1.0], [0.0, 0.0]]) / SHOWN
        first = torch.tensor([[1.0, -1.0], [0.0, 1.0]])
        wiring.gate("i", -STEEP / 2, x=STEEP * first, h=-STEEP * hears)
        wiring.gate("f", STEEP / 2, x=-STEEP * first, h=STEEP * hears)
        wiring.gate("g", SATURATED)
        wiring.gate("o", SATURATED)
        wiring.readout[:, 0] = 1 / SHOWN
        return wiring

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time 1"], dict[str, Signal]]:
        values, signals = super().truth(inputs)
        seen = inputs[..., 1].cummax(1).values
        name = f"{self.name}.seen"
        return values, signals | {name: Signal(name, seen, "binary", "latent", "1 from the first b on")}

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        a, b = (inputs[..., line].cumsum(1) > 0 for line in (0, 1))
        # The first a counts while there is no b yet, and none with it.
        return (a & ~b).cummax(1).values.float()
