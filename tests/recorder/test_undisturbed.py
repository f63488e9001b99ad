"""Recording takes what goes in as it goes in, and leaves no trace of itself."""

import torch
from torch import nn

from lstm_probe.recorder import record, recording


class Reuses(nn.Module):
    """Adds noise to its input, and overwrites what its LSTM read and began with as soon as it is done with it."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x, noise=0.0):
        x = x + noise * torch.randn(x.shape)
        state = torch.ones(1, len(x), 4), torch.ones(1, len(x), 4)
        h, _ = self.rnn(x, state)
        x.zero_()
        for values in state:
            values.zero_()
        return h


def test_what_a_module_overwrites_later_was_recorded_before():
    torch.manual_seed(0)
    model, x = Reuses(), torch.randn(2, 5, 3)
    rec = record(model, x)
    state = torch.ones(1, 2, 4), torch.ones(1, 2, 4)
    expected = model.rnn(x, state)[0].detach()
    assert torch.equal(rec.inputs, x)
    torch.testing.assert_close(rec.h, expected, rtol=0, atol=1e-6)


def test_what_a_cells_caller_overwrites_later_was_recorded_before():
    torch.manual_seed(0)
    cell, xs, x = nn.LSTMCell(3, 4), torch.randn(6, 2, 3), torch.empty(2, 3)
    with recording(cell) as rec, torch.no_grad():
        state = None
        for step in xs:
            state = cell(x.copy_(step), state)  # one piece of memory for all steps
    assert torch.equal(rec.inputs.transpose(0, 1), xs)
    torch.testing.assert_close(rec.h[:, -1], state[0], rtol=0, atol=1e-6)


def test_a_module_that_draws_leaves_the_random_state_as_it_was():
    model, x = Reuses(), torch.randn(2, 5, 3)
    before = torch.get_rng_state()
    one = record(model, (x, 1.0))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(one.inputs, x) and torch.equal(record(model, (x, 1.0)).inputs, one.inputs)
