#!/usr/bin/env python
"""Break the package in one small way after the other, and see whether a test notices.

    python scripts/mutants.py                      all mutants, one at a time
    python scripts/mutants.py --jobs 2             two at a time
    python scripts/mutants.py --only clip seed     those whose names contain one of these words
    python scripts/mutants.py --list               what they are

The working tree is copied to a temporary folder; there each mutant's text takes the place of the original's, its tests
run, and the original comes back. A mutant is "killed" if a test fails, "SURVIVED" if none does, and "stale" if its
text does not stand in its file exactly once, or its tests cannot be run to their end. The tests run first on the copy
as it is: what fails there proves nothing. The exit code is 0 only if every mutant was killed. For Linux and macOS.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from mutants_by_room import MUTANTS, Mutant

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
COPIED = ("lstm_probe", "conf", "docs", "tests", "scripts", "pyproject.toml", "README.md", "Makefile",
          "constraints.txt")  # fmt: skip
KILLED, SURVIVED, STALE = "killed", "SURVIVED", "stale"
SECONDS = 600  # for one mutant's tests; those of the tree as it is take what they take
#: Imported once, since that takes as long as most mutants' tests.
PRELOADED = (
    "torch", "pandas", "xarray", "scipy.stats", "sklearn.linear_model", "sklearn.model_selection", "sklearn.metrics",
    "matplotlib.figure", "seaborn", "hydra", "rich.table", "beartype", "jaxtyping", "hypothesis.strategies", "pytest",
    "h5py", "onnx",
)  # fmt: skip


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


def start_tests(folder: Path, tests: Sequence[str], seconds: int = SECONDS) -> int:
    """Run tests in a copy of the tree, in a process of their own whose exit code is pytest's; return its number.

    What they say goes to `said.txt` in the copy.
    """
    child = os.fork()
    if child:
        return child
    signal.alarm(seconds)
    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.stdout = sys.stderr = os.fdopen(1, "w")
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": os.pathsep.join(map(str, (folder, SCRIPTS))), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    code = 3
    try:
        import pytest

        quiet = "ignore::pytest.PytestAssertRewriteWarning"  # of what is imported already
        code = int(pytest.main(["-q", "-x", "-W", quiet, "-p", "mutants_by_room.unshrunk", *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def outcome(status: int) -> str:
    """Return what became of a mutant whose tests ended so; of what was too slow, or crashed, nothing is known."""
    if os.WIFSIGNALED(status):
        return STALE
    return {0: SURVIVED, 1: KILLED}.get(os.WEXITSTATUS(status), STALE)


class Trial(NamedTuple):
    """A mutant whose tests run."""

    mutant: Mutant
    copy: Path
    started: float


def run_all(mutants: Sequence[Mutant], copies: Sequence[Path]) -> dict[str, str]:
    """Try mutants, one in each copy of the tree at a time; return what became of each by name."""
    free, waiting = list(copies), list(mutants)
    running: dict[int, Trial] = {}
    found: dict[str, str] = {}
    while waiting or running:
        while waiting and free:
            mutant, copy = waiting.pop(0), free.pop()
            file = copy / mutant.file
            text = mutated(mutant, file.read_text(encoding="utf-8")) if file.exists() else None
            if text is None:
                tell(found, mutant, STALE)
                free.append(copy)
                continue
            file.write_text(text, encoding="utf-8")
            running[start_tests(copy, mutant.tests)] = Trial(mutant, copy, time.monotonic())
        if running:
            child, status = os.wait()
            if child not in running:
                continue  # somebody else's, such as a worker of the process that this is a part of
            mutant, copy, started = running.pop(child)
            shutil.copy2(ROOT / mutant.file, copy / mutant.file)
            tell(found, mutant, outcome(status), time.monotonic() - started)
            free.append(copy)
    return found


def tell(found: dict[str, str], mutant: Mutant, state: str, seconds: float = 0.0) -> None:
    """Note and print what became of a mutant."""
    found[mutant.name] = state
    print(f"{state:9}{mutant.name}  ({seconds:.0f} s)", flush=True)


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
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for name in PRELOADED:
        with suppress(ImportError):
            import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        copies = [copy_tree(Path(folder) / str(k)) for k in range(max(1, arguments.jobs))]
        tests = sorted({test for one in mutants for test in one.tests})
        _, status = os.waitpid(start_tests(copies[0], tests, seconds=0), 0)  # 0: no limit
        if status:
            said = (copies[0] / "said.txt").read_text()
            print(f"{said[-3000:]}\nThe tests fail without any mutant: mend that first.")
            return 1
        found = run_all(mutants, copies)
    counts = {state: [name for name, own in found.items() if own == state] for state in (KILLED, SURVIVED, STALE)}
    print(", ".join(f"{len(names)} {state}" for state, names in counts.items()))
    for state in (SURVIVED, STALE):
        print(*(f"{state} {name}" for name in counts[state]), sep="\n", end="\n" if counts[state] else "")
    return int(len(counts[KILLED]) < len(found))


if __name__ == "__main__":
    sys.exit(main())
