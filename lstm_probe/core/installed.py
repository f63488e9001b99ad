"""What is added to this package from outside, by other installed packages or by the user; to ask imports none of it."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

#: What a package declares its tasks under, each by its name: `mine = "package.module:Mine"`.
TASK_GROUP = "lstm_probe.tasks"
#: The file in the folder of `--config-dir` that has tasks of the user's own.
TASKS_FILE = "tasks.py"


def installed_tasks() -> Mapping[str, EntryPoint]:
    """Return the tasks that installed packages declare, by name."""
    return {point.name: point for point in entry_points(group=TASK_GROUP)}


def import_own(name: str) -> ModuleType:
    """Import a module that the user names, an installed one or one in the folder where the user is.

    Raises:
        ImportError: there is none, or whatever it raises itself.
    """
    here = os.getcwd()  # noqa: PTH109
    if here in sys.path:
        return import_module(name)
    sys.path.append(here)
    try:
        return import_module(name)
    finally:
        sys.path.remove(here)
