"""GRU and SimpleRNN of Keras 1 and 2, their defaults by version, and weights alone: compared with plain loops."""

import json

import numpy as np
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from tests.foreign import top_h

h5py = pytest.importorskip("h5py")
N, U = 3, 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def later(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def gru_loop(x, kernel, recurrent, bias, gate, after):
    """Keras's GRUCell.call in float64; blocks z r h."""
    u = len(recurrent)
    heard_bias = bias[1] if bias.ndim == 2 else np.zeros(3 * u)
    bias = bias[0] if bias.ndim == 2 else bias
    h, out = np.zeros((len(x), u)), []
    for t in range(x.shape[1]):
        read = x[:, t] @ kernel + bias
        z = gate(read[:, :u] + h @ recurrent[:, :u] + heard_bias[:u])
        r = gate(read[:, u : 2 * u] + h @ recurrent[:, u : 2 * u] + heard_bias[u : 2 * u])
        if after:
            made = np.tanh(read[:, 2 * u :] + r * (h @ recurrent[:, 2 * u :] + heard_bias[2 * u :]))
        else:
            made = np.tanh(read[:, 2 * u :] + (r * h) @ recurrent[:, 2 * u :])
        h = z * h + (1 - z) * made
        out.append(h)
    return np.stack(out, axis=1)


def rnn_loop(x, kernel, recurrent, bias):
    h, out = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
        out.append(h)
    return np.stack(out, axis=1)


def lstm_loop(x, w, gate):
    """An LSTM of the (W, U, b) of each gate by its letter."""
    h = c = np.zeros((len(x), U))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ w[k][0] + h @ w[k][1] + w[k][2] for k in "ifco")
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        out.append(h)
    return np.stack(out, axis=1)


def write(path, kind, arrays, config=None, version=b"2.2.4", names=None, head=None):
    """Write a file as Keras before 3 does: a model, or with no `config` its weights alone."""
    groups = {"rnn": arrays} | ({} if head is None else {"dense": head})
    with h5py.File(path, "w") as file:
        top = file
        if config is not None:
            layers = [{"class_name": kind, "config": {"name": "rnn", **config}}]
            if head is not None:
                dense = {"name": "dense", "units": head[0].shape[1], "activation": "softmax", "use_bias": True}
                layers.append({"class_name": "Dense", "config": dense})
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers}).encode()
            top = file.create_group("model_weights")
        for place in {top, file}:
            if version is not None:
                place.attrs["keras_version"] = version
                place.attrs["backend"] = b"tensorflow"
        top.attrs["layer_names"] = [name.encode() for name in groups]
        for name, values in groups.items():
            group = top.create_group(name)
            own = [f"{name}/{k}:0" for k in range(len(values))] if names is None or name != "rnn" else names
            group.attrs["weight_names"] = [each.encode() for each in own]
            for key, array in zip(own, values):
                group[key] = array.astype("f4")
    return path


def drawn(blocks, bias=1, n=N, u=U, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(n, blocks * u), (u, blocks * u), (blocks * u,) if bias == 1 else (2, blocks * u)]
    arrays = [rng.normal(size=shape).astype("f4").astype(float) for shape in shapes[: 2 + (bias > 0)]]
    return arrays, 2 * rng.normal(size=(3, 7, n)).astype("f4")


GRU22 = {"units": U, "activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True,
         "return_sequences": True, "go_backwards": False, "implementation": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "version", "gate", "after"),
    [
        (GRU22, b"2.1.2", hard, False),
        (GRU22 | {"reset_after": False}, b"2.2.4", hard, False),
        (GRU22 | {"reset_after": True}, b"2.2.4", hard, True),
        (GRU22 | {"recurrent_activation": "sigmoid"}, b"2.2.4", sigmoid, False),
        (GRU22 | {"reset_after": True}, b"2.2.4-tf", hard, True),
        (GRU22 | {"reset_after": True}, b"2.15.0", hard, True),
        (GRU22 | {"reset_after": True}, b"3.4.1", later, True),
        ({"units": U, "return_sequences": True}, b"2.2.4", hard, False),
        ({"units": U, "return_sequences": True}, b"2.3.1", sigmoid, False),
        ({"units": U, "return_sequences": True}, b"2.9.0", sigmoid, True),
        (None, b"2.2.4", hard, False),
        (None, b"2.2.4", hard, True),
        (None, b"2.3.0", sigmoid, False),
        (None, b"2.4.0", sigmoid, True),
        (None, b"3.1.0", sigmoid, True),
    ],
)
def test_a_grus_gates_and_reset_by_what_a_file_and_its_version_say(tmp_path, config, version, gate, after):
    arrays, x = drawn(3, 1 + after)
    got = load_weights(write(tmp_path / "m.h5", "GRU", arrays, config, version))
    np.testing.assert_allclose(top_h(got.lstm, x), gru_loop(x, *arrays, gate, after), atol=1e-5)
    if gate is not sigmoid:
        formula = "0.2 x + 0.5" if gate is hard else "x / 6 + 0.5"
        assert f"hard_sigmoid is that of Keras {version.decode()}: {formula} between 0 and 1" in got.notes
    if config is None or "activation" not in config:
        assert any("activations are not in the file: tanh and " in note for note in got.notes)


def test_a_gru_without_biases_does_not_tell_its_reset(tmp_path):
    arrays, x = drawn(3, 0)
    zeros = np.zeros(3 * U)
    old = GRU22 | {"use_bias": False}
    for config, version, after in (
        (old, b"2.2.4", False),
        (old, b"3.0.0", True),
        (old | {"reset_after": True}, b"2.2.4", 1),
    ):
        got = load_weights(write(tmp_path / "m.h5", "GRU", arrays, config, version))
        gate = hard if version < b"3" else later
        np.testing.assert_allclose(top_h(got.lstm, x), gru_loop(x, *arrays, zeros, gate, after), atol=1e-5)
        assert got.lstm.bias is False
        assumed = f"rnn: reset_after is not in the file: {after} assumed, as its version has it"
        assert (assumed in got.notes) == ("reset_after" not in config)
    with pytest.raises(InputError, match="rnn: weights without biases do not tell reset_after"):
        load_weights(write(tmp_path / "m.h5", "GRU", arrays))


@pytest.mark.parametrize("version", [b"2.2.4-tf", None])
def test_weights_of_a_gru_that_do_not_tell_their_gates(tmp_path, version):
    arrays, x = drawn(3)
    path = write(tmp_path / "m.h5", "GRU", arrays, None, version)
    with pytest.raises(
        InputError, match=r"do not tell whether recurrent_activation was sigmoid or hard_sigmoid; say re"
    ):
        load_weights(path)
    for name, gate in {"sigmoid": sigmoid, "hard_sigmoid": hard}.items():
        got = load_weights(path, recurrent_activation=name)
        np.testing.assert_allclose(top_h(got.lstm, x), gru_loop(x, *arrays, gate, False), atol=1e-5)


def test_what_a_file_says_is_not_overruled(tmp_path):
    arrays, _ = drawn(3)
    path = write(tmp_path / "m.h5", "GRU", arrays, GRU22)
    assert load_weights(path, recurrent_activation="hard_sigmoid").lstm.hidden_size == U
    with pytest.raises(InputError, match="rnn: recurrent_activation=sigmoid: the file says that it is hard_sigmoid"):
        load_weights(path, recurrent_activation="sigmoid")
    with pytest.raises(InputError, match=r"rnn: reset_after=True, and its bias of shape \(15,\) is not of that kind"):
        load_weights(write(tmp_path / "m.h5", "GRU", arrays, GRU22 | {"reset_after": True}))
    with pytest.raises(InputError, match=r"recurrent_activation=relu: a SimpleRNN has no gates"):
        load_weights(write(tmp_path / "m.h5", "SimpleRNN", drawn(1)[0]), recurrent_activation="relu")


@pytest.mark.parametrize("config", [{"units": U, "activation": "tanh", "return_sequences": True}, None])
@pytest.mark.parametrize("both", [True, False])
def test_a_plain_rnn(tmp_path, config, both):
    arrays, x = drawn(1)
    want, own = rnn_loop(x, *arrays), config
    if both:
        more = drawn(1, seed=1)[0]
        want = np.concatenate([want, rnn_loop(x[:, ::-1], *more)[:, ::-1]], axis=-1)
        arrays = [*arrays, *more]
        own = config and {"layer": {"class_name": "SimpleRNN", "config": config}, "merge_mode": "concat"}
    got = load_weights(write(tmp_path / "m.h5", "Bidirectional" if both else "SimpleRNN", arrays, own))
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)
    assert ("rnn: its activation is not in the file: tanh assumed" in got.notes) == (config is None)


def cudnn_loop(x, kernel, recurrent, bias):
    """cuDNN's own arithmetic on its own memory: each gate's matrix is (units, inputs), row after row; z r h."""
    n, u = x.shape[2], len(recurrent)
    w, r = ([np.ascontiguousarray(block).ravel().reshape(u, wide) for block in np.split(array, 3, axis=1)]
            for array, wide in ((kernel, n), (recurrent, u)))  # fmt: skip
    b, d = np.split(bias[: 3 * u], 3), np.split(bias[3 * u :], 3)
    h, out = np.zeros((len(x), u)), []
    for t in range(x.shape[1]):
        z, reset = (sigmoid(x[:, t] @ w[k].T + b[k] + h @ r[k].T + d[k]) for k in (0, 1))
        made = np.tanh(x[:, t] @ w[2].T + b[2] + reset * (h @ r[2].T + d[2]))
        h = z * h + (1 - z) * made
        out.append(h)
    return np.stack(out, axis=1)


@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("n", "u"), [(4, 6), (6, 6), (1, 3), (5, 2)])
def test_a_cudnn_gru(tmp_path, config, both, n, u):
    rng = np.random.default_rng(0)
    shapes = (n, 3 * u), (u, 3 * u), (6 * u,)
    arrays = [rng.normal(size=shape).astype("f4").astype(float) for _ in range(1 + both) for shape in shapes]
    own = {"units": u, "return_sequences": True, "go_backwards": False}
    if both:
        own = {"layer": {"class_name": "CuDNNGRU", "config": own}, "merge_mode": "concat"}
    got = load_weights(
        write(tmp_path / "m.h5", "Bidirectional" if both else "CuDNNGRU", arrays, own if config else None)
    )
    x = rng.normal(size=(3, 9, n)).astype("f4")
    want = cudnn_loop(x, *arrays[:3])
    if both:
        want = np.concatenate([want, cudnn_loop(x[:, ::-1], *arrays[3:])[:, ::-1]], axis=-1)
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)
    assert any("a CuDNNGRU: cuDNN's order of weights undone; two biases" in note for note in got.notes)


@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("apart", [True, False])
def test_keras_1(tmp_path, config, apart):
    """Its settings had other names, and each gate's arrays stood by themselves unless consume_less was gpu."""
    rng = np.random.default_rng(0)
    w = {gate: [rng.normal(size=s).astype("f4").astype(float) for s in ((N, U), (U, U), (U,))] for gate in "icfozrh"}
    x = 2 * rng.normal(size=(3, 7, N)).astype("f4")
    own = {"output_dim": U, "init": "glorot_uniform", "inner_init": "orthogonal", "activation": "tanh",
           "inner_activation": "hard_sigmoid", "return_sequences": True, "go_backwards": False}  # fmt: skip
    for kind, order, joined in (("LSTM", "icfo", "ifco"), ("GRU", "zrh", "zrh")):
        arrays = [array for gate in order for array in w[gate]]
        if not apart:
            arrays = [np.concatenate([w[gate][k] for gate in joined], axis=-1) for k in range(3)]
        says = own | ({"forget_bias_init": "one"} if kind == "LSTM" else {})
        got = load_weights(write(tmp_path / "m.h5", kind, arrays, says if config else None, b"1.2.2"))
        kernel, recurrent, bias = (np.concatenate([w[gate][k] for gate in "zrh"], axis=-1) for k in range(3))
        want = lstm_loop(x, w, hard) if kind == "LSTM" else gru_loop(x, kernel, recurrent, bias, hard, False)
        np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)
        assert any("init=keras" in note for note in got.notes) == config


def test_a_last_step_classifier_of_keras_2(tmp_path):
    arrays, x = drawn(3)
    rng = np.random.default_rng(5)
    head = [rng.normal(size=(U, 4)), rng.normal(size=4)]
    config = GRU22 | {"return_sequences": False}
    got = load_weights(write(tmp_path / "m.h5", "GRU", arrays, config, head=head))
    assert got.last_step and got.activation == "softmax"
    want = gru_loop(x, *arrays, hard, False)[:, -1] @ head[0] + head[1]
    np.testing.assert_allclose(top_h(got.lstm, x)[:, -1] @ got.readout.weight.detach().numpy().T
                               + got.readout.bias.detach().numpy(), want, atol=1e-5)  # fmt: skip
