"""Every recurrent cell that Keras has, of files by Keras 3 itself, and of older ones by a plain loop of this test."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstm_probe.cells import cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats import ImportedModel, load_weights
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig, is_backward
from tests.foreign import keras as load_keras

h5py = pytest.importorskip("h5py")
keras = load_keras()
L = keras.layers
# The warnings are Keras's own, of NumPy and of its legacy format.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]

GATES = ["sigmoid", "hard_sigmoid", "relu", "linear", "softsign"]
MADE = ["tanh", "relu", "softsign", "linear", "hard_sigmoid"]


def randomise(model, seed=1, most=0.5):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-most, most, w.shape).astype(np.float32) for w in model.get_weights()])
    return rng


def save(model, path):
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return path


def h_of(lstm, x):
    """Each direction's h of the top layer as it is recorded, side by side."""
    with torch.no_grad():
        rec = record(lstm, torch.from_numpy(x).to(lstm.weight_ih_l0.dtype))
    return np.concatenate([part["h"].numpy() for part in rec if part.layer == lstm.num_layers - 1], axis=-1)


def shown(model, x):
    return model(x, training=False).detach().numpy()


def kinds():
    """Layers by what they are called, each with all that makes it another cell."""
    for gates, made in zip(itertools.cycle(GATES), [*MADE, *MADE[1:], MADE[0]] * 2):
        own = {"activation": made, "recurrent_activation": gates}
        yield "LSTM", own
        yield "GRU", own | {"reset_after": True}
        yield "GRU", own | {"reset_after": False}
    yield from (("SimpleRNN", {"activation": made}) for made in [*MADE, "sigmoid"])


KINDS = [(kind, dict(own)) for kind, own in dict.fromkeys((kind, tuple(own.items())) for kind, own in kinds())]


def made(kind, way, own, units=4):
    if "cell" in way:
        layer = L.RNN(getattr(L, kind + "Cell")(units, **own), return_sequences=True)
    else:
        layer = getattr(L, kind)(units, return_sequences=True, go_backwards=way == "backward", **own)
    return L.Bidirectional(layer) if "both" in way else layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("way", ["forward", "backward", "both", "cell", "both of cells"])
def test_h_of_every_step_is_keras_own(tmp_path, way, bias):
    for k, (kind, own) in enumerate(KINDS):
        layer = made(kind, way, own | {"use_bias": bias})
        model = keras.Sequential([L.Input((None, 3)), layer])
        x = randomise(model, k).normal(size=(2, 5, 3)).astype(np.float32)
        got = load_weights(save(model, tmp_path / ("m.keras" if k % 2 else "m.h5")))
        want = shown(model, x)
        h = h_of(got.lstm, x)
        scale = max(1, np.abs(want).max())
        np.testing.assert_allclose(h / scale, (want[:, ::-1] if way == "backward" else want) / scale, atol=1e-5)
        with torch.no_grad():
            np.testing.assert_allclose(got.model(torch.from_numpy(x)).numpy() / scale, want / scale, atol=1e-5)
        assert got.lstm.bias == bias and is_backward(got.lstm) == (way == "backward")
        again = ImportedModel.of_shape(got.model.shape)
        assert cell_of(again.lstm) == cell_of(got.lstm)
        if kind == "LSTM" and own == {"activation": "tanh", "recurrent_activation": "sigmoid"}:
            assert isinstance(got.lstm, torch.nn.LSTM)


def activations():
    functions = [name for name in dir(keras.activations) if not name.startswith("_")]
    whole = {"softmax", "log_softmax", "glu", "sparsemax", "threshold", "sparse_plus"}
    return sorted({*functions} - whole - {"get", "serialize", "deserialize"})


@pytest.mark.parametrize("name", activations())
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_every_activation_that_acts_on_each_number_by_itself(tmp_path, kind, name):
    own = {"activation": name} | ({} if kind == "SimpleRNN" else {"recurrent_activation": name})
    model = keras.Sequential([L.Input((None, 3)), getattr(L, kind)(4, return_sequences=True, **own)])
    steps = 2 if name == "exponential" else 4  # grows without end
    x = randomise(model, most=0.4).normal(size=(2, steps, 3)).astype(np.float32)
    got = load_weights(save(model, tmp_path / "m.keras"))
    np.testing.assert_allclose(h_of(got.lstm, x), shown(model, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "sparse_plus"])
def test_other_activations_are_refused_by_name(tmp_path, name):
    model = keras.Sequential([L.Input((None, 3)), L.GRU(4, activation=name, name="rnn")])
    with pytest.raises(InputError, match=f"rnn: activation={name}: not known here as one that acts on each number"):
        load_weights(save(model, tmp_path / "m.keras"))


@pytest.mark.parametrize(
    "layer", [lambda: L.LeakyReLU(0.3), lambda: L.ELU(0.7), lambda: L.ReLU(), lambda: L.ReLU(6),
              lambda: L.ReLU(None, 0.1), lambda: L.Activation("softsign")],
)  # fmt: skip
def test_a_layer_may_stand_in_the_place_of_an_activation(tmp_path, layer):
    model = keras.Sequential([L.Input((None, 3)), L.SimpleRNN(4, activation=layer(), return_sequences=True)])
    x = randomise(model).normal(size=(2, 5, 3)).astype(np.float32)
    got = load_weights(save(model, tmp_path / "m.keras"))
    np.testing.assert_allclose(h_of(got.lstm, x), shown(model, x), atol=1e-5)


def test_a_function_of_the_users_own_is_refused(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    def tanh(x):
        return 2 * keras.ops.tanh(x)

    model = keras.Sequential([L.Input((None, 3)), L.LSTM(4, activation=tanh, name="rnn")])
    with pytest.raises(InputError, match="rnn: activation=mine>tanh: not known here"):
        load_weights(save(model, tmp_path / "m.keras"))


@pytest.mark.parametrize("ending", ["m.keras", "m.h5", "m.weights.h5"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("kind", "more"), [("GRU", {}), ("GRU", {"reset_after": False}), ("SimpleRNN", {})])
def test_stacks_and_their_readout(tmp_path, kind, more, both, ending):
    def make(name):
        layer = getattr(L, kind)(4, return_sequences=True, name=name, **more)
        return L.Bidirectional(layer, name=name) if both else layer

    model = keras.Sequential([L.Input((None, 3)), make("a"), L.Dropout(0.2), make("b"), L.Dense(2, name="head")])
    x = randomise(model).normal(size=(3, 6, 3)).astype(np.float32)
    path = save(model, tmp_path / ending)
    offer = "" if ending == "m.weights.h5" else r", or all of them as one of several layers with layer=a\+b"
    with pytest.raises(InputError, match=f"holds 2 {kind} layers, a and b; say which with layer=a or layer=b{offer}$"):
        load_weights(path)
    got = load_weights(path, layer="a+b")
    assert got.lstm.num_layers == 2 and got.readout is not None
    with torch.no_grad():
        np.testing.assert_allclose(got.model(torch.from_numpy(x)).numpy(), shown(model, x), atol=1e-5)
    with pytest.raises(InputError, match=rf"layer=c: no such {kind} in"):
        load_weights(path, layer="c")


@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_cells_that_stand_on_one_another_in_one_layer(tmp_path, kind, ending):
    cells = [getattr(L, kind + "Cell")(4) for _ in range(12)]
    model = keras.Sequential([L.Input((None, 3)), L.RNN(cells, return_sequences=True, name="rnn"), L.Dense(2)])
    x = randomise(model).normal(size=(3, 6, 3)).astype(np.float32)
    got = load_weights(save(model, tmp_path / ending))
    assert got.lstm.num_layers == 12
    with torch.no_grad():
        np.testing.assert_allclose(got.model(torch.from_numpy(x)).numpy(), shown(model, x), atol=1e-5)
    save(model, tmp_path / "m.weights.h5")
    with pytest.raises(InputError, match=r"rnn is a StackedRNNCells; LSTM, GRU and SimpleRNN layers are supported"):
        load_weights(tmp_path / "m.weights.h5")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.RNN([L.LSTMCell(4), L.GRUCell(4)]), "its cells are a LSTM and a GRU; must be the same"),
        (lambda: L.RNN([L.GRUCell(4), L.GRUCell(5)]), "to be one nn.GRU"),
        (lambda: L.RNN([L.GRUCell(4), L.GRUCell(4, reset_after=False)]), "GRU and a GRU .reset before., which cannot"),
        (lambda: L.Bidirectional(L.RNN([L.GRUCell(4), L.GRUCell(4)])), "each of its directions has several cells"),
        (lambda: L.Bidirectional(L.GRU(4), backward_layer=L.LSTM(4, go_backwards=True)), "backward layer is a LSTM"),
        (lambda: L.Bidirectional(L.GRU(4), backward_layer=L.GRU(4, activation="relu", go_backwards=True)),
         "holds a GRU and a GRU .input relu., which cannot be one module"),
        (lambda: L.Bidirectional(L.GRU(4, go_backwards=True), backward_layer=L.GRU(4)), "nn.GRU reads forward first"),
        (lambda: L.ConvLSTM1D(4, 3), "rnn is a ConvLSTM1D; LSTM, GRU and SimpleRNN layers are supported"),
    ],
)  # fmt: skip
def test_what_is_no_module_is_refused_by_name(tmp_path, make, words):
    layer = make()
    layer.name = "rnn"
    shape = (5, 3, 2) if layer.name and isinstance(layer, L.ConvLSTM1D) else (5, 3)
    model = keras.Sequential([L.Input(shape), layer])
    with pytest.raises(InputError, match=words):
        load_weights(save(model, tmp_path / "m.keras"))


def test_layers_of_other_cells_are_chosen_from(tmp_path):
    parts = L.LSTM(4, return_sequences=True, name="a"), L.GRU(4, return_sequences=True, name="b")
    model = keras.Sequential([L.Input((None, 3)), *parts, L.Dense(2)])
    x = randomise(model).normal(size=(3, 6, 3)).astype(np.float32)
    save(model, tmp_path / "m.keras")
    alone = load_weights(tmp_path / "m.keras")  # LSTMs go before others
    assert alone.name == "a" and "b is another layer, GRU: layer=b reads that" in alone.notes
    with pytest.raises(InputError, match="layer=c: no such recurrent layer in"):
        load_weights(tmp_path / "m.keras", layer="c")
    with pytest.raises(InputError, match="a is an LSTM and b is a GRU: they cannot be layers of one module"):
        load_weights(tmp_path / "m.keras", layer="a+b")
    low, high = (load_weights(tmp_path / "m.keras", layer=name) for name in "ab")
    assert low.readout is None and high.readout is not None
    np.testing.assert_allclose(h_of(high.lstm, h_of(low.lstm, x)), shown(keras.Model(model.inputs, parts[1].output), x),
                               atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("kind", ["GRU", "SimpleRNN"])
@pytest.mark.parametrize("sequences", [True, False])
def test_masks_tokens_and_the_last_step(tmp_path, kind, sequences):
    tokens = L.Input((None,), dtype="int32")
    h = getattr(L, kind)(4, return_sequences=sequences)(L.Embedding(7, 3, mask_zero=True)(tokens))
    model = keras.Model(tokens, L.Dense(2, activation="softmax")(h))
    rng = randomise(model)
    x = rng.integers(1, 7, size=(4, 8))
    x[1, 5:], x[2, :3], x[3, 2:4] = 0, 0, 0
    got = load_weights(save(model, tmp_path / "m.keras"))
    with torch.no_grad():
        ours = got.with_activation("softmax")(torch.from_numpy(x)).numpy()
    want = shown(model, x)
    np.testing.assert_allclose(ours if sequences else ours[:, -1], want, atol=1e-5)
    assert got.last_step != sequences and got.activation == "softmax"
    assert any("reads the last step alone" in note for note in got.notes) != sequences
    assert LSTMConfig.of(got.lstm).init == "keras"


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("stateful", [False, True])
def test_a_state_that_is_handed_on(tmp_path, kind, stateful):
    x = L.Input(batch_shape=(2, None, 3))
    _, state, *_ = getattr(L, kind)(4, return_state=True, stateful=stateful)(x)
    model = keras.Model(x, L.Dense(2)(state))
    values = randomise(model).normal(size=(2, 6, 3)).astype(np.float32)
    got = load_weights(save(model, tmp_path / "m.keras"))
    with torch.no_grad():
        np.testing.assert_allclose(got.model(torch.from_numpy(values))[:, -1].numpy(), shown(model, values), atol=1e-5)
    assert got.last_step and any("stateful=True" in note for note in got.notes) == stateful


@settings(max_examples=25, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.data())
def test_any_sizes(tmp_path, data):
    draw = data.draw
    kind, own = draw(st.sampled_from(KINDS))
    features, units, steps = (draw(st.integers(1, 6)) for _ in range(3))
    layers, both, bias = draw(st.integers(1, 3)), draw(st.booleans()), draw(st.booleans())
    parts = [getattr(L, kind)(units, return_sequences=True, use_bias=bias, name=f"r{k}", **own) for k in range(layers)]
    parts = [L.Bidirectional(part, name=part.name) if both else part for part in parts]
    model = keras.Sequential([L.Input((None, features)), *parts])
    x = randomise(model, draw(st.integers(0, 99)), 0.4).normal(size=(2, steps, features)).astype(np.float32)
    path = save(model, tmp_path / draw(st.sampled_from(["m.keras", "m.h5"])))
    got = load_weights(path, layer="+".join(part.name for part in parts))
    want = shown(model, x)
    scale = max(1, np.abs(want).max())
    np.testing.assert_allclose(h_of(got.lstm, x) / scale, want / scale, atol=1e-5)
