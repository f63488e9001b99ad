"""What the input of the same step tells of signals, over a stream: the sums of `inference.present`.

There is a look-up while no more than 65,536 different vectors are seen. Knots are those of a sample of steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int, UInt64

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.vectors import hashed_rows
from lstm_probe.probing.data.view import Outcomes, Scale, View
from lstm_probe.probing.inference.present import InputFeatures, linear_inputs, ways
from lstm_probe.probing.streaming.baselines import LevelSums
from lstm_probe.probing.streaming.predictions import RidgeSums
from lstm_probe.probing.streaming.shards import Shard, numbers

if TYPE_CHECKING:
    from lstm_probe.probing.streaming.first_look import Known

#: Of more different input vectors than this, no table is kept.
MOST_VECTORS = 65_536


class InputSurvey:
    """The hashes of a stream's different input vectors, in rising order, and at which step each comes last.

    Once there are too many there are none.
    """

    def __init__(self) -> None:
        self.hashes, self.last, self.full = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64), False

    def add(self, shard: Shard) -> None:
        """Take in a shard's inputs."""
        if self.full:
            return
        hashes = np.concatenate([self.hashes, hashed_rows(numbers(shard.rec.inputs)[shard.mask])])
        steps = np.concatenate([self.last, np.nonzero(shard.mask)[1]])
        self.hashes, place = np.unique(hashes, return_inverse=True)
        self.full = len(self.hashes) > MOST_VECTORS
        if self.full:
            self.hashes = self.hashes[:0]
        else:
            self.last = np.zeros(len(self.hashes), dtype=np.int64)
            np.maximum.at(self.last, place, steps)

    def ways(self, lag: int, lengths: Int[np.ndarray, " sequence"], inputs: int) -> tuple[bool, bool]:
        """Return whether there are a look-up and a linear prediction at a lag; see `inference.present.ways`."""
        steps = int(np.maximum(lengths - lag, 0).sum())
        return (False, True) if self.full else ways(int((self.last >= lag).sum()), steps, inputs)


class LookUpSums(LevelSums):
    """Sums of the columns beside each different input vector.

    Args:
        hashes: of the vectors, in rising order.
        view: says which columns and folds there are.
    """

    def __init__(self, hashes: UInt64[np.ndarray, " vector"], view: View) -> None:
        super().__init__(len(hashes), view)
        self.hashes = hashes

    def add(self, view: View, hashes: UInt64[np.ndarray, "sequence time"]) -> None:
        """Add a shard, of whose every step the hash is given."""
        level = np.searchsorted(self.hashes, hashes[:, view.lag :][view.mask])
        place = np.repeat(view.split.fold, view.mask.sum(1)) * len(self.hashes) + level
        for k, y in enumerate(view.columns[view.mask].T):
            self.total[..., k] += self._summed(place, y)
            self.square[..., k] += self._summed(place, y**2)
        self.every += self._summed(place, np.ones(len(place)))

    def _summed(self, place: np.ndarray, values: np.ndarray) -> Float[np.ndarray, "fold vector"]:
        result: np.ndarray = np.bincount(place, values, self.every.size).reshape(self.every.shape)
        return result


@dataclass(frozen=True, eq=False)
class Shown:
    """What is needed of a shard's inputs: the linear ones, the hash of each step's, and their features."""

    inputs: np.ndarray
    hashes: np.ndarray | None
    features: np.ndarray | None


class PresentSums:
    """What the input of the same step tells of each signal, at every lag.

    Args:
        known: what the first look found.
        views: of no sequences, at each lag; they say which columns there are.
    """

    def __init__(self, known: "Known", views: Sequence[View]) -> None:
        self.known, self.views = known, views
        width = known.study.rec.inputs.shape[-1]
        self.sample = known.units.sampled[0][:, :width]
        self.lines, self.make = linear_inputs(self.sample), InputFeatures.of(self.sample)
        ways = [known.vectors.ways(view.lag, known.study.lengths, width) for view in views]
        made = self.make(self.sample[:0]).shape[1]
        unit = Scale(np.zeros(made), np.ones(made))
        scales = [known.units.input_scale(view.lag) for view in views]
        self.linear = [
            RidgeSums(Scale(scale.mean[self.lines], scale.factor[self.lines]), view) if linear else None
            for (_, linear), scale, view in zip(ways, scales, views)
        ]
        self.tables = [LookUpSums(known.vectors.hashes, v) if look_up else None for (look_up, _), v in zip(ways, views)]
        self.curved = [None if look_up else RidgeSums(unit, v) for (look_up, _), v in zip(ways, views)]

    def shown(self, shard: Shard) -> Shown:
        """Return what is needed of a shard's inputs."""
        inputs, features = numbers(shard.rec.inputs), None
        if any(self.curved):
            made = self.make(inputs[shard.mask])
            features = np.zeros((*shard.mask.shape, made.shape[1]))
            features[shard.mask] = made
        return Shown(inputs[..., self.lines], hashed_rows(inputs) if any(self.tables) else None, features)

    def seen(self, shard: Shard, checked: Sequence[CheckedSignal]) -> Iterator[tuple[int, View, Shown]]:
        """Go through the lags that a shard reaches: their number, the view of its signals, and what it shows."""
        shown = self.shown(shard)
        for k, view in enumerate(self.views):
            if shard.mask.shape[1] > view.lag:
                yield k, self.known.view(shard, checked, view.lag, shard.lengths), shown

    def add(self, lag: int, view: View, shown: Shown) -> None:
        """Take in a shard's view at the lag of this number, before there are fits."""
        if (table := self.tables[lag]) and shown.hashes is not None:
            table.add(view, shown.hashes)
        for sums, values in self._fits(lag, shown):
            sums.add(view, values)

    def fit(self) -> None:
        """Fit at every lag."""
        fold = self.known.study.split.fold[self.known.units.sampled[-1][:, 0]]
        whole = Shown(self.sample[:, self.lines], None, self.make(self.sample) if any(self.curved) else None)
        for lag, view in enumerate(self.views):
            for sums, values in self._fits(lag, whole):
                sums.fit(view, values, fold)

    def add_predictions(self, lag: int, view: View, shown: Shown) -> None:
        """Take in how good a shard's predictions are."""
        for sums, values in self._fits(lag, shown):
            sums.add_predictions(view, values)

    def effects(self, lag: int, outcomes: Outcomes) -> Float[np.ndarray, " signal"]:
        """Return the effect of the best prediction of each signal."""
        every = self.linear[lag], self.curved[lag], self.tables[lag]
        result: np.ndarray = np.maximum.reduce([own.effects(outcomes) for own in every if own is not None])
        return result

    def error(self, lag: int, outcomes: Outcomes) -> float:
        """Return how far off any AUROC can be."""
        return max((own.error(outcomes) for own in (self.linear[lag], self.curved[lag]) if own), default=0.0)

    def _fits(self, lag: int, shown: Shown) -> list[tuple[RidgeSums, np.ndarray]]:
        pairs = (self.linear[lag], shown.inputs), (self.curved[lag], shown.features)
        return [(sums, values) for sums, values in pairs if sums is not None and values is not None]
