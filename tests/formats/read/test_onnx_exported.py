"""Recurrent modules as people write and export them, from an ONNX file; against onnxruntime."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.formats import load_weights
from tests.onnx_nets import (
    B,
    H,
    Net,
    T,
    normal,
    ours,
    run,
)  # fmt: skip


class Classifier(nn.Module):
    """As people write them: how the last state, or every step, is taken to the readout."""

    def __init__(self, how, layers, both=False, kind=nn.LSTM):
        super().__init__()
        self.how, self.embed = how, nn.Embedding(9, 3)
        self.rnn = kind(3, H, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(H * (1 + both), 2)

    def forward(self, tokens):
        out, h = self.rnn(self.embed(tokens))
        h = h[0] if isinstance(h, tuple) else h
        if self.how == "h_n[-1]":
            return self.head(h[-1])
        if self.how == "flat":
            return self.head(out.reshape(-1, out.size(-1))).view(tokens.size(0), tokens.size(1), -1)
        if self.how == "transposed loss":
            return self.head(out).transpose(1, 2)
        if self.how == "readout, then the last":
            return self.head(out)[:, -1]
        if self.how.startswith("both"):
            return self.head(torch.cat([h[int(k)] for k in self.how.split()[1:]], dim=-1))
        return self.head(out[:, -1:]).reshape(tokens.size(0), -1).log_softmax(-1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["h_n[-1]", "flat", "transposed loss", "readout, then the last", "sliced"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_modules_as_people_write_them(tmp_path, how, layers, fixed, kind):
    torch.manual_seed(layers)
    module, path = Classifier(how, layers, kind=kind).eval(), tmp_path / "m.onnx"
    tokens = torch.randint(0, 9, (B, T))
    axes = {} if fixed else {"x": {0: "a", 1: "b"}}
    try:
        torch.onnx.export(module, (tokens,), str(path), dynamo=False, input_names=["x"], dynamic_axes=axes)
    except (TypeError, ImportError, RuntimeError) as error:
        pytest.skip(f"this PyTorch has no exporter that needs onnx alone: {error}")
    got = load_weights(path)
    assert type(got.lstm) is kind and got.lstm.num_layers == layers and got.readout is not None
    want = run(path, x=tokens.numpy())[0]
    with torch.no_grad():
        made = got.model(tokens)
    assert got.last_step == (how in ("h_n[-1]", "readout, then the last", "sliced"))
    made = made[:, -1] if got.last_step else made
    made = made.log_softmax(-1) if got.activation else made
    made = made.transpose(1, 2) if how == "transposed loss" else made
    np.testing.assert_allclose(made.numpy(), want, atol=1e-5)


class Continued(nn.Module):
    """One that goes on from a state of two layers, which is taken apart for their nodes."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, H, 2, batch_first=True), nn.Linear(H, 2)

    def forward(self, x, h, c):
        return self.head(self.rnn(x, (h, c))[0])


@pytest.mark.filterwarnings("ignore")
def test_a_state_of_several_layers_is_handed_in(tmp_path):
    path, x, state = tmp_path / "m.onnx", torch.randn(B, T, 3), torch.zeros(2, B, H)
    torch.onnx.export(Continued(), (x, state, state), str(path), dynamo=False, input_names=["x", "h", "c"])
    got = load_weights(path)
    assert got.not_scored is None and sum("here it starts at zero" in note for note in got.notes) == 4
    want = run(path, x=x.numpy(), h=state.numpy(), c=state.numpy())[0]
    np.testing.assert_allclose(got.model(x).detach().numpy(), want, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("order", [(-2, -1), (-1, -2), (0, 1)])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_each_directions_own_last_state_joined(tmp_path, layers, order, kind):
    torch.manual_seed(0)
    module, path = Classifier(f"both {order[0]} {order[1]}", layers, both=True, kind=kind).eval(), tmp_path / "m.onnx"
    tokens = torch.randint(0, 9, (B, T))
    try:
        torch.onnx.export(module, (tokens,), str(path), dynamo=False, input_names=["x"])
    except (TypeError, ImportError, RuntimeError) as error:
        pytest.skip(f"this PyTorch has no exporter that needs onnx alone: {error}")
    got = load_weights(path)
    assert got.lstm.bidirectional and got.lstm.num_layers == layers
    right = order == (-2, -1) or (order == (0, 1) and layers == 1)  # else the wrong way round, or the lowest layer
    assert (got.readout is not None) == right
    if right:
        with torch.no_grad():
            made = got.model(tokens)[:, -1]
        np.testing.assert_allclose(made.numpy(), run(path, x=tokens.numpy())[0], atol=1e-5)
        assert got.last_step


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0)])
def test_directions_taken_apart_and_joined_at_every_step(tmp_path, order):
    net = Net(9, direction="bidirectional")
    halves = []
    for k in order:
        net.at = "Y"
        halves.append(net.add("Gather", np.array(k), axis=1).at)
    net.at = halves[0]
    path = net.add("Concat", halves[1], axis=2).linear(2).write(tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    want, got = run(path, X=x)[0], load_weights(path)
    assert (got.readout is not None) == (order == (0, 1))
    if got.readout is not None:
        np.testing.assert_allclose(ours(got, x), want.transpose(1, 0, 2), atol=1e-5)
