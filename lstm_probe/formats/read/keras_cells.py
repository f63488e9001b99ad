"""The cells of a Keras LSTM layer: plain, cuDNN's, in Bidirectional; and what of it an `nn.LSTM` cannot do."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Arrays
from lstm_probe.formats.gates import reorder
from lstm_probe.formats.read.keras_files import KerasFile
from lstm_probe.formats.read.keras_graph import Layer, inner, standard_class, word

KINDS = ("LSTM", "CuDNNLSTM")
#: Other ways to hand on two directions than side by side ("concat"), in words.
MERGED: dict[str | None, str] = {"sum": "added", "ave": "averaged", "mul": "multiplied", None: "apart"}
#: Before this version of Keras, recurrent_activation was hard_sigmoid by default.
SIGMOID_SINCE = (2, 3)


def is_lstm(layer: Layer) -> bool:
    """Return whether a layer is an LSTM in one or two directions."""
    if layer.kind == "Bidirectional" and layer.config:
        return inner(layer)[0] in KINDS
    return layer.kind in (*KINDS, "Bidirectional") or (layer.kind == "RNN" and inner(layer)[0] == "LSTMCell")


def settings_of(layer: Layer) -> list[Mapping[str, Any]]:
    """Return the configuration of each direction's LSTM."""
    if layer.kind != "Bidirectional":
        return [inner(layer)[1] if layer.kind == "RNN" else layer.config]
    backward = layer.config.get("backward_layer") or {}
    own = inner(layer)[1]
    return [own, backward.get("config") or own]


def setting(layer: Layer, key: str) -> Any:
    """Return a setting of the layer itself, as of how it hands on what its cell makes."""
    own = layer.config if layer.kind == "RNN" else settings_of(layer)[0]
    return own.get(key)


def merge_mode(layer: Layer) -> str | None:
    """Return how a layer hands on its directions; "concat" where it has one."""
    mode: str | None = layer.config.get("merge_mode", "concat") if layer.kind == "Bidirectional" else "concat"
    return mode


def reads_backward(layer: Layer) -> bool:
    """Return whether the layer's one direction is from the last step to the first."""
    return layer.kind != "Bidirectional" and bool(layer.config.get("go_backwards"))


def problems_of(layer: Layer, version: str, recurrent_activation: str | None) -> Iterator[str]:
    """Go through what this layer does that an `nn.LSTM` does not.

    Args:
        layer: an LSTM; without a configuration where the file has weights alone.
        version: of the Keras that wrote weights alone.
        recurrent_activation: what the user says of it.
    """
    if recurrent_activation not in (None, "sigmoid"):
        yield f"recurrent_activation={recurrent_activation}; nn.LSTM has sigmoid"
    if not layer.config:
        if recurrent_activation is None and not sigmoid_by_default(version) and not _is_cudnn(layer):
            yield _untold(version)
        return
    held = inner(layer)[0] if layer.kind == "Bidirectional" else layer.kind
    for settings in settings_of(layer):
        for key, legal in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
            if held == "CuDNNLSTM":
                break  # has no others
            if key not in settings:
                yield f"does not say its {key}: a file of Keras 1 is not read"
            elif word(settings[key]) != legal:
                yield f"{key}={word(settings[key])}; nn.LSTM has {legal}"
    if layer.kind != "Bidirectional":
        return
    backward = layer.config.get("backward_layer") or {}
    if backward and standard_class(backward) != held:
        yield f"its backward layer is a {standard_class(backward)}"
    if merge_mode(layer) not in (*MERGED, "concat"):
        yield f"merge_mode={merge_mode(layer)}; must be concat, sum, ave, mul or null"
    if settings_of(layer)[0].get("go_backwards"):
        yield "its forward layer has go_backwards=True; nn.LSTM reads forward first"


def _untold(version: str) -> str:
    """Return what it is that weights alone, of such a version, do not say."""
    if version and not version.endswith("-tf"):
        said = f"weights of Keras {version}: its default was recurrent_activation=hard_sigmoid, nn.LSTM has sigmoid"
    else:
        of = f"Keras {version}" if version else "an unknown version of Keras"
        said = f"weights of {of} do not tell whether recurrent_activation was sigmoid or hard_sigmoid"
    return f"{said}; say recurrent_activation=sigmoid if that is what it was trained with"


def sigmoid_by_default(version: str) -> bool:
    """Return whether a version of Keras says that recurrent_activation was sigmoid unless its user chose another.

    >>> [sigmoid_by_default(version) for version in ("2.2.4", "2.2.4-tf", "2.3.0", "2.3.0-tf", "2.15.0", "")]
    [False, False, True, True, True, False]
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= SIGMOID_SINCE


def cells_of(where: str, layer: Layer) -> list[Arrays]:
    """Return the layer's cell, or two where it has two directions."""
    directions = 2 if layer.kind == "Bidirectional" else 1
    each = len(layer.arrays) // directions
    if each not in (2, 3) or each * directions != len(layer.arrays):
        raise InputError(f"{where}: has {len(layer.arrays)} arrays; must be kernel, recurrent kernel and bias")
    groups = [layer.arrays[d * each : (d + 1) * each] for d in range(directions)]
    make = _cudnn_cell if _is_cudnn(layer) else _plain_cell
    cells = [make(where, *arrays) for arrays in groups]
    for cell, settings in zip(cells, settings_of(layer)):
        if settings.get("units", cell.outputs) != cell.outputs:
            raise InputError(
                f"{where}: units={settings['units']}, but its weights have {cell.outputs}: the file is incomplete"
            )
    return cells


def _is_cudnn(layer: Layer) -> bool:
    """Return whether the arrays are cuDNN's: alone, they tell so by a bias for each of both kernels."""
    if layer.config:
        return "CuDNNLSTM" in (layer.kind, inner(layer)[0])
    return any(a.ndim == 1 and a.shape[0] == 2 * layer.arrays[0].shape[-1] for a in layer.arrays)


def _plain_cell(where: str, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None = None) -> Arrays:
    return Arrays.of_kernels(where, "keras", kernel, recurrent, bias)


def _cudnn_cell(where: str, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None = None) -> Arrays:
    """Return the cell of a CuDNNLSTM, whose arrays have a plain layer's shapes and cuDNN's order of numbers.

    Each gate's block is (units, inputs) in memory, where a plain layer's is (inputs, units): a kernel's keeps the
    shape of a plain one, a recurrent kernel's is square. There is a bias for each of both.
    """
    shapes = [array.shape for array in (kernel, recurrent, *([] if bias is None else [bias]))]
    units = recurrent.shape[0] if recurrent.ndim == 2 else 0
    wanted = [(kernel.shape[0], 4 * units), (units, 4 * units), (8 * units,)]
    if bias is None or not units or shapes != wanted:
        raise InputError(f"{where}: arrays of shapes {', '.join(map(str, shapes))} are no CuDNNLSTM's")
    plain = [block.T.reshape(block.shape, order="F") for block in np.split(kernel, 4, axis=1)]
    turned = [block.T for block in np.split(recurrent, 4, axis=1)]
    cell = Arrays.of_kernels(where, "keras", np.concatenate(plain, axis=1), np.concatenate(turned, axis=1))
    ih, hh = np.split(bias, 2)
    return Arrays(cell.weight_ih, cell.weight_hh, reorder(ih, "keras"), reorder(hh, "keras"))


def notes_of(file: KerasFile, layer: Layer) -> Iterator[str]:
    """Go through what was converted or assumed of a layer."""
    if _is_cudnn(layer):
        yield f"{layer.name}: a CuDNNLSTM: cuDNN's order of weights undone; two biases, as in the file"
    elif layer.arrays[2:]:
        yield "one bias, kept as bias_ih; bias_hh is 0"
    if file.graph is None and not _is_cudnn(layer):
        yield f"{layer.name}: activations are not in the file: tanh and sigmoid assumed"
    if reads_backward(layer):
        yield (
            f"{layer.name}: go_backwards=True: reads each sequence from its end. Keras hands h on in the order in "
            "which it was made, last step first, as are the model's outputs here; a unit's values stay at their steps"
        )
    if merge_mode(layer) != "concat":
        mode = merge_mode(layer)
        how = f"{MERGED[mode]} (merge_mode={mode})"
        yield f"{layer.name}: its directions are handed on {how}; here their units stand side by side"
    if setting(layer, "stateful"):
        yield f"{layer.name}: stateful=True; here every sequence starts at zero unless record is given a state"
