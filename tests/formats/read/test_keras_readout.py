"""A readout of a Keras file is what the network's graph proves: compared with the network's own outputs, or none."""

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from tests.foreign import keras as load_keras

h5py = pytest.importorskip("h5py")
keras = load_keras()
L = keras.layers
# The warnings are Keras's own, of NumPy and of its legacy format.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]


def lstm(units=5, **more):
    return L.LSTM(units, return_sequences=True, **{"name": "rnn", **more})


def both(merge="concat", sequences=True, **more):
    held = L.LSTM(5, return_sequences=sequences, **more)
    return L.Bidirectional(held, merge_mode=merge, name="rnn")


def sequential(*parts):
    return keras.Sequential([L.Input((None, 3)), *parts])


def functional(build):
    x = L.Input((None, 3), name="x")
    return keras.Model(x, build(x))


def wrapped(*parts):
    """Return a part that is a model of its own, made by Keras's functional way."""
    x = L.Input((None, 3))
    out = x
    for part in parts:
        out = part(out)
    return keras.Model(x, out, name="inside")


def state_alone(x):
    _, h, _ = L.LSTM(5, return_state=True, name="rnn")(x)
    return L.Dense(2)(h)


def shared_twice(x):
    rnn, head = lstm(), L.Dense(2, name="head")
    return [head(rnn(x)), head(rnn(L.Dense(3)(x)))]


def nested_twice(x):
    inside = wrapped(lstm(), L.Dense(3, name="head"))
    return inside(inside(x))


def apart(x):
    forward, _ = both(None)(x)
    return L.Dense(2)(forward)


def other_way(x):
    _, reverse = both(None)(x)
    return L.Dense(2)(reverse)


def two_branches(x):
    hidden = L.Dense(4, name="hidden")(lstm()(x))
    return L.Dense(1)(L.Concatenate(name="cat")([L.Dense(4)(x), hidden]))


def dropout_that_stays(x):
    return L.Dense(2)(L.Dropout(0.5, name="drop")(lstm()(x), training=True))


def encoder_and_decoder(x):
    return L.Dense(2)(lstm(name="b")(x, initial_state=L.LSTM(5, return_state=True)(x)[1:]))


PROVEN = {
    "plain": lambda: sequential(lstm(), L.Dense(2)),
    "dropout on the way": lambda: sequential(
        lstm(), L.Dropout(0.5), L.Activation("linear"), L.Dense(2), L.Dropout(0.1)
    ),
    "time distributed": lambda: sequential(lstm(), L.TimeDistributed(L.Dropout(0.5)), L.TimeDistributed(L.Dense(2))),
    "activation behind": lambda: sequential(lstm(), L.Dense(2), L.Activation("tanh")),
    "softmax behind": lambda: sequential(lstm(), L.Dense(2), L.TimeDistributed(L.Softmax())),
    "relu behind": lambda: sequential(lstm(), L.Dense(2), L.ReLU()),
    "nested sequential": lambda: sequential(keras.Sequential([lstm(), L.Dropout(0.1)]), keras.Sequential([L.Dense(2)])),
    "nested functional": lambda: sequential(wrapped(lstm()), L.Dropout(0.1), L.Dense(2)),
    "cell": lambda: sequential(L.RNN(L.LSTMCell(5), return_sequences=True, name="rnn"), L.Dense(2)),
    "cell, last step": lambda: sequential(L.RNN(L.LSTMCell(5), name="rnn"), L.Dense(2)),
    "last step": lambda: sequential(L.LSTM(5, name="rnn"), L.Dense(2, activation="softmax")),
    "final h": lambda: functional(state_alone),
    "both ways": lambda: sequential(both(), L.Dense(2)),
    "both ways, last steps": lambda: sequential(both(sequences=False), L.Dense(2)),
    "sum": lambda: sequential(both("sum"), L.Dense(2)),
    "average of last steps": lambda: sequential(both("ave", sequences=False), L.Dropout(0.1), L.Dense(2)),
    "forward direction alone": lambda: functional(apart),
    "reverse direction alone": lambda: functional(other_way),
    "backward": lambda: sequential(lstm(go_backwards=True), L.Dense(2)),
    "backward, last step": lambda: sequential(L.LSTM(5, go_backwards=True, name="rnn"), L.Dense(2)),
    "another branch of it": lambda: functional(lambda x: [L.Dense(2, name="head")(h := lstm()(x)), L.ReLU()(h)]),
}

NONE = {
    "hidden": (lambda: sequential(lstm(), L.Dense(4, name="hidden"), L.Dense(2, name="end")),
               "hidden is not the last layer, end follows it"),
    "hidden, activation": (lambda: sequential(lstm(), L.Dense(4, name="hidden"), L.ReLU(), L.Dense(2, name="end")),
                           "hidden is not the last layer, end follows it"),
    "two branches": (lambda: functional(two_branches), "hidden is not the last layer, cat follows it"),
    "skip connection": (lambda: functional(lambda x: L.Dense(2)(L.Concatenate(name="cat")([lstm()(x), x]))),
                        "what reads the LSTM is cat (Concatenate)"),
    "layer norm between": (lambda: sequential(lstm(), L.LayerNormalization(name="norm"), L.Dense(2)),
                           "what reads the LSTM is norm (LayerNormalization)"),
    "batch norm behind": (lambda: sequential(lstm(), L.Dense(2, name="d"), L.BatchNormalization(name="norm")),
                          "d is not the last layer, norm follows it"),
    "activation between": (lambda: sequential(lstm(), L.Activation("relu", name="act"), L.Dense(2)),
                           "what reads the LSTM is act (Activation)"),
    "dropout that stays": (lambda: functional(dropout_that_stays), "what reads the LSTM is drop (Dropout)"),
    "pooling": (lambda: sequential(lstm(), L.GlobalMaxPooling1D(name="pool"), L.Dense(2)),
                "what reads the LSTM is pool (GlobalMaxPooling1D)"),
    "pooling behind": (lambda: sequential(lstm(), L.Dense(2, name="d"), L.GlobalAveragePooling1D(name="pool")),
                       "d is not the last layer, pool follows it"),
    "two functions": (lambda: sequential(lstm(), L.Dense(2, activation="relu", name="d"), L.Softmax()),
                      "d's outputs go through relu and softmax"),
    "leaky": (lambda: sequential(lstm(), L.Dense(2, name="d"), L.ReLU(max_value=6.0, name="six")),
              "d is not the last layer, six follows it"),
    "two heads": (lambda: functional(lambda x: [L.Dense(2, name="a")(h := lstm()(x)), L.Dense(1, name="b")(h)]),
                  "a and b each make an output of h: say which with readout=a or readout=b"),
    "product": (lambda: sequential(both("mul"), L.Dense(2, name="d")), "d reads the product of both directions"),
    "final c": (lambda: functional(lambda x: L.Dense(2, name="d")(L.LSTM(5, return_state=True, name="rnn")(x)[2])),
                "d reads rnn's final state, not its h"),
    "nothing": (lambda: sequential(lstm()), "what reads the LSTM is nothing"),
    "a model twice": (lambda: functional(nested_twice), "inside/rnn is called 2 times, and not every call makes"),
    "sum of a shared head": (lambda: functional(lambda x: L.Add(name="add")(shared_twice(x))),
                             "head is not the last layer, add follows it"),
}  # fmt: skip


def randomised(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.5, w.shape).astype(np.float32) for w in model.get_weights()])
    return model, rng.normal(size=(3, 6, 3)).astype(np.float32)


def theirs(model, x):
    made = model(x, training=False)
    return (made[0] if isinstance(made, list) else made).detach().numpy()


@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
@pytest.mark.parametrize("what", list(PROVEN))
def test_a_proven_readout_gives_the_networks_outputs(tmp_path, what, ending):
    model, x = randomised(PROVEN[what]())
    model.save(tmp_path / ending)
    got = load_weights(tmp_path / ending)
    assert got.readout is not None, got.notes
    want = theirs(model, x)
    with torch.no_grad():
        ours = got.with_activation(got.activation)(torch.from_numpy(x)).numpy()
    assert got.last_step == (want.ndim == 2)
    np.testing.assert_allclose(ours[:, -1] if got.last_step else ours, want, atol=1e-5)


@pytest.mark.parametrize("ending", ["m.keras", "m.h5"])
@pytest.mark.parametrize("what", list(NONE))
def test_what_makes_no_output_of_h_alone_is_no_readout(tmp_path, what, ending):
    build, words = NONE[what]
    model, _ = randomised(build())
    model.save(tmp_path / ending)
    got = load_weights(tmp_path / ending)
    assert got.readout is None and not got.last_step
    assert [note for note in got.notes if note.startswith("no readout taken: ") and words in note], got.notes


def test_the_same_head_on_two_calls_is_one_readout(tmp_path):
    model, x = randomised(functional(shared_twice))
    model.save(tmp_path / "m.keras")
    got = load_weights(tmp_path / "m.keras")
    with torch.no_grad():
        np.testing.assert_allclose(got.model(torch.from_numpy(x)).numpy(), theirs(model, x), atol=1e-5)
    assert "head makes one of the network's 2 outputs" in got.notes


def test_a_lower_layer_has_no_readout_and_a_named_one_is_proven_too(tmp_path):
    model, x = randomised(
        functional(
            lambda x: [L.Dense(2, name="a")(h := lstm(name="high")(lstm(name="low")(x))), L.Dense(5, name="b")(h)]
        )
    )
    model.save(tmp_path / "m.keras")
    low = load_weights(tmp_path / "m.keras", layer="low")
    assert low.readout is None and "no readout taken: what reads the LSTM is high (LSTM)" in low.notes
    got = load_weights(tmp_path / "m.keras", layer="low+high", readout="b")
    with torch.no_grad():
        ours = got.model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours, model(x)[1].detach().numpy(), atol=1e-5)
    with pytest.raises(InputError, match=r"readout=bb: .* of high's h alone; must be a or b\. Did you mean 'b'"):
        load_weights(tmp_path / "m.keras", layer="high", readout="bb")
    hidden, _ = randomised(NONE["hidden"][0]())
    hidden.save(tmp_path / "h.keras")
    with pytest.raises(InputError, match=r"readout=hidden: .*; hidden is not the last layer, end follows it"):
        load_weights(tmp_path / "h.keras", readout="hidden")


def test_a_decoders_layer_is_no_readout_of_the_encoder(tmp_path):
    x, y = L.Input((None, 3)), L.Input((None, 3))
    _, h, c = L.LSTM(5, return_state=True, name="encoder")(x)
    out = L.Dense(2, name="head")(lstm(name="decoder")(y, initial_state=[h, c]))
    keras.Model([x, y], out).save(tmp_path / "m.keras")
    encoder, decoder = (load_weights(tmp_path / "m.keras", layer=name) for name in ("encoder", "decoder"))
    assert encoder.readout is None and encoder.not_scored is None
    assert decoder.readout is not None and "receives its initial state" in str(decoder.not_scored)


BARE = {
    "plain": (lambda: sequential(lstm(), L.Dropout(0.1), L.Dense(2, name="d")), "d"),
    "stack": (lambda: sequential(lstm(3), lstm(4, name="high"), L.Dense(2, name="d")), "d"),
    "tokens": (lambda: keras.Sequential([L.Input((None,)), L.Embedding(9, 3), lstm(), L.Dense(3, name="d")]), "d"),
    "hidden": (lambda: sequential(lstm(), L.Dense(4), L.Dense(2)), None),
    "norm": (lambda: sequential(lstm(), L.LayerNormalization(), L.Dense(2)), None),
    "activation": (lambda: sequential(lstm(), L.Activation("relu"), L.Dense(2)), None),
    "sum of two": (lambda: functional(lambda x: L.Dense(2)(L.Add()([lstm()(x), L.Dense(5)(x)]))), None),
    "in another model": (lambda: sequential(wrapped(lstm()), L.Dense(2)), None),
    "in front": (lambda: keras.Sequential([L.Input((None, 5)), L.Dense(3), lstm()]), None),
    "both fit": (lambda: sequential(lstm(), L.Dense(3)), None),
    "encoder and decoder": (lambda: functional(encoder_and_decoder), None),
}  # fmt: skip


@pytest.mark.parametrize("what", list(BARE))
def test_weights_alone_prove_nothing(tmp_path, what):
    build, name = BARE[what]
    model, _ = randomised(build())
    model.save_weights(tmp_path / "m.weights.h5")
    layer = {"stack": "high", "encoder and decoder": "b"}.get(what)
    got = load_weights(tmp_path / "m.weights.h5", layer=layer)
    assert (got.readout is not None) == (name is not None), got.notes
    note = next(note for note in got.notes if "readout" in note)
    assert note.startswith(f"readout {name}: nothing else" if name else "no readout taken: the file has weights alone")


def test_the_readout_of_weights_alone_can_be_named(tmp_path):
    model, x = randomised(sequential(lstm(), L.Dense(3, name="d")))
    model.save_weights(tmp_path / "m.weights.h5")
    got = load_weights(tmp_path / "m.weights.h5", readout="d")
    with torch.no_grad():
        np.testing.assert_allclose(got.model(torch.from_numpy(x)).numpy(), theirs(model, x), atol=1e-5)
    with pytest.raises(InputError, match=r"readout=e: is no Dense in .* that reads an h of 5; must be d$"):
        load_weights(tmp_path / "m.weights.h5", readout="e")


def old_weights(path, layers):
    """Write weights as Keras 2.3 does: layers in order, those without weights too."""
    rng = np.random.default_rng(0)
    shapes = {"lstm": [(3, 20), (5, 20), (20,)], "dense": [(5, 2), (2,)], "other": [(5, 4), (4,)], "norm": [(5,), (5,)]}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["layer_names"] = b"2.3.1", [name.encode() for name in layers]
        for name in layers:
            group, own = file.create_group(name), shapes.get(name.partition("_")[0], [])
            group.attrs["weight_names"] = [f"{name}/{k}:0".encode() for k in range(len(own))]
            for k, shape in enumerate(own):
                group[f"{name}/{k}:0"] = rng.normal(size=shape).astype("f4")
    return path


@pytest.mark.parametrize(
    ("layers", "taken"),
    [
        (["input_1", "lstm_1", "dropout_1", "dense_1"], True),
        (["other_1", "lstm_1", "dense_1"], False),  # two of h's width
        (["dense_1", "lstm_1"], False),
        (["lstm_1", "dense_1", "other_1"], False),
        (["lstm_1", "norm_1", "dense_1"], False),
        (["lstm_1", "concatenate_1", "dense_1"], False),
        (["lstm_1", "my_dropout", "dense_1"], False),
        (["norm_1", "lstm_1", "dense_1"], True),
    ],
)
def test_legacy_weights_have_an_order(tmp_path, layers, taken):
    assert (load_weights(old_weights(tmp_path / "w.h5", layers)).readout is not None) == taken
