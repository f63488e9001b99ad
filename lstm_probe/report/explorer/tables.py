"""A run's tables as matrices of units and signals, in the order in which the page shows them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.status import CURVE, EARLIER
from lstm_probe.core.order import UNIT, UnitKey
from lstm_probe.core.vocabulary import CLAMPED_TO
from lstm_probe.findings.evidence import Findings
from lstm_probe.report.explorer.packing import pack

#: How a unit holds a signal, as marks in the map: not at all, tracks, goes with, an earlier value, along a curve.
TRACKED, GOES_WITH, HELD, CURVED = 1, 2, 3, 4
#: Whether a target needs a unit, as marks beside the map; the first where that is not known.
NEEDS = ("not measured", "alone", "together", "no")

_TUNED = ("mean", "sd", "ci_low", "ci_high")


@dataclass(frozen=True)
class Places:
    """Where each unit and each signal stands on the page."""

    units: Mapping[UnitKey, int]
    signals: Mapping[str, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many units and signals there are."""
        return len(self.units), len(self.signals)

    def of(self, table: pd.DataFrame) -> np.ndarray:
        """Return the unit's place of each row of a table; −1 for those that are not shown."""
        keys = zip(*(table[name].tolist() for name in UNIT))
        return np.array([self.units.get(key, -1) for key in keys], dtype=int)


def places_of(findings: Findings) -> Places:
    """Return the places of the units and signals of a run."""
    units = {unit.key: k for k, unit in enumerate(findings.units)}
    return Places(units, {fact.signal: k for k, fact in enumerate(findings.signals)})


def effects_of(probes: pd.DataFrame, findings: Findings, places: Places) -> dict[str, np.ndarray]:
    """Return, for each unit and signal, what `probes` says of the variable that is looked at.

    Where several lags were probed: of one at which it tracks the signal, else of that with the highest effect.

    Returns:
        effect, low, high, untrained and lag, units × signals, NaN where there is none; and mark.
    """
    own = probes[probes["variable"] == findings.variable]
    own = own.assign(_tracks=own["tracks"].astype(bool))
    own = own.sort_values(["_tracks", "effect"], ascending=False, kind="stable", na_position="last")
    at = places.of(own), own["signal"].map(places.signals).to_numpy(dtype=int)
    _, first = np.unique(at[0] * len(places.signals) + at[1], return_index=True)
    first = first[at[0][first] >= 0]
    row, column = at[0][first], at[1][first]
    found = {}
    for name, source in (("effect", "effect"), ("low", "ci_low"), ("high", "ci_high"), ("untrained", "untrained"),
                         ("lag", "lag")):  # fmt: skip
        found[name] = np.full(places.shape, np.nan)
        if source in own:
            found[name][row, column] = own[source].to_numpy(dtype=float)[first]
    found["mark"] = np.zeros(places.shape)
    found["mark"][row, column] = own["_tracks"].to_numpy()[first]
    return found


def held_in(findings: Findings, places: Places, effects: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return what units hold in another way than as it is, and mark that, and what only goes with something else.

    Args:
        findings: of the run.
        places: of its units and signals.
        effects: from `effects_of`; its `mark` is completed.

    Returns:
        For each such pair its unit and signal (their places), how, lag and effect.
    """
    held, mark = [], effects["mark"]
    for unit in findings.units:
        u = places.units[unit.key]
        for one in unit.along:
            s = places.signals[one.signal]
            mark[u, s] = GOES_WITH if mark[u, s] == TRACKED else mark[u, s]
        for one in filter(None, (unit.best, *unit.others, *unit.along)):
            if one.how in (EARLIER, CURVE):
                s = places.signals[one.signal]
                if mark[u, s] == 0:
                    mark[u, s] = HELD if one.how == EARLIER else CURVED
                    held.append({"unit": u, "signal": s, "how": one.how, "lag": one.lag, "effect": float(one.effect)})
    return held


def losses_of(ablations: pd.DataFrame, places: Places) -> dict[str, Any] | None:
    """Return what clamping each unit alone costs each target: refitted, or as it stands where that is not known."""
    if not len(ablations):
        return None
    variable, mode = ablations["variable"].iloc[0], ablations["mode"].iloc[0]
    own = ablations[(ablations["variable"] == variable) & (ablations["mode"] == mode)]
    refitted = "refit_drop" in own and bool(own["refit_drop"].notna().any())
    source = ("refit_drop", "refit_ci_low", "refit_ci_high") if refitted else ("score_drop", "ci_low", "ci_high")
    targets = {str(name): k for k, name in enumerate(own["target"].unique())}
    row, column = places.of(own), own["target"].astype(str).map(targets).to_numpy(dtype=int)
    there = row >= 0
    shape = (len(places.units), len(targets))
    found: dict[str, Any] = {}
    for name, wanted in zip(("drop", "low", "high"), source):
        matrix = np.full(shape, np.nan)
        if wanted in own:
            matrix[row[there], column[there]] = own[wanted].to_numpy(dtype=float)[there]
        found[name] = pack(matrix, "float64")
    marks = np.zeros(shape)
    if refitted and "needed" in own:
        codes = own["needed"].map({word: k for k, word in enumerate(NEEDS)}).fillna(0).to_numpy(dtype=int)
        marks[row[there], column[there]] = codes[there]
    return found | {"mark": pack(marks, "uint8"), "targets": list(targets), "refitted": refitted,
                    "variable": variable, "clamped_to": CLAMPED_TO.get(mode, mode)}  # fmt: skip


def _of_signals(
    table: pd.DataFrame, variable: str, signals: Sequence[str], places: Places, wanted: Sequence[str]
) -> Iterator[tuple[int, np.ndarray, dict[str, np.ndarray]]]:
    """Go through these signals: its place, the unit's place in each of its rows, and columns of these."""
    codes = {signal: places.signals[signal] for signal in signals}
    of = table["signal"].map(codes).fillna(-1).to_numpy(dtype=int)
    keep = (of >= 0) & (table["variable"] == variable).to_numpy()
    rows, of = places.of(table[UNIT][keep]), of[keep]
    columns = {name: table[name].to_numpy(dtype=float)[keep] if name in table else np.full(len(of), np.nan)
               for name in wanted}  # fmt: skip
    for signal in codes.values():
        own = (of == signal) & (rows >= 0)
        if own.any():
            yield signal, rows[own], {name: values[own] for name, values in columns.items()}


def tuning_of(tuning: pd.DataFrame, variable: str, signals: Sequence[str], places: Places) -> list[dict[str, Any]]:
    """Return, for each of these signals, every unit's mean at each of its values, with spread and interval.

    Returns:
        signal (its place), lag, level and n (by level), mean, sd, ci_low and ci_high (units × levels). Where several
        lags were looked at, there is one for each.
    """
    found = []
    for signal, rows, own in _of_signals(tuning, variable, signals, places, ("lag", "level", "n", *_TUNED)):
        for lag in np.unique(own["lag"]):
            here = own["lag"] == lag
            levels, column = np.unique(own["level"][here], return_inverse=True)
            counts = np.zeros(len(levels))
            counts[column] = own["n"][here]
            curve = {"signal": signal, "lag": int(lag), "level": pack(levels), "n": pack(counts)}
            for name in _TUNED:
                matrix = np.full((len(places.units), len(levels)), np.nan)
                matrix[rows[here], column] = own[name][here]
                curve[name] = pack(matrix)
            found.append(curve)
    return found


def memory_of(memory: pd.DataFrame, variable: str, signals: Sequence[str], places: Places) -> list[dict[str, Any]]:
    """Return, for each of these signals, how well every unit tells it as it was some steps ago.

    Returns:
        signal (its place), lag, effect and held (units × lags), untrained (of the layer where that is highest) and
        signal_itself (by lag).
    """
    found = []
    known = memory[memory["effect"].notna()]
    wanted = ("lag", "effect", "held", "untrained", "signal_itself")
    for signal, rows, own in _of_signals(known, variable, signals, places, wanted):
        lags, column = np.unique(own["lag"].astype(int), return_inverse=True)
        curve: dict[str, Any] = {"signal": signal, "lag": lags.tolist()}
        for name in ("untrained", "signal_itself"):
            highest = np.full(len(lags), np.nan)
            np.fmax.at(highest, column, own[name])
            curve[name] = highest.tolist()
        for name, kind in (("effect", "float32"), ("held", "uint8")):
            matrix = np.full((len(places.units), len(lags)), np.nan if name == "effect" else 0.0)
            matrix[rows, column] = own[name] if name == "effect" else own[name] == 1
            curve[name] = pack(matrix, kind)
        found.append(curve)
    return found
