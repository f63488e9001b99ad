"""The runs that there are: those of a store, or of a pattern, and what is damaged among them."""

from collections.abc import Sequence
from pathlib import Path

from lstm_probe.core.console import counted
from lstm_probe.core.errors import InputError
from lstm_probe.runs.info import AGAIN
from lstm_probe.runs.run import Run, open_run


def problems_of(run: Run, error: Exception) -> list[str]:
    """Return why a run cannot be shown, a line for each problem; one that we did not foresee names the run too."""
    if isinstance(error, InputError):
        return list(error.problems)
    first = (str(error).splitlines() or [""])[0]
    return list(InputError(f"{run.path}: damaged ({type(error).__name__}: {first[:120]}); {AGAIN}").problems)


def find_runs(outputs: str | Path, *, pattern: str | None = None) -> tuple[list[Run], list[str]]:
    """Return the finished runs, by task, units and seed, and one line for each folder that is damaged.

    Args:
        outputs: the folder that holds `runs/`.
        pattern: a glob of run folders, relative to the current folder, or of their names; all where this is None.
    """
    return open_runs(run_folders(outputs, pattern), configured=True)


def run_folders(outputs: str | Path, pattern: str | None = None) -> list[Path]:
    """Return the folders in a store in which runs should be; arguments as of `find_runs`."""
    folders = [path for path in (Path(outputs) / "runs").glob("*/[!.]*") if path.is_dir()]
    if pattern is not None:
        import glob

        named = {Path(match).resolve() for match in glob.glob(pattern, recursive=True)}  # noqa: PTH207  absolute patterns too
        matching = [f for f in folders if f.resolve() in named or f.match(pattern)]
        known = {f.resolve() for f in matching}
        folders = matching + [f for f in sorted(named - known) if f.name[0] != "." and (f / "run.json").is_file()]
    return folders


def open_runs(folders: Sequence[Path], configured: bool = False) -> tuple[list[Run], list[str]]:
    """Return the finished runs in some folders, in order, and one line for each that is damaged.

    Args:
        folders: of runs.
        configured: whether it is checked, too, that each name is that of its configuration.
    """
    runs: list[Run] = []
    damaged: list[str] = []
    for folder in counted(folders, "opening runs"):
        try:
            run = open_run(folder)
            if configured:
                _ = run.config
            runs.append(run)
        except InputError as error:
            damaged += error.problems
    runs.sort(key=lambda run: (run.info["task"], run.info["units"], run.info["seed"], run.name))
    return runs, damaged


def unfinished_runs(outputs: str | Path) -> list[Path]:
    """Return the hidden folders of runs that are being made or were interrupted."""
    return sorted((Path(outputs) / "runs").glob("*/.*.partial"))
