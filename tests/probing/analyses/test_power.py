"""Power: the number of sequences that is said to be needed, tried by simulation; independent steps; the warning."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import norm
from torch import nn

from lstm_probe.core.columns import POWER_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split, probe_units
from lstm_probe.probing.analyses.power import Precision, critical_effects, independent_steps, power
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.exchange import LengthGroups
from lstm_probe.probing.inference.multiplicity import critical
from lstm_probe.probing.inference.nulls import permutation_test
from lstm_probe.recorder import record


def series(rng, n, time, columns, memory):
    """Stationary series with variance 1 whose neighbouring steps correlate by `memory`."""
    noise = rng.normal(size=(n, time + 60, columns))
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=1)[:, 60:]


def null_of(rng, n, time, memory, rho, binary, permutations, seed):
    """Six units, the first of which correlates by `rho` with the first of two signals."""
    y, x = series(rng, n, time, 2, memory), series(rng, n, time, 6, memory)
    x[..., 0] = rho * y[..., 0] + np.sqrt(1 - rho**2) * x[..., 0]
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
    (line,) = [r.getMessage() for r in caplog.records if "too few sequences" in r.getMessage()]
    assert line.startswith("too few sequences (12): of up an effect below 0.")
    assert int(line.split("about ")[1].split()[0]) > 24
    caplog.clear()
    rec, signals = recorded(400, time=10)
    probe_units(rec, signals, permutations=199, bootstrap=2, untrained=1)
    assert "too few sequences" not in caplog.text


def test_effects_out_of_range_are_refused():
    rec, signals = recorded(12)
    with pytest.raises(InputError, match=r"effects=\[0.1, 1.0\]: there must be one or more"):
        power(rec, signals, effects=(0.1, 1.0))
