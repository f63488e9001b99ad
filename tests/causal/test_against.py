"""Tracked against needed: what stands side by side, and the rank correlation against scipy and simulations."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lstm_probe as lp
from lstm_probe.causal.against import COLUMNS, CORRELATION_COLUMNS, correlation_words
from lstm_probe.core.errors import InputError
from lstm_probe.core.scale import strength
from tests.figures.made import ablation_row, ablations, probe_row, probes, random_tables


def sides():
    """Two units and two targets by hand: a number at two lags and a class; one target is no signal."""
    kind = {"kind": "binary", "metric": "auroc"}
    probed = probes(
        probe_row(0, "count", 0.3), probe_row(0, "count", 0.8, True, lag=2), probe_row(0, "flip", 0.85, **kind),
        probe_row(0, "noise", 0.1, role="distractor"), probe_row(0, "count", 0.99, variable="h"),
        probe_row(1, "count", 0.2), probe_row(1, "flip", 0.5, **kind), probe_row(1, "noise", 0.4, role="distractor"),
        probe_row(2, "count", 0.9, True), probe_row(2, "flip", 0.0, **kind),
        probe_row(3, "noise", 0.7, role="distractor"),
    )  # fmt: skip
    cost = {("count", 0): 0.5, ("flip", 0): 0.001, ("count", 1): 0.002, ("flip", 1): 0.004}
    words = {("count", 0): "alone", ("flip", 0): "no", ("count", 1): "no", ("flip", 1): "together"}
    rows = [ablation_row(unit, name, drop, needed=words[name, unit]) for (name, unit), drop in cost.items()]
    rows += [ablation_row(unit, "elsewhere", 0.1 * unit, needed="no") for unit in (0, 1)]
    return probed, ablations(*rows, ablation_row(3, "count", 0.0, needed="not measured"))


def test_a_row_is_the_best_lag_of_the_target_beside_its_drop():
    table = lp.tracked_against_needed(*sides())
    assert list(table.columns) == list(COLUMNS) == list(lp.columns("tracked_against_needed"))
    seen = table.set_index(["unit", "target"])
    # Unit 2 was not clamped; no signal is called `elsewhere`; unit 3 was not probed for count.
    assert list(seen.index) == [(0, "all"), (0, "count"), (0, "flip"), (1, "all"), (1, "count"), (1, "flip"),
                                (3, "all")]  # fmt: skip
    assert list(seen["effect"]) == [0.8, 0.8, 0.85, 0.4, 0.2, 0.5, 0.7]
    assert list(seen["refit_drop"]) == [0.5, 0.5, 0.001, 0.1, 0.002, 0.004, 0.0]
    assert list(seen["signal"]) == ["count", "count", "flip", "noise", "count", "flip", "noise"]
    assert list(seen["needed"]) == ["alone", "alone", "no", "together", "no", "together", "not measured"]
    assert list(seen["tracks"]) == [True, True, False, False, False, False, False]
    assert list(seen["metric"])[2] == "auroc"
    assert np.allclose(seen["strength"], strength(seen["effect"].to_numpy(), list(seen["metric"])))


def test_the_strongest_signal_is_that_on_one_scale():
    """0.85 of a class is an R² of 0.76, less than 0.8; 0.9 would be 0.84, more."""
    probed, clamped = sides()
    own = lp.tracked_against_needed(probed, clamped).set_index(["unit", "target"]).loc[(0, "all")]
    assert own["signal"] == "count"
    probed.loc[(probed["signal"] == "flip") & (probed["unit"] == 0), "effect"] = 0.9
    own = lp.tracked_against_needed(probed, clamped).set_index(["unit", "target"]).loc[(0, "all")]
    assert own["signal"] == "flip" and own["effect"] == 0.9 and own["strength"] < 0.9
    assert own["tracks"]  # another signal than the strongest


def test_another_variable_and_a_unit_without_any_effect():
    probed, clamped = sides()
    table = lp.tracked_against_needed(probed, clamped, variable="h")
    assert list(table["effect"]) == [0.99, 0.99]
    probed.loc[probed["unit"] == 1, "effect"] = np.nan
    table = lp.tracked_against_needed(probed, clamped)
    assert table.loc[table["unit"] == 1, "effect"].isna().all() and (table["unit"] == 1).sum() == 3
    assert list(lp.rank_correlations(table)["n_units"]) == [2, 1, 1]


def test_tables_of_earlier_versions_give_no_rows():
    probed, clamped = sides()
    for old in (clamped.drop(columns="refit_drop"), clamped.assign(refit_drop=np.nan), clamped.head(0)):
        table = lp.tracked_against_needed(probed, old)
        assert list(table.columns) == list(COLUMNS) and table.empty
        assert lp.rank_correlations(table).empty
    assert lp.tracked_against_needed(probed.head(0), clamped).empty
    some = clamped.assign(refit_drop=clamped["refit_drop"].where(clamped["unit"] != 0))
    assert set(lp.tracked_against_needed(probed, some)["unit"]) == {1, 3}


def test_several_networks_or_modes_are_refused():
    probed, clamped = sides()
    with pytest.raises(InputError, match="ablations: unit 0 has several rows for count"):
        lp.tracked_against_needed(probed, pd.concat([clamped, clamped.assign(mode="zero")]))
    with pytest.raises(InputError, match="probes: unit 0 has several rows for count"):
        lp.tracked_against_needed(pd.concat([probed, probed.assign(seed=1)]), clamped)


def pairs(x, y):
    return pd.DataFrame({"target": "all", "strength": x, "refit_drop": y})


@pytest.mark.parametrize("n", [5, 8, 9, 32, 128])
@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_the_rank_correlation_is_scipys(n, zeros):
    rng = np.random.default_rng(n)
    x, y = rng.random((2, n))
    y = y + x
    x[: int(zeros * n)] = y[: int(zeros * n)] = 0
    x[-2:] = x[-1]
    row = lp.rank_correlations(pairs(x, y)).iloc[0]
    truth = stats.spearmanr(x, y)
    assert row["rho"] == pytest.approx(truth.statistic, abs=1e-12) and row["n_units"] == n
    assert row["ci_low"] < row["rho"] <= row["ci_high"] <= 1
    if n > 7:
        assert row["p_value"] == pytest.approx(truth.pvalue, rel=1e-9)
    else:
        every = [stats.spearmanr(x, y[list(order)]).statistic for order in permutations(range(n))]
        assert row["p_value"] == pytest.approx((np.abs(every) >= abs(truth.statistic) - 1e-9).mean(), abs=1e-12)


def test_each_target_by_itself_and_all_first():
    probed, clamped = random_tables(12, ["a", "b", "c"])
    table = lp.tracked_against_needed(probed, clamped)
    found = lp.rank_correlations(table.sort_values("target", ascending=False))
    assert list(found.columns) == list(CORRELATION_COLUMNS) == list(lp.columns("rank_correlations"))
    assert list(found["target"]) == ["all", "a"]
    for row in found.itertuples():
        own = table[table["target"] == row.target]
        assert row.rho == pytest.approx(stats.spearmanr(own["effect"], own["refit_drop"]).statistic)


def test_too_few_units_or_units_that_are_alike_have_none():
    for x, y in (([1, 2, 3, 4], [1, 2, 3, 4]), ([0] * 9, range(9)), (range(9), [0.5 + 1e-9 * k for k in range(9)])):
        row = lp.rank_correlations(pairs(list(x), list(y))).iloc[0]
        assert row[["rho", "ci_low", "ci_high", "p_value"]].isna().all()
        why = "too few units" if len(x) < 5 else "all units alike"
        assert correlation_words(row.to_dict()) == f"rank correlation: {why}"


def test_an_order_that_is_perfect_is_not_certain():
    row = lp.rank_correlations(pairs(range(8), range(8))).iloc[0]
    assert row["rho"] == row["ci_high"] == 1 and 0.7 < row["ci_low"] < 0.9
    assert lp.rank_correlations(pairs(range(7), range(7))).iloc[0]["p_value"] == pytest.approx(2 / 5040)
    other = lp.rank_correlations(pairs(range(8), range(8, 0, -1))).iloc[0]
    assert other["rho"] == other["ci_low"] == -1 and other["ci_high"] == pytest.approx(-row["ci_low"])
    assert correlation_words(other.to_dict()).startswith("rank correlation over 8 units −1.00 (−1.00 to −0.")


def drawn(rng, n, law):
    """Units of a network: correlated normals; half of them dead; or floored at 0 in 40 % and 60 %."""
    a, b = rng.standard_normal((2, n))
    if law == "normal":
        return a, 0.6 * a + 0.8 * b
    if law == "dead":
        alive = rng.random(n) < 0.5
        return np.exp(a) * alive, np.exp(b) * alive
    b = 0.5 * a + np.sqrt(0.75) * b
    return np.maximum(a + 0.2533, 0), np.maximum(b - 0.2533, 0)


@pytest.mark.parametrize("law", ["normal", "dead", "floored"])
@pytest.mark.parametrize("n", [8, 32, 128])
def test_intervals_hold_the_truth_also_where_many_units_are_at_0(n, law):
    rng = np.random.default_rng(n)
    truth = stats.spearmanr(*drawn(rng, 400_000, law)).statistic
    held = []
    for _ in range(400):
        x, y = drawn(rng, n, law)
        row = lp.rank_correlations(pairs(x, y)).iloc[0]
        if row["rho"] == row["rho"]:
            held.append(row["ci_low"] <= truth <= row["ci_high"])
    # Of 400, 93 to 97 % with two standard errors of that; a little wide for 8 units.
    assert len(held) > 380 and 0.92 <= np.mean(held) <= (0.99 if n == 8 else 0.985)
