"""Arrays as text in a page, short enough that many units fit: base64 of little-endian numbers, as scripts read them."""

import base64
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

#: What stands for an unknown value among packed ones, and how many steps there are between a row's ends.
UNKNOWN, STEPS = 65535, 65534

Packed = dict[str, Any]


def pack(values: Shaped[np.ndarray, "..."], kind: str = "float32") -> Packed:
    """Return an array as it is, to the precision of its kind; NaN stays NaN.

    Args:
        values: of any shape, in row-major order.
        kind: float64, float32, uint16 or uint8.

    >>> pack(np.array([[1.0, 2.0]]))
    {'type': 'float32', 'shape': [1, 2], 'data': 'AACAPwAAAEA='}
    """
    content = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "shape": list(values.shape), "data": base64.b64encode(content).decode("ascii")}


def pack_rows(values: Float[np.ndarray, "row step"]) -> dict[str, Packed]:
    """Return rows of numbers in two bytes each, against each row's own least and greatest.

    Returns:
        low and high, by row; values, where 0 is low, 65534 high, and 65535 unknown (NaN or infinite).
    """
    known = np.isfinite(values)
    some = known.any(1)
    low = np.where(some, np.where(known, values, np.inf).min(1, initial=np.inf), 0.0)
    high = np.where(some, np.where(known, values, -np.inf).max(1, initial=-np.inf), 0.0)
    wide = np.where(high > low, high - low, 1.0)
    share = (np.where(known, values, low[:, None]) - low[:, None]) / wide[:, None]
    codes = np.where(known, np.rint(STEPS * share), UNKNOWN)
    return {"low": pack(low), "high": pack(high), "values": pack(codes, "uint16")}
