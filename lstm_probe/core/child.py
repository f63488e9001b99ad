"""A child process that reads what a library might hang, crash or swell over: see `lstm_probe.core.limited`.

Run by its own path, as `child.py ORDER`, with the file on standard input; ORDER is JSON. It imports nothing of ours
and what the order names, takes limits upon itself, and lets the order's script write what it reads to standard output.
"""

import importlib
import json
import runpy
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def limit_time(more: float) -> None:
    """Let the system end this process when it has used so many more seconds of processor time."""
    with suppress(AttributeError):  # there is none on Windows, where the parent's clock alone counts
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, more)


def limit_memory(more: int) -> None:
    """Let this process have so many bytes more than it has now, and no more."""
    with suppress(ImportError, OSError, ValueError):  # Linux alone says how much it is now
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


def main(order: dict[str, Any]) -> None:
    """Import what the order names, take its limits, say "ready" and run its script."""
    sys.path[:] = order["path"]  # where the parent finds its packages
    for module in order["modules"]:
        importlib.import_module(module)
    limit_time(order["seconds"])
    limit_memory(order["memory"])
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    sys.argv = [order["script"], *map(str, order["arguments"])]
    runpy.run_path(order["script"], run_name="__main__")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
