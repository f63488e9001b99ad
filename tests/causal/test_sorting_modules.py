"""Modules that sort their sequences before they pack them: what is clamped, moved and read is each sequence's own."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def by_itself(x, lengths):
    return x, lengths, torch.arange(len(x))


def by_torch(x, lengths):
    lengths, order = lengths.sort(descending=True)
    return x[order], lengths, order


def by_numpy(x, lengths):
    order = torch.from_numpy(np.argsort(-lengths.numpy()))
    return x.index_select(0, order), lengths[order], order


class Model(nn.Module):
    def __init__(self, made, how, enforce):
        super().__init__()
        torch.manual_seed(1)
        self.rnn, self.head = made(3, 4, batch_first=True), nn.Linear(4, 1)
        self.how, self.enforce = how, enforce

    def forward(self, x, lengths):
        x, lengths, order = self.how(x, lengths)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=self.enforce)
        h = pad_packed_sequence(
            (self.rnn(packed) if self.enforce else self.rnn(input=packed))[0], batch_first=True, total_length=x.shape[1]
        )[0]
        return self.head(h)[order.argsort()]


def batch_for(model):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 40, 3, generator=generator)
    lengths = torch.randperm(30, generator=generator) + 11
    with torch.no_grad():
        y = model(x, lengths)[..., 0]
    y[torch.arange(40) >= lengths.unsqueeze(1)] = 0
    signals = {"y": y, "sign": (x[..., 0] > 0).int().cumsum(1) % 2}
    return lp.Batch.make(x, signals, targets={"y": y}, lengths=lengths)


QUESTIONS = {
    "clamped": lambda model, batch: lp.ablate_units(model, batch, bootstrap=20),
    "of other sequences": lambda model, batch: lp.ablate_units(model, batch, mode="resample", bootstrap=20),
    "patched": lp.patch_units,
    "steered": lp.steer,
    "erased": lp.erase_signals,
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("made", "how", "enforce"), [(nn.LSTM, by_torch, True), (nn.GRU, by_numpy, False)])
def test_it_is_as_if_packing_sorted_by_itself(question, made, how, enforce):
    plain = Model(made, by_itself, False).eval()
    batch = batch_for(plain)
    ask = QUESTIONS[question]
    got, wanted = (ask(model, batch) for model in (Model(made, how, enforce).eval(), plain))
    pd.testing.assert_frame_equal(pd.DataFrame(got), pd.DataFrame(wanted), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("made", "how"), [(nn.LSTM, by_itself), (nn.GRU, by_torch)])
def test_fixed_points_mean_what_they_mean_where_packing_sorts(made, how):
    plain = Model(made, by_itself, False).eval()
    batch = batch_for(plain)
    batch = batch[batch.lengths.argsort(descending=True)]
    got, wanted = (
        lp.fixed_points(model, batch, starts=32, states=64) for model in (Model(made, how, True).eval(), plain)
    )
    pd.testing.assert_frame_equal(pd.DataFrame(got), pd.DataFrame(wanted), rtol=0, atol=1e-6)
