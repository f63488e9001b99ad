"""Activations by name, with numbers of their own where they have some: "tanh", "hard_sigmoid", "leaky_relu:0.1"."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from lstm_probe.core.errors import InputError, nearest


def _hard_sigmoid(x: Tensor, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


def _softsign(x: Tensor) -> Tensor:
    return x / (1 + x.abs())


def shortest(number: float) -> str:
    """Return a number in as few digits as tell it from others of its type, without the plus sign that options have.

    >>> shortest(3.0), shortest(1e22), shortest(0.1)
    ('3', '1e22', '0.1')
    """
    return str(number).removesuffix(".0").replace("e+", "e")


@dataclass(frozen=True)
class Activation:
    """An activation.

    Attributes:
        name: as it was asked for, its numbers included.
        function: of a tensor, element by element.
        low, high: the ends of its range; None where there is none.
    """

    name: str
    function: Callable[..., Tensor]
    numbers: tuple[float, ...]
    low: float | None
    high: float | None

    def __call__(self, x: Tensor) -> Tensor:
        """Return what it makes of x."""
        made: Tensor = self.function(x, *self.numbers)
        return made


#: The function, the ends of its range, and how many numbers it takes, by name.
_KNOWN: dict[str, tuple[Callable[..., Tensor], float | None, float | None, int]] = {
    "sigmoid": (torch.sigmoid, 0, 1, 0),
    "tanh": (torch.tanh, -1, 1, 0),
    "relu": (torch.relu, 0, None, 0),
    "linear": (lambda x: x, None, None, 0),
    "softsign": (_softsign, -1, 1, 0),
    "softplus": (functional.softplus, 0, None, 0),
    "elu": (lambda x, alpha=1.0: functional.elu(x, alpha), -1, None, 1),
    "selu": (functional.selu, None, None, 0),
    "exponential": (torch.exp, 0, None, 0),
    "relu6": (functional.relu6, 0, 6, 0),
    "silu": (functional.silu, None, None, 0),
    "gelu": (functional.gelu, None, None, 0),
    "mish": (functional.mish, None, None, 0),
    "log_sigmoid": (functional.logsigmoid, None, 0, 0),
    "hard_tanh": (functional.hardtanh, -1, 1, 0),
    "hard_silu": (functional.hardswish, None, None, 0),
    "tanh_shrink": (functional.tanhshrink, None, None, 0),
    "hard_shrink": (functional.hardshrink, None, None, 0),
    "soft_shrink": (functional.softshrink, None, None, 0),
    "squareplus": (lambda x: (x + (x * x + 4).sqrt()) / 2, 0, None, 0),
    "hard_sigmoid": (_hard_sigmoid, 0, 1, 2),
    "affine": (lambda x, alpha=1.0, beta=0.0: alpha * x + beta, None, None, 2),
    "scaled_tanh": (lambda x, alpha=1.0, beta=1.0: alpha * torch.tanh(beta * x), None, None, 2),
    "leaky_relu": (lambda x, alpha=0.01: torch.where(x >= 0, x, alpha * x), None, None, 1),
    "thresholded_relu": (lambda x, alpha=1.0: torch.where(x > alpha, x, torch.zeros_like(x)), 0, None, 1),
}


@lru_cache
def activation(name: str) -> Activation:
    """Return an activation.

    Args:
        name: one of those known, and its numbers after colons. "hard_sigmoid" is that of Keras before version 3 and of
            ONNX, 0.2 x + 0.5 between 0 and 1; that of Keras 3 is "hard_sigmoid:0.16666666666666666:0.5".

    Raises:
        InputError: none of this name, or other numbers than it takes.
    """
    base, *numbers = name.split(":")
    if base not in _KNOWN:
        raise InputError(f"activation {name}: must be one of {' '.join(sorted(_KNOWN))}.{nearest(base, list(_KNOWN))}")
    function, low, high, takes = _KNOWN[base]
    try:
        told = tuple(float(number) for number in numbers)
    except ValueError as error:
        raise InputError(f"activation {name}: what follows a colon must be a number") from error
    if len(told) > takes:
        raise InputError(f"activation {name}: {base} takes {takes} numbers")
    if told and base == "elu":
        low = min(-told[0], 0.0)
    if told and base == "thresholded_relu":
        low = min(told[0], 0.0)
    return Activation(name, function, told, low, high)
