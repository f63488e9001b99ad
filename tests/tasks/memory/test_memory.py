"""The memory tasks against a slow, plain re-computation from the inputs alone."""

from itertools import product

import pytest
import torch

from lstm_probe.network.model import SequenceModel
from lstm_probe.tasks.memory.copy import Copy
from lstm_probe.tasks.memory.delayed_recall import DelayedRecall
from lstm_probe.tasks.memory.noisy_two_sequence import NoisyTwoSequence
from lstm_probe.tasks.memory.recall import Recall
from lstm_probe.tasks.memory.temporal_order import SYMBOLS, TemporalOrder
from lstm_probe.tasks.numbers.adding import Adding
from lstm_probe.tasks.numbers.delay_timing import DelayTiming
from lstm_probe.tasks.numbers.multiplication import Multiplication
from tests.tasks.oracles import compare, function_of_its_seed, hot, identity, names_all


def copy_oracle(inputs, task):
    """Lists of (symbol lines, go); the third value of a step is what counts there, None for nothing."""
    listed, waited, said, gone, rows = [], 0, 0, False, []
    for step, (*lines, go) in enumerate(inputs):
        symbol = hot(lines)
        if symbol is not None:
            assert not gone and step == len(listed) < task.items
            listed.append(symbol)
        else:
            assert len(listed) == task.items
            waited += 1
        due = listed[said] if gone else None
        slots = {f"slot{k}": listed[k] + 1 if k < len(listed) else 0 for k in range(task.items)}
        phase = 2 if gone else 0 if symbol is not None else 1
        signals = {"due": 0 if due is None else due + 1, **slots, "phase": phase, "said": said,
                   "waited": waited, "step": step}  # fmt: skip
        if task.every_step:
            due = task.symbols if due is None else due
        rows.append((signals, {"recall": due}))
        said += gone
        gone = gone or go == 1
        if go:
            assert (task.min_delay or task.delay) <= waited <= task.delay
    assert said == task.items
    return rows


def delayed_recall_oracle(inputs, task):
    stored, held, rows = None, 0, []
    for step, (*lines, store, recall) in enumerate(inputs):
        symbol = hot(lines)
        held += stored is not None
        if store:
            assert stored is None and symbol is not None and step <= task.lead
            stored = symbol
        signals = {"stored": 0 if stored is None else stored + 1, "holding": int(stored is not None),
                   "held_for": held, "shown": 0 if symbol is None else symbol + 1, "step": step}  # fmt: skip
        rows.append((signals, {"recall": stored if recall else None}))
        assert bool(recall) == (step == len(inputs) - 1)
    assert (task.min_delay or task.delay) <= held <= task.delay
    return rows


def recall_oracle(inputs, task):
    stored, held, rows = None, 0, []
    for step, (*numbers, go) in enumerate(inputs):
        held += stored is not None
        if any(numbers):
            assert stored is None and step <= task.lead and max(map(abs, numbers)) <= 1
            stored = numbers
        now = stored or [0.0] * task.values
        signals = {**{f"value{k}": value for k, value in enumerate(now)}, "holding": int(stored is not None),
                   "held_for": held, "step": step}  # fmt: skip
        rows.append((signals, {"recall": stored if go else None}))
        assert bool(go) == (step == len(inputs) - 1)
    assert (task.min_delay or task.delay) <= held <= task.delay
    return rows


def marked_oracle(inputs, task, name):
    chosen, total, rows = [], 0.0, []
    for step, (value, mark) in enumerate(inputs):
        total += value
        if mark:
            chosen.append(value)
            first_half = step < len(inputs) // 2
            assert first_half == (len(chosen) == 1)
        result = sum(chosen)
        if name == "product":
            result = 1.0
            for factor in chosen:
                result *= factor
        padded = [*chosen, 0, 0]
        signals = {name: result, "first": padded[0], "second": padded[1], "marks": len(chosen),
                   "value": value, "total": total, "step": step}  # fmt: skip
        rows.append((signals, {name: [result] if step == len(inputs) - 1 else None}))
    assert len(chosen) == 2
    return rows


def temporal_order_oracle(inputs, task):
    order = ["".join(row) for k in range(4) for row in product("XY", repeat=k)]
    seen, since, distractor, rows = "", 0, 0, []
    for step, lines in enumerate(inputs):
        symbol = SYMBOLS[hot(lines)]
        assert (symbol == "start") == (step == 0) and (symbol == "end") == (step == len(inputs) - 1)
        since += 1
        if symbol in ("X", "Y"):
            k, tenth = len(seen), len(inputs) // 10
            earliest = max(len(inputs) * k // task.markers, tenth)
            assert earliest <= step <= earliest + tenth
            seen += symbol
            since = 0
        elif symbol in "abcd":
            distractor = "abcd".index(symbol) + 1
        markers = {f"marker{k}": " XY".index(seen[k]) if k < len(seen) else 0 for k in range(task.markers)}
        signals = {"order": order.index(seen), **markers, "markers": len(seen), "since": since,
                   "distractor": distractor, "step": step}  # fmt: skip
        answer = int(seen.replace("X", "0").replace("Y", "1"), 2) if symbol == "end" else None
        rows.append((signals, {"order": answer}))
    assert len(seen) == task.markers
    return rows


def noisy_oracle(inputs, task):
    evidence, noise, rows = 0.0, 0.0, []
    told = int(sum(value for (value,) in inputs[: task.carriers]) > 0)
    for step, (value,) in enumerate(inputs):
        telling = step < task.carriers
        if telling:
            evidence += value
            assert value == 2 * told - 1
        else:
            noise += value
        signals = {"class": told, "evidence": evidence, "noise_sum": noise, "line": value,
                   "telling": int(telling), "step": step}  # fmt: skip
        rows.append((signals, {"class": told if step == len(inputs) - 1 else None}))
    return rows


def delay_timing_oracle(inputs, task):
    elapsed, decoy, cues, rows = 0, 0, 0, []
    scale = min(task.cap, task.length / 2, 1 / task.rate) / 1.5
    for step, (cue, wrong) in enumerate(inputs):
        elapsed, decoy, cues = 0 if cue else elapsed + 1, 0 if wrong else decoy + 1, cues + cue
        since, due = min(elapsed, task.cap), int(elapsed == task.interval)
        signals = {"since": since, "due": due, "passed": int(elapsed >= task.interval),
                   "since_decoy": min(decoy, task.cap), "cues": cues, "step": step}  # fmt: skip
        rows.append((signals, {"since": [since / scale], "due": due}))
        assert step or cue
    return rows


CASES = [
    (Copy(), copy_oracle),
    (Copy(symbols=2, items=1, delay=1), copy_oracle),
    (Copy(symbols=8, items=5, delay=9, min_delay=2, every_step=True), copy_oracle),
    (DelayedRecall(), delayed_recall_oracle),
    (DelayedRecall(symbols=7, delay=6, min_delay=0, lead=0, distractors=0.3), delayed_recall_oracle),
    (Recall(), recall_oracle),
    (Recall(values=1, delay=1, lead=0), recall_oracle),
    (Recall(values=7, delay=9, min_delay=2, lead=6), recall_oracle),
    (Adding(), lambda inputs, task: marked_oracle(inputs, task, "sum")),
    (Adding(length=9, min_length=2), lambda inputs, task: marked_oracle(inputs, task, "sum")),
    (Multiplication(length=12, min_length=4), lambda inputs, task: marked_oracle(inputs, task, "product")),
    (TemporalOrder(), temporal_order_oracle),
    (TemporalOrder(length=100, min_length=10, markers=3), temporal_order_oracle),
    (NoisyTwoSequence(), noisy_oracle),
    (NoisyTwoSequence(length=12, min_length=4, carriers=1, variance=2.0), noisy_oracle),
    (DelayTiming(), delay_timing_oracle),
    (DelayTiming(length=17, min_length=3, rate=0.3, interval=3, cap=5), delay_timing_oracle),
]


@pytest.mark.parametrize(("task", "oracle"), CASES, ids=identity)
def test_signals_and_targets_agree_with_the_oracle(task, oracle):
    compare(task, oracle)


@pytest.mark.parametrize("task", [task for task, _ in CASES], ids=lambda task: repr(task)[:40])
def test_a_sample_is_a_function_of_its_seed(task):
    function_of_its_seed(task)


def test_noisy_carriers_are_noisy_and_tell_the_class_on_average():
    batch = NoisyTwoSequence(length=8, carriers=3, noisy_carriers=True).sample(4000, seed=0)
    told = batch.inputs[:, :3, 0] - (2 * batch.signals["class"].values[:, :3] - 1)
    assert float(told.mean()) == pytest.approx(0, abs=0.02)
    assert float(told.var()) == pytest.approx(0.2, rel=0.05)
    assert float(batch.inputs[:, 3:].var()) == pytest.approx(0.2, rel=0.05)


def test_constant_guesses_cost_what_was_published():
    batch = Adding(length=30).sample(20_000, seed=0)
    assert float(batch.loss(torch.ones(20_000, 30, 1))) == pytest.approx(1 / 6, rel=0.03)
    batch = Multiplication(length=30).sample(20_000, seed=0)
    assert float(batch.loss(torch.full((20_000, 30, 1), 0.25))) == pytest.approx(7 / 144, rel=0.03)


@pytest.mark.parametrize("n", [2, 5, 16])
@torch.no_grad()
def test_as_many_units_as_numbers_recall_them(n):
    """By hand: unit k adds up a little of value k and forgets nothing."""
    task, small = Recall(values=n, delay=7, min_delay=3), 1e-2
    model = SequenceModel(task.n_inputs, task.n_outputs, n, seed=0)
    for weights in model.parameters():
        weights.zero_()
    model.lstm.bias_ih_l0.view(4, n)[[0, 1, 3]] = 30  # i, f and o are open
    model.lstm.weight_ih_l0.view(4, n, n + 1)[2, :, :n] = small * torch.eye(n)
    model.readout.weight.copy_(torch.eye(n) / small)
    batch = task.sample(500, seed=1)
    scores = batch.scores(model(batch.inputs))
    assert scores["recall"] > 0.9999 and task.solved(scores)


@pytest.mark.parametrize("n", [2, 5, 16])
@torch.no_grad()
def test_fewer_units_recall_their_share(n):
    """Whatever a network holds, h of n - 1 units spans n - 1 dimensions; the best readout is least squares."""
    task = Recall(values=n)
    batch = task.sample(6000, seed=1)
    due = batch.targets["recall"][batch.scored_steps("recall")]
    hidden = SequenceModel(task.n_inputs, task.n_outputs, n - 1, seed=0).lstm(batch.inputs)[0]
    hidden = torch.cat([hidden[batch.scored_steps("recall")], torch.ones(6000, 1)], dim=1).double()
    told = hidden @ torch.linalg.lstsq(hidden, due.double()).solution
    one_left_out = due * (torch.arange(n) > 0)
    for best, least in ((told, 0.1), (one_left_out, 1 - 1 / n - 0.005)):
        outputs = torch.zeros_like(batch.targets["recall"])
        outputs[batch.scored_steps("recall")] = best.float()
        scores = batch.scores(outputs)
        assert least < scores["recall"] < 1 - 1 / n + 0.005 and not task.solved(scores)


def test_numbers_to_recall_are_independent_and_uniform():
    batch = Recall(values=3).sample(20_000, seed=0)
    due = batch.targets["recall"][batch.scored_steps("recall")].double()
    assert due.shape == (20_000, 3) and due.min() >= -1 and due.max() <= 1
    torch.testing.assert_close(due.T.cov(), torch.eye(3).double() / 3, rtol=0, atol=0.01)
    for k in range(3):
        assert (due[:, k].histc(bins=8, min=-1, max=1) - 2500).abs().max() < 5 * 2500**0.5


@pytest.mark.parametrize(("n", "least"), [(1, 0.99), (50, 0.99), (64, 1 - 0.5 / 64)])
def test_recall_is_solved_halfway_from_what_one_unit_fewer_can_reach(n, least):
    assert Recall(values=n).targets[0].solved == least > 1 - 1 / n


def test_copy_without_memory_costs_what_was_published():
    """Arjovsky and others: 10 ln 8 / (T + 20) nats a step, for blanks till the marker, any symbol after."""
    batch = Copy(symbols=8, items=10, delay=100, every_step=True).sample(20, seed=0)
    logits = torch.full((20, 120, 9), -1e9)
    logits[:, :110, 8] = 0
    logits[:, 110:, :8] = 0
    assert float(batch.loss(logits)) == pytest.approx(0.1733, abs=1e-4)


@pytest.mark.parametrize("task", [TemporalOrder(), DelayedRecall(), NoisyTwoSequence(), Copy(items=1)])
def test_all_answers_are_equally_likely(task):
    batch = task.sample(8000, seed=3)
    (target,) = task.targets
    counts = batch.targets[target.name][batch.scored_steps(target.name)].bincount(minlength=target.size)
    expected = 8000 / target.size
    assert (counts - expected).abs().max() < 5 * expected**0.5


@pytest.mark.parametrize(
    ("make", "problems"),
    [
        (lambda: Copy(symbols=1, items=0, delay=0), ["task.symbols=1", "task.items=0", "task.delay=0"]),
        (lambda: Copy(delay=3, min_delay=4), ["task.min_delay=4: must be at most task.delay=3"]),
        (lambda: DelayedRecall(distractors=1.5, delay=2), ["task.distractors=1.5", "task.min_delay=5"]),
        (lambda: Recall(values=0, delay=2, min_delay=3), ["task.values=0", "task.min_delay=3: must be at most"]),
        (lambda: Adding(length=1), ["task.length=1"]),
        (lambda: Adding(min_length=1), ["task.min_length=1: must be 0 or at least 2"]),
        (lambda: Multiplication(length=10, min_length=11), ["task.min_length=11"]),
        (lambda: TemporalOrder(min_length=5, markers=4), ["task.markers=4", "task.min_length=5"]),
        (lambda: NoisyTwoSequence(carriers=5), ["task.carriers=5: must be below"]),
        (lambda: NoisyTwoSequence(min_length=3), ["task.carriers=3: must be below"]),
        (lambda: DelayTiming(interval=50, cap=20), ["must be at most task.cap=20", "below task.length=50"]),
    ],
)
def test_bad_parameters_are_all_named(make, problems):
    names_all(make, problems)
