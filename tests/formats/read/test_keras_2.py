"""Keras 2 files, written as Keras 2 wrote them, against its own step in a plain loop."""

import json

import numpy as np
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from tests.foreign import top_h

h5py = pytest.importorskip("h5py")


def keras2_file(path, activation="sigmoid", config=True, both=False):
    """Write a file as Keras 2.2's `save_model` does (keras/engine/saving.py); return its LSTM's arrays."""
    rng = np.random.default_rng(3)
    own = {"name": "lstm_1", "units": 4, "activation": "tanh", "recurrent_activation": activation}
    own |= {
        "use_bias": True,
        "return_sequences": True,
        "go_backwards": False,
        "implementation": 1,
        "unroll": False,
    }
    entry = {"class_name": "LSTM", "config": own}
    ways = [""]
    if both:
        entry = {
            "class_name": "Bidirectional",
            "config": {"name": "lstm_1", "merge_mode": "concat", "layer": entry},
        }
        ways = ["forward_", "backward_"]
    dense = {"name": "dense", "units": 2, "activation": "linear", "use_bias": True}
    layers = [
        entry,
        {
            "class_name": "TimeDistributed",
            "config": {"name": "td", "layer": {"class_name": "Dense", "config": dense}},
        },
    ]
    shapes = [(3, 16), (4, 16), (16,)]
    arrays = [rng.normal(0, 0.5, s).astype(np.float32) for _ in ways for s in shapes]
    names = [f"lstm_1/{way}lstm_1/{n}:0" for way in ways for n in ("kernel", "recurrent_kernel", "bias")]
    head = [rng.normal(size=s).astype(np.float32) for s in [(4 * len(ways), 2), (2,)]]
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if config else file
        if config:
            # Keras before 2.2.3 wrote the layers of a Sequential as a list alone.
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers}).encode()
        root.attrs["layer_names"] = [b"lstm_1", b"td"]
        root.attrs["keras_version"] = b"2.2.0"
        for layer, keys, values in (("lstm_1", names, arrays), ("td", ["td/kernel:0", "td/bias:0"], head)):
            group = root.create_group(layer)
            group.attrs["weight_names"] = [key.encode() for key in keys]
            for key, value in zip(keys, values):
                group[key] = value
    return arrays


def step_loop(x, kernel, recurrent, bias, gate=lambda z: 1 / (1 + np.exp(-z))):
    """Keras 2's LSTMCell.call, in float64; gates i f c o."""
    units = recurrent.shape[0]
    c = h = np.zeros((len(x), units))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, o = gate(i), gate(f), gate(o)
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        out.append(h)
    return np.stack(out, axis=1)


@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_keras_2_files(tmp_path, config, both):
    arrays = keras2_file(tmp_path / "old.h5", config=config, both=both)
    # The file is of Keras 2.2: its weights alone do not say that it was not the hard sigmoid of the time.
    got = load_weights(tmp_path / "old.h5", recurrent_activation=None if config else "sigmoid")
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    want = step_loop(x, *arrays[:3])
    if both:
        want = np.concatenate([want, step_loop(x[:, ::-1], *arrays[3:])[:, ::-1]], axis=-1)
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)
    assert got.name == "lstm_1" and got.readout is not None and got.readout.out_features == 2


@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_the_hard_sigmoid_of_keras_2(tmp_path, config, both):
    arrays = keras2_file(tmp_path / "old.h5", activation="hard_sigmoid", config=config, both=both)
    got = load_weights(tmp_path / "old.h5")
    x = 3 * np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    want = step_loop(x, *arrays[:3], gate=hard)
    if both:
        want = np.concatenate([want, step_loop(x[:, ::-1], *arrays[3:], gate=hard)[:, ::-1]], axis=-1)
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)
    assert got.readout is not None and any("Keras 2.2.0: 0.2 x + 0.5 between 0 and 1" in note for note in got.notes)
    with pytest.raises(InputError, match="recurrent_activation=sigmoid: the file says that it is hard_sigmoid"):
        load_weights(keras2_path(tmp_path), recurrent_activation="sigmoid")


def hard(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def keras2_path(tmp_path):
    keras2_file(tmp_path / "said.h5", activation="hard_sigmoid")
    return tmp_path / "said.h5"
