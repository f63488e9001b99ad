"""Recurrent layers and what stands around them as an ONNX model."""

from typing import Any

import numpy as np

from lstm_probe.cells.known import cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats.read.onnx_cells import INPUTS
from lstm_probe.formats.write.arrays import as_array, projection
from lstm_probe.formats.write.onnx_cells import held, stored
from lstm_probe.formats.write.parts import Parts

_OPSET, _IR_VERSION = 17, 8
#: What ONNX calls what Keras calls so.
_OPERATORS = {
    "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softplus": "Softplus", "softmax": "Softmax",
    "exponential": "Exp", "elu": "Elu", "selu": "Selu", "softsign": "Softsign",
}  # fmt: skip


class _Graph:
    """Nodes in their order, and the arrays that they read."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def store(self, name: str, array: Any) -> str:
        from onnx import numpy_helper

        self.stored.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def slice(self, x: str, output: str, **where: list[int]) -> str:
        """Add a slice by its starts, ends, axes and steps."""
        return self.add("Slice", [x, *(self.store(f"{output}.{key}", np.array(v)) for key, v in where.items())], output)


def onnx_file(parts: Parts) -> bytes:
    """Return an ONNX model; its nodes want time first, so the axes are exchanged before and after.

    Raises:
        InputError: a network that skips steps, or of a cell that ONNX does not have.
    """
    from onnx import TensorProto, checker, helper

    if parts.skips is not None:
        raise InputError(f"format=onnx: its {held(cell_of(parts.lstm), 1).operator} skips no steps, and this network "
                         f"skips those where its input is {parts.skips.value:g}; format=pytorch has that")  # fmt: skip
    graph, lstm, embedding, readout, x = _Graph(), parts.lstm, parts.embedding, parts.readout, "inputs"
    if embedding is not None:
        x = graph.add("Gather", [graph.store("embedding.weight", as_array(embedding.weight)), x], "embedded")
    x = graph.add("Transpose", [x], "time_first", perm=[1, 0, 2])
    for k in range(lstm.num_layers):
        x = _add_layer(graph, parts, k, x)
    if parts.reverse_end:
        x = _with_reverse_end(graph, parts.width, x)
    if parts.turned:
        x = graph.slice(x, "turned", starts=[-1], ends=[np.iinfo(np.int64).min], axes=[0], steps=[-1])
    x = graph.add("Transpose", [x], "h", perm=[1, 0, 2])
    outputs = {"h": parts.width}
    if readout is not None:
        outputs["outputs"] = readout.out_features
        after = [f"readout.{step}" for step in ("product", "sum")[: 1 + (readout.bias is not None)]]
        after[-1] = after[-1] if parts.activation else "outputs"
        x = graph.add("MatMul", [x, graph.store("readout.weight", as_array(readout.weight).T)], after[0])
        if readout.bias is not None:
            x = graph.add("Add", [x, graph.store("readout.bias", as_array(readout.bias))], after[1])
    if parts.activation is not None:
        outputs["outputs"] = parts.width if readout is None else readout.out_features
        graph.add(_OPERATORS[parts.activation], [x], "outputs")
    axes = ["sequence", "time"]
    given = (TensorProto.INT64, axes) if embedding is not None else (TensorProto.FLOAT, [*axes, lstm.input_size])
    made = helper.make_graph(
        graph.nodes,
        "lstm_probe",
        [helper.make_tensor_value_info("inputs", *given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [*axes, n]) for name, n in outputs.items()],
        graph.stored,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(made, producer_name="lstm_probe", opset_imports=[opset], ir_version=_IR_VERSION)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _add_layer(graph: _Graph, parts: Parts, k: int, x: str) -> str:
    """Add a layer, which reads `x`, and its projection; return what its h is called, time first."""
    lstm, inputs, cell = parts.lstm, [x], cell_of(parts.lstm)
    node = held(cell, 1 + lstm.bidirectional)
    arrays = stored(lstm, cell, node.operator, k)
    roles = INPUTS[node.operator][1:]
    inputs += [graph.store(f"{role}_l{k}", arrays[role]) if role in arrays else "" for role in roles]
    while not inputs[-1]:
        inputs.pop()
    way = "bidirectional" if lstm.bidirectional else "reverse" if parts.backward else "forward"
    x = graph.add(node.operator, inputs, f"{node.operator.lower()}_l{k}", hidden_size=lstm.hidden_size, direction=way,
                  **node.attributes)  # fmt: skip
    h = f"m_l{k}" if lstm.proj_size else f"h_l{k}"
    if lstm.bidirectional:
        x = graph.add("Transpose", [x], f"directions_l{k}", perm=[0, 2, 1, 3])
        x = graph.add("Reshape", [x, graph.store(f"shape_l{k}", np.array([0, 0, -1]))], h)
    else:
        x = graph.add("Squeeze", [x, graph.store(f"axis_l{k}", np.array([1]))], h)
    if lstm.proj_size:
        x = graph.add("MatMul", [x, graph.store(f"projection_l{k}", projection(lstm, k))], f"h_l{k}")
    return x


def _with_reverse_end(graph: _Graph, width: int, x: str) -> str:
    """Put what the reverse direction shows at the first step, where it ends, into its place at every step."""
    forward = graph.slice(x, "forward", starts=[0], ends=[width // 2], axes=[2])
    end = graph.slice(x, "reverse_end", starts=[0, width // 2], ends=[1, width], axes=[0, 2])
    end = graph.add("Expand", [end, graph.add("Shape", [forward], "steps")], "reverse")
    return graph.add("Concat", [forward, end], "ends", axis=2)
