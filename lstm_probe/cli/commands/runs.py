"""`runs`: what is in the run store."""

from datetime import datetime
from pathlib import Path

from lstm_probe.cli.config import RunsConfig
from lstm_probe.cli.filters import chosen
from lstm_probe.core.console import out, say
from lstm_probe.core.digests import LARGEST_JSON, DamagedError, read_regular, unsealed
from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.numbers import UNKNOWN, number
from lstm_probe.core.tables import WordTable
from lstm_probe.runs.run import Run, open_runs, problems_of, run_folders, unfinished_runs
from lstm_probe.runs.summary import tracked_signals

COLUMNS = ("run", "task", "units", "seed", "status", "learned", "lowest", "tracked", "seconds", "when")
NUMBERS = ("units", "seed", "learned", "lowest", "seconds")

#: What a narrow terminal has no place for; a run's name has its units and its seed.
SPARE = ("status", "seed", "units", "seconds", "when")


def run(config: RunsConfig) -> None:
    """Print one line for each run, and what is damaged, unfinished or failed."""
    found, damaged = open_runs(run_folders(config.outputs, config.runs))
    found, unread, none = chosen(found, config.where)
    damaged += unread
    rows = []
    for one in found:
        try:
            if config.check:
                one.check()
            rows.append(row_of(one))
        except Exception as error:  # whatever a table can be that is not as it should be
            damaged += problems_of(one, error)
        if config.check:
            from lstm_probe.runs.again import check_analyses  # what is heavy comes when it is needed

            damaged += check_analyses(one)
    if rows:
        table = WordTable(*COLUMNS, numbers=NUMBERS, spare=SPARE)
        for row in rows:
            table.add_row(*row)
        out.print(table)
    elif none:
        out.print(f"{none[:1].upper()}{none[1:]}.", markup=False, soft_wrap=True)
    else:
        which = f"match {config.runs}" if config.runs else f"are in {config.outputs}"
        out.print(f"No finished runs {which}. Make one by: lstm-probe train units=8", markup=False, soft_wrap=True)
    for line in unfinished_lines(Path(config.outputs)):
        out.print(line, markup=False, soft_wrap=True)
    if config.check:
        say_checked(found, damaged)
    say(*(f"warning: {line}" for line in damaged))


def say_checked(found: list[Run], damaged: list[str]) -> None:
    """Print what was compared with what was written, and what could not be.

    Raises:
        InputError: with all that is damaged.
    """
    for one in found:
        if one.files is None:
            say(f"{one.path}: made before there were digests (schema {one.schema}); what it was then is not known")
        elif later := one.uncovered:
            more = f" and {len(later) - 5} more" if len(later) > 5 else ""
            say(f"{one.path}: not of this run, and not read: {', '.join(map(clean, later[:5]))}{more}")
    if damaged:
        raise InputError(*damaged)
    covered = sum(one.files is not None for one in found)
    out.print(f"{covered} of {len(found)} runs have all files as they were written.", markup=False, soft_wrap=True)


def row_of(one: Run) -> tuple[str, ...]:
    """Return a run's cells, in the order of `COLUMNS`.

    Raises:
        InputError: its tables are damaged.
    """
    info = one.info
    tracked = tracked_signals(one)
    learned, scores = info["learned"].values(), info["scores"].values()
    finished = datetime.fromisoformat(info["finished"]).astimezone()
    return (
        one.name, info["task"], str(info["units"]), str(info["seed"]), info["status"],
        f"{sum(learned)}/{len(learned)}" if scores else UNKNOWN, number(min(scores)) if scores else UNKNOWN,
        "not probed" if tracked is None else " ".join(tracked) or "none",
        f"{sum(info['seconds'].values()):.1f}", f"{finished:%Y-%m-%d %H:%M}",
    )  # fmt: skip


def has_failed(folder: Path) -> bool:
    """Return whether a hidden folder is that of a run that failed."""
    try:
        return unsealed(read_regular(folder / "run.json", LARGEST_JSON)).get("status") == "failed"
    except DamagedError:
        return False


def unfinished_lines(outputs: Path) -> list[str]:
    """Return what to say of runs that failed, and of those that were interrupted or are being made."""
    lines, interrupted = [], 0
    for folder in unfinished_runs(outputs):
        if has_failed(folder):
            lines.append(f"1 run failed: {folder / 'train.log'} says why.")
        else:
            interrupted += 1
    if interrupted:
        runs = "1 run is" if interrupted == 1 else f"{interrupted} runs are"
        lines.append(f"{runs} unfinished: interrupted or being made. The same `train` command continues.")
    return lines
