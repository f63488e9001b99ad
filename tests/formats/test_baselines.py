"""Untrained networks to compare an imported one with begin as the library that made it begins its own."""

import numpy as np
import pytest
import torch

from lstm_probe.formats import load_weights
from lstm_probe.formats.imported import ImportedModel
from lstm_probe.formats.write import export
from lstm_probe.network.model import SequenceModel
from lstm_probe.probing.inference.baselines import untrained_recording
from lstm_probe.recorder import LSTMConfig, record
from tests.foreign import keras as load_keras

keras = load_keras()
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own, of NumPy and of its legacy format


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("unit_forget_bias", "use_bias", "expected"), [(True, True, 1.0), (False, True, 0.0), (True, False, 0.0)]
)
def test_a_keras_networks_baselines_have_its_forget_bias(tmp_path, both, unit_forget_bias, use_bias, expected):
    own = {"return_sequences": True, "use_bias": use_bias, "unit_forget_bias": unit_forget_bias}
    layer = keras.layers.LSTM(16, **own)
    model = keras.Sequential([keras.layers.Input((None, 3)), keras.layers.Bidirectional(layer) if both else layer])
    model.save(tmp_path / "m.keras")
    imported = load_weights(tmp_path / "m.keras").model
    again = ImportedModel.of_shape(imported.shape)
    x = torch.zeros(8, 1, 3)  # nothing read, nothing remembered: each gate shows its bias alone
    for network in (imported, again):
        rec = record(network, x)
        (config,) = rec.config.usual
        gates = [untrained_recording(rec, ("f", "i"), k, 3, config) for k in range(8)]
        f, i = (torch.stack([part[v] for rec in gates for part in rec]).logit().mean() for v in "fi")
        assert float(f - i) == pytest.approx(expected, abs=0.08)
    theirs = model.layers[0].forward_layer if both else model.layers[0]
    if use_bias:
        assert np.allclose(theirs.cell.bias.numpy()[16:32], expected)  # Keras's order is i f c o


@pytest.mark.parametrize(("forget_bias", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_networks_forget_bias_goes_to_keras_and_comes_back(tmp_path, forget_bias, expected):
    export(SequenceModel(3, 2, 5, layers=2, forget_bias=forget_bias), tmp_path / "m.keras", format="keras")
    keras.models.load_model(tmp_path / "m.keras").save(tmp_path / "again.keras")
    for name in ("m.keras", "again.keras"):
        assert LSTMConfig.of(load_weights(tmp_path / name).lstm).begins_at == expected
