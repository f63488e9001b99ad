"""The page in a real browser: no errors, no requests, nothing too wide, the answer on the first screen.

Left out where there is no Chromium, unless REQUIRE_CHROMIUM is set, as `.ci/run` does.
"""

import json
import os
from pathlib import Path

import pytest
from selenium import webdriver

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()) and "REQUIRE_CHROMIUM" not in os.environ,
        reason="Debian's Chromium is not installed",
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def show(browser, path, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())


def first_screen(browser):
    """The text of all that begins within the window."""
    return browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, p, li, td, summary')]"
        ".filter(e => { const { top } = e.getBoundingClientRect(); return top >= 0 && top < innerHeight })"
        ".map(e => e.innerText).join(' ')"
    )


def check(browser):
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    assert [address for address in addresses if address.startswith(("http", "ws"))] == []
    width = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
    broken = browser.execute_script(
        "return [...document.images].filter(i => i.loading != 'lazy' && !i.naturalWidth).length"
    )
    assert broken == 0


@pytest.mark.parametrize("width", [1280, 400])
def test_one_run(browser, one_run_page, width):
    show(browser, one_run_page, width)
    seen = first_screen(browser)
    for words in (
        "NOT LEARNED: parity",
        "Which unit remembers what",
        "unit 0",
        "5 of 8 units cost something",
        "units 5–7",
    ):
        assert words in seen
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    check(browser)


@pytest.mark.parametrize("width", [1280, 400])
def test_several_runs(browser, sweep_page, width):
    show(browser, sweep_page, width)
    seen = " ".join(first_screen(browser).split())
    assert "parity: solved with 8 units in 1 of 1 seed; with 2 in 0 of 1, with 4 in 0 of 2: between 5 and 8" in seen
    assert "lstm-probe size task=tracking" in seen
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert "4 of 4 units needed alone" in browser.find_element("tag name", "body").text
    check(browser)
