"""Any key of a run is a key of `runs` and `report`: how it is read, what it picks out, and what is no such key."""

import re

import pytest

from lstm_probe.cli import main
from lstm_probe.cli.filters import FILTERED, filter_keys, gathered, is_filter
from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import text
from lstm_probe.runs.making import seal
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.plain import to_yaml
from lstm_probe.runs.store import config_hash, run_folder
from tests.runs.test_runs import fake_run, place

SUMMARY = {"tracked": ["parity"], "counts": {}, "gist": "parity → 1"}


@pytest.fixture
def store(tmp_path):
    for task in ("a", "b"):
        for units in (2, 4, 8):
            learned = {"learned": {"a": units > 2}, "solved": units == 8, "summary": SUMMARY}
            fake_run(place(tmp_path, task, units), task, units, **learned)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["units=8"], ["where={units:8}"]),
        (["units=8,16", "check=true"], ["check=true", "where={units:[8,16]}"]),
        (["task.bits=[2,3]", "+task=parity"], ["where={task.bits:[2,3],task:parity}"]),
        (["units=range(8,17,8)"], ["where={units:[8,16]}"]), (["task=choice(a,b)"], ["where={task:[a,b]}"]),
        (["where.lr=0.1"], ["where={lr:0.1}"]), (["runs=u8-*", "outputs=o"], ["runs=u8-*", "outputs=o"]),
    ],
)  # fmt: skip
def test_filters_go_through_hydra_as_one(given, taken):
    assert gathered("runs", given) == taken


@pytest.mark.parametrize("line", ["lr=interval(0.1,1)", "task=glob(t*)"])
def test_a_filter_that_names_no_values_is_refused(line, capsys):
    assert main(["runs", line]) == 2
    assert capsys.readouterr().err == f"{line}: must be the values that are meant, with commas between them.\n"


def test_the_home_folder_is_found_though_no_shell_has_put_it_there(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(store))
    monkeypatch.chdir(tmp_path)
    for words in (["outputs=~/"], ["outputs='~/'"], ["runs=~/runs/*/*"], ["merge=~/", "outputs=there"]):
        assert main(["runs", *words]) == 0
        assert ("6 of 6 runs copied" if "outputs=there" in words else "u8-s0-") in capsys.readouterr().out
    assert not (tmp_path / "~").exists()


def test_only_some_commands_take_filters():
    assert is_filter("report", "units") and is_filter("runs", "task.bits") and is_filter("runs", "probe.null")
    assert not is_filter("runs", "outputs") and not is_filter("runs", "check") and not is_filter("runs", "unit")
    assert not is_filter("train", "units") and not is_filter("train", "task.bits") and filter_keys("train") == ()
    assert all({"task", "units", "seed", "lr", "solved", "learned"} <= set(filter_keys(name)) for name in FILTERED)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["units=4"], {("a", 4), ("b", 4)}), (["units=2,8", "task=a"], {("a", 2), ("a", 8)}),
        (["units=[2,4]", "task=b", "learned=true"], {("b", 4)}), (["solved=true"], {("a", 8), ("b", 8)}),
        (["learned=false", "seed=0"], {("a", 2), ("b", 2)}), (["task.name=a", "solved=false"], {("a", 2), ("a", 4)}),
        (["runs=u4-*", "task=b"], {("b", 4)}), (["where={units:8,task:a}"], {("a", 8)}),
    ],
)  # fmt: skip
def test_runs_lists_those_that_are_asked_for(store, words, wanted, capsys):
    assert main(["runs", f"outputs={store}", *words]) == 0
    listed = re.findall(r"^(u\S+)\s+(\w)\s", capsys.readouterr().out, re.M)
    assert {(task, int(name[1:].partition("-")[0])) for name, task in listed} == wanted
    assert len(listed) == len(wanted)


def test_what_no_run_has_is_an_error_or_said(store, capsys):
    assert main(["runs", f"outputs={store}", "unit=4"]) == 2
    assert "unit=4: no such key. Did you mean 'units'?" in capsys.readouterr().err
    assert main(["runs", f"outputs={store}", "task.bit=4"]) == 2
    assert "task.bit: no run has such a key" in capsys.readouterr().err
    assert main(["runs", f"outputs={store}", "units=64"]) == 0
    assert "None of 6 runs has units=64 (there are 2, 4, 8)." in capsys.readouterr().out
    before = {*store.rglob("*")}
    assert main(["report", f"outputs={store}", "units=64"]) == 2
    assert "none of 6 runs has units=64" in capsys.readouterr().err and {*store.rglob("*")} == before


@pytest.mark.parametrize("told", [[None, ["x"]], [["x"], ["y", "x"]], [2, None, "a"], [["x"], "a", 0.5], [True, None]])
def test_whatever_there_is_instead_is_said(tmp_path, told, capsys):
    """Values of one key may be of several kinds, such as columns that some runs name."""
    for k, value in enumerate(told):
        config = {"task": {"name": "a", "input_columns": value}, "units": k + 1, "seed": 0}
        folder = run_folder(tmp_path, config)
        fake_run(folder, "a", k + 1, sealing=False, hash=config_hash(config), run=folder.name)
        (folder / "config.yaml").write_text(to_yaml(config))
        seal(folder)
    assert main(["runs", f"outputs={tmp_path}", "task.input_columns=[z]"]) == 0
    said = capsys.readouterr().out
    assert f"None of {len(told)} runs has task.input_columns=z (there are " in said
    assert all(text(value) in said for value in told)


def test_where_no_configuration_can_be_read_no_key_is_said_to_be_unknown(store, capsys):
    for path in store.glob("runs/*/*/config.yaml"):
        path.write_text("lr: 0.1")
    assert main(["runs", f"outputs={store}", "lr=0.1"]) == 0
    said = capsys.readouterr()
    assert "None of 6 runs has lr=0.1" in said.out and said.err.count("config.yaml") == 6


def test_a_file_is_found_by_its_path_from_here(tmp_path, monkeypatch, capsys):
    """A configuration has it from the root on, whatever was typed."""
    config = {"task": {"name": "a", "path": str(tmp_path.resolve() / "data.csv")}, "units": 1, "seed": 0}
    folder = run_folder(tmp_path, config)
    fake_run(folder, "a", 1, sealing=False, hash=config_hash(config), run=folder.name, summary=SUMMARY)
    (folder / "config.yaml").write_text(to_yaml(config))
    seal(folder)
    monkeypatch.chdir(tmp_path)
    for given, there in (("data.csv", True), ("./data.csv", True), ("other.csv", False), (tmp_path / "data.csv", True)):
        assert main(["runs", "outputs=.", f"task.path={given}"]) == 0
        assert (folder.name in capsys.readouterr().out) == there


def test_words_without_an_equals_sign_are_told_as_filters(store, capsys):
    assert main(["runs", "units", "4", f"outputs={store}"]) == 2
    assert "Did you mean: lstm-probe runs units=4" in capsys.readouterr().err


def test_runs_reads_no_table_where_there_is_a_summary(store, capsys):
    """The tables of these are nonsense."""
    assert main(["runs", f"outputs={store}", "task=a"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("parity") == 3 and shown.err == ""
    runs, _ = find_runs(store)
    with pytest.raises(InputError):
        _ = runs[0].probes
    assert runs[0].tracked == ["parity"]


def test_a_run_has_the_settings_that_its_configuration_leaves_out_as_they_are_usual(tmp_path, capsys):
    """The runs by what each was asked for, though a usual value is written into no configuration."""
    words = ["train", "task=parity", "units=2", "steps=2", "test_sequences=16", "measure=none", f"outputs={tmp_path}"]
    made = {}
    every = ["", "checkpoints=2", "stack=1", "probe.saturation_low=0.2", "dynamics.controls=5", "dynamics.after=[1,2]"]
    for asked in every:
        assert main([*words, *asked.split()]) == 0
        (made[asked],) = {path.name for path in tmp_path.glob("runs/parity/u*")} - set(made.values())
    usually = ["checkpoints=0", "stack=0", "probe.saturation_low=0.1", "dynamics.controls=20",
               "dynamics.after=[1,5,15]", "probe.event=null", "ablate.keep=0.99"]  # fmt: skip
    for usual in usually:
        capsys.readouterr()
        assert main(["runs", f"outputs={tmp_path}", usual]) == 0
        said = capsys.readouterr().out
        others = {name for told, name in made.items() if told and usual.startswith(told.partition("=")[0])}
        assert {name for name in made.values() if name in said} == set(made.values()) - others
        for told, name in made.items():
            if name in others:
                assert main(["runs", f"outputs={tmp_path}", told]) == 0
                said = capsys.readouterr().out
                assert [one for one in made.values() if one in said] == [name]
