"""Which unit tracks which signal: every pair scored, tested and compared with baselines."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from lstm_probe.core.columns import PROBE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.probing.analyses.power import warn_of_few_sequences
from lstm_probe.probing.data.checks import refuse_groups
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    make_study,
    unit_columns,
)
from lstm_probe.probing.inference.baselines import time_only
from lstm_probe.probing.inference.claims import claims
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.dependence import warn_of_dependence
from lstm_probe.probing.inference.evaluate import Scores, evaluate_units, unit_scores
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.exchange_warnings import warn_of_short, warn_of_unmoved
from lstm_probe.probing.inference.multiplicity import q_values
from lstm_probe.probing.inference.nulls import study_test
from lstm_probe.probing.inference.present import PresentInput
from lstm_probe.probing.inference.swap import DEPTHS
from lstm_probe.probing.inference.testable import UNTRIED, reach_of_stream, testable_signals
from lstm_probe.probing.inference.untrained import Networks, Untrained, random_part
from lstm_probe.probing.inference.window import input_window
from lstm_probe.probing.streaming.stream import RecordingStream, probe_stream
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)


def probe_units(
    rec: Recording | RecordingStream,
    signals: Signals = None,
    *,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = None,
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    bootstrap: int = 1000,
    untrained: Untrained = 19,
    init: str | None = None,
    forget_bias: float | None = None,
    window: int = 3,
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
    """Score every unit's every variable, by itself, against every signal, on held-out sequences.

    A unit `tracks` a signal where all of this holds: p_family ≤ `alpha`; its effect is at least `min_effect` (numbers)
    or `min_effect_class` (classes); with b the higher of `time_only` and `input_only`, it is at least `margin` times
    1 − b, and no less than `least_margin`, above b; likewise above `past_swap`, with `least_swap`; and p_untrained ≤
    `alpha`.

    Args:
        rec: from `lstm_probe.record`; or one on disk, larger than memory, from `lstm_probe.open_recording`, or
            any other stream of recordings, of which no more than one is held at a time: see
            `probing.streaming.stream` for what then differs.
        signals: by name, a `Signal`, or an array of (sequence, time), or of (sequence,): a label for each sequence;
            or a list of sequences, each as long as it is. A step with NaN or None is not labelled, and is in no
            statistic of that signal; where the null moves signals, their labels move along. Or a DataFrame with a
            column for each signal and a row for each sequence, or for each real step, sequence after sequence. An
            array's kind is inferred: two values are binary; text, and non-negative whole numbers of an integer type (of
            any, beside NaN) with 3 to 10 levels, categorical; all else is continuous.
            `Signal(name, angles, kind="circular")` is an angle in radians, from −2π to 2π: its metric is the R² of sine
            and cosine together, 1 − Σ squared errors / Σ squared distances from their means. Where all angles are
            equally frequent, a single unit with a perfect cosine tuning has 0.5; several units together, as in
            `probe_populations`, may have 1. None: those that lie beside the recording in a stream, where every step
            needs a value.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: one entry for each sequence, numbers or text, equal for those that are not independent of each other,
            such as sequences of one subject. Groups are held out, exchanged and drawn by the bootstrap as a whole; no
            fold of a `split` may separate one. It takes at least 6 to test a number, 8 a label that is constant in
            each; 12 are better. None: every sequence is its own. Streams take none.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`.
        permutations: of signals against units, 1 or more.
        null: what chance is. "shuffle": whole sequences are exchanged, which keeps everything that depends on
            the step index; those of about the same length, cut to the shortest of them, in front where that keeps more
            labels (such as one at the end of each), else behind. "roll": each sequence's signals are rolled in time by
            a random number of steps. This works with a few sequences, if they are several times as long as units and
            signals remember (a warning says where they are not), and have no common trend over steps: in all other
            cases only the shuffle is right.
            "shift": of one series cut into windows, in order, the signals of whole windows are shifted against units
            of the middle half (Harris 2020), in as many ways as there are, whatever `permutations` says; without a
            `split` or `groups`, folds and bootstrap take neighbouring windows as one. Streams have the shuffle alone.
        bootstrap: samples of sequences for the 95 % intervals, 1 or more.
        untrained: untrained networks of the same architecture, their number; or modules; or a function that makes the
            k-th (or one more, if it takes no number), of which 19 are made. Fewer than
            1 / `alpha` − 1 can tell nothing.
        init: how the recorded network began: one of torch keras tf1 orthogonal chrono (see
            `recorder.initial.initialise`), or unknown; None: as it knows itself, which is unknown for any module that
            was not made, trained or imported here. Of unknown origin, all usual initialisations stand in.
        forget_bias: what its forget gates' biases began at; None: as `init` has it. Given together with `init`.
        window: how many steps before the present one `input_window` sees: the effect of the last inputs together,
            which does not decide what is tracked; 0 or more.
        alpha: family-wise error rate, 0 to 1.
        min_effect: least R², 0 to 1.
        min_effect_class: least 2·AUROC − 1, 0 to 1; the default is as strong as an R² of 0.25.
        margin: share of what a baseline leaves open, 0 to 1.
        least_margin: 0 to 1.
        least_swap: 0 to 1.
        seed: everything random follows from it; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, variable, signal and lag, with the columns `PROBE_COLUMNS`. Intervals are on
        the effect's scale. A signal without variation has NaN in place of scores and p-values, and is not
        tracked. Where nothing could be found whatever the units do, `testable` is false: that nothing is tracked then
        says nothing. `attrs` hold "p_resolution", the smallest p-value that this number of permutations can give,
        "p_family_resolution", that times the number of signals; "not_testable", why, by signal; "dependence", whether
        sequences that are neighbours are alike (see `inference.dependence`); "origins", the initialisations of the
        untrained networks; and "rule", the thresholds. Of a stream, "auroc_error" is what any AUROC in the table can be
        off by.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> scores = lp.probe_units(rec, batch.signals, variables=["c"], permutations=99, bootstrap=10)
    >>> scores.query("tracks")[["unit", "signal"]].values.tolist()
    [[0, 'count'], [1, 'latch']]
    """
    decisive = {"alpha": alpha, "min_effect": min_effect, "min_effect_class": min_effect_class, "margin": margin,
                "least_margin": least_margin, "least_swap": least_swap}  # fmt: skip
    numbers: dict[str, Any] = {"permutations": permutations, "bootstrap": bootstrap, "window": window, **decisive}
    numbers |= {"untrained": untrained} if isinstance(untrained, int | np.integer) else {}
    rule = Rule(**decisive)
    resolution: dict[str, Any] = {}
    moved: Any = True
    if isinstance(rec, Recording):
        study = make_study(rec, signals, split, lags, variables, folds, seed, groups=groups, null=null, **numbers)
        networks = Networks.of(rec, untrained, seed, init, forget_bias)
        exchange = make_exchange(null, study.lengths, study.groups)
        moved = warn_of_unmoved(exchange, study.signals)
        warn_of_short(exchange, study.signals, moved)
        with as_many_threads_as_torch():
            measured = by_labels(study, lambda part: score_blocks(part, window))
            found, part = study_test(study, exchange, permutations, seed), random_part(study, seed)
        permutations = found.best.shape[1]  # of shifts there are only so many
        resolution["dependence"] = warn_of_dependence(study, null, seed)
    elif null != "shuffle":
        raise InputError(f"null={null}: a stream of recordings can only be probed with shuffle")
    else:
        refuse_groups(groups)
        with as_many_threads_as_torch():
            study, measured, found, ways, part, off = probe_stream(
                rec, signals, split, lags, variables, folds, seed, numbers
            )
        moved = np.array([own.moved for own in ways])
        networks = Networks.of(part.rec, untrained, seed, init, forget_bias)
        resolution["auroc_error"] = off
    missing = np.isnan(measured["score"])
    scored = ~missing.all((0, 1))
    measured["p_value"] = np.where(missing, np.nan, found.p_value)
    measured["p_family"] = np.where(missing, np.nan, found.p_family)
    reach = (
        testable_signals(exchange, study.signals, study.groups, permutations, alpha, scored=scored).learned_from(
            study.learnable
        )
        if isinstance(rec, Recording)
        else reach_of_stream(ways, scored, permutations, alpha)
    ).beside(networks, alpha)
    reach = reach.learned_from(part.learnable, UNTRIED)
    reach.warn(study.signals)
    groups = None if study.groups is None else len(np.unique(study.groups))
    warn_of_few_sequences(
        found, study.signals, scored & moved & reach.each, study.lengths, alpha, rule.bar(study.signals), null, groups
    )
    with as_many_threads_as_torch():
        measured |= claims(study, part, measured, found.p_family, reach.each, rule, networks, seed, unit_scores)
    measured["testable"] = np.broadcast_to(reach.each, missing.shape)
    resolution["p_resolution"] = 1 / (permutations + 1)
    resolution["p_family_resolution"] = resolution["p_resolution"] * int(scored.sum())
    resolution["not_testable"] = {s.name: why for s, why in zip(study.signals, reach.reasons) if why}
    resolution["origins"] = [*networks.names]
    resolution["rule"] = decisive
    resolution["deep"] = bool(study.lengths.max(initial=0) > max(DEPTHS))
    first = {"run": run, "task": task, "units": study.rec.config.units, "seed": seed}
    table = assemble(study, measured, [block.values.shape[-1] for block in study.blocks], first)
    table["q_value"] = q_values(table["p_value"].to_numpy())
    table = table[list(PROBE_COLUMNS)]
    table.attrs.update(resolution)
    return table


def warn_of_constant_units(x: Float[np.ndarray, "sequence time unit"], block: str, lag: int) -> None:
    """Log which of a block's standardised units have one value only, which says nothing of any signal."""
    constant = np.flatnonzero(~x.any((0, 1)))
    if len(constant):
        told = " ".join(map(str, constant[:10])) + (" ..." if len(constant) > 10 else "")
        logger.warning("%s, lag %d: constant in %d of %d units (%s); their effect is 0, by definition",
                       block, lag, len(constant), x.shape[-1], told)  # fmt: skip


def score_blocks(study: Study, window: int) -> dict[str, Float[np.ndarray, "lag unit signal"]]:
    """Return score, effect, interval and baselines of all units of all blocks, at every lag."""
    present = PresentInput(study.rec, study.signals[0])
    baselines = [
        {"input_only": present.effects(view), "input_window": input_window(study.rec, view, window),
         "time_only": time_only(view)}
        for view in study.views
    ]  # fmt: skip

    def scores(lag: int, number: int) -> Scores:
        view, block = study.views[lag], study.blocks[number]
        x = view.features(block.values, block.name)
        if view.mask.any():
            warn_of_constant_units(x, block.name, view.lag)
        return evaluate_units(x, view, study.weights)

    return unit_columns(study.views, len(study.blocks), scores, baselines, {})
