"""What the network needs, in sentences: each number is that of a hand-made table."""

import math
from dataclasses import replace

import pytest

from lstm_probe.findings.facts import find
from lstm_probe.findings.need_words import (
    alone_words,
    costs_words,
    need_words,
    others_words,
    short_words,
    stands_words,
    together_words,
    unit_sentences,
    used_words,
)
from lstm_probe.findings.needs import Used, needs_of
from tests.figures.made import (
    ablation_row,
    ablations,
    populations,
    probe_row,
    probes,
    set_row,
    sets,
    sufficient,
    sufficient_row,
)

INFO = {"scores": {"a": 0.99, "b": 0.7}, "learned": {"a": True, "b": True}, "solved": False}


def found(costs, units, joint=None, enough=None, info=None, tracks=(0,)):
    """What is found of units of which the first tracks a."""
    table = probes(*(probe_row(unit, "a", 0.9 if unit in tracks else 0.1, unit in tracks) for unit in range(units)))
    return find(INFO if info is None else info, table, populations(), ablations(*costs), sets=joint, sufficient=enough)


@pytest.fixture
def findings():
    """Of 8 units 0 and 1 are needed alone, 2 and 5 together for b, 3, 4 and 6 for both; 7 is not needed."""
    costs = [
        ablation_row(0, "a", 0.2, True, score_drop=0.9),
        ablation_row(0, "b", 0.5, True),
        ablation_row(1, "a", 0.9, True),
    ]
    costs += [ablation_row(1, "b", 0.001)]
    needs = {2: ("no", "together"), 3: ("together",) * 2, 4: ("together",) * 2, 5: ("no", "together"),
             6: ("together",) * 2, 7: ("no", "no")}  # fmt: skip
    for unit, said in needs.items():
        costs += [ablation_row(unit, name, 0.001 * unit, needed=need) for name, need in zip("ab", said)]
    ends = {"intact": 0.5, "refit_ci_low": 0.44, "refit_ci_high": 0.48}
    joint = sets(
        set_row("2, 3, 4, 5, 6, 7", "a", 0.7, "no cost alone"),
        set_row("2, 3, 4, 5, 6, 7", "b", 0.46, "no cost alone", **ends),
        set_row("2, 5", "a", 0.3), set_row("2, 5", "b", 0.25, score_drop=0.45),
        set_row("3, 4, 6", "a", 0.41), set_row("3, 4, 6", "b", 0.33),
        set_row("7", "a", 0.0004, "not needed", refit_ci_low=-0.001, refit_ci_high=0.002),
        set_row("7", "b", 0.003, "not needed", refit_ci_low=-0.002, refit_ci_high=0.008),
    )  # fmt: skip
    enough = sufficient(*(sufficient_row(unit, unit < 5) for unit in range(8)),
                        *(sufficient_row(unit, unit < 2, "a") for unit in range(8)))  # fmt: skip
    return found(costs, 8, joint, enough)


def test_the_whole_is_told_in_sentences(findings):
    assert need_words(findings) == [
        "Clamped alone, 2 of 8 units cost something; a set of 5 carries the task; the other 3, clamped at once, cost "
        "0.3 % of it.",
        "Most of all unit 1 (a 0.90) and unit 0 (b 0.50).",
        "Clamped at once, the 6 with no cost alone that counts cost 92 % of b [88, 96].",
        "Needed together, though not alone: units 3, 4, 6 (a 0.41, b 0.33); units 2, 5 (b 0.25).",
        "Not needed: unit 7; clamped, it costs 0.3 % of b [-0.2, 0.8].",
        "Nothing was found in the memory of units 1–6, but they are needed.",
        "Nothing was found in the memory of unit 7, and it is not needed.",
    ]
    assert short_words(findings) == "a → 0; 2 of 8 units needed alone, 5 together, nothing found in 1 other"


def test_costs_are_refitted_losses_dearest_first(findings):
    unit = {fact.label: fact for fact in findings.units}
    assert [(cost.target, cost.loss) for cost in unit["0"].costs] == [("b", 0.5), ("a", 0.2)]
    assert unit["2"].costs == () and unit["2"].together == ("b",) and unit["3"].together == ("a", "b")
    assert [fact.label for fact in findings.needed_alone] == ["1", "0"]
    assert costs_words(unit["0"]) == "b 0.50, a 0.20" and stands_words(unit["0"]) == "b 0.50, a 0.90"
    assert costs_words(unit["0"], 1, "…") == "b 0.50 …"
    assert costs_words(unit["2"]) == "b 0.25 with 5" and stands_words(unit["2"]) == "b 0.45"
    assert costs_words(unit["3"]) == "a 0.41, b 0.33 with 4, 6" and costs_words(unit["7"]) == ""
    assert costs_words(unit["3"], 1, named=1) == "a 0.41 with 2 others"


def test_a_card_says_with_which_units_one_is_needed(findings):
    said = {unit.label: list(unit_sentences(unit, findings)) for unit in findings.units}
    assert said["2"] == [
        "Clamped alone, it was not found to cost anything that counts (a: 0.002 at most).",
        "Needed together with unit 5: clamped at once, they lower the score of b by 0.25 (of which 0.12 is gone from "
        "h altogether; as it stands 0.45).",
    ]
    assert said["4"][1].startswith(
        "Needed together with units 3, 6: clamped at once, they lower the score of a by 0.41 "
    )
    assert said["7"] == ["Not needed: clamped alone, it was not found to cost anything that counts (a: 0.007 at most)."]


@pytest.mark.parametrize(("checked", "words"), [
    ({}, "a set of 32 carries the task; the other 32, clamped at once, cost 0.3 % of it."),
    ({"spread": [27, 46]}, "a set of 32 carries the task (27 to 46 in other orders); the other 32, clamped at once, "
     "cost 0.3 % of it."),
    ({"checked": 1.002}, "a set of 32 carries the task; the other 32, clamped at once, cost less than 0.1 % of it."),
    ({"checked": 0.97, "checked_low": 0.962, "checked_high": 0.98}, "a set of 32 was chosen to carry the task; "
     "the other 32, clamped at once, cost 3 % of it: chosen to keep 99 %, on other sequences it keeps 97 % (96.2 % to "
     "98 %)."),
    ({"checked": 0.9894, "checked_low": math.nan}, "a set of 32 carries the task; the other 32, clamped at once, cost "
     "1.1 % of it: chosen to keep 99 %, on other sequences it keeps 98.9 %."),
    ({"checked": 1.0, "checked_low": 0.51, "checked_high": 1.0}, "a set of 32 carries the task; the other 32, clamped "
     "at once, cost less than 0.1 % of it: chosen to keep 99 %, on other sequences it keeps 100 % (51 % to 100 %)."),
    ({"checked": math.nan}, "a set of 32 carries the task; what the other 32 cost, clamped at once, was not checked."),
])  # fmt: skip
def test_the_sentence_on_a_large_network(checked, words):
    costs = [ablation_row(unit, "a", 0.5 if unit < 7 else 0.0, unit < 7) for unit in range(64)]
    enough = sufficient(*(sufficient_row(unit, unit >= 32) for unit in range(64)), **checked)
    own = found(costs, 64, enough=enough)
    assert alone_words(own) == f"Clamped alone, 7 of 64 units cost something; {words}"
    lost = found(costs, 64, enough=enough, info=INFO | {"learned": {"a": True, "b": False}})
    assert alone_words(lost).replace("what was learned", "the task") == alone_words(own)
    assert "the task" not in alone_words(lost)


def test_where_all_units_are_kept_and_where_none_is():
    costs = [ablation_row(unit, "a", 0.5, True) for unit in range(3)]
    whole = sufficient(*(sufficient_row(unit, True) for unit in range(3)))
    assert need_words(found(costs, 3, sets(), whole))[0] == (
        "Clamped alone, 3 of 3 units cost something; no smaller set than all 3 was found that carries the task "
        "with a reserve (99.3 % of every score)."
    )
    assert others_words(found(costs, 3, sets(), whole)) == ""
    none = sufficient(*(sufficient_row(unit, False) for unit in range(3)))
    assert alone_words(found(costs, 3, sets(), none)) == "Clamped alone, 3 of 3 units cost something."
    one = [ablation_row(unit, "a", 0.5, unit == 0) for unit in range(2)]
    joint = sets(set_row("1", "a", 0.0, "no cost alone", refit_ci_low=math.nan))
    enough = sufficient(*(sufficient_row(unit, unit == 0) for unit in range(2)))
    assert need_words(found(one, 2, joint, enough))[:3:2] == [
        "Clamped alone, 1 of 2 units costs something; a set of 1 carries the task; the other one, clamped, costs "
        "0.3 % of it.",
        "The one with no cost alone that counts costs less than 0.1 % of a.",
    ]


def test_what_was_not_measured_together_is_said():
    costs = [ablation_row(0, "a", 0.5, True), *(ablation_row(unit, "a", 0.0, needed="not measured") for unit in (1, 2))]
    own = found(costs, 3, tracks=(0, 1))
    assert need_words(own) == [
        "Clamped alone, 1 of 3 units costs something.",
        "Costly alone: unit 0 (a 0.50).",
        "What the 2 with no cost alone that counts cost together was not measured.",
        "The memory of unit 1 holds a signal, but clamped alone no cost that counts was found: others may do the same.",
        "Nothing was found in the memory of unit 2, and no cost that counts of clamping it alone; clamped "
        "together, units like "
        "that may cost something.",
    ]
    quiet = [ablation_row(unit, "a", 0.0, needed="not measured") for unit in (0, 1)]
    assert alone_words(found(quiet, 2)) == "Clamped alone, none of 2 units was found to cost anything that counts."
    joint = sets(set_row("0, 1", "a", 0.99, "no cost alone", refit_ci_low=0.981, refit_ci_high=1.0))
    assert others_words(found(quiet, 2, joint)) == "All 2 together cost 99 % of a [98.1, 100]."


def test_of_what_was_hardly_learned_nothing_is_needed():
    info = {"scores": {"a": 0.3, "b": 0.02}, "learned": {"a": False, "b": False}, "solved": False}
    hardly = {"needed": "not measured", "intact": 0.02}
    every = [ablation_row(unit, "b", 0.015, **hardly) for unit in (0, 1)]
    none = found(every, 2, sets(), info=info, tracks=())
    why = "cannot be said: next to nothing was learned of any target, so there is nothing to need"
    assert [unit.status for unit in none.units] == ["nothing found"] * 2
    assert need_words(none)[0] == f"Which units are needed {why}."
    assert list(unit_sentences(none.units[0], none)) == [f"Whether it is needed {why}."]
    joint = sets(
        set_row("1", "a", 0.0, "no cost alone", intact=0.3), set_row("1", "b", 0.02, "no cost alone", intact=0.02)
    )
    costs = [ablation_row(0, "a", 0.001, True, intact=0.3, refit_ci_low=0.0005), ablation_row(1, "a", 0.0, intact=0.3)]
    own = found([*costs, *every], 2, joint, info=info)
    assert [unit.status for unit in own.units] == ["tracks, needed alone", "nothing found, not needed"]
    assert need_words(own)[:4] == [
        "Clamped alone, 1 of 2 units costs something.",
        "Costly alone: unit 0 (a 0.001).",
        "Nothing to need for what was hardly learned: b (0.02).",
        "The one with no cost alone that counts costs less than 0.1 % of a [-3.3, 3.3].",
    ]
    assert list(unit_sentences(own.units[0], own)) == [
        "Needed alone: clamped, it lowers the score of a by 0.001 (not learned: score 0.30).",
    ]
    assert list(unit_sentences(own.units[1], own)) == [
        "Not needed: clamped alone, it was not found to cost anything that counts (a: 0.000 at most).",
    ]
    spared = found([ablation_row(0, "a", 0.0, needed="not measured", intact=0.3), *every[:1]], 1, info=info)
    assert (
        alone_words(spared) == "Clamped, its one unit was not found to cost anything that counts of what was learned."
    )


def test_where_it_is_open_whether_the_rest_is_needed():
    """Units 2 and 3 are in no set, and cost 1.6 % at once, which may be nothing."""
    costs = [ablation_row(unit, "a", 0.0, needed="together" if unit < 2 else "not measured") for unit in range(4)]
    joint = sets(set_row("0 1 2 3", "a", 0.9, "no cost alone"), set_row("0 1", "a", 0.5),
                 set_row("2 3", "a", 0.016, "not needed", refit_ci_low=0.0, refit_ci_high=0.0383))  # fmt: skip
    own = found(costs, 4, joint)
    told = "In none of these sets: units 2, 3; clamped at once, they cost 1.6 % of a [0, 3.8]; whether they are needed"
    assert need_words(own)[3] == f"{told} is left open." and own.units[2].status == "nothing found, no cost alone"
    # Where no set was found, all of them are the rest.
    rest = [ablation_row(unit, "a", 0.0) for unit in range(4)]
    less = sets(set_row("0 1 2 3", "a", 0.002, "no cost alone", refit_ci_low=0.0, refit_ci_high=0.004))
    assert need_words(found(rest, 4, less))[1:3] == [
        "All 4 together cost 0.2 % of a [0, 0.4].",
        "Not needed: units 0–3.",
    ]
    like = "; clamped at once with the other 3 that are not needed, nor so (0.2 % of a)."
    assert [one.endswith(like) for one in unit_sentences(found(rest, 4, less).units[0], found(rest, 4, less))] == [True]
    # They cost as little, and at the means of a half more.
    elsewhere = [ablation_row(unit, "a", 0.0, needed="not measured") for unit in range(4)]
    assert need_words(found(elsewhere, 4, less))[1:3] == [
        "All 4 together cost 0.2 % of a [0, 0.4].",
        "Whether they are needed is left open.",
    ]


def test_of_shares_only_those_of_learned_targets_count():
    """b has next to no score, and loses all of it."""
    costs = [ablation_row(unit, "a", 0.0) for unit in (0, 1)]
    joint = sets(set_row("0, 1", "a", 0.01, "no cost alone"), set_row("0, 1", "b", 0.02, "no cost alone", intact=0.02))
    own = found(costs, 2, joint, info=INFO | {"learned": {"a": True, "b": False}})
    assert others_words(own) == "All 2 together cost 1 % of a [0, 2]."
    below = sets(set_row("0, 1", "a", 0.0, "no cost alone", intact=-0.1))
    assert others_words(found(costs, 2, below)) == ""  # it was measured, but there is no score to take a share of
    assert others_words(found([*costs[:1], ablation_row(1, "a", 0.5, True)], 2)) == ""


def test_a_set_is_needed_for_what_each_of_its_units_is():
    """Units 0 and 1 cost a together, 1 and 2 cost b; 1 is in both sets."""
    said = {0: ("together", "no"), 1: ("together", "together"), 2: ("no", "together")}
    costs = [ablation_row(unit, name, 0.0, needed=need) for unit, own in said.items() for name, need in zip("ab", own)]
    joint = sets(set_row("0, 1", "a", 0.4), set_row("0, 1", "b", 0.3), set_row("1, 2", "b", 0.2))
    of_sets = needs_of(ablations(*costs), joint, None, layers=False, learned=["a", "b"]).together
    assert {one.labels: one.targets for one in of_sets} == {("0", "1"): ("a",), ("1", "2"): ("b",)}


def test_sets_beyond_the_third_are_counted():
    pairs = [(2 * k, 2 * k + 1) for k in range(5)]
    costs = [ablation_row(unit, "a", 0.0, needed="together") for pair in pairs for unit in pair]
    joint = sets(*(set_row(f"{one}, {two}", "a", 0.5 - 0.1 * one / 2) for one, two in pairs))
    assert together_words(found(costs, 10, joint)) == (
        "Needed together, though not alone: units 0, 1 (a 0.50); units 2, 3 (a 0.40); units 4, 5 (a 0.30); 2 more sets."
    )
    assert together_words(found(costs, 10)) == "Needed together: units 0–9."


def test_units_of_layers_are_found_by_their_names():
    table = probes(*(probe_row(0, "a", 0.1, layer=layer) for layer in (0, 1)))
    costs = ablations(*(ablation_row(0, "a", 0.0, needed="together", layer=layer) for layer in (0, 1)))
    own = find(INFO, table, populations(), costs, sets=sets(set_row("0·0, 1·0", "a", 0.5)))
    assert [costs_words(unit) for unit in own.units] == ["a 0.50 with 1·0", "a 0.50 with 0·0"]


def test_a_run_of_an_earlier_version_says_that_and_no_status_of_need():
    earlier = {"needed": "not measured", **dict.fromkeys(("refit_drop", "refit_ci_low", "readout_drop"), math.nan)}
    own = found([ablation_row(unit, "a", 0.5, **earlier) for unit in (0, 1)], 2)
    told = ("was measured by an earlier version, which clamped units alone and as they stand; `ablate run=DIR` "
            "measures it again.")  # fmt: skip
    assert need_words(own) == [f"Which units are needed {told}", "Nothing was found in the memory of unit 1."]
    assert [list(unit_sentences(unit, own)) for unit in own.units] == [[f"Whether it is needed {told}"]] * 2
    assert [unit.status for unit in own.units] == ["tracks", "nothing found"]
    assert short_words(own) == "a → 0; nothing found in 1 of 2 units, which are needed is not known"
    assert short_words(replace(own, units=(), signals=())) == "its units were not measured"


@pytest.mark.parametrize(("found_in", "needed", "sentence"), [
    ("tracks", "no", "The memory of units 0, 1 holds a signal, but they are not needed."),
    ("tracks", "not measured", "The memory of units 0, 1 holds a signal, but clamped alone no cost that "
     "counts was found: others "
     "may do the same."),
    ("nothing", "together", "Nothing was found in the memory of units 0, 1, but they are needed."),
    ("nothing", "no", "Nothing was found in the memory of units 0, 1, and they are not needed."),
    ("nothing", "not measured", "Nothing was found in the memory of units 0, 1, and no cost that counts of "
     "clamping one alone; "
     "clamped together, units like that may cost something."),
    ("untested", "no", "What units 0, 1 may hold could not be tested; they are not needed."),
    ("untested", "not measured", "Clamped alone, no cost that counts was found of units 0, 1; what they "
     "hold is not known."),
])  # fmt: skip
def test_what_was_found_stands_beside_what_is_needed(found_in, needed, sentence):
    tracks = found_in == "tracks"
    table = probes(*(probe_row(unit, "a", 0.9, tracks, testable=found_in != "untested") for unit in (0, 1)))
    costs = ablations(*(ablation_row(unit, "a", 0.0, needed=needed) for unit in (0, 1)))
    assert need_words(find(INFO, table, populations(), costs))[-1] == sentence


def with_used(findings, kept=5, of=8, checked=0.9934, low=0.9921, high=0.9946, parts=1):
    """The same, with how many units carry the task after a merge."""
    return replace(findings, needs=replace(findings.needs, used=Used(kept, of, checked, low, high, 0.99, parts)))


def test_units_that_are_used_are_told_beside_those_that_are_not_clamped(findings):
    assert used_words(findings) == ""
    told = (
        "Used: 5 of 8 units carry the task when the other 3 are merged into them in least squares, without training: "
    )
    assert used_words(with_used(findings)) == told + (
        "99.3 % [99.2, 99.5 %] of the score stays on other sequences; clamped instead, it takes 5 of 8."
    )
    assert used_words(with_used(findings)) in need_words(with_used(findings))
    lone = replace(with_used(findings, 1, 2, 0.984, math.nan, parts=2).needs, enough=None)
    assert used_words(replace(findings, needs=lone)) == (
        "Used: 1 of 2 units of each layer and direction carries the task when the other one is merged into it in least "
        "squares, without training: 98.4 % of the score stays on other sequences, and they were "
        "chosen to keep 99 %."
    )
    assert used_words(with_used(findings, 8)) == (
        "All 8 units are used: merged into fewer, they were not found to carry the task."
    )


def test_what_is_used_comes_from_the_table():
    about = {"used": 5, "of": 8, "checked": 0.993, "checked_low": 0.992, "checked_high": 0.994, "keep": 0.95,
             "which": {"0 forward": [0], "0 reverse": [1]}}  # fmt: skip
    table = sufficient()
    table.attrs["used"] = {"all": about}
    own = needs_of(ablations(), None, None, layers=False, learned=["a"], used=table).used
    assert own == Used(5, 8, 0.993, 0.992, 0.994, 0.95, 2)
    assert needs_of(ablations(), None, None, layers=False, learned=["a"], used=sufficient()).used is None
