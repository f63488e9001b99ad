"""A text is taken as it was written, whatever it looks like: a unit, a column, a folder, a hash."""

import json

import numpy as np
import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.cli.written import as_meant
from tests.cli.test_filters import SUMMARY
from tests.runs.test_runs import fake_run, place

TINY = ["steps=2", "measure=light", "test_sequences=16", "probe.sequences=40", "probe.permutations=19",
        "probe.bootstrap=10", "probe.untrained=1", "ablate.sequences=16", "ablate.bootstrap=10"]  # fmt: skip


def only_run(outputs):
    (file,) = outputs.glob("runs/*/*/run.json")
    return file.parent


def test_unit_ten_is_not_unit_one(tmp_path, capsys):
    """Each card's title, and the very figure of its file, by a unit that alone has that label."""
    assert main(["train", "task=parity", "units=11", "layers=2", *TINY, f"outputs={tmp_path}"]) == 0
    again = ["probe", f"run={only_run(tmp_path)}", "probe.sequences=40", "probe.permutations=19", "probe.bootstrap=10",
             "probe.untrained=1"]  # fmt: skip
    for written, label in (("1.10", "1·10"), ("1.1", "1·1"), ("0.10", "0·10")):
        capsys.readouterr()
        assert main([*again, f"card={written}"]) == 0
        assert f"Unit {label}, c:" in capsys.readouterr().out
    for none in ("1.100", "1e0", "01.1"):
        assert main([*again, f"card={none}"]) == 2
        assert f"card={none}: no such unit." in capsys.readouterr().err


def test_columns_may_be_called_like_numbers(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = ["1e3", "1_0", "007", "null", "true", "2020"]
    table = pd.DataFrame(rng.standard_normal((240, len(names))), columns=names)
    table.insert(0, "id", np.repeat(np.arange(24), 10))
    table.to_csv(tmp_path / "data.csv", index=False)
    inputs, out = ",".join(names[:-1]), tmp_path / "out"
    words = ["task=table", f"task.path={tmp_path / 'data.csv'}", "task.sequence=id", f"task.input_columns=[{inputs}]",
             "task.target_columns=[2020]", "units=2", *TINY]  # fmt: skip
    assert main(["train", *words, f"outputs={out}"]) == 0
    (run,) = out.glob("runs/table/*/run.json")
    assert list(json.loads(run.read_text())["scores"]) == ["2020"]
    capsys.readouterr()
    assert main(["runs", f"outputs={out}", "task.target_columns=[2020]"]) == 0
    assert run.parent.name in capsys.readouterr().out
    assert main(["runs", f"outputs={out}", "task.target_columns=[2021]"]) == 0
    assert run.parent.name not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["1e3", "007", "1_000", "1.50", "TRUE", "+5", "nan"])
def test_a_folder_is_called_as_it_was_written(name, tmp_path, monkeypatch, capsys):
    fake_run(place(tmp_path / name, "a", 2), "a", 2, summary=SUMMARY)
    monkeypatch.chdir(tmp_path)
    assert main(["runs", f"outputs={name}"]) == 0
    assert "u2-s0-" in capsys.readouterr().out


@pytest.mark.parametrize("digits", ["12345678", "00123456", "1234e567", "12e45678", "1e345678"])
def test_a_run_is_found_by_a_hash_that_looks_like_a_number(digits, tmp_path, capsys):
    for own in (digits, "abcdef01"):
        fake_run(tmp_path / "runs" / "a" / f"u2-s0-{own}", "a", 2, hash=own, run=f"u2-s0-{own}", summary=SUMMARY)
    for asked in (digits, f"[{digits},ffffffff]", f"ffffffff,{digits}"):
        assert main(["runs", f"outputs={tmp_path}", f"hash={asked}"]) == 0
        said = capsys.readouterr().out
        assert f"u2-s0-{digits}" in said and "abcdef01" not in said


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("train", "units=1"), ("train", "lr=1e-3"), ("train", "units=2,3"), ("train", "task.length=20"),
        ("probe", "probe.lags=[0,5]"), ("probe", "card=null"), ("train", "force=true"),
        ("probe", "probe.variables=null"),
        ("runs", "units=8"), ("runs", "runs='outputs/runs/*/u[1]-*'"), ("probe", "run=a,b"), ("import", "path='1'"),
        ("train", "outputs=glob(*)"), ("train", "hydra.launcher.jobs=4"),
    ],
)  # fmt: skip
def test_what_is_no_text_or_reads_as_one_stays_as_it_is(command, line):
    assert as_meant(command, [line]) == [line]
