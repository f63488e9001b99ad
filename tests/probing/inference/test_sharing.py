"""Participation and dimensionality where they are known by construction."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.ridge import Gram, fit_ridge
from lstm_probe.probing.inference.sharing import effective_number, feature_dimensionality, shared, signal_directions


def measured(x, signals, seed=0, folds=4):
    mask = np.ones(x.shape[:2], bool)
    view = View.make(check_signals(signals, mask), np.full(len(x), x.shape[1]), Split.make(len(x), folds, seed))
    gram = Gram.per_fold(standardise(x, mask), view.columns, view)
    return shared(gram, view), gram, view


@pytest.mark.parametrize(("units", "k"), [(3, 1), (6, 2), (6, 4), (9, 9)])
def test_k_orthogonal_units_with_equal_shares_count_as_k(units, k):
    rng = np.random.default_rng(units + k)
    x = np.linalg.qr(rng.normal(size=(4000, units)))[0].reshape(200, 20, units) * 10.0 ** rng.integers(-6, 7, units)
    signs = rng.choice([-1, 1], k)
    y = (x / x.std((0, 1)))[..., units - k :] @ signs.astype(float)
    got, _, _ = measured(x, {"y": y + 0.1 * rng.normal(size=y.shape)})
    assert got["participation"][0] == pytest.approx(k, rel=0.02)
    assert got["effect"][0] > 0.98


def test_shares_that_differ_and_units_that_are_doubled():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 20, 5))
    # Shares of the variance of 4/5 and 1/5.
    got, _, _ = measured(x, {"y": 2 * x[..., 1] + x[..., 3]})
    assert got["participation"][0] == pytest.approx(1 / (0.8**2 + 0.2**2), rel=0.02)
    twice = np.concatenate([x, 1e4 * x[..., [1]]], axis=-1)
    assert measured(twice, {"y": x[..., 1]})[0]["participation"][0] == pytest.approx(2, rel=1e-3)


def test_contributions_are_pratts_in_each_training_part():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 12, 4)) @ rng.normal(size=(4, 4))
    kind = np.digitize(x @ np.array([1, 0.5, 0, -1]) + rng.normal(size=(30, 12)), [-1, 1])
    got, gram, view = measured(x, {"kind": kind}, seed=5)
    fit, each = fit_ridge(gram), np.zeros(4)
    z = standardise(x, view.mask)
    for k in range(4):
        own = z[view.split.fold != k].reshape(-1, 4)
        for c in range(3):
            b = fit.coefficients[k, :, c]
            each += [max(0, b[j] * np.cov(own[:, j], own @ b, bias=True)[0, 1]) for j in range(4)]
    assert got["participation"][0] == pytest.approx(each.sum() ** 2 / (each**2).sum())
    predicted = fit.held_out(z, view)
    expected = 1 - ((view.columns - predicted) ** 2).sum((0, 1)) / (view.columns.var((0, 1)) * 360)
    assert got["effect"][0] == pytest.approx(expected.mean())


def test_what_is_not_known_is_not_shared_out():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 10, 3))
    got, _, _ = measured(x, {"noise": rng.normal(size=(40, 10)), "flat": np.ones((40, 10)), "it": x[..., 0]})
    assert got["effect"][0] < 0.05 and np.isnan(got["effect"][1])
    for name in ("participation", "dimensionality"):
        assert np.isnan(got[name][:2]).all() and got[name][2] == pytest.approx(1, abs=0.02)


def test_effective_number():
    assert effective_number(np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])) == pytest.approx([1, np.nan], nan_ok=True)
    assert effective_number(np.full((1, 7), 1e-200)) == pytest.approx(7)


def polygon(corners):
    angle = 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        (np.eye(4) * [[1], [2], [0.5], [1]], 1),
        (np.array([[1.0, 0], [-1, 0]]), 1 / 2),
        (polygon(3), 2 / 3),
        (polygon(5), 2 / 5),
        # Elhage and others: a square antiprism, 8 in 3 dimensions; a tetrahedron, 4 in 3.
        (np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), 3 / 4),
    ],
)
@pytest.mark.parametrize("seed", [None, 0])
def test_dimensionality_of_known_arrangements(directions, expected, seed):
    if seed is not None:
        n = directions.shape[1]
        directions = 1e-3 * directions @ np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    assert feature_dimensionality(directions) == pytest.approx(expected)


def test_a_direction_of_zero_takes_nothing():
    assert feature_dimensionality(np.array([[0.0, 0], [1, 0]])).tolist() == [0, 1]


def test_directions_are_those_of_a_joint_regression():
    rng = np.random.default_rng(4)
    y = rng.normal(size=(30, 10, 3)) @ rng.normal(size=(3, 3))
    x = y @ rng.normal(size=(3, 5)) + rng.normal(size=(30, 10, 5))
    _, gram, _ = measured(x, {f"y{k}": y[..., k] for k in range(3)})
    flat_x, flat_y = ((v - v.mean((0, 1))) / v.std((0, 1)) for v in (x, y))
    expected = LinearRegression().fit(flat_y.reshape(300, 3), flat_x.reshape(300, 5)).coef_.T
    assert signal_directions(gram.sums.sum(0), 5) == pytest.approx(expected, abs=1e-9)


def test_signals_in_opposite_directions_and_classes_in_a_simplex():
    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=(3, 100, 20))
    kind = rng.integers(0, 3, (100, 20))
    one_hot = np.stack([kind == k for k in range(3)], axis=-1).astype(float)
    x = np.concatenate([np.stack([a - b, c], axis=-1), one_hot], axis=-1)
    got, _, _ = measured(x, {"a": a, "b": b, "c": c, "kind": kind})
    assert got["dimensionality"] == pytest.approx([0.5, 0.5, 1, 1], abs=0.02)
    assert got["participation"] == pytest.approx([1, 1, 1, 3], rel=0.05)
