"""Held-out ridge predictions of a stream: fitted from sums over shards, then scored in further passes."""

import numpy as np
from jaxtyping import Float, Int, Shaped

from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import Outcomes, Scale, View
from lstm_probe.probing.fits.moments import Moments
from lstm_probe.probing.fits.ridge import Fit, Gram, Standardised, fit_ridge, validation_errors
from lstm_probe.probing.inference.evaluate import DECIMALS, Sums
from lstm_probe.probing.inference.population import nothing_known, population_r2
from lstm_probe.probing.streaming.bins import Bins, Counts, count
from lstm_probe.probing.streaming.sums import RankSums, fold_of_steps


def fold_effects(
    outcomes: Outcomes,
    moments: Moments,
    errors: Float[np.ndarray, "fold continuous"],
    excess: Float[np.ndarray, "fold class"],
) -> Float[np.ndarray, " signal"]:
    """Return the effects of held-out predictions, from each fold's sums over all columns."""
    own = moments.columns(outcomes.continuous)
    result: np.ndarray = Sums.of_predictions(outcomes, Split(np.arange(len(errors))), own, errors, excess).effects[0]
    return result


class RankedPredictions:
    """How the held-out predictions of indicators rank, by bins.

    Args:
        fit: on each fold's training part.
        columns: the column of the view that each of the fit's predicts.
        x: a sample of steps, to lay the bins.
        fold: of each of them.
    """

    def __init__(
        self,
        fit: Fit,
        columns: Int[np.ndarray, " prediction"],
        x: Float[np.ndarray, "step feature"],
        fold: Int[np.ndarray, " step"],
    ) -> None:
        # Steps are ranked within folds: without intercepts, which say nothing there, folds share the bins better.
        self.fit, self.columns = Fit(fit.coefficients, np.zeros_like(fit.intercept)), columns
        sample = np.empty((len(x), len(columns)))
        for k, coefficients in enumerate(fit.coefficients):
            sample[fold == k] = x[fold == k] @ coefficients
        self.bins = Bins.of(np.round(sample, DECIMALS))
        self.counts = Counts.empty(1, len(fit.intercept), len(columns))

    def places(self, view: View, x: Float[np.ndarray, "sequence time feature"]) -> Int[np.ndarray, "prediction step"]:
        """Return the bins of the predictions at a shard's real steps."""
        return self.bins.places(np.round(self.fit.held_out(x, view)[view.mask], DECIMALS))

    def add(self, view: View, x: Float[np.ndarray, "sequence time feature"]) -> None:
        """Count a shard's predictions."""
        index = self.places(view, x) + fold_of_steps(view) * self.counts.every[0].size
        count(self.counts.every, index)
        count(self.counts.positive[0], index[view.columns[view.mask][:, self.columns].T > 0])


class RidgeSums:
    """What features predict: a ridge fit from sums, then how good its held-out predictions are.

    Args:
        scale: of as many features as are taken, from the first on.
        view: says which columns and folds there are.
        left_out: in how many groups sequences are left out in turn for the intervals of numbers; 0 for none.
    """

    def __init__(self, scale: Scale, view: View, left_out: int = 0) -> None:
        self.features = len(scale.mean)
        products, numbers = 1 + self.features + len(view.owner), 1 + self.features + len(view.continuous)
        self.scale, self.gram = scale, Gram(np.zeros((view.split.folds, products, products)), self.features)
        self.left_out = Gram(np.zeros((left_out, numbers, numbers)), self.features)

    def taken(
        self, view: View, values: Shaped[np.ndarray, "sequence time feature"]
    ) -> Float[np.ndarray, "sequence later_time taken"]:
        """Return the features that are taken, on their scale."""
        return self.scale(values[:, view.lag :, : self.features], view.mask)

    def add(
        self,
        view: View,
        values: Shaped[np.ndarray, "sequence time feature"],
        group: Int[np.ndarray, " sequence"] | None = None,
    ) -> None:
        """Add a shard, before there is a fit; `group` says with which others each sequence is left out."""
        x = self.taken(view, values)
        own = Gram.per_fold(x, view.columns, view)
        self.gram = Gram(self.gram.sums + own.sums, own.features)
        if group is not None and len(view.continuous):
            members = [np.flatnonzero(group == k) for k in range(len(self.left_out.sums))]
            also = Gram.of_groups(x, view.columns[..., view.continuous], view.mask, members)
            self.left_out = Gram(self.left_out.sums + also.sums, own.features)

    def population(self, outcomes: Outcomes) -> dict[str, Float[np.ndarray, " signal"]]:
        """Return what is said of the best read-out in the population."""
        if not len(outcomes.continuous) or not len(self.left_out.sums):
            return nothing_known(outcomes)
        kept = np.r_[: 1 + self.features, 1 + self.features + outcomes.continuous]
        folds = Gram(self.gram.sums[:, kept[:, None], kept], self.features)
        return population_r2(self.left_out, folds, outcomes)

    @property
    def moments(self) -> Moments:
        """Each fold's sums of the columns."""
        first = 1 + self.features
        squares = np.diagonal(self.gram.sums, axis1=1, axis2=2)[:, first:]
        return Moments.of_columns(self.gram.sums[:, 0, 0], self.gram.sums[:, 0, first:], squares)

    def fit(self, view: View, values: Shaped[np.ndarray, "step feature"], fold: Int[np.ndarray, " step"]) -> None:
        """Fit, and lay bins for the predictions of indicators.

        Args:
            view: says which columns and folds there are.
            values: a sample of steps.
            fold: of each of them.
        """
        self.fitted = fit_ridge(self.gram)
        mean = Standardised.of(self.gram.training()).mean
        held_out = zip(self.gram.sums, mean, self.fitted.coefficients)
        self.fold_errors = np.stack([validation_errors(*one) for one in held_out])[:, view.continuous]
        self.sampled, self.fold = values, fold
        self.ranked = RankedPredictions(self.fitted.only(view.classes), view.classes, self.sample, fold)

    @property
    def sample(self) -> Float[np.ndarray, "step feature"]:
        """The sampled steps on the features' scale; made when needed, since they are many."""
        result: np.ndarray = (self.sampled[:, : self.features] - self.scale.mean) * self.scale.factor
        return result

    def add_predictions(self, view: View, values: Shaped[np.ndarray, "sequence time feature"]) -> None:
        """Take in how good a shard's predictions of classes are."""
        if len(view.classes):
            self.ranked.add(view, self.taken(view, values))

    def effects(self, outcomes: Outcomes) -> Float[np.ndarray, " signal"]:
        """Return the effect of predicting each signal from these features."""
        return fold_effects(outcomes, self.moments, self.fold_errors, self.ranked.counts.excess(0))

    def begin_ranks(self, groups: int) -> None:
        """Make of the counts what intervals need."""
        self.ranks = RankSums(groups, [self.ranked.counts], len(self.ranked.columns))

    def add_ranks(
        self,
        view: View,
        values: Shaped[np.ndarray, "sequence time feature"],
        group: Int[np.ndarray, " sequence"],
    ) -> None:
        """Take in the ranks of a shard's predictions, for the intervals."""
        self.ranks.add_counts(view, group)
        self.ranks.add(0, self.ranked.places(view, self.taken(view, values)), view, group)

    def sums(self, outcomes: Outcomes, groups: Split) -> Sums:
        """Return what scores and intervals need."""
        return Sums.of_predictions(
            outcomes, groups, self.moments.columns(outcomes.continuous), self.fold_errors,
            self.ranked.counts.excess(0),
            lambda c: (self.ranks.below[0][0][:, c : c + 1], self.ranks.counts[c]),
        )  # fmt: skip

    def error(self, outcomes: Outcomes) -> float:
        """Return how far off any AUROC can be."""
        errors = self.ranked.counts.error(0, self.ranked.bins.single)
        return float(errors.max(initial=0, where=outcomes.defined[outcomes.classes]))
