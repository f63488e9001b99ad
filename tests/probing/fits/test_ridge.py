"""Ridge from Gram matrices against scikit-learn, and greedy selection against trying every unit."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.forward import fewest_units, selection_path
from lstm_probe.probing.fits.ridge import PENALTIES, Gram, Standardised, ridge_predictions
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects


def problem(seed, sequences=16, time=7, units=6):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, time + 1, size=sequences)
    mask = np.arange(time) < lengths[:, None]
    x = rng.normal(size=(sequences, time, units)) @ rng.normal(size=(units, units))
    x = x * 10.0 ** rng.integers(-4, 5, size=units)
    z = standardise(x, mask)
    weak = z[..., 0] - z[..., 2] + 3 * rng.normal(size=mask.shape)
    strong = z[..., 1] + z[..., 3] + 0.1 * rng.normal(size=mask.shape)
    checked = check_signals({"weak": weak, "strong": strong, "bit": (weak > 1).astype(float)}, mask)
    return x, z, View.make(checked, lengths, Split.make(sequences, 4, seed))


def fitted(x, y, penalty):
    scaler = StandardScaler().fit(x)
    model = Ridge(alpha=penalty * len(x)).fit(scaler.transform(x), y)
    return lambda new: model.predict(scaler.transform(new))


@pytest.mark.parametrize("seed", range(4))
def test_predictions_equal_a_loop_of_scikit_learns_fits(seed):
    x, z, view = problem(seed)
    got = ridge_predictions(z, view.columns, view)
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
    flat = x[view.mask]
    for column in range(view.columns.shape[-1]):
        y = view.columns[..., column][view.mask]
        expected = np.empty(len(y))
        for k in range(4):
            errors = [
                sum(
                    np.square(
                        y[fold == g]
                        - fitted(flat[(fold != k) & (fold != g)], y[(fold != k) & (fold != g)], p)(flat[fold == g])
                    ).sum()
                    for g in range(4)
                    if g != k
                )
                for p in PENALTIES
            ]
            best = PENALTIES[int(np.argmin(errors))]
            expected[fold == k] = fitted(flat[fold != k], y[fold != k], best)(flat[fold == k])
        assert got[..., column][view.mask] == pytest.approx(expected, abs=1e-7)
    assert not got[~view.mask].any()


def test_a_held_out_sequence_changes_no_prediction_of_its_own_fit():
    """Changing the signal in one fold leaves that fold's predictions as they were, bit for bit."""
    _, z, view = problem(1)
    before = ridge_predictions(z, view.columns, view)
    columns = view.columns.copy()
    held_out = view.split.members[2]
    columns[held_out] = 5 - 3 * columns[held_out]
    after = ridge_predictions(z, columns, view)
    assert np.array_equal(after[held_out], before[held_out])
    assert not np.allclose(after, before)


def test_constant_and_doubled_features_are_no_trouble():
    _, z, view = problem(2)
    wide = np.concatenate([z, z[..., :1], np.zeros_like(z[..., :1])], axis=-1)
    assert np.isfinite(ridge_predictions(wide, view.columns, view)).all()


def test_two_folds_have_a_fixed_penalty():
    _, z, view = problem(3)
    halves = View.make(view.signals, view.mask.sum(1), Split(view.split.fold % 2))
    assert np.isfinite(ridge_predictions(z, halves.columns, halves)).all()


def test_selection_equals_trying_every_unit():
    """In each training part, the next unit is the one whose fit together with those chosen errs least."""
    _, z, view = problem(4)
    part = Standardised.of(Gram.per_fold(z, view.columns, view).training())
    column = 1
    path = selection_path(part.xx, part.xy[..., [column]]) / part.scale[:, :, None]
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
    for k in range(4):
        x, y = z[view.mask][fold != k], view.columns[..., column][view.mask][fold != k]
        chosen: list[int] = []
        for step in range(z.shape[-1]):
            fits = {u: LinearRegression().fit(x[:, [*chosen, u]], y) for u in range(z.shape[-1]) if u not in chosen}
            best = max(fits, key=lambda u: fits[u].score(x[:, [*chosen, u]], y))
            chosen.append(best)
            expected = np.zeros(z.shape[-1])
            expected[chosen] = fits[best].coef_
            assert path[step, k, :, 0] == pytest.approx(expected, abs=1e-6)


def test_fewest_units():
    rng = np.random.default_rng(0)
    mask = np.ones((40, 10), bool)
    x = rng.normal(size=(40, 10, 8))
    signals = {
        "one": x[..., 2] + 0.01 * rng.normal(size=mask.shape),
        "three": x[..., [1, 4, 6]].sum(-1),
        "bit": (x[..., 0] + x[..., 5] > 0).astype(float),
        "noise": rng.normal(size=mask.shape),
        "flat": np.ones(mask.shape),
    }
    view = View.make(check_signals(signals, mask), np.full(40, 10), Split.make(40, 5))
    z = standardise(x, mask)
    full = effects(evaluate_predictions(ridge_predictions(z, view.columns, view), view).score, view)[0]
    assert fewest_units(z, view, full) == [1, 3, 2, None, None]
