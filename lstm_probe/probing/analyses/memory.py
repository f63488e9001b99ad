"""Memory curves: how well a unit predicts what a signal was, against how many steps ago that was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from lstm_probe.core.columns import MEMORY_COLUMNS, MEMORY_SPAN_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.probing.data.checks import refuse_groups, setting_problems
from lstm_probe.probing.data.events import each_condition
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    in_memory,
    make_study,
    unit_columns,
    untrained_effects,
)
from lstm_probe.probing.data.view import View, scaled, standardise
from lstm_probe.probing.fits.ridge import ridge_predictions
from lstm_probe.probing.inference.baselines import time_only
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.evaluate import Scores, evaluate_predictions, evaluate_units, unit_scores
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.nulls import NullResult, study_test
from lstm_probe.probing.inference.present import PresentInput
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.swap import can_swap, swap_effects
from lstm_probe.probing.inference.untrained import Networks, Untrained, compare, random_part
from lstm_probe.probing.streaming.memory import median_length, stream_memory
from lstm_probe.probing.streaming.shards import RecordingStream, Source
from lstm_probe.recorder.data import Recording

#: So many untrained networks make the level that stands in the table, and decides nothing.
LEVEL_NETWORKS = 2


def memory_curves(
    rec: Recording | RecordingStream,
    signals: Signals = None,
    *,
    by: Any = None,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] | None = None,
    variables: Sequence[str] | None = ("c",),
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    untrained: Untrained = 19,
    init: str | None = None,
    forget_bias: float | None = None,
    alpha: float = 0.05,
    min_effect: float = 0.25,
    min_effect_class: float = 0.46,
    margin: float = 0.2,
    least_margin: float = 0.01,
    least_swap: float = 0.02,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Score every unit, by itself, against each signal as it was ever more steps ago.

    A unit has `held` a signal's value of some steps ago where it meets all that `probe_units` asks of a unit that
    tracks, at that lag, and lies above `signal_itself` by the same margin: it tells more than the signal's present
    value would. Where lag 0 is among `lags`, that is asked only of a signal whose present value the unit does not tell.
    The family of its p-value is all units, variables and lags here, and all signals.

    Args:
        rec: from `lstm_probe.record`; or one on disk, larger than memory, or any other stream of recordings.
        signals: as for `probe_units`, and so all arguments that are not named here.
        by: conditions: the name of a signal with classes that is the same at all steps of a sequence, or labels,
            numbers or text, one for each sequence. The sequences of each are measured by themselves, as if there were
            no others, and `condition` is a further column: what is `held` is a family of its own in each. Not of a
            stream.
        lags: how many steps ago, each 0 or more; where this is None, 0, 1, 2, 3, 5, 8 and so on, each the sum
            of the two before, up to half of the median length, so that most sequences have them all.
        variables: which of h c i f g o; all that were recorded where this is None.
        untrained: likewise; the level that stands in the table is that of two of them.

    Returns:
        One row for each unit, variable, signal and lag, with the columns `MEMORY_COLUMNS`. The baselines are
        on the effect's scale. `untrained` (95th percentile), `input_only` and `time_only` are those of
        `probe_units`; `signal_itself` is what the signal's own present value says of its value that many steps
        ago: more is known by a unit only if it remembers. Where no two steps that far apart are labelled that is not
        known: NaN, and nothing is `held`. A signal without variation has NaN. Of a
        stream, AUROCs are ranked by bins, and `attrs["auroc_error"]` is what any of them can be off by; there, nothing
        is `held`.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> memory = lp.memory_curves(rec, batch.signals, lags=[0, 4], permutations=99)
    >>> memory.query("unit == 0 and signal == 'count'")[["lag", "effect"]].round(2).values.tolist()
    [[0.0, 1.0], [4.0, 0.68]]
    """
    decisive = {"alpha": alpha, "min_effect": min_effect, "min_effect_class": min_effect_class, "margin": margin,
                "least_margin": least_margin, "least_swap": least_swap}  # fmt: skip
    numbers: dict[str, Any] = {"permutations": permutations, **decisive}
    numbers |= {"untrained": untrained} if isinstance(untrained, int | np.integer) else {}
    attrs: dict[str, float] = {}
    if by is not None:
        rec = in_memory(rec, "by")
        lags = default_lags(int(rec.lengths.median())) if lags is None else lags
        settings: dict[str, Any] = {
            **decisive, "untrained": untrained, "init": init, "forget_bias": forget_bias, "folds": folds, "null": null,
            "lags": lags, "variables": variables, "permutations": permutations, "seed": seed, "run": run, "task": task,
        }  # fmt: skip
        return each_condition(rec, signals, by, groups, split, partial(memory_curves, **settings))
    if isinstance(rec, Recording):
        lags = default_lags(int(rec.lengths.median())) if lags is None else lags
        study = make_study(rec, signals, split, lags, variables, folds, seed, groups=groups, null=null, **numbers)
        networks = Networks.of(rec, untrained, seed, init, forget_bias)
        exchange = make_exchange(null, study.lengths, study.groups)
        with as_many_threads_as_torch():
            measured = by_labels(study, lambda part: score_lags(part, networks))
            test = partial(study_test, study, exchange, permutations, seed)
            measured["held"] = held_lags(study, measured, Rule(**decisive), networks, test, seed)
    else:
        refuse_groups(groups)
        lags = default_lags(median_length(Source(rec, None))) if lags is None else lags
        with as_many_threads_as_torch():
            study, measured, off = stream_memory(
                rec, signals, split, lags, variables, folds, seed, numbers,
                lambda own: Networks.of(own, untrained, seed, init, forget_bias), LEVEL_NETWORKS,
            )  # fmt: skip
        measured["held"] = np.zeros(measured["effect"].shape, dtype=bool)
        attrs["auroc_error"] = off
    first = {"run": run, "task": task, "units": study.rec.config.units, "seed": seed}
    table = assemble(study, measured, [block.values.shape[-1] for block in study.blocks], first)
    table = table[list(MEMORY_COLUMNS)]
    table.attrs.update(attrs)
    return table


def held_lags(
    study: Study, measured: Mapping[str, np.ndarray], rule: Rule, networks: Networks, test: Callable[[], NullResult],
    seed: int,
) -> Bool[np.ndarray, "lag unit signal"]:  # fmt: skip
    """Return where a unit has held a signal's earlier value: see `memory_curves`.

    What takes longer is done for candidates alone.
    """
    effect, lags = measured["effect"], np.array(study.lags)
    baseline = np.maximum(measured["input_only"], measured["time_only"])
    held = (effect >= rule.bar(study.signals)) & rule.beyond(effect, baseline) & (effect >= measured["untrained"])
    if 0 in lags:  # of what a unit knows now, it knows something of before
        held &= ~held[lags == 0]
    held &= rule.beyond(effect, measured["signal_itself"]) & (lags > 0)[:, None, None]
    if held.any() and can_swap(study.rec):
        held &= rule.remembered(effect, swap_effects(study, held, 1, seed, unit_scores))
    if held.any():
        held &= test().p_family <= rule.alpha
    if held.any():
        held &= compare(random_part(study, seed), networks, unit_scores, rule.alpha, held).p <= rule.alpha
    result: np.ndarray = held
    return result


def default_lags(length: int) -> tuple[int, ...]:
    """Return 0, 1, 2, and on as sums of the two before, up to half of a length.

    >>> default_lags(50)
    (0, 1, 2, 3, 5, 8, 13, 21)
    """
    lags = [0, 1, 2]
    while lags[-1] < length // 2:
        lags.append(lags[-1] + lags[-2])
    return tuple(lag for lag in lags if lag <= length // 2)


def score_lags(study: Study, networks: Networks) -> dict[str, Float[np.ndarray, "lag unit signal"]]:
    """Return score, effect and baselines of all units of all blocks, at every lag."""
    some = networks.some(study.rec, study.variables, LEVEL_NETWORKS)
    level, _ = untrained_effects(study, some, unit_scores)
    present = PresentInput(study.rec, study.signals[0])
    baselines = [
        {"input_only": present.effects(view), "time_only": time_only(view), "signal_itself": signal_itself(view)}
        for view in study.views
    ]

    def scores(lag: int, number: int) -> Scores:
        view, block = study.views[lag], study.blocks[number]
        return evaluate_units(view.features(block.values, block.name), view)

    return unit_columns(study.views, len(study.blocks), scores, baselines, {"untrained": level})


def signal_itself(view: View) -> Float[np.ndarray, " signal"]:
    """Return the effect of predicting each signal from its own value at the step of the units.

    A univariate fit as for a unit; from the classes of a categorical signal, which have no order, and from an angle's
    sine and cosine, a linear one.
    """
    out = np.empty(len(view.signals))
    for g, signal in enumerate(view.signals):
        own = view.only(g)
        if signal.labelled is not None:  # both values have to be known
            both = view.mask & signal.labelled[:, view.lag :]
            own = replace(own, mask=both, columns=np.where(both[..., None], own.columns, 0.0))
            if signal.is_number:
                own = replace(own, columns=scaled(signal, both, view.lag))
        present = standardise(signal.columns()[:, view.lag :], own.mask)
        if signal.kind in ("categorical", "circular"):
            found = evaluate_predictions(ridge_predictions(present, own.columns, own), own)
        else:
            found = evaluate_units(present, own)
        out[g] = effects(found.score, own)[0, 0]
    return out


def memory_spans(
    memory: pd.DataFrame, *, min_effect: float = 0.25, min_effect_class: float = 0.46, margin: float = 0.2
) -> pd.DataFrame:
    """Say for how long each unit remembers each signal.

    A unit knows a signal at a lag if its effect is at least `min_effect` (numbers) or `min_effect_class` (classes), and
    above each of `untrained`, `input_only` and `time_only` by at least the share `margin` of what that leaves open.

    Args:
        memory: columns `MEMORY_COLUMNS`.
        min_effect: 0 to 1.
        min_effect_class: 0 to 1.
        margin: 0 to 1.

    Returns:
        One row for each unit, variable and signal, with the columns `MEMORY_SPAN_COLUMNS`. `peak_lag` is the
        lag at which the effect is highest, the first of equals. `span` is the largest lag reached from there
        on with the signal known at every lag looked at; NaN if it is not known at the peak. `beyond_signal` is
        the largest of these lags at which the effect is also that far above `signal_itself`; NaN if there is
        none.

    Raises:
        InputError: a number out of its range.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> spans = lp.memory_spans(lp.memory_curves(rec, batch.signals, lags=[0, 1, 2, 4, 8], permutations=99))
    >>> spans.query("unit == 0 and signal == 'count'")[["peak_lag", "span"]].values.tolist()
    [[0.0, 8.0]]
    """
    decisive = {"min_effect": min_effect, "min_effect_class": min_effect_class, "margin": margin}
    if problems := setting_problems(decisive):
        raise InputError(*problems)
    rule = Rule(**decisive)
    effect, itself = (memory[name].to_numpy(dtype=float) for name in ("effect", "signal_itself"))
    baseline = np.fmax.reduce([memory[name].to_numpy(dtype=float) for name in ("untrained", "input_only", "time_only")])
    bar = np.where(memory["kind"].isin(NUMBERS), min_effect, min_effect_class)
    known = (effect >= bar) & rule.beyond(effect, baseline)
    more = known & rule.beyond(effect, itself)
    lags = memory["lag"].to_numpy()
    curves: dict[Any, list[int]] = {}
    for row, key in enumerate(zip(*(memory[name].tolist() for name in list(MEMORY_SPAN_COLUMNS)[:-4]))):
        curves.setdefault(key, []).append(row)
    rows = []
    for key, own in curves.items():
        at = np.array(own)[np.argsort(lags[own], kind="stable")]
        if np.isnan(effect[at]).all():
            rows.append((*key, np.nan, np.nan, np.nan, np.nan))
            continue
        at = at[int(np.nanargmax(effect[at])) :]
        reached = at[np.logical_and.accumulate(known[at])]
        beyond = reached[more[reached]]
        spans = (lags[each].max() if len(each) else np.nan for each in (reached, beyond))
        rows.append((*key, lags[at[0]], effect[at[0]], *spans))
    return pd.DataFrame(rows, columns=list(MEMORY_SPAN_COLUMNS))
