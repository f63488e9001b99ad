"""What Keras calls activations, and which one a version takes where nothing else is said."""

import math
import re
from collections.abc import Mapping
from typing import Any

from lstm_probe.formats.read.keras_graph import standard_class, word

#: Since this version of Keras, recurrent_activation is sigmoid by default; before it was hard_sigmoid.
SIGMOID_SINCE = (2, 3)
#: Since this version, hard_sigmoid is x / 6 + 0.5 between 0 and 1; before it was 0.2 x + 0.5.
STEEPER_UNTIL = (3, 0)
HARD_SIGMOIDS = {"hard_sigmoid": "0.2 x + 0.5", f"hard_sigmoid:{1 / 6!r}:0.5": "x / 6 + 0.5"}

#: Functions that are called the same here, and what others are called.
_SAME = (
    "sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "elu", "selu", "exponential", "relu6", "silu", "gelu",
    "mish", "log_sigmoid", "hard_tanh", "hard_silu", "tanh_shrink", "hard_shrink", "soft_shrink", "squareplus",
)  # fmt: skip
_NAMES = {
    **{name: name for name in _SAME}, "swish": "silu", "hard_swish": "hard_silu", "celu": "elu",
    "leaky_relu": "leaky_relu:0.2", "sparse_sigmoid": "hard_sigmoid:0.5:0.5",
}  # fmt: skip


def version_numbers(version: str) -> tuple[int, int] | None:
    """Return the first two numbers of a version; None where it does not begin with any.

    >>> version_numbers("2.2.4-tf"), version_numbers("")
    ((2, 2), None)
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return None if numbers is None else (int(numbers[1]), int(numbers[2]))


def gates_by_default(version: str) -> str | None:
    """Return what a version's recurrent_activation is unless its user chose another; None where that is not known.

    That in TensorFlow 1 and 2.0 called itself 2.2.4-tf, and the default changed in between.

    >>> [gates_by_default(version) for version in ("2.2.4", "2.2.4-tf", "2.3.0-tf", "3.1.0", "")]
    ['hard_sigmoid', None, 'sigmoid', 'sigmoid', None]
    """
    numbers = version_numbers(version)
    if numbers is not None and numbers >= SIGMOID_SINCE:
        return "sigmoid"
    return None if numbers is None or version.endswith("-tf") else "hard_sigmoid"


def name_of(value: Any, version: str) -> str | None:
    """Return our name of an activation; None where it is none that acts on each number by itself.

    Args:
        value: as a configuration has it: a name, a function with its name, a layer with its settings, or None.
        version: of the Keras that wrote it. A file without one is older than those that say it.
    """
    if value is None:
        return "linear"
    if isinstance(value, str):
        if value == "hard_sigmoid":
            later = (version_numbers(version) or (0, 0)) >= STEEPER_UNTIL
            return [*HARD_SIGMOIDS][later]
        return _NAMES.get(value)
    if not isinstance(value, Mapping):
        return None
    settings = value.get("config")
    if isinstance(settings, str) and value.get("class_name") == "function":
        return name_of(settings, version) if value.get("module") in (None, "keras.activations") else None
    return _of_layer(standard_class(value), settings, version) if isinstance(settings, Mapping) else None


def called(value: Any) -> str:
    """Return what a file calls an activation."""
    function = isinstance(value, Mapping) and value.get("class_name") == "function"
    return str(value["config"]) if function and isinstance(value.get("config"), str) else word(value)


def _of_layer(kind: str, settings: Mapping[str, Any], version: str) -> str | None:
    """Return our name of what a layer does that stands in the place of a function."""
    if kind == "Activation":
        return name_of(settings.get("activation"), version)
    if kind == "LeakyReLU":
        name, number = "leaky_relu", settings.get("negative_slope", settings.get("alpha", 0.3))
    elif kind == "ELU":
        name, number = "elu", settings.get("alpha", 1.0)
    elif kind == "ThresholdedReLU":
        name, number = "thresholded_relu", settings.get("theta", 1.0)
    elif kind == "ReLU" and not settings.get("threshold"):
        most, slope = settings.get("max_value"), settings.get("negative_slope") or 0.0
        if most is not None:
            return "relu6" if most == 6 and not slope else None
        name, number = ("leaky_relu", slope) if slope else ("relu", None)
    else:
        return None
    if number is None:
        return name
    finite = isinstance(number, int | float) and math.isfinite(number)
    return f"{name}:{float(number)!r}" if finite else None
