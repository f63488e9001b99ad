"""What a unit's card says of interchange: whether the outputs read its signals, or what else from it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lstm_probe.causal.following import ANY
from lstm_probe.causal.status import EARLIER
from lstm_probe.core.numbers import estimate, number
from lstm_probe.findings.cards import About
from lstm_probe.findings.words import listing

READS, LITTLE, NO, ANOTHER, NO_PAIR = "yes", "little", "no", "another signal", "no pair"


def patch_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Say of each signal that a unit tracks whether the output reads it, and what else the outputs read from the unit.

    Args:
        own: the unit's rows of `patches`.
        about: the unit.
    """
    unit = about.unit
    tracked = [one.signal for one in (unit.best, *unit.others) if one is not None and one.how != EARLIER]
    told: set[str] = set()
    reads = False
    for signal in dict.fromkeys(tracked):
        rows = own[own["signal"] == signal]
        if len(rows):
            read = list(dict.fromkeys(rows.loc[rows["reads"] == READS, "target"]))
            told |= {*read} | ({signal} & {*rows["target"]})
            reads |= bool(read)
            yield _of_signal(signal, rows, read)
    yield from _of_others(own[(own["signal"] == ANY) & ~own["target"].isin(told)], about, bool(tracked), reads)


def _of_signal(signal: str, rows: pd.DataFrame, read: list[str]) -> str:
    """Return the sentence on a signal that the unit tracks."""
    if read:
        alike = list(dict.fromkeys(name for both in rows["not_apart"] for name in both.split(",") if name))
        apart = f", or {listing(alike)}, which can't be told from it in these pairs" if alike else ""
        moves = listing([f"{'the' if target == signal else target}: {moved(rows[rows['target'] == target])}"
                         for target in read]) if len(read) > 1 else moved(rows[rows["target"] == read[0]])  # fmt: skip
        where = "output" if read == [signal] else f"output {read[0]}" if len(read) == 1 else "outputs"
        return f"The {where} read{'' if len(read) > 1 else 's'} its {signal}{apart}: put in from another sequence, " \
               f"it moves {moves}."  # fmt: skip
    known = rows[rows["reads"] != NO_PAIR]
    if known.empty:
        return f"Whether an output reads its {signal} could not be tested: in no pair of sequences does that move one."
    span = f"moved {number(known['ci_low'].min())} to {number(known['ci_high'].max())}, {later(known)}"
    one = list(known["target"].unique()) == [signal]
    if (known["reads"] == NO).all():
        which = "the output does" if one else "the outputs do"
        return f"It tracks {signal}, but {which} not read it from this unit ({span})."
    if known["reads"].isin((NO, LITTLE)).all():
        which = "the output reads" if one else "the outputs read"
        return f"It tracks {signal}, but {which} little of it from this unit ({span})."
    other = known[known["reads"] == ANOTHER]
    if len(other):
        what = listing(list(dict.fromkeys(name for name in other["instead"] if name)) or ["other signals"])
        return f"It tracks {signal}, but what {listing(list(other['target'].unique()))} reads from it goes with {what}."
    return f"Whether the output reads its {signal} from this unit could not be told ({span})."


def _of_others(rows: pd.DataFrame, about: About, tracks: bool, reads: bool) -> Iterator[str]:
    """Go through the sentences on targets whose signal the unit does not track, or that none is called like."""
    read = list(dict.fromkeys(rows.loc[rows["reads"] == READS, "target"]))
    needed = {cost.target for cost in about.unit.costs} | {*about.unit.together}
    if read:
        moves = listing([f"{target}: {moved(rows[rows['target'] == target])}" for target in read])
        if tracks and not reads and needed & {*read}:
            yield f"It is needed, for something else: put in from another sequence, it moves {moves}."
        else:
            what = "other outputs, too" if reads else "these outputs"
            yield f"It moves {what}, put in from another sequence: {moves}."
    still = [target for target, own in rows.groupby("target", sort=False) if own["reads"].isin((NO, LITTLE)).all()]
    if unread := [cost.target for cost in about.unit.costs if cost.target in still]:
        most = rows.loc[rows["target"].isin(unread), ["ci_low", "ci_high"]].abs().to_numpy().max()
        yield f"It is needed for {listing(unread)}, but moves little there ({number(most)} at most, {later(rows)})."


def later(rows: pd.DataFrame) -> str:
    """Return at which steps the outputs were looked at: "1 to 15 steps later", or "earlier" of what reads backwards."""
    least, most = int(rows["after"].min()), int(rows["after"].max())
    way = "earlier" if (rows["direction"] == "reverse").any() else "later"
    return f"{f'{least} to ' if least < most else ''}{most} step{'' if most == 1 else 's'} {way}"


def moved(rows: pd.DataFrame) -> str:
    """Return "0.48 [0.44, 0.52] of what the whole state moves 1 step later, 0.41 after 5, 0.35 after 15".

    The first is that of the first step at which the output reads it: before that, it may move it little.
    """
    known = rows.dropna(subset="moved")
    known = known[known["after"] >= known.loc[known["reads"] == READS, "after"].min()]
    first, *others = list[Any](known.itertuples())
    words = f"{estimate(first.moved, first.ci_low, first.ci_high)} of what the whole state moves {later(known[:1])}"
    return ", ".join([words, *(f"{number(row.moved)} after {row.after}" for row in others)])
