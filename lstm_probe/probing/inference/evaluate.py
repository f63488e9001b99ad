"""Held-out scores of a view's signals, with intervals: of single units, or of predictions made elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.moments import Moments, unit_errors
from lstm_probe.probing.inference.intervals import (
    bootstrap_auroc,
    bootstrap_r2,
    correlation_interval,
    error_interval,
    percentile_interval,
)
from lstm_probe.probing.inference.scores import auroc, centred_ranks, orientation, r2, rank_excess

Weights = Float[np.ndarray, "sample sequence"] | None

#: Predictions that agree to so many decimals are tied: the same input gives them up to rounding.
DECIMALS = 12


@dataclass(frozen=True, eq=False)
class Scores:
    """Each unit's score for each signal, NaN where the signal is constant, and its interval if asked for."""

    score: Float[np.ndarray, "unit signal"]
    low: Float[np.ndarray, "unit signal"]
    high: Float[np.ndarray, "unit signal"]


def evaluate(
    view: View,
    errors: Float[np.ndarray, "sequence unit continuous"],
    ranks_for: Callable[[int], Float[np.ndarray, "sequence time unit"]],
    moments: Moments | None,
    weights: Weights,
) -> Scores:
    """Return scores from held-out squared errors (continuous columns) and centred ranks (classes).

    Args:
        view: signals, mask and split.
        errors: each sequence's, for the view's continuous columns.
        ranks_for: the ranks that stand for the k-th class column.
        moments: each sequence's sums, where errors are those of single units; they are oriented then: a unit may
            rank the positives low, and which way is learned on the training part.
        weights: bootstrap weights, or None for no intervals.
    """
    units, columns = errors.shape[1], view.columns.shape[-1]
    scores = np.full((units, columns), np.nan)
    if len(view.continuous):
        y = view.columns[..., view.continuous]
        # The columns' overall mean is 0.
        scores[:, view.continuous] = r2(errors.sum(0), np.einsum("std,std->sd", y, y).sum(0))
    samples = np.full((0 if weights is None else len(weights), units, columns), np.nan)
    for k, column in enumerate(view.classes):
        if not view.defined[column]:
            continue
        ranks, indicator = ranks_for(k), view.columns[..., column]
        excess = rank_excess(ranks, indicator, view.split)
        sign = np.ones_like(excess) if moments is None else orientation(excess)
        scores[:, column] = auroc(excess, sign, view.pairs[:, column, None])
        if weights is not None:
            samples[..., column] = bootstrap_auroc(ranks, indicator, sign, view, weights)
    score = view.per_signal(scores)
    if weights is None:
        return Scores(score, np.full_like(score, np.nan), np.full_like(score, np.nan))
    if moments is not None:
        ends = correlation_interval(moments, scores[:, view.continuous], weights)
    else:
        count, y = int((view.n > 0).sum()), view.columns[..., view.continuous]
        ends = error_interval(scores[:, view.continuous], bootstrap_r2(errors, y, view.n, weights), count)
    return Scores(score, *signal_intervals(view, ends, samples))


def signal_intervals(
    outcomes: Outcomes,
    ends: tuple[Float[np.ndarray, "unit continuous"], Float[np.ndarray, "unit continuous"]],
    samples: Float[np.ndarray, "sample unit column"],
) -> tuple[Float[np.ndarray, "unit signal"], Float[np.ndarray, "unit signal"]]:
    """Return each signal's interval: what is known of continuous ones, percentiles of the others' samples."""
    low, high = np.full((2, samples.shape[1], len(outcomes.signals)), np.nan)
    own = outcomes.owner[outcomes.continuous]
    low[:, own], high[:, own] = np.where(outcomes.scored[own], ends, np.nan)
    own = np.unique(outcomes.owner[outcomes.classes])
    if len(own):
        low[:, own], high[:, own] = percentile_interval(outcomes.per_signal(samples)[..., own])
    return low, high


def evaluate_units(x: Float[np.ndarray, "sequence time unit"], view: View, weights: Weights = None) -> Scores:
    """Return how well each unit by itself predicts each signal; a constant unit's R² is 0, its AUROC ½."""
    moments = Moments.of(x, view.columns[..., view.continuous], view.mask)
    ranks = centred_ranks(x, view) if len(view.classes) else x
    return evaluate(view, unit_errors(moments, view.split), lambda k: ranks, moments, weights)


def evaluate_predictions(
    predictions: Float[np.ndarray, "sequence time column"], view: View, weights: Weights = None
) -> Scores:
    """Return how good held-out predictions of the view's columns are, as scores of a single unit."""
    off = (view.columns - predictions)[..., view.continuous]
    errors = np.einsum("std,std->sd", off, off)[:, None]
    tied = np.round(predictions[..., view.classes], DECIMALS)
    ranks = centred_ranks(tied, view) if len(view.classes) else predictions
    return evaluate(view, errors, lambda k: ranks[..., k : k + 1], None, weights)
