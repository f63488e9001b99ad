"""What stands behind a sequence's end changes nothing, of modules that run on there as of those that pack."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.core.signal import Batch

NET = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=3, seed=0)
ASKED = {
    "memory_flow": lp.memory_flow,
    "erase_signals": lambda model, batch: lp.erase_signals(model, batch, batch.signals),
    "steer": lambda model, batch: lp.steer(model, batch, batch.signals),
    "patch_units": lambda model, batch: lp.patch_units(model, batch, batch.signals),
    "ablate_units": lambda model, batch: lp.ablate_units(model, batch, bootstrap=50),
    "compare_modes": lambda model, batch: lp.compare_modes(model, batch, bootstrap=50),
}


class Packing(nn.Module):
    """The same network, which never sees what is behind a sequence's end."""

    def __init__(self):
        super().__init__()
        self.lstm, self.readout = NET.model.lstm, NET.model.readout

    def forward(self, inputs, lengths):
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=inputs.shape[1])
        return self.readout(h)


def padded(value):
    """Sequences of 5 to 20 steps, with a value in every place behind their ends."""
    batch = NET.sample(64, length=20, seed=1)
    lengths = torch.randint(5, 21, (64,), generator=torch.Generator().manual_seed(3))
    behind = torch.arange(20) >= lengths.unsqueeze(1)

    def put(values):
        values = values.clone()
        values[behind] = value
        return values

    signals = {name: replace(one, values=put(one.values)) for name, one in batch.signals.items()}
    targets = {name: put(values) for name, values in batch.targets.items()}
    return Batch(put(batch.inputs), targets, batch.target_specs, lengths, signals)


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_behind_a_sequences_end_changes_nothing(asked):
    plain, junk = (ASKED[asked](NET.model, padded(value)) for value in (0.0, 3.0))
    pd.testing.assert_frame_equal(plain, junk, atol=1e-6)
    packed = ASKED[asked](Packing(), padded(3.0))
    pd.testing.assert_frame_equal(*map(shown, (plain, packed)), atol=1e-5)


def shown(table):
    """The rows but for those of readers that hear nothing, some of which are listed by rounding."""
    unheard = (table["link"] == "read") & (table["effect"] < 1e-4) if "link" in table else [False] * len(table)
    return table[~pd.Series(unheard)].reset_index(drop=True)
