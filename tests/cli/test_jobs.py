"""Single runs and sweeps: what a command is called with, outcomes, exit codes, what is written."""

import errno
import json
import logging
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from omegaconf import OmegaConf

from lstm_probe.cli import main
from lstm_probe.cli.jobs import explain
from lstm_probe.core import console
from lstm_probe.core.errors import InputError
from tests.processes import Command, run

ONE_PROCESS = ["hydra/launcher=basic"]  # that of the test, in which there are stand-ins
INTERRUPTED = "Interrupted. The same command continues where this one stopped."


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, which it may look at afterwards."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    console.prefix = ""


@pytest.fixture
def train(monkeypatch):
    """Puts a stand-in for `train` into its place; returns the configurations it was called with."""
    seen = []

    def run(config):
        seen.append(config)
        logging.getLogger("lstm_probe.stub").info("working on %d units", config.units)
        if config.units == 13:
            raise RuntimeError("the loss is nan\nand more")
        if config.units == 14:
            raise OSError(28, "No space left on device", "outputs/runs/x")
        if config.units == 15:
            raise KeyboardInterrupt
        console.out.print("the table of this run")
        folder = Path(config.outputs) / "runs" / f"u{config.units}-s{config.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps({"scores": {"a": 0.9, "b": config.units / 10}}))
        return folder

    module = ModuleType("lstm_probe.cli.commands.train")
    module.run = run
    monkeypatch.setitem(sys.modules, "lstm_probe.cli.commands.train", module)
    return seen


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Single runs


def test_a_command_gets_its_own_typed_configuration(train, capsys, elsewhere):
    arguments = ["train", "units=3", "task=dyck1", "task.max_length=8", "probe.lags=[0,2]"]
    assert main(arguments) == 0
    (config,) = train
    assert type(config).__name__ == "TrainConfig"
    assert (config.units, config.probe.lags, type(config.task)) == (3, [0, 2], dict)
    assert config.task == {"name": "dyck1", "min_length": 2, "max_length": 8, "predict": "legal"}
    shown = capsys.readouterr()
    assert shown.out == "the table of this run\n"
    assert shown.err == "working on 3 units\n"
    assert files(elsewhere) == ["outputs/runs/u3-s0/run.json"]


def test_presets_of_ones_own(train, elsewhere):
    for group, name, text in (
        ("task", "short", "name: tracking\nlength: 9\n"),
        ("experiment", "tiny", "# @package _global_\ndefaults:\n  - override /task: short\nunits: 2\n"),
    ):
        (elsewhere / "mine" / group).mkdir(parents=True)
        (elsewhere / "mine" / group / f"{name}.yaml").write_text(text)
    assert main(["train", "--config-dir", "mine", "experiment=tiny", "task.cap=4", "seed=5"]) == 0
    (config,) = train
    assert (config.units, config.seed, config.task["length"], config.task["cap"]) == (2, 5, 9, 4)
    assert config.task["decay"] == 0.9


def test_a_failed_run_says_where_the_story_is(train, capsys):
    assert main(["train", "units=13"]) == 1
    error = capsys.readouterr().err
    assert "RuntimeError: the loss is nan\n" in error
    assert "Traceback" not in error
    log = Path(re.search(r"The full traceback is in (\S+)\.\n", error)[1])
    assert "Traceback" in log.read_text()
    assert "and more" in log.read_text()


def test_a_full_disk_is_bad_input(train, capsys):
    assert main(["train", "units=14"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "outputs/runs/x: the disk is full; make room there, or choose another folder by outputs=<folder>."
    )


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), OSError(errno.EDQUOT, "Disk quota exceeded"),
     OSError("[errno 28] No space left on device"),
     RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")],
)  # fmt: skip
def test_every_librarys_full_disk_is_known(error, elsewhere):
    status, lines = explain(error, elsewhere, "here")
    assert status == "bad input"
    assert lines[0].startswith("here: the disk is full")


def test_problems_of_input_errors_stay_lines(elsewhere):
    assert explain(InputError("a", "b"), elsewhere) == ("bad input", ["a", "b"])


def test_interrupted(train, capsys):
    assert main(["train", "units=15"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == INTERRUPTED


def test_hydras_own_views(train, capsys, elsewhere):
    assert main(["train", "--cfg", "job", "units=5", "task.cap=3"]) == 0
    shown = capsys.readouterr().out
    assert "units: 5\n" in shown
    assert "  cap: 3\n" in shown
    assert main(["train", "--info", "defaults"]) == 0
    assert "task/tracking" in capsys.readouterr().out
    assert train == []
    assert files(elsewhere) == []


# Sweeps


def jobs(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("outputs/sweeps/*/*/job.json"))]


def test_a_sweep_tries_every_combination_and_ends_with_a_table(train, capsys, elsewhere):
    assert main(["train", "units=2,4", "--multirun", *ONE_PROCESS, "seed=0,1", "lr=0.1"]) == 0
    assert [(config.units, config.seed, config.lr) for config in train] == [
        (2, 0, 0.1), (2, 1, 0.1), (4, 0, 0.1), (4, 1, 0.1)
    ]  # fmt: skip
    shown = capsys.readouterr()
    assert "the table of this run" not in shown.out
    assert re.search(r"3 +u4-s1 +units=4 seed=1 +0\.40 +\d+\.\d +finished", shown.out)
    assert "All with lr=0.1." in shown.out
    assert "4 of 4 jobs finished" in shown.out
    assert [job["status"] for job in jobs(elsewhere)] == ["finished"] * 4
    assert jobs(elsewhere)[2]["settings"] == ["units=4", "seed=0", "lr=0.1"]
    assert jobs(elsewhere)[2]["scores"] == {"a": 0.9, "b": 0.4}
    assert not list(elsewhere.glob("**/.hydra"))
    assert not (elsewhere / "multirun").exists()


def test_a_failing_job_does_not_stop_the_others(train, capsys, elsewhere):
    assert main(["train", "--multirun", *ONE_PROCESS, "units=2,13,14,4"]) == 1
    assert [job["status"] for job in jobs(elsewhere)] == ["finished", "failed", "bad input", "finished"]
    shown = capsys.readouterr()
    assert "2 of 4 jobs finished" in shown.out
    assert "Traceback" not in shown.out + shown.err
    assert jobs(elsewhere)[1]["error"][0] == "RuntimeError: the loss is nan"
    log = next(elsewhere.glob("outputs/sweeps/*/1/error-*.log"))
    assert log.name in jobs(elsewhere)[1]["error"][1]
    assert "Traceback" in log.read_text()


def test_a_sweep_of_nothing_but_bad_input(train):
    assert main(["train", "--multirun", *ONE_PROCESS, "units=14", "seed=0,1"]) == 2


def test_ctrl_c_ends_a_sweep_with_what_there_is(train, capsys, elsewhere):
    assert main(["train", "--multirun", *ONE_PROCESS, "units=2,15,4"]) == 130
    assert [config.units for config in train] == [2, 15]
    shown = capsys.readouterr()
    assert "1 of 1 jobs finished" in shown.out
    assert "Interrupted." in shown.err


def test_an_experiment_can_be_a_sweep(train, elsewhere):
    assert main(["train", "experiment=capacity", *ONE_PROCESS, "seed=7"]) == 0
    assert [(config.units, config.seed) for config in train] == [(2, 7), (4, 7), (8, 7), (16, 7), (32, 7)]


def test_two_sweeps_at_once_have_folders_of_their_own(train, elsewhere):
    for _ in range(2):
        assert main(["train", "--multirun", *ONE_PROCESS, "units=2"]) == 0
    assert len(list(elsewhere.glob("outputs/sweeps/*"))) == 2


@pytest.mark.slow
def test_joblib_runs_jobs_in_other_processes(elsewhere):
    arguments = [
        "tasks",
        "--multirun",
        "name=dyck1,flipflop",
        "outputs='a folder, mine'",
        "hydra/launcher=joblib",
    ]
    done = run(*arguments, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 jobs finished" in done.stdout
    folder = elsewhere / "a folder, mine"
    assert sorted(path.name for path in (folder / "tasks").iterdir()) == [
        "dyck1.png", "dyck1.svg", "flipflop.png", "flipflop.svg"
    ]  # fmt: skip
    assert len(list(folder.glob("sweeps/*/*/job.json"))) == 2
    assert "[job 1] " in done.stderr


def test_ctrl_c_while_a_text_is_executed_ends_with_the_same_code(elsewhere):
    (elsewhere / "interrupted.py").write_text(
        "import sys, types\n"
        "from lstm_probe.cli import main\n"
        "stand_in = types.ModuleType('stand_in')\n"
        "stand_in.run = lambda config: exec('raise KeyboardInterrupt')\n"
        "sys.modules['lstm_probe.cli.commands.train'] = stand_in\n"
        "sys.exit(main(['train']))\n"
    )
    done = subprocess.run([sys.executable, "-m", "interrupted"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (130, INTERRUPTED)


@pytest.mark.slow
def test_ctrl_c_as_a_signal(elsewhere):
    process = Command("train", "units=4", "steps=1000000", "stop_when_solved=false",
                      stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    for _ in range(600):
        if list(elsewhere.glob("outputs/runs/*/.*")):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert error.splitlines()[-1] == INTERRUPTED


@pytest.mark.parametrize("command", ["probe", "ablate", "dynamics"])
def test_all_stands_for_every_analysis_that_needs_no_setting_of_its_own(capsys, command):
    assert main([command, "run=somewhere", f"{command}.analyses=all", "--cfg", "job"]) == 0
    made = OmegaConf.create(capsys.readouterr().out)[command].analyses
    assert main([command, "--help", f"{command}.analyses"]) == 0
    _, _, listed = capsys.readouterr().out.partition("when nothing else is said):")
    named = [line.split()[0].rstrip("*") for line in listed.splitlines() if re.match(r"  \w", line)]
    assert list(made) == [name for name in named if name not in ("aligned", "learning")]
    assert len(made) >= 7


@pytest.mark.parametrize(
    ("given", "said"),
    [("al", "or all."), ("[all]", "must be a list of some of"), ("all,[timescales]", "all stands alone"),
     ("[timescales,timescales]", "is given twice")],
)  # fmt: skip
def test_all_is_a_word_for_the_whole_list_and_no_member_of_one(capsys, given, said):
    assert main(["dynamics", "run=somewhere", f"dynamics.analyses={given}", "--multirun"]) == 2
    assert said in capsys.readouterr().err
