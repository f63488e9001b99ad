"""In how many networks a unit tracks a signal, and whether the units are each other's match: by hand and with SciPy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.matching import MATCH_COLUMNS
from tests.figures.made import probe_row


def probes(**networks):
    """Networks by name: the effect of each unit on `count`, below 0 where it does not track it."""
    rows = [
        probe_row(unit, "count", abs(effect), effect > 0, run=name)
        for name, effects in networks.items()
        for unit, effect in enumerate(effects)
    ]
    return pd.DataFrame(rows)


def matches(*rows, by="responses"):
    """Rows of network, other, unit, other unit, r."""
    made = [dict.fromkeys(MATCH_COLUMNS, 0) | {
        "task": "t", "variable": "c", "network": a, "other": b, "by": by, "direction": "forward",
        "other_direction": "forward", "unit": u, "other_unit": v, "r": r,
    } for a, b, u, v, r in rows]  # fmt: skip
    return pd.DataFrame(made)


def test_counts_are_those_by_hand():
    table = probes(a=[0.9, 0.3], b=[0.4, 0.8], c=[-0.2, -0.1], d=[0.5, np.nan])
    made = pd.concat([
        matches(("a", "b", 0, 1, -0.9), ("a", "b", 1, 0, 0.1), ("d", "a", 1, 0, 0.5), ("b", "d", 1, 0, 0.7),
                ("a", "c", 0, 0, 1.0)),
        matches(("a", "b", 0, 1, -0.9), ("d", "a", 0, 0, -0.4), ("b", "d", 0, 0, 0.2), by="signals"),
    ])  # fmt: skip
    (row,) = lp.universal_units(table, made).itertuples()
    assert (row.task, row.variable, row.signal, row.n_networks, row.tracked_in) == ("t", "c", "count", 4, 3)
    # a and b: units 0 and 1, by both; a and d: units 0 and 0, by signals; b and d: units 1 and 0, by responses.
    assert (row.n_pairs, row.by_responses, row.by_signals) == (3, 2, 2)
    assert row.r == pytest.approx((0.9 + 0.4 + 0.7) / 3)
    span = stats.beta.ppf([0.025, 0.975], [3, 4], [2, 1])  # Clopper & Pearson of 3 in 4
    assert (row.share_tracked, row.ci_low, row.ci_high) == pytest.approx((0.75, *span))


def test_all_of_five_networks_do_not_show_that_all_networks_do():
    names = "abcde"
    table = probes(**{name: [0.9] for name in names})
    made = matches(*((a, b, 0, 0, 0.9) for k, a in enumerate(names) for b in names[k + 1 :]))
    (row,) = lp.universal_units(table, made).itertuples()
    assert row.share_tracked == 1 and row.n_pairs == row.by_responses == 10 and row.by_signals == 0
    assert row.ci_low == pytest.approx(0.025 ** (1 / 5)) and row.ci_high == 1


def test_the_first_lag_and_the_variable_that_was_matched_count():
    table = probes(a=[0.9], b=[0.8])
    other = pd.concat([table, probes(a=[-0.1], b=[-0.1]).assign(lag=3), probes(a=[-0.1], b=[0.1]).assign(variable="h")])
    made = matches(("a", "b", 0, 0, 0.6))
    assert lp.universal_units(other, made).equals(lp.universal_units(table, made))


def test_nothing_tracked_is_no_pair():
    (row,) = lp.universal_units(probes(a=[-0.1], b=[0.3]), matches(("a", "b", 0, 0, 1.0))).itertuples()
    assert (row.tracked_in, row.n_pairs, row.by_responses) == (1, 0, 0) and np.isnan(row.r)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (probes(a=[0.9]), "of one network only; whether there is always such a unit cannot be concluded"),
        (probes(a=[0.9], c=[0.9]), "c is not among the networks that were matched"),
        (pd.concat([probes(a=[0.9]), probes(b=[0.9]).assign(task="u")]), r"networks of several tasks \(t, u\)"),
        (probes(a=[0.9], b=[0.9]).drop(columns="tracks"), "probes: no column tracks"),
    ],
)
def test_bad_input(table, message):
    with pytest.raises(InputError, match=message):
        lp.universal_units(table, matches(("a", "b", 0, 0, 0.6)))
