#!/usr/bin/env python
"""Damages files of every format that is read, thousands of times, and reads each within limits of time and memory.

    python scripts/fuzz.py                       2,000 files
    python scripts/fuzz.py --files 200 --formats onnx torch
    python scripts/fuzz.py --keep FOLDER         files that went wrong are kept there

Right is what the whole file gave, what truly is in the damaged one, or one short InputError; anything else, a crash,
10 seconds or 1.2 GB is a failure, and the exit code is 1. The same seed always damages in the same way.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzzing.damage import damage
from fuzzing.files import copy, make_files, target

SECONDS, BYTES = 10.0, 1_200_000_000


class Worker:
    """A process that reads one file after the other; it is killed when it takes too long, and another one begins."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def read(self, name: str, path: Path, whole: Path) -> dict[str, Any]:
        """Return the outcome of reading a file, the seconds that it took and the memory at its peak."""
        if self.process is None:
            self.process = self._start(name, whole)
        assert self.process.stdin is not None and self.process.stdout is not None
        clock = threading.Timer(SECONDS, self.process.kill)
        started = time.monotonic()
        clock.start()
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([name, str(path), str(whole)]) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        clock.cancel()
        if answer:
            found: dict[str, Any] = json.loads(answer)
            return found
        code, self.process = self.process.wait(), None
        seconds = time.monotonic() - started
        what = f"not read within {SECONDS:.0f} s" if seconds >= SECONDS else f"the process ended with code {code}"
        return {"outcome": what, "seconds": seconds, "bytes": 0}

    def _start(self, name: str, whole: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, __file__, "--worker"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([name, str(whole), str(whole)]) + "\n")  # imports what it needs
        process.stdin.flush()
        process.stdout.readline()
        return process

    def end(self) -> None:
        """Let it go."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def work() -> None:
    """Read the files that standard input names, and say on standard output what became of each."""
    from fuzzing.reading import GOOD, outcome, read

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    known: dict[str, Any] = {}
    for line in sys.stdin:
        name, path, whole = json.loads(line)
        if name not in known:
            known[name] = read(name, Path(whole))
        _forget_peak()
        started = time.monotonic()
        said = outcome(name, Path(path), known[name])
        seconds, peak = time.monotonic() - started, _peak()
        if said in GOOD and peak > BYTES:
            said = f"took {peak / 1e9:.1f} GB"
        answers.write(json.dumps({"outcome": said, "seconds": seconds, "bytes": peak}) + "\n")
        answers.flush()


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def fuzz(formats: list[str] | None, files: int, seed: int, keep: Path | None) -> int:
    """Damage so many files, print what became of them, and return how many failed."""
    from fuzzing.reading import GOOD

    failed, slowest, largest = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        whole = make_files(Path(folder))
        names = formats or list(whole)
        counts = {name: Counter[str]() for name in names}
        worker = Worker()
        for k in range(files):
            name = names[k % len(names)]
            rng = random.Random(f"{seed} {name} {k // len(names)}")
            content = damage(target(name, whole[name]).read_bytes(), rng)
            path = copy(name, whole[name], Path(folder) / "damaged", content)
            found = worker.read(name, path, whole[name])
            slowest, largest = max(slowest, found["seconds"]), max(largest, found["bytes"])
            good = found["outcome"] in GOOD
            counts[name][found["outcome"] if good else "FAILED"] += 1
            if not good:
                failed += 1
                print(f"{name} {k // len(names)}: {found['outcome']}", flush=True)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(target(name, path), keep / f"{k // len(names)}-{path.name}")
        worker.end()
    columns = (*GOOD, "FAILED")
    print(f"{'':12}" + "".join(f"{column:>15}" for column in columns))
    for name, counted in counts.items():
        print(f"{name:12}" + "".join(f"{counted[column]:15}" for column in columns))
    print(f"{files} files, {failed} failed; slowest {slowest:.1f} s, at most {largest / 1e9:.2f} GB")
    return failed


def main() -> None:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="how many damaged files (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", help="default: all of them")
    parser.add_argument("--keep", type=Path, help="a folder for files that went wrong")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work()
        return
    sys.exit(bool(fuzz(arguments.formats, arguments.files, arguments.seed, arguments.keep)))


if __name__ == "__main__":
    main()
