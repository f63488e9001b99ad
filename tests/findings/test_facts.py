"""Facts from hand-made tables whose facts are known, and the words for them."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from lstm_probe.core.columns import CONFOUND_COLUMNS
from lstm_probe.findings.evidence import Verdict
from lstm_probe.findings.facts import find
from lstm_probe.findings.need_words import need_words, short_words
from lstm_probe.findings.words import (
    code_words,
    numbers,
    origin_words,
    rule_words,
    signal_words,
    size_words,
    unit_words,
    untested_words,
    verdict_words,
)
from tests.figures.made import (
    ablation_row,
    ablations,
    made_run,
    population_row,
    populations,
    probe_row,
    probes,
)

INFO = {"scores": {"a": 0.99, "b": 0.7}, "learned": {"a": True, "b": True}, "solved": False}


@pytest.fixture
def findings():
    """Unit 0 tracks a and b and is needed; 1 is needed and only its gate tracks; 2 tracks b; in 3 nothing is found."""
    table = probes(
        probe_row(0, "a", 0.9, True), probe_row(0, "b", 0.6, True), probe_row(0, "b", 0.7, True, lag=3),
        probe_row(1, "a", 0.1), probe_row(1, "b", 0.1), probe_row(1, "b", 0.8, True, variable="f"),
        probe_row(2, "a", 0.1), probe_row(2, "b", 0.65, True), probe_row(2, "b", 0.99, True, variable="o"),
        probe_row(3, "a", 0.2), probe_row(3, "b", 0.9),
        *(probe_row(k, "c", 0.1 * k, role="latent") for k in range(4)),
        *(probe_row(k, "flat", math.nan, role="distractor") for k in range(4)),
    )  # fmt: skip
    costs = ablations(
        ablation_row(0, "a", 0.2, True), ablation_row(0, "b", 0.5, True), ablation_row(1, "a", 0.9, True),
        *(ablation_row(unit, "b", 0.01, needed="not measured") for unit in (1, 2, 3)),
    )  # fmt: skip
    together = populations(population_row("c", 0.97), population_row("c", 0.5, variable="h"))
    return find(INFO, table, together, costs)


def test_statuses(findings):
    assert {unit.label: unit.status for unit in findings.units} == {
        "0": "tracks, needed alone", "1": "needed alone, nothing found", "2": "tracks, no cost alone",
        "3": "nothing found, no cost alone",
    }  # fmt: skip


def test_what_a_unit_remembers_is_what_its_memory_tracks(findings):
    unit = {fact.label: fact for fact in findings.units}
    assert (unit["0"].best.signal, unit["0"].best.effect, unit["0"].best.untrained) == ("a", 0.9, 0.1)
    assert (unit["0"].best.low, unit["0"].best.high) == pytest.approx((0.88, 0.92))
    assert [(other.signal, other.lag) for other in unit["0"].others] == [("b", 3)]  # the best lag alone
    assert unit["1"].best is None and (unit["1"].elsewhere.variable, unit["1"].elsewhere.signal) == ("f", "b")
    assert unit["2"].best.variable == "c" and unit["2"].elsewhere.effect == 0.99
    assert unit["3"].best is None and unit["3"].elsewhere is None


def test_signals(findings):
    fact = {signal.signal: signal for signal in findings.signals}
    assert list(fact) == ["a", "b", "c", "flat"]
    assert fact["a"].tracked_by == ("0",) and fact["b"].tracked_by == ("0", "2")
    assert fact["c"].tracked_by == () and fact["c"].unit == "3" and fact["c"].together == 0.97
    assert fact["c"].enough == 2 and fact["a"].enough is None
    assert fact["flat"].best is None and math.isnan(fact["flat"].together)
    assert (
        signal_words(fact["c"]) == "c: no single unit was found to track it (best: unit 3, effect 0.30; untrained "
        "units 0.10; all units together 0.97)."
    )
    assert "never changes" in signal_words(fact["flat"])
    # Above its baselines, and yet nothing special among untrained networks: that is then why.
    alike, unlike = "untrained networks have such units too", "that untrained networks have no such units was not shown"
    for p, tried, why in ((0.4, 0.31, f"; {alike}, p = 0.4"), (0.4, 0.2, f"; {unlike}, p = 0.4"), (0.05, 0.2, "")):
        best = replace(fact["c"].best, p_untrained=p, untrained_best=tried)
        assert f"untrained units 0.10{why}; all units" in signal_words(replace(fact["c"], best=best))
    assert signal_words(fact["a"]) == "a: unit 0 (effect 0.90 [0.88, 0.92]), and no other unit was found."


def test_signals_are_held_by_one_unit_or_by_many():
    rows = [("a", "localist", 0.9), ("b", "distributed", 0.8), ("c", "none", 0.1), ("d", "localist", 0.7)]
    about = {"layer": 0, "direction": "forward", "lag": 0, "units": 4, "varying": 4, "rest": 0.1, "best_unit": 0,
             "best_effect": 0.5, "second_unit": 1, "second_effect": 0.1}  # fmt: skip
    codes = pd.DataFrame([about | {"variable": v, "signal": s, "code": {"c": code}.get(v, "localist"), "effect": effect}
                          for v in "ch" for s, code, effect in rows])  # fmt: skip
    roles = {"d": "distractor"}
    table = probes(*(probe_row(0, s, 0.5, True, role=roles.get(s, "target")) for s, _, _ in rows))
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.0)), codes=codes)
    assert [fact.code for fact in found.signals] == ["localist", "distributed", "none", "localist"]
    assert code_words(found) == "Held by one unit each (localist): a. Spread over units (distributed): b."


def test_what_all_units_together_tell_is_held_where_untrained_networks_do_not_tell_as_much():
    about = {"layer": 0, "direction": "forward", "lag": 0, "units": 4, "varying": 4, "rest": 0.4, "best_unit": 0,
             "best_effect": 0.3, "second_unit": 1, "second_effect": 0.2, "variable": "c", "effect": 0.5}  # fmt: skip
    codes = pd.DataFrame([about | {"signal": name, "code": "distributed"} for name in "abc"])
    table = probes(*(probe_row(0, name, 0.3) for name in "abc"))
    together = populations(*(population_row(name, 0.5, untrained=level) for name, level in (("a", 0.6), ("b", 0.2))),
                           population_row("c", 0.75, metric="auroc", untrained=0.6))  # fmt: skip
    found = find(INFO, table, together, ablations(ablation_row(0, "a", 0.0)), codes=codes)
    assert [fact.held for fact in found.signals] == [False, True, False]
    assert code_words(found) == "Spread over units (distributed): b."


@pytest.mark.parametrize(("layers", "directions", "said"), [
    (1, ["forward"], "4 units"), (1, ["forward", "reverse"], "4 units in each of 2 directions"),
    (2, ["forward"], "4 units in each of 2 layers"),
    (2, ["forward", "reverse"], "4 units in each of 2 layers and 2 directions"),
])  # fmt: skip
def test_how_many_units_a_run_has(layers, directions, said):
    checks = [{"layer": layer, "direction": one} for layer in range(layers) for one in directions]
    about = {"task": "t", "units": 4, "layers": layers}
    assert size_words(about | {"checks": checks}) == f"t, {said}"
    assert size_words(about | {"source": "a.pt, PyTorch", "checks": checks}) == f"t, {said} of a.pt"


def test_layers_are_named():
    table = probes(probe_row(0, "a", 0.9, True), probe_row(0, "a", 0.8, True, layer=1))
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.5, True, layer=1)))
    assert [(unit.label, unit.status) for unit in found.units] == [
        ("0·0", "tracks"), ("1·0", "tracks, needed alone"),
    ]  # fmt: skip
    assert found.signals[0].tracked_by == ("0·0", "1·0")


def test_scales():
    auroc = probe_row(0, "a", 0.8, True, metric="auroc", kind="binary", ci_low=0.7, ci_high=0.9)
    found = find(INFO, probes(auroc), populations(), ablations(ablation_row(0, "a", 0.0)))
    assert (found.units[0].best.low, found.units[0].best.high) == pytest.approx((0.7, 0.9))


@pytest.mark.parametrize(
    ("solved", "scores", "learned", "words"),
    [
        (
            True,
            {"a": 0.995, "b": 1.0},
            {"a": True, "b": True},
            "Learned: all 2 targets solved (lowest score: a 0.995).",
        ),
        (True, {"a": 0.995}, {"a": True}, "Learned: its one target solved (score: a 0.995)."),
        (False, {"a": 0.8, "b": 1.0}, {"a": True, "b": True}, "Learned, but not solved: "),
        (
            False,
            {"a": 0.0, "b": 1.0},
            {"a": False, "b": True},
            "NOT LEARNED: a (score 0.00). Learned: 1 of 2 targets.",
        ),
        (
            False,
            {"a": 1.0, "b": 0.98968},
            {"a": True, "b": True},
            "Learned, but not solved: all 2 targets learned to some degree, b 0.989 least",
        ),
        (
            False,
            {"a": 0.1, "b": 0.0},
            {},
            "NOT LEARNED: b (score 0.00) and a (score 0.10). What follows describes",
        ),
    ],
)
def test_the_verdict_is_loud_where_it_must_be(solved, scores, learned, words):
    assert verdict_words(Verdict(solved, scores, learned)).startswith(words)


def test_lists_of_units():
    assert numbers(["12", "3", "1", "2", "7", "8"]) == "1–3, 7, 8, 12"
    assert numbers([str(k) for k in range(0, 20, 2)], most=3) == "0, 2, 4 and 7 more"
    assert unit_words(["4"]) == "unit 4" and unit_words(["4", "5"]) == "units 4, 5"
    assert numbers(["1·10", "0·3", "1·2←"]) == "0·3, 1·2←, 1·10"


def test_a_whole_run(tmp_path):
    run = made_run(tmp_path, units=6)
    found = find(run.info, run.probes, run.populations, run.ablations)
    assert [unit.label for unit in found.quiet] == ["5"] and len(found.needed_alone) == 5
    assert [fact.tracked_by for fact in found.signals] == [("0",), ("1",), ("2",), ("3",), ("4",), (), ()]


def test_with_a_projection_h_is_of_no_unit():
    table = probes(probe_row(0, "a", 0.1), probe_row(0, "a", 0.9, True, variable="h"))
    costs = ablations(ablation_row(0, "a", 0.0))
    assert find(INFO, table, populations(), costs).units[0].elsewhere.variable == "h"
    assert find(INFO | {"projection": 2}, table, populations(), costs).units[0].elsewhere is None


def test_the_strongest_baseline_is_named():
    row = probe_row(0, "a", 0.5, untrained=0.2, input_only=0.45, time_only=0.3)
    fact = find(INFO, probes(row), populations(), ablations(ablation_row(0, "a", 0.0))).signals[0]
    assert fact.best.baseline == ("the present input alone", 0.45)
    assert "effect 0.50; the present input alone 0.45)" in signal_words(fact)


@pytest.mark.parametrize(("metric", "effect"), [("r2", 0.9), ("auroc", 0.8), ("macro_auroc", 0.8)])
def test_what_all_units_know_is_told_as_an_effect(metric, effect):
    info = {"scores": {"bit": 0.9}, "learned": {"bit": True}, "solved": True}
    together = populations(population_row("bit", 0.9, metric=metric))
    found = find(info, probes(probe_row(0, "bit", 0.1)), together, ablations())
    assert [fact.together for fact in found.signals] == [pytest.approx(effect)]


def confound_rows(*rows):
    """Rows of the table of confounds: unit, signal, partial, lower end, collinear_with."""
    about = {"layer": 0, "direction": "forward", "variable": "c", "lag": 0, "kind": "continuous"}
    made = [dict.fromkeys(CONFOUND_COLUMNS, 0.0) | about | {
        "unit": unit, "signal": signal, "partial": partial, "ci_low": low, "collinear_with": same,
    } for unit, signal, partial, low, same in rows]  # fmt: skip
    return pd.DataFrame(made)


@pytest.mark.parametrize(("partial", "low", "same", "also"), [
    (0.3, 0.2, "", True), (0.05, 0.01, "", True), (0.049, 0.03, "", False), (0.3, 0.0, "", False),
    (0.0, 0.0, "", False), (0.9, 0.8, "a", False), (0.9, 0.8, "z", True), (math.nan, math.nan, "", False),
])  # fmt: skip
def test_a_second_signal_is_tracked_too_only_where_it_adds_something(partial, low, same, also):
    table = probes(probe_row(0, "a", 0.9, True), probe_row(0, "b", 0.6, True), probe_row(1, "b", 0.5, True))
    confounds = confound_rows((0, "a", 0.8, 0.7, ""), (0, "b", partial, low, same), (1, "b", 0.4, 0.3, ""))
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.0)), confounds=confounds)
    unit, b = found.units[0], found.signals[1]
    assert [one.signal for one in (unit.others if also else unit.along)] == ["b"]
    assert len(unit.others) + len(unit.along) == 1
    assert b.tracked_by == (("0", "1") if also else ("1",))
    assert b.goes_with == (() if also else (("0", 0.6, "a"),))
    assert signal_words(b).endswith(
        "), and unit 1 less well." if also else "; unit 0, which holds a, goes with it (effect 0.60)."
    )
    assert b.best.effect == (0.6 if also else 0.5)


def test_what_only_goes_with_another_signal_can_be_read_and_is_not_held():
    about = {"layer": 0, "direction": "forward", "lag": 0, "units": 2, "varying": 2, "rest": 0.1, "best_unit": 0,
             "best_effect": 0.6, "second_unit": 1, "second_effect": 0.1, "variable": "c", "effect": 0.6}  # fmt: skip
    codes = pd.DataFrame(
        [about | {"signal": name, "code": code} for name, code in (("a", "localist"), ("b", "copies"))]
    )
    table = probes(probe_row(0, "a", 0.9, True), probe_row(0, "b", 0.6, True), probe_row(1, "a", 0.1))
    confounds = confound_rows((0, "a", 0.8, 0.7, ""), (0, "b", 0.0, 0.0, ""))
    found = find(INFO, table, populations(), ablations(), confounds=confounds, codes=codes)
    assert code_words(found) == "Held by one unit each (localist): a."
    assert [fact.held for fact in found.signals] == [True, False]
    told = " So it can be read, as it goes with what they hold (a); no more than that was shown."
    assert found.signals[1].code_told.endswith(told)
    assert "can be read" not in found.signals[0].code_told


def test_a_partial_effect_is_that_of_its_own_lag_and_of_no_curve():
    table = probes(probe_row(0, "a", 0.9, True), probe_row(0, "b", 0.6, True, lag=2), probe_row(0, "d", 0.1))
    table = table.assign(curved=0.8, tracks_curved=[False, False, True])
    confounds = confound_rows((0, "a", 0.8, 0.7, ""), (0, "b", 0.0, 0.0, ""), (0, "d", 0.0, 0.0, ""))
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.0)), confounds=confounds)
    # Nor is the level of untrained units, which is of straight lines.
    assert math.isnan(found.units[0].others[1].untrained) and found.units[0].others[0].untrained == 0.1
    assert [(one.named, math.isnan(one.partial)) for one in found.units[0].others] == [
        ("b of 2 steps ago", True), ("d along a curve", True),
    ]  # fmt: skip
    lagged = pd.concat([confounds, confound_rows((0, "b", 0.7, 0.6, "")).assign(lag=2)])
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.0)), confounds=lagged)
    assert found.units[0].others[0].partial == 0.7


def test_what_is_held_in_another_way_is_told_of_the_signal():
    table = probes(*(probe_row(unit, "a", 0.1) for unit in range(5)))
    table = table.assign(curved=[0.1, 0.7, 0.1, 0.1, 0.1], tracks_curved=[False, True, False, False, False])
    memory = pd.DataFrame([probe_row(unit, "a", effect, lag=3, signal_itself=0.0, held=True)
                           for unit, effect in ((0, 0.5), (2, 0.9), (3, 0.4))])  # fmt: skip
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.0)), memory=memory)
    assert signal_words(found.signals[0]) == (
        "a: no single unit was found to track it by itself now, but unit 2 holds a of 3 steps ago (effect 0.90), unit "
        "1 holds a along a curve (effect 0.70), unit 0 holds a of 3 steps ago (effect 0.50) and 1 more unit likewise."
    )
    assert short_words(found) == (
        "no unit was found to track a signal now; 0 of 5 units needed alone, nothing found in 1 other"
    )


def test_what_could_not_be_tested_is_never_called_not_tracked():
    table = probes(probe_row(0, "a", 0.9), probe_row(1, "a", 0.5), probe_row(0, "b", 0.3), probe_row(1, "b", 0.2))
    table = table.assign(testable=False)
    table.attrs["not_testable"] = {"a": "3 groups: a signal needs 6", "b": "the null leaves it as it is"}
    costs = ablations(ablation_row(0, "a", 0.4, True), ablation_row(1, "a", 0.001, needed="not measured"))
    found = find(INFO, table, populations(), costs)
    assert untested_words(found.untested) == (
        "Not testable, so that nothing is said of what tracks it: a (3 groups: a signal needs 6); b (exchanging "
        "sequences does not change it)."
    )
    assert signal_words(found.signals[0]) == "a: could not be tested (best: unit 0, effect 0.90; untrained units 0.10)."
    assert (
        need_words(found)[-1] == "Clamped alone, no cost that counts was found of unit 1; what they hold is not known."
    )
    assert short_words(found) == "no signal could be tested; 1 of 2 units needed alone"
    told = " ".join([*need_words(found), short_words(found), *map(signal_words, found.signals)])
    assert "nothing found" not in told.lower() and "found to track" not in told
    assert untested_words([]) == ""


def test_an_unknown_origin_is_said():
    table = probes(probe_row(0, "a", 0.9, True))
    table.attrs["origins"] = ["torch", "keras, forget bias 3"]
    found = find(INFO, table, populations(), ablations())
    assert "not known how this network began" in origin_words(found)
    assert "(torch; keras, forget bias 3)" in origin_words(found)
    table.attrs["origins"] = ["torch"]
    assert origin_words(find(INFO, table, populations(), ablations())) == ""


def test_the_rule_has_the_settings_own_thresholds():
    own = {"alpha": 0.01, "min_effect": 0.3, "min_effect_class": 0.6, "margin": 0.15, "least_margin": 0.03,
           "least_swap": 0.04, "untrained": 99, "null": "roll"}  # fmt: skip
    told = rule_words(own)
    for words in ("at least 0.3 for numbers, 0.6 for", "rolling each sequence", "no more than 1 % of cases",
                  "at least 15 %, and is 0.03 higher", "and is 0.04 higher", "of 99 untrained"):  # fmt: skip
        assert words in told
    assert "as strong" not in told and "as strong" in rule_words(own | {"min_effect": 0.25, "min_effect_class": 0.46})
    older = rule_words({"alpha": 0.02, "min_effect": 0.2, "margin": 0.07}, earlier=True)
    for words in ("earlier version", "at least 0.2;", "at least 0.07 above untrained units", "2 % of cases"):
        assert words in older
