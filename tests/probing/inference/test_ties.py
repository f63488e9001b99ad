"""A permutation that does as well as the data counts against them; what all of them leave to a unit is the floor."""

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


def test_the_floor_is_the_best_units_mean_over_permutations_at_any_lag():
    _, signals, view = problem(0)
    rng = np.random.default_rng(1)
    scores = rng.uniform(-0.4, 1, size=(2, 3, len(signals), 12))  # lag, unit, signal, permutation

    def statistics(own):
        for part in (slice(0, 1), slice(1, 6), slice(6, 12)):
            yield part, own[..., part]

    found = compare([view, view], map(statistics, scores), 11)
    for g, signal in enumerate(view.signals):
        mean = max(sum(scores[lag, unit, g, 1:]) / 11 for lag in range(2) for unit in range(3))
        assert found.floor[g] == pytest.approx(max(0, mean if signal.kind == "continuous" else 2 * mean - 1))
    assert (found.floor < found.best.mean(1)).all()
