"""Reading in a child process with limits: for libraries that a damaged or hostile file can hang, crash or swell."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from lstm_probe.core.budget import current, spend, tick
from lstm_probe.core.errors import InputError

CHILD = Path(__file__).with_name("child.py")
#: A child may take so many times longer by the clock than in processor time: the machine may be busy.
PATIENCE = 4
SHARE = 0.4  # of the time for a file that a child has; what else there is goes by with importing what reads it
_LONGEST_LINE = 2**27


@contextmanager
def child_reading(
    script: Path, source: IO[bytes], modules: Sequence[str], arguments: Sequence[object] = ()
) -> Iterator[IO[bytes]]:
    """Run a script on a file in a child process, within the budget of `reading`; yields what it writes.

    An EOFError raised inside says that it ended before it had written everything.

    Args:
        script: a Python file that reads standard input and writes to standard output; it imports nothing of ours.
        source: an open file.
        modules: what the script imports, so that its limit of memory counts from there.
        arguments: of the script.

    Raises:
        InputError: the child took too long or too much memory, or the library crashed over the file.
    """
    budget = current()
    assert budget is not None
    seconds = SHARE * budget.seconds
    order = {
        "path": sys.path, "modules": list(modules), "script": str(script), "arguments": list(arguments),
        "seconds": seconds, "memory": budget.most // 2,
    }  # fmt: skip
    # Libraries of numbers keep buffers for each thread, and HDF5 would load plugins that a file asks for.
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    child = subprocess.Popen(
        [sys.executable, "-I", str(CHILD), json.dumps(order)],
        stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | settings,
    )  # fmt: skip
    clock = threading.Timer(PATIENCE * seconds, child.kill)
    clock.daemon = True
    ended_early = False
    try:
        assert child.stdout is not None
        with child.stdout:
            child.stdout.readline()  # "ready": what was imported until then is not on the file's account
            clock.start()
            try:
                yield child.stdout
            except EOFError:
                ended_early = True
        code = child.wait()
    finally:
        clock.cancel()
        child.kill()
        child.wait()
    if code in (-getattr(signal, "SIGPROF", 0), -getattr(signal, "SIGKILL", 0)):
        raise budget.too_long(seconds)
    if code or ended_early:
        raise InputError(f"{budget.label}: is damaged or hostile: the library that reads this kind of file fails on it")


def lines(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Go through the lines of JSON that a script writes, up to {"end": true}.

    Raises:
        EOFError: the last one is missing.
        ValueError: {"error": WORDS}, in these words.
    """
    while True:
        tick()
        written = stream.readline(_LONGEST_LINE)
        if not written.endswith(b"\n"):
            raise EOFError
        line: dict[str, Any] = json.loads(written)
        if "error" in line:
            raise ValueError(line["error"])
        if "end" in line:
            return
        yield line


def array_after(stream: IO[bytes], line: Mapping[str, Any]) -> np.ndarray:
    """Return the array whose bytes, in C order, stand behind a line {"array": NAME, "type": "<f4", "shape": [3, 16]}.

    Raises:
        EOFError: there are fewer.
        InputError: it does not fit into the budget.
    """
    kind, shape = np.dtype(line["type"]), tuple(line["shape"])
    spend(kind.itemsize * math.prod(shape), line["array"].strip("/"))
    array = np.empty(shape, kind)
    room, at = memoryview(array.reshape(-1).view(np.uint8).data), 0
    while at < array.nbytes:
        n = stream.readinto(room[at:])  # type: ignore[attr-defined]
        if not n:
            raise EOFError
        at += n
    return array
