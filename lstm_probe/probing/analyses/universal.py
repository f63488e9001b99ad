"""Is there always a unit for it? In how many networks some unit tracks a signal, and whether it is the same unit."""

from itertools import combinations

import numpy as np
import pandas as pd

from lstm_probe.core.columns import columns
from lstm_probe.core.errors import InputError

COLUMNS = columns(
    "task", "variable", "signal", "kind", "role",
    n_networks="How many networks there are in which the signal varies.",
    tracked_in="In how many of them at least one unit tracks it.",
    share_tracked="Share of networks in which at least one unit does.",
    ci_low="Lower end of the 95 % interval of that share among all such networks (Clopper & Pearson).",
    ci_high="Upper end of it.",
    n_pairs="How many pairs of networks there are in both of which a unit tracks it.",
    by_responses="In how many of these the two units that track it best are matched by their responses.",
    by_signals="In how many of these they are matched by the signals that units tell.",
    r="Mean of |r| of the two, held out, over pairs in which they are matched by either.",
)  # fmt: skip

_UNIT = ["layer", "direction", "unit"]
_PROBED = ["run", "task", "variable", "signal", "kind", "role", "lag", *_UNIT, "effect", "tracks"]
_MATCHED = ["variable", "network", "other", "by", *_UNIT, *(f"other_{key}" for key in _UNIT), "r"]


def universal_units(probes: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """Say of each signal in how many networks some unit tracks it, and whether the units are each other's match.

    That all networks looked at have such a unit does not show that all networks have: `ci_low` says what is shown.

    Args:
        probes: tables of `probe_units` of all networks, one below the other; the column `run` has a network's name.
        matches: the table of `match_units` of these networks, called by the same names.

    Returns:
        One row for each signal, with the columns `COLUMNS`; of the variable that was matched, at the first lag probed.

    Raises:
        InputError: a column is missing; networks of several tasks, or a single one; a network that was not matched.
    """
    for name, table, needed in (("probes", probes, _PROBED), ("matches", matches, _MATCHED)):
        if missing := [column for column in needed if column not in table]:
            raise InputError(f"{name}: no column {' '.join(missing)}")
    tasks, names = list(dict.fromkeys(probes["task"])), list(dict.fromkeys(probes["run"]))
    if len(tasks) > 1:
        raise InputError(f"probes: networks of several tasks ({', '.join(tasks)}); units are matched within one")
    if len(names) < 2:
        raise InputError("probes: of one network only; whether there is always such a unit cannot be concluded from it")
    known = {*matches["network"], *matches["other"]}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"probes: {', '.join(unknown)} is not among the networks that were matched")
    variable = matches["variable"].iloc[0]
    own = probes[(probes["variable"] == variable) & probes["effect"].notna()]
    own = own[own["lag"] == own["lag"].min()]
    pairs = _pairs(matches)
    rows = [
        (tasks[0], variable, *key, *_row(signal, pairs))
        for key, signal in own.groupby(["signal", "kind", "role"], sort=False)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _pairs(matches: pd.DataFrame) -> dict[tuple[str, str, str], dict[tuple[object, object], float]]:
    """Return r of each pair of matched units, by way of matching and networks, in both orders of these."""
    found: dict[tuple[str, str, str], dict[tuple[object, object], float]] = {}
    for row in matches[_MATCHED].itertuples(index=False):
        _, network, other, by, *units, r = row
        one, two = tuple(units[:3]), tuple(units[3:])
        found.setdefault((by, network, other), {})[one, two] = r
        found.setdefault((by, other, network), {})[two, one] = r
    return found


def _row(
    signal: pd.DataFrame, pairs: dict[tuple[str, str, str], dict[tuple[object, object], float]]
) -> tuple[float, ...]:
    """Return the numbers of one signal, from its rows of `probes`."""
    networks = signal["run"].nunique()
    tracking = signal[signal["tracks"].astype(bool)].sort_values("effect", ascending=False, kind="stable")
    from scipy.stats import binomtest

    best = {row[0]: tuple(row[1:]) for row in tracking.drop_duplicates("run")[["run", *_UNIT]].itertuples(index=False)}
    both = list(combinations(best, 2))
    ways = {by: [pairs.get((by, a, b), {}).get((best[a], best[b])) for a, b in both] for by in ("responses", "signals")}
    counts = [sum(r is not None for r in found) for found in ways.values()]
    seen = [
        abs(r if r is not None else other) for r, other in zip(*ways.values()) if r is not None or other is not None
    ]
    span = binomtest(len(best), networks).proportion_ci()
    r = float(np.mean(seen)) if seen else np.nan
    return networks, len(best), len(best) / networks, span.low, span.high, len(both), *counts, r
