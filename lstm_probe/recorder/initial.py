"""How LSTMs begin: the usual initialisations, drawn anew, and a note on a module of which one it was.

A trained network is compared with untrained ones of its own kind, since what an untrained unit shows depends on how it
begins: forget gates that begin open remember without any training.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.vocabulary import INITS, UNKNOWN

#: The attribute in which an `nn.LSTM` keeps how it began: (initialisation, forget bias).
ORIGIN = "initial_origin"

#: What stands in for a network of unknown origin: initialisations with their forget biases. None: their own.
USUAL: tuple[tuple[str, float | None], ...] = (
    ("torch", 0.0), ("keras", 1.0), ("torch", 1.0), ("torch", 3.0), ("chrono", None), ("keras", 3.0),
)  # fmt: skip

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


def note_origin(lstm: nn.LSTM, init: str = UNKNOWN, forget_bias: float | None = None) -> nn.LSTM:
    """Say of an LSTM how it began; its weights stay as they are.

    The module keeps it, so that the untrained networks with which a recording of it is compared begin the same way.

    Args:
        lstm: the module.
        init: see `initialise`; "unknown" where that is not known.
        forget_bias: likewise; None where the initialisation says it, or nothing does.
    """
    setattr(lstm, ORIGIN, (check_init(init), None if forget_bias is None else float(forget_bias)))
    return lstm


@torch.no_grad()
def initialise(lstm: nn.LSTM, init: str = "torch", forget_bias: float | None = None, steps: int = 100) -> nn.LSTM:
    """Draw an LSTM's weights anew with PyTorch's random numbers, note how it began, and return it.

    - torch: all uniform within ±1/√units, as `nn.LSTM` does.
    - keras: Glorot-uniform input weights and orthogonal recurrent ones, each over all four gates together; biases 0, of
      the forget gates 1 (`keras.layers.LSTM`).
    - tf1: Glorot-uniform over inputs and outputs together; biases 0, of the forget gates 1 (`LSTMCell` of TensorFlow 1,
      which adds that 1 while it runs).
    - orthogonal: recurrent weights orthogonal gate by gate, input weights Glorot-uniform gate by gate; biases 0.
    - chrono: as torch, but biases of the forget gates log u with u uniform from 1 to `steps` − 1, those of the input
      gates the negative of that, and the others 0 (Tallec & Ollivier 2018).

    A projection's weights are drawn as torch does.

    Args:
        lstm: any configuration.
        init: one of these.
        forget_bias: what the forget gates' biases are in place of the initialisation's own (torch: added to them).
        steps: the longest dependence that chrono is to span.

    Raises:
        InputError: no such initialisation; or a forget bias for an LSTM without biases, or for chrono, which draws it.
    """
    check_init(init, unknown=False)
    if forget_bias and not lstm.bias:
        raise InputError(f"forget_bias={forget_bias:g}: this LSTM has no biases")
    if init == "chrono" and not (lstm.bias and forget_bias is None):
        raise InputError("init=chrono: draws the forget gates' biases itself: it needs biases, and no forget_bias")
    lstm.reset_parameters()
    units, named = lstm.hidden_size, dict(lstm.named_parameters())
    own = OWN_FORGET_BIAS.get(init, 0.0) if forget_bias is None else forget_bias
    for name, w_hh in named.items():
        if not name.startswith("weight_hh"):
            continue
        suffix = name.removeprefix("weight_hh")
        _WEIGHTS[init](named["weight_ih" + suffix], w_hh, units)
        if not lstm.bias:
            continue
        b_ih, b_hh = named["bias_ih" + suffix], named["bias_hh" + suffix]
        if init != "torch":
            b_ih.zero_()
            b_hh.zero_()
        if init == "chrono":
            drawn = torch.log(b_ih.new_empty(units).uniform_(1, max(3, steps) - 1))
            b_ih[:units], b_ih[units : 2 * units] = -drawn, drawn
        else:
            b_ih[units : 2 * units] += own
    return note_origin(lstm, init, forget_bias)


def _as_drawn(w_ih: Tensor, w_hh: Tensor, units: int) -> None:
    """Leave the weights as PyTorch drew them."""


def _keras(w_ih: Tensor, w_hh: Tensor, units: int) -> None:
    nn.init.xavier_uniform_(w_ih)
    nn.init.orthogonal_(w_hh)


def _tf1(w_ih: Tensor, w_hh: Tensor, units: int) -> None:
    limit = math.sqrt(6 / (w_ih.shape[1] + w_hh.shape[1] + 4 * units))
    w_ih.uniform_(-limit, limit)
    w_hh.uniform_(-limit, limit)


def _orthogonal(w_ih: Tensor, w_hh: Tensor, units: int) -> None:
    for gate in range(4):
        rows = slice(gate * units, (gate + 1) * units)
        nn.init.xavier_uniform_(w_ih[rows])
        nn.init.orthogonal_(w_hh[rows])


_WEIGHTS: Mapping[str, Callable[[Tensor, Tensor, int], None]] = {
    "torch": _as_drawn, "keras": _keras, "tf1": _tf1, "orthogonal": _orthogonal, "chrono": _as_drawn,
}  # fmt: skip
