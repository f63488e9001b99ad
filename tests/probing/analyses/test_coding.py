"""Localist or distributed, selective or mixed: on networks whose code is known by construction."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import lstm_probe as lp
from lstm_probe.core.columns import SIGNAL_CODE_COLUMNS, UNIT_CODE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split
from lstm_probe.probing.analyses.coding import codes, signal_codes, unit_codes
from lstm_probe.probing.fits.ridge import PENALTIES
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.figures.made import probe_row, probes

BARS = {
    "alpha": 0.05, "min_effect": 0.25, "code_share": 0.9, "code_low": 0.75, "code_rest": 0.5, "code_margin": 0.1,
    "code_closed": 0.9,
}  # fmt: skip


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
def test_planted_memories_are_localist_and_rotated_ones_are_not(seed):
    net, rec, signals = planted(seed, [0, 1, 3, 5, 13, 29][seed % 6], listening=seed % 4 > 1)
    table = signal_codes(rec, signals, variables=["c"], seed=seed).set_index("signal")
    assert (table.code == "localist").all()
    assert table.best_unit.to_dict() == dict(net.where)
    assert (table.best_effect > 0.999).all() and (table.p_rotation == 1 / 201).all()
    turned = signal_codes(lp.planted.rotate(rec, seed), signals, variables=["c"], seed=seed)
    # One that outweighs all others is in every unit then: copies.
    assert (turned.code != "localist").all()
    assert (turned.effect > 0.95).all()


def test_few_rotated_recordings_look_localist():
    codes = []
    for seed in range(20, 60):
        _, rec, signals = planted(seed, seed % 9, listening=False)
        codes += signal_codes(lp.planted.rotate(rec, seed), signals, variables=["c"], rotations=100).code.tolist()
    # Where nearly all units share a signal, any direction tells it.
    assert set(codes) <= {"localist", "copies", "distributed", "not told apart"}
    assert np.mean(np.array(codes) == "localist") <= 0.05


def walks(rng, *shape):
    """Random walks over 30 steps of 60 sequences, with variance 1."""
    x = rng.normal(size=(60, 30, *shape)).cumsum(1)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def known_code(kind, units, share, seed):
    """Random walks of which some hold a signal with this R²; how is known."""
    rng = np.random.default_rng([31, units, seed])
    c, parts = walks(rng, units), walks(rng, 2)
    held = [parts[..., 0], parts[..., 1] if kind == "halves" else parts[..., 0]]
    for unit in {"holder": [0], "rotation": [0], "copies": [0, 1], "halves": [0, 1]}[kind]:
        c[..., unit] = np.sqrt(share) * held[unit] + np.sqrt(1 - share) * rng.normal(size=(60, 30))
    if kind == "rotation":
        c = c @ np.linalg.qr(rng.normal(size=(units, units)))[0]
    rec = Recording(
        {(0, "forward"): LayerRecording(0, "forward", torch.zeros(60, 30, 1), c=torch.tensor(c))},
        torch.full((60,), 30),
        LSTMConfig(1, units),
    )
    return signal_codes(rec, {"s": sum(held) if kind == "halves" else held[0]}, seed=seed).iloc[0]


@pytest.mark.parametrize("units", [2, 3, 4, 8, 16, 32])
@pytest.mark.parametrize(("kind", "code"), [("holder", "localist"), ("copies", "copies"), ("halves", "distributed")])
def test_codes_that_are_known(units, kind, code):
    rows = [known_code(kind, units, share, seed) for share in (0.9, 0.98) for seed in range(2)]
    assert [row.code for row in rows] == [code] * 4
    assert all(row.varying == units for row in rows)
    held = {"holder": {0}, "copies": {0, 1}, "halves": {0, 1}}[kind]
    assert all(held <= {row.best_unit, row.second_unit} for row in rows)


@pytest.mark.parametrize(("units", "most"), [(2, 8), (3, 6), (4, 3), (8, 0), (16, 0)])
def test_a_random_basis_seldom_looks_like_one_unit_where_there_are_more_than_three(units, most):
    codes = [known_code("rotation", units, 0.95, seed).code for seed in range(16)]
    assert set(codes) <= {"localist", "distributed", "not told apart"} and codes.count("localist") <= most


def test_numbers_beside_the_code_are_those_of_scikit_learn():
    """second_effect by a straight line, and rest by a ridge whose penalty is chosen within each training part."""
    _, rec, signals = planted(7, 4, listening=True)
    split = Split.make(96, 3, 1)
    table = signal_codes(rec, signals, split=split, variables=["c"]).set_index("signal")
    x, fold = rec.c.double().numpy().reshape(-1, 7), np.repeat(split.fold, 30)
    for name, row in table.iterrows():
        y = np.asarray(signals[name].values if hasattr(signals[name], "values") else signals[name], float).reshape(-1)
        alone = [r2_score(y, cross_val_predict(LinearRegression(), x[:, [u]], y, groups=fold, cv=LeaveOneGroupOut()))
                 for u in range(7)]  # fmt: skip
        best, second = np.argsort(alone)[::-1][:2]
        assert (row.best_unit, row.second_unit) == (best, second)
        assert row.second_effect == pytest.approx(max(0, alone[second]), abs=1e-6)
        others, predicted = np.delete(x, best, axis=1), np.empty(len(y))
        for k in range(3):
            train = fold != k
            search = GridSearchCV(
                make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": PENALTIES * train.sum() / 2},
                scoring="neg_mean_squared_error", cv=LeaveOneGroupOut(),
            ).fit(others[train], y[train], groups=fold[train])  # fmt: skip
            predicted[~train] = search.predict(others[~train])
        assert row["rest"] == pytest.approx(max(0, r2_score(y, predicted)), abs=2e-3)


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ({}, "localist"),
        ({"best_effect": 0.89}, "not told apart"),
        ({"best_effect": 0.7499}, "distributed"),
        ({"best_effect": 0.7501}, "not told apart"),
        ({"second_effect": 0.9}, "copies"),
        ({"second_effect": 0.899}, "not told apart"),
        ({"second_effect": 0.75}, "not told apart"),
        ({"rest": 0.51}, "localist"),  # an axis
        ({"rest": 0.51, "p_rotation": 0.06}, "not told apart"),
        ({"rest": 0.5, "p_rotation": 0.06}, "localist"),
        ({"rest": 0.51, "rotated_high": 0.86}, "not told apart"),
        ({"rest": 0.51, "rotated_high": 0.86, "best_effect": 0.99}, "localist"),
        ({"rest": 0.51, "best_effect": 0.945, "rotated_high": 0.85}, "not told apart"),
        ({"effect": 0.2, "best_effect": 0.26, "rest": 0.13}, "localist"),  # of the higher of the two
        ({"effect": 0.2, "best_effect": 0.24, "second_effect": 0.24}, "none"),
        ({"effect": 0.0, "best_effect": 0.0, "second_effect": 0.0}, "none"),
        ({"p_rotation": np.nan}, "undefined"),
    ],
)
def test_the_word_at_every_bar(numbers, code):
    row = {"effect": 1.0, "best_effect": 0.95, "second_effect": 0.1, "rest": 0.2, "rotated_high": 0.6}
    table = pd.DataFrame([row | {"p_rotation": 0.01} | numbers])
    assert codes(table, **BARS).tolist() == [code]


def test_every_bar_is_a_setting():
    torch.manual_seed(0)
    rec = lp.record(nn.LSTM(1, 4, batch_first=True), torch.randn(40, 8, 1, generator=torch.Generator().manual_seed(0)))
    signals = {"s": rec.c[..., 0] + 0.5 * rec.c[..., 1] / rec.c[..., 1].std() * rec.c[..., 0].std()}
    (row,) = signal_codes(rec, signals, variables=["c"]).itertuples()
    every = max(row.effect, row.best_effect)
    share, second = row.best_effect / every, row.second_effect / every
    told = {
        "none": {"min_effect": 1.0},
        "distributed": {"code_share": min(1, share + 0.02), "code_low": min(1, share + 0.01)},
        "copies": {"code_share": second, "code_low": second / 2},
        "localist": {"code_share": share, "code_low": share, "code_rest": 1.0},
        "not told apart": {"code_share": share, "code_low": min(share, second), "code_rest": 1.0},
    }
    for code, bars in told.items():
        assert signal_codes(rec, signals, variables=["c"], **bars).code[0] == code
    with pytest.raises(InputError, match=r"^code_low=0\.8: must not be above code_share=0\.7$"):
        signal_codes(rec, signals, code_low=0.8, code_share=0.7)


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


def test_a_memory_that_two_units_hold_is_copied():
    net, rec, signals = planted(4, 5, listening=False)
    count = net.where["count"]
    twice = with_c(rec, torch.cat([rec.c, -1e3 * rec.c[..., [count]]], dim=-1).double())
    table = signal_codes(twice, signals).set_index("signal")
    assert table.code.to_dict() == {"count": "copies", "latch": "localist", "parity": "localist"}
    assert {table.best_unit["count"], table.second_unit["count"]} == {count, 8}
    assert table.participation["count"] == pytest.approx(2, abs=0.01)
    assert table.participation[["latch", "parity"]].to_numpy() == pytest.approx(1, abs=0.01)
    assert table.dimensionality.to_numpy() == pytest.approx(1, abs=0.05)


def test_a_memory_that_nearly_all_units_hold_is_in_any_direction():
    net, rec, signals = planted(4, 2, listening=False)
    noise = torch.randn(96, 30, 12, generator=torch.Generator().manual_seed(0))
    many = rec.c[..., [net.where["latch"]]] + 0.1 * noise
    other = rec.c[..., [net.where["count"], net.where["parity"]]]
    table = signal_codes(with_c(rec, torch.cat([many, other], dim=-1)), signals).set_index("signal")
    assert table.code.to_dict() == {"count": "localist", "latch": "copies", "parity": "localist"}
    assert table.best_effect["latch"] > 0.9 and table.rotated["latch"] > 0.9


def test_what_cannot_be_said_is_undefined():
    _, rec, signals = planted(5, 0, listening=False)
    signals["flat"] = np.zeros((96, 30))
    signals["noise"] = np.random.default_rng(0).normal(size=(96, 30))
    table = signal_codes(rec, signals, variables=["c"], lags=(0, 3), run="r", task="t", seed=7)
    assert tuple(table.columns) == tuple(SIGNAL_CODE_COLUMNS) and len(table) == 5 * 2
    flat = table[table.signal == "flat"]
    numbers = [name for name in list(SIGNAL_CODE_COLUMNS)[11:-1] if name != "varying"]
    assert flat[numbers].isna().all(axis=None) and (flat.code == "undefined").all()
    assert (table[table.signal == "noise"].code == "none").all()
    # One unit that varies beside constant ones is nothing to rotate.
    c = rec.c.clone()
    c[..., 1:] = 0.5
    alone = signal_codes(with_c(rec, c), signals)
    nothing = ["rotated", "rotated_high", "p_rotation", "second_unit", "second_effect", "rest"]
    assert (alone.code == "undefined").all() and alone[nothing].isna().all(axis=None)
    assert alone.varying.tolist() == [1] * 5
    assert alone.best_unit[:3].tolist() == [0, 0, 0] and alone.best_effect.max() > 0.999
    still = signal_codes(with_c(rec, torch.zeros_like(c)), signals)
    assert (still.varying == 0).all()
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
