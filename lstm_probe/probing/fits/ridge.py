"""Held-out ridge regression over many features at once, in closed form from one Gram matrix per fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int

from lstm_probe.probing.data.view import Steps

#: Penalties per step, for features with standard deviation 1 in the training part.
PENALTIES = 10.0 ** np.arange(-6, 2)

#: Used where a training part is a single fold, so that there is nothing inside it to choose by.
SINGLE_FOLD_PENALTY = 1e-3


@dataclass(frozen=True, eq=False)
class Gram:
    """Sums of products of [1, features, columns] over the steps of each group of sequences.

    Attributes:
        sums: (group, 1 + features + columns, the same).
        features: how many of them are features.
    """

    sums: Float[np.ndarray, "group product product"]
    features: int

    @classmethod
    def per_fold(
        cls,
        x: Float[np.ndarray, "sequence time feature"],
        y: Float[np.ndarray, "sequence time column"],
        steps: Steps,
    ) -> "Gram":
        """Return each fold's sums. Both `x` and `y` must be 0 where a step is not real."""
        return cls.of_groups(x, y, steps.mask, steps.split.members)

    @classmethod
    def of_groups(
        cls,
        x: Float[np.ndarray, "sequence time feature"],
        y: Float[np.ndarray, "sequence time column"],
        mask: Bool[np.ndarray, "sequence time"],
        groups: Sequence[Int[np.ndarray, " _"]],
    ) -> "Gram":
        """Return the sums of each group of sequences. Both `x` and `y` must be 0 where a step is not real."""
        u, width = x.shape[-1], 1 + x.shape[-1] + y.shape[-1]
        own, others = np.arange(1, 1 + u)[:, None], np.append(0, np.arange(1 + u, width))
        sums = np.empty((len(groups), width, width))
        for out, members in zip(sums, groups):
            # The features, by far the most, are copied only once.
            rest = np.concatenate([mask[members][..., None], y[members]], axis=-1, dtype=np.float64)
            rest = rest.reshape(-1, width - u)
            z = x[members].reshape(len(rest), u).astype(np.float64, copy=False)
            out[1 : 1 + u, 1 : 1 + u] = z.T @ z
            out[own, others] = z.T @ rest
            out[others, own] = out[own, others]
            out[others[:, None], others] = rest.T @ rest
        return cls(sums, u)

    def without(self, *folds: int) -> Float[np.ndarray, "product product"]:
        """Return the sums over all groups but these."""
        result: np.ndarray = self.sums[[k for k in range(len(self.sums)) if k not in folds]].sum(0)
        return result

    def training(self) -> "Gram":
        """Return each fold's training part."""
        return Gram(np.stack([self.without(k) for k in range(len(self.sums))]), self.features)


@dataclass(frozen=True, eq=False)
class Standardised:
    """Training parts with features and columns brought to mean 0, and features to standard deviation 1.

    Attributes:
        mean: of features and columns.
        scale: of features; infinite for a constant one, so that its coefficient is 0.
        xx: correlations of features.
        xy: covariances of standardised features with columns.
        yy: variances of columns.
    """

    mean: Float[np.ndarray, "group variable"]
    scale: Float[np.ndarray, "group feature"]
    xx: Float[np.ndarray, "group feature feature"]
    xy: Float[np.ndarray, "group feature column"]
    yy: Float[np.ndarray, "group column"]

    @classmethod
    def of(cls, gram: Gram) -> "Standardised":
        """Return the training parts whose sums are given."""
        n, u = np.maximum(gram.sums[:, 0, 0], 1), gram.features
        mean = gram.sums[:, 0, 1:] / n[:, None]
        square = gram.sums[:, 1:, 1:] / n[:, None, None]
        covariance = square - mean[:, :, None] * mean[:, None]
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        constant = variance <= 1e-12 * np.diagonal(square, axis1=1, axis2=2)
        scale = np.where(constant, np.inf, np.sqrt(np.where(constant, 1, variance)))[:, :u]
        xx = covariance[:, :u, :u] / scale[:, :, None] / scale[:, None]
        xy = covariance[:, :u, u:] / scale[:, :, None]
        return cls(mean, scale, xx, xy, np.where(constant, 0, variance)[:, u:])


def solve_penalties(
    part: Standardised, penalties: Float[np.ndarray, " penalty"]
) -> Float[np.ndarray, "group penalty feature column"]:
    """Return the coefficients of the features, for every penalty, of the minimum of

        mean (y − a − x·b)² + penalty · Σ (scale · b)².

    One eigendecomposition serves all penalties and columns.
    """
    values, vectors = np.linalg.eigh(part.xx)
    turned = vectors.transpose(0, 2, 1) @ part.xy
    shrunk = turned[:, None] / (np.maximum(values, 0)[:, None, :, None] + penalties[:, None, None])
    result: np.ndarray = (vectors[:, None] @ shrunk) / part.scale[:, None, :, None]
    return result


def validation_errors(
    sums: Float[np.ndarray, "*group product product"],
    mean: Float[np.ndarray, "*group variable"],
    coefficients: Float[np.ndarray, "*rest feature column"],
) -> Float[np.ndarray, "*rest column"]:
    """Return the squared errors of mean_y + (x − mean_x)·b on the steps whose sums are given; of one group or many.

    Of many, each has coefficients of its own; those of one may be several, such as of several penalties.
    """
    u = coefficients.shape[-2]
    total, n = sums[..., 0, 1:], sums[..., :1, :1]
    both = mean[..., :, None] * total[..., None, :]
    about = sums[..., 1:, 1:] - both - both.swapaxes(-2, -1) + n * (mean[..., :, None] * mean[..., None, :])
    xx, xy, yy = about[..., :u, :u], about[..., :u, u:], np.diagonal(about, axis1=-2, axis2=-1)[..., u:]
    result: np.ndarray = yy + (coefficients * (xx @ coefficients - 2 * xy)).sum(-2)
    return result


def choose_penalties(gram: Gram) -> Float[np.ndarray, "fold column"]:
    """Return each fold's and column's penalty, by squared error in inner folds of its training part alone.

    The inner fit that leaves out folds f and g serves both f (validated on g) and g (validated on f).
    """
    folds, columns = len(gram.sums), gram.sums.shape[1] - 1 - gram.features
    if folds == 2:
        return np.full((2, columns), SINGLE_FOLD_PENALTY)
    pairs = list(combinations(range(folds), 2))
    parts = Standardised.of(Gram(np.stack([gram.without(*pair) for pair in pairs]), gram.features))
    coefficients = solve_penalties(parts, PENALTIES)
    errors = np.zeros((folds, len(PENALTIES), columns))
    for pair, mean, fitted in zip(pairs, parts.mean, coefficients):
        for outer, inner in (pair, pair[::-1]):
            errors[outer] += validation_errors(gram.sums[inner], mean, fitted)
    result: np.ndarray = PENALTIES[errors.argmin(1)]
    return result


@dataclass(frozen=True, eq=False)
class Fit:
    """One linear fit for each fold, on its training part: prediction = intercept + x · coefficients."""

    coefficients: Float[np.ndarray, "fold feature column"]
    intercept: Float[np.ndarray, "fold column"]

    @classmethod
    def about(
        cls, mean: Float[np.ndarray, "fold variable"], coefficients: Float[np.ndarray, "fold feature column"]
    ) -> "Fit":
        """Return the fit that goes through the training part's means."""
        u = coefficients.shape[1]
        return cls(coefficients, mean[:, u:] - np.einsum("fu,fud->fd", mean[:, :u], coefficients))

    def only(self, columns: Int[np.ndarray, " some"]) -> "Fit":
        """Return the fit of some of the columns."""
        return Fit(self.coefficients[..., columns], self.intercept[:, columns])

    def held_out(
        self, x: Float[np.ndarray, "sequence time feature"], steps: Steps
    ) -> Float[np.ndarray, "sequence time column"]:
        """Return each step's prediction by the fit that has not seen its sequence; 0 off the mask."""
        out = np.empty((*x.shape[:2], self.intercept.shape[1]))
        for members, coefficients, intercept in zip(steps.split.members, self.coefficients, self.intercept):
            out[members] = x[members] @ coefficients + intercept
        out[~steps.mask] = 0
        return out


def fit_ridge(gram: Gram) -> Fit:
    """Return the ridge fit of each fold's training part, every column with a penalty of its own."""
    penalties = choose_penalties(gram)
    part = Standardised.of(gram.training())
    used = np.unique(penalties)
    every = solve_penalties(part, used)
    index = np.searchsorted(used, penalties)
    return Fit.about(part.mean, np.take_along_axis(every, index[:, None, None, :], axis=1)[:, 0])


def ridge_predictions(
    x: Float[np.ndarray, "sequence time feature"],
    columns: Float[np.ndarray, "sequence time column"],
    steps: Steps,
) -> Float[np.ndarray, "sequence time column"]:
    """Return held-out ridge predictions of every column; penalties are chosen by inner folds."""
    return fit_ridge(Gram.per_fold(x, columns, steps)).held_out(x, steps)
