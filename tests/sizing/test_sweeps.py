"""Answers over several runs: against SciPy's interval, and on made sweeps whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lstm_probe.sizing.sweeps import (
    CAPACITY_COLUMNS,
    CAPACITY_SEED_COLUMNS,
    MOST_EXPERIMENTS,
    capacity_seeds,
    capacity_table,
    experiments,
    told_of_sizes,
)
from tests.figures.made import made_run


def sweep(folder, parity, **config):
    """Runs whose parity score is given as {(units, seed): score}."""
    return [made_run(folder, units, seed, {"parity": score}, **config) for (units, seed), score in parity.items()]


def only(table, quantity, target="", **where):
    rows = table[(table["quantity"] == quantity) & (table["target"] == target)]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.iloc[0]


def test_means_and_intervals_over_seeds_are_those_of_scipy(tmp_path):
    values = [0.61, 0.7, 0.82, 0.8, 0.74]
    table = capacity_table(sweep(tmp_path, {(8, seed): value for seed, value in enumerate(values)}))
    assert list(table.columns) == list(CAPACITY_COLUMNS)
    row = only(table, "score", "parity")
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert row["mean"] == pytest.approx(np.mean(values)) and row["n_seeds"] == 5
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, min(expected.high, 1.0)))


def test_intervals_stay_possible_and_fewer_than_five_seeds_have_none(tmp_path):
    wide = {(4, seed): score for seed, score in enumerate((0.0, 0.9, 0.0, 0.9, 0.9))}
    few = {(8, seed): 0.99 - 0.1 * seed for seed in range(4)}
    table = capacity_table(sweep(tmp_path, wide | few | {(16, 0): 0.99}))
    ends = only(table, "score", "parity", units=4)
    assert (ends["ci_low"], ends["ci_high"]) == (0.0, 1.0)
    for units, n in ((8, 4), (16, 1)):
        none = table[table["units"] == units]
        assert none[["ci_low", "ci_high"]].isna().all(axis=None) and none["n_seeds"].unique().tolist() == [n]


@pytest.mark.parametrize(("units", "tracked", "spare"), [(3, 3, 0), (5, 5, 0), (9, 5, 4)])
def test_counts(tmp_path, units, tracked, spare):
    """In a made run unit k tracks and serves target k of five; the gates' tracking does not count."""
    table = capacity_table([made_run(tmp_path, units)])
    assert only(table, "tracked_signals")["mean"] == tracked
    assert only(table, "needed_alone_units")["mean"] == tracked
    assert only(table, "needed_together_units")["mean"] == 0
    assert only(table, "not_needed_units")["mean"] == spare
    assert only(table, "all_units")["mean"] == units


def test_what_is_needed_is_counted_only_where_it_was_measured(tmp_path):
    """Of nine units 5 and 6 are needed together; then that is not known of them; then nothing is of any."""
    run = made_run(tmp_path, 9)
    costs = run.ablations
    run.__dict__["ablations"] = costs.assign(needed=costs["needed"].mask(costs["unit"].isin((5, 6)), "together"))
    counts = [only(capacity_table([run]), f"{name}_units")["mean"] for name in ("needed_alone", "needed_together",
                                                                               "not_needed")]  # fmt: skip
    assert counts == [5, 2, 2]
    run.__dict__["ablations"] = costs.assign(needed=costs["needed"].mask(costs["unit"].isin((5, 6)), "not measured"))
    table = capacity_table([run])
    assert [name for name in table["quantity"] if "needed" in name] == ["needed_alone_units"]
    assert only(table, "needed_alone_units")["mean"] == 5
    run.__dict__["ablations"] = costs.assign(needed="not measured", refit_drop=np.nan)
    assert not [name for name in capacity_table([run])["quantity"] if "needed" in name]


def test_units_of_every_layer_count(tmp_path):
    """Two layers of five units each, all of them needed: the unit's number alone does not tell them apart."""
    run = made_run(tmp_path, 5)
    for name in ("probes", "ablations"):
        table = getattr(run, name)
        run.__dict__[name] = pd.concat([table, table.assign(layer=1)], ignore_index=True)
    table = capacity_table([run])
    assert only(table, "needed_alone_units")["mean"] == only(table, "all_units")["mean"] == 10
    assert only(table, "tracked_signals")["mean"] == 5


def test_only_runs_that_differ_in_size_and_seed_alone_belong_together(tmp_path):
    runs = sweep(tmp_path, {(4, 0): 1.0, (8, 1): 1.0}, lr=0.01) + sweep(tmp_path, {(4, 0): 1.0}, lr=0.1)
    groups = experiments(runs)
    assert {name: len(members) for name, members in groups.items()} == {
        "tracking, lr=0.01": 2,
        "tracking, lr=0.1": 1,
    }
    assert list(experiments(runs[:2])) == ["tracking"]
    assert set(capacity_table(runs)["task"]) == set(groups)


def test_a_setting_that_a_configuration_leaves_out_is_as_usual(tmp_path):
    """Some came when there were runs, and are written where they ask for something; values are as one types them."""
    settings = ({}, {"checkpoints": 2}, {"checkpoints": 0}, {"task.balanced": True})
    runs = [made_run(tmp_path, 4, 0, **more) for more in settings]
    assert [*experiments(runs)] == [
        "tracking, checkpoints=0, task.balanced=null",
        "tracking, checkpoints=0, task.balanced=true",
        "tracking, checkpoints=2, task.balanced=null",
    ]
    usual = [made_run(tmp_path, 4, **{"probe.saturation_low": 0.1}), made_run(tmp_path, 8)]
    assert [*experiments(usual)] == ["tracking"]


def test_each_network_stands_in_the_table_of_seeds(tmp_path):
    """The means are those of these rows, and the shares' whole is beside each."""
    runs = sweep(tmp_path, {(4, 0): 0.2, (4, 3): 0.9, (8, 1): 1.0})
    seeds = capacity_seeds(runs)
    assert list(seeds.columns) == list(CAPACITY_SEED_COLUMNS)
    parity = seeds[(seeds["quantity"] == "score") & (seeds["target"] == "parity")]
    assert parity[["units", "seed", "value"]].values.tolist() == [[4, 0, 0.2], [4, 3, 0.9], [8, 1, 1.0]]
    alone = seeds[seeds["quantity"] == "needed_alone_units"]
    assert alone[["value", "highest"]].values.tolist() == [[4, 4], [4, 4], [5, 8]]
    means = seeds.groupby(["units", "quantity", "target"])["value"].mean()
    table = capacity_table(runs).set_index(["units", "quantity", "target"])
    pd.testing.assert_series_equal(table["mean"].sort_index(), means.sort_index(), check_names=False)


def test_tables_without_a_file_of_the_users_are_one_experiment(tmp_path):
    """Their data are the package's own example: there is no path to call them by."""
    task = {"name": "table", "path": None, "content": "9f86d081"}
    assert [*experiments([made_run(tmp_path, units, task=task) for units in (2, 4)])] == ["tracking"]


def test_networks_that_were_not_measured_have_their_scores(tmp_path):
    run = made_run(tmp_path, 4)
    run.info["measured"] = []
    assert set(capacity_table([run])["quantity"]) == {"score"}


def test_of_many_experiments_those_with_the_most_runs_are_told(tmp_path):
    few = [made_run(tmp_path, 4, 0, lr=0.001 * k) for k in range(1, MOST_EXPERIMENTS + 3)]
    many = [made_run(tmp_path, 4, seed, lr=0.5) for seed in range(3)]
    told, left = told_of_sizes([*few, *many])
    assert left == 3 and {run.path for run in many} <= {run.path for run in told}
    assert len(told) == 3 + MOST_EXPERIMENTS - 1
    assert told_of_sizes(many) == (many, 0)
