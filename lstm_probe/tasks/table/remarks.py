"""What a user should know about a table before anything is made of it, in lines for the terminal."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from pandas.api.types import is_numeric_dtype

from lstm_probe.core.numbers import many
from lstm_probe.tasks.table.data import TableData
from lstm_probe.tasks.table.file import named


def describe(
    data: TableData,
    parts: tuple[Int[np.ndarray, " held"], Int[np.ndarray, " training"]],
    sequence: str | None,
    scaled: str,
    groups: Sequence[str],
    scored: str,
    example: bool,
) -> list[str]:
    """Return what was found in a file: sequences, columns and their kinds, and what is odd about them.

    Args:
        data: the sequences.
        parts: those that are held out of training, and the others.
        sequence: the column that says which sequence a row belongs to.
        scaled: what to add to columns of numbers that the network sees or outputs.
        groups: the columns that say which sequences belong together.
        scored: the steps at which targets count.
        example: whether it is the built-in example.
    """
    held, rest = parts
    shortest, longest = data.lengths.min(), data.lengths.max()
    steps = f"{longest} steps" if shortest == longest else f"{shortest} to {longest} steps"
    everything = "all are used for measuring (as if never trained on)"
    together = f" in {len(data.shuffled)} group{'s' * (len(data.shuffled) > 1)}" if data.grouped else ""
    last = "the last " if data.grouped and len(data.shuffled) == 1 else ""
    kept = f"{last}{len(held)} are held out of training" if len(rest) else everything
    lines = [f"{data.table.label}: {len(data.lengths)} sequences of {steps}{together}; {kept}"]
    columns = data.columns
    rows = [(sequence, "sequence", "")] if sequence is not None and sequence in data.table.frame else []
    rows += [(columns.time, "time", "")] if columns.time else []
    rows += [(name, "group", "") for name in groups]
    counts = {"last": ", counts at the last step", "given": ", counts where it is given"}.get(scored, "")
    for role, own in (("input", columns.inputs), ("target", columns.targets), ("signal", columns.signals)):
        rows += [
            (c.name, role, c.words + (scaled if c.kind == "continuous" and role != "signal" else "")
             + (counts if role == "target" else ""))
            for c in own
        ]  # fmt: skip
    wide = max(len(name) for name, _, _ in rows)
    lines += [f"  {name:{wide}}  {role:8}  {words}".rstrip() for name, role, words in rows]
    if columns.unused:
        lines.append(f"  not used: {named(list(columns.unused), 8)}")
    if data.short:
        lines.append(f"  {data.short} part{'s' * (data.short > 1)} of one step left out")
    constant = [c.name for c in (*columns.inputs, *columns.signals) if c.constant]
    if constant:
        lines.append(f"warning: never changes, so nothing can be said about it: {named(constant, 8)}")
    lines += emptied(data)
    both = [c.name for c in columns.targets if c.name in {own.name for own in columns.inputs}]
    if both:
        lines.append(f"warning: input and target at the same step: {named(both, 8)}; task.shift=1 makes it a forecast")
    if example:
        lines.append("warning: this is the built-in example; your own data: task.path=<file>")
    return lines


def emptied(data: TableData) -> list[str]:
    """Return which columns of words have some that count as empty cells: a class of that name is never seen."""
    lines = []
    for c in (*data.columns.inputs, *data.columns.targets, *data.columns.signals):
        words = data.table.emptied.get(c.name)
        if words and not is_numeric_dtype(data.table.frame[c.name]):
            said = ", ".join(f'"{word}" in {many(n, "cell")}' for word, n in sorted(words.items()))
            lines.append(f"warning: {c.name}: {said}: read as missing; a class needs another word")
    return list(dict.fromkeys(lines))
