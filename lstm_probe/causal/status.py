"""What a unit is called: whether something was found that it tracks or holds, and what it costs to clamp it alone."""

from typing import Any

import pandas as pd

from lstm_probe.core.order import UNIT, shown_variable, signal_order
from lstm_probe.core.scale import strength

TRACKS_AND_USED = "tracks and used"
TRACKS_ONLY = "tracks, no cost alone"
USED_ONLY = "used, nothing found"
IDLE = "nothing found, no cost alone"
#: Where nothing could have been found, whatever the units do.
USED_UNTESTED, UNTESTED = "used, not testable", "not testable"
STATUSES = (TRACKS_AND_USED, TRACKS_ONLY, USED_ONLY, USED_UNTESTED, IDLE, UNTESTED)
#: Where no unit was clamped, so that nothing is known of use.
TRACKS, TRACKS_NOTHING = "tracks", "nothing found"
NOT_ABLATED = (TRACKS, TRACKS_NOTHING)
#: Of units in which nothing was found, or nothing could be.
NOTHING = (IDLE, UNTESTED, TRACKS_NOTHING)

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


def unit_statuses(
    probes: pd.DataFrame, ablations: pd.DataFrame, variable: str = "c", memory: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return each unit's status, in reading order.

    Layer by layer: units that track or hold something, grouped by the signal that they hold best, strongest first;
    then units that cost something although nothing was found in them, the costliest first; then the others.

    Where `ablations` is empty the status says only whether something was found. Where no signal is testable, that
    nothing was found says nothing, and the status is that.

    Args:
        probes: columns `PROBE_COLUMNS`.
        ablations: columns `ABLATION_COLUMNS`.
        variable: what is looked at, or the first one probed where it was not.
        memory: columns `MEMORY_COLUMNS`, if there is any.

    Returns:
        Indexed by (layer, direction, unit); columns status, signal (held best, or None), effect (of that
        signal; the highest where none is held). `attrs["variable"]` says which variable was looked at.
    """
    variable = shown_variable(probes, variable)
    own = probes[probes["variable"] == variable]
    rank = {signal: k for k, signal in enumerate(signal_order(probes))}
    used = ablations.groupby(UNIT)["uses"].any()
    cost = ablations.groupby(UNIT)["score_drop"].max()
    only, neither = (TRACKS_ONLY, IDLE) if len(ablations) else (TRACKS, TRACKS_NOTHING)
    untested = "testable" in own and not own["testable"].astype(bool).any()
    rows: dict[Any, tuple[Any, ...]] = {}
    key: Any
    found = found_rows(own, None if memory is None else memory[memory["variable"] == variable])
    held = dict(list(found.groupby(UNIT, sort=False)))
    highest = own.groupby(UNIT)["effect"].max()
    for key in highest.index:
        uses = bool(used.get(key, False))
        if key in held:
            best = held[key].iloc[0]
            order = (key[0], 0, rank[best["signal"]], -best["strength"])
            rows[key] = (TRACKS_AND_USED if uses else only, best["signal"], best["effect"], order, key)
            continue
        status = (USED_UNTESTED if uses else UNTESTED) if untested else USED_ONLY if uses else neither
        order = (key[0], 1, 0, -float(cost[key])) if uses else (key[0], 2, 0, 0.0)
        rows[key] = (status, None, highest[key], order, key)
    ordered = sorted(rows.values(), key=lambda row: row[3:])
    index = pd.MultiIndex.from_frame(pd.DataFrame([row[4] for row in ordered], columns=UNIT))
    frame = pd.DataFrame(
        [row[:3] for row in ordered], columns=["status", "signal", "effect"], index=index, dtype=object
    )
    frame.attrs["variable"] = variable
    return frame.astype({"effect": float})
