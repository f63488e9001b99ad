"""Splines of one unit: against scikit-learn on the textbook's basis, for any unit, split and kind of signal."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score

from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.splines import (
    add_curves,
    place_knots,
    predict,
    spline_features,
    spline_scores,
    training_knots,
)
from lstm_probe.probing.inference.evaluate import evaluate_units


def textbook(x, knots):
    """Harrell's truncated powers: a line, and for each knot but the last two a cubic that ends straight."""
    *inner, before, last = knots

    def cube(knot):
        return np.maximum(x - knot, 0) ** 3

    curves = [
        cube(t) - cube(before) * (last - t) / (last - before) + cube(last) * (before - t) / (last - before)
        for t in inner
    ]
    return np.stack([x, *curves], axis=-1)


def held_out(x, y, fold):
    """Predictions of steps by a fit on the other folds' steps."""
    out = np.zeros(len(y))
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        knots = np.quantile(x[train], [0.05, 0.275, 0.5, 0.725, 0.95])
        fit = LinearRegression().fit(textbook(x[train], knots), y[train])
        out[test] = fit.predict(textbook(x[test], knots))
    return out


def problem(seed, sequences=30, time=15, units=3, folds=4):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(time // 2, time + 1, sequences)
    x = rng.normal(size=(sequences, time, units)).cumsum(1) * 10.0 ** rng.integers(-6, 6, units)
    walk = standardise(x[..., :1], np.ones((sequences, time), bool))[..., 0]
    noise = rng.normal(size=(2, sequences, time))
    signals = {
        "square": walk**2 + noise[0],
        "inside": np.abs(walk + 0.3 * noise[1]) < 0.6,
        "three": np.digitize(walk + 0.3 * noise[0], [-0.7, 0.7]),
    }
    split = Split.make(sequences, folds, seed)
    checked = check_signals(signals, np.arange(time) < lengths[:, None])
    return x, View.make(checked, lengths, split, lag=seed % 2)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_linear_regression_on_the_textbook_basis(seed):
    x, view = problem(seed, folds=2 + seed)
    x = x[:, view.lag :]
    got = spline_scores(standardise(x, view.mask), view)
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
    for unit in range(x.shape[-1]):
        values = x[..., unit][view.mask] / x[..., unit].std()
        square, inside, *three = view.columns[view.mask].T
        assert got[unit, 0] == pytest.approx(r2_score(square, held_out(values, square, fold)), abs=1e-7)
        aurocs = []
        for indicator in (inside, *three):
            predicted = held_out(values, indicator, fold)
            each = [fold == k for k in np.unique(fold) if len(np.unique(indicator[fold == k])) == 2]
            pairs = [(indicator[rows] == 1).sum() * (indicator[rows] == 0).sum() for rows in each]
            own = [roc_auc_score(indicator[rows], predicted[rows]) for rows in each]
            aurocs.append(np.average(own, weights=pairs))
        assert got[unit, 1] == pytest.approx(aurocs[0], abs=1e-6)
        assert got[unit, 2] == pytest.approx(np.mean(aurocs[1:]), abs=1e-6)
    linear = evaluate_units(standardise(x, view.mask), view).score
    assert (got[0] > linear[0] + 0.1).all()


@pytest.mark.parametrize("shape", [(3, 40), (1, 2000), (70, 900)])
def test_features_span_the_textbook_basis(shape):
    x = np.random.default_rng(0).normal(size=shape)
    knots = place_knots(x)
    assert knots == pytest.approx(np.quantile(x, [0.05, 0.275, 0.5, 0.725, 0.95], axis=1).T, abs=1e-12)
    z = spline_features(x, knots)
    for unit in range(len(x)):
        # (x − t)³ / (T − t) for a common denominator: the textbook's curves, each over its own T − t.
        known = textbook(x[unit], knots[unit])
        width = knots[unit, -1] - knots[unit, :3]
        assert z[unit, 0] == pytest.approx(known[:, 0])
        curves = z[unit, 1:].T
        assert curves == pytest.approx(known[:, 1:] / width, abs=1e-10)


def test_a_spline_is_smooth_and_straight_outside():
    knots = np.array([[-2.0, -1, 0, 0.5, 3]])
    x = np.arange(-6, 8, 1e-3)[None]
    curves = spline_features(x, knots)[0, 1:]
    bend = np.diff(curves, 2) / 1e-6
    assert np.abs(np.diff(bend)).max() < 0.02
    outside = (x[0, 1:-1] < -2) | (x[0, 1:-1] > 3)
    assert np.abs(bend[:, outside]).max() < 1e-3 < np.abs(bend[:, ~outside]).max()


def test_knots_that_fall_together_are_the_limit_of_knots_that_nearly_do():
    x = np.random.default_rng(1).normal(size=(1, 500))
    for together in ([0, 1], [3, 4], [1, 2, 3], [2, 3, 4]):
        knots = np.array([[-1.5, -0.5, 0, 0.6, 1.4]])
        knots[0, together] = knots[0, together[0]]
        near = knots + 1e-7 * np.arange(5)
        got = spline_features(x, knots)
        assert np.isfinite(got).all() and got == pytest.approx(spline_features(x, near), abs=1e-5)


def saturated(rng, size):
    """Units that a quantile says little of: two values, mostly one value, constant, rounded, at float noise."""
    x = rng.normal(size=size)
    return np.stack([
        np.where(x > 0, 1.0, -1.0), np.clip(x, -9, 0.4), np.where(rng.random(size) < 0.98, 1.0, x),
        np.full(size, 0.1), np.round(x), np.where(x > 0, 1.0, -1.0) + 1e-9 * rng.normal(size=size), x**9,
    ], axis=-1)  # fmt: skip


def test_saturated_bimodal_and_constant_units_have_sound_scores():
    rng = np.random.default_rng(2)
    x = saturated(rng, (60, 20))
    signal = x[..., 0] + 0.5 * rng.normal(size=(60, 20))
    checked = check_signals({"s": signal, "b": signal > 0, "n": rng.normal(size=(60, 20))}, np.ones((60, 20), bool))
    view = View.make(checked, np.full(60, 20), Split.make(60, 5, 0))
    features = standardise(x, view.mask)
    got, linear = spline_scores(features, view), evaluate_units(features, view).score
    # Of two values a curve is a line.
    assert got[0] == pytest.approx(linear[0], abs=1e-6)
    assert got[5, :2] == pytest.approx(linear[0, :2], abs=0.02)
    assert got[3] == pytest.approx([0, 0.5, 0], abs=0.01)
    assert (got[[0, 1, 2, 4, 5, 6], :2] > linear[[0, 1, 2, 4, 5, 6], :2] - 0.01).all()
    assert (got[:, 2] < 0.01).all() and (got[:, 2] > -0.05).all()


def test_equal_values_of_a_unit_stay_ties():
    """Ranks of predictions of a unit with few values are those of the values' own predictions."""
    rng = np.random.default_rng(3)
    x = np.tile(rng.normal(size=(4, 3)), 41)[:, :101]
    predictions = predict(spline_features(x, place_knots(x)), rng.normal(size=(4, 4)))
    for unit in range(4):
        assert len(np.unique(predictions[unit])) == 3


def test_scale_and_padding_change_nothing():
    x, view = problem(0)
    got = spline_scores(standardise(x, view.mask), view)
    moved = np.where(view.mask[..., None], x * [1e-6, 1e6, -3] + [1, -5, 0], 1e9)
    assert spline_scores(standardise(moved, view.mask), view) == pytest.approx(got, abs=1e-8)


def test_undefined_signals_have_no_score():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(12, 6, 2))
    mask = np.ones((12, 6), bool)
    checked = check_signals({"flat": np.ones((12, 6)), "one": np.zeros((12, 6), bool), "x": x[..., 0]}, mask)
    view = View.make(checked, np.full(12, 6), Split.make(12, 3, 0))
    got = spline_scores(standardise(x, mask), view)
    assert np.isnan(got[:, :2]).all() and got[0, 2] == pytest.approx(1)
    # Steps in one fold alone leave nothing to fit on, or nothing to test.
    short = View.make(checked, np.where(view.split.fold == 0, 6, 2), view.split, lag=3)
    assert np.isnan(spline_scores(standardise(x[:, 3:], short.mask), short)).all()


def test_many_units_at_once_are_as_one_by_one():
    x = np.random.default_rng(6).normal(size=(40, 3000))
    knots = place_knots(x)
    out = np.empty((40, 4, 3000))
    for unit in range(40):
        add_curves(x[unit : unit + 1], knots[unit : unit + 1], out[unit : unit + 1])
    assert np.array_equal(spline_features(x, knots), out)


def test_knots_of_training_parts_are_quantiles_of_the_other_folds():
    rng = np.random.default_rng(5)
    folds = [rng.normal(size=(3, n)) for n in (11, 0, 40, 1, 23)]
    for own in folds:
        own[1] = np.round(own[1])
    got = training_knots(folds)
    for fold in range(5):
        others = np.concatenate([own for k, own in enumerate(folds) if k != fold], axis=1)
        expected = np.quantile(others, [0.05, 0.275, 0.5, 0.725, 0.95], axis=1).T
        assert got[fold] == pytest.approx(expected, abs=1e-12)
