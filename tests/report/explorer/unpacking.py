"""What a page's script reads of packed arrays, read here by itself."""

import base64
import struct

import numpy as np

LETTERS = {"float64": "d", "float32": "f", "uint16": "H", "uint8": "B"}


def unpacked(packed):
    """Numbers of a packed array, little-endian, in its shape."""
    content = base64.b64decode(packed["data"])
    letter = LETTERS[packed["type"]]
    count = len(content) // struct.calcsize(f"<{letter}")
    return np.array(struct.unpack(f"<{count}{letter}", content), dtype=float).reshape(packed["shape"])


def rows(packed):
    """Rows packed by `pack_rows`; NaN where unknown."""
    low, high, codes = (unpacked(packed[name]) for name in ("low", "high", "values"))
    return np.where(codes == 65535, np.nan, low[:, None] + (high - low)[:, None] * codes / 65534)
