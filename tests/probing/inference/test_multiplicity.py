"""Holm's and Benjamini and Hochberg's corrections, and percentile intervals, by hand."""

import numpy as np
import pytest

from lstm_probe.probing.inference.intervals import percentile_interval
from lstm_probe.probing.inference.multiplicity import family, q_values


def test_holm_never_falls_with_the_order_of_the_signals():
    """Of three signals with p = 0.2, 0.21 and 0.9 Holm gives 0.6, then max(0.6, 2 × 0.21), then 0.9."""
    count = 99
    best = np.tile(np.linspace(0, 1, count), (3, 1))
    worse = np.array([80, 79, 10])  # permutations that do worse: p = (1 + 99 − worse) / 100
    observed = (worse - 0.5)[None, None] / (count - 1)
    got = family(observed, best, np.ones(3, dtype=bool))
    assert got[0, 0] == pytest.approx([0.6, 0.6, 0.9])


def drawn(rng, signals, told, count=199):
    """Units as good as the best of a permutation; of the first `told` signals also one that is like none."""
    best, chance = rng.normal(size=(signals, count)), rng.normal(size=(2, signals))
    chance[0, :told] = 9
    return chance[None], best


def test_what_is_found_of_some_signals_makes_no_room_for_false_findings_of_others():
    """Of 8 signals 5 have a unit that tracks them: a unit is found of any of the others in one of twenty data sets."""
    rng, false, sets = np.random.default_rng(0), 0, 3000
    for _ in range(sets):
        observed, best = drawn(rng, 8, 5)
        observed[0, 1] = np.where(np.arange(8) < 5, observed[0, 1], observed[0, 0])
        got = family(observed, best, np.ones(8, dtype=bool))[0]
        assert (got[0, :5] <= 0.05).all()
        false += (got[:, 5:] <= 0.05).any()
    assert 0.03 <= false / sets <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / sets)


def test_the_order_of_signals_changes_nothing():
    observed, best = drawn(np.random.default_rng(1), 6, 4)  # these four are equally significant
    order = np.random.default_rng(2).permutation(6)
    got = family(observed, best, np.ones(6, dtype=bool))
    assert np.array_equal(family(observed[..., order], best[order], np.ones(6, dtype=bool)), got[..., order])


def test_q_values_are_those_of_a_plain_loop():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    known = np.sort(p[~np.isnan(p)])
    by_hand = {
        value: min(known[j] * len(known) / (j + 1) for j in range(i, len(known))) for i, value in enumerate(known)
    }
    got = q_values(p)
    assert np.isnan(got[1])
    assert got[[0, 2, 3, 4]] == pytest.approx([by_hand[value] for value in p[[0, 2, 3, 4]]])


@pytest.mark.parametrize("missing", [0, 3])
def test_an_interval_of_95_percent_leaves_out_two_and_a_half_at_each_end(missing):
    samples = np.append(np.arange(1001.0), np.full(missing, np.nan))
    assert percentile_interval(samples[:, None]) == (pytest.approx([25.0]), pytest.approx([975.0]))
