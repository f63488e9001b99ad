"""Every closed form against scikit-learn, scipy or a plain loop, for any lengths: padded steps weigh nothing.

`test_scores.py` has R² and AUROC of single units by folds, and `test_ridge.py` ridge with penalties chosen inside.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, pearsonr, rankdata
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import PredefinedSplit

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.forward import selection_path
from lstm_probe.probing.fits.moments import Moments
from lstm_probe.probing.fits.ridge import PENALTIES, Gram, Standardised, fit_ridge, solve_penalties
from lstm_probe.probing.inference.evaluate import evaluate_units
from lstm_probe.probing.inference.intervals import correlations
from lstm_probe.probing.inference.multiplicity import family, q_values
from lstm_probe.probing.inference.scores import average_ranks, ranks_within

FOLDS, TIME = 3, 8
SEEDS = st.integers(0, 10**6)
EASY = settings(max_examples=25, deadline=None)


def problem(seed, units=4, sequences=15):
    """Unequal lengths, some of them 0; units of mixed scales, with what is padded far off."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, TIME + 1, size=sequences)
    lengths[: 2 * FOLDS] = TIME
    mask = np.arange(TIME) < lengths[:, None]
    x = rng.normal(size=(sequences, TIME, units)).cumsum(1) @ rng.normal(size=(units, units))
    value = x[..., 0] - x[..., 1] + 3 * rng.normal(size=mask.shape)
    x = np.round(x, 1) * 10.0 ** rng.integers(-3, 4, size=units)
    x[~mask], value[~mask] = 1e6, 1e6
    split = Split(np.concatenate([np.repeat(np.arange(FOLDS), 2), rng.integers(0, FOLDS, size=sequences - 2 * FOLDS)]))
    # Every fold has both classes.
    bit = value > np.median(value[mask])
    bit[:, 0], bit[:, 1] = True, False
    return x, value, bit, View.make(check_signals({"v": value, "b": bit}, mask), lengths, split)


def every_step(values):
    """All steps, real or not, one after the other."""
    return values.reshape(-1, *values.shape[2:])


def weights_and_folds(view):
    """Each step's weight, 0 where it is padded, and its fold."""
    return every_step(view.mask).astype(float), np.repeat(view.split.fold, TIME)


@EASY
@given(seed=SEEDS)
def test_r2_equals_least_squares_with_padded_steps_weighted_0(seed):
    x, value, _, view = problem(seed)
    scores = evaluate_units(standardise(x, view.mask), view).score
    weight, fold = weights_and_folds(view)
    y = every_step(value)
    for unit in range(x.shape[-1]):
        own, predicted = every_step(x[..., unit])[:, None], np.zeros(len(y))
        # Least squares of a column of 10⁶ beside others of 10⁻³ need a scale first, in scikit-learn too.
        own = np.where(weight[:, None] > 0, own, 0)
        own = own / np.abs(own).max()
        for k in range(FOLDS):
            fit = LinearRegression().fit(own, np.where(weight > 0, y, 0), sample_weight=weight * (fold != k))
            predicted[fold == k] = fit.predict(own[fold == k])
        assert scores[unit, 0] == pytest.approx(r2_score(y, predicted, sample_weight=weight), abs=1e-6)


@EASY
@given(seed=SEEDS)
def test_auroc_equals_roc_auc_score_with_padded_steps_weighted_0(seed):
    x, _, bit, view = problem(seed)
    scores = evaluate_units(standardise(x, view.mask), view).score
    weight, fold = weights_and_folds(view)
    y = every_step(bit)
    for unit in range(x.shape[-1]):
        own, excess, pairs = every_step(x[..., unit]), np.zeros(FOLDS), np.zeros(FOLDS)
        for k in range(FOLDS):
            w = weight[fold == k]
            pairs[k] = (w * y[fold == k]).sum() * (w * ~y[fold == k]).sum()
            excess[k] = pairs[k] * (roc_auc_score(y[fold == k], own[fold == k], sample_weight=w) - 0.5)
        others = np.sign(np.round(excess.sum() - excess, 6))
        assert scores[unit, 1] == pytest.approx(0.5 + (others * excess).sum() / pairs.sum(), abs=1e-9)


@EASY
@given(seed=SEEDS, penalty=st.sampled_from(PENALTIES.tolist()))
def test_one_ridge_fit_equals_scikit_learns_with_padded_steps_weighted_0(seed, penalty):
    x, _, _, view = problem(seed)
    z = standardise(x, view.mask)
    gram = Gram.per_fold(z, view.columns, view).training()
    part = Standardised.of(gram)
    got = solve_penalties(part, np.array([penalty]))
    weight, fold = weights_and_folds(view)
    for k in range(FOLDS):
        w = weight * (fold != k)
        own = every_step(z) / part.scale[k]
        fit = Ridge(alpha=penalty * w.sum()).fit(own, every_step(view.columns), sample_weight=w)
        assert got[k, 0] * part.scale[k][:, None] == pytest.approx(fit.coef_.T, abs=1e-8)


def test_ridge_equals_ridge_cv_by_the_same_folds_and_penalties():
    """RidgeCV keeps the scale of units inside the training part, where ours is made anew: near ties may fall otherwise.

    A fit inside has fewer steps, so that the same penalty is another alpha there.
    """
    rng, mask, split, same = np.random.default_rng(0), np.ones((60, TIME), bool), Split(np.arange(60) % 5), []
    z = standardise(rng.normal(size=(60, TIME, 5)) @ rng.normal(size=(5, 5)), mask)
    signals = {f"s{k}": z[..., 0] + 0.5 * z[..., 3] + 2 * rng.normal(size=mask.shape) for k in range(6)}
    view = View.make(check_signals(signals, mask), mask.sum(1), split)
    got = every_step(fit_ridge(Gram.per_fold(z, view.columns, view)).held_out(z, view))
    flat, columns, fold = every_step(z), every_step(view.columns), np.repeat(split.fold, TIME)
    for k in range(5):
        training = fold != k
        own = (flat - flat[training].mean(0)) / flat[training].std(0)
        inside, inner = training.sum() * 3 / 4, PredefinedSplit(fold[training])
        for c, y in enumerate(columns[training].T):
            choice = RidgeCV(PENALTIES * inside, cv=inner, scoring="neg_mean_squared_error").fit(own[training], y)
            fits = {p: Ridge(p * training.sum()).fit(own[training], y).predict(own[~training]) for p in PENALTIES}
            off = {p: np.abs(fit - got[~training, c]).max() for p, fit in fits.items()}
            assert min(off.values()) < 1e-10
            same.append(min(off, key=off.get) == pytest.approx(choice.alpha_ / inside))
    assert np.mean(same) >= 0.9


@EASY
@given(values=st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1, max_size=4), seed=SEEDS)
def test_ranks_equal_scipy_within_any_groups(values, seed):
    rows = np.array(values, dtype=float)
    assert np.array_equal(average_ranks(rows), rankdata(rows, axis=1))
    group = np.random.default_rng(seed).integers(-1, 2, size=(2, 3))
    got = ranks_within(rows.T.reshape(2, 3, -1), group).reshape(6, -1)
    for k in (0, 1):
        own = group.ravel() == k
        if own.any():
            assert np.array_equal(got[own], rankdata(rows.T[own], axis=0))
    assert not got[group.ravel() < 0].any()


@EASY
@given(p=st.lists(st.floats(1e-6, 1) | st.none(), min_size=1, max_size=40))
def test_q_values_equal_scipys_benjamini_and_hochberg(p):
    values = np.array([np.nan if v is None else v for v in p])
    got, some = q_values(values), ~np.isnan(values)
    assert np.array_equal(np.isnan(got), ~some)
    if some.any():
        assert got[some] == pytest.approx(false_discovery_control(values[some], method="bh"))


@EASY
@given(seed=SEEDS, signals=st.integers(1, 5))
def test_the_familys_p_values_equal_counting_and_a_plain_holm(seed, signals):
    rng = np.random.default_rng(seed)
    best, observed = rng.normal(1, 1, size=(signals, 59)), rng.normal(1, 1.5, size=(2, 3, signals))
    scored = rng.random(signals) < 0.8
    got = family(observed, best, scored)
    own = np.array(
        [[[(1 + (best[g] >= o - 1e-5).sum()) / 60 for g, o in enumerate(u)] for u in lag] for lag in observed]
    )
    # Holm on each signal's best pair, largest factor first, equal ones alike; a pair is at least its signal's own.
    tested = sorted(np.flatnonzero(scored), key=lambda g: own[..., g].min())
    floor = 0.0
    for g in tested:
        factor = sum(own[..., k].min() >= own[..., g].min() for k in tested)
        floor = max(floor, min(1.0, factor * own[..., g].min()))
        assert got[..., g] == pytest.approx(np.maximum(floor, np.minimum(1, factor * own[..., g])))
    assert (got[..., ~scored] == 1).all()


@EASY
@given(seed=SEEDS)
def test_correlations_equal_scipys_over_real_steps(seed):
    x, value, _, view = problem(seed)
    sums = Moments.of(standardise(x, view.mask), view.columns[..., :1], view.mask)
    got = correlations(sums.map(lambda own: own.sum(0, keepdims=True)))[0, :, 0]
    for unit in range(x.shape[-1]):
        assert got[unit] == pytest.approx(pearsonr(x[..., unit][view.mask], value[view.mask]).statistic, abs=1e-9)


@EASY
@given(seed=SEEDS)
def test_greedy_selection_equals_trying_every_unit_with_padded_steps_weighted_0(seed):
    x, _, _, view = problem(seed)
    z = standardise(x, view.mask)
    part = Standardised.of(Gram.per_fold(z, view.columns, view).training())
    path = selection_path(part.xx, part.xy[..., [0]]) / part.scale[:, :, None]
    weight, fold = weights_and_folds(view)
    own, y = every_step(z), every_step(view.columns)[:, 0]
    for k in range(FOLDS):
        w, chosen = weight * (fold != k), []
        for step in range(x.shape[-1]):
            left = [u for u in range(x.shape[-1]) if u not in chosen]
            fits = {u: LinearRegression().fit(own[:, [*chosen, u]], y, sample_weight=w) for u in left}
            score = {u: fits[u].score(own[:, [*chosen, u]], y, sample_weight=w) for u in left}
            chosen.append(max(left, key=lambda u: score[u]))
            expected = np.zeros(x.shape[-1])
            expected[chosen] = fits[chosen[-1]].coef_
            assert path[step, k, :, 0] == pytest.approx(expected, abs=1e-6)
