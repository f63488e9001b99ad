"""`runs`: what is in the run store."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lstm_probe.cli.config import RunsConfig
from lstm_probe.cli.filters import chosen
from lstm_probe.core.console import out, say
from lstm_probe.core.digests import LARGEST_JSON, DamagedError, read_regular, unsealed
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import check_writable
from lstm_probe.core.numbers import UNKNOWN, many, number
from lstm_probe.core.tables import WordTable
from lstm_probe.runs.opening import open_runs, problems_of, run_folders, unfinished_runs
from lstm_probe.runs.run import Run

COLUMNS = ("run", "task", "units", "seed", "status", "learned", "lowest", "tracked", "seconds", "when")
NUMBERS = ("units", "seed", "learned", "lowest", "seconds")

#: What a narrow terminal has no place for; a run's name has its units and its seed.
SPARE = ("status", "seed", "units", "seconds", "when")


def run(config: RunsConfig) -> None:
    """Print one line for each run, and what is damaged, unfinished or failed; or merge another store into this one."""
    if config.merge is not None:
        merge(config)
        return
    folders = run_folders(config.outputs, config.runs)
    found, damaged = open_runs(folders)
    found, unread, none = chosen(found, config.where)
    damaged += unread
    rows = []
    for one in found:
        try:
            rows.append(row_of(one))
        except Exception as error:  # whatever a table can be that is not as it should be
            damaged += problems_of(one, error)
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
        whole = config.runs is None and not config.where
        say_checked(folders if whole else [one.path for one in found], damaged, config.outputs if whole else None)
    say(*(f"warning: {line}" for line in damaged))


def say_checked(folders: Sequence[Path], damaged: Sequence[str], outputs: str | None) -> None:
    """Print what was compared with what was written, and what could not be.

    Args:
        folders: of the runs that are compared.
        damaged: what is known already.
        outputs: the store, where all of it is asked for: what else lies in it is looked at too.

    Raises:
        InputError: with all that is damaged.
    """
    from lstm_probe.runs.checking import check_runs, leftovers  # what is heavy comes when it is needed
    from lstm_probe.sizing.stored import stored_sizes

    checked = check_runs(folders)
    say(*(line for one in checked for line in one.notes))
    found = [line for one in checked for line in one.problems]
    if outputs is not None:
        say(*leftovers(Path(outputs) / "runs"))
        found += stored_sizes(Path(outputs))[1]
    # Of a run that could not be opened, what its files say one by one is enough.
    wrong = [str(folder) for folder, one in zip(folders, checked) if one.problems]
    found += [line for line in damaged if not any(folder in line for folder in wrong)]
    if found:
        raise InputError(*dict.fromkeys(found))
    covered = sum(one.covered for one in checked)
    out.print(f"{covered} of {len(checked)} runs have all files as they were written.", markup=False, soft_wrap=True)


def merge(config: RunsConfig) -> None:
    """Copy the runs of another store that are not here, and say what was not copied.

    Raises:
        InputError: there is no other store; or with all in it that is damaged, after the rest was copied.
    """
    from lstm_probe.runs.merging import merge_stores
    from lstm_probe.sizing.stored import merge_sizes

    assert config.merge is not None
    given, outputs = Path(config.merge), Path(config.outputs)
    other = given.parent if given.name == "runs" and not (given / "runs").is_dir() else given
    if not (other / "runs").is_dir():
        raise InputError(
            f"merge={given}: no store (it has no runs/); name the folder that `train` wrote to by outputs="
        )
    if other.resolve() == outputs.resolve():
        raise InputError(f"merge={given}: is outputs={outputs}, the store into which it is to be merged")
    check_writable(outputs, "outputs")
    found, damaged = open_runs(run_folders(other, config.runs))
    found, unread, none = chosen(found, config.where)
    merged = merge_stores(found, outputs)
    said = [f"{len(merged.copied)} of {many(len(found), 'run')} copied from {given}; {len(merged.there)} "
            f"{'was' if len(merged.there) == 1 else 'were'} here already"]  # fmt: skip
    said += [f"of these, {len(merged.added)} more analys{'is' if len(merged.added) == 1 else 'es'} copied"] * bool(
        merged.added)  # fmt: skip
    out.print(f"{'; '.join(said)}." if not none else f"{none[:1].upper()}{none[1:]}.", markup=False, soft_wrap=True)
    say(*merged.kept)
    if unfinished := len(unfinished_runs(other)):
        say(f"{many(unfinished, 'run')} there not finished, and not copied")
    lines = [*damaged, *unread, *merged.left_out]
    if config.runs is None and not config.where:
        answers, wrong = merge_sizes(other, outputs)
        lines += wrong
        if answers:
            out.print(f"{many(len(answers), 'answer')} of searches copied.", markup=False, soft_wrap=True)
    if lines:
        raise InputError(*dict.fromkeys(f"not copied: {line}" for line in lines))


def row_of(one: Run) -> tuple[str, ...]:
    """Return a run's cells, in the order of `COLUMNS`.

    Raises:
        InputError: its tables are damaged.
    """
    info = one.info
    tracked = one.tracked
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
