"""Could anything be found? Where no p-value could reach alpha, nothing is said of what is not tracked either."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.inference.ends import line_up
from lstm_probe.probing.inference.exchange import LEAST_GROUPS, Exchange, LengthGroups, WholeGroups
from lstm_probe.probing.inference.series import Rolls, Shifts, varies
from lstm_probe.probing.inference.untrained import Networks

logger = logging.getLogger(__name__)

#: Fewer groups than this test no label that is constant in each; `LEAST_GROUPS` are the fewest for all else.
LEAST_LABELLED = 8

#: Why a signal is not tested, of which nothing more is said.
NO_SCORE, UNMOVED = "it has no score", "the null leaves it as it is"

#: Likewise, where one fold alone has both a class and others.
ONE_FOLD = "it changes in one part of the sequences alone"

#: Likewise, where untrained networks can't be asked.
UNTRIED = "it hardly changes in the sequences on which untrained networks are tried"

#: Rounding must not cost a p-value that is alpha itself.
SLACK = 1 + 1e-9


@dataclass(frozen=True, eq=False)
class Reach:
    """Which signals can be tested.

    Attributes:
        each: whether some p_family could reach alpha.
        reasons: why not, in a few words, "" where it could.
    """

    each: Bool[np.ndarray, " signal"]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, reasons: Sequence[str]) -> "Reach":
        """Return what can be tested: all signals without a reason why not."""
        return cls(np.array([not why for why in reasons], dtype=bool), tuple(reasons))

    def beside(self, networks: Networks, alpha: float) -> "Reach":
        """Return what can be tested beside so many untrained networks."""
        if networks.enough_for(alpha):
            return self
        return Reach.of([why or f"untrained={networks.count}: too few networks" for why in self.reasons])

    def learned_from(self, learnable: Bool[np.ndarray, " signal"], told: str = ONE_FOLD) -> "Reach":
        """Return what can be tested where of these signals alone something can be learned from other folds.

        Of the others, `told` is why not.
        """
        return Reach.of([why or ("" if one else told) for why, one in zip(self.reasons, learnable)])

    def warn(self, checked: Sequence[CheckedSignal]) -> None:
        """Log which signals cannot be tested, by reason; nothing of nuisances, and of what has no score."""
        own = [(why, s.name) for s, why in zip(checked, self.reasons) if why not in ("", NO_SCORE, UNMOVED)]
        for reason in dict.fromkeys(why for why, _ in own):
            names = [name for why, name in own if why == reason]
            rolled = "; null=roll rolls each sequence in time instead" if "sequences: only" in reason else ""
            logger.warning("%s: nothing can be found of %s%s", reason, ", ".join(names), rolled)


def testable_signals(
    exchange: Exchange,
    checked: Sequence[CheckedSignal],
    groups: Int[np.ndarray, " sequence"] | None,
    permutations: int,
    alpha: float,
    *,
    scored: Bool[np.ndarray, " signal"] | None = None,
) -> Reach:
    """Return which signals could reach alpha in the family-wise test, and why the others could not.

    Args:
        exchange: what the null exchanges.
        checked: the signals.
        groups: each sequence's, where there are any.
        permutations: how many are asked for.
        alpha: the family-wise error rate.
        scored: the signals that Holm's correction counts; all where this is None.
    """
    scored = np.ones(len(checked), dtype=bool) if scored is None else scored
    every = [line_up(exchange, [signal]) for signal in checked]
    ways = [arrangements(lined.exchange, *lined.signals) for lined in every]
    count = 2 * exchange.reach if isinstance(exchange, Shifts) else permutations
    family = lowest_family(ways, count, scored)
    reasons = []
    for g, lined in enumerate(every):
        own, signal = lined.exchange, lined.signals[0]
        if not scored[g]:
            why = NO_SCORE
        elif why := too_few_groups(own, signal, groups):
            pass
        elif not own.moves(signal):
            why = UNMOVED
        elif family[g] > alpha * SLACK:
            why = too_few_ways(own, ways[g], count, int(scored.sum()), alpha)
        reasons.append(why)
    return Reach.of(reasons)


def reach_of_stream(
    ways: Sequence["Ways"], scored: Bool[np.ndarray, " signal"], permutations: int, alpha: float
) -> Reach:
    """Return which signals of a stream could reach alpha, and why the others could not.

    Args:
        ways: of each signal, added up over shards, as sequences of one shard alone are exchanged.
        scored: the signals that Holm's correction counts.
        permutations: how many are asked for.
        alpha: the family-wise error rate.
    """
    logs = [own.log for own in ways]
    family = lowest_family(logs, permutations, scored)
    reasons = []
    for g, own in enumerate(ways):
        why = ""
        if not scored[g]:
            why = NO_SCORE
        elif not own.moved:
            why = UNMOVED
        elif family[g] > alpha * SLACK:
            few = f"only {np.exp(logs[g]):.0f} different exchanges of it within shards"
            why = too_few_permutations(permutations, int(scored.sum()), alpha) or few
        reasons.append(why)
    return Reach.of(reasons)


def lowest_family(
    ways: Sequence[float], count: int, scored: Bool[np.ndarray, " signal"]
) -> Float[np.ndarray, " signal"]:
    """Return the lowest p_family that each signal can have: of these logarithms of ways, and so many permutations."""
    least, family = np.array([max(1 / (count + 1), np.exp(-w)) for w in ways]), np.ones(len(ways))
    family[scored] = holm(least[scored])
    return family


def holm(p: Float[np.ndarray, " signal"]) -> Float[np.ndarray, " signal"]:
    """Return Holm's adjusted p-values, not capped at 1."""
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    out[order] = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    return out


def strata_of(exchange: LengthGroups) -> list[Int[np.ndarray, "_ _"]]:
    """Return what is exchanged, stratum by stratum: groups of sequences, or single ones."""
    return exchange.strata if isinstance(exchange, WholeGroups) else [own[:, None] for own in exchange.members]


def levels_of(exchange: LengthGroups, signal: CheckedSignal) -> list[Float[np.ndarray, " _"]] | None:
    """Return the one value that each item has, stratum by stratum; None where a signal changes within some item."""
    mask = signal.among(np.arange(signal.values.shape[1]) < exchange.lengths[:, None])
    out = []
    for own in strata_of(exchange):
        least, most = (np.where(mask[own], signal.values[own], end) for end in (np.inf, -np.inf))
        low, high = least.min((1, 2), initial=np.inf), most.max((1, 2), initial=-np.inf)
        if (low < high).any():
            return None
        out.append(low)
    return out


def arrangements(exchange: Exchange, signal: CheckedSignal) -> float:
    """Return the logarithm of how many different arrangements of a signal the null has, at most.

    Where items that are alike change places nothing changes. Of labels that are constant in each, which class is
    which does not matter, as the AUROC takes either sign: those that only change names are one.
    """
    if isinstance(exchange, Shifts):
        return exchange.log_ways
    if isinstance(exchange, Rolls):
        mask = signal.among(np.arange(signal.values.shape[1]) < exchange.lengths[:, None])
        moving = varies(signal.values, mask, 1)
        return float(np.log(np.maximum(exchange.lengths[moving] - 1, 1)).sum())
    own = Ways(signal.kind)
    own.add(exchange, signal)
    return own.log


@dataclass(eq=False)
class Ways:
    """How many arrangements of one signal there are where sequences, or groups, of each part alone are exchanged.

    Attributes:
        kind: of the signal.
        orders: the logarithm of how many orders there are of items that are not alike.
        levels: the one value of each item, stratum by stratum; None where the signal changes within some item.
        moved: whether an exchange changes anything.
    """

    kind: str
    orders: float = 0.0
    levels: list[Float[np.ndarray, " _"]] | None = field(default_factory=list)
    moved: bool = False

    def add(self, exchange: LengthGroups, signal: CheckedSignal) -> None:
        """Take in a part of the sequences."""
        mask = signal.among(np.arange(signal.values.shape[1]) < exchange.lengths[:, None])
        values = np.where(mask, signal.values, 0.0)
        for own in strata_of(exchange):
            alike = Counter(values[item].tobytes() + mask[item].tobytes() for item in own)
            self.orders += float(gammaln(len(own) + 1) - sum(gammaln(n + 1) for n in alike.values()))
        found = levels_of(exchange, signal)
        self.levels = None if found is None or self.levels is None else [*self.levels, *found]
        self.moved |= exchange.moves(signal)

    @property
    def log(self) -> float:
        """The logarithm of how many there are, at most; those that only change the names of classes are one."""
        levels = self.levels
        if levels is None or not levels or not all(np.isfinite(own).all() for own in levels):
            return self.orders
        names = np.unique(np.concatenate(levels))
        if self.kind == "continuous" and len(names) != 2:
            return self.orders
        table = np.array([(own[:, None] == names).sum(0) for own in levels])
        return self.orders - float(gammaln(np.unique(table, axis=1, return_counts=True)[1] + 1).sum())


def too_few_groups(exchange: Exchange, signal: CheckedSignal, groups: Int[np.ndarray, " sequence"] | None) -> str:
    """Return why there are too few groups to exchange, or ""."""
    if groups is None or not isinstance(exchange, WholeGroups):
        return ""
    count = sum(map(len, exchange.strata))
    label = signal.kind != "continuous" and levels_of(exchange, signal) is not None
    needed = LEAST_LABELLED if label else LEAST_GROUPS
    what = "a label that is constant in each" if label else "a signal"
    return "" if count >= needed else f"{count} group{'s' if count > 1 else ''}: {what} needs {needed}"


def too_few_ways(exchange: Exchange, ways: float, count: int, signals: int, alpha: float) -> str:
    """Return whether permutations are too few, or what there is to exchange."""
    if isinstance(exchange, Shifts):
        return f"{len(exchange.lengths)} windows: only {count + 1} shifts"
    if few := too_few_permutations(count, signals, alpha):
        return few
    items = "groups" if isinstance(exchange, WholeGroups) else "sequences"
    number = sum(map(len, strata_of(exchange))) if isinstance(exchange, LengthGroups) else len(exchange.lengths)
    return f"{number} {items}: only {np.exp(ways):.0f} different exchanges of it"


def too_few_permutations(count: int, signals: int, alpha: float) -> str:
    """Return that permutations are too few for so many signals, or ""."""
    return f"permutations={count}: too few for {signals} signals" if signals > alpha * (count + 1) * SLACK else ""
