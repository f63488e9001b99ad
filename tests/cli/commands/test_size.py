"""`size` as a command: what it prints, what it refuses; and that its runs are those of `train`."""

import json

import pytest

from lstm_probe.cli import main
from tests.sizing.made import make_up


def said(capsys):
    told = capsys.readouterr()
    return told.out, told.err


def test_a_search_in_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    trained = make_up(monkeypatch, lambda units, seed: {"bit0": 0.999, "bit1": 0.995 if units >= 3 else 0.25})
    keys = ["task=flipflop", "task.bits=2", "largest=16", f"outputs={tmp_path}"]
    assert main(["size", *keys]) == 0
    out, err = said(capsys)
    assert max(len(line) for line in out.splitlines() if "lstm-probe" not in line and str(tmp_path) not in line) <= 80
    below = sum(units == 2 for units, _ in trained)
    sentence = f"flipflop needs 3 units (95 % interval 3 to 3; 2 were enough in none of {below} seeds)."
    assert sentence in " ".join(out.split())
    assert "bit0    at most " in out and "bit1    3 units (3 to 3)" in out
    assert f"It took {len(trained)} trainings, {2 * len(trained)} s." in out
    lines = [line.split() for line in err.splitlines()]
    assert [(int(line[1]), int(line[4])) for line in lines] == trained
    assert [line[-1] for line in lines if int(line[1]) < 3] == ["0.2500"] * sum(units < 3 for units, _ in trained)
    assert {line[-1] for line in lines if int(line[1]) >= 3} == {"solved"}
    assert main(["tasks", f"outputs={tmp_path}"]) == 0
    assert "flipflop, task.bits=2, largest=16      3  3 to 3" in said(capsys)[0]
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", "name=parity", f"outputs={tmp_path}"]) == 0
    assert "found here by size" not in said(capsys)[0]
    assert main(["tasks", "name=flipflop", f"outputs={tmp_path}"]) == 0
    assert "found here by size" in said(capsys)[0]


def test_a_budget_that_is_spent_is_said(tmp_path, monkeypatch, capsys):
    make_up(monkeypatch, lambda units, seed: 0.995 if (units + seed) % 3 else 0.5)
    assert main(["size", "task=parity", "budget=5", f"outputs={tmp_path}"]) == 0
    assert "budget of 5 trainings was spent before the interval was narrow: budget=10 goes on" in " ".join(
        said(capsys)[0].split()
    )


def test_ones_own_table_in_the_terminal(tmp_path, monkeypatch, capsys):
    make_up(monkeypatch, lambda units, seed: min(units, 3) / 4)
    assert main(["size", "task=table", "largest=8", f"outputs={tmp_path}"]) == 0
    out, err = said(capsys)
    assert err.count("this is the built-in example") == 1 and "there already" not in err
    rule = "networks of 4 and 8 units reach 0.750 of y_balance (median of 4), less margin=0.02"
    assert f"Solved: y_balance at 0.73 or more ({rule})." in " ".join(out.split())
    assert "table needs 3 units (95 % interval 3 to 3; 2 were enough in none of" in out
    assert main(["size", "task=table", "largest=8", f"outputs={tmp_path}"]) == 0
    assert "runs of the same settings are there already" in said(capsys)[1]


def test_its_runs_are_those_of_train(tmp_path, capsys):
    """A real one: what `size` has trained, `train` finds, and measures."""
    own = ["task=parity", "task.length=5", "steps=20", "evaluate_every=10", "batch=16", f"outputs={tmp_path}"]
    assert main(["size", *own, "largest=2", "budget=4"]) == 0
    folders = sorted((tmp_path / "runs" / "parity").iterdir())
    infos = [json.loads((folder / "run.json").read_text()) for folder in folders]
    assert len(infos) == 4 and all(info["measured"] == [] for info in infos)
    capsys.readouterr()
    units, seed = infos[0]["units"], infos[0]["seed"]
    assert main(["train", *own, f"units={units}", f"seed={seed}", "measure=none"]) == 0
    assert "is there already" in said(capsys)[1]
    assert sorted((tmp_path / "runs" / "parity").iterdir()) == folders


NO_UNITS = "no such key. Size finds the units itself; the most that it tries are given by largest=64."
NO_SEEDS = (
    "no such key. Size chooses how many seeds of each size it trains: one seed cannot tell how often a size solves the "
    "task; the trainings in all are given by budget=25."
)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["units=8"], f"units=8: {NO_UNITS}"),
        (["hidden_size=8"], f"hidden_size=8: {NO_UNITS}"),
        (["seed=1"], "seed=1: no such key. Size takes the seeds of each size itself, from 0 on."),
        (["seeds=1"], f"seeds=1: {NO_SEEDS}"),
        (["largest=0"], "largest=0: must be a whole number from 1 to 512."),
        (["budget=3"], "budget=3: must be a whole number from 4 to 10000."),
        (["solved=0"], "solved=0: must be a number from 0.01 to 1 or null."),
        (["measure=none"], "measure=none: no such key. All keys: lstm-probe size --help"),
        (["projection=64"], "projection=64: must be below largest=64; 0 means no projection."),
        (["task=parrity"], "task=parrity: no such task. Did you mean 'parity'?"),
    ],
)
def test_bad_input(keys, line, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["size", *keys]) == 2
    assert said(capsys)[1].startswith(line)
    assert not list(tmp_path.iterdir())
