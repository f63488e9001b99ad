"""A declared cell as a class of Keras with its settings, where Keras has one that computes the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lstm_probe.cells.activations import activation
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRUStep, RNNStep
from lstm_probe.cells.lstm import LSTMStep
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.formats.gates import GRU_ORDERS, Orders

#: Activations that Keras 3 calls the same.
_SAME = (
    "sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "elu", "selu", "exponential", "relu6", "silu", "gelu",
    "mish", "log_sigmoid", "hard_tanh", "hard_silu", "tanh_shrink", "hard_shrink", "soft_shrink", "squareplus",
)  # fmt: skip
#: What alpha is, where Keras has a layer of that name and none is said.
_LAYERS = {"leaky_relu": ("LeakyReLU", "negative_slope", 0.01), "elu": ("ELU", "alpha", 1.0)}
SLOPE = 1 / 6  # of Keras 3's hard_sigmoid


@dataclass(frozen=True)
class Held:
    """What Keras has for a cell.

    Args:
        kind: its class.
        name: of its layers in a file.
        settings: that make it this cell.
        orders: how each framework stacks its blocks.
        scales: by how much the rows of these blocks are multiplied, so that another slope of hard_sigmoid comes out.
        two_biases: whether it keeps that of the inputs and that of h apart.
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    orders: Orders
    scales: Mapping[str, float] = field(default_factory=dict)
    two_biases: bool = False


def held(cell: Cell) -> Held:
    """Return what Keras has for a cell.

    Raises:
        InputError: Keras has none that computes the same.
    """
    step = cell.step
    if isinstance(step, LSTMStep):
        odd = ["Keras's LSTM has no peepholes"] * step.peepholes
        odd += ["Keras's LSTM has no limits before its activations"] * (step.clip is not None)
        if len(cell.blocks) < 4:
            odd.append("Keras's LSTM has input, forget and output gates with weights of their own, unlike this one")
        if step.input != step.output:
            odd.append(f"Keras's LSTM has one activation for its cell input and its memory, not {step.input} and "
                       f"{step.output}")  # fmt: skip
        gates, scales = _gates(step.gates, "ifo")
        settings = {"activation": _written(step.input), "recurrent_activation": gates}
        made = Held("LSTM", "lstm", settings, GATE_ORDERS, scales)
    elif isinstance(step, GRUStep):
        odd = ["Keras's GRU has no limits before its activations"] * (step.clip is not None)
        gates, scales = _gates(step.gates, "rz")
        settings = {"activation": _written(step.input), "recurrent_activation": gates, "reset_after": not step.before}
        made = Held("GRU", "gru", settings, GRU_ORDERS, scales, two_biases=not step.before)
    elif isinstance(step, RNNStep):
        odd = ["Keras's SimpleRNN has no limits before its activation"] * (step.clip is not None)
        made = Held("SimpleRNN", "rnn", {"activation": _written(step.input)}, {"pytorch": ("h",), "keras": ("h",)})
    else:
        odd, made = [f"Keras has no {cell.title}, but LSTM, GRU and SimpleRNN"], None
    if odd or made is None:
        raise InputError(*(f"format=keras: {why}; the weights are in its state_dict()" for why in odd))
    return made


def _gates(name: str, blocks: str) -> tuple[Any, dict[str, float]]:
    """Return what Keras calls the gates' activation, and by how much their rows are multiplied for it."""
    base, *numbers = name.split(":")
    if base != "hard_sigmoid":
        return _written(name), {}
    alpha, beta = (*activation(name).numbers, *(0.2, 0.5)[len(numbers) :])
    if beta != 0.5 or alpha <= 0:
        raise InputError(f"format=keras: its hard_sigmoid is x / 6 + 0.5, and no weights make {name} of it")
    return "hard_sigmoid", {} if alpha == SLOPE else dict.fromkeys(blocks, alpha / SLOPE)


def _written(name: str) -> Any:
    """Return what Keras 3 calls an activation: a word, or a layer that has its number."""
    base, *numbers = name.split(":")
    if base in _SAME and not numbers:
        return base
    if base in _LAYERS and len(numbers) < 2:
        kind, key, usual = _LAYERS[base]
        settings = {key: float(numbers[0]) if numbers else usual}
        return {"module": "keras.layers", "class_name": kind, "config": settings, "registered_name": None}
    if base == "hard_sigmoid" and activation(name).numbers == (SLOPE, 0.5):
        return base
    more = ", and its hard_sigmoid is x / 6 + 0.5" if base == "hard_sigmoid" else ""
    raise InputError(f"format=keras: Keras 3 has no {name}; it has {' '.join(_SAME)} leaky_relu{more}")
