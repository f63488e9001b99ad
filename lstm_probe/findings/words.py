"""Facts put into sentences that need no knowledge of the code."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_probe.causal.status import TRACKS_ONLY, USED_ONLY
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
        return f"{fact.signal}: no single unit tracks it ({best}{together})."
    first, *rest = fact.tracked_by
    more = f", and {unit_words(rest, 6)} less well" if rest else ", and no other unit"
    return f"{fact.signal}: unit {first} (effect {_interval(fact.best)}){more}."


def code_words(findings: Findings) -> str:
    """Return which needed signals single units hold, and which only several together; empty where that is not known."""
    needed = [fact for fact in findings.signals if fact.role in ("target", "latent")]
    held = {code: [fact.signal for fact in needed if fact.code == code] for code in ("localist", "distributed")}
    parts = []
    if held["localist"]:
        parts.append(f"Held by single units (localist): {listing(held['localist'])}.")
    if held["distributed"]:
        parts.append(f"Spread over units (distributed): {listing(held['distributed'])}.")
    return " ".join(parts)


def costs_words(unit: UnitFact, most: int = 3, rest: str = "and less of others") -> str:
    """Return what it costs to clamp a unit: "parity 0.94, leak 0.02"."""
    shown = [f"{target} {number(loss)}" for target, loss in unit.costs[:most]]
    return ", ".join(shown) + (f" {rest}" if len(unit.costs) > most else "")


def use_words(findings: Findings) -> list[str]:
    """Return which units the network uses, which it does not, and which are idle, one sentence for each."""
    units, used = findings.units, findings.used
    sentences = []
    if findings.not_ablated:
        nothing = [unit.label for unit in findings.idle]
        sentences = [f"Not measured: {findings.not_ablated}."]
        return sentences + ([f"Their memory tracks no known signal: {unit_words(nothing, 12)}."] if nothing else [])
    if used:
        worst = [(unit.label, *unit.costs[0]) for unit in used[:3]]
        most = listing([f"unit {label} (clamped, it costs {target} {number(loss)})" for label, target, loss in worst])
        sentences.append(f"The network uses {len(used)} of its {len(units)} units, most of all {most}.")
    else:
        sentences.append("The network uses no unit: clamping any one costs nothing.")
    hidden = [unit.label for unit in findings.of_status(USED_ONLY)]
    if hidden:
        sentences.append(f"Used, although their memory tracks no known signal: {unit_words(hidden, 12)}.")
    spare = [unit.label for unit in findings.of_status(TRACKS_ONLY)]
    if spare:
        sentences.append(f"Their memory tracks a signal, but clamping one costs nothing: {unit_words(spare, 12)}.")
    idle = [unit.label for unit in findings.idle]
    sentences.append(f"Idle (track nothing, cost nothing): {unit_words(idle, 12)}." if idle else "No unit is idle.")
    return sentences


def short_words(findings: Findings) -> str:
    """Return the gist in one line: which unit remembers what, how many are used, how many idle."""
    best = [f"{s.signal} → {s.tracked_by[0]}" for s in findings.signals if s.tracked_by]
    units = len(findings.units)
    use = f"uses {len(findings.used)} of {units} units, {len(findings.idle)} idle"
    if findings.not_ablated:
        use = f"{len(findings.idle)} of {units} units track nothing, use not measured"
    return f"{', '.join(best) if best else 'no unit tracks a signal'}; {use}"
