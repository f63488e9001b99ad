"""The scale of effects: R² by scikit-learn, and Somers' D by SciPy, which is 2·AUROC − 1 by definition."""

import numpy as np
import pytest
from scipy.stats import somersd
from sklearn.metrics import r2_score, roc_auc_score

from lstm_probe.core.scale import effect_of


def test_an_auroc_becomes_somers_d_and_an_r2_stays():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    scores = [rng.normal(size=60) + weight * labels for weight in (2.0, 0.3)]
    y = rng.normal(size=60)
    given = [roc_auc_score(labels, one) for one in scores] + [r2_score(y, y + rng.normal(size=60) / 2)]
    want = [somersd(labels, one).statistic for one in scores] + [given[-1]]
    assert effect_of(np.array(given), ["auroc", "macro_auroc", "r2"]) == pytest.approx(want)


def test_chance_and_worse_are_nothing_and_the_unknown_stays_unknown():
    scores = np.array([[0.5, -3.0, 0.4], [1.0, 1.0, np.nan], [0.9, 0.9, 0.9]])
    got = effect_of(scores, ["auroc", "r2", "macro_auroc"])
    np.testing.assert_allclose(got, [[0, 0, 0], [1, 1, np.nan], [0.8, 0.9, 0.8]])
