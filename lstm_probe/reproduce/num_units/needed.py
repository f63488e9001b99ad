"""How many units are needed: what is known exactly, what a search finds, and what too few and too many do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lstm_probe.core.numbers import number
from lstm_probe.figures.recall_law import RECALL_COLUMNS
from lstm_probe.findings.words import listing
from lstm_probe.reproduce.capacity import RECALL_UNITS
from lstm_probe.reproduce.networks import settings
from lstm_probe.reproduce.num_units.making import LAW, Material
from lstm_probe.reproduce.num_units.sizes import SizeRow, lost
from lstm_probe.reproduce.store import Reproduction
from lstm_probe.sizing.answer import Size, units_words

#: How far above the law a network may lie by the chance of its test sequences.
ABOVE = 0.03


@dataclass(frozen=True)
class Needed:
    """What is told of how many are needed.

    Attributes:
        law: sentences on how many numbers so many units hold.
        recalled: columns `RECALL_COLUMNS`.
        begin: what came of counting here.
        size: what the search found.
        few: what too few units did, a sentence each.
        many: what more units than enough did.
        advice: where to begin, after all that.
    """

    law: Sequence[str]
    recalled: pd.DataFrame
    begin: str
    size: Size
    few: Sequence[str]
    many: Sequence[str]
    advice: str


def needed(material: Material, rows: Sequence[SizeRow]) -> Needed:
    """Return how many units are needed.

    Args:
        material: of the answer.
        rows: what networks of each size did.
    """
    recalled = recall_table(material.law)
    begin = begin_words(len(rows[0].scores), material.size)
    return Needed(law_words(recalled, material.law), recalled, begin, material.size, few_words(rows), many_words(rows),
                  advice_words(rows))  # fmt: skip


def recall_table(law: Reproduction) -> pd.DataFrame:
    """Return what share of the numbers' variance each network said again, and the most that its size can."""
    values = int(settings(LAW).task["values"])
    rows = [
        (units, seed, values, 1 - own[f"mse_{units}"], min(1.0, units / values))
        for units in sorted(RECALL_UNITS)
        for seed, own in sorted(law.values.items())
    ]
    return pd.DataFrame(rows, columns=list(RECALL_COLUMNS))


def law_words(recalled: pd.DataFrame, law: Reproduction) -> list[str]:
    """Return what networks of so many units recalled, and whether that is what the law says."""
    values = int(recalled["values"].iloc[0])
    enough = recalled[recalled["units"] >= values]["recalled"]
    fewer = recalled[recalled["units"] < values]
    by_size = fewer.groupby("units").agg(best=("recalled", "max"), law=("law", "first"))
    told = [f"{units} units {number(float(best), 3)} (at most {float(most):g})"
            for units, best, most in zip(by_size.index, by_size["best"], by_size["law"])]  # fmt: skip
    lines = []
    if len(enough):
        all_of_them = float(enough.min()) >= 0.99
        most = f"{number(float(enough.max()), 3)} at best" if not all_of_them else (
            f"all of it ({number(float(np.floor(1000 * enough.min()) / 1000), 3)} at least)")  # fmt: skip
        lines.append(f"With {values} units for {values} numbers, the networks said {most}.")
    if told:
        lines.append(f"With fewer, the best network of each size said this share: {', '.join(told)}.")
    over = fewer[fewer["recalled"] > fewer["law"] + ABOVE]
    chance = f"(give or take {ABOVE:g}, for the sequences that it was tested on)"
    lines.append(f"No network said more than the law allows {chance}." if over.empty else
                 f"{len(over)} of {len(fewer)} said more than that {chance}: here the law did not hold.")  # fmt: skip
    return [*lines, f"As a published result, measured again: {law.verdict} ({law.result.source})."]


def begin_words(things: int, size: Size) -> str:
    """Return what a search found beside the number of things that a task asks for.

    Args:
        things: how many a task asks for at once.
        size: what the search found.
    """
    asks = f"The task above asks for {things} thing{'s' * (things > 1)} at once, and"
    if size.units is None:
        return f"{asks} no size of up to {size.largest} units was found to be enough for half of the trainings."
    than = "more" if size.units > things else "fewer" if size.units < things else "just as many"
    return f"{asks} needs {units_words(size.units)}, which is {than}: only trying it out showed that."


def few_words(rows: Sequence[SizeRow]) -> list[str]:
    """Return what was lost at each size at which some network did not do the whole task."""
    lines = []
    for row in rows:
        if row.solved == row.of:
            continue
        gone = lost(row)
        partly = [f"{target} ({row.span(target)})" for target in row.scores
                  if target not in gone and row.reached[target] < row.of]  # fmt: skip
        told = [f"{listing(gone)} {'was' if len(gone) == 1 else 'were'} learned by none"] if gone else []
        told += [f"{listing(partly)} not to the full by every one"] if partly else []
        lines.append(f"{row.words}: {row.solved or 'none'} of {row.of} did the whole task; {'; '.join(told)}.")
    return lines or ["None of these sizes was too small."]


def many_words(rows: Sequence[SizeRow]) -> list[str]:
    """Return what networks larger than the smallest that always did the task did otherwise, and what they cost."""
    done = [row for row in rows if row.solved == row.of]
    if not done:
        return ["No size did the whole task in every network, so there is none that could be called more than enough."]
    first, last = done[0], rows[-1]
    if first is last:
        return [f"{first.words}, the most that were tried, are the fewest that always did it: what more would do was "
                "not tried."]  # fmt: skip
    failed = [row.words for row in rows if row.units > first.units and row.solved < row.of]
    lowest = min(min(values) for values in last.scores.values())
    lines = [
        f"{last.words}, {last.units / first.units:g} times as many as the {first.units} that were enough, did the "
        f"whole task in {last.solved} of {last.of} networks (lowest score of an answer: {number(lowest, 3)})."
    ]
    if failed:
        lines.append(f"More did not always do better: with {listing(failed)} not every network did it.")
    lines.append(f"They have {last.parameters:,} parameters instead of {first.parameters:,}; a training took "
                 f"{last.seconds:.0f} s instead of {first.seconds:.0f} s.")  # fmt: skip
    idle = [value for value in last.not_needed if value != "–"]
    if idle:
        lines.append(f"Of their {last.units} units, {listing(idle)} were found not to be needed"
                     f"{' (one number for each network)' if len(idle) > 1 else ''}.")  # fmt: skip
    used = [value for value in last.used if value != "–"]
    if used:
        counts = listing(list(dict.fromkeys(used)))
        lines.append(f"{counts} of the {last.units} carry the task when all others are merged into them.")
    return lines


def advice_words(rows: Sequence[SizeRow]) -> str:
    """Return where to begin with a task of one's own, by what larger networks did here."""
    done = [row for row in rows if row.solved == row.of]
    then = "Look at how many of your network's units are used, and let a search find how few are enough."
    if not done:
        return f"Here no size always did the whole task: begin with the largest that you can afford to train. {then}"
    larger = [row for row in rows if row.units > done[0].units]
    if not larger:
        return f"Here the largest size was just enough, so begin with more than you think is needed. {then}"
    if all(row.solved == row.of for row in larger):
        return f"Here more than enough did no harm, so begin with more than you think is needed. {then}"
    return f"Here some larger networks failed, so more is not always safe: train each size with several seeds. {then}"
