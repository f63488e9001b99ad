"""GRUs, plain cells and peepholes in NumPy files by their names, against formulas written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_probe.cells import cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats import from_tensorflow1, load_weights
from tests.foreign import gates_by_hand, keras, top_h

N, T = 2, 6


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def normal(rng, *shape):
    return rng.normal(0, 0.6, shape).astype("f4")


def by_hand(x, units, step):
    return gates_by_hand(x, lambda x, c, h: (c, step(x, h)), N, (units, units))


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 6), st.sampled_from(["", "net/rnn/gru_cell/"]))
def test_a_gru_cell_of_tensorflow_1(tmp_path_factory, seed, inputs, units, scope):
    rng = np.random.default_rng(seed)
    gates, candidate = normal(rng, inputs + units, 2 * units), normal(rng, inputs + units, units)
    b, c = normal(rng, 2 * units), normal(rng, units)
    path = saved(tmp_path_factory.mktemp("npz") / "m.npz", **{
        f"{scope}gates/kernel": gates, f"{scope}gates/bias": b, f"{scope}candidate/kernel": candidate,
        f"{scope}candidate/bias": c, f"{scope}gates/kernel/Adam": gates * 0,
    })  # fmt: skip

    def step(x, h):
        r, u = np.split(sigmoid(np.concatenate([x, h], 1) @ gates + b), 2, axis=1)
        return u * h + (1 - u) * np.tanh(np.concatenate([x, r * h], 1) @ candidate + c)

    got, x = load_weights(path), normal(rng, N, T, inputs)
    assert cell_of(got.lstm).name == "gru+reset_before"
    np.testing.assert_allclose(top_h(got.lstm, x), by_hand(x, units, step), atol=1e-5)


def test_the_gru_cell_for_cudnns_weights(tmp_path):
    rng, units = np.random.default_rng(0), 4
    gates, w, v = normal(rng, 3 + units, 2 * units), normal(rng, 3, units), normal(rng, units, units)
    b, bw, bv = normal(rng, 2 * units), normal(rng, units), normal(rng, units)
    names = {"gates/kernel": gates, "gates/bias": b, "candidate/input_projection/kernel": w,
             "candidate/input_projection/bias": bw, "candidate/hidden_projection/kernel": v,
             "candidate/hidden_projection/bias": bv}  # fmt: skip
    path = saved(tmp_path / "m.npz", **{f"rnn/cudnn_compatible_gru_cell/{k}": a for k, a in names.items()})

    def step(x, h):
        r, u = np.split(sigmoid(np.concatenate([x, h], 1) @ gates + b), 2, axis=1)
        return u * h + (1 - u) * np.tanh(x @ w + bw + r * (h @ v + bv))

    x = normal(rng, N, T, 3)
    np.testing.assert_allclose(top_h(load_weights(path).lstm, x), by_hand(x, units, step), atol=1e-5)


def test_a_stack_of_basic_rnn_cells_and_what_reads_it(tmp_path):
    rng = np.random.default_rng(1)
    cells = [(normal(rng, 7, 4), normal(rng, 4)), (normal(rng, 8, 4), normal(rng, 4))]
    arrays = {f"rnn/multi_rnn_cell/cell_{k}/basic_rnn_cell/{leaf}": a
              for k, pair in enumerate(cells) for leaf, a in zip(("kernel", "bias"), pair)}  # fmt: skip
    head = normal(rng, 4, 2), normal(rng, 2)
    path = saved(tmp_path / "m.npz", **arrays, **{"dense/kernel": head[0], "dense/bias": head[1]})
    x = normal(rng, N, T, 3)
    for cell, act in ((None, np.tanh), ("rnn_relu", lambda v: np.maximum(v, 0))):
        h = x
        for kernel, bias in cells:
            h = by_hand(h, 4, lambda x, h, k=kernel, b=bias, act=act: act(np.concatenate([x, h], 1) @ k + b))
        got = load_weights(path, cell=cell)
        np.testing.assert_allclose(top_h(got.lstm, x), h, atol=1e-5)
        assert got.readout is not None and got.lstm.num_layers == 2
        assert any("tanh assumed" in note for note in got.notes) == (cell is None)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 6), st.booleans(), st.floats(-1, 2))
def test_peepholes(tmp_path_factory, seed, inputs, units, in_a_file, forget_bias):
    rng = np.random.default_rng(seed)
    kernel, bias = normal(rng, inputs + units, 4 * units), normal(rng, 4 * units)
    peep = {f"w_{gate}_diag": normal(rng, units) for gate in "ifo"}

    def cell(x, c, m):
        i, j, f, o = np.split(np.concatenate([x, m], axis=1) @ kernel + bias, 4, axis=1)
        c = sigmoid(f + forget_bias + peep["w_f_diag"] * c) * c + sigmoid(i + peep["w_i_diag"] * c) * np.tanh(j)
        return c, sigmoid(o + peep["w_o_diag"] * c) * np.tanh(c)

    if in_a_file:
        arrays = {"kernel": kernel, "bias": bias, **peep}
        path = tmp_path_factory.mktemp("npz") / "m.npz"
        got = load_weights(saved(path, **{f"rnn/lstm_cell/{k}": a for k, a in arrays.items()}), forget_bias=forget_bias)
    else:
        got = from_tensorflow1(kernel, bias, forget_bias=forget_bias, **peep)
    x = normal(rng, N, T, inputs)
    assert cell_of(got.lstm).name == "lstm+peepholes"
    np.testing.assert_allclose(top_h(got.lstm, x), gates_by_hand(x, cell, N, (units, units)), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "cell"),
    [
        (lambda k: k.layers.GRU(4), None),
        (lambda k: k.layers.GRU(4, recurrent_activation="relu"), "gru+gates:relu"),
        (lambda k: k.layers.GRU(4, reset_after=False), "gru_reset_before"),
        (lambda k: k.layers.GRU(4, use_bias=False), "gru"),
        (lambda k: k.layers.SimpleRNN(4), None),
        (lambda k: k.layers.SimpleRNN(4, activation="relu"), "rnn_relu"),
        (lambda k: k.layers.LSTM(4), "lstm"),
    ],
)
def test_keras_names(tmp_path, make, cell):
    k = keras()
    layer = make(k)
    layer.return_sequences = True
    x = normal(np.random.default_rng(0), N, T, 3)
    layer.build(x.shape)
    layer.set_weights([normal(np.random.default_rng(j), *w.shape) for j, w in enumerate(layer.weights)])
    names = ("kernel", "recurrent_kernel", "bias")
    path = saved(
        tmp_path / "m.npz",
        **{f"net/gru/{n}": a for n, a in zip(names, [w.value.detach().cpu().numpy() for w in layer.weights])},
    )
    want = layer(k.ops.convert_to_tensor(x)).detach().cpu().numpy()
    got = load_weights(path, cell=cell)
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)


def test_what_does_not_fit(tmp_path):
    rng = np.random.default_rng(0)
    gates = {"gates/kernel": normal(rng, 7, 8), "gates/bias": normal(rng, 8), "candidate/kernel": normal(rng, 7, 4),
             "candidate/bias": normal(rng, 4)}  # fmt: skip
    path = saved(tmp_path / "m.npz", **gates)
    for options, words in (
        ({"cell": "lstm"}, "cell=lstm: has 4 blocks; .* has 3"),
        ({"forget_bias": 1.0}, "forget_bias=1.0: only TensorFlow 1's LSTM cells add one"),
    ):
        with pytest.raises(InputError, match=words):
            load_weights(path, **options)
    saved(path, **gates | {"candidate/kernel": normal(rng, 6, 4)})
    with pytest.raises(InputError, match="its arrays do not fit together: gates/kernel"):
        load_weights(path)
    saved(path, kernel=normal(rng, 3, 12), recurrent_kernel=normal(rng, 4, 12), bias=normal(rng, 2, 12))
    with pytest.raises(InputError, match=r"bias of shape \(2, 12\); a GRU \(reset before\) of Keras has 1 rows"):
        load_weights(path, cell="gru_reset_before")
