"""What a command on a run has to be told where a task of the user's own is in it."""

from pathlib import Path

from lstm_probe.core.installed import TASKS_FILE, installed_tasks
from lstm_probe.runs.run import Run


def own_flags(run: Run) -> list[str] | None:
    """Return the flags with which a command finds a run's tasks of the user's own: none where it has none.

    None where no flag says where such a task is: it was typed into a terminal, or a file of another name has it.
    """
    if not {*run.config.get("task_sources", {})} - {*installed_tasks()}:
        return []
    files = {Path(file) if file else None for file in run.info.get("task_files", {}).values()}
    path = files.pop() if len(files) == 1 else None
    return ["--config-dir", str(path.parent)] if path is not None and path.name == TASKS_FILE else None
