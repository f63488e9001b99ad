"""Quantiles of Student's t, against SciPy's own distribution; intervals of few items, against known means."""

import numpy as np
import pytest
from scipy import stats

from lstm_probe.core.quantiles import student, widening


def test_quantiles_are_those_of_the_distribution_and_there_are_none_without_freedom():
    freedom = np.array([1, 2, 5, 99, 1e9])
    for share in (0.5, 0.8, 0.975):
        np.testing.assert_array_equal(student(share, freedom), stats.t.ppf(share, freedom))
    assert np.isnan(student(0.975, [0, np.nan, -1])).all()


@pytest.mark.parametrize("count", [2, 3, 5, 8, 20])
def test_widened_intervals_hold_a_known_mean_as_often_as_they_say(count):
    """And plain percentiles do not: half as often of two items."""
    rng = np.random.default_rng(count)
    values = rng.normal(size=(2000, count))
    means, point = values @ rng.multinomial(count, np.full(count, 1 / count), size=400).T / count, values.mean(1)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    held, above = {}, {}
    for name, by in (("plain", 1.0), ("widened", widening(count))):
        ends = point + by * (low - point), point + by * (high - point)
        held[name], above[name] = np.mean((ends[0] <= 0) & (ends[1] >= 0)), np.mean(ends[0] > 0)
    assert 0.92 <= held["widened"] <= 0.965 and above["widened"] <= 0.045
    assert held["plain"] < held["widened"]
    assert count > 2 or held["plain"] < 0.6
