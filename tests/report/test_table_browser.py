"""Tables in a real browser: every control does what it says, by mouse and by keys, and the CSV is the table."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from lstm_probe.report.tables import Column, frame_table, page_table
from lstm_probe.report.templating import environment
from tests.report.browser import CHROMIUM, axe
from tests.report.test_templating import HOSTILE

pytestmark = CHROMIUM

TEMPLATE = """{% extends "base.html" %}{% from "table.html" import data_table %}{% block title %}t{% endblock %}
{% block body %}<h1>T</h1>{% for table in tables %}{{ data_table(table) }}{% endfor %}{% endblock %}"""
FORMULAS = ["=1+1", "+x", "-y", "@z", "-1+cmd", "\uff1dA1", "a,b", 'say "no"', "two\nlines", "'x"]
NAMES = [*HOSTILE, *FORMULAS, "é", "10", "-0.5", "A", "b", "a", "1·2", "1·10", "0·3", "NA", " spaced "]


def hostile_frame():
    rng = np.random.default_rng(0)
    n = len(NAMES)
    values = rng.normal(size=n) * 10.0 ** rng.integers(-12, 12, n)
    values[[1, 5]] = np.nan
    values[2], values[3] = np.inf, -np.inf
    return pd.DataFrame({"name": NAMES, "value": values, "count": rng.integers(-5, 5, n), "seen": values > 0,
                         "low": values - 1, "high": values + 1 / 3})  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    frame = hostile_frame()
    columns = [Column("name", meaning="A name."), Column("value", "its value", "A number.", digits=2), Column("count"),
               Column("seen"), Column("low", "interval", "Both ends.", digits=2, upper="high")]  # fmt: skip
    three = pd.DataFrame({"unit": ["u2", "u10", "u1"], "effect": [0.5, np.nan, 0.25]})
    long = pd.DataFrame({"unit": range(1500), "effect": np.random.default_rng(1).uniform(size=1500)})
    others = {"Three": three, "Long": long, "One": three[:1], "None": three[:0]}
    tables = [page_table("Hostile names", columns, frame), *(frame_table(*one, {}) for one in others.items())]
    path = tmp_path_factory.mktemp("tables") / "page.html"
    path.write_text(environment().from_string(TEMPLATE).render(tables=tables), encoding="utf-8")
    return path


def table(name):
    return f"table[data-name={name}]"


def column(browser, name, number=1):
    """The texts of a table's column, from the top."""
    rows = "return [...document.querySelectorAll(arguments[0] + ' tbody tr')]"
    return browser.ask(rows + ".map(row => row.cells[arguments[1]].innerText)", table(name), number)


def sort(browser, name, number):
    browser.click(f"{table(name)} th:nth-child({number + 1}) button")
    return browser.ask("return [...document.querySelectorAll(arguments[0] + ' th[scope=col]')].map(h => h.ariaSort)",
                       table(name))  # fmt: skip


def controls(browser, name, css):
    return browser.ask("return document.querySelector(arguments[0]).closest('.data').querySelector(arguments[1])",
                       table(name), css)  # fmt: skip


def read(text):
    """A CSV without its names, with numbers as Python reads them."""
    table = pd.DataFrame(csv.DictReader(io.StringIO(text, newline=""))).drop(columns="name")
    table = table.replace("", "nan").assign(seen=table["seen"].map({"True": True, "False": False}))
    return table.astype({"value": float, "count": int, "low": float, "high": float})


def saved(browser, name, file):
    """The CSV that the button of a table saves, as text; it is taken away, so that the next has the same name."""
    controls(browser, name, ".tools:not([hidden]) button").click()
    path = browser.downloaded(file)
    content = path.read_bytes().decode("utf-8")
    path.unlink()
    return content


def test_a_head_sorts_up_then_down_then_back(browser, page):
    browser.show(page)
    frame = hostile_frame()
    known = frame["value"].dropna()
    assert sort(browser, "hostile-names", 1) == [None, "ascending", None, None, None]
    up = column(browser, "hostile-names", 0)
    text = [name.replace("\n", " ").strip() for name in frame.loc[known.sort_values().index, "name"]]
    assert [one.replace("\n", " ").strip() for one in up[:-2]] == text
    assert sort(browser, "hostile-names", 1) == [None, "descending", None, None, None]
    down = column(browser, "hostile-names", 0)
    assert down[:-2] == up[:-2][::-1]
    assert column(browser, "hostile-names", 1)[-2:] == ["–", "–"]  # what is not known comes last both ways
    assert up[-2:] == down[-2:] == [frame["name"][1].strip(), frame["name"][5].strip()]  # and as it came
    assert sort(browser, "hostile-names", 1) == [None] * 5
    assert column(browser, "hostile-names", 0)[6:9] == ["\\u003c", "=1+1", "+x"]
    assert sort(browser, "three", 0) == ["ascending", None] and column(browser, "three", 0) == ["u1", "u2", "u10"]
    assert sort(browser, "three", 1) == [None, "ascending"] and column(browser, "three", 0) == ["u1", "u2", "u10"]


def test_equal_rows_stay_as_they_were(browser, page):
    browser.show(page)
    frame = hostile_frame().reset_index()
    sort(browser, "hostile-names", 2)
    order = frame.sort_values("count", kind="stable")
    assert [int(text) for text in column(browser, "hostile-names", 2)] == list(order["count"])
    assert column(browser, "hostile-names", 1) == [f"{v:z.2f}" if v == v else "–" for v in order["value"]]
    sort(browser, "hostile-names", 2)
    order = frame.sort_values("count", kind="stable", ascending=False)
    assert column(browser, "hostile-names", 1) == [f"{v:z.2f}" if v == v else "–" for v in order["value"]]


def test_labels_are_sorted_as_people_count(browser, page):
    browser.show(page)
    sort(browser, "hostile-names", 0)
    names = column(browser, "hostile-names", 0)
    assert [name for name in names if "·" in name] == ["0·3", "1·2", "1·10"]
    assert [name for name in names if name in "abAé"] == ["a", "A", "b", "é"]


def test_a_filter_looks_into_every_column_and_says_how_many_are_left(browser, page):
    browser.show(page)
    field = controls(browser, "hostile-names", "input")
    button = controls(browser, "hostile-names", ".tools button")
    status = controls(browser, "hostile-names", "[role=status]")
    n = len(NAMES)
    assert (status.text, button.text) == ("", f"Download CSV (all {n} rows)")
    field.send_keys("SAY")
    assert column(browser, "hostile-names", 0) == ['say "no"']
    assert (status.text, button.text) == (f"1 of {n} rows", "Download CSV (the 1 row left)")
    field.send_keys(Keys.BACKSPACE * 3, "yes")
    seen = hostile_frame()["seen"].sum()
    assert column(browser, "hostile-names", 3) == ["yes"] * seen
    sort(browser, "hostile-names", 1)
    assert column(browser, "hostile-names", 3) == ["yes"] * seen  # sorting brings no row back
    field.send_keys("x")
    assert column(browser, "hostile-names") == [] and status.text == f"0 of {n} rows"
    field.send_keys(Keys.BACKSPACE * 4)
    assert len(column(browser, "hostile-names")) == n and status.text == ""
    assert controls(browser, "three", "input") is None


def test_the_csv_is_the_table(browser, page):
    browser.show(page)
    frame = hostile_frame()
    text = saved(browser, "hostile-names", "hostile-names.csv")
    assert text.startswith("name,value,count,seen,low,high\r\n") and text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(row) for row in rows} == {6} and len(rows) == len(frame) + 1
    guarded = {name: "'" + name for name in ("=1+1", "+x", "-y", "@z", "-1+cmd", "\uff1dA1")}
    assert [row[0] for row in rows[1:]] == [guarded.get(name, name) for name in NAMES]
    pd.testing.assert_frame_equal(read(text), frame.drop(columns="name"), check_exact=True)


def test_the_csv_has_the_rows_that_are_left_in_their_order(browser, page):
    browser.show(page)
    controls(browser, "hostile-names", "input").send_keys("yes")
    sort(browser, "hostile-names", 1)
    back = read(saved(browser, "hostile-names", "hostile-names.csv"))
    frame = hostile_frame()
    pd.testing.assert_series_equal(back["value"], frame.loc[frame["seen"], "value"].sort_values(ignore_index=True))
    assert saved(browser, "one", "one.csv") == "unit,effect\r\nu2,0.5\r\n"
    assert controls(browser, "none", "button") is None


def test_a_long_table_shows_its_first_rows_and_the_rest_when_asked_or_printed(browser, page):
    browser.show(page)
    more = controls(browser, "long", ".scroll + .tools button")
    assert len(column(browser, "long", 0)) == 512 and more.text == "Show all 1500 rows, not the first 512"
    assert saved(browser, "long", "long.csv").count("\r\n") == 1501
    controls(browser, "long", "input").send_keys("149")
    assert {"149", "1490", "1499"} <= {*column(browser, "long", 0)} and not more.is_displayed()
    controls(browser, "long", "input").send_keys(Keys.BACKSPACE * 3)
    more.click()
    assert len(column(browser, "long", 0)) == 1500 and not more.is_displayed()
    browser.show(page)
    browser.pdf()
    assert len(column(browser, "long", 0)) == 1500


def test_all_of_it_by_keys(browser, page):
    browser.show(page)
    browser.tab_to("Filter the rows of: Hostile names")
    browser.press("yes")
    assert browser.tab_to("Download CSV").startswith("button Download CSV (the ")
    browser.press(Keys.ENTER)
    browser.downloaded("hostile-names.csv").unlink()
    assert browser.tab_to("its value") == "button its value"
    browser.press(Keys.ENTER)
    browser.press(Keys.SPACE)
    assert browser.ask("return document.activeElement.parentElement.ariaSort") == "descending"
    assert browser.focused() == "button its value"
    browser.tab_to("What the columns mean")
    browser.press(Keys.ENTER)
    assert "Both ends." in browser.find(".data details").text


def test_without_a_script_all_of_it_is_there(browser, page):
    browser.show(page, 400, scripts=False)
    browser.tell("Emulation.setScriptExecutionDisabled", {"value": False})  # for what is asked below, too late for it
    assert len(column(browser, "long", 0)) == 1500
    assert controls(browser, "hostile-names", "button") is None


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@axe
def test_nothing_is_in_the_way_of_those_who_do_not_see_or_point(browser, page, width, dark):
    browser.show(page, width, dark=dark)
    browser.open_all()
    controls(browser, "hostile-names", "input").send_keys("e")
    sort(browser, "hostile-names", 1)
    browser.check()
    found = browser.axe()
    assert not found, "\n".join(found)


def test_a_phone_stacks_the_rows(browser, page):
    browser.show(page, 400)
    first = browser.ask(
        "return [...document.querySelector(arguments[0] + ' tbody tr').cells].map(c => [getComputedStyle(c, '::before')"
        ".content, c.getBoundingClientRect().left, c.getBoundingClientRect().right <= innerWidth])",
        table("hostile-names"),
    )
    labels = ["name", "its value", "count", "seen", "interval"]
    assert [content.replace('" ', "").replace('"', "") for content, *_ in first] == [f"{one}: " for one in labels]
    assert len({left for _, left, _ in first}) == 1 and all(inside for *_, inside in first)
    browser.check()


def test_paper_has_no_controls(browser, page):
    browser.show(page)
    browser.emulate(media="print")
    controls = "return [...document.querySelectorAll('.tools :is(button, input)')]"
    drawn = controls + ".filter(e => e.getClientRects().length).length"
    assert browser.ask(drawn) == 0
    browser.emulate()
    assert browser.ask(drawn) > 0
