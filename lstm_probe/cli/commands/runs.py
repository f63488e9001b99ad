"""`runs`: what is in the run store."""

import json
from datetime import datetime
from pathlib import Path

from rich.text import Text

from lstm_probe.cli.config import RunsConfig
from lstm_probe.cli.tables import plain_table
from lstm_probe.core.console import out, say
from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import UNKNOWN, number
from lstm_probe.runs.run import Run, find_runs, unfinished_runs

COLUMNS = ("run", "task", "units", "seed", "status", "learned", "lowest", "tracked", "seconds", "when")
NUMBERS = ("units", "seed", "learned", "lowest", "seconds")


def run(config: RunsConfig) -> None:
    """Print one line for each run, and what is damaged, unfinished or failed."""
    found, damaged = find_runs(config.outputs, pattern=config.runs)
    rows = []
    for one in found:
        try:
            rows.append(row_of(one))
        except InputError as error:
            damaged += error.problems
    if rows:
        table = plain_table(*COLUMNS, whole=("run", "task", "when"), numbers=NUMBERS, gap=1)
        for row in rows:
            table.add_row(*map(Text, row))
        out.print(table)
    else:
        which = f"match {config.runs}" if config.runs else f"are in {config.outputs}"
        out.print(f"No finished runs {which}. Make one by: lstm-probe train units=8", markup=False, soft_wrap=True)
    for line in unfinished_lines(Path(config.outputs)):
        out.print(line, markup=False, soft_wrap=True)
    say(*(f"warning: {line}" for line in damaged))


def row_of(one: Run) -> tuple[str, ...]:
    """Return a run's cells, in the order of `COLUMNS`.

    Raises:
        InputError: its tables are damaged.
    """
    info = one.info
    tracked = one.probes.loc[one.probes["tracks"].astype(bool), "signal"].unique()
    learned, scores = info["learned"].values(), info["scores"].values()
    finished = datetime.fromisoformat(info["finished"]).astimezone()
    return (
        one.name, info["task"], str(info["units"]), str(info["seed"]), info["status"],
        f"{sum(learned)}/{len(learned)}" if scores else UNKNOWN, number(min(scores)) if scores else UNKNOWN,
        " ".join(tracked) or "none",
        f"{sum(info['seconds'].values()):.1f}", f"{finished:%Y-%m-%d %H:%M}",
    )  # fmt: skip


def unfinished_lines(outputs: Path) -> list[str]:
    """Return what to say of runs that failed, and of those that were interrupted or are being made."""
    lines, interrupted = [], 0
    for folder in unfinished_runs(outputs):
        state = folder / "run.json"
        if state.is_file() and json.loads(state.read_text()).get("status") == "failed":
            lines.append(f"1 run failed: {folder / 'train.log'} says why.")
        else:
            interrupted += 1
    if interrupted:
        runs = "1 run is" if interrupted == 1 else f"{interrupted} runs are"
        lines.append(f"{runs} unfinished: interrupted or being made. The same `train` command continues.")
    return lines
