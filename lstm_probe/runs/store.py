"""The run store: a run is its configuration, and a folder in the store is whole or not there.

`outputs/runs/<task>/u<units>-s<seed>-<hash>/`, where <hash> is of everything in the configuration that affects
results. A run is made in a hidden folder beside its place, under a lock, and renamed into its place when complete.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from lstm_probe.core.files import PARTIAL, held, mend_folder, publish_folder
from lstm_probe.runs.settings import COMMANDS, LATER, that_decide

PACKAGES = ("lstm-probe", "torch", "numpy", "scipy", "pandas", "scikit-learn", "hydra-core")


#: Keys that change no result: where and how a run is computed, and where it goes.
INDIFFERENT = ("device", "threads", "max_bytes", "outputs", "force", "measure", "stack_lrs")
#: Keys that add a file, and are left out where they ask for none: runs are found that were made before there were any.
ADDED = ("checkpoints", "stack")


def result_config(config: Any) -> dict[str, Any]:
    """Return what of a configuration affects results, as plain data.

    All but the keys of `INDIFFERENT`, and those of `ADDED` that ask for nothing; of an analysis' settings those that
    decide (`settings.that_decide`).
    """
    from lstm_probe.tasks import complete_task, get_task
    from lstm_probe.tasks.own import task_digests

    resolved = {
        key: value for key, value in asdict(config).items()
        if key not in INDIFFERENT and (value or key not in ADDED)
    }  # fmt: skip
    if "task" in resolved:
        resolved["task"] = complete_task(resolved["task"])
        # Of a task of the user's own, what it is made of affects results as much as its parameters do.
        digests = task_digests(get_task(**resolved["task"])) if resolved["task"] else {}
        resolved |= {"task_sources": digests} if digests else {}
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


def partial_folder(folder: Path) -> Path:
    """Return the hidden folder beside a run's place in which it is made."""
    return folder.with_name(f".{folder.name}{PARTIAL}")


@contextmanager
def claim(folder: Path, waiting: Any = None) -> Iterator[Path]:
    """Hold a run's place against other processes; yields the folder in which to make it.

    Where another process is making the same run, `waiting()` is called and this waits until it is done; the lock goes
    with its process, also where that is killed. An exchange that a crash cut in two is put right.
    """
    try:
        with held(folder.with_name(f".{folder.name}.lock"), waiting):
            mend_folder(folder)
            yield partial_folder(folder)
    finally:
        tidy(folder.parent)


def tidy(folder: Path) -> None:
    """Remove a folder of the store, and those above it up to `outputs`, as far as they are empty."""
    with suppress(OSError):
        for empty in (folder, folder.parent, folder.parent.parent):
            empty.rmdir()


#: A complete run goes from its hidden folder into its place.
publish = publish_folder


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
