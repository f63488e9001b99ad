"""`truth`: methods tried on networks whose answers are known; the table here, and a page."""

import logging
import time
import warnings
from pathlib import Path

import pandas as pd
import torch
from rich.text import Text

from lstm_probe.cli.config import TruthConfig
from lstm_probe.cli.next_step import command, show_next
from lstm_probe.core.console import console, counted, only_errors, out
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import check_writable
from lstm_probe.core.numbers import many, number
from lstm_probe.core.tables import Entries, WordTable
from lstm_probe.report.truth_page import write_truth
from lstm_probe.truth import KNOBS, cases
from lstm_probe.truth.methods import installed
from lstm_probe.truth.named import chosen, find_methods
from lstm_probe.truth.summary import FAILS, WELL, WORDS, faults, gist, is_ours, summarize, told_apart
from lstm_probe.truth.trying import ALL_SEEDS, ends, try_methods

log = logging.getLogger(__name__)
COLOURS = {"told apart": "green", "easy": "yellow", "no method": "red"}


def run(config: TruthConfig) -> None:
    """Try the methods, print the table, write it and the page."""
    given = config.methods if config.method is None else [config.method]
    methods = find_methods("methods" if config.method is None else "method", installed() if given is None else given)
    knobs = list(KNOBS) if config.knobs is None else chosen("knobs", config.knobs, KNOBS)
    outputs = Path(config.outputs)
    check_writable(outputs, "outputs")
    torch.set_num_threads(config.threads)
    started = time.monotonic()
    seeds = config.seeds or (ALL_SEEDS if config.all else 1)
    every = cases(knobs=knobs, seeds=seeds, held_out=config.held_out)
    networks = list(every if config.all else ends(every))
    with only_errors("lstm_probe"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what methods warn of on networks made to be hard is what is measured here
        tried = try_methods(methods, counted(networks, f"trying {len(methods)} methods on networks"))
    if tried.table.empty:
        raise InputError(f"{', '.join(methods)}: no answer for any of {many(len(networks), 'network')}.")
    with console.status("drawing"):
        page = write_truth(tried, outputs, whole=config.all, held_out=config.held_out)
    show_methods(tried.table)
    if len(methods) > 1:
        show_knobs(tried.table)
    show_words(tried.table)
    log.info("%s, %.0f s", many(len(networks), "network"), time.monotonic() - started)
    out.print(f"\nAll of it as a page: {page}", markup=False, soft_wrap=True)
    if not config.all and given is None and config.knobs is None:
        show_next(("Every level, five networks of each, with intervals:", command("truth", all="true")))


def show_methods(table: pd.DataFrame) -> None:
    """Print a row for each method: how it ranks on average, where it fails, and what its verdicts are worth."""
    for question, own in table.groupby("question", sort=False):
        shown = WordTable("method", "AUROC", "below " + number(FAILS, 1), "precision", "recall", "wrong claims",
                          numbers=("AUROC", "precision", "recall", "wrong claims"),
                          title=f"{WORDS[str(question)][:1].upper()}{WORDS[str(question)][1:]}")  # fmt: skip
        knobs = summarize(own, by=("method", "knob"))
        for row in summarize(own, by=("method",)).to_dict("records"):
            mine = knobs[(knobs["method"] == row["method"]) & (knobs["auroc"] < FAILS)]
            where = ", ".join(f"{knob} {number(value)}" for knob, value in zip(mine["knob"], mine["auroc"]))
            shown.add_row(Text(row["method"], "bold" if is_ours(row["method"]) else ""), number(row["auroc"]), where,
                          number(row["precision"]), number(row["recall"]), number(row["false_claims"], 1))  # fmt: skip
        out.print(shown)
        out.print()
    out.print("Means over networks; wrong claims: for each network; a dash: it has no verdicts. Ours are bold.")


def show_knobs(table: pd.DataFrame) -> None:
    """Print for each knob how many methods do well, who does worst, and whether it tells them apart."""
    shown = WordTable("knob", "asked", "above " + number(WELL), "lowest", "says", title="What each knob tells apart")
    for row in told_apart(table).to_dict("records"):
        lowest = f"{row['lowest_method']} {number(row['lowest'])}".strip() if row["methods"] else "–"
        well = f"{row['well']} of {row['methods']}" if row["methods"] else "–"
        shown.add_row(row["knob"], row["question"], well, lowest, Text(row["says"], COLOURS.get(row["says"], "")))
    out.print()
    out.print(shown)


def show_words(table: pd.DataFrame) -> None:
    """Print what was found in sentences, and what each method of ours gets wrong, or the one that was asked for."""
    out.print()
    for line in gist(table):
        out.print(Text(line))
    methods = list(dict.fromkeys(table["method"]))
    told = [name for name in methods if is_ours(name)] if len(methods) > 1 else methods
    if told:
        out.print()
        out.print(Text("What ours get wrong" if len(methods) > 1 else "What it gets wrong", "bold"))
        out.print(Entries(*((name, " ".join(faults(table, name))) for name in told)))
