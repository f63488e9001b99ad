"""Tables of the terminal: as wide as it is, and no word of theirs is broken."""

from io import StringIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from lstm_probe.core.tables import Entries, WordTable

WORDS = st.lists(st.text("abcxyz0.%", min_size=1, max_size=9), max_size=12).map(" ".join)


def printed(shown: object, width: int) -> list[str]:
    file = StringIO()
    Console(file=file, width=width, highlight=False).print(shown)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 30, 60, 200])
@settings(deadline=None, max_examples=40)
@example(rows=[["", "", "", "000000000 %.00000"]])
@example(rows=[["", "", "", "000000000 %%%%%%%"]])
@given(rows=st.lists(st.lists(WORDS, min_size=4, max_size=4), min_size=1, max_size=4))
def test_all_words_are_there_whole_and_no_line_is_too_long(width, rows):
    table = WordTable("one", "the second", "", "four", numbers=("one",))
    for row in rows:
        table.add_row(*row)
    lines = printed(table, width)
    assert max(map(len, lines)) <= width
    words = sorted(word for row in rows for cell in row for word in cell.split())
    shown = sorted(word for line in lines for word in line.split())
    for heading in ("one", "the", "second", "four", "one:", "second:", "four:"):
        while heading in shown:
            shown.remove(heading)
    assert shown == words


def test_where_all_fits_a_row_is_a_line_and_numbers_stand_right():
    table = WordTable("name", "n", "what it is", numbers=("n",))
    table.add_row("a", "5", "short")
    table.add_row("longer", "1,000", "[red]not markup[/red]")
    assert printed(table, 60) == [
        "name        n  what it is",
        "a           5  short",
        "longer  1,000  [red]not markup[/red]",
    ]


def test_sentences_get_what_the_other_columns_leave():
    table = WordTable("key", "meaning")
    table.add_row("units", "how many memories a layer has")
    assert printed(table, 24) == ["key    meaning", "units  how many memories", "       a layer has"]


def test_where_columns_do_not_fit_each_row_is_a_list():
    table = WordTable("run", "status", "seconds", numbers=("seconds",))
    table.add_row("u32-s0-c0530754", "finished", "24.1")
    assert printed(table, 24) == ["u32-s0-c0530754", "  status: finished", "  seconds: 24.1"]
    assert printed(table, 30) == ["u32-s0-c0530754", "  status: finished", "  seconds: 24.1"]
    assert printed(table, 34) == ["run              status    seconds", "u32-s0-c0530754  finished     24.1"]


def test_spare_columns_go_first():
    table = WordTable("run", "status", "seconds", spare=("status",))
    table.add_row("u32-s0-c0530754", "finished", "24.1")
    assert printed(table, 24) == ["run              seconds", "u32-s0-c0530754  24.1"]
    assert "finished" in printed(table, 34)[1]


def test_a_percent_sign_stays_with_its_number():
    table = WordTable("effect (95 %)", "other")
    table.add_row("0.98 (0.98–0.98)", "x")
    assert [line.split() for line in printed(table, 18)[:2]] == [["effect", "other"], ["(95", "%)"]]


def test_styles_stay():
    table = WordTable("status", "unit")
    table.add_row(Text("not needed", "red"), "3")
    file = StringIO()
    Console(file=file, width=12, force_terminal=True, color_system="standard").print(table)
    assert file.getvalue().count("\x1b[31m") == 2  # of both lines


def test_a_word_longer_than_the_line_is_the_only_one_that_is_broken():
    table = WordTable("name")
    table.add_row("x" * 25)
    assert printed(table, 20) == ["x" * 20, "x" * 5]


def test_entries_stand_beside_their_names_or_below_long_ones():
    shown = Entries(("a=1", "what a is, in some words"), ("a.very.long.key=value", "what that is"))
    assert printed(shown, 26) == [
        "  a=1  what a is, in some",
        "       words",
        "  a.very.long.key=value",
        "       what that is",
    ]
