"""The page in a real browser: no errors, no requests, nothing too wide, the answer on the first screen."""

import pytest

from tests.report.browser import CHROMIUM, soon

pytestmark = CHROMIUM


@pytest.mark.parametrize("width", [1280, 400])
def test_one_run(browser, one_run_page, width):
    browser.show(one_run_page, width)
    seen = browser.first_screen()
    for words in (
        "What the network had to do",
        "NOT LEARNED: parity",
        "Which unit remembers what",
        "unit 0",
        "5 of 8 units cost something",
        "units 5–7",
    ):
        assert words in seen
    browser.open_all()
    browser.check()


@pytest.mark.parametrize("width", [1280, 400])
def test_several_runs(browser, sweep_page, width):
    browser.show(sweep_page, width)
    seen = browser.first_screen()
    assert "parity: solved with 8 units in 1 of 1 seed; with 2 in 0 of 1, with 4 in 0 of 2: between 5 and 8" in seen
    assert "lstm-probe size task=tracking" in seen
    browser.open_all()
    assert "4 of 4 units needed alone" in browser.find("body").text
    browser.check()
    browser.click("td a, th a")
    assert soon(
        lambda: "What the network had to do" in browser.ask("return document.querySelector('main')?.innerText ?? ''")
    )
    browser.check()
