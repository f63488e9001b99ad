"""What a picture shows in a run, in words, for those who do not see it: from the tables that it is drawn from."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.against import OVERALL, correlation_words, rank_correlations
from lstm_probe.causal.status import NOT_TESTABLE, NOTHING_FOUND, TRACKS
from lstm_probe.core.numbers import cell, known, many, number
from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.core.scale import strength
from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.words import listing, numbers, quoted

#: So many signals, targets or rows are told.
MOST = 6
#: Labels that say nothing where all rows have the same.
_LABELS = ("layer", "direction", "variable", "lag", "method", "along")


def _told(parts: Sequence[str], most: int = MOST) -> str:
    """Return parts as a sentence, the first of many."""
    left = len(parts) - most
    return "; ".join([*parts[:most], *([f"and {left} more"] if left > 0 else [])]) + "." if parts else ""


def _first(names: Sequence[str], most: int = MOST) -> str:
    """Return the first of many names, and how many more there are."""
    left = len(names) - most
    return quoted([*names[:most], *([f"{left} more"] if left > 0 else [])])


def units_shown(findings: Findings) -> str:
    """Return what the map of units shows: who tells each signal best, and whose clamp costs most."""
    best = [f"unit {fact.tracked_by[0]} tells {fact.signal} best ({number(fact.best.effect)})"
            for fact in findings.signals if fact.tracked_by and fact.best]  # fmt: skip
    none = [fact.signal for fact in findings.signals if not fact.tracked_by and fact.testable]
    lines = [f"{_told(best)[:1].upper()}{_told(best)[1:]}" if best else _nothing(findings)]
    if best and none:
        lines.append(f"None was found to track {_names(none)}.")
    if untested := [fact.signal for fact in findings.signals if not fact.testable and any(_tested(findings))]:
        lines.append(f"Whether one tracks {_names(untested)} could not be tested.")
    if costly := findings.needed_alone[:3]:
        costs = [f"unit {unit.label} costs {unit.costs[0].target} {number(unit.costs[0].loss)}" for unit in costly]
        lines.append(f"Clamped alone, {listing(costs)}, the most of all.")
    elif not findings.need_unknown:
        lines.append("Clamped alone, none was found to cost anything that counts.")
    return " ".join(lines)


def _names(signals: Sequence[str]) -> str:
    """Return the first of many signals as a list."""
    return f"{listing(signals[:MOST])}{' and others' if len(signals) > MOST else ''}"


def _tested(findings: Findings) -> list[bool]:
    """Return of each signal whether anything could have been found of it."""
    return [fact.testable and fact.best is not None for fact in findings.signals]


def _nothing(findings: Findings) -> str:
    """Return that no unit tracks a signal, or that none could be tested, and which unit comes nearest."""
    none = "No unit was found to track a signal" if any(_tested(findings)) else "No signal could be tested"
    facts = [fact for fact in findings.signals if fact.best and known(fact.best.effect)]
    if not facts:
        return f"{none}."
    tells = strength(np.array([fact.best.effect for fact in facts if fact.best]),
                     [fact.best.metric for fact in facts if fact.best])  # fmt: skip
    fact = facts[int(np.argmax(tells))]
    effect = float("nan") if fact.best is None else fact.best.effect
    return f"{none}; the most is told by unit {fact.unit} of {fact.signal}, effect {number(effect)}."


def overall_words(against: pd.DataFrame) -> str:
    """Say how well what units tell goes with what clamping them costs."""
    overall: dict[Any, Any] = rank_correlations(against).set_index("target").to_dict("index")[OVERALL]
    return f"Over all signals and targets: {correlation_words(overall)}."


def tracked_shown(against: pd.DataFrame, findings: Findings) -> str:
    """Return what the dots of tracked against needed show: how far the two go together, and who is both."""
    if findings.need_unknown:
        return f"{overall_words(against)} Which units are needed {findings.need_unknown}."
    kinds = {TRACKS: " and tracking a signal", NOTHING_FOUND: ", with nothing found", NOT_TESTABLE: ", not testable"}
    labels = {found: [unit.label for unit in findings.needed_alone if unit.found == found] for found in kinds}
    untested = any(unit.found == NOT_TESTABLE for unit in findings.units)
    there = (NOT_TESTABLE,) if untested else (TRACKS, NOTHING_FOUND)
    said = [f"needed alone{kinds[found]}: {numbers(labels[found], MOST) or 'none'}" for found in there]
    return f"{overall_words(against)} Units {'; '.join(said)}."


def traces_shown(traces: pd.DataFrame, untested: Collection[str] = ()) -> str:
    """Return what the example sequence shows: how close each signal's best unit comes to it there.

    Args:
        traces: from `traces_of`.
        untested: signals of which nothing could have been found.
    """
    parts = []
    for signal, own in traces.groupby("signal", sort=False):
        both = own[["true", "fitted"]].dropna()
        near = float(np.corrcoef(both.T)[0, 1]) if len(both) > 1 and both.std().min() > 0 else float("nan")
        first: Any = own.iloc[0]
        how = f"goes with it by {number(near)}" if known(near) else "cannot be compared with it, as one stands still"
        tells = "whether it tracks it could not be tested" if signal in untested else "was not found to track it"
        parts.append(f"{signal}: unit {first['unit']} {how}{'' if first['tracks'] else f', and {tells}'}")
    return f"In an example sequence, by the correlation: {_told(parts)}" if parts else "No signal changes."


def learning_shown(history: pd.DataFrame) -> str:
    """Return what the learning curve shows: each target's score at the start and at the end, and when it was near."""
    rows = history[(history["split"] == "validation") & (history["metric"] != "loss")]
    parts = []
    for target, own in rows.groupby("target", sort=False):
        own = own.dropna(subset="value").sort_values("step", kind="stable")
        if len(own):
            last = float(own["value"].iloc[-1])
            near = float(own.loc[own["value"] >= 0.9 * last, "step"].min()) if last > 0 else float("nan")
            when = f", nine tenths of that from update {int(near)} on" if known(near) else ""
            parts.append(f"{target}: from {number(float(own['value'].iloc[0]))} to {number(last)}{when}")
    steps = "" if history.empty else f"After {many(int(history['step'].max()), 'update')}. "
    return f"{steps}{_told(parts) or 'There are no scores but those of the loss.'}"


def text_shown(best: pd.DataFrame) -> str:
    """Return what the coloured text shows: which units colour it, and what each tells; from `best_units`."""
    layers = several_layers(list(best[UNIT].itertuples(index=False, name=None)))
    keys = best[UNIT].itertuples(index=False, name=None)
    parts = [f"unit {unit_label(key, layers)}: {says}" for key, says in zip(keys, best["says"])]
    return f"Characters coloured by the memories of units that tell something of them: {_told(parts)}"


def codes_shown(codes: pd.DataFrame) -> str:
    """Return what the picture of codes shows: each signal's verdict, and the numbers that it rests on."""
    best = codes.sort_values("effect", ascending=False, kind="stable", na_position="last").drop_duplicates("signal")
    layers = codes["layer"].nunique() > 1
    parts = []
    for row in best.sort_index().to_dict("records"):
        if not known(row["best_effect"]):
            continue
        label = unit_label((row["layer"], row["direction"], int(row["best_unit"])), layers)
        second = f", the second best {number(row['second_effect'])}" if known(row["second_effect"]) else ""
        alone, together = number(row["best_effect"]), number(row["effect"])
        parts.append(f"{row['signal']}: {row['code']}, unit {label} alone {alone}{second}, all units {together}")
    return _told(parts) or "Nothing is known of how units hold signals."


def memory_shown(memory: pd.DataFrame) -> str:
    """Return what the curves of memory show: each signal's best unit now, and after the longest time looked at."""
    layers = several_layers(list(memory[UNIT].itertuples(index=False, name=None)))
    parts = []
    for signal, own in memory.dropna(subset="effect").groupby("signal", sort=False):
        top: Any = own.iloc[int(own["effect"].argmax())]
        curve = own[(own[UNIT] == top[UNIT]).all(axis=1)].sort_values("lag")
        ends = [f"{number(value)} of {lag} step{'' if lag == 1 else 's'} ago" if lag else f"{number(value)} now"
                for lag, value in zip(curve["lag"].iloc[[0, -1]], curve["effect"].iloc[[0, -1]])]  # fmt: skip
        label = unit_label((int(top["layer"]), top["direction"], int(top["unit"])), layers)
        parts.append(f"unit {label} tells {signal} {' and '.join(dict.fromkeys(ends))}")
    return _told(parts) or "No unit tells a signal."


def states_shown(states: pd.DataFrame) -> str:
    """Return what the picture of states shows: how many fixed points of which kind, and what the two axes hold."""
    kinds = states.loc[states["kind"] != "path", "kind"].value_counts()
    points = listing([f"{n} {kind}" for kind, n in kinds.items()]) if len(kinds) else "no fixed point"
    share = float(states["x_share"].max() + states["y_share"].max())
    held = f", which hold {100 * share:.0f} % of the variance" if known(share) else ""
    return f"In the two directions in which states vary most{held}: {points}."


def rows_shown(small: pd.DataFrame) -> str:
    """Return what a picture shows by the small table that goes with it: its first rows, each value by its name.

    >>> rows_shown(pd.DataFrame({"layer": [0, 0], "target": ["count", "latch"], "units_kept": ["8 of 32", "2 of 32"]}))
    'count: units kept 8 of 32; latch: units kept 2 of 32.'
    """
    kept = [name for name in small if name not in _LABELS or small[name].nunique(dropna=False) > 1]
    parts = []
    for row in small[kept].itertuples(index=False, name=None):
        told = [(name, cell(value) if isinstance(value, float) else str(value)) for name, value in zip(kept, row)
                if not pd.isna(value) and value != ""]  # fmt: skip
        named = [(value if isinstance(of, str) else f"{name} {value}") for (name, value), of in zip(told[:1], row)]
        rest = [f"{str(name).replace('_', ' ')} {value}" for name, value in told[1:]]
        parts.append(": ".join(part for part in (*named, ", ".join(rest)) if part))
    return _told(parts) or "There was nothing to show."


def hardness_shown(table: pd.DataFrame) -> str:
    """Return what the lines over levels of hardness show: who is best and worst at the hardest level.

    Args:
        table: columns `HARDNESS_COLUMNS` of `figures.hardness`.
    """
    parts = []
    for question, own in table[table["score"].notna()].groupby("question", sort=False):
        last = own[own["level"] == own["level"].iloc[-1]].sort_values("score", kind="stable")
        low, high = last["score"].iloc[0], last["score"].iloc[-1]
        best = [str(name) for name in last.loc[last["score"] >= high - 0.005, "method"]]
        worst = [str(name) for name in last.loc[last["score"] <= low + 0.005, "method"]]
        if high - low < 0.01:
            who = f"all {len(last)} methods" if len(last) > 1 else str(last["method"].iloc[0])
            parts.append(f"{question}, at {own['level'].iloc[-1]}: {who} at {number(high)}")
        else:
            parts.append(f"{question}, at {own['level'].iloc[-1]}: highest {_first(best)} ({number(high)}), "
                         f"lowest {_first(worst)} ({number(low)})")  # fmt: skip
    levels = listing([str(level) for level in dict.fromkeys(table["level"])])
    head = f"The AUROC of each method at {levels}. "
    return head + (_told(parts) or "Nothing is ranked: there is only one answer.")
