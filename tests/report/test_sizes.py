"""Answers of searches on the page of runs of the same tasks."""

import re

import lstm_probe as lp
from lstm_probe.report import write_report
from tests.figures.made import made_run
from tests.report.test_page import read
from tests.sizing.made import make_up


def searched(tmp_path, monkeypatch, task):
    """Return an answer of a search whose trainings are made up."""
    make_up(monkeypatch, lambda units, seed: 0.995 if units >= 3 else 0.2)
    return lp.size(task, largest=8, outputs=tmp_path)


def page_of(tmp_path):
    """Return the text of the page of two runs of the task tracking."""
    runs = [made_run(tmp_path / name, units=units) for name, units in (("a", 4), ("b", 6))]
    page = write_report(runs, tmp_path)
    return page, re.sub(r"\s+", " ", read(page).text)


def test_the_page_says_what_a_search_found_and_draws_it_anew(tmp_path, monkeypatch):
    found = searched(tmp_path, monkeypatch, "tracking")
    (found.path / "size.png").write_bytes(b"somebody else's picture")
    page, text = page_of(tmp_path)
    assert "How many units? tracking, largest=8" in text
    assert f"{found.sentence}." in text
    assert all(own.sentence in text for own in found.targets.values())
    assert f"From {len(found.trials)} trainings; solved: as the task says." in text
    drawn = page.parent / f"figures/size-tracking-{found.path.name}.png"
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_other_tasks_answers_are_not_on_the_page(tmp_path, monkeypatch):
    searched(tmp_path, monkeypatch, "parity")
    assert "How many units?" not in page_of(tmp_path)[1]
