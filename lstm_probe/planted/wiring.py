"""What hand-built units are made of: gates wide open or tight shut, and what a component says of itself."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import problem
from lstm_probe.core.kinds import Signal
from lstm_probe.core.target import Target
from lstm_probe.core.vocabulary import GATE_ORDERS

#: The least size of a gate's pre-activation. In float32 the sigmoid then is exactly 1 or, since e^-200 is
#: smaller than any number of 32 bits, exactly 0; in float64 it is within 1e-86. So nothing leaks, however
#: long the sequence.
SATURATED = 200.0

#: The slope of a gate that decides at a half, between whole numbers: ±1/2 becomes ±SATURATED.
STEEP = 2 * SATURATED

#: What an open unit shows of a memory of 1.
SHOWN = math.tanh(1.0)


class Wiring:
    """The weights of a component's own units, gates in PyTorch's order; all zero until set.

    Attributes:
        x: what multiplies the component's own input lines, (gate, unit, line).
        h: what multiplies the component's own units' h[t-1], (gate, unit, unit).
        bias: (gate, unit).
        readout: what the outputs make of the units' h, (output, unit).
        readout_bias: (output).
    """

    def __init__(self, units: int, lines: int, outputs: int) -> None:
        self.x = torch.zeros(4, units, lines)
        self.h = torch.zeros(4, units, units)
        self.bias = torch.zeros(4, units)
        self.readout = torch.zeros(outputs, units)
        self.readout_bias = torch.zeros(outputs)

    def gate(self, letter: str, bias: Any, x: Any = 0.0, h: Any = 0.0) -> None:
        """Set one gate of all units; numbers and tensors are broadcast over units."""
        k = GATE_ORDERS["pytorch"].index(letter)
        self.bias[k], self.x[k], self.h[k] = (torch.as_tensor(values) for values in (bias, x, h))


class Component(ABC):
    """Some units that together keep something, their input lines and their output.

    A component is a frozen dataclass with a `name`, which begins the names of its lines and signals. Its
    units listen to its lines and to each other, and to nothing else.
    """

    name: str
    #: The standard deviation of noise on its weights at which its score falls to 0.9, over 40 steps, in half of the
    #: networks.
    fragile: ClassVar[float] = 75.0

    def __post_init__(self) -> None:
        kind = type(self).__name__
        known = fields(self)  # type: ignore[arg-type]  # every component is a dataclass
        found = [problem(f"{kind}.{f.name}", f, getattr(self, f.name)) for f in known]
        problems = [line for line in found if line]
        if problems:
            raise InputError(*problems)

    @property
    @abstractmethod
    def lines(self) -> tuple[str, ...]:
        """Return the names of its input lines."""

    @property
    def real(self) -> tuple[str, ...]:
        """Return those of its lines that take any real number; the others take 0 and 1."""
        return ()

    @property
    @abstractmethod
    def memories(self) -> Mapping[str, float]:
        """Return for each unit, in order, the signal that it holds and the factor: c = factor · signal."""

    @property
    def turns(self) -> Mapping[str, Sequence[tuple[str, float, str, float]]]:
        """Return what units hold at some steps only, beside that: by the signal that the unit holds at every step,
        rows of another signal, its factor, the signal that says when, and the value of that at these steps.
        """
        return {}

    @property
    @abstractmethod
    def target(self) -> Target:
        """Return what its outputs are."""

    @abstractmethod
    def wiring(self) -> Wiring:
        """Return its weights."""

    @abstractmethod
    def draw(self, n: int, length: int, rng: torch.Generator) -> Float[Tensor, "sequence time line"]:
        """Return what its lines say in `n` sequences of `length` steps, drawn with `rng` alone."""

    @abstractmethod
    def truth(
        self, inputs: Float[Tensor, "sequence time line"]
    ) -> tuple[Float[Tensor, "sequence time output"], dict[str, Signal]]:
        """Return what its outputs must be, and its signals, for what its lines say."""
