"""Gate saturation, against a count step by step and networks whose gates are known."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.dynamics.saturation import COLUMNS, by_unit, gate_saturation, saturation_sentences


def recorded(layers=2, variables="hcifgo"):
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, layers, batch_first=True, bidirectional=True)
    for name, values in lstm.named_parameters():
        if name.startswith("weight"):
            values.data *= 6
    lengths = [9, 4, 1, 7]
    return lp.record(lstm, torch.randn(4, 9, 3), lengths=torch.tensor(lengths), variables=variables), lengths


def test_shares_are_those_of_a_count_step_by_step():
    rec, lengths = recorded()
    table = gate_saturation(rec, low=0.2, high=0.7, run="r", task="t", seed=3)
    assert list(table.columns) == list(COLUMNS) and len(table) == 2 * 2 * 3 * 4
    assert set(table["variable"]) == {"i", "f", "o"} and (table["n"] == sum(lengths)).all()
    for row in table.itertuples():
        values = [
            float(rec[row.layer, row.direction][row.variable][s, t, row.unit])
            for s, length in enumerate(lengths)
            for t in range(length)
        ]
        assert row.shut == pytest.approx(sum(v < 0.2 for v in values) / len(values))
        assert row.open == pytest.approx(sum(v > 0.7 for v in values) / len(values))
        assert row.mean == pytest.approx(np.mean(values))
    assert table["shut"].between(0.05, 0.95).any() and table["open"].between(0.05, 0.95).any()


def test_it_agrees_with_the_summary_of_a_recording():
    rec, _ = recorded()
    keys = ["layer", "direction", "variable", "unit"]
    ours, theirs = gate_saturation(rec).set_index(keys), rec.summary().set_index(keys).loc[lambda t: t.index]
    joined = ours.join(theirs[["left", "right"]])
    assert np.allclose(joined["shut"], joined["left"]) and np.allclose(joined["open"], joined["right"])


def test_a_gate_that_is_always_open_is_said_to_be():
    lstm = nn.LSTM(1, 3, batch_first=True)
    with torch.no_grad():
        for values in lstm.parameters():
            values.zero_()
        lstm.bias_ih_l0[3 + 1] = 9.0  # the forget gate of unit 1
        lstm.bias_ih_l0[9 + 2] = -9.0  # the output gate of unit 2
    table = gate_saturation(lp.record(lstm, torch.zeros(2, 5, 1)))
    said = {unit: " ".join(saturation_sentences(own, None)) for unit, own in table.groupby("unit")}
    assert said == {
        0: "None of its gates is open or shut in most steps.",
        1: "Its forget gate is open in 100 % of steps.",
        2: "Its output gate is shut in 100 % of steps.",
    }
    wide = by_unit(table).set_index("unit")
    assert wide.loc[1, "forget gate open"] == 1 and wide.loc[2, "output gate shut"] == 1
    assert wide.drop(columns=["layer", "direction"]).to_numpy().sum() == 2


def test_only_gates_that_were_recorded_are_told_of():
    rec, _ = recorded(variables="cf")
    assert set(gate_saturation(rec)["variable"]) == {"f"}
    nothing = gate_saturation(recorded(variables="c")[0])
    assert nothing.empty and list(nothing.columns) == list(COLUMNS) and not list(saturation_sentences(nothing, None))


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.1), (-0.1, 0.9), (0.1, 1.1)])
def test_thresholds_must_rise(low, high):
    with pytest.raises(lp.InputError, match="they must rise from 0 to 1"):
        gate_saturation(recorded()[0], low=low, high=high)
