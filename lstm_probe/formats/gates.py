"""The one place where gates change their order from one framework's to another's."""

import numpy as np

from lstm_probe.core.vocabulary import GATE_ORDERS


def reorder(weights: np.ndarray, came_from: str, goes_to: str = "pytorch") -> np.ndarray:
    """Return weights whose last axis stacks the four gates in another framework's order.

    Args:
        weights: anything with 4 x units on its last axis.
        came_from: the framework whose order it has, a key of `vocabulary.GATE_ORDERS`.
        goes_to: the framework whose order it shall have.

    >>> reorder(np.array([1, 2, 3, 4]), "tensorflow1")  # i g f o
    array([1, 3, 2, 4])
    """
    blocks = dict(zip(GATE_ORDERS[came_from], np.split(weights, 4, axis=-1)))
    return np.concatenate([blocks[gate] for gate in GATE_ORDERS[goes_to]], axis=-1)
