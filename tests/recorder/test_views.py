"""The same numbers as xarray, as a table and as a summary."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.recorder import record


def made(**keywords):
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 5, batch_first=True, **keywords)
    return record(lstm, torch.randn(4, 7, 3), lengths=[7, 3, 1, 6])


def test_xarray_has_named_dimensions_and_no_padding():
    rec = made()
    data = rec.to_xarray()
    assert data["c"].dims == ("sequence", "time", "unit")
    assert set(data.data_vars) == set("hcifgo")
    assert float(data["f"].sel(sequence=1, time=2, unit=4)) == float(rec.f[1, 2, 4])
    assert int(data["c"].notnull().sum()) == 17 * 5
    assert data["length"].values.tolist() == [7, 3, 1, 6]


def test_xarray_of_a_stack_with_a_projection():
    data = made(num_layers=2, bidirectional=True, proj_size=2).to_xarray()
    assert data["layer1_reverse_h"].dims == ("sequence", "time", "output")
    assert data["layer1_reverse_h"].shape == (4, 7, 2) and len(data.data_vars) == 24


def test_frame_is_tidy():
    rec = made(num_layers=2)
    table = rec.to_frame()
    assert len(table) == 2 * 17 * 5
    assert list(table.columns) == ["layer", "direction", "sequence", "time", "unit", *"hcifgo"]
    row = table.query("layer == 1 and sequence == 3 and time == 5 and unit == 2").iloc[0]
    assert row.c == pytest.approx(float(rec[1].c[3, 5, 2])) and row.o == pytest.approx(float(rec[1].o[3, 5, 2]))
    assert "h" not in made(proj_size=2).to_frame()


def test_summary_by_numpy():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 5, batch_first=True)
    with torch.no_grad():
        lstm.bias_ih_l0[5 + 2] = 30.0  # unit 2 forgets nothing
        lstm.bias_ih_l0[15 + 4] = -30.0  # unit 4 shows nothing
    rec = record(lstm, torch.randn(4, 7, 3), lengths=[7, 3, 1, 6])
    table = rec.summary().set_index(["variable", "unit"])
    real = rec.mask.numpy()
    c = rec.c.numpy()[real]
    assert np.allclose(table.loc["c"]["mean"], c.mean(0), atol=1e-6) and np.allclose(table.loc["c"].low, c.min(0))
    i = rec.i.numpy()[real]
    assert np.allclose(table.loc["i"].left, (i < 0.1).mean(0)) and np.allclose(table.loc["i"].right, (i > 0.9).mean(0))
    assert table.loc["f", 2].right == 1.0
    assert table.loc["h"].dead.tolist() == [False, False, False, False, True]
    assert table.loc["c"].left.isna().all()


def test_the_candidate_gate_is_saturated_beyond_both_ends_of_its_range():
    """g lies between -1 and 1, the other gates between 0 and 1."""
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 5, batch_first=True)
    with torch.no_grad():
        lstm.weight_ih_l0 *= 6
    rec = record(lstm, torch.randn(40, 7, 3))
    table = rec.summary().set_index(["variable", "unit"])
    for v, edge in (("i", 0.1), ("f", 0.1), ("o", 0.1), ("g", -0.9)):
        values = getattr(rec, v).numpy().reshape(-1, 5)
        left, right = (values < edge).mean(0), (values > 0.9).mean(0)
        assert (left > 0).all() and (right > 0).all()
        assert np.allclose(table.loc[v].left, left) and np.allclose(table.loc[v].right, right)
