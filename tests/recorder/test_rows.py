"""Modules that take their sequences in another order without packing them: recorded and changed in their caller's."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.core.errors import InputError

N, TIME, FEATURES, UNITS = 9, 7, 3, 4
ORDER = torch.tensor([3, 0, 8, 1, 7, 5, 2, 6, 4])


def indexed(x, axis):
    return x[ORDER] if axis == 0 else x[:, ORDER]


def by_numpy(x, axis):
    return x.index_select(axis, torch.from_numpy(ORDER.numpy()))


def by_a_list(x, axis):
    return x[ORDER.tolist()] if axis == 0 else x[:, ORDER.tolist()]


def twice(x, axis):
    return indexed(by_numpy(x, axis), axis)


def back(h, at, axis):
    made = torch.empty_like(h)
    if axis == 0:
        made[at] = h
    else:
        made.index_copy_(1, at, h)
    return made


class Moved(nn.Module):
    """Takes its sequences in another order to `below`, puts them back, and again for `above`."""

    def __init__(self, move, made=nn.LSTM, batch_first=True, tokens=False):
        super().__init__()
        self.move, self.axis = move, 0 if batch_first else 1
        self.first = nn.Embedding(9, FEATURES) if tokens else nn.Linear(FEATURES, FEATURES)
        self.below, self.above = (made(n, UNITS, batch_first=batch_first) for n in (FEATURES, UNITS))

    def once(self, part, x):
        places = self.move(torch.arange(N).unsqueeze(1 - self.axis), self.axis).flatten()
        return back(part(torch.tanh(self.move(x, self.axis)))[0], places, self.axis)

    def forward(self, x):
        below = self.once(self.below, self.first(x))
        return below, self.once(self.above, below)


class PackedBelow(nn.Module):
    """Sorts and packs for its first layer alone; its second reads what that gave, still sorted, with its padding."""

    def __init__(self, made, enforce):
        super().__init__()
        self.below, self.above = (made(n, UNITS, batch_first=True) for n in (FEATURES, UNITS))
        self.enforce = enforce

    def forward(self, x, lengths):
        lengths, order = lengths.sort(descending=True)
        packed = pack_padded_sequence(x[order], lengths, batch_first=True, enforce_sorted=self.enforce)
        h = pad_packed_sequence(self.below(packed)[0], batch_first=True)[0]
        return self.above(torch.relu(h))[0][order.argsort()]


@pytest.mark.parametrize("made", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("enforce", [True, False])
def test_what_was_packed_stays_in_its_order(made, enforce):
    module, x = PackedBelow(made, enforce), torch.randn(N, TIME, FEATURES)
    lengths = torch.tensor([2, 7, 4, 7, 1, 4, 3, 5, 6])
    with torch.no_grad():
        assert torch.allclose(lp.record(module, (x, lengths), layer="above").h, module(x, lengths), atol=1e-6)


class Cells(nn.Module):
    def __init__(self, made):
        super().__init__()
        self.cell = made(FEATURES, UNITS)

    def forward(self, x):
        state, shown, x = None, [], x[ORDER]
        for step in x.unbind(1):
            state = self.cell(step, state)
            shown.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(shown, 1)[ORDER.argsort()]


MOVES = [indexed, by_numpy, by_a_list, twice]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize(("made", "batch_first", "tokens"), [(nn.LSTM, True, True), (nn.GRU, False, False)])
def test_sequences_are_in_the_callers_order(move, made, batch_first, tokens):
    module = Moved(move, made, batch_first, tokens).eval()
    shape = (N, TIME) if batch_first else (TIME, N)
    x = torch.randint(9, shape) if tokens else torch.randn(*shape, FEATURES)
    with torch.no_grad():
        below, above = module(x)
    rec = lp.record(module, x, layer="all")
    for name, h in (("below", below), ("above", above)):
        assert torch.allclose(rec[name].h, h if batch_first else h.transpose(0, 1), atol=1e-6)


@pytest.mark.parametrize("made", [nn.LSTMCell, nn.GRUCell])
def test_cells(made):
    module, x = Cells(made), torch.randn(N, TIME, FEATURES)
    with torch.no_grad():
        assert torch.allclose(lp.record(module, x).h, module(x), atol=1e-6)


class Reads(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.rnn, self.change = nn.LSTM(FEATURES, UNITS, batch_first=True), change

    def forward(self, x):
        return self.rnn(self.change(x))[0]


TABLE = nn.Parameter(torch.randn(N, FEATURES))


def cleared(x):
    """Rows are taken and put, but not those of the sequences."""
    table, other = TABLE[ORDER.tolist()], torch.ones(N)
    other[ORDER] = 2.0
    return x + table[0] * other[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[..., [2, 0, 1]],
        lambda x: x[torch.arange(N)],
        cleared,
    ],
    ids=["features", "as they are", "of a table"],
)
def test_features_are_no_sequences(change):
    module, x = Reads(change), torch.randn(N, TIME, FEATURES)
    with torch.no_grad():
        assert torch.allclose(lp.record(module, x).h, module(x), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "shape"),
    [(lambda x: x + x[ORDER], (N, TIME, FEATURES)), (lambda x: x[ORDER], (N, N, FEATURES))],
    ids=["of two orders", "as many steps as sequences"],
)
def test_an_order_that_cannot_be_told_is_refused(change, shape):
    with pytest.raises(InputError, match=r"rnn: its module takes its 9 sequences in another order than"):
        lp.record(Reads(change), torch.randn(*shape))


def batch_of(model):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 8, FEATURES, generator=generator)
    with torch.no_grad():
        y = model(x)[..., 0]
    return lp.Batch.make(x, {"y": y, "up": (x[..., 0] > 0).int()}, targets={"y": y})


class Model(nn.Module):
    def __init__(self, sort):
        super().__init__()
        torch.manual_seed(1)
        self.rnn, self.head, self.sort = nn.LSTM(FEATURES, UNITS, batch_first=True), nn.Linear(UNITS, 1), sort

    def forward(self, x):
        order = x.norm(dim=(1, 2)).argsort() if self.sort else torch.arange(len(x))
        return self.head(self.rnn(x[order])[0])[order.argsort()]


QUESTIONS = {
    "clamped": lambda model, batch: lp.ablate_units(model, batch, bootstrap=20),
    "patched": lambda model, batch: lp.patch_units(model, batch, steps=[3]),
    "steered": lambda model, batch: lp.steer(model, batch, controls=3, bootstrap=20),
    "erased": lambda model, batch: lp.erase_signals(model, batch, controls=3, bootstrap=20),
    "followed": lambda model, batch: lp.memory_flow(model, batch, steps=[2, 4], bootstrap=20),
    "fixed points": lambda model, batch: lp.fixed_points(model, batch, starts=32, states=64),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("question", QUESTIONS)
def test_it_is_as_if_nothing_was_sorted(question):
    plain = Model(sort=False).eval()
    batch = batch_of(plain)
    got, wanted = (QUESTIONS[question](model, batch) for model in (Model(sort=True).eval(), plain))
    pd.testing.assert_frame_equal(pd.DataFrame(got), pd.DataFrame(wanted), rtol=0, atol=1e-4)


class Halves(Model):
    """Its second half of steps goes by the kernel itself, or the second half of its sequences in a thread."""

    def __init__(self, how):
        super().__init__(sort=False)
        self.how = how

    def forward(self, x):
        if self.how == "kernel":
            h, state = self.rnn(x[:, :4])
            more = torch.lstm(x[:, 4:], state, list(self.rnn.parameters()), True, 1, 0.0, False, False, True)[0]
            return self.head(torch.cat([h, more], 1))
        made = {}
        thread = threading.Thread(target=lambda: made.update(h=self.rnn(x[len(x) // 2 :])[0]))
        thread.start()
        thread.join()
        return self.head(torch.cat([self.rnn(x[: len(x) // 2])[0], made["h"]]))


def test_a_call_of_the_kernel_with_its_weights_is_one_of_the_layer():
    plain, module = Model(sort=False).eval(), Halves("kernel").eval()
    batch = batch_of(plain)
    assert torch.allclose(lp.record(module, batch.inputs).c, lp.record(plain, batch.inputs).c, atol=1e-6)
    asked = [lp.ablate_units(model, batch, bootstrap=20) for model in (module, plain)]
    got, wanted = (pd.DataFrame(one)[["clamped", "refit_drop"]] for one in asked)
    pd.testing.assert_frame_equal(got, wanted, rtol=0, atol=1e-5)


def test_what_is_changed_in_some_calls_alone_is_refused():
    batch = batch_of(Model(sort=False).eval())
    with pytest.raises(InputError, match=r"1 call\(s\) of the LSTM did not run PyTorch's own kernel"):
        lp.ablate_units(Halves("thread").eval(), batch, bootstrap=20)


class Tied(nn.Module):
    """Two layers with the same weights, of which one is asked for."""

    def __init__(self):
        super().__init__()
        self.one, self.other = (nn.LSTM(FEATURES, FEATURES, batch_first=True) for _ in range(2))
        for name in self.one._parameters:
            setattr(self.other, name, getattr(self.one, name))

    def forward(self, x):
        return self.other(self.one(x)[0])[0]


def test_layers_with_the_same_weights_are_told_apart():
    module, x = Tied(), torch.randn(N, TIME, FEATURES)
    with torch.no_grad():
        below, above = module.one(x)[0], module(x)
    assert np.allclose(lp.record(module, x, layer="one").h, below, atol=1e-6)
    assert np.allclose(lp.record(module, x, layer="other").h, above, atol=1e-6)
