"""Tasks of the user's own, from the tasks.py of `--config-dir FOLDER` or from installed packages, for Hydra."""

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from lstm_probe.core.installed import TASKS_FILE, installed_tasks


def offer_tasks(folder: Path | None = None) -> Path | None:
    """Make the user's own tasks known to Hydra; one that has a file in the folder's task/ is what that file says.

    The folder's file of tasks, if any, is executed; a task of an installed package is imported only when it is used.

    Returns:
        The file that was executed.

    Raises:
        InputError: the file cannot be executed, or what it defines is no task.
    """
    nodes: dict[str, Any] = {name: {"name": name} for name in installed_tasks()}
    path = folder and (folder / TASKS_FILE).absolute()
    path = path if path and path.is_file() else None
    if path is not None:
        from lstm_probe.tasks.own import load_tasks
        from lstm_probe.tasks.registry import complete_task

        nodes |= {name: complete_task({"name": name}) for name in load_tasks(path)}
    store = ConfigStore.instance()
    store.repo.pop("task", None)  # what an earlier command of this process has offered
    for name, node in nodes.items():
        if not (folder and (folder / "task" / f"{name}.yaml").is_file()):
            store.store(name, node, group="task")
    return path


def offered_tasks() -> set[str]:
    """Return the names of these tasks."""
    return {Path(name).stem for name in ConfigStore.instance().repo.get("task", {})}
