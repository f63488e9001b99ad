"""How many units are needed: the answers that only several runs together can give."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_probe.causal.status import ALONE, NO_COST_ALONE, NOT_NEEDED, TOGETHER, UNKNOWN, unit_statuses
from lstm_probe.core.errors import clean
from lstm_probe.probing.analyses.seeds import mean_interval
from lstm_probe.runs.run import Run

CAPACITY_COLUMNS = ("task", "units", "quantity", "target", "mean", "ci_low", "ci_high", "n_seeds")
QUANTITIES = ("score", "tracked_signals", "needed_alone_units", "needed_together_units", "not_needed_units",
              "all_units")  # fmt: skip
SMALLEST_COLUMNS = ("task", "target", "needed", "runs", "lost_at", "lost", "of", "always", "tried")

#: What may differ between runs that are seeds and sizes of one experiment, and what changes no result.
_VARIED = ("units", "seed", "device", "threads", "outputs", "force", "task.name")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def experiments(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs by experiment: those that differ in `units` and `seed` alone belong together.

    An experiment is called by its task (a table by its file too), and by the settings in which it differs from
    the same task's others.
    """
    settings = [{k: v for k, v in _flat(run.config).items() if k not in _VARIED} for run in runs]
    by_task: dict[str, list[int]] = {}
    for k, run in enumerate(runs):
        task = run.info["task"]
        if settings[k].get("task.content"):  # a table: called by its file, and told apart by what is in it
            task += f" {clean(Path(settings[k].pop('task.path')).name)}"
            settings[k]["task.content"] = settings[k]["task.content"][:8]
        by_task.setdefault(task, []).append(k)
    named: dict[str, list[Run]] = {}
    for task, members in by_task.items():
        keys = sorted(set().union(*(settings[k] for k in members)))
        differing = [key for key in keys if len({repr(settings[k].get(key)) for k in members}) > 1]
        for k in members:
            name = ", ".join([task, *(clean(f"{key}={settings[k].get(key)}") for key in differing)])
            named.setdefault(name, []).append(runs[k])
    return named


def _measured(run: Run) -> list[tuple[str, str, float, float]]:
    """Return (quantity, target, value, highest possible value) of one run, by the statuses of the report."""
    scores = [("score", target, float(score), 1.0) for target, score in run.info["scores"].items()]
    if "probes" not in run.measured:
        return scores
    statuses = unit_statuses(run.probes, run.ablations)
    own = run.probes[run.probes["variable"] == statuses.attrs["variable"]]
    tracked = own.loc[own["tracks"].astype(bool), "signal"].nunique()
    needed, units = statuses["needed"], float(len(statuses))
    counted = {"needed_alone_units": ALONE, "needed_together_units": TOGETHER, "not_needed_units": NOT_NEEDED}
    if needed.isin((NO_COST_ALONE, UNKNOWN)).any():  # of the others it is not known which are needed together
        counted = {} if (needed == UNKNOWN).any() else {"needed_alone_units": ALONE}
    return [
        *scores,
        ("tracked_signals", "", float(tracked), float(own["signal"].nunique())),
        *((name, "", float((needed == one).sum()), units) for name, one in counted.items()),
        ("all_units", "", units, units),
    ]


def capacity_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return scores and counts against `units`, with 95 % intervals over seeds.

    Returns:
        Columns `CAPACITY_COLUMNS`, one row for each experiment (column `task`, see `experiments`), units and
        quantity: "score" (one row for each target), "tracked_signals" (how many signals at least one unit's
        memory tracks), "needed_alone_units", "needed_together_units", "not_needed_units" and "all_units" (how many
        units, over all layers; of a run in which that was not measured there are none of the three). `ci_low` and
        `ci_high` are NaN where `n_seeds` is 1.
    """
    rows = []
    for task, members in experiments(runs).items():
        measured = pd.DataFrame(
            [(run.info["units"], *row) for run in members for row in _measured(run)],
            columns=["units", "quantity", "target", "value", "highest"],
        )
        for (units, quantity, target), own in measured.groupby(["units", "quantity", "target"], sort=False):
            values = own["value"].to_numpy()
            low, high = mean_interval(values, own["highest"].max())
            rows.append((task, units, quantity, target, values.mean(), low, high, len(values)))
    table = pd.DataFrame(rows, columns=list(CAPACITY_COLUMNS))
    order = table.assign(rank=table["quantity"].map(QUANTITIES.index))
    return table.loc[order.sort_values(["task", "units", "rank"], kind="stable").index].reset_index(drop=True)


def smallest_solving(runs: Sequence[Run]) -> pd.DataFrame:
    """Return, for each experiment and target, how many units it needs.

    Returns:
        Columns `SMALLEST_COLUMNS`. `needed`: the smallest size such that every run of it and of larger ones learned the
        target, <NA> if not every run of the largest size did; `runs`: how many runs these are. `lost_at`: the largest
        size at which some run did not learn it, <NA> if all did; `lost` of the `of` runs of up to that size
        did not. `always`: the sizes of which every run learned it, and `tried`: all sizes, as tuples.
    """
    rows = []
    for task, members in experiments(runs).items():
        sizes = sorted({run.info["units"] for run in members})
        for target in members[0].info["learned"]:
            failed = [run.info["units"] for run in members if not run.info["learned"].get(target, False)]
            lost_at = max(failed, default=None)
            needed = next((size for size in sizes if lost_at is None or size > lost_at), None)
            count = sum(needed is not None and run.info["units"] >= needed for run in members)
            below = sum(lost_at is not None and run.info["units"] <= lost_at for run in members)
            always = tuple(size for size in sizes if size not in failed)
            rows.append((task, target, needed, count, lost_at, len(failed), below, always, tuple(sizes)))
    table = pd.DataFrame(rows, columns=list(SMALLEST_COLUMNS))
    return table.astype({"needed": "Int64", "lost_at": "Int64"})


def capacity_words(smallest: pd.DataFrame) -> dict[str, list[str]]:
    """Return, for each experiment, one sentence for each target of `smallest_solving`'s table."""
    words: dict[str, list[str]] = {}
    rows: Any = smallest.itertuples()
    for row in rows:
        words.setdefault(row.task, []).append(_sentence(row))
    return words


def _sentence(row: Any) -> str:
    """Return how many units one target needs, from one row of `smallest_solving`'s table."""
    tried = ", ".join(str(size) for size in row.tried)
    if pd.isna(row.lost_at):
        return f"{row.target}: learned at every size tried ({tried} units)"
    share = f"in {row.lost} of {row.of} run{'s' if row.of > 1 else ''}"
    if not pd.isna(row.needed):
        smaller = f"{row.lost_at}" + (" or fewer" if row.lost_at > row.tried[0] else "")
        more = " or more" if row.needed < row.tried[-1] else ""
        learned = f"learned with {row.needed}{more} in {row.runs} of {row.runs} run{'s' if row.runs > 1 else ''}"
        return f"{row.target} needs {row.needed} units: {learned}, lost with {smaller} {share}"
    if row.always:
        sizes = ", ".join(str(size) for size in row.always)
        return f"{row.target}: learned in every run with {sizes} units, but not with {row.lost_at}; lost {share}"
    return f"{row.target}: learned reliably at no size tried ({tried} units), lost {share}"
