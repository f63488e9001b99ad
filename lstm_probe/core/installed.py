"""What other installed packages add to this one; to ask costs no import of theirs."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

#: What a package declares its tasks under, each by its name: `mine = "package.module:Mine"`.
TASK_GROUP = "lstm_probe.tasks"


def installed_tasks() -> Mapping[str, EntryPoint]:
    """Return the tasks that installed packages declare, by name."""
    return {point.name: point for point in entry_points(group=TASK_GROUP)}
