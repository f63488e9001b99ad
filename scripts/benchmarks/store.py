"""The time to open a finished run and to compare all its files with what was written; and a store of many runs."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.timing import console, median_seconds

FEWEST = 21  # rounds: these are milliseconds

#: The small task of which a store of many runs is made, and the analyses that its runs have.
SMALL = ("task=flipflop", "task.bits=2", "task.length=12", "steps=40")
MEASURED = ("probes", "populations", "ablations")

#: What is done with a store of many runs, each in a process of its own.
LOAD = "import lstm_probe as lp; runs = lp.load_runs({place!r}); "
MANY = {
    "load_runs(...)": LOAD,
    "load_runs(...).table": LOAD + "runs.table",
    "load_runs(...).probes": LOAD + "runs.probes",
    "four columns of probes": LOAD + "runs.read('probes', columns=['run', 'unit', 'signal', 'effect'])",
    "runs": "from lstm_probe.cli import main; main(['runs', 'outputs={place}'])",
    "runs units=2": "from lstm_probe.cli import main; main(['runs', 'units=2', 'outputs={place}'])",
    "runs check=true": "from lstm_probe.cli import main; main(['runs', 'check=true', 'outputs={place}'])",
    "report": "from lstm_probe.cli import main; main(['report', 'pages=0', 'outputs={place}'])",
}  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Make the default run, unless one is named, and time what reading it costs beside the bare bytes."""
    from lstm_probe.core.digests import read_told
    from lstm_probe.core.files import human
    from lstm_probe.runs.run import load_run

    if arguments.runs:
        many(arguments)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.folder or make(Path(place))
        finished = load_run(folder)
        assert finished.files is not None

        def compare() -> None:
            for name in finished.files or ():
                read_told(finished.path, name, finished.files)

        def bare() -> None:
            for name in finished.files or ():
                (finished.path / name).read_bytes()

        what = {
            "open the run (run.json: digest, types, names)": lambda: load_run(folder),
            "read its configuration": lambda: load_run(folder).config,
            "read all files": bare,
            "read all files and compare size and SHA-256": compare,
        }
        seconds = median_seconds(list(what.values()), max(arguments.repeats, FEWEST))
        size = sum(told["bytes"] for told in finished.files.values())
        title = f"{finished.name}: {len(finished.files)} files, {human(size)}; milliseconds, median"
        table = Table(box=None, title=title, title_justify="left")
        table.add_column("what", no_wrap=True)
        table.add_column("ms", justify="right")
        for name, took in zip(what, seconds, strict=True):
            table.add_row(name, f"{1000 * took:.2f}")
        console.print(table)
        console.print(f"opened and all compared: {1000 * (seconds[0] + seconds[3]):.1f} ms; at most 20 are wanted")


def many(arguments: argparse.Namespace) -> None:
    """Write stores of so many runs, and time what is done with each: seconds, milliseconds a run, and memory."""
    from benchmarks.many_runs import write_copies
    from lstm_probe.runs.run import load_run

    table = Table(box=None, title="each in a process of its own", title_justify="left")
    for head in ("what", "runs", "seconds", "of processor", "ms a run", "peak MB"):
        table.add_column(head, justify="left" if head == "what" else "right")
    with tempfile.TemporaryDirectory() as place:
        run = load_run(make(Path(place) / "one", *SMALL, "units=4"))
        for n in arguments.runs:
            store = Path(place) / str(n)
            write_copies(run, store, n, measured=MEASURED, pages=False)
            for what, code in MANY.items():
                wall, own, memory = timed(code.format(place=str(store)))
                table.add_row(what, f"{n:,}", f"{wall:.1f}", f"{own:.1f}", f"{1000 * own / n:.2f}", f"{memory:.0f}")
    console.print(table)
    console.print("tables of 10,000 runs: at most 10 s and 2 GB are wanted, and the same cost a run as the store grows")


def timed(code: str) -> tuple[float, float, float]:
    """Return the seconds, those of the processor, and the peak memory in MB of a program."""
    end = ("\nimport resource, sys; used = resource.getrusage(resource.RUSAGE_SELF); "
           "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)")  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code + end], capture_output=True, text=True, check=True)
    own, memory = done.stderr.splitlines()[-1].split()
    return time.perf_counter() - started, float(own), float(memory)


def make(place: Path, *settings: str) -> Path:
    """Make the default run, or one with these settings, in a folder and return its place."""
    from lstm_probe.cli import main

    if main(["train", *settings, f"outputs={place}"]):
        raise SystemExit("the default run failed")
    (folder,) = (path.parent for path in place.glob("runs/*/*/run.json"))
    return folder


def add(commands: Any) -> None:
    """Add the command `store` with its options."""
    parser = commands.add_parser("store", help="opening a finished run and comparing its files with their digests")
    parser.set_defaults(run=run)
    parser.add_argument("--runs", type=int, nargs="+", help="instead: stores of so many small runs, really written")
    parser.add_argument("--folder", type=Path, help="of a finished run (default: the default run, made first)")
