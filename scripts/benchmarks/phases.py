"""The time that each phase of a run takes, and each analysis in it; also beside another version of the project."""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.timing import console

HERE = Path(__file__).parents[2]
ONE_RUN = Path(__file__).with_name("one_run.py")
UNITS = (8, 32)

Seconds = Mapping[str, float]


def run_once(tree: Path, units: int) -> dict[str, float]:
    """Return the processor time of a training's phases, of the analyses in `probe`, and of the whole process.

    Args:
        tree: the folder of a version of the project; a process of its own imports it.
        units: of the network.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "analyses.json")
        command = [sys.executable, str(ONE_RUN), str(file), "train", f"units={units}", f"outputs={folder}/outputs"]
        before = processor_seconds()
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{tree}: train units={units} failed\n{done.stderr}")
        whole = processor_seconds() - before
        (run,) = Path(folder, "outputs").glob("runs/*/*/run.json")
        return arrange(json.loads(run.read_text())["seconds"], json.loads(file.read_text())) | {"whole process": whole}


def processor_seconds() -> float:
    """Return the processor time of all processes started here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def arrange(phases: Seconds, analyses: Seconds) -> dict[str, float]:
    """Return the phases in order, with the analyses right behind `probe`."""
    rows: dict[str, float] = {}
    for name, seconds in phases.items():
        rows[name] = seconds
        if name == "probe":
            rows |= {f"  {own}": value for own, value in analyses.items()}
    return rows


def compare(rounds: Sequence[Sequence[Seconds]]) -> list[tuple[str, list[float | None], float | None]]:
    """Return, for each row of the table, the median of each tree, and the median of the rounds' ratios.

    Args:
        rounds: of each round, what every tree took; the first tree is the one that ratios are about.
    """
    names = list(dict.fromkeys(name for turn in rounds for took in turn for name in took))
    rows = []
    for name in names:
        took = [[turn[k].get(name) for turn in rounds] for k in range(len(rounds[0]))]
        medians = [statistics.median(own) if None not in own else None for own in took]
        pairs = [(own, other) for own, other in zip(took[0], took[-1]) if own is not None and other]
        ratio = statistics.median(own / other for own, other in pairs) if pairs and len(took) > 1 else None
        rows.append((name, medians, ratio))
    return rows


def run(arguments: argparse.Namespace) -> None:
    """Time runs of this version, and in turns with them of another."""
    trees = [HERE, *([arguments.against.resolve()] if arguments.against else [])]
    for units in arguments.units:
        rounds = [[run_once(tree, units) for tree in trees] for _ in range(arguments.repeats)]
        table = Table(box=None, title=f"train units={units}: seconds of processor time on one thread, median",
                      title_justify="left")  # fmt: skip
        table.add_column("phase", no_wrap=True)
        for name in ("here", "there", "here / there")[: 1 if len(trees) == 1 else 3]:
            table.add_column(name, justify="right", no_wrap=True)
        for name, medians, ratio in compare(rounds):
            cells = ["" if seconds is None else f"{seconds:.2f}" for seconds in medians]
            table.add_row(name, *cells, *([] if ratio is None else [f"{ratio:.2f}"]))
        console.print(table)


def add(commands: Any) -> None:
    """Add the command `phases` with its options."""
    parser = commands.add_parser("phases", help="each phase of a run and each analysis, also beside another version")
    parser.set_defaults(run=run)
    parser.add_argument("--units", type=int, nargs="+", default=UNITS, help="sizes of the network (default 8 32)")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="of another version of the project")
