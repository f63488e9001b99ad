"""A component whose memory moves from unit to unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.kinds import Signal
from lstm_probe.planted.units import NAME, RATE, Events, Latch
from lstm_probe.planted.wiring import SATURATED, SHOWN, STEEP, Wiring

#: tanh of this is 1 in 32 bits, and what rounding leaves of a difference of such numbers is as good as 0.
ONE = 20.0


@dataclass(frozen=True)
class Drift(Events):
    """A latch that two units hold in turn: neither tells by itself what is held, both together do at every step.

    A third unit keeps whose turn it is, and each move changes that: what is held is written into the other unit, and
    the one that had it is emptied. For unit A, with what was shown a step ago,

        i: 2 set − 4 reset + move + B > 3/2      f: set + reset + move < 1/2      g: 1 − turn of B + move > 0,

    and for B likewise with its own turn. Where it is the other's turn, what a set writes is 0 to 2·10⁻⁶.

    A move never comes at the same step as a set or a reset.

    >>> drift = Drift()
    >>> drift.values(torch.tensor([[[1., 0., 0.], [0., 0., 1.], [0., 1., 0.]]])).tolist()
    [[1.0, 1.0, 0.0]]
    """

    name: str = parameter("drift", NAME)
    rate: float = parameter(0.1, RATE, 0.0, 1.0)

    fragile = 0.13
    _events = ("set", "reset", "move")
    _kind = "binary"
    _meaning = "1 if the latest of set and reset was a set"

    @property
    def memories(self) -> Mapping[str, float]:
        return {f"{self.name}.a": 1.0, f"{self.name}.b": 1.0, f"{self.name}.turn": 1.0}

    @property
    def turns(self) -> Mapping[str, Sequence[tuple[str, float, str, float]]]:
        turn = f"{self.name}.turn"
        return {f"{self.name}.{unit}": [(self.name, 1.0, turn, value)] for unit, value in (("a", 0.0), ("b", 1.0))}

    def wiring(self) -> Wiring:
        wiring = Wiring(3, 3, 1)
        write = torch.tensor([[2.0, -4.0, 1.0], [2.0, -4.0, 1.0], [-1.0, -1.0, 1.0]])
        hears = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]) / SHOWN
        wiring.gate("i", -STEEP * torch.tensor([1.5, 1.5, 0.5]), x=STEEP * write, h=STEEP * hears)
        empty = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]])
        wiring.gate("f", STEEP / 2, x=-STEEP * empty)
        moved = torch.tensor([0.0, 0.0, ONE])
        turn = torch.tensor([[0.0, 0.0, -ONE], [0.0, 0.0, ONE], [0.0, 0.0, 0.0]]) / SHOWN
        wiring.gate("g", torch.tensor([ONE, 0.0, ONE]), x=moved, h=turn)
        wiring.gate("o", SATURATED)
        wiring.readout[:, :2] = 1 / SHOWN
        return wiring

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        fired = super().draw(n, length, rng)
        fired[..., 2] *= fired[..., :2].sum(-1) == 0
        return fired

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time 1"], dict[str, Signal]]:
        values, signals = super().truth(inputs)
        turn = inputs[..., 2].cumsum(1) % 2
        held = {"a": signals[self.name].values * (1 - turn), "b": signals[self.name].values * turn, "turn": turn}
        meanings = {"a": "what is held, in one's turn", "b": "what is held, in the other's turn", "turn": "whose turn"}
        for what, own in held.items():
            name = f"{self.name}.{what}"
            signals[name] = Signal(name, own, "binary", "latent", meanings[what])
        return values, signals

    def values(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time"]:
        both = (inputs[..., 2] > 0) & (inputs[..., :2].sum(-1) > 0)
        if both.any():
            sequence, step = both.nonzero()[0].tolist()
            raise InputError(f"inputs: {self.name}.move at sequence {sequence}, step {step} comes with a set or reset")
        return Latch().values(inputs[..., :2])
