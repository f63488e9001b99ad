#!/usr/bin/env python
"""Flip single bits in the files of a finished run, and see whether each that changes a value is named.

    python scripts/flips.py FOLDER                 600 bits, over all files of the run in this folder
    python scripts/flips.py FOLDER --flips 50 --seed 1

The folder is copied first. Every file gets its share of the flips, the rest go by size. The exit code is 0 only if no
flip was missed.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import load_run


def places(folder: Path, flips: int, seed: int) -> Iterator[tuple[Path, int]]:
    """Go through files and bits: the same for the same folder, number and seed."""
    rng = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    chosen = (files * (flips // (2 * len(files)) + 1))[: flips // 2]
    chosen += rng.choices(files, sizes, k=flips - len(chosen))
    for file in chosen:
        yield file, rng.randrange(8 * file.stat().st_size)


def changes_nothing(file: Path, before: bytes, after: bytes) -> bool:
    """Return whether a flip left every value as it was, as in the last digit of a number that has too many."""
    if file.name != "run.json":
        return False
    try:
        return bool(json.loads(before) == json.loads(after))
    except ValueError:
        return False


def try_flip(folder: Path, file: Path, bit: int) -> str:
    """Flip one bit, read the run, and put the bit back; return "named", "changes nothing" or "MISSED"."""
    before = file.read_bytes()
    after = bytearray(before)
    after[bit // 8] ^= 1 << bit % 8
    file.write_bytes(after)
    try:
        load_run(folder).check()
    except InputError as error:
        own = [line for line in error.problems if str(file) in line or file.name == "run.json"]
        return "named" if own and len(own) == len(error.problems) else "MISSED"
    finally:
        file.write_bytes(before)
    return "changes nothing" if changes_nothing(file, before, bytes(after)) else "MISSED"


def main() -> int:
    """Read the command line, flip, and print a table by file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a finished run")
    parser.add_argument("--flips", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, arguments.folder.resolve().name)
        shutil.copytree(arguments.folder, folder)
        found: Counter[tuple[str, str]] = Counter()
        for file, bit in places(folder, arguments.flips, arguments.seed):
            found[str(file.relative_to(folder)), try_flip(folder, file, bit)] += 1
    for (name, what), count in sorted(found.items()):
        print(f"{name:32} {what:16} {count}")
    total = Counter(what for (_, what), count in found.items() for _ in range(count))
    print(", ".join(f"{count} {what}" for what, count in sorted(total.items())), f"of {arguments.flips} flips")
    return 1 if total["MISSED"] else 0


if __name__ == "__main__":
    sys.exit(main())
