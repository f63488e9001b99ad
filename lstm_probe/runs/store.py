"""The run store: a run is its configuration, and a folder in the store is whole or not there.

`outputs/runs/<task>/u<units>-s<seed>-<hash>/`, where <hash> is of everything in the configuration that affects
results. A run is made in a hidden folder beside its place, under a lock, and renamed into its place when complete.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

PACKAGES = ("lstm-probe", "torch", "numpy", "scipy", "pandas", "scikit-learn", "hydra-core")


#: Keys that change no result: where and how a run is computed, and where it goes.
INDIFFERENT = ("device", "threads", "outputs", "force")


def result_config(config: Any) -> dict[str, Any]:
    """Return what of a configuration affects results, as plain data: all but the keys of `INDIFFERENT`."""
    from lstm_probe.tasks import complete_task, get_task
    from lstm_probe.tasks.own import task_digests

    resolved = {key: value for key, value in asdict(config).items() if key not in INDIFFERENT}
    if "task" in resolved:
        resolved["task"] = complete_task(resolved["task"])
        # Of a task of the user's own, what it is made of affects results as much as its parameters do.
        digests = task_digests(get_task(**resolved["task"])) if resolved["task"] else {}
        resolved |= {"task_sources": digests} if digests else {}
    return resolved


def config_hash(config: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that depend on every key and value of a configuration, not on their order."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]


def run_folder(outputs: Path, config: Mapping[str, Any]) -> Path:
    """Return where the run of this configuration (as `result_config` gives it) has its place."""
    name = f"u{config['units']}-s{config['seed']}-{config_hash(config)}"
    if config.get("name"):
        name = f"{config['name']}-{name}"
    return outputs / "runs" / config["task"]["name"] / name


def partial_folder(folder: Path) -> Path:
    """Return the hidden folder beside a run's place in which it is made."""
    return folder.with_name(f".{folder.name}.partial")


@contextmanager
def claim(folder: Path, waiting: Any = None) -> Iterator[Path]:
    """Hold a run's place against other processes; yields the folder in which to make it.

    Where another process is making the same run, `waiting()` is called and this waits until it is done; the lock goes
    with its process, also where that is killed. An exchange that a crash cut in two is put right.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is not None:
            waiting()
        lock.acquire()
    try:
        old = folder.with_name(f".{folder.name}.old")
        if old.exists():
            if folder.exists():
                shutil.rmtree(old)
            else:
                old.rename(folder)
        yield partial_folder(folder)
    finally:
        # Removed while it is held: whoever waits for it finds out that its file is gone, and takes a new one.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        tidy(folder.parent)


def tidy(folder: Path) -> None:
    """Remove a folder of the store, and those above it up to `outputs`, as far as they are empty."""
    with suppress(OSError):
        for empty in (folder, folder.parent, folder.parent.parent):
            empty.rmdir()


def publish(partial: Path, folder: Path) -> None:
    """Rename a complete run into its place; one that stands there already goes only when the new one has come."""
    for file in partial.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


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
