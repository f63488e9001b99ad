"""Several networks' tables put together, by hand and with scipy; bad tables."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lstm_probe.core.errors import InputError
from lstm_probe.core.run_columns import SEED_COLUMNS
from lstm_probe.probing.analyses.seeds import across_seeds
from tests.figures.made import probe_row


def network(seed, effects, tracks, units=8, **other):
    """One network's table: units' effects for the signal `count`, and which of them track it."""
    rows = [
        probe_row(u, "count", e, t, seed=seed, units=units, **other) for u, (e, t) in enumerate(zip(effects, tracks))
    ]
    return pd.DataFrame(rows)


def test_networks_are_the_sample():
    tables = [
        network(0, [0.9, 0.8, 0.1], [True, True, False]),
        network(1, [0.2, 0.1, 0.7], [False, False, True]),
        network(2, [0.3, 0.2, 0.1], [False, False, False]),
        network(3, [0.6, 0.2, 0.1], [True, False, False]),
        network(4, [0.5, 0.2, 0.1], [False, False, False]),
    ]
    (row,) = across_seeds(tables).itertuples()
    assert (row.task, row.units, row.variable, row.signal, row.lag, row.n_seeds) == ("t", 8, "c", "count", 0, 5)
    assert row.share_tracked == pytest.approx(3 / 5) and row.tracking_units == pytest.approx(4 / 5)
    best = np.array([0.9, 0.7, 0.3, 0.6, 0.5])
    low, high = stats.t.interval(0.95, 4, best.mean(), stats.sem(best))
    assert row.best_effect == pytest.approx(best.mean())
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high)) and 0 < low < high < 1
    pd.testing.assert_frame_equal(across_seeds(pd.concat(tables)), across_seeds(iter(tables)))


def test_words_that_a_table_keeps_a_list_of_are_no_other_networks():
    tables = pd.concat([network(0, [0.5], [True]), network(1, [0.6], [False], task="other")])
    listed = tables.astype({"task": "category", "signal": "category", "variable": "category"})
    pd.testing.assert_frame_equal(across_seeds(listed), across_seeds(tables), check_dtype=False)


def test_units_tasks_variables_and_lags_stay_apart_and_layers_do_not():
    tables = [
        network(0, [0.5], [True]), network(1, [0.6], [False]), network(0, [0.7], [True], units=16),
        network(0, [0.8], [True], lag=3), network(0, [0.2], [False], variable="h"),
        network(1, [0.9], [True], layer=1), network(0, [0.4], [True], task="other"),
    ]  # fmt: skip
    table = across_seeds(tables)
    assert tuple(table.columns) == tuple(SEED_COLUMNS) and len(table) == 5
    first = table.iloc[0]
    assert first.n_seeds == 2 and first.best_effect == pytest.approx(0.7) and first.share_tracked == 1
    assert table[table.units == 16].n_seeds.tolist() == [1]


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_fewer_than_five_seeds_have_no_interval(seeds):
    few = across_seeds([network(seed, [0.9 - 0.1 * seed, 0.1], [True, False], lag=2) for seed in range(seeds)])
    assert few[["ci_low", "ci_high"]].isna().all(axis=None) and few["n_seeds"].tolist() == [seeds]


def test_a_network_in_which_the_signal_did_not_vary_does_not_count():
    tables = [network(0, [0.5], [True]), network(1, [0.7], [True]), network(2, [np.nan], [False])]
    (row,) = across_seeds(tables).itertuples()
    assert row.n_seeds == 2 and row.best_effect == pytest.approx(0.6)


def test_bad_tables_are_named():
    with pytest.raises(InputError, match="there are none"):
        across_seeds([])
    with pytest.raises(InputError, match="table 1 lacks effect tracks; it must be made by probe_units"):
        across_seeds([network(0, [0.5], [True]), network(1, [0.5], [True]).drop(columns=["effect", "tracks"])])
    with pytest.raises(InputError, match="seed 3 of t with 8 units is in there twice"):
        across_seeds([network(3, [0.5], [True]), network(3, [0.6], [True])])
