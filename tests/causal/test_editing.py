"""Edits of the state at a step, against a plain loop over steps, in every kind of LSTM and module."""

from itertools import count

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.causal.clamp import Clamp
from lstm_probe.causal.editing import Editing
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from tests.causal.test_clamping import SHAPES, TIME, N, clamped_loop


class Net(nn.Module):
    """An LSTM of any shape, packed where lengths are given, with a linear readout of every step."""

    def __init__(self, packs=False, last=False, **shape):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True, **shape)
        width = (shape.get("proj_size") or 4) * (1 + bool(shape.get("bidirectional")))
        self.readout, self.packs, self.last = nn.Linear(width, 2), packs, last

    def forward(self, x, lengths=None):
        if self.packs:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            h = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        else:
            h, (last, _) = self.lstm(x)
            h = last[-1].unsqueeze(1).expand_as(h) if self.last else h
        return self.readout(h)


class Stepwise(nn.Module):
    """The same step by step: by an LSTMCell, or by an nn.LSTM that is called with one step each."""

    def __init__(self, lstm, readout, cell):
        super().__init__()
        self.lstm, self.readout, self.cell = nn.LSTMCell(3, 4) if cell else lstm, readout, cell
        if cell:
            self.lstm.load_state_dict({name[:-3]: values for name, values in lstm.state_dict().items()})

    def forward(self, x):
        state, shown = None, []
        for t in range(x.shape[1]):
            if self.cell:
                state = self.lstm(x[:, t], state)
                shown.append(state[0])
            else:
                h, state = self.lstm(x[:, t : t + 1], state)
                shown.append(h[:, 0])
        return self.readout(torch.stack(shown, 1))


def made(seed=0, lengths=None, **shape):
    torch.manual_seed(seed)
    net = Net(packs=lengths is not None, **shape).double()
    inputs = torch.randn(N, TIME, 3, dtype=torch.float64)
    lengths = torch.tensor([TIME] * N if lengths is None else lengths)
    targets = {"y": torch.zeros(N, TIME, 2, dtype=torch.float64)}
    return net, Batch(inputs, targets, (Target("y", size=2),), lengths, {})


def donated(values, units, part=(0, "forward")):
    """An edit that puts other values, (sequence, time, unit), into some units' memory in one layer and direction."""

    def edit(at):
        c = at.memory.clone()
        if (at.layer, at.direction) == part:
            c[:, units] = values[at.sequences, at.step][:, units]
        return at.with_memory(c)

    return edit


def from_the_start(net):
    directions = 1 + net.lstm.bidirectional
    widths = net.lstm.proj_size or 4, 4
    return [torch.zeros(net.lstm.num_layers * directions, N, width, dtype=torch.float64) for width in widths]


@pytest.mark.parametrize("lengths", [None, [4, 7, 5]])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_another_sequences_memory_goes_on_as_in_a_plain_loop(shape, lengths):
    net, batch = made(1, lengths, **shape)
    directions = 1 + net.lstm.bidirectional
    for k in range(net.lstm.num_layers * directions):
        layer, side = divmod(k, directions)
        part = layer, ("forward", "reverse")[side]
        given = net.lstm, batch.inputs[[1, 1, 1]], batch.lengths, from_the_start(net)
        every = clamped_loop(*given, [])[-1]
        clamp = Clamp(*part, "c", (0, 2), None, (3, 4))
        shown = clamped_loop(net.lstm, batch.inputs, batch.lengths, from_the_start(net), clamp, every)[0]
        values = torch.zeros(N, TIME, 4, dtype=torch.float64)
        for s in range(N):
            values[s, 3] = every[s, k][3]["c"]
        editing = Editing(net, batch)
        assert editing.resumes == (directions == 1)
        edited = editing.outputs(donated(values, [0, 2], part), [3]).outputs
        assert (edited - net.readout(shown))[batch.mask].abs().max() < 1e-12
        assert (edited - editing.intact.outputs).abs().max() > 1e-6
        short = editing.outputs(donated(values, [0, 2], part), [3], until=5).outputs
        assert (short - edited)[:, :5][batch.mask[:, :5]].abs().max() < 1e-12


@pytest.mark.parametrize("cell", [True, False])
@torch.no_grad()
def test_a_module_that_goes_step_by_step_is_edited_alike(cell):
    net, batch = made(2)
    steps = Stepwise(net.lstm, net.readout, cell).double()
    values = torch.randn(N, TIME, 4, dtype=torch.float64)
    whole = Editing(net, batch).outputs(donated(values, [1, 3]), [2, 4]).outputs
    one = Editing(steps, batch)
    assert not one.resumes
    assert (one.outputs(donated(values, [1, 3]), [2, 4]).outputs - whole).abs().max() < 1e-12
    assert (whole - net(batch.inputs)).abs().max() > 1e-3


@torch.no_grad()
def test_every_step_is_edited_where_none_are_named():
    net, batch = made(3)
    seen = []

    def forgets(at):
        seen.append(at.step)
        return at.with_memory(torch.zeros_like(at.memory))

    edited = Editing(net, batch).outputs(forgets)
    assert seen[-TIME:] == list(range(TIME)) and edited.shown.abs().max() < 1e-15
    assert (edited.outputs - net.readout.bias).abs().max() < 1e-15


@torch.no_grad()
def test_what_depends_on_the_last_state_is_never_ended_early():
    net, batch = made(4)
    net.last = True
    editing = Editing(net, batch)
    assert not editing.resumes
    values = torch.randn(N, TIME, 4, dtype=torch.float64)
    whole = editing.outputs(donated(values, [0]), [1]).outputs
    assert torch.equal(editing.outputs(donated(values, [0]), [1], until=3).outputs, whole)


@torch.no_grad()
def test_the_state_that_is_handed_over_is_the_modules_own():
    net, batch = made(5, [4, 7, 5], num_layers=2)
    h = pad_packed_sequence(
        net.lstm(pack_padded_sequence(batch.inputs, batch.lengths, batch_first=True, enforce_sorted=False))[0],
        batch_first=True,
    )[0]
    seen = {}

    def looks(at):
        if at.layer == 1:
            seen[at.step] = at.sequences.clone(), at.h.clone(), at.shown(at.memory)
        return at.same

    Editing(net, batch).outputs(looks)
    for step, (rows, shown, again) in seen.items():
        assert sorted(rows.tolist()) == [s for s in range(N) if batch.lengths[s] > step]
        assert (shown - h[rows, step]).abs().max() < 1e-12 and (again - shown).abs().max() < 1e-12


def test_what_cannot_be_edited_is_said():
    net, batch = made(6)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(torch.cat([x, x]))[: len(x)]

    with pytest.raises(InputError, match="calls its LSTM with 6 sequences, not with the 3 of the batch"):
        Editing(Twice(), batch)

    calls = count(1)

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x) * next(calls)

    with pytest.raises(InputError, match="edit: run twice without a change, the model's outputs differ"):
        Editing(Noisy(), batch)
