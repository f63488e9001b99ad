"""A permutation that does as well as the data counts against them."""

import numpy as np
import pytest

from lstm_probe.probing.inference.nulls import compare
from tests.probing.inference.test_scores import problem


@pytest.mark.parametrize("equal", [0, 3, 9])
def test_permutations_as_good_as_the_data_count(equal):
    """Of nine permutations some do exactly as well and the others worse: p is (1 + as good) / (1 + 9)."""
    _, signals, view = problem(0)

    def statistics():
        yield slice(0, 1), np.full((1, len(signals), 1), 0.5)
        shuffled = np.full((1, len(signals), 9), 0.2)
        shuffled[..., :equal] = 0.5
        yield slice(1, 5), shuffled[..., :4]
        yield slice(5, 10), shuffled[..., 4:]

    found = compare([view], [statistics()], 9)
    p = (1 + equal) / 10
    assert found.p_value == pytest.approx(p)
    assert found.p_family == pytest.approx(min(1, len(signals) * p))  # Holm: all signals have the same p
    assert (found.best == 0.5).sum(1).tolist() == [equal] * len(signals)
