#!/usr/bin/env python
"""Break the package in one small way after the other, and see whether a test notices.

    python scripts/mutants.py                      all mutants, one at a time
    python scripts/mutants.py --jobs 2             two at a time
    python scripts/mutants.py --only clip seed     those whose names contain one of these words
    python scripts/mutants.py --list               what they are

The working tree is copied to a temporary folder; there each mutant's text takes the place of the original's, its tests
run, and the original comes back. A mutant is "killed" if a test fails, "SURVIVED" if none does, and "stale" if its
text does not stand in its file exactly once, or its tests cannot be run. The tests run first on the copy as it is: what
fails there proves nothing. The exit code is 0 only if every mutant was killed.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants_by_room import MUTANTS, Mutant

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
COPIED = ("lstm_probe", "conf", "tests", "scripts", "pyproject.toml", "README.md", "Makefile", "constraints.txt")
KILLED, SURVIVED, STALE = "killed", "SURVIVED", "stale"
SECONDS = 600  # a mutant that runs for longer hangs, and that is noticed too


def mutated(mutant: Mutant, text: str) -> str | None:
    """Return a file's text with the mutant in it; None if the original does not stand there exactly once."""
    return text.replace(mutant.old, mutant.new) if text.count(mutant.old) == 1 else None


def copy_tree(folder: Path) -> Path:
    """Copy what the tests need into a folder; with the times of files, so that compiled ones stay valid."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests in a copy of the tree; return pytest's exit code and what it said. What hangs has failed."""
    path = os.pathsep.join(map(str, (folder, SCRIPTS)))
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "mutants_by_room.unshrunk", *tests]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return 1, f"longer than {SECONDS} s"
    return done.returncode, done.stdout + done.stderr


def try_mutant(mutant: Mutant, folder: Path) -> str:
    """Put one mutant into a copy of the tree, run its tests and take it out; return what became of it."""
    file = folder / mutant.file
    text = mutated(mutant, file.read_text(encoding="utf-8")) if file.exists() else None
    if text is None:
        return STALE
    file.write_text(text, encoding="utf-8")
    try:
        code, _ = run_tests(folder, mutant.tests)
    finally:
        shutil.copy2(ROOT / mutant.file, file)
    return {0: SURVIVED, 1: KILLED}.get(code, STALE)


def run_all(mutants: Sequence[Mutant], jobs: int, folder: Path) -> dict[str, str]:
    """Try mutants, each in one of so many copies of the tree; return what became of each by name."""
    copies: queue.Queue[Path] = queue.Queue()
    for k in range(jobs):
        copies.put(copy_tree(folder / str(k)))

    def work(mutant: Mutant) -> tuple[str, str]:
        copy, started = copies.get(), time.monotonic()
        try:
            found = try_mutant(mutant, copy)
        finally:
            copies.put(copy)
        print(f"{found:9}{mutant.name}  ({time.monotonic() - started:.0f} s)", flush=True)
        return mutant.name, found

    with ThreadPoolExecutor(jobs) as pool:
        return dict(pool.map(work, mutants))


def chosen(words: Sequence[str] | None) -> list[Mutant]:
    """Return the mutants whose names contain one of these words; all of them without words."""
    return [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]


def main() -> int:
    """Read the command line, try the mutants, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="those whose names contain one of these words")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (default 1)")
    arguments = parser.parse_args()
    mutants = chosen(arguments.only)
    if not mutants:
        parser.error(f"--only {' '.join(arguments.only)}: no mutant has such a name")
    if arguments.list:
        for mutant in mutants:
            print(f"{mutant.name}  {mutant.file}\n    {' '.join(mutant.tests)}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        code, said = run_tests(copy_tree(Path(folder) / "plain"), tests)
        if code:
            print(f"{said[-3000:]}\nThe tests fail without any mutant: mend that first.")
            return 1
        found = run_all(mutants, max(1, arguments.jobs), Path(folder))
    counts = {state: [name for name, own in found.items() if own == state] for state in (KILLED, SURVIVED, STALE)}
    print(", ".join(f"{len(names)} {state}" for state, names in counts.items()))
    for state in (SURVIVED, STALE):
        print(*(f"{state} {name}" for name in counts[state]), sep="\n", end="\n" if counts[state] else "")
    return int(len(counts[KILLED]) < len(found))


if __name__ == "__main__":
    sys.exit(main())
