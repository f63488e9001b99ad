"""TensorFlow 1 cells against a NumPy reading of BasicLSTMCell's and LSTMCell's formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_probe.core.errors import InputError
from lstm_probe.formats import from_tensorflow1, load_weights
from lstm_probe.recorder import LSTMConfig
from tests.foreign import gates_by_hand, top_h


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def tensorflow_cell(kernel, bias, forget_bias, projection=None):
    """LSTMCell.call: [x, m] @ kernel + bias, split into i j f o; the forget bias comes in at run time."""

    def cell(x, c, m):
        i, j, f, o = np.split(np.concatenate([x, m], axis=1) @ kernel + bias, 4, axis=1)
        c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(j)
        m = sigmoid(o) * np.tanh(c)
        return c, m if projection is None else m @ projection

    return cell


def arrays(rng, features, units, outputs=None):
    rows = features + (outputs or units)
    return rng.normal(0, 0.5, (rows, 4 * units)).astype("f4"), rng.normal(0, 0.5, 4 * units).astype("f4")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 6), st.booleans(), st.floats(-1, 2))
def test_one_cell(seed, features, units, projected, forget_bias):
    rng = np.random.default_rng(seed)
    outputs = max(1, units // 2) if projected and units > 1 else units
    kernel, bias = arrays(rng, features, units, outputs)
    projection = rng.normal(size=(units, outputs)).astype("f4") if outputs < units else None
    got = from_tensorflow1(kernel, bias, forget_bias=forget_bias, projection_kernel=projection, inputs=features)
    x = rng.normal(size=(2, 7, features)).astype("f4")
    cell = tensorflow_cell(kernel, bias, forget_bias, projection)
    np.testing.assert_allclose(top_h(got.lstm, x), gates_by_hand(x, cell, 2, (units, outputs)), atol=1e-5)
    assert any(f"forget_bias={forget_bias}" in note for note in got.notes)
    assert LSTMConfig.of(got.lstm).forget_bias == forget_bias  # untrained networks for comparison start the same way


def test_the_cell_for_cudnns_weights_adds_nothing_to_its_forget_gate(tmp_path):
    rng = np.random.default_rng(0)
    kernel, bias = arrays(rng, 3, 4)
    name = "rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell"
    np.savez(tmp_path / "tf.npz", **{f"{name}/kernel": kernel, f"{name}/bias": bias})
    got = load_weights(tmp_path / "tf.npz")
    assert LSTMConfig.of(got.lstm).forget_bias == 0
    same = from_tensorflow1(kernel, bias, forget_bias=0.0)
    assert all(torch.equal(a, b) for a, b in zip(got.lstm.parameters(), same.lstm.parameters(), strict=True))


def test_a_stack_by_its_variables_names(tmp_path):
    rng = np.random.default_rng(0)
    cells = [arrays(rng, 3, 4), arrays(rng, 4, 4)]
    names = [f"rnn/multi_rnn_cell/cell_{k}/basic_lstm_cell" for k in range(2)]
    variables = {f"{n}/{leaf}:0": a for n, pair in zip(names, cells) for leaf, a in zip(("kernel", "bias"), pair)}
    variables |= {f"{names[0]}/kernel/Adam": cells[0][0] * 9, "global_step": np.array(7)}
    head = rng.normal(size=(4, 4)).astype("f4"), rng.normal(size=4).astype("f4")
    np.savez(tmp_path / "tf.npz", **variables, **{"dense/kernel": head[0], "dense/bias": head[1]})
    x = rng.normal(size=(2, 5, 3)).astype("f4")
    for forget_bias in (None, 0.0):
        got = load_weights(tmp_path / "tf.npz", forget_bias=forget_bias)
        h = x
        for kernel, bias in cells:
            fb = 1.0 if forget_bias is None else forget_bias
            h = gates_by_hand(h, tensorflow_cell(kernel, bias, fb), 2, (4, 4))
        np.testing.assert_allclose(top_h(got.lstm, x), h, atol=1e-5)
        with torch.no_grad():
            np.testing.assert_allclose(got.model(torch.from_numpy(x)).numpy(), h @ head[0] + head[1], atol=1e-5)
        assert got.name == "rnn" and got.lstm.num_layers == 2


def test_both_directions_and_a_cell_chosen_by_name(tmp_path):
    rng = np.random.default_rng(1)
    names = ["enc/bidirectional_rnn/fw/lstm_cell", "enc/bidirectional_rnn/bw/lstm_cell", "dec/rnn/lstm_cell"]
    cells = {name: arrays(rng, 3, 4) for name in names}
    variables = {f"{n}/{leaf}": a for n, pair in cells.items() for leaf, a in zip(("kernel", "bias"), pair)}
    np.savez(tmp_path / "tf.npz", **variables)
    with pytest.raises(InputError, match=r"2 LSTM layers, enc/bidirectional_rnn and dec/rnn/lstm_cell; say which"):
        load_weights(tmp_path / "tf.npz")
    x = rng.normal(size=(2, 5, 3)).astype("f4")
    fw, bw = (tensorflow_cell(*cells[name], 1.0) for name in names[:2])
    want = [gates_by_hand(x, fw, 2, (4, 4)), gates_by_hand(x[:, ::-1], bw, 2, (4, 4))[:, ::-1]]
    got = load_weights(tmp_path / "tf.npz", layer="bidirectional_rnn")
    np.testing.assert_allclose(top_h(got.lstm, x), np.concatenate(want, axis=-1), atol=1e-5)


def test_bare_kernel_and_bias_with_projection(tmp_path):
    rng = np.random.default_rng(2)
    kernel, bias = arrays(rng, 3, 4, 2)
    projection = rng.normal(size=(4, 2)).astype("f4")
    np.savez(tmp_path / "cell.npz", **{"kernel": kernel, "bias": bias, "projection/kernel": projection})
    got = load_weights(tmp_path / "cell.npz")
    x = rng.normal(size=(2, 5, 3)).astype("f4")
    want = gates_by_hand(x, tensorflow_cell(kernel, bias, 1.0, projection), 2, (4, 2))
    np.testing.assert_allclose(top_h(got.lstm, x), want, atol=1e-5)


def test_what_is_refused(tmp_path):
    rng = np.random.default_rng(3)
    kernel, bias = arrays(rng, 3, 4)
    with pytest.raises(InputError, match=r"has peepholes w_f_diag; must be all of w_i_diag, w_f_diag, w_o_diag"):
        from_tensorflow1(kernel, bias, w_f_diag=np.ones(4))
    with pytest.raises(InputError, match=r"inputs=5: the kernel"):
        from_tensorflow1(kernel, bias, inputs=5)
    with pytest.raises(InputError, match=r"no rows for inputs"):
        from_tensorflow1(kernel[:4], bias)
    with pytest.raises(InputError, match=r"must be"):
        from_tensorflow1(kernel, bias[:-1])
    with pytest.raises(InputError, match=r"nn.LSTM takes only shorter"):
        from_tensorflow1(*arrays(rng, 3, 4, 4), projection_kernel=np.eye(4))
    gru = {"rnn/gru_cell/gates/kernel": kernel, "rnn/gru_cell/gates/bias": bias}
    np.savez(tmp_path / "gru.npz", **gru)
    with pytest.raises(InputError, match=r"is of a GRU cell"):
        load_weights(tmp_path / "gru.npz")
    norm = {f"rnn/layer_norm_basic_lstm_cell/{k}": v for k, v in {"kernel": kernel, "input/gamma": bias}.items()}
    np.savez(tmp_path / "norm.npz", **norm)
    with pytest.raises(InputError, match=r"layer normalisation"):
        load_weights(tmp_path / "norm.npz")
    np.savez(tmp_path / "object.npz", **{"lstm_cell/kernel": np.array([{}], dtype=object)})
    with pytest.raises(InputError, match=r"lstm_cell/kernel.npy: holds Python objects: never loaded"):
        load_weights(tmp_path / "object.npz")
    (tmp_path / "model.ckpt.index").write_bytes(b"x")
    with pytest.raises(InputError, match=r"tensorflow"):
        load_weights(tmp_path / "model.ckpt")


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def cell_and(rng, **more):
    kernel, bias = arrays(rng, 3, 4)
    shapes = {f"dense/{k}": v for k, v in more.items() if "/" not in k}
    shapes |= {k: v for k, v in more.items() if "/" in k}
    return {"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": bias} | {
        k: rng.normal(size=s).astype("f4") for k, s in shapes.items()
    }


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"kernel": (4, 2), "bias": (2,), "dense_1/kernel": (2, 1), "dense_1/bias": (1,)}, "there is dense_1 too"),
        ({"dense_in/kernel": (4, 3), "dense_in/bias": (3,)}, "dense_in may stand before the LSTM"),
        ({"kernel": (4, 2), "bias": (2,), "norm/gamma": (4,)}, "there is norm/gamma too beside dense"),
        ({"kernel": (4, 2)}, "it has no bias"),
        ({"kernel": (4, 2), "bias": (2,), "fc/kernel": (4, 2), "fc/bias": (2,)}, "dense and fc have h's width 4"),
        ({"decoder/dense/kernel": (4, 2), "decoder/dense/bias": (2,)}, "decoder/dense is not beside"),
    ],
)
def test_a_kernel_that_may_be_anything_else_is_no_readout(tmp_path, more, why):
    variables = cell_and(np.random.default_rng(0), **more)
    path = saved(tmp_path / "m.npz", **variables)
    got = load_weights(path)
    assert got.readout is None and any(f"no readout taken: {why}" in note for note in got.notes)
    name = next((k.removesuffix("/kernel") for k in more if k in ("decoder/dense/kernel", "dense_in/kernel")), "dense")
    told = load_weights(path, readout=name)
    np.testing.assert_array_equal(told.readout.weight.detach().numpy().T, variables[f"{name}/kernel"])
    with pytest.raises(InputError, match="readout=nothing: no linear layer of h's width 4"):
        load_weights(path, readout="nothing")


def test_an_embedding_is_no_second_layer_and_scopes_go_together(tmp_path):
    rng = np.random.default_rng(0)
    variables = cell_and(rng, kernel=(4, 2), bias=(2,))
    variables["word_embeddings"] = rng.normal(size=(9, 3)).astype("f4")
    assert load_weights(saved(tmp_path / "m.npz", **variables)).readout is not None
    inside = {f"decoder/{k}": v for k, v in variables.items()}
    assert load_weights(saved(tmp_path / "m.npz", **inside)).readout is not None


def test_pytorchs_names_in_an_npz(tmp_path):
    module = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 4, 2), "fc": torch.nn.Linear(4, 2)})
    path = saved(tmp_path / "m.npz", **{k: v.numpy() for k, v in module.state_dict().items()})
    got, x = load_weights(path), torch.randn(5, 2, 3)
    with torch.no_grad():
        want = module["fc"](module["lstm"](x.transpose(0, 1))[0]).transpose(0, 1)
        torch.testing.assert_close(got.model(x), want)
    with pytest.raises(InputError, match=r"forget_bias=1\.0: only TensorFlow 1 cells add one"):
        load_weights(path, forget_bias=1.0)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (12,)},
            "one row of biases: cell=gru_reset_before, or",
        ),
        ({"kernel": (3, 12), "recurrent_kernel": (4, 12)}, "no biases: cell=gru for reset_after, else cell=gru_reset"),
        ({"W": (3, 15), "U": (5, 15), "b": (15,)}, r"U of shape \(5, 15\) is a GRU's: it has three gate blocks"),
        ({"w": (12, 3), "r": (12, 4)}, r"r of shape \(12, 4\) is a GRU's: it has three gate blocks"),
        ({"w": (3, 4), "rec": (4, 4), "bias": (4,)}, "a plain RNN's: it has one gate block"),
        ({"kernel": (30, 16), "recurrent_kernel": (4, 16)}, "four gate blocks, but these names do not say their order"),
        ({"net/gates/kernel": (7, 8), "net/candidate/kernel": (7, 4)}, "net/candidate/kernel is of a GRU cell"),
        ({"kernel": (8, 15), "bias": (15,)}, r"a GRU has three gate blocks"),
        ({"a": (3, 4)}, "it has a"),
    ],
)
def test_what_an_npz_holds_instead_is_said(tmp_path, arrays, words):
    rng = np.random.default_rng(0)
    path = saved(tmp_path / "m.npz", **{k: rng.normal(size=s).astype("f4") for k, s in arrays.items()})
    with pytest.raises(InputError, match=words):
        load_weights(path)


def field_of(number, content):
    return bytes([number << 3 | 2, len(content)]) + content


def test_graphs_of_tensorflow_are_named(tmp_path):
    nodes = [
        field_of(1, field_of(1, name) + field_of(2, op)) for name, op in ((b"x", b"Placeholder"), (b"c", b"Const"))
    ]
    (tmp_path / "frozen.pb").write_bytes(b"".join(nodes))
    (tmp_path / "any.name").write_bytes(nodes[1])
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01" + field_of(2, field_of(1, b"serve")))
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(20))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"\x08\x01")
    for name, words in (
        ("frozen.pb", r"TensorFlow frozen graph \(\.pb\), not weights"),
        ("any.name", r"TensorFlow frozen graph"),
        ("saved_model.pb", r"TensorFlow SavedModel's graph"),
        ("m.tflite", r"TensorFlow Lite model"),
        ("folder", r"a TensorFlow SavedModel; save the model as \.keras"),
    ):
        with pytest.raises(InputError, match=words):
            load_weights(tmp_path / name)


FAKE = """
import os
import numpy as np
class train:
    @staticmethod
    def load_checkpoint(path):
        if path.endswith("crash"):
            os.abort()
        if path.endswith("hang"):
            while True: pass
        class Reader:
            def get_variable_to_shape_map(self):
                return {name: None for name in np.load(path + ".arrays.npz").files}
            def get_tensor(self, name):
                return np.load(path + ".arrays.npz")[name]
        return Reader()
"""


def test_checkpoints_are_read_in_a_process_of_their_own(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    kernel, bias = arrays(np.random.default_rng(0), 3, 4)
    variables = {"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": bias, "step": np.array("text")}
    np.savez(tmp_path / "model.arrays.npz", **variables)
    for name in ("model", "crash", "hang"):
        (tmp_path / f"{name}.index").touch()
    got = load_weights(tmp_path / "model")
    assert torch.equal(got.lstm.weight_ih_l0, from_tensorflow1(kernel, bias).lstm.weight_ih_l0)
    with pytest.raises(InputError, match="the library that reads this kind of file fails on it"):
        load_weights(tmp_path / "crash")
    with pytest.raises(InputError, match="not read within 2 s"):
        load_weights(tmp_path / "hang.index")
