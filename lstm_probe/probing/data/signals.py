"""Signals as the user gives them, checked and turned into numbers of a known kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.signal import Signal
from lstm_probe.core.vocabulary import KINDS, ROLES

METRICS = {"continuous": "r2", "binary": "auroc", "categorical": "macro_auroc"}

#: Non-negative whole numbers (of an integer type) with at most this many levels are taken for class labels.
MOST_LABELS = 10


@dataclass(frozen=True, eq=False)
class CheckedSignal:
    """One checked signal.

    Attributes:
        name: what it is called in the tables.
        kind: continuous, binary or categorical.
        role: target, latent, distractor or nuisance; "latent" where the user gave a plain array.
        values: the value, or for binary and categorical signals the class number, at each step; 0 at steps
            that are not real.
        classes: how many classes there are; 0 for a continuous signal.
    """

    name: str
    kind: str
    role: str
    values: Float[np.ndarray, "sequence time"]
    classes: int

    @property
    def metric(self) -> str:
        """The name of the score: r2, auroc or macro_auroc."""
        return METRICS[self.kind]

    def columns(self) -> Float[np.ndarray, "sequence time column"]:
        """Return what is predicted: the value, the second class's indicator, or each class's indicator."""
        if self.kind == "continuous":
            return self.values[..., None]
        present = [1] if self.kind == "binary" else range(self.classes)
        return np.stack([(self.values == k).astype(np.float64) for k in present], axis=-1)

    def with_values(self, values: Float[np.ndarray, "sequence time"]) -> "CheckedSignal":
        """Return the same signal with other values."""
        return replace(self, values=values)


def infer_kind(dtype: np.dtype[Any], levels: np.ndarray) -> str:
    """Return the kind of a plain array from its type and its distinct values on real steps.

    Two values are binary. Text is categorical. So are non-negative whole numbers of an integer type with at
    most ten levels: labels are written so. All other numbers are continuous; give a quantity as floats, or
    as a `Signal`.
    """
    if len(levels) == 2:
        return "binary"
    if dtype.kind in "US":
        return "categorical"
    if dtype.kind in "iu" and 1 < len(levels) <= MOST_LABELS and levels[0] >= 0:
        return "categorical"
    return "continuous"


def as_array(name: str, values: Any) -> np.ndarray:
    """Return a signal's values as an array of numbers, signal values or text."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    array = np.asarray(values)
    if array.dtype == object:
        text = all(isinstance(v, str) for v in array.flat)
        try:
            array = array.astype(str if text else np.float64)
        except (TypeError, ValueError):
            raise InputError(f"signals[{name!r}]: must be numbers or text, not a mixture") from None
    if array.dtype.kind not in "biufUS":
        raise InputError(f"signals[{name!r}]: must be numbers or text, not {array.dtype}")
    return array


def check_values(
    name: str, given: Any, mask: Bool[np.ndarray, "sequence time"], first: int = 0
) -> Shaped[np.ndarray, "sequence time"]:
    """Return a signal's values, checked against the real steps; `first` is the first sequence's number.

    Raises:
        InputError: wrong shape, or a value at a real step that is no number.
    """
    key = f"signals[{name!r}]"
    values = as_array(name, given.values if isinstance(given, Signal) else given)
    if values.shape != mask.shape:
        raise InputError(
            f"{key}: shape {values.shape}; the recording has {mask.shape[0]} sequences of {mask.shape[1]} "
            f"steps, so it must be {mask.shape}"
        )
    if values.dtype.kind == "f" and not np.isfinite(values[mask]).all():
        sequence, step = np.argwhere(mask & ~np.isfinite(values))[0]
        raise InputError(
            f"{key}: {values[sequence, step]} at sequence {first + sequence}, step {step}; "
            "real steps need a finite value"
        )
    return values


def check_kind(name: str, given: Any, dtype: np.dtype[Any], levels: np.ndarray) -> tuple[str, str]:
    """Return kind and role of a signal whose values at real steps are `levels`; an array's kind is inferred.

    Raises:
        InputError: unknown kind or role, or values that do not fit the kind.
    """
    key = f"signals[{name!r}]"
    kind = given.kind if isinstance(given, Signal) else infer_kind(dtype, levels)
    role = given.role if isinstance(given, Signal) else "latent"
    for what, word, legal in (("kind", kind, KINDS), ("role", role, tuple(ROLES))):
        if word not in legal:
            raise InputError(f"{key}: {what}={word}: must be one of {' '.join(legal)}.{nearest(word, legal)}")
    if kind == "binary" and len(levels) > 2:
        raise InputError(f"{key}: kind=binary, but it has {len(levels)} values; categorical or continuous would do")
    if kind == "continuous" and dtype.kind in "US":
        raise InputError(f"{key}: kind=continuous, but its values are text")
    return kind, role


def make_signal(
    name: str,
    kind: str,
    role: str,
    values: Shaped[np.ndarray, "sequence time"],
    levels: Shaped[np.ndarray, " level"],
    mask: Bool[np.ndarray, "sequence time"],
) -> CheckedSignal:
    """Return a checked signal with its values as numbers: those of a class signal as places in `levels`."""
    if kind == "continuous":
        return CheckedSignal(name, kind, role, np.where(mask, values, 0).astype(np.float64), 0)
    codes = np.searchsorted(levels, np.where(mask, values, levels[0]))
    return CheckedSignal(name, kind, role, np.where(mask, codes, 0).astype(np.float64), len(levels))


def check_signal(name: str, given: Any, mask: Bool[np.ndarray, "sequence time"]) -> CheckedSignal:
    """Return one signal, checked against the recording's real steps.

    Raises:
        InputError: wrong shape, unknown kind or role, a value at a real step that is no number, or values
            that do not fit the kind.
    """
    values = check_values(name, given, mask)
    levels = np.unique(values[mask])
    kind, role = check_kind(name, given, values.dtype, levels)
    return make_signal(name, kind, role, values, levels, mask)


def check_signals(signals: Mapping[str, Any], mask: Bool[np.ndarray, "sequence time"]) -> list[CheckedSignal]:
    """Return every signal, checked; an InputError names everything that is wrong with any of them.

    Args:
        signals: by name, a `Signal` or an array of (sequence, time); the kind of an array is inferred.
        mask: True where a step is real.
    """
    if not signals:
        raise InputError("signals: there are none; at least one is needed")
    if not mask.any():
        raise InputError("recording: no step of it is real: every sequence has length 0")
    checked: list[CheckedSignal] = []
    problems: list[str] = []
    for name, given in signals.items():
        try:
            checked.append(check_signal(name, given, mask))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return checked
