"""Networks of several layers and with a projection: a unit is named by its layer, or no one knows whose it is."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.planted.loop import Loop
from lstm_probe.truth import METHODS, evaluate, summarize, words
from lstm_probe.truth.checked import costs
from lstm_probe.truth.methods.further import AT, Held
from lstm_probe.truth.summary import faults, gist
from lstm_probe.truth.trying import try_methods
from tests.truth.made import one

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")


@pytest.fixture(scope="module")
def deep():
    """Two layers of eight units: planted below, relays above."""
    return one("layers")


@pytest.fixture(scope="module")
def narrow():
    """Twelve units whose h has six entries."""
    return one("projection", "to 6")


def known(case, **changed):
    """The answers of a case, as a method would give them."""
    made = [getattr(case, question).assign(question=question) for question in ("holds", "needed")]
    table = pd.concat(made, ignore_index=True)
    score = table.answer.map(lambda answer: 0.5 if answer is None else float(answer))
    return table[["question", "layer", "unit", "name"]].assign(score=score, verdict=table.answer, **changed)


def judged(case, table):
    return evaluate(lambda model, batch: table, cases=[case], name="m")


@pytest.mark.parametrize("which", ["deep", "narrow"])
def test_who_names_each_unit_by_its_layer_has_all_right(which, request):
    case = request.getfixturevalue(which)
    table = judged(case, known(case))
    assert set(table.question) == {"holds", "needed"} and (table.auroc == 1).all() and (table.recall == 1).all()
    assert (table.cannot == "").all() and (table.false_claims == 0).all()


def test_units_of_another_layer_are_wrong(deep):
    right = known(deep)
    table = judged(deep, right.assign(layer=1 - right.layer))
    assert (table.auroc < 0.9).all() and (table.recall < 1).all()


def test_without_layers_nothing_is_scored(deep):
    """Neither units of the first layer alone, nor units counted through both."""
    right = known(deep)
    for given in (right[right.layer == 0].drop(columns="layer"), right[right.layer == 1].drop(columns="layer")):
        table = judged(deep, given)
        assert set(table.question) == {"holds", "needed"} and set(table.cannot) == {"not for layers"}
        assert table[["auroc", "recall", "claims", "false_claims", "seconds"]].isna().all(axis=None)
        assert words(lambda model, batch, given=given: given.assign(word="x"), cases=[deep]).empty
    assert (judged(deep, right.assign(word="x")).cannot == "").all()


def test_entries_of_h_are_no_units(narrow):
    """A method that answers for the six entries of h is not scored on the first six units."""
    right = known(narrow)
    table = judged(narrow, right[right.unit < 6].drop(columns="layer"))
    assert set(table.cannot) == {"not for projections"} and table.auroc.isna().all()
    assert set(judged(narrow, right.drop(columns="layer")).cannot) == {""}


def test_a_method_says_itself_that_it_cannot(deep):
    def refuses(model, batch):
        raise NotImplementedError("for one layer alone")

    (row,) = evaluate(refuses, cases=[deep]).to_dict("records")
    assert row["cannot"] == "for one layer alone" and row["question"] is None and math.isnan(row["auroc"])
    with pytest.raises(NotImplementedError):
        evaluate(refuses, cases=[one("none")])


def test_it_stands_in_the_table_and_counts_for_nothing(deep):
    easy = one("none")
    tried = try_methods({name: METHODS[name] for name in ("weight norm", "clamp, mean")}, [easy, deep])
    short = summarize(tried.table).set_index(["method", "knob"])
    assert short.networks.to_dict() == {("weight norm", "none"): 1, ("clamp, mean", "none"): 1,
                                        ("weight norm", "layers"): 0, ("clamp, mean", "layers"): 1}  # fmt: skip
    assert "Not for layers: weight norm." in gist(tried.table)
    assert "Not for layers." in faults(tried.table, "weight norm")
    assert set(tried.answers[tried.answers.knob == "layers"].method) == {"clamp, mean"}
    own = tried.answers[tried.answers.knob == "layers"]
    planted = dict(zip(zip(deep.net.held.layer, deep.net.held.unit), deep.net.held.name))
    assert {(layer, unit): name for layer, unit, name in zip(own.layer, own.unit, own.planted) if name} == planted


@pytest.mark.parametrize(("column", "value"), [("layer", 2), ("unit", 8), ("unit", -1)])
def test_a_unit_that_is_not_there_is_refused(deep, column, value):
    table = known(deep)
    table.loc[3, column] = value
    with pytest.raises(InputError, match=f"m: holds: there is no {column} {value}; they are 0 to"):
        judged(deep, table)


@pytest.mark.parametrize("name", ["clamp, mean", "needed sets", "interchange", "tracks", "tracks by itself", "codes",
                                  "memory", "correlation", "gradient × activation", "sufficient set"])  # fmt: skip
@pytest.mark.parametrize("which", ["deep", "narrow"])
def test_methods_find_what_is_planted_in_every_layer(name, which, request):
    case = request.getfixturevalue(which)
    table = evaluate(name, cases=[case])
    assert len(table) == 1 and (table.cannot == "").all() and (table.auroc > 0.99).all()


def test_costs_and_what_is_kept_are_those_of_the_public_function_in_each_layer(deep):
    known_costs = costs(deep).set_index(["layer", "unit", "name"]).cost
    many = deep.net.sample(1024, 40, deep.seed + 1)
    lost = lp.ablate_units(deep.net.model, many, bootstrap=2, together=False)
    lost = lost.set_index(["layer", "unit", "target"]).score_drop
    assert known_costs.to_dict() == pytest.approx(lost.to_dict(), abs=1e-4)


@pytest.mark.parametrize("which", ["deep", "narrow"])
def test_a_network_by_what_it_keeps_is_its_clamped_copies(which, request):
    case = request.getfixturevalue(which)
    lstm = case.net.model.lstm
    held, loop = Held(case.net.model, case.batch), Loop(case.net.model, case.batch.inputs)
    means = loop.memories.mean((0, 2), keepdim=True).expand(loop.memories.shape[0], -1, -1, -1)
    steps, units = [int(share * 40) - 1 for share in AT], lstm.num_layers * lstm.hidden_size
    for kept in (torch.ones(units), torch.zeros(units), (torch.arange(units) % 3 > 0).float()):
        mask = (kept == 0).view(1, lstm.num_layers, 1, -1)
        expected = loop.run(mask, held=means)[0][:, steps].flatten(1)
        found = held(kept.expand(len(case.batch), -1), case.batch.inputs)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-5)  # counts are held as 2^-12


def test_pruning_looks_at_each_layer_by_itself(deep):
    model = copy.deepcopy(deep.net.model)
    torch.manual_seed(0)
    model.lstm.reset_parameters()
    table = METHODS["pruning saliency"](model, deep.batch).set_index(["layer", "unit", "name"]).score
    for layer in (0, 1):
        weights = [getattr(model.lstm, f"weight_{kind}_l{layer}").detach() for kind in ("ih", "hh")]
        places = [gate.abs().sum(1).argsort().argsort().numpy() for own in weights for gate in own.chunk(4)]
        expected = np.mean(places, axis=0) / 7
        assert [table[layer, unit, "latch"] for unit in range(8)] == pytest.approx(list(expected))
