"""One true sentence for each code, whatever the code is."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.findings.codes import code_sentence

ROW = {
    "variable": "c", "layer": 0, "direction": "forward", "signal": "count", "lag": 0, "varying": 8, "effect": 0.99,
    "best_unit": 3, "best_effect": 0.984, "second_unit": 5, "second_effect": 0.2, "rest": 0.31, "code": "localist",
}  # fmt: skip
NUMBERS = "R² 0.98 of unit 3 alone, 0.20 of unit 5 alone, 0.31 of all but unit 3, 0.99 of all 8"
CHANCE = "cases a random basis looks so"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("localist", f"count is held by one unit of c, layer 0 (localist): {NUMBERS}."),
        ("copies", f"count is held by several units of c, layer 0, each by itself (copies): {NUMBERS}."),
        ("distributed", f"count is spread over units of c, layer 0 (distributed): {NUMBERS}."),
        ("not told apart", f"count is in c, layer 0, not told apart whether in one unit or in several: {NUMBERS}."),
        ("none", "count has no code in c, layer 0: all 8 units together tell too little of it (R² 0.99)."),
        ("undefined", "count has no code in c, layer 0: the signal has no score, so that there is nothing to compare."),
    ],
)
def test_every_code_has_its_sentence(code, says):
    assert code_sentence(ROW | {"code": code}, 8) == says


def test_what_the_others_tell_and_what_few_units_look_like_is_added():
    also = code_sentence(ROW | {"rest": 0.9}, 8)
    assert also.endswith("0.90 of all but unit 3, 0.99 of all 8; the others together tell it too.")
    assert "tell it too" not in code_sentence(ROW | {"rest": 0.89}, 8)
    assert "tell it too" in code_sentence(ROW | {"rest": 0.8}, 8, share=0.8)
    # All is the higher of the two: 0.9 of 0.984 here.
    assert "tell it too" not in code_sentence(ROW | {"effect": 0.5, "rest": 0.88}, 8)
    for units, varying, few in [(2, 2, True), (3, 3, True), (4, 4, False), (8, 3, True), (8, 8, False)]:
        told = code_sentence(ROW | {"varying": varying}, units)
        assert (CHANCE in told) is few and f"of all {varying}" in told
    assert "of 2 units, in about 1 of 3 cases" in code_sentence(ROW, 2)
    assert "of 3 units, in about 1 of 6 cases" in code_sentence(ROW, 3)
    assert CHANCE not in code_sentence(ROW | {"varying": 2, "code": "distributed"}, 2)
    assert CHANCE in code_sentence(ROW | {"rest": 0.95, "varying": 3}, 3) and "tell it too" in also


def test_lag_layer_and_direction_are_named():
    told = code_sentence(ROW | {"lag": 2, "layer": 1, "direction": "reverse", "variable": "h"}, 8)
    assert told.startswith("count of 2 steps back is held by one unit of h, layer 1 reverse (localist): ")


@pytest.mark.parametrize("units", [1, 2, 5])
def test_every_row_of_a_real_table_has_a_sentence(units):
    torch.manual_seed(units)
    x = torch.randn(30, 8, 2)
    module = nn.LSTM(2, units, num_layers=2, bidirectional=True, batch_first=True, proj_size=units // 2)
    signals = {
        "sum": x[..., 0].cumsum(1), "up": x[..., 1] > 0, "noise": np.random.default_rng(0).normal(size=(30, 8)),
        "flat": np.ones((30, 8)),
    }  # fmt: skip
    table = lp.signal_codes(lp.record(module, x), signals, variables=["c", "h"], rotations=19, lags=(0, 1))
    for _, row in table.iterrows():
        told = code_sentence(row, units)
        assert told.endswith(".") and "nan" not in told and "<NA>" not in told
        assert row.signal in told and f"{row.variable}, layer {row.layer}" in told
    one = table[table.varying < 2]
    assert len(one) == {1: 32 * 2, 2: 32, 5: 0}[units] and isinstance(table, pd.DataFrame)
    assert all("one unit varies" in code_sentence(row, units) for _, row in one.iterrows())
