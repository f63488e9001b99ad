"""The baselines of a stream that need no units: from sums over shards."""

import numpy as np
from jaxtyping import Float

from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.moments import Moments
from lstm_probe.probing.inference.baselines import time_means
from lstm_probe.probing.streaming.bins import level_excess
from lstm_probe.probing.streaming.predictions import fold_effects


class LevelSums:
    """Sums of the columns at each level of what each step has one of: what the level alone predicts.

    Args:
        levels: how many there are.
        view: says which columns and folds there are.
    """

    def __init__(self, levels: int, view: View) -> None:
        shape = view.split.folds, levels
        self.total, self.square = np.zeros((2, *shape, len(view.owner)))
        self.every = np.zeros(shape)

    @property
    def moments(self) -> Moments:
        """Each fold's sums of the columns."""
        return Moments.of_columns(self.every.sum(1), self.total.sum(1), self.square.sum(1))

    def effects(self, outcomes: Outcomes) -> Float[np.ndarray, " signal"]:
        """Return the effect of predicting each signal from the level alone."""
        mean, y, c = time_means(self.total, self.every), outcomes.continuous, outcomes.classes
        errors = (self.square - mean * (2 * self.total - mean * self.every[..., None])).sum(1)
        excess = level_excess(mean[..., c], self.total[..., c], self.every)
        return fold_effects(outcomes, self.moments, errors[:, y], excess)


class StepSums(LevelSums):
    """Sums of the columns at each step index, and so how many pairs there are.

    Args:
        time: steps of the longest sequence.
        view: says which columns and folds there are.
    """

    def __init__(self, time: int, view: View) -> None:
        super().__init__(time - view.lag, view)

    def add(self, view: View) -> None:
        """Add a shard."""
        time = view.mask.shape[1]
        self.total[:, :time] += view.split.sums(view.columns)
        self.square[:, :time] += view.split.sums(view.columns**2)
        self.every[:, :time] += view.split.sums(view.mask.astype(np.float64))
