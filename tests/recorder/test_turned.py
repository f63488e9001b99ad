"""Modules that turn the steps round before a layer reads them: recorded, clamped and edited by their caller's steps."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.backward import BackwardLSTM

N, TIME, FEATURES, UNITS = 6, 9, 3, 4


def gathered(x):
    return x.gather(1, torch.arange(TIME - 1, -1, -1).view(1, -1, 1).expand_as(x))


TURNS = {
    "flip": lambda x: x.flip(1),
    "torch.flip": lambda x: torch.flip(x, dims=[-2]),
    "time first": lambda x: x.transpose(0, 1).flip(0).transpose(0, 1),
    "index": lambda x: x[:, list(range(TIME))[::-1]],
    "index_select": lambda x: x.index_select(1, torch.arange(TIME - 1, -1, -1)),
    "gather": gathered,
    "take_along_dim": lambda x: torch.take_along_dim(x, torch.arange(TIME - 1, -1, -1).view(1, -1, 1), 1),
    "stack": lambda x: torch.stack([x[:, t] for t in reversed(range(TIME))], 1),
    "unbind": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "iterated": lambda x: torch.stack(list(x.transpose(0, 1))[::-1]).transpose(0, 1),
    "split": lambda x: torch.cat(x.split(1, dim=1)[::-1], 1),
}


class Turned(nn.Module):
    """Reads `turn(x)` and hands on what it makes of each of the caller's steps."""

    def __init__(self, layer, turn=TURNS["flip"]):
        super().__init__()
        self.before, self.layer, self.turn = nn.Linear(FEATURES, FEATURES), layer, turn

    def forward(self, x):
        return self.layer(self.turn(self.before(x)).tanh())[0].flip(1)


class Loop(nn.Module):
    """Calls a cell from the last step to the first."""

    def __init__(self, cell, steps):
        super().__init__()
        self.cell, self.steps, self.head = cell, steps, nn.Linear(UNITS, 1)

    def forward(self, x):
        state, found = None, []
        for x_t in self.steps(x):
            state = self.cell(x_t, state)
            found.append(state[0] if isinstance(state, tuple) else state)
        return self.head(torch.stack(found[::-1], 1))


@pytest.fixture
def x():
    return torch.randn(N, TIME, FEATURES)


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_a_step_is_the_callers(x, turn):
    module = Turned(nn.LSTM(FEATURES, UNITS, batch_first=True), turn).eval()
    rec = lp.record(module, x)
    assert list(rec.parts) == [(0, "reverse")] and rec.config.backward
    with torch.no_grad():
        torch.testing.assert_close(rec.h, module(x), rtol=0, atol=1e-6)
        torch.testing.assert_close(rec.inputs, module.before(x).tanh(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN, nn.LSTM])
def test_of_layers_all_are(x, kind):
    module = Turned(kind(FEATURES, UNITS, 2, batch_first=True)).eval()
    rec = lp.record(module, x)
    assert list(rec.parts) == [(0, "reverse"), (1, "reverse")]
    with torch.no_grad():
        torch.testing.assert_close(rec[1, "reverse"].h, module(x), rtol=0, atol=1e-6)


def test_what_reads_backward_and_is_handed_the_steps_turned_reads_forward(x):
    module = Turned(BackwardLSTM(FEATURES, UNITS, batch_first=True)).eval()
    rec = lp.record(module, x)
    with torch.no_grad():
        torch.testing.assert_close(rec[0, "forward"].h, module(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        lambda x: (x[:, t] for t in reversed(range(TIME))),
        lambda x: (x[..., t, :] for t in range(-1, -TIME - 1, -1)),
        lambda x: x.unbind(1)[::-1],
        lambda x: reversed([*x.transpose(0, 1)]),
        lambda x: (x.select(1, t) for t in reversed(range(TIME))),
        lambda x: x.flip(1).unbind(1),
    ],
    ids=["index", "ellipsis", "unbind", "iterated", "select", "flip"],
)
@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell])
def test_a_cell_is_called_from_the_end(x, kind, steps):
    module = Loop(kind(FEATURES, UNITS), steps).eval()
    rec = lp.record(module, x)
    assert list(rec.parts) == [(0, "reverse")]
    with torch.no_grad():
        torch.testing.assert_close(module.head(rec.h), module(x), rtol=0, atol=1e-6)


def test_a_cell_that_is_called_for_no_step_or_one_step_is_recorded_as_it_was_called(x):
    rec = lp.record(Loop(nn.LSTMCell(FEATURES, UNITS), lambda x: [x[:, 0]] * TIME).eval(), x)
    assert list(rec.parts) == [(0, "forward")] and rec.h.shape == (N, TIME, UNITS)


class Packing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(FEATURES, UNITS, batch_first=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x.flip(1), lengths, batch_first=True)
        return pad_packed_sequence(self.layer(packed)[0], batch_first=True, total_length=TIME)[0].flip(1)


def test_packed_ones_of_one_length_are_turned_others_are_refused(x):
    module, lengths = Packing().eval(), torch.full((N,), TIME)
    with torch.no_grad():
        torch.testing.assert_close(lp.record(module, (x, lengths)).h, module(x, lengths), rtol=0, atol=1e-6)
    with pytest.raises(InputError, match=r"layer: its module hands it the steps in another order than"):
        lp.record(module, (x, lengths - torch.arange(N)))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:, [1, 0, *range(2, TIME)]],
        lambda x: x + x.flip(1),
        lambda x: x.gather(1, torch.stack([torch.arange(TIME).roll(k) for k in range(N)]).unsqueeze(2).expand_as(x)),
    ],
    ids=["two swapped", "of two orders", "each its own"],
)
def test_any_other_order_is_refused(x, change):
    with pytest.raises(InputError, match=r"layer: its module hands it the steps in another order than"):
        lp.record(Turned(nn.LSTM(FEATURES, UNITS, batch_first=True), change), x)


def test_both_ways_are_refused(x):
    layer = nn.LSTM(FEATURES, UNITS, batch_first=True, bidirectional=True)
    with pytest.raises(InputError, match=r"layer: its module hands it the steps from the last to the first, and it"):
        lp.record(Turned(layer), x)


class Twin(nn.Module):
    """A planted network that reads from the end, in one of three ways."""

    def __init__(self, net, how):
        super().__init__()
        own, self.how, self.readout = net.lstm, how, net.readout
        shape = own.input_size, own.hidden_size
        self.layer = (
            nn.LSTMCell(*shape)
            if how == "cell"
            else {"flip": nn.LSTM, "layer": BackwardLSTM}[how](*shape, batch_first=True)
        )
        for name, values in own.named_parameters():
            getattr(self.layer, name.removesuffix("_l0") if how == "cell" else name).data.copy_(values)

    def forward(self, x):
        if self.how == "layer":
            return self.readout(self.layer(x)[0])
        if self.how == "flip":
            return self.readout(self.layer(x.flip(1))[0].flip(1))
        state, found = None, []
        for t in reversed(range(x.shape[1])):
            state = self.layer(x[:, t], state)
            found.insert(0, state[0])
        return self.readout(torch.stack(found, 1))


@pytest.fixture(scope="module")
def backwards():
    """A planted network, and sequences whose targets are to be told from their ends."""
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    batch = net.sample(96, length=14, seed=1)
    turned = {name: values.flip(1) for name, values in batch.targets.items()}
    signals = {name: dataclasses.replace(one, values=one.values.flip(1)) for name, one in batch.signals.items()}
    scored = {name: values.flip(1) for name, values in batch.scored.items()}
    return net, dataclasses.replace(batch, inputs=batch.inputs.flip(1), targets=turned, signals=signals, scored=scored)


@pytest.mark.parametrize("how", ["flip", "cell"])
@pytest.mark.parametrize(
    "measured",
    [
        lambda model, batch: lp.ablate_units(model, batch, bootstrap=20),
        lambda model, batch: lp.ablate_units(model, batch, bootstrap=0, window=(2, 7)),
        lambda model, batch: lp.ablate_units(model, batch, bootstrap=0, mode="zero", variable="o"),
        lambda model, batch: lp.ablate_units(model, batch, bootstrap=0, mode="resample", variable="h"),
        lambda model, batch: lp.patch_units(model, batch),
        lambda model, batch: lp.erase_signals(model, batch, bootstrap=20, controls=2),
        lambda model, batch: lp.probe_units(lp.record(model, batch.inputs), batch.signals, permutations=19),
    ],
    ids=["ablate_units", "window", "zero", "resample", "patch_units", "erase_signals", "probe_units"],
)
def test_tables_are_those_of_a_layer_that_reads_from_the_end(backwards, how, measured):
    net, batch = backwards
    made, expected = (measured(Twin(net.model, one).eval(), batch) for one in (how, "layer"))
    numbers = list(made.select_dtypes("number"))
    assert made.direction.eq("reverse").all() if "direction" in made else True
    if "off_data" in made:
        assert made.off_data.notna().all() and made.off_data.tolist() == expected.off_data.tolist()
    torch.testing.assert_close(
        torch.tensor(made[numbers].to_numpy(float)), torch.tensor(expected[numbers].to_numpy(float)), rtol=0, atol=1e-4,
        equal_nan=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["layer", "flip", "cell"])
def test_what_reads_from_the_end_is_not_steered(backwards, how):
    net, batch = backwards
    with pytest.raises(InputError, match="steer: its layer reads from the last step to the first"):
        lp.steer(Twin(net.model, how).eval(), batch)


class Both(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.layer = nn.LSTMCell(FEATURES, UNITS) if cell else nn.LSTM(FEATURES, UNITS, batch_first=True)

    def read(self, x):
        if isinstance(self.layer, nn.LSTM):
            return self.layer(x)[0]
        state, found = None, []
        for x_t in x.unbind(1):
            state = self.layer(x_t, state)
            found.append(state[0])
        return torch.stack(found, 1)

    def forward(self, x):
        return self.read(x), self.read(x.flip(1))


@pytest.mark.parametrize("cell", [False, True])
def test_of_calls_that_read_both_ways_each_is_as_it_was_read_and_one_alone_is_the_callers(x, cell):
    module = Both(cell).eval()
    with torch.no_grad():
        forward, backward = module(x)
    rec = lp.record(module, x)
    assert list(rec.parts) == [(0, "forward")]
    torch.testing.assert_close(rec.h, torch.cat([forward, backward]), rtol=0, atol=1e-6)
    if not cell:
        alone = lp.record(module, x, call=1)
        torch.testing.assert_close(alone[0, "reverse"].h, backward.flip(1), rtol=0, atol=1e-6)
