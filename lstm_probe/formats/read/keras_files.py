"""What a Keras file says: its layers in order, what each reads, and their arrays. Nothing in it is executed.

Three kinds: `.keras` (a zip of config.json and model.weights.h5), `.weights.h5` alone (arrays by the layers'
classes, no configuration), and the legacy `.h5` of Keras 2 (`model_config` and `weight_names` as attributes),
or its weights alone. Only hard links and data inside the file are followed: others could point anywhere.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.formats.files import checked_zip, unpacked, zip_member
from lstm_probe.formats.read.hdf5 import Group, read_hdf5

MODELS = ("Sequential", "Functional", "Model")
MOST_TEXT = 2**24  # bytes of a configuration
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(frozen=True)
class Layer:
    """One layer of a Keras model.

    Args:
        kind: its class, "LSTM".
        name: its name, after the names of the models it is nested in.
        config: its configuration; empty where the file has none.
        arrays: its weights in Keras's order.
        sources: the names of the layers whose outputs it reads.
        seeded: whether other layers hand it an initial state.
    """

    kind: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    arrays: tuple[np.ndarray, ...] = ()
    sources: tuple[str, ...] = ()
    seeded: bool = False


@dataclass(frozen=True)
class KerasFile:
    """A file's layers; `configured` where the file says how they follow one another."""

    source: str
    layers: tuple[Layer, ...]
    configured: bool


def read(path: Path, kind: str) -> KerasFile:
    """Read a file of kind "keras" (a zip) or "hdf5"."""
    if kind == "keras":
        with checked_zip(path) as archive:
            config = json.loads(zip_member(archive, "config.json", MOST_TEXT))
            with unpacked(archive, "model.weights.h5") as weights:
                root = read_hdf5(weights)
        return KerasFile("Keras 3 .keras file", tuple(_configured(path, config, root, False)), True)
    with path.open("rb") as file:
        root = read_hdf5(file)
    if "model_config" in root.attrs:
        group = _group(root, "model_weights")
        layers = tuple(_configured(path, json.loads(_text(root.attrs["model_config"])), group, True))
        return KerasFile("Keras .h5 file", layers, True)
    if "layer_names" in root.attrs or "layer_names0" in root.attrs:
        named = ((n, _legacy_arrays(_group(root, n), "")) for n in _names(root, "layer_names"))
        return KerasFile("Keras .h5 weights", tuple(_by_shape(n, arrays) for n, arrays in named if arrays), False)
    return KerasFile("Keras 3 .weights.h5 file", tuple(_unconfigured(root, "")), False)


def inner(layer: Layer) -> tuple[str, Mapping[str, Any]]:
    """Return class and configuration of the layer or cell that a wrapper holds."""
    held = layer.config.get("layer") or layer.config.get("cell") or {}
    return (standard_class(held), held.get("config", {})) if isinstance(held, Mapping) else ("", {})


def standard_class(entry: Mapping[str, Any]) -> str:
    """Return the class of a layer's entry; for one that is not Keras's own, with its module or package."""
    name, module, registered = (str(entry.get(k) or "") for k in ("class_name", "module", "registered_name"))
    if module and not module.startswith(("keras.", "tensorflow.keras", "tf_keras")):
        return f"{module}.{name}"
    return registered if ">" in registered else name


def _configured(path: Path, config: Mapping[str, Any], root: Any, legacy: bool) -> Iterator[Layer]:
    kind = standard_class(config)
    if kind.rpartition(".")[2] not in MODELS and kind not in MODELS:
        raise InputError(
            f"path={path}: its model is of the custom class {kind or '(none)'}, whose code is never run; "
            "save_weights(...) gives a .weights.h5 that can be read"
        )
    yield from _walk(config["config"], "", "", (), root, legacy)


def _walk(config: Any, prefix: str, place: str, outer: tuple[str, ...], root: Any, legacy: bool) -> Iterator[Layer]:
    """Go through a model's layers, those of nested models included.

    Args:
        config: the model's configuration.
        prefix: the names of the models around it.
        place: where its arrays are: the group in a Keras 3 file, the outermost model's name in a legacy one.
        outer: what the model reads.
        root: the HDF5 group of all weights.
        legacy: which of the two layouts `root` has.
    """
    entries = config if isinstance(config, list) else config["layers"]
    counts: dict[str, int] = {}
    above = outer
    linear = not any("inbound_nodes" in entry for entry in entries)
    for entry in entries:
        kind, own = standard_class(entry), entry["config"]
        name = f"{prefix}{entry.get('name') or (own.get('name', '') if isinstance(own, Mapping) else '')}"
        # Keras numbers the groups of one class in a model by themselves: lstm, lstm_1, ...
        key = _snake(str(entry["class_name"]))
        counts[key] = counts.get(key, -1) + 1
        key += f"_{counts[key]}" if counts[key] else ""
        inbound = list(_inbound(entry.get("inbound_nodes", [])))
        sources = above if linear else tuple(dict.fromkeys(f"{prefix}{source}" for source, _ in inbound))
        if kind == "InputLayer":
            sources = outer
        here = place or name if legacy else f"{place}{_container(root, place)}/{key}"
        if kind.rpartition(".")[2] in MODELS:
            inside = list(_walk(own, f"{name}/", here if legacy else f"{here}/", sources, root, legacy))
            yield from inside
            ends = _ends(own, f"{name}/") or tuple(layer.name for layer in inside[-1:])
            yield Layer("Identity", name, sources=ends)
        else:
            arrays = _legacy_arrays(_group(root, here), name if place else "") if legacy else _arrays_at(root, here)
            seeded = any(state for _, state in inbound) or (kind != "InputLayer" and len(sources) > 1)
            yield Layer(kind, name, own, arrays, sources, seeded)
        above = (name,)


def _ends(config: Any, prefix: str) -> tuple[str, ...]:
    """Return which of its layers a nested functional model's outputs are."""
    ends = config.get("output_layers", []) if isinstance(config, Mapping) else []
    ends = [ends] if ends and isinstance(ends[0], str) else ends
    return tuple(f"{prefix}{end[0]}" for end in ends)


def _inbound(nodes: Any, state: bool = False) -> Iterator[tuple[str, bool]]:
    """Go through the layers that a layer is called on, and whether they are its initial state.

    Keras 3 writes {"args": [...], "kwargs": {...}}, a tensor as {"config": {"keras_history": [name, 0, 0]}};
    Keras 2 writes [name, 0, 0, {kwargs}].
    """
    if isinstance(nodes, Mapping):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0], state
        else:
            for key, value in nodes.items():
                # A mask is no input, and what else is handed by keyword is not what the layer reads.
                if key in ("args", "config", "inputs") or (key == "initial_state" and value):
                    yield from _inbound(value, state or key == "initial_state")
                elif key == "kwargs":
                    yield from _inbound(value, state)
    elif isinstance(nodes, list):
        if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            yield nodes[0], state
        else:
            for node in nodes:
                yield from _inbound(node, state)


def _snake(name: str) -> str:
    """Return a class's name as Keras writes it in a file.

    >>> _snake("TimeDistributed"), _snake("LSTM"), _snake("Conv1D")
    ('time_distributed', 'lstm', 'conv1d')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _container(root: Any, place: str) -> str:
    group = _group(root, place.strip("/"))
    return next((name for name in _CONTAINERS if group is not None and name in group), _CONTAINERS[0])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names; Keras cuts one that is too long for an attribute into numbered pieces."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    piece = 0
    while f"{attribute}{piece}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{piece}"]]
        piece += 1
    return names


def _member(group: Any, name: str) -> Any:
    """Return what a path in a file leads to, None where nothing is there."""
    for part in filter(None, name.split("/")):
        if not isinstance(group, Group) or part not in group:
            return None
        group = group[part]
    return group


def _group(root: Any, name: str) -> Any:
    found = _member(root, name)
    return found if isinstance(found, Group) else None


def _array(group: Any, name: str) -> np.ndarray | None:
    found = _member(group, name)
    return found if isinstance(found, np.ndarray) else None


def _legacy_arrays(group: Any, layer: str) -> tuple[np.ndarray, ...]:
    """Return a layer's arrays in the order of `weight_names`; of a nested model's, those of one layer."""
    if group is None:
        return ()
    names = _names(group, "weight_names")
    own = layer.rpartition("/")[2]
    arrays = [_array(group, n) for n in names if not own or own in n.split("/")]
    return tuple(a for a in arrays if a is not None)


def _arrays_at(root: Any, place: str) -> tuple[np.ndarray, ...]:
    """Return the arrays of a layer, or of what it wraps, in a Keras 3 file."""
    arrays = []
    for part in ("vars", "cell/vars", "layer/vars", "forward_layer/cell/vars", "backward_layer/cell/vars"):
        group = _group(root, f"{place}/{part}")
        for k in range(len(group) if group is not None else 0):
            array = _array(group, str(k))
            if array is not None:
                arrays.append(array)
    return tuple(arrays)


def _unconfigured(group: Any, place: str) -> Iterator[Layer]:
    """Go through the groups of a weights file and take each that holds a layer's arrays for that layer."""
    for key in sorted(group, key=lambda k: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", k)]):
        if key == "optimizer":
            continue
        here = f"{place}/{key}".strip("/")
        found = _group(group, key)
        if found is None:
            continue
        arrays = _arrays_at(group, key)
        if arrays:
            own = _group(found, "vars")
            yield _by_shape(_text(own.attrs.get("name", here)) if own is not None else here, arrays, key)
        else:
            yield from _unconfigured(found, here)


def _by_shape(name: str, arrays: tuple[np.ndarray, ...], key: str = "") -> Layer:
    """Return a layer whose class follows from its arrays' shapes alone."""
    return Layer(_kind_by_shape([a.shape for a in arrays], f"{name} {key}"), name, arrays=arrays)


def _kind_by_shape(shapes: list[tuple[int, ...]], words: str) -> str:
    ranks = [len(shape) for shape in shapes]
    if ranks[:2] == [2, 2]:
        units = max(shapes[1][0], 1)
        gates = shapes[1][1] // units if shapes[0][1] == shapes[1][1] == shapes[1][1] // units * units else 0
        kind = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(gates, "unknown")
        twice = len(shapes) in (4, 6) and shapes[: len(shapes) // 2] == shapes[len(shapes) // 2 :]
        return "Bidirectional" if kind == "LSTM" and twice else kind
    if ranks == [2, 1] or (ranks == [2] and "embedding" not in words):
        return "Dense"
    return "Embedding" if ranks == [2] else "unknown"
