"""`tasks`: the task catalogue, or one task with a drawn example sequence and its signals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType

import pandas as pd
from rich.text import Text

from lstm_probe.cli.config import TasksConfig
from lstm_probe.cli.next_step import command, show_next
from lstm_probe.core.console import out, say
from lstm_probe.core.fields import default_of, legal_in_short, text
from lstm_probe.core.signal import Batch
from lstm_probe.core.tables import WordTable
from lstm_probe.figures.saving import save
from lstm_probe.figures.task_example import EXAMPLE_COLUMNS, task_example
from lstm_probe.sizing.answer import interval_words
from lstm_probe.sizing.stored import stored_names, stored_sizes
from lstm_probe.tasks import Task, get_task, list_tasks
from lstm_probe.tasks.drawn import check_drawn

STEPS = 24  # steps of the example: as many as fit into 100 columns
MOST_INPUTS = 16  # with more than these, only the lines that say something are shown
CANDIDATES = 64  # sequences from which the example is chosen
LABEL, CELL = 13, 3  # columns of a row's name, at least, and of one step
SHORT = {"space": "␣", "newline": "↵", "tab": "⇥"}  # names of symbols as one character
BARS, DIGITS = "▁▂▃▄▅▆▇█", "01234567"
NUMBERS: Mapping[str, Sequence[str]] = MappingProxyType({})  # names of no classes: they are numbers


def run(config: TasksConfig) -> None:
    """Print the catalogue, or print and draw one task."""
    if config.name is None:
        show_catalogue(list_tasks())
        show_sizes(Path(config.outputs))
        return
    task = get_task(config.name)
    check_drawn(task)
    batch = choose_sequence(task, config.seed)
    table = example_table(task, batch)
    svg, png = save(task_example(table), Path(config.outputs) / "tasks" / task.name)
    show_task(task, batch)
    show_sizes(Path(config.outputs), task.name)
    show_example(table, {target.name: target.classes for target in task.targets})
    out.print(f"\nThe same as a figure: {svg} and {png.name}", markup=False, soft_wrap=True)
    show_next(("How many units it needs:", command("size", task=task.name)))


def show_catalogue(tasks: pd.DataFrame) -> None:
    """Print what `list_tasks` returns."""
    table = WordTable("name", "units", "what it asks of memory", numbers=("units",))
    for name, smallest, summary in zip(tasks["name"], tasks["smallest"], tasks["summary"], strict=True):
        table.add_row(name, smallest.partition(" unit")[0], summary)
    out.print(table)
    out.print("\nunits: the fewest that half of the trainings solve it with, where that was measured.")
    show_next(("One of them with its parameters, signals and an example:", command("tasks", name="dyck1")))


def show_sizes(outputs: Path, task: str = "*") -> None:
    """Print how many units tasks need by the searches whose answers are in the store."""
    found, damaged = stored_sizes(outputs, task)
    if found:
        out.print()
        table = WordTable("found here by size", "units", "95 %", "trainings", numbers=("units", "trainings"))
        for name, one in zip(stored_names(found), found):
            size = one.size
            units = f"> {size.largest}" if size.units is None else str(size.units)
            table.add_row(name, units, interval_words(size.low, size.high, size.largest), str(len(size.trials)))
        out.print(table)
        out.print(Text(f"Their figures and tables: {outputs / 'sizes'}"), soft_wrap=True)
    say(*(f"warning: {line}" for line in damaged))


def choose_sequence(task: Task, seed: int) -> Batch:
    """Return one sequence that fits the terminal: the longest of at most `STEPS` steps, else the first."""
    batch = task.sample(CANDIDATES, seed)
    lengths = batch.lengths.tolist()
    best = max(range(len(lengths)), key=lambda n: (lengths[n] <= STEPS) * lengths[n])
    return batch[best : best + 1]


def example_table(task: Task, batch: Batch) -> pd.DataFrame:
    """Return the first steps of a batch's first sequence as a table with columns `EXAMPLE_COLUMNS`."""
    steps = min(int(batch.lengths[0]), STEPS)
    rows: list[tuple[str, str, str, list[float]]] = []
    inputs = batch.inputs[0, :steps]
    for k, name in enumerate(task.input_names):
        if task.n_inputs <= MOST_INPUTS or inputs[:, k].any():  # of an alphabet, the symbols that occur
            rows.append(("inputs", name, "", inputs[:, k].tolist()))
    for target in task.targets:
        values = batch.targets[target.name][0, :steps].view(steps, -1)
        for k in range(values.shape[1]):
            name = target.name if values.shape[1] == 1 else f"{target.name}[{k}]"
            rows.append(("targets", name, "target", values[:, k].tolist()))
    for name, signal in batch.signals.items():
        rows.append(("signals", name, signal.role, signal.values[0, :steps].tolist()))
    long = [(*row[:3], step, value) for row in rows for step, value in enumerate(row[3])]
    return pd.DataFrame(long, columns=list(EXAMPLE_COLUMNS))


def show_task(task: Task, batch: Batch) -> None:
    """Print what a task is, its parameters and its signals."""
    out.print(Text.assemble((task.name, "bold"), f": {task.summary} ({task.source})"))
    out.print()
    table = WordTable("parameter", "default", "legal", "meaning")
    for f in fields(task):  # type: ignore[arg-type]  # every task is a dataclass
        table.add_row(f"task.{f.name}", text(default_of(f)), legal_in_short(f), f.metadata["help"])
    out.print(table)
    out.print()
    table = WordTable("signal", "kind", "role", "meaning")
    for name, signal in batch.signals.items():
        table.add_row(name, signal.kind, signal.role, signal.meaning)
    out.print(table)
    out.print()
    goals: dict[str, list[str]] = {}
    for target in task.targets:
        goals.setdefault(f"{target.metric} of at least {target.solved:g}", []).append(target.name)
    words = "; ".join(f"{goal} for {', '.join(names)}" for goal, names in goals.items())
    out.print(Text(f"Counts as solved by {words}."))
    if task.smallest is not None:
        out.print(Text(str(task.smallest)))


def show_example(table: pd.DataFrame, classes: Mapping[str, Sequence[str]] = NUMBERS) -> None:
    """Print one example sequence, its rows above each other step by step.

    Args:
        table: columns `EXAMPLE_COLUMNS`.
        classes: of targets, what their classes are called.
    """
    levels = BARS if out.encoding.lower().startswith("utf") else DIGITS
    steps = range(table["step"].nunique())
    label = max(LABEL, 2 + int(table["name"].str.len().max()))
    lines = [Text("step".ljust(label) + "".join(f"{step:>{CELL}}" for step in steps), "dim")]
    for part, rows in table.groupby("part", sort=False):
        lines.append(Text(str(part), "bold"))
        symbols = symbol_line(rows, label) if part == "inputs" and levels == BARS else None
        named = classes if part == "targets" and levels == BARS else {}
        lines += map(Text, [symbols] if symbols else example_lines(rows, levels, label, named))
    behind = label + CELL * len(steps)
    room = max(1, (out.width - label - max(len(line) - behind for line in lines)) // CELL)
    size = -(-len(steps) // -(-len(steps) // room))  # blocks of the same size, below each other
    for start in steps[::size]:
        out.print()
        for line in lines:
            cells = line[label + CELL * start : min(behind, label + CELL * (start + size))]
            out.print(line[:label] + cells + line[behind:], soft_wrap=True)


def symbol_line(rows: pd.DataFrame, label: int = LABEL) -> str | None:
    """Return inputs as one line, the symbol of each step, if they are symbols with names that fit.

    >>> rows = pd.DataFrame({"name": ["a", "a", "space", "space"], "step": [0, 1, 0, 1], "value": [1.0, 0.0, 0.0, 1.0]})
    >>> print(symbol_line(rows))
      symbol       a  ␣
    """
    on = rows[rows["value"] == 1].sort_values("step")
    names = [SHORT.get(name, name) for name in on["name"]]
    one_each = on["step"].tolist() == list(range(rows["step"].nunique())) and rows["value"].isin((0, 1)).all()
    if not one_each or max(map(len, names)) >= CELL:
        return None
    return "  symbol".ljust(label) + "".join(f"{name:>{CELL}}" for name in names)


def example_lines(
    rows: pd.DataFrame, levels: str = BARS, label: int = LABEL, classes: Mapping[str, Sequence[str]] = NUMBERS
) -> Iterator[str]:
    """Go through the rows of one part as lines of text.

    Whole numbers are written (0 as a dot where there are only -1, 0 and 1), as the names of their classes where
    they have some that fit, others drawn as bars with their range after them.

    >>> rows = pd.DataFrame({"name": "a", "value": [0.0, 1.0, 0.0]})
    >>> print(*example_lines(rows))
      a            ·  1  ·
    >>> print(*example_lines(pd.DataFrame({"name": "b", "value": [0.5, 1.5, 1.0]})))
      b            ▁  █  ▅  0.5 to 1.5
    >>> print(*example_lines(rows, classes={"a": ("x", "newline")}))
      a            x  ↵  x
    """
    for name, row in rows.groupby("name", sort=False):
        values = row["value"].tolist()
        low, high = min(values), max(values)
        whole = [f"{v:.0f}" for v in values]
        behind = ""
        called = [SHORT.get(one, one) for one in classes.get(str(name), ())]
        if called and all(len(called[int(v)]) < CELL for v in values):
            cells = [called[int(v)] for v in values]
        elif set(values) <= {-1.0, 0.0, 1.0}:
            cells = ["·" if levels == BARS and v == 0 else f"{v:.0f}" for v in values]
        elif all(v == round(v) for v in values) and max(map(len, whole)) < CELL:
            cells = whole
        else:
            spread = (high - low) or 1.0
            cells = [levels[round((v - low) / spread * (len(levels) - 1))] for v in values]
            behind = f"  {low:.2g} to {high:.2g}"
        yield f"  {name}".ljust(label) + "".join(f"{cell:>{CELL}}" for cell in cells) + behind
