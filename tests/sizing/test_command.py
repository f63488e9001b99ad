"""The command that a sweep's report gives: a shell and the command line read it back as the runs' own settings."""

import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.overrides import check, read
from lstm_probe.core.files import configuration_folder
from lstm_probe.core.yaml_files import load_yaml_file
from lstm_probe.network.settings import TrainingSettings
from lstm_probe.sizing.command import _written, size_commands
from lstm_probe.tasks import complete_task
from tests.figures.made import made_run


def read_back(command):
    """The words before the settings of a command, and the settings, as a shell and the command line read them."""
    words = shlex.split(command)
    problems = []
    given = read([word for word in words if "=" in word], problems)
    assert not problems and all(one.readable and not one.sweep for one in given)
    return [word for word in words if "=" not in word], {one.key: plain(one.values[0]) for one in given}


def plain(value):
    """A value without the marks that it was quoted."""
    return [plain(one) for one in value] if isinstance(value, list) else getattr(value, "text", value)


def commands_of(folder, task="tracking", sizes=(2, 8), solved=True, **settings):
    """The commands for runs with these settings, the others at their defaults."""
    task = complete_task({"name": task}) if isinstance(task, str) else task
    config = {f.name: f.default for f in fields(TrainingSettings) if f.name not in ("units", "seed", "device")}
    config["test_sequences"] = dict(keys_of(SCHEMAS["train"]))["test_sequences"].default
    runs = [made_run(folder, units, task=task, **{**config, **settings}) for units in sizes]
    for run in runs:
        run.info["task"], run.info["solved"] = task["name"], solved
    return size_commands(runs)


def command_of(folder, *args, **settings):
    (command,) = commands_of(folder, *args, **settings).values()
    of_file = " task.path=" in command or " 'task.path=" in command  # which is not there
    lines = [word for word in shlex.split(command) if "=" in word and not (of_file and word.startswith("task."))]
    check("size", lines, False, [configuration_folder()])
    return read_back(command)


def test_the_usual_settings_are_left_out(tmp_path):
    assert command_of(tmp_path) == (["lstm-probe", "size"], {"task": "tracking", "outputs": str(tmp_path)})


def test_every_setting_that_is_not_the_usual_one_is_there(tmp_path):
    settings = {"layers": 2, "projection": 1, "init": "keras", "forget_bias": 1.5, "steps": 500, "batch": 32,
                "lr": 1e-05, "clip": 0.25, "evaluate_every": 50, "stop_when_solved": False, "tbptt": 4,
                "test_sequences": 64}  # fmt: skip
    task = complete_task({"name": "flipflop", "bits": 2, "rate": 0.25})
    _, given = command_of(tmp_path, task, **settings)
    about = {"task": "flipflop", "task.bits": 2, "task.rate": 0.25, "outputs": str(tmp_path)}
    assert given == {**about, **settings}
    known = dict(keys_of(SCHEMAS["train"]))
    assert {key for key in given if not key.startswith("task.")} <= set(known)


def test_what_a_recipe_sets_is_said_so_that_no_recipe_can_change_it(tmp_path):
    recipe = load_yaml_file(configuration_folder() / "recipe" / "python_source.yaml")
    as_usual = {f.name: f.default for f in fields(TrainingSettings)}
    task = {"name": "python_source", "path": None, "length": 80, "content": "9f86d081"}
    _, given = command_of(tmp_path / "usual", task)
    for key, value in recipe.items():
        assert given.get(key, value if value == as_usual[key] else "missing") == as_usual[key]
    _, given = command_of(tmp_path / "recipe", task, **recipe)
    for key, value in recipe.items():
        assert given.get(key, as_usual[key]) == value
    assert "task.content" not in given


@pytest.mark.parametrize(
    ("sizes", "solved", "largest"),
    [((2, 32), True, None), ((2, 32), False, None), ((2, 64), False, 128), ((8, 128), True, None),
     ((96, 128), True, 96), ((4096,), False, 512)],
)  # fmt: skip
def test_it_looks_as_far_as_the_runs_say_that_it_must(tmp_path, sizes, solved, largest):
    _, given = command_of(tmp_path, sizes=sizes, solved=solved)
    assert given.get("largest") == largest


def test_a_size_that_only_one_seed_solved_is_not_large_enough(tmp_path):
    runs = [made_run(tmp_path, units, seed) for units, seed in ((100, 0), (100, 1), (300, 0))]
    runs[1].info["solved"] = False
    (command,) = size_commands(runs).values()
    assert read_back(command)[1]["largest"] == 300


def test_a_file_of_the_users_own_is_named_as_it_is_called(tmp_path):
    table = {"name": "table", "path": "/data/my (first), 'own' \"x\".csv", "content": "9f86d081",
             "target_columns": ["y", "the target, scaled", "null"], "window": None, "gaps": "split"}  # fmt: skip
    _, given = command_of(tmp_path, table)
    assert given["task.path"] == table["path"] and given["task.gaps"] == "split"
    assert given["task.target_columns"] == table["target_columns"] and "task.window" not in given
    parts = ["flipflop:bits=1,rate=0.2", "parity"]
    assert command_of(tmp_path, complete_task({"name": "compose", "parts": parts}))[1]["task.parts"] == parts


def test_a_task_of_the_users_own_brings_its_folder(tmp_path):
    task = {"name": "mine", "length": 20, "word": "a b"}
    runs = [made_run(tmp_path, 4, task=task, task_sources={"mine": "9f86d081"}, lr=0.03)]
    runs[0].info["task"] = "mine"
    runs[0].info["task_files"] = {"mine": "/home/me/my tasks/tasks.py"}
    (command,) = size_commands(runs).values()
    words, given = read_back(command)
    assert words == ["lstm-probe", "size", "--config-dir", "/home/me/my tasks"]
    assert given == {"task": "mine", "task.length": 20, "task.word": "a b", "outputs": str(tmp_path)}
    for place in ("/home/me/notebook.py", None):
        runs[0].info["task_files"] = {"mine": place}
        assert size_commands(runs) == {}


def test_the_usual_store_is_left_out_and_other_settings_have_a_command_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [made_run(Path("outputs"), 4), made_run(Path("outputs"), 4, lr=0.1)]
    assert size_commands(runs) == {
        "tracking, lr=0.01": "lstm-probe size task=tracking lr=0.01",
        "tracking, lr=0.1": "lstm-probe size task=tracking lr=0.1",
    }


@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=30))
def test_any_text_is_read_back(text):
    problems = []
    for value in (text, [text, "x"]):
        (one,) = read(shlex.split(shlex.quote(f"key={_written(value)}")), problems)
        assert plain(one.values[0]) == value and one.readable and not one.sweep and not problems
