"""What a clamp is, and how it is written into a layer's weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.vocabulary import DIRECTIONS, GATE_ORDERS

GATES = GATE_ORDERS["pytorch"]
SHUT, OPEN = -1e4, 1e4  # biases whose sigmoids are 0 and 1, exactly, with 16 bits, too

#: One layer's weights in one direction by PyTorch's own names, without the suffix; biases are always there.
Named = dict[str, Tensor]
#: The first step, and the one after the last.
Window = tuple[int, int]


@dataclass(frozen=True)
class Clamp:
    """A variable of some units of one layer, held at other values than their own.

    Args:
        layer, direction: where the units are.
        variable: one of h c i f g o. Clamping c leaves the gates alone; clamping h silences all that a unit shows.
        units: their numbers; of h under a projection, the numbers of outputs.
        values: what each is held at; None for those of another sequence, step by step.
        window: the steps in which that is so, as they stand in the sequence whatever the direction; None for all.
    """

    layer: int
    direction: str
    variable: str
    units: tuple[int, ...]
    values: tuple[float, ...] | None
    window: Window | None = None

    @property
    def throughout(self) -> bool:
        """Return whether constant weights do it: one value for all steps."""
        return self.values is not None and self.window is None

    def side(self, bidirectional: bool) -> int:
        """Return which of the layer's directions that is, counted as the kernel does."""
        return DIRECTIONS.index(self.direction) if bidirectional else 0

    def constants(self, like: Tensor) -> Float[Tensor, " unit"]:
        """Return the values as a tensor of the same type and device."""
        return like.new_tensor(self.values)


def row(gate: str, units: Sequence[int], width: int) -> list[int]:
    """Return the rows of these units in the weights of one gate, of `width` units in all."""
    first = GATES.index(gate) * width
    return [first + unit for unit in units]


def hold_gates(named: Named, gates: Sequence[str], units: Sequence[int], before: Sequence[Sequence[float]]) -> None:
    """Let gates hear nothing; `before` is what stands in them before the sigmoid or tanh, by gate and unit."""
    width = len(named["weight_ih"]) // 4
    rows = [one for gate in gates for one in row(gate, units, width)]
    named["weight_ih"][rows], named["weight_hh"][rows], named["bias_hh"][rows] = 0, 0, 0
    named["bias_ih"][rows] = named["bias_ih"].new_tensor([value for values in before for value in values])


def hold(named: Named, clamp: Clamp) -> Float[Tensor, " unit"] | None:
    """Write a clamp to constants into a layer's weights; return the memory to begin with, None for the units' own.

    Of h without a projection alone.
    """
    assert clamp.values is not None
    units, n = clamp.units, len(clamp.units)
    like = named["bias_ih"]
    if clamp.variable in ("c", "h"):
        hold_gates(named, "if", units, [[SHUT] * n, [OPEN] * n])
        if clamp.variable == "c":
            return clamp.constants(like)
        hold_gates(named, "o", units, [[OPEN] * n])
        return like.new_tensor([inverse_tanh(value, like.dtype) for value in clamp.values])
    if clamp.variable == "g":
        hold_gates(named, "g", units, [[inverse_tanh(value, like.dtype) for value in clamp.values]])
    else:
        hold_gates(named, clamp.variable, units, [[inverse_sigmoid(value) for value in clamp.values]])
    return None


def hear(named: Named, gates: Sequence[str], units: Sequence[int]) -> list[int]:
    """Let gates hear nothing but one further input each, added as it is; return their rows, in that order."""
    nothing = [[0.0] * len(units)] * len(gates)
    hold_gates(named, gates, units, nothing)
    width = len(named["weight_ih"]) // 4
    rows = [one for gate in gates for one in row(gate, units, width)]
    new = named["weight_ih"].new_zeros(4 * width, len(rows))
    new[rows, range(len(rows))] = 1
    named["weight_ih"] = torch.cat([named["weight_ih"], new], dim=1)
    return rows


def inverse_tanh(value: float, dtype: torch.dtype) -> float:
    """Return what has this tanh; of 1 and more, the largest whose tanh is not 1."""
    most = 1 - torch.finfo(dtype).eps / 2
    return math.atanh(min(max(value, -most), most))


def inverse_sigmoid(value: float) -> float:
    """Return what has this sigmoid."""
    odds = value / (1 - value) if value < 1 else math.inf
    return min(max(math.log(odds) if odds > 0 else SHUT, SHUT), OPEN)
