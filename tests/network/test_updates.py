"""One update and what surrounds it: clipping, the seeds of the data, and the file to go on from."""

import math
import os

import pytest
import torch

from lstm_probe.network.model import SequenceModel
from lstm_probe.network.settings import TrainingSettings
from lstm_probe.network.training import VALIDATION_SEQUENCES, Trainer, trainer_of
from lstm_probe.tasks.memory.tracking import Tracking


def trainer(seed: int = 0, **keywords) -> Trainer:
    task = Tracking(length=12)
    return Trainer(SequenceModel(task.n_inputs, task.n_outputs, 4, seed=1), task, seed=seed, **keywords)


def gradient(own: Trainer) -> torch.Tensor:
    """The gradient that the optimizer saw last, all of it in a row."""
    return torch.cat([p.grad.flatten() for p in own.model.parameters()])


@pytest.mark.parametrize("clip", [1e-3, 1e-2])
def test_the_gradient_of_all_weights_together_is_clipped(clip):
    free, clipped = trainer(steps=1, clip=1e6), trainer(steps=1, clip=clip)
    free.fit()
    clipped.fit()
    norm = float(gradient(free).norm())
    assert norm > 10 * clip
    torch.testing.assert_close(gradient(clipped), gradient(free) * clip / norm, rtol=1e-3, atol=1e-9)


def test_a_gradient_below_the_limit_stays_as_it_is():
    free = trainer(steps=1, clip=1e6)
    free.fit()
    clipped = trainer(steps=1, clip=1.01 * float(gradient(free).norm()))
    clipped.fit()
    assert torch.equal(gradient(clipped), gradient(free))


def test_no_two_draws_share_a_seed(monkeypatch):
    """Neither the validation sequences and any that are trained on, nor those of another training."""
    drawn = {"validation": [], "train": []}
    sample, sample_training = Tracking.sample, Tracking.sample_training

    def validation(task, n, seed):
        drawn["validation"].append((n, seed))
        return sample(task, n, seed)

    def training(task, n, seed):
        drawn["train"].append((n, seed))
        return sample_training(task, n, seed)

    monkeypatch.setattr(Tracking, "sample", validation)
    monkeypatch.setattr(Tracking, "sample_training", training)
    for seed in (0, 1):
        trainer(seed, steps=150, batch=2, evaluate_every=50).fit()
    held_out = [seed for n, seed in drawn["validation"] if n == VALIDATION_SEQUENCES]
    trained = [seed for _, seed in drawn["train"]]
    assert len(held_out) == 2 and len(trained) > 3
    assert len({0, 1, *held_out, *trained}) == 2 + len(held_out) + len(trained)


def test_the_network_is_scored_on_sequences_that_it_did_not_see():
    own = trainer(steps=1)
    held_out = own.validation
    trained = own.task.sample_training(own.batch * own.task.batches_at_once, seed=own.seed)
    for batch in (trained, own.task.sample(VALIDATION_SEQUENCES, own.seed)):
        both = {bytes(x.numpy()) for x in batch.inputs} & {bytes(x.numpy()) for x in held_out.inputs}
        assert not both


def test_a_file_to_go_on_from_is_replaced_by_a_whole_one(tmp_path):
    place, kept = tmp_path / "checkpoint.pt", tmp_path / "kept"
    own = trainer(steps=20, evaluate_every=10)
    own.save(place)
    os.link(place, kept)  # another name of what stands there: bytes written into it would show here
    before = kept.read_bytes()
    own.fit(place)
    assert kept.read_bytes() == before != place.read_bytes()
    again = trainer(steps=20, evaluate_every=10)
    again.resume(place)
    assert again.step == 20
    for one, other in zip(own.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.pt", "kept"]


def test_the_learning_rate_rises_and_falls_along_a_cosine():
    """Smith & Topin 2018: up from 1/25 of the highest rate in the first 0.3 of the steps, then down to nearly 0."""
    steps, highest = 40, 0.02
    own = trainer(steps=steps, lr=highest, evaluate_every=1, stop_when_solved=False)
    rates = own.fit().query("split == 'train'").learning_rate.tolist()
    peak = 0.3 * (steps + 1) - 1

    def between(low, high, share):
        return high + (low - high) * (1 + math.cos(math.pi * share)) / 2

    for step, rate in enumerate(rates, start=1):
        rising = between(highest / 25, highest, step / peak)
        falling = between(highest, highest / 25e4, (step - peak) / (steps - peak))
        assert rate == pytest.approx(rising if step <= peak else falling, rel=1e-6)


def test_solved_has_to_be_twice_in_a_row(monkeypatch):
    told = iter([True, False, True, True, True, True])
    monkeypatch.setattr(Tracking, "solved", lambda task, scores: next(told))
    own = trainer(steps=60, evaluate_every=10)
    own.fit()
    assert own.step == 40


def test_weights_follow_from_the_seed_of_the_settings():
    task = Tracking(length=12)
    first, same, other = (trainer_of(TrainingSettings(units=4, seed=seed), task).model for seed in (0, 0, 1))
    for name, values in first.named_parameters():
        assert torch.equal(values, same.get_parameter(name)) and not torch.equal(values, other.get_parameter(name))


def test_a_task_is_solved_when_every_target_is():
    task = Tracking()
    scores = {target.name: target.solved for target in task.targets}
    assert task.solved(scores)
    for name in scores:
        assert not task.solved(scores | {name: scores[name] - 1e-6})
