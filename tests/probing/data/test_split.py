"""Folds over sequences."""

import numpy as np
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split


def test_every_sequence_is_held_out_once_and_fold_sizes_differ_by_at_most_one():
    split = Split.make(23, folds=5, seed=3)
    together = np.concatenate(split.members)
    assert sorted(together) == list(range(23))
    assert {len(members) for members in split.members} == {4, 5}
    assert np.array_equal(split.fold, Split.make(23, folds=5, seed=3).fold)
    assert not np.array_equal(split.fold, Split.make(23, folds=5, seed=4).fold)


def test_a_training_part_holds_nothing_of_its_own_fold():
    split = Split(np.array([0, 1, 2, 1, 0]))
    values = np.array([1.0, 10.0, 100.0, 1000.0, np.inf])
    assert split.training(split.sums(values)).tolist() == [1110.0, np.inf, np.inf]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Split.make(3, folds=5), "folds=5: there are only 3 sequences"),
        (lambda: Split.make(30, folds=1), "folds=1: must be a whole number from 2"),
        (lambda: Split(np.array([0, 2, 2])), r"there are \[0, 2\]"),
        (lambda: Split(np.array([0, 0, 0])), "at least two"),
    ],
)
def test_impossible_splits_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(("groups", "folds"), [(12, 5), (5, 5), (30, 2), (7, 3)])
def test_groups_are_held_out_as_wholes(groups, folds):
    own = np.random.default_rng(groups).integers(0, groups, size=60) * 3 - 4
    own[:groups] = np.arange(groups) * 3 - 4
    split = Split.make(60, folds, seed=2, groups=own)
    held = [set(own[members]) for members in split.members]
    assert split.folds == folds and sum(map(len, held)) == groups == len(set.union(*held))
    assert max(map(len, held)) - min(map(len, held)) <= 1
    assert not np.array_equal(split.fold, Split.make(60, folds, seed=3, groups=own).fold)


def test_groups_of_one_are_sequences():
    assert np.array_equal(Split.make(20, 4, 1, groups=np.arange(20)).fold, Split.make(20, 4, 1).fold)
    with pytest.raises(InputError, match="folds=5: there are only 3 groups; each fold needs at least one"):
        Split.make(20, 5, groups=np.arange(20) % 3)
