"""Each component against a plain loop over steps, in networks of all kinds."""

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.planted import Compare, Counter, Drift, FirstValues, Latch, Leak, Parity, Recall, Since, compile

EVERY = (Counter(), Latch(), Parity(), Since(), Leak(), Recall(), FirstValues(), Compare(), Drift())


def since_by_hand(rows, part):
    steps, out = 0, []
    for (tick,) in rows:
        steps = 0 if tick else min(steps + 1, part.cap)
        out.append([steps])
    return out


def leak_by_hand(rows, part):
    held, out = 0.0, []
    for (number,) in rows:
        held = part.keep * held + float(number)
        out.append([held])
    return out


def recall_by_hand(rows, part):
    held, out = [0.0] * part.count, []
    for row in rows:
        writes, cues, value = row[: part.count], row[part.count : -1], row[-1]
        held = [float(value) if write else old for write, old in zip(writes, held)]
        out.append([sum(number for number, cue in zip(held, cues) if cue)])
    return out


def first_by_hand(rows, part):
    held, out = [], []
    for store, value in rows:
        if store and len(held) < part.count:
            held.append(float(value))
        out.append(held + [0.0] * (part.count - len(held)))
    return out


def compare_by_hand(rows, part):
    first, out = None, []
    for a, b in rows:
        if first is None and (a or b):
            first = "b" if b else "a"
        out.append([first == "a"])
    return out


def drift_by_hand(rows, part):
    held, out = 0, []
    for set_, reset, _ in rows:
        held = 0 if reset else 1 if set_ else held
        out.append([held])
    return out


HANDS = {"since": since_by_hand, "leak": leak_by_hand, "recall": recall_by_hand, "first": first_by_hand,
         "compare": compare_by_hand, "drift": drift_by_hand}  # fmt: skip


def differences(net, batch):
    """The largest difference of each target's outputs from what they must be by hand."""
    outputs = batch.split_outputs(net.model(batch.inputs).detach())
    found = {}
    for part in net.components:
        if part.name in HANDS:
            columns = [net.input_names.index(line) for line in part.lines]
            rows = batch.inputs[..., columns].double().numpy()
            truth = np.array([HANDS[part.name](sequence, part) for sequence in rows], dtype=float)
            found[part.name] = np.abs(outputs[part.name].numpy() - truth).max()
    return found


@pytest.mark.parametrize(
    "part",
    [Since(), Since(cap=1), Since(cap=100, rate=0.01), Since(step=2**-10, cap=50, rate=0.03), Leak(), Leak(keep=0.99),
     Recall(), Recall(count=1), Recall(count=7, rate=0.3), FirstValues(), FirstValues(count=1), FirstValues(count=6),
     Compare(), Compare(rate=0.3), Drift(), Drift(rate=0.4)],
    ids=str,
)  # fmt: skip
def test_a_component_is_exact_over_a_thousand_steps(part):
    net = compile([part, Latch(name="beside")], units=16, listening=True, seed=3)
    batch = net.sample(6, 1000, seed=1)
    bend = {
        "leak": 1e-3 * (part == Leak(keep=0.99)),
        "since": 2 * (getattr(part, "cap", 0) * getattr(part, "step", 0)) ** 2 * getattr(part, "cap", 0) / 3,
    }
    assert differences(net, batch)[part.name] <= max(1e-4, bend.get(part.name, 0))
    c = lp.record(net.model, batch.inputs).c
    for name, unit in net.where.items():
        held = c[..., unit] / net.factors[name]
        torch.testing.assert_close(
            held, batch.signals[name].values, rtol=2e-6, atol=2e-4 if part.name == "leak" else 4e-6
        )


def test_every_component_in_one_network_of_any_kind():
    for options in ({}, {"layers": 3}, {"units": 40, "listening": True}, {"units": 40, "projection": 36, "layers": 2}):
        net = compile(EVERY, seed=2, **options)
        batch = net.sample(4, 200, seed=3)
        found = differences(net, batch)
        assert set(found) == set(HANDS) and max(found.values()) < 5e-3, (options, found)
        assert min(batch.scores(net.model(batch.inputs).detach()).values()) > 0.9999
        shown = lp.record(net.model, batch.inputs, variables=["c"])[0].c
        for name, unit in net.where.items():
            held = shown[..., unit] / net.factors[name]
            torch.testing.assert_close(held, batch.signals[name].values, rtol=1e-5, atol=1e-4)


def test_a_network_goes_on_from_what_came_before():
    parts = [Latch(rate=0.02), Counter(rate=0.3), Recall(), Since()]
    plain = compile(parts, units=14, seed=4)
    batch = plain.sample(5, 60, seed=2)
    before = batch.inputs[:1, :20]
    net = compile(parts, units=14, seed=4, before=before[0])
    rest = batch.inputs[:, 20:]
    whole = torch.cat([before.expand(5, -1, -1), rest], dim=1)
    torch.testing.assert_close(net.model(rest), plain.model(whole)[:, 20:])
    for name, values in net.batch(rest).targets.items():
        torch.testing.assert_close(values, plain.batch(whole).targets[name][:, 20:], rtol=0, atol=0)
    c = lp.record(net.model, rest).c
    for name, unit in net.where.items():
        torch.testing.assert_close(c[..., unit] / net.factors[name], net.batch(rest).signals[name].values,
                                   rtol=1e-5, atol=1e-5)  # fmt: skip
    with torch.no_grad():
        halves = net.model.advance(rest[:, :7])
        on = net.model.advance(rest[:, 7:], halves[1])
    torch.testing.assert_close(torch.cat([halves[0], on[0]], dim=1), net.model(rest).detach())


def test_units_stand_at_random_places_in_every_layer():
    nets = [compile([Latch(), Counter()], units=12, layers=2, seed=seed) for seed in range(5)]
    for layer in range(2):
        assert len({tuple(net.held[net.held.layer == layer].unit) for net in nets}) == 5
    assert list(nets[0].held.columns) == ["layer", "unit", "name", "role", "signal", "factor", "when", "value", "hears"]
    assert nets[0].held.query("layer == 1").role.tolist() == ["relay", "relay"]


def test_lines_of_one_name_are_one_line():
    """Two latches of the same lines hold the same."""

    class Other(Latch):
        @property
        def lines(self):
            return ("latch.set", "latch.reset")

    net = compile([Latch(), Other(name="other")], seed=1)
    batch = net.sample(4, 50)
    assert net.input_names == ("latch.set", "latch.reset")
    assert (batch.signals["latch"].values == batch.signals["other"].values).all()
    c = lp.record(net.model, batch.inputs).c
    assert (c[..., net.where["latch"]] == c[..., net.where["other"]]).all()


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: compile([Latch(), Counter()], units=1), ["units=1: 2 are planted: latch, count"]),
        (lambda: compile([Latch()], units=0, layers=0), ["units=0", "layers=0"]),
        (lambda: compile([Latch(), Counter()], units=6, projection=1), ["projection=1: must be from 2"]),
        (lambda: compile([Latch()], units=6, projection=6), ["to below units=6"]),
        (lambda: compile([Latch()], before=torch.zeros(3, 5)), ["before: shape (3, 5); must be (time, 2)"]),
        (lambda: Leak(keep=1.0), ["Leak.keep=1: must be a number from 0.01 to 0.99"]),
        (lambda: Since(cap=0), ["Since.cap=0"]),
        (lambda: compile([Drift()]).batch(torch.ones(1, 2, 3)), ["drift.move at sequence 0, step 0"]),
        (lambda: compile([Recall(), Latch()]).batch(torch.full((1, 2, 9), 0.5)), ["recall.write0, recall.write1"]),
    ],
)
def test_bad_input(make, parts):
    with pytest.raises(InputError) as caught:
        make()
    for part in parts:
        assert part in "\n".join(caught.value.problems)


def test_real_lines_take_any_number():
    net = compile([Leak(), FirstValues()], seed=1)
    inputs = net.sample(3, 30).inputs
    inputs[..., [0, 2]] *= 2.5
    assert max(differences(net, net.batch(inputs)).values()) < 1e-3


@pytest.mark.parametrize("options", [{}, {"projection": 4}], ids=str)
def test_deaf_units_of_every_layer_hear_the_noise_alone(options):
    net = compile([Latch(rate=0.3), Counter(rate=0.3)], units=8, layers=2, seed=3, **options)
    one, other = net.sample(6, 30, seed=1).inputs, net.sample(6, 30, seed=2).inputs
    swapped = torch.cat([other[..., :4], one[..., 4:]], dim=-1)
    a, b = (lp.record(net.model, inputs, variables=["c"]) for inputs in (one, swapped))
    for layer in range(2):
        planted = net.held.unit[net.held.layer == layer].tolist()
        rest = [unit for unit in range(8) if unit not in planted]
        torch.testing.assert_close(a[layer].c[..., rest], b[layer].c[..., rest], rtol=0, atol=2e-6)
        assert not torch.allclose(a[layer].c[..., planted], b[layer].c[..., planted])
