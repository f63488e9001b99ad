"""How far an output follows: shares of what the whole state's patch moves, with intervals, and what they go with.

A pair of sequences is not independent of others: each sequence is a receiver and a donor. The variance of a share is
that of dyads which depend on each other where they have a sequence (or a group) in common (Aronow, Samii & Assenova
2015, Political Analysis 23): the sum of products of all such pairs' influences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from lstm_probe.core.joined import joined
from lstm_probe.core.quantiles import student
from lstm_probe.core.vocabulary import NUMBERS

#: The 97.5th percentile of a normal distribution.
NORMAL = float(ndtri(0.975))
#: Fewer pairs, or sequences (groups) among them, say nothing.
LEAST_PAIRS, LEAST_CLUSTERS = 20, 6
#: No interval is given of fewer pairs whose output moves, counted as (Σw)² / Σw² of what moves in each.
LEAST_MOVING = 10
#: A share is another signal's where less than this part of it is left with that signal the same.
PART = 0.5
#: Nothing is there to move where less than this share of what all pairs move is.
LITTLE = 0.1
#: Numbers are the same where they differ by less than this share of the typical difference.
SAME = 0.25

Columns = Float[np.ndarray, "pair column"]


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares, each with its 95 % interval; NaN where there is nothing to move."""

    value: Float[np.ndarray, " column"]
    low: Float[np.ndarray, " column"]
    high: Float[np.ndarray, " column"]


@dataclass(frozen=True, eq=False)
class Told:
    """What differs between the members of each pair, for one signal.

    Attributes:
        differ, same: the pairs in which it does, and does not; of unlabelled steps neither.
    """

    name: str
    differ: Bool[np.ndarray, " pair"]
    same: Bool[np.ndarray, " pair"]

    @classmethod
    def of(cls, name: str, kind: str, own: np.ndarray, other: np.ndarray, known: np.ndarray) -> "Told":
        """Return it from both members' values: classes are the same or not, numbers within `SAME` or not."""
        apart = np.abs(own - other)
        if kind == "circular":
            apart = np.minimum(apart, 2 * np.pi - apart)
        if kind in NUMBERS:
            spread = np.sqrt(np.mean(np.square(apart[known]))) if known.any() else 0.0
            differs = apart > SAME * spread / np.sqrt(2)
        else:
            differs = apart > 0
        return cls(name, known & differs, known & ~differs)

    def within(self, pairs: Bool[np.ndarray, " pair"]) -> "Told":
        """Return the same among these pairs."""
        return Told(self.name, self.differ & pairs, self.same & pairs)


@dataclass(frozen=True, eq=False)
class Dyads:
    """Who is in which pair, by the number of the sequence, or of its group."""

    receiver: Int[np.ndarray, " pair"]
    donor: Int[np.ndarray, " pair"]

    def enough(self, pairs: Bool[np.ndarray, " pair"]) -> bool:
        """Return whether there are enough pairs, and sequences among them, to say anything."""
        return int(pairs.sum()) >= LEAST_PAIRS and len(np.unique(self.receiver[pairs])) >= LEAST_CLUSTERS

    def error(
        self, influence: Float[np.ndarray, "chosen column"], pairs: Bool[np.ndarray, " pair"]
    ) -> Float[np.ndarray, " column"]:
        """Return the standard error of sums of these pairs' influences, and widen it for few sequences.

        Pairs that share a sequence depend on each other. The estimate is never below that of receivers alone.
        """
        receiver, donor = self.receiver[pairs], self.donor[pairs]
        alone = receiver == donor
        count = int(max(receiver.max(), donor.max())) + 1
        one_way = _summed(influence, receiver, count)
        both = one_way + _summed(influence * ~alone[:, None], donor, count)
        low, high = np.minimum(receiver, donor), np.maximum(receiver, donor)
        _, couple = np.unique(low * count + high, return_inverse=True)
        couples = _summed(influence * ~alone[:, None], couple, int(couple.max()) + 1)
        variance = np.maximum((both**2).sum(0) - (couples**2).sum(0), (one_way**2).sum(0))
        clusters = len(np.unique(receiver))
        error: Float[np.ndarray, " column"] = _beyond_normal(clusters) * np.sqrt(variance * clusters / (clusters - 1))
        return error


@cache
def _beyond_normal(clusters: int) -> float:
    """Return how much wider an interval is by Student's t of so many clusters than by a normal distribution."""
    return float(student(0.975, clusters - 1) / NORMAL)


def _summed(values: Columns, at: Int[np.ndarray, " pair"], count: int) -> Float[np.ndarray, "cluster column"]:
    """Return the sums of the rows that have the same number."""
    out = np.zeros((count, values.shape[1]))
    order = np.argsort(at, kind="stable")
    starts = np.flatnonzero(np.diff(at[order], prepend=-1))
    out[at[order[starts]]] = np.add.reduceat(values[order], starts, axis=0)
    return out


def share(
    follows: Columns, whole: Float[np.ndarray, " pair"], dyads: Dyads, differ: Bool[np.ndarray, " pair"],
    same: Bool[np.ndarray, " pair"] | None = None, least: float = 0.0,
) -> Shares:  # fmt: skip
    """Return the mean of `follows` over that of `whole`, among the pairs that differ; less that among those alike.

    Args:
        follows: what a patch changes times what the whole state's patch changes, summed over outputs.
        whole: the square of the latter.
        dyads: who is in which pair.
        differ: the pairs that count.
        same: the pairs whose mean of `follows` is taken off; None: nothing is.
        least: mean of `whole` up to which there is nothing to move.
    """
    none = np.full(follows.shape[1], np.nan)
    if not dyads.enough(differ) or (same is not None and not dyads.enough(same)):
        return Shares(none, none, none)
    n, x, y = int(differ.sum()), follows[differ], whole[differ]
    moved, scale = x.mean(0), float(y.mean())
    if not scale > least:
        return Shares(none, none, none)
    off = np.zeros_like(moved) if same is None else follows[same].mean(0)
    value = (moved - off) / scale
    influence = np.zeros(follows.shape)
    influence[differ] = ((x - moved) - np.outer(y - scale, value)) / (n * scale)
    if same is not None:
        influence[same] = (off - follows[same]) / (int(same.sum()) * scale)
    used = differ if same is None else differ | same
    half = NORMAL * dyads.error(influence[used], used)
    half = half if _moving(y) * n >= LEAST_MOVING else none
    return Shares(value, value - half, value + half)


def _moving(whole: Float[np.ndarray, " moved"]) -> float:
    """Return the share of pairs whose output moves; of equal movements all of them, of one alone one in all."""
    return float(whole.sum() ** 2 / np.square(whole).sum() / len(whole))


def goes_with(
    own: Told, others: Sequence[Told], follows: Columns, whole: Float[np.ndarray, " pair"], dyads: Dyads,
    moved: Float[np.ndarray, " column"],
) -> tuple[list[str], str]:  # fmt: skip
    """Return for each column which other signal it is that moves the output, and which can't be told from this one.

    Another signal it is where, with that signal the same in both, less than half of the share is left, or nothing is
    there to move. It can't be told apart where too few pairs differ in one of the two alone.
    """
    instead, alike = [""] * len(moved), list[str]()
    full, moving = float(whole[own.differ].mean()), _moving(whole[own.differ])
    for other in others:
        apart = own.differ & other.same
        if not dyads.enough(apart) or moving * apart.sum() < LEAST_MOVING:
            if not dyads.enough(own.same & other.differ):
                alike.append(other.name)
            continue
        # Nothing moves with the other the same: it is the other.
        left = share(follows, whole, dyads, apart)
        gone = (whole[apart].mean() <= LITTLE * full) | (left.high < PART * moved)
        instead = [before or (other.name if lost else "") for before, lost in zip(instead, gone)]
    return instead, joined(alike)
