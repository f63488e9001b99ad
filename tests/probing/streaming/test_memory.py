"""The memory curves of a stream, against those of the same recording in memory."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.memory import memory_curves
from tests.probing.streaming.shards import Stream

KEYS = ["layer", "direction", "variable", "unit", "signal", "kind", "role", "metric", "lag"]


def recorded(time=14):
    rng = torch.Generator().manual_seed(0)
    x, lengths = torch.randn(80, time, 2, generator=rng), torch.randint(6, time + 1, (80,), generator=rng)
    torch.manual_seed(1)
    rec = lp.record(nn.LSTM(2, 4, batch_first=True), x, lengths=lengths, variables=("h", "c"))
    total = x.cumsum(1)
    return rec, {
        "sum": total[..., 0],
        "side": total[..., 1] > 0,
        "state": (total > 0).long() @ torch.tensor([1, 2]),
        "flat": np.full((80, time), 2.5),
    }


@pytest.mark.parametrize("names", [["sum", "side", "state", "flat"], ["sum"], ["state"]])
def test_the_curves_are_those_of_memory(names):
    rec, signals = recorded()
    own = {name: signals[name] for name in names}
    memory = memory_curves(rec, own, untrained=2, variables=None)
    stream = memory_curves(Stream(rec, own, [33, 20, 27]), untrained=2, variables=None)
    pd.testing.assert_frame_equal(stream[KEYS], memory[KEYS])
    assert tuple(stream.columns) == tuple(memory.columns) and memory.lag.nunique() > 3
    off = stream.attrs["auroc_error"]
    ranked = memory.metric != "r2"
    for column in ("score", "effect", "untrained", "input_only", "time_only", "signal_itself"):
        bound = 1e-12 + (off if column == "score" else 2 * off) + (2e-4 if column == "untrained" else 0)
        apart = (stream[column] - memory[column]).abs()
        same = (apart <= np.where(ranked, bound, 1e-9)) | (stream[column].isna() & memory[column].isna())
        assert same.all(), column
    assert off < 1e-3


def test_bad_input_is_named():
    rec, signals = recorded()
    with pytest.raises(InputError, match=r"untrained=0"):
        memory_curves(Stream(rec, signals, [80]), untrained=0)
    with pytest.raises(InputError, match="there are no shards"):
        memory_curves(Stream(rec, signals, []))
