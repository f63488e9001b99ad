"""TensorFlow 1 cells: `BasicLSTMCell` and `LSTMCell`, from arrays, an `.npz` of variables, or a checkpoint.

One kernel, (features + outputs, 4 x units), is for inputs and previous h together; its gates are i j f o, and
`forget_bias` is added to f when the cell runs and is in no file
(tensorflow/python/keras/layers/legacy_rnn/rnn_cell_impl.py).
"""

import io
import math
import os
import re
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of, get_cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError
from lstm_probe.core.limited import array_after, child_reading, lines
from lstm_probe.core.vocabulary import GATE_ORDERS, UNKNOWN
from lstm_probe.formats.bare import Layer, named, unproven
from lstm_probe.formats.build import Arrays, build_layers, build_linear, dtype_of
from lstm_probe.formats.choosing import and_words, choose_first
from lstm_probe.formats.files import checked_zip, need, zip_member
from lstm_probe.formats.found import what_is_there
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.named_cells import FLAX_LAYERS, arrays_of_named, named_cells
from lstm_probe.formats.read.pytorch import of_states
from lstm_probe.formats.read.torch_files import Contents
from lstm_probe.recorder.initial import note_origin

PEEPHOLES = ("w_i_diag", "w_f_diag", "w_o_diag")
_TORCH = re.compile(r"(^|\.)weight_(ih|hh)(_l\d+)?$")
#: Scopes that TensorFlow's own functions make around a cell.
_SCOPES = re.compile(r"lstm|gru|rnn|^(fw|bw)$|^cell_\d+$")
_CHILD = Path(__file__).with_name("tensorflow1_child.py")
_KERNELS, _BIASES = ("kernel", "weights"), ("bias", "biases")
#: An optimiser keeps its own copies under the variable's name.
_SLOTS = re.compile(r"/(Adam(_\d+)?|Momentum|RMSProp(_\d+)?|Adagrad|ExponentialMovingAverage)$")


def from_tensorflow1(
    kernel: np.ndarray,
    bias: np.ndarray,
    *,
    forget_bias: float = 1.0,
    projection_kernel: np.ndarray | None = None,
    w_i_diag: np.ndarray | None = None,
    w_f_diag: np.ndarray | None = None,
    w_o_diag: np.ndarray | None = None,
    inputs: int | None = None,
) -> Imported:
    """Make an LSTM from the arrays of a `BasicLSTMCell` or `LSTMCell`.

    Args:
        kernel: (features + outputs, 4 x units), gates i j f o.
        bias: (4 x units,).
        forget_bias: what the cell adds to its forget gate's bias at run time; not in the arrays.
        projection_kernel: (units, num_proj), where the cell has one.
        w_i_diag: (units,), peepholes, all three or none.
        w_f_diag: likewise.
        w_o_diag: likewise.
        inputs: features of an input, to be checked against the kernel.

    Raises:
        InputError: some peepholes without others, or shapes that do not fit.
    """
    given = dict(zip(PEEPHOLES, (w_i_diag, w_f_diag, w_o_diag)))
    variables = {"kernel": kernel, "bias": bias, "projection/kernel": projection_kernel, **given}
    own = _cell("TensorFlow 1 cell", {k: np.asarray(v) for k, v in variables.items() if v is not None}, forget_bias)
    if inputs is not None and inputs != own.weight_ih.shape[1]:
        raise InputError(f"inputs={inputs}: the kernel {np.shape(kernel)} has {own.weight_ih.shape[1]} rows for inputs")
    lstm = note_origin(build_layers("TensorFlow 1 cell", [[own]], cell=_kind([own])), UNKNOWN, forget_bias)
    return Imported(lstm, "TensorFlow 1 cell", "cell", notes=_notes(forget_bias, lstm.proj_size > 0))


def load(
    path: Path, kind: str, layer: str | None, forget_bias: float | None = None, readout: str | None = None,
    cell: str | None = None,
) -> Imported:  # fmt: skip
    """Read TensorFlow 1 variables by their names; `kind` is "npz" or "checkpoint".

    An `.npz` may also have a PyTorch module's weights by PyTorch's names, and a Keras or Flax layer's by theirs.
    """
    variables = _read_npz(path) if kind == "npz" else _read_checkpoint(path)
    variables = {name.removesuffix(":0"): array for name, array in variables.items() if not _SLOTS.search(name)}
    if kind == "npz" and any(_TORCH.search(name) for name in variables):
        return _as_pytorch(path, variables, layer, forget_bias, readout, cell)
    if not any("/" in name for name in variables):  # as Flax's own names are joined by some
        variables = {name.replace(".", "/"): array for name, array in variables.items()}
    told, others = None if cell is None else get_cell(cell), named_cells(variables)
    cells = {prefix: own for prefix, own in _cells_of(variables).items() if prefix not in others}
    known = {prefix: own for prefix, own in others.items() if (told or own.cell) is not None}
    kinds = dict.fromkeys(cells, "LSTM") | {prefix: own.kind for prefix, own in known.items()}
    if not kinds:
        unknown = [f"{prefix or own.kind} has {own.unknown}" for prefix, own in others.items() if own.unknown]
        what = f"cannot be told by its arrays alone: {unknown[0]}" if unknown else (
            f"holds no LSTM cell (lstm_cell/kernel ...): {what_is_there(variables)}")  # fmt: skip
        raise InputError(f"path={path}: {what}")
    stacks = {
        name: layers
        for word in ("LSTM", "GRU", "RNN")
        for name, layers in _stacks([p for p, own in kinds.items() if own == word], word.lower()).items()
    }
    name, more = choose_first(path, {name: kinds[layers[0][0]] for name, layers in stacks.items()}, layer)
    where, stack = f"path={path}: {name}", stacks[name]
    ours = {prefix for each in stack for prefix in each}
    what = "NumPy file of TensorFlow 1 variables" if kind == "npz" else "TensorFlow checkpoint"
    notes: tuple[str, ...] = ()
    if stack[0][0] in cells:
        if forget_bias is None:
            # The one cell that TensorFlow made to read cuDNN's weights adds nothing.
            forget_bias = 0.0 if "cudnn_compatible" in stack[0][0] else 1.0
        arrays = [[_cell(where, cells[p], forget_bias) for p in each] for each in stack]
        own = _kind([a for each in arrays for a in each])
    else:
        if forget_bias is not None:
            raise InputError(f"forget_bias={forget_bias}: only TensorFlow 1's LSTM cells add one at run time")
        first = known[stack[0][0]]
        own, notes = told or first.cell or LSTM, tuple(n for n in first.notes if told is None or n.startswith("blocks"))
        what = what.replace("TensorFlow 1 variables", first.source)
        _check_told(cell, where, own, {"LSTM": 4, "GRU": 3, "RNN": 1}[first.kind])
        arrays = [[arrays_of_named(where, known[p], own) for p in each] for each in stack]
    if told is not None:
        _check_told(cell, where, told, len(own.blocks))
        if told.extra != own.extra:
            raise InputError(f"cell={cell}: {where} has {and_words(list(own.extra) or ['no more than its kernel'])}")
        own = told
    lstm = build_layers(where, arrays, cell=own)
    if forget_bias is not None:
        note_origin(lstm, UNKNOWN, forget_bias)
        notes = _notes(forget_bias, lstm.proj_size > 0)
    linear, words = _readout(path, variables, ours, {*cells, *others} - ours, lstm, readout)
    return Imported(lstm, f"{what}, cell {name}", name, linear, notes=(*more, *notes, words))


def _check_told(cell: str | None, where: str, own: Cell, blocks: int) -> None:
    if len(own.blocks) != blocks:
        raise InputError(f"cell={cell}: has {len(own.blocks)} blocks; {where} has {blocks}")


def _kind(arrays: list[Arrays]) -> Cell:
    """Return what an LSTM cell is by what it has."""
    return get_cell("lstm+peepholes") if any(own.more for own in arrays) else LSTM


def _as_pytorch(
    path: Path, variables: Mapping[str, np.ndarray], layer: str | None, forget_bias: float | None,
    readout: str | None, cell: str | None,
) -> Imported:  # fmt: skip
    if forget_bias is not None:
        raise InputError(
            f"forget_bias={forget_bias}: only TensorFlow 1 cells add one at run time; {path} has PyTorch's"
        )
    tensors = {name: torch.tensor(array) for name, array in variables.items() if array.dtype.kind in "fiub"}
    return of_states(
        path, Contents({"": tensors}, ordered=False), "NumPy file of PyTorch weights", layer, readout, cell
    )


def _readout(
    path: Path, variables: Mapping[str, np.ndarray], ours: Set[str], others: Set[str], lstm: Layers, wanted: str | None
) -> tuple[nn.Linear | None, str]:
    """Return the linear layer that reads h, None where none can be told, and words on the choice.

    `ours` are the cells of the LSTM, `others` those of other ones.
    """
    width = (lstm.proj_size or lstm.hidden_size) * (1 + lstm.bidirectional)
    scope = min(ours).split("/")
    while scope and _SCOPES.search(scope[-1].lower()):
        scope.pop()
    own = Layer("/".join([*scope, "lstm"]), kind=cell_of(lstm).title.partition(" (")[0])
    matrices, rest = _around(variables, ours | others)
    layers = [*(layer for layer, *_ in matrices.values()), *rest]
    if wanted is not None:
        name, words = named(layers, width, wanted)
    else:
        found, words = unproven([own, *layers, *map(Layer, sorted(others))], own, width, lstm.input_size, ordered=False)
        if found is None:
            return None, words
        name = found
    _, kernel, bias = matrices[name]
    return build_linear(f"path={path}: {name}", kernel.T, bias, dtype_of(lstm)), words


def _around(
    variables: Mapping[str, np.ndarray], cells: Set[str]
) -> tuple[dict[str, tuple[Layer, np.ndarray, np.ndarray | None]], list[Layer]]:
    """Return the layers of kernels, each with its kernel and bias, and all else that belongs to no cell."""
    # One cell alone may have no scope: then what has one is not its own.
    inside = tuple(f"{cell}/" for cell in cells if cell) + (
        ("projection/", "gates/", "candidate/", *FLAX_LAYERS) if "" in cells else ()
    )
    outside = {k: v for k, v in variables.items() if not k.startswith(inside) and ("" not in cells or "/" in k)}
    matrices, rest = {}, []
    for name, array in outside.items():
        prefix, _, leaf = name.rpartition("/")
        bias = next((outside[f"{prefix}/{b}"] for b in _BIASES if f"{prefix}/{b}" in outside), None)
        if prefix and leaf in _KERNELS and array.ndim == 2:
            matrices[prefix] = Layer(prefix, (array.shape[1], array.shape[0]), bias is not None), array, bias
        elif array.size > 1 and not (leaf in _BIASES and any(f"{prefix}/{k}" in outside for k in _KERNELS)):
            rest.append(
                Layer(name, (array.shape[0], array.shape[1]) if "emb" in name.lower() and array.ndim == 2 else None)
            )
    return matrices, rest


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with checked_zip(path) as archive:
        arrays = {n.removesuffix(".npy"): _npy(f"path={path}: {n}", zip_member(archive, n)) for n in archive.namelist()}
    return {name: array for name, array in arrays.items() if array is not None}


def _npy(where: str, data: bytes) -> np.ndarray | None:
    """Return the array of a .npy file, None where it is none of numbers; what its head claims is not believed."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, kind = head(stream)
    if kind.hasobject:
        raise InputError(f"{where}: holds Python objects: never loaded")
    if kind.kind not in "fiub":
        return None
    if math.prod(shape) * kind.itemsize != len(data) - stream.tell():
        raise InputError(f"{where}: is damaged: its {len(data)} bytes are not an array of shape {shape}")
    values = np.frombuffer(data, kind, offset=stream.tell())
    return values.reshape(shape, order="F" if in_columns else "C")


def _read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    need("tensorflow", "", path)  # an own, large installation: only who has checkpoints has it
    with Path(os.devnull).open("rb") as nothing, child_reading(_CHILD, nothing, ["tensorflow"], [str(path)]) as stream:
        return {line["array"]: array_after(stream, line) for line in lines(stream)}


def _leaf(name: str) -> str:
    return name.rpartition("/")[2]


def _cells_of(variables: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return each LSTM cell's variables by their names inside the cell; its own name has "lstm" in it."""
    cells: dict[str, dict[str, np.ndarray]] = {}
    for name, array in variables.items():
        prefix, _, leaf = name.rpartition("/")
        own = "lstm" in _leaf(prefix).lower() or not prefix
        if leaf in _KERNELS and array.ndim == 2 and own and not prefix.endswith("projection"):
            inside = {
                key.removeprefix(f"{prefix}/"): value
                for key, value in variables.items()
                if not prefix or key.startswith(f"{prefix}/")
            }
            cells[prefix] = {re.sub("weights$", "kernel", re.sub("biases$", "bias", k)): v for k, v in inside.items()}
    return cells


def _stacks(prefixes: list[str], alone: str = "lstm") -> dict[str, list[list[str]]]:
    """Return the cells that are one LSTM: layers of a `MultiRNNCell`, and both directions of a dynamic RNN.

    >>> _stacks(["rnn/multi_rnn_cell/cell_0/lstm_cell", "rnn/multi_rnn_cell/cell_1/lstm_cell"])
    {'rnn': [['rnn/multi_rnn_cell/cell_0/lstm_cell'], ['rnn/multi_rnn_cell/cell_1/lstm_cell']]}
    """
    groups: dict[str, dict[tuple[int, str], str]] = {}
    for prefix in prefixes:
        number = re.search(r"(?:^|/)multi_rnn_cell/cell_(\d+)(?=/|$)", prefix)
        direction = re.search(r"(?:^|/)(fw|bw)(?=/|$)", prefix)
        cuts = [m.start() for m in (number, direction) if m]
        name = (prefix[: min(cuts)] if cuts else prefix) or alone
        layer = int(number[1]) if number else 0
        groups.setdefault(name, {})[layer, direction[1] if direction else "fw"] = prefix
    stacks: dict[str, list[list[str]]] = {}
    for name, cells in groups.items():
        layers = sorted({layer for layer, _ in cells})
        both = {direction for _, direction in cells} == {"fw", "bw"}
        if both and len(layers) > 1:
            # TensorFlow runs each direction's stack to its top by itself, nn.LSTM joins them in every layer.
            for way in ("fw", "bw"):
                stacks[f"{name}/{way}"] = [[cells[k, way]] for k in layers if (k, way) in cells]
        else:
            stacks[name] = [[cells[k, d] for d in ("fw", "bw") if (k, d) in cells] for k in layers]
    return stacks


def _cell(where: str, variables: Mapping[str, np.ndarray], forget_bias: float) -> Arrays:
    peepholes = [name for name in PEEPHOLES if name in variables]
    if peepholes and len(peepholes) < len(PEEPHOLES):
        raise InputError(f"{where}: has peepholes {', '.join(peepholes)}; must be all of {', '.join(PEEPHOLES)}")
    odd = [name for name in variables if _leaf(name) in ("gamma", "beta")]
    if odd:
        raise InputError(f"{where}: has layer normalisation ({odd[0]}), which nn.LSTM does not have: not read")
    kernel, bias, projection = (variables.get(k) for k in ("kernel", "bias", "projection/kernel"))
    if kernel is None or bias is None:
        raise InputError(f"{where}: must have kernel and bias; it has {and_words(list(variables))}")
    if kernel.ndim != 2 or kernel.shape[1] % 4 or bias.shape != kernel.shape[1:]:
        three = " (a GRU has three gate blocks)" if kernel.ndim == 2 and kernel.shape[1] % 12 in (3, 6, 9) else ""
        raise InputError(
            f"{where}: kernel {kernel.shape} and bias {bias.shape}; "
            f"must be (inputs + outputs, 4 x units) and (4 x units,){three}"
        )
    units = kernel.shape[1] // 4
    if projection is not None and (projection.ndim != 2 or projection.shape[0] != units):
        raise InputError(f"{where}: projection/kernel {projection.shape}; must be ({units}, outputs)")
    outputs = units if projection is None else projection.shape[1]
    if kernel.shape[0] <= outputs:
        raise InputError(
            f"{where}: kernel {kernel.shape} has no rows for inputs beside the {outputs} of the previous h"
        )
    bias = bias.copy()
    forget = GATE_ORDERS["tensorflow1"].index("f")
    bias[forget * units : (forget + 1) * units] += forget_bias
    if any(variables[name].shape != (units,) for name in peepholes):
        raise InputError(f"{where}: {', '.join(peepholes)} must be of shape ({units},)")
    made = Arrays.of_kernels(where, "tensorflow1", kernel[:-outputs], kernel[-outputs:], bias, projection)
    more = {"peephole": np.stack([variables[name] for name in PEEPHOLES])} if peepholes else {}
    return replace(made, more=more)


def _notes(forget_bias: float, projected: bool) -> tuple[str, ...]:
    return (
        f"forget_bias={forget_bias} added to f's bias: the cell adds it at run time, no file has it",
        "one bias, kept as bias_ih; bias_hh is 0",
        "gates reordered from i j f o to i f g o; activation tanh and no clipping of c"
        + (" or h" if projected else "")
        + " assumed, which are not among the weights",
    )
