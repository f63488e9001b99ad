"""A page's tables without a browser: what a cell says, what it is, and that names stay names."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from markupsafe import Markup

import lstm_probe as lp
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.report.run_tables import run_tables
from lstm_probe.report.tables import Cell, Column, exact, frame_table, page_table
from lstm_probe.report.templating import environment
from tests.figures.made import made_run
from tests.report.test_page import Reader
from tests.report.test_templating import HOSTILE

NAN = float("nan")


def shown(table):
    template = '{% from "table.html" import data_table %}{{ data_table(table) }}'
    return environment().from_string(template).render(table=table)


def cells(table, column=1):
    return [(row[column].text, row[column].value) for row in table.rows]


@pytest.mark.parametrize(
    ("value", "text", "held"),
    [
        (0.123456, "0.123", "0.123456"), (7, "7", None), (NAN, "–", ""), (None, "–", ""), (pd.NA, "–", ""),
        (True, "yes", "True"), (np.bool_(False), "no", "False"), (np.float64(0.1), "0.1", None),
        (np.int64(3), "3", None), ("a-b", "a-b", None), ("", "", None), (float("inf"), "inf", None),
        (Cell("half", 0.5), "half", "0.5"), (Cell("text"), "text", None), (Cell("none", NAN), "none", ""),
        ([1, 2], "[1, 2]", None),
    ],
)  # fmt: skip
def test_what_a_cell_says_and_what_it_is(value, text, held):
    table = page_table("t", [Column("name"), Column("it")], [{"name": "a", "it": value}])
    assert cells(table) == [(text, held)]


def test_digits_are_of_what_is_shown_alone():
    rows = [{"name": "a", "it": 2 / 3, "top": 0.75}, {"name": "b", "it": None, "top": 1.0}]
    assert cells(page_table("t", [Column("name"), Column("it", digits=1)], rows)) == [("0.7", repr(2 / 3)), ("–", "")]
    both = page_table("t", [Column("name"), Column("it", "interval", digits=2, upper="top")], rows)
    assert [(row[1].text, row[1].value, row[1].upper) for row in both.rows] == [
        ("0.67 to 0.75", repr(2 / 3), "0.75"), ("–", "", "1.0"),
    ]  # fmt: skip


def test_a_bar_goes_from_nothing_to_all():
    rows = [{"name": str(value), "it": value} for value in (-0.5, 0.255, 1.5, NAN)]
    table = page_table("t", [Column("name"), Column("it", meter=True)], rows)
    assert [row[1].bar for row in table.rows] == [0, 26, 100, None]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [([1, 2.5, NAN], True), ([1, None], True), ([1, "a"], False), ([True, False], False),
     ([NAN, NAN], True), ([None, None], False),
     ([Cell("two", 2), 3], True), ([np.float32(1), np.int8(2)], True), ([], False)],
)  # fmt: skip
def test_a_column_of_numbers_is_sorted_as_such(values, numbers):
    table = page_table("t", [Column("it")], [{"it": value} for value in values])
    assert table.columns[0].number is numbers


def test_a_tidy_table_keeps_its_columns_and_their_sentences():
    frame = pd.DataFrame({"unit": [0, 1], "ci_low": [0.25, NAN]})
    table = frame_table("Units, all of them", frame, {"unit": "Number of the unit."})
    assert [(one.key, one.label, one.meaning) for one in table.columns] == [
        ("unit", "unit", "Number of the unit."), ("ci_low", "ci low", ""),
    ]  # fmt: skip
    assert table.name == "units-all-of-them" and len(table.rows) == 2
    text = Reader(shown(table)).text
    assert "What the columns mean" in text and "Number of the unit." in text
    assert "What the columns mean" not in shown(frame_table("t", frame, {}))


def test_what_the_csv_has_reads_back_as_itself():
    for value in (0.1 + 0.2, 1e-300, -0.0, 123456789.123456789, 2**60):
        assert float(exact(value)) == value
    assert exact(np.datetime64("NaT")) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(name):
    columns = [Column(name, name, name), Column("it", upper="top")]
    page = shown(page_table(name, columns, [{name: name, "it": 0.5, "top": 1.0}], name=name))
    reader = Reader(page)
    assert {*reader.tags} <= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary",
                              "dl", "dt", "dd", "bdi"}  # fmt: skip
    assert not reader.scripts and reader.text.count(name) == 5
    assert page_table(name, columns, [{name: Cell(Markup("<b>m</b>"), name), "it": 0.5, "top": 1.0}]).rows[0][0].value


def test_heads_and_rows_are_told_to_those_who_do_not_see_them():
    rows = [{"name": "a", "it": 0.5}, {"name": "b", "it": 1}]
    page = shown(page_table("A caption", [Column("name"), Column("it", "It")], rows))
    assert re.findall(r"<caption>(.*)</caption>", page) == ["A caption"]
    assert len(re.findall('<th scope="col"', page)) == 2 and len(re.findall('<th scope="row"', page)) == 2
    assert re.findall('<td class="n" data-label="It"', page) and " title=" not in page and " style=" not in page
    assert "nothing in this table" in shown(page_table("t", [Column("name")], []))


def test_of_signals_that_are_one_no_unit_is_said_not_to_track_the_second(tmp_path):
    """Two that are the same: of the second the unit goes with it, and of one that nobody holds none was found."""
    rng = np.random.default_rng(0)
    walk, other = rng.normal(size=(2, 60, 12)).cumsum(2)
    units = torch.from_numpy(np.stack([walk, rng.normal(size=(60, 12))], axis=-1)).float()
    part = LayerRecording(0, "forward", torch.zeros(60, 12, 1), c=units)
    rec = Recording({(0, "forward"): part}, torch.full((60,), 12), LSTMConfig(1, 2))
    known = {"walk": walk, "twin": walk, "other": other}
    table = lp.probe_units(rec, known, permutations=99, bootstrap=10, init="torch")
    found = lp.answer(table, confounds=lp.partial_effects(rec, known, bootstrap=20)).findings
    (signals,) = [one for _, one, _ in run_tables(made_run(tmp_path, units=2), found) if one.name == "signals"]
    best = [one.key for one in signals.columns].index("unit")
    nobody = f"{found.signals[2].unit} (not found to track it)"
    assert [row[best].text for row in signals.rows] == ["0", "0 (goes with it)", nobody]
