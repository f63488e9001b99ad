"""Logistic regression against plain calls of scikit-learn's L-BFGS, and where it has no finite answer."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.logistic import PENALTIES, Part, fit_logistic, fit_one, logistic_predictions
from lstm_probe.probing.inference.evaluate import evaluate_predictions


def problem(seed, sequences=20, time=9, units=5, folds=4):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, time + 1, size=sequences)
    mask = np.arange(time) < lengths[:, None]
    x = rng.normal(size=(sequences, time, units)) @ rng.normal(size=(units, units)) + rng.normal(size=units)
    x = x * 10.0 ** rng.integers(-6, 7, size=units)
    z = standardise(x, mask)
    odds = 2 * z[..., 0] - z[..., 1] - 1
    kind = np.stack([z[..., 2], z[..., 3], z[..., 0]], -1) + rng.gumbel(size=(*mask.shape, 3))
    signals = {
        "bit": (rng.random(mask.shape) < expit(odds)).astype(float),
        "kind": kind.argmax(-1),
        "number": z[..., 0],
    }
    checked = check_signals(signals, mask)
    return x, z, View.make(checked, lengths, Split.make(sequences, folds, seed))


def sklearns(x, y, penalty):
    """Coefficients on standardised features, and a function that gives log-odds."""
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=1 / (penalty * len(y)), tol=1e-12, max_iter=10_000)
    model.fit(scaler.transform(x), y)
    return model, lambda new: model.decision_function(scaler.transform(new))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
def test_a_fit_equals_scikit_learns(seed, penalty):
    x, z, view = problem(seed)
    y = view.columns[..., 0][view.mask]
    model, odds = sklearns(x[view.mask], y, penalty)
    part = Part.of(np.insert(z[view.mask], 0, 1, axis=1), y[:, None])
    got = fit_one(part, y, penalty, np.zeros(6))
    assert got[1:] * part.scale[1:] == pytest.approx(model.coef_[0], abs=1e-5)
    assert part.z @ got == pytest.approx(odds(x[view.mask]), abs=1e-4)
    # From anywhere else it ends in the same place.
    assert fit_one(part, y, penalty, np.linspace(-3, 3, 6)) == pytest.approx(got, abs=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_predictions_and_penalties_equal_a_loop_of_scikit_learns_fits(seed):
    x, z, view = problem(seed)
    columns = view.columns[..., view.classes]
    got = logistic_predictions(z, columns, view)
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
    flat = x[view.mask]
    for c in range(columns.shape[-1]):
        y = columns[..., c][view.mask]
        for k in range(4):
            errors = []
            for penalty in PENALTIES:
                total = 0.0
                for g in set(range(4)) - {k}:
                    inner = (fold != k) & (fold != g)
                    p = expit(sklearns(flat[inner], y[inner], penalty)[1](flat[fold == g]))
                    total += log_loss(y[fold == g], p, labels=[0, 1], normalize=False)
                errors.append(total)
            best = PENALTIES[int(np.argmin(errors))]
            expected = sklearns(flat[fold != k], y[fold != k], best)[1](flat[fold == k])
            assert got[..., c][view.mask][fold == k] == pytest.approx(expected, abs=1e-4)
    assert not got[~view.mask].any()


def test_a_held_out_sequence_changes_no_prediction_of_its_own_fit():
    _, z, view = problem(1)
    columns = view.columns[..., view.classes]
    before = logistic_predictions(z, columns, view)
    held_out = view.split.members[2]
    other = columns.copy()
    other[held_out] = (1 - columns[held_out]) * view.mask[held_out][..., None]
    after = logistic_predictions(z, other, view)
    assert np.array_equal(after[held_out], before[held_out]) and not np.allclose(after, before)


def test_classes_that_can_be_separated_stay_finite_and_are_ranked_right():
    rng = np.random.default_rng(0)
    mask = np.ones((30, 8), bool)
    x = rng.normal(size=(30, 8, 4))
    x[..., 3] = x[..., 0]
    view = View.make(check_signals({"side": (x[..., 0] > 0.3).astype(float)}, mask), np.full(30, 8), Split.make(30, 5))
    z = standardise(x, mask)
    odds = logistic_predictions(z, view.columns, view)
    assert np.isfinite(odds).all() and np.abs(odds).max() < 1e3
    assert evaluate_predictions(odds, view).score[0, 0] > 0.999
    fit = fit_logistic(z, view.columns, view)
    assert fit.coefficients[:, 0] == pytest.approx(fit.coefficients[:, 3], abs=1e-6)


def test_one_class_or_a_constant_unit_in_a_training_part_says_nothing():
    """All positives lie in fold 0, and unit 0 varies there alone: fold 0's own fit has nothing to go by."""
    rng = np.random.default_rng(1)
    mask, split = np.ones((20, 6), bool), Split(np.arange(20) % 4)
    first = split.fold == 0
    x = rng.normal(size=(20, 6, 3))
    x[~first, :, 0] = 7.0
    bit = (x[..., 1] > 0) & first[:, None]
    view = View.make(check_signals({"bit": bit.astype(float)}, mask), np.full(20, 6), split)
    fit = fit_logistic(standardise(x, mask), view.columns, view)
    assert not fit.coefficients[0].any() and not fit.intercept[0].any()
    assert np.isfinite(fit.coefficients).all() and np.abs(fit.coefficients[1:, 1]).min() > 0.1
    both = np.where(first[:, None], bit, x[..., 2] > 0).astype(float)
    two = View.make(check_signals({"bit": both}, mask), np.full(20, 6), split)
    assert fit_logistic(standardise(x, mask), two.columns, two).coefficients[0, 0, 0] == 0


def test_two_folds_have_a_fixed_penalty():
    x, z, view = problem(2, folds=2)
    got = logistic_predictions(z, view.columns[..., [0]], view)[..., 0]
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
    y = view.columns[..., 0][view.mask]
    expected = sklearns(x[view.mask][fold == 1], y[fold == 1], 1e-3)[1](x[view.mask][fold == 0])
    assert got[view.mask][fold == 0] == pytest.approx(expected, abs=1e-4)
