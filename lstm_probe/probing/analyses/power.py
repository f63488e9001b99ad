"""Power: which effects a number of sequences can show, and how many it takes to show a given one.

All is about the family-wise test alone, at its hardest (Holm's largest factor): the thresholds `min_effect` and
`margin` come on top of it.

The critical effect of n sequences is the quantile of the best score that chance gives, from the permutations. It has a
floor that no number of sequences removes: what the null leaves in place, such as the step index and the length where
whole sequences are exchanged, may by itself tell a signal (see `NullResult.floor`). What lies above the floor is
chance: of R² it falls with 1 / n, of an AUROC's distance from ½ with 1 / √n. So the critical effect of any other
number follows, and an effect that is not above the floor can't be shown with any number.

The estimate of an effect e is taken to be normal about it with variance V(e) / (n k), where k is the number of
independent steps that one sequence is worth:

- R²: V = 4 e (1 − e)², the delta method from the variance (1 − ρ²)² of a correlation (Fisher 1915).
- AUROC, with A = (1 + e) / 2 and a share p of positive steps: V = 4 ((Q1 − A²) / p + (Q2 − A²) / (1 − p)) with
  Q1 = A / (2 − A) and Q2 = 2 A² / (1 + A) (Hanley & McNeil 1982). Of a categorical signal, the mean over classes.
- k: sums over a sequence of products of two unrelated series have the variance Σ C(s, t)² over all pairs of steps,
  where independent steps would have Σ C(t, t)² (Bartlett 1946); C is the signal's covariance between steps, over
  sequences. A unit that tracks the signal hangs together over steps as the signal does; so it does over the sequences
  of a group, whose steps count likewise.

A held-out R² falls short of e by (1 − e) (1 + 2 K / (K − 1)) / (n k) on average, with K folds: slope and mean are
fitted on a part of the data, and the spread is taken about the data's own mean.

The R² of an angle's sine and cosine together is taken to be as precise as one of a single number, which is no less than
it is wide: of uniform angles and a unit that goes with the cosine, e = ρ² / 2 and V = 2 e (1 − 2 e)² < 4 e (1 − e)².

The power is the chance that the estimate is above the critical effect. With z the normal quantile of 80 %,
e − shortfall(n) − critical(n) = z √(V(e) / (n k)) is a quadratic equation in 1 / √n. Beyond ten times the sequences at
hand the answer is a long way from the data: read "more than that".
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from lstm_probe.core.columns import POWER_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.scale import effect_of
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import as_many_threads_as_torch, in_memory, make_study
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.exchange_warnings import check_exchange
from lstm_probe.probing.inference.multiplicity import critical
from lstm_probe.probing.inference.nulls import NullResult, study_test
from lstm_probe.probing.inference.testable import testable_signals
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: The power that is asked for.
POWER = 0.8

#: How many times the sequences at hand an answer may be; beyond that it is "more than that".
MOST = 10

#: With fewer sequences of unequal lengths the floor itself is uncertain: few others have the same length.
UNSURE = 128

#: What a null leaves in place.
KEPT = {"shuffle": "the step index and the length alone give"}


def power(
    rec: Recording,
    signals: Signals,
    *,
    effects: Sequence[float] = (0.1, 0.25, 0.5),
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = None,
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    alpha: float = 0.05,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say which effects this many sequences can show, and how many sequences it takes to show others.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`, and so `split`, `groups`, `lags`, `variables`, `folds`, `permutations`, `null`,
            `alpha`, `seed`, `run` and `task`.
        effects: above 0 and below 1; on the scale of `effect` in `probe_units`.

    Returns:
        One row for each signal, lag and asked effect, with the columns `POWER_COLUMNS`. `critical`: what an effect has
        to reach to be told from chance with the `sequences` at hand; `detectable`: the smallest true effect that does
        so with a power of 80 %; `floor`: what no number of sequences takes off `critical`; `sequences_needed`: how many
        sequences like these give the asked effect that power, never fewer than two for each fold; <NA> where the
        effect is not above the floor, so that no number does. NaN and <NA> for a signal without variation, and where
        there are too few permutations, groups or sequences to reach `alpha`.

    Raises:
        InputError: what is wrong with the arguments.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> told = lp.power(rec, batch.signals, effects=[0.1], variables=["c"])
    >>> told.query("signal == 'count'")[["sequences", "sequences_needed"]].values.tolist()
    [[64, 57]]
    """
    rec = in_memory(rec, "power")
    wrong = [e for e in effects if not 0 < e < 1]
    if wrong or not len(effects):
        raise InputError(f"effects={list(effects)}: there must be one or more, each above 0 and below 1")
    settings: dict[str, Any] = {"permutations": permutations, "alpha": alpha}
    study = make_study(rec, signals, split, lags, variables, folds, seed, groups=groups, null=null, **settings)
    exchange = make_exchange(null, study.lengths, study.groups)
    scored = study.scored
    check_exchange(exchange, int(scored.sum()), alpha)
    with as_many_threads_as_torch():
        found = study_test(study, exchange, permutations, seed)
    tested = testable_signals(exchange, study.signals, study.groups, permutations, alpha, scored=scored)
    least = np.where(tested.each, critical_effects(found.best, study.signals, scored, alpha), np.nan)
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    rows = []
    for g, signal in enumerate(study.signals):
        for view in replace(study, signals=[signal]).views:
            about = {"signal": signal.name, "kind": signal.kind, "role": signal.role, "lag": view.lag}
            known = Precision.of(view, study.groups) if view.scored[0] and not np.isnan(least[g]) else None
            n = int((view.n > 0).sum())
            for effect in effects:
                row = first | about | {"sequences": n, "effect": effect, "critical": least[g]}
                floor = np.nan if known is None else found.floor[g]
                needed = None if known is None else known.needed(effect, least[g], n, floor)
                detectable = np.nan if known is None else known.detectable(least[g], n, floor)
                rows.append(row | {"floor": floor, "detectable": detectable, "sequences_needed": needed})
    return pd.DataFrame(rows).astype({"sequences_needed": "Int64"})[list(POWER_COLUMNS)]


def critical_effects(
    best: Float[np.ndarray, "signal permutation"],
    checked: Sequence[CheckedSignal],
    scored: Bool[np.ndarray, " signal"],
    alpha: float,
) -> Float[np.ndarray, " signal"]:
    """Return the effect that each signal's best unit has to reach to be told from chance; NaN where nothing is."""
    # Ranks of few labelled steps among others may lie further apart than those of any order of them.
    least: np.ndarray = np.minimum(1, effect_of(critical(best, scored, alpha), [one.metric for one in checked]))
    return least


def fall(kind: str) -> float:
    """Return by which power of the number of sequences a chance effect falls."""
    return 1.0 if kind in NUMBERS else 0.5


class Precision:
    """How precisely sequences of one signal measure an effect.

    Args:
        kind: of the signal.
        steps: how many independent steps a sequence is worth.
        shares: of positive steps, for each class; none for a signal of numbers.
        folds: of the split.
    """

    def __init__(self, kind: str, steps: float, shares: Float[np.ndarray, " class"], folds: int) -> None:
        self.kind, self.steps, self.shares, self.folds = kind, steps, shares, folds

    @classmethod
    def of(cls, view: View, groups: Int[np.ndarray, " sequence"] | None = None) -> "Precision":
        """Return that of a view of one signal, of sequences that are independent, or of which `groups` are."""
        columns = view.columns[..., view.defined]
        shares = columns[view.mask].mean(0) if len(view.classes) else np.zeros(0)
        steps = np.average([independent_steps(columns[..., k], view.mask, groups)
                            for k in range(columns.shape[-1])],
                           weights=view.weight[view.defined])  # fmt: skip
        return cls(view.signals[0].kind, float(steps), shares, view.split.folds)

    def spread(self, effect: float) -> float:
        """Return the standard deviation of an estimated effect from a single sequence."""
        if self.kind in NUMBERS:
            return float(np.sqrt(4 * effect * (1 - effect) ** 2 / self.steps))
        area = (1 + effect) / 2
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
        variance = 4 * ((q1 - area**2) / self.shares + (q2 - area**2) / (1 - self.shares))
        return float(np.sqrt(variance.mean() / self.steps))

    def needed(self, effect: float, least: float, n: int, floor: float = 0.0) -> int | None:
        """Return how many sequences give an effect the power `POWER`; None if no number does.

        Args:
            effect: above 0 and below 1.
            least: the critical effect of n sequences.
            n: how many sequences these are.
            floor: what of `least` no number of sequences removes.
        """
        if effect <= floor:
            return None
        wide, above, chance = ndtri(POWER) * self.spread(effect), effect - floor, max(0.0, least - floor)
        if self.kind in NUMBERS:
            shortfall = (1 - effect) * (1 + 2 * self.folds / (self.folds - 1)) / self.steps
            slope = chance * n + shortfall
            # above = slope u² + wide u for u = 1 / √n.
            u = 2 * above / (wide + np.sqrt(wide**2 + 4 * slope * above))
        else:
            u = above / (wide + chance * np.sqrt(n))
        return max(2 * self.folds, int(np.ceil(1 / u**2)))

    def detectable(self, least: float, n: int, floor: float = 0.0) -> float:
        """Return the smallest effect that n sequences give the power `POWER`, to three digits; NaN if there is none."""
        for effect in np.arange(1, 1000) / 1000:
            needed = self.needed(effect, least, n, floor)
            if effect > least and needed is not None and needed <= n:
                return float(effect)
        return float("nan")


def independent_steps(
    column: Float[np.ndarray, "sequence time"], mask: Bool[np.ndarray, "sequence time"],
    groups: Int[np.ndarray, " sequence"] | None = None,
) -> float:  # fmt: skip
    """Return how many independent steps one sequence is worth, from 1 to its mean number of real steps.

    Of `groups` of sequences that are not independent of each other, steps of two of a group hang together, too: then
    it is a group that is worth 1 or more.
    """
    centred = np.where(mask, column - column[mask].mean(), 0)
    own = np.arange(len(mask)) if groups is None else np.unique(groups, return_inverse=True)[1]
    within, count = centred.T @ centred, mask.T.astype(np.float64) @ mask
    variance = np.diagonal(within) / np.maximum(np.diagonal(count), 1)
    # Chance alone makes covariances of unrelated steps differ from 0: their squares by c(s, s) c(t, t) / pairs.
    noise = np.outer(variance, variance)
    squares = within**2 / np.maximum(count, 1) - np.where(np.eye(len(count), dtype=bool), 0, noise)
    together, alone = squares.sum(), (variance**2 * np.diagonal(count)).sum()
    whole, there = (pd.DataFrame(values).groupby(own).sum().to_numpy(np.float64) for values in (centred, mask))
    pairs = there.T @ there - count
    others = (whole.T @ whole - within) ** 2 / np.maximum(pairs, 1) - np.where(pairs > 0, noise, 0)
    steps, sequences = mask.sum(), np.maximum(mask.any(1).sum(), 1)
    worth = steps * alone / max(together + max(others.sum(), 0), 1e-300)
    return float(np.clip(worth, there.any(1).sum(), steps) / sequences)


def warn_of_few_sequences(
    found: NullResult,
    checked: Sequence[CheckedSignal],
    scored: Bool[np.ndarray, " signal"],
    lengths: Int[np.ndarray, " sequence"],
    alpha: float,
    bar: Float[np.ndarray, " signal"],
    null: str = "shuffle",
    groups: int | None = None,
) -> None:
    """Log it if chance alone reaches effects above each signal's bar, and how many sequences would do, if any do.

    Where they are exchanged by groups, of which there are `groups`, that is of groups as large as these.
    """
    n, names = len(lengths), [signal.name for signal in checked]
    least = critical_effects(found.best, checked, scored, alpha)
    blind = (least > bar) & (bar > 0)
    never = np.flatnonzero(blind & (found.floor >= bar)).tolist()
    few = np.flatnonzero(blind & (found.floor < bar)).tolist()
    if never:
        logger.warning(
            "more sequences do not help with %s: %s an effect of %s",
            ", ".join(names[g] for g in never), KEPT.get(null, "what the null leaves in place alone gives"),
            ", ".join(f"{found.floor[g]:.2f} ({names[g]})" for g in never),
        )  # fmt: skip
    if few:
        ratio = {g: (least[g] - found.floor[g]) / (bar[g] - found.floor[g]) for g in few}
        needed = max(n + 1, round(max(n * own ** (1 / fall(checked[g].kind)) for g, own in ratio.items())))
        inside, as_large = ("", "") if groups is None else (f" in {groups} groups", ", in groups as large,")
        unsure = n < UNSURE and len(np.unique(lengths)) > 1
        would_do = f"{'at least' if unsure else 'about'} {needed}{as_large} would do"
        logger.warning(
            "too few sequences (%d%s): %s could not be told from chance; %s",
            n, inside, ", ".join(f"of {names[g]} an effect below {least[g]:.2f}" for g in few),
            would_do if needed <= MOST * n else f"more than {MOST * n} would be needed",
        )  # fmt: skip
