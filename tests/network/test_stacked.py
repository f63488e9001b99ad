"""Stacked training: each member ends as if it had been trained alone, whoever else is in its stack."""

import pytest
import torch
from scipy.stats import ks_2samp

from lstm_probe.core.errors import InputError
from lstm_probe.network.settings import TrainingSettings
from lstm_probe.network.stacked import StackedTrainer, members_at_once, one_cycle
from lstm_probe.network.training import Trainer, TrainingError, evaluate, trainer_of
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.languages.reber import Reber
from lstm_probe.tasks.memory.copy import Copy
from lstm_probe.tasks.memory.flipflop import FlipFlop
from lstm_probe.tasks.memory.tracking import Tracking
from lstm_probe.tasks.text.text import Text


def double(batch):
    return batch.map(lambda values: values.double() if values.is_floating_point() else values)


@pytest.fixture
def in_double(monkeypatch):
    """Trainers whose data and networks are in float64."""
    data, made = Trainer.data, Trainer.__post_init__

    def begun(self):
        self.model.double()
        made(self)
        self.validation = double(self.validation)

    monkeypatch.setattr(Trainer, "data", lambda self, chunk: double(data(self, chunk)))
    monkeypatch.setattr(Trainer, "__post_init__", begun)


def trainers(task: Task, seeds, **settings) -> list[Trainer]:
    return [trainer_of(TrainingSettings(seed=seed, **settings), task) for seed in seeds]


CASES = [
    (Tracking(length=20), {"units": 8, "batch": 32}),
    (FlipFlop(bits=2, length=16, min_length=4), {"units": 4, "layers": 2, "batch": 32}),
    (FlipFlop(bits=1, length=9), {"units": 5, "projection": 2, "layers": 2, "batch": 7}),
    (Reber(), {"units": 6, "batch": 16}),
    (Copy(), {"units": 6, "init": "chrono", "batch": 16}),
    (Text(length=7, symbols=40), {"units": 6, "tbptt": 3, "batch": 5}),
]


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize(("task", "settings"), CASES)
def test_each_member_learns_what_it_does_alone(task, settings):
    settings = settings | {"steps": 52, "evaluate_every": 4, "stop_when_solved": False}
    alone, together = (
        [one for k in range(4) for one in trainers(task, (k,), lr=0.01 * (k + 1), **settings)] for _ in range(2)
    )
    StackedTrainer(together).fit(keep=(0, 30))
    for one, other in zip(alone, together, strict=True):
        expected = one.fit(keep=(0, 30))
        found = other.history()
        assert found.drop(columns=["value", "seconds", "learning_rate"]).equals(
            expected.drop(columns=["value", "seconds", "learning_rate"])
        )
        assert found.learning_rate.tolist() == pytest.approx(expected.learning_rate.tolist(), rel=1e-9)
        losses = (expected.split == "train") & (expected.step <= 50)
        assert found.value[losses].tolist() == pytest.approx(expected.value[losses].tolist(), rel=1e-9, abs=1e-9)
        assert found.value.tolist() == pytest.approx(expected.value.tolist(), abs=1e-6)
        assert list(one.kept) == list(other.kept) == [0, 30, 52]
        for step, copy in one.kept.items():
            for name, values in copy.items():
                torch.testing.assert_close(other.kept[step][name], values, rtol=1e-7, atol=1e-7)


def ended(members: list[Trainer]) -> list[tuple]:
    return [(one.step, one.rows, [values.tolist() for values in one.model.parameters()]) for one in members]


def without_seconds(members: list[Trainer]) -> list[tuple]:
    return [(step, [row[:-1] for row in rows], weights) for step, rows, weights in ended(members)]


@pytest.mark.parametrize(("task", "settings"), CASES)
def test_who_else_is_in_the_stack_changes_no_digit(task, settings):
    settings = {"steps": 6, "evaluate_every": 3, "stop_when_solved": False} | settings
    many, few, one = (trainers(task, seeds, **settings) for seeds in (range(64), (5, 63), (7,)))
    for members in (many, few, one):
        StackedTrainer(members).fit()
    told = without_seconds(many)
    assert without_seconds(few) == [told[5], told[63]]
    assert without_seconds(one) == [told[7]]


def test_a_member_that_is_done_leaves_and_the_others_go_on():
    task, settings = FlipFlop(bits=1, length=10), {"units": 4, "steps": 900, "evaluate_every": 20}
    many, few = trainers(task, range(6), **settings), trainers(task, (3,), **settings)
    told = []
    StackedTrainer(many).fit(report=told.append)
    StackedTrainer(few).fit()
    assert len({one.step for one in many}) > 1 and all(one.done for one in many)
    assert without_seconds(few) == [without_seconds(many)[3]]
    assert [one.training + one.done + one.failed for one in told] == [6] * len(told)
    assert told[-1].training == 0 and told[-1].done == 6
    assert all(one.seconds > 0 for one in many)


def test_a_loss_that_is_no_number_ends_one_training_alone():
    task, settings = Tracking(length=8), {"units": 4, "steps": 30, "evaluate_every": 10}
    members, others = trainers(task, range(3), **settings), trainers(task, (0, 2), **settings)
    with torch.no_grad():
        members[1].model.readout.bias.fill_(torch.nan)
    stacked = StackedTrainer(members)
    stacked.fit(keep=(0, 20))
    assert list(stacked.failed) == [1]
    assert isinstance(stacked.failed[1], TrainingError)
    assert str(stacked.failed[1]) == "the loss is nan by step 10: lower lr=0.03 or clip=1"
    StackedTrainer(others).fit()
    assert without_seconds([members[0], members[2]]) == without_seconds(others)


def test_members_of_one_seed_share_their_data_and_differ_by_their_rate(monkeypatch):
    task, drawn = Tracking(length=8), []
    sample = Tracking.sample_training
    monkeypatch.setattr(Tracking, "sample_training", lambda *given: drawn.append(given) or sample(*given))
    members = [trainer_of(TrainingSettings(units=3, steps=5, lr=lr), task) for lr in (0.01, 0.03)]
    drawn.clear()
    StackedTrainer(members).fit()
    assert len(drawn) == 1
    rates = [one.history().learning_rate.iloc[0] for one in members]
    assert rates[1] == pytest.approx(3 * rates[0])


class KilledError(Exception):
    pass


@pytest.mark.parametrize("settings", [{"tbptt": 5}, {}])
def test_a_resumed_stack_ends_with_the_same_weights(tmp_path, caplog, settings):
    task = Text(length=7, symbols=40)
    settings = {"units": 4, "steps": 14, "batch": 5, "evaluate_every": 1} | settings
    whole, cut, again = (trainers(task, range(4), **settings) for _ in range(3))
    for members in (whole, cut, again):
        with torch.no_grad():
            members[2].model.readout.bias.fill_(torch.nan)
    StackedTrainer(whole).fit(keep=(3, 9))
    place, stacked = tmp_path / "checkpoint.pt", StackedTrainer(cut)

    def kill(progress):
        if progress.step == 7:
            stacked.save(place)
            raise KilledError

    with pytest.raises(KilledError):
        stacked.fit(report=kill, keep=(3, 9))
    continued = StackedTrainer(again)
    continued.fit(place, keep=(3, 9))
    assert "anew" not in caplog.text and list(continued.failed) == [2]
    own = [k for k in range(4) if k != 2]
    assert without_seconds([again[k] for k in own]) == without_seconds([whole[k] for k in own])
    assert [list(again[k].kept) for k in own] == [[3, 9, 14]] * 3


def test_a_checkpoint_of_other_members_is_not_continued(tmp_path, caplog):
    task, settings = Tracking(length=8), {"units": 4, "steps": 4, "evaluate_every": 2}
    StackedTrainer(trainers(task, range(3), **settings)).fit(tmp_path / "checkpoint.pt")
    members = trainers(task, (0, 1), **settings)
    StackedTrainer(members).fit(tmp_path / "checkpoint.pt")
    assert "another configuration" in caplog.text
    assert [one.step for one in members] == [4, 4]


def test_the_rate_is_that_of_pytorchs_schedule():
    for steps in (1, 2, 3, 40, 301):
        one = trainers(Tracking(length=4), (0,), units=1, steps=steps, lr=0.5)[0]
        for step in range(steps):
            assert 0.5 * one_cycle(step, steps) == pytest.approx(one._schedule.get_last_lr()[0], rel=1e-12)
            one._optimizer.step()
            one._schedule.step()


def test_what_differs_is_refused():
    task = Tracking(length=8)
    others = [*trainers(task, (0,), units=4), *trainers(task, (0,), units=4, batch=5)]
    with pytest.raises(InputError, match=r"members\[1\]: batch is 5, that of members\[0\] is 64"):
        StackedTrainer(others)
    with pytest.raises(InputError, match=r"hidden_size is 5"):
        StackedTrainer([*trainers(task, (0,), units=4), *trainers(task, (0,), units=5)])
    with pytest.raises(InputError, match="none to train"):
        StackedTrainer([])


def test_as_many_at_once_as_a_cache_holds():
    assert [members_at_once(units, 64) for units in (4, 8, 16, 32, 4096)] == [64, 64, 32, 16, 1]
    assert members_at_once(32, 1) == members_at_once(32, 32) == 32
    assert members_at_once(4096, 64, "cuda:1") > 64


@pytest.mark.slow
def test_final_scores_are_not_told_apart_from_those_of_networks_trained_alone():
    task, settings = FlipFlop(bits=2, length=12), {"units": 3, "steps": 150, "batch": 32, "stop_when_solved": False}
    together, alone, others = (trainers(task, seeds, **settings) for seeds in (range(32), range(32), range(50, 82)))
    StackedTrainer(together).fit()
    for one in (*alone, *others):
        one.fit()
    test = task.sample(512, seed=99)
    scores = [[min(evaluate(one.model, test).values()) for one in some] for some in (together, alone, others)]
    assert torch.tensor(scores[2]).std() > 0.01
    assert ks_2samp(scores[0], scores[2]).pvalue > 0.01
    assert (torch.tensor(scores[0]) - torch.tensor(scores[1])).abs().median() < 1e-4
