"""Held-out scores with intervals, of single units or of predictions made elsewhere: from sums over steps alone.

What a score needs is added up first, from a recording in memory or shard by shard; `evaluate` finishes both alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.moments import Moments, squared_errors, unit_errors
from lstm_probe.probing.inference.intervals import (
    correlation_interval,
    percentile_interval,
    placements,
    resample_auroc,
)
from lstm_probe.probing.inference.scores import (
    auroc,
    centred_ranks,
    class_excess,
    effects,
    orientation,
    r2,
    rank_excess,
)

Weights = Float[np.ndarray, "sample group"] | None

#: For the k-th class: see `placements`.
Placements = Callable[[int], tuple[Float[np.ndarray, "group unit 2"], Float[np.ndarray, "group 2"]]]

#: Predictions that agree to this many decimals are tied: the same input gives them up to rounding.
DECIMALS = 12


@dataclass(frozen=True, eq=False)
class Scores:
    """Each unit's score for each signal, NaN where the signal is constant, and its interval if asked for.

    `r2` is that of a straight line: of classes, of their indicators; NaN where it was not asked for.
    """

    score: Float[np.ndarray, "unit signal"]
    low: Float[np.ndarray, "unit signal"]
    high: Float[np.ndarray, "unit signal"]
    r2: Float[np.ndarray, "unit signal"]


@dataclass(frozen=True, eq=False)
class Sums:
    """All that scores and intervals need.

    Attributes:
        outcomes: what is predicted.
        groups: the fold of each group of sequences; a group is drawn as one by the bootstrap.
        moments: each group's, of units and continuous columns; of predictions, there are no units.
        errors: each group's held-out squared errors.
        excess: each fold's sum of the positives' centred ranks, by class.
        sign: each fold's orientation: a unit may rank the positives low, and which way is learned on the training
            part; predictions are taken as they are.
        placements: what the intervals of AUROCs need.
    """

    outcomes: Outcomes
    groups: Split
    moments: Moments
    errors: Float[np.ndarray, "group unit continuous"]
    excess: Float[np.ndarray, "fold unit class"]
    sign: Float[np.ndarray, "fold unit class"]
    placements: Placements | None = None

    @classmethod
    def of_units(
        cls,
        outcomes: Outcomes,
        groups: Split,
        moments: Moments,
        excess: Float[np.ndarray, "fold unit class"],
        places: Placements | None = None,
    ) -> "Sums":
        """Return the sums of single units, each with a straight line of its own."""
        return cls(outcomes, groups, moments, unit_errors(moments, groups), excess, orientation(excess), places)

    @classmethod
    def of_predictions(
        cls,
        outcomes: Outcomes,
        groups: Split,
        moments: Moments,
        errors: Float[np.ndarray, "group continuous"],
        excess: Float[np.ndarray, "fold class"],
        places: Placements | None = None,
    ) -> "Sums":
        """Return the sums of held-out predictions of every column."""
        ranked = excess[:, None]
        return cls(outcomes, groups, moments, errors[:, None], ranked, np.ones_like(ranked), places)

    @property
    def effects(self) -> Float[np.ndarray, "unit signal"]:
        """The effects alone."""
        return effects(evaluate(self).score, self.outcomes)


def evaluate(sums: Sums, weights: Weights = None) -> Scores:
    """Return scores, and their intervals where there are bootstrap weights.

    The R² of predictions has none: how far chance moves it is not in its errors alone (see `population_r2`).
    """
    outcomes = sums.outcomes
    pairs = outcomes.pairs[:, None, outcomes.classes]
    columns = column_scores(outcomes, sums.errors.sum(0), spread(sums.moments), sums.excess, sums.sign, pairs)
    score = outcomes.per_signal(columns)
    if weights is None:
        unknown = np.full_like(score, np.nan)
        return Scores(score, unknown, unknown, unknown)
    numbers, owner = np.unique(outcomes.owner[outcomes.continuous], return_inverse=True)
    nothing = np.full((len(score), len(numbers)), np.nan)
    ends = nothing, nothing
    if sums.moments.x.shape[1]:
        count = sums.groups.independent(np.asarray(sums.moments.n.any((1, 2))))
        ends = correlation_interval(sums.moments, score[:, numbers], weights, owner, count)
    samples = np.full((len(weights), *columns.shape), np.nan)
    for k, column in enumerate(outcomes.classes):
        if outcomes.defined[column] and sums.placements is not None:
            below, counts = sums.placements(k)
            samples[..., column] = resample_auroc(below, counts, sums.sign[..., k], sums.groups, weights)
    straight = np.where([signal.is_number for signal in outcomes.signals], score, np.nan)
    return Scores(score, *signal_intervals(outcomes, ends, samples), straight)


def population_columns(
    scores: Scores,
    outcomes: Outcomes,
    control: Float[np.ndarray, " signal"],
    population: Mapping[str, Float[np.ndarray, " signal"]],
) -> dict[str, Float[np.ndarray, " signal"]]:
    """Return what is said of predictions from a whole block beside those of its control task.

    Args:
        scores: of one unit, the predictions; the first signals are those of the outcomes.
        outcomes: the signals.
        control: the scores of their control tasks.
        population: from `population_r2`.
    """
    score, low, high = (own[0, : len(outcomes.signals)] for own in (scores.score, scores.low, scores.high))
    # A control task that came out constant has nothing to memorise: chance.
    chance = np.array([0.0 if signal.is_number else 0.5 for signal in outcomes.signals])
    memorised = np.where(outcomes.scored, np.where(np.isnan(control), chance, control), np.nan)
    number = np.array([signal.is_number for signal in outcomes.signals])
    ends = {name: np.where(number, population[name], own) for name, own in (("ci_low", low), ("ci_high", high))}
    return {
        "score": score, "r2_population": population["r2_population"], **ends, "control": memorised,
        "selectivity": score - memorised,
    }  # fmt: skip


def column_scores(
    outcomes: Outcomes,
    errors: Float[np.ndarray, "*rest continuous"],
    spread: Float[np.ndarray, "*#rest continuous"],
    excess: Float[np.ndarray, "fold *ranked class"],
    sign: Float[np.ndarray, "fold *ranked class"],
    pairs: Float[np.ndarray, "fold *#ranked class"],
) -> Float[np.ndarray, "*rest column"]:
    """Return the R² of continuous columns and the AUROC of the others.

    Args:
        outcomes: says which columns there are.
        errors: held-out squared errors.
        spread: the columns' squared distances from their overall mean.
        excess: each fold's sum of the positives' centred ranks; of nothing, where there are no classes.
        sign: each fold's orientation.
        pairs: of a positive and a negative step in each fold.
    """
    out = np.full((*errors.shape[:-1], len(outcomes.owner)), np.nan)
    if len(outcomes.continuous):
        out[..., outcomes.continuous] = r2(errors, spread)
    if len(outcomes.classes):
        out[..., outcomes.classes] = auroc(excess, sign, pairs)
    return out


def spread(sums: Moments) -> Float[np.ndarray, "1 column"]:
    """Return the columns' squared distances from their overall mean."""
    result: np.ndarray = sums.yy.sum(0) - sums.y.sum(0) ** 2 / np.maximum(sums.n.sum(0), 1)
    return result


def signal_intervals(
    outcomes: Outcomes,
    ends: tuple[Float[np.ndarray, "unit number"], Float[np.ndarray, "unit number"]],
    samples: Float[np.ndarray, "sample unit column"],
) -> tuple[Float[np.ndarray, "unit signal"], Float[np.ndarray, "unit signal"]]:
    """Return each signal's interval: what is known of those that are numbers, percentiles of the others' samples."""
    low, high = np.full((2, samples.shape[1], len(outcomes.signals)), np.nan)
    own = np.unique(outcomes.owner[outcomes.continuous])
    low[:, own], high[:, own] = np.where(outcomes.scored[own], ends, np.nan)
    own = np.unique(outcomes.owner[outcomes.classes])
    if len(own):
        low[:, own], high[:, own] = percentile_interval(outcomes.per_signal(samples)[..., own])
    return low, high


def evaluate_units(x: Float[np.ndarray, "sequence time unit"], view: View, weights: Weights = None) -> Scores:
    """Return how well each unit by itself predicts each signal; a constant unit's R² is 0, its AUROC ½."""
    moments = Moments.of(x, view.columns[..., view.continuous], view.mask)
    indicators = view.columns[..., view.classes]
    if weights is None:
        return evaluate(Sums.of_units(view, view.split, moments, class_excess(x, indicators, view)))
    ranks = centred_ranks(x, view) if len(view.classes) else x
    excess = [rank_excess(ranks, indicators[..., k], view.split) for k in range(len(view.classes))]
    every = np.stack(excess, axis=-1) if excess else np.zeros((view.split.folds, x.shape[-1], 0))
    sums = Sums.of_units(view, view.split, moments, every, lambda k: placements(ranks, indicators[..., k], view))
    found = evaluate(sums, weights)
    if not len(view.classes):
        return found
    return replace(found, r2=np.where(np.isnan(found.r2), indicator_r2(x, view), found.r2))


def unit_scores(x: Float[np.ndarray, "sequence time unit"], view: View) -> Float[np.ndarray, "unit signal"]:
    """Return each unit's score, without an interval."""
    return evaluate_units(x, view).score


def indicator_r2(x: Float[np.ndarray, "sequence time unit"], view: View) -> Float[np.ndarray, "unit signal"]:
    """Return the held-out R² of each unit for the indicators of each signal's classes; NaN for one without any."""
    folds = Moments.of(x, view.columns[..., view.classes], view.mask).map(view.split.sums)
    errors = squared_errors(folds, folds.map(view.split.training)).sum(0)
    columns = np.full((x.shape[-1], len(view.owner)), np.nan)
    # A constant unit is at exactly 0.
    columns[:, view.classes] = r2(errors, spread(folds)) * (folds.xx.sum(0) > 0)
    return view.per_signal(columns)


def evaluate_predictions(
    predictions: Float[np.ndarray, "sequence time column"], view: View, weights: Weights = None
) -> Scores:
    """Return how good held-out predictions of the view's columns are, as scores of a single unit."""
    y, indicators = view.columns[..., view.continuous], view.columns[..., view.classes]
    off = y - predictions[..., view.continuous]
    tied = np.round(predictions[..., view.classes], DECIMALS)
    if weights is None:
        ranks, excess = tied, np.einsum("fcc->fc", class_excess(tied, indicators, view))
    else:
        ranks = centred_ranks(tied, view) if len(view.classes) else tied
        own = [(ranks[members], indicators[members]) for members in view.split.members]
        excess = np.stack([np.einsum("stc,stc->c", *both, dtype=np.float64) for both in own])
    sums = Sums.of_predictions(
        view, view.split, Moments.of(y[..., :0], y, view.mask), np.einsum("std,std->sd", off, off), excess,
        lambda k: placements(ranks[..., k : k + 1], indicators[..., k], view),
    )  # fmt: skip
    return evaluate(sums, weights)
