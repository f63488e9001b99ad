"""Signal: a named ground-truth variable; and which kinds of values there are."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from lstm_probe.core.shown import Shown, Told, named, shape_words, tensor_words

Kind = Literal["continuous", "binary", "categorical", "circular"]
Role = Literal["target", "latent", "distractor", "nuisance"]

#: The largest angle: those of 32 bits may be a little beyond a full circle.
FULL_CIRCLE = 2 * math.pi + 1e-5

#: Non-negative whole numbers (of an integer type) with at most this many levels are taken for class labels.
MOST_LABELS = 10


@dataclass(frozen=True, repr=False)
class Signal(Shown):
    """A named ground-truth variable with a value at every step of every sequence; NaN where it is not labelled.

    A circular one is an angle in radians, −2π to 2π.
    """

    name: str
    values: Shaped[Tensor, "sequence time"]
    kind: Kind = "continuous"
    role: Role = "latent"
    meaning: str = ""

    def _told(self) -> Told:
        about = f"{self.kind}, {self.role}; {shape_words(self.values)} (sequence, time), {tensor_words(self.values)}"
        return Told(f"Signal {named(self.name)}: {about}", [self.meaning] if self.meaning else [])


def infer_kind(dtype: np.dtype[Any], levels: np.ndarray) -> str:
    """Return the kind of a plain array from its type and its distinct values on real steps.

    Two values are binary. Text is categorical. So are non-negative whole numbers of an integer type with at
    most ten levels: labels are written so; of any type, beside NaN (see `given.labels_type`). All other numbers are
    continuous; give a quantity as floats, or as a `Signal`.
    """
    if len(levels) == 2:
        return "binary"
    if dtype.kind in "US":
        return "categorical"
    if dtype.kind in "iu" and 1 < len(levels) <= MOST_LABELS and levels[0] >= 0:
        return "categorical"
    return "continuous"
