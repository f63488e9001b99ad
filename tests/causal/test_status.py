"""The order of units and signals: one hand-made table whose order is known."""

import pandas as pd
import pytest

from lstm_probe.causal.against import tracked_against_needed
from lstm_probe.causal.status import STATUSES, found_rows, needed_of, status_of, unit_statuses
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


def test_units_stand_by_signal_then_strength_then_cost_and_quiet_ones_last():
    rows = []
    effects = {
        0: (0.0, 0.1),  # needed in no way
        1: (0.4, 0.9),  # b, weaker than 4
        2: (0.6, 0.3),  # a
        3: (0.2, 0.2),  # needed alone, costs less
        4: (0.3, 0.95),  # b
        5: (0.7, 0.8),  # needed alone, costs more; its large effects are not evidence
        6: (0.1, 0.1),  # needed together
    }
    for unit, (a, b) in effects.items():
        rows.append(probe_row(unit, "a", a, a > 0.35 and unit != 5))
        rows.append(probe_row(unit, "b", b, b > 0.35 and unit != 5))
    cost = {3: 0.1, 5: 0.5, 2: 0.3}
    costs = ablations(*(
        ablation_row(u, "a", cost.get(u, 0), u in cost, "together" if u in (1, 6) else "no",
                     score_drop={3: 3.0}.get(u, 0.2)) for u in effects
    ))  # fmt: skip
    statuses = unit_statuses(probes(*rows), costs)
    assert [unit for _, _, unit in statuses.index] == [2, 4, 1, 5, 3, 6, 0]
    assert list(statuses["status"]) == [
        "tracks, needed alone", "tracks, not needed", "tracks, needed together", "needed alone, nothing found",
        "needed alone, nothing found", "needed together, nothing found", "nothing found, not needed",
    ]  # fmt: skip
    assert list(statuses["found"]) == ["tracks"] * 3 + ["nothing found"] * 4
    assert list(statuses["needed"]) == ["alone", "no", "together", "alone", "alone", "together", "no"]
    assert list(statuses["signal"])[:3] == ["a", "b", "b"] and statuses["signal"].isna().sum() == 4


@pytest.mark.parametrize(("rows", "needed"), [
    (("alone",), "alone"), (("no", "alone"), "alone"), (("together", "alone"), "alone"),
    (("no", "together"), "together"), (("not measured", "together"), "together"), (("no", "no"), "no"),
    (("no", "not measured"), "no cost alone"), (("not measured",), "no cost alone"),
])  # fmt: skip
def test_need_of_a_unit_is_that_of_its_targets_together(rows, needed):
    costs = [ablation_row(unit, f"t{k}", 0.1, needed=one) for unit in (0, 1) for k, one in enumerate(rows)]
    costs += [ablation_row(0, f"t{k}", 0.1, needed="no", layer=1) for k in range(len(rows))]
    found = needed_of(ablations(*costs))
    assert found.to_dict() == {(0, "forward", 0): needed, (0, "forward", 1): needed, (1, "forward", 0): "no"}


def test_of_runs_without_a_refit_nothing_is_known_of_need():
    costs = ablations(ablation_row(0, "a", 0.9, needed="not measured", refit_drop=float("nan")))
    assert list(needed_of(costs)) == [""]
    assert list(needed_of(costs.drop(columns=["needed", "refit_drop"]))) == [""]
    assert needed_of(ablations()).empty
    table = probes(probe_row(0, "a", 0.9, True), probe_row(1, "a", 0.1))
    assert list(unit_statuses(table, costs)["status"]) == ["tracks", "nothing found"]


def test_a_target_that_was_hardly_learned_says_nothing_of_a_unit_s_need():
    hardly = {"needed": "not measured", "intact": 0.049}
    costs = [ablation_row(0, "b", 0.1, needed="no"), ablation_row(1, "b", 0.1, needed="alone")]
    costs += [ablation_row(unit, "a", 0.02, **hardly) for unit in (0, 1, 2)]
    assert list(needed_of(ablations(*costs))) == ["no", "alone", ""]
    costs += [ablation_row(2, "b", 0.0, needed="not measured", intact=0.05)]
    assert list(needed_of(ablations(*costs))) == ["no", "alone", "no cost alone"]
    table = probes(probe_row(0, "a", 0.9, True), *(probe_row(unit, "b", 0.5) for unit in (0, 1, 2)))
    both = tracked_against_needed(table, ablations(*costs)).query("target == 'all'")
    assert dict(zip(both["unit"], both["needed"])) == {0: "no", 1: "alone", 2: "not measured"}


def test_every_status_has_its_words_and_its_place():
    found, needed = ("tracks", "nothing found", "not testable"), ("alone", "together", "no", "no cost alone", "")
    assert len(STATUSES) == 15 and {*STATUSES} == {status_of(one, need) for one in found for need in needed}
    assert [one for one in STATUSES if "needed alone" in one or "needed together" in one] == [
        "tracks, needed alone", "tracks, needed together", "needed alone, nothing found",
        "needed together, nothing found", "needed alone, not testable", "needed together, not testable",
    ]  # fmt: skip
    assert list(STATUSES[9:]) == [
        "nothing found, not needed", "nothing found, no cost alone", "nothing found", "not testable, not needed",
        "not testable, no cost alone", "not testable",
    ]  # fmt: skip


def test_layers_stay_together_and_other_variables_do_not_count():
    table = probes(
        probe_row(0, "a", 0.1, layer=0), probe_row(0, "a", 0.9, True, layer=0, variable="f"),
        probe_row(0, "a", 0.9, True, layer=1), probe_row(0, "a", 0.1, layer=1, variable="f"),
    )  # fmt: skip
    costs = ablations(ablation_row(0, "a", 0.0, layer=0), ablation_row(0, "a", 0.0, layer=1))
    statuses = unit_statuses(table, costs)
    assert list(statuses.index) == [(0, "forward", 0), (1, "forward", 0)]
    assert list(statuses["status"]) == ["nothing found, not needed", "tracks, not needed"]
    assert unit_statuses(table, costs, "f")["status"].iloc[0] == "tracks, not needed"


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
    assert list(unit_statuses(table, ablations())["status"]) == ["tracks", "nothing found"]


def earlier(unit, signal, lag, effect, held=True, **other):
    """A row of the table of memory."""
    return probe_row(unit, signal, effect, lag=lag, signal_itself=0.1, held=held) | other


def test_what_is_held_from_earlier_or_along_a_curve_is_found():
    """Unit 0 tracks b and has held a; 1 has held a of two lags; 2 bends; 3 would have held a in its gate alone."""
    table = probes(
        probe_row(0, "a", 0.1), probe_row(0, "b", 0.3, True), probe_row(1, "a", 0.1), probe_row(1, "b", 0.1),
        probe_row(2, "a", 0.1), probe_row(2, "b", 0.2), probe_row(3, "a", 0.1), probe_row(3, "b", 0.1),
    ).assign(curved=[0, 0, 0, 0, 0, 0.7, 0, 0], tracks_curved=[False] * 5 + [True] + [False] * 2)  # fmt: skip
    memory = pd.DataFrame([
        earlier(0, "a", 2, 0.9), earlier(1, "a", 3, 0.6), earlier(1, "a", 5, 0.8), earlier(2, "a", 3, 0.9, False),
        earlier(3, "a", 3, 0.9, variable="f"),
    ])  # fmt: skip
    costs = ablations(*(ablation_row(unit, "a", 0.0) for unit in range(4)))
    statuses = unit_statuses(table, costs, memory=memory)["status"]
    assert list(statuses.loc[[(0, "forward", unit) for unit in range(4)]]) == [
        "tracks, not needed", "tracks, not needed", "tracks, not needed", "nothing found, not needed",
    ]  # fmt: skip
    found = found_rows(table, memory[memory["variable"] == "c"])
    told = found[["unit", "signal", "how", "lag", "effect"]].values.tolist()
    assert told == [[0, "b", "now", 0, 0.3], [0, "a", "earlier", 2, 0.9], [1, "a", "earlier", 5, 0.8],
                    [2, "b", "curve", 0, 0.7]]  # fmt: skip
    assert found["straight"].iloc[-1] == 0.2


@pytest.mark.parametrize(("testable", "needed", "spare"), [
    (True, "needed alone, nothing found", "nothing found, no cost alone"),
    (False, "needed alone, not testable", "not testable, no cost alone"),
])  # fmt: skip
def test_where_nothing_could_be_found_the_status_says_that(testable, needed, spare):
    table = probes(probe_row(0, "a", 0.9), probe_row(1, "a", 0.9)).assign(testable=testable)
    costs = ablations(ablation_row(0, "a", 0.5, True), ablation_row(1, "a", 0.0, needed="not measured"))
    assert list(unit_statuses(table, costs)["status"]) == [needed, spare]
    # One signal that can be tested is enough for "nothing found".
    one = table.assign(testable=[True, False])
    assert list(unit_statuses(one, costs)["status"]) == ["needed alone, nothing found", "nothing found, no cost alone"]
