"""One series cut into windows: the linear shift against a loop, and its errors."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import binom
from sklearn.linear_model import LinearRegression

from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.split import blocks_of_series, default_split
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.evaluate import evaluate_units
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.nulls import Design, permutation_test
from lstm_probe.probing.inference.series import Shifts


def loop(x, v, n, length, split, lag, unit, shift):
    """R² held out, of a unit of the middle windows and the signal of windows `shift` later."""
    reach = n // 4
    steps = [[], [], []]
    for window in range(reach, n - reach):
        for t in range(lag, length):
            value = v[window + shift, t - lag]
            if not np.isnan(value):
                for place, one in zip(steps, (split.fold[window], x[window, t, unit], value)):
                    place.append(one)
    fold, a, b = map(np.array, steps)
    errors = 0.0
    for own in np.unique(fold):
        fit = LinearRegression().fit(a[fold != own, None], b[fold != own])
        errors += np.square(b[fold == own] - fit.predict(a[fold == own, None])).sum()
    return 1 - errors / np.square(b - b.mean()).sum()


@pytest.mark.parametrize(("n", "lag", "holes"), [(12, 0, False), (13, 2, False), (22, 1, True), (11, 0, True)])
def test_every_shifts_r2_and_the_p_values_are_those_of_a_loop(n, lag, holes):
    rng = np.random.default_rng(n)
    lengths = rng.integers(6, 9, size=n)
    x, v = rng.normal(size=(n, 8, 2)).cumsum(0), rng.normal(size=(n, 8)).cumsum(0) + 3
    if holes:
        v[rng.random(v.shape) < 0.25] = np.nan
    checked = check_signals({"v": v}, np.arange(8) < lengths[:, None])
    exchange, split = make_exchange("shift", lengths), default_split(n, 4, 0, None, True)
    view = View.make(checked, exchange.lengths, split, lag)
    reach = n // 4
    orders = exchange.permutations(1000, 0)
    assert len(orders) == 2 * reach + 1
    got = Design.of([torch.from_numpy(x)], view, exchange).statistics(orders)[:, 0]
    shifts = [0, *(d for d in range(-reach, reach + 1) if d)]
    wanted = np.array([[loop(x, v, n, lengths.min(), split, lag, u, d) for d in shifts] for u in range(2)])
    assert got == pytest.approx(wanted, abs=2e-5)
    p = permutation_test([torch.from_numpy(x)], [view], exchange, 1000, 0).p_value[0, :, 0]
    assert p == pytest.approx((wanted >= wanted[:, :1] - 1e-5).mean(1))


def test_every_shifts_auroc_is_that_of_the_moved_labels():
    rng = np.random.default_rng(0)
    n, v, x = 17, rng.normal(size=(17, 5)), rng.normal(size=(17, 5, 3))
    checked = check_signals({"b": (v > 0).astype(int), "k": np.digitize(v, [-0.5, 0.5])}, np.ones((n, 5), bool))
    exchange, split = Shifts.of(np.full(n, 5)), default_split(n, 3, 0, None, True)
    view = View.make(checked, exchange.lengths, split)
    got = Design.of([torch.from_numpy(x)], view, exchange).statistics(exchange.permutations(0, 0))
    for k, d in enumerate([0, *(d for d in range(-4, 5) if d)]):
        moved = [one.with_values(np.roll(one.values, -d, axis=0)) for one in checked]
        other = View.make(moved, exchange.lengths, split)
        assert got[..., k] == pytest.approx(evaluate_units(other.features(torch.from_numpy(x)), other).score, abs=1e-5)


def test_folds_and_blocks_of_a_series_are_neighbours():
    for n, folds in ((64, 5), (23, 4), (5, 5)):
        fold = default_split(n, folds, 0, None, True).fold
        assert (np.diff(fold) >= 0).all() and np.ptp(np.bincount(fold)) <= 1 and fold.max() == folds - 1
        blocks = blocks_of_series(n)
        assert (np.diff(blocks) >= 0).all() and blocks.max() + 1 == min(20, n) and np.ptp(np.bincount(blocks)) <= 1


def test_windows_of_slow_series_are_found_by_chance_as_often_as_alpha_says_and_only_by_shifts():
    """Two series that remember 8 windows each, and have nothing to do with each other."""
    hits = {"shift": 0, "shuffle": 0}
    for seed in range(80):
        rng = np.random.default_rng(seed)
        slow = lfilter([1], [1, -np.exp(-1 / 80)], rng.normal(size=(2, 64 * 10 + 400)), axis=1)[:, 400:]
        x, v = slow[0].reshape(64, 10, 1), slow[1].reshape(64, 10)
        checked, lengths = check_signals({"v": v}, np.ones((64, 10), bool)), np.full(64, 10)
        for null in hits:
            exchange = make_exchange(null, lengths)
            view = View.make(checked, exchange.lengths, default_split(64, 5, seed, None, null == "shift"))
            result = permutation_test([torch.from_numpy(x)], [view], exchange, 39, seed)
            hits[null] += result.p_value[0, 0, 0] <= 0.05
    assert hits["shift"] <= binom.ppf(0.999, 80, 0.05)
    assert hits["shuffle"] >= 16


def test_what_a_unit_holds_is_found_by_shifts():
    rng = np.random.default_rng(1)
    v = lfilter([1], [1, -0.95], rng.normal(size=48 * 10)).reshape(48, 10)
    x = v[..., None] + rng.normal(size=(48, 10, 1))
    exchange = Shifts.of(np.full(48, 10))
    checked, split = check_signals({"v": v}, np.ones((48, 10), bool)), default_split(48, 4, 0, None, True)
    view = View.make(checked, exchange.lengths, split)
    assert permutation_test([torch.from_numpy(x)], [view], exchange, 1, 0).p_value.item() == pytest.approx(1 / 25)
