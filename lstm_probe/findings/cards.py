"""One unit's card: everything that the tables say of it, in sentences that need no knowledge of the code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.core.numbers import estimate, known, number, p_value
from lstm_probe.core.order import UNIT, UnitKey
from lstm_probe.findings.facts import Evidence, Findings, UnitFact
from lstm_probe.findings.words import listing
from lstm_probe.probing.analyses.memory import memory_spans

#: What a card says with each metric.
METRIC_WORDS = {"r2": "R²", "auroc": "2·AUROC − 1", "macro_auroc": "2·AUROC − 1"}

CARD_COLUMNS = ("layer", "direction", "unit", "status", "title", "words")


@dataclass(frozen=True)
class Card:
    """One unit in words: a title such as "Unit 3, c: count", and a few sentences."""

    key: UnitKey
    label: str
    status: str
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Tables:
    """What a card is made from, for the variable that is looked at, each table by unit and then by signal.

    A table that a run does not have is empty.
    """

    best: pd.DataFrame
    spans: pd.DataFrame
    confounds: pd.DataFrame
    longest_lag: int
    window: int

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], variable: str, window: int) -> "Tables":
        """Return what is said of a variable in the tables probes, memory and confounds."""
        probes, memory, confounds = (own[own["variable"] == variable] for own in map(
            tables.__getitem__, ("probes", "memory", "confounds")))  # fmt: skip
        best = probes.sort_values("effect", ascending=False, kind="stable").drop_duplicates([*UNIT, "signal"])
        longest = int(memory["lag"].max()) if len(memory) else 0
        spans = memory_spans(memory) if len(memory) else memory
        return cls(_indexed(best), _indexed(spans), _indexed(confounds), longest, window)


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index([*UNIT, "signal"]).sort_index()


def make_cards(
    findings: Findings, tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]
) -> list[Card]:
    """Return every unit's card, in the order of the findings.

    Args:
        findings: what the tables say.
        tables: of the analysis "probe", by name.
        settings: with which they were made.
    """
    own = Tables.of(tables, findings.variable, int(settings.get("window", 0)))
    return [make_card(unit, findings, own) for unit in findings.units]


def make_card(unit: UnitFact, findings: Findings, tables: Tables) -> Card:
    """Return one unit's card."""
    tracked = [evidence for evidence in (unit.best, *unit.others) if evidence is not None]
    names = ", ".join(evidence.signal for evidence in tracked) or "no known signal"
    if unit.best is None:
        sentences = list(nothing_tracked(unit, findings, tables))
    else:
        sentences = list(what_it_tracks(unit, unit.best, tables))
    sentences += curved_words(unit, tables)
    sentences.append(costs_sentence(unit, findings))
    return Card(unit.key, unit.label, unit.status, f"Unit {unit.label}, {findings.variable}: {names}", tuple(sentences))


def what_it_tracks(unit: UnitFact, best: Evidence, tables: Tables) -> Iterator[str]:
    """Go through the sentences about what a unit tracks."""
    yield f"It tracks {named(best)}: effect {measured(best)}."
    yield from baseline_words(best, tables.window)
    yield from memory_words(unit.key, best.signal, tables)
    yield from confound_words(unit.key, best.signal, tables)
    if unit.others:
        others = [f"{named(other)} ({number(other.effect)})" for other in unit.others]
        yield f"It also tracks {listing(others)}."


def nothing_tracked(unit: UnitFact, findings: Findings, tables: Tables) -> Iterator[str]:
    """Go through the sentences about a unit whose memory tracks nothing."""
    signals = len(findings.signals)
    asked = f"any of the {signals} known signals" if signals > 1 else "the only known signal"
    sentence = f"Its {findings.variable} does not track {asked}"
    own = _rows(tables.best, unit.key).dropna(subset="effect")
    if len(own):
        row = own.sort_values("effect", ascending=False, kind="stable").iloc[0]
        reach = row.get("untrained_best", np.nan)
        untrained = f"; the best untrained unit reaches {number(reach)}" if known(reach) else ""
        sentence += f" (highest effect: {row.name} {number(row['effect'])}{untrained})"
    yield sentence + "."
    if unit.elsewhere is not None:
        other = unit.elsewhere
        tracked = f"{named(other)} ({number(other.effect)})"
        yield f"Its {other.variable} tracks {tracked}, but a gate may only listen to others."


def named(evidence: Evidence) -> str:
    """Return "count", or "count of 5 steps ago"."""
    return evidence.signal + (f" of {evidence.lag} steps ago" if evidence.lag else "")


def measured(evidence: Evidence) -> str:
    """Return "0.96 [0.95, 0.97] (R²; p = 0.007 over all units, variables and signals, q = 0.003)"."""
    chance = ""
    if known(evidence.p_family):
        chance = f"; p {p_value(evidence.p_family)} over all units, variables and signals"
    if known(evidence.q_value):
        chance += f", q {p_value(evidence.q_value)}"
    measure = METRIC_WORDS[evidence.metric]
    return f"{estimate(evidence.effect, evidence.low, evidence.high)} ({measure}{chance})"


def baseline_words(evidence: Evidence, window: int) -> Iterator[str]:
    """Say what does without this unit's memory, on the same scale."""
    parts = [("the best untrained unit", evidence.untrained_best), ("the current input alone", evidence.input_only),
             (f"the last {window + 1} inputs", evidence.input_window),
             ("the step's number alone", evidence.time_only)]  # fmt: skip
    compared = [f"{name} {number(value)}" for name, value in parts if known(value)]
    if compared:
        needless = evidence.untrained_best >= evidence.effect
        so = " So training was not needed for a unit like this one." if needless else ""
        yield f"For comparison: {listing(compared)}.{so}"


def memory_words(key: UnitKey, signal: str, tables: Tables) -> Iterator[str]:
    """Say for how many steps a unit still tells a signal of the past."""
    row = _row(tables.spans, key, signal)
    if row is None or np.isnan(row["span"]):
        return
    span, beyond = int(row["span"]), row["beyond_signal"]
    if span == 0:
        yield f"It tells {signal} of this step only, not of earlier ones."
        return
    least = "at least " if span >= tables.longest_lag else ""
    sentence = f"It still tells {signal} of {least}{span} step{'' if span == 1 else 's'} ago"
    if not beyond > 0:  # nor NaN
        yield f"{sentence}, as anything would that has {signal} of this step."
    elif beyond == span:
        yield f"{sentence}, better than {signal} of this step would."
    else:
        yield f"{sentence}, and up to {int(beyond)} ago better than {signal} of this step would."


def confound_words(key: UnitKey, signal: str, tables: Tables) -> Iterator[str]:
    """Say what is left of an effect once everything else is known, and which signals can't be told apart."""
    row = _row(tables.confounds, key, signal)
    if row is None:
        return
    if row["collinear_with"]:
        same = listing([signal, *(name.strip() for name in row["collinear_with"].split(","))])
        yield (f"{same} are nearly the same in these sequences, so it can't be said to track one rather "
               "than the other.")  # fmt: skip
    if known(row["partial"]):
        adds = "it explains" if row["partial"] >= 0.25 else "it explains only"
        yield (f"Of what the current input, the step's number and all other signals leave open in {signal}, {adds} "
               f"{number(row['partial'])}.")  # fmt: skip


def curved_words(unit: UnitFact, tables: Tables) -> list[str]:
    """Say which signals a unit tracks along a curve, but not along a straight line."""
    own = _rows(tables.best, unit.key)
    if "tracks_curved" not in own:
        return []
    own = own[own["tracks_curved"].fillna(False).astype(bool)].sort_values("curved", ascending=False)
    return [f"It tracks {name} along a curve ({number(row['curved'])}) but not along a straight line "
            f"({number(row['effect'])})." for name, row in own.iterrows()]  # fmt: skip


def costs_sentence(unit: UnitFact, findings: Findings) -> str:
    """Say what it costs to clamp a unit."""
    if findings.not_ablated:
        return f"Whether it is used was not measured: {findings.not_ablated}."
    if not unit.costs:
        return "Clamping it costs nothing: the network does without it."
    worse = " (worse than a guess)"
    costs = listing([f"{target} {number(loss)}{worse if loss > 1 else ''}" for target, loss in unit.costs])
    return f"Clamping it costs {costs} of the score, and nothing else."


def _rows(table: pd.DataFrame, key: UnitKey) -> pd.DataFrame:
    """Return a unit's rows, by signal."""
    rows: Any = table.xs(key, level=UNIT) if len(table) and key in table.index else table[:0]
    return rows


def _row(table: pd.DataFrame, key: UnitKey, signal: str) -> pd.Series | None:
    """Return a unit's row about a signal; None where there is none."""
    own: Any = _rows(table, key)
    return own.loc[signal] if signal in own.index else None
