"""The command line: help, bad input, completion, public names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lstm_probe
from lstm_probe.cli import main
from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.usage import FIRST
from lstm_probe.core import console

COMMAND = [sys.executable, "-m", "lstm_probe"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, which it may look at afterwards."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    console.prefix = ""


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def run_process(*arguments: str, **options):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, **options)


# Help


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(arguments, capsys):
    assert main(arguments) == 0
    text = capsys.readouterr().out
    for command in SCHEMAS:
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
    assert "exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted" in text


def keys_shown(text: str) -> list[str]:
    return re.findall(r"^  ([a-z_.]+)=", text.partition("keys:\n")[2].partition("\n\n")[0], re.MULTILINE)


@pytest.mark.parametrize("command", SCHEMAS)
def test_help_all_has_all_keys_of_a_command_and_fits_the_width(command, capsys):
    assert main([command, "--help", "all"]) == 0
    text = capsys.readouterr().out
    own = [key for key, _ in keys_of(SCHEMAS[command])]
    assert [key for key in keys_shown(text) if key != "experiment"] == own
    for key, f in keys_of(SCHEMAS[command]):
        said = " ".join(text.partition(f"\n  {key}=")[2].split())
        assert " ".join(f.metadata["help"].split()[:3]) in said
    assert f"  lstm-probe {command}" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("  lstm-probe")) <= 100
    for same in ([command, "help", "all"], ["help", command, "all"], ["--help", command, "all"]):
        assert main(same) == 0
        assert capsys.readouterr().out == text


def test_help_begins_with_the_eight_keys_that_people_set_first(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    first = ["task", "experiment", "units", "seed", "layers", "steps", "measure", "outputs"]
    assert keys_shown(text) == first
    assert "--multirun units=2,4" in text
    every = len(list(keys_of(SCHEMAS["train"]))) + 1
    assert f"The other {every - 8} keys: lstm-probe train --help all" in text
    assert len(text.splitlines()) <= 45
    assert main(["train", "help"]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("command", FIRST)
def test_the_first_keys_are_keys_and_fewer_than_all(command, capsys):
    assert main([command, "--help"]) == 0
    assert tuple(keys_shown(capsys.readouterr().out)) == FIRST[command]
    assert set(FIRST[command]) <= {"experiment", *(key for key, _ in keys_of(SCHEMAS[command]))}


def test_a_command_with_few_keys_shows_all_at_once(capsys):
    assert main(["runs", "--help"]) == 0
    text = capsys.readouterr().out
    assert keys_shown(text) == ["runs", "where", "check", "merge", "outputs"]
    assert "--help all" not in text


@pytest.mark.parametrize(
    ("topic", "keys"),
    [("units", ["units"]), ("task", ["task"]), ("probe.lags", ["probe.lags"]), ("seed=3", ["seed"])],
)
def test_help_of_a_key(topic, keys, capsys):
    assert main(["train", "--help", topic]) == 0
    text = capsys.readouterr().out
    assert keys_shown(text + "\n\n") == keys
    assert "examples:" not in text


def test_help_of_the_keys_of_an_analysis_and_of_none(capsys):
    assert main(["train", "--help", "ablate"]) == 0
    text = capsys.readouterr().out
    assert all(key.startswith("ablate.") for key in keys_shown(text))
    assert "  sufficient*" in text
    assert main(["train", "--help", "unist"]) == 2
    assert capsys.readouterr().err == (
        "--help unist: no such key. Did you mean 'units'? All keys: lstm-probe train --help all\n"
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments):
    done = run_process(*arguments)
    assert done.returncode == 0, done.stderr
    code = f"import sys, lstm_probe.cli as cli; cli.main({arguments}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert "lstm_probe.cli" in loaded
    assert not {"torch", "numpy", "pandas", "hydra", "omegaconf", "matplotlib", "sklearn"} & set(loaded)


def test_examples_in_the_help_are_legal():
    from lstm_probe.cli.launch import read_arguments
    from lstm_probe.cli.overrides import check
    from lstm_probe.cli.usage import EXAMPLES
    from lstm_probe.core.files import configuration_folder
    from lstm_probe.tasks.table.file import example

    example().frame.to_csv("data.csv", index=False)
    assert set(EXAMPLES) == set(SCHEMAS)
    for command, lines in EXAMPLES.items():
        for line in lines:
            name, *arguments = line.replace("'", "").split()
            assert name == command
            args, _ = read_arguments(arguments)
            check(command, args.overrides, args.multirun, [configuration_folder()])


# Bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train units=abc", ["units=abc: must be a whole number from 1 to 4096."]),
        ("train units=0", ["units=0: must be a whole number from 1 to 4096."]),
        ("train units=-3", ["units=-3: must be a whole number from 1 to 4096."]),
        ("train task=trackng", ["task=trackng: no such task. Did you mean 'tracking'?"]),
        ("train lr=fast", ["lr=fast: must be a number from"]),
        ("train sed=1", ["sed=1: no such key. Did you mean 'seed'?"]),
        ("train units", ["units: a value is missing"]),
        ("train units=", ["units: a value is missing"]),
        ("train units=abc sed=1", ["units=abc: must be", "sed=1: no such key."]),
        ("train units=2,4", ["units=2,4: several values need --multirun"]),
        ("train --multirun units=2,x seed=0,-1", ["units=x: must be", "seed=-1: must be"]),
        ("train projection=32", ["projection=32: must be below units=32"]),
        ("train task.length=1 units=0", ["units=0: must be", "task.length=1: must be"]),
        ("train --mutlirun units=2,4", ["--mutlirun: no such flag. Did you mean '--multirun'?"]),
        ("train --config-dir=nowhere", ["--config-dir=nowhere: there is no such folder."]),
        ("train --config-name=x", ["--config-name: not supported here"]),
        ("train --cfg job --multirun", ["--cfg, --info, --run and --multirun cannot be combined."]),
        ("train hydra/launcher=jolib", ["hydra/launcher=jolib: no such choice. Did you mean 'joblib'?"]),
        ("train hydra.foo=1", ["Could not override 'hydra.foo'."]),
        ("train seed=${nothing}", ["Interpolation key 'nothing' not found"]),
        ("trian units=4", ["trian: no such command. Did you mean 'train'?"]),
        ("train units=${nothing}", ["Interpolation key 'nothing' not found"]),
        ("train layers=${units} units=40", ["layers=40: must be a whole number from 1 to 16."]),
        ("train task.length=${units} units=1", ["task.length=1: must be"]),
        ("train units= steps=3", ["units: a value is missing"]),
        ("train ~probe.lags units=4", ["~probe.lags: a key cannot be removed; leave it out to have its default."]),
        ("train cell=lstm+", ["cell=lstm+: a plus sign without an option behind it; there are gates:VALUE"]),
        ("train task=text task.path=naïve(1).txt", ["task.path=naïve(1).txt: there is no such file"]),
        ("train units=ü", ["units=ü: must be a whole number from 1 to 4096."]),
        ("runs units=[2", ["units=[2: the value cannot be read; put it in quotes twice"]),
        ("units=4", ["units=4: the command comes first, as in lstm-probe train units=4"]),
        (
            "--multirun train units=2,4",
            ["--multirun: the command comes first, as in lstm-probe train --multirun"],
        ),
        ("probe", ["run: a value is missing; write run=<folder of the run; or a pattern, for several>"]),
        ("ablate run=", ["run: a value is missing"]),
        ("probe run=here own_cell=gru", ["own_cell=gru: must be package.module:NAME; lstm "]),
        ("probe run=here own_cell=nowhere:X", ["own_cell=nowhere:X: No module named 'nowhere'."]),  # no ❌
        ("runs units=", ["units: a value is missing; write units=<value>, one that runs have."]),
        ("report task.bits=", ["task.bits: a value is missing; write task.bits=<value>, one that runs have."]),
        ("runs units=[2,3", ["units=[2,3: the value cannot be read; put it in quotes twice"]),
        ("tasks name=trackin", ["name=trackin: no such task. Did you mean 'tracking'?"]),
        ("describe units=4 unit=4", ["unit=4: must be below units=4"]),
        ("train outputs=/proc/none", ["outputs=/proc/none: /proc cannot be written to"]),
        ("-sc install=foo", ["No completion plugin for 'foo' found"]),
    ],
)
def test_bad_input(arguments, said, capsys, elsewhere):
    assert main(arguments.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert everything(elsewhere) == []
    lines = shown.err.splitlines()
    assert "Traceback" not in shown.err
    # One or two lines: one for each problem, and where Hydra has a hint of its own, that too.
    assert len(lines) <= 2
    for line, start in zip(lines, said):
        assert line.startswith(start)


def test_bad_input_as_a_whole_process(elsewhere):
    done = run_process("train", "units=abc", "sed=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "units=abc: must be a whole number from 1 to 4096.\nsed=1: no such key. Did you mean 'seed'?\n"
    )
    assert everything(elsewhere) == []


@pytest.mark.parametrize(
    "terminal",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"COLUMNS": "0"}],
)
def test_a_terminal_that_has_not_every_character_or_no_width(terminal, elsewhere):
    done = run_process("describe", "units=4", "unit=1", env=os.environ | terminal)
    assert (done.returncode, done.stderr) == (0, "")
    assert "c[t, 1] = f" in done.stdout and ("Keras LSTM             columns" in done.stdout)
    assert done.stdout.isascii() == ("COLUMNS" not in terminal)
    done = run_process("runs", "runs=müßig", env=os.environ | terminal)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No finished runs match m" + ("üßig" if "COLUMNS" in terminal else "\\"))


def test_a_file_where_outputs_should_be(capsys, elsewhere):
    (elsewhere / "outputs").write_text("mine")
    assert main(["train"]) == 2
    assert "outputs=outputs: outputs cannot be written to" in capsys.readouterr().err
    assert main(["tasks", "name=dyck1"]) == 2
    assert "outputs" in capsys.readouterr().err
    assert (elsewhere / "outputs").read_text() == "mine"


def test_presets_that_are_wrong_are_bad_input(capsys, elsewhere):
    (elsewhere / "mine" / "task").mkdir(parents=True)
    (elsewhere / "mine" / "task" / "long.yaml").write_text("name: tracking\nlength: 0\n")
    assert main(["train", "--config-dir=mine", "task=long"]) == 2
    assert capsys.readouterr().err.startswith("task.length=0: must be a whole number from 2")


@pytest.mark.parametrize("content", ["units: 4\n", "# no package\nunits: 4\n"])
def test_a_preset_that_is_not_the_commands_own_says_what_it_lacks(content, capsys, elsewhere):
    (elsewhere / "mine" / "experiment").mkdir(parents=True)
    file = elsewhere / "mine" / "experiment" / "e.yaml"
    file.write_text(content)
    assert main(["train", f"--config-dir={elsewhere / 'mine'}", "experiment=e", "--cfg", "job"]) == 2
    lacks = f"{file}: lacks the line # @package _global_, by which its keys are the command's own.\n"
    assert capsys.readouterr().err == lacks
    file.write_text(f"# @package _global_\n{content}")
    assert main(["train", f"--config-dir={elsewhere / 'mine'}", "experiment=e", "--cfg", "job"]) == 0
    assert "units: 4\n" in capsys.readouterr().out


# The package


def test_public_names_come_when_they_are_used():
    assert sorted(lstm_probe.__all__) == sorted(dir(lstm_probe))
    for name in lstm_probe.__all__:
        assert getattr(lstm_probe, name) is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+", lstm_probe.__version__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lstm_probe.nothing
    code = "import lstm_probe, sys; lstm_probe.InputError; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Where it runs


def test_a_folder_that_was_removed_is_said(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    env = os.environ | {"PYTHONPATH": str(Path(lstm_probe.__file__).parents[1])}
    line = f'cd {gone} && rmdir {gone} && exec "$0" -m lstm_probe "$@"'
    for words in ("runs", "train units=2", f"report outputs={tmp_path}"):
        command = ["sh", "-c", line, sys.executable, *words.split()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "The current folder is not there any more; change to another one.\n"
        gone.mkdir()


def test_a_projection_is_trained_without_a_word_of_pytorchs():
    done = run_process("train", "task=parity", "units=3", "projection=2", "steps=2", "measure=none")
    assert done.returncode == 0 and "oneDNN" not in done.stderr, done.stderr


def test_what_goes_with_a_run_that_is_made_again_is_said(tmp_path, capsys):
    tiny = ["probe.permutations=19", "probe.bootstrap=10", "probe.untrained=1", "probe.sequences=40"]
    words = ["train", "task=parity", "units=2", "steps=2", "measure=none", "test_sequences=16", *tiny]
    assert main(words) == 0
    (run,) = tmp_path.glob("outputs/runs/parity/*")
    assert main(["probe", f"run={run}", "probe.analyses=[saturation]", *tiny, "probe.saturation_low=0.2"]) == 0
    (later,) = run.glob("analyses/*")
    capsys.readouterr()
    assert main([*words, "force=true"]) == 0
    said = capsys.readouterr().err
    assert f"made again, without what was analysed of it later: {later.name}\n" in said and not later.exists()
    assert main([*words, "force=true"]) == 0
    assert "made again" not in capsys.readouterr().err.replace("force=true makes it again", "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hydra.sweep.subdir=same", "hydra.sweep.subdir=same: not taken; each job has a folder by its number"),
        ("hydra.sweep.subdir=a/${hydra.job.num}", "hydra.sweep.subdir=a/${hydra.job.num}: not taken; each job has"),
        ("hydra.sweep.subdir=${hydra.job.override_dirname}", "hydra.sweep.subdir=${hydra.job.override_dirname}: not"),
        (
            "hydra.sweeper.max_batch_size=0",
            "hydra.sweeper.max_batch_size=0: must be a whole number from 1 on, or null.",
        ),
        ("hydra.launcher.jobs=0", "hydra.launcher.jobs=0: must be a whole number from 1 on, or null."),
        ("hydra.sweeper.params.seed=2", "hydra.sweeper.params.seed: not taken here; write the values with their key"),
        ("hydra.sweeper.params={seed:'0,1'}", "hydra.sweeper.params.seed: not taken here; write the values with"),
        ("hydra.searchpath=[x]", "hydra.searchpath=[x]: not taken; name your folder by --config-dir."),
    ],
)
@pytest.mark.filterwarnings("ignore:provider=hydra.searchpath")
def test_a_sweep_whose_jobs_would_be_lost_is_refused(given, said, capsys, elsewhere):
    """Outcomes in one folder, or in none that is looked into, would hide a job that failed."""
    words = ["train", "--multirun", "task=parity", "units=2", "seed=0,1", "steps=2", "measure=none"]
    assert main([*words, given]) == 2
    assert said in capsys.readouterr().err
    assert not list(elsewhere.glob("outputs/runs/*"))
