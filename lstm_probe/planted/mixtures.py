"""Knobs that let units hold mixtures of several components, in another basis than their own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.seeding import generator
from lstm_probe.planted.circuit import Circuit, Sum, Unit
from lstm_probe.planted.knobs import OF, Knob, free


class _Mixing(Knob):
    """A knob that lets units hold mixtures of two components that only add up."""

    a: str
    b: str

    def mix(self, circuit: Circuit, mixture: Float[Tensor, "unit 2"]) -> None:
        """Put units in the place of the two components' own, each of which holds a row of the mixture.

        The readout takes them apart by the pseudo-inverse.

        Raises:
            InputError: it is one component twice, or one that does more than add up.
        """
        kind, of = type(self).__name__, (self.a, self.b)
        names = [self._unit(circuit, one) for one in of]
        if self.a == self.b:
            raise InputError(f"{kind}: a={self.a}, b={self.b}: must be two components")
        old = [circuit.units[name] for name in names]
        if any(unit.gates[letter].x or unit.gates[letter].h for unit in old for letter in "ifo"):
            raise InputError(f"{kind}: {self.a} and {self.b} must be components that only add up, such as Counter")
        for name in names:
            del circuit.units[name]
        made = [_mixed(circuit, old, row, self.a) for row in mixture.tolist()]
        for name, row in zip(names, torch.linalg.pinv(mixture).tolist()):
            for own in circuit.readers(name):
                weight = own.h.pop(name)
                own.h |= {unit: own.h.get(unit, 0.0) + weight * share for unit, share in zip(made, row)}


def _mixed(circuit: Circuit, old: Sequence[Unit], shares: Sequence[float], part: str) -> str:
    """Put in a unit that adds up shares of what others do; return its name."""
    lines: dict[str, float] = {}
    for share, unit in zip(shares, old):
        for line, weight in unit.gates["g"].x.items():
            lines[line] = lines.get(line, 0.0) + share * weight
    holds = tuple(replace(held, factor=share * held.factor) for share, unit in zip(shares, old) for held in unit.holds)
    name = free(circuit, f"{part}.mixture")
    gates = {letter: old[0].gates[letter] for letter in "ifo"} | {"g": Sum(x=lines)}
    circuit.units[name] = Unit(gates, holds, "mixture", part, one=0.0)
    return name


@dataclass(frozen=True)
class Mixed(_Mixing):
    """Two numbers are held in mixtures by several units, and by none of them alone.

    Every unit counts a mixture of both components' events, with weights drawn at random; the readout takes them apart
    by the mixture's pseudo-inverse. For components that only add up: `Counter`.
    """

    a: str = parameter("a", OF)
    b: str = parameter("b", OF)
    units: int = parameter(4, "how many units hold the mixtures", 2, 100)
    seed: int = parameter(0, "of the mixture", 0, 2**32 - 1)

    def wire(self, circuit: Circuit) -> None:
        mixture = torch.randn(self.units, 2, generator=generator(self.seed, "mixture"), dtype=torch.float64)
        self.mix(circuit, mixture / mixture.norm(dim=1, keepdim=True))


@dataclass(frozen=True)
class Rotated(_Mixing):
    """Two numbers are held by two units in a rotated basis: one holds cos · a + sin · b, the other cos · b − sin · a.

    For components that only add up, `Counter`: a rotated gate would be none.
    """

    a: str = parameter("a", OF)
    b: str = parameter("b", OF)
    degrees: float = parameter(45.0, "of the rotation; at 45 either unit holds as much of both", 0.0, 90.0)

    def wire(self, circuit: Circuit) -> None:
        cos, sin = (own(math.radians(self.degrees)) for own in (math.cos, math.sin))
        self.mix(circuit, torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float64))
