"""Cells among arrays whose names prove the order of their blocks: TensorFlow 1's but its LSTM, Keras's and Flax's.

TensorFlow's `GRUCell` has gates/kernel, r before u, and candidate/kernel, and applies r to h before the product;
`CudnnCompatibleGRUCell` has a candidate of two projections and applies it after. Keras has recurrent_kernel, z r h.
Flax has a layer for each block: ii if ig io hi hf hg ho of an LSTM, ir iz in hr hz hn of a GRU, which is PyTorch's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRU, RNN
from lstm_probe.cells.known import get_cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Arrays

_BEFORE = get_cell("gru+reset_before")
_GATES, _CANDIDATE = ("gates/kernel", "gates/bias"), ("candidate/kernel", "candidate/bias")
_TWO = tuple(f"candidate/{side}_projection/{leaf}" for side in ("input", "hidden") for leaf in ("kernel", "bias"))
#: Flax's layers by the cell: what reads the inputs (i) and h (h), blocks in Keras's order.
_FLAX = {"LSTM": "ifgo", "GRU": "zrn"}
FLAX_LAYERS = tuple(f"{side}{block}/" for blocks in _FLAX.values() for side in "ih" for block in blocks)
_ORDERED = "blocks reordered from {} to r z n"


@dataclass(frozen=True)
class NamedCell:
    """A cell by its arrays' names.

    Args:
        kind: "GRU", "RNN" or "LSTM".
        cell: what its units are; None where the names do not tell, as `unknown` says.
        arrays: by their names inside the cell.
        notes: what was assumed or converted.
        unknown: what has to be said of it.
        source: what its arrays are.
    """

    kind: str
    cell: Cell | None
    arrays: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()
    unknown: str = ""
    source: str = "TensorFlow 1 variables"


def named_cells(variables: Mapping[str, np.ndarray]) -> dict[str, NamedCell]:
    """Return the cells that there are, by what their variables' names begin with."""
    inside: dict[str, dict[str, np.ndarray]] = {}
    for name, array in variables.items():
        parts = name.split("/")
        for depth in (1, 2, 3):  # how many words a name inside a cell has
            inside.setdefault("/".join(parts[:-depth]), {})["/".join(parts[-depth:])] = array
    return {prefix: cell for prefix, own in inside.items() if (cell := _named(prefix, own)) is not None}


def _named(prefix: str, own: Mapping[str, np.ndarray]) -> NamedCell | None:
    own = {name.replace("weights", "kernel").replace("biases", "bias"): array for name, array in own.items()}
    if {*_GATES, *_CANDIDATE} <= own.keys():
        return NamedCell("GRU", _BEFORE, own, ("a GRUCell's: tanh, and r applied to h before the product",
                                               _ORDERED.format("r u c")))  # fmt: skip
    if {*_GATES, *_TWO} <= own.keys():
        return NamedCell("GRU", GRU, own, ("a CudnnCompatibleGRUCell's: r applied to h after the product",
                                           _ORDERED.format("r u c")))  # fmt: skip
    if {"kernel", "recurrent_kernel"} <= own.keys() and own["recurrent_kernel"].ndim == 2:
        found = _keras(own)
        return None if found is None else replace(found, source="Keras weights")
    for kind, blocks in _FLAX.items():
        if {f"{side}{block}/kernel" for side in "ih" for block in blocks} <= own.keys():
            return _flax(own, kind, blocks)
    leaf = prefix.rpartition("/")[2].lower()
    if "rnn_cell" in leaf and {"kernel", "bias"} <= own.keys() and own["kernel"].ndim == 2:
        return NamedCell("RNN", RNN, own, ("a BasicRNNCell's; activation tanh assumed; cell=rnn_relu for relu",))
    return None


def _flax(own: Mapping[str, np.ndarray], kind: str, blocks: str) -> NamedCell | None:
    """Return a cell of Flax as Keras has its like; None where shapes do not fit. A bias that is not there is 0."""
    kernels = [[own[f"{side}{block}/kernel"] for block in blocks] for side in "ih"]
    units = kernels[1][0].shape[-1:]
    if {(array.ndim, array.shape[-1:]) for array in (*kernels[0], *kernels[1])} != {(2, units)} or len(
        {array.shape for array in kernels[0]}) > 1 or {array.shape for array in kernels[1]} != {units * 2}:  # fmt: skip
        return None
    zeros = np.zeros(units, kernels[0][0].dtype)
    rows = [[own.get(f"{side}{block}/bias", zeros) for block in blocks] for side in "ih"]
    if any(bias.shape != units for row in rows for bias in row):
        return None
    bias = np.stack([np.concatenate(row) for row in rows])
    arrays = {"kernel": np.concatenate(kernels[0], axis=1), "recurrent_kernel": np.concatenate(kernels[1], axis=1),
              "bias": bias.sum(0) if kind == "LSTM" else bias}  # fmt: skip
    notes = ("sigmoid and tanh assumed, which are not among the weights",)
    return NamedCell(kind, LSTM if kind == "LSTM" else GRU, arrays, notes, source="Flax weights")


def _keras(own: Mapping[str, np.ndarray]) -> NamedCell | None:
    units, wide = own["recurrent_kernel"].shape
    bias = own.get("bias")
    if wide == units:
        return NamedCell("RNN", RNN, own, ("activation tanh assumed; cell=rnn_relu for relu",))
    if wide == 4 * units:
        return NamedCell("LSTM", None, own, (), "")
    if wide != 3 * units:
        return None
    if bias is not None and bias.ndim == 2:
        notes = ("two rows of biases: reset_after; sigmoid and tanh assumed; cell=NAME for others",
                 _ORDERED.format("z r h"))  # fmt: skip
        return NamedCell("GRU", GRU, own, notes)
    before = "cell=gru_reset_before, or cell=gru+reset_before+gates:hard_sigmoid for Keras before 2.3"
    why = f"one row of biases: {before}" if bias is not None else f"no biases: cell=gru for reset_after, else {before}"
    return NamedCell("GRU", None, own, (_ORDERED.format("z r h"),), why)


def arrays_of_named(where: str, named: NamedCell, cell: Cell) -> Arrays:
    """Return a cell's weights as PyTorch has them.

    Raises:
        InputError: arrays whose shapes do not fit each other, or the cell.
    """
    own = named.arrays
    try:
        if named.kind == "LSTM":
            return Arrays.of_kernels(where, "keras", own["kernel"], own["recurrent_kernel"], own.get("bias"))
        if "recurrent_kernel" in own:
            return _of_keras(where, named, cell)
        if "kernel" in own:
            units = own["kernel"].shape[1]
            return _one(own["kernel"][:-units].T, own["kernel"][-units:].T, own["bias"])
        units = own["gates/kernel"].shape[1] // 2
        gates, b = own["gates/kernel"], own["gates/bias"]
        if "candidate/kernel" in own:
            both = np.concatenate([gates, own["candidate/kernel"]], axis=1)
            return _one(both[:-units].T, both[-units:].T, np.concatenate([b, own["candidate/bias"]]))
        kernel, bias, recurrent, recurrent_bias = (own[name] for name in _TWO)
        return Arrays(
            np.concatenate([gates[:-units], kernel], axis=1).T, np.concatenate([gates[-units:], recurrent], axis=1).T,
            np.concatenate([b, bias]), np.concatenate([np.zeros_like(b), recurrent_bias]),
        )  # fmt: skip
    except InputError:
        raise
    except (ValueError, IndexError) as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in own.items() if array.ndim)
        raise InputError(f"{where}: its arrays do not fit together: {shapes[:300]}") from error


def _one(weight_ih: np.ndarray, weight_hh: np.ndarray, bias: np.ndarray | None) -> Arrays:
    return Arrays(weight_ih, weight_hh, bias, None if bias is None else np.zeros_like(bias))


def _of_keras(where: str, named: NamedCell, cell: Cell) -> Arrays:
    own, bias = named.arrays, named.arrays.get("bias")
    after = named.kind == "GRU" and not getattr(cell.step, "before", False)
    if bias is not None and bias.ndim != 1 + after:
        raise InputError(f"{where}: bias of shape {bias.shape}; {cell.a_title} of Keras has {1 + after} rows of biases")
    if named.kind == "RNN":
        return _one(own["kernel"].T, own["recurrent_kernel"].T, bias)

    def turned(array: np.ndarray) -> np.ndarray:
        z, r, n = np.split(array, 3, axis=-1)
        return np.concatenate([r, z, n], axis=-1)

    weights = turned(own["kernel"]).T, turned(own["recurrent_kernel"]).T
    if bias is None or not after:
        return _one(*weights, None if bias is None else turned(bias))
    return Arrays(*weights, *turned(bias))
