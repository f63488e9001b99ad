"""What scores, intervals and the null need of a stream, added up shard by shard."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import Outcomes, View, count_pairs, weights
from lstm_probe.probing.fits.moments import CONSTANT, Moments, add_rows
from lstm_probe.probing.inference.evaluate import Sums, spread
from lstm_probe.probing.inference.exchange import LengthGroups
from lstm_probe.probing.inference.nulls import BATCH_BYTES, Shuffled, Statistics, shuffled_products
from lstm_probe.probing.streaming.bins import Bins, Counts, looked_up


class UnitSums:
    """Moments by groups of sequences, and counts by folds, of all blocks at one lag.

    Args:
        groups: how many groups there are.
        sizes: how many units each block has.
        view: says which columns and folds there are.
    """

    def __init__(self, groups: int, sizes: Sequence[int], view: View) -> None:
        columns, classes = len(view.continuous), len(view.classes)
        self.moments = [
            Moments(*(np.zeros((groups, *shape)) for shape in
                      ((1, 1), (size, 1), (size, 1), (1, columns), (1, columns), (size, columns))))
            for size in sizes
        ]  # fmt: skip
        self.counts = [Counts.empty(classes, view.split.folds, size if classes else 0) for size in sizes]

    def add(
        self,
        block: int,
        x: Float[np.ndarray, "sequence time unit"] | None,
        places: Int[np.ndarray, "unit step"] | None,
        view: View,
        group: Int[np.ndarray, " sequence"],
    ) -> None:
        """Add a shard's standardised units, and the bins of its real steps."""
        if x is not None:
            self.moments[block].add_rows(Moments.of(x, view.columns[..., view.continuous], view.mask), group)
        if places is not None:
            self.counts[block].add(places, fold_of_steps(view), view.columns[view.mask][:, view.classes])

    def errors(self, bins: Sequence[Bins], outcomes: Outcomes) -> Iterator[float]:
        """Yield how far off the AUROCs of each block and class can be."""
        for c in np.flatnonzero(outcomes.defined[outcomes.classes]).tolist():
            for counts, own in zip(self.counts, bins):
                yield float(counts.error(c, own.single).max())

    def sums(self, block: int, outcomes: Outcomes, groups: Split, ranks: "RankSums | None" = None) -> Sums:
        """Return what a block's scores need, and their intervals where there are `ranks`."""
        moments, counts = self.moments[block], self.counts[block]
        excess = np.zeros((len(counts.every), moments.x.shape[1], len(outcomes.classes)))
        for c in range(len(outcomes.classes)):
            excess[..., c] = counts.excess(c)
        below = None if ranks is None else lambda c: (ranks.below[block][c], ranks.counts[c])
        return Sums.of_units(outcomes, groups, moments, excess, below)


def fold_of_steps(view: View) -> Int[np.ndarray, " step"]:
    """Return the fold of each real step, sequence after sequence."""
    return np.repeat(view.split.fold, view.mask.sum(1))


class RankSums:
    """What the intervals of AUROCs need: for each group of sequences, how many steps lie below its own.

    Args:
        groups: how many groups there are.
        counts: each block's, of the whole stream.
        classes: how many indicators there are; those of predictions were counted as one, each by its own prediction.
    """

    def __init__(self, groups: int, counts: Sequence[Counts], classes: int) -> None:
        columns = len(counts[0].positive)
        self.every = [own.middles().astype(np.float32) for own in counts]
        self.positive = [[own.middles(c).astype(np.float32) for c in range(columns)] for own in counts]
        self.below = [np.zeros((columns, groups, own.every.shape[1], 2)) for own in counts]
        self.counts = np.zeros((classes, groups, 2))

    def add_counts(self, view: View, group: Int[np.ndarray, " sequence"]) -> None:
        """Add how many positive and negative steps there are."""
        for into, c in zip(self.counts, view.classes):
            positives = view.columns[..., c].sum(1)
            add_rows(into, group, np.stack([positives, view.n - positives], axis=1))

    def add(
        self, block: int, places: Int[np.ndarray, "unit step"], view: View, group: Int[np.ndarray, " sequence"]
    ) -> None:
        """Add the bins of a shard's real steps."""
        some = np.flatnonzero(view.n)
        if not len(some):
            return
        start = np.cumsum(view.n[some], dtype=np.int64) - view.n[some].astype(np.int64)
        fold, indicators = fold_of_steps(view), view.columns[view.mask][:, view.classes]
        every = looked_up(self.every[block], places, fold)
        positive = indicators.T > 0
        # Of predictions each class has a row of its own; all rows are ranked at once.
        together = len(self.positive[block]) < len(positive)
        for c, indicator in enumerate(positive[None] if together else positive):
            # Of a positive step the negatives below count, and the other way round.
            below = looked_up(self.positive[block][c], places, fold)
            np.subtract(every, below, out=below, where=indicator)
            of_all = np.add.reduceat(below, start, axis=1, dtype=np.float64)
            of_positive = np.add.reduceat(below * indicator, start, axis=1, dtype=np.float64)
            add_rows(self.below[block][c], group[some], np.stack([of_positive.T, (of_all - of_positive).T], axis=-1))


class NullSums:
    """Sums of all blocks at one lag, with each shard's sequences permuted among themselves.

    Args:
        sizes: how many units each block has.
        count: how many permutations there are, the identity included.
        view: says which columns and folds there are.
    """

    def __init__(self, sizes: Sequence[int], count: int, view: View) -> None:
        self.start = np.concatenate([[0], np.cumsum(sizes)])
        folds, units, self.count = view.split.folds, int(self.start[-1]), count
        y, classes = len(view.continuous), len(view.classes)
        self.n, self.x, self.xx = (np.zeros((folds, size, 1)) for size in (1, units, units))
        self.y, self.yy, self.xy = (np.zeros((folds, *own, y, count)) for own in ((), (), (units,)))
        self.positives, self.excess = (np.zeros((folds, *own, classes, count)) for own in ((), (units,)))
        self.counts = [Counts.empty(0, folds, size if classes else 0) for size in sizes]

    def centres(self) -> list[Float[np.ndarray, "fold unit bin"]]:
        """Return each block's centred ranks, by fold and bin."""
        n = self.n / 2
        return [(own.middles() - n).astype(np.float32) for own in self.counts]

    def batches(self, largest: int, columns: int) -> Iterator[slice]:
        """Yield the permutations in batches that fit into `BATCH_BYTES`.

        Args:
            largest: steps of the largest fold in the shard.
            columns: how many there are.
        """
        step = max(1, BATCH_BYTES // (4 * max(1, largest, len(self.x[0])) * max(1, columns)))
        return (slice(start, min(start + step, self.count)) for start in range(0, self.count, step))

    def add_units(
        self,
        values: Sequence[Float[np.ndarray, "_ _"]],
        view: View,
        groups: LengthGroups,
        permutations: Int[np.ndarray, "_ sequence"],
    ) -> None:
        """Add standardised units, each fold's of (step, unit), against continuous columns."""
        y = view.columns[..., view.continuous]
        self.n += view.split.sums(view.n)[:, None, None]
        if not y.shape[-1]:
            return
        for fold, own in enumerate(values):
            self.x[fold, :, 0] += own.sum(0, dtype=np.float64)
            self.xx[fold, :, 0] += np.einsum("su,su->u", own, own, dtype=np.float64)
        self.y += groups.sums(y, permutations, view.split).reshape(self.y.shape)
        self.yy += groups.sums(y**2, permutations, view.split).reshape(self.yy.shape)
        self._products(self.xy, y, values, groups, permutations, view)

    def add_ranks(
        self,
        ranks: Sequence[Float[np.ndarray, "_ _"]],
        view: View,
        groups: LengthGroups,
        permutations: Int[np.ndarray, "_ sequence"],
    ) -> None:
        """Add centred ranks, each fold's of (step, unit), against indicators."""
        indicators = view.columns[..., view.classes]
        self.positives += groups.sums(indicators, permutations, view.split).reshape(self.positives.shape)
        self._products(self.excess, indicators, ranks, groups, permutations, view)

    def _products(
        self,
        into: np.ndarray,
        y: np.ndarray,
        units: Sequence[np.ndarray],
        groups: LengthGroups,
        permutations: np.ndarray,
        view: View,
    ) -> None:
        for batch in self.batches(max(map(len, units)), y.shape[-1]):
            here = into[..., batch]
            products = shuffled_products(y, units, groups, permutations[batch], view.split, view.lag)
            here += products.reshape(here.shape)

    def scores(self, outcomes: Outcomes) -> Statistics:
        """Yield all units' scores, batch by batch of permutations; the first is the identity alone."""
        own = Moments(self.n, self.x, self.xx, *(np.zeros((len(self.n), 1, 0)),) * 2, self.xx[..., :0])
        step = max(1, BATCH_BYTES // (8 * max(1, self.x.size) * max(1, len(outcomes.owner))))
        starts = [0, *range(1, self.count, step)]
        for batch in map(slice, starts, [*starts[1:], self.count]):
            sums = (self.y, self.yy, self.xy, self.positives, self.excess)
            flat = (part[..., batch].reshape(*part.shape[:-2], -1) for part in sums)
            yield batch, Shuffled(*flat).scores(outcomes, own, batch.stop - batch.start)

    def outcomes(self, view: View) -> Outcomes:
        """Return what is predicted at the steps that take part in the null."""
        y, yy = np.zeros((2, len(self.n), len(view.owner)))
        y[:, view.continuous], yy[:, view.continuous] = self.y[..., 0], self.yy[..., 0]
        y[:, view.classes] = self.positives[..., 0]
        return outcomes_of(view, Moments.of_columns(self.n[:, 0, 0], y, yy))


def outcomes_of(view: View, folds: Moments) -> Outcomes:
    """Return what is predicted, from each fold's sums over all columns."""
    # What is left of a constant is rounding.
    varies = spread(folds)[0] > CONSTANT * folds.yy.sum((0, 1))
    own = weights(view, folds.y.sum((0, 1)), folds.yy.sum((0, 1)), float(folds.n.sum()))
    return Outcomes(view.signals, view.owner, count_pairs(folds.y[:, 0], folds.n[:, 0, 0]), varies, own)


def by_fold(values: Shaped[np.ndarray, "sequence time unit"], split: Split) -> list[Shaped[np.ndarray, "_ _"]]:
    """Return each fold's steps, real or not."""
    return [values[m].reshape(len(m) * values.shape[1], values.shape[-1]) for m in split.members]


def real_rows(values: Shaped[np.ndarray, "sequence time unit"], view: View, bins: Bins) -> Int[np.ndarray, "unit step"]:
    """Return the bins of what was recorded at real steps."""
    return bins.places(values[:, view.lag :][view.mask])
