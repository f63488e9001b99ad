"""Whether neighbours in the file are alike: the statistic by a loop, and how often it errs."""

import logging
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from lstm_probe.probing.analyses.units import probe_units
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference.dependence import ORDERS, dependence, order_p_value, warn_of_dependence
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording


def recording(c, lengths=None, h=None):
    n, time, units = c.shape
    lengths = np.full(n, time) if lengths is None else lengths
    more = {} if h is None else {"h": torch.from_numpy(h)}
    part = LayerRecording(0, "forward", torch.zeros(n, time, 1), c=torch.from_numpy(c), **more)
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(1, units))


def study_of(c, signals, lengths=None, h=None, **settings):
    return make_study(recording(c, lengths, h), signals, None, (0,), None, 4, 0, **settings)


def autocorrelation(column):
    centred = column - np.mean(column)
    return sum(a * b for a, b in pairwise(centred)) / sum(a * a for a in centred)


def test_p_values_are_those_of_a_loop_over_orders():
    """By the loop's own orders: p-values of 999 orders agree to within their Monte Carlo error."""
    rng = np.random.default_rng(0)
    n, time = 16, 5
    lengths, c, h = np.full(n, time), rng.normal(size=(n, time, 3)), rng.normal(size=(n, time, 3))
    c += 0.3 * lfilter([1], [1, -0.6], rng.normal(size=(n, 3)), axis=0)[:, None]
    v, k = rng.normal(size=(n, time)) + np.linspace(-0.3, 0.3, n)[:, None], rng.integers(0, 3, size=(n, time))
    v[rng.random(v.shape) < 0.3] = np.nan
    got = dependence(study_of(c, {"v": v, "k": k}, lengths, h=h), 0)
    means = np.array([[np.nanmean(v[s]), *(np.mean(k[s] == level) for level in range(3))] for s in range(n)])
    units = np.array([[*h[s].mean(0), *c[s].mean(0)] for s in range(n)])
    units = (units - units.mean(0)) / units.std(0)
    values, vectors = np.linalg.eigh(units.T @ units)
    scores = units @ vectors[:, np.argsort(values)[::-1][:3]]
    for columns, p in ((means, got.p_signal), (scores, got.p_units)):
        own = max(map(autocorrelation, columns.T))
        orders = [rng.permutation(n) for _ in range(2000)]
        share = np.mean([max(map(autocorrelation, columns[order].T)) >= own for order in orders])
        assert 0.002 < p < 0.9
        assert p == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / ORDERS) + 0.002)
    orders = np.array([np.arange(n), np.arange(n)[::-1], *(rng.permutation(n) for _ in range(30))])
    counted = [max(map(autocorrelation, means[order].T)) for order in orders]
    assert order_p_value(means, orders) == pytest.approx(np.mean(np.array(counted) >= counted[0] - 1e-9))
    assert order_p_value(np.ones((n, 2)), orders) == 1


def dependent_data(seed, kind, n=48, time=6):
    rng = np.random.default_rng(seed)
    if kind == "drift":
        unit, signal = np.linspace(-1, 1, n)[:, None], np.linspace(-1, 1, n)
    elif kind == "nested":
        unit, signal = (rng.normal(size=(6, k))[np.repeat(np.arange(6), n // 6)] for k in (3, 1))
    elif kind == "series":
        unit, signal = (lfilter([1], [1, -0.9], rng.normal(size=(n + 40, k)), axis=0)[40:] for k in (3, 1))
    elif kind == "units alone":
        unit, signal = lfilter([1], [1, -0.9], rng.normal(size=(n + 40, 3)), axis=0)[40:], np.zeros(n)
    else:
        unit, signal = np.zeros((n, 1)), np.zeros(n)
    c = rng.normal(size=(n, time, 3)) + unit[:, None]
    return c, {"v": rng.normal(size=(n, time)) + np.reshape(signal, (n, 1)), "b": rng.random((n, time)) < 0.3}


@pytest.mark.parametrize(("kind", "found"), [("drift", True), ("nested", True), ("series", True), ("none", False),
                                             ("units alone", False)])  # fmt: skip
def test_dependent_sequences_are_found_and_independent_ones_are_not(kind, found):
    """Six groups at random may come out alike."""
    count = sum(dependence(study_of(*dependent_data(seed, kind)), seed).dependent for seed in range(20))
    assert count >= (16 if kind == "nested" else 20) if found else count == 0


def test_sequences_sorted_by_length_are_not_dependent_for_that():
    rng = np.random.default_rng(3)
    lengths = np.repeat(np.arange(4, 9), 16)
    left = lengths[:, None] - np.arange(8.0)
    c = left[..., None] + rng.normal(size=(80, 8, 2))
    assert not dependence(study_of(c, {"left": left + rng.normal(size=left.shape)}, lengths), 0).dependent


def test_sequences_sorted_by_lengths_that_hardly_recur_are_not_dependent_for_that():
    """What every sequence begins with weighs less in the mean of a longer one."""
    count = 0
    for seed in range(10):
        rng = np.random.default_rng([5, seed])
        lengths, steps = np.sort(rng.integers(10, 60, 96)), np.arange(60.0)
        c = np.exp(-steps / 8)[:, None] + 0.1 * rng.normal(size=(96, 60, 2))
        left = lengths[:, None] - steps
        count += dependence(study_of(c, {"left": left + rng.normal(size=left.shape)}, lengths), seed).dependent
    assert count <= 1  # chance: in one of a hundred


def test_it_is_said_once_and_loudly_and_stands_in_the_table(caplog):
    c, signals = dependent_data(0, "nested")
    few = {"bootstrap": 2, "untrained": 1, "permutations": 19}
    with caplog.at_level(logging.WARNING):
        table = probe_units(recording(c), {"v": signals["v"]}, **few)
    told = [r.message for r in caplog.records if "NOT INDEPENDENT" in r.message]
    assert len(told) == 1 and "groups=" in told[0] and "null=shift" in told[0]
    assert table.attrs["dependence"]["dependent"] and table.attrs["dependence"]["p_units"] <= 0.01
    caplog.clear()
    for told in ({"groups": np.repeat(np.arange(6), 8)}, {"null": "shift"}):
        assert probe_units(recording(c), signals, **few, **told).attrs["dependence"] is None
    assert "NOT INDEPENDENT" not in caplog.text
    assert warn_of_dependence(study_of(c[:7], {"v": signals["v"][:7]}), "shuffle", 0) is None
    alike = probe_units(recording(c[::-1].copy()), {"v": np.random.default_rng(0).normal(size=(48, 6))}, **few)
    assert not alike.attrs["dependence"]["dependent"] and "NOT INDEPENDENT" not in caplog.text
