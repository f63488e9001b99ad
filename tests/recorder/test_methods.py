"""Recording a layer, in blocks of any size, by products of either library, against a plain loop over steps."""

import pytest
import torch
from torch import nn

from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder import exact, kernel, record
from tests.recorder.test_exact import step_loop

UNITS, TIME, SEQUENCES = 6, 9, 3


@pytest.mark.parametrize("variables", [VARIABLES, ("c",), ("f", "o"), ("h", "c", "g")], ids="".join)
@pytest.mark.parametrize("steps_in_a_block", [1, 4, 100])
@pytest.mark.parametrize(("dtype", "by_onednn"), [(torch.float64, True), (torch.float32, True), (torch.float32, False)])
@pytest.mark.parametrize("options", [{}, {"proj_size": 2}, {"bias": False}], ids=str)
def test_a_layer_equals_a_step_loop(monkeypatch, options, dtype, by_onednn, steps_in_a_block, variables):
    """Nine steps are one block, or three of which the last is short, or nine; products are of either library."""
    monkeypatch.setattr(exact, "BLOCK_BYTES", steps_in_a_block * SEQUENCES * UNITS * dtype.itemsize)
    torch.manual_seed(2)
    lstm = nn.LSTM(4, UNITS, batch_first=True, **options).to(dtype)
    x = torch.randn(SEQUENCES, TIME, 4, dtype=dtype)
    h0 = torch.randn(1, SEQUENCES, lstm.proj_size or UNITS, dtype=dtype)
    c0 = torch.randn(1, SEQUENCES, UNITS, dtype=dtype)
    seen = []
    onednn = torch.Tensor.to_mkldnn
    monkeypatch.setattr(torch.Tensor, "to_mkldnn", lambda values: seen.append(values) or onednn(values))
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", by_onednn)
    with torch.no_grad():
        truth = step_loop(lstm, x, [TIME] * SEQUENCES, h0, c0)[0, "forward"]
        state = h0[0], c0[0]
        got = exact.by_product(exact.Weights.of(lstm), x.transpose(0, 1).contiguous(), state, variables)
    assert set(got) == {"h", *variables}
    assert bool(seen) == (by_onednn and dtype == torch.float32)
    for name, values in got.items():
        torch.testing.assert_close(values.transpose(0, 1), truth[name], rtol=0, atol=10 * torch.finfo(dtype).eps)


def test_small_values_of_g_are_as_exact_as_large_ones():
    torch.manual_seed(0)
    lstm = nn.LSTM(4, UNITS, batch_first=True)
    with torch.no_grad():
        for values in lstm.parameters():
            values.mul_(1e-4)
    x = torch.randn(SEQUENCES, TIME, 4)
    got = record(lstm, x).g.double()
    wide = nn.LSTM(4, UNITS, batch_first=True).double()
    wide.load_state_dict(lstm.state_dict())
    zeros = torch.zeros(1, SEQUENCES, UNITS, dtype=torch.float64)
    with torch.no_grad():
        truth = step_loop(wide, x.double(), [TIME] * SEQUENCES, zeros, zeros)[0, "forward"]["g"]
    assert truth.abs().max() < 1e-3
    torch.testing.assert_close(got, truth, rtol=1e-5, atol=1e-10)


def test_layers_and_directions_that_the_kernel_did_not_show_equal_a_step_loop(monkeypatch):
    monkeypatch.setattr(kernel.Arguments, "lower", lambda *_: [])  # as of a module that does not run the kernel
    torch.manual_seed(2)
    lstm = nn.LSTM(4, UNITS, 2, batch_first=True, bidirectional=True)
    x = torch.randn(SEQUENCES, TIME, 4)
    lengths = [TIME, 2, 5]
    rec = record(lstm, x, lengths=lengths)
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
