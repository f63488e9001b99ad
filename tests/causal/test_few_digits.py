"""Networks in 16-bit numbers: what is said of them is what is said of the same network in 32 bits, but for rounding."""

import copy
import logging

import pytest
import torch
from torch import nn

import lstm_probe as lp

HALVES = (torch.bfloat16, torch.float16)


class Reads(nn.Module):
    """An LSTM and its readout; what it is handed a step before goes past the state, where that is wanted."""

    def __init__(self, past: float = 0.0):
        super().__init__()
        self.lstm, self.readout, self.past = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 1), past

    def forward(self, inputs):
        return self.readout(self.lstm(inputs)[0]) + self.past * inputs[..., :1].roll(1, dims=1)


def network(seed, kind, past=0.0):
    torch.manual_seed(seed)
    model, inputs = Reads(past), torch.randn(40, 9, 3)
    model = copy.deepcopy(model).to(kind)
    with torch.no_grad():
        made = model(inputs.to(kind)).float()
    signals = {"sum": inputs[..., 0].cumsum(1)}
    return model, lp.Batch.make(inputs.to(kind), signals, targets={"y": made[..., 0]})


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("seed", range(3))
def test_units_of_few_digits_are_merged_as_those_of_many(seed, kind):
    used = [lp.used_units(*network(seed, one), orders=0).attrs["used"]["all"]["used"] for one in (torch.float32, kind)]
    assert used[0] == used[1]


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("past", [0.0, 0.5])
def test_rounding_is_no_memory_beside_the_state(kind, past, caplog):
    with caplog.at_level(logging.WARNING):
        lp.patch_units(*network(0, kind, past))
    assert ("is not all that the module remembers" in caplog.text) == (past > 0)
