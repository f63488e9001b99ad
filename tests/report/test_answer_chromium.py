"""The page on num_units in a real browser: nothing said, nothing asked for, nothing too wide, axe-core content."""

from pathlib import Path

import pytest

from lstm_probe.report.answer import write_answer
from lstm_probe.reproduce.num_units.answer import answer
from tests.report.browser import CHROMIUM, axe, soon
from tests.reproduce.answered import material

pytestmark = CHROMIUM


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write_answer(answer(material(tmp_path_factory.mktemp("answer"))))


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page(browser, page, width):
    browser.show(page, width)
    assert "num_units is how many units work side by side" in browser.first_screen()
    browser.open_all()
    browser.check()


def test_a_command_is_copied_or_selected(browser, page):
    browser.show(page)
    browser.click("pre.command button")
    said = "return document.querySelector('pre.command button').innerText"
    assert soon(lambda: browser.ask(said) in ("Copied", "Selected"))
    assert browser.find("pre.command code").text.startswith("lstm-probe describe units=4")
    assert browser.said() == []


@axe
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser, page, dark):
    browser.show(page, dark=dark)
    browser.open_all()
    assert browser.axe() == []
