"""Every task there is, by name; a task is found here by its name and made with its parameters."""

import re
from dataclasses import asdict, fields
from importlib.metadata import EntryPoint
from typing import Any

import pandas as pd

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import one_form
from lstm_probe.core.installed import installed_tasks
from lstm_probe.tasks.base import Task

#: Filled by `lstm_probe.tasks`, and by users who register a task of their own.
TASKS: dict[str, type[Task]] = {}


#: What a task's class says of itself.
ABOUT = ("name", "summary", "source")


def register_task(cls: type[Task]) -> type[Task]:
    """Make a task of your own known by its name, to `get_task` as to the commands; also a class decorator.

    Args:
        cls: a `Task`: a frozen dataclass with `name`, `summary` and `source`, whose fields are all declared by
            `lstm_probe.tasks.parameters.parameter`. The same class may come again, as when a notebook's cell is
            executed twice.

    Returns:
        The class.

    Raises:
        InputError: everything that the class lacks; or its name is another task's.
    """
    problems = _class_problems(cls)
    if problems:
        raise InputError(*problems)
    there = TASKS.get(cls.name)
    if there is not None and _place(there) != _place(cls):
        whose = "a task of this package" if is_built_in(there) else f"that of {'.'.join(_place(there))}"
        raise InputError(f"{cls.__qualname__}: the name {cls.name} is taken: it is {whose}.")
    TASKS[cls.name] = cls
    return cls


def is_built_in(cls: type[Task]) -> bool:
    """Return whether a task is one of this package."""
    return cls.__module__.startswith("lstm_probe.tasks.")


def _place(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _class_problems(cls: Any) -> list[str]:
    """Return what keeps a class from being a task, one line each."""
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        return [f"{getattr(cls, '__qualname__', cls)}: no task; it must be a class derived from lstm_probe.Task."]
    called = f"{cls.__qualname__}: "
    missing = [name for name in ABOUT if not _is_text(getattr(cls, name, None))]
    problems = [f"{called}{name} is missing; it must be a text." for name in missing]
    if "name" not in missing and not re.fullmatch(r"[a-z][a-z0-9_]*", cls.name):
        problems.append(f"{called}name={cls.name}: must be small letters, digits and _, a letter first.")
    methods = sorted(getattr(cls, "__abstractmethods__", ()))
    if methods:
        problems.append(f"{called}{', '.join(methods)}: not there, but needed.")
    own = vars(cls).get("__dataclass_params__")
    if own is None or not own.frozen:
        return [*problems, f"{called}must be a frozen dataclass: write @dataclass(frozen=True) above it."]
    own_fields = fields(cls)  # type: ignore[arg-type]  # it is a dataclass
    problems += [f"{called}{f.name}: is not for a parameter." for f in own_fields if f.name in ABOUT]
    undeclared = [f.name for f in own_fields if "help" not in f.metadata]
    problems += [f"{called}{name}: must be declared by lstm_probe.tasks.parameters.parameter." for name in undeclared]
    return problems


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _import_task(point: EntryPoint) -> None:
    """Register a task of an installed package."""
    where = f"entry point {point.name} = {point.value}"
    try:
        cls = point.load()
    except Exception as error:  # whatever that package's module does
        raise InputError(f"{where}: cannot be imported ({type(error).__name__}: {error}).") from error
    register_task(cls)
    if cls.name != point.name:
        raise InputError(f"{where}: the name of this task is {cls.name}; both must be the same.")


def task_class(name: str) -> type[Task]:
    """Return the class of a task; an InputError names the nearest one there is."""
    if name not in TASKS and name in (installed := installed_tasks()):
        _import_task(installed[name])
    if name not in TASKS:
        raise InputError(f"task={name}: no such task.{nearest(str(name), list(TASKS))} There are {', '.join(TASKS)}.")
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
    for name in installed_tasks():
        task_class(name)
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
    own = {f.name: f for f in fields(made)}
    return {"name": task["name"], **{key: one_form(own[key], value) for key, value in asdict(made).items()}}
