"""What the network needs, in sentences that need no knowledge of the code."""

from collections.abc import Iterator, Sequence

from lstm_probe.causal.status import ALONE, NO_COST_ALONE, NOT_NEEDED, NOT_TESTABLE, NOTHING_FOUND, TOGETHER, TRACKS
from lstm_probe.causal.sufficient import RESERVE
from lstm_probe.core.numbers import UNKNOWN, known, number
from lstm_probe.findings.evidence import Findings, UnitFact
from lstm_probe.findings.needs import Cost, Enough, Joint
from lstm_probe.findings.words import listing, numbers, unit_words

#: As it stands, a loss is said beside the one after a refit if they differ by this much, and by this factor.
APART, TIMES = 0.1, 1.5
#: Of a smaller loss it is not worth a word how much is gone from h.
SOME = 0.05
#: How many sets are listed.
MOST_SETS = 3


def percent(share: float) -> str:
    """Return a share of a score in percent.

    >>> percent(0.0031), percent(0.4567), percent(0.97), percent(0.9894), percent(0.9996), percent(-0.01)
    ('0.3 %', '46 %', '97 %', '98.9 %', '100 %', 'less than 0.1 %')
    """
    if not known(share):
        return UNKNOWN
    return f"{_hundredths(share)} %" if 100 * share >= 0.05 else "less than 0.1 %"


def _hundredths(share: float) -> str:
    """Return a share times 100, with a digit behind the point near 0 and 100, where it matters."""
    value = round(100 * share, 1) + 0.0  # no −0
    return f"{value:.0f}" if 10 <= value <= 90 else f"{value:.1f}".removesuffix(".0")


def percent_of(cost: Cost) -> str:
    """Return "0.3 % of leak [-0.1, 0.8]"."""
    low, high = (cost.of_score(end) for end in (cost.low, cost.high))
    interval = f" [{_hundredths(low)}, {_hundredths(high)}]" if known(low, high) else ""
    return f"{percent(cost.share)} of {cost.target}{interval}"


def loss_words(costs: Sequence[Cost]) -> str:
    """Return "parity 0.94, leak 0.02", or "leak 0.003"."""
    return ", ".join(f"{cost.target} {_lost(cost.loss)}" for cost in costs)


def _lost(loss: float) -> str:
    """Return a loss, with a third digit where two are those of nothing."""
    return number(loss, 3 if abs(loss) < 0.005 else 2)


def costs_words(unit: UnitFact, most: int = 3, rest: str = "and less of others", named: int = 12) -> str:
    """Return what it costs to clamp a unit: "parity 0.94, leak 0.02", or "parity 0.51 with 3, 7"; empty for nothing.

    Args:
        unit: which.
        most: so many targets are named; `rest` stands for the others.
        named: if there are more units with which it is needed together, they are counted.
    """
    if unit.sets:
        labels = [label for label in unit.sets[0].labels if label != unit.label]
        others = numbers(labels) if len(labels) <= named else f"{len(labels)} others"
        return f"{loss_words(unit.sets[0].told[:most])} with {others}"
    if unit.together:
        return f"{', '.join(unit.together[:most])}, with others"
    return loss_words(unit.costs[:most]) + (f" {rest}" if len(unit.costs) > most else "")


def stands_words(unit: UnitFact, most: int = 3) -> str:
    """Return the same losses as they stand."""
    costs = unit.sets[0].told if unit.sets else unit.costs
    return ", ".join(f"{cost.target} {number(cost.stands)}" for cost in costs[:most])


def set_words(joint: Joint) -> str:
    """Return "units 3, 7 (parity 0.51)"."""
    return f"{unit_words(joint.labels, 12)} ({loss_words(joint.told)})"


def alone_words(findings: Findings) -> str:
    """Return how many units cost something alone, and how many are enough, in one sentence."""
    n, k = len(findings.units), len(findings.of_need(ALONE))
    cost = "costs" if k == 1 else "cost"
    of = " of what was learned" if findings.needs.hardly else ""
    first = f"Clamped alone, {k} of {n} units {cost} something"
    first = first if k else f"Clamped alone, none of {n} units was found to cost anything that counts{of}"
    if n == 1:
        return f"Clamped, its one unit {'costs something' if k else f'was not found to cost anything that counts{of}'}."
    enough = findings.needs.enough
    return f"{first}{'' if enough is None else '; ' + enough_words(enough, n, bool(findings.verdict.lost))}."


def enough_words(enough: Enough, units: int, lost: bool) -> str:
    """Return "a set of 32 carries the task (27 to 46 in other orders); the other 32, clamped at once, cost 0.3 %".

    Of a set that surely keeps less on other sequences than it was chosen for, that it carries anything is not said.

    Args:
        enough: what is known of the set.
        units: how many there are.
        lost: whether some target was not learned.
    """
    task, left = "what was learned" if lost else "the task", units - enough.kept
    if left < 1:
        asked = f"({percent(enough.keep + RESERVE * (1 - enough.keep))} of every score)"
        return f"no smaller set than all {units} was found that carries {task} with a reserve {asked}"
    other = f" ({enough.spread[0]} to {enough.spread[1]} in other orders)" if enough.spread is not None else ""
    words = f"a set of {enough.kept} {'was chosen to carry' if enough.keeps_less else 'carries'} {task}{other}"
    if not known(enough.checked):
        return f"{words}; what the other {left} cost, clamped at once, was not checked"
    other = "the other one, clamped, costs" if left == 1 else f"the other {left}, clamped at once, cost"
    words += f"; {other} {percent(1 - enough.checked)} of it"
    least = enough.low if known(enough.low) else enough.checked
    if round(100 * least, 1) < 100 * enough.keep:  # it may keep less
        ends = f" ({percent(enough.low)} to {percent(enough.high)})" if known(enough.low, enough.high) else ""
        words += f": chosen to keep {percent(enough.keep)}, on other sequences it keeps {percent(enough.checked)}{ends}"
    return words


def hardly_words(findings: Findings) -> str:
    """Return of which targets so little was learned that no unit is called needed for them; empty where of none."""
    told = [f"{target} ({number(score)})" for target, score in findings.needs.hardly.items()]
    return f"Nothing to need for what was hardly learned: {listing(told)}." if told else ""


def others_words(findings: Findings) -> str:
    """Return what all units that cost nothing alone cost together; empty where there are none."""
    alone, joint = len(findings.of_need(ALONE)), findings.needs.no_cost
    left = len(findings.units) - alone
    if not left:
        return ""
    if joint is None:
        other = f"the {left} with no cost alone that counts" if alone else f"all {left}"
        known_of = left == 1 or findings.of_need(TOGETHER, NOT_NEEDED)  # as their status says
        return "" if known_of else f"What {other} cost together was not measured."
    if joint.worst is None:
        return ""
    if left == 1:
        return f"{'The one with no cost alone that counts' if alone else 'It'} costs {percent_of(joint.worst)}."
    which = f"Clamped at once, the {left} with no cost alone that counts" if alone else f"All {left} together"
    return f"{which} cost {percent_of(joint.worst)}."


def together_words(findings: Findings) -> str:
    """Return which sets of units are needed together; empty where there are none."""
    units, sets = findings.of_need(TOGETHER), findings.needs.together
    if not units:
        return ""
    if not sets:
        return f"Needed together: {unit_words([unit.label for unit in units], 12)}."
    told = [set_words(joint) for joint in sets[:MOST_SETS]]
    left = len(sets) - MOST_SETS
    more = [f"{left} more set{'s' if left > 1 else ''}"] if left > 0 else []
    return f"Needed together, though not alone: {'; '.join(told + more)}."


def used_words(findings: Findings) -> str:
    """Return how few units carry the task after a merge, beside how many by clamps; empty where that is not known."""
    used, enough = findings.needs.used, findings.needs.enough
    if used is None:
        return ""
    task, left = "what was learned" if findings.verdict.lost else "the task", used.of - used.kept
    each = " of each layer and direction" if used.parts > 1 else ""
    if left < 1:
        return f"All {used.of} units{each} are used: merged into fewer, they were not found to carry {task}."
    ends = f" [{percent(used.low).removesuffix(' %')}, {percent(used.high)}]" if known(used.low, used.high) else ""
    carry = "carries" if used.kept == 1 else "carry"
    merged = "the other one is" if left == 1 else f"the other {left} are"
    words = f"Used: {used.kept} of {used.of} units{each} {carry} {task} when {merged} merged into "
    words += f"{'it' if used.kept == 1 else 'them'} in least squares, without training: {percent(used.checked)}{ends} "
    words += "of the score stays on other sequences"
    if round(100 * used.checked, 1) < 100 * used.keep:
        words += f", and they were chosen to keep {percent(used.keep)}"
    if enough is None:
        return f"{words}."
    less = f", and on other sequences {percent(enough.checked)} stays" if enough.keeps_less else ""
    return f"{words}; clamped instead, it takes {enough.kept} of {len(findings.units)}{less}."


def rest_words(findings: Findings) -> str:
    """Return which units are not needed, and what they cost clamped at once; empty where there are none.

    Where it is open whether those are that belong to no set that is needed together, that is said.
    """
    units, joint = [unit.label for unit in findings.of_need(NOT_NEEDED)], findings.needs.rest
    one, cost = joint is not None and len(joint.labels) == 1, ""
    if joint is not None and joint.worst is not None and joint is not findings.needs.no_cost:  # that is told already
        cost = f"; {'clamped, it costs' if one else 'clamped at once, they cost'} {percent_of(joint.worst)}"
    if units:
        return f"Not needed: {unit_words(units, 12)}{cost}."
    if joint is None or joint.worst is None:
        return ""
    are = "it is" if one else "they are"
    if cost and findings.needs.together:
        return f"In none of these sets: {unit_words(joint.labels, 12)}{cost}; whether {are} needed is left open."
    return "" if findings.needs.together else f"Whether {are} needed is left open."


def need_words(findings: Findings) -> list[str]:
    """Return what the network needs, and in which units nothing was found, one sentence for each."""
    if findings.need_unknown:
        nothing = [unit.label for unit in findings.units if unit.found == NOTHING_FOUND]
        said = f"Nothing was found in the memory of {unit_words(nothing, 12)}."
        return [f"Which units are needed {findings.need_unknown}.", *([said] if nothing else [])]
    sentences = [alone_words(findings)]
    if costliest := findings.needed_alone[:3]:
        most = listing([f"unit {unit.label} ({loss_words(unit.costs[:1])})" for unit in costliest])
        sentences.append(f"{'Most of all' if len(findings.needed_alone) > 1 else 'Costly alone:'} {most}.")
    sentences += [
        hardly_words(findings),
        others_words(findings),
        together_words(findings),
        rest_words(findings),
        used_words(findings),
    ]
    sentences += _found_words(findings)
    return [sentence for sentence in sentences if sentence]


def _found_words(findings: Findings) -> Iterator[str]:
    """Go through what was found and what is needed, side by side."""

    def those(found: str, *needed: str) -> str:
        labels = [unit.label for unit in findings.units if unit.found == found and unit.needed in needed]
        return unit_words(labels, 12) if labels else ""

    def are(units: str) -> str:
        return "it is" if units.startswith("unit ") else "they are"

    if units := those(NOTHING_FOUND, ALONE, TOGETHER):
        yield f"Nothing was found in the memory of {units}, but {are(units)} needed."
    if units := those(TRACKS, NOT_NEEDED):
        yield f"The memory of {units} holds a signal, but {are(units)} not needed."
    if units := those(TRACKS, NO_COST_ALONE):
        yield (
            f"The memory of {units} holds a signal, but clamped alone no cost that counts was found: others may "
            "do the same."
        )
    if units := those(NOTHING_FOUND, NOT_NEEDED):
        yield f"Nothing was found in the memory of {units}, and {are(units)} not needed."
    if units := those(NOTHING_FOUND, NO_COST_ALONE):
        one = "it" if units.startswith("unit ") else "one"
        yield (f"Nothing was found in the memory of {units}, and no cost that counts of clamping {one} alone; clamped "
               "together, units like that may cost something.")  # fmt: skip
    if units := those(NOT_TESTABLE, NO_COST_ALONE):
        yield f"Clamped alone, no cost that counts was found of {units}; what they hold is not known."
    if units := those(NOT_TESTABLE, NOT_NEEDED):
        yield f"What {units} may hold could not be tested; {are(units)} not needed."


def short_words(findings: Findings) -> str:
    """Return the gist in one line: which unit remembers what, and how many are needed."""
    if not findings.units:
        return "its units were not measured"
    best = [f"{s.signal} → {s.tracked_by[0]}" for s in findings.signals if s.tracked_by]
    units, alone, together = len(findings.units), len(findings.of_need(ALONE)), len(findings.of_need(TOGETHER))
    quiet = sum(unit.found == NOTHING_FOUND for unit in findings.quiet)
    need = f"{alone} of {units} units needed alone" + (f", {together} together" if together else "")
    need += f", nothing found in {quiet} other{'s' if quiet > 1 else ''}" if quiet else ""
    if findings.need_unknown:
        need = f"nothing found in {quiet} of {units} units, which are needed is not known"
    none = "no unit was found to track a signal now"
    if not any(fact.testable for fact in findings.signals):
        none = "no signal could be tested"
    return f"{', '.join(best) if best else none}; {need}"


def unit_sentences(unit: UnitFact, findings: Findings) -> Iterator[str]:
    """Go through the sentences on a unit's card that say what it costs to clamp it, and whether it is needed."""
    if findings.need_unknown:
        yield f"Whether it is needed {findings.need_unknown}."
        return
    most = max((cost for cost in unit.less if known(cost.loss)), key=lambda cost: cost.loss, default=None)
    lost = findings.verdict.lost
    little = "" if most is None else f"{most.target}: {number(max(most.loss, 0.0), 3)} at most"
    told = "" if most is None else f" ({little})"
    nothing = f"was not found to cost anything that counts{told}"
    if unit.costs:
        costs = listing([f"that of {cost.target} by {_lost(cost.loss)}{_beside(cost, lost)}" for cost in unit.costs])
        others = f"; other targets were not found to lose anything that counts{told}" if little else ""
        yield f"Needed alone: clamped, it lowers the score{costs.removeprefix('that')}{others}."
    elif unit.needed == TOGETHER:
        yield f"Clamped alone, it {nothing}."
        yield from _partners(unit, lost)
    elif unit.needed == NOT_NEEDED:
        yield f"Not needed: clamped alone, it {nothing}{_like_it(findings)}."
    else:
        yield f"Clamped alone, it {nothing}; others may do the same as it."
    if unit.off_data:
        yield ("The clamp lies far off the data (outside of what the unit ever took, or with h outside of its range), "
               "so that a cost may be of that.")  # fmt: skip


def _beside(cost: Cost, lost: Sequence[str]) -> str:
    """Return how much of a loss is gone from h, and the loss as it stands, where they tell another story.

    Of one of the targets that were not learned (`lost`), that is said, with the score.
    """
    notes = [f"not learned: score {number(cost.intact)}"] if cost.target in lost else []
    if known(cost.gone) and cost.loss >= SOME:
        gone = min(max(cost.gone, 0.0), cost.loss)
        all_of_it = number(gone) == number(cost.loss)
        notes.append("all of it gone from h" if all_of_it else f"of which {number(gone)} is gone from h altogether")
    more, less = max(cost.stands, cost.loss), min(cost.stands, cost.loss)
    if more - less >= APART and more >= TIMES * less:
        notes.append(f"as it stands {number(cost.stands)}")
    return f" ({'; '.join(notes)})" if notes else ""


def _partners(unit: UnitFact, lost: Sequence[str]) -> Iterator[str]:
    """Say with which others a unit is needed."""
    if not unit.sets:
        yield f"Needed together with others, for {listing(unit.together)}."
    for joint in unit.sets[:MOST_SETS]:
        others = unit_words([label for label in joint.labels if label != unit.label], 12)
        costs = listing([f"that of {cost.target} by {_lost(cost.loss)}{_beside(cost, lost)}" for cost in joint.told])
        yield f"Needed together with {others}: clamped at once, they lower the score{costs.removeprefix('that')}."


def _like_it(findings: Findings) -> str:
    """Return that a unit costs nothing with all others that are not needed, either."""
    joint, others = findings.needs.rest, len(findings.of_need(NOT_NEEDED)) - 1
    if joint is None or joint.worst is None or others < 1:
        return ""
    most = f" ({percent(joint.worst.share)} of {joint.worst.target})"
    return f"; clamped at once with the other {others} that {'is' if others == 1 else 'are'} not needed, nor so{most}"
