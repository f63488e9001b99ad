"""ONNX files: LSTM nodes, the linear readout after them, and what of the operator an `nn.LSTM` cannot do.

The operator: https://onnx.ai/onnx/operators/onnx__LSTM.html. Gates are i o f c, B holds both biases.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Arrays, build_embedding, build_layers, build_linear, dtype_of
from lstm_probe.formats.choosing import and_words, choose
from lstm_probe.formats.files import need
from lstm_probe.formats.gates import reorder
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.onnx_graph import Graph
from lstm_probe.formats.read.onnx_readout import find_readout, leads_to, start

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
_OTHERS = ("GRU", "RNN", "DynamicQuantizeLSTM", "Scan", "Loop")


@dataclass(frozen=True)
class Node:
    """An LSTM node: the graph it is in, its name, attributes, and what its inputs and outputs are called there."""

    graph: Graph
    name: str
    attributes: dict[str, Any]
    inputs: dict[str, str]
    outputs: tuple[str, ...]

    @property
    def direction(self) -> str:
        """Return "forward", "reverse" or "bidirectional"."""
        direction = self.attributes.get("direction", "forward")
        return str(direction.decode(errors="replace") if isinstance(direction, bytes) else direction)

    @property
    def both(self) -> bool:
        """Return whether it has two directions."""
        return self.direction == "bidirectional"

    @property
    def layout(self) -> int:
        """Return 1 where the sequence's axis is the first, 0 where time's is."""
        return int(self.attributes.get("layout", 0))

    @property
    def units(self) -> int:
        """Return how many units it has, by its weights; 0 where they are not stored."""
        recurrent = self.graph.constant(self.inputs.get("R", ""))
        return 0 if recurrent is None or not recurrent.ndim else int(recurrent.shape[-1])


def load(path: Path, kind: str, layer: str | None, readout: str | None = None) -> Imported:
    """Read the LSTM of an ONNX file; nodes that feed one another directly are the layers of one."""
    need("onnx", "onnx", path)
    graph = Graph.read(path)
    nodes = _nodes(graph)
    if not nodes:
        others = [op for op in _OTHERS if any(each.nodes_of(op) for each in graph.everywhere())]
        what = f"it has a {and_words(others)} node" if others else f"its nodes are {graph.operators()}"
        quantised = " (a quantised LSTM computes with rounded inputs: export it before it is quantised)"
        raise InputError(f"path={path}: holds no LSTM node: {what}{quantised if _OTHERS[2] in others else ''}")
    stacks = {stack[0].name: stack for stack in _stacks(nodes)}
    single = {node.name: [node] for node in nodes}
    name = layer if layer in single and layer not in stacks else choose(path, list(stacks), layer)
    stack = stacks.get(name) or single[name]
    problems = [f"path={path}: {node.name}: {problem}" for node in stack for problem in _problems(node)]
    if problems:
        raise InputError(*problems)
    cells, top = [_cells(path, node) for node in stack], stack[-1]
    lstm = build_layers(f"path={path}: {name}", cells, backward=top.direction == "reverse")
    at, table, words = start(stack[0].graph, stack[0].inputs["X"], stack[0].layout, top.both, lstm.hidden_size)
    if top.layout != stack[0].layout:
        at, *_ = start(top.graph, top.inputs["X"], top.layout, top.both, lstm.hidden_size)
    head, more = find_readout(top.graph, top.outputs, at, top.direction, "sequence_lens" in top.inputs, readout)
    notes = ["gates reordered from i o f c to i f g o", *(note for node in stack for note in _notes(node))]
    dtype = dtype_of(lstm)
    return Imported(
        lstm,
        f"ONNX file, node {name}",
        name,
        None if head is None else build_linear(f"path={path}: {head.name}", head.weight, head.bias, dtype),
        None if head is None else head.activation,
        None if table is None else build_embedding(f"path={path}: embedding", table, dtype),
        head is not None and head.last,
        (*notes, *words, *more),
        _not_scored(stack),
        turned=head is not None and head.turned,
        same_step=head is not None and head.step == "last",
    )


def _nodes(graph: Graph) -> list[Node]:
    """Return the LSTM nodes, those in bodies of If, Loop and Scan nodes too; their names tell them apart."""
    nodes: list[Node] = []
    for at in graph.everywhere():
        for k, proto in enumerate(at.nodes_of("LSTM")):
            inputs = {role: name for role, name in zip(_INPUTS, proto.input) if name}
            name = at.within + (proto.name or f"LSTM_{k}")
            if name in {node.name for node in nodes}:
                name = f"{name}_{len(nodes)}"
            nodes.append(Node(at, name, at.attributes(proto), inputs, tuple(proto.output)))
    return nodes


def _stacks(nodes: list[Node]) -> list[list[Node]]:
    """Return chains of nodes that feed one another and are alike as layers of one LSTM are, lowest first."""
    below = {}
    for lower in nodes:
        like = [node for node in nodes if node is not lower and _kind(node) == _kind(lower) and lower.units]
        if not like or not lower.outputs or not lower.outputs[0]:
            continue
        at, *_ = start(lower.graph, lower.inputs["X"], lower.layout, lower.both, lower.units)
        for node in like:
            if leads_to(lower.graph, lower.outputs[0], at, node.inputs["X"], node.layout):
                below[node.name] = lower
    uppers = {lower.name for lower in below.values()}
    stacks = []
    for top in (node for node in nodes if node.name not in uppers):
        stack = [top]
        while stack[0].name in below and below[stack[0].name] not in stack:
            stack.insert(0, below[stack[0].name])
        stacks.append(stack)
    return stacks


def _kind(node: Node) -> tuple[object, ...]:
    """Return what the layers of one `nn.LSTM` have in common; lengths too, which decide where a direction begins."""
    return node.graph.within, node.direction, node.units, node.inputs.get("sequence_lens")


def _problems(node: Node) -> list[str]:
    """Return what this node does that an `nn.LSTM` does not."""
    problems, graph, given = [], node.graph, node.attributes
    if node.direction not in _DIRECTIONS:
        problems.append(f"direction={node.direction}; must be forward, reverse or bidirectional")
    if "P" in node.inputs and not graph.is_zero(node.inputs["P"]):
        problems.append("has peepholes (input P), which nn.LSTM does not have")
    if given.get("input_forget"):
        problems.append("input_forget=1 couples the input gate to the forget gate, which nn.LSTM does not")
    if "clip" in given:
        problems.append(f"clip={given['clip']:g} bounds what goes into the gates, which nn.LSTM does not")
    if node.units and given.get("hidden_size", node.units) != node.units:
        problems.append(f"hidden_size={given['hidden_size']}, but R is for {node.units} units")
    names = [a.decode(errors="replace") if isinstance(a, bytes) else a for a in given.get("activations", ())]
    wrong = [n for n, want in zip(names, ["sigmoid", "tanh", "tanh"] * 2) if n.lower() != want]
    if wrong:
        problems.append(f"activations {' '.join(names)}; nn.LSTM has Sigmoid Tanh Tanh, not {and_words(wrong)}")
    for role in ("initial_h", "initial_c"):
        name = node.inputs.get(role)
        if name is not None and not graph.is_zero(name) and not graph.is_fed(name):
            problems.append(f"{role} is a constant other than zero; nn.LSTM keeps no initial state")
    lengths = graph.constant(node.inputs.get("sequence_lens", ""))
    if lengths is not None:
        steps = (graph.dims(node.inputs["X"]) or (None, None))[node.layout]
        if steps is None or np.any(lengths != steps):
            problems.append(
                f"sequence_lens is a constant, {np.ravel(lengths)[:4].tolist()}; must be left out or an input"
            )
    return problems


def _notes(node: Node) -> list[str]:
    notes, graph = [], node.graph
    if graph.outer is not None:
        notes.append(f"{node.name} runs in the body of {graph.within.rstrip('/')}: its inputs are those of one run")
    if "sequence_lens" in node.inputs and graph.constant(node.inputs["sequence_lens"]) is None:
        notes.append(f"{node.name} receives its lengths as an input (sequence_lens): pass them to record as lengths")
    for role in ("initial_h", "initial_c"):
        if role in node.inputs and not graph.is_zero(node.inputs[role]):
            notes += [f"{node.name} is handed its {role}: here it starts at zero unless record is given a state"]
    stored = [role for role in _INPUTS[1:4] if role in node.inputs]
    if any(graph.passes(node.inputs[role], "DequantizeLinear") for role in stored):
        notes.append(f"{node.name}: its weights are stored quantised, here dequantised as the file does")
    return notes


def _not_scored(stack: list[Node]) -> str | None:
    """Return why the network's outputs do not follow from the LSTM's inputs alone; a state handed in may be zero."""
    for node in stack:
        for role in ("initial_h", "initial_c"):
            name, inputs = node.inputs.get(role), {each.name for each in node.graph.proto.input}
            if name is not None and name not in inputs and not node.graph.is_zero(name):
                return f"{node.name} starts from an {role} that the network computes"
    return None


def _cells(path: Path, node: Node) -> list[Arrays]:
    arrays: dict[str, np.ndarray] = {}
    stored = [role for role in _INPUTS[1:4] if role in node.inputs]
    for role in stored:
        value = node.graph.constant(node.inputs[role])
        if value is None:
            raise InputError(f"path={path}: {node.name}: its {role} is not stored but computed in the graph")
        arrays[role] = value
    directions = _DIRECTIONS[node.direction]
    ranks = {"W": 3, "R": 3, "B": 2}
    for role, array in arrays.items():
        rows = array.shape[1] if array.ndim == ranks[role] else 0
        if array.ndim != ranks[role] or array.shape[0] != directions or rows % (8 if role == "B" else 4):
            raise InputError(f"path={path}: {node.name}: {role} of shape {array.shape} is no LSTM's")
    cells = []
    for d in range(directions):
        b_ih, b_hh = np.split(arrays["B"][d], 2) if "B" in arrays else (None, None)
        cells.append(
            Arrays(
                reorder(arrays["W"][d].T, "onnx").T,
                reorder(arrays["R"][d].T, "onnx").T,
                None if b_ih is None else reorder(b_ih, "onnx"),
                None if b_hh is None else reorder(b_hh, "onnx"),
            )
        )
    return cells
