"""LSTM, GRU and RNN nodes with all that ONNX's operators have, against onnxruntime."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lstm_probe.cells import cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from tests.onnx_nets import FLOAT, helper, normal, numpy_helper, onnx, run

T, B, F = 5, 3, 2
BLOCKS = {"LSTM": 4, "GRU": 3, "RNN": 1}
NAMES = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
ONNX = {
    "Relu": (0, 0), "Tanh": (0, 0), "Sigmoid": (0, 0), "Softsign": (0, 0), "Softplus": (0, 0), "Affine": (1, 1),
    "ScaledTanh": (1, 1), "LeakyRelu": (1, 0), "ThresholdedRelu": (1, 0), "Elu": (1, 0), "HardSigmoid": (1, 1),
}  # fmt: skip


def node(path, operator, units=4, direction="forward", bias=True, peepholes=False, seed=0, scale=1.0, **attributes):
    """Write one node with weights of its own; return a batch for it, time first."""
    rng, d, blocks = np.random.default_rng(seed), 1 + (direction == "bidirectional"), BLOCKS[operator]
    arrays = {"W": normal(rng, d, blocks * units, F), "R": normal(rng, d, blocks * units, units)}
    arrays |= {"B": normal(rng, d, 2 * blocks * units)} if bias else {}
    arrays |= {"P": normal(rng, d, 3 * units)} if peepholes else {}
    names = ["X", "W", "R", "B" if bias else "", *(["", "", "", "P"] if peepholes else [])]
    made = helper.make_node(operator, names, ["Y"], name="cell", hidden_size=units, direction=direction, **attributes)
    graph = helper.make_graph(
        [made], "g", [helper.make_tensor_value_info("X", FLOAT, ["t", "b", F])],
        [helper.make_empty_tensor_value_info("Y")],
        [numpy_helper.from_array(np.float32(a * scale), n) for n, a in arrays.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return normal(rng, T, B, F)


def ours(path, x):
    """Return Y (time, direction, sequence, unit) as the module that is read makes it, and the module."""
    layers = load_weights(path).lstm
    with torch.no_grad():
        h = layers(torch.from_numpy(x.transpose(1, 0, 2)))[0].numpy()
    return h.reshape(x.shape[1], len(x), 1 + layers.bidirectional, -1).transpose(1, 2, 0, 3), layers


def agrees(path, x, atol=1e-5):
    want = run(path, X=x)[0]
    got, layers = ours(path, x)
    np.testing.assert_allclose(got, want, atol=atol)
    return cell_of(layers)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("operator", "options", "name"),
    [
        ("LSTM", {"peepholes": True}, "lstm+peepholes"),
        ("LSTM", {"input_forget": 1}, "lstm+coupled:i"),
        ("LSTM", {"input_forget": 1, "peepholes": True}, "lstm+coupled:i+peepholes"),
        ("LSTM", {"clip": 0.3}, "lstm+clip:0.3"),
        ("LSTM", {"clip": 0.3, "peepholes": True}, "lstm+clip:0.3+peepholes"),
        ("GRU", {}, "gru+reset_before"),
        ("GRU", {"linear_before_reset": 1}, "gru"),
        ("GRU", {"clip": 0.3}, "gru+clip:0.3+reset_before"),
        ("GRU", {"linear_before_reset": 1, "clip": 0.3}, "gru+clip:0.3"),
        ("RNN", {}, "rnn"),
        ("RNN", {"clip": 0.3}, "rnn+clip:0.3"),
    ],
)
def test_what_an_operator_has(tmp_path, operator, options, name, direction, bias):
    x = node(tmp_path / "m.onnx", operator, direction=direction, bias=bias, scale=2, **options)
    assert agrees(tmp_path / "m.onnx", x).name == name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_activations_in_any_place(tmp_path_factory, data):
    operator = data.draw(st.sampled_from(sorted(BLOCKS)))
    direction = data.draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    names = [data.draw(st.sampled_from(sorted(ONNX))) for _ in NAMES[operator]]
    told = {}
    # onnxruntime takes 0 where ONNX has a default of 1, or none.
    if data.draw(st.booleans()) or {"Affine", "ScaledTanh", "ThresholdedRelu"} & set(names):
        for k, key in enumerate(("alpha", "beta")):
            values = [data.draw(st.sampled_from([0.1, 0.25, 0.7])) for name in names for _ in range(ONNX[name][k])]
            told |= {f"activation_{key}": values} if values else {}
    both = 1 + (direction == "bidirectional")
    told = {key: values * both for key, values in told.items()}
    more = {"peepholes": data.draw(st.booleans()), "input_forget": data.draw(st.integers(0, 1))}
    more = more if operator == "LSTM" else {}
    if data.draw(st.booleans()):
        more["clip"] = 0.8
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    x = node(path, operator, data.draw(st.integers(1, 6)), direction, data.draw(st.booleans()),
             seed=data.draw(st.integers(0, 99)), activations=names * both, scale=0.5, **told, **more)  # fmt: skip
    largest = np.abs(run(path, X=x)[0]).max()
    assume(largest < 30)  # onnxruntime's Softplus is infinite from 89 on, where it is 89, and lines have no bound
    agrees(path, x, 1e-4)


def test_a_threshold_that_is_not_told_is_onnxs_own(tmp_path):
    x = node(tmp_path / "m.onnx", "RNN", activations=["ThresholdedRelu"], scale=3)
    node(tmp_path / "told.onnx", "RNN", activations=["ThresholdedRelu"], activation_alpha=[1.0], scale=3)
    want = run(tmp_path / "told.onnx", X=x)[0]
    np.testing.assert_allclose(ours(tmp_path / "m.onnx", x)[0], want, atol=1e-4)


@pytest.mark.parametrize(
    ("operator", "attributes", "words"),
    [
        ("LSTM", {"activations": ["Sigmoid", "Tanh"]}, "activations Sigmoid Tanh: must be 3 for each direction"),
        ("GRU", {"activations": ["Sigmoid", "Gelu"]}, "activation Gelu: is not one of ONNX's, Relu Tanh"),
        ("RNN", {"activations": ["Affine"]}, "activation Affine: needs activation_alpha and activation_beta"),
        ("RNN", {"clip": 0.0}, "clip=0: must be above 0"),
        (
            "RNN",
            {"activations": ["Tanh", "Relu"], "direction": "bidirectional"},
            "activations tanh relu differ between its two directions, which no one module has",
        ),
    ],
)
def test_what_no_module_does_is_refused(tmp_path, operator, attributes, words):
    node(tmp_path / "m.onnx", operator, **attributes)
    with pytest.raises(InputError, match=f"cell: {words}"):
        load_weights(tmp_path / "m.onnx")


def test_an_lstm_goes_before_others_unless_one_is_asked_for(tmp_path):
    models = []
    for k, operator in enumerate(("GRU", "LSTM")):
        node(tmp_path / "m.onnx", operator)
        models.append(onnx.compose.add_prefix(onnx.load(str(tmp_path / "m.onnx")), f"{k}/"))
    for part in ("node", "initializer", "input", "output"):
        getattr(models[0].graph, part).extend(getattr(models[1].graph, part))
    onnx.save(models[0], str(tmp_path / "both.onnx"))
    got = load_weights(tmp_path / "both.onnx")
    assert cell_of(got.lstm).name == "lstm" and "0/cell is another layer, GRU: layer=0/cell reads that" in got.notes
    assert cell_of(load_weights(tmp_path / "both.onnx", layer="0/cell").lstm).name == "gru+reset_before"
