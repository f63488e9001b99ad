"""Following an ONNX graph: what is constant, what leads where, and which axis is which on the way."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.budget import spend, tick
from lstm_probe.core.errors import InputError
from lstm_probe.formats.read.onnx_claims import folded_bytes, load_model

#: What may be computed while reading: none of these makes more out of less.
_FOLDED = ("Identity", "Transpose", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Cast", "Gather")
#: What hands its first input on, unchanged in value.
_HANDED_ON = ("Identity", "Dropout", "Cast")
_DOMAINS = ("", "ai.onnx")
_ACTIVATIONS = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Relu": "relu",
}


@dataclass(frozen=True)
class Way:
    """Where one is on the way from an LSTM's output: the axes there, and whether one step alone was taken.

    Axes are t (time), d (direction), b (sequence), h (unit), and n for t and b made one.
    """

    axes: tuple[str, ...]
    last: bool = False
    both: bool = False

    @classmethod
    def of(cls, attributes: Mapping[str, Any], bidirectional: bool) -> "Way":
        """Return the axes of the operator's first output, Y."""
        return cls(("b", "t", "d", "h") if attributes.get("layout") else ("t", "d", "b", "h"), both=bidirectional)


@dataclass(frozen=True)
class Head:
    """A linear readout: weight (outputs, width), bias, the activation after it, and notes on it."""

    weight: np.ndarray
    bias: np.ndarray | None = None
    activation: str | None = None


@dataclass
class Graph:
    """The main graph of an ONNX model, indexed both ways."""

    proto: Any
    stored: dict[str, Any] = field(default_factory=dict)
    makers: dict[str, Any] = field(default_factory=dict)
    readers: dict[str, list[Any]] = field(default_factory=dict)
    known: dict[str, np.ndarray | None] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Graph":
        """Read a file, with the data that it keeps beside itself."""
        proto = load_model(path).graph
        if not proto.node:
            raise InputError(f"path={path}: is no ONNX model, or an empty one: it has no nodes")
        graph = cls(proto, {tensor.name: tensor for tensor in proto.initializer})
        for node in proto.node:
            for name in node.output:
                graph.makers[name] = node
            for name in node.input:
                graph.readers.setdefault(name, []).append(node)
        return graph

    def nodes_of(self, operator: str) -> list[Any]:
        """Return the nodes of an operator, in the graph's order."""
        return [n for n in self.proto.node if n.op_type == operator and n.domain in (*_DOMAINS, "com.microsoft")]

    def operators(self) -> str:
        """Return the operators of the graph as words, the first few."""
        names = sorted({node.op_type for node in self.proto.node})
        return ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")

    @staticmethod
    def attributes(node: Any) -> dict[str, Any]:
        """Return a node's attributes by name."""
        from onnx.helper import get_attribute_value

        return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of a tensor that the graph's inputs have no part in; None where they have."""
        if name not in self.known:
            self.known[name] = None  # a tensor that leads back to itself has no value
            self.known[name] = self._value(name)
        return self.known[name]

    def _value(self, name: str) -> np.ndarray | None:
        from onnx import numpy_helper
        from onnx.reference import ReferenceEvaluator

        if name in self.stored:
            spend(self.stored[name].ByteSize(), name)
            return numpy_helper.to_array(self.stored[name])
        node = self.makers.get(name)
        if node is not None and node.op_type == "Constant":
            attributes = self.attributes(node)
            value = attributes.get("value")
            return numpy_helper.to_array(value) if value is not None else np.array(next(iter(attributes.values())))
        if node is None or node.op_type not in _FOLDED or node.domain not in _DOMAINS:
            return None
        names = {name for name in node.input if name}
        values = {name: v for name in names if (v := self.constant(name)) is not None}
        if len(values) < len(names):
            return None
        spend(
            folded_bytes(node.op_type, self.attributes(node), [values[n] for n in node.input if n]),
            f"{node.op_type} {node.name}".strip(),
        )
        found: Any = ReferenceEvaluator(node).run(None, values)
        folded: np.ndarray = found[0]
        return folded

    def is_zero(self, name: str, depth: int = 0) -> bool:
        """Say whether a tensor is all zeros, also one whose shape follows the inputs'."""
        from onnx import numpy_helper

        value = self.constant(name)
        node = self.makers.get(name)
        if value is not None or node is None or depth > 20:
            return value is not None and not np.any(value)
        if node.op_type == "ConstantOfShape":
            filled = self.attributes(node).get("value")
            return filled is None or not np.any(numpy_helper.to_array(filled))
        return node.op_type in (*_FOLDED, "Expand", "Tile") and self.is_zero(node.input[0], depth + 1)

    def _ways(self, name: str, at: Way) -> Iterator[tuple[str, Way]]:
        """Go along all that only moves axes, hands on, or takes a step: every name reached, with its axes."""
        seen, ahead = {name}, [(name, at)]
        while ahead:
            tick()
            name, at = ahead.pop()
            yield name, at
            for node in self.readers.get(name, ()):
                after = self._after(node, name, at)
                if after is not None and node.output[0] not in seen:
                    seen.add(node.output[0])
                    ahead.append((node.output[0], after))

    def _after(self, node: Any, name: str, at: Way) -> Way | None:
        if not node.input or node.input[0] != name:
            return None
        attributes = self.attributes(node)
        if node.op_type in _HANDED_ON:
            return at
        if node.op_type == "Transpose":
            order = attributes.get("perm", range(len(at.axes))[::-1])
            return replace(at, axes=tuple(at.axes[k] for k in order)) if len(order) == len(at.axes) else None
        if node.op_type == "Squeeze":
            given = self.constant(node.input[1]) if len(node.input) > 1 else attributes.get("axes")
            gone = {int(k) % len(at.axes) for k in np.ravel(given)} if given is not None else set()
            taken = [at.axes[k] for k in gone]
            allowed = not ({"h", "b"} & set(taken)) and not ("d" in taken and at.both)
            kept = tuple(a for k, a in enumerate(at.axes) if k not in gone)
            return replace(at, axes=kept) if taken and allowed and ("t" not in taken or at.last) else None
        if node.op_type == "Reshape":
            return self._reshaped(node, at)
        if node.op_type in ("Gather", "Slice"):
            return self._stepped(node, attributes, at)
        return None

    def _reshaped(self, node: Any, at: Way) -> Way | None:
        """Return the axes where d was drawn into h, or t and b into one; None where units are torn apart."""
        shape = self.constant(node.input[1])
        axes = at.axes
        if "d" in axes and (axes[-2:] == ("d", "h") or not at.both):
            axes = tuple(a for a in axes if a != "d")
        if shape is None or axes[-1] != "h" or "d" in axes:
            return None
        if len(shape) == 2 and len(axes) == 3:
            axes = ("n", "h")
        return replace(at, axes=axes) if len(shape) == len(axes) else None

    def _stepped(self, node: Any, attributes: Mapping[str, Any], at: Way) -> Way | None:
        """Return the axes behind a choice along time, which is one step's."""
        if node.op_type == "Gather":
            axis, index = attributes.get("axis", 0), self.constant(node.input[1])
            if index is None or at.axes[axis] != "t":
                return None
            axes = at.axes if index.ndim else tuple(a for a in at.axes if a != "t")
            return replace(at, axes=axes, last=True)
        given = self.constant(node.input[3]) if len(node.input) > 3 else None
        cut = [at.axes[int(k)] for k in np.ravel(given)] if given is not None else []
        return replace(at, last=True) if cut == ["t"] else None

    def leads_to(self, outputs: Iterable[str], at: Way, wanted: str) -> bool:
        """Say whether an output is, its axes apart, what another node reads, every step of it."""
        return any(name == wanted and not way.last for out in outputs for name, way in self._ways(out, at))

    def readout(self, outputs: tuple[str, ...], at: Way, width: int) -> tuple[Head | None, tuple[str, ...]]:
        """Return the one linear layer after an LSTM's outputs, and notes on it.

        Args:
            outputs: the names of Y, Y_h and Y_c.
            at: the axes of Y.
            width: length of h, both directions together.
        """
        ways = list(self._ways(outputs[0], at)) if outputs[:1] != ("",) else []
        if len(outputs) > 1 and outputs[1] and not at.both:
            # Y_h is the last step's h; the backward direction's last step is the sequence's first.
            axes = tuple(a for a in at.axes if a != "t")
            ways += list(self._ways(outputs[1], replace(at, axes=axes, last=True)))
        found = [
            (head, way.last)
            for name, way in ways
            if way.axes[-1] == "h" and "d" not in way.axes[:-1]
            for node in self.readers.get(name, ())
            if (head := self._linear(node, name, width)) is not None
        ]
        if len(found) != 1:
            what = "there are several linear layers" if found else "there is no linear layer directly"
            return None, (f"no readout taken: {what} after the LSTM",)
        head, last = found[0]
        notes: tuple[str, ...] = (
            ("the file reads the last step alone; here the readout is applied at every step",) if last else ()
        )
        if head.activation:
            notes += (f"outputs are what goes into the file's {head.activation}",)
        return head, notes

    def _linear(self, node: Any, name: str, width: int) -> Head | None:
        weight = self.constant(node.input[1]) if len(node.input) > 1 and node.input[0] == name else None
        if weight is None or weight.ndim != 2:
            return None
        bias, end = None, node.output[0]
        if node.op_type == "Gemm":
            attributes = self.attributes(node)
            if attributes.get("transA") or attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
                return None
            weight = weight if attributes.get("transB") else weight.T
            bias = self.constant(node.input[2]) if len(node.input) > 2 else None
        elif node.op_type == "MatMul":
            weight = weight.T
            adds = [n for n in self.readers.get(end, ()) if n.op_type == "Add"]
            if len(adds) == 1:
                bias = next((v for n in adds[0].input if n != end and (v := self.constant(n)) is not None), None)
                end = adds[0].output[0] if bias is not None else end
        else:
            return None
        if weight.shape[1] != width:
            return None
        bias = None if bias is None else np.broadcast_to(bias.reshape(-1), weight.shape[:1])
        behind = self._behind(end)
        activations = [node for node in behind if node.op_type in _ACTIVATIONS]
        further = [n for a in activations for n in self._behind(a.output[0])] + behind
        if any(n.op_type in ("Gemm", "MatMul") for n in further):
            return None  # a hidden layer of what stands behind the LSTM, no readout
        return Head(weight, bias, _ACTIVATIONS[activations[0].op_type] if activations else None)

    def _behind(self, name: str) -> list[Any]:
        """Return the nodes that read a tensor, also after its axes were moved."""
        ways = self._ways(name, Way(("b", "t", "h")))
        return [node for reached, _ in ways for node in self.readers.get(reached, ())]
