"""Analyses of a finished run made again: whole or not there, checked when they are read, never two at once."""

import json
import shutil
import time

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.core.errors import InputError
from lstm_probe.runs import again, making
from lstm_probe.runs.again import ABOUT, analyse_again
from lstm_probe.runs.analyses import default_names
from lstm_probe.runs.checking import check_folder
from lstm_probe.runs.run import load_run
from lstm_probe.runs.settings import COMMANDS
from lstm_probe.runs.store import claim
from tests.processes import FRESH

QUICK = [
    "task=flipflop", "task.bits=2", "task.length=12", "units=2", "steps=40", "evaluate_every=20",
    "stop_when_solved=false", "test_sequences=32", "probe.sequences=30", "probe.permutations=99", "probe.bootstrap=10",
    "probe.untrained=1", "probe.rotations=19", "ablate.sequences=20", "ablate.bootstrap=10",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run."""
    outputs = tmp_path_factory.mktemp("outputs")
    assert main(["train", *QUICK, f"outputs={outputs}"]) == 0
    (folder,) = (outputs / "runs" / "flipflop").iterdir()
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A run of one's own."""
    folder = tmp_path / "runs" / "flipflop" / finished.name
    shutil.copytree(finished, folder)
    return load_run(folder)


def other(run, **changes):
    return {**run.settings("probe"), "analyses": ["saturation", "tuning"], **changes}


def test_the_runs_own_settings_give_its_own_tables(run):
    folder, tables = analyse_again(run, "probe", run.settings("probe"))
    assert folder == run.path and set(tables) == set(run.tables("probe")) & set(run.measured)
    assert not (run.path / "analyses").exists()


def test_with_the_runs_own_settings_only_what_it_lacks_is_measured(run, monkeypatch):
    asked, measure = [], again.measure
    monkeypatch.setattr(again, "measure", lambda subject, names: asked.append(names) or measure(subject, names))
    settings = {**run.settings("probe"), "analyses": ["cross_time", "tuning", "probes"]}
    folder, tables = analyse_again(run, "probe", settings)
    assert asked == [["cross_time"]]
    assert list(tables) == ["probes", "tuning", "cross_time"] == list(again.read_tables(folder))
    measured = measure(
        again.Subject(run.model, run.task, "probe", settings, run.config["seed"], run.name), list(tables)
    )
    for name, table in measured.items():
        pd.testing.assert_frame_equal(again.read_tables(folder)[name], table, check_dtype=False, check_exact=True)
    analyse_again(run, "probe", {**settings, "permutations": 49})
    assert asked[1:] == [["probes", "tuning", "cross_time"]]


def test_what_the_run_lacks_is_made_beside_its_own(run):
    before = sorted(run.path.iterdir())
    folder, tables = analyse_again(run, "probe", other(run, analyses=["cross_time"], steps=3))
    assert folder.parent == run.path / "analyses" and folder.name.startswith("probe-")
    assert sorted(file.name for file in folder.iterdir()) == [ABOUT, "cross_time.parquet"]
    assert sorted(run.path.iterdir()) == sorted([*before, run.path / "analyses"])
    about = json.loads((folder / ABOUT).read_text())
    assert about["settings"]["probe"]["steps"] == 3 and about["settings"]["probe"]["analyses"] == ["cross_time"]
    again_folder, same = analyse_again(run, "probe", other(run, analyses=["cross_time"], steps=3))
    assert again_folder == folder
    pd.testing.assert_frame_equal(same["cross_time"], tables["cross_time"])
    assert analyse_again(run, "probe", other(run, analyses=["cross_time"], steps=4))[0] != folder


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "tuning.parquet",
            None,
            r"tuning\.parquet: damaged \(it is missing\); delete .*, and the same command makes it again",
        ),
        (
            "tuning.parquet",
            lambda content: content[:-30],
            r"tuning\.parquet: damaged \(it has \d+ bytes, \d+ were written\)",
        ),
        ("tuning.parquet", lambda content: content[:50] + b"x" + content[51:], "its checksum is wrong"),
        (ABOUT, lambda content: content[:40], r"analysis\.json: damaged"),
        (ABOUT, lambda content: b"[]", r"analysis\.json: damaged"),
        (ABOUT, lambda content: b'{"schema": 99}', "damaged|newer version"),
    ],
)
def test_what_is_missing_or_damaged_is_named(run, file, change, message, capsys):
    folder, _ = analyse_again(run, "probe", other(run, lags=[1]))
    if change is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(change((folder / file).read_bytes()))
    with pytest.raises(InputError, match=message):
        analyse_again(run, "probe", other(run, lags=[1]))
    keys = [key for key in QUICK if key.startswith("probe.")]
    assert main(["probe", f"run={run.path}", *keys, "probe.lags=[1]", "probe.analyses=[saturation,tuning]"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    shutil.rmtree(folder)
    assert set(analyse_again(run, "probe", other(run, lags=[1]))[1]) == {"saturation", "tuning"}


def test_a_missing_table_of_the_run_is_named_before_anything_is_computed(run, monkeypatch):
    monkeypatch.setattr(again, "measure", lambda *_: pytest.fail("computed"))
    (run.path / "codes.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"codes\.parquet: damaged"):
        analyse_again(load_run(run.path), "probe", other(run, lags=[1]))
    (run.path / "codes.parquet").unlink()
    with pytest.raises(InputError, match=r"damaged \(no codes\.parquet\)"):
        load_run(run.path)
    assert not (run.path / "analyses").exists()


def test_an_analysis_that_fails_leaves_nothing(run, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(again, "measure", fail)
    with pytest.raises(RuntimeError, match="broken"):
        analyse_again(run, "probe", other(run, lags=[1]))
    assert not (run.path / "analyses").exists()


def slow_then_count(path, made):
    """Make an analysis slowly, and note who did."""
    measure = again.measure

    def slowly(*arguments):
        made.append(1)
        time.sleep(1.0)
        return measure(*arguments)

    again.measure = slowly
    run = load_run(path)
    folder, tables = analyse_again(run, "probe", other(run, lags=[2]))
    assert set(tables) == {"saturation", "tuning"} and folder.is_dir()


def test_two_at_once_make_it_once(run):
    with FRESH.Manager() as manager:
        made = manager.list()
        processes = [FRESH.Process(target=slow_then_count, args=(run.path, made)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
            assert process.exitcode == 0
        assert len(made) == 1
    (folder,) = (run.path / "analyses").iterdir()
    assert not folder.name.startswith(".")


def test_a_run_that_was_not_measured_is_filled_in_by_the_same_command(finished, tmp_path, capsys):
    command = ["train", *QUICK, f"outputs={tmp_path}"]
    assert main([*command, "measure=none"]) == 0
    said = capsys.readouterr()
    assert "were not measured" in said.out and "measure=full" in said.out
    (folder,) = (tmp_path / "runs" / "flipflop").iterdir()
    assert folder.name == finished.name and load_run(folder).measured == ()
    assert not [file for file in folder.glob("*.parquet") if file.name != "history.parquet"]
    assert main(["report", f"outputs={tmp_path}"]) == 0 and main(["runs", f"outputs={tmp_path}"]) == 0
    weights = (folder / "model.safetensors").read_bytes()
    assert main([*command, "probe.analyses=[probes,saturation]"]) == 0
    others = {*default_names("ablate"), *default_names("dynamics")}
    assert set(load_run(folder).measured) == {"probes", "saturation"} | others
    assert main(command) == 0
    assert "added now: populations" in capsys.readouterr().err
    whole, filled = load_run(finished), load_run(folder)
    assert filled.measured == whole.measured and weights == (folder / "model.safetensors").read_bytes()
    for name in whole.measured:
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(filled, name), check_exact=True)
    assert set(filled.info["seconds"]) == set(whole.info["seconds"])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_analyses_made_while_a_run_is_filled_in_stay_and_those_being_made_end(run, monkeypatch):
    """One process adds what was not measured; others have made an analysis meanwhile, and are making one."""
    names, settings = ["tuning"], {command: run.settings(command) for command in COMMANDS}
    measured, filled, begun, before = again.measure, making.measure_into, [], []

    def late(*arguments):
        before.append(analyse_again(run, "probe", other(run, lags=[1], analyses=["saturation"]))[0])
        return filled(*arguments)

    def meanwhile(*arguments):
        if not begun:
            begun.append(True)
            making.fill_in(run, names, making.Measuring(tuple(names), settings, 1, None), partial)
        return measured(*arguments)

    monkeypatch.setattr(making, "measure_into", late)
    monkeypatch.setattr(again, "measure", meanwhile)
    with claim(run.path) as partial:
        folder, tables = analyse_again(run, "probe", other(run, lags=[2]))
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, before[0].name}
    assert set(tables) == {"saturation", "tuning"} and check_folder(run.path).problems == ()
