"""Counters, heading, majority and evidence against a slow, plain re-computation from the inputs alone."""

import cmath
from collections import Counter
from itertools import product

import pytest
import torch

from lstm_probe.network.model import SequenceModel
from lstm_probe.tasks.numbers.evidence import Evidence
from lstm_probe.tasks.numbers.heading import Heading
from lstm_probe.tasks.numbers.majority import Majority
from lstm_probe.tasks.numbers.modular_counter import ModularCounter
from lstm_probe.tasks.numbers.parity import Parity
from tests.tasks.oracles import compare, function_of_its_seed, hot, identity, names_all


def parity_oracle(inputs, task):
    ones, since, rows = 0, 0, []
    for step, (bit,) in enumerate(inputs):
        ones, since = ones + bit, 0 if bit else since + 1
        parity = ones % 2
        rows.append(({"parity": parity, "ones": ones, "since": since, "step": step}, {"parity": [parity]}))
    return rows


def modular_oracle(inputs, task):
    place = net = moves = 0
    rows = []
    for step, lines in enumerate(inputs):
        move = hot(lines) - 1
        place = (place + move + task.modulus) % task.modulus
        net, moves = net + move, moves + (move != 0)
        rows.append(({"place": place, "net": net, "moves": moves, "step": step}, {"place": place}))
    return rows


def heading_oracle(inputs, task):
    """The direction of a vector that is turned, in complex numbers."""
    direction, net, turned, rows = 1 + 0j, 0.0, 0.0, []
    for step, (turn,) in enumerate(inputs):
        direction *= cmath.exp(1j * turn)
        net, turned = net + turn, turned + abs(turn)
        signals = {"heading": cmath.phase(direction), "net": net, "turned": turned, "step": step}
        rows.append((signals, {"heading": [direction.imag, direction.real]}))
    return rows


def majority_oracle(inputs, task):
    bits, rows = [], []
    for step, lines in enumerate(inputs):
        bits.append(hot(lines))
        ones, zeros = bits.count(1), bits.count(0)
        majority = int(ones > zeros)
        signals = {"majority": majority, "lead": ones - zeros, "tie": int(ones == zeros), "ones": ones,
                   "step": step}  # fmt: skip
        rows.append((signals, {"majority": [majority]}))
    return rows


def evidence_oracle(inputs, task):
    counts, rows = [0] * task.classes, []
    for step, lines in enumerate(inputs):
        word = hot(lines)
        if word:
            counts[word - 1] += 1
        first, second = sorted(counts)[:-3:-1]
        mean = sum(counts) / task.classes
        leader = counts.index(first)
        signals = {"leader": leader + 1 if first > second else 0, "lead": first - second, "told": sum(counts),
                   **{f"evidence{k}": count for k, count in enumerate(counts)},
                   **{f"ahead{k}": count - mean for k, count in enumerate(counts)},
                   "word": word, "step": step}  # fmt: skip
        rows.append((signals, {"class": leader if step == len(inputs) - 1 else None}))
    assert first > second
    return rows


CASES = [
    (Parity(), parity_oracle),
    (Parity(length=30, min_length=2, rate=0.2), parity_oracle),
    (ModularCounter(), modular_oracle),
    (ModularCounter(modulus=2, length=40, min_length=3), modular_oracle),
    (Heading(), heading_oracle),
    (Heading(length=30, min_length=2, turn=1.5), heading_oracle),
    (Majority(), majority_oracle),
    (Majority(length=33, min_length=4, rate=0.7), majority_oracle),
    (Evidence(), evidence_oracle),
    (Evidence(classes=2, length=1, neutral=0.9), evidence_oracle),
    (Evidence(classes=6, length=23, min_length=2, neutral=0.0), evidence_oracle),
]


@pytest.mark.parametrize(("task", "oracle"), CASES, ids=identity)
def test_signals_and_targets_agree_with_the_oracle(task, oracle):
    compare(task, oracle)


@pytest.mark.parametrize("task", [task for task, _ in CASES], ids=lambda task: repr(task)[:40])
def test_a_sample_is_a_function_of_its_seed(task):
    function_of_its_seed(task)


def test_ones_come_at_their_rate():
    for task in (Parity(rate=0.3), Majority(rate=0.3)):
        batch = task.sample(2000, seed=0)
        assert float(batch.signals["ones"].values[:, -1].mean() / task.length) == pytest.approx(0.3, abs=0.01)


def test_sequences_without_a_tie_keep_their_chances():
    """All sequences of three words written out; those with one leader keep their shares among each other."""
    chances = {}
    for words in product(range(3), repeat=3):
        if words.count(1) != words.count(2):
            chances[words] = 0.4 ** words.count(0) * 0.3 ** (3 - words.count(0))
    total = sum(chances.values())
    batch = Evidence(classes=2, length=3, neutral=0.4).sample(20_000, seed=0)
    drawn = Counter(map(tuple, batch.inputs.argmax(-1).tolist()))
    assert set(drawn) == set(chances)
    for words, chance in chances.items():
        expected = 20_000 * chance / total
        assert abs(drawn[words] - expected) < 5 * expected**0.5


@pytest.mark.parametrize("classes", [2, 3, 7])
@torch.no_grad()
def test_one_unit_fewer_than_classes_is_enough_for_evidence(classes):
    """By hand: each unit counts a class against the last one, whose own logit is 0."""
    task, n, small = Evidence(classes=classes, min_length=5), classes - 1, 1e-2
    model = SequenceModel(task.n_inputs, classes, n, seed=0)
    for weights in model.parameters():
        weights.zero_()
    model.lstm.bias_ih_l0.view(4, n)[[0, 1, 3]] = 30  # i, f and o are open
    cell = model.lstm.weight_ih_l0.view(4, n, classes + 1)[2]
    cell[:, 1:classes], cell[:, classes] = small * torch.eye(n), -small
    model.readout.weight[:n] = torch.eye(n)
    batch = task.sample(1000, seed=1)
    assert batch.scores(model(batch.inputs)) == {"class": 1.0}


@pytest.mark.parametrize(
    ("make", "problems"),
    [
        (lambda: Parity(length=0, rate=1.0), ["task.length=0", "task.rate=1"]),
        (lambda: Parity(min_length=21), ["task.min_length=21: must be at most task.length=20"]),
        (lambda: ModularCounter(modulus=1, min_length=30), ["task.modulus=1", "task.min_length=30"]),
        (lambda: Heading(length=0, turn=4.0), ["task.length=0", "task.turn=4"]),
        (lambda: Majority(length=1, rate=0.0), ["task.length=1", "task.rate=0"]),
        (
            lambda: Evidence(classes=1, length=3, min_length=4, neutral=1.0),
            ["task.classes=1", "task.neutral=1", "task.min_length=4: must be at most task.length=3"],
        ),
    ],
)
def test_bad_parameters_are_all_named(make, problems):
    names_all(make, problems)
