"""Time constants, against AR(1) processes, closed forms of tasks, plain loops, scikit-learn and SciPy."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LinearRegression

import lstm_probe as lp
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.dynamics.timescales import (
    COLUMNS,
    autocorrelation,
    by_unit,
    crossing,
    explained,
    growth,
    memory_times,
    signal_time,
    timescale_sentences,
)
from lstm_probe.network.model import SequenceModel
from lstm_probe.probing.data.signals import check_signals
from tests.handmade import OPEN, SHUT, silent


def batch_of(inputs, lengths=None, signals=None):
    n, time = inputs.shape[:2]
    lengths = torch.tensor([time] * n if lengths is None else lengths)
    made = {name: Signal(name, values, kind) for name, (kind, values) in (signals or {}).items()}
    return Batch(inputs, {"y": torch.zeros(n, time, 1)}, (Target("y"),), lengths, made)


def leaky(keeps):
    """Units that keep these shares of their memory in a step and add a hundredth of the input."""
    units = len(keeps)
    lstm = silent(units)
    with torch.no_grad():
        lstm.bias_ih_l0[:units] = lstm.bias_ih_l0[3 * units :] = OPEN
        lstm.bias_ih_l0[units : 2 * units] = torch.tensor(keeps).logit()
        lstm.weight_ih_l0[2 * units : 3 * units, 0] = 0.01
    return lstm


@pytest.mark.parametrize("a", [0.3, 0.8, 0.95])
def test_the_time_of_an_autoregressive_process_is_that_of_its_coefficient(a):
    rng = np.random.default_rng(1)
    values = np.zeros((4000, 60))
    values[:, 0] = rng.normal(size=4000)
    for t in range(1, 60):
        values[:, t] = a * values[:, t - 1] + math.sqrt(1 - a * a) * rng.normal(size=4000)
    values += np.sin(np.arange(60)) * 30  # what all have in common is no memory
    mask = torch.ones(4000, 60, dtype=torch.bool)
    (tau,), longest = memory_times(torch.from_numpy(values)[..., None], mask)
    assert longest == 30 and tau == pytest.approx(-1 / math.log(a), rel=0.03)


def test_a_unit_that_only_leaks_has_the_time_of_its_gate():
    keeps = [0.5, 0.8, 0.9]
    inputs = torch.randn(2000, 80, 1, generator=torch.Generator().manual_seed(0))
    table = lp.timescales(leaky(keeps), batch_of(inputs), run="r", task="t", seed=3)
    assert list(table.columns) == list(COLUMNS) and len(table) == 3 and (table["variable"] == "c").all()
    true = [-1 / math.log(keep) for keep in keeps]
    assert np.allclose(table["tau_forget"], true, rtol=1e-6)
    assert np.allclose(table["tau_memory"], true, rtol=0.06)
    assert (table["signal"] == "").all() and table["tau_signal"].isna().all() and table.attrs["signals"] == {}


def test_a_gate_that_is_quite_open_never_forgets_and_a_silent_unit_has_no_memory():
    lstm = silent(2)
    with torch.no_grad():
        lstm.bias_ih_l0[2] = 200.0  # unit 0's forget gate is exactly 1
    table = lp.timescales(lstm, batch_of(torch.randn(20, 9, 1)))
    assert table["tau_forget"][0] == math.inf and table["tau_forget"][1] == pytest.approx(1 / math.log(2), rel=1e-6)
    assert table["tau_memory"].isna().all() and (table["size"] == 0).all() and (table["growth"] == 0).all()
    assert list(timescale_sentences(table[:1], None)) == [
        "How long its memory lasts was not told: at no step does it differ between these sequences."
    ]


def test_the_gates_time_is_when_a_value_has_fallen_to_1_over_e():
    """A unit that lets go of all in one of eight steps, and of nothing else: by a loop over its gate, on average."""
    lstm, letting_go = silent(1), torch.rand(400, 60, 1, generator=torch.Generator().manual_seed(1)) < 0.125
    with torch.no_grad():
        lstm.bias_ih_l0[1], lstm.weight_ih_l0[1, 0] = OPEN, 2 * SHUT
    gate = lp.record(lstm, letting_go.float()).f[..., 0]
    left = []
    for lag in range(1, 30):
        starts = range(60 - lag)
        left.append(float(sum(gate[:, t : t + lag].prod(1).mean() for t in starts) / len(starts)))
    after = next(lag for lag, share in enumerate(left, 1) if share < 1 / math.e)
    table = lp.timescales(lstm, batch_of(letting_go.float()))
    assert after - 1 < table["tau_forget"][0] < after
    assert table["tau_forget"][0] == pytest.approx(-1 / math.log(gate.double().mean()), rel=1e-6)


def test_correlations_are_those_of_a_plain_loop_over_real_steps():
    rng = np.random.default_rng(2)
    lengths, values = [7, 3, 12, 1, 9], rng.normal(size=(5, 12, 3)) + 5
    mask = torch.arange(12) < torch.tensor(lengths).unsqueeze(1)
    ours = autocorrelation(torch.from_numpy(values), mask, 6)
    pooled = autocorrelation(torch.from_numpy(values), mask, 6, together=True)
    sums = np.zeros((7, 3, 3))
    for lag in range(7):
        for unit in range(3):
            for s in range(5):
                for t in range(lengths[s] - lag):
                    here = [values[k, t, unit] for k in range(5) if lengths[k] > t]
                    there = [values[k, t + lag, unit] for k in range(5) if lengths[k] > t + lag]
                    x, y = values[s, t, unit] - np.mean(here), values[s, t + lag, unit] - np.mean(there)
                    sums[lag, unit] += x * y, x * x, y * y
    assert np.allclose(ours, sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2]), atol=1e-12)
    whole = sums.sum(1)
    assert np.allclose(pooled[:, 0], whole[:, 0] / np.sqrt(whole[:, 1] * whole[:, 2]), atol=1e-12)


def test_where_a_curve_falls_below_a_level():
    assert crossing(np.exp(-np.arange(9) / 2.7), 1 / math.e) == pytest.approx(2.7)
    assert crossing(np.array([1.0, 0.9, 0.8]), 1 / math.e) == math.inf
    assert crossing(np.array([1.0, 0.9, -0.1]), 1 / math.e) == 2.0
    assert math.isnan(crossing(np.array([math.nan, math.nan]), 1 / math.e))


def test_a_tasks_own_delays_are_those_of_its_probabilities():
    """A latch is kept unless a set or a reset comes, a parity turns over, a leak keeps 0.9."""
    task = lp.get_task("tracking", length=160, rate=0.1)
    batch = task.sample(600, 1)
    model = SequenceModel(7, 5, 2, seed=0)
    times = lp.timescales(model, batch, batch.signals).attrs["signals"]
    assert times["latch"] == pytest.approx(-1 / math.log(0.81), rel=0.06)
    assert times["parity"] == pytest.approx(-1 / math.log(0.8), rel=0.06)
    assert times["leak"] == pytest.approx(-1 / math.log(0.9), rel=0.06)
    assert "step" not in times  # the same in all sequences


def test_the_signal_beside_a_unit_is_the_one_that_it_holds():
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()], random_units=2)
    batch = net.sample(300, 60, seed=1)
    table = lp.timescales(net.model, batch, batch.signals).set_index("unit")
    for name, unit in net.where.items():
        row = table.loc[unit]
        assert row["signal"] == name and row["r2"] == pytest.approx(1, abs=1e-6)
        assert row["tau_memory"] == pytest.approx(row["tau_signal"], rel=1e-4)
    assert set(by_unit(table.reset_index())["signal"]) == {*net.where, ""}
    counts = table.loc[net.where["count"]]
    assert counts["growth"] > 0 and counts["ci_low"] > 0
    (first, second) = timescale_sentences(table.reset_index().query(f"unit == {net.where['count']}"), None)
    assert first == (
        "Its forget gate alone would hold a value for ever; its memory goes on resembling itself for more than 30 "
        "steps, count itself for more than 30 steps."
    )
    assert second == f"It goes on growing, by {counts['growth']:.2g} a step in the second half."


@pytest.mark.parametrize("large", [1e6, 1.7e9])
def test_the_time_of_a_signal_is_not_that_of_where_it_is_counted_from(large):
    rng = np.random.default_rng(7)
    values, mask = rng.integers(-3, 4, (40, 12)).cumsum(1).astype(float), torch.ones(40, 12, dtype=torch.bool)
    here, there = (check_signals({"s": own}, mask.numpy())[0] for own in (values, values + large))
    assert signal_time(there, mask) == pytest.approx(signal_time(here, mask), rel=1e-12)
    same = check_signals({"s": np.arange(12.0) * np.ones((40, 1)) + large}, mask.numpy())[0]
    assert math.isnan(signal_time(same, mask))


def test_how_much_a_signal_tells_is_scikit_learns_straight_line():
    rng = np.random.default_rng(3)
    mask = torch.ones(40, 10, dtype=torch.bool)
    units = torch.from_numpy(rng.normal(size=(40, 10, 4)))
    kinds = {
        "number": Signal("number", units[..., 0] + torch.from_numpy(rng.normal(size=(40, 10))), "continuous"),
        "angle": Signal("angle", torch.atan2(units[..., 1], units[..., 2]), "circular"),
        "class": Signal("class", (units[..., 3] > 0).long() + (units[..., 0] > 1).long(), "categorical"),
    }
    for signal in check_signals(kinds, mask.numpy()):
        x = signal.columns().reshape(400, -1)
        for unit, ours in enumerate(explained(signal, units, mask)):
            y = units[..., unit].reshape(-1).numpy()
            assert ours == pytest.approx(LinearRegression().fit(x, y).score(x, y), abs=1e-9)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_growth_is_the_mean_of_each_sequences_own_slope(direction):
    rng = np.random.default_rng(4)
    lengths, sizes = [10, 4, 7, 2, 10, 5], rng.normal(size=(6, 10, 2)).cumsum(1)
    mask = torch.arange(10) < torch.tensor(lengths).unsqueeze(1)
    slopes = []
    for s, length in enumerate(lengths):
        if length >= 4:
            steps = np.arange(length)
            own = sizes[s, :length] if direction == "forward" else sizes[s, :length][::-1]
            slopes.append(np.polyfit(steps[length // 2 :], own[length // 2 :], 1)[0])
    ours = growth(torch.from_numpy(sizes), mask, direction, None)
    for unit in range(2):
        own = np.array(slopes)[:, unit]
        low, high = stats.ttest_1samp(own, 0).confidence_interval(0.95)
        assert ours[unit] == pytest.approx((own.mean(), low, high))
    groups = np.array([0, 0, 1, 1, 2, 2])
    means = pd.DataFrame(slopes).groupby(groups[[0, 1, 2, 4, 5]]).mean().to_numpy()
    low, high = stats.ttest_1samp(means[:, 0], 0).confidence_interval(0.95)
    assert growth(torch.from_numpy(sizes), mask, direction, groups)[0] == pytest.approx((means[:, 0].mean(), low, high))


def test_sequences_of_one_step_are_refused():
    with pytest.raises(lp.InputError, match="timescales: the sequences have one step each; nothing lasts"):
        lp.timescales(silent(2), batch_of(torch.randn(4, 1, 1)))
