"""The scale of effects, on which the scores of all kinds of signals are alike: 0 is chance or worse, 1 is exact."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

#: The metrics that are an R².
OF_NUMBERS = ("r2", "circular_r2")


def effect_of(scores: Shaped[np.ndarray, "*rest signal"], metrics: Sequence[str]) -> Shaped[np.ndarray, "*rest signal"]:
    """Return scores as effects: R² as it is, an AUROC as 2·AUROC − 1, both floored at 0; NaN stays.

    Args:
        scores: signals on the last axis.
        metrics: of each signal: r2, circular_r2, auroc or macro_auroc.

    >>> effect_of(np.array([0.9, 0.75, 0.4, -3.0]), ["r2", "auroc", "macro_auroc", "r2"])
    array([0.9, 0.5, 0. , 0. ])
    """
    return np.maximum(0, np.where(np.isin(metrics, OF_NUMBERS), scores, 2 * scores - 1))


def strength(effects: Float[np.ndarray, " row"], metrics: Sequence[str]) -> Float[np.ndarray, " row"]:
    """Return effects as if all were R², so that those of numbers and of classes can stand in one order.

    2·AUROC − 1 of a number that is cut into halves is (4/π) asin(r/√2), where r is its correlation with the unit.

    >>> strength(np.array([0.25, 0.46, 1.0]), ["r2", "auroc", "macro_auroc"]).round(2)
    array([0.25, 0.25, 1.  ])
    """
    return np.where(np.isin(metrics, OF_NUMBERS), effects, 2 * np.sin(np.pi * np.clip(effects, 0, 1) / 4) ** 2)
