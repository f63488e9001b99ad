"""Tuning curves: against pandas, for every kind of signal, any lengths and lags, and units on any scale."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_probe.core.columns import TUNING_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.tuning import Levels, tuning_curves
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.inference.intervals import bootstrap_weights
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording


def recording(lengths, time, seed=0, **variables):
    """A recording whose variables are given, each (sequence, time, unit)."""
    inputs = torch.randn(len(lengths), time, 2, generator=torch.Generator().manual_seed(seed))
    part = LayerRecording(0, "forward", inputs, **{k: torch.as_tensor(v) for k, v in variables.items()})
    units = next(iter(variables.values())).shape[-1]
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(2, units))


def long(values, lengths, lag, signal):
    """One row for each real step from `lag` on: its sequence, the signal's value `lag` steps ago, the units."""
    rows = [
        {"sequence": s, "signal": signal[s, t - lag], **dict(enumerate(values[s, t]))}
        for s in range(len(lengths))
        for t in range(lag, lengths[s])
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module", params=[(0, 14, 9, 3), (1, 31, 6, 2)])
def case(request):
    seed, sequences, time, units = request.param
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, time + 1, sequences)
    c = rng.normal(size=(sequences, time, units)) * 10.0 ** rng.integers(-6, 6, units) + rng.normal(size=units)
    signals = {
        "label": rng.choice(["red", "green", "blue"], (sequences, time)),
        "bit": rng.choice([-1, 1], (sequences, time)),
        "count": rng.integers(-2, 4, (sequences, time)).astype(float),
    }
    return recording(lengths, time, c=c, h=np.tanh(c)), signals, lengths, seed


@pytest.mark.parametrize("lag", [0, 2])
def test_mean_spread_and_counts_are_those_of_pandas(case, lag):
    rec, signals, lengths, seed = case
    table = tuning_curves(rec, signals, lags=(1, lag), bootstrap=20, seed=seed)
    assert tuple(table.columns) == tuple(TUNING_COLUMNS)
    assert len(table) == 2 * rec.c.shape[-1] * 2 * (3 + 2 + 6)
    for name, signal in signals.items():
        for variable in "ch":
            groups = long(rec[0][variable].numpy(), lengths, lag, signal).groupby("signal")
            for unit in range(rec.c.shape[-1]):
                chosen = (table.signal == name) & (table.variable == variable) & (table.unit == unit)
                own = table[chosen & (table.lag == lag)]
                assert own["mean"].to_numpy() == pytest.approx(groups[unit].mean().to_numpy(), rel=1e-9)
                assert own.sd.to_numpy() == pytest.approx(groups[unit].std(ddof=0).to_numpy(), rel=1e-9)
                assert own.n.tolist() == groups.size().tolist()
                values = np.arange(3) if name == "label" else np.unique(signal)
                assert own.level.tolist() == own.low.tolist() == own.high.tolist() == values.tolist()


def test_bins_hold_about_equally_many_steps_and_no_value_twice():
    rng = np.random.default_rng(3)
    lengths = rng.integers(5, 21, 40)
    signal = np.where(rng.random((40, 20)) < 0.3, 0.0, rng.exponential(size=(40, 20)))
    c = (2 * signal + 1)[..., None]
    table = tuning_curves(recording(lengths, 20, c=c), {"s": signal}, levels=7, bootstrap=5)
    frame = long(c, lengths, 0, signal)
    place = np.searchsorted(table.high, frame.signal)
    assert (frame.signal >= table.low.to_numpy()[place]).all() and (table.low[1:].values > table.high[:-1]).all()
    by_bin = frame.groupby(place)
    assert table.n.tolist() == by_bin.size().tolist() and table.n.sum() == lengths.sum()
    assert table.level.to_numpy() == pytest.approx(by_bin.signal.mean().to_numpy())
    assert table["mean"].to_numpy() == pytest.approx(2 * table.level.to_numpy() + 1)
    assert table.high[0] == 0 and table.n[0] == (frame.signal == 0).sum()
    assert len(table) in (5, 6) and table.n[1:].max() <= 2 * lengths.sum() / 7


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-3, 40), min_size=1, max_size=60), st.integers(1, 12))
def test_every_step_is_in_one_bin_and_bins_are_in_order(values, most):
    values = np.array(values, dtype=float)
    levels = Levels.of(CheckedSignal("s", "continuous", "latent", values[None], 0), values, most)
    distinct = len(np.unique(values))
    assert len(levels.level) <= most and (distinct > most or len(levels.level) == distinct)
    assert np.array_equal(np.unique(levels.number), np.arange(len(levels.level)))
    for k in range(len(levels.level)):
        own = values[levels.number == k]
        assert (own.min(), own.max()) == (levels.low[k], levels.high[k])
        assert levels.level[k] == pytest.approx(own.mean()) and levels.low[k] <= levels.level[k] <= levels.high[k]
    assert (levels.low[1:] > levels.high[:-1]).all()


def test_continuous_values_without_ties_fill_bins_alike():
    values = np.random.default_rng(0).normal(size=240)
    levels = Levels.of(CheckedSignal("s", "continuous", "latent", values[None], 0), values, 12)
    assert np.bincount(levels.number).tolist() == [20] * 12


def test_the_interval_is_that_of_resampled_sequences(case):
    rec, signals, lengths, _ = case
    table = tuning_curves(rec, {"bit": signals["bit"]}, variables=["c"], bootstrap=60, seed=8)
    frame = long(rec.c.numpy(), lengths, 0, signals["bit"])
    weights = bootstrap_weights(len(lengths), 60, 8)
    for level in (-1, 1):
        own = frame[frame.signal == level]
        means = [np.average(own[0], weights=w[own.sequence]) for w in weights]
        row = table[(table.unit == 0) & (table.level == level)].iloc[0]
        assert [row.ci_low, row.ci_high] == pytest.approx(np.quantile(means, [0.025, 0.975]), rel=1e-9)
        assert row.ci_low < row["mean"] < row.ci_high


def test_samples_without_a_level_say_nothing_of_it():
    rare = np.zeros((20, 5), bool)
    rare[3, 2] = True
    table = tuning_curves(recording(np.full(20, 5), 5, c=5.0 + rare[..., None]), {"rare": rare}, bootstrap=50)
    assert table[["n", "mean", "sd", "ci_low", "ci_high"]].values.tolist() == [[99, 5, 0, 5, 5], [1, 6, 0, 6, 6]]


def test_a_tiny_spread_beside_a_large_mean_is_not_lost():
    rng = np.random.default_rng(0)
    bit = rng.random((30, 10)) < 0.5
    noise = rng.normal(size=(30, 10))
    c = (np.where(bit, 1e3, -1e3) + 1e-7 * noise)[..., None]
    table = tuning_curves(recording(np.full(30, 10), 10, c=c), {"bit": bit}, bootstrap=2)
    for level in (0, 1):
        assert table.sd[level] == pytest.approx(1e-7 * noise[bit == level].std(), rel=1e-4)


def test_steps_that_are_not_real_count_for_nothing():
    rng = np.random.default_rng(1)
    lengths, c, s = rng.integers(2, 8, 20), rng.normal(size=(20, 7, 2)), rng.normal(size=(20, 7))
    padded = np.arange(7) >= lengths[:, None]
    other_c, other_s = np.where(padded[..., None], 1e9, c), np.where(padded, np.nan, s)
    tables = [tuning_curves(recording(lengths, 7, c=a), {"s": b}, bootstrap=5) for a, b in ((c, s), (other_c, other_s))]
    pd.testing.assert_frame_equal(*tables)


def test_a_constant_signal_and_a_constant_unit_are_described():
    rec = recording(np.full(6, 4), 4, c=np.full((6, 4, 1), 0.1))
    table = tuning_curves(rec, {"flat": np.full((6, 4), 2.5)}, bootstrap=5)
    row = table.iloc[0]
    assert len(table) == 1 and row[["level", "low", "high", "n"]].tolist() == [2.5, 2.5, 2.5, 24]
    assert row[["mean", "ci_low", "ci_high"]].tolist() == pytest.approx([0.1] * 3) and row.sd == pytest.approx(0)


def test_everything_wrong_is_named_at_once():
    rec = recording(np.full(6, 4), 4, c=np.zeros((6, 4, 1)))
    with pytest.raises(InputError) as caught:
        tuning_curves(rec, {"s": np.zeros((6, 3))}, levels=0, bootstrap=0, variables=["f"], lags=(-1,))
    for part in ("levels=0: must be a whole number from 1", "bootstrap=0", "variables=f", "lags=-1", "shape (6, 3)"):
        assert part in "\n".join(caught.value.problems)
    with pytest.raises(InputError, match="levels=True"):
        tuning_curves(rec, {"s": np.zeros((6, 4))}, levels=True)
