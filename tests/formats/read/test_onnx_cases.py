"""ONNX's own test cases of its recurrent operators, with their weights as initializers, and their reversed variants."""

import warnings
from importlib import import_module

import numpy as np
import pytest
import torch

from lstm_probe.formats import load_weights
from lstm_probe.recorder.config import is_backward

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper


def cases():
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for operator in ("lstm", "gru", "rnn"):  # each adds its own as it is imported
            import_module(f"{node.__name__}.{operator}")
    found = [case for case in node._NodeTestCases if case.model.graph.node[0].op_type in ("LSTM", "GRU", "RNN")]
    return {case.name: case for case in found}


def stored(case, path, **attributes):
    """Write a case's model with all inputs but X as initializers; return X and what is to come out."""
    model, (inputs, outputs) = onnx.ModelProto(), case.data_sets[0]
    model.CopyFrom(case.model)
    (node,) = model.graph.node
    for name, array in list(zip(node.input, inputs))[1:]:
        if name:
            model.graph.initializer.append(numpy_helper.from_array(array, name))
    del model.graph.input[1:]
    for each in model.graph.output:
        each.type.tensor_type.ClearField("shape")
    for key, value in attributes.items():
        kept = [each for each in node.attribute if each.name != key]
        node.ClearField("attribute")
        node.attribute.extend(kept)
        node.attribute.append(helper.make_attribute(key, value))
    onnx.save(model, str(path))
    return node, inputs[0], outputs


def test_the_cases_are_all_there():
    assert set(cases()) == {
        "test_lstm_defaults", "test_lstm_with_initial_bias", "test_lstm_with_peepholes", "test_lstm_batchwise",
        "test_lstm_bidirectional", "test_lstm_reverse", "test_gru_defaults", "test_gru_with_initial_bias",
        "test_gru_seq_length", "test_gru_batchwise", "test_gru_bidirectional", "test_gru_reverse",
        "test_simple_rnn_defaults", "test_simple_rnn_with_initial_bias", "test_rnn_seq_length",
        "test_simple_rnn_batchwise", "test_simple_rnn_bidirectional", "test_simple_rnn_reverse",
    }  # fmt: skip


def outputs_of(node, path, x):
    """Return Y, Y_h and Y_c as our module makes them, with the axes of the case, and the module."""
    layers, layout = load_weights(path).lstm, any(a.name == "layout" and a.i for a in node.attribute)
    with torch.no_grad():
        shown, state = layers(torch.from_numpy(x if layout else x.transpose(1, 0, 2)))
    y = shown.reshape(*shown.shape[:2], 1 + layers.bidirectional, -1).numpy()
    states = state if isinstance(state, tuple) else (state,)
    last = [each.numpy().transpose(1, 0, 2) if layout else each.numpy() for each in states]
    return dict(zip(("Y", "Y_h", "Y_c"), (y if layout else y.transpose(1, 2, 0, 3), *last))), layers


@pytest.mark.parametrize("name", cases())
def test_a_case_agrees_with_what_it_expects(tmp_path, name):
    node, x, want = stored(cases()[name], tmp_path / "m.onnx")
    got, _ = outputs_of(node, tmp_path / "m.onnx", x)
    names = [role for role, output in zip(("Y", "Y_h", "Y_c"), node.output) if output]
    assert len(names) == len(want)
    for role, array in zip(names, want):
        np.testing.assert_allclose(got[role], array, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in cases() if not {"seq", "peepholes", "batchwise", "bidirectional"} & set(name.split("_"))]
)
def test_its_reversed_variant_agrees_with_onnxruntime(tmp_path, name):
    node, x, _ = stored(cases()[name], tmp_path / "m.onnx", direction="reverse")
    x = np.random.default_rng(0).normal(size=(5, 4, x.shape[2])).astype("f4")
    model = onnx.load(str(tmp_path / "m.onnx"))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    got, lstm = outputs_of(node, tmp_path / "m.onnx", x)
    assert is_backward(lstm)
    names = [role for role, output in zip(("Y", "Y_h", "Y_c"), node.output) if output]
    for role, array in zip(names, session.run(None, {"X": x}), strict=True):
        np.testing.assert_allclose(got[role], array, atol=1e-5)
