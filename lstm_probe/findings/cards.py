"""One unit's card: everything that the tables say of it, in sentences that need no knowledge of the code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.status import CURVE, EARLIER, NOW
from lstm_probe.core.numbers import estimate, known, number, p_value
from lstm_probe.core.order import UnitKey
from lstm_probe.core.scale import strength
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

#: The most last inputs that are tried.
DEEPEST = 16

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
    names = ", ".join(evidence.named for evidence in (unit.best, *unit.others) if evidence is not None)
    return f"Unit {unit.label}, {findings.variable}: {names or 'nothing found'}"


def best_rows(own: pd.DataFrame) -> pd.DataFrame:
    """Return a unit's rows of `probes`, of each signal the lag with the highest effect; by signal."""
    best = own.sort_values("effect", ascending=False, kind="stable").drop_duplicates("signal")
    return best.set_index("signal").sort_index()


def tracked_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about what a unit tracks or holds best, or that nothing was found in it.

    Args:
        own: the unit's rows of `probes`.
        about: the unit.
    """
    best = about.unit.best
    if best is None:
        yield from nothing_found(best_rows(about.of_variable(own)), about)
        return
    if best.how == CURVE:
        yield (f"It tracks {best.named}, with an effect of {number(best.effect)} ({measure(best)}), not along a "
               f"straight line ({number(best.straight)}).")  # fmt: skip
        return
    verb = "holds" if best.how == EARLIER else "tracks"
    yield f"It {verb} {best.named}: effect {measured(best)}."
    if best.how == EARLIER:
        yield f"The present {best.signal} would tell {number(best.itself)} of that."
    yield from baseline_words(best, int(about.settings.get("window", 0)))
    yield from depth_words(best, about.findings)


def further_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about what else a unit tracks, and what it goes with.

    Args:
        own: the unit's rows of `probes`.
        about: the unit.
    """
    unit = about.unit
    if unit.best is None:
        return
    if unit.others:
        others = [f"{one.named} ({number(one.effect)}{_partial(one)})" for one in unit.others]
        yield f"It also tracks {listing(others)}."
    if unit.along:
        along = [f"{one.named} ({number(one.effect)}{_partial(one)})" for one in unit.along]
        yield f"It goes with {listing(along)}, as {unit.best.signal} does: to other signals it adds next to nothing."
    if not unit.best.adds:
        yield f"Nor does it add to what the other signals say of {unit.best.signal}{_partial(unit.best)}."


def _partial(evidence: Evidence) -> str:
    return f"; adds {number(evidence.partial)}" if known(evidence.partial) else ""


def nothing_found(best: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about a unit in whose memory nothing was found."""
    unit, findings = about.unit, about.findings
    testable = [fact.signal for fact in findings.signals if fact.testable and fact.best is not None]
    untold = [fact for fact in findings.signals if not fact.testable and fact.best is not None]
    if testable:
        several = f"any of the {len(testable)} known signals" if len(testable) > 1 else f"{testable[0]}"
        told = " that could be tested" if untold else ""
        sentence = f"Its {findings.variable} was not found to track {several}{told}"
        scored = best.loc[[name for name in best.index if name in testable]].dropna(subset="effect")
        if len(scored):
            row = scored.iloc[int(np.argmax(strength(scored["effect"].to_numpy(float), list(scored["metric"]))))]
            reach = row.get("untrained_best", np.nan)
            untrained = f"; the best untrained unit reaches {number(reach)}" if known(reach) else ""
            sentence += f" (best: {row.name}, {number(row['effect'])}{untrained})"
            yield sentence + "."
            yield from fading_words(row, about)
        else:
            yield sentence + "."
    if untold:
        names = listing([fact.signal for fact in untold[:5]] + (["others"] if len(untold) > 5 else []))
        why = untold[0].reason if len({fact.reason for fact in untold}) == 1 else ""
        yield f"Whether it tracks {names} could not be tested{': ' + why if why else ''}."
    if unit.elsewhere is not None:
        other = unit.elsewhere
        tracked = f"{other.named} ({number(other.effect)})"
        yield f"Its {other.variable} tracks {tracked}, but a gate may only listen to others."


def fading_words(row: "pd.Series[Any]", about: About) -> Iterator[str]:
    """Say that a signal can be read from a unit as from an untrained one, where that is so."""
    depth, p = row.get("depth", np.nan), row.get("p_untrained", np.nan)
    if known(depth, p) and p > about.settings.get("alpha", 0.05) and not row["tracks"]:
        last = "more inputs than were tried" if np.isinf(depth) else _inputs(depth)
        yield f"{row.name} can be read from it, but as from an untrained network: fading memory of its {last}."


def _inputs(depth: float) -> str:
    return "last input" if depth == 1 else f"last {int(depth)} inputs"


def depth_words(best: Evidence, findings: Findings) -> Iterator[str]:
    """Say how many of its last inputs a unit needs, and whether that was looked at."""
    if np.isinf(best.depth):
        yield f"It goes further back than its last {DEEPEST} inputs." if findings.deep else (
            "It needs more of its last inputs than were tried.")  # fmt: skip
    elif known(best.depth):
        yield f"It needs its {_inputs(best.depth)}."
    elif best.how == NOW and not known(best.past_swap) and known(best.p_untrained):
        yield "Whether it needs more than its last input was not looked at: the recording has no weights."


def measure(evidence: Evidence) -> str:
    """Return what an effect is: "R²" of numbers, "2·AUROC − 1" of classes."""
    return METRIC_WORDS[evidence.metric]


def measured(evidence: Evidence) -> str:
    """Return "0.96 [0.95, 0.97] (R²; p = 0.007 over all units, variables and signals, q = 0.003)"."""
    chance = ""
    if known(evidence.p_family):
        chance = f"; p {p_value(evidence.p_family)} over all units, variables and signals"
    if known(evidence.q_value):
        chance += f", q {p_value(evidence.q_value)}"
    return f"{estimate(evidence.effect, evidence.low, evidence.high)} ({measure(evidence)}{chance})"


def baseline_words(evidence: Evidence, window: int) -> Iterator[str]:
    """Say what does without this unit's memory, on the same scale."""
    parts = [("the best untrained unit", evidence.untrained_best), ("the present input alone", evidence.input_only),
             (f"the last {window + 1} inputs by a straight line", evidence.input_window),
             ("the step's number alone", evidence.time_only),
             ("the unit itself after another past", evidence.past_swap)]  # fmt: skip
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
    if about.unit.best is None or about.unit.best.how != NOW:
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
    if about.unit.best is None or about.unit.best.how != NOW:
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
        yield (f"Of what the present input (by a straight line), the step's number and all other signals leave open in "
               f"{signal}, {adds} {number(row['partial'])}.")  # fmt: skip


def cost_sentences(_: pd.DataFrame, about: About) -> Iterator[str]:
    """Say what it costs to clamp a unit."""
    if about.findings.not_ablated:
        yield f"Whether it is used was not measured: {about.findings.not_ablated}."
        return
    unit, below = about.unit, about.unit.below
    little = f"{below[0]} {number(below[1], 3)} at most" if below is not None else ""
    if not unit.costs:
        yield f"Clamped alone, it costs nothing{f' ({little})' if little else ''}; others may do the same as it."
        return
    worse = " (worse than a guess)"
    costs = listing([f"{target} {number(loss)}{worse if loss > 1 else ''}" for target, loss in unit.costs])
    yield f"Clamped alone, it costs {costs} of the score{f'; of other targets {little}' if little else ''}."
