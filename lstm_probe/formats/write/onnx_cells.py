"""What of a cell ONNX's LSTM, GRU and RNN operators have: attributes, and weights in their order of blocks."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_probe.cells.activations import activation
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRUStep, RNNStep
from lstm_probe.cells.lstm import LSTMStep
from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError
from lstm_probe.formats.read.onnx_cells import ACTIVATIONS, BLOCKS, OWN_PEEPHOLES, PEEPHOLES
from lstm_probe.formats.write.arrays import as_array, layer_weights, suffixes

_NAMES = {own: (name, usual) for name, (own, usual) in ACTIVATIONS.items()}


@dataclass(frozen=True)
class Held:
    """A cell as ONNX has it: the operator, and its attributes."""

    operator: str
    attributes: dict[str, Any] = field(default_factory=dict)


def held(cell: Cell, directions: int) -> Held:
    """Return the operator that is a cell.

    Raises:
        InputError: none is.
    """
    step, given = cell.step, dict[str, Any]()
    names: tuple[str, ...]
    usual: tuple[str, ...]
    if isinstance(step, LSTMStep) and ({*cell.blocks} == {*"ifgo"} or step.coupled == "i"):
        operator, names = "LSTM", (step.gates, step.input, step.output)
        given, usual = {"input_forget": 1} if step.coupled else {}, ("sigmoid", "tanh", "tanh")
    elif isinstance(step, GRUStep):
        operator, names, usual = "GRU", (step.gates, step.input), ("sigmoid", "tanh")
        given = {} if step.before else {"linear_before_reset": 1}
    elif isinstance(step, RNNStep):
        operator, names, usual = "RNN", (step.input,), ("tanh",)
    else:
        raise InputError(f"format=onnx: ONNX has no {cell.title}; format=pytorch has")
    given |= {} if step.clip is None else {"clip": step.clip}
    return Held(operator, given if names == usual else given | _activations(cell, names, directions))


def _activations(cell: Cell, names: tuple[str, ...], directions: int) -> dict[str, Any]:
    """Return the attributes that say activations, and their numbers in the order in which they are used up."""
    told: list[tuple[str, tuple[float, ...]]] = []
    for name in names:
        base = name.split(":")[0]
        if base == "linear":
            told.append(("Affine", (1.0, 0.0)))
            continue
        if base not in _NAMES:
            raise InputError(f"format=onnx: no {base} in ONNX's LSTM, GRU and RNN, and this {cell.title} has it")
        word, usual = _NAMES[base]
        numbers = activation(name).numbers
        if base in ("affine", "scaled_tanh"):
            usual = (1.0, 0.0 if base == "affine" else 1.0)
        told.append((word, (*numbers, *(x for x in usual[len(numbers) :] if x is not None))))
    attributes: dict[str, Any] = {"activations": [word for word, _ in told] * directions}
    for k, key in enumerate(("alpha", "beta")):
        values = [numbers[k] for _, numbers in told if len(numbers) > k]
        attributes |= {f"activation_{key}": values * directions} if values else {}
    return attributes


def stored(layers: Layers, cell: Cell, operator: str, k: int) -> dict[str, np.ndarray]:
    """Return W, R, and B and P where there are any, of a layer in all its directions; a coupled gate's rows are 0."""

    def blocks(name: str) -> list[np.ndarray]:
        made = []
        for array in layer_weights(layers, name, k, "pytorch", orders={"pytorch": cell.blocks}):
            own = dict(zip(cell.blocks, np.split(array.T, len(cell.blocks))))
            zero = np.zeros_like(own[cell.blocks[0]])
            made.append(np.concatenate([own.get(block, zero) for block in BLOCKS[operator]]))
        return made

    arrays = {"W": np.stack(blocks("weight_ih")), "R": np.stack(blocks("weight_hh"))}
    if layers.bias:
        arrays["B"] = np.stack([np.concatenate(pair) for pair in zip(blocks("bias_ih"), blocks("bias_hh"))])
    if "peephole" in cell.extra:
        rows = [OWN_PEEPHOLES.index(gate) for gate in PEEPHOLES]
        own = [as_array(layers.get_parameter(f"peephole_l{k}{s}"))[rows].ravel() for s in suffixes(layers)]
        arrays["P"] = np.stack(own)
    return arrays
