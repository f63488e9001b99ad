"""What a run's task asks of a network, and what each of its signals means: a sentence each, from its own declarations.

A task that reads a file which is gone, or is of somebody's own and not at hand, says nothing: then what the tables
know of its signals stands there, their kind and role.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.target import Target
from lstm_probe.core.vocabulary import ROLES
from lstm_probe.findings.evidence import Findings
from lstm_probe.runs.run import Run
from lstm_probe.tasks.base import Task

#: With more inputs than these, they are counted.
MOST_INPUTS = 12

#: What a target of each loss is, at every step.
LOSSES = {
    "regression": "{size} numbers",
    "multilabel": "a yes or no to each of {size} questions",
    "binary": "a yes or no",
    "next_symbol": "which of {size} symbols comes next",
    "class": "which of {size} classes it is",
}

#: What a score is, by metric; 0 is chance.
SCORES = {
    "r2": "the share of the variance explained",
    "exact_sequences": "the share of sequences that are right at every step",
    "accuracy": "how often it is right, beyond chance",
    "explained_entropy": "the share explained of how uncertain the symbol is",
}


@dataclass(frozen=True)
class Term:
    """A target or a signal: its name, what it means, and in a word or two what it is there for."""

    name: str
    meaning: str
    role: str


@dataclass(frozen=True)
class Told:
    """What a run is about.

    Attributes:
        sentence: what the task asks; empty where the task is not at hand.
        source: where it was published.
        reads: what goes in at every step; empty where that is not known.
        terms: targets that are no signals, then signals, in reading order.
    """

    sentence: str
    source: str
    reads: str
    terms: tuple[Term, ...]


def told_of(run: Run, findings: Findings) -> Told:
    """Return what a run's task asks and what its signals mean; what is known of them, where the task is not at hand."""
    kinds = {fact.signal: (fact.kind, fact.role) for fact in findings.signals}
    try:
        task = run.task
        signals = {clean(name): signal for name, signal in task.sample(1, run.info["seed"]).signals.items()}
    except InputError:  # its file is gone, or its class is not here
        return Told("", "", "", _terms(kinds, {}, {}, run.info["scores"]))
    meanings = {name: signal.meaning for name, signal in signals.items()}
    kinds = {name: (signal.kind, signal.role) for name, signal in signals.items()} | kinds
    targets = {clean(target.name): target for target in task.targets}
    return Told(
        _sentence(task.summary), task.source, _reads(task), _terms(kinds, meanings, targets, run.info["scores"])
    )


def _sentence(words: str) -> str:
    """Return words as a sentence.

    >>> _sentence("as many b's as a's"), _sentence("how many are open?")
    ("As many b's as a's.", 'How many are open?')
    """
    return words[:1].upper() + words[1:] + ("" if words[-1:] in tuple(".?!") else ".")


def _reads(task: Task) -> str:
    names, n = task.input_names, task.n_inputs
    listed = f": {', '.join(names)}" if n <= MOST_INPUTS else ""
    return f"At every step it reads {n} number{'' if n == 1 else 's'}{listed}."


def _terms(
    kinds: Mapping[str, tuple[str, str]], meanings: Mapping[str, str], targets: Mapping[str, Target],
    scores: Mapping[str, float],
) -> tuple[Term, ...]:  # fmt: skip
    own = [Term(name, _asked(targets.get(name)), "target") for name in {**targets, **scores} if name not in kinds]
    order = tuple(ROLES)
    ranked = sorted(kinds.items(), key=lambda item: order.index(item[1][1]) if item[1][1] in order else len(order))
    return (*own, *(Term(name, meanings.get(name) or f"{kind}; not said what it means", role)
                    for name, (kind, role) in ranked))  # fmt: skip


def _asked(target: Target | None) -> str:
    """Return what a target is that no signal explains."""
    if target is None:
        return "not said what it means"
    alone = {"regression": "a number", "multilabel": "a yes or no"} if target.size == 1 else {}
    what = alone.get(target.loss, LOSSES[target.loss].format(size=target.size))
    return f"{what}; scored by {SCORES[target.metric]}"
