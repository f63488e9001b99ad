"""The explorer in a real browser: what it shows is what the tables say, by mouse and by keyboard alone."""

import urllib.parse

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lstm_probe.core.numbers import number
from lstm_probe.report.run_page import run_context
from lstm_probe.report.templating import template, write
from tests.report.browser import CHROMIUM, axe, soon
from tests.report.browser import browser as browser
from tests.report.explorer.made_page import HOSTILE, bare_run, full_run, hostile_run

pytestmark = CHROMIUM


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return full_run(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory, run):
    """Pages by name: full, hostile, bare, many; without figures, which take long."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"full": run, "hostile": hostile_run(folder / "hostile"), "bare": bare_run(folder / "bare"),
            "many": full_run(folder / "many", 45)}  # fmt: skip
    page = template("run.html")
    return {name: write(folder / f"{name}.html", page.render(run=run_context(one, {}, ""), back=None))
            for name, one in runs.items()}  # fmt: skip


def row(browser, label):
    """The map's row of a unit."""
    return browser.ask(
        "return [...document.querySelectorAll('.map tbody tr')].find(r => r.firstChild.textContent === arguments[0])",
        label,
    )


def cell(browser, label, column):
    return browser.ask("return arguments[0].cells[arguments[1]]", row(browser, label), column)


def text(browser, css):
    """The text of the first element of a selector, read at once: the page may replace it at any time."""
    browser.find(css)
    return " ".join(browser.ask("return document.querySelector(arguments[0]).innerText", css).split())


def title(browser):
    return text(browser, ".unit-panel h3")


def opened(browser, wanted, **chosen):
    """Whether the panel comes to have this title, and the address what it says is chosen ("": nothing)."""
    own = {key: [value] for key, value in chosen.items() if value}
    return soon(lambda: title(browser) == wanted and (not chosen or address(browser) == own))


def traced(browser):
    """What the first picture of traces says it shows."""
    return browser.ask("return document.querySelector('.traces svg').ariaLabel")


def address(browser):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(browser.ask("return location.href")).fragment)


def test_every_cell_says_what_the_tables_say(browser, pages, run):
    browser.show(pages["full"])
    names = [label.split(",")[0] for label in browser.ask(
        "return [...document.querySelectorAll('.map .names th')].map(e => e.getAttribute('aria-label'))")]  # fmt: skip
    probes, ablations = run.probes[run.probes["variable"] == "c"], run.ablations
    signals = [name for name in names if "clamping" not in name]
    targets = [name.rpartition(" ")[2] for name in names if "clamping" in name]
    assert signals == list(probes["signal"].unique()) and targets == list(ablations["target"].unique())
    for unit in range(8):
        said = browser.ask(
            "return [...arguments[0].cells].map(c => c.getAttribute('aria-label'))", row(browser, str(unit))
        )
        for name, label in zip(signals, said[1:]):
            own = probes[(probes["unit"] == unit) & (probes["signal"] == name)].iloc[0]
            assert label == number(own["effect"]) + (", tracks" if own["tracks"] else "")
        for name, label in zip(targets, said[1 + len(signals) :]):
            own = ablations[(ablations["unit"] == unit) & (ablations["target"] == name)].iloc[0]
            assert label == number(own["refit_drop"]) + (
                ", needed alone" if own["needed"] == "alone" else ", not needed"
            )
    ActionChains(browser.driver).move_to_element(cell(browser, "0", 1)).perform()
    assert text(browser, ".readout") == (
        "unit 0, count: effect 0.95 (R²), 95 % interval 0.93 to 0.97, 95 % of untrained units stay below 0.10, "
        "tracks count"
    )
    ActionChains(browser.driver).move_to_element(cell(browser, "2", 1 + len(signals) + 2)).perform()
    assert text(browser, ".readout") == (
        "unit 2, clamped at its mean, costs parity 0.80 of its score even after the output is brought back to scale, "
        "95 % interval 0.79 to 0.81, needed alone"
    )
    browser.check()


def test_a_click_opens_a_unit_and_back_leads_back(browser, pages, run):
    browser.show(pages["full"])
    assert opened(browser, "Unit 0, c: count")
    cell(browser, "3", 0).click()
    assert opened(browser, "Unit 3, c: leak", unit="3")
    assert row(browser, "3").get_attribute("aria-selected") == "true"
    assert len(browser.driver.find_elements("css selector", ".traces svg")) == 6
    assert "over the true leak" in traced(browser)
    assert "5.00 at 2.00" in browser.find(".curves svg").get_attribute("aria-label")  # mean of unit 3 at level 2
    cell(browser, "7", 1).click()
    assert opened(browser, "Unit 7, c: nothing found", unit="7", signal="count")
    browser.driver.back()
    assert opened(browser, "Unit 3, c: leak")
    browser.click(".names th:nth-child(3)")
    assert opened(browser, "latch", signal="latch")
    ranked = [one.text for one in browser.driver.find_elements("css selector", ".rank tbody th")]
    assert ranked == ["1", "0", "2", "3", "4", "5", "6", "7"]
    assert text(browser, ".rank tbody tr") == "1 0.95 0.93 to 0.97 tracks 0.80 needed alone"
    browser.click(".rank tbody tr:nth-child(2) a")
    assert opened(browser, "Unit 0, c: count", unit="0", signal="latch")
    browser.driver.back(), browser.driver.back(), browser.driver.back()
    assert opened(browser, "Unit 0, c: count", unit="") and soon(lambda: "true count" in traced(browser))
    dots = browser.driver.find_elements("css selector", ".curves circle.other")
    dots[-1].click()
    assert soon(lambda: "unit" in address(browser) and not title(browser).startswith("Unit 0,"))
    browser.check()


def test_a_link_opens_what_it_names(browser, pages):
    first, fourth = "Unit 0, c: count", "Unit 4, c: since"
    for fragment, wanted in (("#unit=4", fourth), ("#signal=ticks", "ticks"), ("#unit=99", first), ("#explorer", first),
                             ("#%E0%A4", first)):  # fmt: skip
        browser.driver.get("about:blank")
        browser.driver.get(pages["full"].as_uri() + fragment)
        assert opened(browser, wanted)
    assert browser.said() == []


def test_another_signal_and_another_example_are_chosen(browser, pages):
    browser.show(pages["full"])
    before = browser.ask("return document.querySelector('.traces').outerHTML")
    browser.find(".controls label:nth-child(2) select").send_keys(Keys.ARROW_DOWN)
    assert soon(lambda: browser.ask("return document.querySelector('.traces').outerHTML") != before)
    assert opened(browser, "Unit 0, c: count")
    browser.find(".controls select").send_keys("leak")
    assert opened(browser, "Unit 0, c: count", unit="0", signal="leak") and soon(lambda: "true leak" in traced(browser))
    numbers = "unit 0, leak: effect 0.05 (R²), 95 % interval 0.03 to 0.07, 95 % of untrained units stay below 0.10, "
    assert numbers + "not found to track it." in text(browser, ".unit-panel")
    assert "clamped at its mean, costs leak 0.00 of its score" in text(browser, ".unit-panel")
    assert "true leak" in text(browser, ".panel .legend") and browser.focused().startswith("select")
    ActionChains(browser.driver).move_to_element(browser.find(".traces svg")).perform()
    assert text(browser, ".readout").startswith("step ") and "true leak" in text(browser, ".readout")
    browser.check()


def test_the_keyboard_alone_leads_everywhere(browser, pages):
    browser.show(pages["full"])
    assert browser.tab_to("unit 0, tracks") == "th unit 0, tracks count 0.95, needed alone"
    browser.press(Keys.ARROW_RIGHT)
    assert browser.focused() == "td 0.95, tracks" and text(browser, ".readout").startswith("unit 0, count: effect 0.95")
    browser.press(Keys.ARROW_UP)
    assert browser.focused() == "th count, target"
    browser.press(Keys.ENTER)
    assert opened(browser, "count") and browser.focused() == "h3 count"
    browser.press(Keys.ESCAPE)
    assert browser.focused() == "th count, target"
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.HOME)
    assert browser.focused() == "th unit 1, tracks latch 0.95, needed alone"
    browser.press(Keys.ENTER)
    assert opened(browser, "Unit 1, c: latch") and browser.focused() == "h3 Unit 1, c: latch"
    browser.press(Keys.ESCAPE, Keys.END)
    assert browser.focused() == "td 0.00, not needed"
    outline = browser.ask("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    browser.check()


def test_idle_units_of_a_large_network_are_one_line_that_opens(browser, pages):
    browser.show(pages["many"])
    fold = browser.find(".map .group button")
    assert fold.text.endswith("40 units: nothing found, not needed") and fold.get_attribute("aria-expanded") == "false"
    assert row(browser, "44") is None and row(browser, "4") is not None
    assert browser.tab_to("unit 0, tracks")
    browser.press(*[Keys.ARROW_DOWN] * 5, Keys.ENTER)
    assert fold.get_attribute("aria-expanded") == "true" and row(browser, "44").is_displayed()
    fold.click()
    assert fold.get_attribute("aria-expanded") == "false" and not row(browser, "44").is_displayed()
    browser.ask("location.hash = '#unit=44'")
    assert opened(browser, "Unit 44, c: nothing found") and row(browser, "44").is_displayed()
    browser.check()


def test_names_are_text_whatever_they_are(browser, pages):
    browser.show(pages["hostile"])
    for name in HOSTILE.values():
        browser.ask("location.hash = '#' + new URLSearchParams({ signal: arguments[0] })", name)
        assert opened(browser, " ".join(name.split()))
        browser.click(".rank tbody a")
        assert soon(lambda: "unit" in address(browser)) and address(browser)["signal"] == [name]
    assert browser.ask("return document.title").startswith("tracking")
    assert browser.ask("return document.querySelectorAll('#explorer img, #explorer script').length") == 0
    for width in (1280, 400):
        browser.resize(width)
        browser.check()


def test_it_shrinks_to_what_there_is(browser, pages):
    browser.show(pages["bare"])
    assert title(browser).startswith("Unit 0, c: ") and text(browser, ".names th") == "count"
    unit = cell(browser, "0", 1)
    assert unit.get_attribute("aria-label") == "–" and "unknown" in unit.get_attribute("class")
    assert not browser.driver.find_elements("css selector", ".unit-panel svg")
    browser.click(".names th")
    assert soon(lambda: text(browser, ".rank tbody tr") == "0 –")
    browser.check()


def test_without_a_script_it_says_where_the_same_is(browser, pages):
    browser.show(pages["full"], scripts=False)
    assert "the pictures and tables below have the same" in text(browser, "#explorer")
    browser.show(pages["full"])
    assert not browser.find("#explorer noscript").is_displayed()


def test_on_a_phone_the_panels_are_one_below_the_other(browser, pages):
    browser.show(pages["full"], 400)
    box = (
        "const r = document.querySelector(arguments[0]).getBoundingClientRect(); "
        "return [r.left, r.right, r.top, r.bottom]"
    )
    table, panel = browser.ask(box, ".map"), browser.ask(box, ".unit-panel")
    assert table[1] <= 400 and panel[1] <= 400 and panel[2] >= table[3]
    assert browser.ask("const b = document.querySelector('.map-box'); return b.scrollWidth - b.clientWidth") == 0
    browser.check()


def test_the_map_and_the_chosen_unit_are_printed_and_controls_are_not(browser, pages):
    browser.show(pages["full"])
    browser.emulate(media="print")
    assert browser.find(".map").is_displayed() and browser.find(".traces svg").is_displayed()
    assert not browser.find(".controls").is_displayed() and not browser.find(".readout").is_displayed()
    browser.emulate()


@axe
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser, pages, dark):
    for page in ("full", "many", "bare"):
        browser.show(pages[page], dark=dark)
        assert browser.axe() == []
    browser.click(".names th")
    assert soon(lambda: text(browser, ".rank tbody tr"))
    assert browser.axe() == []
