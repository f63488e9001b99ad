"""Cutting units of other cells: exactly where their weights say so, and what is left does the same as before."""

import copy

import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.capacity.exact import cuttable, turning_block
from lstm_probe.capacity.fold import Fold, write_folded
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.cells import get_cell
from lstm_probe.cells.known import NAMES

#: Cells whose units are normalised together: without one, the others are others.
TOGETHER = {"lstm_layer_norm"}
UNITS = 8


class Model(nn.Module):
    def __init__(self, cell, layers=1, bidirectional=False):
        super().__init__()
        make = {"gru": nn.GRU, "rnn": nn.RNN, "lstm": nn.LSTM}.get(cell)
        kind = {"batch_first": True, "bidirectional": bidirectional}
        self.rnn = make(2, UNITS, layers, **kind) if make else lp.GatedRNN(2, UNITS, layers, **kind, cell=cell)
        self.readout = nn.Linear(UNITS * (1 + bidirectional), 2)

    def forward(self, x):
        return self.readout(self.rnn(x)[0])


def made(cell, **kind):
    torch.manual_seed(0)
    model = Model(cell, **kind).double().eval()
    with torch.no_grad():
        for values in model.parameters():
            values.copy_(torch.randn_like(values) * 0.7)
    return model


def batch_of(n=64, time=9):
    x = torch.randn(n, time, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return lp.Batch.make(x, {})


def rows(module, name, unit):
    """The entries of a weight that are one unit's own: its row of each block, its place in the others."""
    values, units = getattr(module, name), UNITS
    if name.startswith(("weight", "bias")):
        return (torch.arange(len(values) // units) * units + unit,)
    return (..., unit)


@torch.no_grad()
def copy_unit(model, unit, of):
    """Let a unit be another one: the same rows, and heard by nobody of its own."""
    for name in [name for name, _ in model.rnn.named_parameters()]:
        values = getattr(model.rnn, name)
        values[rows(model.rnn, name, unit)] = values[rows(model.rnn, name, of)]


@torch.no_grad()
def unread(model, unit):
    model.readout.weight[:, unit] = 0
    others = [k for k in range(len(model.rnn.weight_hh_l0)) if k % UNITS != unit]
    model.rnn.weight_hh_l0[others, unit] = 0


def outputs(model, batch):
    with torch.no_grad():
        return model(batch.inputs)


@pytest.mark.parametrize("cell", [*NAMES, "lstm+gates:hard_sigmoid+input:relu+output:relu", "lstm+coupled:f"])
def test_what_nothing_reads_and_what_is_a_copy_is_cut_exactly(cell):
    model, batch = made(cell), batch_of()
    unread(model, 2)
    copy_unit(model, 5, 3)
    small = lp.shrink(model, batch, units=UNITS - 1)
    if cell in TOGETHER:
        assert not any(small.exact.values())
        return
    small = lp.shrink(model, batch, units=UNITS - 2)
    assert {kind: n for kind, n in small.exact.items() if n} == {"unread": 1, "copy": 1}
    assert small.units == UNITS - 2 and 2 not in small.kept[0, "forward"]
    assert not {3, 5} <= {*small.kept[0, "forward"]}
    assert type(small.model.rnn) is type(model.rnn)
    torch.testing.assert_close(outputs(small.model, batch), outputs(model, batch), rtol=0, atol=1e-10)


def test_units_that_see_their_own_memory_otherwise_are_no_copies():
    model, batch = made("lstm_peepholes"), batch_of()
    copy_unit(model, 5, 3)
    with torch.no_grad():
        model.rnn.peephole_l0[..., 5] *= 2
    rec = lp.record(model, batch.inputs)
    assert not torch.allclose(rec.h[..., 5], rec.h[..., 3])
    assert cuttable(Narrowing(model, batch)) == {(0, "forward"): (0, 0)}
    assert not any(lp.shrink(model, batch, units=UNITS - 1).exact.values())


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "rnn", "janet", "lstm_no_forget", "slstm"])
def test_a_copy_with_the_sign_turned_is_cut(cell):
    model, batch = made(cell), batch_of()
    copy_unit(model, 5, 3)
    block = turning_block(get_cell(cell))
    with torch.no_grad():
        for name, _ in model.rnn.named_parameters():
            getattr(model.rnn, name)[block * UNITS + 5] *= -1
    rec = lp.record(model, batch.inputs)
    torch.testing.assert_close(rec.h[..., 5], -rec.h[..., 3])
    small = lp.shrink(model, batch, units=UNITS - 1)
    assert small.exact["copy"] == 1
    torch.testing.assert_close(outputs(small.model, batch), outputs(model, batch), rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", ["gru", "rnn", "janet", "lstm_peepholes", "slstm"])
def test_a_unit_that_hears_no_input_is_carried_by_another(cell):
    model, batch = made(cell), batch_of()
    with torch.no_grad():
        for unit in (1, 6):  # both follow courses of their own, proportional if all their rows are the same
            model.rnn.weight_ih_l0[rows(model.rnn, "weight_ih_l0", unit)] = 0
            model.rnn.weight_hh_l0[rows(model.rnn, "weight_hh_l0", unit)] = 0
    copy_unit(model, 6, 1)
    small = lp.shrink(model, batch, units=UNITS - 1)
    assert sum(small.exact.values()) == 1
    torch.testing.assert_close(outputs(small.model, batch), outputs(model, batch), rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("kind", [{}, {"layers": 2}, {"bidirectional": True}], ids=str)
def test_merging_leaves_the_size_that_is_wanted_and_says_what_it_keeps(cell, kind):
    model, batch = made(cell, **kind), batch_of()
    small = lp.shrink(model, batch, units=5)
    assert small.units == 5 and small.model.rnn.hidden_size == 5
    assert all(len(kept) == 5 for kept in small.kept.values())
    for name, values in small.model.rnn.named_parameters():
        assert UNITS not in values.shape or "weight_ih_l1" in name, name
    last = small.table[(small.table["units"] == 5) & (small.table["sequences"] == "check")]
    assert len(last) and (last["share"] <= 1 + 1e-9).all()
    assert outputs(small.model, batch).shape == outputs(model, batch).shape


def test_a_constant_that_a_gru_hears_stands_where_its_reset_gate_reaches_it():
    """Of a unit that is always the same, the rest hears r (W h + b): the constant belongs to b, inside the brackets."""
    model, x = made("gru"), batch_of().inputs
    with torch.no_grad():  # a unit whose update gate is shut and whose cell input is constant
        for name in ("weight_ih_l0", "weight_hh_l0"):
            getattr(model.rnn, name)[rows(model.rnn, name, 4)] = 0
        model.rnn.bias_ih_l0[UNITS + 4] = -60
        model.rnn.bias_hh_l0[2 * UNITS + 4] = 0
    kept = [unit for unit in range(UNITS) if unit != 4]
    fold = Fold.keeping(tuple(kept), UNITS)
    fold.offset[4] = constant = float(lp.record(model, x).h[0, 0, 4])
    small = copy.deepcopy(model.rnn)
    write_folded(model.rnn, small, {(0, "forward"): fold})
    begun = torch.zeros(1, len(x), UNITS, dtype=torch.float64)
    begun[..., 4] = constant
    with torch.no_grad():
        whole, cut = model.rnn(x, begun)[0], small(x, torch.zeros(1, len(x), UNITS - 1, dtype=torch.float64))[0]
    torch.testing.assert_close(cut, whole[..., kept], rtol=0, atol=1e-12)


def test_a_cell_is_not_cut():
    class Stepwise(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.readout = nn.GRUCell(2, 4), nn.Linear(4, 1)

        def forward(self, x):
            h, out = None, []
            for now in x.unbind(1):
                h = self.cell(now, h)
                out.append(self.readout(h))
            return torch.stack(out, 1)

    with pytest.raises(lp.InputError, match="cell: is a GRUCell; only whole layers can be cut"):
        lp.shrink(Stepwise().double(), batch_of())
