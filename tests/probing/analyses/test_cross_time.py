"""Readouts at other times than their own: a loop of scikit-learn's fits, a code that stays and one that turns."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from lstm_probe.core.columns import CROSS_TIME_COLUMNS, STABILITY_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split, probe_populations
from lstm_probe.probing.analyses.cross_time import cross_time, stability
from lstm_probe.probing.fits.ridge import PENALTIES
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.handmade import counter_and_latch, counting_batch


def recording_of(units, lengths=None):
    units = torch.as_tensor(units)
    lengths = torch.full((len(units),), units.shape[1]) if lengths is None else torch.as_tensor(lengths)
    inputs = torch.zeros(*units.shape[:2], 1)
    return Recording(
        {(0, "forward"): LayerRecording(0, "forward", inputs, c=units)}, lengths, LSTMConfig(1, units.shape[-1])
    )


def fitted(x, y, fold):
    """Ridge with the penalty that errs least in folds of these steps."""

    def fit(x, y, penalty):
        scaler = StandardScaler().fit(x)
        model = Ridge(alpha=penalty * len(x)).fit(scaler.transform(x), y)
        return lambda new: model.predict(scaler.transform(new))

    errors = [
        sum(np.square(y[fold == k] - fit(x[fold != k], y[fold != k], p)(x[fold == k])).sum() for k in np.unique(fold))
        for p in PENALTIES
    ]
    return fit(x, y, PENALTIES[int(np.argmin(errors))])


def readouts(units, y, real, fold):
    """Each fold's, fitted at the real steps of all others."""
    fits = []
    for k in np.unique(fold):
        where = real & (fold != k)[:, None]
        fits.append(fitted(units[where], y[where], np.broadcast_to(fold[:, None], where.shape)[where]))
    return fits


def score_at(fits, units, y, real, fold, kind):
    """The score of each fold's readout at its own real steps; AUROC within folds, weighted by their pairs."""
    own = [real & (fold == k)[:, None] for k in np.unique(fold)]
    signal, told = [y[where] for where in own], [fit(units[where]) for fit, where in zip(fits, own)]
    if kind == "continuous":
        return r2_score(np.concatenate(signal), np.concatenate(told))
    pairs = [t.sum() * (1 - t).sum() for t in signal]
    return np.average([roc_auc_score(t, p) for t, p in zip(signal, told)], weights=pairs)


def problem(seed, sequences=20, time=12):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(7, time + 1, sequences)
    drift = rng.normal(size=(sequences, time)).cumsum(1)
    turn = np.linspace(0, 1, time)
    units = np.stack([drift * (1 - turn), drift * turn + 2, rng.normal(size=drift.shape)], axis=-1)
    units = (units + 0.3 * rng.normal(size=units.shape)) * 10.0 ** rng.integers(-5, 6, 3)
    signals = {"drift": drift, "up": drift + rng.normal(size=drift.shape) > 0}
    return units, lengths, signals, np.arange(sequences) % 4


def test_along_steps_it_equals_a_loop_of_scikit_learns_fits():
    units, lengths, signals, fold = problem(0)
    rec = recording_of(units, lengths)
    table = cross_time(rec, signals, steps=(0, 3, 5), split=Split(fold))
    t, real = np.arange(12), np.arange(12) < lengths[:, None]
    ends = {0: 3, 3: 5, 5: 12}
    assert len(table) == 9 * 2
    kinds = {"drift": "continuous", "up": "binary"}
    for (name, first), rows in table.groupby(["signal", "fitted"]):
        y = signals[name].astype(float)
        fits = readouts(units, y, real & (t >= first) & (t < ends[first]), fold)
        for row in rows.itertuples():
            at = real & (t >= row.tested) & (t < ends[row.tested])
            assert row.score == pytest.approx(score_at(fits, units, y, at, fold, kinds[name]), abs=1e-7)
            assert row.effect == pytest.approx(max(0, row.score if name == "drift" else 2 * row.score - 1))


def test_along_lags_it_equals_a_loop_of_scikit_learns_fits():
    units, lengths, signals, fold = problem(2)
    table = cross_time(recording_of(units, lengths), signals, along="lag", lags=(0, 4, 1), split=Split(fold))
    assert table["fitted"].tolist()[:9] == [0, 0, 0, 4, 4, 4, 1, 1, 1]
    assert table["tested"].tolist()[:9] == [0, 4, 1] * 3
    real = (np.arange(12) < lengths[:, None]) & (np.arange(12) >= 4)
    for (name, lag), rows in table.groupby(["signal", "fitted"]):
        y = signals[name].astype(float)
        fits = readouts(units, np.roll(y, lag, axis=1), real, fold)
        for row in rows.itertuples():
            expected = score_at(fits, units, np.roll(y, row.tested, axis=1), real, fold, row.kind)
            assert row.score == pytest.approx(expected, abs=1e-7)


def test_on_the_diagonal_of_one_lag_it_is_the_population_probe():
    torch.manual_seed(0)
    x = torch.randn(40, 9, 2)
    rec = record(nn.LSTM(2, 5, 2, batch_first=True), x)
    signals = {"sum": x[..., 0].cumsum(1), "bit": x[..., 1] > 0, "state": (x > 0).long() @ torch.tensor([1, 2])}
    got = cross_time(rec, signals, along="lag", lags=(0,), variables=None, seed=5, run="r", task="t")
    expected = probe_populations(rec, signals, bootstrap=1, untrained=1, seed=5, run="r", task="t")
    assert tuple(got.columns) == tuple(CROSS_TIME_COLUMNS)
    assert got["score"].tolist() == pytest.approx(expected["score"].tolist(), abs=1e-10)
    keys = [c for c in list(CROSS_TIME_COLUMNS)[:10] if c in expected]
    pd.testing.assert_frame_equal(got[keys], expected[keys])


def test_a_latch_is_stable():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    table = stability(cross_time(record(model.lstm, batch.inputs), batch.signals, steps=8, task="t"))
    assert tuple(table.columns) == tuple(STABILITY_COLUMNS) and table["task"].tolist() == ["t", "t"]
    latch = table[table["signal"] == "latch"].iloc[0]
    assert latch["diagonal"] > 0.99 and latch["stability"] > 0.98


@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_a_code_that_turns_with_the_step_is_not(kind):
    """Two numbers stand at right angles, and both turn by half a turn over the sequence."""
    rng = np.random.default_rng(0)
    # Of mean 0 and variance 1, and uncorrelated, in this very sample.
    both = np.linalg.qr(np.column_stack([np.ones(400), rng.normal(size=(400, 2))]))[0][:, 1:] * 20
    held, other = both.T[..., None] * np.ones(40)
    angle = np.pi * np.arange(40) / 40
    turned = (held * np.cos(angle) - other * np.sin(angle), held * np.sin(angle) + other * np.cos(angle))
    units = np.stack(turned, axis=-1) + 0.1 * rng.normal(size=(400, 40, 2))
    table = cross_time(recording_of(units), {"held": held if kind == "continuous" else held > 0}, steps=10)
    effect = table.pivot(index="fitted", columns="tested", values="effect")
    assert effect.index.tolist() == effect.columns.tolist() == list(range(0, 40, 4))
    assert (np.diagonal(effect) > 0.9).all()
    # Five windows on, the readout shows the other number; nine on, nearly its own turned round.
    assert effect.loc[0, 20] < 0.1 and effect.loc[8, 28] < 0.1 and effect.loc[0, 36] == 0
    apart = np.pi * (table["tested"] - table["fitted"]) / 40
    if kind == "continuous":
        # The readout shows cos · held + sin · other: it errs by (1 − cos)² + sin² = 2 − 2 cos.
        assert table["score"].to_numpy() == pytest.approx((2 * np.cos(apart) - 1).to_numpy(), abs=0.1)
    else:
        assert table["score"][apart.abs() > 2.8].max() < 0.1
    row = stability(table).iloc[0]
    off = effect.to_numpy()[~np.eye(10, dtype=bool)]
    assert row["stability"] == pytest.approx(off.mean() / np.diagonal(effect).mean()) and row["stability"] < 0.5
    assert stability(table.assign(effect=table["effect"] / 4))["stability"].isna().all()


def test_a_delay_line_has_a_direction_for_each_lag():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(100, 20))
    units = np.stack([np.roll(y, lag, axis=1) for lag in range(5)], axis=-1) + 0.05 * rng.normal(size=(100, 20, 5))
    table = cross_time(recording_of(units), {"y": y}, along="lag", lags=(0, 1, 4))
    assert table["effect"].to_numpy().reshape(3, 3) == pytest.approx(np.eye(3), abs=0.01)
    assert stability(table)["stability"].item() < 0.01


def test_what_is_undefined_is_not_a_number(caplog):
    """A signal that is constant in a window, one that always is, and windows that too few sequences reach."""
    rng = np.random.default_rng(2)
    units = rng.normal(size=(30, 12, 2))
    early = np.arange(12) < 4
    # Their means over the first window are rounded in many ways.
    late = {f"late{k}": np.where(early, k / 7, units[..., 0]) for k in range(1, 7)}
    signals = late | {"late_bit": ~early & (units[..., 0] > 0.5), "flat": np.zeros((30, 12))}
    lengths = np.full(30, 9)
    lengths[3] = 12
    with caplog.at_level(logging.WARNING):
        table = cross_time(recording_of(units, lengths), signals, steps=(0, 4, 9))
    table = table.set_index(["signal", "fitted", "tested"])
    assert "signal 'flat', lag 0: constant" in caplog.text
    known = table["score"].dropna()
    assert set(known.index) == {(name, 4, tested) for name in (*late, "late_bit") for tested in (4, 9)}
    assert (known > 0.98).all() and table["effect"].isna().sum() == len(table) - 14


def test_there_are_no_more_windows_than_steps():
    units = np.random.default_rng(0).normal(size=(12, 6, 2))
    table = cross_time(recording_of(units, [5] * 12), {"y": units[..., 1]})
    assert table["tested"].unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"along": "lags", "variables": ["z"]}, r"^along=lags: must be lag or step. Did you mean 'lag'\?\nvariables=z"),
        ({"steps": 1}, "^steps=1: must be 2 windows or more$"),
        ({"steps": (0, True)}, r"^steps=\(0, True\): must be a whole number of windows, or each window's first step$"),
        ({"steps": (0, 3, 3)}, r"^steps=\(0, 3, 3\): must be two or more first steps in rising order, from 0 to 5$"),
        ({"steps": (0, 6)}, "in rising order, from 0 to 5$"),
        ({"along": "lag"}, "^lags=10: sequences longer than that"),
    ],
)
def test_bad_input_is_named(options, problem):
    units = np.zeros((10, 6, 1))
    with pytest.raises(InputError, match=problem):
        cross_time(recording_of(units), {"y": np.random.default_rng(0).normal(size=(10, 6))}, **options)
