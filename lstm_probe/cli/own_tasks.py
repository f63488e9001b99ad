"""Tasks of the user's own, from the tasks.py of `--config-dir FOLDER` or from installed packages, for Hydra."""

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from lstm_probe.core.installed import installed_tasks

#: The file in the user's folder that is executed.
FILE = "tasks.py"


def own_file(folder: Path) -> Path | None:
    """Return the file of tasks in the user's folder, if there is one."""
    path = (folder / FILE).absolute()
    return path if path.is_file() else None


def offer_tasks(path: Path | None) -> None:
    """Make the user's own tasks known to Hydra, which takes a file in task/ of the same name before them.

    The file, if any, is executed; a task of an installed package is imported only when it is used.

    Raises:
        InputError: the file cannot be executed, or what it defines is no task.
    """
    nodes: dict[str, Any] = {name: {"name": name} for name in installed_tasks()}
    if path is not None:
        from lstm_probe.tasks.own import load_tasks
        from lstm_probe.tasks.registry import complete_task

        nodes |= {name: complete_task({"name": name}) for name in load_tasks(path)}
    for name, node in nodes.items():
        ConfigStore.instance().store(name, node, group="task")


def offered_tasks() -> set[str]:
    """Return the names of these tasks."""
    return {Path(name).stem for name in ConfigStore.instance().repo.get("task", {})}
