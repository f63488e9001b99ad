"""Running a module with one unit of its LSTM clamped: all others see the clamped value, and continue from it.

A clamp is written into the weights and initial state with which PyTorch's own kernel is called, at every one of its
calls, wherever in the module they happen; so that states, packed sequences, several calls and layers are the module's
own. A gate whose weights are zero is what its bias makes of it: an input gate of 0 and a forget gate of 1 keep a memory
at its initial value.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lstm_probe.core.vocabulary import DIRECTIONS, GATE_ORDERS
from lstm_probe.recorder.exact import WEIGHTS
from lstm_probe.recorder.kernel import Arguments, Recordable, watching

GATES = GATE_ORDERS["pytorch"]
SHUT, OPEN = -1e4, 1e4  # biases whose sigmoids are 0 and 1, exactly, with 16 bits, too


@dataclass(frozen=True)
class Clamp:
    """One unit's variable, held at one value at every step.

    Args:
        layer, direction: where the unit is.
        variable: one of h c i f g o. Clamping c leaves the gates alone; clamping h silences all that the unit shows.
        unit: its number; of h under a projection, the number of the output.
        value: what it is held at.
    """

    layer: int
    direction: str
    variable: str
    unit: int
    value: float


class Calls:
    """Counts the calls of the kernel."""

    made = 0


@contextmanager
def clamping(lstm: Recordable, clamp: Clamp | None) -> Iterator[Calls]:
    """Within this context, `lstm` runs with the clamp, whoever calls it; with None as it is, by the same way.

    Of a unit whose h is clamped, the memory after the last step is NaN: a module that reads it is found out.
    """
    calls = Calls()

    def handle(func: Any, args: tuple[Any, ...]) -> Any:
        calls.made += 1
        if isinstance(lstm, nn.LSTMCell):
            return _clamped_cell(func, args, clamp)
        given = _with_biases(Arguments.of(args))
        return func(*given.args) if clamp is None else _clamped(func, given, clamp)

    with watching(lstm, handle):
        yield calls


def _with_biases(given: Arguments) -> Arguments:
    """Return the same call with biases, of zeros where there were none."""
    if given.bias:
        return given
    each = len(given.weights) // (given.layers * (1 + given.bidirectional))
    weights: list[Tensor] = []
    for k in range(0, len(given.weights), each):
        zeros = given.weights[k].new_zeros(len(given.weights[k]))
        weights += [*given.weights[k : k + 2], zeros, zeros, *given.weights[k + 2 : k + each]]
    return replace(given, weights=weights, bias=True)


def _clamped(func: Any, given: Arguments, clamp: Clamp) -> Any:
    """Run the kernel with a clamp in its weights and initial state."""
    directions = 1 + given.bidirectional
    each = len(given.weights) // (given.layers * directions)
    side = DIRECTIONS.index(clamp.direction) if given.bidirectional else 0
    k = clamp.layer * directions + side
    weights, state = list(given.weights), [one.clone() for one in given.state]
    own = {name: values.clone() for name, values in zip(WEIGHTS, weights[k * each : (k + 1) * each])}
    projected = clamp.variable == "h" and "weight_hr" in own
    if projected:
        # The output is 0 and its value comes by way of biases; the first step still reads the initial h.
        own["weight_hr"][clamp.unit] = 0
        own["bias_ih"] += own["weight_hh"][:, clamp.unit] * clamp.value
        state[0][k, :, clamp.unit] -= clamp.value
        column = side * state[0].shape[-1] + clamp.unit
        for above in range((clamp.layer + 1) * directions, min(clamp.layer + 2, given.layers) * directions):
            w_ih, bias = weights[above * each], weights[above * each + 2]
            weights[above * each + 2] = bias + w_ih[:, column] * clamp.value
    else:
        memory = _clamp_weights(own, clamp)
        if memory is not None:
            state[1][k, :, clamp.unit] = memory
    weights[k * each : (k + 1) * each] = [own[name] for name in WEIGHTS if name in own]
    shown, h, c = func(*replace(given, weights=weights, state=state).args)
    if projected:
        if clamp.layer == given.layers - 1:
            shown[..., column] = clamp.value
        h[k, :, clamp.unit] = clamp.value
    elif clamp.variable == "h":
        c[k, :, clamp.unit] = torch.nan
    return shown, h, c


def _clamped_cell(func: Any, args: tuple[Any, ...], clamp: Clamp | None) -> Any:
    if clamp is None:
        return func(*args)
    x, (h, c), *weights = args
    if weights[2] is None:
        weights[2] = weights[3] = weights[0].new_zeros(len(weights[0]))
    own = {name: values.clone() for name, values in zip(WEIGHTS, weights)}
    memory, c = _clamp_weights(own, clamp), c.clone()
    if memory is not None:
        c[..., clamp.unit] = memory
    h, c = func(x, (h, c), *own.values())
    if clamp.variable == "h":
        c[..., clamp.unit] = torch.nan
    return h, c


def _clamp_weights(own: dict[str, Tensor], clamp: Clamp) -> float | None:
    """Write a clamp into a layer's weights; return the memory that the unit has to begin with, None for its own."""
    units = len(own["weight_ih"]) // 4

    def hold(gate: str, before: float) -> None:
        row = GATES.index(gate) * units + clamp.unit
        own["weight_ih"][row], own["weight_hh"][row] = 0, 0
        own["bias_ih"][row], own["bias_hh"][row] = before, 0

    dtype = own["weight_ih"].dtype
    if clamp.variable in ("c", "h"):
        hold("i", SHUT)
        hold("f", OPEN)
        if clamp.variable == "c":
            return clamp.value
        hold("o", OPEN)
        return _atanh(clamp.value, dtype)
    if clamp.variable == "g":
        hold("g", _atanh(clamp.value, dtype))
    else:
        odds = clamp.value / (1 - clamp.value) if clamp.value < 1 else math.inf
        hold(clamp.variable, min(max(math.log(odds) if odds > 0 else SHUT, SHUT), OPEN))
    return None


def _atanh(value: float, dtype: torch.dtype) -> float:
    most = 1 - torch.finfo(dtype).eps / 2
    return math.atanh(min(max(value, -most), most))


def means(values: Tensor, real: Tensor) -> Sequence[float]:
    """Return each unit's mean over real steps."""
    told: list[float] = values[real].double().mean(0).tolist()
    return told
