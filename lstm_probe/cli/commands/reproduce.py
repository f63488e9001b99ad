"""`reproduce`: published results, side by side with ours; and the page that says what num_units means."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.text import Text

from lstm_probe.cli.config import ReproduceConfig
from lstm_probe.cli.measuring import measuring_of
from lstm_probe.cli.next_step import command, show_next
from lstm_probe.core.console import console, only_errors, out
from lstm_probe.core.files import check_writable
from lstm_probe.core.tables import Entries, WordTable
from lstm_probe.report.answer import write_answer
from lstm_probe.report.reproduction import each, ours, write_reproduction
from lstm_probe.reproduce import NUM_UNITS, SIZES
from lstm_probe.reproduce.num_units.answer import QUESTION, answer
from lstm_probe.reproduce.num_units.making import make, plan
from lstm_probe.reproduce.result import Result
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.reproduce.store import Reproduction, load, reproduce

log = logging.getLogger(__name__)
COLOURS = {"reproduced": "green", "partly": "yellow", "not reproduced": "red"}


def run(config: ReproduceConfig) -> None:
    """List the results, measure one, or measure all of them and make the page."""
    outputs = Path(config.outputs)
    if config.name is None and not config.all:
        show_list(outputs)
        return
    check_writable(outputs, "outputs")
    torch.set_num_threads(config.threads)
    if config.name == NUM_UNITS:
        make_page(config, outputs)
        return
    wanted = list(RESULTS.values()) if config.all else [RESULTS[str(config.name)]]
    outcomes = []
    for result in wanted:
        about = about_words(result, config.seeds)
        with console.status(f"{result.key}: {result.title} ({about})"):
            if not console.is_terminal and config.all:
                log.info("%s: %s (%s)", result.key, result.title, about)
            with only_errors("lstm_probe.probing"):  # no result asks for a p-value
                outcomes.append(reproduce(result, outputs, config.seeds, config.force))
    show_table(outcomes)
    if config.all:
        out.print(f"\nThe same as a page, with figures: {write_reproduction(outcomes, outputs)}", soft_wrap=True)
    else:
        show_words(outcomes[0])


def make_page(config: ReproduceConfig, outputs: Path) -> None:
    """Make what the answer is made of, unless it is there, and the page; print its gist, and how long it took."""
    started = time.monotonic()
    wanted = plan(config.sizes or SIZES, config.seeds, outputs, config.threads)
    told = answer(make(replace(wanted, force=config.force), measuring_of))
    with console.status("drawing"):
        page = write_answer(told)
    out.print(Text(QUESTION, "bold"))
    for line in told.gist:
        out.print(Text(f"\n{line}"))
    seconds = time.monotonic() - started
    out.print(f"\nAll of it as a page, made in {seconds:.0f} s: {page}", markup=False, soft_wrap=True)


def about_words(result: Result, seeds: int) -> str:
    """Return about how long this many seeds of a result take.

    >>> about_words(RESULTS["parity"], 3), about_words(RESULTS["parameters"], 3)
    ('about 10 s', 'about 1 s')
    """
    seconds = result.seconds * len(result.seeds(seeds))
    for unit in (1, 2, 5, 10, 20, 30, 60, 90, 120, 180, 240):
        if seconds <= unit:
            return f"about {unit} s" if unit < 90 else f"about {unit / 60:g} min"
    return f"about {seconds / 60:.0f} min"


def show_list(outputs: Path) -> None:
    """Print what results there are."""
    table = WordTable("name", "published", "source", "time", "verdict")
    for result in RESULTS.values():
        kept = [one["values"] for one in load(result, outputs).values()]
        verdict = result.judge(kept) if kept else ""
        time = about_words(result, 3).removeprefix("about ")
        table.add_row(result.key, result.published, result.source, time, Text(verdict, COLOURS.get(verdict, "")))
    out.print(table)
    show_next(("One of them:", command("reproduce", name="dyck1")),
              ("All, and a page:", command("reproduce", all="true")),
              (f"{QUESTION} As a page:", command("reproduce", name=NUM_UNITS)))  # fmt: skip


def show_table(outcomes: Sequence[Reproduction]) -> None:
    """Print every measure: what was published, ours, every seed; and the verdict of each result."""
    table = WordTable("name", "measure", "published", "ours [95 %]", "each seed", "verdict", "seconds",
                      numbers=("seconds",))  # fmt: skip
    for outcome in outcomes:
        result = outcome.result
        for k, measure in enumerate(result.measures):
            values = outcome.of(measure.name)
            last = (Text(outcome.verdict, COLOURS[outcome.verdict]), f"{sum(outcome.seconds.values()):.1f}")
            table.add_row(
                result.key if k == 0 else "", measure.meaning, measure.published,
                ours(measure, values), each(values), *(last if k == 0 else ("", "")),
            )  # fmt: skip
    out.print(table)


def show_words(outcome: Reproduction) -> None:
    """Print what was published, how it is computed here, and by what rule it was judged."""
    result = outcome.result
    lines = [
        ("published", f"{result.published} ({result.source})"),
        ("here", result.computed),
        ("rule", result.rule),
        ("its names", "; ".join(f"{goal.name}: {goal.meaning}" for goal in result.goals)),
    ]
    if result.tried and outcome.verdict != "reproduced":
        lines.append(("tried", result.tried))
    if result.trained:
        lines.append(("the network", f"lstm-probe train experiment={result.key}"))
    out.print()
    out.print(Entries(*lines, indent=0))
