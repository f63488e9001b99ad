"""The gallery: its page has the numbers of the runs, and what README shows of the demo is what it printed."""

import importlib
import json
import re
from pathlib import Path

import pytest

from tests.figures.made import made_run

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "outputs" / "gallery"
NUMBERS = json.loads((GALLERY / "numbers.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def gallery(monkeypatch):
    """Import the script as Python does when it is run."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("gallery")


def test_the_page_has_the_numbers_of_the_runs(gallery):
    assert (GALLERY / "README.md").read_text(encoding="utf-8") == gallery.page(NUMBERS)


def test_every_picture_is_on_the_page_and_every_one_on_it_is_there():
    shown = re.findall(r"\((\w+\.png)\)", (GALLERY / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in GALLERY.glob("*.png"))
    assert all(path.stat().st_size < 450_000 for path in GALLERY.glob("*.png"))


def test_the_numbers_of_a_run_are_those_of_its_tables(gallery, tmp_path):
    """Of the made run it is known that units 0 to 4 track a target each and are needed alone for it."""
    run = made_run(tmp_path, units=7, scores={"leak": 0.9712})
    numbers = gallery.run_numbers(run)
    names = [target.name for target in run.task.targets]
    assert numbers["tracking"] == {name: [k] for k, name in enumerate(names)}
    assert (numbers["n_tracking"], numbers["n_needed_alone"], numbers["n_enough"], numbers["units"]) == (5, 5, 0, 7)
    assert numbers["worst"] == 0.971 and numbers["scores"]["count"] == 0.995 and numbers["run"] == run.name


def test_readme_shows_what_the_demo_printed():
    """Line by line, in order; three dots stand for lines that are left out."""
    printed = [line.rstrip() for line in (GALLERY / "demo.txt").read_text(encoding="utf-8").splitlines()]
    block = next(found for found in re.findall(r"```\n(.*?)```", README, re.S) if found.startswith("tracking, "))
    shown = [line.rstrip() for line in block.splitlines()]
    place = 0
    for line in shown:
        if line.strip() != "...":
            assert line in printed[place:], line
            place = printed.index(line, place) + 1
    assert NUMBERS["demo"]["n_needed_alone"] == int(re.search(r"Clamped alone, (\d+) of", block)[1])
    assert f"{NUMBERS['demo']['worst']:.3f}" in block


def test_what_readme_says_of_sizes_is_what_was_found():
    assert NUMBERS["size"]["sentence"] in README.replace("\n", " ")
