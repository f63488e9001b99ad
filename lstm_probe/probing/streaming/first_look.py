"""The first look at a stream: everything that is wrong with it, and everything the sums over it need to know."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import check_values
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.probing.data.checks import check_split, choose_variables, lag_problems, setting_problems, unique_lags
from lstm_probe.probing.data.signals import CheckedSignal, make_signal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study
from lstm_probe.probing.data.view import Scale, View
from lstm_probe.probing.inference.exchange import LEAST_GROUP
from lstm_probe.probing.inference.intervals import bootstrap_weights
from lstm_probe.probing.streaming.present import InputSurvey
from lstm_probe.probing.streaming.shards import Shard, Source
from lstm_probe.probing.streaming.survey import SignalSurvey, UnitSurvey, survey_signals
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: The bootstrap draws whole sequences if there are no more than this, else this many blocks of them.
MOST_BLOCKS = 2000


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a stream after the first look.

    Attributes:
        study: the recording and the signals without any sequences; the split and the lags.
        units: the network's scales and bins.
        vectors: of inputs, as far as they are few.
        signals: what is known of each signal.
        scales: those of signals that are numbers, by lag and name.
        group: the block of the bootstrap that each sequence belongs to.
        blocks: the fold of each block.
        weights: of the bootstrap.
        time: steps of the longest sequence.
    """

    study: Study
    units: UnitSurvey
    vectors: InputSurvey
    signals: Mapping[str, SignalSurvey]
    scales: Mapping[int, Mapping[str, Scale]]
    group: Int[np.ndarray, " sequence"]
    blocks: Split
    weights: Float[np.ndarray, "sample block"]
    time: int

    def checked(self, shard: Shard) -> list[CheckedSignal]:
        """Return a shard's signals as numbers."""
        return [
            make_signal(signal.name, signal.kind, signal.role, check_values(signal.name, shard.signals[signal.name],
                       shard.mask, shard.first)[0], self.signals[signal.name].levels, shard.mask)
            for signal in self.study.signals
        ]  # fmt: skip

    def empty_views(self, copies: int = 1) -> list[View]:
        """Return the view of no sequences at each lag: it says which columns and folds there are.

        Where there are `copies` of the signals, all but the first are other values of theirs.
        """
        none = self.study.split.part(slice(0, 0))
        signals = self.study.signals * copies
        return [View.make(signals, none.fold, none, lag, self.scales[lag]) for lag in self.study.lags]

    def view(
        self, shard: Shard, checked: Sequence[CheckedSignal], lag: int, lengths: Int[np.ndarray, " sequence"]
    ) -> View:
        """Return a shard's view of this many steps of each sequence."""
        part = self.study.split.part(shard.rows)
        return View.make(checked, lengths, part, lag, self.scales[lag])


def first_look(
    source: Source,
    split: Split | None,
    lags: Sequence[int],
    variables: Sequence[str] | None,
    folds: int,
    seed: int,
    settings: Mapping[str, float],
) -> Known:
    """Return what is known of a stream after one pass; an InputError names what is wrong with it."""
    problems = setting_problems(settings) + lag_problems(tuple(dict.fromkeys(lags)), np.ones(1, dtype=int), None)
    if problems:
        raise InputError(*problems)
    steps = unique_lags(lags)
    lengths: list[np.ndarray] = []
    time = 0
    found: dict[str, SignalSurvey] = {}
    units = UnitSurvey((), steps, seed, int(settings.get("window", 0)))
    vectors, empty = InputSurvey(), None

    def look(shard: Shard) -> None:
        nonlocal time, empty
        if empty is None:
            units.variables, problems = choose_variables(shard.rec, variables)
            if not shard.signals:
                problems.append("signals: there are none; at least one is needed")
            if problems:
                raise InputError(*problems)
            empty = without_sequences(shard.rec)
        elif shard.rec.config != empty.config:
            raise InputError(f"shard {shard.number}: of another network than the first")
        survey_signals(shard, found, steps)
        units.add(shard.rec, shard)
        vectors.add(shard)
        lengths.append(shard.lengths)
        time = max(time, shard.mask.shape[1])

    source.visit(look)
    source.lengths = np.concatenate(lengths)
    split, problems = check_split(split, source.lengths, lags, folds, seed)
    for name, given in (source.signals or {}).items():
        n = len(given.values if isinstance(given, Signal) else given)
        if n != len(source.lengths):
            problems.append(f"signals[{name!r}]: {n} sequences; there are {len(source.lengths)}")
    if "permutations" in settings:
        problems += check_exchangeable(lengths)
    checked = []
    for name, signal in found.items():
        try:
            kind, role = signal.described()
        except InputError as error:
            problems += error.problems
            continue
        nothing = np.zeros((0, 0))
        checked.append(CheckedSignal(name, kind, role, nothing, 0 if kind in NUMBERS else len(signal.levels)))
    if problems or split is None or empty is None:
        raise InputError(*problems)
    scales = {lag: {t.name: found[t.name].scale(lag) for t in checked if t.is_number} for lag in steps}
    group, blocks = bootstrap_blocks(split, seed)
    weights = bootstrap_weights(len(blocks), int(settings.get("bootstrap", 1)), seed)
    study = Study(empty, checked, split, tuple(units.variables), steps, source.lengths, None)
    return Known(study, units, vectors, found, scales, group, blocks, weights, time)


def without_sequences(rec: Recording) -> Recording:
    """Return a recording's shell, which holds on to none of its values."""
    parts = {key: part.map(lambda values: values[:0].clone()) for key, part in rec.parts.items()}
    return Recording(parts, rec.lengths[:0].clone(), rec.config)


def check_exchangeable(lengths: Sequence[Int[np.ndarray, " _"]]) -> list[str]:
    """Return a line if no shard has sequences to exchange, and log it if most have few."""
    if max(map(len, lengths)) < 2:
        return ["recording: each shard holds one sequence; the null exchanges sequences of one shard, so "
                "record larger batches"]  # fmt: skip
    few = [len(own) for own in lengths if len(own) < LEAST_GROUP]
    if len(lengths) > 1 and 2 * sum(few) > sum(map(len, lengths)):
        logger.warning(
            "%d of %d shards hold fewer than %d sequences: the null, which exchanges sequences of one shard, is weak",
            len(few),
            len(lengths),
            LEAST_GROUP,
        )
    return []


def bootstrap_blocks(split: Split, seed: int) -> tuple[Int[np.ndarray, " sequence"], Split]:
    """Return the block of each sequence, and the fold of each block.

    Sequences are their own blocks while there are no more than `MOST_BLOCKS`; else a fold's sequences are dealt
    out at random, so that blocks are alike and their sizes differ by at most one.
    """
    if len(split) <= MOST_BLOCKS:
        return np.arange(len(split)), split
    rng = np.random.default_rng(derive_seed(seed, "blocks"))
    group = np.empty(len(split), dtype=np.int64)
    folds: list[int] = []
    for fold, members in enumerate(split.members):
        own = min(len(members), max(1, MOST_BLOCKS // split.folds))
        group[rng.permutation(members)] = len(folds) + np.arange(len(members)) % own
        folds += [fold] * own
    return group, Split(np.array(folds))
