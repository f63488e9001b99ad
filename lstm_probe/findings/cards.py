"""One unit's card: everything that the tables say of it, in sentences that need no knowledge of the code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.status import CURVE, EARLIER, NOW
from lstm_probe.cells.known import word_of
from lstm_probe.core.numbers import estimate, known, number, p_value
from lstm_probe.core.order import UnitKey
from lstm_probe.core.scale import strength
from lstm_probe.findings.evidence import Evidence, Findings, UnitFact
from lstm_probe.findings.need_words import unit_sentences
from lstm_probe.findings.words import alike_words, listing
from lstm_probe.probing.analyses.memory import memory_spans
from lstm_probe.probing.inference.swap import DEPTHS

#: What a card says with each metric.
METRIC_WORDS = {
    "r2": "R²",
    "circular_r2": "R² of sine and cosine",
    "auroc": "2·AUROC − 1",
    "macro_auroc": "2·AUROC − 1",
}

#: Why a unit is said to go with a signal.
NOTHING_ADDED = "where everything else is known it adds next to nothing"
NOT_SHOWN = "that it adds to all other signals was not shown"
SETTLED = "all other signals tell that exactly, so that there is nothing to add"

#: What the step's number tells is not worth a word below this.
SOME = 0.05

#: What is said of a signal that a unit was not found to track, by column of `probes`.
_SAID = (
    "signal", "effect", "metric", "tracks", "input_only", "time_only", "untrained_best", "depth", "p_untrained",
)  # fmt: skip
Row = Mapping[Any, Any]

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
    return f"Unit {unit.label}, {findings.variable}: {names or unit.found}"


def best_rows(own: pd.DataFrame) -> list[Row]:
    """Return what a unit's rows of `probes` say, of each signal at the lag with the highest effect; by signal."""
    best: dict[str, Row] = {}
    for row in own[[name for name in _SAID if name in own]].to_dict("records"):
        signal, effect = row["signal"], row["effect"]
        if known(effect) and (signal not in best or effect > best[signal]["effect"]):
            best[signal] = row
    return [best[signal] for signal in sorted(best)]


def tracked_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about what a unit tracks or holds best, or that nothing was found in it.

    Args:
        own: the unit's rows of `probes`.
        about: the unit.
    """
    best = about.unit.best
    if best is None:
        yield from nothing_found(best_rows(about.of_variable(own)), about)
    elif best.how == CURVE:
        line = f"a straight line tells {number(best.straight)} of it"
        yield f"It tracks {best.named}: effect {measured(best)}; {line}."
    else:
        yield f"It {'holds' if best.how == EARLIER else 'tracks'} {best.named}: effect {measured(best)}."
        yield from baseline_words(best, about.settings.get("window"))
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
        yield f"It also tracks {listing([also(one) for one in unit.others])}."
        unknown = [one.named for one in unit.others if not known(one.partial)]
        if unknown:
            named = f"{listing(unknown)} add{'s' * (len(unknown) == 1)}"
            adds = named if len(unknown) < len(unit.others) else "that adds"
            yield f"Whether {adds} to the other signals was not measured."
    tracked = {one.signal for one in (unit.best, *unit.others)}
    alike = [one for one in unit.along if tracked & {*one.same}]
    for one in alike:
        other = {name: kind for name, kind in one.same.items() if name in tracked}
        yield f"It goes with {also(one)}, which {alike_words(one.kind, other)} in these sequences."
    beside = [one for one in unit.along if one not in alike]
    for why in (NOTHING_ADDED, NOT_SHOWN, SETTLED):
        if ones := [also(one) for one in beside if _not_added(one) == why]:
            yield f"It goes with {listing(ones)}, as {unit.best.signal} does: {why}."


def _not_added(one: Evidence) -> str:
    """Return what is known of what a unit adds to other signals, where that it adds something was not shown."""
    return SETTLED if one.settled else NOTHING_ADDED if one.adds_nothing else NOT_SHOWN


def also(evidence: Evidence) -> str:
    """Return "bit of 2 steps ago (effect 0.30, R²; partial R² 0.12)"."""
    adds = f"; partial R² {number(evidence.partial)}" if known(evidence.partial) else ""
    return f"{evidence.named} (effect {number(evidence.effect)}, {measure(evidence)}{adds})"


def nothing_found(best: Sequence[Row], about: About) -> Iterator[str]:
    """Go through the sentences about a unit in whose memory nothing was found."""
    unit, findings = about.unit, about.findings
    testable = [fact.signal for fact in findings.signals if fact.testable and fact.best is not None]
    if testable:
        several = f"any of the {len(testable)} known signals" if len(testable) > 1 else testable[0]
        told = " that could be tested" if findings.untested and len(testable) > 1 else ""
        scored = [row for row in best if row["signal"] in testable]
        best_one = f" (best: {best_words(scored)})" if len(scored) else ""
        yield f"Its {findings.variable} was not found to track {several}{told}{best_one}."
        for row in scored:
            yield from untrained_words(row, about)
    yield from untested_words(best, findings)
    if unit.elsewhere is not None:
        other = unit.elsewhere
        name, cell = word_of(other.variable, findings.cell), findings.cell
        shown = other.variable == "h" and "o" in cell.names and cell.memory != "h"
        but = "its output gate may bring that from other units" if shown else "it may only listen to other units"
        yield f"Its {name} {other.variable} tracks {also(other)}, but {but}."


def best_words(scored: Sequence[Row]) -> str:
    """Return which signal a unit's variable tells best: "leak, effect 0.20, R²; the best untrained unit 0.30".

    The step's number and the present input are named where they tell more than that.
    """
    effects = np.array([row["effect"] for row in scored], dtype=float)
    row = scored[int(np.argmax(strength(effects, [row["metric"] for row in scored])))]
    reach = row.get("untrained_best", np.nan)
    parts = [f"the best untrained unit {number(reach)}"] if known(reach) else []
    for name, words in (("input_only", "the present input alone"), ("time_only", "the step's number alone")):
        more = row[name] > (reach if known(reach) else 0.0) and number(row[name]) != number(reach)
        parts += [f"{words} {number(row[name])}"] if more else []
    beside = f"; {listing(parts)}" if parts else ""
    return f"{row['signal']}, effect {number(row['effect'])}, {METRIC_WORDS[row['metric']]}{beside}"


def untested_words(scored: Sequence[Row], findings: Findings) -> Iterator[str]:
    """Say of which signals nothing could have been found, and why; nothing of nuisances, if there are others."""
    by_reason: dict[str, list[str]] = {}
    for fact in findings.untested:
        if fact.role != "nuisance":
            by_reason.setdefault(fact.reason, []).append(fact.signal)
    every = not any(fact.testable for fact in findings.signals) and len(by_reason) == 1
    for reason, names in by_reason.items():
        shown = "any signal" if every else listing(names[:5] + [f"{len(names) - 5} more"] * (len(names) > 5))
        why = f" ({reason})" if reason else ""
        yield f"Whether it tracks {shown} could not be tested{why}."
    if every and len(scored):
        yield f"It tells best {best_words(scored)}."


def untrained_words(row: Row, about: About) -> Iterator[str]:
    """Say that a signal can be read from a unit, but as from an untrained one, where that is so.

    Whether it fades is not asked: an exact memory of what untrained networks hold as well is told alike.
    """
    depth, p = row.get("depth", np.nan), row.get("p_untrained", np.nan)
    if known(depth, p) and p > about.settings.get("alpha", 0.05) and not row["tracks"]:
        more = row["effect"] > row.get("untrained_best", np.nan)
        beside = "that this is rare among untrained networks was not shown" if more else (
            "among untrained networks that is nothing special")  # fmt: skip
        as_much = "no unit of those tried tells as much" if more else "a fading memory can tell as much"
        yield (f"{row['signal']} can be read from it (effect {number(row['effect'])}, {METRIC_WORDS[row['metric']]}), "
               f"but {beside} (p {p_value(p)}): {as_much}; for nine tenths of "
               f"{nine_tenths(depth, row.get('time_only', np.nan), about.findings)}.")  # fmt: skip


def nine_tenths(depth: float, time_only: float, findings: Findings) -> str:
    """Return how many last inputs give nine tenths of an effect: "that it needs its last 3 inputs"."""
    of = "what that is beyond the step's number" if time_only >= SOME else "that"
    return f"{of} it needs {last_inputs(depth, findings)}"


def last_inputs(depth: float, findings: Findings) -> str:
    """Return how many last inputs are enough: "its last 9 to 12 inputs", as those between were not tried."""
    if np.isinf(depth):
        return (
            f"more than its last {max(DEPTHS)} inputs" if findings.deep else "more of its last inputs than were tried"
        )
    before = max((k for k in DEPTHS if k < depth), default=0)
    if depth == 1:
        return "its last input alone"
    return f"its last {f'{before + 1} to ' if before + 1 < depth else ''}{int(depth)} inputs"


def depth_words(best: Evidence, findings: Findings) -> Iterator[str]:
    """Say how many of its last inputs a unit needs, and whether that was looked at."""
    if known(best.depth):
        yield f"For nine tenths of {nine_tenths(best.depth, best.time_only, findings)}."
    elif best.how == NOW and not known(best.past_swap) and known(best.p_untrained):
        yield "Whether it needs more than its last input was not looked at: the recording has no weights."


def measure(evidence: Evidence) -> str:
    """Return what an effect is: "R²" of numbers, "2·AUROC − 1" of classes."""
    return METRIC_WORDS[evidence.metric]


def measured(evidence: Evidence) -> str:
    """Return "0.96 [0.95, 0.97] (R²; p = 0.007 over all units, variables and signals)"."""
    chance = ""
    if known(evidence.p_family) and evidence.how == NOW:
        chance = f"; p {p_value(evidence.p_family)} over all units, variables and signals"
    return f"{estimate(evidence.effect, evidence.low, evidence.high)} ({measure(evidence)}{chance})"


def baseline_words(evidence: Evidence, window: int | None) -> Iterator[str]:
    """Say what does without this unit's memory, on the same scale; a `window` of None is not known."""
    inputs = "recent" if window is None else f"the last {window + 1}"
    parts = [("the best untrained unit", evidence.untrained_best), (f"the present {evidence.signal}", evidence.itself),
             ("the present input alone", evidence.input_only),
             (f"{inputs} inputs by a straight line", evidence.input_window),
             ("the step's number alone", evidence.time_only),
             ("the unit itself after another sequence's past", evidence.past_swap)]  # fmt: skip
    compared = [f"{name} {number(value)}" for name, value in parts if known(value)]
    if compared:
        needless = evidence.untrained_best >= evidence.effect
        so = " So training was not needed for a unit like this one." if needless else ""
        yield f"For comparison: {listing(compared)}.{so}"


def memory_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Say for how many steps a unit still tells the signal that it tracks best, and what it holds of other steps.

    Args:
        own: the unit's rows of `memory`.
        about: the unit.
    """
    best, rows = about.unit.best, about.of_variable(own)
    if best is None or best.how == CURVE:
        return
    rows = rows[rows["signal"] == best.signal]
    if best.how == EARLIER:
        more = rows[rows["held"].astype(bool) & (rows["lag"] != best.lag)]
        if len(more):
            told = [f"{lag} ({number(effect)})" for lag, effect in zip(more["lag"], more["effect"])]
            yield f"Likewise {best.signal} of {listing(told)} step{'' if list(more['lag']) == [1] else 's'} ago."
    elif about.unit.key[1] == "reverse":
        yield f"For how long it remembers {best.signal} was not looked at: it reads backward."
    elif len(rows):
        yield from span_words(rows, best)


def span_words(rows: pd.DataFrame, best: Evidence) -> Iterator[str]:
    """Say for how many steps a unit still tells a signal that it tracks."""
    spans, signal = memory_spans(rows).iloc[0], best.signal
    if np.isnan(spans["span"]):
        return
    span, beyond = int(spans["span"]), spans["beyond_signal"]
    if span == 0:
        yield f"It was not found to tell {signal} of earlier steps."
        return
    ago = f"{span} step{'' if span == 1 else 's'} ago"
    longest = ", the longest that was looked at" if span >= rows["lag"].max() else ""
    sentence = f"It still tells {signal} as it was {ago}{longest}"
    if not beyond > 0:  # nor NaN
        yield f"{sentence}; the present {signal} does so about as well."
    elif beyond == span:
        yield f"{sentence}, better than the present {signal} does."
    else:
        yield f"{sentence}; up to {int(beyond)} ago better than the present {signal} does."


def cost_sentences(_: pd.DataFrame, about: About) -> Iterator[str]:
    """Say what it costs to clamp a unit, alone and together with others."""
    yield from unit_sentences(about.unit, about.findings)
