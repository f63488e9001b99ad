"""Random bases: uniform, scored as by a loop over the turned data, and fair where units are alike."""

import numpy as np
import pytest
from scipy.stats import beta, kstest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.ridge import Gram
from lstm_probe.probing.inference import rotation
from lstm_probe.probing.inference.rotation import direction_scores, random_rotations, rotation_test


def problem(seed, sequences=14, time=8, units=4, folds=3):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, time + 1, size=sequences)
    mask = np.arange(time) < lengths[:, None]
    z = standardise(rng.normal(size=(sequences, time, units)) @ rng.normal(size=(units, units)), mask)
    signals = {
        "one": z[..., 2] + 0.1 * rng.normal(size=mask.shape),
        "noise": rng.normal(size=mask.shape),
        "bit": (z[..., 0] > 0.5).astype(float),
        "kind": np.digitize(z[..., 1], [-0.5, 0.5]),
        "flat": np.ones(mask.shape),
    }
    view = View.make(check_signals(signals, mask), lengths, Split.make(sequences, folds, seed))
    return z, view


def looped(x, view):
    """R² of every unit for every signal by a fit for each fold; the mean over a signal's indicators."""
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
    flat, out = x[view.mask], np.full((x.shape[-1], len(view.signals)), np.nan)
    for g, signal in enumerate(view.signals):
        scores = np.zeros((x.shape[-1], (view.owner == g).sum()))
        for c, column in enumerate(np.flatnonzero(view.owner == g)):
            y = view.columns[..., column][view.mask]
            for u in range(x.shape[-1]):
                predicted = np.empty(len(y))
                for k in range(view.split.folds):
                    fit = LinearRegression().fit(flat[fold != k][:, [u]], y[fold != k])
                    predicted[fold == k] = fit.predict(flat[fold == k][:, [u]])
                scores[u, c] = r2_score(y, predicted)
        out[:, g] = np.nan if signal.name == "flat" else np.maximum(0, scores.mean(1))
    return out


def test_rotations_are_uniform():
    turns = random_rotations(5, 2000, seed=1)
    assert turns.transpose(0, 2, 1) @ turns == pytest.approx(np.broadcast_to(np.eye(5), turns.shape), abs=1e-12)
    # The square of any coordinate of a uniform direction is Beta(1/2, (n − 1)/2); both signs are as likely.
    for row, column in ((0, 0), (3, 1), (4, 4)):
        assert kstest(turns[:, row, column] ** 2, beta(0.5, 2).cdf).pvalue > 0.01
        assert abs((turns[:, row, column] > 0).mean() - 0.5) < 0.04
    assert abs((np.linalg.det(turns) > 0).mean() - 0.5) < 0.04
    assert np.array_equal(turns[:7], random_rotations(5, 2000, seed=1)[:7])
    assert not np.allclose(turns[:7], random_rotations(5, 7, seed=2))


@pytest.mark.parametrize("seed", range(3))
def test_a_test_equals_a_loop_over_the_turned_data(seed, monkeypatch):
    z, view = problem(seed)
    gram, turns = Gram.per_fold(z, view.columns, view), random_rotations(4, 9, seed)
    own = looped(z, view)
    assert direction_scores(gram, view, np.eye(4)) == pytest.approx(own, abs=1e-9, nan_ok=True)
    best = np.array([looped(z @ q, view).max(0) for q in turns])
    got = rotation_test(gram, view, turns)
    assert got.best_effect == pytest.approx(own.max(0), abs=1e-9, nan_ok=True)
    assert got.best_unit.tolist() == [*own[:, :4].argmax(0), -1]
    assert got.second_unit[4] == -1 and (got.second_unit != got.best_unit)[:4].all()
    assert own[got.second_unit[:4], range(4)] == pytest.approx(np.sort(own, axis=0)[-2, :4], abs=1e-9)
    assert got.second_effect == pytest.approx(np.sort(own, axis=0)[-2], abs=1e-9, nan_ok=True)
    assert got.rotated == pytest.approx(np.median(best, axis=0), abs=1e-9, nan_ok=True)
    assert got.rotated_high == pytest.approx(np.percentile(best, 95, axis=0), abs=1e-9, nan_ok=True)
    assert got.p_rotation[:4] == pytest.approx((1 + (best >= own.max(0)).sum(0)[:4]) / 10)
    assert np.isnan(got.p_rotation[4])
    monkeypatch.setattr(rotation, "BATCH_BYTES", 1)
    again = rotation_test(gram, view, turns)
    assert again.rotated == pytest.approx(got.rotated, nan_ok=True)


def test_nothing_to_rotate():
    z, view = problem(3)
    one = rotation_test(Gram.per_fold(z[..., [2]], view.columns, view), view, random_rotations(1, 5, 0))
    assert one.best_effect[0] > 0.9 and one.best_unit.tolist() == [0, 0, 0, 0, -1]
    assert np.isnan(one.rotated).all() and np.isnan(one.rotated_high).all() and np.isnan(one.p_rotation).all()


def test_where_all_units_are_alike_every_direction_does():
    z, view = problem(4)
    same = np.repeat(z[..., [2]], 6, axis=-1) * np.array([1, -1, 1, 1, -1, 1])
    got = rotation_test(Gram.per_fold(same, view.columns, view), view, random_rotations(6, 50, 0))
    assert got.p_rotation[0] == 1 and got.rotated[0] == pytest.approx(got.best_effect[0])


def test_of_turned_independent_units_p_is_uniform():
    """Signals that are random directions of independent units: the recorded basis is one of many."""
    rng = np.random.default_rng(0)
    mask, values = np.ones((60, 10), bool), []
    z = standardise(rng.normal(size=(60, 10, 8)), mask)
    for seed in range(12):
        mixed = z @ random_rotations(8, 1, 100 + seed)[0]
        checked = check_signals({f"s{k}": mixed[..., k] for k in range(8)}, mask)
        view = View.make(checked, np.full(60, 10), Split.make(60))
        gram = Gram.per_fold(z, view.columns, view)
        values += rotation_test(gram, view, random_rotations(8, 99, seed)).p_rotation.tolist()
    assert kstest(values, "uniform").pvalue > 0.01
