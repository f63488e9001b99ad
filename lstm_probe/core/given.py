"""Signals in the forms that people have them in, laid out as (sequence, time), and checked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped
from torch import Tensor

from lstm_probe.core.containers import as_frame, plain
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.kinds import FULL_CIRCLE, Signal, infer_kind
from lstm_probe.core.vocabulary import KINDS, NUMBERS, ROLES

#: By name, a `Signal`; or an array of (sequence, time), NaN or None where a step has no label; or one of (sequence,), a
#: label for each sequence; or a list of sequences, each of its own length. Or a DataFrame with a column for each signal
#: and a row for each sequence, or for each real step, sequence after sequence.
Signals = Any


def by_name(signals: Signals, mask: Bool[np.ndarray, "sequence time"], what: str = "signals") -> dict[str, Any]:
    """Return the signals by name; `what` they are called in messages.

    Raises:
        InputError: they are neither a dict nor a DataFrame of the right length, or two have one name.
    """
    given = as_frame(signals)
    if not isinstance(given, Mapping | pd.DataFrame):
        raise InputError(
            f"{what}: a {type(given).__name__}; must be a dict of arrays by name, or a DataFrame with a column for"
            f" each {what.removesuffix('s')}"
        )
    named = [(str(name), values) for name, values in given.items()]
    if twice := [name for name, count in Counter(name for name, _ in named).items() if count > 1]:
        raise InputError(f"{what}: {', '.join(twice)}: a name appears twice")
    if isinstance(given, Mapping):
        return dict(named)
    sequences, steps = len(mask), int(mask.sum())
    if len(given) == sequences:
        return {name: column.array for name, column in named}
    if len(given) != steps:
        raise InputError(
            f"{what}: a DataFrame of {len(given)} rows; it must have one for each of the {sequences} sequences, or"
            f" one for each of the {steps} real steps, sequence after sequence"
        )
    out = {}
    for name, column in named:
        spread = np.full(mask.shape, None, dtype=object)
        spread[mask] = np.asarray(column.array, dtype=object)
        out[name] = spread
    return out


def laid_out(
    name: str, given: Any, mask: Bool[np.ndarray, "sequence time"], what: str = "signals"
) -> tuple[Shaped[np.ndarray, "sequence time"], Bool[np.ndarray, "sequence time"]]:
    """Return a signal's values, numbers or text, and which steps have one: NaN, None and NaT mean none.

    `what` it is called in messages.

    Raises:
        InputError: the wrong shape, or values that are neither numbers nor text, or both.
    """
    key = f"{what}[{name!r}]"
    array = array_of(key, given.values if isinstance(given, Signal) else given, mask)
    if array.dtype == object:
        known = ~pd.isna(array)
        present = _of_one_type(key, array[known])
        values = np.zeros(array.shape, dtype=present.dtype)
        values[known] = present
    else:
        values = array
        known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if values.dtype.kind == "u" and values.size and int(values.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{key}: {values.max()} is beyond whole numbers of 64 bits; labels may be given as text")
    if values.dtype.kind not in "biufUS":
        raise InputError(f"{key}: must be numbers or text, not {values.dtype}")
    if values.shape == mask.shape[:1]:
        values, known = (np.broadcast_to(own[:, None], mask.shape) for own in (values, known))
    steps = mask.shape[1]
    if values.ndim == 2 and values.shape[1] > steps and not known[:, steps:].any():  # padded further than the longest
        values, known = values[:, :steps], known[:, :steps]
    if values.shape != mask.shape:
        raise InputError(
            f"{key}: shape {values.shape}; there are {mask.shape[0]} sequences of {steps} "
            f"steps, so it must be {mask.shape}, or {mask.shape[:1]} for one label of each sequence"
            + (f"; all behind step {steps} must be NaN" if values.ndim == 2 and values.shape[1] > steps else "")
        )
    return values, known


def check_values(
    name: str, given: Any, mask: Bool[np.ndarray, "sequence time"], first: int = 0, everywhere: bool = True,
    what: str = "signals",
) -> tuple[Shaped[np.ndarray, "sequence time"], Bool[np.ndarray, "sequence time"]]:  # fmt: skip
    """Return a signal's values, and which real steps have one; `first` is the first sequence's number.

    Args:
        name: of the signal.
        given: as `laid_out` takes it.
        mask: True where a step is real.
        first: the number of the first sequence, for messages.
        everywhere: whether every real step needs a value.
        what: it is called in messages.

    Raises:
        InputError: wrong shape, or a value at a real step that is no number.
    """
    values, known = laid_out(name, given, mask, what)
    bad = mask & (~known if everywhere else False)
    if values.dtype.kind == "f":
        bad |= mask & np.isinf(values)
    if bad.any():
        sequence, step = np.argwhere(bad)[0]
        shown = values[sequence, step] if values.dtype.kind == "f" else "no label"
        need = "real steps need a finite value" + ("" if everywhere else ", or NaN where there is no label")
        raise InputError(f"{what}[{name!r}]: {shown} at sequence {first + sequence}, step {step}; {need}")
    if isinstance(given, Signal) and given.kind == "circular" and values.dtype.kind in "biuf":
        check_angles(name, values, mask & known, first)
    return values, mask & known


def beside_missing(
    values: Shaped[np.ndarray, "sequence time"], known: Bool[np.ndarray, "sequence time"],
    mask: Bool[np.ndarray, "sequence time"],
) -> bool:  # fmt: skip
    """Return whether a value is missing at a real step (`mask`), or NaN stands anywhere, such as behind the ends."""
    return bool((mask & ~known).any() or (values.dtype.kind == "f" and np.isnan(values).any()))


def labels_type(dtype: np.dtype[Any], missing: bool, levels: np.ndarray) -> np.dtype[Any]:
    """Return the type that the kind of an array with these values is inferred from.

    NumPy and pandas have no whole numbers beside NaN: where values are `missing`, labels come as 0.0, 1.0 and so on.
    """
    whole = missing and dtype.kind == "f" and bool((levels % 1 == 0).all())
    return np.dtype(np.int64) if whole else dtype


def check_angles(
    name: str, values: Shaped[np.ndarray, "sequence time"], known: Bool[np.ndarray, "sequence time"], first: int
) -> None:
    """Check that angles are from −2π to 2π; an InputError says which is not."""
    beyond = known & (np.abs(np.where(known, values, 0)) > FULL_CIRCLE)
    if beyond.any():
        sequence, step = np.argwhere(beyond)[0]
        raise InputError(
            f"signals[{name!r}]: {values[sequence, step]:g} at sequence {first + sequence}, step {step}; kind=circular:"
            " angles are in radians, from −2π to 2π (these may be degrees)"
        )


def check_kind(name: str, given: Any, dtype: np.dtype[Any], levels: np.ndarray) -> tuple[str, str]:
    """Return kind and role of a signal whose values at real steps are `levels`; an array's kind is inferred.

    Raises:
        InputError: unknown kind or role, or values that do not fit the kind.
    """
    key = f"signals[{name!r}]"
    kind = given.kind if isinstance(given, Signal) else infer_kind(dtype, levels)
    role = given.role if isinstance(given, Signal) else "latent"
    for what, word, legal in (("kind", kind, KINDS), ("role", role, tuple(ROLES))):
        if word not in legal:
            raise InputError(f"{key}: {what}={word}: must be one of {' '.join(legal)}.{nearest(word, legal)}")
    if kind == "binary" and len(levels) > 2:
        raise InputError(f"{key}: kind=binary, but it has {len(levels)} values; categorical or continuous would do")
    if kind in NUMBERS and dtype.kind in "US":
        raise InputError(f"{key}: kind={kind}, but its values are text")
    return kind, role


def array_of(key: str, values: Any, mask: Bool[np.ndarray, "sequence time"]) -> np.ndarray:
    """Return values as an array, sequences of their own lengths filled up with None."""
    values = plain(key, values)
    if isinstance(values, Tensor):
        return np.asarray((values.double() if values.is_floating_point() else values).numpy())
    if not isinstance(values, list | tuple):  # a column of pandas or Arrow may hold a sequence in each of its rows
        values = np.asarray(values)
    if ragged(values):
        return _filled(key, list(values), mask)
    array = np.asarray(values)
    # Of words and None, or words and NaN, NumPy makes objects; of words and numbers in lists it makes words.
    if array.dtype.kind in "US" and isinstance(values, list | tuple):
        array = np.asarray(values, dtype=object)
    return array


#: Rows that are not put together as those of a list are: what they hide would be lost, or they are no arrays.
_HELD = (Tensor, pd.Series, np.ma.MaskedArray)


def ragged(values: Any) -> bool:
    """Return whether these are sequences that are not all of one length, or not plain arrays."""
    one_each = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.dtype == object)
    if not one_each or (isinstance(values, np.ndarray) and values.ndim != 1) or not len(values):
        return False
    for row in values:
        if not isinstance(row, list | tuple | np.ndarray | Tensor | pd.Series) or getattr(row, "ndim", 1) == 0:
            return False
    same = isinstance(values, list | tuple) and not any(isinstance(row, _HELD) for row in values)
    return not same or len({len(row) for row in values}) > 1


def _filled(key: str, rows: Sequence[Any], mask: Bool[np.ndarray, "sequence time"]) -> np.ndarray:
    lengths, time = mask.sum(1), mask.shape[1]
    if len(rows) != len(mask):
        raise InputError(f"{key}: {len(rows)} sequences; there are {len(mask)}")
    out = np.full(mask.shape, None, dtype=object)
    for k, row in enumerate(rows):
        if len(row) not in (lengths[k], time):
            raise InputError(f"{key}: sequence {k} has {len(row)} values, but {lengths[k]} real steps")
        row = plain(f"{key}: sequence {k}", row)
        out[k, : len(row)] = row.tolist() if isinstance(row, Tensor | np.ndarray) else list(row)
    return out


def _of_one_type(key: str, values: np.ndarray) -> np.ndarray:
    """Return objects as numbers or as text."""
    text = [isinstance(v, str) for v in values.tolist()]
    if any(text) and not all(text):
        raise InputError(f"{key}: must be numbers or text, not a mixture")
    try:
        made = np.array(values.tolist()) if len(values) else np.zeros(0)
        exact = made.dtype == object and all(isinstance(v, Decimal | Fraction) for v in made.tolist())
        return made.astype(np.float64) if exact else made
    except (TypeError, ValueError):
        raise InputError(f"{key}: must be numbers or text, not a mixture") from None
