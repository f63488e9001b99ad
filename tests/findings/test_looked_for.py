"""The list of codes that were looked for is true of every choice of analyses and kinds of signals."""

from itertools import combinations

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.findings.looked_for import ANGLES, CODES, NEVER, looked_for
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.runs.analyses import ANALYSES, default_names


def parts(sentence):
    made, missed = sentence.removesuffix(".").removeprefix("Looked for: ").split(". Not looked for: ")
    return [] if made == "nothing" else made.split("; "), missed.split("; ")


def test_every_code_is_on_one_side_and_that_of_what_was_made():
    for size in range(len(CODES) + 1):
        for chosen in combinations(CODES, size):
            made, missed = parts(looked_for(["ablations", *chosen], ["continuous", "binary"]))
            assert made == [words for name in chosen for words in CODES[name]]
            asked = [f"{words} (analysis {name})" for name in CODES if name not in chosen for words in CODES[name]]
            assert missed == [*asked, f"{ANGLES} (no signal is of kind circular)", *NEVER]


def test_angles_are_looked_for_where_a_signal_is_one():
    made, missed = parts(looked_for(["probes"], ["circular", "binary"]))
    assert made[-1] == ANGLES and not any(ANGLES in words for words in missed)
    assert looked_for([], ["circular"]).startswith("Looked for: nothing. Not looked for: ")


def test_names_are_those_of_the_list():
    assert set(CODES) <= set(ANALYSES)
    made, missed = parts(looked_for(default_names("probe"), ["continuous"]))
    assert "one unit along a curve" in made and "two signals together in one unit (analysis conjunctions)" in missed


@pytest.mark.parametrize("name", ["tuning", "power", "ablations", "description", "confounds"])
def test_what_looks_for_no_code_changes_nothing(name):
    assert looked_for(["probes", name], []) == looked_for(["probes"], [])


def test_of_earlier_values_those_are_named_that_were_looked_at():
    """A unit that shows what came four steps ago, of noise, is found at no other lag; the sentence says so."""
    made, missed = parts(looked_for(["probes", "memory"], [], lags=[0, 2, 1, 2, 5, 0]))
    assert made[-1] == "what a signal was 1, 2 and 5 steps ago"
    assert "what it was any other number of steps ago" in missed
    assert parts(looked_for(["memory"], [], lags=[0, 1]))[0] == ["what a signal was 1 step ago"]
    assert looked_for(["probes", "memory"], [], lags=[0]) == looked_for(["probes", "memory"], [])
    assert looked_for(["probes"], [], lags=[0, 1]) == looked_for(["probes"], [])
    x = np.random.default_rng(0).normal(size=(60, 16))
    shown = np.concatenate([np.zeros((60, 4)), x[:, :-4]], axis=1)
    part = LayerRecording(0, "forward", torch.zeros(60, 16, 1), c=torch.from_numpy(shown[..., None]).float())
    rec = Recording({(0, "forward"): part}, torch.full((60,), 16), LSTMConfig(1, 1))
    for lags, held in ((None, False), ([0, 4], True)):
        memory = lp.memory_curves(rec, {"x": x}, lags=lags, permutations=99, init="torch")
        assert memory["held"].any() == held
        table = lp.probe_units(rec, {"x": x}, permutations=99, bootstrap=2, init="torch")
        told = parts(lp.answer(table, memory=memory).sentences[-1])[0]
        assert f"what a signal was {'4' if held else '1, 2, 3, 5 and 8'} steps ago" in told
