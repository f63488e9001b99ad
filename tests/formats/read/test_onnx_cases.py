"""ONNX's own test cases of its LSTM operator, with their weights as initializers, and their reversed variants."""

import warnings

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.recorder.backward import BackwardLSTM

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper


def cases():
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in node.collect_testcases("LSTM")}


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
    assert {"test_lstm_defaults", "test_lstm_with_initial_bias", "test_lstm_with_peepholes"} <= set(cases())


def outputs_of(node, path, x):
    """Return Y, Y_h and Y_c as our LSTM makes them, with the axes of the case."""
    lstm, layout = load_weights(path).lstm, any(a.name == "layout" and a.i for a in node.attribute)
    with torch.no_grad():
        shown, state = lstm(torch.from_numpy(x if layout else x.transpose(1, 0, 2)))
    y = shown.numpy()[:, :, None] if layout else shown.numpy().transpose(1, 0, 2)[:, None]
    h, c = (each.numpy().transpose(1, 0, 2) if layout else each.numpy() for each in state)
    return dict(zip(("Y", "Y_h", "Y_c"), (y, h, c))), lstm


@pytest.mark.parametrize("name", [name for name in cases() if "peephole" not in name])
def test_a_case_that_is_an_nn_lstm_agrees_with_what_it_expects(tmp_path, name):
    node, x, want = stored(cases()[name], tmp_path / "m.onnx")
    got, _ = outputs_of(node, tmp_path / "m.onnx", x)
    names = [role for role, output in zip(("Y", "Y_h", "Y_c"), node.output) if output]
    assert len(names) == len(want)
    for role, array in zip(names, want):
        np.testing.assert_allclose(got[role], array, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in cases() if not {"peepholes", "batchwise", "bidirectional"} & set(name.split("_"))]
)
def test_its_reversed_variant_agrees_with_onnxruntime(tmp_path, name):
    node, x, _ = stored(cases()[name], tmp_path / "m.onnx", direction="reverse")
    x = np.random.default_rng(0).normal(size=(5, 4, x.shape[2])).astype("f4")
    model = onnx.load(str(tmp_path / "m.onnx"))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    got, lstm = outputs_of(node, tmp_path / "m.onnx", x)
    assert isinstance(lstm, BackwardLSTM)
    names = [role for role, output in zip(("Y", "Y_h", "Y_c"), node.output) if output]
    for role, array in zip(names, session.run(None, {"X": x}), strict=True):
        np.testing.assert_allclose(got[role], array, atol=1e-5)


def test_the_case_with_peepholes_is_refused_by_name(tmp_path):
    stored(cases()["test_lstm_with_peepholes"], tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"has peepholes \(input P\), which nn.LSTM does not have"):
        load_weights(tmp_path / "m.onnx")
