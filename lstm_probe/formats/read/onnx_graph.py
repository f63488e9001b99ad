"""An ONNX graph with the bodies inside it: what is constant, what follows the inputs, who reads what."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.budget import spend
from lstm_probe.core.errors import InputError
from lstm_probe.formats.read.onnx_claims import folded_bytes, load_model

#: What may be computed while reading: none of these makes more out of less, but for the width of a number.
_FOLDED = (
    "Identity", "Transpose", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Cast", "Gather",
    "DequantizeLinear",
)  # fmt: skip
#: What takes its values from its first input alone; the others say a shape, or a place.
_SHAPED = ("Expand", "Tile", "Reshape", "Squeeze", "Unsqueeze", "Slice")
#: What makes zeros of zeros, and hands other values on.
_KEEPS = ("Identity", "Transpose", "Concat", "Gather", "Cast", *_SHAPED)
_DOMAINS = ("", "ai.onnx")
#: An If has two bodies.
_BRANCHES = {"then_branch": "then/", "else_branch": "else/"}

Dims = tuple[int | None, ...]


@dataclass
class Graph:
    """The graph of an ONNX model, or the body of an If, Loop or Scan in one, indexed both ways."""

    proto: Any
    opset: int = 0
    outer: "Graph | None" = None
    within: str = ""
    stored: dict[str, Any] = field(default_factory=dict)
    makers: dict[str, Any] = field(default_factory=dict)
    readers: dict[str, list[Any]] = field(default_factory=dict)
    takes: dict[str, set[str]] = field(default_factory=dict)
    bodies: list["Graph"] = field(default_factory=list)
    known: dict[str, np.ndarray | None] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Graph":
        """Read a file, with the data that it keeps beside itself."""
        model = load_model(path)
        if not model.graph.node:
            raise InputError(f"path={path}: is no ONNX model, or an empty one: it has no nodes")
        opset = next((each.version for each in model.opset_import if each.domain in _DOMAINS), 1)
        return cls(model.graph, opset)

    def __post_init__(self) -> None:
        self.stored = {tensor.name: tensor for tensor in self.proto.initializer}
        for k, node in enumerate(self.proto.node):
            for name in node.output:
                self.makers[name] = node
            name = f"{self.within}{node.name or f'{node.op_type}_{k}'}/"
            bodies = [
                Graph(each, self.opset, self, name + _BRANCHES.get(attribute.name, ""))
                for attribute in node.attribute
                for each in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
            ]
            self.bodies += bodies
            taken = {*node.input, *(name for body in bodies for name in body.captured())}
            self.takes |= dict.fromkeys(node.output, taken)
            for name in taken:
                self.readers.setdefault(name, []).append(node)

    def captured(self) -> set[str]:
        """Return the names that a body takes from the graph around it."""
        own = {*self.stored, *self.makers, *(each.name for each in self.proto.input)}
        return ({*self.readers, *self.output_names()} - own) - {""}

    def output_names(self) -> list[str]:
        """Return the names of the graph's outputs."""
        return [each.name for each in self.proto.output]

    def everywhere(self) -> Iterator["Graph"]:
        """Go through this graph and all bodies inside it."""
        yield self
        for body in self.bodies:
            yield from body.everywhere()

    def nodes_of(self, operator: str) -> list[Any]:
        """Return the nodes of an operator, in the graph's order; those of bodies are theirs."""
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

    def holder(self, name: str) -> "Graph | None":
        """Return the graph in which a name is made, stored or handed in, this one or one around it."""
        own = name in self.stored or name in self.makers or any(each.name == name for each in self.proto.input)
        return self if own or self.outer is None else self.outer.holder(name)

    def maker(self, name: str) -> Any:
        """Return the node that makes a tensor; None where it is stored or handed in."""
        at = self.holder(name)
        return None if at is None else at.makers.get(name)

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of a tensor that the graph's inputs have no part in; None where they have."""
        at = self.holder(name)
        if at is None:
            return None
        if name not in at.known:
            at.known[name] = None  # a tensor that leads back to itself has no value
            at.known[name] = at._value(name)
        return at.known[name]

    def _value(self, name: str) -> np.ndarray | None:
        from onnx import numpy_helper

        if name in self.stored:
            spend(self.stored[name].ByteSize(), name)
            return numpy_helper.to_array(self.stored[name])
        node = self.makers.get(name)
        if node is not None and node.op_type == "Constant":
            attributes = self.attributes(node)
            value = attributes.get("value")
            return numpy_helper.to_array(value) if value is not None else np.array(next(iter(attributes.values())))
        if node is None or node.op_type not in _FOLDED or node.domain not in (*_DOMAINS, "com.microsoft"):
            return None
        names = {name for name in node.input if name}
        values = {name: v for name in names if (v := self.constant(name)) is not None}
        if len(values) < len(names):
            return None
        return self._computed(node, values)

    def _computed(self, node: Any, values: dict[str, np.ndarray]) -> np.ndarray:
        """Return a node's first output, by the rules of this model's version of the operators."""
        from onnx import TensorProto, helper
        from onnx.reference import ReferenceEvaluator

        spend(
            folded_bytes(node.op_type, self.attributes(node), [values[n] for n in node.input if n]),
            f"{node.op_type} {node.name}".strip(),
        )
        alone = type(node)()
        alone.CopyFrom(node)
        alone.domain = ""  # onnxruntime's own DequantizeLinear is the standard's, for more types
        inputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in values]
        output = helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None)
        graph = helper.make_graph([alone], "alone", inputs, [output])
        found: Any = ReferenceEvaluator(graph, opsets={"": self.opset}).run(None, values)
        folded: np.ndarray = found[0]
        return folded

    def _sources(self, name: str) -> Iterator[tuple[str, Any]]:
        """Go back through all that gives a tensor its values, each once: its name and maker."""
        seen, ahead = {name}, [name]
        while ahead:
            name = ahead.pop()
            at, node = self.holder(name), self.maker(name)
            if at is None or name in at.stored:
                yield name, None
                continue
            yield name, node
            if node is None or node.op_type in ("Shape", "Size", "ConstantOfShape"):
                continue
            first = node.op_type in _SHAPED or (node.op_type == "Gather" and at.constant(node.input[1]) is not None)
            names = {node.input[0]} if first else at.takes[name] - {""}
            ahead += names - seen
            seen |= names

    def passes(self, name: str, operator: str) -> bool:
        """Say whether an operator took part in making a tensor."""
        return any(node is not None and node.op_type == operator for _, node in self._sources(name))

    def is_zero(self, name: str) -> bool:
        """Say whether a tensor is all zeros, also one whose shape follows the inputs'."""
        from onnx import numpy_helper

        if (value := self.constant(name)) is not None:
            return not np.any(value)
        for each, node in self._sources(name):
            if node is not None and node.op_type == "ConstantOfShape":
                filled = self.attributes(node).get("value")
                if filled is not None and np.any(numpy_helper.to_array(filled)):
                    return False
            elif node is None or node.op_type == "Constant":
                value = self.constant(each)
                if value is None or np.any(value):
                    return False
            elif node.op_type not in _KEEPS:
                return False
        return True

    def is_handed_in(self, name: str, beside: str) -> bool:
        """Say whether a tensor holds what is handed to the graph, rearranged, and nothing that `beside` is made of."""
        other = {each for each, node in self._sources(beside) if node is None}
        for each, node in self._sources(name):
            at = self.holder(each)
            handed = node is None and at is not None and each not in at.stored and each not in other
            if not handed and (node is None or node.op_type not in _KEEPS) and not self.is_zero(each):
                return False
        return True

    def is_fed(self, name: str) -> bool:
        """Say whether the values of a tensor, not its shape alone, follow what is handed to the graph."""
        for each, node in self._sources(name):
            at = self.holder(each)
            if node is None and at is not None and each not in at.stored:
                return True
        return False

    def dims(self, name: str) -> Dims | None:
        """Return the sizes that the file declares for a tensor, None for each that may vary."""
        for each in (*self.proto.input, *self.proto.value_info, *self.proto.output):
            if each.name == name and each.type.tensor_type.HasField("shape"):
                return tuple(d.dim_value if d.HasField("dim_value") else None for d in each.type.tensor_type.shape.dim)
        return None
