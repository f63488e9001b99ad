"""Knobs that put units beside a component that look as if they mattered, and signals that look as if they were held."""

import math
from dataclasses import dataclass, replace

import torch

from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.seeding import generator
from lstm_probe.planted.circuit import Circuit, Sum, Unit
from lstm_probe.planted.knobs import OF, Knob, Signals, Targets, add_copy, free, threshold
from lstm_probe.planted.wiring import SATURATED, SHOWN


@dataclass(frozen=True)
class Cancel(Knob):
    """Two copies are read with opposite weights: clamping one of them costs, clamping both costs nothing."""

    of: str = parameter("latch", OF)
    weight: float = parameter(3.0, "how many times the weight of the unit itself", 0.01, 100.0)

    def wire(self, circuit: Circuit) -> None:
        unit = self._unit(circuit, self.of)
        one, other = (add_copy(circuit, unit, "copy") for _ in range(2))
        for own in circuit.readers(unit):
            own.h[one], own.h[other] = self.weight * own.h[unit], -self.weight * own.h[unit]


@dataclass(frozen=True)
class Decoy(Knob):
    """An exact copy that nobody reads."""

    of: str = parameter("latch", OF)

    def wire(self, circuit: Circuit) -> None:
        add_copy(circuit, self._unit(circuit, self.of), "decoy")


@dataclass(frozen=True)
class Shut(Knob):
    """A copy that never shows what it holds, however large the weight is that reads it."""

    of: str = parameter("latch", OF)
    weight: float = parameter(3.0, "how many times the weight of the unit itself", 0.01, 100.0)

    def wire(self, circuit: Circuit) -> None:
        unit = self._unit(circuit, self.of)
        name = add_copy(circuit, unit, "shut")
        circuit.units[name].gates["o"] = Sum(-SATURATED)
        for own in circuit.readers(unit):
            own.h[name] = self.weight * own.h[unit]


@dataclass(frozen=True)
class DeadEnd(Knob):
    """A copy that is heard by a reader alone, which never opens, however large the weight is that reads it."""

    of: str = parameter("latch", OF)
    weight: float = parameter(3.0, "how many times the weight of the unit itself", 0.01, 100.0)

    def wire(self, circuit: Circuit) -> None:
        unit = self._unit(circuit, self.of, switch=True)
        name = add_copy(circuit, unit, "decoy")
        reader = free(circuit, f"{unit}.shut")
        circuit.units[reader] = replace(threshold({name: 1.0}, 0.5), role="shut")
        circuit.units[reader].gates["o"] = Sum(-SATURATED)
        for own in circuit.readers(unit):
            own.h[reader] = self.weight * own.h[unit]


@dataclass(frozen=True)
class Constants(Knob):
    """Two units that never change are read with opposite weights: they are needed, both of them or neither."""

    of: str = parameter("latch", OF)
    weight: float = parameter(5.0, "of either, where each of them shows 1", 0.01, 100.0)

    def wire(self, circuit: Circuit) -> None:
        unit = self._unit(circuit, self.of)
        for sign in (1, -1):
            name = free(circuit, f"{unit}.constant")
            gates = {letter: Sum(-SATURATED if letter == "f" else SATURATED) for letter in "ifgo"}
            circuit.units[name] = Unit(gates, role="constant")
            for own in circuit.readers(unit):
                own.h[name] = sign * self.weight / SHOWN


@dataclass(frozen=True)
class LookAlike(Knob):
    """A signal that nobody holds, and that agrees with what a component holds: a correlation, and nothing else.

    Of 0 and 1 it says the other one at some steps, each by itself; to numbers it adds noise, so that the squared
    correlation with them is the agreement.
    """

    of: str = parameter("latch", OF)
    agreement: float = parameter(0.9, "share of steps, or of the variance, in which it agrees", 0.0, 1.0)
    name: str = parameter("alike", "of the signal")
    seed: int = parameter(0, "of where it differs", 0, 2**32 - 1)

    def wire(self, circuit: Circuit) -> None:
        self._unit(circuit, self.of)

    def truth(self, targets: Targets, signals: Signals) -> None:
        held = signals[self.of]
        rng = generator(self.seed, "look-alike", *held.values.shape)
        if held.kind == "binary":
            flipped = torch.rand(held.values.shape, generator=rng) >= self.agreement
            values = torch.where(flipped, 1 - held.values, held.values)
        else:
            noise = torch.randn(held.values.shape, generator=rng)
            spread = held.values.std() * math.sqrt(1 / max(self.agreement, 1e-6) - 1)
            values = held.values + spread * noise
        signals[self.name] = replace(held, name=self.name, values=values, role="distractor",
                                     meaning=f"looks like {self.of}, and is held by no unit")  # fmt: skip
