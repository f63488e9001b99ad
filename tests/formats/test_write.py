"""What is exported runs in onnxruntime and in Keras, gives our h, and comes back the same."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats import ImportedModel, load_weights
from lstm_probe.formats.write import export
from lstm_probe.network.model import SequenceModel
from tests.foreign import keras as load_keras
from tests.foreign import top_h

GRID = [(1, 1, 1, False, True), (3, 5, 2, False, True), (2, 4, 1, True, False), (4, 3, 3, True, True)]


def models():
    for seed, (inputs, units, layers, both, bias) in enumerate(GRID):
        torch.manual_seed(seed)
        lstm = nn.LSTM(inputs, units, layers, bidirectional=both, bias=bias, batch_first=True)
        model = ImportedModel(lstm, nn.Linear(units * (1 + both), 2, bias=bias)).eval()
        yield model, torch.randn(3, 6, inputs)


@pytest.mark.parametrize("name", ["m.onnx", "m.keras"])
def test_round_trip(tmp_path, name):
    pytest.importorskip("onnx" if name == "m.onnx" else "h5py")
    for model, x in models():
        path = export(model, tmp_path / name, format=name[2:])
        got = load_weights(path)
        np.testing.assert_allclose(top_h(got.lstm, x.numpy()), top_h(model.lstm, x.numpy()), atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(got.model(x), model(x), atol=1e-5, rtol=0)
        assert export(got, tmp_path / f"again-{name}", format=name[2:]).stat().st_size > 0
        bare = load_weights(export(model.lstm, path, format=name[2:]))
        assert bare.readout is None and bare.lstm.num_layers == model.lstm.num_layers


def test_onnxruntime_gives_our_h_and_outputs(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for model, x in models():
        path = export(model, tmp_path / "m.onnx", format="onnx")
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        h, outputs = session.run(["h", "outputs"], {"inputs": x.numpy()})
        np.testing.assert_allclose(h, top_h(model.lstm, x.numpy()), atol=1e-5)
        with torch.no_grad():
            np.testing.assert_allclose(outputs, model(x).numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_keras_gives_our_h_and_outputs(tmp_path):
    keras = load_keras()
    pytest.importorskip("h5py")
    for model, x in models():
        theirs = keras.models.load_model(export(model, tmp_path / "m.keras", format="keras"))
        part = keras.Model(theirs.inputs, theirs.layers[-2].output)
        h = part(x.numpy(), training=False).detach().numpy()
        np.testing.assert_allclose(h, top_h(model.lstm, x.numpy()), atol=1e-5)
        with torch.no_grad():
            np.testing.assert_allclose(theirs(x.numpy()).detach().numpy(), model(x).numpy(), atol=1e-5)
    theirs.save(tmp_path / "again.keras")
    again = load_weights(tmp_path / "again.keras")
    np.testing.assert_allclose(top_h(again.lstm, x.numpy()), top_h(model.lstm, x.numpy()), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_an_embedding_goes_along(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    keras = load_keras()
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, batch_first=True)
    model = ImportedModel(lstm, nn.Linear(4, 2), nn.Embedding(7, 3)).eval()
    tokens = torch.randint(0, 7, (2, 5))
    with torch.no_grad():
        want = model(tokens).numpy()
    path = export(model, tmp_path / "m.onnx", format="onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["outputs"], {"inputs": tokens.numpy()})[0], want, atol=1e-5)
    path = export(model, tmp_path / "m.keras", format="keras")
    theirs = keras.models.load_model(path)(tokens.numpy())
    np.testing.assert_allclose(theirs.detach().numpy(), want, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(load_weights(path).model(tokens).numpy(), want, atol=1e-5)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("h5py")
    model = SequenceModel(3, 2, 4, seed=1)
    for name in ("onnx", "keras"):
        first, second = (export(model, tmp_path / f"{k}.{name}", format=name).read_bytes() for k in "ab")
        assert first == second
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.keras", "a.onnx", "b.keras", "b.onnx"]


def test_what_cannot_be_exported(tmp_path):
    pytest.importorskip("onnx")
    model = SequenceModel(3, 2, 4)
    for given, format, name, words in [
        (model, "onxx", "m.onnx", "format=onxx: must be pytorch, keras or onnx. Did you mean 'onnx'"),
        (model, "onnx", "m.keras", "must end in .onnx for format=onnx"),
        (nn.Linear(3, 4), "onnx", "m.onnx", "Linear: must hold exactly one recurrent module; it holds none"),
        (model, "onnx", "no/m.onnx", "cannot be written"),
    ]:
        with pytest.raises(InputError, match=words):
            export(given, tmp_path / name, format=format)
    assert not list(tmp_path.iterdir())
