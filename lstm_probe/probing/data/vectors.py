"""A number for each vector of numbers, so that equal ones are found, in memory and over a stream alike."""

import numpy as np
from jaxtyping import Shaped, UInt64


def mixed(values: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """Return a hash of each number (splitmix64: Steele, Lea & Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = values ^ (values >> np.uint64(31))
    return result


def hashed_rows(rows: Shaped[np.ndarray, "*shape feature"]) -> UInt64[np.ndarray, "*shape"]:
    """Return a hash of each row of numbers, the same for 32 and 64 bits; −0 is 0."""
    out = np.zeros(rows.shape[:-1], dtype=np.uint64)
    for k in range(rows.shape[-1]):
        bits = (rows[..., k].astype(np.float64) + 0.0).view(np.uint64)
        out = mixed(out ^ bits)
    return out
