"""Units wired to lines and to each other by name, before they are put into an LSTM."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.target import Target
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.planted.wiring import SHOWN, Component

GATES = GATE_ORDERS["pytorch"]


@dataclass
class Sum:
    """A weighted sum: of what lines say, of other units' h[t−1] (of h[t] in an output), and a constant.

    Attributes:
        bias: the constant.
        x: weights by the names of lines.
        h: weights by the names of units.
    """

    bias: float = 0.0
    x: dict[str, float] = field(default_factory=dict)
    h: dict[str, float] = field(default_factory=dict)

    def renamed(self, names: Mapping[str, str]) -> "Sum":
        """Return a copy in which some units have other names."""
        return Sum(self.bias, dict(self.x), {names.get(name, name): weight for name, weight in self.h.items()})

    def times(self, factor: float) -> "Sum":
        """Return a copy with everything multiplied."""
        x, h = ({name: factor * weight for name, weight in own.items()} for own in (self.x, self.h))
        return Sum(factor * self.bias, x, h)


@dataclass(frozen=True)
class Held:
    """What a unit holds: c = factor · signal; where it holds several signals at the same steps, c is their sum.

    Attributes:
        signal: its name; None for a unit that holds none.
        factor: of the signal in c.
        when: a signal that says at which steps it is held; None for all.
        value: of that signal, at the steps at which it is held.
    """

    signal: str | None
    factor: float
    when: str | None = None
    value: float = math.nan


@dataclass
class Unit:
    """A unit before it has a place.

    Attributes:
        gates: what its gates are the sigmoid or tanh of, by letter.
        holds: signals; nothing for a unit that remembers nothing of them.
        role: what it was put there for: "holder", "copy", "decoy", "reader", "shut", "constant", "mixture".
        part: the component that it belongs to.
        one: what it shows of a 1; 0 where it holds faint copies of numbers, which are shown as they are.
    """

    gates: dict[str, Sum]
    holds: tuple[Held, ...] = ()
    role: str = "holder"
    part: str = ""
    one: float = SHOWN

    def copied(self, name: str, other: str, role: str) -> "Unit":
        """Return a unit wired as this one, which hears itself where this one, called `name`, does."""
        gates = {letter: own.renamed({name: other}) for letter, own in self.gates.items()}
        return replace(self, gates=gates, role=role)


@dataclass
class Circuit:
    """Lines, units and outputs by name, in order.

    Attributes:
        lines: that the units hear.
        real: those of them that take any real number.
        units: by name.
        outputs: what each target's outputs are the sum of, by the target's name.
        targets: by the same names.
        fragile: of each component, by its name: see `Component.fragile`.
    """

    lines: list[str] = field(default_factory=list)
    real: set[str] = field(default_factory=set)
    units: dict[str, Unit] = field(default_factory=dict)
    outputs: dict[str, list[Sum]] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    fragile: dict[str, float] = field(default_factory=dict)

    def readers(self, unit: str) -> list[Sum]:
        """Return the outputs' sums that read a unit."""
        return [own for rows in self.outputs.values() for own in rows if unit in own.h]

    def told(self, unit: str) -> tuple[str, ...]:
        """Return the signals that a unit which holds none hears of, straight or through others of its kind."""
        found: dict[str, None] = {}
        waiting, seen = [unit], {unit}
        while waiting:
            heard = {name for gate in self.units[waiting.pop()].gates.values() for name in gate.h} - seen
            seen |= heard
            for name in sorted(heard):
                found |= dict.fromkeys(held.signal for held in self.units[name].holds if held.signal)
                if not self.units[name].holds:
                    waiting.append(name)
        return tuple(found)

    def of_part(self, part: str) -> list[str]:
        """Return the names of a component's own units."""
        return [name for name, unit in self.units.items() if unit.part == part]


def circuit_of(components: Iterable[Component]) -> Circuit:
    """Return components side by side: each hears its own lines and its own units."""
    made = Circuit()
    for part in components:
        wiring, names, lines = part.wiring(), list(part.memories), list(part.lines)
        made.lines += [line for line in lines if line not in made.lines]
        made.real |= set(part.real)
        for row, (name, factor) in enumerate(part.memories.items()):
            gates = {
                letter: Sum(
                    float(wiring.bias[k, row]), _named(lines, wiring.x[k, row]), _named(names, wiring.h[k, row])
                )
                for k, letter in enumerate(GATES)
            }
            one = SHOWN if abs(factor) == 1 else 0.0
            holds = Held(name, factor), *(Held(*turn) for turn in part.turns.get(name, ()))
            made.units[name] = Unit(gates, holds, part=part.name, one=one)
        made.outputs[part.name] = [
            Sum(float(bias), h=_named(names, row)) for bias, row in zip(wiring.readout_bias, wiring.readout)
        ]
        made.targets[part.name] = part.target
        made.fragile[part.name] = part.fragile
    return made


def _named(names: Sequence[str], weights: Float[Tensor, " weight"]) -> dict[str, float]:
    return {name: weight for name, weight in zip(names, weights.tolist()) if weight}


def weights_of(sums: Sequence[Sum], names: Sequence[str], what: str) -> Float[Tensor, "sum name"]:
    """Return the weights of sums as a matrix, of "x" or of "h"."""
    places = {name: k for k, name in enumerate(names)}
    made = torch.zeros(len(sums), len(names), dtype=torch.float64)
    for row, own in zip(made, sums):
        for name, weight in getattr(own, what).items():
            row[places[name]] = weight
    return made
