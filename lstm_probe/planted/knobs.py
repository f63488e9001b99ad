"""Knobs that spread what is held, or hide it behind others; each rewires a circuit and says what is true then."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.fields import problem
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import generator
from lstm_probe.core.target import Target
from lstm_probe.planted.circuit import Circuit, Sum, Unit
from lstm_probe.planted.wiring import SATURATED, SHOWN, STEEP

Targets = dict[str, Tensor]
Signals = dict[str, Signal]
OF = "the component, by its name"


@dataclass(frozen=True)
class Knob:
    """A change of a circuit. Knobs are applied one after the other, as they are given."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        found = [problem(f"{kind}.{f.name}", f, getattr(self, f.name)) for f in fields(self)]
        if problems := [line for line in found if line]:
            raise InputError(*problems)

    def wire(self, circuit: Circuit) -> None:
        """Rewire a circuit in place.

        Raises:
            InputError: there is no component of that name, or it is not of a kind that this can be done with.
        """

    def truth(self, targets: Targets, signals: Signals) -> None:
        """Change in place what the outputs must be, and what signals there are."""

    def _unit(self, circuit: Circuit, of: str, *, switch: bool = False) -> str:
        """Return the name of a component's only unit.

        Args:
            circuit: that it is in.
            of: the component's name.
            switch: whether what it holds has to be 0 or 1.
        """
        kind = type(self).__name__
        if of not in circuit.outputs:
            raise InputError(f"{kind}: there is no component {of} in the outputs.{nearest(of, list(circuit.outputs))}")
        units = circuit.of_part(of)
        if len(units) != 1:
            raise InputError(f"{kind}: {of} has {len(units)} units; this is for a component of one unit")
        (held,) = circuit.units[units[0]].holds
        if switch and held.factor != 1:
            raise InputError(f"{kind}: {of} holds numbers; this is for one that holds 0 or 1")
        return units[0]


def add_copy(circuit: Circuit, unit: str, role: str) -> str:
    """Put a unit beside another that holds what it holds, and that nobody reads so far; return its name."""
    name = free(circuit, f"{unit}.{role}")
    circuit.units[name] = circuit.units[unit].copied(unit, name, role)
    return name


def free(circuit: Circuit, name: str) -> str:
    """Return a name that no unit has: this one, or with a number behind it."""
    names = (name, *(f"{name}{k}" for k in range(2, 1000)))
    return next(one for one in names if one not in circuit.units)


def threshold(weights: Mapping[str, float], bar: float) -> Unit:
    """Return a unit that is 1 where the weighted sum of what units showed a step ago lies above a bar, else 0.

    It keeps nothing: its forget gate is shut.
    """
    heard = {name: STEEP * weight / SHOWN for name, weight in weights.items()}
    gates = {"i": Sum(-STEEP * bar, h=heard), "f": Sum(-SATURATED), "g": Sum(SATURATED), "o": Sum(SATURATED)}
    return Unit(gates, role="reader")


def later(values: Float[Tensor, "sequence time *rest"]) -> Float[Tensor, "sequence time *rest"]:
    """Return values one step later; 0 at first."""
    return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], dim=1)


def read_instead(circuit: Circuit, unit: str, reader: str) -> None:
    """Let the outputs that read a unit read another one in its place."""
    for own in circuit.readers(unit):
        own.h[reader] = own.h.pop(unit)


@dataclass(frozen=True)
class Redundant(Knob):
    """Several units hold the same: clamping one of them shows little or nothing.

    halves: two copies, each read at half the weight. or: two copies, and a reader that is open where either is 1.
    majority: three, and a reader that is open where any two are 1, so that no single one is needed. What a reader
    shows comes one step late.
    """

    of: str = parameter("latch", OF)
    form: str = parameter("or", "how they are read", choices=("halves", "or", "majority"))

    def wire(self, circuit: Circuit) -> None:
        unit = self._unit(circuit, self.of, switch=self.form != "halves")
        copies = [add_copy(circuit, unit, "copy") for _ in range(2 if self.form == "majority" else 1)]
        if self.form == "halves":
            for own in circuit.readers(unit):
                own.h[unit] /= 2
                own.h[copies[0]] = own.h[unit]
            return
        bar = 1.5 if self.form == "majority" else 0.75
        reader = free(circuit, f"{unit}.reader")
        circuit.units[reader] = threshold(dict.fromkeys([unit, *copies], 1.0), bar)
        read_instead(circuit, unit, reader)

    def truth(self, targets: Targets, signals: Signals) -> None:
        if self.form != "halves":
            targets[self.of] = later(targets[self.of])


@dataclass(frozen=True)
class Behind(Knob):
    """Readers stand between a unit and the output, one behind the other: the readout says nothing of it."""

    of: str = parameter("latch", OF)
    depth: int = parameter(1, "how many readers", 1, 10)

    def wire(self, circuit: Circuit) -> None:
        unit = self._unit(circuit, self.of, switch=True)
        for _ in range(self.depth):
            reader = free(circuit, f"{self.of}.reader")
            circuit.units[reader] = threshold({unit: 1.0}, 0.5)
            read_instead(circuit, unit, reader)
            unit = reader

    def truth(self, targets: Targets, signals: Signals) -> None:
        for _ in range(self.depth):
            targets[self.of] = later(targets[self.of])


@dataclass(frozen=True)
class Xor(Knob):
    """The output is whether exactly one of two components is 1; neither tells anything of it by itself.

    Two readers, for either one without the other, are added up. The two components have no outputs of their own any
    more, and the new one comes one step late.
    """

    a: str = parameter("a", OF)
    b: str = parameter("b", OF)
    name: str = parameter("xor", "of the output")

    def wire(self, circuit: Circuit) -> None:
        if self.a == self.b:
            raise InputError(f"Xor: a={self.a}, b={self.b}: must be two components")
        a, b = (self._unit(circuit, of, switch=True) for of in (self.a, self.b))
        readers = []
        for one, other in ((a, b), (b, a)):
            readers.append(free(circuit, f"{one}.reader"))
            circuit.units[readers[-1]] = threshold({one: 1.0, other: -1.0}, 0.5)
        for of in (self.a, self.b):
            del circuit.outputs[of], circuit.targets[of]
        circuit.outputs[self.name] = [Sum(h=dict.fromkeys(readers, 1 / SHOWN))]
        circuit.targets[self.name] = Target(self.name)

    def truth(self, targets: Targets, signals: Signals) -> None:
        a, b = (targets.pop(of) for of in (self.a, self.b))
        for of in (self.a, self.b):
            signals[of] = replace(signals[of], role="latent")
        targets[self.name] = later((a - b).abs())
        meaning = f"1 if exactly one of {self.a} and {self.b} was 1 a step ago"
        signals[self.name] = Signal(self.name, targets[self.name][..., 0], "binary", "target", meaning)


@dataclass(frozen=True)
class Soft(Knob):
    """A component's gates, and its readers', open and shut at this slope instead of 400, as those of trained networks.

    What it holds is no longer exact. Hard gates have gradients of exactly 0, which is unfair to methods that use them.
    """

    of: str = parameter("latch", OF)
    slope: float = parameter(12.0, "of a gate that decides between 0 and 1", 1.0, 400.0)

    def wire(self, circuit: Circuit) -> None:
        units = circuit.of_part(self.of)
        if not units:
            raise InputError(f"Soft: there is no component {self.of}")
        own = {held.signal for name in units for held in circuit.units[name].holds}
        readers = [name for name, unit in circuit.units.items() if not unit.holds and own & set(circuit.told(name))]
        for name in [*units, *readers]:
            gates = circuit.units[name].gates
            for letter in "ifo":
                if 0 < abs(gates[letter].bias) < SATURATED / 4:
                    raise InputError(f"Soft: {self.of} has gates that stand half open; this is for those that switch")
                gates[letter] = gates[letter].times(self.slope / STEEP)


@dataclass(frozen=True)
class Noisy(Knob):
    """Noise is added to a component's weights, and to those that were 0: it hears a little of every planted unit.

    What a component bears differs by millions: a latch's gates are hundreds wide open, while a count is held in steps
    of 2⁻¹². So the noise is a share of what its output is exact up to (`Component.fragile`).
    """

    of: str = parameter("latch", OF)
    amount: float = parameter(0.5, "of the noise at which its output goes wrong", 0.0, 100.0)
    seed: int = parameter(0, "of the noise", 0, 2**32 - 1)

    def wire(self, circuit: Circuit) -> None:
        if self.of not in circuit.fragile:
            raise InputError(f"Noisy: there is no component {self.of}.{nearest(self.of, list(circuit.fragile))}")
        rng = generator(self.seed, "noise on weights", self.of)
        spread = self.amount * circuit.fragile[self.of]

        def noise() -> float:
            return spread * float(torch.randn((), generator=rng, dtype=torch.float64))

        own = circuit.of_part(self.of)
        gates = [gate for unit in own for gate in circuit.units[unit].gates.values()]
        lines = list(dict.fromkeys(line for gate in gates for line in gate.x))
        for unit in own:
            for letter, gate in circuit.units[unit].gates.items():
                circuit.units[unit].gates[letter] = Sum(
                    gate.bias + noise(), {line: gate.x.get(line, 0.0) + noise() for line in lines},
                    {name: gate.h.get(name, 0.0) + noise() for name in circuit.units},
                )  # fmt: skip
