"""The mutants stand where they are said to, and what becomes of them is told."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The tests' own process may have threads, of which a fork has none; it needs none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture
def mutants(monkeypatch):
    """Import the script as Python does when it is run."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("mutants")


def test_every_mutants_text_stands_once_in_its_file(mutants):
    stale = []
    for mutant in mutants.MUTANTS:
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        if mutants.mutated(mutant, text) in (None, text):
            stale.append(f"{mutant.name}: stands {text.count(mutant.old)} times in {mutant.file}")
    assert not stale


def test_every_mutant_is_python(mutants):
    for mutant in mutants.MUTANTS:
        if mutant.file.endswith(".py"):
            compile(mutants.mutated(mutant, (ROOT / mutant.file).read_text(encoding="utf-8")), mutant.name, "exec")


def test_every_mutant_has_a_name_of_its_own_and_tests(mutants):
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9-]+", name) for name in names)
    for mutant in mutants.MUTANTS:
        assert mutant.tests, mutant.name
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert (ROOT / file).is_file(), mutant.name
            assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8"), mutant.name


def made(mutants, old="a + b", new="a - b", tests=("test_it.py",)):
    return mutants.Mutant("room.name", "it.py", old, new, tests)


@pytest.mark.parametrize(("words", "found"), [
    ({}, "killed"), ({"new": "b + a"}, "SURVIVED"), ({"old": "a * b"}, "stale"), ({"old": "b"}, "stale"),
    ({"tests": ("nowhere.py",)}, "stale"), ({"new": "c + b"}, "killed"),
])  # fmt: skip
def test_what_becomes_of_a_mutant(mutants, monkeypatch, tmp_path, words, found):
    """Killed, survived or stale; and the file is again what it was."""
    for folder in (tmp_path / "tree", tmp_path / "copy"):
        folder.mkdir()
        (folder / "it.py").write_text("def add(a, b):\n    return a + b  # b\n")
        (folder / "test_it.py").write_text("from it import add\n\n\ndef test_it():\n    assert add(1, 2) == 3\n")
    monkeypatch.setattr(mutants, "ROOT", tmp_path / "tree")
    assert mutants.run_all([made(mutants, **words)], [tmp_path / "copy"]) == {"room.name": found}
    assert (tmp_path / "copy" / "it.py").read_bytes() == (tmp_path / "tree" / "it.py").read_bytes()


@pytest.mark.parametrize(("found", "code"), [("killed", 0), ("SURVIVED", 1), ("stale", 1)])
def test_the_exit_code_says_whether_all_were_killed(mutants, monkeypatch, capsys, found, code):
    monkeypatch.setattr(mutants, "run_all", lambda *_: {"one": "killed", "two": found})
    assert run_main(mutants, monkeypatch, tests="pass") == code
    assert ("SURVIVED two" in capsys.readouterr().out) == (found == "SURVIVED")


def test_tests_that_fail_by_themselves_are_said_first(mutants, monkeypatch, capsys):
    assert run_main(mutants, monkeypatch, tests="fail") == 1
    told = capsys.readouterr().out
    assert "1 failed" in told and "fail without any mutant" in told


def run_main(mutants, monkeypatch, tests):
    """Run the script on one mutant of a tree that has a single test, which passes or fails."""

    def copy_tree(folder):
        folder.mkdir()
        (folder / "test_it.py").write_text(f"def test_it():\n    assert {tests == 'pass'}\n")
        return folder

    monkeypatch.setattr(mutants, "MUTANTS", (made(mutants),))
    monkeypatch.setattr(mutants, "PRELOADED", ())
    monkeypatch.setattr(mutants, "copy_tree", copy_tree)
    monkeypatch.setattr(sys, "argv", ["mutants.py"])
    return mutants.main()


def test_the_script_lists_what_it_has(tmp_path):
    for arguments, told in ((["--help"], "usage:"), (["--list", "--only", "network.no-clipping"], "training.py")):
        command = [sys.executable, ROOT / "scripts" / "mutants.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0 and told in done.stdout, done.stderr
