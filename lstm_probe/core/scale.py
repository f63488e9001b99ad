"""The scale of effects, on which the scores of all kinds of signals are alike: 0 is chance or worse, 1 is exact."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped


def effect_of(scores: Shaped[np.ndarray, "*rest signal"], metrics: Sequence[str]) -> Shaped[np.ndarray, "*rest signal"]:
    """Return scores as effects: R² as it is, an AUROC as 2·AUROC − 1, both floored at 0; NaN stays.

    Args:
        scores: signals on the last axis.
        metrics: of each signal: r2, circular_r2, auroc or macro_auroc.

    >>> effect_of(np.array([0.9, 0.75, 0.4, -3.0]), ["r2", "auroc", "macro_auroc", "r2"])
    array([0.9, 0.5, 0. , 0. ])
    """
    return np.maximum(0, np.where(np.isin(metrics, ("r2", "circular_r2")), scores, 2 * scores - 1))
