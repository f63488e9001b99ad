"""Tasks of the user's own: registered in Python, from a file that `--config-dir` names, and from packages."""

import json
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest
import yaml
from hydra.core.config_store import ConfigStore

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.core import installed
from lstm_probe.tasks import TASKS, own, registry
from lstm_probe.tasks.numbers.parity import Parity
from lstm_probe.tasks.parameters import parameter

MINE = """
from dataclasses import dataclass
from lstm_probe.tasks.numbers.parity import Parity
from lstm_probe.tasks.parameters import parameter

@dataclass(frozen=True)
class Mine(Parity):
    name = "mine"
    summary = "parity, my way"
    source = "me"
    length: int = parameter(6, "longest sequence", 2, 50)
"""
FAST = [
    "units=2", "steps=2", "test_sequences=16", "probe.sequences=20", "probe.permutations=19", "probe.bootstrap=10",
    "probe.untrained=1", "probe.rotations=19", "probe.variables=[c]", "ablate.sequences=16", "ablate.bootstrap=10",
]  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten():
    """What a test registers is forgotten behind it."""
    before = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(before)
    own._EXECUTED.clear()
    ConfigStore.instance().repo.pop("task", None)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "conf"
    (path / "task").mkdir(parents=True)
    (path / "tasks.py").write_text(MINE)
    return path


def run_of(outputs, task="mine"):
    (found,) = (outputs / "runs" / task).iterdir()
    return found


def test_a_class_is_registered_by_its_name_once_or_again():
    def made():
        @lp.register_task
        @dataclass(frozen=True)
        class Mine(Parity):
            name, summary, source = "mine", "parity, my way", "me"
            ones: int = parameter(3, "ones", 0, 9)

        return Mine

    first, again = made(), made()
    assert first is not again and TASKS["mine"] is again and lp.register_task(again) is again
    assert lp.get_task("mine", ones=4).sample(3).signals.keys() == Parity().sample(3).signals.keys()
    assert lp.list_tasks()["name"].tolist()[-1] == "mine"

    @dataclass(frozen=True)
    class Other(Parity):
        name, summary, source = "mine", "another", "me"

    with pytest.raises(lp.InputError, match=r"Other: the name mine is taken: it is that of .*Mine\."):
        lp.register_task(Other)
    with pytest.raises(lp.InputError, match="the name parity is taken: it is a task of this package"):
        lp.register_task(dataclass(frozen=True)(type("Two", (Parity,), {})))


def test_everything_that_a_class_lacks_is_said():
    class Bare(lp.Task):
        name = "Two Words"
        summary = " "

    with pytest.raises(lp.InputError) as error:
        lp.register_task(Bare)
    assert [line.removeprefix(Bare.__qualname__) for line in error.value.problems] == [
        ": summary is missing; it must be a text.",
        ": source is missing; it must be a text.",
        ": name=Two Words: must be small letters, digits and _, a letter first.",
        ": draw, input_names, targets: not there, but needed.",
        ": must be a frozen dataclass: write @dataclass(frozen=True) above it.",
    ]

    @dataclass(frozen=True)
    class Plain(Parity):
        name, summary = "plain", "a field without a range"
        ones: int = 3

    with pytest.raises(lp.InputError, match=r"ones: must be declared by lstm_probe\.tasks\.parameters\.parameter"):
        lp.register_task(Plain)
    assert registry._class_problems(int) == ["int: no task; it must be a class derived from lstm_probe.Task."]
    assert not {"plain", "Two Words"} & set(TASKS)


def test_a_file_of_tasks_makes_a_run_that_is_probed_again_where_the_file_is_named(folder, tmp_path, capsys):
    outputs, named = tmp_path / "outputs", ["--config-dir", str(folder)]
    assert main(["train", *named, "task=mine", "task.length=5", *FAST, f"outputs={outputs}"]) == 0
    run = run_of(outputs)
    config, info = yaml.safe_load((run / "config.yaml").read_text()), json.loads((run / "run.json").read_text())
    assert config["task"] == {"name": "mine", "length": 5, "min_length": 0, "rate": 0.5}
    assert set(config["task_sources"]) == {"mine"} and info["task_files"] == {"mine": str(folder / "tasks.py")}
    again = ["probe", f"run={run}", "probe.lags=[1]", *(f for f in FAST if f.startswith("probe"))]
    TASKS.pop("mine")
    own._EXECUTED.clear()
    capsys.readouterr()
    assert main(again) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"run={run}: its task is of your own (mine in {folder / 'tasks.py'}); name the folder of its tasks.py by "
        "--config-dir, or in Python register it by lstm_probe.register_task"
    ]
    (folder / "tasks.py").write_text(MINE.replace('"longest sequence", 2, 50', '"longest sequence", 6, 50'))
    assert main([again[0], *named, *again[1:]]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"run={run}: its task is no longer what it was: task.length=5: must be a whole number from 6 to 50."
    ]
    (folder / "tasks.py").write_text(MINE)
    assert main([again[0], *named, *again[1:]]) == 0
    assert "has changed" not in capsys.readouterr().err
    # Another source is another run, and of the old one it is said.
    (folder / "tasks.py").write_text(MINE + "\n# changed\n")
    assert main([again[0], *named, *again[1:], "seed=3"]) == 0
    assert "the source of its task has changed" in " ".join(capsys.readouterr().err.split())
    assert main(["train", *named, "task=mine", "task.length=5", *FAST, f"outputs={outputs}"]) == 0
    assert len(list(run.parent.iterdir())) == 2


def test_defaults_come_from_the_class_or_from_a_file_in_task(folder, capsys):
    named = ["--config-dir", str(folder)]
    assert main(["train", *named, "task=mine", "--cfg", "job"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["task"] == {
        "name": "mine", "length": 6, "min_length": 0, "rate": 0.5,
    }  # fmt: skip
    (folder / "task" / "mine.yaml").write_text("name: mine\nlength: 9\n")
    (folder / "task" / "long.yaml").write_text("name: mine\nlength: 40\n")
    for name, length in (("mine", 9), ("long", 40)):
        assert main(["train", *named, f"task={name}", "--cfg", "job"]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["task"] == {"name": "mine", "length": length}


def test_a_task_of_ones_own_is_shown_and_is_part_of_a_composition(folder, tmp_path, capsys):
    named = ["--config-dir", str(folder), f"outputs={tmp_path / 'outputs'}"]
    assert main(["tasks", "name=mine", *named]) == 0
    assert "parity, my way" in capsys.readouterr().out
    assert set(own.task_digests(lp.get_task("compose", parts=["mine", "flipflop"]))) == {"mine"}
    assert own.task_files(lp.get_task("compose")) == {}


TWO = MINE + MINE.replace("class Mine", "class Second")
BAD = [
    ("x = (\n", ["{file}: line 1: '(' was never closed."]),
    ("x = 1\n1 / 0\n", ["{file}: line 2: ZeroDivisionError: division by zero"]),
    ("raise SystemExit(3)\n", ["{file}: line 1: SystemExit: 3"]),
    ("x = 1\n", ["{file}: there is no task in it; write a class derived from lstm_probe.Task."]),
    (TWO, ["{file}: Second: the name mine is taken: it is that of {module}.Mine."]),
    (MINE.replace('"mine"', '"parity"'), ["{file}: Mine: the name parity is taken: it is a task of this package."]),
    (MINE.replace("(frozen=True)", ""), None),
    (MINE + "    def __post_init__(self):\n        raise ValueError('no')\n", ["{file}: line 13: ValueError: no"]),
    (
        "import lstm_probe as lp\nclass Half(lp.Task):\n    name = summary = source = 'x'\n",
        ["{file}: Half: draw, input_names, targets: not there, but needed."],
    ),
]


@pytest.mark.parametrize(("content", "lines"), BAD)
def test_what_is_wrong_with_the_file_is_said_in_a_line(content, lines, folder, tmp_path, capsys):
    (folder / "tasks.py").write_text(content)
    before = dict(TASKS)
    assert main(["train", "--config-dir", str(folder), f"outputs={tmp_path / 'outputs'}"]) == 2
    said = capsys.readouterr().err.splitlines()
    module = next(name for name, m in sys.modules.items() if getattr(m, "__file__", None) == str(folder / "tasks.py"))
    if lines is None:
        assert len(said) == 1 and said[0].startswith(f"{folder / 'tasks.py'}: line ")
    else:
        assert said == [line.format(file=folder / "tasks.py", module=module) for line in lines]
    assert before == TASKS and not (tmp_path / "outputs").exists()


def test_a_file_in_task_whose_name_is_unknown(folder, capsys):
    (folder / "task" / "odd.yaml").write_text("name: mein\n")
    assert main(["train", "--config-dir", str(folder), "task=odd"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("task=mein: no such task. Did you mean 'mine'?")
    assert said.endswith(f"(in {folder / 'task' / 'odd.yaml'})")


@pytest.mark.parametrize("launcher", [["hydra.launcher.jobs=2"], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_sweep_in_other_processes_executes_the_file_too(launcher, folder, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    outputs = tmp_path / "outputs"
    line = ["train", "--config-dir", str(folder), "--multirun", "task=mine", "seed=0,1", *launcher, *FAST,
            f"outputs={outputs}"]  # fmt: skip
    assert main(line) == 0
    assert len(list((outputs / "runs" / "mine").iterdir())) == 2


def test_an_installed_package_brings_tasks(folder, monkeypatch, capsys):
    (folder / "brought.py").write_text(MINE.replace('"mine"', '"brought"'))
    monkeypatch.syspath_prepend(folder)
    values = {"brought": "brought:Mine", "absent": "no_such_module:Task", "odd": "brought:Mine"}
    points = [EntryPoint(name, value, installed.TASK_GROUP) for name, value in values.items()]
    monkeypatch.setattr(installed, "entry_points", lambda group: points if group == installed.TASK_GROUP else ())
    assert main(["train", "task=brought", "--cfg", "job"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["task"] == {"name": "brought"}
    assert lp.get_task("brought").length == 6
    for name, words in (
        ("absent", "entry point absent = no_such_module:Task: cannot be imported (ModuleNotFoundError: "),
        ("odd", "entry point odd = brought:Mine: the name of this task is brought; both must be the same."),
    ):
        assert main(["train", f"task={name}", "task.length=3"]) == 2
        assert capsys.readouterr().err.startswith(words)
    assert registry.installed_tasks is installed.installed_tasks
