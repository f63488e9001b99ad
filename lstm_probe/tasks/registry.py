"""Every task there is, by name; a task is found here by its name and made with its parameters."""

from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.tasks.base import Task

#: Filled by `lstm_probe.tasks`, and by users who register a task of their own.
TASKS: dict[str, type[Task]] = {}


def task_class(name: str) -> type[Task]:
    """Return the class of a task; an InputError names the nearest one there is."""
    if name not in TASKS:
        raise InputError(
            f"task={name}: no such task.{nearest(str(name), list(TASKS))} There are {', '.join(TASKS)}."
        )
    return TASKS[name]


def get_task(name: str, **parameters: Any) -> Task:
    """Return a task with these parameters, the others at their defaults.

    Raises:
        InputError: no such task, or every parameter that is unknown or out of its range.

    >>> get_task("flipflop", bits=2).input_names
    ('pulse0', 'pulse1')
    """
    cls = task_class(name)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]  # every task is a dataclass
    problems = [
        f"task.{key}={value}: {name} has no such parameter.{nearest(key, known)} It has {', '.join(known)}."
        for key, value in parameters.items()
        if key not in known
    ]
    try:
        task = cls(**{key: value for key, value in parameters.items() if key in known})
    except InputError as error:
        raise InputError(*problems, *error.problems) from None
    if problems:
        raise InputError(*problems)
    return task


def list_tasks() -> pd.DataFrame:
    """Return every task with its default parameters: what it is, and the smallest network that solved it."""
    rows = []
    for name, cls in TASKS.items():
        task = cls()
        signals = task.sample(1, seed=0).signals
        targets = [target.name for target in task.targets]
        smallest = "" if cls.smallest is None else cls.smallest.in_short
        rows.append([name, cls.summary, task.input_names, targets, list(signals), smallest, cls.source])
    columns = ["name", "summary", "inputs", "targets", "signals", "smallest", "source"]
    table = pd.DataFrame(rows, columns=columns)
    lists = ["inputs", "targets", "signals"]
    table[lists] = table[lists].map(" ".join)
    return table


def complete_task(task: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a task's name and all its parameters, those not given at their defaults; None for no task."""
    if task is None:
        return None
    made: Any = get_task(**task)  # every task is a dataclass
    return {"name": task["name"], **asdict(made)}
