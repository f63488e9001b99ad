"""One lag's data: which steps count, what is predicted, and its values: units at step t beside signals at t − lag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split

#: A sine or cosine with less variance than this does not move.
STILL = 1e-12

#: So that the weights of a signal's columns never add up to 0.
TINY = 1e-300


def standardise(
    values: Float[np.ndarray, "sequence time column"], mask: Bool[np.ndarray, "sequence time"]
) -> Float[np.ndarray, "sequence time column"]:
    """Return each column with mean 0 and standard deviation 1 over real steps, and 0 at all others.

    A held-out fit with an intercept, and an order, do not change under this; it keeps sums of squares exact
    for units on any scale. A column with one value only becomes 0.
    """
    padded = ~mask
    real = values[mask][None] if padded.any() else values
    if not real.size:
        return np.zeros(values.shape)
    varies = (real != real[:1, :1]).any(0).any(0)
    out, n = values.astype(np.float64), mask.sum()
    out[padded] = 0
    out -= out.sum((0, 1)) / n
    out[padded] = 0
    scale = np.sqrt(np.einsum("stc,stc->c", out, out) / n)
    varies &= scale > 0
    out *= varies / np.where(varies, scale, 1)
    return out


@dataclass(frozen=True, eq=False)
class Scale:
    """What brings columns to mean 0 and standard deviation 1, where that is known beforehand."""

    mean: Float[np.ndarray, " column"]
    factor: Float[np.ndarray, " column"]

    @classmethod
    def together(cls, mean: Float[np.ndarray, " column"], variance: Float[np.ndarray, " column"]) -> "Scale":
        """Return what brings columns to mean 0 and their variances to a mean of 1, on one scale for all of them.

        That of the sine and cosine of an angle: one of them may hardly move, and then shall count as little. What
        moves by less than a millionth is constant.
        """
        factor = 1 / np.sqrt(max(float(variance.mean()), STILL))
        return cls(mean, np.where(variance > STILL, factor, 0.0))

    def first(self, columns: int) -> "Scale":
        """Return the scale of the first columns alone."""
        return Scale(self.mean[:columns], self.factor[:columns])

    def __call__(
        self, values: Shaped[np.ndarray, "sequence time column"], mask: Bool[np.ndarray, "sequence time"]
    ) -> Float[np.ndarray, "sequence time column"]:
        """Return the columns on this scale, and 0 at steps that are not real."""
        out = (values - self.mean) * self.factor
        out[~mask] = 0
        result: np.ndarray = out
        return result


def scaled(
    signal: CheckedSignal, mask: Bool[np.ndarray, "sequence time"], lag: int = 0, scale: Scale | None = None
) -> Float[np.ndarray, "sequence time column"]:
    """Return a signal's columns at these steps, 0 at all others: indicators as they are, numbers standardised.

    Args:
        signal: whose columns.
        mask: the steps; its time axis starts at step `lag` of the signal's.
        lag: how many steps back the value is taken.
        scale: of numbers, where it is known beforehand.
    """
    columns = signal.columns()[:, : max(0, signal.values.shape[1] - lag)]
    if not signal.is_number:
        return np.where(mask[..., None], columns, 0.0)
    if scale is None and signal.kind == "circular":
        real = columns[mask]
        scale = Scale.together(real.mean(0), real.var(0)) if len(real) else Scale(np.zeros(2), np.zeros(2))
    return (scale or standardise)(columns, mask)


@dataclass(frozen=True, eq=False)
class Steps:
    """Which steps count, and how they are split.

    Attributes:
        lag: how many steps back a signal's value is taken; the first `lag` steps of a sequence are in no
            statistic.
        mask: True at the steps t ≥ lag that are real, and of which the signals are labelled at t − lag; the time axis
            starts at step `lag`.
        split: which sequences are held out together.
    """

    lag: int
    mask: Bool[np.ndarray, "sequence time"]
    split: Split

    @classmethod
    def real(cls, lengths: Int[np.ndarray, " sequence"], time: int, split: Split, lag: int = 0) -> "Steps":
        """Return all real steps of `time` in sequences of these lengths, whether labelled or not."""
        return Steps(lag, np.arange(lag, time) < lengths[:, None], split)

    @cached_property
    def n(self) -> Float[np.ndarray, " sequence"]:
        """How many steps of each sequence count."""
        result: np.ndarray = self.mask.sum(1).astype(np.float64)
        return result

    def features(
        self, values: Tensor, name: str = "inputs", scale: Scale | None = None
    ) -> Float[np.ndarray, "sequence time unit"]:
        """Return what was recorded, standardised and lined up with the steps.

        `scale` is used where it is known beforehand.

        Raises:
            InputError: a value at a real step that is no number.
        """
        values = values.detach().cpu()
        array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()[:, self.lag :]
        finite = np.isfinite(array)
        if not finite.all() and (bad := self.mask & ~finite.all(-1)).any():
            sequence, step = np.argwhere(bad)[0]
            raise InputError(f"{name}: not a number at sequence {sequence}, step {step + self.lag}")
        return (scale or standardise)(array, self.mask)

    def rows(
        self, values: Shaped[np.ndarray, "sequence time column"], members: Int[np.ndarray, " some"]
    ) -> Shaped[np.ndarray, "step column"]:
        """Return the steps of some sequences that count, one below the other."""
        real = self.mask[members]
        own = values[members]
        result: np.ndarray = own.reshape(-1, own.shape[-1]) if real.all() else own[real]
        return result


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What is predicted, and which of it can be scored. No steps are needed to say so.

    Attributes:
        signals: the signals.
        owner: the signal that each column belongs to: one column for a continuous signal or a binary one
            (indicator), one indicator for each class of a categorical one, sine and cosine of a circular one.
        pairs: how many pairs of a positive and a negative step each fold has, for each indicator.
        varies: which columns are not constant.
        weight: how much of its signal's score is a column's own: the spread of a sine or cosine, so that the score is
            the R² of both together, 1 − Σ squared errors / Σ spreads; 1 for all others.
    """

    signals: Sequence[CheckedSignal]
    owner: Int[np.ndarray, " column"]
    pairs: Float[np.ndarray, "fold column"]
    varies: Bool[np.ndarray, " column"]
    weight: Float[np.ndarray, " column"]

    @cached_property
    def continuous(self) -> Int[np.ndarray, " continuous"]:
        """The columns scored by R²."""
        return np.flatnonzero([self.signals[g].is_number for g in self.owner])

    @cached_property
    def classes(self) -> Int[np.ndarray, " class"]:
        """The columns scored by AUROC."""
        return np.flatnonzero([not self.signals[g].is_number for g in self.owner])

    @cached_property
    def defined(self) -> Bool[np.ndarray, " column"]:
        """Which columns can be scored: not constant, and for indicators some fold with both classes in it."""
        out = self.varies.copy()
        out[self.classes] = self.pairs[:, self.classes].sum(0) > 0
        return out

    @cached_property
    def scored(self) -> Bool[np.ndarray, " signal"]:
        """Which signals have a column that can be scored."""
        return np.array([self.defined[self.owner == g].any() for g in range(len(self.signals))])

    @cached_property
    def learnable(self) -> Bool[np.ndarray, " signal"]:
        """Of which signals the other folds say something: of a class, two folds have both it and others in them.

        Where one fold alone has both, no other says which way a unit ranks them, and every unit is at chance.
        """
        known = self.varies.copy()
        known[self.classes] = (self.pairs[:, self.classes] > 0).sum(0) > 1
        return np.array([known[self.owner == g].any() for g in range(len(self.signals))])

    def part(self, chosen: Sequence[int]) -> "Outcomes":
        """Return what is said of some signals, numbered in rising order, alone."""
        own = np.isin(self.owner, chosen)
        signals = [self.signals[g] for g in chosen]
        owner = np.searchsorted(chosen, self.owner[own])
        return Outcomes(signals, owner, self.pairs[:, own], self.varies[own], self.weight[own])

    def per_signal(
        self, per_column: Shaped[np.ndarray, "*rest column"], undefined: float = np.nan
    ) -> Shaped[np.ndarray, "*rest signal"]:
        """Return the mean over each signal's defined columns, by weight; `undefined` for a signal that has none."""
        out = np.full((*per_column.shape[:-1], len(self.signals)), undefined)
        for g in np.flatnonzero(self.scored):
            own = np.flatnonzero((self.owner == g) & self.defined)
            if len(own) == 1 and self.weight[own[0]] == 1:
                out[..., g] = per_column[..., own[0]]
            else:
                out[..., g] = np.average(per_column[..., own], axis=-1, weights=self.weight[own])
        return out


@dataclass(frozen=True, eq=False)
class View(Steps, Outcomes):
    """The outcomes at one lag, with their values at every step.

    Attributes:
        columns: continuous signals standardised, sine and cosine on one scale; 0 where the mask is False.
    """

    pairs: Float[np.ndarray, "fold column"] = field(init=False)
    varies: Bool[np.ndarray, " column"] = field(init=False)
    weight: Float[np.ndarray, " column"] = field(init=False)
    columns: Float[np.ndarray, "sequence time column"]

    def __post_init__(self) -> None:
        """Count what there is of each column; a view made of another one is counted anew."""
        pairs = count_pairs(self.split.sums(self.columns.sum(1)), self.split.sums(self.n))
        object.__setattr__(self, "pairs", pairs)
        square = np.einsum("stc,stc->c", self.columns, self.columns)
        object.__setattr__(self, "weight", weights(self, self.columns.sum((0, 1)), square, float(self.n.sum())))
        varies = square > 0
        if self.signals and self.signals[0].labelled is not None and (self.split.sums(self.n) > 0).sum() < 2:
            varies &= False  # nothing to fit where nothing is labelled outside the one fold
        object.__setattr__(self, "varies", varies)

    @classmethod
    def make(
        cls,
        signals: Sequence[CheckedSignal],
        lengths: Int[np.ndarray, " sequence"],
        split: Split,
        lag: int = 0,
        scales: Mapping[str, Scale] | None = None,
    ) -> "View":
        """Return the view of signals at a lag; a sequence of no more than `lag` steps has none in it.

        The signals must be labelled at the same steps: see `Study.parts`. `scales` are those of the signals that are
        numbers, by name, where they are known beforehand.
        """
        if any(signal.labelled is not signals[0].labelled for signal in signals):
            raise ValueError("a view has only signals that are labelled at the same steps")
        time = signals[0].values.shape[1]
        mask = signals[0].among(Steps.real(lengths, time, split, lag).mask)
        blocks = [scaled(signal, mask, lag, (scales or {}).get(signal.name)) for signal in signals]
        owner = np.repeat(np.arange(len(signals)), [block.shape[-1] for block in blocks])
        return cls(signals, owner, lag, mask, split, np.concatenate(blocks, axis=-1))

    def only(self, signal: int) -> "View":
        """Return the view of one signal alone."""
        own = self.owner == signal
        return replace(self, signals=[self.signals[signal]], columns=self.columns[..., own], owner=0 * self.owner[own])


def weights(
    outcomes: Outcomes, total: Float[np.ndarray, " column"], square: Float[np.ndarray, " column"], n: float
) -> Float[np.ndarray, " column"]:
    """Return each column's weight in its signal's score, from the sums of all columns and of their squares."""
    angles = np.array([outcomes.signals[g].kind == "circular" for g in outcomes.owner], dtype=bool)
    return np.where(angles, np.maximum(square - total**2 / max(1.0, n), TINY), 1.0)


def count_pairs(
    positives: Float[np.ndarray, "fold *rest"], n: Float[np.ndarray, " fold"] | Float[np.ndarray, "fold *rest"]
) -> Float[np.ndarray, "fold *rest"]:
    """Return how many pairs of a positive and a negative step each fold of `n` steps has."""
    steps = n.reshape(-1, *(1,) * (positives.ndim - 1)) if n.ndim == 1 else n
    result: np.ndarray = positives * (steps - positives)
    return result
