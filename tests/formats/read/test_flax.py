"""Flax's cells by the names of their layers, beside Flax's own equations, step by step."""

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights

INPUTS, UNITS, STEPS = 3, 4, 6
GATES = {"LSTM": "ifgo", "GRU": "rzn"}


def parameters(kind, seed=0, biases=None):
    """What `OptimizedLSTMCell`, `LSTMCell` and `GRUCell` have: biases where h is read, of a GRU elsewhere."""
    rng = np.random.default_rng(seed)
    biases = biases or ([f"h{g}" for g in "ifgo"] if kind == "LSTM" else ["ir", "iz", "in", "hn"])
    made = {}
    for side, wide in (("i", INPUTS), ("h", UNITS)):
        for gate in GATES[kind]:
            made[f"{side}{gate}/kernel"] = rng.normal(size=(wide, UNITS))
    return made | {f"{name}/bias": rng.normal(size=UNITS) for name in biases}


def dense(p, name, x):
    return x @ p[f"{name}/kernel"] + p.get(f"{name}/bias", 0.0)


def run(kind, p, x):
    """The equations of flax.linen's docstrings."""

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h, c, out = np.zeros((len(x), UNITS)), np.zeros((len(x), UNITS)), []
    for t in range(x.shape[1]):
        if kind == "LSTM":
            i, f, o = (sigmoid(dense(p, f"i{k}", x[:, t]) + dense(p, f"h{k}", h)) for k in "ifo")
            c = f * c + i * np.tanh(dense(p, "ig", x[:, t]) + dense(p, "hg", h))
            h = o * np.tanh(c)
        else:
            r, z = (sigmoid(dense(p, f"i{k}", x[:, t]) + dense(p, f"h{k}", h)) for k in "rz")
            h = (1 - z) * np.tanh(dense(p, "in", x[:, t]) + r * dense(p, "hn", h)) + z * h
        out.append(h)
    return np.stack(out, axis=1)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("scope", ["", "params/OptimizedLSTMCell_0/", "params.encoder.cell.", "lstm/", "a/b/c/d/"])
def test_flax_cells(tmp_path, kind, scope):
    p = parameters(kind)
    separator = "." if "." in scope else "/"
    arrays = {scope + name.replace("/", separator): array for name, array in p.items()}
    np.savez(tmp_path / "m.npz", **arrays, **({} if not scope else {"step": np.array(3)}))
    got = load_weights(tmp_path / "m.npz")
    x = np.random.default_rng(1).normal(size=(5, STEPS, INPUTS))
    np.testing.assert_allclose(got.lstm(torch.from_numpy(x))[0].detach(), run(kind, p, x), atol=1e-12)
    assert got.source.startswith("NumPy file of Flax weights") and "sigmoid and tanh assumed" in " ".join(got.notes)


def test_biases_wherever_they_stand_and_a_dense_behind_it(tmp_path):
    p = parameters("LSTM", biases=["ii", "hf", "ig", "hg"])
    head = {"kernel": np.random.default_rng(3).normal(size=(UNITS, 2)), "bias": np.ones(2)}
    arrays = {f"params/LSTMCell_0/{name}": array for name, array in p.items()}
    np.savez(tmp_path / "m.npz", **arrays, **{f"params/Dense_0/{name}": array for name, array in head.items()})
    got = load_weights(tmp_path / "m.npz", readout="params/Dense_0")
    x = np.random.default_rng(1).normal(size=(5, STEPS, INPUTS))
    wanted = run("LSTM", p, x) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(got.model(torch.from_numpy(x)).detach(), wanted, atol=1e-12)
    assert load_weights(tmp_path / "m.npz").readout is not None


def test_several_are_asked_for_and_what_does_not_fit_is_none(tmp_path):
    two = {f"params/{cell}/{name}": array for cell in ("fwd", "bwd") for name, array in parameters("LSTM").items()}
    np.savez(tmp_path / "m.npz", **two)
    with pytest.raises(InputError, match="holds 2 LSTM layers, params/fwd and params/bwd"):
        load_weights(tmp_path / "m.npz")
    assert load_weights(tmp_path / "m.npz", layer="bwd").name == "params/bwd"
    for name, array in (
        ("ii/kernel", np.ones((2, UNITS))),
        ("hf/kernel", np.ones((3, UNITS))),
        ("hi/bias", np.ones(3)),
    ):
        np.savez(tmp_path / "m.npz", **(parameters("LSTM") | {name: array}))
        with pytest.raises(InputError):
            load_weights(tmp_path / "m.npz")
    missing = {name: array for name, array in parameters("LSTM").items() if name != "hg/kernel"}
    np.savez(tmp_path / "m.npz", **missing)
    with pytest.raises(InputError):
        load_weights(tmp_path / "m.npz")
    np.savez(tmp_path / "m.npz", **parameters("GRU"))
    with pytest.raises(InputError, match="cell=lstm: has 4 blocks"):
        load_weights(tmp_path / "m.npz", cell="lstm")
