"""What a unit's card says of interchange: whether the outputs read its signals, or what else from it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.following import ANY
from lstm_probe.causal.status import EARLIER
from lstm_probe.core.joined import parted
from lstm_probe.core.numbers import estimate, known, number
from lstm_probe.findings.cards import About
from lstm_probe.findings.words import listing

READS, LITTLE, NO, ANOTHER, NO_PAIR = "yes", "little", "no", "another signal", "no pair"
#: What is told of a row of `patches`.
_SAID = ("direction", "signal", "target", "reads", "instead", "not_apart", "after", "moved", "ci_low", "ci_high")
Row = Mapping[Any, Any]


def patch_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Say of each signal that a unit tracks whether the output reads it, and what else the outputs read from the unit.

    Args:
        own: the unit's rows of `patches`.
        about: the unit.
    """
    unit = about.unit
    tracked = [one.signal for one in (unit.best, *unit.others) if one is not None and one.how != EARLIER]
    of: dict[str, list[Row]] = {}
    for row in own[list(_SAID)].to_dict("records"):
        of.setdefault(row["signal"], []).append(row)
    told: set[str] = set()
    reads = False
    for signal in dict.fromkeys(tracked):
        if rows := of.get(signal, []):
            read = _read(rows)
            told |= {*read} | ({signal} & {*_targets(rows)})
            reads |= bool(read)
            yield _of_signal(signal, rows, read)
    yield from _of_others([row for row in of.get(ANY, []) if row["target"] not in told], about, bool(tracked), reads)


def _targets(rows: Sequence[Row]) -> list[str]:
    """Return the targets of these rows, as they come."""
    return list(dict.fromkeys(row["target"] for row in rows))


def _read(rows: Sequence[Row]) -> list[str]:
    """Return the targets whose outputs read what these rows are about."""
    return _targets([row for row in rows if row["reads"] == READS])


def _of_signal(signal: str, rows: Sequence[Row], read: list[str]) -> str:
    """Return the sentence on a signal that the unit tracks."""
    if read:
        alike = list(dict.fromkeys(name for row in rows for name in parted(row["not_apart"])))
        apart = f", or {listing(alike)}, which can't be told from it in these pairs" if alike else ""
        moves = listing([f"{'the' if target == signal else target}: {moved(rows, target)}"
                         for target in read]) if len(read) > 1 else moved(rows, read[0])  # fmt: skip
        where = "output" if read == [signal] else f"output {read[0]}" if len(read) == 1 else "outputs"
        return f"The {where} read{'' if len(read) > 1 else 's'} its {signal}{apart}: put in from another sequence, " \
               f"it moves {moves}."  # fmt: skip
    paired = [row for row in rows if row["reads"] != NO_PAIR]
    if not paired:
        return (f"Whether an output reads its {signal} could not be tested: too few pairs of sequences differ in it "
                "and move one.")  # fmt: skip
    ends = [most.reduce([row[end] for row in paired]) for most, end in ((np.fmin, "ci_low"), (np.fmax, "ci_high"))]
    span, when = f"moved {number(float(ends[0]))} to {number(float(ends[1]))}", later(paired)
    one, said = _targets(paired) == [signal], {row["reads"] for row in paired}
    if said == {NO}:
        which = "the output does" if one else "the outputs do"
        return f"It tracks {signal}, but {when} {which} not read it from this unit ({span})."
    if said <= {NO, LITTLE}:
        which = "the output reads" if one else "the outputs read"
        return f"It tracks {signal}, but {when} {which} little of it from this unit ({span})."
    if other := [row for row in paired if row["reads"] == ANOTHER]:
        what = listing(list(dict.fromkeys(row["instead"] for row in other if row["instead"])) or ["other signals"])
        read_by = _targets(other)
        return (
            f"It tracks {signal}, but what {listing(read_by)} read{'s' * (len(read_by) == 1)} from it goes with {what}."
        )
    return f"Whether the output reads its {signal} from this unit could not be told ({span}, {when})."


def _of_others(rows: Sequence[Row], about: About, tracks: bool, reads: bool) -> Iterator[str]:
    """Go through the sentences on targets whose signal the unit does not track, or that none is called like."""
    read = _read(rows)
    needed = {cost.target for cost in about.unit.costs} | {*about.unit.together}
    if read:
        moves = listing([f"{target}: {moved(rows, target)}" for target in read])
        if tracks and not reads and needed & {*read}:
            yield f"It is needed, for something else: put in from another sequence, it moves {moves}."
        else:
            one, several = ("another output, too", "other outputs, too") if reads else ("this output", "these outputs")
            what = one if len(read) == 1 else several
            yield f"It moves {what}, put in from another sequence: {moves}."
    still = {*_targets(rows)} - {row["target"] for row in rows if row["reads"] not in (NO, LITTLE)}
    if unread := [cost.target for cost in about.unit.costs if cost.target in still]:
        most = np.abs([(row["ci_low"], row["ci_high"]) for row in rows if row["target"] in unread]).max()
        yield f"It is needed for {listing(unread)}, but moves little there ({number(most)} at most, {later(rows)})."


def later(rows: Sequence[Row]) -> str:
    """Return at which steps the outputs were looked at: "1 to 15 steps later", or "earlier" of what reads backwards."""
    least, most = (int(end(row["after"] for row in rows)) for end in (min, max))
    way = "earlier" if any(row["direction"] == "reverse" for row in rows) else "later"
    return f"{f'{least} to ' if least < most else ''}{most} step{'' if most == 1 else 's'} {way}"


def moved(rows: Sequence[Row], target: str) -> str:
    """Return "0.48 [0.44, 0.52] of what the whole state moves 1 step later, 0.41 after 5, 0.35 after 15".

    The first is that of the first step at which the output reads it: before that, it may move it little.
    """
    own = [row for row in rows if row["target"] == target and known(row["moved"])]
    begins = min(row["after"] for row in own if row["reads"] == READS)
    first, *others = [row for row in own if row["after"] >= begins]
    words = (
        f"{estimate(first['moved'], first['ci_low'], first['ci_high'])} of what the whole state moves {later([first])}"
    )
    return ", ".join([words, *(f"{number(row['moved'])} after {row['after']}" for row in others)])
