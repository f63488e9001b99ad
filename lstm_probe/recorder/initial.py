"""How LSTMs begin: the usual initialisations, drawn anew, and a note on a module of which one it was.

A trained network is compared with untrained ones of its own kind, since what an untrained unit shows depends on how it
begins: forget gates that begin open remember without any training.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.vocabulary import INITS, UNKNOWN

Module = TypeVar("Module", nn.LSTM, nn.GRU, nn.RNN, GatedRNN, nn.RNNBase | GatedRNN)

#: The attribute in which a recurrent module keeps how it began: (initialisation, forget bias).
ORIGIN = "initial_origin"

#: What stands in for a network of unknown origin: initialisations with their forget biases. None: their own.
USUAL: tuple[tuple[str, float | None], ...] = (
    ("torch", 0.0), ("keras", 1.0), ("torch", 1.0), ("torch", 3.0), ("chrono", None), ("keras", 3.0),
)  # fmt: skip

#: Of cells without a forget gate of their own: GRUs, plain networks.
USUAL_WITHOUT = ("torch", "keras", "orthogonal")

#: Of initialisations that fix it: what the forget gates' biases begin at.
OWN_FORGET_BIAS = {"torch": 0.0, "keras": 1.0, "tf1": 1.0, "orthogonal": 0.0}


def check_init(init: str, *, unknown: bool = True) -> str:
    """Return the initialisation; an InputError if there is none of this name."""
    legal = [name for name in INITS if unknown or name != UNKNOWN]
    if init not in legal:
        raise InputError(f"init={init}: must be one of {' '.join(legal)}.{nearest(str(init), legal)}")
    return init


def origin_of(lstm: nn.Module) -> tuple[str, float | None]:
    """Return how a module began, as far as it says: its initialisation and forget bias."""
    init, forget_bias = getattr(lstm, ORIGIN, (UNKNOWN, None))
    return init, forget_bias


def note_origin(lstm: Module, init: str = UNKNOWN, forget_bias: float | None = None) -> Module:
    """Say of an LSTM how it began; its weights stay as they are.

    The module keeps it, so that the untrained networks with which a recording of it is compared begin the same way.

    Args:
        lstm: the module.
        init: see `initialise`; "unknown" where that is not known.
        forget_bias: likewise; None where the initialisation says it, or nothing does.
    """
    setattr(lstm, ORIGIN, (check_init(init), None if forget_bias is None else float(forget_bias)))
    return lstm


def check_beginning(cell: Cell, init: str, forget_bias: float | None, bias: bool = True) -> None:
    """Raise the InputErrors of `initialise` for layers of a cell, with biases or without."""
    check_init(init, unknown=False)
    if forget_bias and not bias:
        raise InputError(f"forget_bias={forget_bias:g}: this {cell.title} has no biases")
    if forget_bias and cell.keeps not in cell.blocks:
        raise InputError(f"forget_bias={forget_bias:g}: {cell.a_title} has no forget gate of its own")
    if init == "chrono" and not (bias and forget_bias is None):
        raise InputError("init=chrono: draws the forget gates' biases itself: it needs biases, and no forget_bias")
    if init == "chrono" and not {"i", "f"} <= {*cell.blocks}:
        raise InputError(f"init=chrono: draws biases of input and forget gates, and {cell.a_title} has not both")


@torch.no_grad()
def initialise(lstm: Module, init: str = "torch", forget_bias: float | None = None, steps: int = 100) -> Module:
    """Draw a recurrent module's weights anew with PyTorch's random numbers, note how it began, and return it.

    - torch: all uniform within ±1/√units, as `nn.LSTM` does.
    - keras: Glorot-uniform input weights and orthogonal recurrent ones, each over all four gates together; biases 0, of
      the forget gates 1 (`keras.layers.LSTM`).
    - tf1: Glorot-uniform over inputs and outputs together; biases 0, of the forget gates 1 (`LSTMCell` of TensorFlow 1,
      which adds that 1 while it runs).
    - orthogonal: recurrent weights orthogonal gate by gate, input weights Glorot-uniform gate by gate; biases 0.
    - chrono: as torch, but biases of the forget gates log u with u uniform from 1 to `steps` − 1, those of the input
      gates the negative of that, and the others 0 (Tallec & Ollivier 2018).

    A projection's weights are drawn as torch does, and what a cell has beside matrices and biases as the module does.
    Of another cell the forget gate is the one that keeps (`Cell.keeps`): z of a GRU, whose bias begins at 0 unless
    `forget_bias` is given. Without one there is none, and neither keras nor tf1 begins it at 1.

    Args:
        lstm: any configuration, of any cell.
        init: one of these.
        forget_bias: what the forget gates' biases are in place of the initialisation's own (torch: added to them).
        steps: the longest dependence that chrono is to span.

    Raises:
        InputError: no such initialisation; a forget bias for a module without biases or without a gate that keeps;
            or chrono with one, or without input and forget gates.
    """
    cell: Cell = cell_of(lstm)
    check_beginning(cell, init, forget_bias, bool(lstm.bias))
    lstm.reset_parameters()
    units, named = lstm.hidden_size, dict(lstm.named_parameters())
    usual = OWN_FORGET_BIAS.get(init, 0.0) if "f" in cell.blocks and cell.keeps == "f" else 0.0
    own = usual if forget_bias is None else forget_bias
    rows = {gate: slice(k * units, (k + 1) * units) for k, gate in enumerate(cell.blocks)}
    for name, w_hh in named.items():
        if not name.startswith("weight_hh"):
            continue
        suffix = name.removeprefix("weight_hh")
        _WEIGHTS[init](named["weight_ih" + suffix], w_hh, len(cell.blocks))
        if not lstm.bias:
            continue
        b_ih, b_hh = named["bias_ih" + suffix], named["bias_hh" + suffix]
        if init != "torch":
            b_ih.zero_()
            b_hh.zero_()
        if init == "chrono":
            drawn = torch.log(b_ih.new_empty(units).uniform_(1, max(3, steps) - 1))
            b_ih[rows["i"]], b_ih[rows["f"]] = -drawn, drawn
        elif own:
            b_ih[rows[cell.keeps or ""]] += own
    return note_origin(lstm, init, forget_bias)


def _as_drawn(w_ih: Tensor, w_hh: Tensor, blocks: int) -> None:
    """Leave the weights as PyTorch drew them."""


def _keras(w_ih: Tensor, w_hh: Tensor, blocks: int) -> None:
    nn.init.xavier_uniform_(w_ih)
    nn.init.orthogonal_(w_hh)


def _tf1(w_ih: Tensor, w_hh: Tensor, blocks: int) -> None:
    limit = math.sqrt(6 / (w_ih.shape[1] + w_hh.shape[1] + len(w_hh)))
    w_ih.uniform_(-limit, limit)
    w_hh.uniform_(-limit, limit)


def _orthogonal(w_ih: Tensor, w_hh: Tensor, blocks: int) -> None:
    for read, heard in zip(w_ih.chunk(blocks), w_hh.chunk(blocks)):
        nn.init.xavier_uniform_(read)
        nn.init.orthogonal_(heard)


_WEIGHTS: Mapping[str, Callable[[Tensor, Tensor, int], None]] = {
    "torch": _as_drawn, "keras": _keras, "tf1": _tf1, "orthogonal": _orthogonal, "chrono": _as_drawn,
}  # fmt: skip
