"""Signals as the user gives them, checked and turned into numbers of a known kind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals, beside_missing, by_name, check_kind, check_values, labels_type
from lstm_probe.core.vocabulary import NUMBERS

METRICS = {"continuous": "r2", "binary": "auroc", "categorical": "macro_auroc", "circular": "circular_r2"}


@dataclass(frozen=True, eq=False)
class CheckedSignal:
    """One checked signal.

    Attributes:
        name: what it is called in the tables.
        kind: continuous, binary, categorical or circular.
        role: target, latent, distractor or nuisance; "latent" where the user gave a plain array.
        values: the value, or for binary and categorical signals the class number, at each step; an angle as one
            from −π to below π; 0 at steps that are not real or not labelled.
        classes: how many classes there are; 0 for a continuous or circular signal.
        levels: each class's own value, number or text, as it was given; empty where that is not known.
        labelled: the real steps that have a value, all others being in no statistic; None where every one has.
            Signals that are labelled at the same steps share one array.
    """

    name: str
    kind: str
    role: str
    values: Float[np.ndarray, "sequence time"]
    classes: int
    labelled: Bool[np.ndarray, "sequence time"] | None = None
    levels: tuple[Any, ...] = ()

    @property
    def metric(self) -> str:
        """The name of the score: r2, auroc, macro_auroc or circular_r2."""
        return METRICS[self.kind]

    @property
    def is_number(self) -> bool:
        """Whether it is scored by R²; if not, it has classes."""
        return self.kind in NUMBERS

    def columns(self) -> Float[np.ndarray, "sequence time column"]:
        """Return what is predicted: the value, an angle's sine and cosine, or the second or each class's indicator."""
        if self.kind == "continuous":
            return self.values[..., None]
        if self.kind == "circular":
            return np.stack([np.sin(self.values), np.cos(self.values)], axis=-1)
        present = [1] if self.kind == "binary" else range(self.classes)
        return np.stack([(self.values == k).astype(np.float64) for k in present], axis=-1)

    def called(self, number: int) -> str:
        """Return what a class is called: its own value, such as 3 or left."""
        own = self.levels[number]
        return f"{own:.10g}" if isinstance(own, float) else str(own)

    def with_values(self, values: Float[np.ndarray, "sequence time"]) -> "CheckedSignal":
        """Return the same signal with other values."""
        return replace(self, values=values)

    def rows(self, sequences: Int[np.ndarray, " some"]) -> "CheckedSignal":
        """Return the signal of these sequences alone."""
        labelled = None if self.labelled is None else self.labelled[sequences]
        return replace(self, values=self.values[sequences], labelled=labelled)

    def among(self, mask: Bool[np.ndarray, "sequence time"]) -> Bool[np.ndarray, "sequence time"]:
        """Return which of these steps are labelled; the steps may be fewer than the signal's, from its first on."""
        return mask if self.labelled is None else mask & self.labelled[:, : mask.shape[1]]


def make_signal(
    name: str,
    kind: str,
    role: str,
    values: Shaped[np.ndarray, "sequence time"],
    levels: Shaped[np.ndarray, " level"],
    mask: Bool[np.ndarray, "sequence time"],
) -> CheckedSignal:
    """Return a checked signal with its values as numbers: those of a class signal as places in `levels`."""
    if kind in NUMBERS:
        numbers = np.where(mask, values, 0).astype(np.float64)
        if kind == "circular":
            numbers = (numbers + np.pi) % (2 * np.pi) - np.pi
        return CheckedSignal(name, kind, role, numbers, 0)
    codes = np.searchsorted(levels, np.where(mask, values, levels[0])) if len(levels) else np.zeros(mask.shape)
    numbers, own = np.where(mask, codes, 0).astype(np.float64), tuple(levels.tolist())
    return CheckedSignal(name, kind, role, numbers, max(1, len(levels)), levels=own)


def check_signal(name: str, given: Any, mask: Bool[np.ndarray, "sequence time"]) -> CheckedSignal:
    """Return one signal, checked against the recording's real steps.

    Raises:
        InputError: wrong shape, unknown kind or role, a value at a real step that is no number, or values
            that do not fit the kind.
    """
    values, labelled = check_values(name, given, mask, everywhere=False)
    levels = np.unique(values[labelled])
    complete, missing = np.array_equal(labelled, mask), beside_missing(values, labelled, mask)
    kind, role = check_kind(name, given, labels_type(values.dtype, missing, levels), levels)
    made = make_signal(name, kind, role, values, levels, labelled)
    return made if complete else replace(made, labelled=labelled)


def share_labels(checked: Sequence[CheckedSignal]) -> list[CheckedSignal]:
    """Return the signals, those that are labelled at the same steps with the same array."""
    known: dict[bytes, np.ndarray] = {}
    return [
        one if one.labelled is None
        else replace(one, labelled=known.setdefault(np.packbits(one.labelled).tobytes(), one.labelled))
        for one in checked
    ]  # fmt: skip


def check_signals(signals: Signals, mask: Bool[np.ndarray, "sequence time"]) -> list[CheckedSignal]:
    """Return every signal, checked; an InputError names everything that is wrong with any of them.

    Args:
        signals: see `given.Signals`; the kind of an array is inferred.
        mask: True where a step is real.
    """
    signals = by_name({} if signals is None else signals, mask)
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
    return share_labels(checked)
