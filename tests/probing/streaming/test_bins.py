"""AUROCs of binned values, against scikit-learn's and all orders that the values within a bin can have."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lstm_probe.probing.streaming import bins as bins_module
from lstm_probe.probing.streaming.bins import Bins, Counts, level_excess


def exact(positive, negative):
    """The share of pairs in which the positive is larger."""
    return np.mean([(a > b) + (a == b) / 2 for a in positive for b in negative])


def test_the_error_is_reached_by_the_worst_order_within_a_bin():
    """Bins hold (positives, negatives) 2, 1; 1, 3; 2, 2: as far off as the values inside can make it."""
    counts = Counts.empty(columns=1, folds=1, units=1)
    held = [(2, 1), (1, 3), (2, 2)]
    for k, (positive, negative) in enumerate(held):
        counts.every[0, 0, k], counts.positive[0, 0, 0, k] = positive + negative, positive
    single = np.zeros(counts.every.shape[1:], dtype=bool)
    low, high = (
        exact([k + up for k, (n, _) in enumerate(held) for _ in range(n)],
              [k - up for k, (_, n) in enumerate(held) for _ in range(n)])
        for up in (-0.1, 0.1)
    )  # fmt: skip
    middle = 0.5 + counts.excess(0)[0, 0] / (5 * 6)
    assert middle == pytest.approx((low + high) / 2)
    assert counts.error(0, single)[0] == pytest.approx((high - low) / 2)


def exact_auroc(values, positive, fold):
    """Over all pairs of the same fold, by scikit-learn."""
    excess = pairs = 0.0
    for k in np.unique(fold):
        own = fold == k
        n = positive[own].sum() * (~positive[own]).sum()
        excess, pairs = excess + n * roc_auc_score(positive[own], values[own]), pairs + n
    return excess / pairs


@pytest.mark.parametrize("rate", [0.5, 0.01, 0.99])
def test_aurocs_by_bins_are_within_the_error_they_state(rate):
    rng = np.random.default_rng(0)
    n = 150_000
    fold, positive = rng.integers(0, 3, n), rng.random(n) < rate
    smooth = rng.normal(size=n) + 0.7 * positive
    values = np.stack([
        smooth,
        np.tanh(40 * smooth),  # saturated: half of all values are exactly 1 or −1
        1 - 1e-6 * rng.random(n) * (1 - 0.5 * positive),
        np.where(rng.random(n) < 0.3, 0.25, smooth**3),
        rng.integers(0, 5, n) - positive,
    ], axis=1).astype(np.float32)  # fmt: skip
    bins = Bins.of(values[rng.permutation(n)[: bins_module.SAMPLE]])
    counts = Counts.empty(1, 3, 5)
    for rows in np.array_split(np.arange(n), 4):
        counts.add(bins.places(values[rows]), fold[rows], positive[rows, None].astype(float))
    sums = np.bincount(fold, positive), np.bincount(fold, ~positive)
    got = 0.5 + counts.excess(0).sum(0) / (sums[0] * sums[1]).sum()
    want = [exact_auroc(column, positive, fold) for column in values.T]
    stated = counts.error(0, bins.single)
    assert (np.abs(got - want) <= stated + 1e-9).all() and (stated < 1e-3).all()
    assert stated[4] == 0  # few values: a bin for each


def test_few_values_have_a_bin_each():
    sample = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32)
    places = Bins.of(sample).places(sample)
    assert [len(np.unique(row)) for row in places] == [4000] * 3
    assert (np.diff(np.take_along_axis(places, np.argsort(sample.T), axis=1)) > 0).all()


def test_levels_rank_as_their_steps_would():
    rng = np.random.default_rng(0)
    fold, level = rng.integers(0, 2, 500), rng.integers(0, 6, 500)
    value, positive = np.array([[0.1, 0.5, 0.5, -1.0, 3.0, 0.2]] * 2), rng.random(500) < 0.4
    table = np.zeros((2, 6)), np.zeros((2, 6))
    np.add.at(table[0], (fold, level), positive)
    np.add.at(table[1], (fold, level), 1)
    excess = level_excess(value[..., None], table[0][..., None], table[1])
    n = table[0].sum(1), (table[1] - table[0]).sum(1)
    got = 0.5 + excess.sum() / (n[0] * n[1]).sum()
    assert got == pytest.approx(exact_auroc(value[0][level], positive, fold), abs=1e-12)
