"""What a table of fixed points says: how many attractors, what they stand for, and what does not end at one."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import known
from lstm_probe.findings.words import values_of

#: A combination of classes is kept if the network still stands for it in at least this share of the cases.
KEPT = 0.5
MOST_NAMED = 8


def point_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the points at which states may end, the columns that say most; the saddles are counted in sentences."""
    kept = ["input", "point", "kind", "signals", "share", "agreement", "eigenvalue", "time_constant", "far"]
    return table.loc[table["kind"] != "saddle", kept].round({"share": 4, "eigenvalue": 4, "time_constant": 1})


def fixed_point_sentences(table: pd.DataFrame) -> Iterator[str]:
    """Say of each constant input what there is, what it stands for, and what share of states ends there.

    Args:
        table: columns `COLUMNS` of `dynamics.fixed_points`, with its `attrs`.
    """
    for k, about in enumerate(table.attrs.get("inputs", ())):
        own = table[table["input"] == k]
        count = own["kind"].value_counts()
        attractors, neutral, saddles = (int(count.get(kind, 0)) for kind in ("attractor", "neutral", "saddle"))
        found = "" if attractors else " was found"
        what = f"{_count(attractors, 'attractor')} (stable fixed point{'s' * (attractors > 1)})"
        yield f"{what}{found} under {_input(about)}."
        yield from _codes(about["codes"], about["steps"])
        yield from _ends(about, neutral)
        if neutral:
            left = f", and {about['left_out']:,} more at which no state ends" if about["left_out"] else ""
            yield (f"{_count(neutral, 'neutral fixed point')}{left}: along some direction the state stays wherever it "
                   "is put, so that there is a line or surface of them.")  # fmt: skip
        if attractors + saddles and known(about["index"]):
            yield _whole(saddles, round(about["index"]), attractors)
        far = own.loc[own["far"].astype(bool) & (own["kind"] == "attractor"), "point"].tolist()
        if far:
            yield f"Far from any state of the data: {_listed([f'attractor {one}' for one in far])}."


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}" if n else f"No {what}"


def _listed(words: list[str]) -> str:
    rest = len(words) - MOST_NAMED
    shown = words[:MOST_NAMED] + ([f"{rest} more"] if rest > 0 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _percent(share: float) -> str:
    """Return a share in percent; 100 and 0 only where it is exactly that.

    >>> _percent(1.0), _percent(0.99996), _percent(0.0001), _percent(0.25)
    ('100', '99.9', '0.1', '25.0')
    """
    return f"{100 * share:.0f}" if share in (0, 1) else f"{min(99.9, max(0.1, 100 * share)):.1f}"


def _input(about: Mapping[str, Any]) -> str:
    numbers = about["input"]
    if any(numbers):
        shown = ", ".join(f"{value:g}" for value in numbers[:MOST_NAMED]) + ", …" * (len(numbers) > MOST_NAMED)
        return f"the constant input ({shown})"
    return "no input" if about["own_inputs"] else "an input of 0 to the recurrent layer, which no input to the model is"


def _codes(codes: Mapping[str, float], steps: int) -> Iterator[str]:
    """Say which combinations of classes are kept where the network is left to itself."""
    if not codes:
        return
    names = list(values_of(next(iter(codes))))
    lost = [code for code, share in codes.items() if share < KEPT]
    of = f"value{'s' * (len(codes) != 1)} of {names[0]}" if len(names) == 1 else f"combinations of {', '.join(names)}"
    if not lost:
        yield f"All {len(codes)} {of} that came are kept for {steps:,} steps."
    elif len(lost) == len(codes):
        yield f"None of the {len(codes)} {of} that came is kept for {steps:,} steps."
    else:
        yield (f"{len(codes) - len(lost)} of the {len(codes)} {of} that came are kept for {steps:,} steps; not kept: "
               f"{_listed(lost)}.")  # fmt: skip


def _ends(about: Mapping[str, Any], neutral: int) -> Iterator[str]:
    """Say where the states end that were let run."""
    if not about["states"]:
        return
    which = "states drawn at random" if about["drawn"] else "states of the data"
    at = "of these" if not neutral else "of these or at a neutral point"
    ended = about["ended"] if neutral else about["attractors"]
    yield f"{_percent(ended)} % of {about['states']:,} {which} end at one {at} within {about['steps']:,} steps."
    periods = [str(one) for one in about["periods"]]
    cycles = f"go round in cycles of {_listed(periods)} steps" if periods else ""
    others = {
        "elsewhere": "are at rest at none that was found",
        "cycles": cycles,
        "grows": "have not come to rest, and move away as fast as ever",
        "drifts": "have not come to rest",
    }
    for name, words in others.items():
        if about[name]:
            yield f"{_percent(about[name])} % {words}."


def _whole(saddles: int, index: int, attractors: int) -> str:
    lie = f" {'lies' if saddles == 1 else 'lie'} between" if attractors > 1 else ""
    between = f"{_count(saddles, 'saddle')}{lie}. " if saddles else ""
    told = "as they do where none is missing" if index == 1 else "not to 1: some were not found"
    return f"{between}All fixed-point indices add up to {index}, {told}."
