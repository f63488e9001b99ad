"""Networks that compute the same: units in another order, or one with its sign turned; the tables say the same."""

import copy
import re

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp

UNITS, ORDER, TURNED = 4, [2, 0, 3, 1], 1
#: Of each kind, which block of rows makes what is written, whose sign turns with that of the unit.
WRITES = {"LSTM": (4, 2), "GRU": (3, 2), "RNN": (1, 0)}
#: What has a sign of the unit's own, beside which it is the same.
SIGNED = ["signed", "change", "written", "g", "weight"]
TASK = lp.get_task("tracking", length=16)
BATCH = TASK.sample(48, seed=1)


class Net(nn.Module):
    """A layer whose outputs are read by least squares, so that there is something to lose."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = getattr(nn, kind)(TASK.n_inputs, UNITS, batch_first=True)
        self.readout = nn.Linear(UNITS, TASK.n_outputs)
        with torch.no_grad():
            for values in self.rnn.parameters():
                values.mul_(2)
            h = self.rnn(BATCH.inputs)[0].flatten(0, 1)
            wanted = torch.cat([BATCH.targets[spec.name].flatten(0, 1) for spec in BATCH.target_specs], dim=-1).float()
            fitted = torch.linalg.lstsq(torch.cat([h, torch.ones(len(h), 1)], dim=1), wanted).solution
            self.readout.weight.copy_(fitted[:-1].T)
            self.readout.bias.copy_(fitted[-1])

    def forward(self, x):
        return self.readout(self.rnn(x)[0])


def reordered(net, blocks):
    """Return it with its units in another order: new unit k is unit ORDER[k]."""
    rows = [k * UNITS + unit for k in range(blocks) for unit in ORDER]
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        values = getattr(net.rnn, name)
        values.copy_(values[rows][:, ORDER] if name == "weight_hh_l0" else values[rows])
    net.readout.weight.copy_(net.readout.weight[:, ORDER])
    return net


def turned(net, writes):
    """Return it with one unit's sign turned, where it is made and wherever it is read."""
    for values in net.rnn.parameters():
        values[writes * UNITS + TURNED] *= -1
    net.rnn.weight_hh_l0[:, TURNED] *= -1
    net.readout.weight[:, TURNED] *= -1
    return net


def tables_of(net):
    rec, few = lp.record(net, BATCH.inputs), {"bootstrap": 20}
    own = [rec.config.cell.memory]
    return {
        "probes": lp.probe_units(rec, BATCH.signals, variables=own, permutations=99, init="torch", **few),
        "memory": lp.memory_curves(rec, BATCH.signals, variables=own, permutations=99, init="torch"),
        "confounds": lp.partial_effects(rec, BATCH.signals, variables=own, **few),
        "ablations": lp.ablate_units(net, BATCH, **few),
        "patches": lp.patch_units(net, BATCH, BATCH.signals),
        "memory_flow": lp.memory_flow(net, BATCH, BATCH.signals, **few),
        "timescales": lp.timescales(net, BATCH, BATCH.signals),
    }  # fmt: skip


def same(one, other, but=()):
    keys = [name for name in ("unit", "link", "other", "signal", "target", "lag", "after") if name in one]
    one, other = (
        table.drop(columns=[*but], errors="ignore").sort_values(keys, kind="stable") for table in (one, other)
    )
    assert len(one) == len(other)
    for name in one:
        if one[name].dtype.kind == "f":
            assert np.allclose(one[name], other[name], rtol=1e-3, atol=2e-3, equal_nan=True), name
        else:
            assert one[name].astype(str).tolist() == other[name].astype(str).tolist(), name


@pytest.mark.parametrize("kind", list(WRITES))
def test_tables_follow_units_to_other_places_and_do_not_mind_their_sign(kind):
    blocks, writes = WRITES[kind]
    net = Net(kind).eval().requires_grad_(requires_grad=False)
    moved, other = reordered(copy.deepcopy(net), blocks), turned(copy.deepcopy(net), writes)
    for made in (moved, other):
        assert torch.allclose(made(BATCH.inputs), net(BATCH.inputs), atol=1e-4)
    wanted, of_moved, of_other = map(tables_of, (net, moved, other))
    for name, table in wanted.items():
        same(table, of_other[name], SIGNED if name == "memory_flow" else ())
        back = of_moved[name].assign(unit=[ORDER[unit] for unit in of_moved[name]["unit"]])
        if name == "memory_flow":
            back["other"] = [re.sub(r"^unit (\d)", lambda m: f"unit {ORDER[int(m[1])]}", one) for one in back["other"]]
        same(table, back)
