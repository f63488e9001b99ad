"""Facts from hand-made tables whose facts are known, and the words for them."""

import math

import pandas as pd
import pytest

from lstm_probe.findings.facts import Verdict, find
from lstm_probe.findings.words import (
    code_words,
    costs_words,
    numbers,
    short_words,
    signal_words,
    unit_words,
    use_words,
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
    """Unit 0 tracks a and b and is used; 1 is used and only its gate tracks; 2 tracks b; 3 is idle."""
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
        *(ablation_row(unit, "b", 0.01) for unit in (1, 2, 3)),
    )  # fmt: skip
    together = populations(population_row("c", 0.97), population_row("c", 0.5, variable="h"))
    return find(INFO, table, together, costs)


def test_statuses(findings):
    assert {unit.label: unit.status for unit in findings.units} == {
        "0": "tracks and used", "1": "used, not tracked", "2": "tracks, not used", "3": "idle",
    }  # fmt: skip


def test_what_a_unit_remembers_is_what_its_memory_tracks(findings):
    unit = {fact.label: fact for fact in findings.units}
    assert (unit["0"].best.signal, unit["0"].best.effect, unit["0"].best.untrained) == ("a", 0.9, 0.1)
    assert (unit["0"].best.low, unit["0"].best.high) == pytest.approx((0.88, 0.92))
    assert [(other.signal, other.lag) for other in unit["0"].others] == [("b", 3)]  # the best lag alone
    assert unit["1"].best is None and (unit["1"].elsewhere.variable, unit["1"].elsewhere.signal) == ("f", "b")
    assert unit["2"].best.variable == "c" and unit["2"].elsewhere.effect == 0.99
    assert unit["3"].best is None and unit["3"].elsewhere is None


def test_costs_are_the_targets_that_are_used_dearest_first(findings):
    unit = {fact.label: fact for fact in findings.units}
    assert unit["0"].costs == (("b", 0.5), ("a", 0.2)) and unit["2"].costs == ()
    assert [fact.label for fact in findings.used] == ["1", "0"]
    assert costs_words(unit["0"]) == "b 0.50, a 0.20"
    assert costs_words(unit["0"], 1, "…") == "b 0.50 …"


def test_signals(findings):
    fact = {signal.signal: signal for signal in findings.signals}
    assert list(fact) == ["a", "b", "c", "flat"]
    assert fact["a"].tracked_by == ("0",) and fact["b"].tracked_by == ("0", "2")
    assert fact["c"].tracked_by == () and fact["c"].unit == "3" and fact["c"].together == 0.97
    assert fact["c"].enough == 2 and fact["a"].enough is None
    assert fact["flat"].best is None and math.isnan(fact["flat"].together)
    assert (
        "no single unit tracks it (best: unit 3, effect 0.30; untrained units 0.10; all units together 0.97)"
        in signal_words(fact["c"])
    )
    assert "never changes" in signal_words(fact["flat"])
    assert signal_words(fact["a"]) == "a: unit 0 (effect 0.90 [0.88, 0.92]), and no other unit."


def test_signals_are_held_by_one_unit_or_by_many():
    rows = [("a", "localist", 0.9), ("b", "distributed", 0.8), ("c", "none", 0.1), ("d", "localist", 0.7)]
    codes = pd.DataFrame([{"variable": v, "signal": s, "code": code if v == "c" else "localist", "effect": effect}
                          for v in "ch" for s, code, effect in rows])  # fmt: skip
    roles = {"d": "distractor"}
    table = probes(*(probe_row(0, s, 0.5, True, role=roles.get(s, "target")) for s, _, _ in rows))
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.0)), codes=codes)
    assert [fact.code for fact in found.signals] == ["localist", "distributed", "none", "localist"]
    assert code_words(found) == "Held by single units (localist): a. Spread over units (distributed): b."


def test_use_is_told_in_sentences(findings):
    words = " ".join(use_words(findings))
    assert "uses 2 of its 4 units, most of all unit 1 (clamped, it costs a 0.90)" in words
    assert "tracks no known signal: unit 1." in words
    assert "clamping one costs nothing: unit 2." in words
    assert "Idle (track nothing, cost nothing): unit 3." in words
    assert short_words(findings) == "a → 0, b → 0; uses 2 of 4 units, 1 idle"


def test_layers_are_named():
    table = probes(probe_row(0, "a", 0.9, True), probe_row(0, "a", 0.8, True, layer=1))
    found = find(INFO, table, populations(), ablations(ablation_row(0, "a", 0.5, True, layer=1)))
    assert [(unit.label, unit.status) for unit in found.units] == [
        ("0·0", "tracks, not used"), ("1·0", "tracks and used"),
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
    assert [unit.label for unit in found.idle] == ["5"] and len(found.used) == 5
    assert [fact.tracked_by for fact in found.signals] == [("0",), ("1",), ("2",), ("3",), ("4",), (), ()]


def test_with_a_projection_h_is_of_no_unit():
    table = probes(probe_row(0, "a", 0.1), probe_row(0, "a", 0.9, True, variable="h"))
    costs = ablations(ablation_row(0, "a", 0.0))
    assert find(INFO, table, populations(), costs).units[0].elsewhere.variable == "h"
    assert find(INFO | {"projection": 2}, table, populations(), costs).units[0].elsewhere is None


def test_the_strongest_baseline_is_named():
    row = probe_row(0, "a", 0.5, untrained=0.2, input_only=0.45, time_only=0.3)
    fact = find(INFO, probes(row), populations(), ablations(ablation_row(0, "a", 0.0))).signals[0]
    assert fact.best.baseline == ("the current input alone", 0.45)
    assert "effect 0.50; the current input alone 0.45)" in signal_words(fact)


@pytest.mark.parametrize(("metric", "effect"), [("r2", 0.9), ("auroc", 0.8), ("macro_auroc", 0.8)])
def test_what_all_units_know_is_told_as_an_effect(metric, effect):
    info = {"scores": {"bit": 0.9}, "learned": {"bit": True}, "solved": True}
    together = populations(population_row("bit", 0.9, metric=metric))
    found = find(info, probes(probe_row(0, "bit", 0.1)), together, ablations())
    assert [fact.together for fact in found.signals] == [pytest.approx(effect)]
