"""Networks of every cell as ONNX and PyTorch files: run by onnxruntime and PyTorch, and read back."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.cells import GatedRNN, cell_of, get_cell
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.formats import ImportedModel, load_weights
from lstm_probe.formats.write import export
from lstm_probe.formats.write.checked import checked_export
from lstm_probe.recorder.config import is_backward, make_layers

onnxruntime = pytest.importorskip("onnxruntime")
ONNX = [
    "lstm", "lstm+peepholes", "lstm+coupled:i", "lstm+coupled:i+peepholes", "lstm+clip:0.4", "gru",
    "gru+reset_before", "gru+gates:hard_sigmoid", "gru+input:relu+clip:0.4", "rnn", "rnn+input:relu", "rnn+clip:0.4",
    "lstm+gates:hard_sigmoid", "lstm+gates:hard_sigmoid:0.1:0.4+output:linear", "lstm+input:elu:0.5+output:softsign",
    "rnn+input:scaled_tanh:0.5:2", "rnn+input:affine:0.3:0.1", "rnn+input:leaky_relu", "rnn+input:thresholded_relu:0.2",
    "lstm+input:leaky_relu:0.2+output:softplus",
]  # fmt: skip
WAYS = ["forward", "backward", "both"]


def network(name, way="forward", layers=2, bias=True, readout=True):
    torch.manual_seed(0)
    rnn = make_layers(get_cell(name), 3, 4, layers, bias=bias, bidirectional=way == "both", backward=way == "backward")
    width = 4 * (1 + (way == "both"))
    return ImportedModel(rnn, nn.Linear(width, 2) if readout else None).eval()


@pytest.mark.parametrize("name", ONNX)
@pytest.mark.parametrize("way", WAYS)
def test_onnx(tmp_path, name, way):
    path, x = tmp_path / "m.onnx", torch.randn(3, 6, 3)
    model = network(name, way, bias=way != "backward")
    export(model, path, format="onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    h, outputs = session.run(["h", "outputs"], {"inputs": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(h, model.lstm(x)[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(outputs, model(x).numpy(), atol=1e-5)
    got = load_weights(path)
    assert cell_of(got.lstm) == cell_of(model.lstm) and is_backward(got.lstm) == (way == "backward")
    assert got.readout is not None
    with torch.no_grad():
        torch.testing.assert_close(got.model(x), model(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("janet", "ONNX has no JANET; format=pytorch has"),
        ("lstm_no_forget", r"ONNX has no LSTM \(no forget gate\)"),
        ("lstm+coupled:f", r"ONNX has no LSTM \(i = 1 - f\)"),
        ("slstm", "ONNX has no sLSTM"),
        ("lstm_layer_norm", r"ONNX has no LSTM \(layer-normalised\)"),
        ("gru+input:gelu", r"no gelu in ONNX's LSTM, GRU and RNN, and this GRU \(input gelu\) has it"),
    ],
)
def test_what_onnx_does_not_have_is_refused(tmp_path, name, words):
    with pytest.raises(InputError, match=f"format=onnx: {words}"):
        export(network(name), tmp_path / "m.onnx", format="onnx")
    assert not any(tmp_path.iterdir())


ALL = ["gru", "rnn", "rnn_relu", "gru_reset_before", "lstm+peepholes", "lstm_layer_norm", "janet", "slstm"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("format", ["pytorch", "onnx"])
@pytest.mark.usefixtures("here")
def test_files_are_run_before_they_are_handed_over(tmp_path, name, way, format):
    if format == "onnx" and name not in {*ONNX, "rnn_relu", "gru_reset_before"}:
        return
    model = network(name, way, layers=1)
    batch = Batch(torch.randn(5, 7, 3), {}, (), torch.full((5,), 7), {})
    ending = {"pytorch": "pt", "onnx": "onnx"}[format]
    done = checked_export(model, batch, tmp_path / f"m.{ending}", format=format)
    assert done.difference < 1e-5 and ("PyTorch" if format == "pytorch" else "onnxruntime") in done.words
    if format == "pytorch":
        text = (tmp_path / "m.py").read_text()
        plain = isinstance(model.lstm, nn.RNNBase) or name in ("gru", "rnn", "rnn_relu")
        assert ("which it does not need." in text) == plain and ("lstm_probe.cells" in text) != plain
        got = load_weights(tmp_path / "m.pt", cell=name)
        assert cell_of(got.lstm) == cell_of(model.lstm)


def test_double_precision_and_no_biases(tmp_path):
    for name in ("gru", "janet"):
        model = network(name, bias=False).double()
        batch = Batch(torch.randn(5, 7, 3).double(), {}, (), torch.full((5,), 7), {})
        assert checked_export(model, batch, tmp_path / f"{name}.pt", format="pytorch").difference < 1e-12


def test_a_gated_rnn_of_pytorchs_own_cell_is_written_as_that(tmp_path):
    model = ImportedModel(GatedRNN(3, 4, cell="rnn_relu", batch_first=True))
    export(model, tmp_path / "m.pt", format="pytorch")
    assert 'nn.RNN(3, 4, num_layers=1, batch_first=True, nonlinearity="relu")' in (tmp_path / "m.py").read_text()
