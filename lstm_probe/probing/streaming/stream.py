"""The unit table of a recording that is larger than memory, from sums over its shards.

No more than one shard is held at a time, with working space of a few times its size. What is kept besides does not
grow with the number of steps: for each unit, fold and lag about 100 kB, 40 kB for each class of a signal, and 8 kB
for each continuous one (at 1,000 permutations). The recording is read four times. The sums are finished by the
functions that finish those of a recording in memory (`inference.evaluate`, `inference.nulls`), and units stand beside
untrained ones on the same part of the sequences. Where the result is not that of `probe_units` on the whole recording
in memory:

- AUROC: values are ranked by bins (see `probing.streaming.bins`). How far off any of them can be is known, about
  1e-4, and stands in the table's `attrs["auroc_error"]`. R² is exact.
- Intervals: with more than 2,000 sequences the bootstrap draws blocks of sequences of the same fold, put together
  at random, 2,000 in all.
- Null: a shard's sequences are exchanged among themselves, since signals of other shards are not at hand. Every
  such exchange is one that the null hypothesis allows, so p-values are as valid; but shards of few sequences leave
  little to exchange.
- There is no past-swap: shards come without weights. And r2 of classes is missing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.core.given import Signals
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, blocks_of, unit_columns, warn_of_constant
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.evaluate import Scores, evaluate
from lstm_probe.probing.inference.exchange import LengthGroups
from lstm_probe.probing.inference.nulls import NullResult, compare
from lstm_probe.probing.inference.testable import Ways
from lstm_probe.probing.inference.window import windowed
from lstm_probe.probing.streaming.baselines import StepSums
from lstm_probe.probing.streaming.bins import largest_error, looked_up
from lstm_probe.probing.streaming.first_look import Known, first_look
from lstm_probe.probing.streaming.part import part_of_stream
from lstm_probe.probing.streaming.predictions import RidgeSums
from lstm_probe.probing.streaming.present import PresentSums
from lstm_probe.probing.streaming.shards import RecordingStream, Shard, Source, numbers
from lstm_probe.probing.streaming.sums import NullSums, RankSums, UnitSums, by_fold, outcomes_of, real_rows
from lstm_probe.probing.streaming.units import seen

logger = logging.getLogger(__name__)

__all__ = ["RecordingStream", "probe_stream"]


def probe_stream(
    stream: RecordingStream,
    signals: Signals,
    split: Split | None,
    lags: Sequence[int],
    variables: Sequence[str] | None,
    folds: int,
    seed: int,
    settings: Mapping[str, float],
) -> tuple[Study, dict[str, Float[np.ndarray, "lag unit signal"]], NullResult, list[Ways], Study, float]:
    """Return what was studied, its scores, p-values and arrangements, some of it, and how far off an AUROC can be.

    Args: as for `probe_units`; `settings` are the call's numbers other than `folds` and `seed`.

    Raises:
        InputError: what is wrong with the arguments or with a shard.
    """
    source = Source(stream, signals)
    logger.info("probing shard by shard: a first look")
    known = first_look(source, split, lags, variables, folds, seed, settings)
    whole = Whole(source, known, int(settings["permutations"]), seed)
    logger.info("probing shard by shard: sums over %d sequences", len(known.group))
    source.visit(whole.add_sums)
    whole.close_sums()
    if len(whole.views[0].classes):
        logger.info("probing shard by shard: ranks")
        source.visit(whole.add_ranks)
    null = whole.null()
    logger.info("probing shard by shard: some sequences for untrained networks")
    warn_of_unmoved(known.study, whole.ways)
    return known.study, whole.measured(), null, whole.ways, part_of_stream(source, known, seed), whole.error()


def warn_of_unmoved(study: Study, ways: Sequence[Ways]) -> None:
    """Log which signals no exchange within shards changes, so that nothing can track them; nothing of nuisances."""
    names = [s.name for s, own in zip(study.signals, ways) if not own.moved and s.role != "nuisance"]
    if names:
        logger.warning(
            "null=shuffle: %s: alike in all sequences of a length in each shard, so that to exchange them changes "
            "nothing and nothing can be told from chance",
            ", ".join(names),
        )


class Whole:
    """All sums over a stream, at every lag.

    Args:
        source: the stream.
        known: what the first look found.
        permutations: how many.
        seed: of the permutations and the untrained networks.
    """

    def __init__(self, source: Source, known: Known, permutations: int, seed: int) -> None:
        self.source, self.known, self.permutations, self.seed = source, known, permutations, seed
        study = known.study
        self.sizes = [block.values.shape[-1] for block in study.blocks]
        self.views = known.empty_views()
        self.units = [UnitSums(len(known.blocks), self.sizes, view) for view in self.views]
        self.steps = [StepSums(known.time, view) for view in self.views]
        scales = [known.units.input_scale(view.lag) for view in self.views]
        self.windows = [RidgeSums(scale, view) for scale, view in zip(scales, self.views)]
        self.present = PresentSums(known, self.views)
        self.shuffled = [NullSums(self.sizes, permutations + 1, view) for view in self.views]
        self.ways = [Ways(signal.kind) for signal in study.signals]

    def exchanges(self, shard: Shard) -> tuple[LengthGroups, Int[np.ndarray, "_ sequence"]]:
        """Return which of a shard's sequences are exchanged in the null, and its permutations."""
        groups = LengthGroups.of(shard.lengths)
        seed = self.seed if shard.number == 0 else derive_seed(self.seed, "shard", shard.number)
        return groups, groups.permutations(self.permutations, seed)

    def recent(self, shard: Shard) -> Float[np.ndarray, "sequence time window"]:
        """Return the last few inputs at each step of a shard, those of the step itself first."""
        return numbers(windowed(shard.rec.inputs, shard.rec.lengths, self.known.units.window))

    def views_of(
        self, shard: Shard, groups: LengthGroups, checked: Sequence[CheckedSignal]
    ) -> Iterator[tuple[int, View, View]]:
        """Go through the lags that a shard reaches: their number, its view, and that of what the null exchanges."""
        for k, view in enumerate(self.views):
            if shard.mask.shape[1] > view.lag:
                own = self.known.view(shard, checked, view.lag, shard.lengths)
                yield k, own, self.known.view(shard, checked, view.lag, groups.lengths)

    def add_sums(self, shard: Shard) -> None:
        """Take in a shard on the second pass: all but ranks."""
        group, inputs, shown = self.known.group[shard.rows], self.recent(shard), self.present.shown(shard)
        groups, permutations = self.exchanges(shard)
        checked = self.known.checked(shard)
        for ways, signal in zip(self.ways, checked):
            ways.add(groups, signal)
        for k, own, cut in self.views_of(shard, groups, checked):
            self.steps[k].add(own)
            self.present.add(k, own, shown)
            self.windows[k].add(own, inputs)
            values = np.zeros((*own.mask.shape, sum(self.sizes) if len(own.continuous) else 0), dtype=np.float32)
            start = 0
            for b, x, places in seen(shard.rec, own, self.known.units):
                self.units[k].add(b, x, places, own, group)
                if x is not None:
                    values[..., start : start + x.shape[-1]] = x
                    start += x.shape[-1]
                if places is not None:
                    self.shuffled[k].counts[b].add(*self.taking_part(places, own, cut))
            values[~cut.mask] = 0
            self.shuffled[k].add_units(by_fold(values, own.split), cut, groups, permutations)

    def taking_part(self, places: np.ndarray, own: View, cut: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return bins and folds of the real steps that take part in the null, and no indicators."""
        some = cut.mask[own.mask]
        fold = np.repeat(cut.split.fold, cut.mask.sum(1))
        return places if some.all() else places[:, some], fold, np.zeros((len(fold), 0))

    def close_sums(self) -> None:
        """Make of the sums what the third pass needs."""
        known, sampled = self.known, self.known.units.sampled
        fold = known.study.split.fold[sampled[-1][:, 0]]
        self.outcomes, self.ranks, self.centres = [], [], []
        self.present.fit()
        for k, view in enumerate(self.views):
            self.outcomes.append(outcomes_of(view, self.steps[k].moments))
            warn_of_constant(self.outcomes[k], view.lag)
            self.windows[k].fit(view, sampled[0], fold)
            self.ranks.append(RankSums(len(known.blocks), self.units[k].counts, len(view.classes)))
            self.centres.append(self.shuffled[k].centres())

    def add_ranks(self, shard: Shard) -> None:
        """Take in a shard on the third pass: ranks."""
        group, inputs, shown = self.known.group[shard.rows], self.recent(shard), self.present.shown(shard)
        groups, permutations = self.exchanges(shard)
        checked = self.known.checked(shard)
        for k, own, cut in self.views_of(shard, groups, checked):
            self.present.add_predictions(k, own, shown)
            self.windows[k].add_predictions(own, inputs)
            self.ranks[k].add_counts(own, group)
            ranks = np.zeros((*own.mask.shape, sum(self.sizes)), dtype=np.float32)
            start = 0
            for b, block in enumerate(blocks_of(shard.rec, self.known.study.variables)):
                places = real_rows(numbers(block.values), own, self.known.units.bins[b])
                self.ranks[k].add(b, places, own, group)
                places, fold, _ = self.taking_part(places, own, cut)
                ranks[..., start : start + len(places)][cut.mask] = looked_up(self.centres[k][b], places, fold).T
                start += len(places)
            self.shuffled[k].add_ranks(by_fold(ranks, own.split), cut, groups, permutations)

    def null(self) -> NullResult:
        """Return p-values."""
        every = [sums.outcomes(view) for sums, view in zip(self.shuffled, self.views)]
        statistics = (sums.scores(outcomes) for sums, outcomes in zip(self.shuffled, every))
        return compare(every, statistics, self.permutations)

    def measured(self) -> dict[str, np.ndarray]:
        """Return every measured column, for all units at every lag."""
        baselines = [
            {"input_only": self.present.effects(k, own), "input_window": recent.effects(own),
             "time_only": steps.effects(own)}
            for k, (recent, steps, own) in enumerate(zip(self.windows, self.steps, self.outcomes))
        ]  # fmt: skip

        def scores(lag: int, block: int) -> Scores:
            own = self.units[lag].sums(block, self.outcomes[lag], self.known.blocks, self.ranks[lag])
            return evaluate(own, self.known.weights)

        return unit_columns(self.outcomes, len(self.sizes), scores, baselines, {})

    def error(self) -> float:
        """Return how far off any AUROC can be, and log it if that is much."""
        every = enumerate(zip(self.units, self.windows, self.outcomes))
        return largest_error(
            error
            for k, (units, windows, own) in every
            for error in (*units.errors(self.known.units.bins, own), self.present.error(k, own), windows.error(own))
        )
