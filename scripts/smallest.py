#!/usr/bin/env python
"""Measure the smallest network that solves a task, as `train` trains it, and the processor time that this takes.

    python scripts/smallest.py --tasks dyck1 parity      these two
    python scripts/smallest.py                           all but those on the user's own files

From the smallest size on, up to three networks are trained (seeds 0, 1 and 2), until two have solved the task or two
have not; the first size that two have solved is the answer. Each task has its default parameters, and each training
the defaults of `train`. The lines printed are those of the classes in lstm_probe/tasks/.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import torch

from lstm_probe.network.settings import TrainingSettings
from lstm_probe.network.training import Progress, trainer_of
from lstm_probe.tasks import TASKS, Task, get_task
from lstm_probe.tasks.base import Smallest

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SEEDS, ENOUGH = range(3), 2
OWN_FILES = ("text", "table")  # what solves them depends on the file


def train_once(task: Task, units: int, seed: int) -> tuple[bool, float, float]:
    """Train one network; return whether it solved the task, its lowest target's score, and the processor time."""
    trainer = trainer_of(TrainingSettings(units=units, seed=seed), task)
    reports: list[Progress] = []
    started = time.process_time()
    trainer.fit(report=reports.append)
    scores = reports[-1].scores
    return task.solved(scores), min(scores.values()), time.process_time() - started


def smallest(task: Task, sizes: Sequence[int]) -> Smallest:
    """Return the smallest of these sizes that solves a task in two of three seeds, else the one that comes closest."""
    failed = []
    for units in sizes:
        networks: list[tuple[bool, float, float]] = []
        for seed in SEEDS:
            networks.append(train_once(task, units, seed))
            solved = [seconds for on, _, seconds in networks if on]
            print(f"  {units} units, seed {seed}: {networks[-1][1]:.3f} in {networks[-1][2]:.1f} s", flush=True)
            if ENOUGH in (len(solved), len(networks) - len(solved)):
                break
        if len(solved) == ENOUGH:
            return Smallest(units, round_seconds(statistics.mean(solved)))
        _, score, seconds = sorted(networks, key=lambda network: -network[1])[ENOUGH - 1]
        failed.append((score, -units, seconds))
    score, units, seconds = max(failed)
    return Smallest(-units, round_seconds(seconds), round(score, 3))


def round_seconds(seconds: float) -> float:
    """Return seconds with a digit behind the point where there are few."""
    return round(seconds, 1) if seconds < 10 else round(seconds)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own = [name for name in TASKS if name not in OWN_FILES]
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=own, metavar="TASK", help="which")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="UNITS",
                        help="sizes to try (default 1 to 64)")  # fmt: skip
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.tasks:
        print(f"{name}:", flush=True)
        found = smallest(get_task(name), sorted(arguments.sizes))
        values = [str(found.units), str(found.seconds), *([f"score={found.score}"] if found.score is not None else [])]
        print(f"{name}:\n    smallest = Smallest({', '.join(values)})", flush=True)


if __name__ == "__main__":
    main()
