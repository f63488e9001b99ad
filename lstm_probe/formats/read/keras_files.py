"""What a Keras file says: its layers in order, what each reads, and their arrays. Nothing in it is executed.

Three kinds: `.keras` (a zip of config.json and model.weights.h5), `.weights.h5` alone (arrays by the layers'
classes, no configuration), and the legacy `.h5` of Keras 2 (`model_config` and `weight_names` as attributes),
or its weights alone. Only hard links and data inside the file are followed: others could point anywhere.
"""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.formats.files import checked_zip, unpacked, zip_member
from lstm_probe.formats.read.hdf5 import Group, read_hdf5
from lstm_probe.formats.read.keras_graph import MODELS, NOTHING, Graph, Layer, Weights, graph_of, snake, standard_class

MOST_TEXT = 2**24  # bytes of a configuration
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
#: How weights alone call layers without weights that change nothing.
WEIGHTLESS = (*map(snake, NOTHING), "input_layer", "input", "masking")


@dataclass(frozen=True)
class KerasFile:
    """What a file says.

    Args:
        source: what kind of file it is.
        layers: all of them, those of nested models included.
        graph: how they read one another; None where the file has weights alone.
        version: of the Keras that wrote it, as far as it says.
        ordered: whether `layers` stand as they follow one another.
    """

    source: str
    layers: tuple[Layer, ...]
    graph: Graph | None = None
    version: str = ""
    ordered: bool = True


def read(path: Path, kind: str) -> KerasFile:
    """Read a file of kind "keras" (a zip) or "hdf5"."""
    if kind == "keras":
        with checked_zip(path) as archive:
            config = json.loads(zip_member(archive, "config.json", MOST_TEXT))
            version = _archive_version(archive)
            with unpacked(archive, "model.weights.h5") as weights:
                root = read_hdf5(weights)
        return _configured("Keras 3 .keras file", path, config, _Archive(root), version)
    with path.open("rb") as file:
        root = read_hdf5(file)
    if "model_config" in root.attrs:
        group = _group(root, "model_weights")
        version = _version(root) or ("" if group is None else _version(group))
        config = json.loads(_text(root.attrs["model_config"]))
        return _configured("Keras .h5 file", path, config, _Legacy(group), version)
    if "layer_names" in root.attrs or "layer_names0" in root.attrs:
        version = _version(root)
        layers = tuple(layer for name in _names(root, "layer_names") for layer in _legacy_layers(root, name))
        return KerasFile("Keras .h5 weights", layers, version=version)
    version = "2.12" if _CONTAINERS[1] in root else "3.0"
    return KerasFile("Keras 3 .weights.h5 file", tuple(_unconfigured(root, "")), version=version, ordered=False)


def _version(group: Any) -> str:
    return _text(group.attrs["keras_version"]) if "keras_version" in group.attrs else ""


def _archive_version(archive: zipfile.ZipFile) -> str:
    """Return which Keras wrote an archive; the one that reads such, where it does not say."""
    there = "metadata.json" in archive.namelist()
    said = json.loads(zip_member(archive, "metadata.json", MOST_TEXT)) if there else {}
    return str(said.get("keras_version") or "3.0")


def _configured(source: str, path: Path, config: Mapping[str, Any], weights: Weights, version: str) -> KerasFile:
    kind = standard_class(config)
    if kind.rpartition(".")[2] not in MODELS and kind not in MODELS:
        raise InputError(
            f"path={path}: its model is of the custom class {kind or '(none)'}, whose code is never run; "
            "save_weights(...) gives a .weights.h5 that can be read"
        )
    graph = graph_of(config, weights)
    return KerasFile(source, graph.layers, graph, version)


@dataclass(frozen=True)
class _Archive:
    """The weights of a `.keras` file: a group for each layer, those of nested models inside their model's."""

    root: Any

    def place(self, outer: str, name: str, key: str) -> str:
        return f"{outer}{_container(self.root, outer)}/{key}/"

    def arrays(self, outer: str, place: str, name: str) -> tuple[np.ndarray, ...]:
        return _arrays_at(self.root, place.rstrip("/"))


@dataclass(frozen=True)
class _Legacy:
    """The weights of a legacy `.h5` file: a group for each layer or model, all of a model's in one."""

    root: Any

    def place(self, outer: str, name: str, key: str) -> str:
        return outer or name

    def arrays(self, outer: str, place: str, name: str) -> tuple[np.ndarray, ...]:
        return _legacy_arrays(_group(self.root, place), name if outer else "")


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
    own = layer.rpartition("/")[2]
    return tuple(array for name, array in _named_arrays(group) if not own or own in name.split("/"))


def _named_arrays(group: Any) -> list[tuple[str, np.ndarray]]:
    """Return a group's arrays by their names in `weight_names`, in this order."""
    names = [] if group is None else _names(group, "weight_names")
    found = [(name, _array(group, name)) for name in names]
    return [(name, array) for name, array in found if array is not None]


def _legacy_layers(root: Any, name: str) -> list[Layer]:
    """Return what a group of a legacy file of weights holds: one layer, or those of a nested model."""
    arrays = _named_arrays(_group(root, name))
    owners = list(dict.fromkeys(key.partition("/")[0] for key, _ in arrays))
    if len(owners) < 2:
        return [_by_shape(name, tuple(array for _, array in arrays))]
    parts = {own: tuple(array for key, array in arrays if key.partition("/")[0] == own) for own in owners}
    return [_by_shape(f"{name}/{own}", part) for own, part in parts.items()]


def _arrays_at(root: Any, place: str) -> tuple[np.ndarray, ...]:
    """Return the arrays of a layer, or of what it wraps, in a Keras 3 file."""
    arrays = []
    stacked = _group(root, f"{place}/cell/cells")
    cells = [] if stacked is None else [f"cell/cells/{key}/vars" for key in _in_order(stacked)]
    for part in ("vars", "cell/vars", *cells, "layer/vars", "forward_layer/cell/vars", "backward_layer/cell/vars"):
        group = _group(root, f"{place}/{part}")
        for k in range(len(group) if group is not None else 0):
            array = _array(group, str(k))
            if array is not None:
                arrays.append(array)
    return tuple(arrays)


def _in_order(group: Any) -> list[str]:
    """Return the names in a group in the order in which Keras counted them."""
    return sorted(group, key=lambda k: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", k)])


def _unconfigured(group: Any, outer: str) -> Iterator[Layer]:
    """Go through the groups of a weights file and take each that is a layer's for that layer.

    Args:
        group: the file, or the group of a nested model.
        outer: the names of the models around it.
    """
    for key in _in_order(group):
        found = _group(group, key)
        if found is None or key in ("optimizer", "vars"):
            continue
        own = _group(found, "vars")
        name = f"{outer}{_text(own.attrs.get('name', key)) if own is not None else key}"
        arrays = _arrays_at(group, key)
        if key in _CONTAINERS:
            yield from _unconfigured(found, outer)
        elif _group(found, "cell/cells") is not None:
            yield Layer("StackedRNNCells", name, arrays=arrays)
        elif arrays or not any(part != "vars" for part in found) or _word(key) in WEIGHTLESS:
            layer = _by_shape(name, arrays, key)
            # A cell's arrays are in the cell; two matrices of a layer's own may be anything.
            strange = layer.kind == "SimpleRNN" and own is not None and len(own) > 0
            yield Layer("unknown", name, arrays=arrays) if strange else layer
        else:
            yield from _unconfigured(found, f"{name}/")


def _word(key: str) -> str:
    """Return a layer's class from what Keras calls it where its user does not: "dropout_1" is a dropout."""
    return re.sub(r"_\d+$", "", key.rpartition("/")[2])


def _by_shape(name: str, arrays: tuple[np.ndarray, ...], key: str = "") -> Layer:
    """Return a layer whose class follows from its arrays' shapes alone, from its name where it has none."""
    kind = _kind_by_shape([a.shape for a in arrays], f"{name} {key}") if arrays else _word(key or name)
    return Layer(kind, name, arrays=arrays)


def _kind_by_shape(shapes: list[tuple[int, ...]], words: str) -> str:
    ranks = [len(shape) for shape in shapes]
    if ranks[:2] == [2, 2]:
        units = max(shapes[1][0], 1)
        gates = shapes[1][1] // units if shapes[0][1] == shapes[1][1] == shapes[1][1] // units * units else 0
        kind = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(gates, "unknown")
        if gates == 1 and len(shapes) in (9, 12) and shapes == shapes[:3] * (len(shapes) // 3):
            return {9: "GRU", 12: "LSTM"}[len(shapes)]  # Keras 1 kept each block's arrays by themselves
        twice = len(shapes) in (4, 6) and shapes[: len(shapes) // 2] == shapes[len(shapes) // 2 :]
        return "Bidirectional" if kind != "unknown" and twice else kind
    if ranks == [2, 1] or (ranks == [2] and "embedding" not in words):
        return "Dense"
    return "Embedding" if ranks == [2] else "unknown"
