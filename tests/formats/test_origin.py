"""How a network began, as its file tells it: Keras's own files, ours, and what is unknown."""

import json
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.formats import load_weights
from lstm_probe.formats.imported import ImportedModel
from lstm_probe.formats.origin import read
from lstm_probe.formats.write import export
from lstm_probe.network.model import SequenceModel
from lstm_probe.recorder import LSTMConfig
from lstm_probe.recorder.initial import initialise, note_origin, origin_of
from tests.foreign import keras as load_keras

keras = load_keras()
# The warnings are Keras's own, of NumPy and of its legacy format.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]

I = keras.initializers  # noqa: E741


def kept(tmp_path, layer, suffix=".keras"):
    """Save a network of this layer and return what was imported."""
    model = keras.Sequential([keras.layers.Input((None, 3)), layer])
    model.save(tmp_path / f"m{suffix}")
    return load_weights(tmp_path / f"m{suffix}")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(("own", "expected"), [
    ({}, ("keras", 1.0)),
    ({"unit_forget_bias": False}, ("keras", 0.0)),
    ({"use_bias": False}, ("keras", None)),
    ({"kernel_initializer": I.GlorotUniform(seed=3), "recurrent_initializer": "orthogonal"}, ("keras", 1.0)),
    ({"kernel_initializer": I.VarianceScaling(1.0, "fan_avg", "uniform")}, ("keras", 1.0)),
    ({"kernel_initializer": I.VarianceScaling(2.0, "fan_avg", "uniform")}, ("unknown", 1.0)),
    ({"kernel_initializer": I.VarianceScaling(1.0, "fan_in", "uniform")}, ("unknown", 1.0)),
    ({"kernel_initializer": "glorot_normal"}, ("unknown", 1.0)),
    ({"recurrent_initializer": "glorot_uniform"}, ("unknown", 1.0)),
    ({"recurrent_initializer": "random_normal", "unit_forget_bias": False}, ("unknown", 0.0)),
    ({"recurrent_initializer": I.Orthogonal(gain=0.5)}, ("unknown", 1.0)),
    ({"bias_initializer": "ones"}, ("unknown", 1.0)),
    ({"kernel_initializer": I.RandomUniform(-0.5, 0.5), "recurrent_initializer": I.RandomUniform(-0.5, 0.5),
      "unit_forget_bias": False}, ("torch", 0.0)),
    ({"kernel_initializer": "random_uniform", "recurrent_initializer": "random_uniform"}, ("unknown", 1.0)),
    ({"kernel_initializer": I.RandomUniform(-0.4, 0.5), "recurrent_initializer": I.RandomUniform(-0.5, 0.5)},
     ("unknown", 1.0)),
])  # fmt: skip
def test_a_keras_file_tells_by_its_initializers(tmp_path, suffix, own, expected):
    imported = kept(tmp_path, keras.layers.LSTM(4, return_sequences=True, **own), suffix)
    assert origin_of(imported.lstm) == expected
    assert any("init=keras" in note for note in imported.notes) == (expected[0] == "keras")
    again = ImportedModel.of_shape(json.loads(json.dumps(imported.model.shape)))
    assert LSTMConfig.of(again.lstm) == LSTMConfig.of(imported.lstm)


def test_both_directions_have_to_say_the_same(tmp_path):
    layers = [keras.layers.LSTM(4, return_sequences=True, go_backwards=back) for back in (False, True)]
    imported = kept(tmp_path, keras.layers.Bidirectional(layers[0], backward_layer=layers[1]))
    assert origin_of(imported.lstm) == ("keras", 1.0)
    other = keras.layers.LSTM(4, return_sequences=True, go_backwards=True, kernel_initializer="he_uniform")
    first = keras.layers.LSTM(4, return_sequences=True)
    imported = kept(tmp_path, keras.layers.Bidirectional(first, backward_layer=other))
    assert origin_of(imported.lstm) == ("unknown", 1.0)


@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"init": "keras"}, {"init": "keras", "forget_bias": 0.0},
                                     {"forget_bias": 1.0}, {"init": "orthogonal"}, {"init": "tf1"}])  # fmt: skip
def test_a_network_made_here_goes_to_keras_and_comes_back(tmp_path, options):
    model = SequenceModel(3, 2, 5, seed=1, **options)
    export(model, tmp_path / "m.keras", format="keras")
    read_by_them = keras.models.load_model(tmp_path / "m.keras")
    read_by_them.save(tmp_path / "again.keras")
    read_by_them.save(tmp_path / "again.h5")
    for name in ("m.keras", "again.keras", "again.h5"):
        lstm = load_weights(tmp_path / name).lstm
        told = options.get("init", "torch")  # Keras has words for these alone
        assert origin_of(lstm)[0] == (told if told in ("torch", "keras") else "unknown")
        assert LSTMConfig.of(lstm).begins_at == LSTMConfig.of(model.lstm).begins_at
        assert torch.equal(lstm.weight_hh_l0, model.lstm.weight_hh_l0)
    # Keras draws a new layer of these settings within the same bounds as PyTorch.
    if "init" not in options:
        layer = type(read_by_them.layers[0]).from_config(read_by_them.layers[0].get_config())
        layer.build((None, 4, 3))
        drawn = np.asarray(layer.cell.kernel.value.detach().cpu())
        assert 0.8 / np.sqrt(5) < np.abs(drawn).max() <= 1 / np.sqrt(5)


def test_weights_that_say_nothing_are_of_unknown_origin(tmp_path):
    torch.save(nn.LSTM(2, 3).state_dict(), tmp_path / "w.pt")
    assert origin_of(load_weights(tmp_path / "w.pt").lstm) == ("unknown", None)
    model = keras.Sequential([keras.layers.Input((None, 3)), keras.layers.LSTM(4)])
    model.save_weights(tmp_path / "m.weights.h5")
    assert origin_of(load_weights(tmp_path / "m.weights.h5").lstm)[0] == "unknown"
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as own:
        files = {name: own.read(name) for name in own.namelist()}
    config = files["config.json"].decode()
    for text in ('"Foo"', "null", "7", '{"class_name": 3, "config": []}', '{"config": {}}'):
        changed = config.replace(config_of(config, "kernel_initializer"), text, 1)
        assert changed != config
        with zipfile.ZipFile(tmp_path / "o.keras", "w") as out:
            for name, content in files.items():
                out.writestr(name, changed if name == "config.json" else content)
        assert origin_of(load_weights(tmp_path / "o.keras").lstm)[0] == "unknown"


def config_of(text, key):
    """The text of a key's JSON object."""
    start = text.index("{", text.index(f'"{key}"'))
    return text[start : start + json.JSONDecoder().raw_decode(text[start:])[1]]


def test_a_shape_of_before_has_no_origin():
    lstm = initialise(nn.LSTM(2, 3, batch_first=True), "keras")
    shape = ImportedModel(lstm, None, None, None).shape
    assert (shape["init"], shape["forget_bias"]) == ("keras", None)
    of_before = {key: value for key, value in shape.items() if key != "init"} | {"forget_bias": 1.0}
    assert origin_of(ImportedModel.of_shape(of_before).lstm) == ("unknown", 1.0)
    assert origin_of(ImportedModel.of_shape(shape).lstm) == ("keras", None)


@pytest.mark.parametrize(("layers", "biased", "expected"), [
    ([{}], True, ("unknown", None)),
    ([{"kernel_initializer": "glorot_uniform", "recurrent_initializer": "Orthogonal"}], True, ("keras", None)),
    ([{"unit_forget_bias": True}, {"unit_forget_bias": False}], True, ("unknown", 0.0)),
    ([{"unit_forget_bias": True}], False, ("unknown", None)),
    ([{"kernel_initializer": ["GlorotUniform"], "recurrent_initializer": "orthogonal"}], True, ("unknown", None)),
])  # fmt: skip
def test_settings_of_layers(layers, biased, expected):
    assert read(layers, biased) == expected


def test_the_note_says_which_networks_stand_beside_it(tmp_path):
    assert origin_of(note_origin(nn.LSTM(2, 3), "orthogonal")) == ("orthogonal", None)
    told = " ".join(kept(tmp_path, keras.layers.LSTM(4)).notes)
    assert "initializers of the file: untrained networks for comparison start the same way (init=keras)" in told
