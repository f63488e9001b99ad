"""Clamps in the kernel's weights against a plain loop over steps, in every place where an LSTM can have a unit."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.causal.clamping import Clamp, clamping
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder.backward import BackwardLSTM

N, TIME = 3, 7
SHAPES = [
    {}, {"bias": False}, {"proj_size": 2}, {"num_layers": 2}, {"num_layers": 3, "proj_size": 3, "bias": False},
    {"bidirectional": True}, {"bidirectional": True, "num_layers": 2, "proj_size": 2},
]  # fmt: skip


def layer_loop(lstm, layer, reverse, x, length, h, c, clamp):
    """One sequence, one step at a time, in one direction, with one unit's variable held at a value."""
    suffix = f"_l{layer}" + "_reverse" * reverse
    own = {name: getattr(lstm, name + suffix, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    out = torch.zeros(TIME, lstm.proj_size or lstm.hidden_size, dtype=x.dtype)
    for t in reversed(range(length)) if reverse else range(length):
        pre = own["weight_ih"] @ x[t] + own["weight_hh"] @ h
        if lstm.bias:
            pre = pre + own["bias_ih"] + own["bias_hh"]
        i, f, g, o = pre.chunk(4)
        v = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
        if clamp is not None and clamp.variable in v:
            v[clamp.variable][clamp.unit] = clamp.value
        c = v["f"] * c + v["i"] * v["g"]
        if clamp is not None and clamp.variable == "c":
            c[clamp.unit] = clamp.value
        h = v["o"] * c.tanh()
        if lstm.proj_size:
            h = getattr(lstm, f"weight_hr{suffix}") @ h
        if clamp is not None and clamp.variable == "h":
            h[clamp.unit] = clamp.value
        out[t] = h
    return out, h, c


def clamped_loop(lstm, x, lengths, state, clamp):
    """Every layer and direction, one sequence at a time: h of every step, and the last h and c of each."""
    directions = 1 + lstm.bidirectional
    shown, last = [], []
    for s in range(len(x)):
        below, ends = x[s], []
        for layer in range(lstm.num_layers):
            tops = []
            for side in range(directions):
                k = layer * directions + side
                here = clamp is not None and (clamp.layer, clamp.direction) == (layer, ("forward", "reverse")[side])
                out, *end = layer_loop(
                    lstm, layer, bool(side), below, int(lengths[s]), state[0][k, s], state[1][k, s],
                    clamp if here else None,
                )  # fmt: skip
                tops.append(out)
                ends.append(end)
            below = torch.cat(tops, dim=-1)
        shown.append(below)
        last.append(ends)
    ends = [torch.stack([torch.stack([one[k][v] for one in last]) for k in range(len(last[0]))]) for v in (0, 1)]
    return torch.stack(shown), *ends


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("packed", [False, True])
@torch.no_grad()
def test_a_clamp_is_a_clamp_at_every_step_of_a_loop(shape, variable, packed):
    torch.manual_seed(4)
    lstm = nn.LSTM(2, 5, batch_first=True, **shape).double()
    directions = 1 + lstm.bidirectional
    parts, outputs = lstm.num_layers * directions, lstm.proj_size or 5
    x = torch.randn(N, TIME, 2, dtype=torch.float64)
    lengths = torch.tensor([4, TIME, 2]) if packed else torch.tensor([TIME] * N)
    state = torch.randn(parts, N, outputs).double(), torch.randn(parts, N, 5).double()
    given = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False) if packed else x
    for layer in range(lstm.num_layers):
        for direction in ("forward", "reverse")[:directions]:
            clamp = Clamp(layer, direction, variable, 1, -0.3 if variable in "hcg" else 0.3)
            with clamping(lstm, clamp) as calls:
                h, (last, memory) = lstm(given, state)
            assert calls.made == 1
            h = pad_packed_sequence(h, batch_first=True)[0] if packed else h
            want, want_last, want_memory = clamped_loop(lstm, x, lengths, state, clamp)
            torch.testing.assert_close(h, want, rtol=0, atol=1e-12)
            torch.testing.assert_close(last, want_last, rtol=0, atol=1e-12)
            known = ~memory.isnan()
            torch.testing.assert_close(memory[known], want_memory[known], rtol=0, atol=1e-12)
            assert int((~known).sum()) == (N if variable == "h" and not lstm.proj_size else 0)
    with clamping(lstm, None):
        again = lstm(x, state)[0]
    torch.testing.assert_close(again, lstm(x, state)[0], rtol=0, atol=1e-14)
    assert not lstm._forward_hooks and not lstm._forward_pre_hooks


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_a_cell_in_a_loop_is_a_layer(variable, bias):
    torch.manual_seed(1)
    cell, lstm = nn.LSTMCell(2, 5, bias=bias).double(), nn.LSTM(2, 5, bias=bias).double()
    lstm.load_state_dict({f"{name}_l0": values for name, values in cell.state_dict().items()})
    x, state, shown = torch.randn(TIME, N, 2).double(), None, []
    with clamping(cell, Clamp(0, "forward", variable, 3, 0.25)) as calls:
        for step in x:
            state = cell(step, state)
            shown.append(state[0])
    with clamping(lstm, Clamp(0, "forward", variable, 3, 0.25)):
        whole = lstm(x)[0]
    assert calls.made == TIME
    torch.testing.assert_close(torch.stack(shown), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("gate", ["i", "f", "o"])
@torch.no_grad()
def test_a_gate_that_is_shut_or_open_is_so_exactly(gate, value):
    torch.manual_seed(0)
    lstm, x = nn.LSTM(2, 4, batch_first=True), torch.randn(N, TIME, 2)
    with clamping(lstm, Clamp(0, "forward", gate, 2, value)):
        h, (_, c) = lstm(x)
    zeros = torch.zeros(1, N, 4)
    want, _, memory = clamped_loop(lstm, x, [TIME] * N, (zeros, zeros), Clamp(0, "forward", gate, 2, value))
    torch.testing.assert_close(h, want, rtol=0, atol=1e-6)
    torch.testing.assert_close(c, memory, rtol=0, atol=1e-6)
    if value == 0 and gate != "f":
        assert not h[..., 2].any()


@torch.no_grad()
def test_an_lstm_that_reads_backward():
    torch.manual_seed(0)
    lstm, x = BackwardLSTM(2, 4, batch_first=True).double(), torch.randn(N, TIME, 2).double()
    forward = nn.LSTM(2, 4, batch_first=True).double()
    forward.load_state_dict(lstm.state_dict())
    clamp = Clamp(0, "reverse", "c", 1, 0.7)
    with clamping(lstm, clamp):
        h = lstm(x)[0]
    with clamping(forward, Clamp(0, "forward", "c", 1, 0.7)):
        want = forward(x.flip(1))[0].flip(1)
    torch.testing.assert_close(h, want, rtol=0, atol=1e-12)
