"""What breaks under a command; see `test_faults.py`.

    python -m tests.cli.forked FOLDER FREE ...    commands on a disk of its own with so many kB free, and then more

One line is printed for each room: what became of it. The commands run in children of one process, which has imported
what takes long.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lstm_probe.cli import main
from tests.processes import import_all


def in_a_child(arguments, said):
    """Run a command line; return its exit code, and what it said, which goes through a file."""
    child = os.fork()
    if not child:
        with said.open("w") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            code = main(arguments)
            sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text()


def lose(place, moment, code):
    """From the n-th on, let nothing be opened, made, renamed, listed or removed below a folder."""
    left, own = [moment], str(place)

    def fail(event, arguments):
        if event == "open" or event.startswith(("os.", "shutil.")):
            for named in (str(one) for one in arguments if isinstance(one, str | os.PathLike)):
                if named.startswith(own):
                    left[0] -= 1
                    if left[0] < 0:
                        raise OSError(code, os.strerror(code), named)

    sys.addaudithook(fail)


def hidden(outputs):
    """The hidden folders of runs that are not finished."""
    return sorted(path for path in outputs.glob("runs/*/.*") if path.name.endswith(".partial"))


def told(outputs, command, said):
    """Run a command; return what became of it."""
    code, text = in_a_child([*command, f"outputs={outputs}"], said)
    whole = [path.name for path in outputs.glob("runs/*/[!.]*")]
    return {"code": code, "said": text, "whole": whole, "hidden": len(hidden(outputs))}


def full(command, place, *free):
    """Run a command on a disk with so much room; make room, and run it again; keep what came of it outside."""
    disk = Path(place, "disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], check=True)
    for kb in map(int, free):
        outputs, filler, said = disk / "outputs", disk / "filler", Path(place, "said.txt")
        filler.write_bytes(bytes(1024 * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize // 1024 - kb)))
        first = told(outputs, command, said)
        filler.unlink()
        again = told(outputs, command, said)
        shutil.move(outputs, Path(place, str(kb)))
        print(json.dumps([kb, first, again]), flush=True)


if __name__ == "__main__":
    from tests.cli.test_faults import SMALL

    import_all()
    full(["train", *SMALL, "units=2"], *sys.argv[1:])
