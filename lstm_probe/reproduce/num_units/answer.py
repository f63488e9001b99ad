"""The answer as a whole, and its gist."""

from collections.abc import Sequence
from dataclasses import dataclass

from lstm_probe.findings.words import listing
from lstm_probe.reproduce.num_units.making import Material
from lstm_probe.reproduce.num_units.needed import Needed, needed
from lstm_probe.reproduce.num_units.network import Network, network
from lstm_probe.reproduce.num_units.onward import Reader, readers
from lstm_probe.reproduce.num_units.sizes import SizeRow, Sizes, sizes
from lstm_probe.reproduce.num_units.source import Source, source
from lstm_probe.sizing.answer import Size

QUESTION = "What does num_units mean, and how many do I need?"


@dataclass(frozen=True)
class Answer:
    """The answer, part by part, and its gist in sentences."""

    material: Material
    gist: Sequence[str]
    network: Network
    sizes: Sizes
    needed: Needed
    source: Source
    readers: Sequence[Reader]


def answer(material: Material) -> Answer:
    """Return the answer that these runs give."""
    one, every = network(material), sizes(material)
    told = needed(material, every.rows)
    said = gist(every.rows, material.size, one.run.task.name, len(every.targets))
    return Answer(material, said, one, every, told, source(material),
                  readers(material, one.run))  # fmt: skip


def gist(rows: Sequence[SizeRow], size: Size, task: str, things: int) -> list[str]:
    """Return the answer in a few sentences.

    Args:
        rows: what networks of each size did.
        size: what the search found.
        task: its name.
        things: how many things the task asks to remember.
    """
    failed = [str(row.units) for row in rows if row.solved == 0]
    done = [str(row.units) for row in rows if row.solved == row.of]
    each = rows[0].of
    tried = [f"with {listing(failed)} unit{'s' * (failed != ['1'])} no network did it"] if failed else []
    if done:
        tried.append(f"with {listing(done)} every one of {each} did" if each > 1 else f"with {listing(done)} it did")
    if mixed := [str(row.units) for row in rows if 0 < row.solved < row.of]:
        tried.append(f"with {listing(mixed)} some did")
    return [
        "num_units is how many units work side by side in one LSTM layer. A unit is one number that is carried from "
        "step to step, its memory, with gates of its own that write, keep and show it. In Keras it is called units, in "
        "PyTorch hidden_size.",
        f"It is how much a layer can remember at once. Here, in a task called {task}, networks have to remember "
        f"{things} things at the same time: {'; '.join(tried)}.",
        f"How many are needed depends on the task, and no formula gives it. A search gives it, for your task as well; "
        f"here, after {len(size.trials)} trainings: {size.sentence}.",
    ]
