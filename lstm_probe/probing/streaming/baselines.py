"""The baselines of a stream: the current input alone and the step index alone, from sums over shards."""

import numpy as np
from jaxtyping import Float, Int, Shaped

from lstm_probe.probing.data.view import Outcomes, Scale, View
from lstm_probe.probing.fits.ridge import Fit, Gram, Standardised, fit_ridge, validation_errors
from lstm_probe.probing.inference.baselines import time_means
from lstm_probe.probing.inference.evaluate import DECIMALS
from lstm_probe.probing.inference.scores import auroc, effects, r2
from lstm_probe.probing.streaming.bins import Bins, Counts, count, level_excess
from lstm_probe.probing.streaming.sums import fold_of_steps


def baseline_effects(
    errors: Float[np.ndarray, " continuous"],
    spread: Float[np.ndarray, " continuous"],
    excess: Float[np.ndarray, "fold class"],
    outcomes: Outcomes,
) -> Float[np.ndarray, " signal"]:
    """Return the effects of held-out predictions.

    Args:
        errors: squared, of continuous columns.
        spread: the columns' own.
        excess: the positives' centred ranks, by fold.
        outcomes: says which columns there are.
    """
    scores = np.full(len(outcomes.owner), np.nan)
    scores[outcomes.continuous] = r2(errors, spread)
    pairs = outcomes.pairs[:, outcomes.classes]
    scores[outcomes.classes] = auroc(excess, np.ones_like(excess), pairs)
    return effects(outcomes.per_signal(scores), outcomes)


class StepSums:
    """Sums of the columns at each step index: what the step index alone predicts, and how many pairs there are.

    Args:
        time: steps of the longest sequence.
        view: says which columns and folds there are.
    """

    def __init__(self, time: int, view: View) -> None:
        shape = view.split.folds, time - view.lag
        self.total, self.square = np.zeros((2, *shape, len(view.owner)))
        self.every = np.zeros(shape)

    def add(self, view: View) -> None:
        """Add a shard."""
        time = view.mask.shape[1]
        self.total[:, :time] += view.split.sums(view.columns)
        self.square[:, :time] += view.split.sums(view.columns**2)
        self.every[:, :time] += view.split.sums(view.mask.astype(np.float64))

    @property
    def pairs(self) -> Float[np.ndarray, "fold column"]:
        """How many pairs of a positive and a negative step each fold has, for each indicator."""
        positives = self.total.sum(1)
        return positives * (self.every.sum(1)[:, None] - positives)

    def effects(self, outcomes: Outcomes) -> Float[np.ndarray, " signal"]:
        """Return the effect of predicting each signal from the step index alone."""
        mean = time_means(self.total, self.every)
        errors = (self.square - mean * (2 * self.total - mean * self.every[..., None])).sum((0, 1))
        y, c = outcomes.continuous, outcomes.classes
        excess = level_excess(mean[..., c], self.total[..., c], self.every)
        return baseline_effects(errors[y], self.square.sum((0, 1))[y], excess, outcomes)


class InputSums:
    """What inputs predict: a ridge fit from sums, then the ranks of its predictions.

    Args:
        scale: of as many inputs as are taken, from the first on.
        view: says which columns and folds there are.
    """

    def __init__(self, scale: Scale, view: View) -> None:
        self.features = len(scale.mean)
        products = 1 + self.features + len(view.owner)
        self.scale, self.gram = scale, Gram(np.zeros((view.split.folds, products, products)), self.features)

    def taken(
        self, view: View, inputs: Shaped[np.ndarray, "sequence time feature"]
    ) -> Float[np.ndarray, "sequence later_time taken"]:
        """Return the inputs that are taken, on their scale."""
        return self.scale(inputs[:, view.lag :, : self.features], view.mask)

    def add(self, view: View, inputs: Shaped[np.ndarray, "sequence time feature"]) -> None:
        """Add a shard's inputs, before there is a fit."""
        own = Gram.per_fold(self.taken(view, inputs), view.columns, view)
        self.gram = Gram(self.gram.sums + own.sums, own.features)

    def fit(
        self, view: View, inputs: Shaped[np.ndarray, "step feature"], fold: Int[np.ndarray, " step"]
    ) -> None:
        """Fit, and lay bins for the predictions of indicators.

        Args:
            view: says which columns and folds there are.
            inputs: a sample of steps.
            fold: of each of them.
        """
        fitted = fit_ridge(self.gram)
        mean = Standardised.of(self.gram.training()).mean
        held_out = zip(self.gram.sums, mean, fitted.coefficients)
        self.errors = np.sum([validation_errors(*one) for one in held_out], axis=0)
        self.spread = np.diagonal(self.gram.sums.sum(0))[1 + self.gram.features :]
        self.fitted = Fit(fitted.coefficients[..., view.classes], fitted.intercept[:, view.classes])
        x = (inputs[:, : self.features] - self.scale.mean) * self.scale.factor
        sample = np.empty((len(x), len(view.classes)))
        for k, (coefficients, intercept) in enumerate(zip(self.fitted.coefficients, self.fitted.intercept)):
            sample[fold == k] = x[fold == k] @ coefficients + intercept
        self.bins = Bins.of(np.round(sample, DECIMALS))
        self.counts = Counts.empty(1, view.split.folds, len(view.classes))

    def add_predictions(self, view: View, inputs: Shaped[np.ndarray, "sequence time feature"]) -> None:
        """Count a shard's predictions of indicators."""
        predictions = self.fitted.held_out(self.taken(view, inputs), view)[view.mask]
        places = self.bins.places(np.round(predictions, DECIMALS))
        index = places + fold_of_steps(view) * self.counts.every[0].size
        count(self.counts.every, index)
        count(self.counts.positive[0], index[view.columns[view.mask][:, view.classes].T > 0])

    def effects(self, outcomes: Outcomes) -> Float[np.ndarray, " signal"]:
        """Return the effect of predicting each signal from these inputs alone."""
        y = outcomes.continuous
        return baseline_effects(self.errors[y], self.spread[y], self.counts.excess(0), outcomes)

    @property
    def error(self) -> Float[np.ndarray, " class"]:
        """How far off each AUROC can be."""
        return self.counts.error(0, self.bins.single)
