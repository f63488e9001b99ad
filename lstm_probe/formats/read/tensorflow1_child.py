"""Writes the variables of a TensorFlow checkpoint, as lines of JSON with the arrays' bytes behind them.

Runs in a process of its own with limits (`lstm_probe.core.limited`) and imports nothing of ours: a damaged checkpoint
ends the process that TensorFlow reads it in. The lines: {"array": NAME, "type": "<f4", "shape": [3, 16]}, and at the
end {"end": true} or {"error": WORDS}.
"""

import json
import sys
from typing import Any

import numpy as np


def say(**line: Any) -> None:
    """Write a line."""
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")


def main(path: str) -> None:
    """Go through the checkpoint's variables of numbers."""
    import tensorflow

    reader = tensorflow.train.load_checkpoint(path.removesuffix(".index"))
    for name in reader.get_variable_to_shape_map():
        array = np.asarray(reader.get_tensor(name))
        if array.dtype.kind in "fiub":
            say(array=name, type=array.dtype.str, shape=array.shape)
            sys.stdout.buffer.write(np.ascontiguousarray(array).tobytes())
    say(end=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}"[:300])
