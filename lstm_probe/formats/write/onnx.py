"""An LSTM and its readout as an ONNX model."""

from typing import Any

import numpy as np
from torch import nn

from lstm_probe.formats.write.arrays import as_array, layer_weights

_OPSET, _IR_VERSION = 17, 8


def onnx_file(lstm: nn.LSTM, readout: nn.Linear | None, embedding: nn.Embedding | None) -> bytes:
    """Return an ONNX model; its LSTM node wants time first, so the axes are exchanged before and after."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    stored: list[Any] = []

    def store(name: str, array: np.ndarray) -> str:
        stored.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    x = "inputs"
    if embedding is not None:
        x = add("Gather", [store("embedding.weight", as_array(embedding.weight)), x], "embedded")
    x = add("Transpose", [x], "time_first", perm=[1, 0, 2])
    directions = 1 + lstm.bidirectional
    for k in range(lstm.num_layers):
        inputs = [x]
        inputs += [store(f"W_l{k}", np.stack([w.T for w in layer_weights(lstm, "weight_ih", k, "onnx")]))]
        inputs += [store(f"R_l{k}", np.stack([w.T for w in layer_weights(lstm, "weight_hh", k, "onnx")]))]
        if lstm.bias:
            both = zip(*(layer_weights(lstm, name, k, "onnx") for name in ("bias_ih", "bias_hh")))
            inputs += [store(f"B_l{k}", np.stack([np.concatenate(pair) for pair in both]))]
        way = "bidirectional" if lstm.bidirectional else "forward"
        x = add("LSTM", inputs, f"lstm_l{k}", hidden_size=lstm.hidden_size, direction=way)
        if lstm.bidirectional:
            x = add("Transpose", [x], f"directions_l{k}", perm=[0, 2, 1, 3])
            x = add("Reshape", [x, store(f"shape_l{k}", np.array([0, 0, -1]))], f"h_l{k}")
        else:
            x = add("Squeeze", [x, store(f"axis_l{k}", np.array([1]))], f"h_l{k}")
    x = add("Transpose", [x], "h", perm=[1, 0, 2])
    outputs = {"h": directions * lstm.hidden_size}
    if readout is not None:
        x = add(
            "MatMul",
            [x, store("readout.weight", as_array(readout.weight).T)],
            "scores" if readout.bias is not None else "outputs",
        )
        if readout.bias is not None:
            add("Add", [x, store("readout.bias", as_array(readout.bias))], "outputs")
        outputs["outputs"] = readout.out_features
    axes = ["sequence", "time"]
    given = (TensorProto.INT64, axes) if embedding is not None else (TensorProto.FLOAT, [*axes, lstm.input_size])
    graph = helper.make_graph(
        nodes,
        "lstm_probe",
        [helper.make_tensor_value_info("inputs", *given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [*axes, n]) for name, n in outputs.items()],
        stored,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, producer_name="lstm_probe", opset_imports=[opset], ir_version=_IR_VERSION)
    checker.check_model(model)
    return bytes(model.SerializeToString())
