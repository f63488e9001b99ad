"""Quantiles of Student's t, against SciPy's own distribution."""

import numpy as np
from scipy import stats

from lstm_probe.core.quantiles import student


def test_quantiles_are_those_of_the_distribution_and_there_are_none_without_freedom():
    freedom = np.array([1, 2, 5, 99, 1e9])
    for share in (0.5, 0.8, 0.975):
        np.testing.assert_array_equal(student(share, freedom), stats.t.ppf(share, freedom))
    assert np.isnan(student(0.975, [0, np.nan, -1])).all()
