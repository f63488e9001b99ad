#!/usr/bin/env python
"""Write conf/task/, the defaults of every task of this package, from the tasks' own classes.

python scripts/task_defaults.py              write the files
python scripts/task_defaults.py --check      say which differ, and end with exit code 1 if any does
"""

import argparse
from dataclasses import fields
from pathlib import Path

import yaml

from lstm_probe.core.fields import default_of
from lstm_probe.tasks import BUILT_IN, Task

FOLDER = Path(__file__).resolve().parents[1] / "conf" / "task"


def file_of(cls: type[Task]) -> str:
    """Return what a task's file says."""
    sentence = cls.summary[0].upper() + cls.summary[1:]
    stop = "" if sentence.endswith("?") else "."
    defaults = {"name": cls.name, **{f.name: default_of(f) for f in fields(cls)}}  # type: ignore[arg-type]  # a dataclass
    keys = (f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000)}" for key, value in defaults.items())
    lines = "".join(line.removesuffix("...\n") for line in keys)  # the end of a document that is one word
    return f"# {sentence}{stop}\n# What the keys mean: `lstm-probe tasks name={cls.name}`.\n{lines}"


def differing(folder: Path) -> dict[Path, str | None]:
    """Return the files of a folder that are not as they should be, with what they should say; None: not be there."""
    wanted: dict[Path, str | None] = dict.fromkeys(folder.glob("*.yaml"))
    wanted |= {folder / f"{cls.name}.yaml": file_of(cls) for cls in BUILT_IN}
    return {path: said for path, said in wanted.items() if said is None or not _says(path, said)}


def _says(path: Path, said: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == said


def main() -> int:
    """Write the files that differ, or name them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    found = differing(FOLDER)
    for path, said in sorted(found.items()):
        print(f"{path}: {'differs' if check else 'removed' if said is None else 'written'}")
        if check:
            continue
        if said is None:
            path.unlink()
        else:
            path.write_text(said, encoding="utf-8")
    return int(check and bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
