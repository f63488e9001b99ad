"""Results on other cells: what is measured of networks whose counters and memories are known by hand."""

from types import SimpleNamespace

import pytest
import torch

from lstm_probe.network.model import SequenceModel
from lstm_probe.reproduce import cells
from lstm_probe.reproduce.networks import Trained, settings
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.tasks import get_task


def quick(monkeypatch, **less):
    """Train for two updates, which makes what is measured no better and no worse defined."""
    made = cells.trained

    def trained(key, seed, **changes):
        return made(key, seed, **changes, steps=2, **less)

    monkeypatch.setattr(cells, "trained", trained)
    monkeypatch.setattr(cells, "LATE", 60)
    monkeypatch.setattr(cells, "LENGTH", 70)


@pytest.mark.parametrize("key", ["counters", "continual", "forget_gate"])
def test_every_measure_is_measured(key, monkeypatch):
    quick(monkeypatch)
    monkeypatch.setattr(cells, "first_failure", lambda net: 3)
    values = RESULTS[key].measure(1)
    assert set(values) == {measure.name for measure in RESULTS[key].measures}
    assert all(measure.low <= values[measure.name] <= measure.high for measure in RESULTS[key].measures)
    assert RESULTS[key].measure(1) == values


def counting(step):
    """An LSTM of two units whose second memory counts a's minus b's in so large steps; the first does nothing."""
    task = get_task(**settings("counters").task)
    model = SequenceModel(task.n_inputs, task.n_outputs, 2)
    a, b = (int(task.batch(torch.tensor([1])).inputs[0, k].argmax()) for k in (1, 2))
    with torch.no_grad():
        for values in model.lstm.parameters():
            values.zero_()
        model.lstm.bias_ih_l0[:4] = 30.0  # i and f of both
        model.lstm.weight_ih_l0[5, a], model.lstm.weight_ih_l0[5, b] = (torch.atanh(torch.tensor(sign * step))
                                                                         for sign in (1, -1))  # fmt: skip
    return Trained(model, task, 0)


@pytest.mark.parametrize("step", [0.5, -0.01])
def test_a_counter_by_hand_grows_four_times(step):
    assert cells.growth(counting(step), seed=0) == pytest.approx(4, abs=1e-4)


def test_a_counter_that_leaks_does_not():
    net = counting(0.5)
    with torch.no_grad():
        net.model.lstm.bias_ih_l0[3] = 2.0  # f = 0.88: it comes to rest
    assert cells.growth(net, seed=0) == pytest.approx(1, abs=1e-2)


def test_a_stream_by_hand():
    """One memory takes in 0.5 at every step: after 901 symbols it holds 901 / 51 of what it held after 51."""
    task = get_task(**settings("continual").task)
    model = SequenceModel(task.n_inputs, task.n_outputs, 1)
    with torch.no_grad():
        for values in model.parameters():
            values.zero_()
        model.lstm.bias_ih_l0[:3] = torch.tensor([30.0, 30.0, float(torch.atanh(torch.tensor(0.5)))])
        model.readout.bias.fill_(-1.0)
    found = cells.stream(Trained(model, task, 0), seed=0)
    assert found["grown"] == pytest.approx(901 / 51, abs=1e-3) and found["size"] == pytest.approx(450.5, abs=1e-2)
    assert found["right"] == 0  # something is always legal, and it says that nothing is
    with torch.no_grad():
        model.lstm.bias_ih_l0[1] = 0.0  # f = 0.5: it holds 1 and no more
    assert cells.stream(Trained(model, task, 0), seed=0)["grown"] == pytest.approx(1, abs=1e-6)


def test_the_networks_differ_in_their_cell_alone(monkeypatch):
    seen = []

    def trained(key, seed, **changes):
        seen.append((key, seed, changes))
        return SimpleNamespace(model=changes.get("cell", "lstm"), task=SimpleNamespace(sample=lambda n, seed: None))

    monkeypatch.setattr(cells, "trained", trained)
    monkeypatch.setattr(cells, "stream", lambda net, seed: {"right": 0.5, "grown": 1.0, "size": 1.0})
    left = {"lstm": 0.1, "lstm_no_forget": 0.6, "lstm+no_input_gate": 0.1, "lstm_coupled": 0.3}
    monkeypatch.setattr(
        cells, "evaluate", lambda model, batch: {"a": 1 - left.get(model, 0.2), "b": 1 - left.get(model, 0.2)}
    )
    assert cells.forget_gate(4)["times"] == pytest.approx(2)
    cells.continual(4)
    assert [changes.get("cell", "lstm") for _, _, changes in seen] == [
        "lstm", "lstm_no_forget", "lstm+no_input_gate", "lstm+no_output_gate", "lstm+output:linear",
        "lstm_coupled", "lstm+input:linear", "lstm", "lstm_no_forget",
    ]  # fmt: skip
    assert {(key, seed) for key, seed, _ in seen} == {("forget_gate", 4), ("continual", 4)}
