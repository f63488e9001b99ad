"""A task of one's own that draws something else than it declares, or something else each time, trains nothing."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.tasks.drawn import _problems, check_drawn
from lstm_probe.tasks.numbers.parity import Parity
from tests.cli.test_own_tasks import FAST, forgotten, run_of  # noqa: F401

#: A whole file of tasks, but for what is done to a batch before it is returned.
FILE = """
import itertools
import torch
from dataclasses import dataclass, replace
from lstm_probe import Batch, Signal, Target, Task
count = itertools.count()

@dataclass(frozen=True)
class Mine(Task):
    name, summary, source = "mine", "a sum, and its sign", "me"
    input_names = ("a",)
    targets = (Target("sum"), Target("up", "class", size=2))

    def draw(self, n, rng):
        a = torch.randn(n, 6, 1, generator=rng)
        sums = a.cumsum(1)
        targets = {{"sum": sums, "up": (sums[..., 0] > 0).long()}}
        batch = Batch(a, targets, self.targets, torch.full((n,), 6), {{"sum": Signal("sum", sums[..., 0].clone())}})
        {}
        return batch
"""
WRONG = {
    "batch = replace(batch, inputs=torch.randn(n, 6, 1))": "with the same seed, inputs differ",
    "batch.signals['sum'].values.add_(next(count))": "with the same seed, signal sum differ",
    "targets['sum'].mul_(float(torch.rand(1)))": "with the same seed, target sum differ",
    "batch = replace(batch, groups=torch.randint(9, (n,)))": "with the same seed, groups differ",
    "batch = replace(batch, inputs=a.expand(n, 6, 2))": "inputs of shape (8, 6, 2); must be (sequence, time, 1)",
    "batch = replace(batch, inputs=a.double())": "inputs are float64; must be float32",
    "a[0, 3] = float('nan')": "an input is no finite number at a real step",
    "targets['sum'] = sums.clone().index_fill_(0, torch.tensor([1]), float('inf'))": "target sum is no finite number",
    "del targets['sum']": "no values for target sum; there are up",
    "targets['up'] += 1": "target up has a class beyond 0 to 1",
    "targets['up'] = targets['up'].float()": "target up is float32 of shape (8, 6); must be int64",
    "targets['sum'] = sums[..., 0]": "target sum is float32 of shape (8, 6); must be float32 of shape (8, 6, 1)",
    "batch.lengths[0] = 7": "lengths: must be 8 whole numbers from 1 to 6",
    "batch.lengths[0] = 0": "lengths: must be 8 whole numbers from 1 to 6",
    "batch = replace(batch, target_specs=self.targets[:1])": "the targets of its Batch are not those",
    "batch = replace(batch, signals={'s': Signal('s', sums[:, :5, 0])})": "signal s has shape (8, 5); must be (8, 6)",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_draw_is_said_and_nothing_is_trained(what, tmp_path, capsys):
    (tmp_path / "tasks.py").write_text(FILE.format(what))
    own = ["--config-dir", str(tmp_path)]
    outputs = f"outputs={tmp_path / 'out'}"
    for words in (["train", *own, "task=mine", *FAST], ["tasks", *own, "name=mine"],
                  ["train", *own, "task=mine", "stack=2", *FAST]):  # fmt: skip
        assert main([*words, outputs]) == 2
        error = capsys.readouterr().err
        assert error.startswith("task=mine: draw: ") and WRONG[what] in error and len(error.splitlines()) == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "what",
    [
        "", "batch.signals['sum'].values[0] = float('nan')", "targets['sum'] = sums.double()",
        "batch.lengths[0] = 3; a[0, 3:] = float('nan'); targets['sum'][0, 3:] = float('nan')",
        "batch = replace(batch, scored={'sum': sums[..., 0] > 0}); targets['sum'][sums <= 0] = float('nan')",
    ],
)  # fmt: skip
def test_what_does_not_count_may_be_anything(what, tmp_path):
    (tmp_path / "tasks.py").write_text(FILE.format(what))
    lp.tasks.own.load_tasks(tmp_path / "tasks.py")
    check_drawn(lp.get_task("mine"))


def test_what_is_drawn_to_train_on_is_looked_at_too():
    @dataclass(frozen=True)
    class Mine(Parity):
        name, summary, source = "mine", "parity, my way", "me"

        def draw_training(self, n, rng):
            return replace(self.draw(n, rng), inputs=torch.randn(n, self.length, 1))

    with pytest.raises(lp.InputError, match="task=mine: draw_training: drawn twice with the same seed, inputs differ"):
        check_drawn(Mine())


def test_what_is_no_batch_is_called_by_its_type():
    assert _problems(Parity(), lambda n, seed: None) == ["must return a Batch, not NoneType"]


def test_an_error_of_its_own_code_has_its_traceback_in_the_log(tmp_path, capsys):
    (tmp_path / "tasks.py").write_text(FILE.format("1 / 0"))
    assert main(["train", "--config-dir", str(tmp_path), "task=mine", *FAST, f"outputs={tmp_path / 'out'}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ZeroDivisionError: division by zero\n")
    log = re.search(r"The full traceback is in (.*)\.$", error.splitlines()[-1])[1]
    assert "in draw\n" in Path(log).read_text("utf-8")
