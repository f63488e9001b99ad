"""Text in the explorer: its colours are what the network computes; passages are where a unit is highest or lowest."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from lstm_probe.report.explorer import text as explorer_text
from lstm_probe.report.explorer.text import AFTER, BEFORE, PASSAGES, passages, text_of
from lstm_probe.runs.run import Run
from lstm_probe.tasks import get_task


def unpacked(packed):
    content = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]).newbyteorder("<"))
    return content.reshape(packed["shape"])


def reading_run(task, units=5, layers=1):
    """A network that reads a text, as a run holds it."""
    run = Run(Path("nowhere"), {"seed": 1})
    run.__dict__.update({"task": task, "model": SequenceModel(task.n_inputs, task.n_outputs, units, layers, seed=3)})
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    rng = np.random.default_rng(0)
    words = ["tick", "(deep (er))", '"quo ted"', "42", "End", "\tx"]
    path.write_text("\n".join(" ".join(rng.choice(words, 6)) for _ in range(900)))
    return reading_run(get_task("text", path=str(path), length=50, held_out=0.5), layers=2)


def test_what_colours_a_text_is_what_the_network_computes_on_it(run, monkeypatch):
    monkeypatch.setattr(explorer_text, "LENGTH", 120)
    monkeypatch.setattr(explorer_text, "CANDIDATES", 4)
    units = [(1, "forward", 2), (0, "forward", 4)]
    found = text_of(run, units, ["step", "no such signal"], "c")
    assert found["signals"][1] is None and found["read"] == 480
    starts, all_values = 0, unpacked(found["values"]["values"])
    low, high = unpacked(found["values"]["low"]), unpacked(found["values"]["high"])
    for stretch in found["stretches"]:
        assert len(stretch) == 120 and stretch in run.task.corpus.held_out
        symbols = [run.task.alphabet.index(character) for character in stretch]
        x = torch.nn.functional.one_hot(torch.tensor(symbols), run.task.n_inputs).float()[None]
        for row, (layer, _, unit) in enumerate(units):
            memory = by_steps(run.model.lstm, x, layer)[:, unit]
            shown = low[row] + (high[row] - low[row]) * all_values[row, starts : starts + 120] / 65534
            np.testing.assert_allclose(shown, memory, atol=1e-4)
        np.testing.assert_array_equal(unpacked(found["signals"][0])[starts : starts + 120], range(120))
        starts += 120
    assert starts == all_values.shape[1]


@torch.no_grad()
def by_steps(lstm, x, layer):
    """The memory of a layer, from a module that is asked for one step after the other."""
    state, memory = None, []
    for t in range(x.shape[1]):
        _, state = lstm(x[:, t : t + 1], state)
        memory.append(state[1][layer, 0])
    return torch.stack(memory).numpy()


def test_a_text_that_is_gone_and_a_task_without_one_have_none(run):
    assert text_of(reading_run(get_task("flipflop")), [(0, "forward", 0)], [], "c") is None

    class Gone(Run):
        @property
        def task(self):
            raise InputError("task.path: no such file")

    assert text_of(Gone(Path("nowhere"), {"seed": 0}), [(0, "forward", 0)], [], "c") is None


@pytest.mark.parametrize("sign", [1, -1])
def test_passages_are_where_a_unit_is_most_extreme_and_none_overlap(sign):
    rng = np.random.default_rng(5)
    c = rng.normal(size=(3, 4, 300)).cumsum(2)
    c[2] = 0.25
    lengths = np.array([300, 250, 300, 90])
    mask = np.arange(300) < lengths[:, None]
    texts = ["".join(chr(0x4E00 + 1000 * k + t) for t in range(n)) for k, n in enumerate(lengths)]
    found = passages(c, mask, texts, sign)
    assert found[2] == []
    for values, own in zip(c[:2], found):
        taken = np.zeros_like(mask)
        assert len(own) == PASSAGES
        for one in own:
            k = next(k for k, text in enumerate(texts) if one["text"] in text)
            start = texts[k].index(one["text"])
            t, end = start + one["peak"], start + len(one["text"])
            assert start == max(0, t - BEFORE) and end == min(lengths[k], t + AFTER + 1)
            free = [sign * values[a, b] for a in range(4) for b in range(lengths[a])
                    if not taken[a, max(0, b - BEFORE) : b + AFTER + 1].any()]  # fmt: skip
            assert sign * values[k, t] == max(free)
            taken[k, start:end] = True
            low, high = values[mask].min(), values[mask].max()
            np.testing.assert_array_equal(
                unpacked(one["values"]), np.rint(255 * (values[k, start:end] - low) / (high - low))
            )
