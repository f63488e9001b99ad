"""Memory curves of a stream: scores of single units and their baselines at every lag, without null and intervals."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from lstm_probe.core.given import Signals
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, unit_columns, warn_of_constant
from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.moments import Moments
from lstm_probe.probing.fits.ridge import Gram, Standardised, fit_ridge, validation_errors
from lstm_probe.probing.inference.evaluate import DECIMALS, Scores, Sums, evaluate
from lstm_probe.probing.inference.scores import orientation
from lstm_probe.probing.inference.untrained import Networks
from lstm_probe.probing.streaming.baselines import StepSums
from lstm_probe.probing.streaming.bins import largest_error, level_excess
from lstm_probe.probing.streaming.first_look import Known, first_look
from lstm_probe.probing.streaming.present import PresentSums
from lstm_probe.probing.streaming.shards import RecordingStream, Shard, Source
from lstm_probe.probing.streaming.sums import outcomes_of
from lstm_probe.probing.streaming.units import unit_effects, unit_sums
from lstm_probe.probing.streaming.untrained import stream_untrained
from lstm_probe.recorder.data import Recording


class SelfSums:
    """Sums of what a signal is beside what it was: products of the values, or how often each class follows which.

    Args:
        view: says which columns and folds there are.
    """

    def __init__(self, view: View) -> None:
        self.folds = view.split.folds
        self.moments = [Moments(*np.zeros((6, self.folds, 1, 1))) for _ in view.signals]
        self.tables = [np.zeros((self.folds, signal.classes, signal.classes)) for signal in view.signals]
        # Of an angle: sums of products of 1, its present sine and cosine, and those before.
        self.grams = [Gram(np.zeros((self.folds, 5, 5)), 2) for _ in view.signals]

    def add(self, view: View, checked: Sequence[CheckedSignal], known: Known) -> None:
        """Add a shard."""
        fold = view.split.fold[:, None] + np.zeros(view.mask.shape, dtype=np.int64)
        for g, signal in enumerate(checked):
            values, before = signal.values[:, view.lag :], signal.values[:, : view.mask.shape[1]]
            if signal.is_number:
                x = known.scales[view.lag][signal.name](signal.columns()[:, view.lag :], view.mask)
                y = view.columns[..., view.owner == g]
                if signal.kind == "circular":
                    self.grams[g] = Gram(self.grams[g].sums + Gram.per_fold(x, y, view).sums, 2)
                else:
                    self.moments[g].add_rows(Moments.of(x, y, view.mask), view.split.fold)
            else:
                classes = (part[view.mask].astype(np.int64) for part in (values, before))
                np.add.at(self.tables[g], (fold[view.mask], *classes), 1)

    def effects(self, outcomes: Outcomes) -> Float[np.ndarray, " signal"]:
        """Return the effect of predicting each signal from its present value, as `memory.signal_itself` does."""
        return np.concatenate([self._sums(g, outcomes.part([g])).effects[0] for g in range(len(self.tables))])

    def _sums(self, g: int, outcomes: Outcomes) -> Sums:
        folds, table, none = Split(np.arange(self.folds)), self.tables[g], np.zeros((self.folds, 0))
        kind, every = outcomes.signals[0].kind, table.sum(-1)
        if kind == "continuous":
            return Sums.of_units(outcomes, folds, self.moments[g], none[:, None])
        if kind == "circular":
            return self._of_angle(self.grams[g], outcomes)
        nothing = Moments.of_columns(every.sum(-1), none, none)
        if kind == "binary":
            values = np.broadcast_to(np.arange(2.0)[:, None], (self.folds, 2, 1))
            excess = level_excess(values, table[..., 1:], every)[:, None]
            return Sums(outcomes, folds, nothing, none[:, None], excess, orientation(excess))
        predicted = np.round(class_predictions(table), DECIMALS)
        return Sums.of_predictions(outcomes, folds, nothing, none, level_excess(predicted, table, every))

    def _of_angle(self, gram: Gram, outcomes: Outcomes) -> Sums:
        mean, fit, sums = Standardised.of(gram.training()).mean, fit_ridge(gram), gram.sums
        errors = np.stack([validation_errors(*fold) for fold in zip(sums, mean, fit.coefficients)])
        squares = np.diagonal(sums, axis1=1, axis2=2)[:, 3:]
        moments = Moments.of_columns(sums[:, 0, 0], sums[:, 0, 3:], squares)
        return Sums.of_predictions(outcomes, Split(np.arange(self.folds)), moments, errors, errors[:, :0])


def class_predictions(table: Float[np.ndarray, "fold now before"]) -> Float[np.ndarray, "fold now before"]:
    """Return the held-out ridge predictions of what a class was, for each class that it can be now."""
    folds, k, _ = table.shape
    sums = np.zeros((folds, 1 + 2 * k, 1 + 2 * k))
    now, before = 1 + np.arange(k), 1 + k + np.arange(k)
    sums[:, 0, 0] = table.sum((1, 2))
    sums[:, 0, now] = sums[:, now, 0] = sums[:, now, now] = table.sum(2)
    sums[:, 0, before] = sums[:, before, 0] = sums[:, before, before] = table.sum(1)
    sums[:, 1 : 1 + k, 1 + k :] = table
    sums[:, 1 + k :, 1 : 1 + k] = table.swapaxes(1, 2)
    fit = fit_ridge(Gram(sums, k))
    result: np.ndarray = fit.coefficients + fit.intercept[:, None]
    return result


def median_length(source: Source) -> int:
    """Return the median of the sequences' lengths, the lower one of two."""
    lengths: list[np.ndarray] = []
    source.visit(lambda shard: lengths.append(shard.lengths))
    ordered = np.sort(np.concatenate(lengths))
    return int(ordered[(len(ordered) - 1) // 2])


def add_baselines(
    source: Source, known: Known, views: Sequence[View]
) -> tuple[list[StepSums], list[SelfSums], PresentSums]:
    """Return the sums over a stream that the baselines need, at each lag."""
    steps = [StepSums(known.time, view) for view in views]
    itself = [SelfSums(view) for view in views]
    present = PresentSums(known, views)

    def add(shard: Shard) -> None:
        checked = known.checked(shard)
        for k, view, shown in present.seen(shard, checked):
            steps[k].add(view)
            itself[k].add(view, checked, known)
            present.add(k, view, shown)

    def predict(shard: Shard) -> None:
        for k, view, shown in present.seen(shard, known.checked(shard)):
            present.add_predictions(k, view, shown)

    source.visit(add)
    present.fit()
    if len(views[0].classes):
        source.visit(predict)
    return steps, itself, present


def stream_memory(
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
) -> tuple[Study, dict[str, Float[np.ndarray, "lag unit signal"]], float]:
    """Return what was studied, every measured column, and how far off an AUROC can be.

    Args: as for `memory_curves`; `settings` are the call's numbers other than `folds` and `seed`.
    `networks` are the untrained ones beside a recording, of which `most` are looked at.

    Raises:
        InputError: what is wrong with the arguments or with a shard.
    """
    source = Source(stream, signals)
    known = first_look(source, split, lags, variables, folds, seed, settings)
    beside = networks(known.study.rec)
    views = known.empty_views()
    steps, itself, present = add_baselines(source, known, views)
    outcomes = [outcomes_of(view, step.moments) for view, step in zip(views, steps)]
    for what, lag in zip(outcomes, known.study.lags):
        warn_of_constant(what, lag)
    baselines = [
        {"input_only": present.effects(k, own), "time_only": step.effects(own), "signal_itself": same.effects(own)}
        for k, (step, same, own) in enumerate(zip(steps, itself, outcomes))
    ]
    find = partial(unit_effects, source, known, outcomes)
    levels = stream_untrained(source, known, beside, most, seed, find)
    sums = unit_sums(source, known, known.units, lambda shard: shard.rec)
    groups = Split(np.arange(known.study.split.folds))

    def scores(lag: int, block: int) -> Scores:
        return evaluate(sums[lag].sums(block, outcomes[lag], groups))

    off = largest_error(
        error
        for k, (units, own) in enumerate(zip(sums, outcomes))
        for error in (*units.errors(known.units.bins, own), present.error(k, own))
    )
    return (
        known.study,
        unit_columns(outcomes, len(known.study.blocks), scores, baselines, {"untrained": levels[0]}),
        off,
    )
