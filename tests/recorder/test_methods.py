"""Both methods of recording a layer, in blocks of any size, against a plain loop over steps."""

import pytest
import torch
from torch import nn

from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder import exact, kernel, record
from tests.recorder.test_exact import step_loop

UNITS, TIME, SEQUENCES = 6, 9, 3


@pytest.mark.parametrize("variables", [VARIABLES, ("c",), ("f", "o"), ("h", "c", "g")], ids="".join)
@pytest.mark.parametrize("steps_in_a_block", [1, 4, 100])
@pytest.mark.parametrize("method", ["by_product", "by_steps"])
@pytest.mark.parametrize("options", [{}, {"proj_size": 2}, {"bias": False}], ids=str)
def test_a_layer_equals_a_step_loop(monkeypatch, options, method, steps_in_a_block, variables):
    """Nine steps are one block, or three of which the last is short, or nine."""
    needed = [v for v in "ifgo" if v in variables or (v != "o" and "c" in variables)]
    gates = 4 if method == "by_steps" else len(needed)
    monkeypatch.setattr(exact, "BLOCK_BYTES", steps_in_a_block * SEQUENCES * gates * UNITS * 8)
    torch.manual_seed(2)
    lstm = nn.LSTM(4, UNITS, batch_first=True, **options).double()
    x = torch.randn(SEQUENCES, TIME, 4, dtype=torch.float64)
    h0 = torch.randn(1, SEQUENCES, lstm.proj_size or UNITS, dtype=torch.float64)
    c0 = torch.randn(1, SEQUENCES, UNITS, dtype=torch.float64)
    with torch.no_grad():
        truth = step_loop(lstm, x, [TIME] * SEQUENCES, h0, c0)[0, "forward"]
        state = h0[0], c0[0]
        got = getattr(exact, method)(exact.Weights.of(lstm), x.transpose(0, 1).contiguous(), state, variables)
    assert set(got) == {"h", *variables}
    for name, values in got.items():
        torch.testing.assert_close(values.transpose(0, 1), truth[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("step_size", "used"), [(1, "by_steps"), (10**9, "by_product")])
def test_a_large_step_is_recorded_by_steps_and_a_small_one_by_a_product(monkeypatch, step_size, used):
    calls = []
    for name in ("by_steps", "by_product"):
        own = getattr(exact, name)
        monkeypatch.setattr(exact, name, lambda *args, name=name, own=own: calls.append(name) or own(*args))
    monkeypatch.setattr(exact, "STEP_SIZE", step_size)
    monkeypatch.setattr(kernel.Arguments, "lower", lambda *_: [])  # as of a module that does not run the kernel
    torch.manual_seed(2)
    lstm = nn.LSTM(4, UNITS, 2, batch_first=True, bidirectional=True)
    x = torch.randn(SEQUENCES, TIME, 4)
    lengths = [TIME, 2, 5]
    rec = record(lstm, x, lengths=lengths)
    assert calls == [used] * 2 + ["by_product"] * 2  # the top layer showed its h
    zeros = torch.zeros(4, SEQUENCES, UNITS)
    with torch.no_grad():
        truth = step_loop(lstm, x, [TIME] * SEQUENCES, zeros, zeros)
    for key, variables in truth.items():
        for name, expected in variables.items():
            torch.testing.assert_close(rec[key][name][rec.mask], expected[rec.mask], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_added_up_as_the_kernel_adds_them(dtype):
    """A memory that grows by a little in every step: with 16 bits it stops growing, and so does the recorded one."""
    torch.manual_seed(0)
    lstm = nn.LSTM(1, 2, batch_first=True)
    with torch.no_grad():
        for values in lstm.parameters():
            values.zero_()
        lstm.bias_ih_l0[:4] = 30.0  # everything is written, nothing forgotten
        lstm.bias_ih_l0[4:6] = 0.003
    lstm, x = lstm.to(dtype), torch.zeros(1, 1000, 1, dtype=dtype)
    rec = record(lstm, x)
    assert rec.c.dtype == dtype
    for steps in (1, 10, 400, 1000):
        last = lstm(x[:, :steps])[1][1][0, 0].detach()
        torch.testing.assert_close(rec.c[0, steps - 1], last, rtol=1e-2, atol=0)
