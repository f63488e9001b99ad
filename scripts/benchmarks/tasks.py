"""The time to make training data beside the time to train on it."""

import argparse
import time
from functools import partial
from typing import Any

from rich.table import Table

from benchmarks.timing import console, median_seconds

UNITS = 32
UPDATES = 16  # about so many are timed in a round, spread over the batches that a training makes together


def run(arguments: argparse.Namespace) -> None:
    """Time, as a training does both, the data of all batches made together and updates of a network on them."""
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.network.training import Trainer
    from lstm_probe.tasks import TASKS, get_task

    table = Table(box=None)
    table.add_column("task", no_wrap=True)
    for name in ("ms data", "ms training", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    shares = {}
    for name in arguments.names or TASKS:
        task = get_task(name)
        trainer = Trainer(SequenceModel(task.n_inputs, task.n_outputs, UNITS), task)
        some = batches(trainer, 0)[:: max(1, task.batches_at_once // UPDATES)]
        both = [partial(batches, trainer, 1), partial(train, trainer, some)]
        made, trained = median_seconds(both, arguments.repeats, time.process_time)
        data, training = made / task.batches_at_once * 1000, trained / len(some) * 1000
        shares[name] = data / training
        table.add_row(name, f"{data:.3f}", f"{training:.3f}", f"{shares[name]:.1%}")
    console.print(f"{UNITS} units, batches of {trainer.batch} sequences: median processor time per update")
    console.print(table)
    highest = max(shares, key=lambda name: shares[name])
    console.print(f"making data takes at most {shares[highest]:.1%} of the time to train on it ({highest})")


def batches(trainer: Any, seed: int) -> list[Any]:
    """Return all batches that a training makes together."""
    size, at_once = trainer.batch, trainer.task.batches_at_once
    data = trainer.task.sample_training(size * at_once, seed)
    return [data[k * size : (k + 1) * size] for k in range(at_once)]


def train(trainer: Any, some: list[Any]) -> None:
    """Update the network once on each batch, as its training does."""
    for batch in some:
        trainer._update(batch)


def add(commands: Any) -> None:
    """Add the command `tasks` with its option."""
    parser = commands.add_parser("tasks", help="making training data beside training, for every task")
    parser.set_defaults(run=run)
    parser.add_argument("--names", nargs="+", help="of the tasks to time (default: all)")
