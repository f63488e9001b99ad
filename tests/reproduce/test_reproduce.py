"""`reproduce`: the rule of every verdict, what is kept, and what is measured."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from lstm_probe.core.files import configuration_folder
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.planted import latch
from lstm_probe.report.reproduction import ours
from lstm_probe.reproduce import KEYS, store
from lstm_probe.reproduce.counting import first_failure
from lstm_probe.reproduce.networks import Trained, other_lengths, settings, train
from lstm_probe.reproduce.remembering import attractors
from lstm_probe.reproduce.result import Measure
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.runs.store import result_config
from lstm_probe.tasks import TASKS, get_task
from tests.reproduce.made import made


def reaching(measure: Measure) -> float:
    """Return a value that reaches a measure's goal."""
    if measure.least is not None:
        return measure.least
    return measure.most if measure.most is not None else 0.0


def missing(measure: Measure) -> float:
    """Return a value that does not."""
    return measure.least - 1e-3 if measure.least is not None else measure.most + 1e-3


# The table of results


def test_the_table_is_complete():
    assert tuple(RESULTS) == KEYS
    for key, result in RESULTS.items():
        assert result.key == key
        assert result.goals
        assert len({measure.name for measure in result.measures}) == len(result.measures)
        assert all(goal.goal in result.rule for goal in result.goals)
        for measure in result.measures:
            assert measure.low < measure.high
            assert measure.line is None or measure.low <= measure.line <= measure.high


def test_trained_results_have_an_experiment_and_no_others():
    there = {path.stem for path in (configuration_folder() / "experiment").glob("*.yaml")}
    assert {key for key, result in RESULTS.items() if result.trained} == there & set(KEYS)
    for key in there & set(KEYS):
        assert settings(key).task["name"] in TASKS


def test_an_experiment_is_what_train_composes():
    from tests.cli.test_config import composed

    for key in ("adding", "flipflop", "copy_memory", "recall", "evidence", "python_source"):
        own = settings(key)
        whole = result_config(composed("train", f"experiment={key}"))
        assert result_config(own) == {k: v for k, v in whole.items() if k in result_config(own)}


# The verdicts


@pytest.mark.parametrize("key", KEYS)
def test_the_verdict_of_every_result(key):
    result = RESULTS[key]
    good = {measure.name: reaching(measure) for measure in result.measures}
    main = result.goals[0]
    bad = {**good, main.name: missing(main)}
    n = len(result.seeds(4))
    assert result.judge([good] * n) == "reproduced"
    assert result.judge([bad] * n) == "not reproduced"
    assert result.judge([]) == "not reproduced"
    for goal in result.goals[1:]:
        assert result.judge([{**good, goal.name: missing(goal)}] * n) == "partly"
        assert result.judge([{**good, goal.name: math.nan}] * n) == "partly"
    for failed in range(n + 1):
        verdict = result.judge([good] * (n - failed) + [bad] * failed)
        enough = (n - failed) / n >= result.needed
        assert verdict == ("reproduced" if enough else "partly" if failed < n else "not reproduced")


def test_a_goal_with_two_ends_is_met_between_them():
    both = Measure("m", "", least=0.25, most=0.5)
    assert all(both.met(value) for value in (0.25, 0.4, 0.5))
    assert not any(both.met(value) for value in (0.2, 0.6, math.nan))
    assert both.goal == "m ≥ 0.25 and m ≤ 0.5"


def test_the_interval_is_student_s_and_stays_possible():
    values = [0.2, 0.5, 0.4, 0.35, 0.3]
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert Measure("m", "").interval(values) == pytest.approx(expected)
    assert Measure("m", "").interval([0.0, 1.0, 0.0, 1.0, 0.5]) == (0.0, 1.0)


@pytest.mark.parametrize("few", [[0.3], [0.3, 0.5], [0.3, 0.5, 0.4], [0.3, 0.5, 0.4, 0.4]])
def test_fewer_than_five_seeds_have_no_interval(few):
    assert all(math.isnan(end) for end in Measure("m", "").interval(few))
    assert ours(Measure("m", ""), few) == f"{np.mean(few):.4f}"


# What is kept


def test_nothing_is_measured_twice_and_an_interrupted_result_goes_on(tmp_path):
    calls: list[int] = []
    result = made(calls)
    first = store.reproduce(result, tmp_path, 2)
    assert calls == [0, 1]
    assert (first.of("score"), first.verdict) == ([0.5, 0.6], "partly")
    again = store.reproduce(result, tmp_path, 2)
    assert calls == [0, 1]
    assert again.values == first.values
    assert again.seconds == first.seconds
    more = store.reproduce(result, tmp_path, 4)
    assert calls == [0, 1, 2, 3]
    assert more.of("score") == [0.5, 0.6, 0.7, 0.8]
    assert store.reproduce(result, tmp_path, 1).of("score") == [0.5]
    store.reproduce(result, tmp_path, 2, force=True)
    assert calls == [0, 1, 2, 3, 0, 1]
    assert [path.name for path in (tmp_path / "reproduce").iterdir()] == ["made.json"]


def test_each_seed_is_kept_as_soon_as_it_is_there(tmp_path):
    calls: list[int] = []
    good = made(calls)

    def killed(seed: int):
        if seed == 1:
            raise KeyboardInterrupt
        return good.measure(seed)

    with pytest.raises(KeyboardInterrupt):
        store.reproduce(replace(good, measure=killed), tmp_path, 3)
    assert store.reproduce(good, tmp_path, 3).of("score") == [0.5, 0.6, 0.7]
    assert calls == [0, 1, 2]


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"hash": "x", "seeds": {}}', '{"seeds": 3}'])
def test_a_damaged_file_is_measured_again(damage, tmp_path):
    calls: list[int] = []
    result = made(calls)
    store.reproduce(result, tmp_path, 1)
    store.result_file(tmp_path, "made").write_text(damage)
    assert store.reproduce(result, tmp_path, 1).of("score") == [0.5]
    assert calls == [0, 0]


def test_another_way_of_measuring_is_measured_again(tmp_path):
    calls: list[int] = []
    store.reproduce(made(calls), tmp_path, 1)
    store.reproduce(made(calls, computed="in another way"), tmp_path, 1)
    assert calls == [0, 0]


# What is measured


def test_networks_are_those_of_train():
    config = replace(settings("parity"), seed=3, steps=40)
    task = get_task(**config.task)
    model = SequenceModel(task.n_inputs, task.n_outputs, config.units, seed=derive_seed(3, "weights"))
    Trainer(
        model, task, steps=40, batch=config.batch, lr=config.lr, clip=config.clip, seed=3,
        evaluate_every=config.evaluate_every,
    ).fit()  # fmt: skip
    own = train(config)
    assert own.steps == 40
    for ours_, theirs in zip(own.model.parameters(), model.parameters()):
        assert torch.equal(ours_, theirs)


def test_the_plain_network_is_an_elman_network():
    model = SequenceModel(2, 1, 3, seed=0, cell="rnn")
    assert type(model.lstm) is nn.RNN
    inputs = torch.randn(2, 5, 2)
    h = torch.zeros(2, 3)
    w, u, b, d = model.lstm.parameters()
    for t in range(5):
        h = torch.tanh(inputs[:, t] @ w.T + b + h @ u.T + d)
    torch.testing.assert_close(model(inputs)[:, -1], model.readout(h))


def test_attractors_of_a_network_by_hand():
    net = latch()  # its forget gate is 1: it stays wherever it is put, and nothing draws it back
    batch = net.sample(24, 8, seed=0)
    assert attractors(net.model, batch) == 0
    with torch.no_grad():  # now it hears itself: c becomes tanh(8 h + 20 (set − reset))
        net.model.lstm.weight_ih_l0.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.0], [20.0, -20.0], [0.0, 0.0]]))
        net.model.lstm.weight_hh_l0.copy_(torch.tensor([[0.0], [0.0], [8.0], [0.0]]))
        net.model.lstm.bias_ih_l0.copy_(torch.tensor([50.0, -50.0, 0.0, 50.0]))
        net.model.lstm.bias_hh_l0.zero_()
    assert attractors(net.model, batch) == 2


def test_first_failure_is_the_smallest_n_that_goes_wrong():
    task = get_task("anbn", max_n=5)

    class Until(SequenceModel):
        """Knows the strings up to some n."""

        def __init__(self, n: int) -> None:
            super().__init__(task.n_inputs, task.n_outputs, 1)
            self.n = n

        def forward(self, inputs):
            n = int(inputs[0, :, 1].sum())
            legal = task.batch(torch.tensor([n])).targets["legal"]
            return (legal * 2 - 1) * (1 if n <= self.n else -1)

    assert first_failure(Trained(Until(7), task, 0), 12) == 8
    assert first_failure(Trained(Until(99), task, 0), 12) == 13


def test_other_lengths_change_nothing_else():
    task = get_task("dyck1")
    batch = other_lengths(task, 50, 0, min_length=52, max_length=100)
    assert int(batch.lengths.min()) >= 52
    assert int(batch.lengths.max()) <= 100


def test_hand_built_results_come_out(tmp_path):
    outcomes = [store.reproduce(RESULTS[key], tmp_path, 1) for key in ("bounded_dyck", "parameters")]
    assert [outcome.verdict for outcome in outcomes] == ["reproduced"] * 2
    assert outcomes[0].values[0] == {"wrong": 0, "off": 0, "units_2_3": 6, "units_8_5": 40}
    assert outcomes[1].values[0] == {"wrong": 0, "pytorch_3_10": 600, "pytorch_50_64": 18432}


def test_the_memoryless_predictor_costs_what_the_formula_says():
    from lstm_probe.reproduce import remembering

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembering, "settings", lambda key: replace(settings(key), steps=1))
        values = remembering.copy_memory(0)
    assert values["formula"] == pytest.approx(10 * math.log(8) / 120)
    assert values["memoryless"] == pytest.approx(values["formula"], rel=1e-6)
    assert values["network"] > 1  # a single update: it has learned nothing yet
