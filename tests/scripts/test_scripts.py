"""The scripts: their command lines, and what they do."""

import importlib
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_probe.tasks import get_task

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch):
    """Import a script, or a module beside it, as Python does when the script is run."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module


def test_each_benchmark_has_a_command(script, monkeypatch, capsys):
    benchmark = script("benchmark")
    names = [module.__name__.rpartition(".")[2] for module in benchmark.MODULES]
    assert names == sorted(set(names), key=names.index) and {"recording", "stream", "tasks"} <= set(names)
    for arguments in ([], *([name] for name in names)):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments, "--help"])
        with pytest.raises(SystemExit) as ended:
            benchmark.main()
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in (arguments or names))
    assert pickle.loads(pickle.dumps(script("benchmarks.stream").stream_once))  # for a process of its own


def test_the_scripts_are_run_by_their_paths(tmp_path):
    for name, *arguments in (("benchmark.py", "tasks", "--help"), ("coverage.py", "--help"),
                             ("task_defaults.py", "--help"), ("trained_truth.py", "--help")):  # fmt: skip
        done = subprocess.run(
            [sys.executable, SCRIPTS / name, *arguments], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0 and "usage:" in done.stdout, done.stderr


def test_data_and_training_are_timed_on_the_same_batches(script, monkeypatch, capsys):
    tasks = script("benchmarks.tasks")
    timed = {}

    def seconds(functions, repeats, clock):
        made, trained = functions[0](), functions[1].args[1]
        timed.update(made=made, trained=trained, repeats=repeats)
        return [len(made) * 0.002, len(trained) * 0.010]

    monkeypatch.setattr(tasks, "median_seconds", seconds)
    tasks.run(type("Arguments", (), {"names": ["parity"], "repeats": 3}))
    task = get_task("parity")
    assert len(timed["made"]) == task.batches_at_once and {len(batch) for batch in timed["made"]} == {64}
    assert len(timed["trained"]) == tasks.UPDATES and timed["repeats"] == 3
    assert "at most 20.0%" in capsys.readouterr().out


def test_phases_of_two_versions_are_compared_round_by_round(script, monkeypatch, capsys, tmp_path):
    phases = script("benchmarks.phases")
    assert list(phases.arrange({"train": 3.0, "probe": 2.0, "report": 1.0}, {"probe_units": 1.5})) == [
        "train", "probe", "  probe_units", "report"
    ]  # fmt: skip
    took = iter([1.0, 2.0, 9.0, 10.0, 2.0, 8.0])
    asked = []

    def run_once(tree, units):
        asked.append((tree, units))
        own = {"probe": next(took)}
        return own | ({"new": 1.0} if tree == phases.HERE else {})

    monkeypatch.setattr(phases, "run_once", run_once)
    phases.run(type("Arguments", (), {"units": [4], "repeats": 3, "against": tmp_path}))
    assert asked == [(phases.HERE, 4), (tmp_path, 4)] * 3
    shown = capsys.readouterr().out.split()
    # medians of 1 9 2 and of 2 10 8; the ratios are 0.5 0.9 0.25
    assert shown[shown.index("probe") :] == ["probe", "2.00", "8.00", "0.50", "new", "1.00"]


def test_a_run_of_any_version_says_what_its_phases_and_analyses_took(script, tmp_path):
    """The package here is a stand-in: of a version only the command and the names of its analyses are known."""
    package = tmp_path / "tree" / "lstm_probe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "missing.py").write_text("import no_such_extra_of_this_test")
    (package / "units.py").write_text("def probe_units(count):\n    return sum(i * i for i in range(count))\n")
    (package / "__main__.py").write_text(
        "import json, pathlib, sys, time\n"
        "from lstm_probe.units import probe_units\n"
        "command, units, outputs = sys.argv[1:]\n"
        "folder = pathlib.Path(outputs.removeprefix('outputs='), 'runs', 'task', 'one')\n"
        "folder.mkdir(parents=True)\n"
        "started = time.perf_counter()\n"
        "time.sleep(0.2)\n"
        "probe_units(10**6)\n"
        "seconds = {'train': 0.0, 'probe': time.perf_counter() - started}\n"
        "(folder / 'run.json').write_text(json.dumps({'seconds': seconds, 'given': [command, units]}))\n"
    )
    took = script("benchmarks.phases").run_once(tmp_path / "tree", 5)
    assert list(took) == ["train", "probe", "  probe_units", "whole process"]
    # The analysis is nearly all of its phase: a process that sleeps takes no processor time.
    assert 0 < took["  probe_units"] <= took["probe"] <= took["whole process"]


def test_the_coverage_of_laws_that_are_known(script, monkeypatch, capsys):
    coverage = script("coverage")
    for name, (law, truth) in coverage.LAWS.items():
        found = next((units for units in range(1, 65) if law(units) >= 0.5), 65)
        assert found == truth, name
    monkeypatch.setattr(sys, "argv", ["coverage.py", "--searches", "1"])
    monkeypatch.setattr(coverage, "LAWS", {name: coverage.LAWS[name] for name in ("step at 4", "never")})
    coverage.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[-4:-1] for row in rows] == [["1.000", "1.00", "0.0"], ["1.000", "1.00", rows[1][-2]]]


def test_the_files_of_task_defaults_are_as_they_would_be_written(script, tmp_path):
    defaults = script("task_defaults")
    assert defaults.differing(defaults.FOLDER) == {}
    for path in defaults.FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "parity.yaml").write_text("name: parity\n")
    (tmp_path / "gone.yaml").touch()
    found = {path.name: said for path, said in defaults.differing(tmp_path).items()}
    assert found == {"parity.yaml": (defaults.FOLDER / "parity.yaml").read_text(), "gone.yaml": None}


def test_of_trained_networks_those_that_fail_are_counted_and_not_written(script, monkeypatch, capsys, tmp_path):
    trained = script("trained_truth")
    recipe = trained.RECIPES["compose, 16 units"]
    for name, value in {"STEPS": 2, "SEEDS": 2, "RECIPES": {recipe.name: recipe}}.items():
        monkeypatch.setattr(trained, name, value)
    index = trained.make_all(tmp_path)
    assert index == {"networks": [], "tried": {recipe.name: {"passed": [], "failed": [0, 1]}}}
    assert "seed 1: FAILS" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_of_trained_networks_those_that_pass_are_written_as_many_as_are_wanted(script, monkeypatch, tmp_path):
    trained = script("trained_truth")
    recipe = replace(trained.RECIPES["compose, 16 units"], wanted=1, largest=1)
    for name, value in {"STEPS": 2, "SEEDS": 3, "RECIPES": {recipe.name: recipe}, "passes": lambda table: True}.items():
        monkeypatch.setattr(trained, name, value)
    index = trained.make_all(tmp_path)
    assert index["tried"][recipe.name] == {"passed": [0, 1, 2], "failed": []}
    (entry,) = index["networks"]
    assert [path.name for path in tmp_path.iterdir()] == [entry["file"]] and entry["seed"] == 0
