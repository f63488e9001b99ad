"""One unit's card: everything that the tables say of it, in sentences that need no knowledge of the code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.core.numbers import estimate, known, number, p_value
from lstm_probe.core.order import UnitKey
from lstm_probe.findings.facts import Evidence, Findings, UnitFact
from lstm_probe.findings.words import listing
from lstm_probe.probing.analyses.memory import memory_spans

#: What a card says with each metric.
METRIC_WORDS = {
    "r2": "R²",
    "circular_r2": "R² of sine and cosine",
    "auroc": "2·AUROC − 1",
    "macro_auroc": "2·AUROC − 1",
}

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
class About:
    """What a card is about.

    Attributes:
        unit: what is known of it.
        findings: of its run.
        settings: of the analysis whose sentences these are.
    """

    unit: UnitFact
    findings: Findings
    settings: Mapping[str, Any]

    def of_variable(self, own: pd.DataFrame) -> pd.DataFrame:
        """Return the rows about the variable that is looked at, the memory as a rule."""
        return own[own["variable"] == self.findings.variable]


def title(unit: UnitFact, findings: Findings) -> str:
    """Return a card's title: "Unit 3, c: count"."""
    tracked = [evidence for evidence in (unit.best, *unit.others) if evidence is not None]
    names = ", ".join(evidence.signal for evidence in tracked) or "no known signal"
    return f"Unit {unit.label}, {findings.variable}: {names}"


def best_rows(own: pd.DataFrame) -> pd.DataFrame:
    """Return a unit's rows of `probes`, of each signal the lag with the highest effect; by signal."""
    best = own.sort_values("effect", ascending=False, kind="stable").drop_duplicates("signal")
    return best.set_index("signal").sort_index()


def tracked_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about what a unit tracks best, or that it tracks nothing.

    Args:
        own: the unit's rows of `probes`.
        about: the unit.
    """
    best = about.unit.best
    if best is None:
        yield from nothing_tracked(best_rows(about.of_variable(own)), about)
        return
    yield f"It tracks {named(best)}: effect {measured(best)}."
    yield from baseline_words(best, int(about.settings.get("window", 0)))


def further_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about what else a unit tracks, and about curves.

    Args:
        own: the unit's rows of `probes`.
        about: the unit.
    """
    if about.unit.others:
        others = [f"{named(other)} ({number(other.effect)})" for other in about.unit.others]
        yield f"It also tracks {listing(others)}."
    yield from curved_words(best_rows(about.of_variable(own)))


def nothing_tracked(best: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about a unit whose memory tracks nothing."""
    unit, findings = about.unit, about.findings
    signals = len(findings.signals)
    asked = f"any of the {signals} known signals" if signals > 1 else "the only known signal"
    sentence = f"Its {findings.variable} does not track {asked}"
    scored = best.dropna(subset="effect")
    if len(scored):
        row = scored.sort_values("effect", ascending=False, kind="stable").iloc[0]
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


def memory_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Say for how many steps a unit still predicts the signal that it tracks best.

    Args:
        own: the unit's rows of `memory`.
        about: the unit.
    """
    if about.unit.best is None:
        return
    signal, rows = about.unit.best.signal, about.of_variable(own)
    tracked = rows[rows["signal"] == signal]
    if tracked.empty:
        return
    spans = memory_spans(tracked)
    if np.isnan(spans["span"].iloc[0]):
        return
    span, beyond = int(spans["span"].iloc[0]), spans["beyond_signal"].iloc[0]
    if span == 0:
        yield f"It predicts {signal} at this step only, not at earlier ones."
        return
    least = "at least " if span >= rows["lag"].max() else ""
    sentence = f"It still predicts {signal} as it was {least}{span} step{'' if span == 1 else 's'} ago"
    if not beyond > 0:  # nor NaN
        yield f"{sentence}, as anything that knows the present {signal} would."
    elif beyond == span:
        yield f"{sentence}, better than the present {signal} would."
    else:
        yield f"{sentence}, and up to {int(beyond)} ago better than the present {signal} would."


def confound_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Say what is left of an effect once everything else is known, and which signals can't be told apart.

    Args:
        own: the unit's rows of `confounds`.
        about: the unit.
    """
    if about.unit.best is None:
        return
    signal, rows = about.unit.best.signal, about.of_variable(own)
    rows = rows[rows["signal"] == signal]
    if rows.empty:
        return
    row = rows.iloc[0]
    if row["collinear_with"]:
        same = listing([signal, *(name.strip() for name in row["collinear_with"].split(","))])
        yield (f"{same} are nearly the same in these sequences, so it can't be said to track one rather "
               "than the other.")  # fmt: skip
    if known(row["partial"]):
        adds = "it explains" if row["partial"] >= 0.25 else "it explains only"
        yield (f"Of what the current input, the step's number and all other signals leave open in {signal}, {adds} "
               f"{number(row['partial'])}.")  # fmt: skip


def curved_words(best: pd.DataFrame) -> Iterator[str]:
    """Say which signals a unit tracks along a curve, but not along a straight line."""
    if "tracks_curved" not in best:
        return
    curved = best[best["tracks_curved"].fillna(False).astype(bool)].sort_values("curved", ascending=False)
    for name, row in curved.iterrows():
        yield (f"It tracks {name} along a curve ({number(row['curved'])}) but not along a straight line "
               f"({number(row['effect'])}).")  # fmt: skip


def cost_sentences(_: pd.DataFrame, about: About) -> Iterator[str]:
    """Say what it costs to clamp a unit."""
    if about.findings.not_ablated:
        yield f"Whether it is used was not measured: {about.findings.not_ablated}."
    elif not about.unit.costs:
        yield "Clamping it costs nothing: the network does without it."
    else:
        worse = " (worse than a guess)"
        costs = listing([f"{target} {number(loss)}{worse if loss > 1 else ''}" for target, loss in about.unit.costs])
        yield f"Clamping it costs {costs} of the score, and nothing else."
