"""What is said of a run when it is finished."""

import json

import pytest
from torch import nn

from lstm_probe.runs.making import Measuring, finish
from lstm_probe.runs.phases import Phases
from lstm_probe.tasks.numbers.parity import Parity


@pytest.mark.parametrize(("scores", "learned"), [
    ({"a": 0.99, "b": 0.5}, {"a": True, "b": True}), ({"a": 0.49, "b": 0.0}, {"a": False, "b": False}), ({}, {}),
])  # fmt: skip
def test_a_target_is_learned_from_one_half_on_and_solved_as_the_task_says(tmp_path, monkeypatch, scores, learned):
    monkeypatch.setattr(Parity, "solved", lambda task, found: min(found.values()) > 0.4)
    finish(
        tmp_path, nn.Linear(1, 1), Parity(), Phases(),
        {"run": "r", "scores": scores, "not_ablated": "nothing to read"},
        resolved={"units": 4, "layers": 1, "projection": 0, "seed": 0}, measuring=Measuring((), {}, 1, lambda *_: None),
    )  # fmt: skip
    info = json.loads((tmp_path / "run.json").read_text())
    assert info["learned"] == learned and info["solved"] == (scores.get("b") == 0.5)
