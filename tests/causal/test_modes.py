"""What a unit is clamped to: where its mean, zero and other sequences' values must agree, and where they can't."""

import numpy as np
import pytest
import torch

from lstm_probe.causal import ablate_units
from lstm_probe.causal.modes import COLUMNS, compare_modes, disagreements
from lstm_probe.core.vocabulary import MODES
from tests.handmade import counter_and_latch, counting_batch

COUNT, LATCH = 3, 5


def test_of_the_planted_units_all_three_tell_the_same_and_are_those_of_the_table():
    model, batch = counter_and_latch(0), counting_batch(0)
    table = compare_modes(model, batch, bootstrap=100)
    assert list(table.columns) == list(COLUMNS) and not table.disagree.any()
    for mode in MODES:
        own = ablate_units(model, batch, mode=mode, bootstrap=100).set_index(["unit", "target"])
        both = table.set_index(["unit", "target"])
        assert np.array_equal(both[mode], own.refit_drop) and np.array_equal(both[f"{mode}_ci_low"], own.refit_ci_low)
        assert both[mode][COUNT, "count"] > 0.9 < both[mode][LATCH, "latch"]
    assert len(disagreements(table)) == 0


@torch.no_grad()
def test_where_zero_is_far_off_what_the_unit_took_that_is_said():
    """Unit 0 stays near 0.7 throughout; at 0 it would shut the latch's output gate, which it opens."""
    model, batch = counter_and_latch(0), counting_batch(0)
    w = dict(model.lstm.named_parameters())
    for k, (bias, hears) in enumerate(zip((30.0, -30.0, 1.0, 30.0), (0, 0, 0.01, 0))):
        row = 8 * k
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_hh_l0"):
            w[name][row] = 0
        w["bias_ih_l0"][row], w["weight_ih_l0"][row, 0] = bias, hears
    w["weight_hh_l0"][24 + LATCH] = 0
    w["weight_hh_l0"][24 + LATCH, 0], w["bias_ih_l0"][24 + LATCH] = 400.0, -120.0
    table = compare_modes(model, batch, bootstrap=100)
    row = table[(table.unit == 0) & (table.target == "latch")].iloc[0]
    assert row.zero > 0.9 and max(row["mean"], row["resample"]) < 0.05
    assert row.disagree and row.off_data == "zero"
    told = disagreements(table)
    assert told.unit.iloc[0] == 0 and told.zero.iloc[0] == pytest.approx(row.zero)
