"""A unit's card says what hand-made tables say, and nothing else."""

import math

import pandas as pd
import pytest

from lstm_probe.core.columns import CONFOUND_COLUMNS, MEMORY_COLUMNS
from lstm_probe.findings.cards import About
from lstm_probe.findings.conjunctions import conjunction_sentences
from lstm_probe.findings.facts import find
from lstm_probe.findings.words import signal_words
from lstm_probe.runs.findings import make_cards, unit_cards
from tests.figures.made import ablation_row, ablations, made_run, population_row, populations, probe_row, probes

INFO = {"scores": {"count": 0.99, "bit": 0.98}, "learned": {"count": True, "bit": True}, "solved": True}
KEY = {"layer": 0, "direction": "forward", "variable": "c"}


def memory_rows(unit, signal, effects, itself):
    """A memory curve over lags 0, 1, 2, 3, 5 and so on."""
    lags = (0, 1, 2, 3, 5, 8)
    return [dict.fromkeys(MEMORY_COLUMNS, 0.0) | KEY | {
        "run": "r", "task": "t", "units": 4, "seed": 0, "unit": unit, "signal": signal, "kind": "continuous",
        "role": "target", "lag": lag, "metric": "r2", "score": effect, "effect": effect, "signal_itself": own,
    } for lag, effect, own in zip(lags, effects, itself)]  # fmt: skip


def confound_row(unit, signal, partial, collinear_with=""):
    return dict.fromkeys(CONFOUND_COLUMNS, 0.0) | KEY | {
        "unit": unit, "signal": signal, "kind": "continuous", "effect": 0.9, "partial": partial,
        "collinear_with": collinear_with,
    }  # fmt: skip


@pytest.fixture(scope="module")
def cards():
    """Unit 0 tracks count and is needed; 1 a bit, of which nothing is its own; in 2 nothing is found; 3 bends."""
    strong = {"untrained_best": 0.12, "input_only": 0.02, "input_window": 0.08, "time_only": 0.03, "depth": 12.0}
    table = probes(
        probe_row(0, "count", 0.96, True, p_family=0.006, **strong),
        probe_row(0, "bit", 0.3, True, lag=2),
        probe_row(1, "bit", 0.9, True, metric="auroc", kind="binary", ci_low=0.86, ci_high=0.94, untrained_best=0.95),
        probe_row(1, "count", 0.1), probe_row(2, "count", 0.2), probe_row(2, "bit", 0.1),
        probe_row(3, "count", 0.05), probe_row(3, "bit", 0.02), probe_row(3, "bit", 0.8, True, variable="f"),
    ).assign(curved=0.9, tracks_curved=False)  # fmt: skip
    table.loc[(table.unit == 3) & (table.signal == "count"), "tracks_curved"] = True
    costs = ablations(
        ablation_row(0, "count", 0.93, True), ablation_row(0, "bit", 0.001, needed="not measured"),
        ablation_row(1, "bit", -0.002, needed="not measured"),
        ablation_row(2, "bit", 0.004, needed="no"), ablation_row(3, "bit", 0.2, True, readout_drop=0.2),
        ablation_row(3, "count", 0.37, True, score_drop=1.0, readout_drop=0.211, off_data=True),
    )  # fmt: skip
    memory = memory_rows(0, "count", (0.96, 0.9, 0.8, 0.7, 0.6, 0.5), (1, 0.8, 0.7, 0.6, 0.59, 0.5))
    memory += memory_rows(1, "bit", (0.9, 0.1, 0, 0, 0, 0), (1, 0.2, 0, 0, 0, 0))
    confounds = pd.DataFrame([confound_row(0, "count", 0.95), confound_row(1, "bit", 0.02, "flag,copy")])
    tables = {"probes": table, "memory": pd.DataFrame(memory), "confounds": confounds, "ablations": costs}
    found = find(INFO, table, populations(), costs, memory=tables["memory"], confounds=confounds)
    return {card.label: card for card in make_cards(found, tables, {"probe": {"window": 3}, "ablate": {}})}


def test_a_unit_that_tracks_and_is_needed(cards):
    assert cards["0"].title == "Unit 0, c: count, bit of 2 steps ago" and cards["0"].status == "tracks, needed alone"
    assert cards["0"].sentences == (
        "It tracks count: effect 0.96 [0.94, 0.98] (R²; p = 0.006 over all units, variables and signals).",
        "For comparison: the best untrained unit 0.12, the present input alone 0.02, the last 4 inputs by a straight "
        "line 0.08, the step's number alone 0.03 and the unit itself after another sequence's past 0.00.",
        "For nine tenths of that it needs its last 9 to 12 inputs.",
        "It still tells count as it was 8 steps ago, the longest that was looked at; up to 3 ago better than the "
        "present count does.",
        "Of what the present input (by a straight line), the step's number and all other signals leave open in count, "
        "it explains 0.95 (partial R²).",
        "It also tracks bit of 2 steps ago (effect 0.30, R²).",
        "Whether that adds to the other signals was not measured.",
        "Needed alone: clamped, it lowers the score of count by 0.93 (of which 0.47 is gone from h altogether); other "
        "targets were not found to lose anything that counts (bit: 0.001 at most).",
    )


def test_what_takes_from_a_finding_is_said(cards):
    words = " ".join(cards["1"].sentences)
    assert "It tracks bit: effect 0.90 [0.86, 0.94] (2·AUROC − 1; " in words
    assert "the best untrained unit 0.95" in words and "training was not needed" in words
    assert "It was not found to tell bit of earlier steps." in words
    assert "bit, flag and copy are nearly the same in these sequences, so it can't be said" in words
    assert "all signals that can be told from it leave open in bit, it explains only 0.02 (partial R²)." in words
    # A score that rises falls by nothing.
    end = "it was not found to cost anything that counts (bit: 0.000 at most); others may do the same as it."
    assert words.endswith(end) and "not used" not in words and "idle" not in words


def test_a_unit_in_which_nothing_is_found(cards):
    assert cards["2"].title == "Unit 2, c: nothing found" and cards["2"].status == "nothing found, not needed"
    assert cards["2"].sentences[0] == (
        "Its c was not found to track any of the 2 known signals (best: count, effect 0.20, R²; the best untrained "
        "unit 0.15)."
    )


def test_gates_and_curves_are_told_apart(cards):
    assert cards["3"].title == "Unit 3, c: count along a curve" and cards["3"].status == "tracks, needed alone"
    assert cards["3"].sentences == (
        "It tracks count along a curve: effect 0.90 (R²); a straight line tells 0.05 of it.",
        "Needed alone: clamped, it lowers the score of count by 0.37 (of which 0.21 is gone from h altogether; as it "
        "stands 1.00) and that of bit by 0.20 (all of it gone from h).",
        "The clamp lies far off the data (outside of what the unit ever took, or with h outside of its range), so that "
        "a cost may be of that.",
    )


@pytest.mark.parametrize(("variable", "words"), [
    ("f", "Its forget gate f tracks bit (effect 0.80, R²), but it may only listen to other units."),
    ("h", "Its output h tracks bit (effect 0.80, R²), but its output gate may bring that from other units."),
])  # fmt: skip
def test_what_another_variable_tracks_may_be_of_other_units(variable, words):
    table = probes(probe_row(0, "bit", 0.1), probe_row(0, "bit", 0.8, True, variable=variable))
    assert words in sentences(table)


def sentences(table, **tables):
    """The sentences of a table's first unit."""
    costs = ablations(ablation_row(0, "count", 0.0))
    found = find(INFO, table, populations(), costs, **tables)
    made = {"probes": table, **tables}
    return make_cards(found, made, {"probe": {"window": 3, "alpha": 0.05}, "ablate": {}})[0].sentences


@pytest.mark.parametrize(("depth", "deep", "words"), [
    (1, True, "its last input alone."), (2, True, "its last 2 inputs."), (3, True, "its last 3 inputs."),
    (5, True, "its last 4 to 5 inputs."), (16, True, "its last 13 to 16 inputs."),
    (math.inf, True, "more than its last 16 inputs."), (math.inf, False, "more of its last inputs than were tried."),
])  # fmt: skip
def test_how_many_inputs_a_unit_needs(depth, deep, words):
    table = probes(probe_row(0, "count", 0.9, True, depth=float(depth)))
    table.attrs["deep"] = deep
    assert f"For nine tenths of that it needs {words}" in sentences(table)
    told = "For nine tenths of what that is beyond the step's number it needs"
    assert any(one.startswith(told) for one in sentences(table.assign(time_only=0.3)))


def test_what_was_not_looked_at_without_weights_is_said():
    lacking = {"past_swap": math.nan, "depth": math.nan}
    told = "Whether it needs more than its last input was not looked at: the recording has no weights."
    assert told in sentences(probes(probe_row(0, "count", 0.9, True, p_untrained=0.05, **lacking)))
    # An older run has neither, and says nothing of it.
    assert told not in sentences(probes(probe_row(0, "count", 0.9, True, p_untrained=math.nan, **lacking)))


def test_what_untrained_units_tell_as_well_is_said_of_every_signal_that_it_is_of():
    table = probes(
        probe_row(0, "leak", 0.6, depth=12.0, p_untrained=0.35, p_family=0.01, untrained_best=0.6),
        probe_row(0, "bit", 0.5, depth=3.0, p_untrained=0.1, metric="auroc", untrained_best=0.4),
        probe_row(0, "count", 0.4),
    )  # fmt: skip
    told = sentences(table)
    needs = "; for nine tenths of that it needs its last"
    as_untrained = (
        "bit can be read from it (effect 0.50, 2·AUROC − 1), but that this is rare among untrained networks was not "
        f"shown (p = 0.1): no unit of those tried tells as much{needs} 3 inputs.",
        "leak can be read from it (effect 0.60, R²), but among untrained networks that is nothing special (p = 0.35): "
        f"a fading memory can tell as much{needs} 9 to 12 inputs.",
    )
    assert sorted(one for one in told if "can be read" in one) == sorted(as_untrained)
    assert not [one for one in sentences(table.assign(p_untrained=0.05)) if "can be read" in one]


def test_what_could_not_be_tested_is_not_called_not_tracked():
    table = probes(probe_row(0, "count", 0.9), probe_row(0, "bit", 0.4), probe_row(0, "step", 0.1))
    table = table.assign(testable=False)
    table.attrs["not_testable"] = {"count": "untrained=5: too few networks", "bit": "untrained=5: too few networks",
                                   "step": "untrained=5: too few networks"}  # fmt: skip
    assert sentences(table)[:2] == (
        "Whether it tracks any signal could not be tested (untrained=5: too few networks).",
        "It tells best count, effect 0.90, R²; the best untrained unit 0.15.",
    )
    some = table.assign(testable=[False, True, False])
    some.attrs["not_testable"] = {"count": "2 groups: a signal needs 6", "step": "the null leaves it as it is"}
    told = sentences(some)
    assert told[0] == ("Its c was not found to track bit (best: bit, effect 0.40, R²; the best untrained unit 0.15).")
    assert told[1:3] == (
        "Whether it tracks count could not be tested (2 groups: a signal needs 6).",
        "Whether it tracks step could not be tested (exchanging sequences does not change it).",
    )
    nuisance = some.assign(role=["target", "target", "nuisance"])
    assert "step" not in " ".join(sentences(nuisance)) and "count could not" in " ".join(sentences(nuisance))


def test_what_a_unit_goes_with_is_told_apart_from_what_it_also_tracks():
    table = probes(probe_row(0, "count", 0.9, True), probe_row(0, "bit", 0.6, True), probe_row(0, "flag", 0.5, True),
                   probe_row(0, "copy", 0.8, True), probe_row(0, "near", 0.7, True, metric="auroc"))  # fmt: skip
    confounds = pd.DataFrame([
        confound_row(0, "count", 0.5), confound_row(0, "bit", 0.2), confound_row(0, "flag", 0.01),
        confound_row(0, "copy", 0.04), confound_row(0, "near", 0.6, "count,far"),
    ]).assign(ci_low=0.005, ci_high=0.049)  # fmt: skip
    told = sentences(table, confounds=confounds)
    assert told[3:6] == (
        "It also tracks bit (effect 0.60, R²; partial R² 0.20).",
        "It goes with near (effect 0.70, 2·AUROC − 1; partial R² 0.60), which can't be told from count in these "
        "sequences.",
        "It goes with copy (effect 0.80, R²; partial R² 0.04) and flag (effect 0.50, R²; partial R² 0.01), as count "
        "does: where everything else is known it adds next to nothing.",
    )


@pytest.mark.parametrize(("partial", "low", "high", "words"), [
    (0.01, 0.0, 0.049, "where everything else is known it adds next to nothing."),
    (0.01, 0.0, 0.05, "that it adds to all other signals was not shown."),
    (0.19, 0.0, 0.4, "that it adds to all other signals was not shown."),
    (math.nan, math.nan, math.nan, "all other signals tell that exactly, so that there is nothing to add."),
])  # fmt: skip
def test_that_it_adds_nothing_is_said_only_where_the_interval_says_so(partial, low, high, words):
    table = probes(probe_row(0, "count", 0.9, True), probe_row(0, "bit", 0.6, True))
    confounds = pd.DataFrame([confound_row(0, "count", 0.5), confound_row(0, "bit", partial)])
    confounds["ci_low"], confounds["ci_high"] = [0.4, low], [0.6, high]
    (said,) = [one for one in sentences(table, confounds=confounds) if one.startswith("It goes with")]
    assert said.endswith(f", as count does: {words}")


def test_an_earlier_value_is_told_with_its_other_lags():
    table = probes(probe_row(0, "x", 0.02), probe_row(0, "y", 0.1))
    memory = pd.DataFrame(memory_rows(0, "x", (0.02, 0.1, 0.9, 0.4, 0.5, 0.1), (1, 0.25, 0.04, 0, 0, 0)))
    memory["held"] = memory["lag"].isin((2, 3, 5))
    assert sentences(table, memory=memory)[:3] == (
        "It holds x of 2 steps ago: effect 0.90 (R²).",
        "For comparison: the present x 0.04, the present input alone 0.00 and the step's number alone 0.00.",
        "Likewise x of 3 (0.40) and 5 (0.50) steps ago.",
    )


def test_a_run_of_an_earlier_version_has_cards_too(tmp_path):
    run = made_run(tmp_path, units=4)
    for name in ("memory", "confounds", "codes", "tuning"):
        assert run.tables("probe")[name].empty
    table = unit_cards(run)
    assert list(table.columns) == ["layer", "direction", "unit", "status", "title", "words"] and len(table) == 4
    assert not table.words.str.contains("nan").any()


def test_what_is_not_known_is_left_out_or_a_dash():
    unknown = dict.fromkeys(
        ("ci_low", "ci_high", "p_family", "q_value", "untrained", "untrained_best", "past_swap"), math.nan
    )
    alone = dict.fromkeys(("input_only", "input_window", "time_only", "p_untrained"), math.nan)
    table = probes(
        probe_row(0, "count", 0.9, True, **unknown, **alone), probe_row(0, "bit", 0.1, **unknown),
        probe_row(1, "count", math.nan, **unknown), probe_row(1, "bit", 0.2, **unknown),
    )  # fmt: skip
    together = populations(population_row("count", math.nan), population_row("bit", math.nan, metric="auroc"))
    unknown = {"refit_ci_low": math.nan, "refit_ci_high": math.nan, "readout_drop": math.nan}
    costs = ablations(ablation_row(0, "count", 0.5, True, **unknown), ablation_row(1, "bit", 0.3, True, **unknown))
    found = find(INFO, table, together, costs)
    columns = {"memory": MEMORY_COLUMNS, "confounds": CONFOUND_COLUMNS}
    empty = {name: pd.DataFrame(columns=list(own)) for name, own in columns.items()}
    cards = make_cards(found, {"probes": table, "ablations": costs, **empty}, {"probe": {}, "ablate": {}})
    assert cards[0].sentences[:2] == (
        "It tracks count: effect 0.90 (R²).", "Needed alone: clamped, it lowers the score of count by 0.50.",
    )  # fmt: skip
    told = [signal_words(fact) for fact in found.signals]
    assert told[0] == "count: unit 0 (effect 0.90), and no other unit was found."
    assert (
        told[1]
        == "bit: no single unit was found to track it (best: unit 1, effect 0.20; the present input alone 0.00)."
    )
    spoken = " ".join([*told, *(line for card in cards for line in card.sentences)])
    assert "nan" not in spoken and all(math.isnan(fact.together) for fact in found.signals)


def test_units_that_were_not_clamped():
    info = INFO | {"not_ablated": "there is no readout"}
    table = probes(probe_row(0, "count", 0.9, True, p_family=math.nan, q_value=math.nan))
    found = find(info, table, populations(), ablations())
    columns = {"memory": MEMORY_COLUMNS, "confounds": CONFOUND_COLUMNS}
    empty = {name: pd.DataFrame(columns=list(own)) for name, own in columns.items()}
    (card,) = make_cards(found, {"probes": table, "ablations": ablations(), **empty}, {"probe": {}, "ablate": {}})
    assert card.sentences[0] == "It tracks count: effect 0.90 [0.88, 0.92] (R²)."
    assert card.sentences[-1] == "Whether it is needed was not measured: there is no readout."


@pytest.mark.parametrize(("partial", "words"), [
    (0.0, "it explains only 0.00"), (0.244, "it explains only 0.24"), (0.246, "it explains 0.25"),
    (0.5, "it explains 0.50"), (0.74, "it explains 0.74"),
])  # fmt: skip
def test_only_is_said_below_a_quarter(partial, words):
    table = probes(probe_row(0, "count", 0.9, True))
    memory = pd.DataFrame(columns=list(MEMORY_COLUMNS))
    confounds = pd.DataFrame([confound_row(0, "count", partial)])
    found = find(INFO, table, populations(), ablations(), confounds=confounds)
    (card,) = make_cards(found, {"probes": table, "memory": memory, "confounds": confounds}, {"probe": {"window": 3}})
    assert [sentence for sentence in card.sentences if sentence.endswith(f"leave open in count, {words} (partial R²).")]


def test_of_several_lags_the_best_is_told():
    rows = [probe_row(0, "count", effect, lag=lag) for lag, effect in ((0, 0.05), (1, 0.21), (2, 0.1))]
    table = probes(*rows)
    found = find(INFO, table, populations(), ablations())
    columns = {"memory": MEMORY_COLUMNS, "confounds": CONFOUND_COLUMNS}
    empty = {name: pd.DataFrame(columns=list(own)) for name, own in columns.items()}
    (card,) = make_cards(found, {"probes": table, **empty}, {"probe": {"window": 3}})
    assert "(best: count, effect 0.21, R²;" in card.sentences[0]


def test_a_unit_that_codes_two_signals_together(cards):
    """The best two pairs by name, the others by number; what is not found, or of another variable, is not said."""
    rows = [("count", "bit", 0.8, True), ("bit", "flag", 0.9, True), ("count", "flag", 0.7, False)]
    alone = {"effect_signal": 0.12, "effect_other": 0.0}
    table = pd.DataFrame([KEY | alone | {
        "unit": 0, "signal": a, "other": b, "effect": e, "ci_low": e - 0.1, "ci_high": e + 0.05, "found": f,
    } for a, b, e, f in rows])  # fmt: skip
    found = find(INFO, probes(probe_row(0, "count", 0.1)), populations(), ablations(ablation_row(0, "count", 0.0)))
    about = About(found.units[0], found, {})
    assert list(conjunction_sentences(table, about)) == [
        "It codes bit and flag together: of what only both tell, it predicts 0.90 [0.80, 0.95] (effect on bit alone "
        "0.12, on flag alone 0.00).",
        "It codes count and bit together: of what only both tell, it predicts 0.80 [0.70, 0.85] (effect on count alone "
        "0.12, on bit alone 0.00).",
    ]
    more = pd.concat([table.assign(found=True), table.assign(variable="f", found=True)])
    said = list(conjunction_sentences(more, about))
    assert len(said) == 3 and said[-1] == "So it does 1 more pair of signals."
    assert not list(conjunction_sentences(table.assign(found=False), about))
