"""Memory curves: how well a unit predicts what a signal was, against how many steps ago that was."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from lstm_probe.core.columns import MEMORY_COLUMNS, MEMORY_SPAN_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.checks import setting_problems
from lstm_probe.probing.data.given import Signals
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    make_study,
    unit_columns,
    untrained_effects,
)
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.ridge import ridge_predictions
from lstm_probe.probing.inference.baselines import time_only
from lstm_probe.probing.inference.evaluate import Scores, evaluate_predictions, evaluate_units
from lstm_probe.probing.inference.present import PresentInput
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.streaming.memory import median_length, stream_memory
from lstm_probe.probing.streaming.shards import RecordingStream, Source
from lstm_probe.recorder.data import Recording


def memory_curves(
    rec: Recording | RecordingStream,
    signals: Signals = None,
    *,
    split: Split | None = None,
    lags: Sequence[int] | None = None,
    variables: Sequence[str] | None = ("c",),
    folds: int = 5,
    untrained: int = 5,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Score every unit, by itself, against each signal as it was ever more steps ago.

    Args:
        rec: from `lstm_probe.record`; or one on disk, larger than memory, or any other stream of recordings.
        signals: as for `probe_units`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        lags: how many steps ago, each 0 or more; where this is None, 0, 1, 2, 3, 5, 8 and so on, each the sum
            of the two before, up to half of the median length, so that most sequences have them all.
        variables: which of h c i f g o; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`.
        untrained: random initialisations of the same architecture, 1 or more.
        seed: everything random follows from it; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, variable, signal and lag, with the columns `MEMORY_COLUMNS`. The baselines are
        on the effect's scale. `untrained` (95th percentile), `input_only` and `time_only` are those of
        `probe_units`; `signal_itself` is what the signal's own present value says of its value that many steps
        ago: more is known by a unit only if it remembers. A signal without variation has NaN. Of a
        stream, AUROCs are ranked by bins, and `attrs["auroc_error"]` is what any of them can be off by.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.
    """
    attrs: dict[str, float] = {}
    if isinstance(rec, Recording):
        lags = default_lags(int(rec.lengths.median())) if lags is None else lags
        study = make_study(rec, signals, split, lags, variables, folds, seed, untrained=untrained)
        with as_many_threads_as_torch():
            measured = by_labels(study, lambda part: score_lags(part, untrained, seed))
    else:
        lags = default_lags(median_length(Source(rec, None))) if lags is None else lags
        settings = {"untrained": untrained}
        with as_many_threads_as_torch():
            study, measured, off = stream_memory(rec, signals, split, lags, variables, folds, seed, settings)
        attrs["auroc_error"] = off
    first = {"run": run, "task": task, "units": study.rec.config.units, "seed": seed}
    table = assemble(study, measured, [block.values.shape[-1] for block in study.blocks], first)
    table = table[list(MEMORY_COLUMNS)]
    table.attrs.update(attrs)
    return table


def default_lags(length: int) -> tuple[int, ...]:
    """Return 0, 1, 2, and on as sums of the two before, up to half of a length.

    >>> default_lags(50)
    (0, 1, 2, 3, 5, 8, 13, 21)
    """
    lags = [0, 1, 2]
    while lags[-1] < length // 2:
        lags.append(lags[-1] + lags[-2])
    return tuple(lag for lag in lags if lag <= length // 2)


def score_lags(study: Study, untrained: int, seed: int) -> dict[str, Float[np.ndarray, "lag unit signal"]]:
    """Return score, effect and baselines of all units of all blocks, at every lag."""
    levels = untrained_effects(study, untrained, seed, lambda x, view: evaluate_units(x, view).score)
    present = PresentInput(study.rec, study.signals[0])
    baselines = [
        {"input_only": present.effects(view), "time_only": time_only(view), "signal_itself": signal_itself(view)}
        for view in study.views
    ]

    def scores(lag: int, number: int) -> Scores:
        view, block = study.views[lag], study.blocks[number]
        return evaluate_units(view.features(block.values, block.name), view)

    return unit_columns(study.views, scores, levels, baselines)


def signal_itself(view: View) -> Float[np.ndarray, " signal"]:
    """Return the effect of predicting each signal from its own value at the step of the units.

    A univariate fit as for a unit; from the classes of a categorical signal, which have no order, a linear one.
    """
    out = np.empty(len(view.signals))
    for g, signal in enumerate(view.signals):
        own = view.only(g)
        if signal.labelled is not None:  # both values have to be known
            both = view.mask & signal.labelled[:, view.lag :]
            own = replace(own, mask=both, columns=np.where(both[..., None], own.columns, 0.0))
            if signal.kind == "continuous":
                own = replace(own, columns=standardise(own.columns, both))
        present = standardise(signal.columns()[:, view.lag :], own.mask)
        if signal.kind == "categorical":
            found = evaluate_predictions(ridge_predictions(present, own.columns, own), own)
        else:
            found = evaluate_units(present, own)
        out[g] = effects(found.score, own)[0, 0]
    return out


def memory_spans(memory: pd.DataFrame, *, margin: float = 0.05, min_effect: float = 0.25) -> pd.DataFrame:
    """Say for how long each unit remembers each signal.

    A unit knows a signal at a lag if its effect is at least `min_effect` and at least `margin` above each of
    `untrained`, `input_only` and `time_only`.

    Args:
        memory: columns `MEMORY_COLUMNS`.
        margin: 0 to 1.
        min_effect: 0 to 1.

    Returns:
        One row for each unit, variable and signal, with the columns `MEMORY_SPAN_COLUMNS`. `peak_lag` is the
        lag at which the effect is highest, the first of equals. `span` is the largest lag reached from there
        on with the signal known at every lag looked at; NaN if it is not known at the peak. `beyond_signal` is
        the largest of these lags at which the effect is also `margin` above `signal_itself`; NaN if there is
        none.

    Raises:
        InputError: a number out of its range.
    """
    if problems := setting_problems({"min_effect": min_effect, "margin": margin}):
        raise InputError(*problems)
    baselines = memory[["untrained", "input_only", "time_only"]].max(axis=1)
    known = (memory["effect"] >= min_effect) & (memory["effect"] >= baselines + margin)
    more = known & (memory["effect"] >= memory["signal_itself"] + margin)
    keys = list(MEMORY_SPAN_COLUMNS)[:-4]
    ordered = memory.assign(known=known, more=more).sort_values("lag", kind="stable")
    rows = []
    for key, curve in ordered.groupby(keys, sort=False):
        effect = curve["effect"].to_numpy()
        if np.isnan(effect).all():
            rows.append((*key, np.nan, np.nan, np.nan, np.nan))
            continue
        peak = int(np.nanargmax(effect))
        lag = curve["lag"].to_numpy()[peak:]
        reached = lag[np.logical_and.accumulate(curve["known"].to_numpy()[peak:])]
        beyond = reached[curve["more"].to_numpy()[peak : peak + len(reached)]]
        rows.append((*key, lag[0], effect[peak], *(each.max() if len(each) else np.nan for each in (reached, beyond))))
    table = pd.DataFrame(rows, columns=list(MEMORY_SPAN_COLUMNS))
    place = memory[keys].drop_duplicates()
    return place.merge(table, on=keys)
