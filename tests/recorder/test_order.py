"""Modules that sort their sequences before they pack them: the recording has them in the order of who called."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.core.errors import InputError

LENGTHS = torch.tensor([2, 7, 4, 7, 1, 4])


def sorted_by_torch(x, lengths):
    lengths, order = lengths.sort(descending=True)
    return x[order], lengths, order


def sorted_by_numpy(x, lengths):
    order = np.argsort(-lengths.numpy(), kind="stable")
    return x.index_select(0, torch.from_numpy(order)), lengths[order], torch.from_numpy(order)


def sorted_by_a_list(x, lengths):
    order = sorted(range(len(x)), key=lambda k: -int(lengths[k]))
    return x[order], [int(lengths[k]) for k in order], torch.tensor(order)


def time_first(x, lengths):
    order = torch.argsort(lengths, descending=True)
    return x.transpose(0, 1)[:, order].transpose(0, 1), lengths[order], order


def one_by_one(x, lengths):
    order = sorted(range(len(x)), key=lambda k: -int(lengths[k]))
    return torch.stack([x[k] for k in order]), lengths.sort(descending=True).values, torch.tensor(order)


def not_sorted(x, lengths):
    return x, lengths, torch.arange(len(x))


def time_turned(x, lengths):
    return x[:, [6, 5, 4, 3, 2, 1, 0]], lengths, torch.arange(len(x))


class Sorting(nn.Module):
    """As modules were written before packing sorted by itself; its second LSTM reads what the first gave."""

    def __init__(self, how, enforce):
        super().__init__()
        self.how, self.enforce = how, enforce
        self.embedding = nn.Embedding(11, 3)
        self.below = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.above = nn.LSTM(8, 5, batch_first=True)

    def once(self, lstm, x, lengths):
        x, lengths, order = self.how(x, lengths)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=self.enforce)
        h = pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return h[order.argsort()]

    def forward(self, tokens, lengths):
        below = self.once(self.below, self.embedding(tokens), lengths)
        return below, self.once(self.above, below, lengths)


@pytest.mark.parametrize("how", [sorted_by_torch, sorted_by_numpy, sorted_by_a_list, time_first])
@pytest.mark.parametrize("enforce", [True, False])
def test_sequences_are_in_the_callers_order(how, enforce):
    module = Sorting(how, enforce).eval()
    tokens = torch.randint(11, (6, 7))
    with torch.no_grad():
        below, above = module(tokens, LENGTHS)
    rec = lp.record(module, {"tokens": tokens, "lengths": LENGTHS}, layer="all")
    for name, returned in (("below", below), ("above", above)):
        assert torch.equal(rec[name].lengths, LENGTHS)
        h = torch.cat([part.h for part in rec[name].parts.values()], dim=2)
        assert torch.allclose(h, returned, atol=1e-6)
    alone = lp.record(module, (tokens, LENGTHS), layer="above")
    assert torch.equal(alone.c, rec["above"].c)


def test_an_order_that_cannot_be_told_is_refused():
    with pytest.raises(InputError, match=r"below: its module packs the sequences in another order"):
        lp.record(Sorting(one_by_one, True), (torch.randint(11, (6, 7)), LENGTHS), layer="below")


def test_packing_that_sorts_by_itself_and_sequences_that_are_sorted():
    tokens = torch.randint(11, (40, 7))
    for enforce, lengths in ((False, torch.full((40,), 7)), (True, torch.arange(40).flip(0) // 6 + 1)):
        module = Sorting(not_sorted, enforce).eval()
        with torch.no_grad():
            returned = module(tokens, lengths)[1]
        rec = lp.record(module, (tokens, lengths), layer="above")
        assert torch.allclose(rec.h, returned, atol=1e-6)
        assert torch.equal(rec.lengths, lengths)


def test_an_index_of_steps_is_none_of_sequences():
    tokens, lengths = torch.randint(11, (6, 7)), torch.full((6,), 7)
    module = Sorting(time_turned, True).eval()
    with torch.no_grad():
        returned = module(tokens, lengths)[1]
    rec = lp.record(module, (tokens, lengths), layer="above")  # what was turned round for `below` is turned back
    assert torch.allclose(rec.h, returned, atol=1e-6)
    with pytest.raises(InputError, match=r"below: .* from the last to the first, and it reads both ways"):
        lp.record(module, (tokens, lengths), layer="below")
