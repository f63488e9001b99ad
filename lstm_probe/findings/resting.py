"""At which values of its memory a unit comes to rest, for each value of the signal that it tracks."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import number
from lstm_probe.findings.cards import About
from lstm_probe.findings.words import listing, values_of

#: Metrics of signals whose values are classes.
OF_CLASSES = ("auroc", "macro_auroc")
#: Values that differ by more are told as a range.
ALIKE = 0.005


def rest_sentences(points: pd.DataFrame, about: About) -> Iterator[str]:
    """Say where a unit's memory comes to rest without input, by the classes of the signal that it tracks best.

    Only attractors at which states of the data end count.

    Args:
        points: the whole table of `fixed_points`, with its `attrs`.
        about: the unit.
    """
    best, told = about.unit.best, points.attrs.get("inputs", ())
    if best is None or best.metric not in OF_CLASSES or about.findings.variable != "c" or points.empty:
        return
    if not told or any(told[0]["input"]) or not told[0]["own_inputs"]:  # not what happens without input
        return
    layer, _, unit = about.unit.key
    at = layer * int(points["units"].iloc[0]) + unit
    own = points[(points["input"] == 0) & points["stable"].astype(bool) & (points["share"] > 0)]
    resting: dict[str, list[float]] = {}
    rows: Any = own.itertuples()
    for row in rows:
        named = values_of(str(row.signals))
        if best.signal not in named or not len(row.c):
            return
        resting.setdefault(named[best.signal], []).append(float(row.c[at]))
    if not resting:
        return
    values = sorted(resting)
    words = [f"{_span(resting[value])} where {best.signal}={value}" for value in values]
    apart = _apart(list(resting.values()))
    so = "" if apart else f"; so {'it' if len(values) > 1 else 'that'} does not tell {best.signal} from there"
    share = told[0]["attractors"]
    ended = "all states" if share == 1 else f"{100 * share:.0f} % of states"
    yield f"Left without input, it comes to rest at {listing(words)}{so} ({ended} come to rest)."


def _span(values: list[float]) -> str:
    """Return a value, or the range of several: "0.93", "0.90 to 0.97"."""
    low, high = min(values), max(values)
    if high - low <= ALIKE:
        low = high = math.fsum(values) / len(values)
    words = number(low) if low == high else f"{number(low)} to {number(high)}"
    return words.replace("-", "−")


def _apart(groups: list[list[float]]) -> bool:
    """Return whether there are several ranges, of which none overlaps another."""
    ordered = sorted(groups, key=min)
    return len(groups) > 1 and all(max(one) < min(two) for one, two in pairwise(ordered))
