"""The same task with few and with many units: what was learned, what has a unit of its own, what is used."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import number
from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.need_words import short_words
from lstm_probe.findings.words import listing
from lstm_probe.probing.analyses.seeds import FEWEST_SEEDS
from lstm_probe.reproduce.num_units.layer import counts
from lstm_probe.reproduce.num_units.making import Material
from lstm_probe.reproduce.num_units.network import owners
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.making import LEARNED
from lstm_probe.runs.run import Run
from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
from lstm_probe.sizing.sweeps import capacity_seeds, capacity_table
from lstm_probe.sizing.used import used_table, used_words

#: What is counted of each network, by the quantity of `sizing.sweeps`.
_COUNTED = {"needed_alone_units": "alone", "needed_together_units": "together", "not_needed_units": "not_needed"}


@dataclass(frozen=True)
class SizeRow:
    """What networks of one size did.

    Attributes:
        units: the size.
        parameters: of the layer, in PyTorch.
        solved: how many networks did the whole task.
        of: how many there are.
        scores: of each target, each network's score, by seed.
        reached: of each target, how many networks did it to the full (see `size_outcomes`).
        own: of each target, in how many networks some unit's own it is.
        effects: of each target, the mean effect of the unit that tells most of it.
        alone: units needed alone, of each network; "–" where that is not known.
        together: units needed together.
        not_needed: units not needed.
        used: units used after a merge of the others.
        seconds: that the trainings took, on average.
        gists: each network, and which unit remembers what in it, in a line.
    """

    units: int
    parameters: int
    solved: int
    of: int
    scores: Mapping[str, Sequence[float]]
    reached: Mapping[str, int]
    own: Mapping[str, int]
    effects: Mapping[str, float]
    alone: Sequence[str]
    together: Sequence[str]
    not_needed: Sequence[str]
    used: Sequence[str]
    seconds: float
    gists: Sequence[tuple[Run, str]]

    @property
    def runs(self) -> list[Run]:
        """The networks, by seed."""
        return [run for run, _ in self.gists]

    @property
    def words(self) -> str:
        """The size in words, such as "8 units"."""
        return f"{self.units} unit{'s' * (self.units > 1)}"

    def span(self, target: str) -> str:
        """Return a target's scores, from the lowest to the highest; the lowest is not rounded up."""
        low, high = (math.floor(100 * max(value, 0.0)) / 100 for value in (min(self.scores[target]),
                                                                         max(self.scores[target])))  # fmt: skip
        return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


@dataclass(frozen=True)
class Sizes:
    """What is told of all sizes.

    Attributes:
        rows: a row for each size.
        targets: their names.
        outcomes: which sizes did the task, a sentence for each target; the first says what counts.
        own: which targets have a unit of their own from which size on, a sentence each.
        used: whether larger networks use more units; empty where that is not known.
        seeds: what so many networks of each size can show.
        table: columns `CAPACITY_COLUMNS`.
        each: columns `CAPACITY_SEED_COLUMNS`.
        used_table: columns `USED_COLUMNS`.
    """

    rows: Sequence[SizeRow]
    targets: Sequence[str]
    outcomes: Sequence[str]
    own: Sequence[str]
    used: str
    seeds: str
    table: pd.DataFrame
    each: pd.DataFrame
    used_table: pd.DataFrame


def sizes(material: Material) -> Sizes:
    """Return what the networks of all sizes did."""
    runs = list(material.runs)
    each, used = capacity_seeds(runs), used_table(runs)
    targets = list(runs[0].info["scores"])
    findings = {run.name: find_in(run) for run in runs}
    reached = size_outcomes(runs)
    rows = [_row(material.of_size(units), targets, findings, each, used, reached) for units in material.sizes]
    outcomes = next(iter(outcome_words(reached).values()))
    return Sizes(
        rows, targets, outcomes, [own_words(target, rows) for target in targets],
        next(iter(used_words(used).values()), ""), seed_words(max(row.of for row in rows)),
        capacity_table(runs), each, used,
    )  # fmt: skip


def _row(
    runs: Sequence[Run], targets: Sequence[str], findings: Mapping[str, Findings], each: pd.DataFrame,
    used: pd.DataFrame, reached: pd.DataFrame,
) -> SizeRow:  # fmt: skip
    units = int(runs[0].info["units"])
    owned = [owners(findings[run.name]) for run in runs]
    best = [{fact.signal: fact.best.effect for fact in findings[run.name].signals if fact.best} for run in runs]
    known = each[each["units"] == units].pivot(index="seed", columns=["quantity", "target"], values="value")

    def told(quantity: str) -> list[str]:
        found: Any = known.get((quantity, ""), {})
        return [_count(found.get(run.info["seed"], math.nan)) for run in runs]

    here = reached["units"] == units
    of_size = used[used["units"] == units]
    merged = dict(zip(of_size["seed"], of_size["used"]))
    return SizeRow(
        units, counts(runs[0].task.n_inputs, [units])[0].counted, sum(run.info["solved"] for run in runs), len(runs),
        {target: [float(run.info["scores"][target]) for run in runs] for target in targets},
        {target: int(reached.loc[here & (reached["target"] == target), "reached"].iloc[0]) for target in targets},
        {target: sum(bool(own.get(target)) for own in owned) for target in targets},
        {target: sum(one.get(target, math.nan) for one in best) / len(runs) for target in targets},
        **{name: told(quantity) for quantity, name in _COUNTED.items()},
        used=[_count(merged.get(run.info["seed"], math.nan)) for run in runs],
        seconds=sum(float(run.info["seconds"].get("train", math.nan)) for run in runs) / len(runs),
        gists=[(run, short_words(findings[run.name])) for run in runs],
    )  # fmt: skip


def _count(value: float) -> str:
    return number(float(value), 0)


def own_words(target: str, rows: Sequence[SizeRow]) -> str:
    """Return from which size on a target has a unit of its own, in one sentence."""
    some = [row for row in rows if row.own[target]]
    if not some:
        return f"{target}: no unit of its own was found in any network."
    always = [row for k, row in enumerate(rows) if all(later.own[target] == later.of for later in rows[k:])]
    first = some[0]
    words = f"{target}: first with {first.words} ({first.own[target]} of {first.of} networks)"
    if always:
        words += f"; in every network {'from this size on' if always[0] is first else f'from {always[0].words} on'}"
    else:
        missing = [row.words for row in rows if row.units > first.units and row.own[target] < row.of]
        words += f"; not in every network with {listing(missing)}" if missing else "; in no larger one"
    return words.replace("; in no larger one", "") + "."


def seed_words(n: int) -> str:
    """Return what n networks of a size can show.

    >>> print(seed_words(1))
    Only one network of each size was trained, from one random start: another start may end otherwise.
    """
    if n == 1:
        return "Only one network of each size was trained, from one random start: another start may end otherwise."
    fail = round(100 * (1 - 0.05 ** (1 / n)))
    words = (
        f"Each size was trained {n} times, from {n} random starts (seeds), and the same size can end differently. So "
        f"few show what happens, not how often: even where all {n} did it, {fail} % of all starts might fail (the 95 % "
        "bound)."
    )
    few = f" Intervals are given from {FEWEST_SEEDS} on." if n < FEWEST_SEEDS else ""
    return words + few


def lost(row: SizeRow) -> list[str]:
    """Return the targets that no network of a size learned."""
    return [target for target, values in row.scores.items() if max(values) < LEARNED]
