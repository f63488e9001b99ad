"""The time from opening a run's page to its first paint, and from a click in its explorer to the next picture."""

import argparse
import statistics
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.timing import console

CLICKS = 12
#: What is clicked, and what that opens.
PLACES = {"tbody th[scope=row]": "a unit", "td.tells": "a unit and a signal", "thead .name": "a signal"}

_OPENED = """const [page] = performance.getEntriesByType('navigation');
const painted = performance.getEntriesByName('first-contentful-paint')[0];
const rows = document.querySelectorAll('.map tbody th[scope=row]').length;
return [painted.startTime, page.domContentLoadedEventEnd, rows]"""

#: A message that is sent when a frame begins arrives after its picture.
_CLICKED = """const [css, clicks, done] = arguments, cells = [...document.querySelectorAll('.map ' + css)], took = [];
const next = (k) => {
  if (k === clicks) return done(took);
  const began = performance.now();
  cells[Math.floor(k * cells.length / clicks)].click();
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { took.push(performance.now() - began); setTimeout(() => next(k + 1), 50); };
    port2.postMessage(null);
  });
};
next(0);"""


def run(arguments: argparse.Namespace) -> None:
    """Open each page in Chromium without a window and click here and there."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    table = Table(box=None, title="milliseconds; of clicks the median and the most", title_justify="left")
    for head in ("page", "rows", "first paint", "ready", *PLACES.values()):
        table.add_column(head, justify="right")
    try:
        driver.set_window_size(1280, 900)
        for page in arguments.pages:
            driver.get(page.resolve().as_uri())
            painted, ready, rows = driver.execute_script(_OPENED)
            took = [driver.execute_async_script(_CLICKED, css, CLICKS) for css in PLACES]
            clicks = [f"{statistics.median(one):.0f}, {max(one):.0f}" for one in took]
            table.add_row(page.parent.name, str(rows), f"{painted:.0f}", f"{ready:.0f}", *clicks)
    finally:
        driver.quit()
    console.print(table)


def add(commands: Any) -> None:
    """Add the command `clicks` with its options."""
    parser = commands.add_parser("clicks", help="first paint and clicks in the explorer of runs' pages, in Chromium")
    parser.set_defaults(run=run)
    parser.add_argument("pages", nargs="+", type=Path, help="report.html of runs")
