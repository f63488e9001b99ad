"""`reproduce`: the list and one result at the command line, the page, the figure."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from lstm_probe.cli import main
from lstm_probe.cli.commands.reproduce import about_words
from lstm_probe.figures.reproduction import reproduction
from lstm_probe.report.reproduction import seed_table, write_reproduction
from lstm_probe.reproduce import KEYS, store
from lstm_probe.reproduce.result import Measure
from lstm_probe.reproduce.results import RESULTS
from tests.reproduce.made import made


def test_the_list(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    for key in KEYS:
        assert re.search(rf"^{key} ", shown, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_one_result_from_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "name=bounded_dyck", "seeds=2"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    assert re.search(r"^bounded_dyck\b(.|\n)*? reproduced\b", shown, re.MULTILINE)
    kept = tmp_path / "outputs" / "reproduce" / "bounded_dyck.json"
    content = json.loads(kept.read_text())
    assert (content["verdict"], sorted(content["seeds"])) == ("reproduced", ["0", "1"])
    written = kept.stat().st_mtime_ns
    assert main(["reproduce", "name=bounded_dyck", "seeds=2"]) == 0
    assert kept.stat().st_mtime_ns == written
    assert main(["reproduce", "name=bounded_dyck", "seeds=2", "force=true"]) == 0
    assert kept.stat().st_mtime_ns > written
    capsys.readouterr()
    assert main(["reproduce"]) == 0
    assert re.search(r"^bounded_dyck\b(.|\n)*?reproduced\b", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["name=dyk1"], "name=dyk1: must be one of dyck1, "),
        (["name=dyck1", "all=true"], "name=dyck1: all=true measures every result; leave one of the two out."),
        (["seeds=0"], "seeds=0: must be a whole number from 1"),
        (["all=maybe"], "all=maybe: must be true or false"),
        (["name=parameters", "outputs=/proc/none"], "outputs=/proc/none: /proc cannot be written to"),
    ],
)
def test_bad_input(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(said)
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def outcomes_of(tmp_path):
    bad = made([], key="worse", title="made up <b>badly</b>", tried="Tried twice.", trained=True)
    bad = replace(bad, measures=(Measure("score", "made up", least=0.9), Measure("other", "shown only", high=9.0)))
    values = {seed: {"score": 0.1 * seed, "other": 5.0} for seed in range(3)}
    return [store.reproduce(made([]), tmp_path, 3), store.Reproduction(bad, values, dict.fromkeys(range(3), 1.0))]


def test_all_of_them_are_on_the_page(tmp_path):
    outcomes = outcomes_of(tmp_path)
    page = write_reproduction(outcomes, tmp_path)
    assert page == tmp_path / "reproduce" / "index.html"
    text = page.read_text()
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))
    assert "0 of 2 reproduced; 1 partly, 1 not reproduced." in words
    assert "made up &lt;b&gt;badly&lt;/b&gt;" in text
    assert "Tried twice." in text
    assert not re.search(r'(src|href)="https?:', text)
    assert text.count('src="data:image/') == 2
    for key in ("made", "worse"):
        for suffix in ("svg", "png"):
            assert (page.parent / "figures" / f"{key}.{suffix}").stat().st_size > 1000


def test_every_result_is_on_the_page_of_all(capsys, tmp_path, monkeypatch):
    import lstm_probe.cli.commands.reproduce as command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "RESULTS", {"a": made([], key="a"), "b": made([], key="b")})
    assert main(["reproduce", "all=true", "seeds=3"]) == 0
    assert "outputs/reproduce/index.html" in capsys.readouterr().out
    made_there = {path.name for path in (tmp_path / "outputs" / "reproduce").iterdir()}
    assert made_there == {"a.json", "b.json", "figures", "index.html"}


def test_the_figure_shows_every_seed_the_published_number_and_the_goal(tmp_path):
    table = seed_table(outcomes_of(tmp_path)[0])
    figure = reproduction(table)
    axes = figure.axes[0]
    dots = axes.lines[1]
    np.testing.assert_allclose(dots.get_xdata(), [0.5, 0.6, 0.7])
    assert len(set(dots.get_ydata())) == 3
    assert axes.lines[0].get_xdata()[0] == 0.6
    assert axes.patches[0].get_x() == pytest.approx(0.55, abs=0.01)
    assert figure.texts[0].get_text() == "made up"


def test_times_are_told_in_round_numbers():
    result = RESULTS["parity"]
    shown = [about_words(replace(result, seconds=seconds), 1) for seconds in (0.1, 4, 25, 100, 300, 1000)]
    assert shown == ["about 1 s", "about 5 s", "about 30 s", "about 2 min", "about 5 min", "about 17 min"]
    few = replace(result, seconds=100, most_seeds=3)  # no more seeds than these are tried
    assert about_words(few, 5) == about_words(few, 3) == "about 5 min"
