"""A sweep on all cores, beside one core doing its runs one after another and beside PyTorch's own threads."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.timing import console

HERE = Path(__file__).parents[2]
UNITS, SEEDS = (4, 8, 16, 32), 6
#: Multiplications and additions of a backward pass beside those of the pass before it.
WITH_BACKWARD = 3
MATRIX = 2048


class Swept(NamedTuple):
    """What a sweep took: seconds by the clock, of the runs' phases, and the multiplications and additions trained."""

    seconds: float
    phases: Mapping[str, float]
    flop: float

    @property
    def apart(self) -> float:
        """The share of the runs' time that is not training, with what no phase holds."""
        return 1 - self.phases["train"] / self.phases["in all"]


def ways(jobs: int) -> dict[str, tuple[list[str], str | None]]:
    """Return by name what is compared: the words of each command, and the threads that its libraries may take."""
    alone = ["hydra/launcher=basic"]
    return {
        "one core, one run after another": (alone, "1"),
        f"all {jobs} cores, one thread a run": ([], "1"),
        f"two runs side by side, {jobs} threads each": (["hydra.launcher.jobs=2", f"threads={jobs}"], None),
    }


def sweep(words: Sequence[str], threads: str | None, jobs: int, arguments: argparse.Namespace) -> Swept:
    """Run the sweep in a new store and return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        which = [f"units={','.join(map(str, arguments.units))}", f"seed=range({arguments.seeds})"]
        command = [sys.executable, "-m", "lstm_probe", "train", "--multirun", *which, *words,
                   f"measure={arguments.measure}", f"outputs={folder}", *arguments.settings]  # fmt: skip
        env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        env |= {"PYTHONPATH": str(HERE)} | ({"OMP_NUM_THREADS": threads} if threads else {})
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{' '.join(command[3:])}\n{done.stderr}")
        phases: dict[str, float] = {}
        flop = 0.0
        for file in Path(folder).glob("runs/*/*/run.json"):
            info = json.loads(file.read_text())
            for name, took in info["seconds"].items():
                phases[name] = phases.get(name, 0.0) + took
            flop += trained(file.parent, info)
        side_by_side = 1 if "hydra/launcher=basic" in words else min(jobs, len(arguments.units) * arguments.seeds)
        phases["in all"] = seconds * side_by_side
        return Swept(seconds, phases, flop)


def trained(folder: Path, info: Mapping[str, Any]) -> float:
    """Return the multiplications and additions of a run's training, those of its LSTM's and readout's matrices."""
    from lstm_probe.runs.run import load_run

    run = load_run(folder)
    lengths = run.task.sample_training(256).lengths.double().mean().item()
    weights = sum(values.numel() for values in run.model.parameters() if values.ndim == 2)
    return WITH_BACKWARD * 2 * weights * info["steps_done"] * run.config["batch"] * lengths


def plain_product(repeats: int) -> float:
    """Return the multiplications and additions per second of a large matrix product on one thread."""
    import torch

    a = torch.rand(MATRIX, MATRIX)
    best = float("inf")
    for _ in range(max(repeats, 3)):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return 2 * MATRIX**3 / best


def run(arguments: argparse.Namespace) -> None:
    """Time the sweep in every way and print what came of it."""
    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = len(arguments.units) * arguments.seeds
    chosen = {name: way for k, (name, way) in enumerate(ways(jobs).items()) if k in arguments.ways}
    swept = {name: sweep(*way, jobs, arguments) for name, way in chosen.items()}
    first = next(iter(swept.values()))
    table = Table(box=None, title=f"{count} runs, measure={arguments.measure}", title_justify="left")
    for head in ("way", "seconds", "runs/min", "× first", "not training", "GFLOP/s"):
        table.add_column(head, justify="left" if head == "way" else "right", no_wrap=True)
    for name, took in swept.items():
        table.add_row(name, f"{took.seconds:.0f}", f"{60 * count / took.seconds:.1f}",
                      f"{first.seconds / took.seconds:.2f}", f"{took.apart:.0%}",
                      f"{took.flop / took.phases['train'] / 1e9:.1f}")  # fmt: skip
    console.print(table)
    rate = plain_product(arguments.repeats) / 1e9
    product = f"a product of two matrices of {MATRIX} × {MATRIX} on one thread: {rate:.0f} GFLOP/s"
    console.print(f"GFLOP/s of a core while it trains; {product}")
    for name, took in swept.items():
        parts = ", ".join(f"{phase} {seconds:.0f}" for phase, seconds in took.phases.items())
        console.print(f"{name}: seconds of all runs together: {parts}")


def add(commands: Any) -> None:
    """Add the command `sweep` with its options."""
    parser = commands.add_parser("sweep", help="a sweep on all cores, on one, and with PyTorch's own threads")
    parser.set_defaults(run=run)
    parser.add_argument("--units", type=int, nargs="+", default=UNITS, help="sizes (default 4 8 16 32)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each size (default 6)")
    parser.add_argument("--measure", default="full", help="full, light or none (default full)")
    parser.add_argument("--ways", type=int, nargs="+", default=(0, 1, 2), help="which, by their places (default all)")
    parser.add_argument("settings", nargs="*", help="further settings of the runs, such as task=flipflop")
