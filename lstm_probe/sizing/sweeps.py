"""What several runs show together: which belong together, and their scores and counts against `units`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_probe.core.errors import clean
from lstm_probe.core.fields import text
from lstm_probe.probing.analyses.seeds import mean_interval
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS
from lstm_probe.runs.summary import counts_of
from lstm_probe.runs.where import usual

CAPACITY_COLUMNS = ("task", "units", "quantity", "target", "mean", "ci_low", "ci_high", "n_seeds")
QUANTITIES = ("score", "tracked_signals", "needed_alone_units", "needed_together_units", "not_needed_units",
              "all_units")  # fmt: skip
#: Of each network by itself; `highest`: the highest possible value.
CAPACITY_SEED_COLUMNS = ("task", "units", "seed", "quantity", "target", "value", "highest")

#: What may differ between runs that are seeds and sizes of one experiment, and what changes no result.
_VARIED = ("units", "seed", "device", "threads", "outputs", "force", "task.name")


#: So many experiments are told of one by one.
MOST_EXPERIMENTS = 12


def told_of_sizes(runs: Sequence[Run]) -> tuple[list[Run], int]:
    """Return the runs of the experiments that have the most, `MOST_EXPERIMENTS` of them, and how many are left out.

    A search over a setting makes an experiment of each of its values, which nobody reads one after the other.
    """
    found = experiments(runs, measured=False)
    if len(found) <= MOST_EXPERIMENTS:
        return list(runs), 0
    largest = sorted(found, key=lambda name: -len(found[name]))[:MOST_EXPERIMENTS]
    return [run for name in largest for run in found[name]], len(found) - len(largest)


def experiments(runs: Sequence[Run], *, measured: bool = True) -> dict[str, list[Run]]:
    """Return the runs by experiment, by size and seed: those that differ in `units` and `seed` alone belong together.

    An experiment is called by its task (a table by its file too), and by the settings in which it differs from
    the same task's others. A size and seed is in it once: of copies of a run, the one that was finished last.

    Args:
        runs: of any tasks.
        measured: whether the settings with which units were probed and ablated tell experiments apart, too. A training
            and its scores know nothing of them.
    """
    left_out = () if measured else COMMANDS
    runs = sorted(runs, key=lambda run: (run.info["units"], run.info["seed"], run.info["finished"], str(run.path)))
    settings = [
        {k: v for k, v in ({"cell": "lstm"} | usual(run) | run.flat).items()
         if k not in _VARIED and k.partition(".")[0] not in left_out}
        for run in runs
    ]  # fmt: skip
    by_task: dict[str, list[int]] = {}
    for k, run in enumerate(runs):
        task = run.info["task"]
        if settings[k].get("task.content"):  # a table: called by its file, and told apart by what is in it
            task += f" {clean(Path(settings[k].pop('task.path') or '').name)}".rstrip()
            settings[k]["task.content"] = settings[k]["task.content"][:8]
        by_task.setdefault(task, []).append(k)
    named: dict[str, dict[tuple[int, int], Run]] = {}
    for task, members in by_task.items():
        keys = sorted(set().union(*(settings[k] for k in members)))
        differing = [key for key in keys if len({repr(settings[k].get(key)) for k in members}) > 1]
        for k in members:
            name = ", ".join([task, *(clean(f"{key}={text(settings[k].get(key))}") for key in differing)])
            named.setdefault(name, {})[runs[k].info["units"], runs[k].info["seed"]] = runs[k]
    return {name: list(own.values()) for name, own in sorted(named.items())}


def _measured(run: Run) -> list[tuple[str, str, float, float]]:
    """Return (quantity, target, value, highest possible value) of one run, by the statuses of the report."""
    scores = [("score", target, float(score), 1.0) for target, score in run.info["scores"].items()]
    counts = counts_of(run).items()
    return scores + [(name, "", float(value), float(highest)) for name, (value, highest) in counts]


def capacity_seeds(runs: Sequence[Run]) -> pd.DataFrame:
    """Return scores and counts of each network.

    Returns:
        Columns `CAPACITY_SEED_COLUMNS`, one row for each experiment (column `task`, see `experiments`), units,
        quantity, target and seed: "score" (of each target), "tracked_signals" (how many signals at least one unit's
        memory tracks), "needed_alone_units", "needed_together_units", "not_needed_units" and "all_units" (how many
        units, over all layers; of a run in which that was not measured there are none of the three). `highest`: the
        highest value that there could be.
    """
    rows = [
        (task, run.info["units"], run.info["seed"], *row)
        for task, members in experiments(runs).items()
        for run in members
        for row in _measured(run)
    ]
    table = pd.DataFrame(rows, columns=list(CAPACITY_SEED_COLUMNS))
    order = table.assign(rank=table["quantity"].map(QUANTITIES.index))
    return table.loc[order.sort_values(["task", "units", "rank"], kind="stable").index].reset_index(drop=True)


def capacity_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return means over seeds of scores and counts against `units`, with 95 % intervals where there are enough seeds.

    Returns:
        Columns `CAPACITY_COLUMNS`, one row for each experiment, units, quantity and target of `capacity_seeds`.
        `ci_low` and `ci_high` are NaN where `n_seeds` is below `FEWEST_SEEDS`.
    """
    keys = ["task", "units", "quantity", "target"]
    rows = []
    for key, own in capacity_seeds(runs).groupby(keys, sort=False):
        values = own["value"].to_numpy(dtype=np.float64)
        rows.append((*key, values.mean(), *mean_interval(values, own["highest"].max()), len(values)))
    return pd.DataFrame(rows, columns=list(CAPACITY_COLUMNS))
