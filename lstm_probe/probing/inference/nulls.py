"""The null: signals permuted against units, and what follows from it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.scale import effect_of
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, by_labels
from lstm_probe.probing.data.view import Outcomes, Steps, View, count_pairs
from lstm_probe.probing.fits.moments import Moments, squared_errors
from lstm_probe.probing.inference.ends import line_up
from lstm_probe.probing.inference.evaluate import column_scores, spread
from lstm_probe.probing.inference.exchange import Exchange, LengthGroups
from lstm_probe.probing.inference.multiplicity import SAME, family
from lstm_probe.probing.inference.scores import centred_ranks, orientation

#: Memory for the shuffled signals of one batch of permutations, or for their products with units, in bytes.
BATCH_BYTES = 2**24

#: Each unit's score for each signal in each permutation, batch by batch; the first batch is the identity alone.
Statistics = Iterator[tuple[slice, Float[np.ndarray, "unit signal permutation"]]]


def shuffled_products(
    source: Float[np.ndarray, "sequence step column"],
    units: Sequence[Float[np.ndarray, "_ _"]],
    exchange: Exchange,
    permutations: Int[np.ndarray, "permutation sequence"],
    split: Split,
    lag: int,
) -> Float[np.ndarray, "fold unit shuffled"]:
    """Return each fold's sums of products of units with permuted columns, in the order of `Exchange.sums`.

    Args:
        source: columns, as the exchange takes them.
        units: each fold's, of (step, unit).
        exchange: how columns are permuted.
        permutations: from the exchange.
        split: which sequences are held out together.
        lag: of the columns.
    """
    columns = np.ascontiguousarray(source.transpose(2, 0, 1), dtype=np.float32)
    shuffled = len(columns) * len(permutations)
    out = np.empty((split.folds, units[0].shape[1], shuffled))
    for fold, members in enumerate(split.members):
        taken = exchange.moved(columns, permutations, members, lag).reshape(shuffled, len(units[fold]))
        out[fold] = units[fold].T @ taken.T
    return out


@dataclass(frozen=True, eq=False)
class Shuffled:
    """Sums over each fold's steps with signals permuted: all that the null's scores need.

    A column's permutations stand side by side. Sums over parts of the data may be added up.

    Attributes:
        y: of continuous columns.
        yy: of their squares.
        xy: of their products with units.
        positives: of indicators.
        excess: of their products with units' centred ranks; without indicators there need be no ranks.
    """

    y: Float[np.ndarray, "fold continuous"]
    yy: Float[np.ndarray, "fold continuous"]
    xy: Float[np.ndarray, "fold unit continuous"]
    positives: Float[np.ndarray, "fold class"]
    excess: Float[np.ndarray, "fold ranked class"]

    def scores(self, outcomes: Outcomes, own: Moments, count: int) -> Float[np.ndarray, "unit signal permutation"]:
        """Return each unit's held-out score, not floored.

        Args:
            outcomes: says which columns there are.
            own: each fold's sums over units alone; in each permutation, where it decides which steps are labelled.
            count: how many permutations there are.
        """
        n, x, xx = (each_column(sums, len(outcomes.continuous)) for sums in (own.n, own.x, own.xx))
        folds = Moments(n, x, xx, y=self.y[:, None], yy=self.yy[:, None], xy=self.xy)
        errors = squared_errors(folds, folds.map(Split.training)).sum(0)
        # A constant unit is at exactly 0, as in the observed scores.
        about = spread(folds) * (folds.xx.sum(0) > 0)
        steps = np.broadcast_to(each_column(own.n[:, 0], len(outcomes.classes)), self.positives.shape)
        pairs = count_pairs(self.positives, steps)[:, None]
        flat = errors, about, self.excess, orientation(self.excess), pairs
        apart = (own.reshape(*own.shape[:-1], own.shape[-1] // count, count).swapaxes(-2, -1) for own in flat)
        return outcomes.per_signal(column_scores(outcomes, *apart), undefined=0.0).swapaxes(-2, -1)


def each_column(sums: Float[np.ndarray, "*rest some"], columns: int) -> Float[np.ndarray, "*rest other"]:
    """Return sums of every permutation once for each column; one that is the same in all as it is."""
    return np.tile(sums, columns) if sums.shape[-1] > 1 else sums


@dataclass(frozen=True, eq=False)
class Design:
    """All units of a recording as the null needs them, fold by fold, at one lag.

    Labels move along with signals: where a step has none, it counts in no sum of that permutation. Then classes are
    ranked among all steps to which some exchange brings a label, so that ranks stay the same; scaled by how many are
    labelled. Where the same steps are labelled in all sequences, these are the ranks among labelled ones.

    Attributes:
        view: signals and mask, cut to the steps that take part.
        exchange: how signals are permuted.
        source: columns, as the exchange takes them.
        labels: likewise, 1 where a step is labelled; None where all are.
        values: for each fold, standardised units of (step, unit).
        ranks: for each fold, centred ranks of (step, unit).
        moments: each fold's sums over units alone; those with signals are made anew for every permutation.
    """

    view: View
    exchange: Exchange
    source: Float[np.ndarray, "sequence step column"]
    labels: Float[np.ndarray, "sequence step 1"] | None
    values: list[Float[np.ndarray, "_ _"]]
    ranks: list[Float[np.ndarray, "_ _"]]
    moments: Moments

    @classmethod
    def of(cls, blocks: Sequence[Tensor], view: View, exchange: Exchange) -> "Design":
        """Return the design of these blocks of units."""
        total = sum(block.shape[-1] for block in blocks)
        sizes = [len(members) * view.mask.shape[1] for members in view.split.members]
        values = [np.empty((size, total), dtype=np.float32) for size in sizes]
        ranks = [np.empty((size, total if len(view.classes) else 0), dtype=np.float32) for size in sizes]
        labelled = view.signals[0].labelled is not None
        # Other sequences' labels come to steps that have none themselves.
        steps: Steps = view
        if labelled:
            steps = Steps.real(exchange.lengths, view.mask.shape[1] + view.lag, view.split, view.lag)
            if isinstance(exchange, LengthGroups):
                steps = replace(steps, mask=steps.mask & exchange.reached(view.mask))
        made, start = [], 0
        for block in blocks:
            x = steps.features(block)
            here = slice(start, start + x.shape[-1])
            ranked = centred_ranks(x, steps) if len(view.classes) else x
            for fold, members in enumerate(view.split.members):
                values[fold][:, here] = x[members].reshape(-1, x.shape[-1])
                if len(view.classes):
                    ranks[fold][:, here] = ranked[members].reshape(-1, x.shape[-1])
            made.append(Moments.of(x, view.columns[..., :0], steps.mask).map(view.split.sums))
            start = here.stop
        x, xx, xy = (np.concatenate([getattr(m, name) for m in made], axis=1) for name in ("x", "xx", "xy"))
        first = made[0]
        moments = Moments(first.n, x, xx, first.y, first.yy, xy)
        source = exchange.moving(view)
        labels = source.mask[..., None].astype(np.float64) if labelled else None
        return cls(view, exchange, source.columns, labels, values, ranks, moments)

    def statistics(
        self, permutations: Int[np.ndarray, "permutation sequence"]
    ) -> Float[np.ndarray, "unit signal permutation"]:
        """Return each unit's held-out score, not floored, with the signals permuted.

        Sums of products of units with signals are linear in the signals, so all permutations of all signals
        are one matrix product for each fold.
        """
        view, sums = self.view, self.exchange.sums
        y, indicators = self.source[..., view.continuous], self.source[..., view.classes]
        how = permutations, view.split, view.lag
        shuffled = Shuffled(
            y=sums(y, *how),
            yy=sums(y**2, *how),
            xy=shuffled_products(y, self.values, self.exchange, *how),
            positives=sums(indicators, *how),
            excess=shuffled_products(indicators, self.ranks, self.exchange, *how),
        )
        if self.labels is None:
            return shuffled.scores(view, self.moments, len(permutations))
        n = sums(self.labels, *how)
        x, xx, ranked = (
            shuffled_products(self.labels, own, self.exchange, *how)
            for own in (self.values, [values**2 for values in self.values], self.ranks)
        )
        many = np.maximum(each_column(n, len(view.classes)), 1)[:, None]
        share = many / np.maximum(self.moments.n, 1)
        less = shuffled.positives[:, None] / many * each_column(ranked, len(view.classes))
        moments = Moments(n[:, None], x, xx, self.moments.y, self.moments.yy, self.moments.xy)
        own = replace(shuffled, excess=(shuffled.excess - less) * share)
        return own.scores(view, moments, len(permutations))

    def batches(self, permutations: Int[np.ndarray, "permutation sequence"]) -> Iterator[slice]:
        """Yield the permutations in batches that fit into `BATCH_BYTES`; the first is the identity alone."""
        column = max(4 * max(len(v) for v in self.values), 8 * self.moments.x[..., 0].size)
        row = column * max(len(self.view.continuous), len(self.view.classes))
        step = max(1, BATCH_BYTES // row)
        yield slice(0, 1)
        for start in range(1, len(permutations), step):
            yield slice(start, start + step)


@dataclass(frozen=True, eq=False)
class NullResult:
    """What the permutations say about each unit and signal at each lag.

    Attributes:
        p_value: the pair's own: the share of permutations, itself included, that do at least as well.
        p_family: that share for the best of all units at all lags, and over signals: see `family`.
        best: in each permutation, the score of the best of all units at all lags.
        observed: the scores as they are.
        scored: which signals the correction counts.
        floor: the effect that the null itself leaves to the best unit, which no number of sequences removes: that of
            its mean score over permutations, the highest of all units at all lags. The mean of the best would have
            the luck of the maximum in it, which more sequences do remove.
    """

    p_value: Float[np.ndarray, "lag unit signal"]
    p_family: Float[np.ndarray, "lag unit signal"]
    best: Float[np.ndarray, "signal permutation"]
    observed: Float[np.ndarray, "lag unit signal"]
    scored: Bool[np.ndarray, " signal"]
    floor: Float[np.ndarray, " signal"]


def study_test(study: Study, exchange: Exchange, count: int, seed: int) -> NullResult:
    """Return p-values for all signals of a study: see `permutation_test`."""

    def one(part: Study) -> dict[str, np.ndarray]:
        lined = line_up(exchange, part.signals)
        cut = [View.make(lined.signals, lined.exchange.lengths, part.split, lag) for lag in part.lags]
        found = permutation_test(
            [lined.values(block.values) for block in part.blocks], cut, lined.exchange, count, seed
        )
        own = ("p_value", "observed", "scored", "floor")
        return {"best": found.best.T} | {name: getattr(found, name) for name in own}

    own = by_labels(study, one)
    best = own["best"].T
    p_family = family(own["observed"], best, own["scored"])
    return NullResult(own["p_value"], p_family, best, own["observed"], own["scored"], own["floor"])


def permutation_test(
    blocks: Sequence[Tensor], views: Sequence[View], exchange: Exchange, count: int, seed: int
) -> NullResult:
    """Return p-values from `count` permutations of signals against units.

    The same permutations serve all units, signals and lags, so that the maximum over them has the right
    dependence (Westfall & Young 1993). Where whole sequences are exchanged, whatever depends on the step index
    alone is as good in every permutation.

    Args:
        blocks: each (sequence, time, unit).
        views: one for each lag, with the exchange's lengths.
        exchange: what is permuted: sequences of equal length, whole groups, steps in a circle, or windows.
        count: how many permutations; an exchange that has few enough takes all of them instead.
        seed: of the permutations.
    """
    permutations = exchange.permutations(count, seed)

    def statistics(view: View) -> Statistics:
        design = Design.of(blocks, view, exchange)
        return ((batch, design.statistics(permutations[batch])) for batch in design.batches(permutations))

    return compare(views, map(statistics, views), len(permutations) - 1)


def compare(outcomes: Sequence[Outcomes], statistics: Iterable[Statistics], count: int) -> NullResult:
    """Return p-values from the statistics at each lag.

    Args:
        outcomes: of each lag.
        statistics: each lag's.
        count: how many permutations there are, not counting the identity.
    """
    best = np.full((len(outcomes[0].signals), count), -np.inf)
    observed, p_value, mean = [], [], []
    for batches in statistics:
        exceed: np.ndarray | int = 0
        total = np.zeros(())
        for batch, scores in batches:
            if batch.start == 0:
                here = scores[..., 0]
                continue
            exceed = exceed + (scores >= here[..., None] - SAME).sum(-1)
            total = total + scores.sum(-1)
            window = best[:, batch.start - 1 : batch.stop - 1]
            np.maximum(window, scores.max(0), out=window)
        observed.append(here)
        p_value.append((1 + exceed) / (count + 1))
        mean.append(np.asarray(total / count))
    scored = np.any([own.scored for own in outcomes], axis=0)
    every = np.stack(observed)
    floor = effect_of(np.stack(mean).max((0, 1)), [signal.metric for signal in outcomes[0].signals])
    return NullResult(np.stack(p_value), family(every, best, scored), best, every, scored, floor)
