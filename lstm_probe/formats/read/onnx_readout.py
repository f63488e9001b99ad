"""The readout of a recurrent node in an ONNX graph: a linear layer of h whose outputs are the network's.

Proven along the graph: from h to the layer, and from the layer to an output of the graph, stands nothing but what
rearranges, a bias, and one activation; and the graph has no other output but the nodes' own h and states.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm_probe.core.budget import tick
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.formats.choosing import and_words
from lstm_probe.formats.read.onnx_cells import INPUTS
from lstm_probe.formats.read.onnx_graph import Graph
from lstm_probe.formats.read.onnx_way import MOVES, Axis, Way

_ACTIVATIONS = {
    "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu",
    "Softplus": "softplus", "Elu": "elu", "Selu": "selu", "Softsign": "softsign", "Exp": "exponential",
}  # fmt: skip
_SAYS_SHAPE = ("Shape", "Size")
#: Which steps a model here can read, beside every step. What a reverse direction reads last is the sequence's first.
_READ = {"forward": ("last",), "reverse": ("last", "first"), "bidirectional": ("last", "end")}
#: Steps in words.
_STEPS = {
    "last": "the last step alone",
    "first": "the first step alone",
    "end": "each direction's own last step",
    "padded": "the last step of the batch, which may be padding",
}


@dataclass(frozen=True)
class Head:
    """A linear layer of h: its name, weight (outputs, width), bias (outputs,), and the activation after it.

    `step` is that of `Way`.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None
    activation: str | None = None
    step: str | None = None

    @property
    def last(self) -> bool:
        """Whether it reads one step alone, the last one, or that which was read last."""
        return self.step is not None

    @property
    def turned(self) -> bool:
        """Whether that is the first step, which was read last."""
        return self.step == "first"

    @property
    def step_note(self) -> tuple[str, ...]:
        """Words on the step that it reads, if it is one alone."""
        if self.step is None:
            return ()
        how = ", with the reverse one's own last h" if self.step == "end" else ", from the sequence's end" * self.turned
        return (f"{self.name} reads {_STEPS[self.step]}; here it is applied at every step{how}",)


def start(
    graph: Graph, inputs: str, layout: int, both: bool, units: int, kind: str = "LSTM"
) -> tuple[Way, np.ndarray | None, list[str]]:
    """Return the way at a recurrent node's Y, the table that makes its inputs of tokens, words on what is before it.

    Args:
        graph: the graph that the node is in.
        inputs: the name of X of the lowest layer.
        layout: 1 where the sequence's axis is the first, else 0.
        both: whether there are two directions.
        units: length of one direction's h.
        kind: what the node is called in words.
    """
    axes: tuple[Axis, ...] = (("b",), ("t",), ("f",)) if layout else (("t",), ("b",), ("f",))
    known, sizes, table = {inputs: axes}, {"d": 1 + both, "h": units}, None
    node, notes = graph.maker(inputs), []
    while node is not None and node.input and node.input[0] not in known:
        if node.op_type == "Transpose":
            order = graph.attributes(node).get("perm", range(len(axes))[::-1])
            axes = tuple(axes[order.index(k)] for k in range(len(axes)))
        elif node.op_type == "Gather" and (rows := graph.constant(node.input[0])) is not None:
            if table is not None or rows.ndim != 2 or graph.attributes(node).get("axis", 0) or axes[-1] != ("f",):
                break
            table, axes, inputs = rows, axes[:-1], node.input[1]
            known[inputs], node = axes, graph.maker(inputs)
            continue
        elif node.op_type not in ("Identity", "Dropout", "Cast"):
            break
        inputs = node.input[0]
        known[inputs], node = axes, graph.maker(inputs)
    if node is not None:
        notes.append(f"{shown(node)} ({node.op_type}) stands before the {kind}: its outputs are the inputs here")
        table = None
    if table is not None:
        notes.append(f"an embedding stands before the {kind}: the model takes tokens")
    for axis, size in zip(axes, graph.dims(inputs) or ()):
        sizes |= {axis[0]: size} if size is not None else {}
    d: Axis = ("d",) if both else ()
    return Way((("b",), ("t",), d, ("h",)) if layout else (("t",), d, ("b",), ("h",)), sizes, known), table, notes


def shown(node: Any) -> str:
    """Return what to call a node: its name, or that of its output."""
    return str(node.name or node.output[0])


def leads_to(graph: Graph, y: str, at: Way, wanted: str, layout: int) -> bool:
    """Say whether Y, its directions side by side, is all that another node reads as its X."""
    h: Axis = ("d", "h") if at.sizes["d"] == 2 else ("h",)
    axes = (("b",), ("t",), h) if layout else (("t",), ("b",), h)
    return any(name == wanted and way.axes == axes and way.step is None for name, way in _moved(graph, y, at))


def _moved(graph: Graph, name: str, at: Way) -> Iterator[tuple[str, Way]]:
    """Go along all that only rearranges, or takes a step: every name reached, and where one is there."""
    seen, ahead = {name}, [(name, at)]
    while ahead:
        tick()
        name, at = ahead.pop()
        yield name, at
        for node in graph.readers.get(name, ()):
            after = at.along(graph, node, name)
            if after is not None and node.output[0] not in seen:
                seen.add(node.output[0])
                ahead.append((node.output[0], after))


@dataclass
class _Found:
    """What the search met: linear layers of h, which outputs each reached, and what stood in the way."""

    layers: dict[str, Head]
    ends: dict[str, Head | None]
    stops: dict[str | None, list[Any]]


def _search(graph: Graph, starts: Iterable[tuple[str, Way]]) -> _Found:
    """Follow h to every linear layer, and each of these to the graph's outputs."""
    found, outputs = _Found({}, {}, {}), set(graph.output_names())
    ahead: list[tuple[str, Way, Head | None]] = [(name, way, None) for name, way in starts if name]
    seen = {name for name, *_ in ahead}
    known = dict(ahead[0][1].known) if ahead else {}
    while ahead:
        tick()
        name, way, head = ahead.pop()
        known[name] = way.axes
        way = replace(way, known=known)
        if name in outputs:
            found.ends[name] = head
        for node in graph.readers.get(name, ()):
            if node.op_type in _SAYS_SHAPE or any(each in seen for each in node.output[:1]):
                continue
            moved = way.along(graph, node, name)
            after = _computed(graph, node, name, way, head) if moved is None else (moved, head)
            if after is None:
                found.stops.setdefault(None if head is None else head.name, []).append(node)
                continue
            there, layer = after
            if layer is not None:
                layer = replace(layer, step=there.step)  # the step may be taken before the layer or after it
                found.layers[layer.name] = layer
            seen.add(node.output[0])
            ahead.append((node.output[0], there, layer))
    return found


def _computed(graph: Graph, node: Any, name: str, way: Way, head: Head | None) -> tuple[Way, Head] | None:
    """Return the way and the readout behind what is part of one: a linear layer, its bias, its activation."""
    if head is None:
        return _linear(graph, node, name, way)
    if head.activation is not None:
        return None
    outputs = len(head.weight)
    if node.op_type == "Add" and way.axes[-1:] == (("o",),):
        other = [graph.constant(each) for each in node.input if each != name]
        added = _bias(other[0], outputs) if len(other) == 1 else None
        if added is None:
            return None
        return way, replace(head, bias=added if head.bias is None else head.bias + added)
    activation, attributes = _ACTIVATIONS.get(node.op_type), graph.attributes(node)
    if activation is None or node.input[0] != name or (activation == "elu" and attributes.get("alpha", 1.0) != 1.0):
        return None
    if "softmax" in activation:
        k = attributes.get("axis", -1 if graph.opset >= 13 else 1)
        # Before version 13 all axes from this one on were taken together.
        if way.axes[k : None if graph.opset < 13 else k + 1 or None] != (("o",),):
            return None
    return way, replace(head, activation=activation)


def _linear(graph: Graph, node: Any, name: str, way: Way) -> tuple[Way, Head] | None:
    """Return a matrix product of h with stored weights, None where a node is anything else."""
    if node.op_type not in ("Gemm", "MatMul") or node.input[0] != name or not way.is_h:
        return None
    weight, bias, attributes = graph.constant(node.input[1]), None, graph.attributes(node)
    if weight is None or weight.ndim != 2 or attributes.get("transA"):
        return None
    weight = weight if attributes.get("transB") else weight.T
    if weight.shape[1] != way.length(way.axes[-1]):
        return None
    if node.op_type == "Gemm":
        weight = weight * weight.dtype.type(attributes.get("alpha", 1.0))
        if len(node.input) > 2 and node.input[2]:
            bias = _bias(graph.constant(node.input[2]), len(weight))
            if bias is None:
                return None
            bias = bias * bias.dtype.type(attributes.get("beta", 1.0))
    after = replace(way, axes=(*way.axes[:-1], ("o",)), sizes={**way.sizes, "o": len(weight)})
    return after, Head(shown(node), weight, bias)


def _bias(value: np.ndarray | None, outputs: int) -> np.ndarray | None:
    """Return what is added to each output, None where it differs between steps or is not stored."""
    if value is None or value.size != (value.shape or (1,))[-1] or value.size not in (1, outputs):
        return None
    return np.broadcast_to(value.reshape(-1), (outputs,))


def _states(graph: Graph) -> set[str]:
    """Return the names of all that is the h or a state of a recurrent node, rearranged or not."""
    states: set[str] = set()
    for node in graph.proto.node:
        sources = node.input if node.op_type == "Concat" else node.input[:1]
        if node.op_type in INPUTS or (node.op_type in MOVES and sources and states.issuperset(sources)):
            states |= {name for name in node.output if name}
    return states


def find_readout(
    graph: Graph, outputs: tuple[str, ...], at: Way, direction: str, has_lengths: bool, wanted: str | None,
    kind: str = "LSTM",
) -> tuple[Head | None, tuple[str, ...]]:  # fmt: skip
    """Return the readout of a recurrent node, None where there is none for certain, and notes on it.

    Args:
        graph: the graph that the node is in.
        outputs: the names of Y, Y_h and, of an LSTM, Y_c.
        at: the way at Y.
        direction: "forward", "reverse" or "bidirectional".
        has_lengths: whether the node is given the lengths of its sequences.
        wanted: the linear layer that the user says is the readout.
        kind: what the node is called in words.

    Raises:
        InputError: no linear layer of h has the wanted name.
    """
    step = {"forward": "last", "reverse": "first"}.get(direction, "end")
    t = at.axes.index(("t",))
    final = replace(at, axes=(*at.axes[:t], *at.axes[t + 1 :]), step=step)
    found = _search(graph, zip(outputs, (replace(at, padded=has_lengths), final)))
    if wanted is not None:
        return _told(found, wanted, direction, kind)
    heads = {head.name: head for name in graph.output_names() if (head := found.ends.get(name)) is not None}
    why = _doubt(graph, found, list(heads.values()), direction, kind)
    if why:
        return None, (f"no readout taken: {why}",)
    head = next(iter(heads.values()))
    before = (f"outputs are what goes into the file's {head.activation}",) if head.activation else ()
    return head, (*head.step_note, *before)


def _doubt(graph: Graph, found: _Found, heads: list[Head], direction: str, kind: str) -> str | None:
    """Return why no readout is proven, None where one is."""
    if graph.outer is not None:
        return (
            f"the {kind} is in the body of {graph.within.rstrip('/')}, and what becomes of its h there is not followed"
        )
    if not heads and not found.layers:
        readers = list(dict.fromkeys(f"{shown(node)} ({node.op_type})" for node in found.stops.get(None, ())))
        return f"what reads the {kind} is {and_words(readers[:4] or ['nothing'])}, no linear layer of its h"
    if not heads:
        name = next(iter(found.layers))
        follows = [f"{shown(node)} ({node.op_type})" for node in found.stops.get(name, ())]
        return f"{name} does not lead to the network's output alone: {and_words(follows[:4] or ['nothing'])} follows it"
    if len(heads) > 1:
        offer = " or ".join(f"readout={head.name}" for head in heads)
        return f"the network has {len(heads)}, {and_words([h.name for h in heads])}; say which with {offer}"
    states = _states(graph)
    others = [name for name in graph.output_names() if name not in found.ends and name not in states]
    name = heads[0].name
    if others:
        return f"the network has other outputs too ({and_words(others[:4])}); say readout={name} if it is the one"
    return _unread(heads[0], direction)


def _unread(head: Head, direction: str) -> str | None:
    """Return what a readout reads where that is nothing that a model here can give it, else None."""
    if head.step in (None, *_READ[direction]):
        return None
    return f"{head.name} reads {_STEPS[str(head.step)]}"


def _told(found: _Found, wanted: str, direction: str, kind: str) -> tuple[Head, tuple[str, ...]]:
    """Return the readout that the user says, without what stands behind it."""
    if wanted not in found.layers:
        names = list(found.layers)
        raise InputError(
            f"readout={wanted}: no linear layer that reads the {kind}; there is {and_words(names or ['none'])}."
            f"{nearest(wanted, names)}"
        )
    head = found.layers[wanted]
    if (unread := _unread(head, direction)) is not None:
        raise InputError(f"readout={wanted}: {unread}, which no model here does")
    return head, (f"readout {wanted}: as told", *head.step_note)
