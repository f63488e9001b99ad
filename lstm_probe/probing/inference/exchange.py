"""What a null hypothesis allows to be exchanged: whole sequences or groups of them, steps in a circle, or windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import NULLS
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.series import Rolls, Shifts, varies

#: Sequences of nearby lengths are taken together until there are this many to shuffle.
LEAST_GROUP = 16

#: Whole groups of nearby numbers of sequences are taken together until there are this many to exchange: as many as it
#: takes to test a signal that is a number (`testable`).
LEAST_GROUPS = 6


@dataclass(frozen=True, eq=False)
class LengthGroups:
    """Which sequences may be exchanged, and how many steps of each then count.

    Attributes:
        members: the sequences of each group.
        lengths: each sequence's number of steps in the null: its group's shortest, or 0 if it takes no part.
        whole: each sequence's number of steps.
    """

    members: list[Int[np.ndarray, " _"]]
    lengths: Int[np.ndarray, " sequence"]
    whole: Int[np.ndarray, " sequence"]

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
        return cls(groups, shortest(groups, lengths), lengths)

    def joined(self) -> "LengthGroups":
        """Return the same groups, the last with all shorter sequences that are left over."""
        left = np.flatnonzero((self.lengths == 0) & (self.whole > 0))
        if not len(left) or not self.members:
            return self
        members = [*self.members[:-1], np.concatenate([self.members[-1], left])]
        return LengthGroups(members, shortest(members, self.whole), self.whole)

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


def shortest(
    groups: Sequence[Int[np.ndarray, " _"]], lengths: Int[np.ndarray, " sequence"]
) -> Int[np.ndarray, " sequence"]:
    """Return the length of the shortest sequence in each sequence's group, 0 for one that is in none."""
    out = np.zeros_like(lengths)
    for members in groups:
        out[members] = lengths[members].min()
    return out


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
        strata = []
        for some in nearby(np.array([len(own) for own in rows]), least):
            every = np.stack([rows[g][: len(rows[some[-1]])] for g in some])
            strata += [every[own] for own in LengthGroups.of(lengths[every].sum(1)).members]
        places = [place for own in strata for place in own.T]
        return cls(places, shortest(places, lengths), lengths, strata)

    def joined(self) -> "WholeGroups":
        """Return the same groups: what is left over fits nowhere."""
        return self

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
