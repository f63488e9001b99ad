"""What is said of recordings and networks made by hand, of which it is known who holds what: no word goes further."""

import re

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.handmade import OPEN, SHUT

N, TIME = 60, 12
QUICK = {"permutations": 99, "bootstrap": 20, "init": "torch"}


def recording(units, inputs=None):
    """A recording whose memories are these, each (sequence, time); of zeros as inputs, or of these."""
    units = torch.from_numpy(np.stack(units, axis=-1)).float()
    inputs = torch.zeros(*units.shape[:2], 1) if inputs is None else torch.from_numpy(inputs).float()
    part = LayerRecording(0, "forward", inputs, c=units)
    return Recording({(0, "forward"): part}, torch.full((len(units),), units.shape[1]),
                     LSTMConfig(inputs.shape[-1], units.shape[-1]))  # fmt: skip


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def said(rec, signals, **settings):
    """The sentences of the answer, and the cards, with all tables that they are made of."""
    table = lp.probe_units(rec, signals, **QUICK, **settings)
    more = {"codes": lp.signal_codes(rec, signals, rotations=39), "confounds": lp.partial_effects(rec, signals),
            "populations": lp.probe_populations(rec, signals, bootstrap=20)}  # fmt: skip
    return table, lp.answer(table, **more).sentences, lp.unit_cards(table, **more)


WALK = noise(N, TIME).cumsum(1)
OTHER = noise(N, TIME, 4, seed=1)


def of(sentences, start):
    return [one for one in sentences if one.startswith(start)]


def test_a_copy_with_the_other_sign_tells_it_as_well():
    units = [WALK, -3 * WALK, WALK + OTHER[..., 0], OTHER[..., 1]]
    _, sentences, _ = said(recording(units), {"walk": WALK})
    assert of(sentences, "walk:") == ["walk: unit 0 (effect 1.00 [1.00, 1.00]), unit 1 as well, and unit 2 less well."]


def test_of_signals_that_are_one_no_one_is_called_not_tracked():
    _, sentences, _ = said(recording([WALK, OTHER[..., 0]]), {"a": WALK, "b": 2 * WALK + 1})
    assert of(sentences, "b:") == [
        "b: it can't be told from a in these sequences; unit 0, which holds a, goes with it (effect 1.00)."
    ]


ANGLE, STATE = noise(N, TIME, seed=3).cumsum(1) % (2 * np.pi), np.digitize(WALK, [-1.0, 1.0])


def told_of(words):
    """Return what a card says that its unit tells of signals of which another is a part, by signal."""
    (told,) = re.findall(r"; the unit tells (.*?) \(R²\)\.", words)
    return {name: float(number) for number, name in re.findall(r"(\d\.\d\d) of (\w+)", told)}


def explained(unit, values):
    """Return the share of the variance of each column that a line through the unit explains, by NumPy."""
    return np.square([np.corrcoef(unit.ravel(), column.ravel())[0, 1] for column in values])


@pytest.mark.parametrize("number", [np.sin, lambda angle: -np.cos(angle)], ids=["sine", "cosine"])
def test_an_angle_is_not_said_to_be_the_same_as_its_sine_or_cosine(number):
    """One unit is that part, and one the other, which tells next to nothing of the first."""
    sides = np.stack([np.sin(ANGLE), np.cos(ANGLE)])
    units = [number(ANGLE), sides[1 if number is np.sin else 0], OTHER[..., 0]]
    signals = {"angle": lp.Signal("angle", torch.from_numpy(ANGLE), "circular", "target"), "part": number(ANGLE)}
    _, sentences, cards = said(recording(units), signals)
    words = cards.set_index("unit")["words"]
    assert "nearly the same" not in " ".join([*sentences, *words])
    assert "In these sequences part is nearly the sine or cosine of angle; the unit tells" in words[0]
    whole = np.average(explained(units[0], sides), weights=sides.var((1, 2)))
    assert told_of(words[0]) == {"angle": pytest.approx(whole, abs=0.02)}
    assert ", which nearly includes part as its sine or cosine in these sequences." in words[0]
    assert "In these sequences angle nearly includes part as its sine or cosine; the unit tells" in words[1]
    assert told_of(words[1]) == {"part": pytest.approx(explained(units[1], units[:1])[0], abs=0.02)}


def test_classes_are_not_said_to_be_the_same_as_one_of_them():
    """A unit is the first class, one the third; each keeps what it adds to all else."""
    units = [(STATE == 0).astype(float), (STATE == 2).astype(float), OTHER[..., 0]]
    signals = {"state": STATE, "low": (STATE == 0).astype(int), "x": 3.0 - 7 * (STATE == 0)}
    _, sentences, cards = said(recording(units), signals)
    words = cards.set_index("unit")["words"]
    assert "low, x and state are nearly" not in " ".join([*sentences, *words])
    assert "x and low are nearly the same" in words[0] or "low and x are nearly the same" in words[0]
    assert " is nearly one class of state; the unit tells" in words[0]
    share = explained(units[0], [k == STATE for k in range(3)]).mean()
    assert told_of(words[0]) == {"state": pytest.approx(share, abs=0.02)}
    assert "In these sequences state nearly includes low and x as one of its classes; the unit tells" in words[1]
    partial = lp.partial_effects(recording(units), signals).set_index(["signal", "unit"])["partial"]
    assert partial["low", 0] > 0.99 and partial["x", 0] > 0.99 and partial["state", 0] > 0.4


def test_classes_that_share_one_are_said_to_have_a_part_in_common():
    split = np.where(STATE == 0, 5, np.where(OTHER[..., 1] > 0, 6, 7))
    unit = (STATE == 0).astype(float)
    _, sentences, cards = said(recording([unit, OTHER[..., 0]]), {"state": STATE, "split": split})
    words = cards.set_index("unit")["words"]
    assert "nearly the same" not in " ".join([*sentences, *words])
    assert " has a part nearly in common with " in words[0]
    ((name, told),) = told_of(words[0]).items()
    values = [k == STATE for k in range(3)] if name == "state" else [split == k for k in (5, 6, 7)]
    assert told == pytest.approx(explained(unit, values).mean(), abs=0.02)


@pytest.mark.parametrize(("copies", "said_of_it"), [
    (1, "Held by one unit each (localist): A."), (2, "Held by several units, each by itself (copies): A."),
])  # fmt: skip
def test_what_only_goes_with_what_is_held_is_not_said_to_be_held(copies, said_of_it):
    """Units are one signal, with a little noise; of two others, functions of it, they have nothing besides."""
    units = [*[WALK + 0.1 * OTHER[..., 0]] * copies, OTHER[..., 2], OTHER[..., 3]]
    signals = {"A": WALK, "pos": (WALK > 0).astype(int), "bent": WALK * np.abs(WALK)}
    _, sentences, _ = said(recording(units), signals)
    for name in ("pos", "bent"):
        assert "unit 0, which holds A, goes with it (effect" in of(sentences, name + ":")[0]
    assert [one for one in sentences if "(localist)" in one or "(copies)" in one or "apart:" in one] == [said_of_it]


@pytest.mark.parametrize("mixed", [False, True])
def test_what_shows_the_present_input_is_not_said_to_hold_it(mixed):
    """Units that are the inputs, or a random rotation of them among others, and one that remembers."""
    inputs = noise(N, TIME, 2, seed=2)
    units = np.concatenate([inputs, OTHER[..., :2]], axis=-1)
    units = units @ np.linalg.qr(noise(4, 4, seed=3))[0] if mixed else units
    _, sentences, cards = said(recording([*np.moveaxis(units, -1, 0), WALK], inputs),
                               {"x": inputs[..., 0], "walk": WALK})  # fmt: skip
    assert [one for one in sentences if "localist" in one or "distributed" in one or "not told apart" in one] == [
        "Held by one unit each (localist): walk."
    ]
    if not mixed:
        assert "(best: x, effect 1.00, R²; the best untrained unit " in cards.words[1]
        assert cards.words[1].split(").")[0].endswith(" and the present input alone 1.00")


def test_what_could_not_be_tested_is_held_by_nobody():
    table, sentences, _ = said(recording([WALK, OTHER[..., 0]]), {"a": WALK, "b": OTHER[..., 1]}, untrained=5)
    assert not table["testable"].any()
    assert not [one for one in sentences if "localist" in one]


@pytest.mark.parametrize("sequences", [1, 2])
def test_an_event_of_one_fold_is_not_testable_even_of_the_unit_that_is_it(sequences):
    """Which way a unit ranks it has to be learned from other folds: of events in one there is nothing to learn from."""
    event = np.zeros((N, TIME), dtype=int)
    fold = lp.Split.make(N, 5).fold
    event[np.flatnonzero(fold == 3)[:sequences], 4] = 1
    rec = recording([event.astype(float), OTHER[..., 0]])
    table = lp.probe_units(rec, {"event": event}, split=lp.Split.make(N, 5), **QUICK)
    assert table["effect"].max() == 0 and not table["testable"].any()
    assert lp.answer(table).sentences[1].startswith("event: could not be tested")
    event[np.flatnonzero(fold == 1)[0], 7] = 1
    found = lp.probe_units(recording([event.astype(float), OTHER[..., 0]]), {"event": event},
                           split=lp.Split.make(N, 5), **QUICK)  # fmt: skip
    assert found["effect"].max() == 1 and found["testable"].all()


@pytest.mark.parametrize("labels", [1, 2, 3, 8])
def test_a_few_labels_at_steps_of_their_own_are_taken(labels, caplog):
    """Each at another step of another sequence: exchanging sequences changes who has a label, and when."""
    values = np.full((N, TIME), np.nan)
    for k in range(labels):
        values[5 * k, k] = WALK[5 * k, k]
    table = lp.probe_units(recording([WALK, OTHER[..., 0]]), {"few": values}, **QUICK)
    assert {*table.loc[table["tracks"], "unit"]} == ({0} if labels > 2 else set())
    assert "alike in all sequences" not in caplog.text or labels == 1
    assert table["testable"].all() == (labels > 2)


def relayed():
    """Unit 0 of layer 0 sums x0; unit 1 of layer 1 passes that on, forgetting at every step; the readout reads it.

    The other two sum x1, and what that unit shows; nothing reads them.
    """
    model = SequenceModel(2, 1, 2, layers=2, seed=0)
    with torch.no_grad():
        for values in model.parameters():
            values.zero_()
        for layer in (model.lstm.bias_ih_l0, model.lstm.bias_ih_l1):
            layer.view(4, 2)[[0, 1, 3]] = OPEN
        model.lstm.weight_ih_l0[4, 0] = model.lstm.weight_ih_l0[5, 1] = 0.02
        model.lstm.bias_ih_l1[2 + 1] = SHUT
        model.lstm.weight_ih_l1[4 + 1, 0] = model.lstm.weight_ih_l1[4, 1] = 1.0
        model.readout.weight[0, 1] = 1.0
    x = noise(N, TIME, 2, seed=4)
    total = torch.from_numpy(0.02 * x[..., 0].cumsum(1)).float()
    signals = {"total": lp.Signal("total", total, "continuous", "target")}
    batch = Batch(torch.from_numpy(x).float(), {"total": total.unsqueeze(-1)}, (Target("total"),),
                  torch.full((N,), TIME), signals)  # fmt: skip
    return model, batch


def test_of_a_unit_that_keeps_nothing_it_is_said_when_the_output_was_looked_at():
    """The output reads this unit alone, at the same step; some steps later it has another memory."""
    model, batch = relayed()
    table = lp.probe_units(lp.record(model, batch.inputs), batch.signals, variables=["c"], **QUICK)
    more = {
        "ablations": lp.ablate_units(model, batch, bootstrap=50),
        "patches": lp.patch_units(model, batch, after=[1, 5]),
    }
    card = lp.unit_cards(table, **more).set_index(["layer", "unit"]).words[1, 1]
    assert "Needed alone: clamped, it lowers the score of total by 1.00" in card
    assert "but 1 to 5 steps later the output does not read it from this unit (moved 0.00 to 0.00)" in card
    codes = lp.signal_codes(lp.record(model, batch.inputs), batch.signals, variables=["c"], rotations=39)
    told = lp.answer(table, codes=codes).sentences
    assert "Held by one unit each (localist): total. Each in the layer that tells most of it." in told


@pytest.mark.parametrize(("sequences", "bootstrap"), [(1, 100), (N, 0)])
def test_a_cost_without_an_interval_makes_nothing_needed_nor_free_of_cost(sequences, bootstrap):
    model, batch = relayed()
    costs = lp.ablate_units(model, batch[:sequences], bootstrap=bootstrap)
    assert costs["refit_drop"].max() > 0.9 and costs["refit_ci_low"].isna().all()
    assert {*costs["needed"]} == {"not measured"}
    assert lp.needed_sets(model, batch[:sequences], bootstrap=bootstrap).empty
    table = lp.probe_units(lp.record(model, batch.inputs), batch.signals, variables=["c"], **QUICK)
    told = [*lp.answer(table, ablations=costs).sentences, *lp.unit_cards(table, ablations=costs).words]
    assert sum("could not be told: what clamping costs has no interval" in one for one in told) == 5
    assert not [one for one in told if "lamped alone" in one or "eeded:" in one]


def test_what_was_clamped_at_once_is_not_said_to_be_not_measured():
    """Of 4 units all but two cost nothing, alone and at once; the table of sets is not given."""
    model, batch = relayed()
    table = lp.probe_units(lp.record(model, batch.inputs), batch.signals, variables=["c"], **QUICK)
    told = lp.answer(table, ablations=lp.ablate_units(model, batch, bootstrap=50)).sentences
    assert "Not needed: units 0·1, 1·0." in told
    assert not [one for one in told if "not measured" in one]


def test_of_a_label_that_no_fold_has_with_another_it_is_not_said_that_it_never_changes():
    """Four groups of one label each, in as many folds: it changes, but never within one."""
    groups = np.arange(N) % 4
    label = np.repeat((groups % 2)[:, None], TIME, axis=1)
    table = lp.probe_units(recording([WALK, OTHER[..., 0]]), {"label": label}, groups=groups, **QUICK)
    assert table["score"].isna().all()
    assert "(or within no part that is held out, " in lp.answer(table).sentences[1]


@pytest.mark.parametrize("margin", [0.2, 0.9])
def test_all_units_together_hold_what_they_tell_by_the_margin_of_the_probes(margin):
    """Four units, an eighth of the signal's variance in each: half of what the step leaves open is closed by all."""
    parts = noise(N, TIME, 5, seed=6)
    signal = parts[..., :4].sum(-1) + 2 * parts[..., 4]
    table = lp.probe_units(recording([*np.moveaxis(parts[..., :4], -1, 0)]), {"sum": signal}, margin=margin, **QUICK)
    assert not table["tracks"].any()
    rec = recording([*np.moveaxis(parts[..., :4], -1, 0)])
    told = lp.answer(table, populations=lp.probe_populations(rec, {"sum": signal}, bootstrap=20),
                     codes=lp.signal_codes(rec, {"sum": signal}, rotations=39))  # fmt: skip
    assert told.findings.signals[0].together == pytest.approx(0.5, abs=0.1)
    assert any("distributed" in one for one in told.sentences) == (margin == 0.2)


def test_of_two_and_their_sum_a_unit_that_holds_one_is_not_said_to_track_the_sum_besides():
    """The sum is known from the two exactly, so that a unit that holds one of them cannot add to that."""
    other = noise(N, TIME, seed=5).cumsum(1)
    signals = {"a": WALK, "b": other, "sum": WALK + other}
    table, _, cards = said(recording([WALK, OTHER[..., 0]]), signals)
    assert table.query("unit == 0 and tracks")["signal"].tolist() == ["a", "sum"]
    assert cards.title[0] == "Unit 0, c: a"
    assert "It goes with sum (effect 0." in cards.words[0] and "also tracks" not in cards.words[0]
    assert "as a does: all other signals tell that exactly, so that there is nothing to add." in cards.words[0]
    assert "leaves nothing open in a, so that what it adds can't be asked." in cards.words[0]


def test_an_exact_memory_that_untrained_networks_have_too_is_not_said_to_fade():
    """A latch keeps what it holds for ever, whatever may be found in untrained networks."""
    net = lp.planted.latch(random_units=2, seed=0)
    batch = net.sample(96, length=40, seed=1)
    table = lp.probe_units(lp.record(net.model, batch.inputs), batch.signals, variables=["c"], **QUICK)
    table = table.assign(p_untrained=0.1, tracks=False)
    (words,) = lp.unit_cards(table).query(f"unit == {net.where['latch']}")["words"]
    assert "latch can be read from it (effect 1.00, 2·AUROC − 1), but that this is rare among untrained" in words
    assert "no unit of those tried tells as much" in words and "fading" not in words
    assert " it needs " in words.partition("; for nine tenths of ")[2]


def test_what_reads_backward_is_not_said_to_remember_what_it_has_not_read():
    """Each direction's unit holds the sum of what is to come, which tells what that sum was at steps before."""
    to_come = noise(N, TIME, seed=6)[:, ::-1].cumsum(1)[:, ::-1].copy()
    values = torch.from_numpy(to_come[..., None]).float()
    parts = {(0, way): LayerRecording(0, way, torch.zeros(N, TIME, 1), c=values) for way in ("forward", "reverse")}
    rec = Recording(parts, torch.full((N,), TIME), LSTMConfig(1, 1, bidirectional=True))
    known = {"to come": to_come}
    memory = lp.memory_curves(rec, known, permutations=99, init="torch")
    cards = lp.unit_cards(lp.probe_units(rec, known, **QUICK), memory=memory).set_index("direction")["words"]
    assert "It still tells to come as it was 5 steps ago" in cards["forward"]
    assert "it remembers to come was not looked at: it reads backward" in cards["reverse"]
    assert "still tells" not in cards["reverse"]
