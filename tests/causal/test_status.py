"""The order of units and signals: one hand-made table whose order is known."""

import pandas as pd

from lstm_probe.causal.status import unit_statuses
from lstm_probe.core.order import shown_variable, signal_order, unit_label
from tests.figures.made import ablation_row, ablations, probe_row, probes


def test_signals_stand_by_role_and_then_as_they_come():
    table = probes(
        probe_row(0, "step", 0.1, role="nuisance"),
        probe_row(0, "b", 0.1),
        probe_row(0, "depth", 0.1, role="latent"),
        probe_row(0, "a", 0.1),
    )
    assert signal_order(table) == ["b", "a", "depth", "step"]


def test_units_stand_by_signal_then_strength_then_cost_and_idle_ones_last():
    rows = []
    effects = {
        0: (0.0, 0.1),  # idle
        1: (0.4, 0.9),  # b, weaker than 4
        2: (0.6, 0.3),  # a
        3: (0.2, 0.2),  # used, costs less
        4: (0.3, 0.95),  # b
        5: (0.7, 0.8),  # used, costs more; its large effects are not evidence
    }
    for unit, (a, b) in effects.items():
        rows.append(probe_row(unit, "a", a, a > 0.35 and unit != 5))
        rows.append(probe_row(unit, "b", b, b > 0.35 and unit != 5))
    costs = ablations(*(ablation_row(u, "a", {3: 0.1, 5: 0.5, 2: 0.3}.get(u, 0), u in (2, 3, 5)) for u in effects))
    statuses = unit_statuses(probes(*rows), costs)
    assert [unit for _, _, unit in statuses.index] == [2, 4, 1, 5, 3, 0]
    assert list(statuses["status"]) == [
        "tracks and used", "tracks, not used", "tracks, not used", "used, not tracked", "used, not tracked",
        "idle",
    ]  # fmt: skip
    assert list(statuses["signal"])[:3] == ["a", "b", "b"] and statuses["signal"].isna().sum() == 3


def test_layers_stay_together_and_other_variables_do_not_count():
    table = probes(
        probe_row(0, "a", 0.1, layer=0), probe_row(0, "a", 0.9, True, layer=0, variable="f"),
        probe_row(0, "a", 0.9, True, layer=1), probe_row(0, "a", 0.1, layer=1, variable="f"),
    )  # fmt: skip
    costs = ablations(ablation_row(0, "a", 0.0, layer=0), ablation_row(0, "a", 0.0, layer=1))
    statuses = unit_statuses(table, costs)
    assert list(statuses.index) == [(0, "forward", 0), (1, "forward", 0)]
    assert list(statuses["status"]) == ["idle", "tracks, not used"]
    assert unit_statuses(table, costs, "f")["status"].iloc[0] == "tracks, not used"


def test_an_undefined_signal_is_nothing():
    table = probes(probe_row(0, "a", float("nan")), probe_row(0, "b", 0.5, True))
    assert unit_statuses(table, ablations(ablation_row(0, "a", 0.0)))["signal"].iloc[0] == "b"


def test_the_variable_falls_back_to_one_that_was_probed():
    assert shown_variable(pd.DataFrame({"variable": ["h", "f"]})) == "h"
    assert shown_variable(pd.DataFrame({"variable": ["h", "c"]})) == "c"


def test_labels():
    assert unit_label((1, "forward", 3)) == "3"
    assert unit_label((1, "reverse", 3), layers=True) == "1·3←"


def test_where_nothing_was_clamped_nothing_is_said_of_use():
    table = probes(probe_row(0, "a", 0.5, True), probe_row(1, "a", 0.1))
    assert list(unit_statuses(table, ablations())["status"]) == ["tracks", "tracks nothing"]
