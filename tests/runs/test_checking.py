"""`runs check=true`: every damaged file is named, whichever it is, and the rest is looked at too."""

import shutil

import pytest

from lstm_probe.cli import main
from lstm_probe.core.digests import inside
from lstm_probe.runs.again import analyse_again
from lstm_probe.runs.checking import check_folder, check_runs, leftovers
from lstm_probe.runs.run import load_run
from tests.runs.store import make_store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of six runs, of which one was probed again."""
    outputs = tmp_path_factory.mktemp("made")
    make_store(outputs, 6)
    run = load_run(sorted((outputs / "runs" / "flipflop").iterdir())[0])
    settings = run.settings("ablate") | {"analyses": ["ablations"], "mode": "zero"}
    analyse_again(run, "ablate", settings)
    return outputs


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made, tmp_path / "o")
    return tmp_path / "o"


def folders(store):
    return sorted((store / "runs" / "flipflop").iterdir())


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def said(store, capsys, *words):
    code = main(["runs", f"outputs={store}", "check=true", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_whole_store_is_said_to_be_whole(store, capsys):
    code, out, err = said(store, capsys)
    assert code == 0 and "6 of 6 runs have all files as they were written." in out and err == ""
    code, out, err = said(store, capsys, "seed=1", "units=3")
    assert code == 0 and "1 of 1 runs have all" in out


def test_each_file_that_is_flipped_or_missing_is_named(store):
    folder = folders(store)[0]
    names = list(inside(folder))
    assert any(name.startswith("analyses/") for name in names) and any(name.startswith("figures/") for name in names)
    for name in names:
        content = (folder / name).read_bytes()
        longer = [] if name.endswith(".json") else [lambda file, content=content: file.write_bytes(content + b" ")]
        for damage in (flip, lambda file: file.unlink(), *longer):  # JSON with a space more says the same
            damage(folder / name)
            problems = check_folder(folder).problems
            expected = folder if name == "run.json" and not (folder / name).exists() else folder / name
            assert [line for line in problems if line.startswith(f"{expected}:")], (name, problems)
            assert len(problems) == 1, problems
            (folder / name).write_bytes(content)
    assert check_folder(folder).problems == ()


def test_all_that_is_damaged_is_named_in_one_go(store, capsys):
    runs = folders(store)
    wrong = [runs[0] / "probes.parquet", runs[0] / "train.log", runs[1] / "run.json", runs[2] / "model.safetensors",
             next((runs[0] / "analyses").glob("*/ablations.parquet"))]  # fmt: skip
    for file in wrong:
        flip(file)
    (runs[3] / "history.parquet").unlink()
    (runs[3] / "config.yaml").unlink()
    nothing = runs[0].parent / "u9-s9-00000000"
    nothing.mkdir()
    code, _, err = said(store, capsys)
    assert code == 2
    for file in (*wrong, runs[3] / "history.parquet", runs[3] / "config.yaml", nothing):
        assert err.count(f"{file}:") == 1, (file, err)
    assert len(err.splitlines()) == len(wrong) + 3


def test_what_lies_about_is_said_and_is_no_damage(store, capsys):
    run = folders(store)[0]
    (run.parent / "notes.txt").write_text("mine")
    (store / "runs" / "stray.txt").write_text("mine")
    (run / ".probes.parquet.12345678.partial").write_text("half")
    shutil.copytree(run, run.with_name(f".{run.name}.old"))
    gone = folders(store)[-1]
    gone.rename(gone.with_name(f".{gone.name}.old"))
    (run / "analyses" / ".probe-00000000.partial").mkdir()
    code, out, err = said(store, capsys)
    assert code == 0 and "5 of 5 runs" in out
    lines = leftovers(store / "runs")
    assert len(lines) == 4 and sum("is not in its place" in line for line in lines) == 1
    for word in ("notes.txt", "stray.txt", ".probes.parquet.12345678.partial", ".old", ".probe-00000000.partial"):
        assert word in err


def test_runs_are_checked_in_their_order(store):
    runs = folders(store)
    flip(runs[4] / "probes.parquet")
    checked = check_runs(runs)
    assert [bool(one.problems) for one in checked] == [k == 4 for k in range(6)]
    assert all(one.covered for one in checked)
