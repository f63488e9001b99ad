"""Every task's signals and targets against a slow, plain re-computation from the inputs alone."""

from collections import Counter, defaultdict
from itertools import accumulate, product
from math import log

import pytest
import torch

from lstm_probe.tasks import TASKS, get_task
from lstm_probe.tasks.languages.dyck1 import Dyck1
from lstm_probe.tasks.memory.flipflop import FlipFlop
from lstm_probe.tasks.memory.tracking import EVENTS, Tracking
from tests.tasks.oracles import identity, names_all


def tracking_oracle(inputs, decay=0.9, cap=20):
    """One sequence, one step at a time; inputs are lists of (up, down, set, reset, flip, tick, noise)."""
    count = latch = parity = ticks = 0
    leak, since, rows = 0.0, 0, []
    for step, (up, down, set_, reset, flip, tick, noise) in enumerate(inputs):
        count += up - down
        if reset:
            latch = 0
        elif set_:
            latch = 1
        parity ^= int(flip)
        leak = decay * leak + 0.3 * noise
        since = 0 if tick else since + 1
        ticks += tick
        rows.append({"count": count, "latch": latch, "parity": parity, "leak": leak, "since": min(since, cap),
                     "ticks": ticks, "step": step})  # fmt: skip
    return rows


def flipflop_oracle(inputs):
    held, since, rows = [0.0] * len(inputs[0]), 0, []
    for step, pulses in enumerate(inputs):
        since = 0 if pulses[0] else since + 1
        held = [pulse or old for pulse, old in zip(pulses, held)]
        bits = {f"bit{k}": int(value > 0) for k, value in enumerate(held)}
        state = {"state": sum(v << k for k, v in enumerate(bits.values()))} if 1 < len(held) <= 4 else {}
        rows.append({**bits, **state, "since0": since, "step": step})
    return rows


def dyck1_oracle(inputs):
    depth, opened, rows = 0, 0, []
    for step, (open_, close) in enumerate(inputs):
        assert (open_, close) in ((1, 0), (0, 1))
        depth += 1 if open_ else -1
        opened += int(open_)
        assert depth >= 0
        rows.append({"depth": depth, "closable": int(depth > 0), "opened": opened, "step": step})
    assert depth == 0
    return rows


CASES = [
    (Tracking(), tracking_oracle),
    (Tracking(length=33, min_length=5, rate=0.4, decay=0.5, cap=4),
     lambda inputs: tracking_oracle(inputs, decay=0.5, cap=4)),
    (FlipFlop(), flipflop_oracle),
    (FlipFlop(bits=1, length=17, min_length=3, rate=0.2), flipflop_oracle),
    (FlipFlop(bits=6, length=20, rate=0.2), flipflop_oracle),
    (Dyck1(), dyck1_oracle),
    (Dyck1(min_length=8, max_length=16, predict="next"), dyck1_oracle),
]  # fmt: skip


@pytest.mark.parametrize(("task", "oracle"), CASES, ids=identity)
def test_signals_agree_with_the_oracle(task, oracle):
    batch = task.sample(40, seed=7)
    assert batch.inputs.shape[2] == task.n_inputs
    for s in range(40):
        length = int(batch.lengths[s])
        rows = oracle(batch.inputs[s, :length].tolist())
        assert set(rows[0]) == set(batch.signals)
        for name, signal in batch.signals.items():
            expected = torch.tensor([float(row[name]) for row in rows])
            torch.testing.assert_close(signal.values[s, :length].float(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("task", "oracle"), CASES, ids=identity)
def test_a_sample_is_a_function_of_its_seed(task, oracle):
    one, same, other = task.sample(20, seed=1), task.sample(20, seed=1), task.sample(20, seed=2)
    assert torch.equal(one.inputs, same.inputs) and torch.equal(one.lengths, same.lengths)
    assert one.inputs.shape != other.inputs.shape or not torch.equal(one.inputs, other.inputs)
    state = torch.get_rng_state()
    task.sample(3, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


DRAWN = [name for name in TASKS if name not in ("text", "python_source", "table")]
OTHERS = [
    ("dyck", {"kinds": 4, "max_depth": 7, "max_length": 40}), ("reber", {"variant": "continual"}),
    ("shuffle", {"kinds": 3}), ("flipflop", {"bits": 2, "length": 9, "min_length": 2}),
    ("compose", {"parts": ["dyck", "agreement", "tracking"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), [*((name, {}) for name in DRAWN), *OTHERS])
def test_training_data_are_the_same_without_signals(name, parameters):
    task = get_task(name, **parameters)
    whole, bare = task.sample(60, seed=4), task.sample_training(60, seed=4)
    assert (
        not bare.signals and bare.targets.keys() == whole.targets.keys() and bare.scored.keys() == whole.scored.keys()
    )
    for values, other in [
        (bare.inputs, whole.inputs), (bare.lengths, whole.lengths),
        *((bare.targets[key], whole.targets[key]) for key in whole.targets),
        *((bare.scored[key], whole.scored[key]) for key in whole.scored),
    ]:  # fmt: skip
        assert torch.equal(values, other)


def test_targets_are_their_signals():
    batch = Tracking().sample(8, seed=0)
    for name, values in batch.targets.items():
        ratio = values[..., 0][values[..., 0] != 0] / batch.signals[name].values[values[..., 0] != 0]
        assert torch.allclose(ratio, ratio[0])
    bits = FlipFlop(bits=2).sample(8, seed=0)
    assert torch.equal(bits.targets["bit1"][..., 0] > 0, bits.signals["bit1"].values > 0)
    dyck = Dyck1().sample(8, seed=0)
    assert torch.equal(dyck.targets["legal"][..., 0], torch.ones_like(dyck.signals["depth"].values))
    assert torch.equal(dyck.targets["legal"][..., 1], dyck.signals["closable"].values)


def test_tracking_events_come_at_their_rate():
    batch = Tracking(rate=0.3).sample(500, seed=0)
    assert torch.allclose(batch.inputs[..., : len(EVENTS)].mean((0, 1)), torch.tensor(0.3), atol=0.01)


def test_dyck1_strings_of_a_length_are_equally_likely():
    batch = Dyck1(min_length=6, max_length=6).sample(10_000, seed=0)
    counts = Counter(map(tuple, batch.inputs[..., 0].int().tolist()))
    assert len(counts) == 5  # the third Catalan number
    assert all(abs(count - 2000) < 5 * 2000**0.5 for count in counts.values())


def test_dyck1_next_symbols():
    batch = Dyck1(min_length=2, max_length=12, predict="next").sample(50, seed=0)
    for inputs, symbols, length in zip(batch.inputs, batch.targets["next"], batch.lengths.tolist()):
        coming = [0 if open_ else 1 for open_ in inputs[1:length, 0]] + [2]
        assert symbols[:length].tolist() == coming


@pytest.mark.parametrize(("shortest", "longest"), [(2, 2), (2, 8), (4, 10)])
def test_dyck1_entropy_by_brute_force(shortest, longest):
    """All strings written out, and the entropy of the next symbol after each of their prefixes."""
    chances = {}
    lengths = range(shortest, longest + 1, 2)
    for n in lengths:
        strings = [s for s in product((1, -1), repeat=n) if sum(s) == 0 and min(accumulate(s)) >= 0]
        chances |= {s: 1 / len(lengths) / len(strings) for s in strings}
    prefixes = defaultdict(float)
    for string, chance in chances.items():
        for k in range(1, len(string) + 1):
            prefixes[string[:k]] += chance
    nats = 0.0
    for prefix, mass in prefixes.items():
        following = [prefixes.get((*prefix, 1), 0), prefixes.get((*prefix, -1), 0), chances.get(prefix, 0)]
        nats -= sum(x * log(x / mass) for x in following if x > 0)
    expected = nats / (sum(lengths) / len(lengths))
    assert Dyck1(shortest, longest, "next").entropy == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "problems"),
    [
        (lambda: Tracking(length=1, rate=2.0), ["task.length=1", "task.rate=2:"]),
        (lambda: Tracking(length=10, min_length=11), ["task.min_length=11"]),
        (lambda: FlipFlop(bits=0), ["task.bits=0: must be a whole number from 1 to 16"]),
        (lambda: FlipFlop(length=10, min_length=11), ["task.min_length=11"]),
        (lambda: Dyck1(min_length=10, max_length=4), ["task.min_length=10: must be at most task.max_length=4"]),
        (lambda: Dyck1(min_length=3, max_length=3), ["even lengths"]),
        (lambda: Dyck1(predict="depth"), ["task.predict=depth: must be"]),
    ],
)
def test_bad_parameters_are_all_named(make, problems):
    names_all(make, problems)
