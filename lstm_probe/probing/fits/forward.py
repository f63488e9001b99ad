"""How few units do nearly as well as all: greedy forward selection inside each training part."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.ridge import Fit, Gram, Standardised, validation_errors
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects, r2

#: The share of the full effect that has to be reached.
SHARE = 0.9

#: Below this full effect there is nothing to share out.
LEAST_EFFECT = 0.05

#: A unit with less variance than this left, of its own, is a combination of those chosen.
NOTHING_NEW = 1e-8


def selection_path(
    xx: Float[np.ndarray, "fold unit unit"],
    xy: Float[np.ndarray, "fold unit column"],
    most: int | None = None,
) -> Float[np.ndarray, "step fold unit column"]:
    """Return the coefficients of the first steps of `selected`, at most `most`; all steps where this is None."""
    return np.array(list(islice(selected(xx, xy), most)))


def selected(
    xx: Float[np.ndarray, "fold unit unit"], xy: Float[np.ndarray, "fold unit column"]
) -> Iterator[Float[np.ndarray, "fold unit column"]]:
    """Yield the least-squares coefficients after each step of greedy forward selection, as many as there are units.

    The unit chosen next is the one whose part that is new, given those chosen, explains most of what is left
    of the columns (largest squared partial covariance over its variance, summed over columns). Choosing it
    takes its part out of all others, one step of Gram-Schmidt on the Gram matrix. The coefficients of a fold no longer
    change where no unit adds anything.

    Args:
        xx: correlations of units in each training part.
        xy: their covariances with the columns.
    """
    folds, units, columns = xy.shape
    left, target, at = xx.copy(), xy.copy(), np.arange(folds)
    basis = np.tile(np.eye(units), (folds, 1, 1))
    coefficients = np.zeros((folds, units, columns))
    for _ in range(units):
        own = np.diagonal(left, axis1=1, axis2=2)
        new = own > NOTHING_NEW
        gain = np.where(new, (target**2).sum(-1) / np.where(new, own, 1), -1)
        best = gain.argmax(1)
        adds = gain[at, best] >= 0
        scale = np.where(adds, own[at, best], 1)
        share = np.where(adds[:, None], left[at, best] / scale[:, None], 0)
        step = np.where(adds[:, None], target[at, best] / scale[:, None], 0)
        coefficients = coefficients + basis[at, best][:, :, None] * step[:, None]
        yield coefficients
        target = target - share[:, :, None] * target[at, best][:, None]
        basis = basis - share[:, :, None] * basis[at, best][:, None]
        left = left - share[:, :, None] * left[at, best][:, None]
        left[at[adds], best[adds]] = left[at[adds], :, best[adds]] = 0


def fewest_units(
    x: Float[np.ndarray, "sequence time unit"],
    view: View,
    full: Float[np.ndarray, " signal"],
) -> list[int | None]:
    """Return how many units reach 90 % of the full held-out effect, None where that is below 0.05.

    Units are chosen, and their least-squares coefficients fitted, in each training part alone; a signal's
    number is the first at which the held-out effect is reached, and all units where it never is.

    Args:
        x: standardised units.
        view: signals, mask and split.
        full: the effect of all units together.
    """
    gram = Gram.per_fold(x, view.columns, view)
    part, units = Standardised.of(gram.training()), x.shape[-1]
    found: list[int | None] = []
    for g, effect in enumerate(full):
        if np.isnan(effect) or effect < LEAST_EFFECT:
            found.append(None)
            continue
        own = np.flatnonzero(view.owner == g)
        mean, path = signal_path(part, own)
        if view.signals[g].is_number:
            reached = path_r2(gram, view, own, mean, path)
        else:
            alone = view.only(g)
            reached = (predicted_effect(x, alone, Fit.about(mean, fitted)) for fitted in path)
        found.append(next(enough(reached, effect), units))
    return found


def signal_path(
    part: Standardised, columns: Int[np.ndarray, " own"]
) -> tuple[Float[np.ndarray, "fold variable"], Iterator[Float[np.ndarray, "fold unit own"]]]:
    """Return the means of units and of a signal's columns, and the coefficients along its selection path."""
    path = (fitted / part.scale[:, :, None] for fitted in selected(part.xx, part.xy[..., columns]))
    units = part.xx.shape[1]
    return part.mean[:, np.concatenate([np.arange(units), units + columns])], path


def path_r2(
    gram: Gram,
    outcomes: Outcomes,
    columns: Int[np.ndarray, " own"],
    mean: Float[np.ndarray, "fold variable"],
    path: Iterable[Float[np.ndarray, "fold unit own"]],
) -> Iterator[float]:
    """Yield the held-out R² of a signal of numbers, whose columns are named, at each step of its path."""
    products = np.concatenate([np.arange(1 + gram.features), 1 + gram.features + columns])
    sums = gram.sums[:, products[:, None], products]
    weight = outcomes.weight[columns] * outcomes.defined[columns]
    return (float(np.average(r2_of(sums, mean, fitted), weights=weight)) for fitted in path)


def enough(reached: Iterable[float], effect: float, first: int = 1) -> Iterator[int]:
    """Yield each number of units, from `first` on, that reaches its share of the full effect."""
    return (first + step for step, value in enumerate(reached) if value >= SHARE * effect)


def r2_of(
    sums: Float[np.ndarray, "fold product product"],
    mean: Float[np.ndarray, "fold variable"],
    coefficients: Float[np.ndarray, "fold feature column"],
) -> Float[np.ndarray, " column"]:
    """Return the held-out R² of each column, from each fold's sums alone; 0 for a constant one."""
    errors = validation_errors(sums, mean, coefficients).sum(0)
    total, first = sums.sum(0), 1 + coefficients.shape[1]
    return r2(errors, np.diagonal(total)[first:] - total[0, first:] ** 2 / max(1, total[0, 0]))


def predicted_effect(x: Float[np.ndarray, "sequence time unit"], view: View, fit: Fit) -> float:
    """Return the effect of a fit's held-out predictions of a view's only signal."""
    return float(effects(evaluate_predictions(fit.held_out(x, view), view).score, view)[0, 0])
