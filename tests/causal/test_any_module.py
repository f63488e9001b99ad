"""Ablation of modules as people write them: clamped from their true state, by their own way, or refused."""

from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.causal import ablate_units
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.planted import counter
from lstm_probe.tasks.registry import get_task

UNITS = 5
BATCH = get_task("dyck1").sample(32, seed=0)
FEATURES, WIDTH = BATCH.inputs.shape[-1], sum(spec.size for spec in BATCH.target_specs)


class Base(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, UNITS, batch_first=True, **options)
        self.out = nn.Linear(UNITS * (1 + self.rnn.bidirectional), WIDTH)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


class Keyword(Base):
    def forward(self, x):
        return self.out(self.rnn(input=x)[0])


class Packing(Base):
    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.out(pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=x.shape[1])[0])


class Chunks(Base):
    def forward(self, x):
        h, state = self.rnn(x[:, :4])
        return self.out(torch.cat([h, self.rnn(x[:, 4:], state)[0]], dim=1))


class Both(Base):
    """Reads its sequences twice, from both ends, with one LSTM."""

    def forward(self, x):
        return self.out(self.rnn(x)[0] + self.rnn(x.flip(1))[0].flip(1))


class Cell(Base):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTMCell(FEATURES, UNITS)
        self.out = nn.Linear(UNITS, WIDTH)

    def forward(self, x):
        state, shown = None, []
        for t in range(x.shape[1]):
            state = self.rnn(x[:, t], state)
            shown.append(self.out(state[0]))
        return torch.stack(shown, dim=1)


class Direct(Base):
    def forward(self, x):
        return self.out(self.rnn.forward(x)[0])


class Keeps(Base):
    """Begins where its last call ended, and keeps that in an attribute."""

    state = None

    def forward(self, x):
        h, self.state = self.rnn(x, self.state)
        return self.out(h)


@pytest.mark.parametrize("kind", [Base, Keyword, Packing, Chunks, Both, Cell, Direct, Keeps])
def test_a_unit_that_nothing_reads_costs_nothing_and_others_cost(kind):
    """Unit 2 is read by no output and no other unit; unit 3 is the only one that an output reads."""
    torch.manual_seed(0)
    net = kind()
    hh = net.rnn.weight_hh if kind is Cell else net.rnn.weight_hh_l0
    with torch.no_grad():
        net.out.weight[:, [0, 1, 2, 4]] = 0
        hh[:, 2] = 0
    outputs = net(*((BATCH.inputs, BATCH.lengths) if kind is Packing else (BATCH.inputs,))).detach()
    if kind is Keeps:
        net.state = None
    batch = Batch(BATCH.inputs, {"y": outputs}, (Target("y", "regression", WIDTH),), BATCH.lengths, {})
    for variable in ("c", "h", "o"):
        table = ablate_units(net, batch, variable=variable, mode="zero", bootstrap=0).set_index("unit")
        assert table.intact.to_numpy() == pytest.approx(1, abs=1e-6)  # the targets are its own outputs
        assert table.score_drop[2] == pytest.approx(0, abs=1e-6)
        assert table.score_drop[3] > 0.01
    alone = ablate_units(net, batch, bootstrap=0)  # of these h is not told by step: twice each, or by no call
    assert (
        not alone[["off_data", "readout_drop"]].notna().any(axis=None)
        if kind in (Both, Direct)
        else (alone[["off_data", "readout_drop"]].notna().all(axis=None))
    )
    assert kind is not Keeps or net.state is None


def test_both_directions_of_a_bidirectional_layer():
    torch.manual_seed(0)
    net = Base(bidirectional=True, num_layers=2)
    with torch.no_grad():
        net.out.weight.zero_()
        net.out.weight[:, UNITS + 1] = 1  # of the top layer's reverse direction
    batch = Batch(
        BATCH.inputs, {"y": net(BATCH.inputs).detach()}, (Target("y", "regression", WIDTH),), BATCH.lengths, {}
    )
    table = ablate_units(net, batch, mode="zero", variable="h", bootstrap=0).set_index(["layer", "direction", "unit"])
    assert len(table) == 4 * UNITS
    top = table.loc[1]
    assert top.score_drop["reverse", 1] > 0.1 and top.score_drop["forward"].abs().max() < 1e-6
    assert top.score_drop["reverse"].drop([1]).abs().max() > 1e-4  # they are read by unit 1, a step later
    assert (table.loc[0].score_drop.abs() > 1e-6).all()


class Starts(nn.Module):
    """Hands its LSTM an initial memory."""

    def __init__(self, lstm, readout, memory):
        super().__init__()
        self.lstm, self.readout, self.memory = lstm, readout, memory

    def forward(self, x):
        memory = self.memory.expand(1, len(x), -1).contiguous()
        return self.readout(self.lstm(x, (torch.zeros_like(memory), memory))[0])


@pytest.mark.parametrize("start", [0.0, 3.0, -3.0, 5.0])  # at 5 its outputs differ in their last digits alone
def test_a_counter_that_does_not_begin_at_zero(start):
    """Only the counter is used, whatever it begins with: nothing reads the other units."""
    net = counter(random_units=6, seed=0)
    drawn = net.sample(128, length=20, seed=1)
    unit = net.where["count"]
    memory = torch.zeros(net.model.lstm.hidden_size)
    memory[unit] = start
    module = Starts(net.model.lstm, net.model.readout, memory).eval()
    with torch.no_grad():
        outputs = module(drawn.inputs)
    name = drawn.target_specs[0].name
    batch = Batch(drawn.inputs, {name: outputs}, drawn.target_specs, drawn.lengths, drawn.signals)
    table = ablate_units(module, batch, bootstrap=100).set_index("unit")
    assert table.index[table.needed == "alone"].tolist() == [unit]
    assert table.score_drop.drop(unit).abs().max() < 1e-6


class LastStep(Base):
    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


def test_a_classifier_of_whole_sequences():
    torch.manual_seed(0)
    net = LastStep()
    with torch.no_grad():
        net.out.weight[:, :4] = 0
        want = net(BATCH.inputs)
    n, time = BATCH.inputs.shape[:2]
    last = torch.arange(time).expand(n, time) == time - 1
    spec, lengths = Target("y", "regression", WIDTH), torch.full((n,), time)
    targets = {"y": want.unsqueeze(1).expand(n, time, WIDTH)}
    batch = Batch(BATCH.inputs, targets, (spec,), lengths, {}, {"y": last})
    table = ablate_units(net, batch, mode="zero", variable="h", bootstrap=0).set_index("unit")
    assert table.intact.to_numpy() == pytest.approx(1, abs=1e-5) and table.score_drop[4] > 0.1
    with pytest.raises(InputError, match="where each counts at the last step alone"):
        ablate_units(net, Batch(BATCH.inputs, targets, (spec,), lengths, {}))


class Draws(Base):
    def forward(self, x):
        return self.out(nn.functional.dropout(self.rnn(x)[0], 0.5))


class Remembers(Base):
    """Keeps a state where nobody sees it."""

    kept: ClassVar[list] = []

    def forward(self, x):
        self.kept.append(None)
        return self.out(self.rnn(x)[0]) * len(self.kept)


class ReadsMemory(Base):
    def forward(self, x):
        h, (_, c) = self.rnn(x)
        return self.out(h) + c[-1].sum(-1)[:, None, None]


class OwnLoop(nn.LSTM):
    def forward(self, x):
        h = c = x.new_zeros(len(x), self.hidden_size)
        shown = []
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ self.weight_ih_l0.T + h @ self.weight_hh_l0.T).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            shown.append(h)
        return torch.stack(shown, dim=1)


def test_what_cannot_be_clamped_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="run twice without a clamp, the model's outputs differ"):
        ablate_units(Remembers(), BATCH, bootstrap=0)
    with pytest.raises(InputError, match="reads the memory of its LSTM"):
        ablate_units(ReadsMemory(), BATCH, variable="h", bootstrap=0)
    ablate_units(ReadsMemory(), BATCH, variable="c", bootstrap=0)
    own = Base()
    own.rnn = OwnLoop(FEATURES, WIDTH, bias=False)
    own.forward = lambda x: own.rnn(x)
    with pytest.raises(InputError, match="did not run PyTorch's own LSTM"):
        ablate_units(own, BATCH, bootstrap=0)
    two = nn.ModuleDict({"a": nn.LSTM(2, 3), "b": nn.LSTM(2, 3)})
    with pytest.raises(InputError, match="holds 2 LSTMs"):
        ablate_units(two, BATCH)


def test_random_numbers_are_drawn_alike_in_every_run():
    torch.manual_seed(0)
    table = ablate_units(Draws(), BATCH, bootstrap=0)
    assert len(table) == UNITS * len(BATCH.target_specs)
