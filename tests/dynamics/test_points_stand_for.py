"""What states at rest stand for, in networks made by hand: what other sequences agree on, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.findings.fixed_points import fixed_point_sentences
from lstm_probe.network.model import SequenceModel
from tests.handmade import OPEN, SHUT, flipflops

N, TIME = 60, 12


def holding(read=1.0):
    """One unit that takes the first input's value where the second is 1, and keeps it: a line of fixed points."""
    model = SequenceModel(2, 1, 1, seed=0)
    with torch.no_grad():
        for values in model.parameters():
            values.zero_()
        model.lstm.bias_ih_l0.copy_(torch.tensor([SHUT, OPEN, 0.0, OPEN]))
        model.lstm.weight_ih_l0[:, 1] = torch.tensor([2 * OPEN, 2 * SHUT, 0.0, 0.0])
        model.lstm.weight_ih_l0[2, 0] = 0.5
        model.readout.weight.fill_(read)
    return model


def held(values, signals, groups=None):
    """Sequences whose first step writes a value each."""
    x = torch.zeros(N, TIME, 2)
    x[:, 0] = torch.stack([torch.as_tensor(values).float(), torch.ones(N)], dim=1)
    made = {name: lp.Signal(name, torch.as_tensor(own).float().unsqueeze(1).expand(N, TIME).contiguous(), kind)
            for name, (own, kind) in signals.items()}  # fmt: skip
    return Batch(x, {"y": torch.zeros(N, TIME, 1)}, (Target("y"),), torch.full((N,), TIME), made,
                 groups=groups)  # fmt: skip


def found(model, batch):
    table = lp.fixed_points(model, batch, starts=200, states=300)
    return table, " ".join(fixed_point_sentences(table))


@pytest.mark.parametrize("read", [1.0, 0.0])
def test_what_is_constant_within_sequences_and_unrelated_is_not_stood_for(read):
    """Each sequence rests at a point of its own, with an output of its own: steps of the same sequence all agree."""
    rng = np.random.default_rng(0)
    label, level = rng.integers(0, 2, N), rng.normal(size=N)
    batch = held(rng.normal(size=N), {"label": (label, "binary"), "level": (level, "continuous")})
    table, said = found(holding(read), batch)
    assert (table["kind"] == "neutral").sum() > 40 and (table["signals"] == "").all()
    assert table.attrs["inputs"][0]["codes"] == {} and "label" not in said


@pytest.mark.parametrize("read", [1.0, 0.0])
def test_what_other_sequences_agree_on_is(read):
    """Two values are written, and a label says which; another one is of nothing."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, N)
    batch = held(np.where(label, 0.8, -0.8), {"label": (label, "binary"), "coin": (rng.integers(0, 2, N), "binary")})
    table, said = found(holding(read), batch)
    at = table[table["share"] > 0]
    value = {-1: "label=0", 1: "label=1"}
    assert [value[int(np.sign(c[0]))] for c in at["c"]] == at["signals"].tolist() and len(at) == 2
    assert "All 2 values of label that came are kept for 1,000 steps." in said


def test_steps_without_a_label_neither_agree_nor_disagree():
    model, batch = flipflops(2, 4, 1, seed=1).eval(), lp.get_task("flipflop", bits=2, length=20).sample(10, 0)
    bit = batch.signals["bit0"]
    signals = {**batch.signals, "bit0": replace(bit, values=bit.values.masked_fill(torch.arange(20) % 2 == 0, np.nan))}
    table, said = found(model, replace(batch, signals=signals))
    assert (table["agreement"].dropna() == 1).all() and table["agreement"].count() == 4
    assert "All 4 combinations of bit0, bit1 that came are kept for 1,000 steps." in said


def test_of_groups_each_counts_once():
    """Twenty subjects, three sequences of each, with a value and a label of their own: only theirs agree."""
    rng = np.random.default_rng(2)
    subject = np.arange(N) % 20
    value, label = rng.normal(size=20)[subject], rng.integers(0, 2, 20)[subject]
    table, _ = found(holding(), held(value, {"label": (label, "binary")}, torch.from_numpy(subject)))
    assert (table["signals"] == "").all()


@pytest.mark.parametrize(("subjects", "told"), [(4, {""}), (12, {"label=0", "label=1"})])
def test_few_that_agree_are_not_enough(subjects, told):
    subject = np.arange(N) % subjects
    label = subject % 2
    batch = held(np.where(label, 0.8, -0.8), {"label": (label, "binary")}, torch.from_numpy(subject))
    table, _ = found(holding(), batch)
    assert set(table.loc[table["share"] > 0, "signals"]) == told
