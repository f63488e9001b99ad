"""Guarded tuning: how many updates it takes, what it throws away, and on what it trains."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.capacity import tuning
from lstm_probe.capacity.fold import Fold
from lstm_probe.capacity.goal import Goal
from lstm_probe.capacity.sizes import Smaller
from lstm_probe.capacity.tuning import Tuner, gradual
from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.recorder.calling import outputs_of
from tests.capacity.made import TAKEN, batch_of

TASK = lp.get_task("delayed_recall", delay=5)
SHORT, LONG = ((60, 0.01), (60, 0.002)), ((90, 0.005),)


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    """Ten units that have learned to recall."""
    made = SequenceModel(TASK.n_inputs, TASK.n_outputs, 10, seed=0)
    Trainer(made, TASK, steps=300, seed=0).fit()
    return made.eval()


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "SHORT", SHORT)
    monkeypatch.setattr(tuning, "LONG", LONG)


@torch.no_grad()
def least_share(small: nn.Module, model: nn.Module) -> float:
    batch = TASK.sample(512, 99)
    now, before = (batch.scores(outputs_of(one, batch)) for one in (small, model))
    return min(now[name] / before[name] for name in before)


def test_what_is_tuned_is_smaller_and_keeps_as_much(model: SequenceModel) -> None:
    batch, check = TASK.sample(96, seed=1), TASK.sample(256, seed=2)
    merged = lp.shrink(model, batch, check=check)
    tuned = lp.shrink(model, batch, check=check, tune=500, train=TASK)
    assert tuned.units < merged.units and 0 < tuned.updates <= 500 and merged.updates == 0
    assert least_share(tuned.model, model) >= 0.98
    rows = tuned.table[(tuned.table["stage"] == "tuned") & (tuned.table["target"] == "all")]
    assert rows["units"].max() < merged.units and rows["units"].min() <= tuned.units
    assert rows["updates"].is_monotonic_increasing and rows["updates"].iloc[-1] == tuned.updates
    assert len(tuned.kept[0, "forward"]) == tuned.units == tuned.model.lstm.hidden_size
    again = lp.shrink(model, batch, check=check, tune=500, train=TASK)
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), tuned.model.parameters()))


def starting(model: nn.Module, units: int) -> Smaller:
    return Smaller(model, {(0, "forward"): Fold.keeping(tuple(range(units)), units)}, 1.0)


def test_a_training_that_loses_is_thrown_away(model: SequenceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = TASK.sample(128, seed=1)
    goal = Goal.of(model, batch, ["recall"])
    wrecked: list[int] = []

    def tune(self: Tuner, small: nn.Module, updates: int, rate: float) -> nn.Module:
        wrecked.append(updates)
        self.done += updates
        lost = SequenceModel(TASK.n_inputs, TASK.n_outputs, small.lstm.hidden_size, seed=5)
        return lost.eval()

    monkeypatch.setattr(Tuner, "tune", tune)
    tuner = Tuner(TASK, model, 10_000, 0)
    best, stages = gradual(starting(model, 10), 10, tuner, batch, goal, 0.999999, layer=None)
    reached = [stage.units for stage in stages if stage.share >= 0.999999]
    assert len(next(iter(best.folds.values())).kept) == min(reached, default=10)
    assert best.share >= 0.999999 or best.model is model
    assert all(stage.share > 0.0 for stage in stages) and wrecked  # what was merged stayed the best
    # Those that failed took every training, and the last was one unit below.
    assert stages[-1].units == min(reached, default=10) - 1
    assert sum(wrecked) == tuner.done == stages[-1].updates


def test_the_numbers_of_units_are_those_of_the_start(model: SequenceModel) -> None:
    # Rows of the lowest layer's input weights are handed on as they are.
    batch = TASK.sample(64, seed=1)
    best, stages = gradual(starting(model, 10), 10, Tuner(TASK, model, 1, 0), batch, Goal.of(model, batch, ["recall"]),
                           0.0, layer=None, wanted=3)  # fmt: skip
    assert [stage.units for stage in stages] == [8, 6, 4, 3]
    rows, own = (one.lstm.weight_ih_l0.view(4, units, -1) for one, units in ((model, 10), (best.model, 3)))
    assert torch.equal(own, rows[:, list(best.folds[0, "forward"].kept)])


@pytest.mark.parametrize("budget", [0, 25, 100])
def test_no_more_updates_than_allowed(model: SequenceModel, budget: int) -> None:
    batch = TASK.sample(64, seed=1)
    tuner = Tuner(TASK, model, budget, 0)
    best, stages = gradual(starting(model, 10), 10, tuner, batch, Goal.of(model, batch, ["recall"]), 2.0, layer=None,
                           wanted=2)  # fmt: skip
    assert tuner.done == budget and best.model.lstm.hidden_size == 2 and stages[-1].units == 2


@pytest.mark.parametrize("kind", ["task", "sequences", "no targets"])
def test_training_lowers_the_loss_and_leaves_the_module_alone(model: SequenceModel, kind: str) -> None:
    lost = SequenceModel(TASK.n_inputs, TASK.n_outputs, 10, seed=0)
    lost.load_state_dict(model.state_dict())
    with torch.no_grad():
        lost.lstm.weight_hh_l0.mul_(0.8)
    before = {name: values.clone() for name, values in lost.state_dict().items()}
    batch = TASK.sample(100, seed=3)
    bare = replace(batch, targets={}, target_specs=(), scored={})
    train = {"task": TASK, "sequences": batch, "no targets": bare}[kind]
    tuned = Tuner(train, model, 100, 0).tune(lost.eval(), 100, 0.01)
    assert tuned is not None and not tuned.training
    assert all(torch.equal(values, before[name]) for name, values in lost.state_dict().items())
    fresh = TASK.sample(256, seed=4)
    loss: Callable[[nn.Module], float] = lambda one: float(fresh.loss(outputs_of(one, fresh)))  # noqa: E731
    with torch.no_grad():
        assert loss(tuned) < 0.7 * loss(lost)


def test_frozen_weights_stay(model: SequenceModel) -> None:
    frozen = SequenceModel(TASK.n_inputs, TASK.n_outputs, 10, seed=0)
    frozen.load_state_dict(model.state_dict())
    frozen.readout.requires_grad_(False)
    tuned = Tuner(TASK, model, 5, 0).tune(frozen, 5, 0.01)
    assert torch.equal(tuned.readout.weight, frozen.readout.weight)
    assert not torch.equal(tuned.lstm.weight_hh_l0, frozen.lstm.weight_hh_l0)
    frozen.requires_grad_(False)
    tuned = Tuner(TASK, model, 5, 0).tune(frozen, 5, 0.01)
    assert not torch.equal(tuned.readout.weight, frozen.readout.weight)


def test_dropout_follows_from_the_seed_and_leaves_random_numbers_alone() -> None:
    torch.manual_seed(0)
    model = TAKEN["dropout and two layers behind"](4)
    train = batch_of(40)
    state = torch.get_rng_state()
    first = Tuner(train, model, 5, 0).tune(model, 5, 0.01)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    second = Tuner(train, model, 5, 0).tune(model, 5, 0.01)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))


def test_of_the_batch_itself_only_those_that_fit_are_trained_on(
    model: SequenceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Batch] = []
    own = Tuner._loss

    def loss(self: Tuner, small: nn.Module, batch: Batch) -> torch.Tensor:
        seen.append(batch)
        return own(self, small, batch)

    monkeypatch.setattr(Tuner, "_loss", loss)
    batch = TASK.sample(64, seed=1)
    lp.shrink(model, batch, tune=40, train=batch)
    inputs = {tuple(row.flatten().tolist()) for one in seen for row in one.inputs}
    assert len(inputs) == 26 and len(seen) == 40
    seen.clear()
    lp.shrink(model, batch, tune=40, train=TASK.sample(200, seed=8))
    assert len({tuple(row.flatten().tolist()) for one in seen for row in one.inputs}) > 100
