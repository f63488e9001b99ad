"""The population table of a recording that is larger than memory, from sums over its shards.

Ridge fits come from each fold's sums of products, so R² is exact; predictions of classes are ranked by bins. Besides
those, and what is kept of single units (see `probing.streaming.stream`), nothing grows with the number of steps. The
recording is read three times, five with classes, and once or twice for each untrained network; and once more for every
few units that `n_units_90` of a class signal is looked for among. What differs from `probe_populations` on the
whole recording in memory:

- AUROC and intervals, as for single units.
- The control task has other random labels (see `probing.streaming.control`).
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.core.given import Signals
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, blocks_of, warn_of_constant
from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.forward import LEAST_EFFECT, enough, path_r2, signal_path
from lstm_probe.probing.fits.ridge import Fit, Standardised
from lstm_probe.probing.inference.evaluate import evaluate, population_columns
from lstm_probe.probing.inference.population import jackknife_groups
from lstm_probe.probing.inference.scores import auroc, effects
from lstm_probe.probing.inference.untrained import Networks
from lstm_probe.probing.streaming.bins import largest_error
from lstm_probe.probing.streaming.control import ControlTask
from lstm_probe.probing.streaming.first_look import Known, first_look
from lstm_probe.probing.streaming.predictions import RankedPredictions, RidgeSums
from lstm_probe.probing.streaming.present import PresentSums
from lstm_probe.probing.streaming.shards import RecordingStream, Shard, Source, numbers
from lstm_probe.probing.streaming.sums import outcomes_of
from lstm_probe.probing.streaming.survey import UnitSurvey
from lstm_probe.probing.streaming.untrained import Recorded, stream_untrained
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: How many more units of each selection path are looked at in one pass.
PATH = 8


class Readouts:
    """The ridge fits of everything that one network shows, at every lag.

    Args:
        known: what the first look found.
        units: the network's scales and sample.
        views: of no sequences, at each lag; they say which columns there are.
        groups: how many groups of sequences the intervals are drawn from; 0 for no intervals.
    """

    def __init__(self, known: Known, units: UnitSurvey, views: Sequence[View], groups: int = 0) -> None:
        self.known, self.units, self.views, self.groups = known, units, views, groups
        #: At each lag, with which others a sequence is left out.
        self.left_out = [jackknife_groups(known.study.lengths > view.lag) for view in views]
        most = [int(own.max(initial=-1)) + 1 if groups else 0 for own in self.left_out]
        self.sums = [
            [RidgeSums(units.scale(view.lag, b), view, own)
             for b in range(len(known.study.blocks))]
            for view, own in zip(views, most)
        ]  # fmt: skip

    def each(
        self, shard: Shard, rec: Recording, signals: Sequence[CheckedSignal]
    ) -> Iterator[tuple[int, int, View, np.ndarray]]:
        """Go through the numbers of lag and block, the view, and what was recorded."""
        values = [numbers(block.values) for block in blocks_of(rec, self.units.variables)]
        for lag, view in enumerate(self.views):
            if shard.mask.shape[1] > view.lag:
                own = self.known.view(shard, signals, view.lag, shard.lengths)
                for block, array in enumerate(values):
                    yield lag, block, own, array

    def add(self, shard: Shard, rec: Recording, signals: Sequence[CheckedSignal]) -> None:
        """Take in a shard, before there are fits."""
        for lag, block, view, array in self.each(shard, rec, signals):
            left_out = self.left_out[lag][shard.rows] if self.groups else None
            self.sums[lag][block].add(view, array, left_out)

    def fit(self) -> list[Outcomes]:
        """Fit, and return what is predicted at each lag."""
        fold = self.known.study.split.fold[self.units.sampled[-1][:, 0]]
        for view, blocks in zip(self.views, self.sums):
            for sums, sampled in zip(blocks, self.units.sampled[1:-1]):
                sums.fit(view, sampled, fold)
        return [outcomes_of(view, blocks[0].moments) for view, blocks in zip(self.views, self.sums)]

    def add_predictions(self, shard: Shard, rec: Recording, signals: Sequence[CheckedSignal]) -> None:
        """Take in how good a shard's predictions of classes are."""
        for lag, block, view, array in self.each(shard, rec, signals):
            self.sums[lag][block].add_predictions(view, array)

    def begin_ranks(self) -> None:
        """Make of the counts what the intervals of AUROCs need."""
        for blocks in self.sums:
            for sums in blocks:
                sums.begin_ranks(self.groups)

    def error(self, outcomes: Sequence[Outcomes]) -> float:
        """Return how far off any AUROC can be, and log it if that is much."""
        return largest_error(sums.error(own) for blocks, own in zip(self.sums, outcomes) for sums in blocks)

    def add_ranks(self, shard: Shard, rec: Recording, signals: Sequence[CheckedSignal]) -> None:
        """Take in the ranks of a shard's predictions."""
        for lag, block, view, array in self.each(shard, rec, signals):
            self.sums[lag][block].add_ranks(view, array, self.known.group[shard.rows])


def stream_populations(
    stream: RecordingStream,
    signals: Signals,
    split: Split | None,
    lags: Sequence[int],
    variables: Sequence[str] | None,
    folds: int,
    seed: int,
    settings: Mapping[str, float],
    networks: Callable[[Recording], Networks],
    most: int,
) -> tuple[Study, dict[str, Float[np.ndarray, "lag block signal"]], float]:
    """Return what was studied, every measured column, and how far off an AUROC can be.

    Args: as for `probe_populations`; `settings` are the call's numbers other than `folds` and `seed`.
    `networks` are the untrained ones beside a recording, of which `most` are looked at.

    Raises:
        InputError: what is wrong with the arguments or with a shard.
    """
    source = Source(stream, signals)
    known = first_look(source, split, lags, variables, folds, seed, settings)
    beside = networks(known.study.rec)
    control = ControlTask(seed)
    source.visit(lambda shard: control.add(shard, known.checked(shard)))
    control.close()

    def both(shard: Shard) -> list[CheckedSignal]:
        checked = known.checked(shard)
        return [*checked, *control.signals(shard, checked)]

    fits = Readouts(known, known.units, known.empty_views(copies=2), len(known.blocks))
    present = PresentSums(known, known.empty_views())

    def add(shard: Shard) -> None:
        fits.add(shard, shard.rec, both(shard))
        for lag, view, shown in present.seen(shard, known.checked(shard)):
            present.add(lag, view, shown)

    def predict(shard: Shard) -> None:
        if len(fits.views[0].classes):
            fits.add_predictions(shard, shard.rec, both(shard))
        for lag, view, shown in present.seen(shard, known.checked(shard)):
            present.add_predictions(lag, view, shown)

    logger.info("probing shard by shard: sums over %d sequences", len(known.group))
    source.visit(add)
    outcomes = fits.fit()
    present.fit()
    for lag, own in zip(known.study.lags, outcomes):
        warn_of_constant(own.part(range(len(known.study.signals))), lag)
    logger.info("probing shard by shard: predictions")
    source.visit(predict)
    if len(fits.views[0].classes):
        fits.begin_ranks()
        source.visit(lambda shard: fits.add_ranks(shard, shard.rec, both(shard)))
    measured, effect = columns_of(fits, outcomes)
    alone = [own.part(range(len(known.study.signals))) for own in outcomes]
    given = [present.effects(k, own) for k, own in enumerate(alone)]
    measured["input_only"] = np.repeat(np.array(given)[:, None], len(known.study.blocks), axis=1)
    measured["n_units_90"] = fewest(source, fits, outcomes, effect)
    find = partial(untrained_effects, source, known, outcomes)
    measured["untrained"] = stream_untrained(source, known, beside, most, seed, find)[0]
    off = max(fits.error(outcomes), *(present.error(k, own) for k, own in enumerate(alone)))
    return known.study, measured, off


def columns_of(
    fits: Readouts, outcomes: Sequence[Outcomes]
) -> tuple[dict[str, Float[np.ndarray, "lag block signal"]], Float[np.ndarray, "lag block signal"]]:
    """Return what is measured of all blocks at every lag, and the effects."""
    count, known = len(fits.known.study.signals), fits.known
    rows, effect = [], []
    for blocks, own in zip(fits.sums, outcomes):
        for sums in blocks:
            scores = evaluate(sums.sums(own, known.blocks), known.weights)
            known_of = {name: values[:count] for name, values in sums.population(own).items()}
            row = population_columns(scores, own.part(range(count)), scores.score[0, count:], known_of)
            rows.append(row)
            effect.append(effects(scores.score, own)[0, :count])
    shape = len(outcomes), len(known.study.blocks), count
    return {key: np.reshape([row[key] for row in rows], shape) for key in rows[0]}, np.reshape(effect, shape)


def untrained_effects(
    source: Source, known: Known, outcomes: Sequence[Outcomes], units: UnitSurvey, recorded: Recorded
) -> list[list[Float[np.ndarray, "1 signal"]]]:
    """Return the effects of one network with random weights, by lag and block."""
    fits = Readouts(known, units, known.empty_views())
    source.visit(lambda shard: fits.add(shard, recorded(shard), known.checked(shard)))
    fits.fit()
    if len(fits.views[0].classes):
        source.visit(lambda shard: fits.add_predictions(shard, recorded(shard), known.checked(shard)))
    alone = [own.part(range(len(known.study.signals))) for own in outcomes]
    return [[sums.effects(own)[None] for sums in blocks] for blocks, own in zip(fits.sums, alone)]


@dataclass(eq=False)
class Path:
    """A class signal whose selection path is followed until it reaches its share of the full effect."""

    place: tuple[int, int, int]
    sums: RidgeSums
    columns: Int[np.ndarray, " own"]
    effect: float

    def follow(self, first: int) -> None:
        """Lay bins for the predictions of the next few units of the path."""
        part = Standardised.of(self.sums.gram.training())
        mean, path = signal_path(part, self.columns)
        steps = [Fit.about(mean, fitted) for fitted in islice(path, first, first + PATH)]
        fit = Fit(*(np.concatenate([getattr(one, name) for one in steps], axis=-1)
                    for name in ("coefficients", "intercept")))  # fmt: skip
        columns = np.tile(self.columns, len(steps))
        self.ranked = RankedPredictions(fit, columns, self.sums.sample, self.sums.fold)

    def reached(self, outcomes: Outcomes) -> list[float]:
        """Return the effect at each of these units."""
        excess = self.ranked.counts.excess(0)
        scores = auroc(excess, np.ones_like(excess), outcomes.pairs[:, self.ranked.columns])
        own = scores.reshape(-1, len(self.columns))[:, outcomes.defined[self.columns]]
        result: list[float] = np.maximum(0, 2 * own.mean(1) - 1).tolist()
        return result


def fewest(
    source: Source, fits: Readouts, outcomes: Sequence[Outcomes], effect: Float[np.ndarray, "lag block signal"]
) -> Float[np.ndarray, "lag block signal"]:
    """Return how many units reach their share of the full effect, as `forward.fewest_units` does."""
    out = np.full(effect.shape, np.nan)
    pending: list[Path] = []
    for lag, block, g in np.argwhere(np.nan_to_num(effect) >= LEAST_EFFECT).tolist():
        sums, own = fits.sums[lag][block], np.flatnonzero(outcomes[lag].owner == g)
        full = float(effect[lag, block, g])
        if not outcomes[lag].signals[g].is_number:
            pending.append(Path((lag, block, g), sums, own, full))
            continue
        mean, every = signal_path(Standardised.of(sums.gram.training()), own)
        out[lag, block, g] = next(enough(path_r2(sums.gram, outcomes[lag], own, mean, every), full), sums.features)
    first = 0
    while pending:
        logger.info("probing shard by shard: the fewest units, from %d on", first + 1)
        for path in pending:
            path.follow(first)
        source.visit(partial(follow, fits, tuple(pending)))
        for path in pending:
            found = next(enough(path.reached(outcomes[path.place[0]]), path.effect, first + 1), None)
            last = first + PATH >= path.sums.features
            out[path.place] = path.sums.features if found is None and last else found
        first += PATH
        pending = [path for path in pending if np.isnan(out[path.place])]
    return out


def follow(fits: Readouts, paths: Sequence[Path], shard: Shard) -> None:
    """Take in a shard's predictions along these paths."""
    for lag, block, view, array in fits.each(shard, shard.rec, fits.known.checked(shard)):
        for path in paths:
            if path.place[:2] == (lag, block):
                path.ranked.add(view, path.sums.taken(view, array))
