"""ONNX graphs with one LSTM, written node by node, and what onnxruntime and our model make of them."""

from typing import Any

import numpy as np
import pytest
import torch

from lstm_probe.formats.imported import ACTIVATIONS

onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
T, B, H = 5, 2, 4


def normal(rng, *shape):
    return rng.normal(0, 0.7, shape).astype("f4")


class Net:
    """A graph that is written node by node; `at` is the tensor that the last node made."""

    def __init__(self, seed=0, steps="t", direction="forward", x=("t", "b", 3), y="Y", opset=17, **inputs):
        self.rng, self.nodes, self.stored, self.opset, self.count = np.random.default_rng(seed), [], {}, opset, 0
        self.inputs, both = {"X": list(x)}, direction == "bidirectional"
        self.width = H * (1 + both)
        for name, shape in (("W", (4 * H, 3)), ("R", (4 * H, H)), ("B", (8 * H,))):
            self.stored[name] = normal(self.rng, 1 + both, *shape)
        taken = [*"XWRB", *(inputs.get(k, "") for k in ("sequence_lens", "initial_h", "initial_c"))]
        while not taken[-1]:
            taken.pop()
        node = helper.make_node("LSTM", taken, ["Y", "Yh", "Yc"], name="lstm", hidden_size=H, direction=direction)
        self.nodes.append(node)
        self.at = y

    def store(self, value):
        self.count += 1
        name = f"k{self.count}"
        self.stored[name] = np.asarray(value)
        return name

    def add(self, op, *stored, to=None, name=None, **attributes):
        names = [self.at if to is None else to, *(v if isinstance(v, str) else self.store(v) for v in stored)]
        made = f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [made], name=name or made, **attributes))
        self.at = made
        return self

    def linear(self, outputs, width=None, name=None):
        self.add("MatMul", normal(self.rng, width or self.width, outputs), name=name)
        return self.add("Add", normal(self.rng, outputs))

    def write(self, path, *outputs):
        names = outputs or (self.at,)
        made = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(n, FLOAT if n != "L" else 6, s) for n, s in self.inputs.items()],
            [helper.make_empty_tensor_value_info(n) for n in names],
            [numpy_helper.from_array(a, n) for n, a in self.stored.items()],
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.save(model, str(path))
        return path


def run(path, **inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, inputs)


def ours(got, x):
    """Return the model's outputs (sequence, time, output) on inputs with time first."""
    with torch.no_grad():
        made = got.model(torch.from_numpy(x.transpose(1, 0, 2)))
        made = ACTIVATIONS[got.activation](made) if got.activation else made
    return (made[:, -1] if got.last_step else made).numpy()


def why(got):
    (note,) = [note for note in got.notes if note.startswith("no readout taken: ")]
    return note.removeprefix("no readout taken: ")


def every_step(net):
    return net.add("Squeeze", np.array([1]))
