"""The next command is the one that fits what was found."""

import shlex

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.cli.next_step import after_ablating, after_run, after_size, command, on_run
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import load_run
from lstm_probe.sizing.answer import Size
from lstm_probe.sizing.command import train_command, usual_of
from tests.figures.made import made_run


def told(steps) -> list[str]:
    return [line for _, line in steps if line is not None and "figures" not in line]


def test_after_a_run_that_learned_comes_the_card_of_its_costliest_unit(tmp_path):
    run = made_run(tmp_path, units=4)
    costs = run.ablations
    costs.loc[(costs["unit"] == 2) & (costs["needed"] == "alone"), ["refit_drop", "score_drop"]] = 0.9
    assert told(after_run(run, find_in(run))) == [f"lstm-probe probe run={run.path} card=2"]


def test_where_it_is_not_known_what_is_needed_the_best_tracking_unit(tmp_path):
    run = made_run(tmp_path, units=4)
    run.__dict__["ablations"] = run.ablations.iloc[:0]
    run.info["not_ablated"] = "there is no readout"
    probes = run.probes
    probes.loc[(probes["unit"] == 1) & probes["tracks"], "effect"] = 0.99
    assert told(after_run(run, find_in(run))) == [f"lstm-probe probe run={run.path} card=1"]


def test_a_task_that_was_not_learned_needs_more_training_or_another_size(tmp_path):
    run = made_run(tmp_path, units=4, scores={"parity": 0.1}, steps=4000)
    longer, size = told(after_run(run, find_in(run)))
    assert longer.startswith("lstm-probe train task=tracking ")
    assert {"units=4", "seed=0", "steps=8000", f"outputs={tmp_path}"} <= set(longer.split())
    assert size.startswith("lstm-probe size task=tracking ") and "units=" not in size


@pytest.mark.parametrize(("task", "longer"), [("tracking", 3000), ("python_source", 2400)])
def test_a_training_that_was_cut_short_is_to_be_as_long_as_usual_at_least(tmp_path, task, longer):
    run = made_run(tmp_path, units=4, scores={"parity": 0.1}, steps=1)
    run.config["task"]["name"] = task
    line = train_command(run, steps=max(2, usual_of(run, "steps")))
    assert line is not None and f"steps={longer}" in line.split()
    if task == "tracking":
        assert told(after_run(run, find_in(run)))[0] == line


def test_where_nothing_was_found_it_is_said_whether_anything_could_be(tmp_path):
    run = made_run(tmp_path, units=4)
    run.ablations["needed"] = "no"
    for testable, words in ((True, "No unit was found to track a signal."), (False, "No signal could be tested.")):
        run.__dict__["probes"] = run.probes.assign(tracks=False, testable=testable)
        ((said, line), *_) = after_run(run, find_in(run))
        assert (said, line) == (f"{words} How memories are held and read:", f"lstm-probe dynamics run={run.path}")


@pytest.mark.parametrize(("needed", "said"), [("no", "shrink run="), ("alone", "probe run=")])
def test_after_ablating_units_that_are_not_needed_can_go(tmp_path, needed, said):
    run = made_run(tmp_path, units=4)
    run.ablations["needed"] = needed
    (line,) = told(after_ablating(run, find_in(run)))
    assert line.startswith(f"lstm-probe {said}{run.path}")


def test_no_size_no_command(tmp_path):
    nothing = pd.DataFrame({"run": [], "units": []})
    found = Size.__new__(Size)
    found.__dict__.update(units=None, trials=nothing, task="parity")
    assert told(after_size(found, str(tmp_path))) == []


def test_a_command_is_fit_for_a_shell():
    assert command("probe", run="my runs/u2", card="1") == "lstm-probe probe 'run=my runs/u2' card=1"
    assert command("report", outputs="outputs") == "lstm-probe report"
    assert command("report", outputs="other") == "lstm-probe report outputs=other"


@pytest.mark.parametrize("folder", ["a,b", "[a]", "{a}", 'a "b", c', "a b", "it's, all", "back\\, slash"])
def test_a_command_says_what_it_is_for_however_a_folder_is_called(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command("runs", outputs=folder))[1:]) == 0
    assert f"No finished runs are in {folder}." in capsys.readouterr().out


def test_a_command_on_a_run_finds_the_task_of_ones_own(tmp_path, monkeypatch):
    run = made_run(tmp_path, units=4)
    run.config["task_sources"] = {"mine": "9f86d081"}
    run.info["task_files"] = {"mine": "/home/me/my tasks/tasks.py"}
    steps = [line for _, line in after_run(run, find_in(run))]
    assert len(steps) == 2 and all(shlex.split(line)[2:4] == ["--config-dir", "/home/me/my tasks"] for line in steps)
    run.info["task_files"] = {"mine": None}  # typed into a terminal: no command finds it
    assert [line for _, line in after_run(run, find_in(run))] == [None, None]
    monkeypatch.setattr("lstm_probe.runs.flags.installed_tasks", lambda: {"mine": None})
    assert on_run("dynamics", run) == f"lstm-probe dynamics run={run.path}"


def test_commands_after_a_run_on_a_short_text_and_its_size_are_ones_that_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("to be, or not to be: that is the question. " * 20)
    how = ["task=text", "task.path=short.txt", "task.length=20", "steps=2", "test_sequences=16"]
    assert main(["size", *how, "largest=2", "budget=4", "solved=0.01"]) == 0  # nothing of it is ever probed
    small = ["measure=light", "probe.sequences=20", "ablate.sequences=16", "probe.permutations=19"]
    assert main(["train", *how, "units=2", *small]) == 0
    longer, size = (line for line in capsys.readouterr().out.splitlines() if line.startswith("  lstm-probe"))
    assert {"probe.sequences=20", "ablate.sequences=16", "steps=3000"} <= set(longer.split())
    again = ["steps=4" if word == "steps=3000" else word for word in shlex.split(longer)[1:]]
    assert main([*again, *small[:1], "probe.bootstrap=10", "ablate.bootstrap=10"]) == 0
    assert main([*shlex.split(size)[1:], "largest=2", "budget=4", "solved=0.01"]) == 0
    run = load_run(next((tmp_path / "outputs/runs/text").glob("u2-s0-*")))
    found = Size.__new__(Size)
    found.__dict__.update(units=2, trials=pd.DataFrame({"run": [run.name], "units": [2]}), task="text")
    (line,) = told(after_size(found, "outputs"))
    train, most = [word for word in shlex.split(line)[1:] if "bootstrap" not in word], run.task.most
    given = {word.partition("=")[0]: int(word.partition("=")[2]) for word in train if ".sequences=" in word}
    assert most < 512 and all(n <= most for n in given.values()) and "probe.sequences" in given


def test_the_card_that_is_offered_is_of_what_was_just_shown(tmp_path, monkeypatch, capsys):
    """Where settings are not the usual ones a plain `card=` would measure the run anew, and say something else."""
    monkeypatch.chdir(tmp_path)

    def offered() -> list[str]:
        shown = capsys.readouterr().out.splitlines()
        return shlex.split(next(line for line in shown if "lstm-probe probe run=" in line))[1:]

    small = "probe.sequences=60 probe.permutations=99 probe.bootstrap=10 probe.null=roll ablate.bootstrap=10"
    task = "task=flipflop task.bits=1 task.length=10 units=2 steps=400 ablate.sequences=20"
    assert main(["train", *task.split(), *small.split()]) == 0
    (folder,), own = (tmp_path / "outputs/runs/flipflop").iterdir(), offered()
    assert set(small.split()[:4]) < set(own)
    assert main(own) == 0 and not (folder / "analyses").exists()
    capsys.readouterr()
    assert (
        main(["probe", f"run={folder}", "probe.sequences=60", "probe.variables=[c,h]", "probe.lags=[0,2]", "seed=7"])
        == 0
    )
    (made,), again = (folder / "analyses").iterdir(), offered()
    assert main(again) == 0
    assert list((folder / "analyses").iterdir()) == [made]
