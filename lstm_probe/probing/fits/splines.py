"""Held-out fits of every signal by a smooth curve of one unit, in closed form.

The curve is a natural (restricted) cubic spline: cubic between its knots, straight beyond the outer ones, without
a break in value, slope or curvature (Stone & Koo 1985; Harrell 2015, section 2.4).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.ridge import Gram, Standardised, solve_penalties, validation_errors
from lstm_probe.probing.inference.scores import ascending, auroc, average_ranks, few_rows, r2

#: Where Harrell puts five knots, as shares of the values that lie below.
KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)

#: Penalty per step that keeps a fit finite where knots fall together; too small to be seen elsewhere.
TINY = 1e-10


def place_knots(x: Float[np.ndarray, "unit step"]) -> Float[np.ndarray, "unit knot"]:
    """Return each unit's quantiles at `KNOTS`, several of them equal where a unit often has the same value."""
    result: np.ndarray = training_knots([x[:, :0], x])[0]
    return result


def training_knots(folds: Sequence[Float[np.ndarray, "unit _"]]) -> Float[np.ndarray, "fold unit knot"]:
    """Return the knots of each fold's training part; each unit is sorted once, with all its steps.

    Args:
        folds: each fold's steps.
    """
    label = np.repeat(np.arange(len(folds), dtype=np.uint8), [own.shape[1] for own in folds])
    rows = np.concatenate(folds, axis=1)
    out = np.empty((len(folds), len(rows), len(KNOTS)))
    for some in few_rows(rows):
        order, ordered, _ = ascending(rows[some])
        fold_of = label.take(order % rows.shape[1])
        for fold in range(len(folds)):
            kept = np.nonzero(fold_of != fold)[1].reshape(len(order), -1)
            count = kept.shape[1]
            if not count:
                continue
            below, share = np.divmod(np.array(KNOTS) * (count - 1), 1)
            place = below.astype(np.int64)
            low, high = (np.take_along_axis(ordered, kept[:, at], axis=1)
                         for at in (place, np.minimum(place + 1, count - 1)))  # fmt: skip
            out[fold, some] = low + share * (high - low)
    return out


def spline_features(
    x: Float[np.ndarray, "unit step"], knots: Float[np.ndarray, "unit knot"]
) -> Float[np.ndarray, "unit feature step"]:
    """Return each unit's value and, for K knots, K − 2 curves that span all natural cubic splines with it.

    With hinge_k = ((x − t_k)³₊ − (x − t_K)³₊) / (t_K − t_k) the curves are hinge_k − hinge_(K−1) (Hastie, Tibshirani
    & Friedman 2009, section 5.2.1). Written without its division by what may be 0: of knots that fall together,
    this is the limit.
    """
    out = np.empty((len(x), knots.shape[1] - 1, x.shape[1]))
    for some in few_rows(x):
        add_curves(x[some], knots[some], out[some])
    return out


def add_curves(
    x: Float[np.ndarray, "unit step"],
    knots: Float[np.ndarray, "unit knot"],
    out: Float[np.ndarray, "unit feature step"],
) -> None:
    """Write the features of some units into `out`; see `spline_features`."""
    last = knots[:, -1:]
    beyond = np.maximum(x - last, 0)
    squared = beyond * beyond
    out[:, 0] = x
    for k in range(knots.shape[1] - 2, -1, -1):
        first = knots[:, k : k + 1]
        width = last - first
        above = x - first
        np.maximum(above, 0, out=above)
        hinge = above - beyond
        hinge /= np.where(width > 0, width, 1)
        if not width.all():
            hinge += width == 0
        cubic = above + beyond
        cubic *= above
        cubic += squared
        hinge *= cubic
        if k == knots.shape[1] - 2:
            base = hinge
        else:
            np.subtract(hinge, base, out=out[:, k + 1])


def products(
    z: Float[np.ndarray, "unit feature step"], y: Float[np.ndarray, "step column"]
) -> Float[np.ndarray, "unit product product"]:
    """Return sums of products of [1, features, columns] for each unit, as a `Gram` has them."""
    units, features, steps = z.shape
    fixed = np.concatenate([np.ones((steps, 1)), y], axis=1)
    place = np.append(0, np.arange(1 + features, 1 + features + y.shape[1]))
    own = slice(1, 1 + features)
    cross = (z.reshape(-1, steps) @ fixed).reshape(units, features, -1)
    sums = np.empty((units, 1 + features + y.shape[1], 1 + features + y.shape[1]))
    sums[:, place[:, None], place] = fixed.T @ fixed
    sums[:, own, own] = z @ z.transpose(0, 2, 1)
    sums[:, own, place] = cross
    sums[:, place, own] = cross.transpose(0, 2, 1)
    return sums


def spline_scores(x: Float[np.ndarray, "sequence time unit"], view: View) -> Float[np.ndarray, "unit signal"]:
    """Return how well a curve of each unit by itself predicts each signal.

    Knots and coefficients are those of the training part. For classes the indicator of each is fitted, and
    the AUROC is that of the predictions. NaN where a signal has no score, and where all steps are in one fold.

    Args:
        x: standardised units, 0 at steps that are not real.
        view: signals, mask and split.
    """
    units = [np.ascontiguousarray(view.rows(x, members).T) for members in view.split.members]
    columns = [view.rows(view.columns, members) for members in view.split.members]
    folds, count, width = len(units), x.shape[-1], view.columns.shape[-1]
    if sum(len(y) > 0 for y in columns) < 2:
        return np.full((count, len(view.signals)), np.nan)
    errors, excess = np.zeros((count, width)), np.zeros((folds, count, width))
    for fold, knots in enumerate(training_knots(units)):
        others = [g for g in range(folds) if g != fold]
        sums = [products(spline_features(units[g], knots), columns[g]) for g in others]
        part = Standardised.of(Gram(sum(sums[1:], sums[0]), knots.shape[1] - 1))
        coefficients = solve_penalties(part, np.array([TINY]))[:, 0]
        z = spline_features(units[fold], knots)
        held_out = products(z, columns[fold])
        errors += validation_errors(held_out, part.mean, coefficients)
        for k in view.classes:
            predictions = predict(z, coefficients[:, :, k])
            middle = (predictions.shape[1] + 1) / 2
            excess[fold, :, k] = (average_ranks(predictions) - middle) @ columns[fold][:, k]
    scores = np.empty((count, width))
    y = view.columns[..., view.continuous]
    scores[:, view.continuous] = r2(errors[:, view.continuous], np.einsum("std,std->d", y, y))
    own = excess[..., view.classes]
    scores[:, view.classes] = auroc(own, np.ones_like(own), view.pairs[:, None, view.classes])
    return view.per_signal(scores)


def predict(
    z: Float[np.ndarray, "unit feature step"], coefficients: Float[np.ndarray, "unit feature"]
) -> Float[np.ndarray, "unit step"]:
    """Return each step's prediction, up to a constant. Added up one by one, so that equal features stay ties."""
    out = z[:, 0] * coefficients[:, :1]
    for k in range(1, z.shape[1]):
        out += z[:, k] * coefficients[:, k : k + 1]
    result: np.ndarray = out
    return result
