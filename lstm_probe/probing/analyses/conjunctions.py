"""Which units code two signals together: gated values, products, "both" and "either but not both"."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from lstm_probe.core.columns import CONJUNCTION_COLUMNS
from lstm_probe.core.errors import NothingThereError, nearest
from lstm_probe.core.given import Signals
from lstm_probe.core.vocabulary import ROLES
from lstm_probe.probing.data.signals import CheckedSignal, share_labels
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    in_memory,
    make_study,
    untrained_effects,
)
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.baselines import time_only
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.evaluate import evaluate_units, unit_scores
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.exchange_warnings import check_exchange
from lstm_probe.probing.inference.multiplicity import family
from lstm_probe.probing.inference.nulls import study_test
from lstm_probe.probing.inference.present import PresentInput
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.spans import Spans, main_effects
from lstm_probe.probing.inference.untrained import LEVEL_NETWORKS, Networks, Untrained
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: An interaction with no more than this share of its variance left, once each signal alone is known, is none.
NOTHING_LEFT = 1e-6

#: Interactions that are looked at in one go; more at a time take more memory.
AT_ONCE = 48

BASELINES = ("input_only", "time_only", "untrained", "other_signal")


@dataclass(frozen=True)
class Pair:
    """Two signals, by their numbers, and what of them can only be known from both.

    Attributes:
        first, second: the two.
        interactions: one signal for each product.
        told: what the best of all other signals tells of each.
    """

    first: int
    second: int
    interactions: Sequence[CheckedSignal]
    told: Sequence[float]


def conjunctions(
    rec: Recording,
    signals: Signals,
    *,
    split: Split | None = None,
    groups: Any = None,
    variables: Sequence[str] | None = ("c",),
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    bootstrap: int = 200,
    untrained: Untrained = 19,
    init: str | None = None,
    forget_bias: float | None = None,
    roles: Sequence[str] = ("target", "latent", "distractor"),
    most: int = 200,
    alpha: float = 0.05,
    min_effect: float = 0.25,
    margin: float = 0.2,
    least_margin: float = 0.01,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Screen every unit for codes of two signals together, which no analysis of one signal at a time can see.

    Of two signals A and B the interaction is (A − mean) · (B − mean), less all that any sum of a smooth curve of A and
    one of B (natural cubic splines; the classes of class signals; sine and cosine, once and twice as fast, of angles)
    explains of it by least squares, over all real steps at which both are labelled. A unit that holds A, B, their sum,
    or a smooth curve of either predicts nothing of it; one that holds A while B is on, A · B, or "one of them but not
    both" does. Of signals with several columns (the classes of a categorical one, sine and cosine) each product is an
    interaction of its own, and a unit has the one that it predicts best. Both signals are taken at the unit's own step.

    `effect` is the held-out R² of the unit's straight line, floored at 0. A conjunction is `found` where p_family ≤
    `alpha`, the effect is at least `min_effect`, and with b the highest of `input_only`, `time_only`, `untrained` and
    `other_signal`, what a function of the best of all other signals tells of it on held-out sequences (smooth curves
    and steps of a number, all classes of a class signal, at the steps at which it is labelled), it is at least
    max(`margin` · (1 − b), `least_margin`) above b. Whole sequences are exchanged, as in `probe_units`; p_family is by
    the maximum over all interactions, units and variables of a pair, and over pairs as there over signals.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: as for `probe_units`.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`.
        permutations: of signals against units, 1 or more; more are made where Holm over so many pairs could not reach
            `alpha` with these: pairs / alpha.
        null: shuffle or roll, as for `probe_units`.
        bootstrap: samples of sequences for the 95 % intervals, 1 or more.
        untrained: as for `probe_units`, and so `init` and `forget_bias`; the level is that of the first five.
        roles: of the signals that are paired.
        most: how many pairs are looked at; a warning names those that are left out. 1 or more.
        alpha: family-wise error rate, 0 to 1.
        min_effect: 0 to 1.
        margin: 0 to 1.
        least_margin: 0 to 1.
        seed: everything random follows from it; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, variable and pair, with the columns `CONJUNCTION_COLUMNS`. NaN, and not found, where
        nothing of two signals can only be known from both: as of two that are the same, or of "on" and "on and loud".

    Raises:
        InputError: what is wrong with the arguments, all of it at once; fewer than two signals of these roles.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> pairs = lp.conjunctions(rec, batch.signals, permutations=99, bootstrap=10)
    >>> bool(pairs.found.any())  # the count and the latch have a unit each
    False
    """
    rec = in_memory(rec, "conjunctions")
    unknown = [
        f"roles={r}: must be among {' '.join(ROLES)}.{nearest(str(r), tuple(ROLES))}" for r in roles if r not in ROLES
    ]
    rule = Rule(alpha=alpha, min_effect=min_effect, margin=margin, least_margin=least_margin)
    settings: dict[str, Any] = {"permutations": permutations, "bootstrap": bootstrap, "most": most, "alpha": alpha,
                                "min_effect": min_effect, "margin": margin, "least_margin": least_margin}  # fmt: skip
    settings |= {"untrained": untrained} if isinstance(untrained, int) else {}
    study = make_study(rec, signals, split, (0,), variables, folds, seed, unknown, groups=groups, null=null, **settings)
    pairs, networks = make_pairs(study, roles, most), Networks.of(rec, untrained, seed, init, forget_bias)
    check_exchange(make_exchange(null, study.lengths, study.groups), len(pairs), alpha)
    count = max(permutations, math.ceil(len(pairs) / alpha)) if alpha > 0 else permutations
    with as_many_threads_as_torch():
        alone = by_labels(study, score_alone)["effect"][0]
        parts = [measure(replace(study, signals=own), count, null, networks, seed) for own in batches(pairs)]
    cells = {key: np.concatenate([part[key] for part in parts], axis=-1) for key in parts[0]}
    told = np.array([share for pair in pairs for share in pair.told])
    cells["other_signal"] = np.where(np.isnan(cells["effect"]), np.nan, told)
    measured = best_of_each(pairs, cells)
    p_family = family(measured["observed"][None], measured.pop("best"), measured.pop("scored"))[0]
    missing = np.isnan(measured["effect"])
    measured["p_family"] = np.where(missing, np.nan, p_family)
    measured["effect_signal"] = alone[:, [pair.first for pair in pairs]]
    measured["effect_other"] = alone[:, [pair.second for pair in pairs]]
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    # What is said of a pair stands in the place of a signal.
    heads = replace(study, signals=[study.signals[pair.first] for pair in pairs])
    sizes = [block.values.shape[-1] for block in study.blocks]
    table = assemble(heads, {key: values[None] for key, values in measured.items()}, sizes, first)
    table["other"] = np.tile([study.signals[pair.second].name for pair in pairs], sum(sizes))
    effect, baseline = table["effect"].to_numpy(), table[list(BASELINES)].max(axis=1).to_numpy()
    table["found"] = (table["p_family"] <= alpha) & (effect >= min_effect) & rule.beyond(effect, baseline)
    return table[list(CONJUNCTION_COLUMNS)]


def make_pairs(study: Study, roles: Sequence[str], most: int) -> list[Pair]:
    """Return the pairs of signals of these roles, `most` at most; an InputError where there is none."""
    own = [g for g, signal in enumerate(study.signals) if signal.role in roles]
    names = [signal.name for signal in study.signals]
    if len(own) < 2:
        told = ", ".join(f"{signal.name} ({signal.role})" for signal in study.signals)
        raise NothingThereError(
            f"conjunctions: needs two signals with a role among {' '.join(roles)}; there are: {told}"
        )
    every = list(combinations(own, 2))
    if len(every) > most:
        left = [f"{names[a]} and {names[b]}" for a, b in every[most:]]
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        logger.warning("conjunctions: most=%d of %d pairs of signals are looked at; left out are %s%s",
                       most, len(every), ", ".join(left[:5]), more)  # fmt: skip
    mask = np.arange(study.signals[0].values.shape[1]) < study.lengths[:, None]
    pairs, spans = [], Spans(study.signals, mask, study.split.fold)
    for a, b in every[:most]:
        made = interactions(study.signals[a], study.signals[b], mask)
        rest = [g for g in range(len(names)) if g not in (a, b)]
        pairs.append(Pair(a, b, made, [spans.told(rest, one) for one in made]))
    return pairs


def interactions(
    one: CheckedSignal, other: CheckedSignal, mask: Bool[np.ndarray, "sequence time"]
) -> list[CheckedSignal]:
    """Return what can only be known from both of two signals: for each product of a column of either, a signal.

    Args:
        one: a signal.
        other: another.
        mask: the real steps.
    """
    steps = one.among(other.among(mask))
    labelled = None if np.array_equal(steps, mask) else steps
    name = f"{one.name} x {other.name}"
    if not steps.any():
        return [CheckedSignal(name, "continuous", "latent", np.zeros(mask.shape), 0, labelled)]
    a, b = (signal.columns()[steps] for signal in (one, other))
    products = ((a - a.mean(0))[:, :, None] * (b - b.mean(0))[:, None]).reshape(len(a), -1)
    known = np.concatenate([np.ones((len(a), 1)), main_effects(one, steps), main_effects(other, steps)], axis=1)
    left = products - known @ np.linalg.lstsq(known, products, rcond=None)[0]
    found = []
    for product, column in zip(products.T, left.T):
        values = np.zeros(mask.shape)
        if column.var() > NOTHING_LEFT * product.var():
            values[steps] = column
        found.append(CheckedSignal(name, "continuous", "latent", values, 0, labelled))
    return found


def batches(pairs: Sequence[Pair]) -> list[list[CheckedSignal]]:
    """Return the interactions of all pairs in their order, about `AT_ONCE` at a time."""
    every = [signal for pair in pairs for signal in pair.interactions]
    return [share_labels(every[start : start + AT_ONCE]) for start in range(0, len(every), AT_ONCE)]


def score_alone(study: Study) -> dict[str, Float[np.ndarray, "lag unit signal"]]:
    """Return the effect of each unit on each signal by itself."""
    rows = []
    for view in study.views:
        scores = [evaluate_units(view.features(block.values, block.name), view).score for block in study.blocks]
        rows.append(effects(np.concatenate(scores), view))
    return {"effect": np.stack(rows)}


def measure(
    study: Study, permutations: int, null: str, networks: Networks, seed: int
) -> dict[str, Float[np.ndarray, "_ interaction"]]:
    """Return what is measured of every unit and interaction, and what the null says of each interaction."""

    def one(part: Study) -> dict[str, np.ndarray]:
        view, sizes = part.views[0], [block.values.shape[-1] for block in part.blocks]
        got = [evaluate_units(view.features(block.values, block.name), view, part.weights) for block in part.blocks]
        ends = {"effect": "score", "ci_low": "low", "ci_high": "high"}
        out = {key: effects(np.concatenate([getattr(s, end) for s in got]), view) for key, end in ends.items()}
        some = networks.some(part.rec, part.variables, LEVEL_NETWORKS)
        level = untrained_effects(part, some, unit_scores)[0, 0]
        return out | {"untrained": np.repeat(level, sizes, axis=0)} | of_signals(part, view, sum(sizes))

    measured = by_labels(study, one)
    found = study_test(study, make_exchange(null, study.lengths, study.groups), permutations, seed)
    scored = found.scored
    null_says = {"p_value": found.p_value[0], "observed": np.where(scored, found.observed[0], -np.inf),
                 "best": np.where(scored, found.best.T, -np.inf), "scored": scored[None]}  # fmt: skip
    return measured | null_says


def of_signals(study: Study, view: View, units: int) -> dict[str, Float[np.ndarray, "unit signal"]]:
    """Return the baselines that are the same for every unit."""
    own = {"input_only": PresentInput(study.rec, study.signals[0]).effects(view), "time_only": time_only(view)}
    return {key: np.tile(values, (units, 1)) for key, values in own.items()}


def best_of_each(pairs: Sequence[Pair], cells: dict[str, Float[np.ndarray, "_ interaction"]]) -> dict[str, np.ndarray]:
    """Return what is said of each pair: of each unit, that of the interaction which it predicts best.

    `best` in the null is the maximum over interactions too; a unit's own p-value is multiplied by how many there are.
    """
    starts = np.cumsum([0, *(len(pair.interactions) for pair in pairs)])
    out: dict[str, list[np.ndarray]] = {key: [] for key in cells}
    for start, stop in pairwise(starts.tolist()):
        own = {key: values[:, start:stop] for key, values in cells.items()}
        place: Int[np.ndarray, " unit"] = own["observed"].argmax(1)
        for key, values in own.items():
            if key in ("best", "scored"):
                out[key].append(values.max(1))
            else:
                out[key].append(np.take_along_axis(values, place[:, None], axis=1)[:, 0])
        least = np.minimum(1.0, out["p_value"][-1] * int(own["scored"].sum()))
        out["p_value"][-1] = np.where(np.isnan(out["effect"][-1]), np.nan, least)
    joined: dict[str, np.ndarray] = {key: np.stack(values, axis=-1) for key, values in out.items()}
    return joined | {"best": joined["best"].T, "scored": joined["scored"][0]}
