"""Sufficient sets on sequences that did not choose them: halves, constants, intervals, groups."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.causal.elimination import ALL
from lstm_probe.causal.sufficient import sufficient_units
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from tests.causal.sums import adders, kept_of
from tests.handmade import counter_and_latch, counting_batch


def test_the_half_that_checks_did_not_choose():
    """The second unit is of use in one group of sequences only: whichever half chooses, the other one tells."""
    model, batch = adders([[1, 0], [0, 1], [0, 0]])
    groups = torch.arange(len(batch)) % 2
    inputs = batch.inputs.clone()
    inputs[groups == 0, :, 1] = 0
    batch = replace(batch, inputs=inputs, targets={"sum": inputs.sum(-1, keepdim=True)}, groups=groups)
    seen = {}
    for seed in range(8):
        about = sufficient_units(model, batch, bootstrap=0, seed=seed).attrs["sufficient"]["sum"]
        seen.setdefault(about["kept"], []).append(about["checked"])
    assert set(seen) == {1, 2}
    assert seen[1] == pytest.approx([0.5] * len(seen[1]), abs=0.05) and seen[2] == pytest.approx([1] * len(seen[2]))
    # Sequence by sequence, both halves need both.
    mixed = sufficient_units(model, replace(batch, groups=None), bootstrap=0).attrs["sufficient"]["sum"]
    assert mixed["kept"] == 2
    given = sufficient_units(model, replace(batch, groups=None), bootstrap=0, groups=groups, seed=0)
    own = sufficient_units(model, batch, bootstrap=0, seed=0)
    pd.testing.assert_frame_equal(given, own)


def test_constants_are_those_of_the_whole_batch():
    """A unit that bends the other one differs between the halves alone: its mean over one would cost nothing there."""
    model, batch = adders([[1, 0], [0, 1]])
    groups = torch.arange(len(batch)) % 2
    inputs = batch.inputs.clone()
    inputs[..., 1] = groups.unsqueeze(1)
    with torch.no_grad():
        model.lstm.weight_ih_l0[[4, 5], [0, 1]] = 1.0
        model.lstm.weight_hh_l0[4, 1] = 3.0
        model.readout.weight[:] = torch.tensor([1.0, 0.0])
        batch = replace(batch, inputs=inputs, targets={"sum": model(inputs)}, groups=groups)
    for seed in range(3):
        table = sufficient_units(model, batch, bootstrap=0, seed=seed)
        assert kept_of(table) == {0, 1}
        assert table["score"].iloc[1] < 0.9 and table.attrs["sufficient"]["sum"]["checked"] == 1
    half = replace(batch[groups == 0], groups=None)
    assert kept_of(sufficient_units(model, half, bootstrap=0)) == {0}


def test_intervals_are_of_sequences_or_whole_groups():
    """A unit that carries a fiftieth of the variance can be left out; how much it costs elsewhere varies."""
    model, batch = adders([[1, 0], [0, 1]], n=200, time=6, seed=3)
    inputs = batch.inputs * torch.tensor([1.0, 0.05])
    batch = replace(batch, inputs=inputs, targets={"sum": inputs.sum(-1, keepdim=True)})
    about = sufficient_units(model, batch, bootstrap=400).attrs["sufficient"]["sum"]
    assert about["kept"] == 1 and about["checked_low"] < about["checked"] < about["checked_high"] < 1
    # Of a correlation r = 0.99875 in 600 steps, Fisher's interval.
    z, half = np.arctanh(np.sqrt(about["checked"])), 1.96 / np.sqrt(600)
    ends = np.tanh([z - half, z + half]) ** 2
    assert about["checked_high"] - about["checked_low"] == pytest.approx(ends[1] - ends[0], rel=0.25)
    two = sufficient_units(model, batch, bootstrap=400, groups=np.arange(200) // 100).attrs["sufficient"]["sum"]
    assert (
        np.isnan(two["checked_low"]) and np.isnan(two["checked_high"]) and two["checked"] == pytest.approx(1, abs=0.01)
    )
    four = sufficient_units(model, batch, bootstrap=400, groups=np.arange(200) // 50).attrs["sufficient"]["sum"]
    assert four["kept"] == 1 and four["checked_low"] < four["checked"] < four["checked_high"]


def test_where_all_is_right_the_interval_still_has_a_width():
    """Of 32 sequences all are right: by Wilson's interval, of others at least 1 / (1 + 1.96² / 32) are."""
    model, _ = adders([[1, 0], [0, 1], [0, 0]])
    right = (torch.rand(64, 5, 2, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    spec = Target("bits", "multilabel", 2)
    with torch.no_grad():
        model.lstm.weight_ih_l0[6:8] *= 100
        model.readout = torch.nn.Linear(3, 2)
        model.readout.weight[:], model.readout.bias[:] = torch.tensor([[200.0, 0, 0], [0, 200, 0]]), 0
    batch = Batch(2 * right - 1, {"bits": right}, (spec,), torch.full((64,), 5), {})
    table = sufficient_units(model, batch, bootstrap=50)
    about = table.attrs["sufficient"]["bits"]
    assert kept_of(table) == {0, 1} and about == {**table.attrs["sufficient"][ALL]}
    assert about["checked"] == about["checked_high"] == 1 and about["checked_low"] == pytest.approx(32 / (32 + 1.96**2))
    groups = sufficient_units(model, batch, bootstrap=50, groups=np.arange(64) // 8).attrs["sufficient"]["bits"]
    assert groups["checked_low"] == pytest.approx(4 / (4 + 1.96**2))


def test_other_sequences_check_what_all_of_these_have_chosen():
    """The latch is not used in the sequences that choose; where it is, the set that they choose does not do."""
    model, batch, other = counter_and_latch(0), counting_batch(0), counting_batch(1)
    known = batch.map(lambda values: values.clone())
    known.inputs[..., 2:] = 0
    known.inputs[:, 0, 2] = 1
    level = 0.7 + 0.01 * torch.randn(known.targets["latch"].shape, generator=torch.Generator().manual_seed(0))
    given = type(known)(known.inputs, {"latch": level, "count": known.targets["count"]}, known.target_specs,
                        known.lengths, {})  # fmt: skip
    same = sufficient_units(model, batch, check=other)
    assert same.attrs["sufficient"]["all"]["kept"] == 2
    assert same.attrs["sufficient"]["all"]["checked"] == pytest.approx(1, abs=1e-3)
    count = sufficient_units(model, given, check=other)
    assert {*count.target} == {"all", "count"}
    assert count.attrs["sufficient"]["count"]["kept"] == 1
    again = sufficient_units(model, batch, check=batch, bootstrap=0)
    halves = sufficient_units(model, batch, bootstrap=0)
    assert again[again.kept].groupby("target").size().equals(halves[halves.kept].groupby("target").size())
