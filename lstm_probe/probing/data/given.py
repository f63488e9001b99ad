"""Signals in the forms that people have them in, laid out as (sequence, time): which values, and at which steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Signal
from lstm_probe.recorder.data import Recording

#: By name, a `Signal`; or an array of (sequence, time), NaN or None where a step has no label; or one of (sequence,), a
#: label for each sequence; or a list of sequences, each of its own length. Or a DataFrame with a column for each signal
#: and a row for each sequence, or for each real step, sequence after sequence. Checked by `signals.check_signals`.
Signals = Any


def by_name(signals: Signals, mask: Bool[np.ndarray, "sequence time"]) -> dict[str, Any]:
    """Return the signals by name; an InputError where they are neither a dict nor a DataFrame of the right length."""
    if isinstance(signals, Mapping):
        return dict(signals)
    if not isinstance(signals, pd.DataFrame):
        raise InputError(
            f"signals: a {type(signals).__name__}; must be a dict of arrays by name, or a DataFrame with a column for"
            " each signal"
        )
    sequences, steps = len(mask), int(mask.sum())
    if len(signals) == sequences:
        return {str(name): column.array for name, column in signals.items()}
    if len(signals) != steps:
        raise InputError(
            f"signals: a DataFrame of {len(signals)} rows; it must have one for each of the {sequences} sequences, or"
            f" one for each of the {steps} real steps, sequence after sequence"
        )
    out = {}
    for name, column in signals.items():
        spread = np.full(mask.shape, None, dtype=object)
        spread[mask] = np.asarray(column.array, dtype=object)
        out[str(name)] = spread
    return out


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
        array = None if isinstance(given, Signal) or _ragged(given) else _array(name, given, mask)
        if array is not None and array.ndim == 2 and array.shape[1] >= lengths.max() and len(array) == len(mask):
            out = (
                np.full(mask.shape, None, dtype=object) if array.dtype == object else np.zeros(mask.shape, array.dtype)
            )
            for k, n in enumerate(lengths):
                out[k, :n] = array[k, array.shape[1] - n :]
            moved[name] = out
    return moved


def laid_out(
    name: str, given: Any, mask: Bool[np.ndarray, "sequence time"]
) -> tuple[Shaped[np.ndarray, "sequence time"], Bool[np.ndarray, "sequence time"]]:
    """Return a signal's values, numbers or text, and which steps have one: NaN, None and NaT mean none.

    Raises:
        InputError: the wrong shape, or values that are neither numbers nor text, or both.
    """
    key = f"signals[{name!r}]"
    array = _array(key, given.values if isinstance(given, Signal) else given, mask)
    if array.dtype == object:
        known = ~pd.isna(array)
        present = _of_one_type(key, array[known])
        values = np.zeros(array.shape, dtype=present.dtype)
        values[known] = present
    else:
        values = array
        known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if values.dtype.kind not in "biufUS":
        raise InputError(f"{key}: must be numbers or text, not {values.dtype}")
    if values.shape == mask.shape[:1]:
        values, known = (np.broadcast_to(own[:, None], mask.shape) for own in (values, known))
    if values.shape != mask.shape:
        raise InputError(
            f"{key}: shape {values.shape}; the recording has {mask.shape[0]} sequences of {mask.shape[1]} "
            f"steps, so it must be {mask.shape}, or {mask.shape[:1]} for one label of each sequence"
        )
    return values, known


def _array(key: str, values: Any, mask: Bool[np.ndarray, "sequence time"]) -> np.ndarray:
    """Return values as an array, sequences of their own lengths filled up with None."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return np.asarray((values.double() if values.is_floating_point() else values).numpy())
    if _ragged(values):
        return _filled(key, list(values), mask)
    array = np.asarray(values)
    # Of words and None, or words and NaN, NumPy makes objects; of words and numbers in lists it makes words.
    if array.dtype.kind in "US" and isinstance(values, list | tuple):
        array = np.asarray(values, dtype=object)
    return array


def _ragged(values: Any) -> bool:
    """Return whether these are sequences that are not all of one length, or not plain arrays."""
    one_each = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.dtype == object)
    if not one_each or (isinstance(values, np.ndarray) and values.ndim != 1) or not len(values):
        return False
    for row in values:
        if not isinstance(row, list | tuple | np.ndarray | Tensor | pd.Series) or getattr(row, "ndim", 1) == 0:
            return False
    plain = isinstance(values, list | tuple) and not isinstance(values[0], Tensor | pd.Series)
    return not plain or len({len(row) for row in values}) > 1


def _filled(key: str, rows: Sequence[Any], mask: Bool[np.ndarray, "sequence time"]) -> np.ndarray:
    lengths, time = mask.sum(1), mask.shape[1]
    if len(rows) != len(mask):
        raise InputError(f"{key}: {len(rows)} sequences; the recording has {len(mask)}")
    out = np.full(mask.shape, None, dtype=object)
    for k, row in enumerate(rows):
        if len(row) not in (lengths[k], time):
            raise InputError(f"{key}: sequence {k} has {len(row)} values; the recording's has {lengths[k]} real steps")
        out[k, : len(row)] = row.tolist() if isinstance(row, Tensor | np.ndarray) else list(row)
    return out


def _of_one_type(key: str, values: np.ndarray) -> np.ndarray:
    """Return objects as numbers or as text."""
    text = [isinstance(v, str) for v in values.tolist()]
    if any(text) and not all(text):
        raise InputError(f"{key}: must be numbers or text, not a mixture")
    try:
        return np.array(values.tolist()) if len(values) else np.zeros(0)
    except (TypeError, ValueError):
        raise InputError(f"{key}: must be numbers or text, not a mixture") from None
