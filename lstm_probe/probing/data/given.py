"""Signals in the forms that people have them in, as the recording's steps stand."""

import numpy as np

from lstm_probe.core.given import Signals, array_of, by_name, ragged
from lstm_probe.core.kinds import Signal
from lstm_probe.recorder.data import Recording


def as_recorded(signals: Signals, rec: Recording) -> Signals:
    """Return signals as the recording's steps stand: of one made from padding in front, arrays are padded there, too.

    `Signal`s, labels of whole sequences and sequences of their own lengths are what they are.
    """
    if rec.padding == "right" or signals is None:
        return signals
    mask = rec.mask.cpu().numpy()
    lengths = mask.sum(1)
    moved = by_name(signals, mask)
    for name, given in moved.items():
        array = None if isinstance(given, Signal) or ragged(given) else array_of(name, given, mask)
        if array is not None and array.ndim == 2 and array.shape[1] >= lengths.max() and len(array) == len(mask):
            out = (
                np.full(mask.shape, None, dtype=object) if array.dtype == object else np.zeros(mask.shape, array.dtype)
            )
            for k, n in enumerate(lengths):
                out[k, :n] = array[k, array.shape[1] - n :]
            moved[name] = out
    return moved
