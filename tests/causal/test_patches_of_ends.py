"""Interchange in layers that read both ways, whose outputs are read at their ends."""

import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.causal.following import ANY


def test_what_reads_both_ends_once_is_moved_by_the_states_of_both_directions():
    """One output for each sequence, of h after the last step and, backward, after the first."""

    class Ends(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.lstm = nn.LSTM(2, 3, batch_first=True, bidirectional=True).double()
            self.weights = torch.randn(6, dtype=torch.float64)

        def forward(self, x):
            h = self.lstm(x)[1][0]
            return (torch.cat([h[0], h[1]], dim=1) @ self.weights).unsqueeze(1)

    model = Ends()
    x = torch.randn(40, 9, 2, dtype=torch.float64)
    batch = lp.Batch.make(x, targets={"y": model(x)[:, 0].detach()})
    given = torch.roll(torch.arange(40), 1)
    table = lp.patch_units(model, batch, steps=[2], after=[1], donors=given)
    backward = nn.LSTM(2, 3, batch_first=True).double()  # on the steps before, from the other sequence's state
    backward.load_state_dict({key.removesuffix("_reverse"): own for key, own in model.lstm.state_dict().items()
                              if key.endswith("_reverse")})  # fmt: skip
    later, before = (part.flip(1) for part in (x[:, 2:], x[:, :2]))
    with torch.no_grad():
        h, c = backward(later)[1]
        changed = []
        for unit in (0, 1, 2, slice(None)):
            put = c.clone()
            put[..., unit] = c[:, given][..., unit]
            # Of one unit c is put in, and h follows by its own output gate.
            gate = h / c.tanh()
            start = (gate * put.tanh() if unit != slice(None) else h[:, given]), put
            changed.append((backward(before, start)[1][0] - backward(before, (h, c))[1][0])[0] @ model.weights[3:])
    own = table[(table.signal == ANY) & (table.direction == "reverse")].set_index("unit")["moved"]
    whole = changed[-1]
    for unit in range(3):
        assert own[unit] == pytest.approx(float((changed[unit] * whole).sum() / (whole * whole).sum()), abs=1e-9)
