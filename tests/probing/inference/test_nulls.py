"""The permutation null: exchangeable groups, statistics against a loop, p-values, family-wise error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import kstest

from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.evaluate import evaluate_units
from lstm_probe.probing.inference.exchange import LengthGroups, Rolls, Shifts, WholeGroups, make_exchange
from lstm_probe.probing.inference.exchange_warnings import check_exchange, warn_of_short
from lstm_probe.probing.inference.multiplicity import critical, family, q_values
from lstm_probe.probing.inference.nulls import Design, permutation_test
from lstm_probe.probing.inference.series import autocorrelation_time


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 12), min_size=2, max_size=80), least=st.integers(2, 20))
def test_members_of_a_group_count_equally_many_steps_and_none_beyond_their_length(lengths, least):
    lengths = np.array(lengths)
    groups = LengthGroups.of(lengths, least)
    together = np.concatenate(groups.members)
    assert len(np.unique(together)) == len(together)
    out = np.setdiff1d(np.arange(len(lengths)), together)
    assert (groups.lengths[out] == 0).all() and len(out) < least
    assert (groups.lengths <= lengths).all()
    for members in groups.members:
        assert len(np.unique(groups.lengths[members])) == 1
        assert len(members) >= least or len(groups.members) == 1
    shuffled = groups.permutations(5, seed=0)
    assert np.array_equal(shuffled[0], np.arange(len(lengths)))
    assert np.array_equal(groups.lengths[shuffled], np.tile(groups.lengths, (6, 1)))


def test_equal_lengths_are_one_group_that_loses_nothing():
    groups = LengthGroups.of(np.full(40, 7))
    assert len(groups.members) == 1 and (groups.lengths == 7).all()
    assert len(np.unique(groups.permutations(50, seed=1), axis=0)) == 51


def test_a_few_short_sequences_do_not_cut_the_long_ones():
    groups = LengthGroups.of(np.array([50] * 100 + [2] * 3))
    assert (groups.lengths[:100] == 50).all() and not groups.lengths[100:].any()


def problem(seed, sequences=24, time=8, units=4):
    rng = np.random.default_rng(seed)
    lengths = rng.choice([time, time - 2], size=sequences)
    x = rng.normal(size=(sequences, time, units)).cumsum(1)
    x[..., 0] = np.clip(np.round(x[..., 0]), -1, 1)
    walk = rng.normal(size=(sequences, time)).cumsum(1)
    signals = {
        "value": walk,
        "bit": (walk > 0).astype(float),
        "label": np.digitize(walk, [-1, 1]).astype(int),
    }
    checked = check_signals(signals, np.arange(time) < lengths[:, None])
    return torch.from_numpy(x), checked, lengths, Split.make(sequences, 4, seed)


def test_every_permutations_statistic_is_the_score_of_the_permuted_signals():
    x, checked, lengths, split = problem(0)
    groups = LengthGroups.of(lengths, least=4)
    view = View.make(checked, groups.lengths, split)
    permutations = groups.permutations(6, seed=0)
    got = Design.of([x[..., :1], x[..., 1:]], view, groups).statistics(permutations)
    for k, order in enumerate(permutations):
        moved = [signal.with_values(signal.values[order]) for signal in checked]
        other = View.make(moved, groups.lengths, split)
        assert got[..., k] == pytest.approx(evaluate_units(other.features(x), other).score, abs=1e-5)


def test_p_values_count_permutations_at_least_as_good():
    x, checked, lengths, split = problem(1)
    groups = LengthGroups.of(lengths, least=4)
    view = View.make(checked, groups.lengths, split)
    result = permutation_test([x], [view], groups, 37, seed=5)
    statistics = Design.of([x], view, groups).statistics(groups.permutations(37, seed=5))
    count = (statistics[..., 1:] >= statistics[..., :1] - 1e-5).sum(-1)
    assert np.array_equal(result.p_value[0], (1 + count) / 38)
    own = (1 + (statistics[..., 1:].max(0)[None] >= statistics[..., :1] - 1e-5).sum(-1)) / 38
    assert (result.p_family[0] >= own - 1e-12).all()


def test_holm_by_hand():
    best = np.tile(np.linspace(0.0, 1.0, 99), (3, 1))
    observed = np.array([[[2.0, 0.955, 0.5], [0.97, 0.2, 0.5]]])
    got = family(observed, best, np.array([True, True, True]))[0]
    own = np.array([[1, 6, 51], [4, 81, 51]]) / 100
    assert got[:, 0] == pytest.approx(3 * own[:, 0])
    assert got[:, 1] == pytest.approx(np.minimum(1, 2 * own[:, 1]))
    assert got[:, 2] == pytest.approx(own[:, 2])
    without = family(observed, best, np.array([True, False, True]))[0]
    assert without[:, 0] == pytest.approx(2 * own[:, 0]) and (without[:, 1] == 1).all()


def test_p_values_are_uniform_and_family_errors_rare_under_the_null():
    """Autocorrelated units and signals that share their trend over time, in sequences of unequal length."""
    p_value, p_family = [], []
    for seed in range(250):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(5, 9, size=40)
        trend = np.arange(8) ** 2 / 10
        x = rng.normal(size=(40, 8, 6)).cumsum(1) + trend[:, None]
        walk = rng.normal(size=(40, 8)).cumsum(1) + trend
        checked = check_signals({"v": walk, "b": (walk > 2).astype(float)}, np.arange(8) < lengths[:, None])
        groups = LengthGroups.of(lengths)
        split = Split.make(40, 4, seed)
        views = [View.make(checked, groups.lengths, split, lag) for lag in (0, 1)]
        result = permutation_test([torch.from_numpy(x)], views, groups, 59, seed)
        p_value.append(result.p_value[0, 0])
        p_family.append(result.p_family.min())
    p = np.array(p_value)
    spread = np.random.default_rng(0).random(p.shape) / 60
    assert kstest((p - spread)[:, 0], "uniform").pvalue > 0.01
    assert kstest((p - spread)[:, 1], "uniform").pvalue > 0.01
    for alpha in (0.05, 0.1, 0.2):
        assert np.mean(np.array(p_family) <= alpha) <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 250)


def test_q_values_leave_out_pairs_without_a_p_value():
    got = q_values(np.array([0.01, np.nan, 0.04, 0.03]))
    assert got[[0, 2, 3]] == pytest.approx([0.03, 0.04, 0.04]) and np.isnan(got[1])
    assert np.isnan(q_values(np.array([np.nan]))).all()


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_rolled_permutation_statistic_is_the_score_of_the_rolled_signals(lag):
    x, checked, lengths, split = problem(2)
    lengths = np.where(np.arange(24) == 5, 2, lengths)
    rolls = Rolls(lengths)
    offsets = rolls.permutations(6, seed=0)
    assert not offsets[0].any() and (offsets[1:] > 0).all() and (offsets[1:] < lengths).all()
    views = View.make(checked, lengths, split, lag)
    got = Design.of([x[..., :1], x[..., 1:]], views, rolls).statistics(offsets)
    for k, own in enumerate(offsets):
        rolled = [
            np.array([np.roll(row[:n], o).tolist() + [0] * (8 - n) for row, n, o in zip(t.values, lengths, own)])
            for t in checked
        ]
        moved = [signal.with_values(values.astype(float)) for signal, values in zip(checked, rolled)]
        other = View.make(moved, lengths, split, lag)
        assert got[..., k] == pytest.approx(evaluate_units(other.features(x), other).score, abs=1e-5)


def test_rolls_of_different_sequences_are_drawn_apart_and_uniformly():
    offsets = Rolls(np.array([9, 9, 4, 1])).permutations(6000, seed=3)[1:]
    counts = np.array([np.bincount(own, minlength=9) for own in offsets.T[:2]])
    assert not counts[:, 0].any() and (np.abs(counts[:, 1:] - 750) < 120).all()
    assert abs(np.corrcoef(offsets[:, 0], offsets[:, 1])[0, 1]) < 0.05
    assert (np.bincount(offsets[:, 2])[1:] > 1800).all()


def test_rolling_finds_with_two_long_sequences_what_the_shuffle_cannot():
    """And p-values of what is unrelated, however slow it is, stay uniform."""
    found, p_value = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        y, x = (lfilter([1], [1, -0.8], rng.normal(size=(2, 300))) for _ in range(2))
        checked = check_signals({"v": y, "b": (y > 0).astype(int)}, np.ones((2, 300), bool))
        units = torch.from_numpy(np.stack([x, y + 2 * x], axis=-1))
        rolls = Rolls(np.array([300, 300]))
        view = View.make(checked, rolls.lengths, Split(np.array([0, 1])))
        result = permutation_test([units], [view], rolls, 39, seed)
        p_value.append(result.p_value[0, 0])
        found.append((result.p_family[0, 1] <= 0.05).all())
    p = np.array(p_value) - np.random.default_rng(0).random((150, 2)) / 40
    assert kstest(p[:, 0], "uniform").pvalue > 0.01 and kstest(p[:, 1], "uniform").pvalue > 0.01
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_the_autocorrelation_time_of_an_ar_1_series_is_its_closed_form(coefficient):
    rng = np.random.default_rng(1)
    values = lfilter([1], [1, -coefficient], rng.normal(size=(400, 460)), axis=1)[:, 60:]
    values[:, 300:] *= np.arange(400)[:, None] % 2  # every other sequence is 300 steps long
    lengths = np.where(np.arange(400) % 2, 400, 300)
    mask = np.arange(400) < lengths[:, None]
    (one, sign) = check_signals({"one": values + 5, "sign": values > 0}, mask)
    expected = (1 + coefficient) / (1 - coefficient)
    assert autocorrelation_time(one, lengths) == pytest.approx(expected, rel=0.1, abs=0.1)
    rho = 2 / np.pi * np.arcsin(coefficient ** np.arange(1, 200))  # of the signs of a Gaussian series
    assert autocorrelation_time(sign, lengths) == pytest.approx(1 + 2 * rho.sum(), rel=0.1, abs=0.1)


def test_the_autocorrelation_time_is_that_of_a_plain_loop():
    rng = np.random.default_rng(4)
    lengths = np.array([7, 3, 9, 9])
    values = rng.integers(0, 3, (4, 9)).repeat(3, axis=1)[:, :9]
    (signal,) = check_signals({"three": values}, np.arange(9) < lengths[:, None])
    real = [(s, t) for s in range(4) for t in range(lengths[s])]
    expected, first = 1.0, 0.0
    for lag in range(9):
        pairs = [(s, t) for s, t in real if (s, t + lag) in real]
        total = 0.0
        for k in range(3):
            x = {at: float(values[at] == k) - np.mean([values[other] == k for other in real]) for at in real}
            total += sum(x[s, t] * x[s, t + lag] for s, t in pairs) / max(len(pairs), 1)
        if lag and total <= 0:
            break
        first = first or total
        expected += 2 * total / first if lag else 0
    assert autocorrelation_time(signal, lengths) == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "said"), [(20, True), (40, True), (120, False)])
def test_sequences_too_short_to_be_rolled_are_named(steps, said, caplog):
    rng = np.random.default_rng(0)
    slow = lfilter([1], [1, -0.9], rng.normal(size=(40, steps + 60)), axis=1)[:, 60:]
    checked = check_signals({"slow": slow, "white": rng.normal(size=(40, steps))}, np.ones((40, steps), bool))
    lengths = np.full(40, steps)
    for chance in ("shuffle", "roll"):
        caplog.clear()
        warn_of_short(make_exchange(chance, lengths), checked, np.array([True, True]))
        assert ("slow (" in caplog.text) == (said and chance == "roll")
        assert "white" not in caplog.text


def test_too_few_ways_to_exchange_are_said_with_what_to_do_instead(caplog):
    few, many = LengthGroups.of(np.full(4, 30)), LengthGroups.of(np.full(5, 30))
    six, five = (WholeGroups.of_groups(np.full(2 * n, 9), np.arange(2 * n) // 2) for n in (6, 5))
    for enough, signals in ((few, 1), (many, 2), (six, 3), (Rolls(np.full(4, 30)), 2), (Shifts.of(np.full(40, 5)), 1)):
        check_exchange(enough, signals, alpha=0.05)
    assert not caplog.text
    for exchange, signals, told in (
        (few, 2, "4 sequences can be exchanged in only 24 ways: too few for any of 2 signals to reach alpha=0.05, so"),
        (Rolls(np.array([3, 2])), 1, "null=roll: 2 sequences of up to 3 steps"),
        (Shifts.of(np.full(39, 5)), 2, "null=shift: 39 windows can be shifted in only 19 ways"),
        (five, 1, "groups: 5 groups can be exchanged in only 120 ways: too few to test anything; it takes 6, better"),
    ):
        caplog.clear()
        check_exchange(exchange, signals, alpha=0.05)
        assert len(caplog.records) == 1 and told in caplog.text
    with pytest.raises(InputError, match="null=shufle: must be one of shuffle roll shift"):
        make_exchange("shufle", np.full(9, 5))


@pytest.mark.parametrize(("alpha", "count"), [(0.05, 199), (0.2, 99), (0.05, 19)])
def test_the_critical_score_is_where_the_familys_p_value_crosses_alpha(alpha, count):
    """With Holm's largest factor: the other signals are no better than chance."""
    rng = np.random.default_rng(count)
    best, scored = rng.normal(size=(3, count)), np.array([True, False, True])
    limit = critical(best, scored, alpha)
    assert np.isnan(limit[1])
    if (count + 1) * alpha < 2:
        assert np.isnan(limit).all()
        return
    observed = np.full((1, 2, 3), -9.0)
    observed[0, :, 0] = limit[0] + 1e-4, limit[0] - 1e-4
    p = family(observed, best, scored)[0, :, 0]
    assert p[0] <= alpha < p[1]
