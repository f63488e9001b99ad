"""How a network shall output a column: as a number, as yes or no, or as one of several classes."""

from collections.abc import Iterable, Iterator, Mapping

from lstm_probe.core.target import Target
from lstm_probe.tasks.table.columns import Column


def class_numbers(column: Column, classes: int | None) -> tuple[int, ...]:
    """Return the class number of each of a column's labels: whole numbers are their own, as far as they fit."""
    if all(label.isdigit() for label in column.labels):
        own = tuple(map(int, column.labels))
        if max(own) < (classes or 2 * len(own) * (0 in own)):
            return own
    return tuple(range(len(column.labels)))


def coded(
    inputs: Iterable[Column], targets: Iterable[Column], scales: Mapping[str, tuple[float, float]], classes: int | None
) -> Iterator[str]:
    """Go through lines on how a network is given a table's columns, and outputs them.

    Args:
        inputs, targets: the columns.
        scales: of each its mean and deviation, 0 and 1 where it is as in the file.
        classes: as the user says, or None.
    """
    for column in inputs:
        mean, spread = scales[column.name]
        if (mean, spread) != (0, 1):
            off = f"{'-' if mean >= 0 else '+'} {abs(mean):.9g}"
            yield f"Input {column.name} is given as ({column.name} {off}) / {spread:.9g}."
    for column in targets:
        mean, spread = scales[column.name]
        if column.labels and target_of(column, classes).loss == "binary":
            numbers = class_numbers(column, classes)
            no, yes = (column.labels[numbers.index(number)] for number in (0, 1))
            yield f"Output {column.name} above 0 is {yes}, below 0 is {no}."
        elif column.labels:
            named = sorted(zip(class_numbers(column, classes), column.labels))
            said = ", ".join(f"{label} ({number})" for number, label in named)
            yield f"Outputs {column.name}, counted from 0: {said}."
        elif (mean, spread) != (0, 1):
            yield f"Output {column.name} times {spread:.9g} plus {mean:.9g} is {column.name}."


def target_of(column: Column, classes: int | None) -> Target:
    """Return what is trained and scored; `classes` are as many as the user says, or None."""
    if not column.labels:
        return Target(column.name)
    size = classes or max(class_numbers(column, classes)) + 1
    if size == 2 and classes is None:
        return Target(column.name, "binary")
    return Target(column.name, "class", size=size)
