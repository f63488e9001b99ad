"""The time to open a finished run and to compare all its files with what was written."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.timing import console, median_seconds

FEWEST = 21  # rounds: these are milliseconds


def run(arguments: argparse.Namespace) -> None:
    """Make the default run, unless one is named, and time what reading it costs beside the bare bytes."""
    from lstm_probe.core.digests import read_told
    from lstm_probe.core.files import human
    from lstm_probe.runs.run import load_run

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


def make(place: Path) -> Path:
    """Make the default run in a folder and return its place."""
    from lstm_probe.cli import main

    if main(["train", f"outputs={place}"]):
        raise SystemExit("the default run failed")
    (folder,) = (path.parent for path in place.glob("runs/*/*/run.json"))
    return folder


def add(commands: Any) -> None:
    """Add the command `store` with its options."""
    parser = commands.add_parser("store", help="opening a finished run and comparing its files with their digests")
    parser.set_defaults(run=run)
    parser.add_argument("--folder", type=Path, help="of a finished run (default: the default run, made first)")
