"""ONNX files: LSTM nodes, the linear readout after them, and what of the operator an `nn.LSTM` cannot do.

The operator: https://onnx.ai/onnx/operators/onnx__LSTM.html. Gates are i o f c, B holds both biases.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Cell, build_linear, build_lstm, dtype_of
from lstm_probe.formats.choosing import and_words, choose
from lstm_probe.formats.files import need
from lstm_probe.formats.gates import reorder
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.onnx_graph import Graph, Way

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


@dataclass(frozen=True)
class Node:
    """An LSTM node: its name, its attributes, and what each of its inputs is called in the graph."""

    name: str
    attributes: dict[str, Any]
    inputs: dict[str, str]
    outputs: tuple[str, ...]


def load(path: Path, kind: str, layer: str | None) -> Imported:
    """Read the LSTM of an ONNX file; nodes that feed one another directly are the layers of one."""
    need("onnx", "onnx", path)
    graph = Graph.read(path)
    nodes = [_node(graph, k, proto) for k, proto in enumerate(graph.nodes_of("LSTM"))]
    if not nodes:
        others = [op for op in ("GRU", "RNN", "DynamicQuantizeLSTM", "Scan", "Loop") if graph.nodes_of(op)]
        what = f"it has a {and_words(others)} node" if others else f"its nodes are {graph.operators()}"
        raise InputError(f"path={path}: holds no LSTM node: {what}")
    stacks = {stack[0].name: stack for stack in _stacks(graph, nodes)}
    single = {node.name: [node] for node in nodes}
    name = layer if layer in single and layer not in stacks else choose(path, list(stacks), layer)
    stack = stacks.get(name) or single[name]
    problems = [f"path={path}: {node.name}: {problem}" for node in stack for problem in _problems(graph, node)]
    if problems:
        raise InputError(*problems)
    lstm = build_lstm(f"path={path}: {name}", [_cells(path, graph, node) for node in stack])
    notes = ["gates reordered from i o f c to i f g o"]
    notes += [note for node in stack for note in _notes(graph, node)]
    width = lstm.hidden_size * (1 + lstm.bidirectional)
    head, words = graph.readout(stack[-1].outputs, Way.of(stack[-1].attributes, lstm.bidirectional), width)
    readout = None
    if head is not None:
        readout = build_linear(f"path={path}: readout", head.weight, head.bias, dtype_of(lstm))
    activation = None if head is None else head.activation
    return Imported(lstm, f"ONNX file, node {name}", name, readout, activation, notes=(*notes, *words))


def _node(graph: Graph, k: int, proto: Any) -> Node:
    inputs = {role: name for role, name in zip(_INPUTS, proto.input) if name}
    return Node(proto.name or f"LSTM_{k}", graph.attributes(proto), inputs, tuple(proto.output))


def _direction(node: Node) -> str:
    direction = node.attributes.get("direction", "forward")
    return direction.decode() if isinstance(direction, bytes) else direction


def _stacks(graph: Graph, nodes: list[Node]) -> list[list[Node]]:
    """Return chains of nodes that feed one another and have the same units and directions, lowest first."""
    below = {}
    for node in nodes:
        for lower in nodes:
            bidirectional = _direction(lower) == "bidirectional"
            axes = Way.of(lower.attributes, bidirectional)
            same = _direction(lower) == _direction(node) and _units(graph, lower) == _units(graph, node)
            if lower is not node and same and graph.leads_to(lower.outputs[:1], axes, node.inputs["X"]):
                below[node.name] = lower
    uppers = {lower.name for lower in below.values()}
    stacks = []
    for top in (node for node in nodes if node.name not in uppers):
        stack = [top]
        while stack[0].name in below:
            stack.insert(0, below[stack[0].name])
        stacks.append(stack)
    return stacks


def _units(graph: Graph, node: Node) -> int:
    recurrent = graph.constant(node.inputs["R"])
    return 0 if recurrent is None else recurrent.shape[-1]


def _problems(graph: Graph, node: Node) -> list[str]:
    """Return what this node does that an `nn.LSTM` does not."""
    problems = []
    if "P" in node.inputs:
        problems.append("has peepholes (input P), which nn.LSTM does not have")
    if node.attributes.get("input_forget"):
        problems.append("input_forget=1 couples the input gate to the forget gate, which nn.LSTM does not")
    if node.attributes.get("clip"):
        problems.append(f"clip={node.attributes['clip']:g} bounds what goes into the gates, which nn.LSTM does not")
    names = [a.decode() if isinstance(a, bytes) else a for a in node.attributes.get("activations", ())]
    wrong = [n for n, want in zip(names, ["sigmoid", "tanh", "tanh"] * 2) if n.lower() != want]
    if wrong:
        problems.append(f"activations {' '.join(names)}; nn.LSTM has Sigmoid Tanh Tanh, not {and_words(wrong)}")
    if _direction(node) == "reverse":
        problems.append("direction=reverse; nn.LSTM reads forward, or in both directions")
    for role in ("initial_h", "initial_c"):
        value = graph.constant(node.inputs[role]) if role in node.inputs else None
        if value is not None and np.any(value):
            problems.append(f"{role} is a constant other than zero; nn.LSTM keeps no initial state")
    return problems


def _notes(graph: Graph, node: Node) -> list[str]:
    notes = []
    if "sequence_lens" in node.inputs:
        notes.append(f"{node.name} receives its lengths as an input (sequence_lens): pass them to record as lengths")
    for role in ("initial_h", "initial_c"):
        if role in node.inputs and not graph.is_zero(node.inputs[role]):
            notes += [f"{node.name} is handed its {role}: here it starts at zero unless record is given a state"]
    return notes


def _cells(path: Path, graph: Graph, node: Node) -> list[Cell]:
    arrays: dict[str, np.ndarray] = {}
    stored = [role for role in _INPUTS[1:4] if role in node.inputs]
    for role in stored:
        value = graph.constant(node.inputs[role])
        if value is None:
            raise InputError(f"path={path}: {node.name}: its {role} is not stored but computed in the graph")
        arrays[role] = value
    directions = 2 if _direction(node) == "bidirectional" else 1
    ranks = {"W": 3, "R": 3, "B": 2}
    for role, array in arrays.items():
        rows = array.shape[1] if array.ndim == ranks[role] else 0
        if array.ndim != ranks[role] or array.shape[0] != directions or rows % (8 if role == "B" else 4):
            raise InputError(f"path={path}: {node.name}: {role} of shape {array.shape} is no LSTM's")
    cells = []
    for d in range(directions):
        b_ih, b_hh = np.split(arrays["B"][d], 2) if "B" in arrays else (None, None)
        cells.append(
            Cell(
                reorder(arrays["W"][d].T, "onnx").T,
                reorder(arrays["R"][d].T, "onnx").T,
                None if b_ih is None else reorder(b_ih, "onnx"),
                None if b_hh is None else reorder(b_hh, "onnx"),
            )
        )
    return cells
