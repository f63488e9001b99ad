"""The weights of a recurrent layer of Keras: plain, of cells, cuDNN's, in Bidirectional.

Keras keeps (features, blocks) and one bias; blocks are i f c o of an LSTM and z r h of a GRU
(https://keras.io/api/layers/recurrent_layers/).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.formats.build import Arrays
from lstm_probe.formats.gates import GRU_ORDERS, Orders, reorder
from lstm_probe.formats.read.keras_graph import Layer, inner, standard_class

#: What each class's cells are, by the name of the layer that is made of such.
CLASSES = {
    "LSTM": "LSTM", "CuDNNLSTM": "LSTM", "LSTMCell": "LSTM", "GRU": "GRU", "CuDNNGRU": "GRU", "GRUCell": "GRU",
    "SimpleRNN": "SimpleRNN", "SimpleRNNCell": "SimpleRNN",
}  # fmt: skip
#: How many blocks of units their kernels have, and in what order each framework has them.
BLOCKS = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
_ORDERS: dict[str, Orders] = {
    "LSTM": GATE_ORDERS, "GRU": GRU_ORDERS, "SimpleRNN": {"keras": ("h",), "pytorch": ("h",)},
}  # fmt: skip
#: What they are called where PyTorch has a module of them.
MODULES = {"LSTM": "nn.LSTM", "GRU": "nn.GRU", "SimpleRNN": "nn.RNN"}
#: What Keras 1 called settings, and what they are called since; and how it ordered arrays that stood alone.
_OLD = {"output_dim": "units", "inner_activation": "recurrent_activation", "init": "kernel_initializer",
        "inner_init": "recurrent_initializer"}  # fmt: skip
_OLD_ORDERS = {"LSTM": ("i", "g", "f", "o"), "GRU": ("z", "r", "n")}
#: Other ways to hand on two directions than side by side ("concat"), in words.
MERGED: dict[str | None, str] = {"sum": "added", "ave": "averaged", "mul": "multiplied", None: "apart"}


@dataclass(frozen=True)
class Way:
    """What runs in one direction.

    Args:
        held: the class that Keras has there: "GRU", "CuDNNGRU", "RNN".
        own: the settings of how it hands on what its cells make.
        classes: of its cells, lowest first, "LSTM" where it is an LSTM itself; others stand as they are.
        settings: of each cell; nothing where the file has no configuration.
    """

    held: str
    own: Mapping[str, Any]
    classes: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]


def ways_of(layer: Layer) -> tuple[Way, ...]:
    """Return what runs in each direction of a layer."""
    if layer.kind != "Bidirectional":
        return (_way(layer.kind, layer.config),)
    if not layer.config:
        own = _by_blocks(layer.arrays)
        return (Way(own, {}, (own,), ({},)),) * 2
    kind, config = inner(layer)
    backward = layer.config.get("backward_layer") or {}
    if not isinstance(backward, Mapping) or not backward:
        return (_way(kind, config),) * 2
    return _way(kind, config), _way(standard_class(backward), backward.get("config") or config)


def _way(kind: str, config: Mapping[str, Any]) -> Way:
    config = _renamed(config)
    if kind != "RNN":
        return Way(kind, config, (CLASSES.get(kind, kind),), (config,))
    cells = [config.get("cell") or {}]
    if isinstance(cells[0], list):
        cells = list(cells[0])
    elif standard_class(cells[0]) == "StackedRNNCells":
        cells = list((cells[0].get("config") or {}).get("cells") or [])
    kinds = [standard_class(cell) for cell in cells]
    return Way("RNN", config, tuple(CLASSES.get(each, each) for each in kinds),
               tuple(cell.get("config") or {} for cell in cells))  # fmt: skip


def _renamed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings by the names that they have since Keras 2."""
    if "units" in config or "output_dim" not in config:
        return config
    renamed = {_OLD.get(key, key): value for key, value in config.items()}
    if "forget_bias_init" in config:
        renamed["unit_forget_bias"] = config["forget_bias_init"] in ("one", "ones")
    return renamed


def _by_blocks(arrays: tuple[np.ndarray, ...]) -> str:
    """Return which class arrays are of, by how many blocks the first kernel has."""
    blocks = arrays[0].shape[-1] // max(arrays[1].shape[0], 1)
    return next((kind for kind, n in BLOCKS.items() if n == blocks), "unknown")


def is_recurrent(layer: Layer) -> bool:
    """Return whether a layer is of cells that are read, in one or two directions."""
    if layer.kind not in (*CLASSES, "Bidirectional", "RNN"):
        return False
    classes = [each for way in ways_of(layer) for each in way.classes]
    return bool(classes) and all(each in BLOCKS for each in classes[: len(ways_of(layer)[0].classes)])


def class_of(layer: Layer) -> str:
    """Return of which cells a layer is: "LSTM", "GRU" or "SimpleRNN"."""
    return ways_of(layer)[0].classes[0]


def settings_of(layer: Layer) -> list[Mapping[str, Any]]:
    """Return the configuration of each cell, direction by direction."""
    return [settings for way in ways_of(layer) for settings in way.settings]


def setting(layer: Layer, key: str) -> Any:
    """Return a setting of the layer itself, as of how it hands on what its cells make."""
    return ways_of(layer)[0].own.get(key)


def merge_mode(layer: Layer) -> str | None:
    """Return how a layer hands on its directions; "concat" where it has one."""
    mode: str | None = layer.config.get("merge_mode", "concat") if layer.kind == "Bidirectional" else "concat"
    return mode


def reads_backward(layer: Layer) -> bool:
    """Return whether the layer's one direction is from the last step to the first."""
    return layer.kind != "Bidirectional" and bool(layer.config.get("go_backwards"))


def is_cudnn(layer: Layer) -> bool:
    """Return whether the arrays are cuDNN's: alone, they tell so by a bias for each of both kernels."""
    if layer.config:
        return ways_of(layer)[0].held.startswith("CuDNN")
    return any(a.ndim == 1 and a.shape[0] == 2 * layer.arrays[0].shape[-1] for a in layer.arrays)


def biases_of(layer: Layer) -> tuple[np.ndarray, ...]:
    """Return the biases of all of a layer's cells; nothing where they have none."""
    cells = len(settings_of(layer))
    return layer.arrays[2::3] if len(layer.arrays) % (3 * max(cells, 1)) == 0 else ()


def cells_of(where: str, layer: Layer) -> list[list[Arrays]]:
    """Return the weights of cells that stand on one another, lowest first: of each one direction, or two.

    Raises:
        InputError: arrays that are no such cells'.
    """
    made = [_split(where, class_of(layer), way, arrays, is_cudnn(layer)) for way, arrays in _halves(layer)]
    return [list(each) for each in zip(*made)]


def _halves(layer: Layer) -> Iterator[tuple[Way, tuple[np.ndarray, ...]]]:
    ways = ways_of(layer)
    counts = [sum(2 + bool(cell.get("use_bias", True)) for cell in way.settings) for way in ways]
    if sum(counts) != len(layer.arrays):  # Keras 1 has more of them
        counts = [len(layer.arrays) // len(ways)] * len(ways)
    first = counts[0]
    yield from zip(ways, (layer.arrays[:first], layer.arrays[first:]) if len(ways) > 1 else (layer.arrays,))


def _split(where: str, kind: str, way: Way, arrays: tuple[np.ndarray, ...], cudnn: bool) -> list[Arrays]:
    """Return the weights of each cell of one direction."""
    cells = len(way.settings)
    if cells == 1 and kind in _OLD_ORDERS and len(arrays) == 3 * BLOCKS[kind]:
        arrays = _joined(where, kind, arrays)
    each = len(arrays) // cells
    if each not in (2, 3) or each * cells != len(arrays):
        raise InputError(f"{where}: has {len(arrays)} arrays; must be kernel, recurrent kernel and bias")
    made = []
    for k, settings in enumerate(way.settings):
        own = (_cudnn_cell if cudnn else _plain_cell)(where, kind, *arrays[k * each : (k + 1) * each])
        if settings.get("units", own.outputs) != own.outputs:
            raise InputError(
                f"{where}: units={settings['units']}, but its weights have {own.outputs}: the file is incomplete"
            )
        made.append(own)
    return made


def _joined(where: str, kind: str, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return kernel, recurrent kernel and bias of Keras 1, which kept those of each block by itself."""
    by_block = {gate: arrays[3 * k : 3 * k + 3] for k, gate in enumerate(_OLD_ORDERS[kind])}
    parts = list(zip(*(by_block[gate] for gate in _ORDERS[kind]["keras"])))
    if any(len({array.shape for array in part}) > 1 or not part[0].ndim for part in parts):
        raise InputError(f"{where}: arrays of shapes {', '.join(str(a.shape) for a in arrays)} are no {kind}'s")
    return tuple(np.concatenate(part, axis=-1) for part in parts)


def _plain_cell(
    where: str, kind: str, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None = None
) -> Arrays:
    blocks, wide = BLOCKS[kind], kernel.shape[-1] if kernel.ndim else 0
    arrays = {"kernel": (kernel, 2), "recurrent kernel": (recurrent, 2)}
    ranks = (1, 2) if kind == "GRU" else (1,)
    arrays |= {} if bias is None else {"bias": (bias, bias.ndim if bias.ndim in ranks else 1)}
    for name, (array, rank) in arrays.items():
        odd = rank == 2 and name == "bias" and array.shape[0] != 2
        if array.ndim != rank or odd or array.shape[-1] != wide or wide % blocks or not array.size:
            an, ends = ("an", f"{blocks} x units") if kind == "LSTM" else ("a", f"{blocks} x units".replace("1 x ", ""))
            raise InputError(
                f"{where}: {name} of shape {array.shape}; {an} {kind}'s ends in {ends} like its kernel's {kernel.shape}"
            )
    ih, hh = _biases(kind, bias)
    return Arrays(_turned(kind, kernel).T, _turned(kind, recurrent).T, ih, hh)


def _biases(kind: str, bias: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return what is added to what comes from the inputs, and what to what comes from h."""
    if bias is None:
        return None, None
    ih, hh = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    return _turned(kind, ih), _turned(kind, hh)


def _turned(kind: str, array: np.ndarray) -> np.ndarray:
    return reorder(array, "keras", orders=_ORDERS[kind])


def _cudnn_cell(
    where: str, kind: str, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None = None
) -> Arrays:
    """Return the weights of a cuDNN layer, whose arrays have a plain layer's shapes and cuDNN's order of numbers.

    Each gate's block is (units, inputs) in memory, where a plain layer's is (inputs, units): a kernel's keeps the
    shape of a plain one, a recurrent kernel's is square. There is a bias for each of both.
    """
    blocks = BLOCKS[kind]
    shapes = [array.shape for array in (kernel, recurrent, *([] if bias is None else [bias]))]
    units = recurrent.shape[0] if recurrent.ndim == 2 else 0
    if bias is None or not units or shapes[0][1:] != (blocks * units,) or shapes[1:] != [
        (units, blocks * units), (2 * blocks * units,)
    ]:  # fmt: skip
        raise InputError(f"{where}: arrays of shapes {', '.join(map(str, shapes))} are no CuDNN{kind}'s")
    plain = [block.T.reshape(block.shape, order="F") for block in np.split(kernel, blocks, axis=1)]
    turned = [block.T for block in np.split(recurrent, blocks, axis=1)]
    w_ih, w_hh = (_turned(kind, np.concatenate(each, axis=1)).T for each in (plain, turned))
    ih, hh = np.split(bias, 2)
    return Arrays(w_ih, w_hh, _turned(kind, ih), _turned(kind, hh))
