"""What a unit is called: whether something was found that it tracks or holds, and whether the network needs it."""

from typing import Any

import pandas as pd

from lstm_probe.core.order import UNIT, shown_variable, signal_order
from lstm_probe.core.scale import strength

#: Whether it tracks or holds something; the last where nothing could have been found, whatever the units do.
TRACKS, NOTHING_FOUND, NOT_TESTABLE = FOUND = "tracks", "nothing found", "not testable"
#: Whether it is needed; the fourth where it costs nothing alone, and more is not known; the last where nothing is.
ALONE, TOGETHER, NOT_NEEDED, NO_COST_ALONE, UNKNOWN = NEEDED = "alone", "together", "no", "no cost alone", ""
#: Of a target whose intact score is below this, the network knows so little that there is nothing to need.
HARDLY_LEARNED = 0.05
#: What is said of each.
NEED_WORDS = {ALONE: "needed alone", TOGETHER: "needed together", NOT_NEEDED: "not needed",
              NO_COST_ALONE: "no cost alone", UNKNOWN: ""}  # fmt: skip


def status_of(found: str, needed: str) -> str:
    """Return a unit's status: "tracks, not needed", or "needed alone, nothing found".

    Args:
        found: one of `FOUND`.
        needed: one of `NEEDED`.
    """
    need = NEED_WORDS[needed]
    parts = [need, found] if needed in (ALONE, TOGETHER) and found != TRACKS else [found, need]
    return ", ".join(part for part in parts if part)


#: All of them, in reading order: what tracks, what is needed although nothing was found, the others.
STATUSES = (
    *(status_of(TRACKS, needed) for needed in NEEDED),
    *(status_of(found, needed) for found in FOUND[1:] for needed in NEEDED[:2]),
    *(status_of(found, needed) for found in FOUND[1:] for needed in NEEDED[2:]),
)


#: How a unit holds a signal: as it is, as it was some steps ago, or along a curve.
NOW, EARLIER, CURVE = "now", "earlier", "curve"


def found_rows(probes: pd.DataFrame, memory: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what units were found to track or to hold, the strongest first; `how` says in which way.

    Args:
        probes: columns `PROBE_COLUMNS`, of the variable that is looked at.
        memory: columns `MEMORY_COLUMNS`, of the same variable, if there is any.

    Returns:
        Columns of `probes`, with `strength` (that of an R², for all kinds of signals), `how`, and of curves `straight`,
        the straight line's effect. What a unit tracks now stands before what it holds in another way; of each unit,
        signal and way there is one row.
    """
    parts = [probes[probes["tracks"].astype(bool)].assign(how=NOW)]
    if memory is not None and "held" in memory:
        parts.append(memory[memory["held"].astype(bool)].assign(how=EARLIER))
    if "tracks_curved" in probes:
        bent = probes[probes["tracks_curved"].fillna(False).astype(bool)]
        parts.append(bent.assign(how=CURVE, straight=bent["effect"], effect=bent["curved"]))
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    rows["strength"] = strength(rows["effect"].to_numpy(dtype=float), list(rows["metric"]))
    order = pd.Categorical(rows["how"], [NOW, EARLIER, CURVE], ordered=True).codes
    rows = rows.assign(_order=order).sort_values(["_order", "strength"], ascending=[True, False], kind="stable")
    return rows.drop(columns="_order").drop_duplicates([*UNIT, "signal", "how"])


def needed_of(ablations: pd.DataFrame) -> pd.Series:
    """Return for each unit whether it is needed, one of `NEEDED`.

    It is needed alone where it costs any target alone; else together, where it is for any target; not needed where
    that is said of all. Where it only is known to cost nothing alone, it is `NO_COST_ALONE`; without an interval of
    what it costs, nothing is known. Targets that the network has hardly learned say nothing of it.

    Args:
        ablations: columns `ABLATION_COLUMNS`; nothing is known of runs that were measured without `refit_drop`.

    Returns:
        Indexed by (layer, direction, unit).
    """
    if not {"needed", "refit_drop"} <= {*ablations}:
        ablations = ablations.assign(needed="not measured", refit_drop=float("nan"))

    def of_unit(said: set[str], has_interval: bool) -> str:
        for needed in (ALONE, TOGETHER):
            if needed in said:
                return needed
        if said == {NOT_NEEDED}:
            return NOT_NEEDED
        return NO_COST_ALONE if has_interval else UNKNOWN

    words: dict[Any, set[str]] = {}
    bounded: set[Any] = set()
    known = ablations.reindex(columns=["refit_drop", "refit_ci_low"]).notna().all(axis=1)
    keys = zip(*(ablations[name].tolist() for name in UNIT))
    for key, word, has_interval, hardly in zip(keys, ablations["needed"], known, hardly_learned(ablations)):
        words.setdefault(key, set()).update(() if hardly else {word})
        bounded |= {key} if has_interval and not hardly else set()
    found = {key: of_unit(words[key], key in bounded) for key in sorted(words)}
    index = pd.MultiIndex.from_tuples(list(found), names=UNIT)
    return pd.Series(list(found.values()), index=index, name="needed", dtype=object)


def hardly_learned(ablations: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows are of a target that the network has hardly learned."""
    return ~(ablations["intact"] >= HARDLY_LEARNED)


def unit_statuses(
    probes: pd.DataFrame, ablations: pd.DataFrame, variable: str = "c", memory: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return each unit's status, in reading order.

    Layer by layer: units that track or hold something, grouped by the signal that they hold best, strongest first;
    then units that are needed although nothing was found in them, alone and then together, the costliest first; then
    the others.

    Where nothing is known of what clamps cost, the status says only whether something was found. Where no signal is
    testable, that nothing was found says nothing, and the status is that.

    Args:
        probes: columns `PROBE_COLUMNS`.
        ablations: columns `ABLATION_COLUMNS`.
        variable: what is looked at, or the first one probed where it was not.
        memory: columns `MEMORY_COLUMNS`, if there is any.

    Returns:
        Indexed by (layer, direction, unit); columns status, found (one of `FOUND`), needed (one of `NEEDED`), signal
        (held best, or None), effect (of that signal; the highest where none is held). `attrs["variable"]` says which
        variable was looked at.
    """
    variable = shown_variable(probes, variable)
    own = probes[probes["variable"] == variable]
    rank = {signal: k for k, signal in enumerate(signal_order(probes))}
    needs = needed_of(ablations)
    cost = ablations.groupby(UNIT)["refit_drop"].max() if "refit_drop" in ablations else pd.Series(dtype=float)
    untested = "testable" in own and not own["testable"].astype(bool).any()
    rows: dict[Any, tuple[Any, ...]] = {}
    key: Any
    found = found_rows(own, None if memory is None else memory[memory["variable"] == variable])
    best = found.drop_duplicates(UNIT)
    told = zip(*(best[name].tolist() for name in (*UNIT, "signal", "effect", "strength")))
    held = {(layer, direction, unit): own for layer, direction, unit, *own in told}
    highest: dict[Any, float] = own.groupby(UNIT)["effect"].max().to_dict()
    for key in highest:
        needed = needs.get(key, UNKNOWN)
        if key in held:
            what, (signal, effect, stands) = TRACKS, held[key]
            order = (key[0], 0, rank[signal], -stands)
        else:
            what, signal, effect = NOT_TESTABLE if untested else NOTHING_FOUND, None, highest[key]
            is_needed = needed in (ALONE, TOGETHER)
            order = (key[0], 1, NEEDED.index(needed), -float(cost[key]) if is_needed else 0.0)
        rows[key] = (status_of(what, needed), what, needed, signal, effect, order, key)
    ordered = sorted(rows.values(), key=lambda row: row[5:])
    index = pd.MultiIndex.from_frame(pd.DataFrame([row[6] for row in ordered], columns=UNIT))
    columns = ["status", "found", "needed", "signal", "effect"]
    frame = pd.DataFrame([row[:5] for row in ordered], columns=columns, index=index, dtype=object)
    frame.attrs["variable"] = variable
    return frame.astype({"effect": float})
