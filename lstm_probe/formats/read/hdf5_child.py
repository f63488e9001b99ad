"""Writes all that a Keras reader may want of an HDF5 file, as lines of JSON with the arrays' bytes between them.

Runs in a process of its own with limits (`lstm_probe.core.limited`) and imports nothing of ours. The lines:

    {"group": PATH, "attributes": {NAME: TEXT or [TEXT, ...]}}
    {"array": PATH, "type": "<f4", "shape": [3, 16]}     followed by its bytes, in C order
    {"refused": PATH, "why": WORDS}                      what shall not be read
    {"end": true}, or {"error": WORDS}
"""

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

SLAB = 2**23  # bytes that are read at once
MOST_TEXT = 2**24  # bytes of an attribute
OPTIMISERS = ("optimizer", "optimizer_weights")  # twice the weights, and nobody asks for them


def say(**line: Any) -> None:
    """Write a line."""
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")


def texts(attributes: Any) -> dict[str, Any]:
    """Return the attributes that are texts or lists of them."""
    found: dict[str, Any] = {}
    for name in attributes:
        kept = attributes.get_id(name)
        if kept.dtype.kind not in "OSU" or kept.dtype.itemsize * math.prod(kept.shape) > MOST_TEXT:
            continue
        value = attributes[name]
        if isinstance(value, np.ndarray):
            found[name] = [text(v) for v in value.ravel().tolist()]
        elif isinstance(value, str | bytes):
            found[name] = text(value)
    return found


def text(value: Any) -> str:
    """Return a text of Keras's, which is UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def slabs(data: Any) -> Iterator[Any]:
    """Go through an array in pieces of some megabytes, along its first axis."""
    if data.ndim == 0 or data.nbytes <= SLAB:
        yield data[()]
        return
    step = max(1, SLAB * data.shape[0] // data.nbytes)
    for start in range(0, data.shape[0], step):
        yield data[start : start + step]


def array(data: Any, place: str, left: int) -> int:
    """Write an array, unless it is none of numbers or takes more than there is left; return how many bytes it took."""
    if data.external or data.is_virtual:
        say(refused=place, why="keeps its data in another file: not read")
        return 0
    if data.shape is None or data.dtype.kind not in "fiub":
        return 0
    if data.nbytes > left:
        say(large=place, bytes=data.nbytes)
        return 0
    say(array=place, type=data.dtype.str, shape=data.shape)
    for piece in slabs(data):
        sys.stdout.buffer.write(np.ascontiguousarray(piece).tobytes())
    return int(data.nbytes)


def main(left: int) -> None:
    """Go through the file on standard input; each object once, so that links in a circle come to an end."""
    with h5py.File(sys.stdin.buffer, "r") as file:
        seen, ahead = set(), [("", file["/"])]
        while ahead:
            place, group = ahead.pop()
            say(group=place, attributes=texts(group.attrs))
            for name in group:
                if not place and name in OPTIMISERS:
                    continue
                here = f"{place}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    say(refused=here, why="is a link to elsewhere: not followed")
                    continue
                found = group[name]
                address = h5py.h5o.get_info(found.id).addr
                if address in seen:
                    say(refused=here, why="is the same object as another of the file's: not read")
                    continue
                seen.add(address)
                if isinstance(found, h5py.Group):
                    ahead.append((here, found))
                elif isinstance(found, h5py.Dataset):
                    left -= array(found, here, left)
    say(end=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}"[:300])
