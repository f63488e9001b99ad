"""Every task is learned far above chance by a small network in a few seconds."""

import pytest

from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer, evaluate
from lstm_probe.tasks import TASKS, get_task

#: task, its parameters, units, steps, what every target must at least score
CASES = [
    ("tracking", {"length": 12, "cap": 5}, 10, 400, 0.3),
    ("flipflop", {"bits": 2, "length": 10}, 6, 200, 0.5),
    ("copy", {"symbols": 2, "items": 2, "delay": 2}, 8, 300, 0.5),
    ("delayed_recall", {"symbols": 2, "delay": 5, "min_delay": 2, "lead": 2}, 6, 300, 0.5),
    ("recall", {"values": 2, "delay": 2}, 2, 200, 0.5),
    ("temporal_order", {"length": 10}, 6, 300, 0.5),
    ("noisy_two_sequence", {"length": 10, "min_length": 4}, 4, 200, 0.5),
    ("adding", {"length": 6}, 6, 400, 0.5),
    ("multiplication", {"length": 6}, 6, 400, 0.5),
    ("delay_timing", {"length": 15, "interval": 2, "cap": 6, "rate": 0.2}, 8, 400, 0.5),
    ("heading", {"length": 8}, 8, 400, 0.5),
    ("parity", {"length": 8}, 4, 400, 0.5),
    ("modular_counter", {"modulus": 3, "length": 8}, 6, 400, 0.5),
    ("majority", {"length": 10}, 4, 300, 0.5),
    ("evidence", {"length": 10}, 4, 300, 0.5),
    ("anbn", {"max_n": 4}, 4, 300, 0.5),
    ("anbncn", {"max_n": 4}, 6, 300, 0.5),
    ("dyck1", {"max_length": 12}, 2, 300, 0.5),
    ("shuffle", {"max_length": 10}, 6, 400, 0.5),
    ("dyck", {"max_depth": 2, "max_length": 10}, 6, 400, 0.5),
    ("tomita", {"max_length": 10}, 6, 300, 0.5),
    ("reber", {"variant": "simple", "max_length": 10}, 8, 300, 0.5),
    ("agreement", {"attractors": 1, "nesting": 0, "words": 2}, 6, 200, 0.5),
    ("text", {"length": 30, "symbols": 30}, 16, 150, 0.1),
    ("python_source", {"length": 30, "characters": 200_000}, 16, 150, 0.1),
    ("compose", {"parts": ["flipflop:bits=1,length=10", "parity:length=8"]}, 8, 400, 0.5),
    ("table", {}, 8, 300, 0.5),
]


def test_no_task_is_missing():
    assert {case[0] for case in CASES} == set(TASKS)


@pytest.mark.parametrize(("name", "parameters", "units", "steps", "least"), CASES, ids=[case[0] for case in CASES])
def test_a_small_network_learns_it(name, parameters, units, steps, least):
    task = get_task(name, **parameters)
    own = Trainer(SequenceModel(task.n_inputs, task.n_outputs, units, seed=0), task, steps=steps, lr=0.02)
    own.fit()
    scores = evaluate(own.model, task.sample(400, seed=99))
    assert all(least <= score <= 1 for score in scores.values()), scores
