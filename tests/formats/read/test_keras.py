"""Keras files made by Keras itself (torch backend), and hostile ones; of Keras 2 see `test_keras_2`."""

import io
import json
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.recorder.config import LSTMConfig
from tests.foreign import keras as load_keras
from tests.foreign import top_h
from tests.formats.read.test_keras_2 import keras2_file

h5py = pytest.importorskip("h5py")
keras = load_keras()
L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own, of NumPy and of its legacy format


def theirs(model, layer, x):
    """Return what a layer of a Keras model gives for x."""
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return part(x, training=False).detach().numpy()


def randomise(model, seed):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.5, w.shape).astype(np.float32) for w in model.get_weights()])
    return model, rng


ENDINGS = ["model.keras", "model.weights.h5", "model.h5"]


def save(model, path):
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("both", [False, True])
def test_h_and_outputs_are_keras_own(tmp_path, ending, both):
    for seed, (features, units, use_bias) in enumerate([(3, 5, True), (1, 1, True), (7, 4, False)]):
        lstm = L.LSTM(units, return_sequences=True, use_bias=use_bias, dropout=0.3, name=f"rnn{seed}")
        lstm = L.Bidirectional(lstm, name=f"rnn{seed}") if both else lstm
        head = L.TimeDistributed(L.Dense(2)) if seed else L.Dense(2)
        model, rng = randomise(
            keras.Sequential([L.Input((None, features)), L.Dropout(0.2), lstm, L.Dropout(0.5), head]), seed
        )
        x = rng.normal(size=(3, 6, features)).astype(np.float32)
        got = load_weights(save(model, tmp_path / f"{seed}{ending}"))
        assert got.name == f"rnn{seed}"
        assert got.lstm.bias == use_bias and not got.lstm.training
        np.testing.assert_allclose(top_h(got.lstm, x), theirs(model, f"rnn{seed}", x), atol=1e-5)
        with torch.no_grad():
            ours = got.model(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(ours, model(x, training=False).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_lstm_layers_have_to_be_chosen_from(tmp_path, ending):
    layers = [L.LSTM(4, return_sequences=True, name=n) for n in ("low", "high")]
    model, rng = randomise(keras.Sequential([L.Input((None, 3)), layers[0], L.Dropout(0.1), layers[1]]), 0)
    path = save(model, tmp_path / ending)
    with pytest.raises(InputError, match=r"2 LSTM layers, .*low.*layer=low") as error:
        load_weights(path)
    assert "high" in str(error.value) and len(error.value.problems) == 1
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    both = load_weights(path, layer="low+high")
    assert both.lstm.num_layers == 2
    np.testing.assert_allclose(top_h(both.lstm, x), theirs(model, "high", x), atol=1e-5)
    low = load_weights(path, layer="low")
    np.testing.assert_allclose(top_h(low.lstm, x), theirs(model, "low", x), atol=1e-5)
    with pytest.raises(InputError, match=r"layer=middle: no such LSTM"):
        load_weights(path, layer="middle")


def test_layers_that_differ_are_no_stack(tmp_path):
    model = keras.Sequential(
        [L.Input((None, 3)), L.LSTM(4, return_sequences=True, name="a"), L.LSTM(5, name="b"), L.Dense(1)]
    )
    path = save(model, tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"a and b; say which with layer=a or layer=b$"):
        load_weights(path)
    with pytest.raises(InputError, match=r"to be one nn.LSTM"):
        load_weights(path, layer="a+b")


@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
def test_functional_and_nested_models_with_an_embedding(tmp_path, ending):
    tokens = L.Input((None,), dtype="int32")
    inside = keras.Sequential([L.LSTM(4, return_sequences=True, name="deep"), L.Dropout(0.1)], name="encoder")
    h = inside(L.Embedding(11, 3, mask_zero=ending == "m.h5", name="table")(tokens))
    model, rng = randomise(keras.Model(tokens, L.Activation("softmax")(L.Dense(2, name="head")(h))), 1)
    path = save(model, tmp_path / ending)
    got = load_weights(path)
    x = rng.integers(1, 11, size=(2, 7))
    assert got.name == "encoder/deep" and got.activation == "softmax" and got.embedding is not None
    with torch.no_grad():
        ours = got.model(torch.from_numpy(x)).softmax(-1).numpy()
    np.testing.assert_allclose(ours, model(x, training=False).detach().numpy(), atol=1e-5)
    assert load_weights(path, layer="deep").name == "encoder/deep"


def test_what_reads_the_last_step_alone_is_said(tmp_path):
    model, rng = randomise(keras.Sequential([L.Input((None, 3)), L.LSTM(4), L.Dense(2, activation="sigmoid")]), 2)
    got = load_weights(save(model, tmp_path / "m.keras"))
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    with torch.no_grad():
        last = got.model(torch.from_numpy(x))[:, -1].sigmoid().numpy()
    np.testing.assert_allclose(last, model(x, training=False).detach().numpy(), atol=1e-5)
    assert got.activation == "sigmoid" and any("last step alone" in note for note in got.notes)
    assert LSTMConfig.of(got.lstm).forget_bias == 1  # untrained networks for comparison start as Keras's do
    hidden = [
        L.Input((None, 3)),
        L.LSTM(4),
        L.Dense(5, activation="relu", name="hidden"),
        L.Dense(2, name="end"),
    ]
    got = load_weights(save(keras.Sequential(hidden), tmp_path / "two.keras"))
    assert got.readout is None and any("hidden is not the last layer, end follows" in note for note in got.notes)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: L.LSTM(4, recurrent_activation="softmax"), "recurrent_activation=softmax"),
        (lambda: L.LSTM(4, activation="softmax"), "activation=softmax"),
        (
            lambda: L.Bidirectional(L.LSTM(4, go_backwards=True), backward_layer=L.LSTM(4)),
            "its forward layer has go_backwards=True",
        ),
        (lambda: L.Bidirectional(L.LSTM(4), backward_layer=L.GRU(4, go_backwards=True)), "backward layer is a GRU"),
        (lambda: L.Dense(4, name="only"), r"no LSTM, GRU or SimpleRNN layer: its layers are only \(Dense\)$"),
    ],
)
@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
def test_what_no_module_can_do_is_refused_by_name(tmp_path, layer, words, ending):
    path = save(keras.Sequential([L.Input((5, 3)), layer()]), tmp_path / ending)
    with pytest.raises(InputError, match=words) as error:
        load_weights(path)
    assert len(str(error.value).splitlines()) <= 2


def test_a_custom_cell_is_refused_and_never_made(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Cell(L.LSTMCell):
        pass

    path = save(keras.Sequential([L.Input((5, 3)), L.RNN(Cell(4), name="own")]), tmp_path / "m.keras")
    with pytest.raises(
        InputError, match=r"own is a RNN of \S*Cell; LSTM, GRU and SimpleRNN layers are supported, also in Bi"
    ):
        load_weights(path)
    standard, rng = randomise(
        keras.Sequential([L.Input((None, 3)), L.RNN(L.LSTMCell(4), return_sequences=True, name="rnn")]), 0
    )
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    got = load_weights(save(standard, tmp_path / "s.keras"))
    np.testing.assert_allclose(top_h(got.lstm, x), theirs(standard, "rnn", x), atol=1e-5)


@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
def test_an_encoder_and_a_decoder_are_chosen_by_name(tmp_path, ending):
    x, y = L.Input((None, 3)), L.Input((None, 2))
    _, h, c = L.LSTM(4, return_state=True, name="encoder")(L.Masking(-9.0, name="mask")(x))
    out = L.LSTM(4, return_sequences=True, name="decoder")(y, initial_state=[h, c])
    model, _ = randomise(keras.Model([x, y], L.Dense(2, name="head")(out)), 0)
    path = save(model, tmp_path / ending)
    with pytest.raises(InputError, match=r"encoder and decoder; say which with layer=encoder or layer=decoder$"):
        load_weights(path)
    encoder, decoder = (load_weights(path, layer=name) for name in ("encoder", "decoder"))
    assert (encoder.readout, encoder.lstm.input_size, decoder.lstm.input_size) == (None, 3, 2)
    assert any("mask masks steps of -9.0" in note for note in encoder.notes)
    assert decoder.readout is not None and any("receives its initial state" in note for note in decoder.notes)
    start = [torch.randn(1, 2, 4) for _ in "hc"]
    given = keras.Input((None, 2)), keras.Input((4,)), keras.Input((4,))
    part = keras.Model(given, model.get_layer("decoder")(given[0], initial_state=list(given[1:])))
    tokens = torch.randn(2, 5, 2)
    with torch.no_grad():
        ours = decoder.lstm(tokens, tuple(start))[0].numpy()
    want = part([tokens.numpy(), *(s[0].numpy() for s in start)], training=False).detach().numpy()
    np.testing.assert_allclose(ours, want, atol=1e-5)


def test_reading_needs_neither_keras_nor_tensorflow(tmp_path):
    path = save(keras.Sequential([L.Input((None, 3)), L.LSTM(4)]), tmp_path / "m.keras")
    code = (
        "import sys; from lstm_probe.formats import load_weights; load_weights(sys.argv[1]);"
        "print([m for m in ('keras', 'tensorflow', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_hostile_hdf5_is_not_followed(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(192))
    for name in ("external", "link", "soft", "huge"):
        keras2_file(tmp_path / f"{name}.h5")
        with h5py.File(tmp_path / f"{name}.h5", "r+") as file:
            group = file["model_weights/lstm_1/lstm_1/lstm_1"]
            del group["kernel:0"]
            if name == "external":
                group.create_dataset("kernel:0", (3, 16), "f4", external=[(str(secret), 0, 192)])
            elif name == "link":
                group["kernel:0"] = h5py.ExternalLink("other.h5", "/kernel")
            elif name == "soft":
                group["kernel:0"] = h5py.SoftLink("/model_weights/td/td/kernel:0")
            else:
                group.create_dataset("kernel:0", (10**6, 10**6), "f4", chunks=(1, 10**6))
        with pytest.raises(InputError, match=r"not read|not followed|kernel:0 takes 4.0 TB; .* left of max_bytes"):
            load_weights(tmp_path / f"{name}.h5")


def test_lambda_layers_are_never_run(tmp_path):
    made = tmp_path / "made"
    model = keras.Sequential([L.Input((None, 3)), L.LSTM(4, return_sequences=True, name="lstm")])
    path = save(model, tmp_path / "m.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    code = f"open({str(made)!r}, 'w').close()"
    config["config"]["layers"].append({"module": "builtins", "class_name": "exec", "config": {"name": code}})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else data)
    assert load_weights(path).readout is None
    assert not made.exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_truncated_at_any_place_is_one_short_error(tmp_path, ending):
    model = keras.Sequential([L.Input((None, 3)), L.LSTM(4, return_sequences=True)])
    whole = save(model, tmp_path / ending).read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9, 0.99):
        path = tmp_path / f"cut-{ending}"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError) as error:
            load_weights(path)
        assert len(str(error.value).splitlines()) <= 2


def test_weights_that_do_not_fit_the_configuration(tmp_path):
    path = save(keras.Sequential([L.Input((None, 3)), L.LSTM(4, name="lstm")]), tmp_path / "m.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file["layers/lstm/cell/vars/2"]
        file["layers/lstm/cell/vars/2"] = np.full(16, np.nan, np.float32)
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=r"lstm, bias_ih_l0: has weights that are not finite"):
        load_weights(path)
    with h5py.File(weights, "r+") as file:
        del file["layers/lstm/cell/vars/1"]
    members["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with warnings.catch_warnings(), pytest.raises(InputError, match=r"lstm: "):
        load_weights(path)
