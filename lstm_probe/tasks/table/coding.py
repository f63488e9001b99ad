"""How a network shall output a column: as a number, as yes or no, or as one of several classes."""

from lstm_probe.core.target import Target
from lstm_probe.tasks.table.columns import Column


def class_numbers(column: Column, classes: int | None) -> tuple[int, ...]:
    """Return the class number of each of a column's labels: whole numbers are their own, as far as they fit."""
    if all(label.isdigit() for label in column.labels):
        own = tuple(map(int, column.labels))
        if max(own) < (classes or 2 * len(own) * (0 in own)):
            return own
    return tuple(range(len(column.labels)))


def target_of(column: Column, classes: int | None) -> Target:
    """Return what is trained and scored; `classes` are as many as the user says, or None."""
    if not column.labels:
        return Target(column.name)
    size = classes or max(class_numbers(column, classes)) + 1
    if size == 2 and classes is None:
        return Target(column.name, "binary")
    return Target(column.name, "class", size=size)
