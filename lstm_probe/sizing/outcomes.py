"""Which of the sizes that were tried solve a task, in how many seeds, and what was not tried: never more than was seen.

A size that failed in two seeds may do in a third, and one that was not tried may do either. So no sentence here says
how many units are needed: it says what every size did, and between which sizes the change lies.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import floored
from lstm_probe.findings.words import listing
from lstm_probe.runs.making import LEARNED
from lstm_probe.runs.run import Run
from lstm_probe.sizing.sweeps import experiments

OUTCOME_COLUMNS = ("task", "layers", "target", "criterion", "threshold", "units", "n_seeds", "reached", "best")

#: More parts of a sentence than these are put together.
MOST_PARTS = 12

#: What a target's threshold is: the task's own, or that of `runs.making.LEARNED` where the task has none.
SOLVED, LEARNT = "solved", "learned"


def size_outcomes(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how many seeds of each size that was tried reached what counts as solved.

    Returns:
        Columns `OUTCOME_COLUMNS`, one row for each experiment (column `task`, see `experiments`: by what was trained),
        target and size, by size. `layers`: how many have that size each. `target`: empty for all targets of a network
        at once, where there are several. `criterion`: "solved", where the task says from which score on a target is
        solved; "learned", where that is not known: what the best score is depends on the data of a table or a text,
        or the task cannot be made here. `threshold`: that score, NaN for all targets at once where theirs differ.
        `n_seeds`: networks of that size; `reached`: how many of them got so far; `best`: the highest score of these
        networks (for all targets at once, of their lowest).
    """
    rows = []
    for task, members in experiments(runs, measured=False).items():
        about = (task, members[0].info.get("layers", 1))
        criterion, thresholds = _thresholds(members[0])
        alike = next(iter(thresholds.values())) if len(set(thresholds.values())) == 1 else math.nan
        for target in [""] * (len(thresholds) > 1) + list(thresholds):
            own = [target] if target else list(thresholds)
            for units, of_size in groupby(members, key=lambda run: run.info["units"]):
                scores = [[float(run.info["scores"][one]) for one in own] for run in of_size]
                reached = sum(all(score >= thresholds[one] for one, score in zip(own, each)) for each in scores)
                best = max(min(each) for each in scores)
                rows.append(
                    (*about, target, criterion, thresholds.get(target, alike), units, len(scores), reached, best)
                )
    return pd.DataFrame(rows, columns=list(OUTCOME_COLUMNS))


def _thresholds(run: Run) -> tuple[str, dict[str, float]]:
    """Return what is asked of an experiment's targets, "solved" or "learned", and from which score on."""
    targets = list(run.info["scores"])
    try:
        if run.task.attainable:
            solved = {target.name: target.solved for target in run.task.targets}
            return SOLVED, {target: solved[target] for target in targets}
    except (InputError, KeyError):  # a task or a file of the user's that is not there any more, or is another one
        pass
    return LEARNT, dict.fromkeys(targets, LEARNED)


def outcome_words(outcomes: pd.DataFrame) -> dict[str, list[str]]:
    """Return, for each experiment of `size_outcomes`, what counts, and one sentence for each target."""
    words: dict[str, list[str]] = {}
    for task, of_task in outcomes.groupby("task", sort=False):
        words[str(task)] = [_criterion_words(of_task)]
        words[str(task)] += [_sentence(str(target), own) for target, own in of_task.groupby("target", sort=False)]
    return words


def _criterion_words(own: pd.DataFrame) -> str:
    """Return from which score on a target counts."""
    each = own[own["target"] != ""].groupby("target", sort=False)["threshold"].first()
    scores = [f"{score:g} for {target}" for target, score in each.items()]
    least = f"{each.iloc[0]:g}" if each.nunique() == 1 else listing(scores)
    layers = int(own["layers"].iloc[0])
    each_of = f"; sizes are those of each of {layers} layers" if layers > 1 else ""
    return f"Counts as {own['criterion'].iloc[0]}: a score of at least {least}{each_of}."


def _sentence(target: str, own: pd.DataFrame) -> str:
    """Return what one target's sizes did, from its rows of `size_outcomes`, by size."""
    rows: list[Any] = list(own.itertuples())
    tried = {row.units: (row.reached, row.n_seeds) for row in rows}
    hits = _parts(tried, [size for size in tried if tried[size][0] > 0], first=True)
    misses = _parts(tried, [size for size in tried if tried[size][0] == 0], first=not hits)
    said = f"{target or 'all targets at once'}: {own['criterion'].iloc[0]} with {', with '.join(hits or misses)}"
    said += f"; with {', with '.join(misses)}" if hits and misses else ""
    if not hits:
        best = max(rows, key=lambda row: (row.best, -row.units))
        said += f"; the best score is {floored(best.best)}, with {best.units} unit{'s' * (best.units > 1)}"
    if len(tried) == 1:
        said += "; no other size tried"
    else:
        said += _where(tried) if hits else f"; more than {max(tried)} not tried"
    if max(n for _, n in tried.values()) == 1:
        said += "; one seed" + (" of each size" if len(tried) > 1 else "")
    return said


def _roughly(tried: Mapping[int, tuple[int, int]], sizes: Sequence[int]) -> str:
    """Return what many sizes did, in a few words."""
    every = sum(tried[size][0] == tried[size][1] for size in sizes)
    some = f"some seed, {every} of them in every seed" if tried[sizes[0]][0] else "none of their seeds"
    return f"{len(sizes)} sizes from {sizes[0]} to {sizes[-1]} units in {some}"


def _parts(tried: Mapping[int, tuple[int, int]], sizes: Sequence[int], first: bool) -> list[str]:
    """Return "8 and 32 units in 2 of 2 seeds each" for some sizes, neighbours of equal outcome together.

    Args:
        tried: of each size, how many seeds reached what counts, and how many there are; by size.
        sizes: those to tell of, by size.
        first: whether units and seeds have not been called so yet.
    """
    parts: list[str] = []
    for (reached, n), same in groupby(sizes, key=lambda size: tried[size]):
        together = list(same)
        units, seeds = (f" unit{'s' * (together != [1])}", f" seed{'s' * (n > 1)}") if first else ("", "")
        parts.append(f"{listing(_spans(together))}{units} in {reached} of {n}{seeds}{' each' * (len(together) > 1)}")
        first = False
    return parts if len(parts) <= MOST_PARTS else [_roughly(tried, sizes)]


def _where(tried: Mapping[int, tuple[int, int]]) -> str:
    """Return between which sizes the change from no seed to every seed lies, and what was not tried there."""
    sizes = sorted(tried)
    failed = [size for size in sizes if tried[size][0] < tried[size][1]]
    shares = [reached / n for reached, n in tried.values()]
    falls = "; more units did not always do better" * (shares != sorted(shares))
    if sizes[-1] in failed:
        return f"; not in every seed with {sizes[-1]}, the most units tried{falls}"
    low = max((size for size in sizes if all(tried[s][0] == 0 for s in sizes if s <= size)), default=0)
    high = next(size for size in sizes if not any(f >= size for f in failed))
    gap = [f"fewer than {sizes[0]}"] * (low == 0 and sizes[0] > 1)
    untried = [n for n in range(max(low, sizes[0]) + 1, high) if n not in tried]
    spans = _spans(untried)
    gap += spans if len(spans) <= MOST_PARTS else [f"{len(untried)} sizes between"]
    missing = f"{listing(gap)} not tried" if gap else ""
    if high == sizes[0]:
        return f"; {missing}" if gap else ""
    if low == high - 1:
        return f": {high}, and {low} was tried"
    between = f"between {low + 1} and {high}" if low else f"{high} or fewer"
    return f": {between} ({missing or 'all tried'}){falls}"


def _spans(numbers: Iterable[int]) -> list[str]:
    """Return whole numbers in order, three or more that follow one another by their ends.

    >>> _spans([3, 4, 5, 7, 9, 10])
    ['3 to 5', '7', '9', '10']
    """
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][-1] + 1:
            spans[-1].append(n)
        else:
            spans.append([n])
    return [word for own in spans for word in ([f"{own[0]} to {own[-1]}"] if len(own) > 2 else map(str, own))]
