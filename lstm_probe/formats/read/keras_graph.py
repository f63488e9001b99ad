"""How the layers of a Keras model read one another: its configuration, gone through with symbols for values.

A layer may be called several times, a model may be a layer of another, and the layers of one that is called twice are
called twice. Nothing that a file holds is executed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from lstm_probe.core.errors import InputError

MODELS = ("Sequential", "Functional", "Model")
MOST_CALLS = 100_000  # of layers: models that hold a model twice, and so on, grow without end
#: Layers that change nothing once a network is trained.
NOTHING = (
    "Identity", "Dropout", "AlphaDropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout",
    "ActivityRegularization",
)  # fmt: skip
#: What layers may be handed behind what they read, in Keras's order, as far as it can be tensors.
_HANDED = {
    **dict.fromkeys((*MODELS, "TimeDistributed"), ("training", "mask")),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"), ("initial_state", "mask")),
}  # fmt: skip
#: What a call is handed where its initial state is stored in the file, and is not zero.
STORED_STATE = "stored initial_state"


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a Keras model.

    Args:
        kind: its class, "LSTM".
        name: its name, after the names of the models it is nested in.
        config: its configuration; empty where the file has none.
        arrays: its weights in Keras's order.
    """

    kind: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    arrays: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer: what it reads, and which of initial_state, mask and training it is handed besides.

    `handed` has training where that is True, and `STORED_STATE` instead of initial_state where that is a constant.
    """

    layer: Layer
    reads: tuple["Output", ...] = ()
    handed: frozenset[str] = frozenset()


class Output(NamedTuple):
    """What a call gives; `place` counts where it gives several things."""

    call: Call
    place: int


@dataclass(frozen=True)
class Graph:
    """A model's layers, every call of them in order, and what the model gives."""

    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Output, ...]

    def calls_of(self, layer: Layer) -> list[Call]:
        """Return every call of a layer."""
        return [call for call in self.calls if call.layer is layer]

    def readers(self, layer: Layer) -> list[Layer]:
        """Return the layers that read any output of a layer, those that change nothing left out."""
        reading = [c.layer for c in self.calls if not changes_nothing(c) and layer in map(_layer_behind, c.reads)]
        return list(dict.fromkeys(reading))


@runtime_checkable
class Weights(Protocol):
    """Where a file keeps the arrays of each layer."""

    def place(self, outer: str, name: str, key: str) -> str:
        """Return the place of a layer: its model's, its name, and its class as Keras counts it in that model."""

    def arrays(self, outer: str, place: str, name: str) -> tuple[np.ndarray, ...]:
        """Return the arrays of the layer at a place."""


def standard_class(entry: Mapping[str, Any]) -> str:
    """Return the class of a layer's entry; for one that is not Keras's own, with its module or package."""
    name, module, registered = (str(entry.get(k) or "") for k in ("class_name", "module", "registered_name"))
    if module and not module.startswith(("keras.", "tensorflow.keras", "tf_keras")):
        return f"{module}.{name}"
    return registered if ">" in registered else name


def inner(layer: Layer) -> tuple[str, Mapping[str, Any]]:
    """Return class and configuration of the layer or cell that a wrapper holds."""
    held = layer.config.get("layer") or layer.config.get("cell") or {}
    return (standard_class(held), held.get("config", {})) if isinstance(held, Mapping) else ("", {})


def at_each_step(layer: Layer) -> tuple[str, Mapping[str, Any]]:
    """Return class and configuration of a layer, of what it holds where that is applied at each step."""
    return inner(layer) if layer.kind == "TimeDistributed" else (layer.kind, layer.config)


def word(value: Any) -> str:
    """Return an activation's name: it is written as a word, or as an object that has one."""
    if isinstance(value, Mapping):
        held = value.get("config")  # of a layer in a function's place, its settings
        return str(value.get("registered_name") or (isinstance(held, str) and held) or value.get("class_name"))
    return "linear" if value is None else str(value)


def changes_nothing(call: Call) -> bool:
    """Return whether a layer hands on what it reads, once the network is trained."""
    kind, config = at_each_step(call.layer)
    return (kind in NOTHING and "training" not in call.handed) or (
        kind == "Activation" and word(config.get("activation")) == "linear"
    )


def behind(output: Output) -> Output:
    """Return what an output is of, what changes nothing left out."""
    while changes_nothing(output.call) and output.call.reads:
        output = output.call.reads[0]
    return output


def _layer_behind(output: Output) -> Layer:
    return behind(output).call.layer


class _Node(NamedTuple):
    """One call as a configuration has it: (layer, its call, its output) of what is read."""

    reads: tuple[tuple[str, int, int], ...]
    handed: frozenset[str]


@dataclass(frozen=True, eq=False)
class _Model:
    """A model's parts by name; `nodes` has no entry where they follow one another as they stand.

    Args:
        starts: the parts that are its inputs.
        ends: the outputs of parts that are its own.
        first: of each part, the number that its first call has where others read it, and where it is an end.
    """

    parts: Mapping[str, "Layer | _Model"]
    nodes: Mapping[str, Sequence[_Node]]
    starts: tuple[str, ...] = ()
    ends: tuple[tuple[str, int, int], ...] = ()
    first: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def graph_of(config: Mapping[str, Any], weights: Weights) -> Graph:
    """Return the graph of the model with this class and configuration."""
    layers: list[Layer] = []
    model = _parsed(config, "", "", weights, layers)
    calls: list[Call] = []
    given = [Output(Call(Layer("InputLayer", name)), 0) for name in model.starts or ("input",)]
    outputs = _run(model, given, calls)
    return Graph(tuple(layers), tuple(calls), tuple(outputs))


def _parsed(entry: Mapping[str, Any], prefix: str, outer: str, weights: Weights, layers: list[Layer]) -> _Model:
    """Return a model with all that is nested in it; its layers are added to `layers`."""
    config = entry["config"]
    counts: dict[str, int] = {}
    parts: dict[str, Layer | _Model] = {}
    nodes: dict[str, list[_Node]] = {}
    functional: set[str] = set()
    numbered_from_one = False
    for own in config if isinstance(config, list) else config["layers"]:
        kind, settings = standard_class(own), own["config"]
        name = own.get("name") or (settings.get("name", "") if isinstance(settings, Mapping) else "")
        # Keras numbers the groups of one class in a model by themselves: lstm, lstm_1, ...
        key = snake(str(own["class_name"]))
        counts[key] = counts.get(key, -1) + 1
        place = weights.place(outer, f"{prefix}{name}", f"{key}_{counts[key]}" if counts[key] else key)
        if kind.rpartition(".")[2] in MODELS:
            parts[name] = _parsed(own, f"{prefix}{name}/", place, weights, layers)
            functional |= {name} if kind == "Functional" else set()
        else:
            layer = Layer(kind, f"{prefix}{name}", settings, weights.arrays(outer, place, f"{prefix}{name}"))
            parts[name] = layer
            layers.append(layer)
        if "inbound_nodes" in own:
            nodes[name] = [_node(kind, node) for node in own["inbound_nodes"]]
            numbered_from_one |= any(isinstance(node, list) for node in own["inbound_nodes"])
    if not nodes:
        return _Model(parts, {})
    ends = tuple(_references(config.get("output_layers", [])))
    named: dict[str, set[int]] = {}
    for name, number, _ in (*(one for own in nodes.values() for node in own for one in node.reads), *ends):
        named.setdefault(name, set()).add(number)
    first = {}
    for name, part in parts.items():
        # A nested model's calls are counted from 1, because its making was one: by Keras 2 wherever they are named
        # (unless it was made without an input), by Keras 3 where a functional one is an end.
        nested, least = isinstance(part, _Model), min(named.get(name, {0}))
        end = int(name in functional) if nested and not numbered_from_one else min(least, 1) * nested
        first[name] = (min(least, 1) if nested and numbered_from_one else 0, end)
    starts = tuple(name for name, _, _ in _references(config.get("input_layers", [])))
    return _Model(parts, nodes, starts, ends, first)


def _node(kind: str, node: Any) -> _Node:
    """Return a call: Keras 3 writes {"args": [...], "kwargs": {...}}, Keras 2 [[name, 0, 0, {kwargs}], ...]."""
    if isinstance(node, Mapping):
        args, keywords = list(node.get("args", [])), dict(node.get("kwargs") or {})
        named = _HANDED.get(kind, ())
        keywords |= zip(named, args[1:])
        reads = list(_references([*args[:1], *args[1 + len(named) :]]))
    else:
        reads, keywords = list(_references(node)), {}
        for one in [node] if node and isinstance(node[0], str) else node:
            keywords |= one[3] if len(one) > 3 and isinstance(one[3], Mapping) else {}
    state, mask = keywords.pop("initial_state", None), keywords.pop("mask", None)
    handed = {"training"} if keywords.get("training") is True else set()
    handed |= {"mask"} if mask is not None else set()
    if any(True for _ in _references(state)):
        handed |= {"initial_state"}
    elif not _is_zero(state):
        handed |= {STORED_STATE}
    reads += _references(list(keywords.values()))
    return _Node(tuple(reads), frozenset(handed))


def _is_zero(value: Any) -> bool:
    """Return whether a stored value is nothing, or numbers that are all zero: Keras 3 writes arrays as mappings."""
    if isinstance(value, Mapping):
        held = value.get("config", value)
        return isinstance(held, Mapping) and "value" in held and _is_zero(held["value"])
    if isinstance(value, list):
        return all(map(_is_zero, value))
    return value is None or value == 0


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """Go through the outputs of layers that are named anywhere in a value."""
    if isinstance(value, Mapping):
        if "keras_history" in value:
            name, number, index = value["keras_history"]
            yield name, number, index
        else:
            yield from _references(list(value.values()))
    elif isinstance(value, list):
        if value[:1] == ["_CONSTANT_VALUE"]:  # what Keras 2 writes for a number in a layer's place
            yield from _references(value[3:])
        elif len(value) >= 3 and isinstance(value[0], str) and all(isinstance(k, int) for k in value[1:3]):
            yield value[0], value[1], value[2]
        else:
            for one in value:
                yield from _references(one)


def _run(
    model: _Model, given: Sequence[Output], calls: list[Call], handed: frozenset[str] = frozenset()
) -> list[Output]:
    """Return what a model gives for what it is given, and handed besides; the calls this takes are added to `calls`."""
    if not model.nodes:
        current = list(given)
        for part in model.parts.values():
            if not (isinstance(part, Layer) and part.kind == "InputLayer"):
                current = _use(part, current, handed, calls)
        return current
    made: dict[tuple[str, int], list[Output]] = {(name, 0): [one] for name, one in zip(model.starts, given)}
    waiting: dict[tuple[str, int], list[tuple[str, int]]] = {}
    ahead = [(name, k) for name, nodes in reversed(list(model.nodes.items())) for k in reversed(range(len(nodes)))]
    while ahead:
        name, k = ahead.pop()
        if (name, k) in made:
            continue
        node = model.nodes[name][k]
        needs = [(one, number - model.first[one][0]) for one, number, _ in node.reads]
        missing = next((need for need in needs if need not in made), None)
        if missing is not None:
            waiting.setdefault(missing, []).append((name, k))
            continue
        reads = [_output(made[need], index) for need, (_, _, index) in zip(needs, node.reads)]
        made[name, k] = _use(model.parts[name], reads, node.handed | handed, calls)
        ahead += waiting.pop((name, k), [])
    return [_output(made[name, number - model.first[name][1]], index) for name, number, index in model.ends]


def _use(part: "Layer | _Model", reads: Sequence[Output], handed: frozenset[str], calls: list[Call]) -> list[Output]:
    if isinstance(part, _Model):
        return _run(part, reads, calls, handed)
    if len(calls) >= MOST_CALLS:
        raise InputError(f"its layers are called more than {MOST_CALLS} times")
    calls.append(Call(part, tuple(reads), handed))
    return [Output(calls[-1], 0)]


def _output(made: list[Output], index: int) -> Output:
    """Return one of the outputs that were made; of a layer's call the first alone is there, and stands for all."""
    return made[index] if index < len(made) else Output(made[0].call, index)


def snake(name: str) -> str:
    """Return a class's name as Keras writes it in a file.

    >>> snake("TimeDistributed"), snake("LSTM"), snake("Conv1D")
    ('time_distributed', 'lstm', 'conv1d')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
