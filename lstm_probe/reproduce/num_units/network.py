"""One trained network: what its task asks, and what each of its units remembers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lstm_probe.causal.status import NOW
from lstm_probe.core.numbers import estimate, number
from lstm_probe.findings.evidence import Findings, SignalFact
from lstm_probe.findings.words import further_words, listing, signal_words
from lstm_probe.reproduce.num_units.making import Material
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run

#: Steps of the example that are shown.
SHOWN = 14

#: What the default task's signals are like, for who has never met them.
_LIKE = {
    "count": "a score: up adds one, down takes one away",
    "latch": "a switch: set turns it on, reset turns it off, and it stays so",
    "parity": "a light with a push button: each flip turns it on or off, so that it is on after an odd number of flips",
    "leak": "an average that fades: each step keeps {percent} of it and adds some of the noise",
    "since": "a stopwatch: the steps since the last tick, at most {cap}",
    "ticks": "how many ticks there were; nobody asks for it",
    "step": "the step's own number; nobody asks for it",
}


@dataclass(frozen=True)
class Meaning:
    """A signal: its name, whether the network is asked for it, and what it is."""

    signal: str
    asked: bool
    meaning: str


def owners(findings: Findings) -> dict[str, tuple[str, ...]]:
    """Return, for each signal, the labels of the units whose own it is: the one that they track best, as it is now."""
    found: dict[str, tuple[str, ...]] = {fact.signal: () for fact in findings.signals}
    for unit in findings.units:
        if unit.best is not None and unit.best.how == NOW and unit.best.lag == 0:
            found[unit.best.signal] += (unit.label,)
    return found


def meanings(run: Run) -> list[Meaning]:
    """Return what a run's signals are, targets first, in plain words where there are some."""
    task: Any = run.task
    told, parameters = [], {**vars(task), "percent": f"{100 * getattr(task, 'decay', 0):g} %"}
    for signal in task.sample(1).signals.values():
        like = _LIKE.get(signal.name, "").format(**parameters) if task.name == "tracking" else ""
        told.append(Meaning(signal.name, signal.role == "target", like or signal.meaning))
    return sorted(told, key=lambda one: not one.asked)


def example(run: Run, steps: int = SHOWN) -> list[tuple[str, str, list[str]]]:
    """Return the first steps of a recorded sequence: "reads" or "answers", the name, and the value at each step."""
    inputs = run.examples["inputs"][0, :steps]
    rows = [("reads", name, [_short(v) for v in inputs[:, k].tolist()]) for k, name in enumerate(run.task.input_names)]
    for target in run.task.targets:
        values = run.examples[f"signal.{target.name}"][0, :steps].tolist()
        rows.append(("answers", target.name, [_short(v) for v in values]))
    return rows


def _short(value: float) -> str:
    """Return a value of an example as short as it may be.

    >>> _short(1.0), _short(-0.25), _short(-0.01)
    ('1', '-0.2', '0.0')
    """
    return f"{value:.0f}" if value == round(value) else f"{round(value, 1) + 0.0:.1f}"


def chosen(material: Material) -> tuple[Run, str]:
    """Return the network that is looked at closely, and why: the first of the smallest size that always did the task.

    Where no size did it in every seed, it is the one that came nearest.
    """
    for units in material.sizes:
        runs = material.of_size(units)
        if all(run.info["solved"] for run in runs):
            which = f"the smallest of {len(material.sizes)} sizes" if len(material.sizes) > 1 else "a size"
            each = f"in each of {len(runs)} networks" if len(runs) > 1 else "in its one network"
            return runs[0], f"It is the first network of {which} that did the whole task {each}."
    best = max(material.runs, key=lambda run: (min(run.info["scores"].values()), -run.info["units"]))
    lowest = number(min(best.info["scores"].values()))
    return best, f"No size did the whole task in every network; this one came nearest (its lowest score is {lowest})."


def follow_words(fact: SignalFact, own: Sequence[str]) -> str:
    """Return in one sentence which unit follows a signal, for who has not met the word effect."""
    if not fact.tracked_by or fact.best is None:
        return signal_words(fact)
    first, value = fact.tracked_by[0], estimate(fact.best.effect, fact.best.low, fact.best.high)
    words = f"{fact.signal}: unit {first} follows it; its memory alone tells {fact.signal} with an effect of {value}"
    words += further_words(fact, 6)
    return words + ("" if first in own else f"; but unit {first} follows another signal more closely") + "."


@dataclass(frozen=True)
class Network:
    """What is told of the network that is looked at closely.

    Attributes:
        run: the network.
        findings: what its tables say.
        why: why this one.
        meanings: what its signals are.
        example: the first steps of a sequence.
        follows: a sentence for each target.
        gist: what they say together.
    """

    run: Run
    findings: Findings
    why: str
    meanings: Sequence[Meaning]
    example: Sequence[tuple[str, str, Sequence[str]]]
    follows: Sequence[str]
    gist: str


def network(material: Material) -> Network:
    """Return what is told of one trained network."""
    run, why = chosen(material)
    findings = find_in(run)
    own = owners(findings)
    targets = [fact for fact in findings.signals if fact.role == "target"]
    follows = [follow_words(fact, own[fact.signal]) for fact in targets]
    return Network(run, findings, why, meanings(run), example(run), follows, gist(targets, own))


def gist(targets: Sequence[SignalFact], own: Mapping[str, Sequence[str]]) -> str:
    """Return how many of the targets have a unit of their own, and which."""
    have = [fact.signal for fact in targets if own[fact.signal]]
    not_one = [fact.signal for fact in targets if not own[fact.signal]]
    n = len(targets)
    if not have:
        return f"None of the {n} things that it has to remember was found to have a unit of its own."
    if not not_one:
        return f"Each of the {n} things that it has to remember was found to have a unit of its own."
    other = "none was found" if len(not_one) == 1 else "none was found for any of them"
    return (
        f"{len(have)} of the {n} things that it has to remember were found to have a unit of their own: "
        f"{listing(have)}. For {listing(not_one)} {other}: what is remembered need not sit in one unit."
    )
