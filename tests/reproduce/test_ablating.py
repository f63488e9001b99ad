"""The results on what single units are needed for, against loops, planted units and scipy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from lstm_probe.causal.intervening import Intervening
from lstm_probe.network.model import SequenceModel
from lstm_probe.reproduce import ablating
from lstm_probe.reproduce.networks import Trained, settings, train
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.tasks import get_task

KEYS = ("zero_ablation", "selectivity", "label_units")


@pytest.mark.parametrize("key", KEYS)
def test_every_measure_is_there_and_nothing_learned_is_nothing_shown(key, monkeypatch):
    monkeypatch.setattr(ablating, "trained", lambda key, seed: train(replace(settings(key), seed=seed, steps=1)))
    monkeypatch.setattr(ablating, "TEST", 300)
    values = RESULTS[key].measure(0)
    assert set(values) == {measure.name for measure in RESULTS[key].measures}
    known = [measure for measure in RESULTS[key].measures if not np.isnan(values[measure.name])]
    assert all(measure.low <= values[measure.name] <= measure.high for measure in known)
    assert RESULTS[key].judge([values]) != "reproduced"


# By class


def few(seed=0):
    """Return a small network that was never trained, and sequences of three classes."""
    task = get_task("evidence", classes=3, length=9)
    return SequenceModel(task.n_inputs, task.n_outputs, 4, seed=seed).eval(), task.sample(60, seed)


@torch.no_grad()
def test_what_classes_lose_is_what_a_loop_over_steps_says():
    """One sequence, step and unit at a time, with the unit's c overwritten after each step."""
    model, batch = few()
    subject = Intervening(model, batch, mode="zero")
    told = ablating.at_scored_steps(batch, "class")
    intact, lost = ablating.lost_by_class(subject, [[(0, "forward", 1)], [(0, "forward", 0), (0, "forward", 3)]], *told)
    cell = torch.nn.LSTMCell(batch.inputs.shape[-1], 4)
    cell.load_state_dict({name.removesuffix("_l0"): values for name, values in model.lstm.state_dict().items()})
    rights = {units: {k: [] for k in range(3)} for units in ((), (1,), (0, 3))}
    for units, of in rights.items():
        for x, length, classes in zip(batch.inputs, batch.lengths, batch.targets["class"]):
            h, c = torch.zeros(1, 4), torch.zeros(1, 4)
            for t in range(int(length)):
                _, c = cell(x[t : t + 1], (h, c))
                gates = x[t : t + 1] @ cell.weight_ih.T + h @ cell.weight_hh.T + cell.bias_ih + cell.bias_hh
                c[:, list(units)] = 0
                h = torch.sigmoid(gates[:, 12:]) * torch.tanh(c)
            k = int(classes[int(length) - 1])
            of[k].append(int(model.readout(h).argmax()) == k)
    means = {units: np.array([np.mean(of[k]) for k in range(3)]) for units, of in rights.items()}
    np.testing.assert_allclose(intact, means[()], atol=1e-12)
    np.testing.assert_allclose(lost, [means[()] - means[1,], means[()] - means[0, 3]], atol=1e-12)


# Zero, mean, resample


def number_model(task, sure):
    """Return a language model that says of every verb that it is singular, or plural, with logits of this size."""
    model = SequenceModel(task.n_inputs, task.n_outputs, 2)
    with torch.no_grad():
        model.readout.weight.zero_()
        model.readout.bias.copy_(torch.tensor([*(sure[number] for _, _, number in task.grammar.vocabulary), 0.0]))
    return model


@pytest.mark.parametrize(("sure", "share"), [((0, 2, 1), [1, 0]), ((0, 1, 2), [0, 1])])
def test_the_verbs_are_those_of_the_sentences(sure, share):
    task = get_task("agreement", predict="next", words=2, attractors=3)
    batch = task.sample(80, 1)
    steps, numbers, guess = ablating.verbs(task, batch)
    names = (*task.input_names, "end")
    said = []
    for inputs, length, coming in zip(batch.inputs, batch.lengths, batch.targets["next"]):
        words = [names[int(inputs[t].argmax())] for t in range(int(length))]
        for t in range(int(length)):
            following = names[int(coming[t])]
            assert following == (words[t + 1] if t + 1 < len(words) else "end")
            if following in ("sleeps", "falls", "sees", "follows", "sleep", "fall", "see", "follow"):
                said.append(int(not following.endswith("s")))
    assert numbers.tolist() == said and int(steps.sum()) == len(said)
    model = number_model(task, sure)
    intact, lost = ablating.lost_by_class(Intervening(model, batch), [[(0, "forward", 0)]], steps, numbers, guess)
    assert intact.tolist() == share and not lost.any()


def test_a_number_is_the_likelier_one_of_all_its_verbs_together():
    task = get_task("agreement", predict="next", words=1)
    _, _, guess = ablating.verbs(task, task.sample(4, 0))
    names = list(task.input_names)
    outputs = torch.full((2, len(names) + 1), -9.0)
    outputs[:, names.index("sleeps")] = 1.0  # the likeliest single verb
    outputs[0, names.index("sleep")] = outputs[0, names.index("see")] = 0.6
    outputs[:, names.index("key")], outputs[:, -1] = 5.0, 5.0  # no verbs
    assert guess(outputs).tolist() == [1, 0]


def test_what_modes_say_of_units():
    """Of five units: stays, resampled to less; both numbers; the other number; nothing any more; never specific."""
    lost = {
        "zero": np.array([[0.0, 0.9], [0.4, 0.1], [0.3, 0.0], [0.0, 0.1], [0.4, 0.3]]),
        "mean": np.array([[0.1, 0.8], [0.4, 0.0], [0.0, 0.3], [0.0, 0.0], [0.2, 0.2]]),
        "resample": np.array([[0.03, 0.06], [0.3, 0.3], [0.2, 0.15], [0.0, 0.04], [0.3, 0.3]]),
    }
    told = ablating.modes_told(lost)
    assert [told[f"specific_{mode}"] for mode in ("zero", "mean", "resample")] == [4, 3, 1]
    assert (told["gone_mean"], told["gone_resample"], told["turned"], told["used"]) == (0.5, 0.75, 0.25, 0.5)
    none = ablating.modes_told({mode: np.zeros((3, 2)) for mode in lost})
    assert set(none.values()) == {0.0}


def test_a_number_held_off_zero_looks_specific_to_zero_ablation_alone():
    """A planted unit holds 1 for plural and nothing for singular: zero is a number, another sentence's value is not."""
    task = get_task("agreement", predict="next", words=1, attractors=0, nesting=0)
    net = number_model(task, (0, 0, 0))
    names, weights = task.input_names, net.lstm.state_dict()
    with torch.no_grad():
        for values in weights.values():
            values.zero_()
        weights["bias_ih_l0"][[0, 2, 6]] = 20.0  # unit 0: gates open; its candidate is the plural noun
        weights["weight_ih_l0"][4, [names.index(name) for name in names if name in ("keys",)]] = 20.0
        net.lstm.load_state_dict(weights)
        plural = [names.index(name) for name in ("sleep", "see")]
        net.readout.weight[plural, 0] = 10.0
        net.readout.bias[plural] = -10.0 * np.tanh(1) / 2
    batch = task.sample(400, 0)
    lost = {}
    for mode in ("zero", "resample"):
        subject = Intervening(net, batch, mode=mode)
        right, lost[mode] = ablating.lost_by_class(subject, ablating.each_alone(subject), *ablating.verbs(task, batch))
        assert right.tolist() == [1, 1]
    np.testing.assert_array_equal(lost["zero"], [[0, 1], [0, 0]])
    assert lost["resample"][0] == pytest.approx([0.5, 0.5], abs=0.1) and not lost["resample"][1].any()
    assert ablating.modes_told({**lost, "mean": lost["zero"]})["gone_resample"] == 1


# Selectivity


def test_labels_are_known_where_they_count():
    _, batch = few()
    signals = ablating.labels(batch, "class")
    assert list(signals) == ["class", "0", "1", "2"]
    for sequence, length in enumerate(batch.lengths.tolist()):
        right = int(batch.targets["class"][sequence, length - 1])
        for name, signal in signals.items():
            values = signal.values[sequence]
            assert float(values[length - 1]) == (right if name == "class" else right == int(name))
            assert int(values.isnan().sum()) == len(values) - 1


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlations_by_class_are_scipys(seed):
    rng = np.random.default_rng(seed)
    told, lost = rng.random((20, 3)), rng.normal(size=(20, 3))
    lost += 2 * told
    own = [max(range(3), key=lambda k: told[unit, k]) for unit in range(20)]
    drops = [lost[unit, k] for unit, k in enumerate(own)]
    got = ablating.by_class(told, lost)
    # They are ranks of values to six decimals, and none here is nearer than that to another.
    assert got["classes"] == pytest.approx(np.mean([spearmanr(told[:, k], lost[:, k])[0] for k in range(3)]))
    assert got["own"] == pytest.approx(spearmanr(told.max(1), drops)[0])
    assert got["same"] == np.mean([lost[unit, k] == lost[unit].max() for unit, k in enumerate(own)])
    assert got["own_lost"] == pytest.approx(np.mean(drops))
    others = [lost[unit, k] for unit in range(20) for k in range(3) if k != own[unit]]
    assert got["other_lost"] == pytest.approx(np.mean(others))


# Label units


def test_affinity_is_what_a_unit_adds_to_its_labels_logit():
    """Over all units it adds up to what the logit itself differs by."""
    model, batch = few(3)
    got = ablating.affinities(Trained(model, get_task("evidence"), 0), batch, "class")
    with torch.no_grad():
        logits = model(batch.inputs)[torch.arange(60), batch.lengths - 1].numpy()
    right = batch.targets["class"][torch.arange(60), batch.lengths - 1].numpy()
    for k in range(3):
        difference = logits[right == k, k].mean() - logits[right != k, k].mean()
        assert got[:, k].sum() == pytest.approx(difference, abs=1e-5)
    with torch.no_grad():
        model.readout.weight[:, 2] = 0
    assert not ablating.affinities(Trained(model, get_task("evidence"), 0), batch, "class")[2].any()


def test_what_labels_lose_without_their_own_units():
    own = np.array([[0.6, 0.1, 0.0], [0.2, 0.8, 0.2], [0.0, 0.3, 0.4]])
    random = np.array([[0.1, 0.1, 0.5], [0.2, 0.0, 0.3]])
    told = ablating.labels_told(own, random, np.array([[0.1, 0.0, 0.05]]))
    expected = {"beyond": 0.4, "own": 0.6, "random": 0.2, "beats": 5 / 6, "others": 0.4 / 3, "apart": 0.25,
                "alone": 0.05}  # fmt: skip
    assert told == pytest.approx(expected)


def test_units_that_make_a_label_are_found_and_are_its_own(monkeypatch):
    """A planted network: each word of a class is counted by two units, which raise that class's logit alone."""
    task = get_task("evidence", classes=3, length=12)
    model = SequenceModel(task.n_inputs, task.n_outputs, 12)
    weights = {name: torch.zeros_like(values) for name, values in model.lstm.state_dict().items()}
    words = [task.input_names.index(f"word{k}") for k in range(3)]
    with torch.no_grad():
        for gate, bias in ((0, 20.0), (1, 20.0), (3, 20.0)):  # all open
            weights["bias_ih_l0"][12 * gate : 12 * (gate + 1)] = bias
        for unit in range(6):
            weights["weight_ih_l0"][24 + unit, words[unit // 2]] = 0.1
        model.lstm.load_state_dict(weights)
        model.readout.weight.zero_(), model.readout.bias.zero_()
        for unit in range(6):
            model.readout.weight[unit // 2, unit] = 1.0
    monkeypatch.setattr(ablating, "trained", lambda key, seed: Trained(model.eval(), task, 0))
    monkeypatch.setattr(ablating, "LABEL_UNITS", 2)
    told = ablating.label_units(0)
    assert told["right"] > 0.97  # words for a class are counted up to tanh
    assert told["own"] > 0.5 > 0.2 > told["random"]
    assert told["beats"] > 0.9 and told["apart"] > 0.4 and told["alone"] < 0.15
