"""What a null hypothesis allows to be exchanged: whole sequences or groups of them, steps in a circle, or windows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.groups import LEAST_GROUPS
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import NULLS
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.series import Rolls, Shifts, autocorrelation_time, varies

logger = logging.getLogger(__name__)

#: What is rolled in a circle has to be this many times as long as its autocorrelation time.
LEAST_TIMES = 3

#: Sequences of nearby lengths are taken together until there are this many to shuffle.
LEAST_GROUP = 16


@dataclass(frozen=True, eq=False)
class LengthGroups:
    """Which sequences may be exchanged, and how many steps of each then count.

    Attributes:
        members: the sequences of each group.
        lengths: each sequence's number of steps in the null: its group's shortest, or 0 if it takes no part.
    """

    members: list[Int[np.ndarray, " _"]]
    lengths: Int[np.ndarray, " sequence"]

    @classmethod
    def of(cls, lengths: Int[np.ndarray, " sequence"], least: int = LEAST_GROUP) -> "LengthGroups":
        """Return groups of at least `least` sequences of equal or adjacent lengths.

        Each group is cut to its shortest sequence, so that exchanging its members is exact. The few shortest
        that are left over join the group above them, or take no part where that would cost it more steps than
        they have.
        """
        groups: list[np.ndarray] = []
        pending = np.empty(0, dtype=np.int64)
        for length in np.unique(lengths)[::-1]:
            pending = np.concatenate([pending, np.flatnonzero(lengths == length)])
            if len(pending) >= least:
                groups.append(pending)
                pending = np.empty(0, dtype=np.int64)
        if len(pending) and not groups:
            groups.append(pending)
        elif len(pending):
            cut = (lengths[groups[-1]].min() - lengths[pending].min()) * len(groups[-1])
            lost_by_joining = cut + (lengths[pending] - lengths[pending].min()).sum()
            if lost_by_joining <= lengths[pending].sum():
                groups[-1] = np.concatenate([groups[-1], pending])
        cut_lengths = np.zeros_like(lengths)
        for members in groups:
            cut_lengths[members] = lengths[members].min()
        return cls(groups, cut_lengths)

    def moves(self, signal: CheckedSignal) -> bool:
        """Return whether to exchange sequences changes a signal: not where all of one length are alike in it.

        Labels move along: where no two of these sequences are labelled at the same step, nothing in them is alike.
        """
        mask = signal.among(np.arange(signal.values.shape[1]) < self.lengths[:, None])
        for own in self.members:
            labels = mask[own].sum(0)
            if varies(signal.values[own], mask[own], 0).any() or (len(own) > 1 and labels.any() and labels.max() == 1):
                return True
        return False

    @property
    def log_ways(self) -> float:
        """The logarithm of how many different permutations there are."""
        return float(sum(gammaln(len(members) + 1) for members in self.members))

    def permutations(self, count: int, seed: int) -> Int[np.ndarray, "permutation sequence"]:
        """Return the identity, then `count` random permutations within groups."""
        rng = np.random.default_rng(derive_seed(seed, "permutations"))
        out = np.tile(np.arange(len(self.lengths)), (count + 1, 1))
        for members in self.members:
            out[1:, members] = rng.permuted(np.tile(members, (count, 1)), axis=1)
        return out

    def moving(self, view: View) -> View:
        """Return the view whose columns and mask are moved: this one, lined up with units already."""
        return view

    def reached(self, labelled: Bool[np.ndarray, "sequence step"]) -> Bool[np.ndarray, "sequence step"]:
        """Return the steps to which some exchange brings a label."""
        out = np.zeros_like(labelled)
        for own in self.members:
            out[own] = labelled[own].any(0)
        return out

    def moved(
        self,
        source: Float[np.ndarray, "column sequence step"],
        permutations: Int[np.ndarray, "permutation sequence"],
        members: Int[np.ndarray, " member"],
        lag: int = 0,
    ) -> Float[np.ndarray, "column permutation member time"]:
        """Return other sequences' columns in these sequences' place."""
        return np.take(source, permutations[:, members], axis=1)

    def sums(
        self,
        source: Float[np.ndarray, "sequence step column"],
        permutations: Int[np.ndarray, "permutation sequence"],
        split: Split,
        lag: int = 0,
    ) -> Float[np.ndarray, "fold shuffled"]:
        """Return each fold's sums: a column's permutations stand side by side."""
        own = source.sum(1)
        return np.stack([own[permutations[:, members]].sum(1).T.ravel() for members in split.members])


def nearby(sizes: Int[np.ndarray, " group"], least: int) -> list[Int[np.ndarray, " _"]]:
    """Return sets of at least `least` groups, from large to small, that lose the fewest sequences.

    A set is cut to its smallest group; groups may be left out altogether. Fewer groups than `least` are one set.
    """
    order = np.argsort(-sizes, kind="stable")
    least = min(least, len(order))
    kept, start = np.zeros(len(order) + 1, dtype=np.int64), np.arange(len(order) + 1)
    for end in range(least, len(order) + 1):
        # What is kept of the groups before `end`, by where the last set starts; or without the last group.
        ways = kept[: end - least + 1] + (end - np.arange(end - least + 1)) * sizes[order[end - 1]]
        best = int(ways.argmax())
        kept[end], start[end] = (ways[best], best) if ways[best] >= kept[end - 1] else (kept[end - 1], end)
    found, end = [], len(order)
    while end >= least:
        if start[end] < end:
            found.append(order[start[end] : end])
        end = start[end] if start[end] < end else end - 1
    return found[::-1]


@dataclass(frozen=True, eq=False)
class WholeGroups(LengthGroups):
    """Which whole groups of sequences may be exchanged with each other.

    Groups of equal or nearby numbers of sequences are taken together, cut to the smallest of them; of a great many,
    those of nearby numbers of steps. Within a group its sequences stand from the longest to the shortest, and each
    place is cut to the shortest sequence there, so that to exchange groups is exact. What is left over takes no part.

    Attributes:
        members: the sequences at each place, which stand in for each other.
        strata: the groups that may be exchanged: for each of them, its sequences by place.
    """

    strata: list[Int[np.ndarray, "_ _"]]

    @classmethod
    def of_groups(
        cls, lengths: Int[np.ndarray, " sequence"], groups: Int[np.ndarray, " sequence"], least: int = LEAST_GROUPS
    ) -> "WholeGroups":
        """Return the strata of groups, numbered from 0, of at least `least` groups each where there are so many."""
        rows = [np.flatnonzero(groups == k) for k in range(groups.max() + 1)]
        rows = [own[np.argsort(-lengths[own], kind="stable")] for own in rows]
        strata, cut = [], np.zeros_like(lengths)
        for some in nearby(np.array([len(own) for own in rows]), least):
            every = np.stack([rows[g][: len(rows[some[-1]])] for g in some])
            strata += [every[own] for own in LengthGroups.of(lengths[every].sum(1)).members]
        places = [place for own in strata for place in own.T]
        for place in places:
            cut[place] = lengths[place].min()
        return cls(places, cut, strata)

    @property
    def log_ways(self) -> float:
        """The logarithm of how many different permutations there are."""
        return float(sum(gammaln(len(own) + 1) for own in self.strata))

    def permutations(self, count: int, seed: int) -> Int[np.ndarray, "permutation sequence"]:
        """Return the identity, then `count` random permutations of whole groups."""
        rng = np.random.default_rng(derive_seed(seed, "permutations"))
        out = np.tile(np.arange(len(self.lengths)), (count + 1, 1))
        for own in self.strata:
            order = rng.permuted(np.tile(np.arange(len(own)), (count, 1)), axis=1)
            out[1:, own.ravel()] = own[order].reshape(count, -1)
        return out


#: How signals are moved against units in one permutation.
Exchange = LengthGroups | Rolls | Shifts


def make_exchange(
    null: str, lengths: Int[np.ndarray, " sequence"], groups: Int[np.ndarray, " sequence"] | None = None
) -> Exchange:
    """Return what is exchanged under a null hypothesis: under shuffle, whole groups where there are any.

    Raises:
        InputError: no such null.
    """
    if null not in NULLS:
        raise InputError(f"null={null}: must be one of {' '.join(NULLS)}.{nearest(null, NULLS)}")
    if null == "shuffle":
        return LengthGroups.of(lengths) if groups is None else WholeGroups.of_groups(lengths, groups)
    return Rolls(lengths) if null == "roll" else Shifts.of(lengths)


def warn_of_unmoved(exchange: Exchange, checked: Sequence[CheckedSignal]) -> Bool[np.ndarray, " signal"]:
    """Log which signals the null leaves as they are, so that nothing can track them; return which it moves.

    Nothing is said of nuisances: that the step index is the same in all sequences is as it should be.
    """
    moved = np.array([exchange.moves(signal) for signal in checked])
    names = ", ".join(signal.name for signal, m in zip(checked, moved) if not m and signal.role != "nuisance")
    if names and exchange.log_ways > 0:
        if isinstance(exchange, Rolls):
            why = "null=roll: %s: constant in every sequence, so that to roll it changes nothing"
        elif isinstance(exchange, Shifts):
            why = "null=shift: %s: alike in all windows, so that to shift them changes nothing"
        else:
            why = "null=shuffle: %s: alike in all sequences of a length, so that to exchange them changes nothing"
        logger.warning(why + " and nothing can be told from chance", names)
    return moved


def warn_of_short(exchange: Exchange, checked: Sequence[CheckedSignal], moved: Bool[np.ndarray, " signal"]) -> None:
    """Log which signals stay like themselves for too long to be rolled in sequences of this length."""
    if not isinstance(exchange, Rolls):
        return
    length = float(exchange.lengths.mean())
    times = [(signal.name, autocorrelation_time(signal, exchange.lengths)) for signal, m in zip(checked, moved) if m]
    short = [f"{name} ({time:.0f} steps)" for name, time in times if length < LEAST_TIMES * time]
    if short:
        logger.warning(
            "null=roll: sequences of %.0f steps are too short to be rolled for signals that stay alike as long "
            "as %s: more would be found than there is; sequences %d times as long as that, or null=shuffle, would do",
            length, ", ".join(short), LEAST_TIMES,
        )  # fmt: skip


def check_exchange(exchange: Exchange, signals: int, alpha: float) -> None:
    """Log it where there are too few ways to exchange for anything to be found: nothing can be tested then.

    Args:
        exchange: what is exchanged.
        signals: how many can be scored: a family-wise p-value is no less than this over the number of ways.
        alpha: the family-wise error rate.
    """
    few = isinstance(exchange, WholeGroups) and sum(map(len, exchange.strata)) < LEAST_GROUPS
    enough = alpha == 0 or exchange.log_ways >= np.log(max(1, signals)) - np.log(alpha) - 1e-9
    if (enough and not few) or (few and exchange.log_ways == 0):
        return  # of a single group the study says it
    ways = f"{np.exp(min(exchange.log_ways, 700)):.0f} way{'s' if exchange.log_ways > 0 else ''}"
    too_few = f"too few for any of {signals} signals to reach alpha={alpha:g}, so nothing can be tested"
    count, longest = len(exchange.lengths), exchange.lengths.max()
    if isinstance(exchange, Rolls):
        told = f"null=roll: {count} sequences of up to {longest} steps can be rolled in too few ways: {too_few}; "
        told += "longer sequences or more of them would do"
    elif isinstance(exchange, Shifts):
        told = f"null=shift: {count} windows can be shifted in only {ways}: {too_few}; more windows would do"
    elif isinstance(exchange, WholeGroups):
        told = f"groups: {sum(map(len, exchange.strata))} groups can be exchanged in only {ways}: too few to test "
        told += f"anything; it takes {LEAST_GROUPS}, better 12"
    else:
        told = f"null=shuffle: {count} sequences can be exchanged in only {ways}: {too_few}; null=roll rolls each "
        told += "sequence in time instead"
    logger.warning("%s", told)
