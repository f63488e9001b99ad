"""What holds over seeds: the tables of several trained networks put together; a network is one sample."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from jaxtyping import Float

from lstm_probe.core.errors import InputError
from lstm_probe.core.quantiles import student
from lstm_probe.core.run_columns import SEED_COLUMNS

#: Networks below which no interval of their mean is given: so few cannot show how far they spread.
FEWEST_SEEDS = 5

_KEYS = ["task", "units", "variable", "signal", "kind", "role", "lag"]
_UNIT = [*_KEYS, "seed", "layer", "direction", "unit"]
#: The columns that are looked at.
NEEDED = [*_UNIT, "effect", "tracks"]


def mean_interval(values: Float[np.ndarray, " seed"], high: float) -> tuple[float, float]:
    """Return the 95 % interval of a mean by Student's t, cut to 0 and `high`; NaN for fewer than `FEWEST_SEEDS`.

    Scores of networks lie in heaps, where some solve a task and others do not: two or three that agree show nothing of
    that. Not by bootstrap: it has no width where seeds agree.
    """
    if len(values) < FEWEST_SEEDS:
        return np.nan, np.nan
    half = student(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return max(0.0, values.mean() - half), min(high, values.mean() + half)


def across_seeds(probes: pd.DataFrame | Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Say of each signal in how many networks some unit tracks it, and how well the best unit does.

    Args:
        probes: tables of `probe_units`, one for each trained network, or all of them in one. Networks of the same
            task and number of units that differ in `seed` are samples of the same thing.

    Returns:
        One row for each task, number of units, variable, signal and lag, with the columns `SEED_COLUMNS`.
        `share_tracked`: the share of networks in which at least one unit, of any layer, tracks the signal;
        `best_effect`: the mean over networks of the best unit's effect, with its 95 % interval by Student's t;
        `tracking_units`: the mean number of units that track the signal. A network in which the signal did not vary
        does not count. With fewer than `FEWEST_SEEDS` (5) there is no interval: its ends are NaN.

    Raises:
        InputError: a column is missing, there is no table, or two tables say different things of the same unit.
    """
    tables = [probes] if isinstance(probes, pd.DataFrame) else list(probes)
    for number, table in enumerate(tables):
        missing = [column for column in NEEDED if column not in table]
        if missing:
            raise InputError(f"probes: table {number} lacks {' '.join(missing)}; it must be made by probe_units")
    if not tables:
        raise InputError("probes: there are none; at least one table is needed")
    table = pd.concat([own[NEEDED] for own in tables], ignore_index=True)
    twice = table.duplicated(_UNIT)
    if twice.any():
        first = table[twice].iloc[0]
        raise InputError(
            f"probes: seed {first.seed} of {first.task} with {first.units} units is in there twice; "
            "networks are told apart by task, units and seed"
        )
    # A unit's missing effect is a signal without variation.
    table = table[table["effect"].notna()]
    # Before pandas 3, words of which a table keeps a list would have a row for each way to combine them.
    by = table.groupby([*_KEYS, "seed"], sort=False, observed=True)
    networks = by.agg(best=("effect", "max"), tracking=("tracks", "sum"))
    rows = []
    for key, own in networks.groupby(_KEYS, sort=False, observed=True):
        best = own["best"].to_numpy(dtype=np.float64)
        tracked, tracking = float((own["tracking"] > 0).mean()), float(own["tracking"].mean())
        rows.append((*key, len(own), tracked, best.mean(), *mean_interval(best, 1.0), tracking))
    return pd.DataFrame(rows, columns=list(SEED_COLUMNS))
