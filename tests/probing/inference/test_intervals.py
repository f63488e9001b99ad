"""Bootstrap over sequences against doing it the long way."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.moments import Moments
from lstm_probe.probing.inference.evaluate import evaluate_units
from lstm_probe.probing.inference.intervals import (
    bootstrap_weights,
    correlation_interval,
    correlations,
    percentile_interval,
    placements,
    resample_auroc,
    resample_sums,
    student_interval,
)
from lstm_probe.probing.inference.scores import centred_ranks


def test_weights_draw_as_many_sequences_as_there_are():
    weights = bootstrap_weights(30, 500, seed=1)
    assert weights.shape == (500, 30) and (weights.sum(1) == 30).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(29 / 30, rel=0.05)


def sequences(seed, n=14, time=7, units=3, columns=2):
    """Units and columns of unequal lengths that are related, 0 off the mask."""
    rng = np.random.default_rng(seed)
    mask = np.arange(time) < rng.integers(2, time + 1, size=n)[:, None]
    x = rng.normal(size=(n, time, units)) + rng.normal(size=(n, 1, units))
    y = x[..., :columns] + rng.normal(size=(n, time, columns))
    return x * mask[..., None], y * mask[..., None], mask


def test_the_correlation_of_a_sample_equals_that_of_the_steps_drawn():
    x, y, mask = sequences(0)
    x[..., 2] = 0
    weights = bootstrap_weights(14, 20, seed=0)
    got = correlations(resample_sums(Moments.of(x, y, mask), weights))
    for sample, weight in zip(got, weights.astype(int)):
        drawn = np.repeat(np.arange(14), weight)
        real = mask[drawn]
        for u in range(2):
            for c in range(2):
                expected = np.corrcoef(x[drawn][real][:, u], y[drawn][real][:, c])[0, 1]
                assert sample[u, c] == pytest.approx(expected, abs=1e-10)
    assert not got[:, 2].any()


def test_the_interval_is_students_t_about_fishers_z_with_the_error_of_a_loop_over_resamples():
    x, y, mask = sequences(1, n=40)
    sums = Moments.of(x, y, mask)
    scores = np.square(correlations(sums.map(lambda own: own.sum(0, keepdims=True)))[0])

    def z(drawn):
        real = mask[drawn]
        return np.arctanh(np.corrcoef(x[drawn][real][:, 0], y[drawn][real][:, 0])[0, 1])

    rng = np.random.default_rng(1)
    error = np.std([z(rng.integers(0, 40, 40)) for _ in range(3000)], ddof=1)
    low, high = correlation_interval(sums, scores, bootstrap_weights(40, 3000, seed=3))
    half = stats.t.ppf(0.975, 39) * error * np.sqrt(40 / 39)
    expected = np.tanh(z(np.arange(40)) + np.array([-half, half])) ** 2
    assert [low[0, 0], high[0, 0]] == pytest.approx(expected, abs=0.015)


def test_an_interval_ends_at_0_where_the_slope_may_have_either_sign_and_holds_the_score():
    x, y, mask = sequences(2, n=30)
    y[..., 1] = np.random.default_rng(5).normal(size=mask.shape) * mask
    scores = np.array([[0.4, -0.1], [0.0, 0.02], [0.0, 0.0]])
    low, high = correlation_interval(Moments.of(x, y, mask), scores, bootstrap_weights(30, 200, seed=0))
    assert low[0, 0] > 0.1 and low[0, 1] == -0.1 and low[1, 1] == 0
    assert (low <= scores).all() and (scores <= high).all() and (high < 1).all()


def test_a_perfect_copy_has_a_perfect_interval_and_a_constant_unit_none_but_0():
    x, y, mask = sequences(3)
    y, x[..., 1] = x[..., :1].copy() * -2, 0
    scores = np.array([[1.0], [0.0], [0.1]])
    low, high = correlation_interval(Moments.of(x, y, mask), scores, bootstrap_weights(14, 50, seed=0))
    assert [low[0, 0], high[0, 0]] == pytest.approx([1, 1], abs=1e-9)
    assert low[1, 0] == high[1, 0] == 0


def test_an_interval_of_samples_without_spread_is_a_point():
    same = student_interval(np.array([2.0]), np.full((30, 1), 1.0), 30)
    assert same[0] == same[1] == 2.0


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_auroc_is_close_to_an_exact_cluster_bootstrap(strength):
    """Sample by sample, and in the interval's ends, with ties and a level of its own for each sequence."""
    rng = np.random.default_rng(4)
    bit = (rng.normal(size=(90, 12)).cumsum(1) > 0).astype(float)
    x = np.round(strength * bit + rng.normal(size=(90, 1)) + rng.normal(size=(90, 12)), 1)[..., None]
    lengths = rng.integers(6, 13, size=90)
    mask = np.arange(12) < lengths[:, None]
    view = View.make(check_signals({"bit": bit}, mask), lengths, Split.make(90, 3))
    weights = bootstrap_weights(90, 300, seed=2)
    ranks = centred_ranks(standardise(x, mask), view)
    below, counts = placements(ranks, view.columns[..., 0], view)
    got = resample_auroc(below, counts, np.ones((3, 1)), view.split, weights)[:, 0]
    exact = []
    for weight in weights:
        total = pairs = 0.0
        for members in view.split.members:
            w = np.broadcast_to(weight[members, None], (len(members), 12))[mask[members]]
            y, values = bit[members][mask[members]], x[members][mask[members]][:, 0]
            n = (w * y).sum() * (w * (1 - y)).sum()
            total += n * roc_auc_score(y, values, sample_weight=w)
            pairs += n
        exact.append(total / pairs)
    exact = np.array(exact)
    assert np.corrcoef(got, exact)[0, 1] > 0.98
    assert np.abs(got - exact).max() < 0.2 * exact.std() + 0.01
    assert np.quantile(got, [0.025, 0.975]) == pytest.approx(np.quantile(exact, [0.025, 0.975]), abs=0.01)


def test_placements_count_the_steps_of_the_other_class_below_pair_by_pair():
    rng = np.random.default_rng(9)
    x, lengths = np.round(rng.normal(size=(7, 6, 2)), 1), np.array([6, 4, 0, 6, 5, 1, 6])
    mask = np.arange(6) < lengths[:, None]
    signals = check_signals({"bit": (rng.random((7, 6)) < 0.4).astype(float)}, mask)
    view = View.make(signals, lengths, Split(np.array([0, 1, 0, 1, 0, 1, 1])))
    indicator = view.columns[..., 0]
    below, counts = placements(centred_ranks(x, view), indicator, view)
    expected = np.zeros((7, 2, 2))
    for (s, t), (a, b) in product(np.argwhere(mask), repeat=2):
        if view.split.fold[a] == view.split.fold[s] and indicator[a, b] != indicator[s, t]:
            expected[s, :, 0 if indicator[s, t] else 1] += (x[a, b] < x[s, t]) + 0.5 * (x[a, b] == x[s, t])
    assert below == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(counts[:, 0] + counts[:, 1], lengths)


def test_intervals_cover_their_score_and_shrink_with_more_sequences():
    widths = []
    for n in (30, 270):
        rng = np.random.default_rng(n)
        x = rng.normal(size=(n, 10, 4))
        signals = {
            "v": x[..., 0] + rng.normal(size=(n, 10)),
            "b": (x[..., 0] + rng.normal(size=(n, 10)) > 0).astype(int),
        }
        mask = np.ones((n, 10), bool)
        view = View.make(check_signals(signals, mask), np.full(n, 10), Split.make(n, 5))
        got = evaluate_units(standardise(x, mask), view, bootstrap_weights(n, 400, seed=0))
        assert (got.low <= got.score).all() and (got.score <= got.high).all()
        widths.append((got.high - got.low)[0])
    assert widths[0] / widths[1] == pytest.approx(3, rel=0.35)


def test_samples_without_a_pair_do_not_count():
    samples = np.array([[np.nan, 0.5, np.nan], [0.25, 0.75, np.nan], [0.75, 1.0, np.nan]])
    low, high = percentile_interval(samples, level=1.0)
    assert low[:2].tolist() == [0.25, 0.5] and high[:2].tolist() == [0.75, 1.0]
    assert np.isnan(low[2]) and np.isnan(high[2])


@pytest.mark.parametrize("values", [[0.3, 1.1], [2.0, -1.0, 0.5], [1.0, 4.0, 2.0, 2.5, -3.0]])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_of_a_mean_over_every_resample_it_is_students_interval(values, level):
    every = np.array(list(product(values, repeat=len(values)))).mean(1, keepdims=True)
    low, high = student_interval(np.array([np.mean(values)]), every, len(values), level)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (low[0], high[0]) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
