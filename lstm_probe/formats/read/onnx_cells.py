"""ONNX's LSTM, GRU and RNN nodes as cells: activations, peepholes, coupled gates, clipping, and the order of blocks.

The operators: https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and onnx__RNN.html.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lstm_probe.cells.activations import shortest
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import gru, rnn
from lstm_probe.cells.lstm import lstm
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.formats.build import Arrays

_SHARED = ("X", "W", "R", "B", "sequence_lens", "initial_h")
#: The operators, and what their inputs are, in their order.
INPUTS = {"LSTM": (*_SHARED, "initial_c", "P"), "GRU": _SHARED, "RNN": _SHARED}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
#: The order in which W, R and B stack their blocks of rows, in our letters.
BLOCKS: dict[str, tuple[str, ...]] = {"LSTM": GATE_ORDERS["onnx"], "GRU": ("z", "r", "n"), "RNN": ("h",)}
#: Likewise of P, and in our weight `peephole`.
PEEPHOLES, OWN_PEEPHOLES = ("i", "o", "f"), ("i", "f", "o")
_USUAL = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
#: Activations by ONNX's names: ours, whether they take alpha and beta, and the numbers where none are given.
ACTIVATIONS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "Relu": ("relu", ()), "Tanh": ("tanh", ()), "Sigmoid": ("sigmoid", ()), "Softsign": ("softsign", ()),
    "Softplus": ("softplus", ()), "Affine": ("affine", (None, None)), "ScaledTanh": ("scaled_tanh", (None, None)),
    "LeakyRelu": ("leaky_relu", (0.01,)), "ThresholdedRelu": ("thresholded_relu", (1.0,)), "Elu": ("elu", (1.0,)),
    "HardSigmoid": ("hard_sigmoid", (0.2, 0.5)),
}  # fmt: skip


def cell_of_node(operator: str, attributes: Mapping[str, Any], directions: int, peepholes: bool) -> Cell:
    """Return what the units of a node are.

    Args:
        operator: "LSTM", "GRU" or "RNN".
        attributes: of the node.
        directions: how many it has.
        peepholes: whether it has some that are not all zero.

    Raises:
        InputError: what no cell here does.
    """
    problems, usual = [], _USUAL[operator]
    clip = _whole(attributes["clip"]) if "clip" in attributes else None
    if clip is not None and not clip > 0:
        problems.append(f"clip={clip:g}: must be above 0")
    names = [_text(name) for name in attributes.get("activations", usual * directions)]
    if len(names) != len(usual) * directions:
        problems.append(f"activations {' '.join(names)}: must be {len(usual)} for each direction")
    numbers = [[float(x) for x in attributes.get(f"activation_{key}", ())] for key in ("alpha", "beta")]
    try:
        made = list(_activations(names, numbers))
    except InputError as error:
        raise InputError(*problems, *str(error).splitlines()) from error
    each = [tuple(made[k * len(usual) : (k + 1) * len(usual)]) for k in range(directions)]
    if len(set(each)) > 1:
        problems.append(f"activations {' '.join(made)} differ between its two directions, which no one module has")
    if problems:
        raise InputError(*problems)
    if operator == "RNN":
        return rnn(input=each[0][0], clip=clip)
    if operator == "GRU":
        gates, input = each[0]
        return gru(gates=gates, input=input, reset_before=not attributes.get("linear_before_reset"), clip=clip)
    gates, input, output = each[0]
    coupled = "i" if attributes.get("input_forget") else ""
    return lstm(gates=gates, input=input, output=output, peepholes=peepholes, coupled=coupled, clip=clip)


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _whole(number: float) -> float:
    """Return a number that a file has in 32 bits as it was meant: 0.2, not 0.20000000298."""
    return float(str(np.float32(number)))


def _activations(names: list[str], numbers: list[list[float]]) -> Iterator[str]:
    """Go through activations by our names; each takes the next numbers of those that are given, if it takes any."""
    known = {name.lower(): (name, *rest) for name, rest in ACTIVATIONS.items()}
    left = [iter(each) for each in numbers]
    for name in names:
        if name.lower() not in known:
            raise InputError(f"activation {name}: is not one of ONNX's, {' '.join(ACTIVATIONS)}")
        whole, own, usual = known[name.lower()]
        told = [next(each, number) for each, number in zip(left, usual)]
        if None in told:
            raise InputError(f"activation {whole}: needs activation_alpha and activation_beta, which have no default")
        words = [shortest(_whole(number)) for number in told if number is not None]
        if whole == "Affine" and [float(word) for word in words] == [1, 0]:
            yield "linear"
        else:
            yield own if tuple(map(float, words)) == usual else ":".join([own, *words])


def arrays_of(where: str, operator: str, cell: Cell, stored: Mapping[str, np.ndarray], directions: int) -> list[Arrays]:
    """Return a node's weights in each direction.

    Args:
        where: what to call it in an error.
        operator: "LSTM", "GRU" or "RNN".
        cell: what its units are.
        stored: W (direction, blocks x units, feature), R (direction, blocks x units, unit), and where there are any
            B (direction, 2 x blocks x units) and P (direction, 3 x units).
        directions: how many.

    Raises:
        InputError: arrays of other shapes.
    """
    order = BLOCKS[operator]
    shapes = {"W": (3, len(order)), "R": (3, len(order)), "B": (2, 2 * len(order)), "P": (2, 3)}
    for role, array in stored.items():
        rank, blocks = shapes[role]
        if array.ndim != rank or array.shape[0] != directions or array.shape[1] % blocks:
            raise InputError(f"{where}: {role} of shape {array.shape} is no {operator}'s")
    made = []
    for d in range(directions):
        b_ih, b_hh = np.split(stored["B"][d], 2) if "B" in stored else (None, None)
        more = {}
        if "peephole" in cell.extra:
            by_gate = dict(zip(PEEPHOLES, np.split(stored["P"][d], 3)))
            more["peephole"] = np.stack([by_gate[gate] for gate in OWN_PEEPHOLES])
        made.append(Arrays(
            _rows(stored["W"][d], order, cell), _rows(stored["R"][d], order, cell),
            None if b_ih is None else _rows(b_ih, order, cell), None if b_hh is None else _rows(b_hh, order, cell),
            more=more,
        ))  # fmt: skip
    return made


def _rows(array: np.ndarray, order: tuple[str, ...], cell: Cell) -> np.ndarray:
    """Return the blocks of rows that a cell has, in its own order; a coupled gate's are not used."""
    blocks = dict(zip(order, np.split(array, len(order))))
    return np.concatenate([blocks[name] for name in cell.blocks])
