"""Tracked against needed: is a unit that tells much of a signal one that the network needs?

Often it is not. How selective a unit is says little about what its removal costs (Morcos, Barrett, Rabinowitz &
Botvinick 2018), or it depends on the class that is looked at (Zhou, Sun, Bau & Torralba 2018). So both stand here side
by side, unit by unit, and their rank correlation says how much the one tells of the other in this network.

Its interval was chosen by the coverage in simulations of 8, 32 and 128 units, among them networks of which half the
units are dead (exactly 0 in both) and effects and drops that are 0 in up to 80 % of units: 94 to 98 % of the intervals
held the truth. The bootstrap's percentiles held it in 75 to 97 %, BCa in 75 to 97 %, and Fisher's z with the variance
of Bonett & Wright (2000) alone in 76 to 98 %: it knows nothing of ties.
"""

from collections.abc import Hashable, Mapping
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import betainc, ndtri

from lstm_probe.causal.status import hardly_learned
from lstm_probe.core.columns import RUN_COLUMNS, columns, interval
from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import known, number
from lstm_probe.core.order import UNIT, shown_variable
from lstm_probe.core.scale import strength

#: The target of the rows that are about a unit as a whole.
OVERALL = "all"
#: Below so many units there is no rank correlation.
LEAST_UNITS = 5
#: Up to so many units a p-value counts every order of them.
_EXACT = 7
#: Decimals to which values are the same: what lies below is rounding of the network's arithmetic.
_DECIMALS = 6

_MANY = "; of all: of the signal that the unit tells most of, numbers and classes on one scale"
COLUMNS = columns(
    *RUN_COLUMNS, "layer", "direction", "unit",
    target="Name of the target, or all: the unit as a whole.",
    signal="Name of the signal: the target's own" + _MANY + ".",
    metric="Name of the score of that signal.",
    effect="The unit's effect on that signal, at the lag where it is highest.",
    strength="The same as if all effects were R², so that those of numbers and of classes can be compared.",
    refit_drop="What clamping the unit alone costs the target after the output is brought back to scale; of all: the "
    "largest over targets.",
    tracks="Whether the unit tracks the signal at any lag; of all: whether it tracks any.",
    needed="alone, together, no or not measured, as in ablations; of all: alone if it is so for any target, else "
    "together if for any, and no if for every one.",
)  # fmt: skip
CORRELATION_COLUMNS = columns(
    "target",
    n_units="How many units that are.",
    rho="Spearman's rank correlation of strength and refit_drop over units, ties with their average rank; missing "
    "below 5 units, and where one of the two is the same in all.",
    **interval("rho"),
    p_value="Of rho = 0, two-sided: over all orders up to 7 units, else by Student's t.",
)  # fmt: skip


def tracked_against_needed(probes: pd.DataFrame, ablations: pd.DataFrame, *, variable: str = "c") -> pd.DataFrame:
    """Set side by side what each unit tells of each target and what clamping it costs that target.

    Args:
        probes: columns `PROBE_COLUMNS`, of one network.
        ablations: columns `ABLATION_COLUMNS`, of the same network, one variable and one mode.
        variable: what is looked at in `probes`, or the first one probed where it was not.

    Returns:
        Columns `COLUMNS`: for each unit a row as a whole (target `all`), then one for each target that is a signal
        too. Units that are in one table only, and drops that are not known, are left out; so nothing is left of the
        ablations of earlier versions, which have no `refit_drop`.

    Raises:
        InputError: several rows for one unit and target: of several networks, variables or modes.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> scores = lp.probe_units(rec, batch.signals, variables=["c"], permutations=99, bootstrap=10)
    >>> both = lp.tracked_against_needed(scores, lp.ablate_units(net.model, batch, bootstrap=10))
    >>> both.query("target == 'count'")[["unit", "effect", "refit_drop"]].round(1).values.tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]]
    """
    if not len(probes) or "refit_drop" not in ablations or not ablations["refit_drop"].notna().any():
        return pd.DataFrame(columns=list(COLUMNS))
    ablations = ablations[ablations["refit_drop"].notna()]
    costs = ablations[[*UNIT, "target", "refit_drop", "needed"]]
    learned = costs[~hardly_learned(ablations)]
    own = probes[probes["variable"] == shown_variable(probes, variable)]
    for name, table, keys in (("probes", own, [*UNIT, "signal", "lag"]), ("ablations", costs, [*UNIT, "target"])):
        if (twice := table.duplicated(keys)).any():
            row = table[twice].iloc[0]
            raise InputError(
                f"{name}: unit {row['unit']} has several rows for {row[keys[3]]}; choose one network, variable and mode"
            )
    best = _best(own, [*UNIT, "signal"])
    targets = best[best["role"] == "target"].assign(target=lambda table: table["signal"])
    parts = [
        _best(best, UNIT).merge(_whole(learned if len(learned) else costs), on=UNIT).assign(target=OVERALL),
        targets.merge(costs, on=[*UNIT, "target"]),
    ]
    names = [OVERALL, *costs["target"].unique()]
    table = pd.concat([part for part in parts if len(part)] or parts[:1])
    order = pd.Categorical(table["target"], names).codes
    table = table.assign(_order=order).sort_values([*UNIT, "_order"], kind="stable", ignore_index=True)
    return table[list(COLUMNS)]


def _best(probes: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the strongest row of each group; it `tracks` where any of the group does."""
    tracks = probes.groupby(keys)["tracks"].any()
    rows = probes.assign(strength=strength(probes["effect"].to_numpy(dtype=float), list(probes["metric"])))
    rows = rows.sort_values("strength", ascending=False, kind="stable", na_position="last").drop_duplicates(keys)
    return rows.drop(columns="tracks").merge(tracks.reset_index(), on=keys)


def _whole(costs: pd.DataFrame) -> pd.DataFrame:
    """Return each unit's largest drop, and how it is needed by any target."""

    def word(needed: pd.Series) -> str:
        there = set(needed)
        return next((name for name in ("alone", "together", "not measured") if name in there), "no")

    groups = costs.groupby(UNIT)
    return groups.agg(refit_drop=("refit_drop", "max"), needed=("needed", word)).reset_index()


def rank_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Return how well the order of units by what they tell is that by what clamping them costs.

    The units are the sample: the interval says what other units of such a network would give, not what other
    sequences or other seeds would. Dead units, which tell nothing and cost nothing, raise the correlation.

    Args:
        table: columns `COLUMNS`; of several networks' tables in one, all units are taken together.

    Returns:
        One row for each target, the whole (`all`) first, columns `CORRELATION_COLUMNS`.
    """
    known_rows = table[table["strength"].notna() & table["refit_drop"].notna()]
    names = [OVERALL, *(name for name in table["target"].unique() if name != OVERALL)]
    rows = []
    for name in names if len(table) else []:
        own = known_rows.loc[known_rows["target"] == name, ["strength", "refit_drop"]].to_numpy(dtype=float)
        rows.append((name, len(own), *_spearman(*np.round(own, _DECIMALS).T)))
    return pd.DataFrame(rows, columns=list(CORRELATION_COLUMNS))


def _spearman(x: Float[np.ndarray, " unit"], y: Float[np.ndarray, " unit"]) -> tuple[float, float, float, float]:
    """Return Spearman's ρ, both ends of its 95 % interval, and its p-value; NaN where there is none.

    The interval is symmetric in Fisher's z. Its width is the wider one of two: that of Bonett & Wright (2000),
    √((1 + ρ²/2)/(n − 3)), and that of ρ's influence function, which knows of ties. Where the order of so few units
    is as good as perfect, it is laid around the next possible ρ, 1 − 12/(n³ − n), and reaches to 1.
    """
    n = len(x)
    if n < LEAST_UNITS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return (np.nan,) * 4
    rho, error = _influence(x, y)
    most = 1 - 12 / (n**3 - n)
    inner = np.clip(rho, -most, most)
    wide = ndtri(0.975) * max(np.sqrt((1 + inner**2 / 2) / (n - 3)), error / (1 - inner**2))
    low, high = np.tanh(np.arctanh(inner) + np.array([-wide, wide]))
    return rho, -1.0 if rho < -most else float(low), 1.0 if rho > most else float(high), _p_value(x, y, rho)


def _influence(x: Float[np.ndarray, " unit"], y: Float[np.ndarray, " unit"]) -> tuple[float, float]:
    """Return Spearman's ρ and its standard error by the influence of each unit.

    ρ is the correlation of the two middle distribution functions, each of which every unit is part of.
    """
    n = len(x)
    below_x, below_y = ((v[:, None] < v) + 0.5 * (v[:, None] == v) for v in (x, y))
    u, v = below_x.mean(0) - 0.5, below_y.mean(0) - 0.5
    moved_u, moved_v = below_x - 0.5 - u, below_y - 0.5 - v
    uu, vv, uv = (u * u).mean(), (v * v).mean(), (u * v).mean()
    rho = uv / np.sqrt(uu * vv)
    of_uv = u * v - uv + (moved_u @ v + moved_v @ u) / n
    of_uu, of_vv = u * u - uu + 2 * moved_u @ u / n, v * v - vv + 2 * moved_v @ v / n
    influence = of_uv / np.sqrt(uu * vv) - rho / 2 * (of_uu / uu + of_vv / vv)
    return float(np.clip(rho, -1, 1)), float(np.sqrt((influence**2).sum() / (n * (n - 1))))


def _p_value(x: Float[np.ndarray, " unit"], y: Float[np.ndarray, " unit"], rho: float) -> float:
    n = len(x)
    if n > _EXACT:
        return float(betainc((n - 2) / 2, 0.5, 1 - rho**2))  # Student's t with n - 2 degrees of freedom, two-sided
    ranks, others = (pd.Series(v).rank().to_numpy() - (n + 1) / 2 for v in (x, y))
    sums = others[np.array(list(permutations(range(n))))] @ ranks
    return float((np.abs(sums) >= abs(others @ ranks) - 1e-9).mean())


def correlation_words(correlation: Mapping[Hashable, Any]) -> str:
    """Say a row of `rank_correlations` in a few words.

    >>> correlation_words({"n_units": 32, "rho": 0.31, "ci_low": -0.05, "ci_high": 0.6})
    'rank correlation over 32 units 0.31 (−0.05 to 0.60)'
    """
    n, rho, low, high = (correlation[name] for name in ("n_units", "rho", "ci_low", "ci_high"))
    if not known(rho):
        return "rank correlation: too few units" if n < LEAST_UNITS else "rank correlation: all units alike"
    told = (number(value + 0.0).replace("-", "−") for value in (rho, low, high))
    return "rank correlation over {} units {} ({} to {})".format(int(n), *told)
