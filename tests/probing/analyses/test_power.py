"""Power: the number of sequences that is said to be needed, tried by simulation; independent steps; the warning."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import norm
from torch import nn

from lstm_probe.core.columns import POWER_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split, probe_units
from lstm_probe.probing.analyses.power import (
    Precision,
    critical_effects,
    independent_steps,
    power,
    warn_of_few_sequences,
)
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.exchange import LengthGroups
from lstm_probe.probing.inference.multiplicity import critical
from lstm_probe.probing.inference.nulls import NullResult, permutation_test
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.runs.illustrations import power_rows


def series(rng, n, time, columns, memory):
    """Stationary series with variance 1 whose neighbouring steps correlate by `memory`."""
    noise = rng.normal(size=(n, time + 60, columns))
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=1)[:, 60:]


def null_of(rng, n, time, memory, rho, binary, permutations, seed, trend=0.0):
    """Six units, the first of which correlates by `rho` with the first of two signals; both have a trend."""
    y, x = series(rng, n, time, 2, memory), series(rng, n, time, 6, memory)
    x[..., 0] = rho * y[..., 0] + np.sqrt(1 - rho**2) * x[..., 0]
    ramp = trend * np.linspace(-1, 1, time)
    x[..., 0] += ramp
    y[..., 0] += ramp
    signals = {"a": (y[..., 0] > 0).astype(int) if binary else y[..., 0], "b": y[..., 1]}
    groups, checked = LengthGroups.of(np.full(n, time)), check_signals(signals, np.ones((n, time), bool))
    view = View.make(checked, groups.lengths, Split.make(n, 5, seed))
    return view, permutation_test([torch.from_numpy(x)], [view], groups, permutations, seed)


def area(rho):
    """AUROC of x for y > 0, both standard normal with correlation rho."""
    grid = np.linspace(-8, 8, 4001)
    positive = 2 * norm.pdf(grid) * norm.cdf(rho * grid / np.sqrt(1 - rho**2))
    below = np.cumsum(positive[::-1]) * (grid[1] - grid[0])
    return float((positive * below).sum() * (grid[1] - grid[0]))


@pytest.mark.parametrize(
    ("binary", "memory", "rho"), [(False, 0.0, 0.3), (False, 0.9, 0.4), (True, 0.0, 0.25), (True, 0.9, 0.6)]
)
def test_as_many_sequences_as_are_needed_have_the_power(binary, memory, rho):
    effect = 2 * area(rho) - 1 if binary else rho**2
    needed = []
    for seed in range(5):
        view, null = null_of(np.random.default_rng(seed), 60, 6, memory, 0.0, binary, 399, seed)
        least = critical_effects(null.best, view.signals, view.scored, 0.05)[0]
        needed.append(Precision.of(view.only(0)).needed(effect, least, 60))
    n = int(np.median(needed))
    assert n > 10 and max(needed) < 1.6 * min(needed)
    found = [
        null_of(np.random.default_rng(99 + s), n, 6, memory, rho, binary, 99, s)[1].p_family[0, 0, 0] <= 0.05
        for s in range(150)
    ]
    assert 0.65 <= np.mean(found) <= 0.95


@pytest.mark.parametrize("n", [60, 240])
def test_the_floor_is_what_the_step_alone_gives_with_any_number_of_sequences(n):
    """A unit and a signal with the same trend: the squared correlation of the trends, or the area that they give."""
    for binary in (False, True):
        _, null = null_of(np.random.default_rng(n), n, 6, 0.0, 0.0, binary, 199, 0, trend=2.0)
        assert null.floor[0] == pytest.approx(of_the_trend(2.0, binary), abs=0.05) and null.floor[1] < 0.05


def of_the_trend(trend, binary):
    """Effect of a unit for a signal with which it shares the trend alone, over six steps; both have noise of 1."""
    ramp = trend * np.linspace(-1, 1, 6)
    if not binary:
        return (ramp.var() / (1 + ramp.var())) ** 2
    # Of a positive step s and a negative one t, x is higher with probability Φ((ramp_s − ramp_t) / √2).
    up, above = norm.cdf(ramp), norm.cdf(np.subtract.outer(ramp, ramp) / np.sqrt(2))
    pairs = np.outer(up, 1 - up)
    return 2 * (pairs * above).sum() / pairs.sum() - 1


@pytest.mark.parametrize(("binary", "rho"), [(False, 0.45), (True, 0.35)])
def test_as_many_sequences_as_are_needed_have_the_power_above_a_floor(binary, rho):
    trend, needed = 1.2, []
    many = null_of(np.random.default_rng(0), 4000, 6, 0.0, rho, binary, 2, 0, trend)[1].observed[0, 0, 0]
    effect = float(2 * many - 1 if binary else many)
    for seed in range(3):
        view, null = null_of(np.random.default_rng(seed), 60, 6, 0.0, 0.0, binary, 399, seed, trend)
        least = critical_effects(null.best, view.signals, view.scored, 0.05)[0]
        assert null.floor[0] == pytest.approx(of_the_trend(trend, binary), abs=0.06)
        needed.append(Precision.of(view.only(0)).needed(effect, least, 60, null.floor[0]))
    n = int(np.median(needed))
    assert n > 10
    found = [
        null_of(np.random.default_rng(99 + s), n, 6, 0.0, rho, binary, 99, s, trend)[1].p_family[0, 0, 0] <= 0.05
        for s in range(100)
    ]
    assert 0.6 <= np.mean(found) <= 0.99


def test_needed_is_the_first_number_whose_critical_effect_and_spread_leave_room():
    for kind, shares in (("continuous", []), ("binary", [0.3])):
        own, chance = Precision(kind, 4.0, np.array(shares), folds=5), 0.2 - 0.12
        wide = norm.ppf(0.8) * own.spread(0.3)

        def room(n, wide=wide, kind=kind, chance=chance):
            share = 50 / n if kind == "continuous" else np.sqrt(50 / n)
            shortfall = 0.7 * 3.5 / 4 / n if kind == "continuous" else 0
            return 0.3 - shortfall - 0.12 - chance * share - wide / np.sqrt(n)

        assert own.needed(0.3, 0.2, 50, 0.12) == next(n for n in range(10, 10000) if room(n) >= 0)
        assert own.needed(0.12, 0.2, 50, 0.12) is None and own.needed(0.1, 0.2, 50, 0.12) is None
        assert np.isnan(own.detectable(0.2, 50, 0.9995)) and own.detectable(0.2, 400, 0.12) > 0.2


def test_independent_steps():
    """White steps all count, a value that stands still counts once, and an AR(1) as Bartlett's sum says."""
    rng = np.random.default_rng(0)
    mask = np.ones((3000, 12), bool)
    assert independent_steps(rng.normal(size=mask.shape), mask) == pytest.approx(12, rel=0.03)
    assert independent_steps(np.repeat(rng.normal(size=(3000, 1)), 12, 1), mask) == pytest.approx(1, abs=0.02)
    apart = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    expected = 144 / (0.8 ** (2 * apart)).sum()
    assert independent_steps(series(rng, 3000, 12, 1, 0.8)[..., 0], mask) == pytest.approx(expected, rel=0.05)
    short = np.arange(12) < np.repeat([4, 8], 1500)[:, None]
    assert independent_steps(rng.normal(size=mask.shape), short) == pytest.approx(6, rel=0.03)


def test_sequences_of_a_group_are_worth_what_is_not_in_the_others():
    rng = np.random.default_rng(4)
    column, mask = series(rng, 2000, 12, 1, 0.7)[..., 0], np.arange(12) < rng.integers(5, 13, 2000)[:, None]
    alone = independent_steps(column, mask)
    for times in (2, 5):
        twins = np.tile(np.arange(2000), times)
        got = independent_steps(np.tile(column, (times, 1)), np.tile(mask, (times, 1)), twins)
        assert times * got == pytest.approx(alone, rel=0.03)
    assert independent_steps(column, mask, rng.permutation(2000) // 4) == pytest.approx(alone, rel=0.05)
    # One label for all of a group: a group is worth one step, whatever it has.
    label = np.repeat(rng.choice([-1.0, 1.0], 500), 4)[:, None] * np.ones(12)
    assert 4 * independent_steps(label, np.ones_like(mask), np.arange(2000) // 4) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("binary", [False, True])
def test_every_sequence_twice_shows_no_smaller_effects(binary):
    rng = np.random.default_rng(5)
    n, x = 150, series(rng, 150, 10, 2, 0.8)
    signal = x[..., 1] > 0 if binary else x[..., 1]

    def told(which, groups):
        part = LayerRecording(0, "forward", torch.zeros(len(which), 10, 1), c=torch.from_numpy(x[which][..., :1]))
        rec = Recording({(0, "forward"): part}, torch.full((len(which),), 10), LSTMConfig(1, 1))
        return power(rec, {"s": signal[which]}, groups=groups, permutations=199).iloc[1]

    once, twice = told(np.arange(n), np.arange(n)), told(np.repeat(np.arange(n), 2), np.repeat(np.arange(n), 2))
    assert twice.detectable == pytest.approx(once.detectable, rel=0.05)
    assert twice.sequences_needed == pytest.approx(2 * once.sequences_needed, rel=0.1)


def test_needed_and_detectable_agree_and_more_is_needed_for_less():
    for kind, shares in (("continuous", []), ("binary", [0.2]), ("categorical", [0.2, 0.3, 0.5])):
        own = Precision(kind, 3.0, np.array(shares), folds=5)
        n = 400
        detectable = own.detectable(0.04, n)
        assert own.needed(detectable, 0.04, n) <= n < own.needed(detectable - 0.002, 0.04, n)
        needed = [own.needed(e, 0.04, n) for e in (0.01, 0.05, 0.1, 0.3, 0.9)]
        assert needed == sorted(needed, reverse=True) and needed[-1] >= 10
    assert np.isnan(Precision("binary", 1.0, np.array([0.5]), folds=2).detectable(0.999, 3))


def recorded(n, time=10):
    torch.manual_seed(0)
    x = torch.randn(n, time, 1, generator=torch.Generator().manual_seed(1))
    signals = {"sum": x[..., 0].cumsum(1), "up": x[..., 0] > 0, "flat": np.ones((n, time))}
    return record(nn.LSTM(1, 4, batch_first=True), x), signals


def test_the_table_has_a_row_for_each_signal_lag_and_effect():
    rec, signals = recorded(40)
    table = power(rec, signals, lags=(0, 2), effects=(0.2, 0.5), permutations=199, run="r", task="t", seed=3)
    assert tuple(table.columns) == tuple(POWER_COLUMNS) and len(table) == 3 * 2 * 2
    first = table[["run", "task", "units", "seed", "sequences"]].drop_duplicates()
    assert first.values.tolist() == [["r", "t", 4, 3, 40]]
    flat = table[table.signal == "flat"]
    assert flat[["critical", "detectable", "sequences_needed"]].isna().all(axis=None)
    rest = table[table.signal != "flat"]
    assert (rest.detectable > rest.critical).all() and rest.sequences_needed.notna().all()
    enough = rest.sequences_needed <= 40
    assert ((rest.effect >= rest.detectable) == enough).all()
    few = power(rec, signals, permutations=19)
    assert few.critical.isna().all() and few.sequences_needed.isna().all()


def test_the_critical_effect_is_that_of_the_null_that_probe_units_uses():
    rec, signals = recorded(40)
    found = critical(np.array([[0.1, 0.2, 0.3, 0.4] * 10, [0.55, 0.6, 0.7, 0.8] * 10]), np.array([True, True]), 0.1)
    assert found.tolist() == [0.4, 0.8]
    table = power(rec, signals, permutations=199)
    probes = probe_units(rec, signals, permutations=199, bootstrap=2, untrained=1)
    least = probes.signal.map(table.groupby("signal").critical.first())
    significant = probes.p_family <= 0.05
    # Holm's factor can be smaller than the largest, so that less may do; never more.
    assert significant[probes.effect > least + 1e-4].all() and significant.any()
    assert not significant[probes.effect < 0.5 * least].any()


def test_too_few_sequences_are_said_to_be_too_few_and_how_many_would_do(caplog):
    rec, signals = recorded(12, time=3)
    probe_units(rec, signals, permutations=199, bootstrap=2, untrained=1)
    assert "would do" not in caplog.text  # of what cannot be tested anyway
    probe_units(rec, signals, permutations=199, bootstrap=2)
    (line,) = [r.getMessage() for r in caplog.records if "too few sequences" in r.getMessage()]
    assert line.startswith("too few sequences (12): of up an effect below 0.")
    assert int(line.split("about ")[1].split()[0]) > 24
    caplog.clear()
    rec, signals = recorded(400, time=10)
    probe_units(rec, signals, permutations=199, bootstrap=2)
    assert "too few sequences" not in caplog.text


def test_what_is_too_few_for_classes_is_measured_by_the_bar_of_classes(caplog):
    """Chance reaches 0.25, which is no 0.46: every effect that could count as tracking is told from chance."""
    rec, signals = recorded(30, time=3)
    bits = {"up": signals["up"]}
    least = power(rec, bits, permutations=199, variables=["c"]).critical[0]
    assert 0.25 < least < 0.46
    options = {"permutations": 199, "bootstrap": 2, "variables": ["c"]}
    probe_units(rec, bits, **options)
    assert "too few sequences" not in caplog.text
    probe_units(rec, bits, min_effect_class=round(least - 0.001, 4), **options)
    assert f"of up an effect below {least:.2f} could not be told from chance; about " in caplog.text


def said(caplog, best, floor, lengths, kind="continuous", **settings):
    """What is logged of signals whose best unit scores so in all permutations, above floors."""
    values = np.arange(12.0).reshape(2, 6) if kind == "continuous" else np.arange(12).reshape(2, 6) % 2
    checked = check_signals({f"s{k}": values for k in range(len(best))}, np.ones((2, 6), bool))
    scores = np.array(best) if kind == "continuous" else (1 + np.array(best)) / 2
    nothing = np.zeros((1, 1, len(best)))
    found = NullResult(nothing, nothing, np.tile(scores[:, None], 999), nothing, np.ones(len(best), bool),
                       np.array(floor))  # fmt: skip
    caplog.clear()
    bar = settings.pop("bar", np.full(len(best), 0.25))
    warn_of_few_sequences(found, checked, found.scored, np.array(lengths), 0.05, bar, **settings)
    return [record.getMessage() for record in caplog.records]


def test_the_floor_is_taken_off_before_it_is_said_how_many_sequences_would_do(caplog):
    same, mixed = [30] * 200, [30, 20] * 50
    few = "too few sequences (200): of s0 an effect below 0.40 could not be told from chance; "
    # (0.4 − 0.1) / (0.25 − 0.1) = 2 times as many for R², 4 times for an AUROC.
    assert said(caplog, [0.4], [0.1], same) == [few + "about 400 would do"]
    assert said(caplog, [0.4], [0.1], same, kind="binary") == [few + "about 800 would do"]
    assert said(caplog, [0.4], [0.24], same) == [few + "more than 2000 would be needed"]
    assert said(caplog, [0.4], [0.1], mixed)[0].endswith("; at least 200 would do")
    assert said(caplog, [0.4], [0.1], mixed * 2)[0].endswith("; about 400 would do")
    step = "more sequences do not help with s0: the step index and the length alone give an effect of 0.33 (s0)"
    assert said(caplog, [0.4], [0.33], same) == [step]
    assert said(caplog, [0.4], [0.25], same)[0].startswith("more sequences do not help with s0: ")
    assert said(caplog, [0.4], [0.33], same, null="roll")[0].endswith(
        ": what the null leaves in place alone gives an effect of 0.33 (s0)"
    )
    both = said(caplog, [0.4, 0.5, 0.2, 0.9], [0.1, 0.3, 0.19, 0.8], same)
    assert both == [
        "more sequences do not help with s1, s3: the step index and the length alone give an effect of 0.30 (s1), "
        "0.80 (s3)",
        few + "about 400 would do",
    ]
    assert said(caplog, [0.4, 0.4], [0.1, 0.3], same, bar=np.array([0.5, 0.0])) == []
    (line,) = said(caplog, [0.4, 0.3], [0.1, 0.1], same)
    assert line == ("too few sequences (200): of s0 an effect below 0.40, of s1 an effect below 0.30 could not be told "
                    "from chance; about 400 would do")  # fmt: skip
    (line,) = said(caplog, [1.2], [0.0], same, kind="binary")  # of few labelled steps: no effect is above 1
    assert "an effect below 1.00 could not be told" in line
    (line,) = said(caplog, [0.4], [0.1], same, groups=20)
    assert line == ("too few sequences (200 in 20 groups): of s0 an effect below 0.40 could not be told from chance; "
                    "about 400, in groups as large, would do")  # fmt: skip
    # Never as many as there are: those are too few.
    assert said(caplog, [0.2501], [0.0], same)[0].endswith("an effect below 0.25 could not be told from chance; about "
                                                           "201 would do")  # fmt: skip


def test_the_table_says_where_no_number_of_sequences_is_enough():
    ramp = np.linspace(-1, 1, 10)
    x = torch.randn(60, 10, 1, generator=torch.Generator().manual_seed(1))
    rec = record(nn.LSTM(1, 4, batch_first=True), x)
    noise = np.random.default_rng(0).normal(size=(60, 10))
    signals = {"step": ramp + 0.05 * noise, "noise": noise}
    table = power(rec, signals, effects=(0.1, 0.3), permutations=199).set_index(["signal", "effect"])
    for (signal, effect), row in table.iterrows():
        assert pd.isna(row.sequences_needed) == (effect <= row.floor)
        assert row.floor <= row.critical + 1e-9 and (row.floor > 0.3 or signal == "noise")
    rows = power_rows(table.reset_index())
    assert rows.sequences_needed.tolist()[:2] == ["no number"] * 2


def test_what_cannot_be_tested_is_not_passed_over_in_silence():
    """With too few permutations of several signals no effect can be shown; a signal without variation has none."""
    rec, rng = record(nn.LSTM(1, 3, batch_first=True), torch.randn(40, 8, 1)), np.random.default_rng(0)
    signals = {"a": rng.normal(size=(40, 8)), "b": rng.normal(size=(40, 8)), "same": np.ones((40, 8))}
    few = power_rows(power(rec, signals, permutations=19))
    assert set(few.sequences_needed) == {"not testable"}
    more = power_rows(power(rec, signals, permutations=199)).set_index("signal").sequences_needed
    assert set(more["same"]) == {"not testable"} and "not testable" not in {*more["a"], *more["b"]}


def test_effects_out_of_range_are_refused():
    rec, signals = recorded(12)
    with pytest.raises(InputError, match=r"effects=\[0.1, 1.0\]: there must be one or more"):
        power(rec, signals, effects=(0.1, 1.0))
