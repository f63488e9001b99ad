"""The runs of a stack: each its own, whoever was trained beside it; nothing is lost that was done."""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.network import stacked as network_stacked
from lstm_probe.network.stacked import StackedTrainer
from lstm_probe.network.training import Trainer, TrainingError
from lstm_probe.runs import training
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.reached import CHECKPOINT
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import RunSettings, members_of, stack_problems
from lstm_probe.runs.stacked import train_stack
from lstm_probe.runs.store import config_hash, result_config
from lstm_probe.runs.training import train_run
from lstm_probe.sizing.sweeps import experiments

MEASURING = Measuring((), {}, 1, lambda run, folder: None)


def settings(outputs: Path, **given) -> RunSettings:
    task = {"name": "flipflop", "bits": 1, "length": 8}
    own = {"units": 3, "steps": 12, "batch": 8, "evaluate_every": 4, "test_sequences": 16, "stack": 4}
    return RunSettings(**{"task": task, "outputs": str(outputs), **own, **given})


def stored(outputs: Path) -> list[Run]:
    runs, damaged = find_runs(outputs)
    assert not damaged
    return runs


def weights(outputs: Path) -> dict[str, bytes]:
    return {run.name: (run.path / "model.safetensors").read_bytes() for run in stored(outputs)}


def hidden(outputs: Path) -> list[str]:
    return sorted(path.name for path in outputs.rglob(".*"))


@pytest.fixture
def trained(monkeypatch) -> list[int]:
    """How many members each stack had that was trained, in order."""
    told: list[int] = []
    fit = StackedTrainer.fit

    def counted(self, *given):
        fit(self, *given)
        if self._first.step and self not in told:
            told.append(len(self.members))

    monkeypatch.setattr(StackedTrainer, "fit", counted)
    return told


def test_each_member_is_a_run_of_its_own_whoever_was_beside_it(tmp_path):
    made = train_stack(settings(tmp_path / "many", seed=3), MEASURING).runs
    assert [run.config["seed"] for run in made] == [3, 4, 5, 6]
    assert all(run.config["stack"] == 1 and "stack_lrs" not in run.config for run in made)
    assert hidden(tmp_path / "many") == []
    train_stack(settings(tmp_path / "few", seed=4, stack=2), MEASURING)
    train_run(settings(tmp_path / "few", seed=6, stack=1), MEASURING)
    many, few = weights(tmp_path / "many"), weights(tmp_path / "few")
    assert len(few) == 3 and few.items() < many.items()
    for run in made:
        assert run.model(run.task.sample(2).inputs).shape == (2, 8, 1)
        assert list(run.history.split.unique()) == ["train", "validation", "test"]


def test_what_is_there_is_found_and_the_others_are_trained(tmp_path, caplog, trained):
    caplog.set_level("INFO")
    train_stack(settings(tmp_path, stack=2), MEASURING)
    before = {run.path: run.info["finished"] for run in stored(tmp_path)}
    made = train_stack(settings(tmp_path, stack=5), MEASURING).runs
    assert "2 of 5 runs are there already" in caplog.text
    assert len(made) == 5 and before.items() <= {run.path: run.info["finished"] for run in made}.items()
    assert [n for n in trained if n > 1] == [2, 3]
    trained.clear()
    train_stack(settings(tmp_path, stack=5), MEASURING)
    assert trained == []
    train_stack(settings(tmp_path, stack=5, force=True), MEASURING)
    assert [n for n in trained if n > 1] == [5]


def test_each_seed_is_trained_with_each_learning_rate(tmp_path):
    made = train_stack(settings(tmp_path, stack=2, stack_lrs=[0.05, 0.01]), MEASURING).runs
    assert [(run.config["seed"], run.config["lr"]) for run in made] == [(0, 0.01), (0, 0.05), (1, 0.01), (1, 0.05)]
    again = train_stack(settings(tmp_path, stack=2, lr=0.05), MEASURING).runs
    assert [run.path for run in again] == [made[1].path, made[3].path]


def test_a_stack_is_an_experiment_of_its_own(tmp_path):
    train_stack(settings(tmp_path, stack=2), MEASURING)
    train_run(settings(tmp_path, stack=0), MEASURING)
    assert {name: len(runs) for name, runs in experiments(stored(tmp_path)).items()} == {
        "flipflop, stack=1": 2, "flipflop, stack=0": 1,
    }  # fmt: skip


def test_a_run_without_a_stack_is_called_as_before(tmp_path):
    plain = result_config(settings(tmp_path, stack=0))
    assert "stack" not in plain and "stack_lrs" not in plain
    one, two = (config_hash(result_config(members_of(settings(tmp_path, stack=n))[0])) for n in (1, 64))
    assert one == two != config_hash(plain)


class KilledError(BaseException):
    pass


def test_a_stack_that_is_cut_in_its_training_ends_with_the_same_weights(tmp_path, monkeypatch, trained):
    train_stack(settings(tmp_path / "whole"), MEASURING)
    monkeypatch.setattr(network_stacked, "CHECKPOINT_SECONDS", 0.0)
    update = StackedTrainer._update

    def killed(self, batches):
        if self.step == 9:
            raise KilledError
        return update(self, batches)

    monkeypatch.setattr(StackedTrainer, "_update", killed)
    with pytest.raises(KilledError):
        train_stack(settings(tmp_path / "cut"), MEASURING)
    assert stored(tmp_path / "cut") == [] and len(list((tmp_path / "cut").rglob(CHECKPOINT))) == 1
    steps = []
    monkeypatch.setattr(StackedTrainer, "_update", lambda self, given: steps.append(self.step) or update(self, given))
    train_stack(settings(tmp_path / "cut"), MEASURING)
    assert steps == [8, 9, 10, 11]
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert hidden(tmp_path / "cut") == []


def test_what_was_trained_is_not_trained_again_when_its_measuring_is_cut(tmp_path, monkeypatch):
    train_stack(settings(tmp_path / "whole"), MEASURING)
    files, written = training.network_files, []

    def killed(*given):
        written.append(given)
        if len(written) == 2:
            raise KilledError
        return files(*given)

    monkeypatch.setattr(training, "network_files", killed)
    with pytest.raises(KilledError):
        train_stack(settings(tmp_path / "cut"), MEASURING)
    assert len(stored(tmp_path / "cut")) == 1
    monkeypatch.setattr(training, "network_files", files)
    monkeypatch.setattr(StackedTrainer, "_update", None)  # nothing is trained
    train_stack(settings(tmp_path / "cut"), MEASURING)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert hidden(tmp_path / "cut") == []


def test_a_checkpoint_of_other_members_is_set_aside(tmp_path, monkeypatch, caplog):
    train_stack(settings(tmp_path / "whole", stack=3), MEASURING)
    monkeypatch.setattr(network_stacked, "CHECKPOINT_SECONDS", 0.0)
    update = StackedTrainer._update
    monkeypatch.setattr(StackedTrainer, "_update", lambda self, given: 1 / (self.step < 9) and update(self, given))
    with pytest.raises(ZeroDivisionError):
        train_stack(settings(tmp_path / "cut", stack=4), MEASURING)
    (checkpoint,) = (tmp_path / "cut").rglob(CHECKPOINT)
    monkeypatch.setattr(StackedTrainer, "_update", update)
    names = [result_config(one) for one in members_of(settings(tmp_path, stack=3))]
    first = min(f"u3-s{own['seed']}-{config_hash(own)}" for own in names)
    other = checkpoint.parent.with_name(f".{first}.partial")
    if other != checkpoint.parent:
        shutil.move(checkpoint.parent, other)
    train_stack(settings(tmp_path / "cut", stack=3), MEASURING)
    assert "of another configuration" in caplog.text
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_member_that_fails_is_named_and_the_others_are_runs(tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG", "lstm_probe")
    check = Trainer.check
    monkeypatch.setattr(
        Trainer, "check", lambda self, loss, own: check(self, loss if self.seed != 2 else math.nan, own)
    )
    made = train_stack(settings(tmp_path / "some"), MEASURING)
    assert [run.config["seed"] for run in made.runs] == [0, 1, 3]
    (name,) = made.failed
    assert name.startswith("u3-s2-")
    with pytest.raises(TrainingError, match=f"1 of 4 networks failed: {name}: the loss is nan by step 4") as told:
        made.check()
    log = Path(told.value.log_file)
    assert log.parent.name.startswith(f".{name}.") and "TrainingError: the loss is nan" in log.read_text()
    monkeypatch.undo()
    again = train_stack(settings(tmp_path / "some"), MEASURING)
    again.check()
    train_stack(settings(tmp_path / "all"), MEASURING)
    assert weights(tmp_path / "some") == weights(tmp_path / "all")


def test_large_stacks_are_trained_in_parts_with_the_same_results(tmp_path, monkeypatch, trained):
    train_stack(settings(tmp_path / "whole", stack=5), MEASURING)
    monkeypatch.setattr("lstm_probe.runs.stacked.members_at_once", lambda *given: 2)
    trained.clear()
    train_stack(settings(tmp_path / "parts", stack=5), MEASURING)
    assert [n for n in trained if n > 1] == [2, 2]
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_bad_input_leaves_nothing_behind(tmp_path):
    few = replace(settings(tmp_path / "new"), task={"name": "text", "length": 8}, test_sequences=10**6)
    with pytest.raises(InputError, match="test_sequences"):
        train_stack(few, MEASURING)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"stack": 0, "stack_lrs": [0.1]}, r"stack_lrs=\[0\.1\]: only a stack has several"),
        ({"stack": 3, "seed": 2**32 - 2}, "its seeds would go from 4294967294 to 4294967296"),
        ({"stack": 2, "seed": 2**32 - 2}, None),
        ({"stack": 0}, None),
    ],
)
def test_keys_of_a_stack_that_do_not_fit(tmp_path, given, told):
    problems = stack_problems(settings(tmp_path, **given))
    assert len(problems) == (told is not None) and all(re.search(str(told), line) for line in problems)
