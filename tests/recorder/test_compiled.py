"""Compiled modules, and parts of modules: recorded and changed as what they were compiled from."""

import copy

import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.rnn, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def part_put_back(model):
    model.rnn = torch.compile(model.rnn, backend="eager")
    return model


def part_in_place(model):
    model.rnn.compile(backend="eager")
    return model


WAYS = {"whole": lambda model: torch.compile(model, backend="eager"), "part": part_put_back, "in place": part_in_place}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_as_if_it_was_not_compiled(way):
    plain = Model().eval()
    x = torch.randn(24, 8, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = plain(x)[..., 0]
    compiled = WAYS[way](copy.deepcopy(plain))
    with torch.no_grad():
        compiled(x)  # it has been compiled before it is looked at
    assert torch.allclose(lp.record(compiled, x).c, lp.record(plain, x).c, atol=1e-6)
    with lp.recording(compiled) as rec:
        compiled(x)
    assert torch.allclose(rec.h, plain.rnn(x)[0], atol=1e-6)
    batch = lp.Batch.make(x, {"sum": x[..., 0].cumsum(1)}, targets={"y": y})
    for ask in (
        lambda model: lp.ablate_units(model, batch, bootstrap=20, together=False),
        lambda model: lp.patch_units(model, batch, steps=[3]),
        lambda model: lp.memory_flow(model, batch, steps=[2, 4], bootstrap=20),
    ):
        got, wanted = (pd.DataFrame(ask(model)) for model in (compiled, plain))
        pd.testing.assert_frame_equal(got, wanted, rtol=0, atol=1e-6)
