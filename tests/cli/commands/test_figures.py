"""`figures`: a run's figures as files at their printed width, all of them or none."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lstm_probe.cli import main
from lstm_probe.cli.commands import figures
from lstm_probe.figures import saving
from lstm_probe.runs.run import load_run

RUN = Path(__file__).parents[2] / "data" / "schema1" / "flipflop" / "u2-s0-ac626909"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, which it may look at afterwards."""
    monkeypatch.chdir(tmp_path)


def files():
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_a_run_gets_a_folder_of_figures_at_a_width(capsys):
    assert main(["figures", f"run={RUN}", "width=column", "only=[learning,units]"]) == 0
    said = capsys.readouterr().out.split()
    folder = f"outputs/figures/flipflop/{RUN.name}/paper-column"
    assert said == [f"{folder}/{name}.{format}" for name in ("units", "learning") for format in ("pdf", "svg", "png")]
    assert files() == sorted(said)
    with Image.open(f"{folder}/units.png") as image:
        assert image.width == 3.5 * 300 and round(image.info["dpi"][0]) == 300


def test_a_folder_and_a_format_of_the_users(capsys):
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("stays")
    line = ["figures", f"run={RUN}", "style=notebook", "width=6.5", "only=[learning]", "formats=[png]", "to=mine"]
    assert main(line) == 0
    assert files() == ["mine/learning.png", "mine/notes.txt"]
    with Image.open("mine/learning.png") as image:
        assert image.width == 6.5 * 144


def test_tables_as_csv_and_latex(capsys):
    assert main(["figures", f"run={RUN}", "table=probes", "columns=[unit,signal,effect]"]) == 0
    said = capsys.readouterr().out.split()
    assert said == [f"outputs/figures/flipflop/{RUN.name}/tables/probes.{format}" for format in ("csv", "tex")]
    assert files() == sorted(said)
    read = pd.read_csv(said[0])
    table = load_run(RUN).probes[["unit", "signal", "effect"]]
    assert list(read["effect"]) == pytest.approx(list(table["effect"]), rel=1e-15) and list(read) == list(table)
    assert "unit & signal & effect \\\\" in Path(said[1]).read_text()


def test_all_tables_and_a_figure_in_one_folder(capsys):
    assert main(["figures", f"run={RUN}", "table=all", "only=[learning]", "formats=[svg]", "to=mine"]) == 0
    names = [*load_run(RUN).measured, "history"]
    assert "probes" in names
    tables = [f"mine/{name}.{format}" for name in names for format in ("csv", "tex")]
    assert capsys.readouterr().out.split() == ["mine/learning.svg", *tables]
    assert files() == sorted(["mine/learning.svg", *tables])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["style=papr"], "style=papr: must be one of notebook, paper, talk. Did you mean 'paper'?"),
        (["width=pag"], "width=pag: must be one of column, page, or inches from 3 to 40. Did you mean 'page'?"),
        (["width=0.1"], "width=0.1: must be"),
        (["formats=[pfd]"], "formats=[pfd]: must be a list of some of pdf, svg, png"),
        (["only=[unts]"], "only=unts: the run has no such figure. Did you mean 'units'? It has units, "),
        (["table=probs"], "table=probs: the run has no such table. Did you mean 'probes'? It has probes, "),
        (["table=probes", "columns=[efect]"], "columns: efect: the table has no such column. Did you mean 'effect'?"),
        (["table=all", "columns=[unit]"], "columns: are those of one table; table=NAME says which"),
        (["columns=[unit]"], "columns: are those of one table; table=NAME says which"),
        ([f"to={RUN}/figures"], "is in the run's own folder, which stays as it was made"),
    ],
)
def test_what_there_is_not(given, said, capsys):
    assert main(["figures", f"run={RUN}", *given]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert files() == [] and not (RUN / "figures").exists()


def test_a_file_stands_in_the_way(capsys):
    Path("taken").write_text("mine")
    assert main(["figures", f"run={RUN}", "to=taken/figures"]) == 2
    assert "to=taken/figures: is, or is below, a file; it must be a folder" in " ".join(capsys.readouterr().err.split())
    assert Path("taken").read_text() == "mine"


def test_nothing_is_there_when_one_of_them_fails(monkeypatch):
    drawn = []

    def fails(figure, path, **options):
        if drawn:
            raise RuntimeError("the second")
        drawn.append(saving_save(figure, path, **options))

    saving_save = saving.save
    monkeypatch.setattr(saving, "save", fails)
    assert main(["figures", f"run={RUN}", "only=[learning,units]", "formats=[svg]"]) == 1
    assert drawn and not Path("outputs/figures").exists()


def test_names_are_in_the_order_of_the_run():
    assert figures.chosen(["b", "a"], ["a", "b", "c"]) == ["a", "b"]
    assert figures.chosen(None, ["a", "b"]) == ["a", "b"]
