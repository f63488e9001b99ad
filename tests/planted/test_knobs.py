"""What each knob does to outputs, units and truth, against plain loops; and brute force against a loop of its own."""

import itertools

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.planted import (
    Behind,
    Cancel,
    Compare,
    Constants,
    Counter,
    DeadEnd,
    Decoy,
    Drift,
    Dyck,
    FirstValues,
    Latch,
    Leak,
    LookAlike,
    Mixed,
    Noisy,
    Parity,
    Recall,
    Redundant,
    Shut,
    Since,
    Soft,
    Xor,
    compile,
)  # fmt: skip
from lstm_probe.planted.truth import COSTS, FREE, brute_force, smallest


def net_of(*knobs, parts=None, **options):
    return compile(parts or [Latch(), Counter()], knobs=knobs, **{"units": 9, "seed": 1} | options)


def named(net, labels):
    """The label of each planted unit of the first layer, by name and target."""
    names = {(layer, unit): name for layer, unit, name in zip(net.held.layer, net.held.unit, net.held.name)}
    rows = zip(zip(labels.layer, labels.unit), labels.target, labels.label, labels.carries)
    return {(names[key], target): (label, carries) for key, target, label, carries in rows if key in names}


KNOBS = [
    Redundant(form="halves"), Redundant(form="or"), Redundant(form="majority"), Behind(), Behind(depth=2), Cancel(),
    Decoy(), Shut(), DeadEnd(), Constants(), LookAlike(), Redundant("count", "halves"), Cancel("count", weight=0.5),
    Decoy("count"), Shut("count"), Constants("count"),
]  # fmt: skip


@pytest.mark.parametrize("knob", KNOBS, ids=str)
@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"listening": True, "projection": 7}], ids=str)
def test_outputs_are_those_of_the_plain_network_a_step_late_for_each_reader(knob, options):
    plain, net = net_of(**options | {"projection": 0}), net_of(knob, **options)
    batch = net.sample(8, 120, seed=5)
    expected = plain.batch(batch.inputs).targets
    late = getattr(knob, "depth", int(getattr(knob, "form", "halves") != "halves"))
    outputs = batch.split_outputs(net.model(batch.inputs).detach())
    for name, values in expected.items():
        by = late if name == knob.of else 0
        moved = torch.cat([torch.zeros_like(values[:, :by]), values[:, : values.shape[1] - by]], dim=1)
        torch.testing.assert_close(batch.targets[name], moved, rtol=0, atol=0)
        torch.testing.assert_close(outputs[name], moved, rtol=2e-4, atol=2e-2 if "projection" in options else 2e-4)


def test_xor_is_of_what_was_held_a_step_ago():
    net = net_of(Xor(), parts=[Latch(name="a"), Latch(name="b"), Counter()])
    batch = net.sample(8, 100)
    assert list(batch.targets) == ["count", "xor"]
    a, b = (batch.signals[name].values.bool().numpy() for name in "ab")
    expected = np.concatenate([np.zeros((8, 1), bool), (a ^ b)[:, :-1]], axis=1)
    assert (batch.targets["xor"][..., 0].numpy() == expected).all()
    said = batch.split_outputs(net.model(batch.inputs).detach())["xor"][..., 0]
    assert (said.numpy() == expected).all() and batch.signals["a"].role == "latent"


def test_a_mixture_of_two_counts_is_taken_apart_by_the_readout():
    net = net_of(Mixed(units=5, seed=3), parts=[Counter(name="a"), Counter(name="b", step=2**-11), Latch()])
    batch = net.sample(8, 200)
    for name, values in batch.split_outputs(net.model(batch.inputs).detach()).items():
        assert (values - batch.targets[name]).abs().max() < 1e-2
    assert set(net.where) == {"latch"}
    c = lp.record(net.model, batch.inputs).c
    for unit, rows in net.held.query("role == 'mixture'").groupby("unit"):
        expected = sum(factor * batch.signals[signal].values for signal, factor in zip(rows.signal, rows.factor))
        torch.testing.assert_close(c[..., unit], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("slope", "low", "high"), [(400, 1 - 1e-6, 1.0), (20, 0.999, 1.0), (8, 0.5, 0.99)])
def test_soft_gates_lose_more_the_softer_they_are(slope, low, high):
    net = net_of(Soft(slope=slope))
    batch = net.sample(64, 50)
    scores = batch.scores(net.model(batch.inputs).detach())
    assert low <= scores["latch"] <= high and scores["count"] > 0.9999


@pytest.mark.parametrize(
    "part",
    [Latch(), Parity(), Counter(), Since(), Leak(), Recall(), FirstValues(), Compare(), Drift(), Dyck()],
    ids=str,
)
def test_noise_spoils_a_component_from_its_own_scale_on(part):
    scores = {}
    for amount in (0.0, 0.01, 100.0):
        net = net_of(Noisy(part.name, amount, seed=1), parts=[part], units=None)
        batch = net.sample(32, 50)
        scores[amount] = batch.scores(net.model(batch.inputs).detach())[part.name]
    assert scores[0.0] == pytest.approx(1, abs=1e-4) and scores[0.01] > 0.98 and scores[100.0] < 0.7


def test_noise_lets_a_component_hear_the_others():
    plain, net = net_of(), net_of(Noisy(amount=0.001))
    at = dict(zip(net.held.name, net.held.unit))
    for weights, heard in ((plain, False), (net, True)):
        own = weights.model.lstm.weight_hh_l0.view(4, 9, 9)[:, at["latch"], at["count"]]
        assert bool((own != 0).any()) == heard
    assert (net.model.lstm.weight_hh_l0.view(4, 9, 9)[:, at["count"], at["latch"]] == 0).all()


def test_a_look_alike_agrees_as_often_as_it_says_and_is_held_by_nobody():
    net = net_of(LookAlike(agreement=0.8), LookAlike("count", 0.7, "like"))
    batch = net.sample(256, 60, seed=3)
    values = {name: signal.values for name, signal in batch.signals.items()}
    assert (values["alike"] == values["latch"]).float().mean().item() == pytest.approx(0.8, abs=0.01)
    both = torch.stack([values["like"].flatten(), values["count"].flatten()])
    assert torch.corrcoef(both)[0, 1].item() ** 2 == pytest.approx(0.7, abs=0.03)
    assert not {"alike", "like"} & set(net.held.signal.dropna())
    assert (net.batch(batch.inputs).signals["alike"].values == values["alike"]).all()


LABELS = {
    Redundant(form="halves"): {"latch": "alone", "latch.copy": "alone"},
    Redundant(form="or"): {"latch": "redundant", "latch.copy": "redundant", "latch.reader": "alone"},
    Redundant(form="majority"): {
        "latch": "redundant", "latch.copy": "redundant", "latch.copy2": "redundant", "latch.reader": "alone"},
    Behind(): {"latch": "alone", "latch.reader": "alone"},
    Cancel(): {"latch": "alone", "latch.copy": "cancelled", "latch.copy2": "cancelled"},
    Decoy(): {"latch": "alone", "latch.decoy": "unused"},
    Shut(): {"latch": "alone", "latch.shut": "unused"},
    DeadEnd(): {"latch": "alone", "latch.decoy": "unused", "latch.shut": "unused"},
    Constants(): {"latch": "alone", "latch.constant": "unused", "latch.constant2": "unused"},
}  # fmt: skip


@pytest.mark.parametrize("knob", LABELS, ids=str)
def test_brute_force_finds_what_each_unit_was_put_there_for(knob):
    net = net_of(knob, listening=True)
    truth = brute_force(net.model, net.sample(32, 24, seed=2))
    found = named(net, truth.labels)
    assert {name: label for (name, target), (label, _) in found.items() if target == "latch" and name != "count"} == (
        LABELS[knob]
    )
    assert found["count", "count"] == ("alone", True)
    rest = truth.labels[~truth.labels.unit.isin(net.held.unit)]
    assert set(rest.label) == {"unused"} and not rest.carries.any()


def test_sets_of_redundant_units():
    net = net_of(Redundant(form="majority"))
    truth = brute_force(net.model, net.sample(32, 24, seed=2))
    at = {name: (0, unit) for name, unit in zip(net.held.name, net.held.unit)}
    holders, reader = [at["latch"], at["latch.copy"], at["latch.copy2"]], at["latch.reader"]
    swapped = truth.necessary("latch", how="swapped")
    assert set(swapped) == {frozenset([reader]), *map(frozenset, itertools.combinations(holders, 2))}
    assert set(truth.sufficient("latch")) >= {frozenset([reader, one]) for one in holders} - {None}
    assert truth.necessary("count") == [frozenset([at["count"]])] == truth.sufficient("count")


def test_the_readers_set_is_read_a_step_later_than_the_latchs():
    net = net_of(Behind())
    truth = brute_force(net.model, net.sample(64, 24, seed=2), at=12)
    at = {name: (0, unit) for name, unit in zip(net.held.name, net.held.unit)}
    steps = [[truth.cost([at[name]], "latch", how="swapped", step=t) for t in (11, 12, 13, 14)]
             for name in ("latch", "latch.reader")]  # fmt: skip
    assert [[cost >= COSTS for cost in own] for own in steps] == [
        [False, False, True, True],
        [False, True, False, False],
    ]


def plain_loop(model, inputs, fixed=None, swap=None):
    """The outputs and memories of one layer, in float64 NumPy; memories fixed by unit, or exchanged at a step."""
    lstm, n = model.lstm, len(inputs)
    w, u, b, b2 = (getattr(lstm, name).detach().double().numpy()
                   for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))  # fmt: skip
    out, bias = model.readout.weight.detach().double().numpy(), model.readout.bias.detach().double().numpy()
    h, c = np.zeros((2, n, lstm.hidden_size))
    outputs, memories = [], []
    for t in range(inputs.shape[1]):
        i, f, g, o = np.split(inputs[:, t].double().numpy() @ w.T + h @ u.T + b + b2, 4, axis=1)
        with np.errstate(over="ignore"):
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        for unit, value in (fixed or {}).items():
            c[:, unit] = value
        h = o * np.tanh(c)
        if swap and swap[0] == t:
            for unit in swap[1]:
                c[:, unit], h[:, unit] = c[swap[2], unit], h[swap[2], unit]
        outputs.append(h @ out.T + bias)
        memories.append(c.copy())
    return np.stack(outputs, axis=1), np.stack(memories, axis=1)


def test_costs_are_those_of_a_plain_loop():
    net = net_of(Redundant(form="or"), parts=[Latch(), Parity(), Leak()], listening=True, units=8, seed=4)
    batch = net.sample(16, 15, seed=1)
    truth = brute_force(net.model, batch, at=6, seed=3)
    intact, memories = plain_loop(net.model, batch.inputs)
    means, spread = memories.mean((0, 1)), intact.var((0, 1))
    rng = np.random.default_rng(0)
    donors = None
    for size in (1, 2, 3):
        for _ in range(6):
            units = sorted(rng.choice(8, size, replace=False).tolist())
            held, _ = plain_loop(net.model, batch.inputs, {unit: means[unit] for unit in units})
            rest, _ = plain_loop(net.model, batch.inputs, {u: means[u] for u in range(8) if u not in units})
            own = truth.sets.index(frozenset((0, unit) for unit in units))
            for kind, made in (("clamped", held), ("kept", rest)):
                expected = ((made - intact) ** 2).mean(0).T / spread[:, None]
                np.testing.assert_allclose(getattr(truth, kind)[own], expected, rtol=1e-3, atol=1e-5)
            if donors is None:  # who is swapped with whom follows from the seed; any of the orders that fits will do
                from lstm_probe.core.seeding import generator

                donors = torch.randperm(16, generator=generator(3, "donors")).roll(1).numpy()
            swapped, _ = plain_loop(net.model, batch.inputs, swap=(6, units, donors))
            expected = ((swapped - intact) ** 2).mean(0).T / spread[:, None]
            np.testing.assert_allclose(truth.swapped[own], expected, rtol=1e-3, atol=1e-5)


def test_two_layers_and_a_start_are_run_as_the_module_runs_them():
    before = compile([Latch(), Parity()], units=5, layers=2).sample(1, 9).inputs[0]
    net = compile([Latch(), Parity()], knobs=[Redundant(form="or")], units=5, layers=2, before=before, seed=2)
    batch = net.sample(16, 12)
    truth = brute_force(net.model, batch, largest=1)
    assert np.abs(truth.clamped[0]).max() < 1e-10 > np.abs(truth.swapped[0]).max()
    labels = named(net, truth.labels.query("layer == 0"))
    assert labels["parity", "parity"][0] == "alone"
    relays = net.held.query("layer == 1")
    assert set(truth.labels.query("layer == 1 and label == 'alone'").unit) == set(relays.unit)


def test_what_is_smallest():
    rng = np.random.default_rng(0)
    for _ in range(50):
        sets = [frozenset(rng.choice(6, rng.integers(1, 5), replace=False).tolist()) for _ in range(8)]
        expected = {own for own in sets if not any(other < own for other in sets)}
        assert set(smallest(sets)) == expected


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: net_of(Decoy("latsh")), "Decoy: there is no component latsh in the outputs. Did you mean 'latch'?"),
        (lambda: net_of(Behind("count")), "Behind: count holds numbers"),
        (lambda: net_of(Redundant("recall", "halves"), parts=[Recall()]), "recall has 3 units"),
        (lambda: net_of(Redundant("drift"), parts=[Drift()]), "drift has 3 units"),
        (lambda: net_of(Redundant(form="and")), "Redundant.form=and: must be one of halves, or, majority"),
        (lambda: net_of(Xor("latch", "latch")), "must be two components"),
        (lambda: net_of(Mixed("latch", "count")), "must be components that only add up"),
        (lambda: net_of(Soft("leak"), parts=[Leak()]), "leak has gates that stand half open"),
        (lambda: net_of(Soft("nobody")), "there is no component nobody"),
        (lambda: net_of(Noisy("lach")), "Noisy: there is no component lach. Did you mean 'latch'?"),
        (lambda: net_of(Cancel(weight=0.0)), "Cancel.weight=0"),
        (lambda: brute_force(net_of(units=60).model, net_of(units=60).sample(2, 4)), "largest=3: 36051 sets"),
    ],
)
def test_bad_input(make, part):
    with pytest.raises(InputError) as caught:
        make()
    assert part in "\n".join(caught.value.problems)


def test_since_can_be_soft_and_mixed_costs_are_told():
    net = net_of(Soft("since", slope=100), parts=[Since(), Latch()])
    batch = net.sample(32, 60)
    assert batch.scores(net.model(batch.inputs).detach())["since"] > 0.99
    assert 0 < FREE < COSTS < 1
