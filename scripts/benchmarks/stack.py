"""The time to train many small networks as one stack beside the time to train them one after another."""

import argparse
import time
from typing import Any

import torch
from rich.table import Table

from benchmarks.timing import console, synchronize

UPDATES = 64
LONE = 2  # so many are trained alone in a round; each takes as long as the others


def run(arguments: argparse.Namespace) -> None:
    """Train both for some updates in turns, data and all; the fastest of the rounds counts."""
    from lstm_probe.network.stacked import StackedTrainer, members_at_once

    clock = time.process_time if arguments.device == "cpu" else time.perf_counter
    table = Table(box=None)
    for name in ("units", "seeds", "ms alone", "ms stacked", "ratio", "GFLOP/s", "of a product's"):
        table.add_column(name, justify="right", no_wrap=True)
    peak = product(arguments.device, clock)
    for units in arguments.units:
        for seeds in arguments.seeds:
            at_once = members_at_once(units, 64, arguments.device)
            if seeds > at_once:
                continue
            alone, stacked = [], []
            for _ in range(arguments.repeats):
                alone += [seconds(one.fit, clock) for one in trainers(arguments, units, LONE)]
                members = trainers(arguments, units, seeds)
                stacked.append(seconds(StackedTrainer(members).fit, clock) / seeds)
            one = members[0]
            weights = 4 * units * (one.task.n_inputs + 1 + units) + one.task.n_outputs * units
            steps = one.validation.inputs.shape[1]
            done = 6 * weights * one.batch * steps * UPDATES / min(stacked) / 1e9
            table.add_row(str(units), str(seeds), f"{min(alone) / UPDATES * 1e3:.2f}",
                          f"{min(stacked) / UPDATES * 1e3:.2f}", f"{min(alone) / min(stacked):.1f}", f"{done:.1f}",
                          f"{done / peak:.0%}")  # fmt: skip
    console.print(f"task={arguments.task}, batches of 64 sequences: least time of one network's update, data and all")
    console.print(table)
    console.print(f"a plain product of two matrices reaches {peak:.0f} GFLOP/s")


def trainers(arguments: argparse.Namespace, units: int, n: int) -> list[Any]:
    """Return trainers of so many seeds, their data not made yet."""
    from lstm_probe.network.settings import TrainingSettings
    from lstm_probe.network.training import trainer_of
    from lstm_probe.tasks import get_task

    task = get_task(arguments.task)
    given = {"units": units, "steps": UPDATES, "evaluate_every": UPDATES, "stop_when_solved": False}
    settings = [TrainingSettings(seed=seed, device=arguments.device, **given) for seed in range(n)]
    return [trainer_of(one, task) for one in settings]


def seconds(function: Any, clock: Any) -> float:
    """Return how long a function takes."""
    started = clock()
    function()
    synchronize()
    return float(clock() - started)


def product(device: str, clock: Any, n: int = 1024) -> float:
    """Return how many GFLOP/s a product of two square matrices reaches, at best."""
    one = torch.randn(n, n, device=device)
    return max(2 * n**3 / seconds(lambda: one @ one, clock) / 1e9 for _ in range(10))


def add(commands: Any) -> None:
    """Add the command `stack` with its options."""
    parser = commands.add_parser("stack", help="training many small networks as one stack beside one after another")
    parser.set_defaults(run=run)
    parser.add_argument("--units", nargs="+", type=int, default=[2, 4, 8, 16, 32], help="sizes (default 2 4 8 16 32)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[4, 16, 64], help="seeds (default 4 16 64)")
    parser.add_argument("--task", default="tracking", help="what they learn (default tracking)")
