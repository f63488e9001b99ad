"""Sequences are measured on in the file's order, so that what depends on neighbours is seen and counted with."""

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.network.model import SequenceModel
from lstm_probe.probing import probe_units
from lstm_probe.recorder import record
from lstm_probe.tasks import get_task


def slow(rng, n, tau):
    """A stationary series of numbers that remembers for about tau steps."""
    keep = np.exp(-1 / tau)
    values = [rng.normal()]
    for noise in np.sqrt(1 - keep**2) * rng.normal(size=n - 1):
        values.append(keep * values[-1] + noise)
    return np.array(values)


@pytest.mark.parametrize("n", [10, 512])
def test_a_sample_is_in_the_order_of_the_file(tmp_path, n):
    rows = [(f"s{7 * s % 60}", float(s)) for s in range(60) for _ in range(3)]
    table = pd.DataFrame(rows, columns=["sequence", "x_place"]).assign(signal_place=lambda d: d["x_place"])
    table.to_csv(tmp_path / "data.csv", index=False)
    task = get_task("table", path=str(tmp_path / "data.csv"), standardise=False, held_out=0.5)
    places = [task.sample(n, seed=seed).inputs[:, 0, 0].tolist() for seed in range(3)]
    assert all(one == sorted(one) and len(one) == min(n, 30) for one in places)
    assert (places[0] == places[1]) == (n == 512)


def test_a_drift_over_sequences_is_said(tmp_path, caplog):
    rng = np.random.default_rng(3)
    drifts = slow(rng, 100, 30), slow(rng, 100, 30)
    rows = [(s, drifts[0][s] + rng.normal(), drifts[1][s] + rng.normal()) for s in range(100) for _ in range(10)]
    pd.DataFrame(rows, columns=["sequence", "x_a", "signal_b"]).to_csv(tmp_path / "data.csv", index=False)
    batch = get_task("table", path=str(tmp_path / "data.csv"), held_out=1.0).sample(512, seed=1)
    model = SequenceModel(1, 1, 4, seed=0)
    probe_units(record(model, batch.inputs), batch.signals, permutations=19, bootstrap=10, untrained=1)
    assert "SEQUENCES ARE NOT INDEPENDENT" in caplog.text and "(of a table task.group_columns)" in caplog.text


def test_shifts_of_windows_find_nothing_where_there_is_nothing(tmp_path):
    """Two slow series that have nothing to do with each other: at 5 %, 4 or more of 15 come in 0.5 % of all tries."""
    found = 0
    for k in range(15):
        rng = np.random.default_rng(k)
        pd.DataFrame({"x_a": slow(rng, 3000, 150), "signal_s": slow(rng, 3000, 150)}).to_csv(
            tmp_path / f"{k}.csv", index=False
        )
        task = get_task("table", path=str(tmp_path / f"{k}.csv"), window=20, held_out=1.0)
        batch = task.sample(512, seed=1)
        assert len(batch) == 150
        rec = record(SequenceModel(1, 1, 4, seed=k), batch.inputs)
        how = {"null": "shift", "permutations": 99, "bootstrap": 10, "untrained": 1, "variables": ["c"]}
        table = probe_units(rec, {"s": batch.signals["signal_s"].values}, **how)
        found += int(torch.tensor(table["p_family"].min() <= 0.05))
    assert found < 4
