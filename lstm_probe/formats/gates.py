"""The one place where gates change their order from one framework's to another's."""

from collections.abc import Mapping

import numpy as np

from lstm_probe.core.vocabulary import GATE_ORDERS

Orders = Mapping[str, tuple[str, ...]]
#: The order in which each framework stacks a GRU's blocks, in our letters.
GRU_ORDERS: Orders = {"pytorch": ("r", "z", "n"), "keras": ("z", "r", "n"), "onnx": ("z", "r", "n")}


def reorder(weights: np.ndarray, came_from: str, goes_to: str = "pytorch", orders: Orders = GATE_ORDERS) -> np.ndarray:
    """Return weights whose last axis stacks the blocks of all gates in another framework's order.

    Args:
        weights: anything with blocks x units on its last axis, of an LSTM four blocks.
        came_from: the framework whose order it has, a key of `orders`.
        goes_to: the framework whose order it shall have.
        orders: those of an LSTM, or of another cell.

    >>> reorder(np.array([1, 2, 3, 4]), "tensorflow1")  # i g f o
    array([1, 3, 2, 4])
    """
    blocks = dict(zip(orders[came_from], np.split(weights, len(orders[came_from]), axis=-1)))
    return np.concatenate([blocks[gate] for gate in orders[goes_to]], axis=-1)
