"""Recording against a plain step loop, and against what `nn.LSTM` itself returns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder import record


def step_loop(lstm, x, lengths, h0, c0):
    """Every variable of every layer and direction, one sequence and one step at a time, by the textbook formulas.

    x: (sequence, time, feature); h0, c0: as nn.LSTM takes them. Steps beyond a sequence's length stay NaN.
    """
    directions = 2 if lstm.bidirectional else 1
    recorded, below = {}, x
    for layer in range(lstm.num_layers):
        tops = []
        for d in range(directions):
            suffix = f"_l{layer}" + ("_reverse" if d else "")
            w_ih, w_hh = getattr(lstm, "weight_ih" + suffix), getattr(lstm, "weight_hh" + suffix)
            bias = getattr(lstm, "bias_ih" + suffix) + getattr(lstm, "bias_hh" + suffix) if lstm.bias else 0.0
            width = dict.fromkeys(VARIABLES, lstm.hidden_size) | {"h": lstm.proj_size or lstm.hidden_size}
            out = {v: x.new_full((len(x), x.shape[1], size), torch.nan) for v, size in width.items()}
            for s in range(len(x)):
                h, c = h0[layer * directions + d, s], c0[layer * directions + d, s]
                steps = range(int(lengths[s]))
                for t in reversed(steps) if d else steps:
                    pre = w_ih @ below[s, t] + w_hh @ h + bias
                    i, f, g, o = pre.chunk(4)
                    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                    c = f * c + i * g
                    h = o * c.tanh()
                    if lstm.proj_size:
                        h = getattr(lstm, "weight_hr" + suffix) @ h
                    for name, value in zip(VARIABLES, (h, c, i, f, g, o)):
                        out[name][s, t] = value
            recorded[layer, "reverse" if d else "forward"] = out
            tops.append(out["h"])
        below = torch.cat(tops, -1)
    return recorded


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.integers(1, 5),
    units=st.integers(1, 7),
    layers=st.integers(1, 3),
    projected=st.booleans(),
    bias=st.booleans(),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    packed=st.booleans(),
    states=st.booleans(),
    double=st.booleans(),
    n=st.integers(1, 4),
    time=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_all_variables_equal_a_step_loop(
    inputs, units, layers, projected, bias, bidirectional, batch_first, packed, states, double, n, time, seed
):
    torch.manual_seed(seed)
    dtype, tolerance = (torch.float64, 1e-10) if double else (torch.float32, 1e-5)
    projection = units - 1 if projected and units > 1 else 0
    lstm = nn.LSTM(
        inputs, units, layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional, proj_size=projection
    ).to(dtype)
    x = torch.randn(n, time, inputs, dtype=dtype)
    lengths = torch.randint(1, time + 1, (n,))
    parts = layers * (1 + bidirectional)
    h0 = torch.randn(parts, n, projection or units, dtype=dtype) * states
    c0 = torch.randn(parts, n, units, dtype=dtype) * states
    given = x if batch_first else x.transpose(0, 1)
    if packed:
        lengths[0] = time
        given = pack_padded_sequence(given, lengths, batch_first, enforce_sorted=False)
    rec = record(lstm, given, lengths=None if packed else lengths, state=(h0, c0) if states else None)
    with torch.no_grad():
        read = lengths if packed else torch.full((n,), time)  # what is not packed is read to its end
        truth = step_loop(lstm.double(), x.double(), read, h0.double(), c0.double())
    assert set(rec.parts) == set(truth)
    for key, variables in truth.items():
        for name, expected in variables.items():
            got = rec[key][name]
            assert got.dtype == dtype and got.shape == expected.shape
            assert torch.allclose(got[rec.mask].double(), expected[rec.mask], rtol=0, atol=tolerance), (key, name)


def test_h_is_what_the_module_returns_and_its_state_stays():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 6, 2, dropout=0.5).train()
    x = torch.randn(11, 4, 3)
    random_state = torch.get_rng_state()
    rec = record(lstm, x)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert lstm.training and all(p.grad is None for p in lstm.parameters())
    expected = lstm.eval()(x)[0].transpose(0, 1)
    torch.testing.assert_close(rec[1].h, expected, rtol=0, atol=1e-6)


def test_single_sequence_without_a_batch_axis():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4)
    x = torch.randn(7, 3)
    torch.testing.assert_close(record(lstm, x).c, record(lstm, x.unsqueeze(1)).c, rtol=0, atol=1e-6)


def test_only_what_is_asked_for():
    lstm = nn.LSTM(3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    rec = record(lstm, x, variables=("c",))
    assert rec[0].variables == ("c",)
    assert torch.equal(rec.c, record(lstm, x).c)
    with pytest.raises(InputError, match="variable=f: not recorded; there are c"):
        _ = rec.f


def test_which_layer_has_to_be_said():
    rec = record(nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), torch.randn(2, 5, 3))
    with pytest.raises(InputError, match=r"2 layers and 2 direction.*rec\[0\]\.c"):
        _ = rec.c
    assert rec[1, "reverse"].f.shape == (2, 5, 4)
    with pytest.raises(InputError, match=r'rec\[2, "forward"\]: no such layer'):
        rec[2]


@pytest.mark.parametrize(
    ("module", "inputs", "keywords", "message"),
    [
        (nn.Linear(3, 4), torch.zeros(2, 5, 3), {}, "Linear holds no LSTM: nn.LSTM, nn.GRU, nn.RNN, their cells"),
        (nn.GRU(3, 4), torch.zeros(2, 5, 3), {"variables": ["f"]}, "variables=f: must be among h r z n"),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 2), {}, r"takes \(time, sequence, feature\) with 3 features"),
        (nn.LSTM(3, 4), torch.zeros(0, 5, 3), {}, r"inputs of shape \(0, 5, 3\)"),
        (nn.LSTM(3, 4, batch_first=True), torch.zeros(2, 5, 3), {"lengths": [5, 0]}, "2 whole numbers from 1 to 5"),
        (nn.LSTM(3, 4, batch_first=True), torch.zeros(2, 5, 3), {"lengths": [5]}, "2 whole numbers from 1 to 5"),
        (nn.LSTM(3, 4, batch_first=True), torch.zeros(2, 5, 3), {"lengths": [5, 6]}, "from 1 to 5"),
        (nn.LSTM(3, 4, batch_first=True), torch.zeros(2, 5, 3), {"variables": ["c", "z"]}, "variables=z"),
    ],
)
def test_bad_input(module, inputs, keywords, message):
    with pytest.raises(InputError, match=message):
        record(module, inputs, **keywords)


def test_bad_values_are_named():
    x = torch.zeros(3, 5, 2)
    x[1, 4, 0] = torch.nan
    with pytest.raises(InputError, match="nan at sequence 1, step 4, feature 0"):
        record(nn.LSTM(2, 3, batch_first=True), x)
