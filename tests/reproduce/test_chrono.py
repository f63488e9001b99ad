"""Chrono initialisation: how a training of it begins, and what its row compares; what the newer rows train."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from lstm_probe.network.settings import Experiment
from lstm_probe.network.training import trainer_of
from lstm_probe.probing.inference.baselines import untrained_recording
from lstm_probe.recorder import record
from lstm_probe.reproduce import remembering
from lstm_probe.reproduce.networks import settings, train
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.runs.store import result_config
from lstm_probe.tasks import get_task


def biases(lstm):
    """Return the sums of the two biases, by gate (i f g o)."""
    return (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy().reshape(4, -1)


@pytest.mark.parametrize("length", [12, 300])
def test_a_training_of_chrono_begins_with_gates_that_span_its_sequences(length):
    """b_f = log u, u uniform from 1 to T − 1, b_i = −b_f; the untrained networks beside it begin so, too."""
    task = {"name": "adding", "length": length}
    model = trainer_of(Experiment(task=task, units=256, init="chrono"), get_task(**task)).model
    i, f, g, o = biases(model.lstm)
    assert kstest(np.exp(f), "uniform", (1, length - 2)).pvalue > 1e-3
    assert np.array_equal(i, -f) and not g.any() and not o.any()
    rec = record(model.lstm, get_task(**task).sample(8, 0).inputs)
    made = untrained_recording(rec, ["f"], 0, 5, rec.config)
    at_first = made.f[:, 0].logit().mean(0).numpy()  # its bias, and what little the input adds
    assert kstest(np.exp(at_first), "uniform", (1, length - 2)).pvalue > 1e-6
    assert made.config.init == "chrono" and np.median(at_first) > np.log(length / 4)


def test_the_row_compares_three_starts_and_a_short_delay(monkeypatch):
    seen = []

    def trained(key, seed, **changes):
        config = replace(settings(key), seed=seed, steps=1, **changes)
        seen.append((config.init, config.forget_bias, config.task["length"], config.units, config.seed))
        return train(config)

    monkeypatch.setattr(remembering, "trained", trained)
    monkeypatch.setattr(remembering, "TEST", 20)
    values = RESULTS["chrono"].measure(3)
    assert seen == [("chrono", None, 200, 32, 3), ("torch", None, 200, 32, 3), ("torch", 1.0, 200, 32, 3),
                    ("torch", None, 20, 32, 3)]  # fmt: skip
    assert set(values) == {measure.name for measure in RESULTS["chrono"].measures}
    assert RESULTS["chrono"].judge([values]) == "not reproduced"


@pytest.mark.parametrize("key", ["zero_ablation", "selectivity", "label_units", "chrono"])
def test_its_networks_are_those_that_train_makes(key):
    from tests.cli.test_config import composed

    whole = result_config(composed("train", f"experiment={key}"))
    own = result_config(settings(key))
    assert own == {name: value for name, value in whole.items() if name in own}


def test_what_counts_as_sooner():
    """Two starts that both learn, or both fail, show nothing."""
    result = RESULTS["chrono"]
    good = {"gain": 0.99, "r2_chrono": 0.99, "r2_torch": 0.0, "r2_bias_1": 0.0, "r2_short": 0.99, "updates": 900}
    assert result.judge([good]) == "reproduced"
    assert result.judge([{**good, "r2_torch": 0.98, "gain": 0.01}]) == "not reproduced"
    assert result.judge([{**good, "r2_chrono": 0.0, "gain": 0.0}]) == "not reproduced"
    assert result.judge([{**good, "r2_short": 0.1}]) == "partly"


def test_each_start_is_scored_by_its_own_r2(monkeypatch):
    """Against R² from the outputs themselves, by hand."""
    nets = []

    def trained(key, seed, **changes):
        nets.append(train(replace(settings(key), seed=seed, steps=150, **{"task": {"name": "adding", "length": 8},
                                                                       **changes})))  # fmt: skip
        return nets[-1]

    monkeypatch.setattr(remembering, "trained", trained)
    values = remembering.chrono(0)
    for name, net in zip(("chrono", "torch", "bias_1", "short"), nets):
        batch = remembering.other_lengths(net.task, 4 * remembering.TEST, 0)
        with torch.no_grad():
            told = net.model(batch.inputs)[:, -1, 0].double()
        true = (batch.inputs[..., 0] * batch.inputs[..., 1]).sum(1).double()
        r2 = 1 - float((told - true).square().mean() / true.var(correction=0))
        assert values[f"r2_{name}"] == pytest.approx(max(0, r2), abs=1e-4)
    assert values["gain"] == pytest.approx(values["r2_chrono"] - values["r2_torch"])
    assert values["updates"] == nets[0].steps
