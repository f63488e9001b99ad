"""Facts put into sentences that need no knowledge of the code."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lstm_probe.causal.status import CURVE, EARLIER
from lstm_probe.cells.known import title_of
from lstm_probe.core.alike import likeness
from lstm_probe.core.numbers import estimate, floored, known, number, p_value
from lstm_probe.findings.evidence import Evidence, Findings, SignalFact, Verdict
from lstm_probe.probing.inference.decision import equal_strength

#: A signal, which may have spaces in its name, and its value.
_VALUED = re.compile(r"(.+?)=(-?[\d.]+(?:e[+-]\d+)?)(?: |$)")
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


def values_of(told: str) -> dict[str, str]:
    """Return the signals' values that a fixed point stands for, by signal.

    >>> values_of("bit0=1 set before=0 level=-2.5e+10")
    {'bit0': '1', 'set before': '0', 'level': '-2.5e+10'}
    """
    return dict(_VALUED.findall(told))


def size_words(info: Mapping[str, Any]) -> str:
    """Return a run's task and size, from its `run.json`: "tracking, 32 units in each of 2 layers"."""
    units, layers = info["units"], info.get("layers", 1)
    directions = len({check.get("direction", "") for check in info.get("checks", ())})
    parts = [f"{n} {what}" for n, what in ((layers, "layers"), (directions, "directions")) if n > 1]
    each = f" in each of {listing(parts)}" if parts else ""
    source = f" of {info['source'].partition(',')[0]}" if "source" in info else ""
    kind = "" if "cell" not in info else f"{title_of(info['cell'])} "
    return f"{info['task']}, {units} {kind}unit{'s' if units > 1 else ''}{each}{source}"


def shrunk_words(info: Mapping[str, Any]) -> list[str]:
    """Return what became of a run that was made smaller, from its `run.json`; nothing of other runs."""
    if "shrunk" not in info:
        return []
    about = info["shrunk"]
    exact, several = about["exact"], about["parts"] > 1
    cut = [(exact["unread"], "that nothing reads"), (exact["copy"], "that are copies"),
           (exact["constant"], "that are constant, as another one is")]  # fmt: skip
    told = listing([f"{n} {what}" for n, what in cut if n] or ["none"])
    told += ", over all of them" if several and any(exact.values()) else ""
    units = f"{about['units_before']} units{' in each layer and direction' * several}"
    lines = [f"{about['run']} has {units}, now {info['units']}.", f"Cut exactly, so that no output changes: {told}."]
    how = {"exact": "left by that", "merged": "with the others merged into what is left, without training",
           "tuned": f"after {about['updates']} updates, all attempts counted"}  # fmt: skip
    most = "the score that loses most" if info["scores"] else "the variance of the output that changes most"
    lines += [f"{one['units']} {how[one['stage']]}: {number(one['share'], 3)} of {most} is kept."
              for one in about["stages"]]  # fmt: skip
    scores = [f"{name} {number(score, 3)} (before: {number(about['scores_before'][name], 3)})"
              for name, score in info["scores"].items()]  # fmt: skip
    lines += [f"Scores now: {', '.join(scores)}."] * bool(scores)
    return [*lines[:-1], f"{lines[-1]} All of it on sequences that nothing was chosen on."]


def listing(parts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def alike_words(kind: str, others: Mapping[str, str]) -> str:
    """Return how a signal is like others that it can't be told from, each with its kind.

    >>> alike_words("continuous", {"level": "continuous", "phase": "circular"})
    "can't be told from level and is nearly the sine or cosine of phase"
    """
    how: dict[str, list[str]] = {}
    for name, other in others.items():
        how.setdefault(likeness(kind, other), []).append(name)
    return listing([words.format(listing(names)) for words, names in how.items()])


def quoted(names: Sequence[str]) -> str:
    """Return names as a list in which those with a comma of their own stand in quotes.

    >>> quoted(["a", "b, c"])
    'a and “b, c”'
    """
    return listing([f"“{name}”" if "," in name else name for name in names])


def verdict_words(verdict: Verdict) -> str:
    """Return whether the task was learned; loudly where it was not."""
    if not verdict.scores:
        return f"Not scored: {verdict.not_scored}. What follows is what its units remember, needed or not."
    scores, n = verdict.scores, len(verdict.scores)
    lowest = f"{verdict.lowest} {number(scores[verdict.lowest], 3)}"
    of = "its one target" if n == 1 else f"all {n} targets"
    least = f"{'score' if n == 1 else 'lowest score'}: {lowest}"
    if verdict.solved:
        return f"Learned: {of} solved ({least})."
    if verdict.solved is None and not verdict.lost:
        return f"Learned: {of} ({least}; 1 is perfect)."
    if not verdict.lost:
        least = f"{verdict.lowest} {floored(scores[verdict.lowest])}"
        return f"Learned, but not solved: {of} learned to some degree, {least} least (1 is perfect)."
    lost = listing([f"{target} (score {number(scores[target])})" for target in verdict.lost])
    rest = n - len(verdict.lost)
    return f"NOT LEARNED: {lost}. " + (
        f"Learned: {rest} of {n} targets. What follows describes a network that does a part of its task."
        if rest
        else "What follows describes a network that cannot do its task: what its units track says little."
    )


def _interval(evidence: Evidence) -> str:
    return estimate(evidence.effect, evidence.low, evidence.high)


def _untrained(best: Evidence) -> str:
    """Return why a unit is not told from those of untrained networks."""
    if known(best.untrained_best) and best.effect > best.untrained_best:
        return "that untrained networks have no such units was not shown"
    return "untrained networks have such units too"


def signal_words(fact: SignalFact) -> str:
    """Return which unit remembers a signal, in one sentence."""
    if fact.best is None:
        return (
            f"{fact.signal}: it never changes in the test sequences (or within no part that is held out, or is "
            "labelled in one part alone), so nothing can be said of it."
        )
    if not fact.tracked_by:
        name, value = fact.best.baseline
        best = f"best: unit {fact.unit}, effect {number(fact.best.effect)}; {name} {number(value)}"
        if fact.best.effect > value and fact.best.p_untrained > fact.rule.alpha:
            best += f"; {_untrained(fact.best)}, p {p_value(fact.best.p_untrained)}"
        together = f"; all units together {number(fact.together)}" if known(fact.together) else ""
        if not fact.testable:
            return f"{fact.signal}: could not be tested ({best}{together})."
        if other := other_ways(fact):
            none = "no single unit was found to track it by itself now, but"
            none = f"it {alike_words(fact.kind, fact.same)} in these sequences;" if fact.same else none
            return f"{fact.signal}: {none} {other}."
        return f"{fact.signal}: no single unit was found to track it ({best}{together})."
    other = other_ways(fact)
    rest = further_words(fact, 6) or ("" if other else ", and no other unit was found")
    first = f"unit {fact.tracked_by[0]} (effect {_interval(fact.best)})"
    return f"{fact.signal}: {first}{rest}{'; ' + other if other else ''}."


def further_words(fact: SignalFact, most: int = 40) -> str:
    """Return which units track a signal beside the first: ", units 1, 2 as well, and unit 5 less well"."""
    less = [label for label in fact.tracked_by[1:] if label not in fact.as_well]
    parts = [f"{unit_words(labels, most)} {how}" for labels, how in ((fact.as_well, "as well"), (less, "less well"))
             if labels]  # fmt: skip
    return f", {', and '.join(parts)}" if len(parts) > 1 else f", and {parts[0]}" if parts else ""


def other_ways(fact: SignalFact, most: int = 3) -> str:
    """Return which units hold a signal in another way than as it is now, or go with it; empty where none does."""
    told = [f"unit {label} holds {one.named} (effect {number(one.effect)})" for label, one in fact.held_by]
    told += [f"unit {label}, which holds {other}, goes with it (effect {number(effect)})"
             for label, effect, other in fact.goes_with]  # fmt: skip
    left = len(told) - most
    told = told[:most] + ([f"{left} more unit{'s' if left > 1 else ''} likewise"] if left > 0 else [])
    return listing(told) if told else ""


def also_words(fact: SignalFact) -> str:
    """Return the numbers of all units beside the first that track a signal, or hold it in another way."""
    ways = {
        "": fact.tracked_by[1:],
        "along a curve: ": [label for label, one in fact.held_by if one.how == CURVE],
        "from earlier: ": [label for label, one in fact.held_by if one.how == EARLIER],
        "going with it: ": [label for label, _, _ in fact.goes_with],
    }
    return (
        "; ".join(f"{words}{numbers(labels, 12)}" for words, labels in ways.items() if labels) or "no other was found"
    )


def untested_words(untested: Sequence[SignalFact]) -> str:
    """Return why nothing could have been found of these signals; empty where there are none."""
    by_reason: dict[str, list[str]] = {}
    for fact in untested:
        by_reason.setdefault(fact.reason, []).append(fact.signal)
    told = [listing(names) + (f" ({reason})" if reason else "") for reason, names in by_reason.items()]
    return f"Not testable, so that nothing is said of what tracks it: {'; '.join(told)}." if told else ""


#: By verdict on a code: what is said of the signals that have it.
CODES = {
    "localist": "Held by one unit each (localist)", "copies": "Held by several units, each by itself (copies)",
    "distributed": "Spread over units (distributed)", "not told apart": "One unit or several, not told apart",
}  # fmt: skip


def code_words(findings: Findings) -> str:
    """Return how units hold the signals that the task needs; empty where that is not known."""
    needed = [fact for fact in findings.signals if fact.role in ("target", "latent") and fact.held]
    held = {code: [fact.signal for fact in needed if fact.code == code] for code in CODES}
    told = [f"{CODES[code]}: {listing(names)}." for code, names in held.items() if names]
    return " ".join(told + ["Each in the layer that tells most of it."] * bool(told and findings.layers))


def origin_words(findings: Findings) -> str:
    """Return what is known of how the network began; empty where it is known, or not looked at."""
    if len(findings.origins) < 2:
        return ""
    return (
        "It is not known how this network began: a unit tracks a signal only where no usual initialisation "
        f"gives one like it ({'; '.join(findings.origins)})."
    )


#: What each null does to tell what chance is.
_NULLS = {
    "shuffle": "exchanging whole sequences (or groups of them) of the signal",
    "roll": "rolling each sequence of the signal in time",
    "shift": "shifting the series of the signal in time",
}  # fmt: skip


def rule_words(settings: Mapping[str, Any], earlier: bool = False, origins: int = 1) -> str:
    """Return the rule by which a unit tracks, with a run's own thresholds.

    Args:
        settings: of the probes.
        earlier: the rule of runs of before.
        origins: in how many ways untrained networks began; 0 or 1 where that is known.
    """
    percent = f"{100 * settings.get('alpha', 0.05):g} %"
    chance = (
        f"{_NULLS[settings.get('null', 'shuffle')]} gives as much in no more than {percent} of cases, for all units, "
        "variables and signals together"
    )
    if earlier:
        return (
            "This run was measured by an earlier version: the effect is at least "
            f"{settings.get('min_effect', 0.25):g}; it lies at least {settings.get('margin', 0.05):g} above untrained "
            f"units, the present input by a straight line, and the step's number; and {chance}."
        )
    share, number_bar, class_bar = 100 * settings["margin"], settings["min_effect"], settings["min_effect_class"]
    same = ", which is as strong" if abs(equal_strength(number_bar) - class_bar) < 0.005 else ""
    return (
        f"All of this holds: (1) the effect is at least {number_bar:g} for numbers, {class_bar:g} for yes/no and "
        f"classes{same}; (2) {chance}; (3) of what the present input (by any function that was tried) and the step's "
        f"number leave open, it closes at least {share:g} %, and is {settings['least_margin']:g} higher; (4) so it "
        "does with what the unit itself tells after another sequence's past, and is "
        f"{settings['least_swap']:g} higher; (5) of {settings['untrained']} untrained networks of its kind and this "
        f"one, no more than {percent} have a unit that stands out as much, for any signal{_each_way(origins)}."
    )


def _each_way(origins: int) -> str:
    return f", in whichever of {origins} ways they began" if origins > 1 else ""


def worth_telling(findings: Findings) -> list[SignalFact]:
    """Return the signals that the task needs, and all that a unit was found to hold; those that one tracks first."""
    own = [fact for fact in findings.signals
           if fact.role in ("target", "latent") or fact.tracked_by or fact.held_by or fact.goes_with]  # fmt: skip
    return sorted(own, key=lambda fact: not fact.tracked_by)


def beside_words(findings: Findings) -> list[str]:
    """Return what is to be said beside that: what was not found, how signals are held, what could not be tested."""
    told = worth_telling(findings)
    quiet = [fact.signal for fact in findings.signals if fact not in told and fact.testable]
    none = f"No unit was found to track what the task does not need: {', '.join(quiet)}." if quiet else ""
    told_of = (code_words(findings), none, untested_words(findings.untested), origin_words(findings))
    return [line for line in told_of if line]


def corrected_words(
    probe: Mapping[str, Any], ablate: Mapping[str, Any], earlier: bool = False, origins: int = 1
) -> list[str]:
    """Return what the claims on a run were corrected for, and what they were not; arguments as of `rule_words`."""
    lines = [
        f"Fitting: every score is of sequences that its fit did not see, in {probe['folds']} parts; sequences of one "
        "group always stay together, and steps of one sequence never stand on both sides.",
        f"Looking often: {_NULLS[probe['null']]}, {probe['permutations']} times, gives the largest effect over all "
        "units, variables and lags that a signal has by chance (maximum statistic); over signals by Holm's method, at "
        f"{100 * probe['alpha']:g} %.",
    ]
    if not earlier:
        lines += [
            "What is known without memory: the step's number, the present input by any function that was tried, and "
            "the unit itself after another sequence's past.",
            f"What networks hold without training: {probe['untrained']} untrained ones of the same kind"
            f"{_each_way(origins)}.",
        ]
    return [
        *lines,
        "Clamping: what only shifts or stretches an output is taken off by a refit, and an unclamped copy has to give "
        f"the network's own outputs. Intervals are from {ablate['bootstrap']} resamples of sequences; those of losses "
        "are of one unit each, not corrected for the number of units.",
        "Not corrected for: that this is one network. Other seeds may spread the work differently.",
    ]
