"""Every cell that Keras has is written for it: run by Keras, it gives our outputs and h; the others are refused."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from lstm_probe.cells import cell_of, get_cell
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.formats import ImportedModel, load_weights
from lstm_probe.formats.imported import Skips
from lstm_probe.formats.write import export
from lstm_probe.formats.write.checked import checked_export
from lstm_probe.recorder.config import make_layers
from tests.foreign import keras as load_keras

pytest.importorskip("h5py")
keras = load_keras()
# The warnings are Keras's own.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]
LATER = f"hard_sigmoid:{1 / 6!r}:0.5"
CELLS = [
    "lstm", "lstm+gates:hard_sigmoid", f"lstm+gates:{LATER}", "lstm+input:relu+output:relu",
    "lstm+gates:hard_sigmoid:0.4",
    "lstm+gates:softsign+input:linear+output:linear", "gru", "gru+reset_before", "gru+gates:hard_sigmoid",
    "gru+gates:hard_sigmoid+reset_before", "gru+input:leaky_relu:0.3", "gru+input:elu:0.5+gates:relu", "rnn",
    "rnn+input:relu", "rnn+input:softsign", "rnn+input:leaky_relu", f"rnn+input:{LATER}",
]  # fmt: skip


def network(cell, inputs=3, units=4, layers=1, seed=0, **more):
    torch.manual_seed(seed)
    rnn = make_layers(get_cell(cell), inputs, units, layers, **more)
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.uniform_(-0.6, 0.6)
    backward = more.get("backward", False)
    readout = nn.Linear(units * (1 + more.get("bidirectional", False)), 2)
    return ImportedModel(rnn, readout, turned=backward).eval()


def compared(model, path, x):
    """Keras's own outputs and h beside ours; and what comes back."""
    theirs = keras.models.load_model(export(model, path, format="keras"))
    h = keras.Model(theirs.inputs, theirs.layers[-2].output)(x.numpy(), training=False).detach().numpy()
    with torch.no_grad():
        own, shown = model(x).numpy(), model.lstm(x)[0]
        again = load_weights(path)
        back = again.model(x).numpy()
    np.testing.assert_allclose(theirs(x.numpy()).detach().numpy(), own, atol=1e-5)
    np.testing.assert_allclose(h, (shown.flip(1) if model.turned else shown).numpy(), atol=1e-5)
    np.testing.assert_allclose(back, own, atol=1e-5)
    return again


@pytest.mark.parametrize("cell", CELLS)
def test_keras_gives_our_h_and_outputs(tmp_path, cell):
    more = [{}, {"bidirectional": True, "layers": 2}, {"backward": True}, {"bias": False, "layers": 3}]
    for seed, own in enumerate(more):
        model = network(cell, seed=seed, **own)
        again = compared(model, tmp_path / "m.keras", torch.randn(3, 6, 3))
        if "gates:hard_sigmoid" not in cell:
            assert cell_of(again.lstm).names == cell_of(model.lstm).names
            for name, weight in again.lstm.named_parameters():
                if "bias" not in name:
                    torch.testing.assert_close(weight, model.lstm.get_parameter(name))


@settings(max_examples=20, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.sampled_from(CELLS), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.booleans())
def test_any_sizes(tmp_path, cell, inputs, units, layers, both, bias):
    model = network(cell, inputs, units, layers, inputs + 7 * units, bidirectional=both, bias=bias)
    compared(model, tmp_path / "m.keras", torch.randn(2, 5, inputs))


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("lstm_peepholes", "Keras's LSTM has no peepholes; the weights are in its state_dict"),
        ("lstm_coupled", "Keras's LSTM has input, forget and output gates with weights of their own"),
        ("lstm_no_forget", "Keras's LSTM has input, forget and output gates with weights of their own"),
        ("lstm+clip:3", "Keras's LSTM has no limits before its activations"),
        ("lstm+input:relu", "one activation for its cell input and its memory, not relu and tanh"),
        ("gru+clip:3", "Keras's GRU has no limits"),
        ("rnn+clip:3", "Keras's SimpleRNN has no limits"),
        ("gru+gates:hard_sigmoid:0.2:0.4", "its hard_sigmoid is x / 6 \\+ 0.5, and no weights make"),
        ("rnn+input:hard_sigmoid", "Keras 3 has no hard_sigmoid; it has .*, and its hard_sigmoid is x / 6"),
        ("rnn+input:scaled_tanh:2", "Keras 3 has no scaled_tanh:2; it has sigmoid tanh"),
        ("lstm_layer_norm", "Keras has no LSTM .layer-normalised., but LSTM, GRU and SimpleRNN"),
        ("janet", "Keras has no JANET, but"),
        ("slstm", "Keras has no sLSTM, but"),
    ],
)
def test_cells_that_keras_has_not_are_refused_by_name(tmp_path, cell, words):
    with pytest.raises(InputError, match=f"format=keras: .*{words}") as error:
        export(network(cell), tmp_path / "m.keras", format="keras")
    assert not list(tmp_path.iterdir()) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("cell", ["gru+gates:hard_sigmoid", "rnn"])
@pytest.mark.parametrize("kind", ["tokens", "skips", "double", "last step of both"])
@pytest.mark.usefixtures("here")
def test_what_stands_around_it_goes_along(tmp_path, cell, kind):
    rnn = make_layers(get_cell(cell), 3, 4, bidirectional=kind == "last step of both")
    head = nn.Linear(8 if rnn.bidirectional else 4, 2)
    x = torch.randn(4, 6, 3)
    x[1, 2:4] = -1.0
    model = {
        "tokens": lambda: ImportedModel(rnn, head, nn.Embedding(5, 3), skips=Skips(0.0)),
        "skips": lambda: ImportedModel(rnn, head, activation="softmax", skips=Skips(-1.0)),
        "double": lambda: ImportedModel(rnn.double(), head.double()),
        "last step of both": lambda: ImportedModel(rnn, head, last_step=True),
    }[kind]().eval()
    x = torch.randint(0, 5, (4, 6, 1)).float() if kind == "tokens" else x
    batch = Batch(x, {}, (), torch.full((4,), 6), {})
    made = checked_export(model, batch, tmp_path / "m.keras", format="keras")
    assert made.difference < 1e-6 and "run by Keras 3" in made.words and made.paths == (tmp_path / "m.keras",)
