"""Names from files reach terminal and messages without control characters, and cut."""

import io
import unicodedata

import pytest
from rich.table import Table
from rich.text import Text

from lstm_probe.core import console
from lstm_probe.core.errors import InputError, clean

HOSTILE = [
    "a\x1b[31mb", "\x9b2J", "one\ntwo\r", "\x00", "\x7f", "a\u202etxt.exe", "\u2028", "\ud800x", "\u2066x", "\U000e0041",
]  # fmt: skip


def plain(text, keep=""):
    return all(c in keep or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_control_character_is_left_and_each_can_be_told(name):
    shown = clean(name)
    assert plain(shown) and shown != name and shown.encode()
    assert shown.encode("latin-1", "replace").decode("unicode_escape", "surrogatepass") == name
    assert plain(InputError(f"x={name}: wrong").problems[0]) and plain(str(InputError(name)))


@pytest.mark.parametrize("name", ["τ_rise", "слово", "计数", "a b", "می\u200cخواهم", "👩\u200d🔬", "x" * 300, ""])
def test_other_names_stay(name):
    assert clean(name) == name


@pytest.mark.parametrize("name", ["x" * 301, "\x1b" * 300, "ab" * 500_000, "\U000e0041" * 299])
def test_what_is_long_is_cut(name):
    assert len(clean(name)) == 300 and "…" in clean(name)
    (problem,) = InputError(f"layer={name}: no such layer").problems
    assert len(problem) < 330 and problem.endswith(": no such layer")


def test_a_long_name_of_many_words_is_cut_too():
    (problem,) = InputError(f"class {'many words ' * 100_000}: not read").problems
    assert len(problem) <= 1000 and problem.startswith("class many") and problem.endswith(": not read")


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_is_printed_has_them(monkeypatch, name, terminal):
    table = Table(title=Text(name))
    table.add_column(Text(name))
    table.add_row(Text(f"cell {name}"))
    for one in (console.out, console.console):
        written = io.StringIO()
        monkeypatch.setattr(one, "_file", written)
        monkeypatch.setattr(one, "_force_terminal", terminal)
        monkeypatch.setattr(one, "_color_system", None)
        one.print(Text(name), soft_wrap=True)
        one.print(name, markup=False)
        one.print(table)
        one.print(f"[b]{clean(name)}")
        assert plain(written.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", ""), keep="\n")
        assert written.getvalue().count("cell") == 1
