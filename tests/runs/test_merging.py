"""Two stores merged: in both directions, interrupted, and with runs of one name that differ."""

import io
import json
import shutil

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.core.digests import digests_of, unsealed
from lstm_probe.runs import merging
from lstm_probe.runs.again import analyse_again
from lstm_probe.runs.making import seal
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.run import load_run
from tests.runs.test_checking import flip, folders, made  # noqa: F401


@pytest.fixture
def two(made, tmp_path):  # noqa: F811
    """Two stores: here lacks the last two runs, there lacks the first, and the analysis of the second is there."""
    for name in ("here", "there"):
        shutil.copytree(made, tmp_path / name)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in folders(here)[-2:]:
        shutil.rmtree(folder)
    run = load_run(folders(there)[1])
    analyse_again(run, "ablate", run.settings("ablate") | {"analyses": ["ablations"], "mode": "zero"})
    shutil.rmtree(folders(there)[0])
    return here, there


def merge(here, there, capsys, *words):
    code = main(["runs", f"merge={there}", f"outputs={here}", *words])
    shown = capsys.readouterr()
    return code, " ".join(shown.out.split()), shown.err


def content(store):
    return digests_of(store / "runs")


def test_both_directions_end_in_the_same_store(two, capsys):
    here, there = two
    before = content(here)
    code, out, err = merge(here, there, capsys)
    assert code == 0 and "2 of 5 runs copied" in out and "3 were here already" in out and "1 more analysis" in out
    assert err == "" and content(here).items() >= before.items()
    code, out, _ = merge(there, here / "runs", capsys)
    assert code == 0 and "1 of 6 runs copied" in out and "5 were here already" in out
    assert content(here) == content(there)
    assert main(["runs", f"outputs={here}", "check=true"]) == 0
    capsys.readouterr()
    assert "0 of 6 runs copied" in merge(here, there, capsys)[1] and content(here) == content(there)


def test_an_interrupted_merge_leaves_nothing_half_and_goes_on(two, capsys, monkeypatch):
    here, there = two
    before, count, real = content(here), [0], merging.read_regular

    def stopped(path, *more):
        count[0] += 1
        if count[0] > 1:
            raise KeyboardInterrupt
        return real(path, *more)

    monkeypatch.setattr(merging, "read_regular", stopped)
    assert main(["runs", f"merge={there}", f"outputs={here}"]) == 130
    monkeypatch.undo()
    assert content(here).items() >= before.items()
    runs, damaged = find_runs(here)
    assert not damaged and 4 <= len(runs) <= 5
    assert [path.name for path in (here / "runs").glob("*/.*")] == []
    half = here / "runs" / "flipflop" / f".{folders(there)[-1].name}.1a2b3c4d.merging"  # as a killed process leaves it
    half.mkdir(exist_ok=True)
    (half / "stray.txt").write_text("half")
    capsys.readouterr()
    code, _, _ = merge(here, there, capsys)
    assert code == 0 and len(find_runs(here)[0]) == 6 and not half.exists()
    assert not list((here / "runs").rglob("stray.txt"))


def test_a_full_disk_is_said_and_leaves_what_is_whole(two, capsys, monkeypatch):
    here, there = two
    before = content(here)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "publish", full)
    code, _, err = merge(here, there, capsys)
    assert code == 2 and "disk is full" in err and content(here) == before


def test_runs_of_one_name_that_differ_stay_as_they_are(two, capsys):
    here, there = two
    other, more = folders(there)[:2]
    assert list((other / "analyses").iterdir())
    with (other / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    seal(other)
    table = io.BytesIO()
    pd.read_parquet(more / "ablations.parquet").assign(refit_drop=0.5).to_parquet(table)
    (more / "ablations.parquet").write_bytes(table.getvalue())
    seal(more)
    before = content(here)
    code, out, err = merge(here, there, capsys)
    assert code == 0 and "2 of 5 runs copied" in out and "1 was here already" in out
    named = {line.partition(":")[0] for line in err.splitlines() if "kept as here" in line}
    assert named == {str(here / "runs" / "flipflop" / other.name), str(here / "runs" / "flipflop" / more.name)}
    assert "model.safetensors" in err and content(here).items() >= before.items()
    assert not (here / "runs" / "flipflop" / other.name / "analyses").exists()  # of another network


def test_what_is_damaged_there_is_not_copied_and_named(two, capsys):
    here, there = two
    broken, gone = folders(there)[-2:]
    flip(broken / "memory.parquet")
    (gone / "run.json").unlink()
    before = content(here)
    code, out, err = merge(here, there, capsys)
    assert code == 2 and "0 of 4 runs copied" in out
    assert f"not copied: {broken / 'memory.parquet'}: damaged (its checksum is wrong)" in err and str(gone) in err
    new = set(content(here)) - set(before)
    assert all("/analyses/" in name for name in new) and len(find_runs(here)[0]) == 4


def test_what_is_damaged_here_is_named_and_kept(two, capsys):
    here, there = two
    broken = folders(here)[1]
    (broken / "run.json").write_text("{")
    code, _, err = merge(here, there, capsys)
    assert code == 0 and f"{broken / 'run.json'}: damaged" in err and f"delete {broken}" in err
    shutil.rmtree(broken)
    assert merge(here, there, capsys)[0] == 0 and unsealed((broken / "run.json").read_bytes())["run"] == broken.name


def test_only_those_that_are_asked_for(two, capsys):
    here, there = two
    wanted = json.loads((folders(there)[-1] / "run.json").read_text())
    code, out, _ = merge(here, there, capsys, f"seed={wanted['seed']}", "units=3")
    assert code == 0 and "1 of 1 run copied" in out and len(find_runs(here)[0]) == 5


def test_what_is_no_other_store_is_refused(two, tmp_path, capsys):
    here, _ = two
    assert "no store" in merge(here, tmp_path / "nowhere", capsys)[2]
    assert "into which it is to be merged" in merge(here, here / "runs", capsys)[2]
