"""Which sequences are held out together: every fit in this room goes through a `Split`."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, Shaped

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed

#: Windows of one series are drawn by the bootstrap in about this many blocks of neighbours.
SERIES_BLOCKS = 20


@dataclass(frozen=True, eq=False)
class Split:
    """Folds over sequences: each sequence is held out once, with all its steps.

    What is fitted for a fold sees the other folds alone (its training part), so steps of one sequence never
    stand on both sides.

    Args:
        fold: the fold of each sequence, 0 to folds − 1, every fold with at least one sequence.
        blocks: the block of each sequence, by number from 0: those of one block are not independent of each other, and
            are drawn as one by the bootstrap. None: each is its own.

    >>> Split(np.array([0, 1, 0, 2])).folds
    3
    """

    fold: Int[np.ndarray, " sequence"]
    blocks: Int[np.ndarray, " sequence"] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        present = np.unique(self.fold)
        if len(present) < 2 or not np.array_equal(present, np.arange(len(present))):
            raise InputError(f"split: folds must be numbered 0, 1, ... and at least two; there are {present.tolist()}")

    @classmethod
    def make(
        cls, sequences: int, folds: int = 5, seed: int = 0, *, groups: Shaped[np.ndarray, " sequence"] | None = None
    ) -> "Split":
        """Return a random split into folds whose sizes differ by at most one.

        Args:
            sequences: how many there are.
            folds: how many folds, 2 or more.
            seed: of the split.
            groups: each sequence's group, held out as a whole: then it is the folds' numbers of groups that differ by
                at most one. None: each sequence is its own.

        Raises:
            InputError: fewer than two folds, or fewer sequences, or groups, than folds.
        """
        if groups is not None:
            levels, own = np.unique(groups, return_inverse=True)
            if len(levels) < max(folds, 2):
                raise InputError(f"folds={folds}: there are only {len(levels)} groups; each fold needs at least one")
            return cls(cls.make(len(levels), folds, seed).fold[own])
        if folds < 2:
            raise InputError(f"folds={folds}: must be a whole number from 2")
        if sequences == 1:
            raise InputError(f"folds={folds}: a single sequence cannot be held out from itself; cut it into several")
        if sequences < folds:
            raise InputError(f"folds={folds}: there are only {sequences} sequences; each fold needs at least one")
        order = np.random.default_rng(derive_seed(seed, "split")).permutation(sequences)
        fold = np.empty(sequences, dtype=np.int64)
        fold[order] = np.arange(sequences) % folds
        return cls(fold)

    def __len__(self) -> int:
        return len(self.fold)

    @cached_property
    def members(self) -> list[Int[np.ndarray, " _"]]:
        """The sequences that each fold holds out."""
        return [np.flatnonzero(self.fold == k) for k in range(self.folds)]

    @cached_property
    def folds(self) -> int:
        """How many folds there are."""
        return int(self.fold.max()) + 1

    def independent(self, some: Bool[np.ndarray, " sequence"]) -> int:
        """Return how many independent sequences these are: their number, or that of their blocks."""
        return int(some.sum()) if self.blocks is None else len(np.unique(self.blocks[some]))

    def sums(self, per_sequence: Shaped[np.ndarray, "sequence *rest"]) -> Shaped[np.ndarray, "fold *rest"]:
        """Return each fold's sum of what was summed per sequence."""
        return np.stack([per_sequence[members].sum(0) for members in self.members])

    def part(self, rows: slice) -> "PartOfSplit":
        """Return these sequences' folds; a fold may have none of them."""
        return PartOfSplit(self.fold[rows], self.folds)

    @staticmethod
    def training(per_fold: Shaped[np.ndarray, "fold *rest"]) -> Shaped[np.ndarray, "fold *rest"]:
        """Return the sum over each fold's training part, that is over all other folds.

        Added up rather than subtracted from the total, so that nothing of the held-out fold is left by
        rounding.
        """
        folds = range(len(per_fold))
        return np.stack([sum(per_fold[g] for g in folds if g != f) for f in folds])


def default_split(
    sequences: int,
    folds: int,
    seed: int,
    groups: Int[np.ndarray, " sequence"] | None = None,
    series: bool = False,
) -> Split:
    """Return the split where none is given.

    Args:
        sequences: how many there are.
        folds: how many folds, 2 or more.
        seed: of a random split.
        groups: each sequence's, if there are several: held out as a whole, in fewer folds where there are fewer groups.
        series: whether sequences are windows of one series, in order: then a fold's are neighbours.

    Raises:
        InputError: as for `Split.make`.
    """
    if groups is not None:
        return Split.make(sequences, min(folds, len(np.unique(groups))), seed, groups=groups)
    made = Split.make(sequences, folds, seed)
    return Split(np.arange(sequences) * folds // sequences) if series else made


def blocks_of_series(windows: int) -> Int[np.ndarray, " window"]:
    """Return about `SERIES_BLOCKS` blocks of neighbouring windows."""
    return np.arange(windows) * min(SERIES_BLOCKS, windows) // windows


@dataclass(frozen=True, eq=False)
class PartOfSplit(Split):
    """Some sequences of a split that go through memory together, such as a shard.

    Args:
        fold: their folds.
        whole: how many folds the split has.
    """

    whole: int

    def __post_init__(self) -> None:
        """Nothing to check: the split was checked as a whole."""

    @cached_property
    def folds(self) -> int:
        """How many folds the whole split has."""
        return self.whole
