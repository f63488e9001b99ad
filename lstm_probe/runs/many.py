"""All runs of a store as one data set: their tables in one, of which only the needed columns are read."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.core.columns import RUN_COLUMNS
from lstm_probe.core.console import counted
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.numbers import many
from lstm_probe.core.run_columns import HISTORY_COLUMNS, RUNS_COLUMNS
from lstm_probe.core.shown import Shown, SmallTable, Told, listed
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.opening import open_runs
from lstm_probe.runs.run import Run
from lstm_probe.runs.where import chosen_runs, none_left, wanted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

log = logging.getLogger(__name__)

HISTORY = "history"
#: So many files are read before their tables are put together.
AT_ONCE = 500
#: Settings that have columns of their own in `Runs.table`, or say nothing of a run.
_NOT_VARYING = ("units", "seed", "layers", "task.name")


@dataclass(frozen=True, repr=False)
class Runs(Shown):
    """Finished runs as one data set; `len`, and a loop over them gives each `Run`.

    Each analysis is an attribute, as of a `Run`: `runs.probes`, `runs.memory` and so on, of all runs in one table with
    the columns run, task, units and seed; texts are categories. A file is compared with its digest when it is read; a
    damaged one is named in a warning, and its run's rows are left out.

    Attributes:
        place: where they are.
        damaged: a line for each file or folder that was left out because it is damaged.
    """

    place: Path
    runs: tuple[Run, ...]
    damaged: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def _told(self) -> Told:
        tasks = listed(sorted({run.info["task"] for run in self}))
        units = listed(sorted({run.info["units"] for run in self}), 12)
        seeds = len({run.info["seed"] for run in self})
        lines = [f"tasks: {tasks}", f"units: {units}; {many(seeds, 'seed')}"] if len(self) else ["no finished run"]
        lines += [f"{sum(run.info['solved'] for run in self)} of {len(self)} solved"] * bool(len(self))
        lines += [f"left out, because damaged: {len(self.damaged)} (see .damaged)"] * bool(self.damaged)
        n = {name: sum(name in run.measured for run in self) for name in ANALYSES}
        tables = [SmallTable(("table", "runs", "what it says"), [
            ("runs.table", len(self), "One row for each run: settings, scores, seconds"),
            *((f"runs.{name}", k, ANALYSES[name].says) for name, k in n.items() if k),
        ])]  # fmt: skip
        return Told(f"{many(len(self), 'run')} in {self.place}", lines, tables)

    def __getattr__(self, name: str) -> "pd.DataFrame":
        if name not in ANALYSES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        table = self.read(name)
        self.__dict__[name] = table  # from now on an attribute like any other
        return table

    @cached_property
    def history(self) -> "pd.DataFrame":
        """Columns run, task, units, seed, and `HISTORY_COLUMNS`."""
        return self.read(HISTORY)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each run: columns `RUNS_COLUMNS`, a score for each target, and the settings that vary."""
        import pandas as pd

        settings: list[dict[str, Any]] = []
        for run in counted(self.runs, "reading settings"):
            try:
                settings.append({k: v for k, v in run.flat.items() if k not in _NOT_VARYING})
            except InputError as error:
                self._leave_out(error.problems)
                settings.append({})
        keys = dict.fromkeys(key for own in settings for key in own)
        varying = [key for key in keys if len({repr(own.get(key)) for own in settings if own}) > 1]
        rows = []
        for run, own in zip(self.runs, settings, strict=True):
            row = _row(run) | {f"score.{target}": score for target, score in run.info["scores"].items()}
            rows.append(row | {key: own.get(key) for key in varying if key not in row})
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(RUNS_COLUMNS))

    def read(
        self, name: str, *, columns: Sequence[str] | None = None, where: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """Return one analysis' table of all runs, one run's rows after another's, without a run that has none.

        Args:
            name: of the analysis, such as "probes", or "history".
            columns: which, in this order; None for all.
            where: only rows in which these columns have this value, or one of these.

        Raises:
            InputError: no such analysis or column; a value that no such column can have.
        """
        if name not in (*ANALYSES, HISTORY):
            legal = [*ANALYSES, HISTORY]
            raise InputError(f"name={name}: no such table.{nearest(name, legal)} There are {', '.join(legal)}.")
        declared = list(dict.fromkeys([*RUN_COLUMNS, *(ANALYSES[name].columns if name in ANALYSES else
                                                       HISTORY_COLUMNS)]))  # fmt: skip
        for key in (*(columns or ()), *(where or ())):
            if key not in declared:
                raise InputError(f"{key}: no such column of {name}.{nearest(key, declared)} There are "
                                 f"{', '.join(declared)}.")  # fmt: skip
        return self._read(name, declared, columns, where or {})

    def _read(
        self, name: str, declared: Sequence[str], columns: Sequence[str] | None, where: Mapping[str, Any]
    ) -> "pd.DataFrame":
        import pandas as pd

        from lstm_probe.runs.columns_of import TableReader, put_together, rows_of

        own = [run for run in self.runs if name == HISTORY or name in run.measured]
        if len(own) < len(self.runs):
            log.info("%s: not measured in %d of %d runs", name, len(self.runs) - len(own), len(self.runs))
        reader = TableReader(name, None if columns is None else [*dict.fromkeys([*columns, *where])])
        parts: list[pa.Table] = []
        found: list[pa.Table] = []
        for k, run in enumerate(counted(own, f"reading {name}"), 1):
            try:
                found.append(reader.read(run))
            except InputError as error:
                self._leave_out(error.problems)
            if (k % AT_ONCE == 0 or k == len(own)) and found:
                parts.append(rows_of(put_together(found), {key: wanted(value) for key, value in where.items()}))
                found.clear()
        whole = put_together(parts)
        if whole is None:
            return pd.DataFrame(columns=list(columns or declared))
        frame: pd.DataFrame = whole.to_pandas(split_blocks=True)
        order = list(columns) if columns is not None else [c for c in declared if c in frame] + [
            c for c in frame if c not in declared]  # fmt: skip
        return frame.reindex(columns=order)

    def _leave_out(self, problems: Iterable[str]) -> None:
        """Say what is damaged, once."""
        for line in problems:
            if line not in self.damaged:
                self.damaged.append(line)
                log.warning("left out: %s", line)


def _row(run: Run) -> dict[str, Any]:
    """Return what a run.json says of a run, columns `RUNS_COLUMNS`."""
    import pandas as pd

    info = run.info
    scores, learned = info["scores"], info["learned"]
    lowest = min(scores, key=scores.get, default=None)
    return {
        "run": run.name, "task": info["task"], "units": info["units"], "layers": info.get("layers", 1),
        "seed": info["seed"], "solved": info["solved"], "learned": bool(learned) and all(learned.values()),
        "lowest": float("nan") if lowest is None else float(scores[lowest]), "of": lowest,
        "seconds": float(sum(info["seconds"].values())), "finished": pd.Timestamp(info["finished"]),
        "path": str(run.path),
    }  # fmt: skip


def load_runs(place: str | Path = "outputs/runs", /, **where: Any) -> Runs:
    """Open all finished runs of a store as one data set.

    Only their `run.json` is read; tables come when they are asked for. Damaged runs are left out, each with a warning.

    Args:
        place: the folder of the runs, or the one that holds `runs`.
        where: only runs of which this is so: `task="tracking"`, `units=[8, 16]` for any of these, `solved=True`,
            `learned=True` (every target), or a key of the configuration, dotted ones as `**{"task.bits": 2}`.

    Raises:
        InputError: there is no such folder, or no run has such a key.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as store:  # nothing was trained here
    ...     runs = load_runs(store)
    >>> len(runs), list(runs.table)[:5], len(runs.read("probes", columns=["unit", "effect"]))
    (0, ['run', 'task', 'units', 'layers', 'seed'], 0)
    """
    folder = Path(place)
    if not folder.is_dir():
        raise InputError(f"{place}: no such folder; name the one that `train` writes to, such as outputs/runs")
    outputs = folder if (folder / "runs").is_dir() else folder.parent
    store = outputs / "runs" if outputs is folder else folder
    found, damaged = open_runs([path for path in store.glob("*/[!.]*") if path.is_dir()])
    chosen, unread = chosen_runs(found, where)
    for line in (*damaged, *unread):
        log.warning("left out: %s", line)
    if not chosen:
        log.warning("%s: %s", store, none_left(found, where) if found else "no finished run is there")
    return Runs(store, tuple(chosen), [*damaged, *unread])
