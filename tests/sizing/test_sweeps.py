"""Answers over several runs: against SciPy's interval, and on made sweeps whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lstm_probe.sizing.sweeps import (
    CAPACITY_COLUMNS,
    SMALLEST_COLUMNS,
    capacity_table,
    capacity_words,
    experiments,
    smallest_solving,
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
    values = [0.61, 0.7, 0.82]
    table = capacity_table(sweep(tmp_path, {(8, seed): value for seed, value in enumerate(values)}))
    assert list(table.columns) == list(CAPACITY_COLUMNS)
    row = only(table, "score", "parity")
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert row["mean"] == pytest.approx(np.mean(values)) and row["n_seeds"] == 3
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, min(expected.high, 1.0)))


def test_intervals_stay_possible_and_one_seed_has_none(tmp_path):
    table = capacity_table(sweep(tmp_path, {(4, 0): 0.0, (4, 1): 0.9, (8, 0): 0.99}))
    wide, single = only(table, "score", "parity", units=4), only(table, "score", "parity", units=8)
    assert (wide["ci_low"], wide["ci_high"]) == (0.0, 1.0)
    assert np.isnan(single["ci_low"]) and np.isnan(single["ci_high"]) and single["n_seeds"] == 1


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


@pytest.mark.parametrize(
    ("parity", "needed", "words"),
    [
        (
            {(2, 0): 0, (2, 1): 0, (4, 0): 0.1, (4, 1): 0.2, (8, 0): 1, (8, 1): 1, (16, 0): 1},
            8, "parity needs 8 units: learned with 8 or more in 3 of 3 runs, lost with 4 or fewer in 4 of 4",
        ),
        (
            {(2, 0): 0, (4, 0): 0.9, (4, 1): 0.2, (8, 0): 1},
            8, "parity needs 8 units: learned with 8 in 1 of 1 run, lost with 4 or fewer in 2 of 3 runs",
        ),
        (
            {(2, 0): 0.1, (4, 0): 0.9},
            4, "parity needs 4 units: learned with 4 in 1 of 1 run, lost with 2 in 1 of 1 run",
        ),
        ({(2, 0): 1, (4, 0): 1}, 2, "parity: learned at every size tried (2, 4 units)"),
        (
            {(2, 0): 0, (4, 0): 1, (8, 0): 0},
            None, "parity: learned in every run with 4 units, but not with 8; lost in 2 of 3 runs",
        ),
        (
            {(2, 0): 0, (4, 0): 0},
            None, "parity: learned reliably at no size tried (2, 4 units), lost in 2 of 2 runs",
        ),
    ],
)  # fmt: skip
def test_how_many_units_a_target_needs(tmp_path, parity, needed, words):
    table = smallest_solving(sweep(tmp_path, parity))
    assert list(table.columns) == list(SMALLEST_COLUMNS)
    row = table[table["target"] == "parity"].iloc[0]
    assert row["needed"] == needed if needed else pd.isna(row["needed"])
    assert any(sentence.startswith(words) for sentence in capacity_words(table)["tracking"])
