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
        "unit": unit, "signal": signal, "effect": 0.9, "partial": partial, "collinear_with": collinear_with,
    }  # fmt: skip


@pytest.fixture(scope="module")
def cards():
    """Unit 0 tracks count and is used; 1 tracks a bit, of which nothing is its own; 2 is idle; 3 bends."""
    strong = {"untrained_best": 0.12, "input_only": 0.02, "input_window": 0.08, "time_only": 0.03}
    table = probes(
        probe_row(0, "count", 0.96, True, p_family=0.006, q_value=0.0004, **strong),
        probe_row(0, "bit", 0.3, True, lag=2),
        probe_row(1, "bit", 0.9, True, metric="auroc", kind="binary", ci_low=0.86, ci_high=0.94, untrained_best=0.95),
        probe_row(1, "count", 0.1), probe_row(2, "count", 0.2), probe_row(2, "bit", 0.1),
        probe_row(3, "count", 0.05), probe_row(3, "bit", 0.02), probe_row(3, "bit", 0.8, True, variable="f"),
    ).assign(curved=0.9, tracks_curved=False)  # fmt: skip
    table.loc[(table.unit == 3) & (table.signal == "count"), "tracks_curved"] = True
    costs = ablations(
        ablation_row(0, "count", 0.93, True), ablation_row(0, "bit", 0.001), ablation_row(1, "bit", 0.0),
        ablation_row(3, "bit", 0.2, True), ablation_row(3, "count", 0.5, True),
    )  # fmt: skip
    found = find(INFO, table, populations(), costs)
    memory = memory_rows(0, "count", (0.96, 0.9, 0.8, 0.7, 0.6, 0.5), (1, 0.8, 0.7, 0.6, 0.59, 0.5))
    memory += memory_rows(1, "bit", (0.9, 0.1, 0, 0, 0, 0), (1, 0.2, 0, 0, 0, 0))
    confounds = [confound_row(0, "count", 0.95), confound_row(1, "bit", 0.02, "flag, copy")]
    tables = {"probes": table, "memory": pd.DataFrame(memory), "confounds": pd.DataFrame(confounds)}
    tables["ablations"] = costs
    return {card.label: card for card in make_cards(found, tables, {"probe": {"window": 3}, "ablate": {}})}


def test_a_unit_that_tracks_and_is_used(cards):
    assert cards["0"].title == "Unit 0, c: count, bit" and cards["0"].status == "tracks and used"
    assert cards["0"].sentences == (
        "It tracks count: effect 0.96 [0.94, 0.98] (R²; p = 0.006 over all units, variables and signals, q < 0.001).",
        "For comparison: the best untrained unit 0.12, the current input alone 0.02, the last 4 inputs 0.08 and the "
        "step's number alone 0.03.",
        "It still predicts count as it was at least 8 steps ago, and up to 3 ago better than the present count would.",
        "Of what the current input, the step's number and all other signals leave open in count, it explains 0.95.",
        "It also tracks bit of 2 steps ago (0.30).",
        "Clamping it costs count 0.93 of the score, and nothing else.",
    )


def test_what_takes_from_a_finding_is_said(cards):
    words = " ".join(cards["1"].sentences)
    assert "It tracks bit: effect 0.90 [0.86, 0.94] (2·AUROC − 1; " in words
    assert "the best untrained unit 0.95" in words and "training was not needed" in words
    assert "It predicts bit at this step only, not at earlier ones." in words
    assert "bit, flag and copy are nearly the same in these sequences, so it can't be said" in words
    assert "leave open in bit, it explains only 0.02." in words
    assert words.endswith("Clamping it costs nothing: the network does without it.")


def test_a_unit_that_tracks_nothing(cards):
    assert cards["2"].title == "Unit 2, c: no known signal" and cards["2"].status == "idle"
    assert cards["2"].sentences[0] == (
        "Its c does not track any of the 2 known signals (highest effect: count 0.20; the best untrained unit reaches "
        "0.15)."
    )


def test_gates_and_curves_are_told_apart(cards):
    words = " ".join(cards["3"].sentences)
    assert "Its f tracks bit (0.80), but a gate may only listen to others." in words
    assert "It tracks count along a curve (0.90) but not along a straight line (0.05)." in words
    assert words.endswith("Clamping it costs count 0.50 and bit 0.20 of the score, and nothing else.")


def test_a_run_of_an_earlier_version_has_cards_too(tmp_path):
    run = made_run(tmp_path, units=4)
    for name in ("memory", "confounds", "codes", "tuning"):
        assert run.tables("probe")[name].empty
    table = unit_cards(run)
    assert list(table.columns) == ["layer", "direction", "unit", "status", "title", "words"] and len(table) == 4
    assert not table.words.str.contains("nan").any()


def test_what_is_not_known_is_left_out_or_a_dash():
    unknown = dict.fromkeys(("ci_low", "ci_high", "p_family", "q_value", "untrained", "untrained_best"), math.nan)
    alone = dict.fromkeys(("input_only", "input_window", "time_only"), math.nan)
    table = probes(
        probe_row(0, "count", 0.9, True, **unknown, **alone), probe_row(0, "bit", 0.1, **unknown),
        probe_row(1, "count", math.nan, **unknown), probe_row(1, "bit", 0.2, **unknown),
    )  # fmt: skip
    together = populations(population_row("count", math.nan), population_row("bit", math.nan, metric="auroc"))
    costs = ablations(ablation_row(0, "count", 0.5, True), ablation_row(1, "bit", 0.3, True))
    found = find(INFO, table, together, costs)
    columns = {"memory": MEMORY_COLUMNS, "confounds": CONFOUND_COLUMNS}
    empty = {name: pd.DataFrame(columns=list(own)) for name, own in columns.items()}
    cards = make_cards(found, {"probes": table, "ablations": costs, **empty}, {"probe": {}, "ablate": {}})
    assert cards[0].sentences[:2] == (
        "It tracks count: effect 0.90 (R²).", "Clamping it costs count 0.50 of the score, and nothing else.",
    )  # fmt: skip
    told = [signal_words(fact) for fact in found.signals]
    assert told[0] == "count: unit 0 (effect 0.90), and no other unit."
    assert told[1] == "bit: no single unit tracks it (best: unit 1, effect 0.20; the current input alone 0.00)."
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
    assert card.sentences[-1] == "Whether it is used was not measured: there is no readout."


@pytest.mark.parametrize(("partial", "words"), [
    (0.0, "it explains only 0.00."), (0.24, "it explains only 0.24."), (0.25, "it explains 0.25."),
    (0.5, "it explains 0.50."), (0.74, "it explains 0.74."),
])  # fmt: skip
def test_only_is_said_below_a_quarter(partial, words):
    table = probes(probe_row(0, "count", 0.9, True))
    found = find(INFO, table, populations(), ablations())
    memory = pd.DataFrame(columns=list(MEMORY_COLUMNS))
    confounds = pd.DataFrame([confound_row(0, "count", partial)])
    (card,) = make_cards(found, {"probes": table, "memory": memory, "confounds": confounds}, {"probe": {"window": 3}})
    assert [sentence for sentence in card.sentences if sentence.endswith(f"leave open in count, {words}")]


def test_of_several_lags_the_best_is_told():
    rows = [probe_row(0, "count", effect, lag=lag) for lag, effect in ((0, 0.05), (1, 0.21), (2, 0.1))]
    table = probes(*rows)
    found = find(INFO, table, populations(), ablations())
    columns = {"memory": MEMORY_COLUMNS, "confounds": CONFOUND_COLUMNS}
    empty = {name: pd.DataFrame(columns=list(own)) for name, own in columns.items()}
    (card,) = make_cards(found, {"probes": table, **empty}, {"probe": {"window": 3}})
    assert "(highest effect: count 0.21;" in card.sentences[0]


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
