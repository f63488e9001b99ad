"""Tuning curves: the mean and the spread of a unit's variable at each value of a signal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from lstm_probe.core.columns import TUNING_COLUMNS
from lstm_probe.core.given import Signals
from lstm_probe.probing.data.events import find_conditions, named_signals
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.study import Study, as_many_threads_as_torch, assemble, in_memory, make_study
from lstm_probe.probing.data.view import Scale, View
from lstm_probe.probing.inference.intervals import percentile_interval
from lstm_probe.recorder.data import Recording


def tuning_curves(
    rec: Recording,
    signals: Signals,
    *,
    levels: int = 12,
    by: Any = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = None,
    bootstrap: int = 200,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Describe what every unit's every variable is at each value of each signal.

    Nothing is fitted, so nothing is held out; a curve says how a unit depends on a signal, not whether it does.

    Args:
        rec: from `lstm_probe.record`, in memory, of at least two sequences.
        signals: as for `probe_units`.
        levels: a continuous signal with more distinct values than this is cut into this many bins of about
            equally many steps, fewer where single values are frequent; a circular one into this many equal parts of
            the circle, from −π on, fewer where some are empty; 1 or more.
        by: conditions: the name of a signal with classes, or labels, numbers or text, one for each sequence or for
            each step. A curve for each, of the steps at which the unit is in it, with the same levels; None: of all.
        groups: as for `probe_units`.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o; all that were recorded where this is None.
        bootstrap: samples of sequences for the 95 % intervals, 1 or more.
        seed: of the bootstrap; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, variable, signal, lag and level, with the columns `TUNING_COLUMNS`. `level` is
        the value of a binary or categorical signal (of text, the class's number in alphabetical order, from 0),
        and the mean of a number in its bin, which reaches from `low` to `high`; `n` counts steps. `mean` of the
        variable, with its interval, and `sd` are in the variable's own units. With `by` there is a further column,
        `condition`, and no row for a level that a condition does not have.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> curves = lp.tuning_curves(rec, batch.signals, variables=["c"], bootstrap=10)
    >>> curves.query("unit == 1 and signal == 'latch'")[["level", "mean"]].round(2).values.tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    rec = in_memory(rec, "tuning_curves")
    study = make_study(rec, signals, None, lags, variables, 2, seed, groups=groups, levels=levels, bootstrap=bootstrap)
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    conditions = find_conditions(by, named_signals(signals, rec), rec.mask.cpu().numpy())
    tables = []
    with as_many_threads_as_torch():
        for number, name in enumerate(conditions.names):
            inside = None if by is None else conditions.codes == number
            pieces = {(g, k): measure(part, view, place, levels, inside) for chosen, part in study.parts()
                      for k, view in enumerate(part.views) for place, g in enumerate(chosen)}  # fmt: skip
            tables.append(spread_out(study, pieces, first)[list(TUNING_COLUMNS)].assign(condition=name))
    table = pd.concat(tables, ignore_index=True)
    return table.drop(columns="condition") if by is None else table


def spread_out(
    study: Study, pieces: Mapping[tuple[int, int], Mapping[str, np.ndarray]], first: Mapping[str, Any]
) -> pd.DataFrame:
    """Return the table with a row for each unit, signal, lag and level.

    Args:
        study: says what blocks, signals and lags are called.
        pieces: for the number of each signal and lag, columns by name, each (unit, level).
        first: what the first columns say in every row.
    """
    sizes = [block.values.shape[-1] for block in study.blocks]
    table = assemble(study, {"n": np.zeros((len(study.lags), sum(sizes), len(study.signals)))}, sizes, first)
    in_order = [pieces[key] for key in sorted(pieces)]
    counts = [piece["mean"].shape[1] for piece in in_order]
    table = table.loc[np.repeat(table.index, np.tile(counts, sum(sizes)))].reset_index(drop=True)
    columns = {key: np.concatenate([piece[key] for piece in in_order], axis=1).ravel() for key in in_order[0]}
    return table.assign(**columns)


@dataclass(frozen=True, eq=False)
class Levels:
    """The values, or ranges of values, of a signal that a curve has a point for.

    Attributes:
        number: each real step's level.
        level: mean value of the signal in each.
        low: smallest value in each.
        high: largest.
    """

    number: Int[np.ndarray, " step"]
    level: Float[np.ndarray, " level"]
    low: Float[np.ndarray, " level"]
    high: Float[np.ndarray, " level"]

    @classmethod
    def of(cls, signal: CheckedSignal, values: Float[np.ndarray, " step"], most: int) -> "Levels":
        """Return a class's own level, a value's own where there are at most `most`, and else bins.

        A distinct value belongs to the bin in which the middle of its steps lies, so that equal values are in
        one bin, and none is empty.
        """
        distinct, number, count = np.unique(values, return_inverse=True, return_counts=True)
        if not signal.is_number:
            own = [signal.levels[k] for k in distinct.astype(int).tolist()]
            named = distinct if any(isinstance(one, str) for one in own) else np.array(own, dtype=np.float64)
            return cls(number, named, named, named)
        if len(distinct) <= most:
            return cls(number, distinct, distinct, distinct)
        middle = (np.cumsum(count) - count / 2) / len(values)
        if signal.kind == "circular":
            middle = np.minimum((distinct + np.pi) / (2 * np.pi), np.nextafter(1, 0))
        first, bin_of = np.unique((middle * most).astype(np.int64), return_index=True, return_inverse=True)[1:]
        total = np.bincount(bin_of, weights=distinct * count)
        last = np.append(first[1:], len(distinct)) - 1
        low, high = distinct[first], distinct[last]
        mean = np.clip(total / np.bincount(bin_of, weights=count), low, high)
        return cls(bin_of[number], mean, low, high)


def measure(
    study: Study, view: View, number: int, most: int, among: Bool[np.ndarray, "sequence time"] | None = None
) -> dict[str, Float[np.ndarray, "unit level"]]:
    """Return everything about one signal at one lag, for the units of all blocks, `among` some steps or all."""
    signal, time = study.signals[number], view.mask.shape[1]
    levels = Levels.of(signal, signal.values[:, :time][view.mask], most)
    about = {"level": levels.level, "low": levels.low, "high": levels.high}
    inside = np.zeros((*view.mask.shape, len(levels.level)))
    inside[view.mask, levels.number] = 1
    if among is not None:
        inside *= among[:, view.lag :, None]
        there = inside.any((0, 1))
        inside, about = inside[..., there], {key: values[there] for key, values in about.items()}
    parts = []
    for block in study.blocks:
        units = block.values.shape[-1]
        as_they_are = Scale(np.zeros(units), np.ones(units))
        parts.append(curve(view.features(block.values, block.name, as_they_are), inside, np.asarray(study.weights)))
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    about |= {"n": inside.sum((0, 1)).astype(np.int64)}
    return columns | {key: np.tile(values, (len(columns["mean"]), 1)) for key, values in about.items()}


def curve(
    x: Float[np.ndarray, "sequence time unit"],
    inside: Float[np.ndarray, "sequence time level"],
    weights: Float[np.ndarray, "sample sequence"],
) -> dict[str, Float[np.ndarray, "unit level"]]:
    """Return mean, standard deviation and the mean's interval at each level.

    Args:
        x: units as they are, 0 at steps that are not real.
        inside: 1 at the steps of each level; each real step has one level.
        weights: from `bootstrap_weights`.
    """
    levels = inside.shape[-1]
    sums, counts = inside.transpose(0, 2, 1) @ x, inside.sum(1)
    mean = sums.sum(0) / counts.sum(0)[:, None]
    flat = inside.reshape(inside.shape[0] * inside.shape[1], levels)
    # Differences from the level's own mean: nothing is lost where that is large and the spread small.
    spread = flat.T @ (x.reshape(-1, x.shape[-1]) - flat @ mean) ** 2
    sd = np.sqrt(spread / counts.sum(0)[:, None])
    drawn, steps = weights @ sums.reshape(len(sums), levels * x.shape[-1]), (weights @ counts)[..., None]
    # A sample that has no step of a level says nothing of it.
    samples = drawn.reshape(len(weights), levels, x.shape[-1]) / np.where(steps > 0, steps, np.nan)
    low, high = percentile_interval(samples)
    return {"mean": mean.T, "sd": sd.T, "ci_low": low.T, "ci_high": high.T}
