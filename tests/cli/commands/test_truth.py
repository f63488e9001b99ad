"""`truth` at the command line: what it writes and prints, and what it refuses."""

import re

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.truth import COLUMNS, cases, evaluate
from lstm_probe.truth.named import find_methods
from lstm_probe.truth.trying import ANSWERS

FEW = ["methods=[clamp_zero,weight_norm]", "knobs=[copies,none]"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_ends_of_each_knob_are_tried_on_networks_held_out(here, capsys):
    assert main(["truth", *FEW]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    assert re.search(r"^weight norm +0\.\d\d", shown, re.M) and "What ours get wrong" in shown
    folder = here / "outputs" / "truth"
    assert str(folder.relative_to(here) / "index.html") in shown
    table, answers = (pd.read_parquet(folder / f"{name}.parquet") for name in ("truth", "answers"))
    assert list(table.columns) == list(COLUMNS) and list(answers.columns) == list(ANSWERS)
    assert table.groupby("knob", sort=False)["level"].unique().map(list).to_dict() == {
        "copies": ["halves", "majority"], "none": ["none"]}  # fmt: skip
    held_out = {case.seed for case in cases(knobs=["copies", "none"], seeds=1, held_out=True)}
    assert set(table["seed"]) <= held_out
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{knob}.{kind}" for knob in ("copies", "none") for kind in ("svg", "png")}  # fmt: skip


def test_all_is_every_level_and_the_open_networks_are_said_to_be_open(here, capsys):
    assert main(["truth", "method=weight_norm", "knobs=[copies]", "all=true", "seeds=2", "held_out=false"]) == 0
    table = pd.read_parquet(here / "outputs" / "truth" / "truth.parquet")
    assert table["level"].value_counts().to_dict() == {"halves": 2, "or": 2, "majority": 2}
    assert set(table["seed"]) == {case.seed for case in cases(knobs=["copies"], seeds=2)}
    page = (here / "outputs" / "truth" / "index.html").read_text()
    assert "These are the open networks" in page and "A sample:" not in page
    assert "What it gets wrong" in capsys.readouterr().out


def test_a_method_of_one_s_own(here, capsys):
    (here / "mine.py").write_text(
        "import pandas as pd\n"
        "def first(model, batch):\n"
        "    rows = [('needed', 0, spec.name, 1.0, True) for spec in batch.target_specs]\n"
        "    return pd.DataFrame(rows, columns=['question', 'unit', 'name', 'score', 'verdict'])\n"
    )
    assert main(["truth", "method=mine:first", "knobs=[none]", "outputs=there"]) == 0
    assert re.search(r"^mine:first ", capsys.readouterr().out, re.M)
    assert set(pd.read_parquet(here / "there" / "truth" / "truth.parquet")["claims"]) == {3}


@pytest.mark.parametrize(
    ("arguments", "said", "lines"),
    [
        (["method=trakcs"], r"^method=trakcs: must be one of tracks, .*Did you mean 'tracks'\?$", 1),
        (["methods=[x,y]", "knobs=[z]"], "^knobs=z: must be one of none, ", 3),
        (["method=tracks", "methods=[shares]"], "^method=tracks: methods=.* leave one of the two out", 1),
        (["seeds=0", "all=maybe"], "^seeds=0: must be a whole number from 1", 2),
        (["methods=[]"], "^methods=.*: must be a list of texts", 1),
        (["knob=copies"], "^knob=copies: no such key. Did you mean 'knobs'", 1),
        (["method=nowhere:f"], "^method=nowhere:f: nowhere is neither a file here", 1),
        (["method=tracks", "outputs=/proc/none"], "^outputs=/proc/none: /proc cannot be written to", 1),
    ],
)
def test_bad_input(arguments, said, lines, here, capsys):
    assert main(["truth", *arguments]) == 2
    shown = capsys.readouterr()
    assert re.search(said, shown.err, re.M) and shown.out == ""
    assert len(shown.err.splitlines()) == lines
    assert list(here.iterdir()) == []


def test_a_table_that_is_none_is_refused(here, capsys):
    (here / "mine.py").write_text("def nothing(model, batch):\n    return 3\n")
    assert main(["truth", "method=mine:nothing", "knobs=[none]"]) == 2
    assert capsys.readouterr().err == "mine:nothing: must return a table with the columns question, unit, name, score\n"
    assert [path.name for path in here.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("score", "verdict", "said"),
    [
        ("float('inf')", "None", "mine:own: score=inf: must be a number or missing\n"),
        ("'high'", "None", "mine:own: score='high': must be a number or missing\n"),
        ("1.0", "'maybe'", "mine:own: verdict='maybe': must be True, False or missing\n"),
        ("1.0", "0.7", "mine:own: verdict=0.7: must be True, False or missing\n"),
    ],
)
def test_scores_and_verdicts_that_are_none_are_refused(here, capsys, score, verdict, said):
    rows = f"[('needed', unit, spec.name, {score}, {verdict}) for unit in range(12) for spec in batch.target_specs]"
    (here / "mine.py").write_text(
        "import pandas as pd\ndef own(model, batch):\n"
        f"    return pd.DataFrame({rows}, columns=['question', 'unit', 'name', 'score', 'verdict'])\n"
    )
    assert main(["truth", "method=mine:own", "knobs=[none]"]) == 2
    assert capsys.readouterr().err == said


def test_a_method_without_any_answer_is_refused_and_one_that_fails_is_named(here, capsys):
    (here / "mine.py").write_text(
        "import pandas as pd\n"
        "def nothing(model, batch):\n    return pd.DataFrame(columns=['question', 'unit', 'name', 'score'])\n"
        "def fails(model, batch):\n    raise ValueError('no idea')\n"
    )
    assert main(["truth", "method=mine:nothing", "knobs=[none]"]) == 2
    assert capsys.readouterr().err == "mine:nothing: no answer for any of 1 network.\n"
    with pytest.raises(ValueError, match="no idea") as raised:
        evaluate(find_methods("method", ["mine:fails"])["mine:fails"], cases=cases(knobs=["none"], seeds=1), name="f")
    seed = next(cases(knobs=["none"], seeds=1)).seed
    assert raised.value.__notes__ == [f"raised by the method f on the network none, none, seed {seed}"]


def test_help_does_not_run_anything(here, capsys):
    (here / "mine.py").write_text("raise SystemExit(5)\n")
    assert main(["truth", "method=mine:f", "--cfg", "job"]) == 0
    assert "method: mine:f" in capsys.readouterr().out
