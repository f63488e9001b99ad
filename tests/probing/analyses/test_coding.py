"""Localist or distributed, selective or mixed: on networks whose code is known by construction."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.columns import SIGNAL_CODE_COLUMNS, UNIT_CODE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.coding import signal_codes, unit_codes
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.figures.made import probe_row, probes


def planted(seed, random_units, listening):
    """Three planted memories, of which the counter is not so faint that ridge holds it back when it is rotated."""
    parts = [lp.planted.Counter(step=0.1), lp.planted.Latch(), lp.planted.Parity()]
    net = lp.planted.combine(parts, random_units, listening=listening, seed=seed)
    batch = net.sample(96, length=30, seed=seed + 1)
    signals = {name: batch.signals[name] for name in net.where}
    return net, lp.record(net.model, batch.inputs), signals


def with_c(rec, c):
    """The recording of these memories alone."""
    part = next(iter(rec))
    return Recording({(0, "forward"): LayerRecording(0, "forward", part.inputs, c=c)}, rec.lengths, rec.config)


@pytest.mark.parametrize("seed", range(12))
def test_planted_memories_are_localist_and_rotated_ones_distributed(seed):
    net, rec, signals = planted(seed, [0, 1, 3, 5, 13, 29][seed % 6], listening=seed % 4 > 1)
    table = signal_codes(rec, signals, variables=["c"], seed=seed).set_index("signal")
    assert (table.code == "localist").all()
    assert table.best_unit.to_dict() == dict(net.where)
    assert (table.best_effect > 0.999).all() and (table.p_rotation == 1 / 201).all()
    turned = signal_codes(lp.planted.rotate(rec, seed), signals, variables=["c"], seed=seed)
    assert (turned.code == "distributed").all()
    assert (turned.effect > 0.95).all()


def test_few_rotated_recordings_look_localist():
    codes = []
    for seed in range(20, 60):
        _, rec, signals = planted(seed, seed % 9, listening=False)
        codes += signal_codes(lp.planted.rotate(rec, seed), signals, variables=["c"], rotations=100).code.tolist()
    assert set(codes) <= {"localist", "distributed"}
    assert np.mean(np.array(codes) == "localist") <= 0.05


def test_order_and_scale_of_units_change_nothing():
    net, rec, signals = planted(3, 5, listening=True)
    signals["noise"] = np.random.default_rng(0).normal(size=(96, 30))
    plain = signal_codes(rec, signals, variables=["c"])
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    scales = 10.0 ** torch.linspace(-6, 6, 8, dtype=torch.float64)
    other = signal_codes(with_c(rec, (rec.c.double() * scales)[..., order]), signals)
    assert [order[u] for u in other.best_unit[:3]] == [net.where[s] for s in other.signal[:3]]
    assert other.code.tolist() == plain.code.tolist() == ["localist"] * 3 + ["none"]
    same = ["effect", "participation", "dimensionality", "best_effect"]
    assert other[same].to_numpy() == pytest.approx(plain[same].to_numpy(), abs=1e-6, nan_ok=True)
    # The same random bases turn other units, so these two differ as two draws of them do.
    assert other.rotated.to_numpy() == pytest.approx(plain.rotated.to_numpy(), abs=0.1)


def test_a_memory_that_two_units_hold_is_localist():
    net, rec, signals = planted(4, 5, listening=False)
    count = net.where["count"]
    twice = with_c(rec, torch.cat([rec.c, -1e3 * rec.c[..., [count]]], dim=-1).double())
    table = signal_codes(twice, signals).set_index("signal")
    assert (table.code == "localist").all()
    assert table.participation["count"] == pytest.approx(2, abs=0.01)
    assert table.participation[["latch", "parity"]].to_numpy() == pytest.approx(1, abs=0.01)
    assert table.dimensionality.to_numpy() == pytest.approx(1, abs=0.05)


def test_a_memory_that_nearly_all_units_hold_is_in_any_direction():
    net, rec, signals = planted(4, 2, listening=False)
    noise = torch.randn(96, 30, 12, generator=torch.Generator().manual_seed(0))
    many = rec.c[..., [net.where["latch"]]] + 0.1 * noise
    other = rec.c[..., [net.where["count"], net.where["parity"]]]
    table = signal_codes(with_c(rec, torch.cat([many, other], dim=-1)), signals).set_index("signal")
    assert table.code.to_dict() == {"count": "localist", "latch": "distributed", "parity": "localist"}
    assert table.best_effect["latch"] > 0.9 and table.rotated["latch"] > 0.9


def test_what_cannot_be_said_is_undefined():
    _, rec, signals = planted(5, 0, listening=False)
    signals["flat"] = np.zeros((96, 30))
    signals["noise"] = np.random.default_rng(0).normal(size=(96, 30))
    table = signal_codes(rec, signals, variables=["c"], lags=(0, 3), run="r", task="t", seed=7)
    assert tuple(table.columns) == tuple(SIGNAL_CODE_COLUMNS) and len(table) == 5 * 2
    flat = table[table.signal == "flat"]
    numbers = list(SIGNAL_CODE_COLUMNS)[11:-1]
    assert flat[numbers].isna().all(axis=None) and (flat.code == "undefined").all()
    assert (table[table.signal == "noise"].code == "none").all()
    # One unit that varies beside constant ones is nothing to rotate.
    c = rec.c.clone()
    c[..., 1:] = 0.5
    alone = signal_codes(with_c(rec, c), signals)
    assert (alone.code == "undefined").all() and alone[["rotated", "rotated_high", "p_rotation"]].isna().all(axis=None)
    assert alone.best_unit[:3].tolist() == [0, 0, 0] and alone.best_effect.max() > 0.999
    still = signal_codes(with_c(rec, torch.zeros_like(c)), signals)
    assert (still.code == "undefined").all() and still.best_effect[:3].tolist() == [0, 0, 0]


def test_bad_input_is_named():
    rec = lp.record(nn.LSTM(1, 2, batch_first=True), torch.randn(6, 5, 1))
    with pytest.raises(InputError) as error:
        signal_codes(rec, {"s": torch.randn(6, 5)}, rotations=0, alpha=2, folds=9)
    assert [p.split(":")[0] for p in error.value.problems] == ["rotations=0", "alpha=2", "folds=9"]


def test_units_with_one_signal_with_several_and_with_none():
    rows = []
    for unit, (effects, tracked) in enumerate(
        [
            ((0.8, 0.0, 0.0), (True, False, False)),
            ((0.6, 0.6, 0.6), (True, True, True)),
            ((0.5, 0.3, 0.1), (False, True, False)),
            ((0.2, 0.1, 0.0), (False, False, False)),
            ((np.nan, 0.4, 0.2), (False, True, False)),
        ]
    ):
        for signal, effect, tracks in zip("abc", effects, tracked):
            # The best lag counts, whichever it is.
            rows.append(probe_row(unit, signal, effect, tracks, lag=2))
            rows.append(probe_row(unit, signal, effect / 2, False, lag=0))
        rows.append(probe_row(unit, "position", 0.99, True, role="nuisance"))
    table = unit_codes(probes(*rows))
    assert tuple(table.columns) == tuple(UNIT_CODE_COLUMNS) and table.unit.tolist() == [0, 1, 2, 3, 4]
    assert table.n_signals.tolist() == [1, 3, 1, 0, 1]
    assert [None if pd.isna(s) else s for s in table.best_signal] == ["a", "a", "b", None, "b"]
    assert table.best_effect.tolist() == [0.8, 0.6, 0.3, 0.2, 0.4]
    assert table.selectivity.to_numpy() == pytest.approx([1, 0, 0, np.nan, 1 / 3], abs=1e-12, nan_ok=True)
    mixed = [0, 1, (0.9**2 / 0.35 - 1) / 2, np.nan, 0.36 / 0.2 - 1]
    assert table.mixing.to_numpy() == pytest.approx(mixed, abs=1e-12, nan_ok=True)
    nuisance = unit_codes(probes(*rows), roles=["nuisance"])
    assert nuisance.n_signals.tolist() == [1] * 5 and nuisance.mixing.isna().all()


def test_unit_codes_of_a_planted_network():
    net, rec, signals = planted(6, 4, listening=False)
    scores = lp.probe_units(rec, signals, permutations=199, bootstrap=2, variables=["c", "h"])
    table = unit_codes(scores)
    assert len(table) == 2 * 7
    held = table[(table.variable == "c") & table.n_signals.gt(0)]
    assert dict(zip(held.best_signal, held.unit)) == dict(net.where)
    assert (held.selectivity > 0.9).all() and (held.mixing < 0.1).all()


def test_bad_unit_tables_are_named():
    table = probes(probe_row(0, "a", 0.5))
    with pytest.raises(InputError, match=r"no column tracks; .*\nroles=targets: must be among target"):
        unit_codes(table.drop(columns="tracks"), roles=["targets"])
    with pytest.raises(InputError, match="roles=nuisance: no signal of this table has one of these; there are: target"):
        unit_codes(table, roles=["nuisance"])
