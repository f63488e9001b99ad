"""Choosing steps on the page: which units are on and where else, as a plain loop over the recorded sequences has it."""

import re
from itertools import product

import numpy as np
import pytest

from lstm_probe.report import write_report
from tests.figures.made import made_run
from tests.report.browser import CHROMIUM, soon

pytestmark = CHROMIUM


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("match"), 8)


@pytest.fixture(scope="module")
def page(browser, run):
    browser.show(write_report([run], run.path.parents[2]))
    return browser


def levels_of(run):
    """How far each unit is from its mean, in standard deviations over all steps: sequence × time × unit."""
    c = run.examples["layer0.forward.c"].double().numpy()
    lengths = run.examples["lengths"].numpy()
    steps = np.concatenate([one[:n] for one, n in zip(c, lengths)])
    sd = steps.std(0)
    return [(one[:n] - steps.mean(0)) / np.where(sd > 0, sd, np.inf) for one, n in zip(c, lengths)]


def choose(page, start, end):
    """Type a range of steps."""
    page.ask(
        "const [a, b] = document.querySelectorAll('.match input[type=number]');"
        "for (const [e, v] of [[a, 0], [b, arguments[1]], [a, arguments[0]]]) "
        "{ e.value = v; e.dispatchEvent(new Event('change', { bubbles: true })); }", start, end,
    )  # fmt: skip
    words = page.ask("return document.querySelector('.match [aria-live]').innerText")
    rows = page.ask(
        "return [...document.querySelectorAll('.matches tbody tr')].map(r => [...r.children].map(c => c.innerText))"
    )
    return words, rows


def on_in(level, start, end, threshold=1.0):
    """The units that are on to the same side at every step of a range, by a loop."""
    found = {}
    for unit in range(level.shape[1]):
        signs = {np.sign(v) if abs(v) >= threshold else 0 for v in level[start : end + 1, unit]}
        if len(signs) == 1 and 0 not in signs:
            found[unit] = signs.pop()
    return found


def ending(level):
    """A range at whose first step, and one at whose last step, a unit is not on that is on at all others."""
    ranges = [(a, b) for a in range(len(level) - 2) for b in range(a + 2, min(a + 5, len(level)))]
    yield next((a, b) for a, b in ranges if on_in(level, a, b) != on_in(level, a, b - 1) and on_in(level, a, b))
    yield next((a, b) for a, b in ranges if on_in(level, a, b) != on_in(level, a + 1, b) and on_in(level, a, b))


def test_the_first_and_the_last_step_of_a_range_count(page, run):
    shown = int(page.ask("return document.querySelector('.match select').selectedOptions[0].innerText").split()[1])
    level = levels_of(run)[shown]
    for start, end in ending(level):
        words, _ = choose(page, start, end)
        told = [
            int(label)
            for _, labels in re.findall(r"(?:high|low)(:) ([\d, ]+)\.", words)
            for label in labels.split(", ")
        ]
        assert sorted(told) == sorted(on_in(level, start, end))


@pytest.mark.parametrize(("start", "end"), [(0, 2), (5, 6), (9, 14), (3, 3)])
def test_units_and_matches_are_those_of_a_loop(page, run, start, end):
    level = levels_of(run)
    shown = int(page.ask("return document.querySelector('.match select').selectedOptions[0].innerText").split()[1])
    words, rows = choose(page, start, end)
    on = on_in(level[shown], start, end)
    if not on:
        assert words.startswith("No unit stays on") and rows == []
        return
    told = {"high": [], "low": []}
    for count, side, labels in re.findall(r"(\d+) (high|low): ([\d, ]+)\.", words):
        told[side] = [int(label) for label in labels.split(", ")]
        assert int(count) == len(told[side])
    assert {unit for unit, side in on.items() if side > 0} == set(told["high"])
    assert {unit for unit, side in on.items() if side < 0} == set(told["low"])

    length, windows = end - start + 1, []
    for k, own in enumerate(level):
        for a in range(len(own) - length + 1):
            hits = [side * own[t, unit] >= 1 for t, (unit, side) in product(range(a, a + length), on.items())]
            windows.append((sum(hits) / len(hits), k, a))
    assert rows[0][:2] == [f"chosen: sequence {shown}, {start} to {end}", "100 %"]
    assert abs(int(rows[-1][1][:-2]) - 100 * np.mean([share for share, _, _ in windows])) <= 0.5 + 1e-6
    best = {(k, a): share for share, k, a in windows}
    taken = [(shown, start)]
    for place, share, *_ in rows[1:-1]:
        k, a, b = map(int, re.fullmatch(r"sequence (\d+), (\d+) to (\d+)", place).groups())
        assert b - a + 1 == length and all(k != other or abs(a - at) >= length for other, at in taken)
        free = [own for (j, at), own in best.items() if all(j != o or abs(at - s) >= length for o, s in taken)]
        assert best[k, a] == pytest.approx(max(free)) and abs(int(share[:-2]) - 100 * best[k, a]) <= 0.5 + 1e-6
        taken.append((k, a))
    free = [own for (j, at), own in best.items() if all(j != o or abs(at - s) >= length for o, s in taken)]
    assert len(rows) == 12 or not free or max(free) < 0.5


def test_signals_of_a_place_are_means_of_the_recorded_ones(page, run):
    shown = int(page.ask("return document.querySelector('.match select').selectedOptions[0].innerText").split()[1])
    level = levels_of(run)[shown]
    start = next(t for t in range(len(level) - 1) if on_in(level, t, t + 1))
    _, rows = choose(page, start, start + 1)
    names = page.ask("return [...document.querySelectorAll('.matches thead th')].map(c => c.innerText)")
    for name, told in list(zip(names, rows[0]))[2:]:
        values = run.examples[f"signal.{name}"][shown, start : start + 2].double()
        assert float(told) == pytest.approx(float(values.mean()), abs=0.00501)
    page.check()


def test_a_match_is_gone_to_and_a_unit_is_opened(page):
    page.click(".matches tbody button")
    place = page.find(".matches tbody th").text
    assert place.startswith("chosen: ")
    page.click(".match a[href^='#unit=']")
    link = "return new URLSearchParams(location.hash.slice(1)).get('unit')"
    assert soon(lambda: page.ask(link) and page.focused().startswith(f"h3 Unit {page.ask(link)}"))
