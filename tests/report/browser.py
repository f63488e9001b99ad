"""Pages in a real browser: Debian's Chromium, opened from disk with the network off, and what a test asks of it.

A test file that uses the fixture `browser` (of `conftest.py`, one Chromium a file) has `pytestmark = CHROMIUM`, and a
test that calls `Browser.axe` the mark `AXE` too. Both are left out where what they need is not installed, unless
REQUIRE_CHROMIUM is set, as `.ci/run` does.
"""

import base64
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROME, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
AXE_CORE = Path(sys.prefix) / "axe/node_modules/axe-core/axe.min.js"


def _needs(mark: str, *files: Path, lacking: str) -> list[pytest.MarkDecorator]:
    left_out = not all(file.exists() for file in files) and "REQUIRE_CHROMIUM" not in os.environ
    return [getattr(pytest.mark, mark), pytest.mark.skipif(left_out, reason=lacking)]


CHROMIUM = _needs("chromium", CHROME, DRIVER, lacking="Debian's Chromium is not installed")
AXE = _needs("axe", AXE_CORE, lacking="axe-core is not installed: make axe")


def axe(test: Any) -> Any:
    """Mark a test that calls `Browser.axe`."""
    for mark in AXE:
        test = mark(test)
    return test


class Browser:
    """A page as somebody sees and uses it.

    Args:
        driver: Chromium, with the logs of its console and of what it asks for.
        downloads: the folder that it saves files in.
    """

    def __init__(self, driver: webdriver.Chrome, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads
        self.tell = driver.execute_cdp_cmd
        self.tell("Network.enable", {})
        off = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.tell("Network.emulateNetworkConditions", off)
        self.tell("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})

    def show(
        self, page: Path, width: int = 1280, height: int = 900, *, dark: bool = False, scripts: bool = True
    ) -> None:
        """Open a page from disk in a window of so many CSS pixels."""
        self.tell("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.resize(width, height)
        self.emulate(dark=dark)
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(page.as_uri())

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window so many CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.tell("Emulation.setDeviceMetricsOverride", metrics)

    def emulate(self, *, dark: bool = False, media: str = "") -> None:
        """Choose the colour scheme, and the medium where it is not the screen: "print"."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})

    def ask(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, css: str) -> Any:
        """Return the first element of a selector."""
        return WebDriverWait(self.driver, 5).until(lambda driver: driver.find_element("css selector", css))

    def click(self, css: str) -> None:
        """Click the first element of a selector, as a mouse does."""
        self.find(css).click()

    def open_all(self) -> None:
        """Open everything that is folded."""
        self.ask("document.querySelectorAll('details').forEach(d => d.open = true)")

    def first_screen(self) -> str:
        """Return the text of all that begins within the window."""
        seen: str = self.ask(
            "return [...document.querySelectorAll('h1, h2, p, li, td, th, summary')]"
            ".filter(e => { const { top } = e.getBoundingClientRect(); return top >= 0 && top < innerHeight })"
            ".map(e => e.innerText).join(' ')"
        )
        return " ".join(seen.split())

    def said(self) -> list[str]:
        """Return what the console has, since the page was opened or this was called."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """Return the addresses beyond the disk that the page asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("file:", "data:", "blob:"))]

    def check(self) -> None:
        """The console is empty, nothing was asked for, nothing makes the page scroll sideways, no picture is broken."""
        assert self.said() == []
        assert self.asked_for() == []
        wide = self.ask("return document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll('*')]"
                        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
                        ".map(e => e.outerHTML.slice(0, 120)) : []")  # fmt: skip
        assert wide == []
        broken = "return [...document.images].filter(i => i.loading != 'lazy' && !i.naturalWidth).map(i => i.alt)"
        assert self.ask(broken) == []

    def press(self, *keys: str) -> None:
        """Press keys one after the other; text is typed."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """Return what has the focus: its tag, and its name as a screen reader has it, nearly."""
        return str(self.ask(
            "const e = document.activeElement; return e.tagName.toLowerCase() + ' ' + (e.getAttribute('aria-label') || "
            "e.innerText || e.textContent || e.getAttribute('title') || '').replace(/\\s+/g, ' ').trim()"
        ))  # fmt: skip

    def tab_to(self, name: str, most: int = 300) -> str:
        """Press Tab until what has the focus has this in its name."""
        for _ in range(most):
            self.press(Keys.TAB)
            if name in (found := self.focused()):
                return found
        raise AssertionError(f"{name}: not reached by Tab")

    def walk(self, most: int = 2000) -> Iterator[str]:
        """Press Tab from the top until the focus leaves the page; yield what has it."""
        self.ask("document.activeElement.blur(); scrollTo(0, 0)")
        for _ in range(most):
            self.press(Keys.TAB)
            if (found := self.focused()).startswith("body"):
                return
            yield found
        raise AssertionError(f"more than {most} stops")

    def axe(self) -> list[str]:
        """Return what axe-core finds on the page as it is: the rule, and where."""
        self.ask(AXE_CORE.read_text(encoding="utf-8"))
        self.driver.set_script_timeout(120)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'], preload: false })"
            ".then(r => done(r.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 160)}: "
            "${n.failureSummary.replace(/\\s+/g, ' ')}`))))"
        )
        return list(found)

    def pdf(self) -> bytes:
        """Return the page as it is printed on A4."""
        paper = {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
        return base64.b64decode(self.tell("Page.printToPDF", paper)["data"])

    def downloaded(self, name: str, seconds: float = 20) -> Path:
        """Return a file that is being saved, when it is there."""
        path, end = self.downloads / name, time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < end, f"{name} was not saved; {sorted(self.downloads.iterdir())}"
            time.sleep(0.02)
        return path


def soon(condition: Callable[[], Any]) -> Any:
    """Return whether something comes to be so: a browser tells a page of a new address in a task after the click's."""
    end = time.monotonic() + 20
    while not (so := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return so


def pages_of(pdf: bytes) -> int:
    """Return how many pages a PDF of Chromium has."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """One Chromium for all tests of a file."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROME)
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield Browser(driver, tmp_path_factory.mktemp("downloads"))
    driver.quit()
