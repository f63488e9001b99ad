"""The R² of the best read-out in the population: against loops of scikit-learn's fits, and how often it is held."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.signal import lfilter
from sklearn.metrics import r2_score

from lstm_probe.core.kinds import Signal
from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.inference.population import jackknife_groups, members_of, population_of


def series(rng, n, time, columns, memory):
    """Stationary series with variance 1 whose neighbouring steps correlate by `memory`."""
    noise = rng.normal(size=(n, time, columns)) * np.sqrt(1 - memory**2)
    noise[:, 0] = rng.normal(size=(n, columns))
    return lfilter([1], [1, -memory], noise, axis=1)


def problem(seed, units, n, truth, time=30, memory=0.951):
    rng = np.random.default_rng([5, seed])
    x, noise = series(rng, n, time, units, memory), series(rng, n, time, 1, memory)[..., 0]
    return x, np.sqrt(truth / units) * x.sum(-1) + np.sqrt(1 - truth) * noise


def asked(x, signals, lengths=None, folds=5, groups=None, lag=0):
    lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
    mask = np.arange(x.shape[1]) < lengths[:, None]
    view = View.make(check_signals(signals, mask), lengths, Split.make(len(x), folds, 0), lag)
    return population_of(standardise(x[:, lag:], view.mask), view, groups), view


@pytest.mark.parametrize(("n", "grouped", "lag"), [(9, False, 0), (27, False, 2), (40, True, 0)])
def test_centre_and_ends_are_those_of_a_loop(n, grouped, lag):
    x, y = problem(n, 4, n, 0.6)
    x = np.concatenate([x * 10.0 ** np.arange(-3, 5, 2), np.ones((n, 30, 1)), x[..., :1] + x[..., 1:2]], axis=-1)
    rng = np.random.default_rng(0)
    lengths, groups = rng.integers(12, 31, n), rng.integers(0, 11, n) if grouped else np.arange(n)
    angle = np.arctan2(y, x[..., 1] + 1)
    signals = {"bit": y > 0, "y": y, "angle": Signal("angle", torch.from_numpy(angle), "circular")}
    got, view = asked(x, signals, lengths, 3, groups if grouped else None, lag)
    now, then = x[:, lag:], np.stack([y, np.sin(angle), np.cos(angle)], axis=-1)[:, : 30 - lag]

    def log_left(some, held_out=()):
        a, b = (np.concatenate(part) for part in zip(*(rows[s] for s in some)))
        a = (a - 0.5) / np.where(a.std(0) > 0, a.std(0), 1)  # its fifth column is constant, its sixth a sum of two
        if not len(held_out):
            return log_unexplained(b, a @ np.linalg.lstsq(a, b, rcond=1e-12)[0])
        predicted = np.empty(b.shape)
        for test in held_out:
            predicted[test] = a[test] @ np.linalg.lstsq(a[~test], b[~test], rcond=1e-12)[0]
        return log_unexplained(b, predicted)

    fold = np.concatenate([[view.split.fold[s]] * view.mask[s].sum() for s in range(n)])
    every = range(n)
    labels = list(np.unique(groups))
    number = np.array([labels.index(one) % 20 for one in groups])
    g = number.max() + 1
    names = ("r2_population", "ci_low", "ci_high")
    for signal, columns in ((1, [0]), (2, [1, 2])):
        rows = [(now[s][view.mask[s]], then[s][view.mask[s]][:, columns]) for s in range(n)]
        middle = (log_left(every) + log_left(every, [fold == k for k in range(3)])) / 2
        each = np.array([log_left([s for s in every if number[s] != k]) for k in range(g)])
        half = stats.t.ppf(0.975, g - 1) * np.sqrt((g - 1) / g * ((each - each.mean()) ** 2).sum())
        expected = 1 - np.exp([middle, middle + half, middle - half])
        assert [got[name][signal] for name in names] == pytest.approx(np.maximum(0, expected), abs=1e-7)
    assert all(np.isnan(got[name][0]) for name in names)


def log_unexplained(values, predicted):
    """Of several columns, as of an angle's sine and cosine: squared errors of all of them over their spread."""
    return np.log(1 - r2_score(values, predicted, multioutput="variance_weighted"))


def test_groups_are_left_out_whole_and_sequences_that_do_not_count_in_none():
    counted, groups = np.arange(60) % 5 > 0, np.repeat(np.arange(30), 2)
    own = jackknife_groups(counted, groups)
    assert (own[~counted] == -1).all() and set(own[counted]) == set(range(20))
    both = counted.reshape(30, 2).all(1)
    assert (own.reshape(30, 2)[both, 0] == own.reshape(30, 2)[both, 1]).all()
    assert sorted(np.concatenate(members_of(own))) == np.flatnonzero(counted).tolist()
    assert jackknife_groups(np.ones(7, bool)).tolist() == list(range(7))


def test_nothing_is_said_where_too_little_is_known():
    known = {name: np.isfinite(v[0]) for name, v in asked(*problem_of(0, 4, 8, 0.5))[0].items()}
    assert known == {"r2_population": True, "ci_low": True, "ci_high": True}
    for units, n, truth, centre in [(4, 7, 0.5, True), (4, 40, 0.998, True), (64, 16, 0.5, False), (64, 2, 0.5, False)]:
        got = asked(*problem_of(1, units, n, truth), folds=2)[0]
        assert np.isfinite(got["r2_population"][0]) == centre
        assert np.isnan(got["ci_low"][0]) and np.isnan(got["ci_high"][0])
    flat = asked(problem(0, 4, 20, 0.5)[0], {"flat": np.ones((20, 30))})[0]
    assert all(np.isnan(values[0]) for values in flat.values())
    bits = asked(problem(0, 4, 20, 0.5)[0], {"bit": problem(0, 4, 20, 0.5)[1] > 0})[0]
    assert all(np.isnan(values[0]) for values in bits.values())


def problem_of(*args):
    x, y = problem(*args)
    return x, {"y": y}


@pytest.mark.parametrize(
    ("units", "n", "truth"), [(4, 8, 0.51), (4, 40, 0.51), (16, 16, 0.51), (16, 40, 0.9), (32, 40, 0.51)]
)
def test_the_interval_holds_the_truth_and_the_centre_is_near_it(units, n, truth):
    """Of 120 data sets 95 % are 114; with fewer than 104 or all of them something is wrong (p < 0.001)."""
    found = [asked(*problem_of(seed, units, n, truth))[0] for seed in range(120)]
    held = sum(got["ci_low"][0] <= truth <= got["ci_high"][0] for got in found)
    assert 104 <= held <= 119
    assert np.mean([got["r2_population"][0] for got in found]) == pytest.approx(truth, abs=0.1 if n < 10 else 0.05)


def test_without_any_relation_the_interval_starts_at_zero():
    rng = np.random.default_rng(3)
    got = asked(rng.normal(size=(60, 20, 8)), {"noise": rng.normal(size=(60, 20))})[0]
    assert got["ci_low"][0] == 0 and got["r2_population"][0] < 0.01 and got["ci_high"][0] < 0.03
