"""Tasks: sequences whose hidden variables are known at every step."""

from dataclasses import fields
from typing import Any

import pandas as pd

from lstm_probe.errors import InputError, nearest
from lstm_probe.tasks.adding import Adding
from lstm_probe.tasks.agreement import Agreement
from lstm_probe.tasks.anbn import AnBn
from lstm_probe.tasks.anbncn import AnBnCn
from lstm_probe.tasks.base import Batch, Signal, Task
from lstm_probe.tasks.compose import Compose
from lstm_probe.tasks.copy import Copy
from lstm_probe.tasks.delay_timing import DelayTiming
from lstm_probe.tasks.delayed_recall import DelayedRecall
from lstm_probe.tasks.dyck import Dyck
from lstm_probe.tasks.dyck1 import Dyck1
from lstm_probe.tasks.flipflop import FlipFlop
from lstm_probe.tasks.majority import Majority
from lstm_probe.tasks.modular_counter import ModularCounter
from lstm_probe.tasks.multiplication import Multiplication
from lstm_probe.tasks.noisy_two_sequence import NoisyTwoSequence
from lstm_probe.tasks.parity import Parity
from lstm_probe.tasks.python_source import PythonSource
from lstm_probe.tasks.reber import Reber
from lstm_probe.tasks.shuffle import Shuffle
from lstm_probe.tasks.table import Table
from lstm_probe.tasks.targets import Target
from lstm_probe.tasks.temporal_order import TemporalOrder
from lstm_probe.tasks.text import Text
from lstm_probe.tasks.tomita import Tomita
from lstm_probe.tasks.tracking import Tracking

__all__ = ["TASKS", "Batch", "Signal", "Target", "Task", "get_task", "list_tasks", "task_class"]

_RECALL = (FlipFlop, Copy, DelayedRecall, TemporalOrder, NoisyTwoSequence)
_NUMBERS = (Adding, Multiplication, DelayTiming)
_COUNTING = (Parity, ModularCounter, Majority)
_LANGUAGES = (AnBn, AnBnCn, Dyck1, Shuffle, Dyck, Tomita, Reber)
_TEXTS = (Agreement, Text, PythonSource)

#: Every task there is, by group; the only registry. The first is the default.
TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Tracking, *_RECALL, *_NUMBERS, *_COUNTING, *_LANGUAGES, *_TEXTS, Compose, Table)
}


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
