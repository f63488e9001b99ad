"""How many dimensions a network's memories move in, whatever the number of its units."""

import numpy as np
from jaxtyping import Float


def participation_ratio(values: Float[np.ndarray, "sample unit"]) -> float:
    """Return the effective dimension of a cloud of points: (Σ λ)² / Σ λ² of its covariance's eigenvalues λ.

    It is 1 where all points lie on a line, k where they spread alike along k axes and not at all along others, and
    rotating or scaling the whole cloud does not change it. It counts variance, not use: a dimension along which
    hardly anything moves counts little, even where the network could not do without it.

    Args:
        values: such as c of every unit at every real step, one row for each step; more rows than dimensions, since n
            points span at most n − 1.

    Returns:
        From 1 to the number of units; NaN where nothing varies.

    >>> participation_ratio(np.array([[1.0, 0.0, 7.0], [-1.0, 0.0, 7.0], [0.0, 1.0, 7.0], [0.0, -1.0, 7.0]]))
    2.0
    """
    moved = values.astype(np.float64) - values[:1]  # a unit that is constant becomes exactly 0
    largest = np.abs(moved).max(initial=0.0)
    if largest == 0:
        return float("nan")
    moved /= largest  # so that squares of small values do not vanish
    centred = moved - moved.mean(0)
    # Σ λ is the trace of the covariance, Σ λ² the sum of its squared entries.
    products = centred.T @ centred
    return float(np.trace(products) ** 2 / np.square(products).sum())
