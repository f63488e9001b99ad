"""Training: what is learned, and that nothing but the seed decides."""

import pandas as pd
import pytest
import torch

from lstm_probe.core.run_columns import HISTORY_COLUMNS
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer, TrainingError, evaluate
from lstm_probe.recorder import record
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.languages.dyck1 import Dyck1
from lstm_probe.tasks.memory.flipflop import FlipFlop
from lstm_probe.tasks.memory.tracking import Tracking
from lstm_probe.tasks.text.characters import OTHER
from lstm_probe.tasks.text.text import Text


def trainer(task: Task, units: int = 4, seed: int = 0, **keywords) -> Trainer:
    model = SequenceModel(task.n_inputs, task.n_outputs, units, seed=seed)
    return Trainer(model, task, seed=seed, **keywords)


class KilledError(Exception):
    pass


def test_a_resumed_training_ends_with_the_same_weights(tmp_path, caplog):
    task = FlipFlop(bits=2, length=16, min_length=4)
    settings = {"steps": 150, "evaluate_every": 20, "stop_when_solved": False}
    whole = trainer(task, **settings)
    history = whole.fit()
    cut = trainer(task, **settings)

    def kill(progress):
        if progress.step == 80:
            cut.save(tmp_path / "checkpoint.pt")
            raise KilledError

    with pytest.raises(KilledError):
        cut.fit(report=kill)
    again = trainer(task, seed=0, **settings)
    resumed = again.fit(tmp_path / "checkpoint.pt")
    assert "anew" not in caplog.text
    for one, other in zip(whole.model.parameters(), again.model.parameters()):
        assert torch.equal(one, other)
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), resumed.drop(columns="seconds"))
    assert list(history.columns) == list(HISTORY_COLUMNS)


def test_another_seed_gives_another_network():
    task = FlipFlop(bits=1, length=8)
    weights = [trainer(task, seed=seed, steps=3).model.lstm.weight_ih_l0 for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("task", "units", "steps", "score"),
    [
        (FlipFlop(bits=1, length=20, min_length=5), 3, 400, 0.98),
        (Dyck1(max_length=16), 4, 1200, 0.9),
        (Dyck1(max_length=16, predict="next"), 6, 600, 0.9),
    ],
)
def test_tasks_are_learned(task, units, steps, score):
    own = trainer(task, units=units, steps=steps)
    own.fit()
    scores = evaluate(own.model, task.sample(300, seed=99))
    assert all(score <= value <= 1.02 for value in scores.values()), scores


def test_it_stops_when_solved():
    own = trainer(FlipFlop(bits=1, length=10), steps=3000, evaluate_every=50)
    history = own.fit()
    assert own.step < 3000
    last = history[history.split == "validation"].tail(2)
    assert (last.value >= 0.99).all()


def test_one_step_and_one_batch():
    own = trainer(FlipFlop(bits=1, length=10), steps=1, batch=1)
    assert own.fit().step.tolist() == [1, 1]


def test_a_loss_that_is_no_number_ends_the_training():
    own = trainer(Tracking(length=5), steps=10, evaluate_every=1)
    with torch.no_grad():
        own.model.readout.bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"loss is nan by step 1: lower lr=0\.03"):
        own.fit()


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_weight_that_is_no_number_ends_the_training_though_no_loss_shows_it(tmp_path, monkeypatch, step):
    """As the last update before an evaluation may leave it: at the end no loss comes after it."""
    own = trainer(Tracking(length=5), steps=6, evaluate_every=3)
    update = Trainer._update

    def spoiled(self, batch):
        loss = update(self, batch)
        if self.step + 1 == step:
            with torch.no_grad():
                self.model.lstm.weight_hh_l0[0, 1] = torch.inf
        return loss if step in (3, 6) else torch.zeros(())

    monkeypatch.setattr(Trainer, "_update", spoiled)
    by = 3 * -(-step // 3)
    with pytest.raises(TrainingError, match=rf"a weight is no number by step {by}: lower lr=0\.03 or clip=1"):
        own.fit(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "checkpoint.pt").exists()


def test_projection_shortens_h():
    model = SequenceModel(3, 2, 8, layers=2, projection=5)
    assert model.lstm(torch.zeros(2, 4, 3))[0].shape == (2, 4, 5)
    assert model(torch.zeros(2, 4, 3)).shape == (2, 4, 2)


def test_forget_gates_begin_higher_by_the_bias_and_nothing_else_does():
    """As Keras's unit_forget_bias and TensorFlow's forget_bias of 1: what they add, and where."""
    plain, raised = (SequenceModel(3, 2, 5, layers=2, seed=4, forget_bias=by) for by in (0.0, 1.5))
    inputs, found = torch.randn(4, 6, 3), {}
    for name, value in raised.state_dict().items():
        more = value - plain.state_dict()[name]
        found[name] = more.flatten().tolist() if more.any() else 0
    assert {name: more for name, more in found.items() if more} == {
        f"lstm.bias_ih_l{layer}": pytest.approx([0] * 5 + [1.5] * 5 + [0] * 10, abs=1e-6) for layer in (0, 1)
    }
    first = [record(model, inputs)[0].f[:, 0].logit() for model in (plain, raised)]
    torch.testing.assert_close(first[1], first[0] + 1.5)


def test_a_training_that_carries_its_state_reads_whole_passages():
    task = Text(length=7, symbols=40)
    settings = {"steps": 6, "batch": 5, "tbptt": 3, "evaluate_every": 1, "lr": 1e-12, "clip": 1e-6}
    carried = trainer(task, units=6, **settings)
    losses = carried.fit().query("split == 'train'").value
    parts = [carried.task.sample_passages(5, 3, derive_seed(0, "train", chunk)) for chunk in (0, 1)]
    for chunk, passages in enumerate(parts):
        words = ["".join(task.text_of(passages.inputs[k * 5 + i]) for k in range(3)) for i in range(5)]
        assert all(word in readable(task) for word in words)
        whole = torch.cat([passages.inputs[k * 5 : (k + 1) * 5] for k in range(3)], dim=1)
        following = torch.cat([passages.targets["next"][k * 5 : (k + 1) * 5] for k in range(3)], dim=1)
        with torch.no_grad():
            outputs = carried.model(whole)
        expected = torch.nn.functional.cross_entropy(outputs.transpose(1, 2), following, reduction="none")
        assert losses[chunk * 3 : chunk * 3 + 3].tolist() == pytest.approx(
            expected.view(5, 3, 7).mean((0, 2)).tolist(), abs=1e-5
        )


def readable(task: Text) -> str:
    return "".join(c if c in task.alphabet else OTHER for c in task.corpus.training)


def test_a_training_cut_within_a_passage_ends_with_the_same_weights(tmp_path):
    task = Text(length=7, symbols=40)
    settings = {"steps": 12, "batch": 5, "tbptt": 5, "evaluate_every": 1, "units": 6}
    whole, cut, again = (trainer(task, **settings) for _ in range(3))
    whole.fit()

    def kill(progress):
        if progress.step == 7:
            cut.save(tmp_path / "checkpoint.pt")
            raise KilledError

    with pytest.raises(KilledError):
        cut.fit(report=kill)
    again.fit(tmp_path / "checkpoint.pt")
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
