"""Clamps in the kernel's weights against a plain loop over steps, in every place where an LSTM can have a unit."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.causal.clamp import Clamp
from lstm_probe.causal.clamping import clamping
from lstm_probe.causal.donors import tracing
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder.backward import BackwardLSTM

N, TIME = 3, 7
SHAPES = [
    {}, {"bias": False}, {"proj_size": 2}, {"num_layers": 2}, {"num_layers": 3, "proj_size": 3, "bias": False},
    {"bidirectional": True}, {"bidirectional": True, "num_layers": 2, "proj_size": 2},
]  # fmt: skip


def layer_loop(lstm, layer, reverse, x, length, h, c, clamp, donor):
    """One sequence, one step at a time, in one direction, with units' variable held at values; what each step did."""
    suffix = f"_l{layer}" + "_reverse" * reverse
    own = {name: getattr(lstm, name + suffix, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    did = [{} for _ in range(TIME)]
    for t in reversed(range(length)) if reverse else range(length):

        def held(v, name, t=t):
            if clamp is not None and clamp.variable == name and (clamp.window is None or t in range(*clamp.window)):
                to = v.new_tensor(clamp.values) if clamp.values is not None else donor[t][name][list(clamp.units)]
                v[list(clamp.units)] = to
            did[t][name] = v
            return v

        pre = own["weight_ih"] @ x[t] + own["weight_hh"] @ h
        if lstm.bias:
            pre = pre + own["bias_ih"] + own["bias_hh"]
        i, f, g, o = pre.chunk(4)
        i, f, g, o = held(i.sigmoid(), "i"), held(f.sigmoid(), "f"), held(g.tanh(), "g"), held(o.sigmoid(), "o")
        c = held(f * c + i * g, "c")
        h = o * c.tanh()
        if lstm.proj_size:
            h = getattr(lstm, f"weight_hr{suffix}") @ h
        h = held(h, "h")
    return did, h, c


def clamped_loop(lstm, x, lengths, state, clamps, donors=None):
    """Every layer and direction, one sequence at a time: h of every step, the last h and c of each, and all steps."""
    clamps = clamps if isinstance(clamps, list) else [clamps]
    directions = 1 + lstm.bidirectional
    shown, last, every = [], [], {}
    for s in range(len(x)):
        below, ends = x[s], []
        for layer in range(lstm.num_layers):
            tops = []
            for side in range(directions):
                k = layer * directions + side
                place = (layer, ("forward", "reverse")[side])
                here = [one for one in clamps if one is not None and (one.layer, one.direction) == place]
                did, *end = layer_loop(
                    lstm, layer, bool(side), below, int(lengths[s]), state[0][k, s], state[1][k, s],
                    here[0] if here else None, donors and donors[s, k],
                )  # fmt: skip
                every[s, k] = did
                nothing = torch.zeros(lstm.proj_size or lstm.hidden_size, dtype=x.dtype)
                tops.append(torch.stack([step.get("h", nothing) for step in did]))
                ends.append(end)
            below = torch.cat(tops, dim=-1)
        shown.append(below)
        last.append(ends)
    ends = [torch.stack([torch.stack([one[k][v] for one in last]) for k in range(len(last[0]))]) for v in (0, 1)]
    return torch.stack(shown), *ends, every


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
            clamp = Clamp(layer, direction, variable, (1,), (-0.3 if variable in "hcg" else 0.3,))
            with clamping(lstm, [clamp]) as calls:
                h, (last, memory) = lstm(given, state)
            assert calls.made == 1
            h = pad_packed_sequence(h, batch_first=True)[0] if packed else h
            want, want_last, want_memory, _ = clamped_loop(lstm, x, lengths, state, clamp)
            torch.testing.assert_close(h, want, rtol=0, atol=1e-12)
            torch.testing.assert_close(last, want_last, rtol=0, atol=1e-12)
            known = ~memory.isnan()
            torch.testing.assert_close(memory[known], want_memory[known], rtol=0, atol=1e-12)
            assert int((~known).sum()) == (N if variable == "h" and not lstm.proj_size else 0)
    with clamping(lstm, []):
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
    with clamping(cell, [Clamp(0, "forward", variable, (3,), (0.25,))]) as calls:
        for step in x:
            state = cell(step, state)
            shown.append(state[0])
    with clamping(lstm, [Clamp(0, "forward", variable, (3,), (0.25,))]):
        whole = lstm(x)[0]
    assert calls.made == TIME
    torch.testing.assert_close(torch.stack(shown), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("gate", ["i", "f", "o"])
@torch.no_grad()
def test_a_gate_that_is_shut_or_open_is_so_exactly(gate, value):
    torch.manual_seed(0)
    lstm, x = nn.LSTM(2, 4, batch_first=True), torch.randn(N, TIME, 2)
    with clamping(lstm, [Clamp(0, "forward", gate, (2,), (value,))]):
        h, (_, c) = lstm(x)
    zeros = torch.zeros(1, N, 4)
    clamp = Clamp(0, "forward", gate, (2,), (value,))
    want, _, memory, _ = clamped_loop(lstm, x, [TIME] * N, (zeros, zeros), clamp)
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
    clamp = Clamp(0, "reverse", "c", (1,), (0.7,))
    with clamping(lstm, [clamp]):
        h = lstm(x)[0]
    with clamping(forward, [Clamp(0, "forward", "c", (1,), (0.7,))]):
        want = forward(x.flip(1))[0].flip(1)
    torch.testing.assert_close(h, want, rtol=0, atol=1e-12)


def packed_as(lengths, x):
    """Sequences of these lengths, packed unless they are all of one."""
    if min(lengths) == TIME:
        return x
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)


WINDOWS = [None, (0, 3), (2, 5), (3, 4), (4, TIME), (0, TIME), (6, TIME)]


@pytest.mark.parametrize("resample", [False, True])
@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_sets_windows_and_values_of_other_sequences_are_those_of_a_loop(shape, variable, resample):
    """Two units of each of up to two layers and directions at once; packed and not, from states of their own."""
    torch.manual_seed(5)
    lstm = nn.LSTM(2, 5, batch_first=True, **shape).double()
    directions = 1 + lstm.bidirectional
    parts, outputs = lstm.num_layers * directions, lstm.proj_size or 5
    x, other = torch.randn(2, N, TIME, 2, dtype=torch.float64)
    state, others = [(torch.randn(parts, N, outputs).double(), 2 * torch.randn(parts, N, 5).double()) for _ in range(2)]
    places = [(k // directions, ("forward", "reverse")[k % directions]) for k in range(parts)]
    values = None if resample else ((-0.3, 0.6) if variable in "hcg" else (0.3, 0.9))
    for lengths in ([TIME] * N, [4, TIME, 2]):
        pack = partial(packed_as, lengths)
        with tracing(lstm) as trace:
            lstm(pack(other), others)
        donors = clamped_loop(lstm, other, lengths, others, None)[-1]
        for window in WINDOWS:
            for chosen in ([places[0]], [places[-1]], places[:2]):
                clamps = [Clamp(*place, variable, (1, 0), values, window) for place in chosen]
                with clamping(lstm, clamps, trace if resample else None):
                    h, (last, memory) = lstm(pack(x), state)
                h = pad_packed_sequence(h, batch_first=True)[0] if lengths[0] < TIME else h
                want, want_last, want_memory, _ = clamped_loop(lstm, x, lengths, state, clamps, donors)
                torch.testing.assert_close(h, want, rtol=0, atol=1e-12)
                torch.testing.assert_close(last, want_last, rtol=0, atol=1e-12)
                known = ~memory.isnan()
                torch.testing.assert_close(memory[known], want_memory[known], rtol=0, atol=1e-12)
                assert bool(known.all()) or (variable == "h" and window is None and not resample)


@pytest.mark.parametrize("resample", [False, True])
@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("window", [None, (2, 5), (0, 1)])
@torch.no_grad()
def test_cells_and_calls_in_pieces_are_as_one_call(variable, window, resample):
    torch.manual_seed(1)
    cell, lstm = nn.LSTMCell(2, 5).double(), nn.LSTM(2, 5).double()
    lstm.load_state_dict({f"{name}_l0": values for name, values in cell.state_dict().items()})
    x, other = torch.randn(2, TIME, N, 2).double()
    clamp = Clamp(0, "forward", variable, (3, 1), None if resample else (0.25, 0.5), window)

    def steps(given):
        state, shown = None, []
        for step in given:
            state = cell(step, state)
            shown.append(state[0])
        return torch.stack(shown)

    def pieces(given):
        h, state = lstm(given[:3])
        return torch.cat([h, lstm(given[3:], state)[0]])

    made = []
    for module, run in ((cell, steps), (lstm, pieces), (lstm, lambda given: lstm(given)[0])):
        with tracing(module) as trace:
            run(other)
        with clamping(module, [clamp], trace if resample else None):
            made.append(run(x))
    for one in made[:2]:
        torch.testing.assert_close(one, made[2], rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_window_needs_steps_and_donors_need_the_same_calls():
    torch.manual_seed(0)
    lstm, x = nn.LSTM(2, 4, batch_first=True), torch.randn(N, TIME, 2)
    with pytest.raises(InputError, match="calls its LSTM several times"), clamping(
        lstm, [Clamp(0, "forward", "c", (0,), (0.0,), (1, 3))]
    ):  # fmt: skip
        lstm(x)
        lstm(x.flip(1))
    with tracing(lstm) as trace:
        lstm(x[:, :5])
    with pytest.raises(InputError, match="calls its LSTM otherwise"), clamping(
        lstm, [Clamp(0, "forward", "c", (0,), None)], trace
    ):  # fmt: skip
        lstm(x)


@pytest.mark.parametrize("resample", [False, True])
@pytest.mark.parametrize("variable", VARIABLES)
@torch.no_grad()
def test_with_32_bits_rounding_is_that_of_a_loop(variable, resample):
    """At most four times as far from 64 bits as a loop with 32 bits is."""
    torch.manual_seed(3)
    precise = nn.LSTM(2, 5, batch_first=True, num_layers=2).double()
    lstm = nn.LSTM(2, 5, batch_first=True, num_layers=2)
    lstm.load_state_dict({name: values.float() for name, values in precise.state_dict().items()})
    precise.load_state_dict({name: values.double() for name, values in lstm.state_dict().items()})
    x, other = 2 * torch.randn(2, 4 * N, TIME, 2)
    zeros = torch.zeros(2, 4 * N, 5)
    values = None if resample else (0.25,)
    for window in (None, (2, 5)):
        clamp, lengths = Clamp(0, "forward", variable, (1,), values, window), [TIME] * 4 * N
        with tracing(lstm) as trace:
            lstm(other)
        with clamping(lstm, [clamp], trace):
            h = lstm(x)[0]
        runs = []
        for module, to in ((precise, torch.Tensor.double), (lstm, torch.Tensor.float)):
            start = to(zeros), to(zeros)
            donors = clamped_loop(module, to(other), lengths, start, None)[-1]
            runs.append(clamped_loop(module, to(x), lengths, start, clamp, donors)[0])
        assert float((h - runs[0]).abs().max()) <= 4 * float((runs[1] - runs[0]).abs().max())
