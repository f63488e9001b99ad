"""An imported model computes what its network computes: skipped steps, unequal lengths, each direction's own end."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.formats import ImportedModel, load_weights
from lstm_probe.recorder import record
from lstm_probe.recorder.backward import BackwardLSTM
from tests.foreign import keras as load_keras

pytest.importorskip("h5py")
keras = load_keras()
L = keras.layers
# The warnings are Keras's own, of NumPy and of its legacy format.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]

TOKENS = {
    "behind": [[3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 5, 6], [7, 0, 0, 0, 0, 0]],
    "in front": [[0, 0, 0, 3, 4, 5], [1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 7]],
    "anywhere": [[0, 3, 0, 4, 5, 0], [1, 0, 0, 4, 0, 6], [0, 0, 7, 0, 0, 0]],
    "nowhere": [[1, 2, 3, 4, 5, 6], [2, 2, 2, 2, 2, 2], [7, 6, 5, 4, 3, 2]],
    "all of one": [[0, 0, 0, 0, 0, 0], [1, 2, 0, 4, 5, 6], [1, 2, 3, 4, 5, 0]],
}
LAYERS = {
    "one way": lambda sequences: [L.LSTM(4, return_sequences=sequences)],
    "zeros": lambda sequences: [L.LSTM(4, return_sequences=sequences, zero_output_for_mask=True)],
    "both ways": lambda sequences: [L.Bidirectional(L.LSTM(4, return_sequences=sequences))],
    "sum": lambda sequences: [L.Bidirectional(L.LSTM(4, return_sequences=sequences), merge_mode="sum")],
    "backward": lambda sequences: [L.LSTM(4, return_sequences=sequences, go_backwards=True)],
    "stack": lambda sequences: [L.LSTM(4, return_sequences=True, name="a"), L.Dropout(0.1),
                                L.LSTM(4, return_sequences=sequences, name="b")],
    "stack, both ways": lambda sequences: [L.Bidirectional(L.LSTM(4, return_sequences=True), name="a"),
                                           L.Bidirectional(L.LSTM(4, return_sequences=sequences), name="b")],
}  # fmt: skip


def saved(path, *parts, shape):
    model = keras.Sequential([L.Input(shape), *parts])
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.6, w.shape).astype(np.float32) for w in model.get_weights()])
    model.save(path)
    return model


def imported(path, layers):
    return load_weights(path, layer="a+b" if layers.startswith("stack") else None)


def compared(model, got, given, sequences):
    want = model(given, training=False).detach().numpy()
    with torch.no_grad():
        ours = got.model(torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(ours if sequences else ours[:, -1], want, atol=1e-5)


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("layers", list(LAYERS))
def test_masked_tokens_are_skipped_as_keras_skips_them(tmp_path, layers, sequences):
    parts = [L.Embedding(9, 3, mask_zero=True, name="table"), *LAYERS[layers](sequences), L.Dense(2)]
    model = saved(tmp_path / "m.keras", *parts, shape=(None,))
    got = imported(tmp_path / "m.keras", layers)
    assert any("table masks token 0: such steps are skipped" in note for note in got.notes)
    for tokens in TOKENS.values():
        compared(model, got, np.array(tokens), sequences)
    again = ImportedModel.of_shape(got.model.shape)
    again.load_state_dict(got.model.state_dict())
    tokens = torch.tensor(TOKENS["anywhere"])
    with torch.no_grad():
        torch.testing.assert_close(again(tokens), got.model(tokens))
        torch.testing.assert_close(again(tokens.unsqueeze(-1).float()), got.model(tokens))  # as tables have them


@pytest.mark.parametrize("value", [0.0, -9.0, 0.1])
@pytest.mark.parametrize("layers", ["one way", "both ways", "backward", "stack"])
def test_masked_values_are_skipped_as_keras_skips_them(tmp_path, layers, value):
    model = saved(tmp_path / "m.keras", L.Masking(value), *LAYERS[layers](True), L.Dense(2), shape=(None, 3))
    got, rng = imported(tmp_path / "m.keras", layers), np.random.default_rng(0)
    for tokens in TOKENS.values():
        x = rng.normal(size=(3, 6, 3)).astype("f4")
        x[..., 0] = value  # one feature alone masks nothing
        x[np.array(tokens) == 0] = value
        compared(model, got, x, True)


def test_a_table_without_a_mask_skips_nothing(tmp_path):
    model = saved(tmp_path / "m.keras", L.Embedding(9, 3), L.LSTM(4, return_sequences=True), L.Dense(2), shape=(None,))
    got = load_weights(tmp_path / "m.keras")
    assert got.skips is None
    compared(model, got, np.array(TOKENS["anywhere"]), True)


def test_a_mask_from_further_in_front_is_said(tmp_path):
    parts = [L.Masking(0.0, name="mask"), L.Dense(4, name="front"), L.LSTM(4, return_sequences=True)]
    saved(tmp_path / "m.keras", *parts, shape=(None, 3))
    got = load_weights(tmp_path / "m.keras")
    assert got.skips is None and "mask masks steps before that: pass the lengths of sequences to record" in got.notes
    parts = [L.Dense(4, name="front"), L.Masking(0.0, name="mask"), L.LSTM(4, return_sequences=True)]
    saved(tmp_path / "n.keras", *parts, shape=(None, 3))
    got = load_weights(tmp_path / "n.keras")
    assert got.skips is not None
    assert "front (Dense) stands before mask: its outputs are the inputs here" in got.notes


@pytest.mark.parametrize("where", ["behind", "in front"])
def test_what_really_ran_is_recorded(tmp_path, where):
    parts = [L.Embedding(9, 3, mask_zero=True), L.LSTM(4, return_sequences=True)]
    model = saved(tmp_path / "m.keras", *parts, shape=(None,))
    got, tokens = load_weights(tmp_path / "m.keras"), np.array(TOKENS[where])
    rec = record(got.model, torch.from_numpy(tokens))
    assert rec.lengths.tolist() == [3, 6, 1]
    h = model(tokens, training=False).detach().numpy()
    for k, row in enumerate(tokens):
        np.testing.assert_allclose(rec.h[k, : rec.lengths[k]], h[k][row != 0], atol=1e-5)


class Plain(nn.Module):
    """What a model of these parts says of one whole sequence."""

    def __init__(self, lstm, readout, last):
        super().__init__()
        self.lstm, self.readout, self.last = lstm, readout, last

    def forward(self, x):
        h = self.lstm(x)[0]
        if self.last and self.lstm.bidirectional:
            units = h.shape[-1] // 2
            h = torch.cat([h[..., :units], h[:, :1, units:].expand(-1, h.shape[1], -1)], dim=-1)
        return self.readout(h)


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    ("kind", "more", "last", "turned"),
    [
        (nn.LSTM, {}, False, False),
        (nn.LSTM, {"bidirectional": True}, False, False),
        (nn.LSTM, {"bidirectional": True, "num_layers": 2}, False, False),
        (nn.LSTM, {"bidirectional": True, "proj_size": 3}, True, False),
        (BackwardLSTM, {}, False, False),
        (BackwardLSTM, {"num_layers": 2}, False, True),
    ],
)
def test_with_lengths_each_sequence_is_read_as_if_alone(kind, more, last, turned, skips):
    from lstm_probe.formats.imported import Skips

    torch.manual_seed(0)
    lstm = kind(2, 5, batch_first=True, **more)
    out = (more.get("proj_size") or 5) * (1 + lstm.bidirectional)
    readout = nn.Linear(out, 2)
    model = ImportedModel(lstm, readout, last_step=last, turned=turned, skips=Skips(0.5) if skips else None).eval()
    lengths = torch.tensor([4, 7, 1, 5])
    x = torch.randn(4, 7, 2)
    for k, n in enumerate(lengths):
        x[k, n:] = 0.5 if k % 2 else 99.0
    with torch.no_grad():
        got, alone = model(x, lengths), Plain(lstm, readout, last)
        for k, n in enumerate(lengths):
            want = alone(x[k : k + 1, :n])[0]
            torch.testing.assert_close(got[k, :n], want.flip(0) if turned else want)
        torch.testing.assert_close(model(x[:1, :4]), got[:1, :4])
