"""R² and AUROC against scikit-learn, sequence by sequence, for any lengths and scales."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.inference.evaluate import evaluate_predictions, evaluate_units
from lstm_probe.probing.inference.intervals import bootstrap_weights
from lstm_probe.probing.inference.scores import average_ranks


def problem(seed, sequences=14, time=9, units=3, lag=0, shortest=3):
    """Random units (one of them saturated, so with many ties), signals of all kinds, and unequal lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, time + 1, size=sequences)
    x = rng.normal(size=(sequences, time, units)).cumsum(1)
    x[..., 0] = np.round(np.clip(x[..., 0], -1, 1), 1)
    noise = rng.normal(size=(sequences, time))
    signals = {
        "value": x[..., 1] + noise,
        "bit": (x[..., 0] + noise > 0.5).astype(float),
        "label": np.digitize(x[..., 2] + noise, [-1, 1]).astype(np.int64),
    }
    mask = np.arange(time) < lengths[:, None]
    checked = check_signals(signals, mask)
    return x, signals, View.make(checked, lengths, Split.make(sequences, 4, seed), lag)


def steps(view, values):
    """The real steps of what has a value at every step, and the fold of each."""
    fold = np.broadcast_to(view.split.fold[:, None], view.mask.shape)
    return values[view.mask], fold[view.mask]


def oracle_r2(x, y, fold):
    predicted = cross_val_predict(LinearRegression(), x[:, None], y, cv=PredefinedSplit(fold))
    return r2_score(y, predicted)


def oracle_auroc(x, y, fold, oriented=True):
    """Pairs of the same fold; which way is up is learned on the other folds."""
    excess, pairs = [], []
    for k in np.unique(fold):
        here = fold == k
        n = y[here].sum() * (~y[here]).sum()
        pairs.append(n)
        excess.append(n * (roc_auc_score(y[here], x[here]) - 0.5) if n else 0.0)
    total = 0.0
    for own in excess:
        others = sum(excess) - own
        total += own * (np.sign(np.round(others, 9)) if oriented else 1)
    return 0.5 + total / sum(pairs)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    shift=st.sampled_from([0.0, 1.0, -30.0]),
)
def test_r2_equals_cross_val_predict_on_any_scale(seed, scale, shift):
    x, signals, view = problem(seed)
    scores = evaluate_units(standardise((x + shift) * scale, view.mask), view).score
    y, fold = steps(view, signals["value"])
    for unit in range(x.shape[-1]):
        expected = oracle_r2(x[..., unit][view.mask], y, fold)
        assert scores[unit, 0] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), lag=st.integers(0, 2))
def test_auroc_equals_roc_auc_score_with_ties_and_learned_orientation(seed, lag):
    x, signals, view = problem(seed, lag=lag)
    scores = evaluate_units(standardise(x[:, lag:], view.mask), view).score
    bit, fold = steps(view, signals["bit"][:, : 9 - lag] > 0)
    label, _ = steps(view, signals["label"][:, : 9 - lag])
    for unit in range(x.shape[-1]):
        values = x[:, lag:, unit][view.mask]
        assert scores[unit, 1] == pytest.approx(oracle_auroc(values, bit, fold), abs=1e-9)
        macro = np.mean([oracle_auroc(values, label == k, fold) for k in np.unique(label)])
        assert scores[unit, 2] == pytest.approx(macro, abs=1e-9)


def test_predictions_are_scored_as_they_are():
    _, _, view = problem(5)
    rng = np.random.default_rng(0)
    predictions = np.where(view.mask[..., None], view.columns + rng.normal(size=view.columns.shape), 0.0)
    scores = evaluate_predictions(predictions, view).score[0]
    y, fold = steps(view, view.columns)
    guess, _ = steps(view, predictions)
    assert scores[0] == pytest.approx(r2_score(y[:, 0], guess[:, 0]), abs=1e-12)
    assert scores[1] == pytest.approx(oracle_auroc(guess[:, 1], y[:, 1] > 0, fold, oriented=False), abs=1e-12)
    turned = evaluate_predictions(-predictions, view).score[0]
    assert turned[1:] == pytest.approx(1 - scores[1:], abs=1e-12)


def test_scores_are_the_same_with_and_without_intervals():
    """Without them ranks are needed within folds alone, and only in sums."""
    x, _, view = problem(5)
    x = standardise(x, view.mask)
    alone, with_interval = (evaluate_units(x, view, own) for own in (None, bootstrap_weights(len(x), 5, seed=0)))
    assert np.array_equal(alone.score, with_interval.score, equal_nan=True)


def test_ranks_equal_scipy():
    values = np.random.default_rng(1).integers(0, 9, size=(5, 40)).astype(float)
    values[0] = np.random.default_rng(2).normal(size=40)
    assert np.array_equal(average_ranks(values), rankdata(values, axis=1))


@pytest.mark.parametrize("kind", ["saturated", "heavy tails", "single", "denormal", "huge", "nearly equal", "constant"])
def test_ranks_equal_scipy_however_values_lie(kind):
    """The 32 bits that a radix sort looks at do not tell apart all of these values."""
    z = np.random.default_rng(3).standard_cauchy(size=(4, 700))
    values = {
        "saturated": 1 / (1 + np.exp(np.clip(-9 * z, -700, 700))),
        "heavy tails": z**3,
        "single": z.astype(np.float32),
        "denormal": np.sign(z) * np.round(np.abs(z)) * 5e-324,
        "huge": 1.7e308 * np.tanh(z),
        "nearly equal": 1 + np.round(z) * np.finfo(float).eps,
        "constant": np.ones_like(z),
    }[kind]
    assert np.array_equal(average_ranks(values), rankdata(values, axis=1))


def test_what_lies_beyond_a_sequences_end_changes_nothing():
    x, _, view = problem(7)
    before = evaluate_units(standardise(x, view.mask), view).score
    x[~view.mask] = np.nan
    assert np.array_equal(evaluate_units(standardise(x, view.mask), view).score, before)


def test_constants():
    """A constant unit is at chance, a constant signal has no score, and nothing is divided by zero."""
    x, signals, view = problem(3)
    x[..., 0] = 2.5
    x[..., 1] = 0
    x[4, 1, 1] = 1
    signals = {**signals, "flat": np.ones(view.mask.shape), "flat bit": np.full(view.mask.shape, "a")}
    checked = check_signals(signals, view.mask)
    wide = View.make(checked, view.mask.sum(1), view.split)
    with np.errstate(all="raise", under="ignore"):
        scores = evaluate_units(standardise(x, wide.mask), wide).score
    assert scores[0, :3] == pytest.approx([0, 0.5, 0.5], abs=1e-12)
    assert np.isfinite(scores[:, :3]).all()
    assert np.isnan(scores[:, 3:]).all()


def test_a_class_that_a_fold_lacks_counts_in_the_others_alone():
    """And where one fold alone has it, which way is up cannot be learned: chance."""
    split = Split(np.array([0, 0, 1, 1, 2, 2]))
    x = np.arange(24.0).reshape(6, 4, 1) % 5
    two, one = np.zeros((6, 4)), np.zeros((6, 4))
    two[0, 3] = two[2, 1] = one[0, 3] = 1
    view = View.make(check_signals({"two": two, "one": one}, np.ones((6, 4), bool)), np.full(6, 4), split)
    scores = evaluate_units(standardise(x, view.mask), view).score[0]
    fold = np.repeat(split.fold, 4)
    assert scores[0] == pytest.approx(oracle_auroc(x.ravel(), two.ravel() > 0, fold))
    assert scores[1] == 0.5


def test_predictions_that_differ_by_rounding_alone_are_ties():
    """Half of a pair that is predicted alike counts, whichever of the two rounding puts first."""
    _, signals, view = problem(3)
    rng = np.random.default_rng(0)
    predictions = np.round(rng.normal(size=view.columns.shape)) * view.mask[..., None]
    shaken = predictions + 1e-15 * rng.normal(size=predictions.shape)
    assert (shaken != predictions).any()
    exact, other = (evaluate_predictions(own, view).score[0] for own in (predictions, shaken))
    y, fold = steps(view, signals["bit"].astype(bool))
    bit = [signal.name for signal in view.signals].index("bit")
    column = int(np.flatnonzero(view.owner == bit)[0])
    expected = oracle_auroc(predictions[..., column][view.mask], y, fold, oriented=False)
    assert exact[bit] == pytest.approx(expected, abs=1e-9) and other[bit] == pytest.approx(expected, abs=1e-9)
