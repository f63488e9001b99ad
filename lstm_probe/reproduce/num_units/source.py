"""Units of a character model of Python source: those that people know from the literature, looked for here."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lstm_probe.core.numbers import number
from lstm_probe.findings.evidence import Evidence, Findings, SignalFact
from lstm_probe.findings.words import listing, other_ways
from lstm_probe.reproduce.num_units.making import Material
from lstm_probe.runs.coloured import coloured_text_table
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run

#: What people know such units as, and the signals that would show one.
KNOWN = {
    "quotes": ("in_string", "in_long_string"),
    "comments": ("in_comment",),
    "indentation": ("indentation", "blocks"),
    "length of the line": ("line_length", "column"),
    "brackets": ("in_brackets", "brackets"),
}


@dataclass(frozen=True)
class KnownUnit:
    """One of the units that people know.

    Attributes:
        name: what it is known as.
        signal: the signal of those that would show it which a unit tells best.
        meaning: what that signal is.
        unit: that unit.
        effect: how well it tells it.
        low: lower end of the effect's interval.
        high: upper end.
        untrained: what units of untrained networks reach.
        tracked: whether it counts as tracking.
        words: what was found, in a sentence.
    """

    name: str
    signal: str
    meaning: str
    unit: str
    effect: float
    low: float
    high: float
    untrained: float
    tracked: bool
    words: str


@dataclass(frozen=True)
class Source:
    """What is told of the character model; `text` has the columns `COLOURED_TEXT_COLUMNS`."""

    run: Run
    findings: Findings
    known: Sequence[KnownUnit]
    gist: str
    score: str
    text: pd.DataFrame


def source(material: Material) -> Source:
    """Return what is told of the character model's units."""
    run = material.text
    findings = find_in(run)
    meanings = {signal.name: signal.meaning for signal in run.task.sample(1).signals.values()}
    facts = {fact.signal: fact for fact in findings.signals}
    known = []
    for name, signals in KNOWN.items():
        there = [facts[signal] for signal in signals if signal in facts and facts[signal].best is not None]
        if there:
            best = max(there, key=lambda fact: (bool(fact.tracked_by), _best(fact).effect))
            known.append(_known(name, best, meanings[best.signal]))
    shown = [one.signal for one in known if one.tracked]
    text = coloured_text_table(run, signals=shown) if shown else coloured_text_table(run)
    scores = listing([number(score) for score in run.info["scores"].values()])
    return Source(run, findings, known, _gist(known), scores, text)


def _best(fact: SignalFact) -> Evidence:
    if fact.best is None:
        raise ValueError(fact.signal)
    return fact.best


def _known(name: str, fact: SignalFact, meaning: str) -> KnownUnit:
    best = _best(fact)
    return KnownUnit(
        name, fact.signal, meaning, fact.unit, best.effect, best.low, best.high, best.untrained,
        bool(fact.tracked_by), _words(fact),
    )  # fmt: skip


def _words(fact: SignalFact) -> str:
    if fact.tracked_by:
        rest = len(fact.tracked_by) - 1
        how = "too" if fact.as_well else "less well"
        return "found" + (f"; {rest} other{'s' * (rest > 1)} {how}" if rest else "; no other")
    if not fact.testable:
        return "could not be tested"
    return f"not by itself: {other}" if (other := other_ways(fact, 1)) else "not found in one unit"


def _gist(known: Sequence[KnownUnit]) -> str:
    """Return which of the units that people know are there."""
    have = [f"{one.name} (unit {one.unit})" for one in known if one.tracked]
    missing = [one.name for one in known if not one.tracked]
    if not known:
        return "None of the signals by which such units are known was measured in this network."
    if not have:
        return f"In this network no single unit was found for {listing(missing)}."
    words = f"In this network a single unit was found for {listing(have)}"
    return words + (f"; none for {listing(missing)}." if missing else ".")
