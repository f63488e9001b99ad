"""Stacks as a command: what is printed, what becomes of a job, and where a sweep offers one."""

import json
import math

import pytest
from omegaconf import OmegaConf

from lstm_probe.cli import main
from lstm_probe.cli.local import TARGET
from lstm_probe.cli.stack_offer import stack_offer
from lstm_probe.network.settings import STACK_GAINS, stack_gain
from lstm_probe.network.training import Trainer

SMALL = ["task=flipflop", "task.bits=1", "task.length=8", "steps=8", "evaluate_every=4", "batch=8", "test_sequences=32",
         "measure=none"]  # fmt: skip


def test_a_stack_is_told_as_a_table_of_its_runs(tmp_path, capsys):
    assert main(["train", "units=3", "stack=2", "stack_lrs=[0.01,0.03]", "seed=5", *SMALL, f"outputs={tmp_path}"]) == 0
    told = [line.split()[:3] for line in capsys.readouterr().out.splitlines() if "u3-s" in line]
    assert told == [["5", "0.01", "8"], ["5", "0.03", "8"], ["6", "0.01", "8"], ["6", "0.03", "8"]]


def test_a_member_that_fails_makes_the_job_fail_and_is_named(tmp_path, capsys, monkeypatch):
    check = Trainer.check
    monkeypatch.setattr(
        Trainer, "check", lambda self, loss, own: check(self, loss if self.seed != 1 else math.nan, own)
    )
    assert main(["train", "units=3", "stack=3", *SMALL, f"outputs={tmp_path}"]) == 1
    told = capsys.readouterr()
    assert "1 of 3 networks failed: u3-s1-" in told.err and "the loss is nan by step 4" in told.err
    assert "u3-s0-" in told.out and "u3-s2-" in told.out
    assert len(list((tmp_path / "runs" / "flipflop").glob("u3-*"))) == 2


def test_in_a_sweep_a_job_has_the_lowest_scores_of_its_stack(tmp_path, capsys):
    command = ["train", "--multirun", "hydra/launcher=basic", "units=2,3", "stack=3", *SMALL, f"outputs={tmp_path}"]
    assert main(command) == 0
    jobs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("sweeps/*/*/job.json"))]
    assert [job["status"] for job in jobs] == ["finished"] * 2
    for job, units in zip(jobs, (2, 3), strict=True):
        runs = sorted((tmp_path / "runs" / "flipflop").glob(f"u{units}-*"))
        scores = [json.loads((path / "run.json").read_text())["scores"]["bit0"] for path in runs]
        assert len(scores) == 3 and job["scores"] == {"bit0": min(scores)}
        assert job["run"].endswith(runs[0].name)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("line", "told"),
    [("stack=-1", "stack=-1: must be a whole number from 0"), ("stack_lrs=[0.1]", "only a stack has several"),
     ("stack_lrs=[0]", "stack_lrs=[0]: must be a list of a number from 1e-07 to 10")],
)  # fmt: skip
def test_bad_keys(tmp_path, capsys, line, told):
    assert main(["train", "units=3", line, *SMALL, f"outputs={tmp_path}"]) == 2
    assert told in capsys.readouterr().err and not list(tmp_path.iterdir())


BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def offer(
    *overrides: str, jobs: int = 2, units: int = 32, target: str = TARGET, sweeper: str = BASIC, **other
) -> str | None:
    composed = {
        "units": units,
        **other,
        "hydra": {"launcher": {"jobs": jobs, "_target_": target}, "sweeper": {"_target_": sweeper}},
    }
    return stack_offer(overrides, OmegaConf.create(composed))


def test_a_stack_is_offered_where_it_is_faster_and_cores_stay_busy():
    seeds = f"seed={','.join(map(str, range(4, 68)))}"
    gain = f"about {STACK_GAINS[8][64]:.2g} times faster."
    assert offer("units=8", seeds, jobs=1, units=8) == f"seed=4 stack=64 trains them {gain}"
    assert str(offer("units=4,8", seeds)).startswith("seed=4 stack=64 trains them about")
    assert str(offer("units=8", "seed=range(0,64)", units=8)).startswith("seed=0,32 stack=32 trains them about")
    alone = offer("units=8", "seed=range(0,64)", units=8, target="hydra.BasicLauncher")
    assert str(alone).startswith("seed=0 stack=64 trains them about")
    assert "networks of up to 8 units" in str(offer("units=8,128", "seed=range(0,64)"))


@pytest.mark.parametrize(
    ("overrides", "given"),
    [
        (["units=8", "seed=0,1,2"], {"units": 8}),
        (["units=128", "seed=range(0,64)"], {"units": 128}),
        (["units=8", "seed=range(0,64)"], {"units": 8, "jobs": 64}),
        (["units=8", "seed=range(0,64)"], {"units": 8, "stack": 4}),
        (["units=8", "seed=0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32"], {"units": 8, "jobs": 1}),
        (["units=2,4"], {}),
        (["units=8", "seed=range(0,64)"], {"units": 8, "device": "cuda"}),
        (["units=8", "seed=range(0,64)"], {"units": 8, "target": "lstm_probe.SlurmLauncher"}),
    ],
)
def test_no_stack_is_offered_where_it_is_not_known_to_be_faster(overrides, given):
    assert offer(*overrides, **given) is None


def test_the_gain_is_that_of_the_next_larger_size_with_as_many_networks():
    assert stack_gain(7, 70) == STACK_GAINS[8][64] and stack_gain(8, 63) == STACK_GAINS[8][16]
    assert stack_gain(8, 2) == stack_gain(4096, 1000) == 1


def test_nothing_is_offered_where_another_sweeper_chooses():
    swept = ["units=choice(4)", "lr=interval(0.001,0.1)", "seed=range(64)"]
    assert offer(*swept, sweeper="hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper") is None
    assert offer("seed=range(64)", units=4) is not None
