"""What functions of one signal tell of a second one: smooth curves, steps, and classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.fits.splines import place_knots, spline_features

#: Directions in which terms have less than this share of their variance say nothing new.
NOTHING_NEW = 1e-6

#: So many steps for each of its terms a signal has to share with an interaction to be asked what it tells of it.
LEAST_STEPS = 10

#: A step of another signal is looked for at the borders of so many parts of equal numbers.
BINS = 20


def main_effects(signal: CheckedSignal, steps: Bool[np.ndarray, "sequence time"]) -> Float[np.ndarray, "step term"]:
    """Return terms whose sums are any smooth function of a signal alone: of classes, any function."""
    if signal.kind == "circular":
        angle = signal.values[steps]
        turns: np.ndarray = np.stack([turn(k * angle) for k in (1, 2) for turn in (np.sin, np.cos)], axis=1)
        return turns
    columns: np.ndarray = signal.columns()[steps]
    if not signal.is_number or columns.min() == columns.max():
        return columns
    values = (columns - columns.mean()).T / columns.std()
    curves: np.ndarray = spline_features(values, place_knots(values))[0].T
    return curves


class Spans:
    """What functions of one signal can tell of others: curves and steps of a number, of classes any function.

    Args:
        signals: those that tell.
        mask: the real steps.
        fold: the fold of each sequence; what is told of it is fitted on the others.
    """

    def __init__(
        self,
        signals: Sequence[CheckedSignal],
        mask: Bool[np.ndarray, "sequence time"],
        fold: Int[np.ndarray, " sequence"],
    ) -> None:
        self.signals, self.mask, self.fold = signals, mask, fold
        self._known: dict[tuple[int, bytes], np.ndarray] = {}

    def of(self, number: int, steps: Bool[np.ndarray, "sequence time"]) -> Float[np.ndarray, "step term"]:
        """Return orthonormal terms, the constant among them, that span a signal's functions over these steps."""
        key = number, np.packbits(steps).tobytes()
        if key not in self._known:
            signal = self.signals[number]
            terms = main_effects(signal, steps)
            if signal.kind == "continuous":  # a sign of it, or whether it is large, is no smooth curve
                ends = np.unique(np.quantile(signal.values[steps], np.arange(1, BINS) / BINS))
                bins = np.searchsorted(ends, signal.values[steps])
                terms = np.concatenate([terms, bins[:, None] == np.arange(len(ends) + 1)], axis=1)
            terms = terms - terms.mean(0)
            size = np.sqrt(np.square(terms).sum(0))
            left, sizes, _ = np.linalg.svd(terms[:, size > 0] / size[size > 0], full_matrices=False)
            constant = np.full((len(terms), 1), len(terms) ** -0.5)
            self._known[key] = np.concatenate([constant, left[:, sizes > NOTHING_NEW]], axis=1)
        return self._known[key]

    def told(self, rest: Sequence[int], one: CheckedSignal) -> float:
        """Return the highest held-out R², at least 0, of a signal by a function of one of others, where both are known.

        A signal that shares too few labels with it to fit its terms is left out.
        """
        best, every = 0.0, one.among(self.mask)
        for number in rest:
            steps = self.signals[number].among(every)
            z = one.values[steps]
            size = float(np.square(z - z.mean()).sum()) if len(z) else 0.0
            if size > 0 and len(z) >= LEAST_STEPS * (terms := self.of(number, steps)).shape[1]:
                left = z - held_out(terms, z, np.broadcast_to(self.fold[:, None], steps.shape)[steps])
                best = max(best, 1 - float(left @ left) / size)
        return best


def held_out(
    terms: Float[np.ndarray, "step term"], z: Float[np.ndarray, " step"], fold: Int[np.ndarray, " step"]
) -> Float[np.ndarray, " step"]:
    """Return the least squares prediction of each step, fitted on the steps of all other folds."""
    gram, product, predicted = terms.T @ terms, terms.T @ z, np.empty(len(z))
    for k in np.unique(fold):
        own = fold == k
        mine = terms[own]
        weights = np.linalg.lstsq(gram - mine.T @ mine, product - mine.T @ z[own], rcond=NOTHING_NEW)[0]
        predicted[own] = mine @ weights
    return predicted
