"""AUROCs of binned values, against all orders that the values within a bin can have."""

import numpy as np
import pytest

from lstm_probe.probing.streaming.bins import Counts


def exact(positive, negative):
    """The share of pairs in which the positive is larger."""
    return np.mean([(a > b) + (a == b) / 2 for a in positive for b in negative])


def test_the_error_is_reached_by_the_worst_order_within_a_bin():
    """Bins hold (positives, negatives) 2, 1; 1, 3; 2, 2: as far off as the values inside can make it."""
    counts = Counts.empty(columns=1, folds=1, units=1)
    held = [(2, 1), (1, 3), (2, 2)]
    for k, (positive, negative) in enumerate(held):
        counts.every[0, 0, k], counts.positive[0, 0, 0, k] = positive + negative, positive
    single = np.zeros(counts.every.shape[1:], dtype=bool)
    low, high = (
        exact([k + up for k, (n, _) in enumerate(held) for _ in range(n)],
              [k - up for k, (_, n) in enumerate(held) for _ in range(n)])
        for up in (-0.1, 0.1)
    )  # fmt: skip
    middle = 0.5 + counts.excess(0)[0, 0] / (5 * 6)
    assert middle == pytest.approx((low + high) / 2)
    assert counts.error(0, single)[0] == pytest.approx((high - low) / 2)
