"""ONNX files: LSTM, GRU and RNN nodes, the linear readout after them, and what of an operator no module here does."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Arrays, build_embedding, build_layers, build_linear, dtype_of
from lstm_probe.formats.choosing import and_words, choose_first
from lstm_probe.formats.files import need
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.onnx_cells import DIRECTIONS, INPUTS, arrays_of, cell_of_node
from lstm_probe.formats.read.onnx_graph import Graph
from lstm_probe.formats.read.onnx_readout import find_readout, leads_to, start

_STORED = ("W", "R", "B", "P")
_OTHERS = ("DynamicQuantizeLSTM", "Scan", "Loop")
#: What is said of the order of blocks.
_REORDERED = {"LSTM": ("gates reordered from i o f c to i f g o",),
              "GRU": ("blocks reordered from z r h to r z n",), "RNN": ()}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A recurrent node: the graph it is in, its operator, name, attributes, and what its inputs and outputs are called.

    `cell` is what its units are; a plain LSTM where `wrong` says why none here is.
    """

    graph: Graph
    operator: str
    name: str
    attributes: dict[str, Any]
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    cell: Cell = LSTM
    wrong: tuple[str, ...] = ()

    @classmethod
    def of(cls, graph: Graph, operator: str, name: str, proto: Any) -> "Node":
        """Return a node as a graph has it."""
        inputs = {role: name for role, name in zip(INPUTS[operator], proto.input) if name}
        node = cls(graph, operator, name, graph.attributes(proto), inputs, tuple(proto.output))
        peepholes = "P" in inputs and not graph.is_zero(inputs["P"])
        try:
            cell = cell_of_node(operator, node.attributes, 1 + node.both, peepholes)
        except InputError as error:
            return replace(node, wrong=tuple(str(error).splitlines()))
        return replace(node, cell=cell)

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
    """Read the recurrent layers of an ONNX file; nodes that feed one another directly are the layers of one."""
    need("onnx", "onnx", path)
    graph = Graph.read(path)
    nodes = _nodes(graph)
    if not nodes:
        others = [op for op in _OTHERS if any(each.nodes_of(op) for each in graph.everywhere())]
        what = f"it has a {and_words(others)} node" if others else f"its nodes are {graph.operators()}"
        quantised = " (a quantised LSTM computes with rounded inputs: export it before it is quantised)"
        raise InputError(
            f"path={path}: holds no LSTM, GRU or RNN node: {what}{quantised if _OTHERS[0] in others else ''}"
        )
    stacks = {stack[0].name: stack for stack in _stacks(nodes)}
    single = {node.name: [node] for node in nodes}
    name, left = layer or "", tuple[str, ...]()
    if name not in single or name in stacks:
        name, left = choose_first(path, {own: stack[0].operator for own, stack in stacks.items()}, layer)
    stack = stacks.get(name) or single[name]
    problems = [f"path={path}: {node.name}: {problem}" for node in stack for problem in _problems(node)]
    if problems:
        raise InputError(*problems)
    cells, top = [_cells(path, node) for node in stack], stack[-1]
    lstm = build_layers(f"path={path}: {name}", cells, cell=top.cell, backward=top.direction == "reverse")
    lowest, kind = stack[0], top.operator
    at, table, words = start(lowest.graph, lowest.inputs["X"], lowest.layout, top.both, lstm.hidden_size, kind)
    if top.layout != lowest.layout:
        at, *_ = start(top.graph, top.inputs["X"], top.layout, top.both, lstm.hidden_size)
    head, more = find_readout(top.graph, top.outputs, at, top.direction, "sequence_lens" in top.inputs, readout, kind)
    notes = [*left, *_REORDERED[kind], *(note for node in stack for note in _notes(node))]
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
    """Return the recurrent nodes, those in bodies of If, Loop and Scan nodes too; their names tell them apart."""
    nodes: list[Node] = []
    for at, operator in product(graph.everywhere(), INPUTS):
        for k, proto in enumerate(at.nodes_of(operator)):
            name = at.within + (proto.name or f"{operator}_{k}")
            if name in {node.name for node in nodes}:
                name = f"{name}_{len(nodes)}"
            nodes.append(Node.of(at, operator, name, proto))
    return nodes


def _stacks(nodes: list[Node]) -> list[list[Node]]:
    """Return chains of nodes that feed one another and are alike as layers of one module are, lowest first."""
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
    """Return what the layers of one module have in common; lengths too, which decide where a direction begins."""
    return node.graph.within, node.cell.name, node.wrong, node.direction, node.units, node.inputs.get("sequence_lens")


def _problems(node: Node) -> list[str]:
    """Return what this node does that no module here does."""
    problems, graph, given = list(node.wrong), node.graph, node.attributes
    if node.direction not in DIRECTIONS:
        problems.append(f"direction={node.direction}; must be forward, reverse or bidirectional")
    if node.units and given.get("hidden_size", node.units) != node.units:
        problems.append(f"hidden_size={given['hidden_size']}, but R is for {node.units} units")
    for role in ("initial_h", "initial_c"):
        name = node.inputs.get(role)
        if name is not None and not graph.is_zero(name) and not graph.is_fed(name):
            problems.append(f"{role} is a constant other than zero; nn.{node.operator} keeps no initial state")
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
    stored = [role for role in _STORED if role in node.inputs]
    if any(graph.passes(node.inputs[role], "DequantizeLinear") for role in stored):
        notes.append(f"{node.name}: its weights are stored quantised, here dequantised as the file does")
    return notes


def _not_scored(stack: list[Node]) -> str | None:
    """Return why the network's outputs do not follow from the LSTM's inputs alone; a state handed in may be zero."""
    for node in stack:
        for role in ("initial_h", "initial_c"):
            name = node.inputs.get(role)
            if name is not None and not node.graph.is_handed_in(name, stack[0].inputs["X"]):
                return f"{node.name} starts from an {role} that the network computes"
    return None


def _cells(path: Path, node: Node) -> list[Arrays]:
    arrays: dict[str, np.ndarray] = {}
    # Peepholes that are all zero are none, whatever their shape.
    stored = [role for role in _STORED if role in node.inputs and (role != "P" or "peephole" in node.cell.extra)]
    for role in stored:
        value = node.graph.constant(node.inputs[role])
        if value is None:
            raise InputError(f"path={path}: {node.name}: its {role} is not stored but computed in the graph")
        arrays[role] = value
    return arrays_of(f"path={path}: {node.name}", node.operator, node.cell, arrays, DIRECTIONS[node.direction])
