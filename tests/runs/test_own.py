"""Cards and answers of tables of one's own: those of a run, and of what is missing never a no."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.findings.cards import CARD_COLUMNS
from tests.figures.made import (
    ablation_row,
    ablations,
    made_run,
    probe_row,
    probes,
    set_row,
    sets,
    sufficient,
    sufficient_row,
)

PROBES = probes(
    probe_row(0, "count", 0.96, True, p_family=0.01), probe_row(1, "count", 0.1), probe_row(2, "count", 0.9, True),
)  # fmt: skip
COSTS = ablations(
    ablation_row(0, "count", 0.9, True), ablation_row(1, "count", 0.0, needed="not measured"),
    ablation_row(2, "count", 0.0, needed="together"),
)  # fmt: skip


def test_tables_have_the_cards_of_the_run_that_they_are_from(tmp_path):
    run = made_run(tmp_path)
    tables = {name: getattr(run, name).assign(task="tracking", units=4) for name in ("ablations", "populations")}
    own = lp.unit_cards(run.probes, **tables)
    of_run = lp.unit_cards(run)
    assert list(own) == list(of_run) == list(CARD_COLUMNS)
    pd.testing.assert_frame_equal(pd.DataFrame(own.drop(columns="words")), pd.DataFrame(of_run.drop(columns="words")))
    for mine, theirs in zip(own["words"], of_run["words"]):
        said, _, missing = mine.partition(" Not measured: ")
        assert said == theirs.replace("the last 4 inputs", "recent inputs")  # with which window is in no table
        assert missing.startswith("for how long each unit remembers each signal; ")


def test_what_was_not_given_was_not_measured():
    words = lp.unit_cards(PROBES).set_index("unit")["words"]
    for told in words:
        assert "Whether it is needed was not measured: no table `ablations` was given." in told
        assert "how long each unit's memory lasts" in told and "what it tells along a curve" in told
        assert "Not needed" not in told
    assert set(lp.unit_cards(PROBES)["status"]) == {"tracks", "nothing found"}
    answer = lp.answer(PROBES)
    assert answer.sentences[0].startswith("Not scored: no table `ablations` was given")
    assert "Which units are needed was not measured: no table `ablations` was given." in answer.sentences
    assert answer.sentences[-1].startswith("Looked for: one unit along a straight line. Not looked for: ")
    curved = PROBES.assign(curved=0.9, tracks_curved=False)
    assert "curve" not in lp.unit_cards(curved)["words"][0]
    assert (
        lp.answer(curved).sentences[-1].startswith("Looked for: one unit along a straight line; one unit along a curve")
    )


def test_what_was_given_is_said():
    together = sets(set_row("1, 2", "count", 0.5))
    enough = sufficient(*(sufficient_row(k, k < 2) for k in range(3)))
    given = {"ablations": COSTS, "sets": together, "sufficient": enough, "populations": None}
    cards = lp.unit_cards(PROBES, **given).set_index("unit")
    assert cards["status"].to_dict() == {
        0: "tracks, needed alone", 1: "nothing found, no cost alone", 2: "tracks, needed together",
    }  # fmt: skip
    assert "Needed together with unit 1" in cards["words"][2]
    answer = lp.answer(PROBES, **given)
    assert answer.sentences[0] == "Learned: its one target (score: count 1.000; 1 is perfect)."
    assert any("a set of 2 carries the task" in sentence for sentence in answer.sentences)
    lost = COSTS.assign(intact=0.2)
    assert lp.answer(PROBES, ablations=lost).sentences[0].startswith("NOT LEARNED: count (score 0.20)")


def test_a_table_of_cards_is_a_data_frame():
    cards = lp.unit_cards(PROBES)
    assert isinstance(cards, pd.DataFrame) and len(cards) == 3
    assert cards["unit"].tolist() == [0, 2, 1] and isinstance(cards["title"], pd.Series)
    some = cards[["unit", "title"]]
    assert "Unit 0, c: count" in repr(some) and "<table" in some._repr_html_()
    assert pd.DataFrame(cards).to_csv() == cards.to_csv()
    assert pd.concat([cards, cards]).shape == (6, 6) and cards.merge(cards, on="unit").shape == (3, 11)


def test_h_behind_a_projection_is_no_unit():
    rows = [probe_row(k, "count", 0.9, True, variable="h") for k in range(2)]
    table = probes(*[probe_row(k, "count", 0.1) for k in range(8)], *rows)
    assert not lp.unit_cards(table)["words"].str.contains("Its output h").any()
    whole = [probe_row(k, "count", 0.9, True, variable="h") for k in range(8)]
    table = probes(*[probe_row(k, "count", 0.1) for k in range(8)], *whole)
    assert lp.unit_cards(table)["words"].str.contains("Its output h tracks count").all()


BAD = [
    (lambda: lp.unit_cards(PROBES, ablation=COSTS), "ablation: no such table. Did you mean 'ablations'?"),
    (lambda: lp.unit_cards(PROBES, ablations=3), "ablations: a int; must be a table with the columns of"),
    (lambda: lp.unit_cards(PROBES, ablations=PROBES), "ablations: has no mode, target"),
    (lambda: lp.unit_cards(COSTS), "probes: has no signal, kind"),
    (lambda: lp.unit_cards(PROBES[:0]), "probes: it has no rows"),
    (lambda: lp.unit_cards(pd.concat([PROBES, PROBES.assign(run="other")])), "probes: of 2 networks"),
    (
        lambda: lp.unit_cards(PROBES, ablations=COSTS.assign(units=9)),
        "of another network (units=9); that of",
    ),
    (lambda: lp.unit_cards(PROBES, ablations=COSTS.assign(run="x")), "ablations: of another network (run=x)"),
    (lambda: lp.unit_cards(PROBES[:1], ablations=COSTS), "ablations: unit 1 of layer 0 forward is not in probes"),
    (lambda: lp.unit_cards(PROBES, {"count": [1]}), "signals: they go with a recording"),
    (lambda: lp.answer(7), "int: must be a Run, a table of `probe_units`, or a recording"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value)


def test_a_run_has_tables_of_its_own(tmp_path):
    with pytest.raises(InputError, match=r"memory: a run has tables of its own\nsignals: a run has probes"):
        lp.unit_cards(made_run(tmp_path), {}, memory=PROBES)


def test_one_network_of_ones_own_from_its_recording_on():
    """Every public table of a network goes in as it is; of all units there are cards."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 9, 1))
    batch = lp.Batch.make(x, {"sum": x[..., 0].cumsum(1)}, targets={"sum": x[..., 0].cumsum(1)})
    model = lp.SequenceModel(1, 1, 3)
    rec = lp.record(model, batch.inputs)
    few = {"permutations": 19, "untrained": 2, "seed": 0}
    tables = {
        "populations": lp.probe_populations(rec, batch.signals, bootstrap=5, untrained=1),
        "codes": lp.signal_codes(rec, batch.signals, rotations=19),
        "memory": lp.memory_curves(rec, batch.signals, lags=(0, 1), **few),
        "confounds": lp.partial_effects(rec, batch.signals, bootstrap=5),
        "tuning": lp.tuning_curves(rec, batch.signals, bootstrap=5),
        "ablations": lp.ablate_units(model, batch, bootstrap=5),
        "timescales": lp.timescales(model, batch, batch.signals),
        "conjunctions": lp.conjunctions(rec, {**batch.signals, "sign": x[..., 0] > 0}, bootstrap=5, **few),
    }
    cards = lp.unit_cards(lp.probe_units(rec, batch.signals, bootstrap=5, **few), **tables)
    assert sorted(cards["unit"]) == [0, 1, 2] and cards["words"].str.len().min() > 50
    assert not cards["words"].str.contains("for how long each unit remembers each signal").any()


def test_a_recording_is_probed_with_the_defaults(monkeypatch):
    rec = lp.record(nn.LSTM(2, 3, batch_first=True), torch.zeros(2, 4, 2))
    asked = []

    def probed(*given):
        asked.append(given)
        return PROBES

    monkeypatch.setattr("lstm_probe.runs.findings.probe_units", probed)
    signals = {"s": [0, 1]}
    assert lp.unit_cards(rec, signals).equals(lp.unit_cards(PROBES)) and asked == [(rec, signals)]


def test_a_comma_in_a_signals_name_makes_no_two_of_it():
    """Two signals that can't be told apart: what is said of them is the same, whatever they are called."""
    net = lp.planted.counter(random_units=1)
    batch = net.sample(80, 20, seed=1)
    rec, count = lp.record(net.model, batch.inputs), batch.signals["count"].values

    def said(one, other):
        signals = {one: lp.Signal(one, count, "continuous", "target"), other: lp.Signal(other, count)}
        probes = lp.probe_units(rec, signals, variables=["c"], permutations=99, bootstrap=5)
        own = {"confounds": lp.partial_effects(rec, signals, bootstrap=5),
               "patches": lp.patch_units(net.model, batch, signals)}  # fmt: skip
        return [*lp.answer(probes, **own).sentences, *lp.unit_cards(probes, **own).words]

    plain, commas = said("one_of_two", "twin"), said("a, b", "c,d")
    assert sum("can't be told from" in words for words in plain) > 1
    assert [words.replace("a, b", "one_of_two").replace("c,d", "twin") for words in commas] == plain
