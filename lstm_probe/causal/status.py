"""What a unit is called: whether it tracks a signal, and whether the network uses it."""

from typing import Any

import pandas as pd

from lstm_probe.core.order import UNIT, shown_variable, signal_order

TRACKS_AND_USED = "tracks and used"
TRACKS_ONLY = "tracks, not used"
USED_ONLY = "used, not tracked"
IDLE = "idle"
STATUSES = (TRACKS_AND_USED, TRACKS_ONLY, USED_ONLY, IDLE)
#: Where no unit was clamped, so that nothing is known of use.
TRACKS, TRACKS_NOTHING = "tracks", "tracks nothing"
NOT_ABLATED = (TRACKS, TRACKS_NOTHING)


def unit_statuses(probes: pd.DataFrame, ablations: pd.DataFrame, variable: str = "c") -> pd.DataFrame:
    """Return each unit's status, in reading order.

    Layer by layer: units that track something, grouped by the signal that they track best, strongest first;
    then units that are used although they track nothing, the costliest first; idle ones last.

    Where `ablations` is empty the status says only whether a unit tracks something.

    Returns:
        Indexed by (layer, direction, unit); columns status, signal (tracked best, or None), effect (of that
        signal; the highest where none is tracked). `attrs["variable"]` says which variable was looked at.
    """
    variable = shown_variable(probes, variable)
    own = probes[probes["variable"] == variable]
    rank = {signal: k for k, signal in enumerate(signal_order(probes))}
    used = ablations.groupby(UNIT)["uses"].any()
    cost = ablations.groupby(UNIT)["score_drop"].max()
    only, neither = (TRACKS_ONLY, IDLE) if len(ablations) else (TRACKS, TRACKS_NOTHING)
    rows: dict[Any, tuple[Any, ...]] = {}
    key: Any
    strongest = own.sort_values("effect", ascending=False, kind="stable", na_position="last")
    for key, unit in strongest.groupby(UNIT):
        tracked = unit[unit["tracks"].astype(bool)]
        uses = bool(used.get(key, False))
        if len(tracked):
            status, best = TRACKS_AND_USED if uses else only, tracked.iloc[0]
            order = (key[0], 0, rank[best["signal"]], -best["effect"])
        else:
            status, best = USED_ONLY if uses else neither, unit.iloc[0]
            order = (key[0], 1, 0, -float(cost[key])) if uses else (key[0], 2, 0, 0.0)
        rows[key] = (status, best["signal"] if len(tracked) else None, best["effect"], order, key)
    ordered = sorted(rows.values(), key=lambda row: row[3:])
    index = pd.MultiIndex.from_frame(pd.DataFrame([row[4] for row in ordered], columns=UNIT))
    frame = pd.DataFrame(
        [row[:3] for row in ordered], columns=["status", "signal", "effect"], index=index, dtype=object
    )
    frame.attrs["variable"] = variable
    return frame.astype({"effect": float})
