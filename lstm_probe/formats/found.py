"""What arrays are that are no LSTM's as they stand: by their names, else by the shapes of gate blocks."""

import re
from collections.abc import Mapping

import numpy as np

#: What the gate blocks of a recurrent matrix say, for names that are not a TensorFlow 1 cell's.
_BLOCKS = {
    1: "a plain RNN's: it has one gate block",
    3: "a GRU's: it has three gate blocks",
    4: "an LSTM's by its four gate blocks, but these names do not say their order and activations",
}
#: What recurrent matrices are called.
_RECURRENT = re.compile(r"rec|hh|rnn|(^|[/._])[URu]$", re.IGNORECASE)


def what_is_there(variables: Mapping[str, np.ndarray]) -> str:
    """Return in words what kind of layer arrays are of, or what the first of them are called."""
    words = ("gru", "a GRU cell"), ("/candidate/", "a GRU cell"), ("rnn_cell", "a plain RNN cell")
    for word, kind in (*words, ("cudnn", "cuDNN's opaque weights")):
        found = [name for name in variables if word in name.lower()]
        if found:
            return f"{found[0]} is of {kind}"
    return _by_blocks(variables) or f"it has {', '.join(list(variables)[:4]) or 'nothing'}"


def _by_blocks(variables: Mapping[str, np.ndarray]) -> str | None:
    """Return what layer arrays are of, by the gate blocks of what is as a recurrent matrix: (units, blocks x units)."""
    matrices = {name: array for name, array in variables.items() if array.ndim == 2 and array.size}
    found = []
    for name, array in matrices.items():
        units, gates = sorted(array.shape)
        # Its other matrix has as many gates, along the same axis.
        axes = [k for k in (0, 1) if array.shape[k] == gates]
        others = [e for e, other in matrices.items() if e != name and any(other.shape[k] == gates for k in axes)]
        kind = _BLOCKS.get(gates // units if gates % units == 0 else 0)
        if kind is not None and others and (units < gates or _RECURRENT.search(name)):
            found.append((_RECURRENT.search(name) is not None, f"{name} of shape {array.shape} is {kind}"))
    # Of two that may be it, the one that is called so, or else stands behind: the inputs' matrix is written first.
    return max(reversed(found), key=lambda each: each[0])[1] if found else None
