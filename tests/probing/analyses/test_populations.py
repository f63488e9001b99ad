"""What units know together, with its control task and the fewest units that do."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lstm_probe.core.columns import POPULATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import probe_populations, probe_units
from lstm_probe.recorder import record
from tests.handmade import counter_and_latch, counting_batch

FAST = {"bootstrap": 50, "untrained": 2}


@pytest.fixture(scope="module")
def planted():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    noise = np.random.default_rng(0).normal(size=batch.inputs.shape[:2])
    signals = {**batch.signals, "noise": noise, "flat": np.ones_like(noise)}
    return probe_populations(record(model.lstm, batch.inputs), signals, run="r", task="t", seed=2, **FAST)


def test_table_has_the_declared_columns_and_one_row_for_each_variable_and_signal(planted, tmp_path):
    assert tuple(planted.columns) == tuple(POPULATION_COLUMNS)
    assert len(planted) == 6 * 4 and not planted.duplicated(["variable", "signal"]).any()
    first = planted[["run", "task", "units", "seed", "lag"]].drop_duplicates()
    assert first.values.tolist() == [["r", "t", 8, 2, 0]]
    planted.to_parquet(tmp_path / "populations.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "populations.parquet"), planted)


def test_planted_memories_take_one_unit_and_pass_the_control_task(planted):
    memory = planted[planted.variable == "c"].set_index("signal")
    assert (memory.score[["count", "latch"]] > 0.99).all()
    assert memory.n_units_90[["count", "latch"]].tolist() == [1, 1]
    assert memory.n_units_90.dtype == "Int64" and memory.n_units_90.isna()[["noise", "flat"]].all()
    assert memory.control["count"] < 0.1 and memory.control["latch"] == pytest.approx(0.5, abs=0.05)
    known = memory.loc[["count", "latch", "noise"]]
    assert (known.selectivity == known.score - known.control).all()
    bit = known.loc["latch"]
    assert bit.ci_low <= bit.score <= bit.ci_high and np.isnan(bit.r2_population)
    assert known.r2_population["count"] > 0.99 and known.loc["count", ["ci_low", "ci_high"]].isna().all()
    noise = known.loc["noise"]
    assert 0 == noise.ci_low <= noise.r2_population <= noise.ci_high < 0.05
    assert known.score["noise"] < 0.01
    assert memory.loc["flat", ["score", "ci_low", "untrained", "input_only", "control", "selectivity"]].isna().all()


def test_a_population_knows_at_least_what_its_best_unit_knows():
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(60, 12, 2, generator=rng)
    torch.manual_seed(0)
    rec = record(nn.LSTM(2, 6, batch_first=True), x)
    signals = {
        "sum": x[..., 0].cumsum(1),
        "sign": x[..., 1] > 0,
        "state": (x > 0).long() @ torch.tensor([1, 2]),
    }
    units = probe_units(rec, signals, permutations=19, lags=(0, 1), **FAST)
    groups = probe_populations(rec, signals, lags=(0, 1), **FAST)
    keys = ["variable", "signal", "lag"]
    best = units.groupby(keys).score.max()
    together = groups.set_index(keys).score
    assert (together >= best.loc[together.index] - 0.02).all()
    base = units.groupby(keys).input_only.first()
    assert groups.set_index(keys).input_only.to_numpy() == pytest.approx(base.loc[together.index].to_numpy())
    numbers = groups.metric == "r2"
    assert (groups.r2_population.isna() == ~numbers).all()
    assert (groups[numbers].ci_low <= groups.r2_population[numbers]).all()
    assert not groups.drop(columns=["n_units_90", "r2_population"]).isna().any(axis=None)


def test_memorised_symbols_are_not_selective():
    """Units that show the symbol itself score as well on random labels of symbols as on the signal."""
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 24, (120, 20))
    torch.manual_seed(0)
    model = nn.LSTM(24, 48, batch_first=True)
    with torch.no_grad():
        model.weight_hh_l0.zero_()
    rec = record(model, torch.eye(24)[torch.from_numpy(symbols)])
    signals = {"value": rng.normal(size=24)[symbols]}
    table = probe_populations(rec, signals, variables=["g"], **FAST)
    assert table.score[0] > 0.99 and table.control[0] > 0.99 and abs(table.selectivity[0]) < 0.01


def test_logistic_classes_in_score_baselines_and_control_alike():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2, n=60, time=30)
    rec = record(model.lstm, batch.inputs)
    rng = np.random.default_rng(0)
    count = np.asarray(batch.signals["count"].values)
    signals = {**batch.signals, "kind": np.digitize(count + rng.normal(size=count.shape), [-1, 1])}
    tables = {
        name: probe_populations(rec, signals, variables=["c"], folds=3, estimator=name, **FAST).set_index("signal")
        for name in ("ridge", "logistic")
    }
    ridge, logistic = tables["ridge"], tables["logistic"]
    pd.testing.assert_series_equal(logistic.loc["count"], ridge.loc["count"])
    assert logistic.score["latch"] > 0.999 and logistic.n_units_90["latch"] == 1
    assert logistic.score["kind"] == pytest.approx(ridge.score["kind"], abs=0.03)
    # The middle class is no linear function of the count for either; both controls are near chance.
    assert logistic.control[["latch", "kind"]].to_numpy() == pytest.approx(0.5, abs=0.05)
    columns = ["score", "ci_low", "untrained", "control"]
    assert (logistic.loc["kind", columns] != ridge.loc["kind", columns]).all()
    pd.testing.assert_series_equal(logistic.input_only, ridge.input_only)


def test_a_run_of_the_same_seed_is_the_same(planted):
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2, n=30)
    rec = record(model.lstm, batch.inputs)
    first, second = (probe_populations(rec, batch.signals, variables=["c"], seed=6, **FAST) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_bad_input_is_named():
    rec = record(nn.LSTM(1, 2, batch_first=True), torch.randn(6, 5, 1))
    with pytest.raises(InputError, match=r"variables=z.*\nfolds=9"):
        probe_populations(rec, {"s": torch.randn(6, 5)}, variables=["z"], folds=9)
    with pytest.raises(InputError, match=r"estimator=logistics: .* Did you mean 'logistic'\?\nbootstrap=0"):
        probe_populations(rec, {"s": torch.randn(6, 5)}, estimator="logistics", bootstrap=0)
    with pytest.raises(InputError, match=r"^estimator=svm: must be one of ridge logistic\.$"):
        probe_populations(rec, {"s": torch.randn(6, 5)}, estimator="svm")
