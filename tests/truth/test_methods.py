"""Each method against the library, or the public function, called in the plainest way, or against brute force."""

import copy
import importlib.util
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.planted.truth import Loop
from lstm_probe.truth import METHODS
from lstm_probe.truth.methods import installed
from lstm_probe.truth.methods.further import AT, Held, attributions
from tests.truth.made import one

SLOW = ("captum", "neurox")


@pytest.fixture(scope="module")
def case():
    """A latch of two copies behind a reader, a counter and a parity."""
    return one("copies", "or")


@pytest.fixture(scope="module")
def c(case):
    return lp.record(case.net.model, case.batch.inputs).c.flatten(0, 1).double().numpy()


def given(name, case):
    table = METHODS[name](case.net.model, case.batch)
    return table.set_index(["unit", "name"])


def names_at(case):
    return dict(zip(case.net.held.name, case.net.held.unit))


def test_each_says_in_a_sentence_what_it_is_and_whose():
    assert all(own.says.endswith(".") and len(own.says) < 100 for own in METHODS.values())
    ours = [own.ours for own in METHODS.values()]
    assert ours == sorted(ours, reverse=True) and sum(ours) >= 10
    named = " ".join(own.says for own in METHODS.values() if not own.ours)
    assert all(library in named for library in ("SciPy", "scikit-learn", "PyTorch", "torch.ao", "captum", "NeuroX"))


@pytest.mark.parametrize(("name", "measure"), [("correlation", stats.pearsonr), ("rank correlation", stats.spearmanr)])
def test_correlations_are_those_of_scipy_after_bonferroni(name, measure, case, c):
    table = given(name, case)
    for (unit, signal), row in table.iterrows():
        values = case.batch.signals[signal].values.flatten().double().numpy()
        if np.ptp(c[:, unit]) == 0:
            assert row.score == 0 and row.verdict is False
            continue
        r, p = measure(c[:, unit], values)
        assert row.score == pytest.approx(abs(r)) and row.verdict == (p * len(table) <= 0.05)


def test_mutual_information_is_that_of_scikit_learn(case, c):
    table = given("mutual information", case)
    for signal, measure in (("latch", mutual_info_classif), ("count", mutual_info_regression)):
        values = case.batch.signals[signal].values.flatten().double().numpy()
        expected = measure(c[::4], values[::4], random_state=0)
        assert [table.score[unit, signal] for unit in range(12)] == pytest.approx(list(expected))


def test_pruning_keeps_gates_in_the_order_of_their_weights(case):
    """A gate that stands k-th from below by the sum of its absolute weights is kept at k of the 11 levels."""
    model = copy.deepcopy(case.net.model)
    torch.manual_seed(0)
    model.lstm.reset_parameters()
    table = METHODS["pruning saliency"](model, case.batch).set_index(["unit", "name"])
    gates = [gate.detach().abs().sum(1) for weights in (model.lstm.weight_ih_l0, model.lstm.weight_hh_l0)
             for gate in weights.chunk(4)]  # fmt: skip
    expected = np.mean([stats.rankdata(own) - 1 for own in gates], axis=0) / 11
    for name in case.batch.targets:
        assert [table.score[unit, name] for unit in range(12)] == pytest.approx(list(expected))


def steps(case):
    return [int(share * case.batch.inputs.shape[1]) - 1 for share in AT]


def means(loop):
    return loop.memories.mean((0, 2), keepdim=True).expand(loop.memories.shape[0], -1, -1, -1)


@pytest.mark.parametrize("knob", ["none", "start"])
def test_a_network_by_what_it_keeps_is_the_network_and_its_clamped_copies(knob):
    case = one(knob)
    held, loop = Held(case.net.model, case.batch), Loop(case.net.model, case.batch.inputs)
    for kept in (torch.ones(12), torch.zeros(12), (torch.arange(12) % 2).float()):
        masks = (kept == 0).view(1, 1, 1, -1)
        expected = loop.run(masks, held=means(loop))[0][:, steps(case)].flatten(1)
        found = held(kept.expand(len(case.batch), -1), case.batch.inputs)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_ablation_by_captum_is_that_by_brute_force(case):
    pytest.importorskip("captum")
    loop = Loop(case.net.model, case.batch.inputs)
    masks = torch.cat([torch.zeros(1, 12), torch.eye(12)]).bool().view(13, 1, 1, 12)
    intact, *lost = loop.run(masks, held=means(loop))[:, :32, steps(case)]
    expected = torch.stack([(intact - own).abs().mean((0, 1)) for own in lost], dim=1)
    table = given("feature ablation", case)
    for number, spec in enumerate(case.batch.target_specs):
        assert [table.score[unit, spec.name] for unit in range(12)] == pytest.approx(
            expected[number].tolist(), abs=1e-5
        )


def test_gradients_by_captum_are_those_of_a_plain_sum(monkeypatch):
    pytest.importorskip("captum")
    for name, value in (("STEPS", 50), ("SEQUENCES", 8)):
        monkeypatch.setattr(f"lstm_probe.truth.methods.further.{name}", value)
    soft = one("slope", "8")
    held, inputs = Held(soft.net.model, soft.batch), soft.batch.inputs[:8]
    outputs = len(soft.batch.target_specs)

    def slopes(level):
        kept = torch.full((8, 12), level, requires_grad=True)
        made = held(kept, inputs)
        return torch.stack([torch.autograd.grad(own.sum(), kept, retain_graph=True)[0] for own in made.unbind(1)])

    path = torch.stack([slopes((k + 0.5) / 100) for k in range(100)]).mean(0)
    for way, expected in (("InputXGradient", slopes(1.0)), ("IntegratedGradients", path)):
        every = expected.abs().mean(1).view(len(AT), outputs, 12).mean(0)
        found = attributions(soft.net.model, soft.batch, way)
        torch.testing.assert_close(found, every, atol=0.02 * float(every.max()), rtol=0.05)


def test_the_order_of_neurox_is_that_of_its_probe(case, c, capfd):
    probes = pytest.importorskip("neurox.interpretation.linear_probe")
    table = given("NeuroX", case)
    assert capfd.readouterr() == ("", "")
    x = ((c - c.mean(0)) / np.where(c.std(0) > 0, c.std(0), 1)).astype(np.float32)
    values = case.batch.signals["parity"].values.flatten().long().numpy()
    torch.manual_seed(0)
    probe = probes.train_logistic_regression_probe(
        x, values, lambda_l1=0.001, lambda_l2=0.001, batch_size=512, learning_rate=0.01
    )
    order, _ = probes.get_neuron_ordering(probe, {"no": 0, "yes": 1})
    own = table.xs("parity", level="name").score.sort_values(ascending=False)
    assert own.index.tolist() == [int(unit) for unit in order] and own.index[0] == names_at(case)["parity"]


def test_what_a_library_that_is_missing_says(case, monkeypatch, caplog):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "lstm_probe.truth.methods.further.find_spec", lambda name: None if name in SLOW else there(name)
    )
    with pytest.raises(InputError, match="captum is not installed; get it with: pip install 'lstm-probe"):
        METHODS["feature ablation"](case.net.model, case.batch)
    with pytest.raises(InputError, match="neurox is not installed; get it with: pip install --no-deps neurox"):
        METHODS["NeuroX"](case.net.model, case.batch)
    with caplog.at_level(logging.WARNING):
        left = installed()
    assert set(METHODS) - set(left) == {"integrated gradients", "input × gradient", "feature ablation", "NeuroX"}
    assert "feature ablation: left out, as captum is not installed" in caplog.text


def test_needed_sets_are_those_of_the_public_function(case):
    table = given("needed sets", case)
    sets = lp.needed_sets(case.net.model, case.batch, bootstrap=100)
    (row,) = sets[(sets.why == "needed together") & (sets.target == "latch")].to_dict("records")
    members = {int(unit) for unit in row["set"].split()}
    assert members == {names_at(case)["latch"], names_at(case)["latch.copy"]}
    assert {table.score[unit, "latch"] for unit in members} == {row["refit_drop"]}
    alone = lp.ablate_units(case.net.model, case.batch, bootstrap=100).set_index(["unit", "target"])
    assert all(table.verdict[key] == (alone.needed[key] != "no") for key in table.index)
    assert all(table.score[key] == alone.refit_drop[key] for key in table.index if key[0] not in members)


def test_a_sufficient_set_is_that_of_the_public_function(case):
    table = given("sufficient set", case)
    enough = lp.sufficient_units(case.net.model, case.batch).query("target != 'all'").set_index(["unit", "target"])
    assert table.verdict.to_dict() == enough.kept.to_dict() and table.score.to_dict() == enough.order.to_dict()


def test_codes_name_the_units_of_the_public_function(case):
    table = given("codes", case)
    codes = lp.signal_codes(lp.record(case.net.model, case.batch.inputs, variables=["c"]), case.batch.signals)
    for row in codes[codes.signal != "step"].to_dict("records"):
        own = table.xs(row["signal"], level="name")
        best = {row["best_unit"]} | ({row["second_unit"]} if row["code"] == "copies" else set())
        assert set(own.index[own.verdict == True]) == best and set(own.word) == {row["code"]}  # noqa: E712
        assert own.score[row["best_unit"]] == row["best_effect"]
    assert set(table.word) == {"copies", "localist"}


def test_curves_and_memory_are_those_of_the_public_functions(case):
    rec = lp.record(case.net.model, case.batch.inputs, variables=["c"])
    signals = {name: own for name, own in case.batch.signals.items() if name != "step"}
    probes = lp.probe_units(rec, signals, permutations=399, bootstrap=100)
    curves = lp.curved_units(rec, signals, probes=probes, permutations=399).set_index(["unit", "signal"])
    table = given("tracks, curved", case)
    assert table.score.to_dict() == curves.curved.to_dict()
    assert table.verdict.to_dict() == (curves.tracks | curves.tracks_curved).to_dict()
    spans = lp.memory_spans(lp.memory_curves(rec, signals, lags=[0, 1, 2, 5], permutations=399))
    known = spans[spans.span.notna() & (spans.peak_lag == 0)]
    table = given("memory", case)
    assert set(table.index[table.verdict == True]) == set(zip(known.unit, known.signal))  # noqa: E712


def test_interchange_is_that_of_the_public_function():
    case = one("decoys", "decoy")
    at, table = names_at(case), given("interchange", case)
    moved = lp.patch_units(case.net.model, case.batch, {}, after=[0, 1, 5, 15])
    most = moved.groupby(["unit", "target"]).changed.max()
    assert table.score.to_dict() == most.to_dict() and table.verdict.to_dict() == (most >= 0.1).to_dict()
    table = given("interchange of signals", case)
    assert table.verdict[at["latch"], "latch"] and not table.verdict[at["latch.decoy"], "latch"]
    assert table.verdict.sum() == 3


def test_what_cannot_be_told_or_tested_is_said():
    alike = one("look-alike", "0.97")
    unit, table = names_at(alike)["latch"], given("tracks by itself", alike)
    assert {table.word[unit, name] for name in ("latch", "alike")} == {"not told apart"}
    assert table.verdict[unit, "latch"] is None is table.verdict[unit, "alike"]
    few = one("none").batch[:5]
    once = torch.tensor([[1.0], [0], [0], [0], [0]]).expand(5, 40)
    few = replace(few, signals={"latch": replace(few.signals["latch"], values=once)})
    for name in ("tracks", "tracks by itself"):
        own = METHODS[name](alike.net.model, few)
        assert set(own.word) == {"not testable"} and own.verdict.isna().all()
