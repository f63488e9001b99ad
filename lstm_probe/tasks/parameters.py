"""Difficulty parameters of tasks: declared once with their range, checked in one place."""

from dataclasses import fields
from typing import Any

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import declare as parameter
from lstm_probe.core.fields import problem

__all__ = ["check_parameters", "even_lengths", "parameter", "problems_of"]


def problems_of(task: Any, shortest: int = 0) -> list[str]:
    """Return one line for each parameter of a task that has the wrong type or lies out of its range.

    A `min_x` must not be above its `x` or `max_x`.

    Args:
        task: a dataclass whose fields are parameters.
        shortest: a `min_length` other than 0 must not be below this.
    """
    values = {f.name: getattr(task, f.name) for f in fields(task)}
    wrong = {f.name: problem(f"task.{f.name}", f, values[f.name]) for f in fields(task)}
    problems = [line for line in wrong.values() if line]
    for low in [name for name in values if name.startswith("min_")]:
        what = low.removeprefix("min_")
        high = what if what in values else f"max_{what}"
        if not (wrong[low] or wrong[high]) and values[low] > values[high]:
            problems.append(f"task.{low}={values[low]}: must be at most task.{high}={values[high]}.")
        elif low == "min_length" and not wrong[low] and 0 < values[low] < shortest:
            problems.append(f"task.{low}={values[low]}: must be 0 or at least {shortest}.")
    return problems


def check_parameters(task: Any, shortest: int = 0) -> None:
    """Raise an InputError that names every wrong parameter of `task` (see `problems_of`)."""
    problems = problems_of(task, shortest)
    if problems:
        raise InputError(*problems)


def even_lengths(task: Any) -> list[int]:
    """Return the even lengths from `min_length` to `max_length`; an InputError if there is none."""
    lengths = list(range(task.min_length + task.min_length % 2, task.max_length + 1, 2))
    if not lengths:
        raise InputError(
            f"task.min_length={task.min_length}: balanced strings have even lengths, and there is none "
            f"from here to task.max_length={task.max_length}."
        )
    return lengths
