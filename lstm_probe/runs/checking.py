"""Every file of a store compared with what was written; each damaged one is named, and the rest is looked at too."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lstm_probe.core.console import counted
from lstm_probe.core.digests import DamagedError, read_told
from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.files import OLD, PARTIAL, replaced_by
from lstm_probe.runs.again import ABOUT, again_by, check_analysis
from lstm_probe.runs.info import AGAIN, read_info
from lstm_probe.runs.run import RUN_FILES, Run
from lstm_probe.runs.schema import WITH_DIGESTS

#: While one thread waits for the disk, the other computes digests.
THREADS = 2


@dataclass(frozen=True)
class Checked:
    """What was found of a run.

    Attributes:
        problems: a line for each file that is damaged, or one that there is no run.
        notes: what is no damage, but worth knowing, a line each.
        covered: whether all of it could be compared.
    """

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covered: bool = False


def check_runs(folders: Sequence[Path]) -> list[Checked]:
    """Return what was found of the runs in some folders, in their order."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = pool.map(check_folder, folders)
        return [next(waiting) for _ in counted(folders, "comparing files")]


def check_folder(folder: Path) -> Checked:
    """Compare every file of a run, and of the analyses that were made of it later, with what was written."""
    if not os.path.lexists(folder / "run.json"):
        return Checked((f"{folder}: no run (it has no run.json); delete it, or put back what is missing",))
    try:
        run = Run(folder, read_info(folder))
    except InputError as error:
        return Checked(error.problems)
    analyses, notes = _check_analyses(run)
    if run.files is None:
        told = (f"{folder}: made before there were digests (schema {run.schema}); what it was then is not known",)
        return Checked((*_parsed(run), *analyses), (*told, *notes))
    problems = [f"{folder / name}: damaged (it is missing, and run.json does not list it); {AGAIN}"
                for name in RUN_FILES if name != "run.json" and name not in run.files]  # fmt: skip
    for name in run.files:
        try:
            read_told(folder, name, run.files)
        except DamagedError as error:
            problems.append(f"{folder / name}: damaged ({error}); {AGAIN}")
    if not any(line.startswith(f"{folder / 'config.yaml'}:") for line in problems):
        problems += _problems(run, "config")
    if later := run.uncovered:
        more = f" and {len(later) - 5} more" if len(later) > 5 else ""
        notes = (f"{folder}: not of this run, and not read: {', '.join(map(clean, later[:5]))}{more}", *notes)
    return Checked((*problems, *analyses), tuple(notes), True)


def _problems(run: Run, part: str) -> tuple[str, ...]:
    try:
        getattr(run, part)
    except InputError as error:
        return error.problems
    return ()


def _parsed(run: Run) -> list[str]:
    """Return what of a run without digests cannot be read."""
    missing = [name for name in RUN_FILES if not (run.path / name).is_file()]
    lines = [f"{run.path / name}: damaged (it is missing); {AGAIN}" for name in missing]
    parts = ("config", "history", "examples", *run.measured)
    return list(dict.fromkeys([*lines, *(line for part in parts for line in _problems(run, part))]))


def _check_analyses(run: Run) -> tuple[list[str], tuple[str, ...]]:
    """Return what is damaged of the analyses that were made of a run later, and what is left of some."""
    place = run.path / "analyses"
    if not os.path.lexists(place):
        return [], ()
    if place.is_symlink() or not place.is_dir():
        return [f"{place}: is no folder of this run's, and not followed; put a folder into its place"], ()
    problems: list[str] = []
    notes = []
    for folder in sorted(place.iterdir()):
        if folder.name.startswith("."):
            notes.append(f"{folder}: left by an analysis that was interrupted or is being made")
        elif run.schema >= WITH_DIGESTS and folder.is_dir() and not os.path.lexists(folder / ABOUT):
            problems.append(f"{folder / ABOUT}: damaged (it is missing); {again_by(folder)}")
        else:
            problems += check_analysis(folder)
    return problems, tuple(notes)


def leftovers(store: Path) -> list[str]:
    """Return a line for everything in a store that is no run, and no run that is being made or was interrupted."""
    lines = []
    for path in sorted([*store.glob("*"), *store.glob("*/*")]):
        if path.name.endswith(OLD):
            new = replaced_by(path)
            lost = "" if new.is_dir() else f", and {new.name} is not in its place"
            lines.append(f"{path}: left by an exchange that was cut in two{lost}; the same `train` puts it right")
        elif path.parent == store and path.is_dir():
            continue
        elif not path.is_dir() and not path.name.startswith("."):  # a hidden one says that a place is taken
            lines.append(f"{path}: not of a run, and not read")
        elif path.name.startswith(".") and path.is_dir() and not path.name.endswith(PARTIAL):
            lines.append(f"{path}: left by a merge that was interrupted; the same merge goes on")
    return lines
