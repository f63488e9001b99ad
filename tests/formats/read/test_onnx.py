"""ONNX files, from PyTorch's exporter and written node by node, against onnxruntime."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from tests.foreign import top_h

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def write(path, nodes, stored, inputs, outputs, opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, FLOAT, shape) for n, shape in inputs.items()],
        [helper.make_tensor_value_info(n, FLOAT, shape) for n, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path


def random_node(rng, features=3, units=4, directions=1, x="x", y="y", bias=True, name="lstm", **attributes):
    stored = {
        f"{name}.W": rng.normal(0, 0.5, (directions, 4 * units, features)).astype("f4"),
        f"{name}.R": rng.normal(0, 0.5, (directions, 4 * units, units)).astype("f4"),
    }
    if bias:
        stored[f"{name}.B"] = rng.normal(0, 0.5, (directions, 8 * units)).astype("f4")
    attributes = {
        "hidden_size": units,
        "direction": "bidirectional" if directions == 2 else "forward",
    } | attributes
    return helper.make_node("LSTM", [x, *stored], [y, f"{y}_h"], name=name, **attributes), stored


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_one_node(tmp_path, directions, bias, seed):
    rng = np.random.default_rng(seed)
    features, units, n, time = (int(k) for k in rng.integers(1, 7, 4))
    node, stored = random_node(rng, features, units, directions, bias=bias)
    path = write(tmp_path / "m.onnx", [node], stored, {"x": ["t", "b", features]}, {"y": None})
    x = rng.normal(size=(n, time, features)).astype("f4")
    y = run(path, x=x.transpose(1, 0, 2))[0]  # (time, direction, sequence, unit)
    want = y.transpose(2, 0, 1, 3).reshape(n, time, -1)
    got = load_weights(path)
    assert got.name == "lstm" and got.readout is None
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)


class Tagger(nn.Module):
    def __init__(self, layers, both, bias, batch_first, last):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, layers, bidirectional=both, bias=bias, batch_first=batch_first)
        self.head = nn.Linear(4 * (1 + both), 2)
        self.last = last

    def forward(self, x):
        h = self.rnn(x)[0]
        if self.last:
            h = h[:, -1] if self.rnn.batch_first else h[-1]
        return self.head(h).softmax(-1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, True), (3, False)])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_what_pytorch_exports(tmp_path, layers, both, batch_first, last):
    torch.manual_seed(layers)
    module = Tagger(layers, both, layers != 3, batch_first, last).eval()
    path = tmp_path / "m.onnx"
    axes = {"x": {0: "a", 1: "b"}}
    try:
        torch.onnx.export(
            module, (torch.zeros(2, 2, 3),), str(path), dynamo=False, input_names=["x"], dynamic_axes=axes
        )
    except (TypeError, ImportError, RuntimeError) as error:
        pytest.skip(f"this PyTorch has no exporter that needs onnx alone: {error}")
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("f4")
    want = run(path, x=x if batch_first else x.transpose(1, 0, 2))[0]
    got = load_weights(path)
    assert got.lstm.num_layers == layers and got.activation == "softmax"
    with torch.no_grad():
        ours = got.model(torch.from_numpy(x)).softmax(-1).numpy()
    want = want if batch_first or last else want.transpose(1, 0, 2)
    np.testing.assert_allclose(ours[:, -1] if last else ours, want, atol=1e-5)
    assert any("last step alone" in note for note in got.notes) == last


def test_nodes_that_do_not_follow_one_another_have_to_be_chosen_from(tmp_path):
    rng = np.random.default_rng(0)
    one, stored = random_node(rng, name="one")
    two, more = random_node(rng, units=5, y="z", name="two")
    path = write(tmp_path / "m.onnx", [one, two], stored | more, {"x": ["t", "b", 3]}, {"y": None, "z": None})
    with pytest.raises(InputError, match="2 LSTM layers, one and two; say which with layer=one or layer=two"):
        load_weights(path)
    x = rng.normal(size=(2, 6, 3)).astype("f4")
    want = run(path, x=x.transpose(1, 0, 2))[1][:, 0].transpose(1, 0, 2)
    np.testing.assert_allclose(top_h(load_weights(path, layer="two").lstm, x), want, atol=1e-5)


def test_weights_as_constants_and_moved_around(tmp_path):
    rng = np.random.default_rng(1)
    node, stored = random_node(rng)
    turned = {"W": stored["lstm.W"].transpose(0, 2, 1)}
    nodes = [
        helper.make_node("Constant", [], ["R0"], value=numpy_helper.from_array(stored["lstm.R"])),
        helper.make_node("Identity", ["R0"], ["lstm.R"]),
        helper.make_node("Transpose", ["W"], ["lstm.W"], perm=[0, 2, 1]),
        node,
    ]
    kept = {"lstm.B": stored["lstm.B"]} | turned
    path = write(tmp_path / "m.onnx", nodes, kept, {"x": ["t", "b", 3]}, {"y": None})
    x = rng.normal(size=(2, 6, 3)).astype("f4")
    want = run(path, x=x.transpose(1, 0, 2))[0][:, 0].transpose(1, 0, 2)
    np.testing.assert_allclose(top_h(load_weights(path).lstm, x), want, atol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "more", "words"),
    [
        ({"clip": -3.0}, {}, "clip=-3: must be above 0"),
        ({"activations": ["HardSigmoid", "Tanh", "Swish"]}, {}, "activation Swish: is not one of ONNX's"),
        ({"direction": "sideways"}, {}, "direction=sideways; must be forward, reverse or bidirectional"),
        ({}, {7: ("P", np.ones((1, 13), "f4"))}, r"P of shape \(1, 13\) is no LSTM's"),
        ({}, {5: ("h0", np.ones((1, 1, 4), "f4"))}, "initial_h is a constant other than zero"),
    ],
)
def test_what_no_module_does_is_refused_by_name(tmp_path, attributes, more, words):
    node, stored = random_node(np.random.default_rng(0), **attributes)
    for place, (name, array) in more.items():
        node.input.extend([""] * (place - len(node.input)) + [name])
        stored[name] = array
    path = write(tmp_path / "m.onnx", [node], stored, {"x": ["t", "b", 3]}, {"y": None})
    with pytest.raises(InputError, match=f"lstm: .*{words}"):
        load_weights(path)


def test_initial_states_and_lengths_are_noted(tmp_path):
    node, stored = random_node(np.random.default_rng(0))
    node.input.extend(["lengths", "h0", "zero"])
    stored["zero"] = np.zeros((1, 1, 4), "f4")
    path = write(tmp_path / "m.onnx", [node], stored, {"x": ["t", "b", 3], "h0": [1, 1, 4]}, {"y": None})
    notes = " ".join(load_weights(path).notes)
    assert "sequence_lens" in notes and "initial_h" in notes and "initial_c" not in notes


def test_a_hidden_layer_is_no_readout(tmp_path):
    rng = np.random.default_rng(0)
    node, stored = random_node(rng)
    stored |= {
        "a": rng.normal(size=(4, 4)).astype("f4"),
        "b": rng.normal(size=(4, 2)).astype("f4"),
        "one": np.array([1]),
    }
    nodes = [
        node,
        helper.make_node("Squeeze", ["y", "one"], ["h"]),
        helper.make_node("MatMul", ["h", "a"], ["p"]),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("MatMul", ["q", "b"], ["out"]),
    ]
    path = write(tmp_path / "m.onnx", nodes, stored, {"x": ["t", "b", 3]}, {"out": None})
    got = load_weights(path)
    assert got.readout is None and "p does not lead to the network's output alone: out (MatMul) follows it" in " ".join(
        got.notes
    )


def test_hostile_graphs(tmp_path):
    node, stored = random_node(np.random.default_rng(0))
    loop = [helper.make_node("Identity", [a], [b]) for a, b in ("uv", "vu", "uv", "vu")]
    node.input[1] = "u"
    path = write(tmp_path / "loop.onnx", [*loop, node], stored, {"x": ["t", "b", 3]}, {"y": None})
    with pytest.raises(InputError, match="its W is not stored"):
        load_weights(path)
    after = [helper.make_node("Identity", [a], [b]) for a, b in (("y", "u"), ("u", "v"), ("v", "u"), ("u", "y"))]
    node.input[1] = "lstm.W"
    path = write(tmp_path / "ring.onnx", [node, *after], stored, {"x": ["t", "b", 3]}, {"y": None})
    assert load_weights(path).readout is None
    (tmp_path / "secret").write_bytes(bytes(192))
    (tmp_path / "in").mkdir()
    model = onnx.load(str(write(tmp_path / "in" / "m.onnx", [node], stored, {"x": ["t", "b", 3]}, {"y": None})))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret")
    model.graph.initializer[0].ClearField("raw_data")
    (tmp_path / "in" / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="cannot be read as ONNX"):
        load_weights(tmp_path / "in" / "m.onnx")


def test_files_without_an_lstm_or_cut_short(tmp_path):
    path = tmp_path / "m.onnx"
    relu = write(tmp_path / "r.onnx", [helper.make_node("Relu", ["x"], ["y"])], {}, {"x": [1]}, {"y": [1]})
    with pytest.raises(InputError, match="no LSTM, GRU or RNN node: its nodes are Relu"):
        load_weights(relu)
    node, stored = random_node(np.random.default_rng(0))
    whole = write(path, [node], stored, {"x": ["t", "b", 3]}, {"y": None}).read_bytes()
    for share in (0.01, 0.3, 0.7, 0.98):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError) as error:
            load_weights(path)
        assert len(str(error.value).splitlines()) <= 2
    del stored["lstm.W"]
    write(path, [node], stored, {"x": ["t", "b", 3], "lstm.W": [1, 16, 3]}, {"y": None})
    with pytest.raises(InputError, match="its W is not stored"):
        load_weights(path)
