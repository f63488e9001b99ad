"""Facts put into sentences that need no knowledge of the code."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_probe.causal.status import TRACKS_ONLY, USED_ONLY, USED_UNTESTED
from lstm_probe.core.numbers import estimate, known, number
from lstm_probe.findings.facts import Evidence, Findings, SignalFact, UnitFact, Verdict

#: What is said of a run whose units were not probed.
UNMEASURED = "Its units were not measured: the same command with measure=full does that."


def numbers(labels: Sequence[str], most: int = 40) -> str:
    """Return labels as a list in which runs of numbers are drawn together.

    >>> numbers(["7", "1", "2", "3", "12"])
    '1–3, 7, 12'
    >>> numbers(["1·2", "0·5"])
    '0·5, 1·2'
    """
    plain = [label for label in labels if label.isdigit()]
    if len(plain) < len(labels):
        shown = sorted(labels, key=lambda label: [int(part) for part in label.strip("←").split("·")])
    else:
        spans: list[list[int]] = []
        for n in sorted(map(int, plain)):
            if spans and n == spans[-1][1] + 1:
                spans[-1][1] = n
            else:
                spans.append([n, n])
        shown = []
        for low, high in spans:
            shown += [f"{low}–{high}"] if high > low + 1 else [str(n) for n in range(low, high + 1)]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def unit_words(labels: Sequence[str], most: int = 40) -> str:
    """Return "unit 3" or "units 3, 7 and so on"."""
    return ("unit " if len(labels) == 1 else "units ") + numbers(labels, most)


def size_words(info: Mapping[str, Any]) -> str:
    """Return a run's task and size, from its `run.json`: "tracking, 32 units in each of 2 layers"."""
    units, layers = info["units"], info.get("layers", 1)
    each = f" in each of {layers} layers" if layers > 1 else ""
    source = f" of {info['source'].partition(',')[0]}" if "source" in info else ""
    return f"{info['task']}, {units} unit{'s' if units > 1 else ''}{each}{source}"


def listing(parts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def verdict_words(verdict: Verdict) -> str:
    """Return whether the task was learned; loudly where it was not."""
    if not verdict.scores:
        return f"Not scored: {verdict.not_scored}. What follows is what its units remember, used or not."
    scores, n = verdict.scores, len(verdict.scores)
    lowest = f"{verdict.lowest} {number(scores[verdict.lowest], 3)}"
    of = "its one target" if n == 1 else f"all {n} targets"
    if verdict.solved:
        return f"Learned: {of} solved ({'score' if n == 1 else 'lowest score'}: {lowest})."
    if not verdict.lost:
        return f"Learned, but not solved: {of} learned to some degree, {lowest} least (1 is perfect)."
    lost = listing([f"{target} (score {number(scores[target])})" for target in verdict.lost])
    rest = n - len(verdict.lost)
    return f"NOT LEARNED: {lost}. " + (
        f"Learned: {rest} of {n} targets. What follows describes a network that does a part of its task."
        if rest
        else "What follows describes a network that cannot do its task: what its units track says little."
    )


def _interval(evidence: Evidence) -> str:
    return estimate(evidence.effect, evidence.low, evidence.high)


def signal_words(fact: SignalFact) -> str:
    """Return which unit remembers a signal, in one sentence."""
    if fact.best is None:
        return f"{fact.signal}: it never changes in the test sequences, so nothing can be said of it."
    if not fact.tracked_by:
        name, value = fact.best.baseline
        best = f"best: unit {fact.unit}, effect {number(fact.best.effect)}; {name} {number(value)}"
        together = f"; all units together {number(fact.together)}" if known(fact.together) else ""
        if not fact.testable:
            return f"{fact.signal}: could not be tested{': ' + fact.reason if fact.reason else ''} ({best}{together})."
        if fact.held_by:
            held = listing(
                [f"unit {label} holds {one.named} ({number(one.effect)})" for label, one in fact.held_by[:3]]
            )
            return f"{fact.signal}: no single unit was found to track it now, but {held}."
        return f"{fact.signal}: no single unit was found to track it ({best}{together})."
    first, *rest = fact.tracked_by
    more = f", and {unit_words(rest, 6)} less well" if rest else ", and no other unit was found"
    return f"{fact.signal}: unit {first} (effect {_interval(fact.best)}){more}."


#: By verdict on a code: what is said of the signals that have it.
CODES = {
    "localist": "Held by one unit each (localist)", "copies": "Held by several units, each by itself (copies)",
    "distributed": "Spread over units (distributed)", "not told apart": "One unit or several, not told apart",
}  # fmt: skip


def code_words(findings: Findings) -> str:
    """Return how units hold the signals that the task needs; empty where that is not known."""
    needed = [fact for fact in findings.signals if fact.role in ("target", "latent")]
    held = {code: [fact.signal for fact in needed if fact.code == code] for code in CODES}
    return " ".join(f"{CODES[code]}: {listing(names)}." for code, names in held.items() if names)


def origin_words(findings: Findings) -> str:
    """Return what is known of how the network began; empty where it is known, or not looked at."""
    if len(findings.origins) < 2:
        return ""
    return (
        "It is not known how this network began: a unit tracks a signal only where no usual initialisation "
        f"gives one like it ({'; '.join(findings.origins)})."
    )


def costs_words(unit: UnitFact, most: int = 3, rest: str = "and less of others") -> str:
    """Return what it costs to clamp a unit: "parity 0.94, leak 0.02"."""
    shown = [f"{target} {number(loss)}" for target, loss in unit.costs[:most]]
    return ", ".join(shown) + (f" {rest}" if len(unit.costs) > most else "")


def use_words(findings: Findings) -> list[str]:
    """Return what it costs to clamp units alone, and in which nothing was found, one sentence for each."""
    units, used = findings.units, findings.used
    sentences = []
    if findings.not_ablated:
        nothing = [unit.label for unit in findings.idle]
        sentences = [f"Not measured: {findings.not_ablated}."]
        return sentences + ([f"Nothing was found in their memory: {unit_words(nothing, 12)}."] if nothing else [])
    if used:
        worst = [(unit.label, *unit.costs[0]) for unit in used[:3]]
        most = listing([f"unit {label} ({target} {number(loss)})" for label, target, loss in worst])
        sentences.append(f"Clamped alone, {len(used)} of {len(units)} units cost something, most of all {most}.")
    else:
        sentences.append(f"Clamped alone, none of {len(units)} units costs anything.")
    hidden = [unit.label for unit in findings.of_status(USED_ONLY, USED_UNTESTED)]
    if hidden:
        sentences.append(f"They cost something, although nothing was found in their memory: {unit_words(hidden, 12)}.")
    spare = [unit.label for unit in findings.of_status(TRACKS_ONLY)]
    if spare:
        sentences.append(
            f"Their memory holds a signal, but clamped alone they cost nothing: {unit_words(spare, 12)}. Others may do "
            "the same as they."
        )
    idle = [unit.label for unit in findings.idle]
    if idle:
        sentences.append(
            "Nothing was found in them, and clamped alone they cost nothing (together they may): "
            f"{unit_words(idle, 12)}."
        )
    return sentences


def short_words(findings: Findings) -> str:
    """Return the gist in one line: which unit remembers what, and how many cost something alone."""
    best = [f"{s.signal} → {s.tracked_by[0]}" for s in findings.signals if s.tracked_by]
    units, nothing = len(findings.units), len(findings.idle)
    use = f"{len(findings.used)} of {units} units cost something alone, nothing found in {nothing} others"
    if findings.not_ablated:
        use = f"nothing found in {nothing} of {units} units, use not measured"
    return f"{', '.join(best) if best else 'no unit was found to track a signal'}; {use}"


def rule_words(settings: Mapping[str, Any], earlier: bool = False) -> str:
    """Return the rule by which a unit tracks, with a run's own thresholds; `earlier`: the one of runs of before."""
    percent = f"{100 * settings.get('alpha', 0.05):g} %"
    chance = (
        f"shuffling whole sequences against the signal reaches as much in no more than {percent} of cases, all units, "
        "variables and signals together"
    )
    if earlier:
        return (
            "This run was measured by an earlier version: the effect is at least "
            f"{settings.get('min_effect', 0.25):g}; it lies at least {settings.get('margin', 0.05):g} above untrained "
            f"units, the present input by a straight line, and the step's number; and {chance}."
        )
    share = f"{100 * settings['margin']:g} %"
    return (
        f"The effect is at least {settings['min_effect']:g} (numbers) or {settings['min_effect_class']:g} (yes/no and "
        f"classes, which is as strong); {chance}; it closes at least {share} of what the present input (by any "
        f"function) and the step's number leave open, and no less than {settings['least_margin']:g}; likewise (no less "
        f"than {settings['least_swap']:g}) of what the unit itself tells after another sequence's past; and among "
        f"{settings['untrained']} untrained networks of its kind and itself, no more than {percent} have a unit that "
        "stands out as much for any signal."
    )
