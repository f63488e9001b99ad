"""Held-out logistic regression of class columns; the penalty is chosen by inner folds.

Ridge ranks steps nearly as well and needs no pass over the data for each fit; this is for those who want the
textbook's model: scikit-learn's LogisticRegression on standardised features, with C = 1 / (n · penalty), each fit
begun from the one before.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float

from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.ridge import SINGLE_FOLD_PENALTY, Fit

#: Penalties per step, for features with standard deviation 1 in the training part, from strong to weak.
PENALTIES = 10.0 ** np.arange(0, -6, -1)

#: A fit is done where no derivative of the objective is larger than this; where a penalty is only compared with
#: others, the second does.
DONE, NEARLY_DONE = 1e-9, 1e-4

#: Newton's method needs ten or so.
MOST_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Part:
    """The steps of some folds.

    Attributes:
        z: a column of ones, then the features; 0 where a feature is constant here.
        y: indicators.
        scale: 0 for the ones, then the standard deviation of each feature; 1 for a constant one.
    """

    z: Float[np.ndarray, "step term"]
    y: Float[np.ndarray, "step column"]
    scale: Float[np.ndarray, " term"]

    @classmethod
    def of(cls, z: Float[np.ndarray, "step term"], y: Float[np.ndarray, "step column"]) -> "Part":
        """Return these steps; `z` is changed where a feature is constant."""
        if not len(z):
            return cls(z, y, np.append(0.0, np.ones(z.shape[1] - 1)))
        constant = z.max(0) - z.min(0) <= 1e-12 * np.abs(z).max(0)
        constant[0] = False
        z[:, constant] = 0
        scale = np.where(constant, 1.0, z.std(0))
        scale[0] = 0
        return cls(z, y, scale)


def fit_one(
    part: Part,
    y: Float[np.ndarray, " step"],
    penalty: float,
    start: Float[np.ndarray, " term"],
    done: float = DONE,
) -> Float[np.ndarray, " term"]:
    """Return the intercept a and coefficients b that minimise

        mean (log(1 + exp(a + x·b)) − y · (a + x·b)) + penalty / 2 · Σ (scale · b)².

    Args:
        part: the steps.
        y: one indicator; where it has one class only, all is 0, which says nothing.
        penalty: above 0: what keeps coefficients finite where the classes can be separated.
        start: where to begin.
        done: the largest derivative that may be left.
    """
    if not 0 < y.sum() < len(y):
        return np.zeros_like(start)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scale = part.scale[1:]
    model = LogisticRegression(
        C=1 / (len(y) * penalty), solver="newton-cholesky", tol=done, max_iter=MOST_STEPS, warm_start=True
    )
    # Of a feature that is constant here, nothing may be left of the start.
    model.coef_ = np.where(part.z[:, 1:].any(0), start[1:] * scale, 0.0)[None]
    model.intercept_ = start[:1].copy()
    with warnings.catch_warnings():
        # Where the last step changes nothing but rounding, it says that it cannot go on.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(part.z[:, 1:] / scale, y)
    return np.concatenate([model.intercept_, model.coef_[0] / scale])


def loss(
    z: Float[np.ndarray, "step term"], y: Float[np.ndarray, "step column"], b: Float[np.ndarray, "term column"]
) -> Float[np.ndarray, " column"]:
    """Return the sum of each column's log-loss, in nats."""
    odds = z @ b
    result: np.ndarray = (np.logaddexp(0, odds) - y * odds).sum(0)
    return result


@dataclass(frozen=True, eq=False)
class Folds:
    """Every fold's steps: a column of ones and the features, and the indicators."""

    z: list[Float[np.ndarray, "_ term"]]
    y: list[Float[np.ndarray, "_ column"]]

    @classmethod
    def of(
        cls,
        x: Float[np.ndarray, "sequence time feature"],
        columns: Float[np.ndarray, "sequence time column"],
        view: View,
    ) -> "Folds":
        """Return the real steps of each fold."""
        real: list[Bool[np.ndarray, "_ time"]] = [view.mask[members] for members in view.split.members]
        z = [np.insert(x[m][r], 0, 1.0, axis=1) for m, r in zip(view.split.members, real)]
        return cls(z, [columns[m][r] for m, r in zip(view.split.members, real)])

    def without(self, *folds: int) -> Part:
        """Return the steps of all folds but these."""
        kept = [k for k in range(len(self.z)) if k not in folds]
        return Part.of(np.concatenate([self.z[k] for k in kept]), np.concatenate([self.y[k] for k in kept]))


def choose_penalties(
    folds: Folds,
) -> tuple[Float[np.ndarray, "fold column"], Float[np.ndarray, "fold term column"]]:
    """Return each fold's and column's penalty, by log-loss in inner folds of its training part alone.

    As for ridge, the inner fit that leaves out folds f and g serves both. Also returned is an inner fit at the
    chosen penalty, from which the last fit is a short way.
    """
    count, columns, terms = len(folds.z), folds.y[0].shape[1], folds.z[0].shape[1]
    if count == 2:
        return np.full((2, columns), SINGLE_FOLD_PENALTY), np.zeros((2, terms, columns))
    errors = np.zeros((count, len(PENALTIES), columns))
    fits = np.zeros((count, len(PENALTIES), terms, columns))
    for pair in combinations(range(count), 2):
        part = folds.without(*pair)
        b = np.zeros((terms, columns))
        for k, penalty in enumerate(PENALTIES):
            b = np.stack([fit_one(part, part.y[:, c], penalty, b[:, c], NEARLY_DONE) for c in range(columns)], axis=1)
            for outer, inner in (pair, pair[::-1]):
                errors[outer, k] += loss(folds.z[inner], folds.y[inner], b)
                fits[outer, k] = b
    best = errors.argmin(1)
    start = np.take_along_axis(fits, best[:, None, None], axis=1)[:, 0]
    return PENALTIES[best], start


def fit_logistic(
    x: Float[np.ndarray, "sequence time feature"],
    columns: Float[np.ndarray, "sequence time column"],
    view: View,
) -> Fit:
    """Return the fit of each fold's training part, every column with a penalty of its own.

    Args:
        x: features, standardised.
        columns: indicators.
        view: says which steps are real, and the split.
    """
    folds = Folds.of(x, columns, view)
    penalties, starts = choose_penalties(folds)
    fits = np.zeros(starts.shape)
    for f in range(len(fits)):
        part = folds.without(f)
        for c in range(columns.shape[-1]):
            fits[f, :, c] = fit_one(part, part.y[:, c], penalties[f, c], starts[f, :, c])
    return Fit(fits[:, 1:], fits[:, 0])


def logistic_predictions(
    x: Float[np.ndarray, "sequence time feature"],
    columns: Float[np.ndarray, "sequence time column"],
    view: View,
) -> Float[np.ndarray, "sequence time column"]:
    """Return held-out log-odds of every indicator, each against the rest; 0 off the mask."""
    return fit_logistic(x, columns, view).held_out(x, view)
