"""The pages of `docs/` have every public name, column, key and task, once, and are built without a warning."""

import importlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import lstm_probe as lp
from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.runs.analyses import ANALYSES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.fixture
def declared(monkeypatch):
    """Import the extension as Sphinx does."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("declared")


def described() -> Counter[str]:
    """How often each name is described."""
    places = [found for page in PAGES for found in re.findall(r"^\{\{ public (.*) \}\}$", page.read_text(), re.M)]
    return Counter(name for words in places for name in words.split())


def test_every_public_name_is_described_once():
    names = {*lp.__all__} - {"__version__"}
    names |= {f"{module}.{name}" for module in lp._MODULES for name in getattr(lp, module).__all__}
    assert described() == dict.fromkeys(names, 1)


def test_every_column_of_every_table_has_its_sentence(declared):
    page = declared.filled_in((DOCS / "tables.md").read_text())
    tables = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert set(tables) >= {*ANALYSES, "history", "acquired", "size_curve"}
    for name, shown in tables.items():
        rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", shown, re.M)
        assert {column: re.sub(r"\\(.)", r"\1", meaning) for column, meaning in rows} == lp.columns(name)
        assert name not in ANALYSES or ANALYSES[name].says[1:] in shown


def test_every_key_of_every_command_is_explained(declared):
    page = declared.filled_in((DOCS / "commands.md").read_text())
    settings = declared.filled_in((DOCS / "settings.md").read_text())
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert list(sections) == list(SCHEMAS)
    for command, shown in sections.items():
        for key, _ in keys_of(SCHEMAS[command]):
            nested = key.partition(".")[0]
            where = settings if nested in declared.NESTED else shown
            assert len(re.findall(rf"^\| `{re.escape(key)}` \|", where, re.M)) == 1, (command, key)
            if nested in declared.NESTED:
                assert f"settings.md#{nested}" in shown and f"| `{key}` |" not in shown


def test_every_task_is_in_the_catalogue(declared):
    page = declared.filled_in((DOCS / "tasks.md").read_text())
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(lp.list_tasks().name)


def test_words_are_shown_as_they_are(declared):
    assert declared.escaped("a|b *c* d_e `x|y` <f> [g] $h") == r"a\|b \*c\* d\_e `x|y` \<f\> \[g\] \$h"
    shown = "| a | b |\n| --- | --- |\n| 1 2 |   |\n| 3 | 4 |\n"
    assert declared.table(("a", "b"), [("1\n2", ""), ("3", "4")]) == shown


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path):
    """Links within and between pages too, to headings and to names: one that leads nowhere is a warning."""
    command = [sys.executable, "-m", "sphinx", "-nWEq", "--keep-going", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    shown = (tmp_path / "reference" / "recording.html").read_text()
    assert 'id="lstm_probe.record"' in shown and "|r|" in (tmp_path / "reference" / "probing.html").read_text()
