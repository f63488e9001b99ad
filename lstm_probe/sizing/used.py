"""Does a larger network use more units? How many each network of a sweep uses after a merge, beside its size."""

from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType

import pandas as pd

from lstm_probe.runs.run import Run
from lstm_probe.sizing.answer import Size, interval_words, shown_words
from lstm_probe.sizing.stored import Stored
from lstm_probe.sizing.sweeps import experiments

#: Of each network: how many units each layer and direction keeps after a merge, and how many are left unclamped.
USED_COLUMNS = ("task", "units", "seed", "used", "unclamped")


def used_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how many units carry the task in each network in which that was measured, and every target learned.

    Returns:
        Columns `USED_COLUMNS`, one row for each experiment (column `task`, see `experiments`), units and seed. `used`:
        the fewest when the others are merged into them; `unclamped`: when the others are clamped, as many of each layer
        and direction on average; missing where that was not measured.
    """
    rows = []
    for task, members in experiments(runs).items():
        for run in members:
            used = run.used.attrs.get("used", {}).get("all") if "used" in run.measured else None
            if used is not None and all(run.info["learned"].values()):
                rows.append((task, run.info["units"], run.info["seed"], used["used"], _unclamped(run)))
    table = pd.DataFrame(rows, columns=list(USED_COLUMNS)).astype({"unclamped": float})
    return table.sort_values(["task", "units", "seed"], kind="stable").reset_index(drop=True)


def _unclamped(run: Run) -> float:
    """Return how many units of each layer and direction carry the task with the others clamped."""
    own = run.sufficient
    kept = own[(own["target"] == "all") & own["kept"].astype(bool)]
    parts = len(own[["layer", "direction"]].drop_duplicates())
    return len(kept) / parts if parts else float("nan")


def trained_sizes(runs: Sequence[Run], stored: Sequence[Stored]) -> dict[str, Size]:
    """Return, for each experiment, the answer of a search whose trainings were like its own, where there is one."""
    found = {}
    for task, members in experiments(runs).items():
        for one in stored:
            shared = {key: value for key, value in one.question.items() if key in members[0].config}
            if "task" in shared and all(members[0].config[key] == value for key, value in shared.items()):
                found[task] = one.size
    return found


def used_words(table: pd.DataFrame, trained: Mapping[str, Size] = MappingProxyType({})) -> dict[str, str]:
    """Say, for each experiment, how many units networks of every size use, and whether larger ones use more.

    Args:
        table: columns `USED_COLUMNS`.
        trained: how many units the task needs where it is trained from the start, by experiment (see `trained_sizes`).
    """
    said = {}
    for task, own in table.groupby("task", sort=False):
        sizes = [f"{_span(group['used'])} of {units}" for units, group in own.groupby("units")]
        seeds = own.groupby("units").size()
        each = f"{seeds.min()} to {seeds.max()} seeds" if seeds.min() < seeds.max() else (
            f"{seeds.max()} seed{'s' if seeds.max() > 1 else ''}")  # fmt: skip
        words = f"Used after a merge of the others, without training: {', '.join(sizes)} units ({each} of each size)"
        pairs = [(small["used"], large["used"]) for (_, small), (_, large) in product(own.iterrows(), repeat=2)
                 if small["units"] < large["units"]]  # fmt: skip
        if pairs:
            more, less = (sum(sign * (large - small) > 0 for small, large in pairs) for sign in (1, -1))
            words += f"; of {len(pairs)} pairs of a smaller and a larger network, the larger one used more in {more}"
            words += f" and fewer in {less}" if less else ""
        said[str(task)] = f"{words}." + _trained_words(trained.get(str(task)))
    return said


def _trained_words(size: Size | None) -> str:
    """Say how many units are enough from the start; nothing where that is not known."""
    if size is None or size.units is None or not (shown := shown_words(size)):
        return ""
    interval = f"95 % interval {interval_words(size.low, size.high, size.largest)}"
    return f" Trained from the start, half of the networks solve it with {shown} ({interval})."


def _span(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"
