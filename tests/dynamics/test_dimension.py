"""The participation ratio, against closed forms and scikit-learn's principal components."""

import math

import numpy as np
import pytest
from sklearn.decomposition import PCA

from lstm_probe.dynamics.dimension import participation_ratio


@pytest.mark.parametrize(("dimensions", "units"), [(1, 1), (1, 6), (3, 7), (5, 5), (8, 32)])
def test_a_round_cloud_has_its_own_dimension(dimensions, units):
    """Gaussian in a few dimensions, turned into a space of many units and moved away from 0."""
    rng = np.random.default_rng(dimensions)
    axes = np.linalg.qr(rng.normal(size=(units, units)))[0][:dimensions]
    points = rng.normal(size=(200_000, dimensions)) @ axes + rng.normal(size=units) * 5
    assert participation_ratio(points) == pytest.approx(dimensions, rel=1e-3)


@pytest.mark.parametrize("scale", [1.0, 1e-170, 1e150])
def test_it_is_that_of_the_principal_components(scale):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 9)) @ rng.normal(size=(9, 9)) * np.geomspace(1, 20, 9) + 3
    variances = PCA().fit(points).explained_variance_
    expected = variances.sum() ** 2 / (variances**2).sum()
    assert 1.5 < expected < 6
    assert participation_ratio(points * scale) == pytest.approx(expected, rel=1e-9)
    turned = points @ np.linalg.qr(rng.normal(size=(9, 9)))[0]
    assert participation_ratio(turned) == pytest.approx(expected, rel=1e-9)


def test_float32_far_from_zero():
    rng = np.random.default_rng(1)
    points = (rng.normal(size=(100_000, 4)) + 100).astype(np.float32)
    assert participation_ratio(points) == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (50, 3), (50, 0)])
def test_nothing_that_varies_has_no_dimension(shape):
    assert math.isnan(participation_ratio(np.full(shape, 0.3)))
