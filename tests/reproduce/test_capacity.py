"""The results on how much fits in, against other libraries, closed forms and clouds of known shape."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.decomposition import PCA

from lstm_probe.reproduce import capacity
from lstm_probe.reproduce.capacity import bits_told
from lstm_probe.reproduce.networks import settings, train
from lstm_probe.reproduce.results import RESULTS


def briefly(monkeypatch, steps):
    """Train the results' networks for a few updates only."""

    def trained(key, seed, **changes):
        return train(replace(settings(key), seed=seed, steps=steps, **changes))

    monkeypatch.setattr(capacity, "trained", trained)
    monkeypatch.setattr(capacity, "TEST", 300)


@pytest.mark.parametrize("key", ["recall", "evidence", "bits"])
def test_every_measure_is_there(key, monkeypatch):
    briefly(monkeypatch, steps=1)
    monkeypatch.setattr(capacity, "UPDATES", 1)
    values = RESULTS[key].measure(0)
    assert set(values) == {measure.name for measure in RESULTS[key].measures}
    assert all(measure.low <= values[measure.name] <= measure.high for measure in RESULTS[key].measures)
    assert RESULTS[key].judge([values]) != "reproduced"  # a single update: it has learned nothing yet


def test_the_law_of_recall():
    """No size is said to be better than the best subspace, and eight units are said to be enough."""
    goals = {goal.name: goal for goal in RESULTS["recall"].goals}
    assert set(goals) == {f"mse_{units}" for units in capacity.RECALL_UNITS}
    for units in capacity.RECALL_UNITS:
        goal, law = goals[f"mse_{units}"], 1 - units / 8
        assert goal.line == law and goal.met(law) and goal.met(law + 0.029)
        assert not goal.met(law + 0.031) and (law == 0 or not goal.met(law - 0.031))


@pytest.mark.parametrize(("labels", "right"), [(100, 100), (100, 50), (100, 89), (1275, 1207), (7, 0)])
def test_bits_are_those_of_a_fair_coin_minus_what_is_left(labels, right):
    left = entropy([right / labels, 1 - right / labels], base=2)
    assert capacity.bits_told(right, labels) == pytest.approx(labels * (1 - left), abs=1e-9)


def test_what_is_memorised_is_counted_for_each_parameter(monkeypatch):
    monkeypatch.setattr(capacity, "UPDATES", 300)
    monkeypatch.setattr(capacity, "LABELS", 1)
    told = []
    monkeypatch.setattr(capacity, "bits_told", lambda right, n: told.append(n) or bits_told(right, n))
    values = capacity.bits(0)
    count = 4 * 8 * (4 + 8 + 1) + 8 + 1  # Keras's number for the layer, and the readout
    assert told == [count, count]
    right = values["right"] * count
    assert right == pytest.approx(round(right)) and 0.75 < values["right"] <= 1
    assert values["bits"] == pytest.approx(bits_told(round(right), count) / count)
    assert 0.1 < values["bits"] <= 1 and 0 <= values["fresh"] < 0.03


@pytest.mark.parametrize(("strong", "units"), [(1, 8), (3, 12), (4, 32), (6, 6)])
def test_a_cloud_drops_where_its_strong_directions_end(strong, units):
    rng = np.random.default_rng(strong)
    spread = np.where(np.arange(units) < strong, np.geomspace(3, 2, units), 0.3)
    points = (rng.normal(size=(4000, units)) * spread) @ np.linalg.qr(rng.normal(size=(units, units)))[0] + 7
    shares = capacity.principal_variances(points)
    np.testing.assert_allclose(shares, PCA().fit(points).explained_variance_ratio_, atol=1e-12)
    assert capacity.before_the_drop(shares) == strong


def test_components_of_next_to_nothing_make_no_drop():
    assert capacity.before_the_drop(np.array([0.5, 0.45, 0.0496, 0.0003, 0.0001])) == 2
