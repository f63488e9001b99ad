"""What the present input tells, against pandas, scikit-learn and SciPy; functions of it, and memories, by name."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.interpolate import CubicSpline
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.vectors import hashed_rows
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference import present
from lstm_probe.probing.inference.present import Curves, InputFeatures, PresentInput, present_input, ways
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording


def recording(x, lengths=None):
    """A recording of which only the inputs matter."""
    inputs = torch.as_tensor(x)
    n, time, width = inputs.shape
    part = LayerRecording(0, "forward", inputs, c=torch.zeros(n, time, 1))
    lengths = torch.full((n,), time) if lengths is None else torch.as_tensor(lengths)
    return Recording({(0, "forward"): part}, lengths, LSTMConfig(width, 1))


def view_of(rec, signals, lag=0):
    checked = check_signals(signals, rec.mask.numpy())
    return View.make(checked, rec.lengths.numpy(), Split.make(len(rec), 5), lag)


def effects_of(x, signals, lengths=None):
    rec = recording(x, lengths)
    return dict(zip(signals, present_input(rec, view_of(rec, signals))))


def memories(x):
    """Signals that the present input says nothing of; `x` is symmetric about 0."""
    before = np.roll(x, 1, axis=1)
    before[:, 0] = 0
    return {"previous": before, "sum before": np.cumsum(before, 1), "parity": np.cumsum(x > 0, 1) % 2}


def tables(rng, n=120, time=30):
    """Inputs whose vectors recur, functions of them, and memories."""
    bits = rng.integers(0, 2, (n, time, 3))
    yield bits, {"xor": bits[..., 0] ^ bits[..., 1], "and": bits.all(-1), "xor of 3": bits.sum(-1) % 2}, bits[..., 0]
    symbols = rng.integers(0, 4, (n, time))
    yield np.eye(4)[symbols], {"is 1 or 2": (symbols % 3 > 0), "value": rng.normal(size=4)[symbols]}, symbols % 2
    words = rng.integers(0, 50, (n, time))
    embedded = rng.normal(size=(50, 8))[words]
    yield embedded, {"in a set": np.isin(words, range(0, 50, 3)), "value": rng.normal(size=50)[words]}, words % 2


@pytest.mark.parametrize("seed", range(3))
def test_what_can_be_looked_up_is_known_and_what_was_before_is_not(seed):
    rng = np.random.default_rng(seed)
    for x, functions, bit in tables(rng):
        found = effects_of(x.astype(np.float32), functions | memories(2 * bit - 1.0))
        assert min(found[name] for name in functions) > 0.98
        assert found["previous"] < 0.02 and found["parity"] < 0.1 and found["sum before"] < 0.1


@pytest.mark.parametrize("draw", ["normal", "uniform", "laplace"])
@pytest.mark.parametrize("width", [2, 4, 8])
def test_functions_of_numbers_are_known_and_what_was_before_is_not(draw, width):
    rng = np.random.default_rng(width)
    x = rng.uniform(-2, 2, (120, 30, width)) if draw == "uniform" else getattr(rng, draw)(size=(120, 30, width))
    functions = {
        "product": x[..., 0] * x[..., 1], "size": np.abs(x[..., 0]), "far": np.abs(x[..., 1]) > 0.7,
        "signs": (x[..., 0] > 0) ^ (x[..., 1] > 0),
    }  # fmt: skip
    found = effects_of(x, functions | memories(x[..., 0]))
    # Of eight inputs there are products of ranks, but not of curves.
    assert min(found[name] for name in functions) > (0.98 if width <= 4 else 0.96)
    assert found["previous"] < 0.02 and found["parity"] < 0.1 and found["sum before"] < 0.1


def held_out_auroc(y, predicted, fold):
    """The AUROC over all pairs of steps of the same fold."""
    pairs = wins = 0.0
    for k in range(fold.max() + 1):
        own = y[fold == k] > 0
        count = own.sum() * (~own).sum()
        pairs, wins = pairs + count, wins + count * roc_auc_score(own, predicted[fold == k])
    return wins / pairs


def test_a_look_up_is_the_training_parts_mean_by_pandas():
    rng = np.random.default_rng(0)
    words, lengths = rng.integers(0, 9, (30, 12)), rng.integers(6, 13, 30)
    rec = recording(rng.normal(size=(9, 12))[words], lengths)
    noise = rng.normal(size=(30, 12))
    signals = {"v": rng.normal(size=9)[words] + noise, "b": words + 4 * noise > 5}
    for lag in (0, 2):
        # What the units' input tells is the signal of two steps before.
        own = {name: np.roll(values, -lag, axis=1) for name, values in signals.items()}
        view = view_of(rec, own, lag)
        fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)[view.mask]
        table = pd.DataFrame(view.columns[view.mask]).assign(word=words[:, lag:][view.mask])
        parts = []
        for k in range(5):
            training = table[fold != k]
            means = (training.groupby("word").sum() + training[[0, 1]].mean()).div(
                training.groupby("word").size() + 1, axis=0
            )
            parts.append(means.reindex(table.word[fold == k]).set_index(table.index[fold == k]))
        expected = pd.concat(parts).sort_index().to_numpy()
        got = present_input(rec, view)
        assert got[0] == pytest.approx(r2_score(table[0], expected[:, 0]), abs=1e-9) and got[0] > 0.3
        assert got[1] == pytest.approx(2 * held_out_auroc(table[1].to_numpy(), expected[:, 1], fold) - 1, abs=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_it_knows_no_less_than_scikit_learns_splines_and_trees(seed):
    """Of functions of one or two numbers; its own linear fit, splines and products are written by hand."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 25, 3))
    noise = rng.normal(size=(80, 25))
    signals = {
        "product": x[..., 0] * x[..., 1] + noise, "bump": np.exp(-(x[..., 0] ** 2)) + 0.2 * noise,
        "larger": np.maximum(x[..., 1], x[..., 2]) + 0.3 * noise, "line": x.sum(-1) + noise,
        "both": ((x[..., 0] > 0) & (x[..., 2] > 0)) ^ (rng.random((80, 25)) < 0.1),
    }  # fmt: skip
    rec = recording(x)
    view = view_of(rec, signals)
    fold = np.repeat(view.split.fold, 25)
    pairs = PolynomialFeatures(2, interaction_only=True)
    splines = make_pipeline(SplineTransformer(6, knots="quantile"), pairs, RidgeCV(np.logspace(-3, 3, 7)))
    trees = HistGradientBoostingRegressor(random_state=0)
    score = {"r2": r2_score, "auroc": lambda y, predicted: 2 * held_out_auroc(y, predicted, fold) - 1}
    for g, found in enumerate(present_input(rec, view)):
        y, flat = view.columns[..., g].ravel(), x.reshape(-1, 3)
        held_out = [cross_val_predict(each, flat, y, cv=PredefinedSplit(fold)) for each in (splines, trees)]
        other = max(score[view.signals[g].metric](y, predicted) for predicted in held_out)
        assert other - 0.03 < found < other + 0.1, view.signals[g].name


@pytest.mark.parametrize("values", [3, 5, 8, 400])
def test_curves_are_the_natural_splines_of_scipy_and_any_function_of_few_values(values):
    rng = np.random.default_rng(values)
    levels = np.sort(rng.normal(size=values))
    x = np.append(rng.choice(levels, 500), levels)
    curves = Curves.of(x)
    z = curves(x)
    assert z.mean(0) == pytest.approx(0, abs=1e-9) and z.T @ z / len(z) == pytest.approx(np.eye(z.shape[1]), abs=1e-6)
    knots = np.quantile(levels, present.KNOTS)
    inside = (x >= knots[0]) & (x <= knots[-1])
    drawn = CubicSpline(knots, rng.normal(size=len(knots)), bc_type="natural")(x)
    if values <= 6:
        assert z.shape[1] == values - 1
        inside, drawn = x == x, rng.normal(size=values)[np.searchsorted(levels, x)]
    fit = LinearRegression().fit(z[inside], drawn[inside])
    assert fit.predict(z[inside]) == pytest.approx(drawn[inside], abs=1e-5)
    assert Curves.of(np.array([1.0, 0, 1])) is None


def test_what_a_number_mostly_is_takes_one_knot():
    rng = np.random.default_rng(0)
    events = rng.random((100, 30)) < 0.04
    x = np.stack([events * rng.normal(size=(100, 30)), rng.normal(size=(100, 30))], axis=-1)
    found = effects_of(x, {"size": np.abs(x[..., 0]), "large": np.abs(x[..., 0]) > 1, "event": x[..., 0] != 0})
    assert found["size"] > 0.95 and found["large"] > 0.85


@pytest.mark.parametrize("width", [1, 2, 4, 5, 39, 300, 1200])
def test_features_are_bounded_however_wide_the_input(width):
    rng = np.random.default_rng(width)
    rows = rng.normal(size=(60, width)) * np.linspace(1, 3, width)
    made = InputFeatures.of(rows)(rows)
    assert made.shape[1] <= 5 * present.MOST_CURVED + present.MOST_PRODUCTS and np.isfinite(made).all()
    assert len(present.linear_inputs(rows)) == min(width, present.MOST_LINEAR)
    if width > present.MOST_LINEAR:
        assert present.linear_inputs(rows).tolist() == np.argsort(-rows.var(0), kind="stable")[:800].tolist()
    products = {1: 0, 2: 25, 4: 150, 5: 40, 39: 190}
    if width in products:
        assert made.shape[1] == 5 * width + products[width]


@pytest.mark.parametrize("width", [300, 3000])
def test_wide_inputs_are_known_linearly_or_by_their_symbol(width):
    rng = np.random.default_rng(1)
    if width == 300:
        x = rng.normal(size=(60, 20, width)).astype(np.float32)
        signals = {"mean": x[..., :5].sum(-1), "noise": rng.normal(size=(60, 20))}
    else:
        symbols = np.minimum(rng.geometric(0.02, (200, 20)), width) - 1
        x = np.eye(width, dtype=np.float32)[symbols]
        signals = {"v": rng.normal(size=width)[symbols], "noise": rng.normal(size=(200, 20))}
    found = effects_of(x, signals)
    assert next(iter(found.values())) > 0.9 and found["noise"] < 0.02


def test_constant_inputs_say_nothing_and_trouble_nothing():
    rng = np.random.default_rng(2)
    x = np.full((40, 10, 3), 7.0)
    signals = {"v": rng.normal(size=(40, 10)), "b": rng.random((40, 10)) > 0.5}
    assert effects_of(x, signals) == {"v": 0, "b": 0}
    x[..., 1] = rng.normal(size=(40, 10))
    found = effects_of(x, {"square": x[..., 1] ** 2, **signals})
    assert found["square"] > 0.98 and found["v"] < 0.05


def test_the_input_is_that_of_the_units_step_and_the_signal_lies_before():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(100, 12, 1))
    later = np.roll(x[..., 0], -2, axis=1) ** 2
    rec = recording(x)
    views = [view_of(rec, {"v": later}, lag) for lag in (0, 2)]
    one = PresentInput(rec, views[0].signals[0])
    got = [one.effects(view)[0] for view in views]
    assert got == [present_input(rec, view)[0] for view in views]
    assert got[0] < 0.02 and got[1] > 0.98
    # Types and features are made once.
    assert one.features is one.features and one.types is one.types


def test_only_labelled_steps_count_and_nothing_beyond_an_end_matters():
    rng = np.random.default_rng(4)
    x, lengths = rng.normal(size=(90, 14, 2)), rng.integers(7, 15, 90)
    past = np.arange(14) >= lengths[:, None]
    truth = x[..., 0] * x[..., 1]
    signal = np.where(rng.random((90, 14)) < 0.5, np.nan, truth)
    clean = effects_of(np.where(past[..., None], 0, x), {"v": signal}, lengths)["v"]
    assert clean > 0.98
    assert effects_of(np.where(past[..., None], np.nan, x), {"v": signal}, lengths)["v"] == clean
    bits = rng.integers(0, 2, (90, 14, 2)).astype(float)
    some = np.where(rng.random((90, 14)) < 0.2, bits.sum(-1) % 2, np.nan)
    assert effects_of(np.where(past[..., None], np.nan, bits), {"b": some}, lengths)["b"] == 1


def test_a_number_that_is_none_is_named():
    x = np.random.default_rng(5).normal(size=(20, 6, 2))
    x[3, 4, 1] = np.inf
    with pytest.raises(InputError, match=r"^inputs: not a number at sequence 3, step 4$"):
        effects_of(x, {"v": x[..., 0]})


def test_few_vectors_are_looked_up_and_lines_are_left_out_where_they_add_nothing():
    assert ways(20, 100, 30) == (True, False) and ways(20, 100, 20) == (True, False)
    assert ways(20, 100, 19) == (True, True) and ways(21, 100, 30) == (False, True)


def test_hashes_are_of_the_number_whatever_its_type():
    rng = np.random.default_rng(6)
    rows = np.round(rng.normal(size=(400, 3)), 1).astype(np.float32)
    rows[rows == 0] = -0.0
    hashes = hashed_rows(rows)
    assert np.array_equal(hashes, hashed_rows(rows.astype(np.float64) + 0.0))
    _, by_hash = np.unique(hashes, return_inverse=True)
    _, by_row = np.unique(rows + 0.0, axis=0, return_inverse=True)
    assert len(np.unique(by_hash)) == len(np.unique(np.stack([by_hash, by_row.ravel()]), axis=1).T)
    assert len(np.unique(by_hash)) == by_row.max() + 1
