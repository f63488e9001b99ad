"""What is taken for granted of a table's sequences and need not be so, each with a line where it is not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from lstm_probe.core.groups import LEAST_GROUPS, LEAST_LABELLED
from lstm_probe.core.numbers import many
from lstm_probe.tasks.table.data import TableData
from lstm_probe.tasks.table.few import share_for_groups
from lstm_probe.tasks.table.file import named

if TYPE_CHECKING:
    from lstm_probe.tasks.table.table import Table


def premises(table: "Table") -> list[str]:
    """Return a line for each that does not hold: rows in order, no copies, classes that are known, enough groups."""
    return [line for line in (torn(table.data), *twins(table), *unseen(table), few_groups(table)) if line]


def torn(data: TableData) -> str:
    """Return that sequences have rows that do not follow one another in the file, where no column orders them."""
    if data.columns.time is not None:
        return ""
    follows = np.append(False, np.diff(data.order) == 1)
    follows[data.starts] = True
    own = np.repeat(np.arange(len(data.starts)), data.lengths)
    places = np.concatenate([np.arange(s, s + n) for s, n in zip(data.starts, data.lengths)])
    apart = places[~follows[places]]
    count = len(np.unique(own[~follows[places]]))
    if not count:
        return ""
    here, after = (data.table.place(int(data.order[place])) for place in (apart[0] - 1, apart[0]))
    return (
        f"warning: rows of {count} of {many(len(data.starts), 'sequence')} do not follow one another in the file (after"
        f" {here} comes {after}), and no column orders them: steps are in the file's order. task.time=<column> orders "
        "them; ids that begin again, as in each session, need to be different"
    )


def twins(table: "Table") -> list[str]:
    """Return how many sequences that are held out are copies of one that is trained on, or of another held out."""
    data, (held, rest) = table.data, table.parts
    told = {column.name: column.values for column in (*data.columns.inputs, *data.columns.targets,
                                                       *data.columns.signals)}  # fmt: skip
    rows = np.stack(list(told.values()), axis=1)

    def content(sequence: int) -> bytes:
        own: np.ndarray = rows[data.order[data.starts[sequence] : data.starts[sequence] + data.lengths[sequence]]]
        return own.tobytes()

    trained = set(map(content, rest.tolist()))
    groups: dict[bytes, set[int]] = {}
    copies = 0
    for sequence in held.tolist():
        own = content(sequence)
        copies += own in trained
        groups.setdefault(own, set()).add(int(data.groups[sequence]))
    alike = sum(len(one) - 1 for one in groups.values())
    of = f"of {len(held)} sequences that are held out of training," if len(rest) else f"of {len(held)} sequences,"
    lines = []
    if copies:
        lines.append(
            f"warning: {of} {copies} {'is' if copies == 1 else 'are'}, row for row, the same as one that is trained on:"
            " what is measured on copies says nothing of new sequences"
        )
    if alike:
        kinds = "groups" if table.group_columns else "sequences"
        lines.append(
            f"warning: {of} {alike} {'repeats' if alike == 1 else 'repeat'} another one row for row: copies are taken "
            f"for {kinds} of their own, and intervals are too narrow"
        )
    return lines


def unseen(table: "Table") -> list[str]:
    """Return which classes there are only where a network is trained, or only where it is not."""
    lines: list[str] = []
    held, rest = map(table.rows_of, table.parts)
    targets = {column.name for column in table.data.columns.targets}
    for column in (*table.data.columns.targets, *table.data.columns.signals):
        counts = table.scored_rows(column) if column.name in targets else np.isfinite(column.values)
        there, learned = (_classes(column.values[rows][counts[rows]]) for rows in (held, rest))
        if not column.labels:
            continue
        if len(rest) and column.name in targets and (new := there - learned):
            lines.append(
                f"warning: {column.name}: {_labels(column.labels, new)}: in no sequence that is trained on, so it is "
                "not learned, and in some that are held out"
            )
        if gone := {*range(len(column.labels))} - there:
            lines.append(
                f"warning: {column.name}: {_labels(column.labels, gone)}: in no sequence that is held out, so nothing "
                "is measured of it"
            )
    return lines


def _classes(values: np.ndarray) -> set[int]:
    return set(np.unique(values).astype(np.int64).tolist())


def _labels(labels: Sequence[str], numbers: set[int]) -> str:
    return named([labels[number] for number in sorted(numbers)], 8)


def few_groups(table: "Table") -> str:
    """Return that too few groups are held out to test anything, with the share that holds out enough."""
    data, (held, rest) = table.data, table.parts
    groups = len(_groups(data, held))
    if not data.grouped or len(data.shuffled) == 1 or groups >= LEAST_GROUPS:
        return ""
    share = share_for_groups(table, LEAST_GROUPS) if len(rest) else None
    way = f": task.held_out={share:g} holds out enough" if share is not None else ""
    there = f"of {len(data.shuffled)} groups, {groups} {'is' if groups == 1 else 'are'} held out of training"
    return (
        f"warning: {there if len(rest) else many(groups, 'group')}; to test what units track takes {LEAST_GROUPS} "
        f"({LEAST_LABELLED} for a label that is constant in each){way}"
    )


def _groups(data: TableData, sequences: Int[np.ndarray, " sequence"]) -> Int[np.ndarray, " group"]:
    return np.unique(data.groups[sequences])
