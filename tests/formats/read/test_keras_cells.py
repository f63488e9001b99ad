"""What is exactly an LSTM: cuDNN's layers, merged directions, go_backwards; and what bare weights do not say."""

import json

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import ImportedModel, load_weights
from tests.foreign import keras as load_keras
from tests.foreign import top_h

h5py = pytest.importorskip("h5py")
keras = load_keras()
L = keras.layers
# The warnings are Keras's own, of NumPy and of its legacy format.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]

N, U = 4, 6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def cudnn_loop(x, kernel, recurrent, bias):
    """cuDNN's own arithmetic on its own memory: each gate's matrix is (units, inputs), row after row; i f c o."""
    n, u = x.shape[2], recurrent.shape[0]

    def matrices(array, width):
        return [np.ascontiguousarray(block).ravel().reshape(u, width) for block in np.split(array, 4, axis=1)]

    w, r = matrices(kernel, n), matrices(recurrent, u)
    b, d = np.split(bias[: 4 * u], 4), np.split(bias[4 * u :], 4)
    h = c = np.zeros((len(x), u))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ w[k].T + b[k] + h @ r[k].T + d[k] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.stack(out, axis=1)


def write(path, kind, arrays, config=None, version=b"2.2.4"):
    """Write a file as Keras 2 does: a model, or with no `config` its weights alone."""
    with h5py.File(path, "w") as file:
        top = file
        if config is not None:
            model = {"class_name": "Sequential", "config": [{"class_name": kind, "config": {"name": "rnn", **config}}]}
            file.attrs["model_config"] = json.dumps(model)
            top = file.create_group("model_weights")
        top.attrs["layer_names"] = [b"rnn"]
        if version is not None:
            top.attrs["keras_version"] = version
        group = top.create_group("rnn")
        group.attrs["weight_names"] = [f"rnn/{k}:0".encode() for k in range(len(arrays))]
        for k, array in enumerate(arrays):
            group[f"rnn/{k}:0"] = array.astype("f4")
    return path


def cudnn_arrays(rng, n=N, u=U):
    return [rng.normal(size=shape) for shape in ((n, 4 * u), (u, 4 * u), (8 * u,))]


@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("n", "u"), [(4, 6), (6, 6), (1, 3)])
def test_a_cudnn_layer_is_read(tmp_path, config, both, n, u):
    rng = np.random.default_rng(0)
    arrays = [a.astype("f4") for _ in range(1 + both) for a in cudnn_arrays(rng, n, u)]
    own = {"units": u, "return_sequences": True, "go_backwards": False, "unit_forget_bias": True}
    if both:
        own = {"layer": {"class_name": "CuDNNLSTM", "config": {"name": "held", **own}}, "merge_mode": "concat"}
    kind = "Bidirectional" if both else "CuDNNLSTM"
    got = load_weights(write(tmp_path / "m.h5", kind, arrays, own if config else None))
    x = rng.normal(size=(3, 9, n)).astype("f4")
    want = cudnn_loop(x, *arrays[:3])
    if both:
        want = np.concatenate([want, cudnn_loop(x[:, ::-1], *arrays[3:])[:, ::-1]], axis=-1)
    with torch.no_grad():
        np.testing.assert_allclose(got.lstm(torch.from_numpy(x))[0].numpy(), want, atol=1e-5)
    assert "two biases, as in the file" in " ".join(got.notes) and got.lstm.bias_hh_l0.abs().max() > 0


def test_arrays_that_are_no_cudnn_layers(tmp_path):
    arrays = cudnn_arrays(np.random.default_rng(0))
    with pytest.raises(InputError, match=r"rnn: arrays of shapes .* are no CuDNNLSTM's"):
        load_weights(write(tmp_path / "m.h5", "CuDNNLSTM", [*arrays[:2], arrays[2][: 4 * U]], {"units": U}))


@pytest.mark.parametrize("version", [b"2.2.4", b"2.0.8", b"1.2.2", b"2.2.4-tf", b"2.1.6-tf", None])
def test_old_weights_do_not_say_their_gates(tmp_path, version):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype("f4") for shape in ((N, 4 * U), (U, 4 * U), (4 * U,))]
    path = write(tmp_path / "m.h5", "LSTM", arrays, version=version)
    x = rng.normal(size=(2, 7, N)).astype("f4")

    def last_h(gate):
        h = c = np.zeros((2, U))
        for t in range(7):
            i, f, g, o = np.split(x[:, t] @ arrays[0] + h @ arrays[1] + arrays[2], 4, axis=1)
            c = gate(f) * c + gate(i) * np.tanh(g)
            h = gate(o) * np.tanh(c)
        return h

    if version is not None and not version.endswith(b"tf"):  # TensorFlow's own changed its default within a version
        got = load_weights(path)
        np.testing.assert_allclose(top_h(got.lstm, x)[:, -1], last_h(hard_sigmoid), atol=1e-5)
        assert f"tanh and hard_sigmoid assumed, the defaults of Keras {version.decode()}" in " ".join(got.notes)
    else:
        with pytest.raises(
            InputError, match=r"rnn: weights of .* do not tell whether .*; say recurrent_activation=sig"
        ):
            load_weights(path)
    for name, gate in {
        "sigmoid": sigmoid,
        "hard_sigmoid": hard_sigmoid,
        "softsign": lambda z: z / (1 + abs(z)),
    }.items():
        got = load_weights(path, recurrent_activation=name).lstm
        np.testing.assert_allclose(top_h(got, x)[:, -1], last_h(gate), atol=1e-5)
    with pytest.raises(InputError, match="rnn: recurrent_activation=softmax: not known here"):
        load_weights(path, recurrent_activation="softmax")


@pytest.mark.parametrize("version", [b"2.3.0", b"2.3.0-tf", b"2.15.0", b"3.1.0"])
def test_later_weights_are_sigmoid(tmp_path, version):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((N, 4 * U), (U, 4 * U), (4 * U,))]
    assert load_weights(write(tmp_path / "m.h5", "LSTM", arrays, version=version)).lstm.hidden_size == U


def saved(tmp_path, *parts, shape=(None, 3)):
    model = keras.Sequential([L.Input(shape), *parts])
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.5, w.shape).astype(np.float32) for w in model.get_weights()])
    model.save(tmp_path / "m.keras")
    return model, rng.normal(size=(3, 7, 3)).astype("f4")


@pytest.mark.parametrize(
    ("mode", "merge"),
    [("sum", np.add), ("ave", lambda a, b: (a + b) / 2), ("mul", np.multiply), ("concat", None), (None, None)],
)
@pytest.mark.parametrize("sequences", [True, False])
def test_each_direction_of_a_merge_is_an_lstms(tmp_path, mode, merge, sequences):
    held = L.LSTM(5, return_sequences=sequences)
    x = L.Input((None, 3))
    model = keras.Model(x, L.Bidirectional(held, merge_mode=mode, name="rnn")(x))
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.5, w.shape).astype(np.float32) for w in model.get_weights()])
    model.save(tmp_path / "m.keras")
    values = rng.normal(size=(3, 7, 3)).astype("f4")
    got = load_weights(tmp_path / "m.keras")
    with torch.no_grad():
        forward, reverse = got.lstm(torch.from_numpy(values))[0].chunk(2, -1)
    forward, reverse = forward.numpy(), reverse.numpy()
    if not sequences:
        forward, reverse = forward[:, -1], reverse[:, 0]
    want = model(values)
    if merge is None:
        want = np.concatenate([w.detach().numpy() for w in want], axis=-1) if mode is None else want.detach().numpy()
        np.testing.assert_allclose(np.concatenate([forward, reverse], axis=-1), want, atol=1e-5)
    else:
        np.testing.assert_allclose(merge(forward, reverse), want.detach().numpy(), atol=1e-5)
    assert got.readout is None
    assert any("here their units stand side by side" in note for note in got.notes) == (mode != "concat")


@pytest.mark.parametrize("mode", ["sum", "ave", "mul"])
def test_merged_layers_are_no_stack(tmp_path, mode):
    both = [L.Bidirectional(L.LSTM(5, return_sequences=True), merge_mode=mode, name=name) for name in "ab"]
    saved(tmp_path, *both, L.Dense(2))
    with pytest.raises(InputError, match=r"say which with layer=a or layer=b$"):
        load_weights(tmp_path / "m.keras")
    with pytest.raises(
        InputError, match=rf"layer=a\+b: .* a has merge_mode={mode}: in an nn.LSTM the next layer reads"
    ):
        load_weights(tmp_path / "m.keras", layer="a+b")
    got = load_weights(tmp_path / "m.keras", layer="a")
    assert got.readout is None and "no readout taken: what reads the LSTM is b (Bidirectional)" in got.notes


def test_a_merge_on_top_of_a_stack(tmp_path):
    low = L.Bidirectional(L.LSTM(4, return_sequences=True), name="low")
    high = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode="ave", name="high")
    model, x = saved(tmp_path, low, high, L.Dense(2))
    with torch.no_grad():
        got = load_weights(tmp_path / "m.keras", layer="low+high").model(torch.from_numpy(x))
    np.testing.assert_allclose(got.numpy(), model(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("sequences", [True, False])
def test_go_backwards(tmp_path, sequences):
    model, x = saved(tmp_path, L.LSTM(5, go_backwards=True, return_sequences=sequences, name="rnn"), L.Dense(2))
    got = load_weights(tmp_path / "m.keras")
    want = model(x).detach().numpy()
    with torch.no_grad():
        ours, h = got.model(torch.from_numpy(x)), got.lstm(torch.from_numpy(x))[0]
        again = ImportedModel.of_shape(got.model.shape)
        again.load_state_dict(got.model.state_dict())
        torch.testing.assert_close(again(torch.from_numpy(x)), ours)
        # A unit's values stay at their own steps: the one made last is that of the first step.
        torch.testing.assert_close(got.readout(h[:, 0]), ours[:, -1])
    np.testing.assert_allclose(ours.numpy() if sequences else ours[:, -1].numpy(), want, atol=1e-5)
    assert any("go_backwards=True: reads each sequence from its end" in note for note in got.notes)
    pair = [
        L.LSTM(4, return_sequences=True, go_backwards=back, name=name) for name, back in (("a", False), ("b", True))
    ]
    saved(tmp_path, *pair)
    with pytest.raises(InputError, match=r"say which with layer=a or layer=b$"):
        load_weights(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"b has go_backwards=True: it cannot be one nn.LSTM with another layer"):
        load_weights(tmp_path / "m.keras", layer="a+b")
