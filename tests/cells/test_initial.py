"""How networks of other cells begin: the same ways, by their own blocks of rows."""

import pytest
import torch

import lstm_probe as lp
from lstm_probe.cells.known import NAMES
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.config import LSTMConfig, make_layers
from lstm_probe.recorder.initial import initialise

UNITS, INPUTS = 24, 5


def begun(cell, init, forget_bias=None):
    torch.manual_seed(0)
    return initialise(make_layers(lp.get_cell(cell), INPUTS, UNITS, 2), init, forget_bias)


@pytest.mark.parametrize("cell", NAMES)
def test_keras_and_orthogonal_weights(cell):
    blocks = len(lp.get_cell(cell).blocks)
    whole, each = begun(cell, "keras"), begun(cell, "orthogonal")
    for layer in range(2):
        w = getattr(whole, f"weight_hh_l{layer}").detach()
        torch.testing.assert_close(w.T @ w, torch.eye(UNITS), atol=1e-5, rtol=0)
        for part in getattr(each, f"weight_hh_l{layer}").detach().chunk(blocks):
            torch.testing.assert_close(part @ part.T, torch.eye(UNITS), atol=1e-5, rtol=0)
        wide = INPUTS if layer == 0 else UNITS
        limit = (6 / (wide + blocks * UNITS)) ** 0.5
        w = getattr(whole, f"weight_ih_l{layer}")
        assert 0.9 * limit < float(w.detach().abs().max()) <= limit


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("init", ["keras", "tf1", "orthogonal"])
def test_biases_are_zero_but_for_a_forget_gate_of_its_own(cell, init):
    known = lp.get_cell(cell)
    module = begun(cell, init)
    bias = (module.bias_ih_l0 + module.bias_hh_l0).detach().view(len(known.blocks), UNITS)
    for name, values in zip(known.blocks, bias):
        assert torch.equal(values, torch.full_like(values, float(name == "f" == known.keeps and init != "orthogonal")))


@pytest.mark.parametrize(("cell", "gate"), [("gru", "z"), ("janet", "f"), ("lstm_peepholes", "f"), ("slstm", "f")])
def test_a_forget_bias_is_of_the_gate_that_keeps(cell, gate):
    known = lp.get_cell(cell)
    bias = begun(cell, "keras", 2.5).bias_ih_l0.detach().view(len(known.blocks), UNITS)
    assert [float(own.mean()) for own in bias] == [2.5 * (name == gate) for name in known.blocks]


@pytest.mark.parametrize(("cell", "init", "forget_bias", "message"), [
    ("rnn", "torch", 1.0, "an RNN has no forget gate of its own"),
    ("lstm_no_forget", "keras", 1.0, "no forget gate"),
    ("lstm_coupled", "torch", 1.0, "no forget gate of its own"),
    ("gru", "chrono", None, "biases of input and forget gates, and a GRU has not both"),
    ("janet", "chrono", None, "a JANET has not both"),
])  # fmt: skip
def test_what_a_cell_cannot_begin_with_is_refused(cell, init, forget_bias, message):
    with pytest.raises(InputError, match=message):
        begun(cell, init, forget_bias)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("bias", [True, False])
def test_networks_of_unknown_origin_have_usual_ones_beside_them(cell, bias):
    known = lp.get_cell(cell)
    usual = LSTMConfig(INPUTS, 3, 2, bias=bias, cell=known).usual
    assert [one.origin for one in usual][:2] == ["torch", "keras"]
    assert any(one.forget_bias for one in usual) == (bias and known.keeps == "f" and "f" in known.blocks)
    for one in usual:
        made = one.build(3, steps=20)
        assert LSTMConfig.of(made) == one
        same = one.build(3, steps=20)
        assert all(map(torch.equal, made.parameters(), same.parameters()))


@pytest.mark.parametrize("cell", ["gru", "rnn", "janet", "slstm", "lstm_layer_norm"])
def test_a_recording_is_compared_with_untrained_networks_of_its_own_kind(cell):
    torch.manual_seed(4)
    x = torch.randn(60, 10, 2)
    rec = lp.record(make_layers(lp.get_cell(cell), 2, 4), x)
    scores = lp.probe_units(rec, {"total": x[..., 0].cumsum(1)}, permutations=19, bootstrap=10, untrained=4)
    assert (scores["untrained"] > 0).all()
    given = [make_layers(lp.get_cell(cell), 2, 4) for _ in range(4)]
    lp.probe_units(rec, {"total": x[..., 0].cumsum(1)}, permutations=19, bootstrap=10, untrained=given)
    with pytest.raises(InputError, match="network 0 has cell=lstm, the recorded one"):
        other = [torch.nn.LSTM(2, 4, batch_first=True)]
        lp.probe_units(rec, {"total": x[..., 0].cumsum(1)}, permutations=19, bootstrap=10, untrained=other)
