"""What is said of signals that are taken out of the state, and of moves along their directions."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lstm_probe.causal.erasure import SEEN
from lstm_probe.core.numbers import estimate, known, many, number

#: A read-out below this R² sees nothing that could be taken out; one above STEERED can be steered by.
TRACE, STEERED = 0.02, 0.5
#: Taking random directions out does as much where it does so in more than this share of them.
ALPHA = 0.05


#: What is said where no result could be told from so few random directions.
FEW = f"too few to tell it apart ({math.ceil(1 / ALPHA) - 1} are the fewest)"


def too_few(controls: int) -> bool:
    """Return whether no p-value of so many random directions, the signal counted in, is small enough."""
    return 1 / (1 + controls) > ALPHA


def erasure_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each signal: what is left of its own target, and of the one of the others that loses most."""
    rows = []
    for signal, own in table.groupby("signal", sort=False):
        first, others = own.iloc[0], own[(own["target"] != signal) & own["left"].notna()]
        self = own[own["target"] == signal]
        least = others.sort_values("left").iloc[0] if len(others) else None
        rows.append((
            signal, *(_shares(self.iloc[0]) if len(self) else ("", "")),
            "" if least is None else f"{least['target']} {number(least['left'])}",
            "" if least is None else _span(least), number(first["r2_before"]), number(first["r2_worst"]),
            "yes" if first["gone"] else "no",
        ))  # fmt: skip
    names = ["signal", "own_left", "random", "others_least", "random_there", "r2_before", "r2_worst", "gone"]
    return pd.DataFrame(rows, columns=names)


def erasure_sentences(table: pd.DataFrame) -> Iterator[str]:
    """Say of each signal what is left without it, and what is left without random directions."""
    for signal, own in table.groupby("signal", sort=False):
        first = own.iloc[0]
        if first["r2_before"] < TRACE:
            yield f"Of {signal} there was no linear trace to take out (R² {number(first['r2_before'])})."
        elif not first["seen"] >= SEEN:
            yield f"Whether {signal} was taken out was not measured: too few sequences."
        elif not first["gone"]:
            worst = number(first["r2_worst"])
            yield f"{signal} was not taken out everywhere: at a step R² {worst} is left. More sequences may do it."
        elif own["left"].notna().any():
            yield _said(str(signal), own.dropna(subset="left"))


def _said(signal: str, own: pd.DataFrame) -> str:
    variable = {"both": "c and h"}.get(own["variable"].iloc[0], own["variable"].iloc[0])
    others = own[own["target"] != signal]
    self = own[own["target"] == signal]
    shown = self.iloc[0] if len(self) else others.sort_values("left").iloc[0]
    left = [f"{estimate(shown['left'], shown['ci_low'], shown['ci_high'])} of {shown['target']}"]
    rest = others[others["target"] != shown["target"]]
    if len(rest):
        low, high = number(rest["left"].min()), number(rest["left"].max())
        left.append(f"{low if low == high else f'{low} to {high}'} of the other{'s' * (len(rest) > 1)}")
    words = f"Taking {signal}'s linear trace out of {variable} at every step leaves {' and '.join(left)}"
    if not known(shown["p_value"]):
        return f"{words}; it was not compared with random directions."
    tried = int(shown["controls"])
    words += f"; {many(tried, 'random direction')} leave{'s' * (tried == 1)} {_span(shown)} of {shown['target']}"
    if shown["p_value"] <= ALPHA:
        return f"{words}."
    return f"{words}, {FEW}." if too_few(tried) else f"{words}, so it is not told apart from these."


def _shares(row: Any) -> tuple[str, str]:
    return estimate(row["left"], row["ci_low"], row["ci_high"]), _span(row)


def _span(row: Any) -> str:
    low, high = row["control_low"], row["control_high"]
    return f"{number(low)} to {number(high)}" if known(low, high) else ""


def steering_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return what moves along a signal do to its own target, or to the output that changes most if it has none."""
    rows = []
    for (signal, part), own in table.groupby(["signal", "part"], sort=False):
        self = own[own["target"] == signal]
        soon = own[own["after"] == own["after"].min()].sort_values("slope", key=abs)
        shown = self if len(self) else own[own["target"] == soon["target"].iloc[-1]]
        for _, row in shown[shown["output"] == 0].iterrows():
            slope = estimate(row["slope"], row["ci_low"], row["ci_high"])
            beside = (number(row["observed"]), _span(row), number(row["linear"]), number(row["r2"]))
            rows.append((f"{signal} {part}".strip(), row["target"], row["after"], slope, *beside))
    return pd.DataFrame(rows, columns=["signal", "target", "after", "slope", "observed", "random", "linear", "r2"])


def steering_sentences(table: pd.DataFrame) -> Iterator[str]:
    """Say of each signal that is read well and is a target what its output does when the state is moved along it."""
    own = table[(table["target"] == table["signal"]) & (table["part"] == "") & (table["output"] == 0)]
    for signal, rows in own.groupby("signal", sort=False):
        first = rows.iloc[0]
        if not first["r2"] >= STEERED:
            continue
        if too_few(tried := int(first["controls"])):
            beside = many(tried, "random direction")
            yield f"What moving the state along {signal} does was tried beside {beside} only, {FEW}."
            continue
        if not first["p_value"] <= ALPHA:
            yield f"That a move of the state along {signal} changes its output more than random ones do is not shown."
            continue
        later = ", ".join(f"{number(row['slope'])} after {row['after']}" for _, row in rows.iterrows())
        yield (
            f"Moving the state along {signal} by 1 changes its output by {later} steps; where {signal} itself is 1 "
            f"higher, that output is {number(first['observed'])} higher after {first['after']}."
        )
