"""One finished run or several, by a pattern of their folders: filled in, or analysed one after the other."""

import glob
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lstm_probe.cli import interrupts
from lstm_probe.cli.config import AblateConfig, DynamicsConfig, ProbeConfig
from lstm_probe.cli.jobs import PartlyError, explain
from lstm_probe.cli.next_step import after_run, show_next
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError
from lstm_probe.core.holding import TakenOverError
from lstm_probe.core.numbers import many
from lstm_probe.runs.analyses import default_names
from lstm_probe.runs.opening import problems_of
from lstm_probe.runs.overtaken import still_there
from lstm_probe.runs.run import Run, load_run
from lstm_probe.runs.settings import COMMANDS, of_cell, that_decide

log = logging.getLogger(__name__)

#: A command that analyses finished runs.
Config = ProbeConfig | AblateConfig | DynamicsConfig


def folders_of(pattern: str) -> list[Path]:
    """Return the folders of runs that a pattern names; the one that it is, where there is such a folder.

    Raises:
        InputError: a pattern of no run.
    """
    if Path(pattern).exists() or not glob.has_magic(pattern):
        return [Path(pattern)]
    found = sorted(path for path in map(Path, glob.glob(pattern, recursive=True)) if (path / "run.json").exists())  # noqa: PTH207  absolute patterns too
    if not found:
        raise InputError(f"run={pattern}: no run there; `lstm-probe runs` lists the runs")
    return found


def for_each(config: Config, command: str, alone: Callable[[Run], None], another: Callable[[Run], str]) -> None:
    """Analyse the run that is named, or each that a pattern names.

    A run that lacks what is measured when nothing else is said gets it in its own place, if only that is asked for,
    and so its page.

    Args:
        config: of the command; `config.run` says which.
        command: its name.
        alone: does it for a single run, and prints what was found.
        another: does it for one of several, and returns what was done, in a few words.

    Raises:
        InputError: no run is named, or the single one that is named cannot be analysed.
        TakenOverError: another process made it again, or removed it, meanwhile.
        PartlyError: some of several could not be.
    """
    folders = folders_of(config.run)
    if len(folders) == 1:
        run = load_run(folders[0])
        with still_there(run):
            _alone(run, config, command, alone)
        return
    wrong: list[str] = []
    done = 0
    for n, folder in enumerate(folders, 1):
        try:
            run = load_run(folder)
            with still_there(run):
                told = _done(run, config, command, another)
            done += 1
        except (InputError, TakenOverError) as error:
            wrong += error.problems if isinstance(error, InputError) else [str(error)]
            told = "passed over"
        except Exception as error:
            interrupts.heed(error)
            wrong += [f"{folder}: {line}" for line in explain(error, folder.parents[2] / "logs")[1]]
            told = "failed"
        log.info("%d of %d: %s: %s", n, len(folders), folder.name, told)
    out.print(f"{done} of {many(len(folders), 'run')} done.", markup=False, soft_wrap=True)
    if wrong:
        raise PartlyError(wrong)


def _alone(run: Run, config: Config, command: str, alone: Callable[[Run], None]) -> None:
    if to_fill(run, config, command) is None:
        alone(run)
        return
    from lstm_probe.report import print_findings

    filled = fill(run, config)
    show_next(*after_run(filled, print_findings(filled)))


def _done(run: Run, config: Config, command: str, another: Callable[[Run], str]) -> str:
    missing = to_fill(run, config, command)
    if missing is not None:
        fill(run, config)
        return "filled in" if missing else "its page was drawn"
    if asked_as_it_is(run, config, command):
        return "nothing to add"
    return another(run)


def asked_as_it_is(run: Run, config: Config, command: str) -> bool:
    """Return whether a command's settings are the run's own, or all at their defaults."""
    chosen: Any = getattr(config, command)
    given = of_cell(command, asdict(chosen), run.cell)
    if config.seed not in (None, run.config["seed"]) or getattr(config, "card", None) is not None:
        return False
    if given["analyses"] != default_names(command):
        return False
    own = that_decide(command, given) == that_decide(command, run.settings(command))
    return own or given == of_cell(command, asdict(type(chosen)()), run.cell)


def to_fill(run: Run, config: Config, command: str) -> list[str] | None:
    """Return what is to be added to a run in its own place, which may be its page alone; None: nothing."""
    missing = [name for each in COMMANDS for name in default_names(each) if name not in run.measured]
    if (not missing and not run.page_left_out) or not asked_as_it_is(run, config, command):
        return None
    return missing


def fill(run: Run, config: Config) -> Run:
    """Return a run with all that is measured when nothing else is said, and its page; in its own place."""
    import torch

    from lstm_probe.report import write_run_report
    from lstm_probe.runs.making import Measuring, add_missing

    _check(run)
    torch.set_num_threads(config.threads)
    names = tuple(name for command in COMMANDS for name in default_names(command))
    settings = {command: run.settings(command) for command in COMMANDS}
    return add_missing(run, Measuring(names, settings, config.threads, write_run_report))


def _check(run: Run) -> None:
    """Raise an InputError where a file of a run that is to be filled in is damaged."""
    try:
        run.check()
    except InputError:
        raise
    except Exception as error:
        raise InputError(*problems_of(run, error)) from error
