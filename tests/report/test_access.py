"""The pages for those who do not see, or do not point, and on paper: axe-core finds nothing, Tab reaches all."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from lstm_probe.cli import main
from lstm_probe.report import write_report
from lstm_probe.report.reproduction import write_reproduction
from lstm_probe.report.truth_page import write_truth
from lstm_probe.reproduce import store
from lstm_probe.runs.run import load_run
from lstm_probe.truth import METHODS
from lstm_probe.truth.trying import try_methods
from tests.figures.made import made_run
from tests.report.browser import CHROMIUM, axe, pages_of
from tests.reproduce.made import made
from tests.truth.made import known

pytestmark = CHROMIUM


@pytest.fixture(scope="module")
def reproduction_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduced")
    return write_reproduction([store.reproduce(made([]), folder, 3)], folder)


@pytest.fixture(scope="module")
def truth_page(tmp_path_factory):
    methods = {name: METHODS[name] for name in ("clamp, zero", "weight norm")}
    tried = try_methods(methods, known("copies", "look-alike"))
    return write_truth(tried, tmp_path_factory.mktemp("truth"), whole=True, held_out=True)


@pytest.fixture(scope="module")
def text_page(tmp_path_factory):
    """The page of a network that reads a text, whose characters it colours."""
    folder, rng = tmp_path_factory.mktemp("text"), np.random.default_rng(0)
    words = ["tick", "(deep (er))", '"quo ted"', "42", "End", "<b>"]
    (folder / "a.txt").write_text("\n".join(" ".join(rng.choice(words, 6)) for _ in range(600)))
    arguments = ["task=text", f"task.path={folder / 'a.txt'}", "task.length=40", "units=3", "steps=20",
                 "evaluate_every=20", "test_sequences=32", "probe.sequences=60", "probe.permutations=39",
                 "probe.bootstrap=10", "probe.untrained=1", "probe.rotations=19", "ablate.sequences=40",
                 "ablate.bootstrap=10", f"outputs={folder}"]  # fmt: skip
    assert main(["train", *arguments]) == 0
    (page,) = folder.glob("runs/*/*/report.html")
    return page


@pytest.fixture(params=["one_run_page", "sweep_page", "text_page", "reproduction_page", "truth_page"])
def page(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@axe
def test_axe_finds_nothing(browser, page, dark):
    browser.show(page, dark=dark)
    browser.open_all()
    for width in (1280, 400):
        browser.resize(width)
        browser.check()
        found = browser.axe()
        assert not found, "\n".join([str(width), *found])


def names_of(browser, css):
    """What elements that can be seen are called, in the order of the page."""
    return browser.ask(
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length && !e.disabled)"
        ".map(e => e.tagName.toLowerCase() + ' ' + (e.getAttribute('aria-label') || e.innerText || e.textContent || "
        "e.getAttribute('title') || '').replace(/\\s+/g, ' ').trim())", css,
    )  # fmt: skip


def test_tab_reaches_every_control_in_order_and_shows_where_it_is(browser, page):
    browser.show(page)
    browser.open_all()
    controls = names_of(browser, "a[href], button, input, select, summary")
    walked, bare = [], []
    for name in browser.walk():
        walked.append(name)
        seen = browser.ask(
            "const e = document.activeElement, s = getComputedStyle(e); return s.outlineStyle != 'none' && "
            "parseFloat(s.outlineWidth) > 0 || s.boxShadow != 'none'"
        )
        bare += [] if seen else [name]
    assert bare == []
    missed = [name for name in controls if name not in walked]
    assert missed == []
    assert len(walked) >= len(set(controls))


def test_the_heads_are_in_order(browser, page):
    browser.show(page)
    browser.open_all()
    levels = [int(name[1]) for name in names_of(browser, "h1, h2, h3, h4, h5, h6")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_picture_says_what_it_shows(browser, page):
    browser.show(page)
    alts = browser.ask("return [...document.images].map(i => i.alt)")
    assert alts and all(len(alt) > 40 for alt in alts)


def test_a_table_s_csv_is_what_the_page_says_by_keys_alone(browser, one_run_page):
    browser.show(one_run_page)
    while not (name := browser.tab_to("")).startswith("button Download CSV"):
        if name.startswith("summary") and not browser.ask("return document.activeElement.parentElement.open"):
            browser.press(Keys.ENTER)
    table = browser.ask(
        "const t = document.activeElement.closest('.data').querySelector('table'); return [t.dataset.name, "
        "[...t.tBodies[0].rows].map(r => r.cells[0].textContent)]"
    )
    browser.press(Keys.SPACE)
    saved = browser.downloaded(f"{table[0]}.csv")
    assert list(pd.read_csv(saved, dtype=str, keep_default_na=False).iloc[:, 0]) == table[1]


def test_on_paper_all_is_open_and_fits(browser, page):
    browser.show(page)
    # What is open when the page's own script is done with it.
    browser.ask("addEventListener('beforeprint', () => { window.folded = document.querySelectorAll("
                "'details:not([open])').length })")  # fmt: skip
    pdf = browser.pdf()
    assert browser.ask("return window.folded") == 0
    height = browser.ask("return document.documentElement.scrollHeight")
    assert 1 <= pages_of(pdf) <= 3 + height / 400
    assert pdf.startswith(b"%PDF")


def test_the_csv_of_units_has_the_run_s_own_numbers(browser, tmp_path):
    run = made_run(tmp_path, 12)
    run.probes["effect"] += np.random.default_rng(0).normal(scale=1e-3, size=len(run.probes))  # which the page rounds
    browser.show(write_report([run], tmp_path))
    browser.open_all()
    browser.ask(
        "document.querySelector('table[data-name=units]').closest('.data').querySelector('.tools button').click()"
    )
    saved = pd.read_csv(browser.downloaded("units.csv"))
    best = run.probes[run.probes["tracks"] & (run.probes["variable"] == "c")].set_index("unit")["effect"]
    assert saved.set_index("unit")["effect"].dropna().to_dict() == best.to_dict()
    assert len(saved) == 12 and len(best) == 5


def test_of_units_that_cannot_be_tested_the_picture_says_what_comes_nearest(browser, text_page):
    browser.show(text_page)
    (alt, *_) = browser.ask("return [...document.images].map(i => i.alt)")
    probes = load_run(text_page.parent).probes
    own = probes[(probes["variable"] == "c") & (probes["lag"] == 0)]
    # A number with R² of r² is told as well as a class by 2·AUROC − 1 of 4/π · asin(r/√2).
    as_class = 4 / np.pi * np.arcsin(np.sqrt(own["effect"] / 2))
    best = own.loc[own["effect"].where(own["metric"] == "auroc", as_class).idxmax()]
    assert not own["testable"].any() and len(own) > 3
    assert alt.startswith("No signal could be tested; the most is told by unit "
                          f"{best['unit']} of {best['signal']}, effect {best['effect']:.2f}.")  # fmt: skip
