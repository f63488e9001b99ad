"""Groups of sequences in the null: whole groups are exchanged, exactly, and nothing else."""

from collections import Counter
from itertools import permutations as every_order

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.linear_model import LinearRegression

from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.split import default_split
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.evaluate import evaluate_units
from lstm_probe.probing.inference.exchange import LengthGroups, WholeGroups, make_exchange, nearby
from lstm_probe.probing.inference.nulls import Design, permutation_test


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=11), least=st.integers(1, 6))
def test_sets_of_nearby_groups_lose_the_fewest_sequences(sizes, least):
    sizes, least = np.array(sizes), min(least, len(sizes))

    def most(rest):
        """What can be kept of sizes from large to small, by trying every set that the first may be in."""
        own = [n * rest[n - 1] + most(rest[n:]) for n in range(least, len(rest) + 1)]
        return max([*own, most(rest[1:])]) if rest else 0

    found = nearby(sizes, least)
    together = np.concatenate([*found, np.empty(0, int)])
    assert len(np.unique(together)) == len(together) and all(len(own) >= least for own in found)
    assert sum(len(own) * sizes[own].min() for own in found) == most(sorted(sizes.tolist(), reverse=True))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), groups=st.integers(1, 40), least=st.integers(1, 8))
def test_whole_groups_change_places_and_every_place_is_cut_to_its_shortest(data, groups, least):
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=groups, max_size=groups))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    own = rng.permutation(np.repeat(np.arange(groups), sizes))
    lengths = rng.integers(1, 9, size=len(own))
    found = WholeGroups.of_groups(lengths, own, least)
    assert (found.lengths <= lengths).all()
    shuffled = found.permutations(7, seed=3)
    assert np.array_equal(shuffled[0], np.arange(len(own)))
    assert np.array_equal(found.lengths[shuffled], np.tile(found.lengths, (8, 1)))
    for order in shuffled:
        for k in range(groups):
            here = np.flatnonzero((own == k) & (found.lengths > 0))
            there = order[here]
            # All that a group gives goes to one group, and it gives all of it that takes part.
            assert len(np.unique(own[there])) <= 1
            assert len(here) == 0 or len(there) == ((own == own[there[0]]) & (found.lengths > 0)).sum()
    for stratum in found.strata:
        for row in stratum:
            # The longest stay, from the longest to the shortest.
            kept, mine = np.sort(lengths[row])[::-1], np.sort(lengths[own == own[row[0]]])[::-1]
            assert np.array_equal(lengths[row], kept) and np.array_equal(kept, mine[: len(row)])
        assert np.array_equal(found.lengths[stratum], np.tile(lengths[stratum].min(0), (len(stratum), 1)))


def test_groups_of_nearby_sizes_are_cut_to_the_smallest_and_odd_ones_take_no_part():
    own = np.repeat(np.arange(8), [12, 12, 12, 12, 11, 12, 12, 1])
    found = WholeGroups.of_groups(np.full(len(own), 5), own)
    assert [stratum.shape for stratum in found.strata] == [(7, 11)]
    assert np.bincount(own, found.lengths > 0).tolist() == [11] * 7 + [0]
    few = WholeGroups.of_groups(np.full(6, 5), np.array([0, 0, 0, 1, 1, 2]))
    assert [stratum.shape for stratum in few.strata] == [(3, 1)]


def test_groups_of_one_are_exchanged_as_sequences_are():
    lengths = np.random.default_rng(0).integers(3, 40, size=90)
    alone, plain = WholeGroups.of_groups(lengths, np.arange(90)), LengthGroups.of(lengths)
    assert np.array_equal(alone.lengths, plain.lengths) and alone.log_ways == pytest.approx(plain.log_ways)


def test_every_order_of_groups_is_as_likely():
    own = np.array([2, 0, 1, 0, 2, 1])
    found = make_exchange("shuffle", np.full(6, 4), own)
    counts = Counter(map(tuple, found.permutations(6000, seed=1)[1:].tolist()))
    rows = [np.flatnonzero(own == k) for k in range(3)]
    wanted = set()
    for order in every_order(range(3)):
        one = np.empty(6, dtype=int)
        for k, other in enumerate(order):
            one[rows[k]] = rows[other]
        wanted.add(tuple(one.tolist()))
    assert set(counts) == wanted and np.exp(found.log_ways) == pytest.approx(6)
    assert max(abs(n - 1000) for n in counts.values()) < 130


def problem(seed, time=8, units=3):
    """Groups of unequal sizes, sequences of unequal lengths, labels missing."""
    rng = np.random.default_rng(seed)
    own = rng.permutation(np.repeat(np.arange(9), [3, 4, 4, 3, 5, 3, 4, 6, 3]))
    lengths = rng.integers(time - 3, time + 1, size=len(own))
    level = rng.normal(size=(9, units + 1))[own][:, None]
    x = rng.normal(size=(len(own), time, units)) + level[..., :units]
    v = rng.normal(size=(len(own), time)) + level[..., units]
    return x, v, own, lengths


@pytest.mark.parametrize("lag", [0, 2])
@pytest.mark.parametrize("holes", [False, True])
def test_every_permutations_r2_is_that_of_a_loop_over_folds(lag, holes):
    x, v, own, lengths = problem(lag)
    if holes:
        v[np.random.default_rng(1).random(v.shape) < 0.2] = np.nan
    mask = np.arange(v.shape[1]) < lengths[:, None]
    exchange = make_exchange("shuffle", lengths, own)
    split = default_split(len(own), 3, 0, own)
    view = View.make(check_signals({"v": v}, mask), exchange.lengths, split, lag)
    orders = exchange.permutations(5, seed=2)
    got = Design.of([torch.from_numpy(x)], view, exchange).statistics(orders)
    for k, order in enumerate(orders):
        pairs = {fold: ([], []) for fold in range(3)}
        for s in range(len(own)):
            for t in range(lag, exchange.lengths[s]):
                value = v[order[s], t - lag]
                if not np.isnan(value):
                    pairs[split.fold[s]][0].append(x[s, t])
                    pairs[split.fold[s]][1].append(value)
        for unit in range(x.shape[-1]):
            errors, every = 0.0, np.concatenate([pairs[f][1] for f in range(3)])
            for fold in range(3):
                inside = [np.array(pairs[f][0])[:, [unit]] for f in range(3) if f != fold]
                told = [np.array(pairs[f][1]) for f in range(3) if f != fold]
                fit = LinearRegression().fit(np.concatenate(inside), np.concatenate(told))
                errors += np.square(pairs[fold][1] - fit.predict(np.array(pairs[fold][0])[:, [unit]])).sum()
            r2 = 1 - errors / np.square(every - every.mean()).sum()
            assert got[unit, 0, k] == pytest.approx(r2, abs=2e-5)


def test_every_permutations_auroc_is_that_of_the_moved_labels():
    x, v, own, lengths = problem(5)
    checked = check_signals({"b": (v > 0).astype(int), "k": np.digitize(v, [-1, 1])}, np.ones(v.shape, dtype=bool))
    exchange = make_exchange("shuffle", lengths, own)
    split = default_split(len(own), 4, 0, own)
    orders = exchange.permutations(6, seed=0)
    view = View.make(checked, exchange.lengths, split)
    got = Design.of([torch.from_numpy(x)], view, exchange).statistics(orders)
    for k, order in enumerate(orders):
        other = View.make([one.with_values(one.values[order]) for one in checked], exchange.lengths, split)
        assert got[..., k] == pytest.approx(evaluate_units(other.features(torch.from_numpy(x)), other).score, abs=1e-5)


@pytest.mark.parametrize("label", [False, True])
def test_nested_sequences_are_found_by_chance_as_often_as_alpha_says_and_only_by_groups(label):
    """Units and signals that each belong to a group, and have nothing to do with each other."""
    hits = {"groups": 0, "sequences": 0}
    for seed in range(60):
        rng = np.random.default_rng([seed, label])
        own = np.repeat(np.arange(12), 5)
        x = rng.normal(size=(60, 6, 2)) * 0.5 + rng.normal(size=(12, 2))[own][:, None]
        level = rng.permutation([0, 1] * 6)[own] if label else rng.normal(size=12)[own]
        v = np.repeat(level[:, None], 6, axis=1) + (0 if label else rng.normal(size=(60, 6)) * 0.5)
        checked = check_signals({"v": v}, np.ones((60, 6), bool))
        for key, groups in (("groups", own), ("sequences", None)):
            exchange = make_exchange("shuffle", np.full(60, 6), groups)
            view = View.make(checked, exchange.lengths, default_split(60, 4, seed, groups))
            result = permutation_test([torch.from_numpy(x)], [view], exchange, 39, seed)
            hits[key] += result.p_value[0, 0, 0] <= 0.05
    assert hits["groups"] <= binom.ppf(0.999, 60, 0.05)
    assert hits["sequences"] >= 12
