"""What a call of a Keras layer is handed besides its inputs, by name or by place: a state, a mask, training."""

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.formats.read.keras_graph import graph_of
from tests.foreign import keras as load_keras

pytest.importorskip("h5py")
keras = load_keras()
L, ops = keras.layers, keras.ops
# The warnings are Keras's own, of NumPy and of its legacy format.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]
KINDS = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}  # how many parts a state has
N, T, U = 2, 6, 4


def read(build, path):
    """A file of a model of inputs (sequence, 6, 3), imported; inputs, and what Keras makes of them."""
    x = L.Input((T, 3), batch_size=N)
    model, rng = keras.Model(x, build(x)), np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.7, w.shape).astype(w.dtype) for w in model.get_weights()])
    values = rng.normal(size=(N, T, 3)).astype("f4")
    model.save(path)
    return load_weights(path), values, model(values, training=False).detach().numpy()


def agrees(got, values, want):
    with torch.no_grad():
        ours = got.with_activation(got.activation)(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(ours[:, -1] if got.last_step else ours, want, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
def test_a_stored_initial_state_is_zero_or_refused(tmp_path, kind, by_name, ending):
    for value in (0.0, 0.5):
        state = [ops.full((N, U), value) for _ in range(KINDS[kind])]

        def build(x, state=state):
            layer = getattr(L, kind)(U, name="rnn")
            return L.Dense(2)(layer(x, initial_state=state) if by_name else layer(x, state))

        if value:
            with pytest.raises(InputError, match=r"rnn: initial_state is a constant other than zero; nn\.\w+ keeps no"):
                read(build, tmp_path / ending)
        else:
            got, values, want = read(build, tmp_path / ending)
            agrees(got, values, want)
            assert got.not_scored is None and not any("initial state" in note for note in got.notes)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_a_mask_is_no_initial_state(tmp_path, by_name, stored):
    def build(x):
        mask = ops.convert_to_tensor(np.ones((N, T), bool)) if stored else ops.any(ops.not_equal(x, 9.0), axis=-1)
        layer = L.LSTM(U, name="rnn")
        return L.Dense(2)(layer(x, mask=mask) if by_name else layer(x, None, mask))

    got, values, want = read(build, tmp_path / "m.keras")
    agrees(got, values, want)
    assert got.not_scored is None and not any("initial state" in note for note in got.notes)
    assert "rnn is handed a mask: pass the lengths of sequences to record" in got.notes


ON = {"rate": {"dropout": 0.4}, "recurrent rate": {"recurrent_dropout": 0.4}, "no rate": {}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", ON)
@pytest.mark.parametrize("how", ["by itself", "in a model", "both ways"])
def test_dropout_that_goes_on_is_said(tmp_path, kind, rate, how):
    def build(x):
        layer = getattr(L, kind)(U, return_sequences=True, name="rnn", **ON[rate])
        if how == "in a model":
            inside = L.Input((T, 3), batch_size=N)
            return L.Dense(2)(keras.Model(inside, layer(inside), name="inside")(x, training=True))
        layer = L.Bidirectional(layer, name="rnn") if how == "both ways" else layer
        return L.Dense(2)(layer(x, training=True))

    got, *_ = read(build, tmp_path / "m.keras")
    name = "inside/rnn" if how == "in a model" else "rnn"
    said = f"{name} is called with training=True: its dropout may go on in Keras, and is left out here"
    assert (said in got.notes) == (got.not_scored == said) == (rate != "no rate")


def test_dropout_goes_on_in_a_model_that_is_called_so(tmp_path):
    def build(x):
        inside = L.Input((T, 3), batch_size=N)
        held = keras.Model(inside, L.Dropout(0.5, name="drop")(L.LSTM(U, name="rnn")(inside)), name="inside")
        return L.Dense(2)(held(x, training=True))

    got, *_ = read(build, tmp_path / "m.keras")
    assert got.readout is None and "no readout taken: what reads the LSTM is inside/drop (Dropout)" in got.notes


@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
@pytest.mark.parametrize("place", ["a Dense's function", "an Activation's function"])
def test_a_layer_in_a_functions_place_behind_the_readout(tmp_path, ending, place):
    def build(x, function):
        h = L.LSTM(U, return_sequences=True)(x)
        if place == "a Dense's function":
            return L.Dense(2, name="head", activation=function)(h)
        return L.Activation(function)(L.Dense(2, name="head")(h))

    got, values, want = read(lambda x: build(x, L.ReLU()), tmp_path / ending)
    agrees(got, values, want)
    assert got.activation == "relu"
    got, *_ = read(lambda x: build(x, L.LeakyReLU(negative_slope=0.1)), tmp_path / ending)
    words = " ".join(got.notes)
    assert "LeakyReLU" in words and "{" not in words  # its name, not its settings


@pytest.mark.parametrize("biases", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_directions_with_and_without_biases(tmp_path, kind, biases):
    def build(x):
        own, other = (getattr(L, kind)(U, return_sequences=True, use_bias=bias, go_backwards=k, name=f"way{k}")
                      for k, bias in enumerate(biases))  # fmt: skip
        return L.Dense(2)(L.Bidirectional(own, backward_layer=other)(x))

    agrees(*read(build, tmp_path / "m.keras"))


def test_a_layer_that_is_applied_to_each_of_several_sequences_is_named(tmp_path):
    x = L.Input((2, T, 3))
    keras.Model(x, L.TimeDistributed(L.LSTM(U), name="each")(x)).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"holds no LSTM, .*: each is a TimeDistributed of LSTM; "):
        load_weights(tmp_path / "m.keras")


class NoWeights:
    def place(self, outer, name, key):
        return name

    def arrays(self, outer, place, name):
        return ()


@pytest.mark.parametrize("number", [1, 1.0, [[1, 2]]])
def test_a_number_in_a_layers_place_as_keras_2_writes_it(number):
    """`1 - lstm(x)` in TensorFlow 2.4 to 2.12."""
    called = ["_CONSTANT_VALUE", -1, number, {"y": ["lstm", 0, 0], "name": None}]
    parts = [("InputLayer", "x", []), ("LSTM", "lstm", [[["x", 0, 0, {}]]]), ("TFOpLambda", "minus", [called])]
    layers = [{"class_name": kind, "name": name, "config": {"name": name}, "inbound_nodes": nodes}
              for kind, name, nodes in parts]  # fmt: skip
    config = {"layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["minus", 0, 0]]}
    graph = graph_of({"class_name": "Functional", "config": config}, NoWeights())
    (lstm,) = [layer for layer in graph.layers if layer.kind == "LSTM"]
    assert [layer.name for layer in graph.readers(lstm)] == ["minus"]
