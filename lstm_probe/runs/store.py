"""The run store: a run is its configuration, and a folder in the store is whole or not there.

`outputs/runs/<task>/u<units>-s<seed>-<hash>/`, where <hash> is of everything in the configuration that affects
results. A run is made in a hidden folder beside its place, under a lock, and renamed into its place when complete.
"""

import glob
import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.core.fields import in_one_form
from lstm_probe.core.files import PARTIAL, mend_folder, publish_folder, write_whole
from lstm_probe.core.holding import Hold, TakenOverError, confirm, held
from lstm_probe.runs.settings import COMMANDS, LATER, of_cell, that_decide

if TYPE_CHECKING:
    from lstm_probe.cells.declared import Cell

PACKAGES = ("lstm-probe", "torch", "numpy", "scipy", "pandas", "scikit-learn", "hydra-core")


#: Keys that change no result: where and how a run is computed, and where it goes.
INDIFFERENT = ("device", "threads", "max_bytes", "outputs", "force", "measure", "stack_lrs")
#: Keys that came when there were runs, and are left out where they ask for what there was before: these runs are found.
ADDED = {"checkpoints": 0, "stack": 0, "cell": "lstm"}


def result_config(config: Any, cell: "Cell | None" = None) -> dict[str, Any]:
    """Return what of a configuration affects results, as plain data.

    Each value in its one form (`core.fields.one_form`). All but the keys of `INDIFFERENT`, and those of `ADDED` that
    ask for nothing; of an analysis' settings those that decide (`settings.that_decide`).

    Args:
        config: of a command.
        cell: of the network, where the configuration does not say it.
    """
    from lstm_probe.cells.known import get_cell, name_of, source_of
    from lstm_probe.tasks import complete_task, get_task
    from lstm_probe.tasks.own import task_digests

    given = asdict(in_one_form(deepcopy(config)))
    if given.get("cell") is not None:
        given["cell"], cell = name_of(given["cell"]), get_cell(given["cell"])
    resolved = {
        key: value for key, value in given.items()
        if key not in INDIFFERENT and (key not in ADDED or (value or 0) != ADDED[key])
    }  # fmt: skip
    # What a task or a cell of the user's own is made of affects results as much as its parameters do.
    if cell is not None and (source := source_of(cell)) is not None:
        resolved["cell_source"] = source
    if "task" in resolved:
        resolved["task"] = complete_task(resolved["task"])
        digests = task_digests(get_task(**resolved["task"])) if resolved["task"] else {}
        resolved |= {"task_sources": digests} if digests else {}
    for command in COMMANDS:
        if command in resolved and cell is not None:
            resolved[command] = of_cell(command, resolved[command], cell)
    decisive = {key: that_decide(key, value) if key in COMMANDS else value for key, value in resolved.items()}
    return {key: value for key, value in decisive.items() if value or key not in LATER}


def config_hash(config: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that depend on every key and value of a configuration, not on their order."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]


def run_folder(outputs: Path, config: Mapping[str, Any]) -> Path:
    """Return where the run of this configuration (as `result_config` gives it) has its place."""
    name = f"u{config['units']}-s{config['seed']}-{config_hash(config)}"
    if config.get("name"):
        name = f"{config['name']}-{name}"
    result: Path = outputs / "runs" / config["task"]["name"] / name
    return result


@contextmanager
def claim(folder: Path, waiting: Any = None) -> Iterator[Path]:
    """Hold a run's place against other processes, on this machine and others; yields the folder in which to make it.

    Where another process is making the same run, `waiting()` is called and this waits until it is done; the place goes
    with its process, also where that is killed. An exchange that a crash cut in two is put right, and what an earlier
    attempt left behind is in the folder.

    Raises:
        TakenOverError: this process stood still for so long that another one took the place over. Nothing of what it
            tried then touched the run.
    """
    try:
        with held(_lock(folder), waiting) as hold:
            mend_folder(folder)
            partial = _inherited(folder, hold)
            try:
                yield partial
            except Exception as error:
                with suppress(OSError):
                    if not hold.mine():
                        raise TakenOverError(_taken(folder)) from error
                raise
    finally:
        tidy(folder.parent)


def _taken(folder: Path) -> str:
    if not folder.parent.is_dir():
        return f"{folder}: the folder in which it was being made was removed or replaced meanwhile, by another process"
    return (f"{folder}: this process stood still for so long that another one took its place over; the same command "
            "finds what that one makes")  # fmt: skip


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _inherited(folder: Path, hold: Hold) -> Path:
    """Return a hidden folder beside a run's place that is this holder's own, with what an earlier attempt left.

    Whoever made that and still runs, on a machine that stood still, finds nothing any more where it wrote.
    """
    own = folder.with_name(f".{folder.name}.{hold.token}{PARTIAL}")
    earlier = [folder.with_name(f".{folder.name}{PARTIAL}")]
    earlier += folder.parent.glob(f".{glob.escape(folder.name)}.*{PARTIAL}")
    there = sorted((path for path in earlier if path.is_dir()),
                   key=lambda path: (any(path.iterdir()), path.stat().st_mtime))  # fmt: skip
    for path in there[:-1]:
        shutil.rmtree(path, ignore_errors=True)
    if there:
        there[-1].rename(own)
        if hold.foreign:
            # It may have files open: what it still writes there is in none of these.
            for path in own.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    write_whole(path, path.read_bytes())
    return own


def tidy(folder: Path) -> None:
    """Remove a folder of the store, and those above it up to `outputs`, as far as they are empty."""
    with suppress(OSError):
        for empty in (folder, folder.parent, folder.parent.parent):
            empty.rmdir()


def publish(partial: Path, folder: Path, *, keep: bool = False) -> None:
    """Put a complete run from its hidden folder into its place, which this process holds; see `publish_folder`.

    With `keep` the analyses that are in the run's folder by then stay, those that are being made too.

    Raises:
        TakenOverError: the place is another process's by now, and so is what comes into it.
    """
    confirm(_lock(folder))
    publish_folder(partial, folder, keep=keep)


def provenance() -> dict[str, Any]:
    """Return the versions of Python and the main packages, and the git revision of this package's checkout, if any."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    root = Path(__file__).resolve().parents[2]
    revision = None
    if (root / ".git").exists():
        with suppress(OSError):
            command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            revision = done.stdout.strip() or None
    return {"versions": versions, "git": revision}
