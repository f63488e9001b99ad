"""What people keep their numbers in, made plain: what a mask hides is missing, whatever holds it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lstm_probe.core.errors import InputError

#: Axes that may have these names stand in this order.
AXES = ("sequence", "time")


def plain(key: str, values: Any) -> Any:
    """Return values that stand in a special tensor or array as a plain one on the CPU, or as a list; others unchanged.

    What a mask hides is NaN, or None among what is no float; what a sparse tensor leaves out is 0; the parts of a
    nested tensor and of an iterator are a list; axes of xarray that are called `sequence` and `time` come first.

    Raises:
        InputError: a tensor without values; `key` is what the message calls it.
    """
    if isinstance(values, Iterator):
        return list(values)
    if isinstance(values, torch.masked.MaskedTensor):
        hidden = ~values.get_mask().cpu().numpy()
        values = np.ma.masked_array(values.get_data().detach().cpu().numpy(), hidden)
    if isinstance(values, Tensor):
        return _plain_tensor(key, values)
    if isinstance(values, np.ma.MaskedArray) and values.dtype.names is None:
        hidden = np.ma.getmaskarray(values)
        if not hidden.any():
            return np.asarray(values)
        if values.dtype.kind == "f":
            return values.filled(np.nan)
        objects = values.data.astype(object)
        objects[hidden] = None
        return objects
    if set(AXES) <= set(dims if isinstance(dims := getattr(values, "dims", ()), tuple) else ()):
        return values.transpose(*AXES, ...).to_numpy()
    return values


def _plain_tensor(key: str, values: Tensor) -> Any:
    if values.is_nested:
        return [_plain_tensor(key, one) for one in values.unbind()]
    if values.is_meta:
        raise InputError(f"{key}: a tensor on the meta device, which keeps shapes alone: there are no values")
    values = values.detach().cpu()
    values = values.dequantize() if values.is_quantized else values
    values = values if values.layout == torch.strided else values.to_dense()
    return values.resolve_conj().resolve_neg()


def as_numbers(key: str, values: Any) -> np.ndarray:
    """Return an array or lists of real numbers as one array, in the bytes of this machine; NaN where there is none.

    Raises:
        InputError: rows of several lengths, or what is no number.
    """
    try:
        array = np.asarray(values)
        if array.dtype == object:
            array = _of_objects(array)
    except (TypeError, ValueError):
        array = np.zeros(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{key}: must be numbers, in rows of one length")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _of_objects(array: np.ndarray) -> np.ndarray:
    """Return numbers that stand as objects, such as decimals, with NaN for None and NA."""
    known = ~pd.isna(array)
    there = array[known].tolist()
    if any(isinstance(one, str | bytes) for one in there):  # NumPy would read numbers out of them
        return array
    numbers = np.full(array.shape, np.nan)
    numbers[known] = np.array(there, dtype=np.float64)
    return numbers


def as_frame(given: Any) -> Any:
    """Return a table of polars or Arrow as a DataFrame; what is none unchanged."""
    given = given.collect() if hasattr(given, "collect_schema") and hasattr(given, "collect") else given
    if hasattr(given, "to_pydict"):
        columns = given.to_pydict()
    elif hasattr(given, "get_columns"):
        columns = given.to_dict(as_series=False)
    else:
        return given
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
