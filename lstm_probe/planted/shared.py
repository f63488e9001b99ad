"""Components that hear each other's lines, so that what they hold correlates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.target import Target
from lstm_probe.planted.wiring import Component, Wiring


@dataclass(frozen=True)
class Hearing(Component):
    """A component some of whose lines are lines of other components.

    What two components make of one line correlates, though each is held by a unit of its own. What the line says is
    drawn by the component that comes first.

    Args:
        component: which.
        lines_of: for lines of the component, by name, the names of those that it hears in their place.

    >>> from lstm_probe.planted import Latch
    >>> both = Hearing(Latch(name="other"), {"other.set": "latch.set"})
    >>> both.name, both.lines
    ('other', ('latch.set', 'other.reset'))
    """

    component: Component
    lines_of: Mapping[str, str]

    def __post_init__(self) -> None:
        if unknown := [name for name in self.lines_of if name not in self.component.lines]:
            raise InputError(f"Hearing: {self.component.name} has no line {unknown[0]}; "
                             f"it has {', '.join(self.component.lines)}")  # fmt: skip
        if len(set(self.lines)) < len(self.lines):
            raise InputError(f"Hearing: {self.component.name} would hear one line twice: {', '.join(self.lines)}")

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.component.name

    @property
    def fragile(self) -> float:  # type: ignore[override]
        return self.component.fragile

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self.lines_of.get(name, name) for name in self.component.lines)

    @property
    def real(self) -> tuple[str, ...]:
        return tuple(self.lines_of.get(name, name) for name in self.component.real)

    @property
    def memories(self) -> Mapping[str, float]:
        return self.component.memories

    @property
    def turns(self) -> Mapping[str, Sequence[tuple[str, float, str, float]]]:
        return self.component.turns

    @property
    def target(self) -> Target:
        return self.component.target

    def wiring(self) -> Wiring:
        return self.component.wiring()

    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        return self.component.draw(n, length, rng)

    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time output"], dict[str, Signal]]:
        return self.component.truth(inputs)
