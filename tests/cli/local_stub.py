"""What the jobs of the tests of the local launcher do, in its workers."""

import os
import signal
import sys
import time

from lstm_probe.cli.jobs import JobOutcome
from lstm_probe.core.console import Doing, tell

done = 0


def job(composed):
    """Return the process, how many jobs it has done, and how many cores one thread may use."""
    global done
    done += 1
    if composed.units == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if composed.units == 14:
        raise RuntimeError("a bug")
    if composed.units == 15:
        os._exit(3)
    tell(Doing("training", composed.units, 100, 0.5))
    print(f"units {composed.units}")
    sys.stderr.write("half a ")
    sys.stderr.write("line\n")
    time.sleep(0.05)
    assert "torch" in sys.modules
    return JobOutcome([f"units={composed.units}"], run=f"{os.getpid()} {done} {os.environ['OMP_NUM_THREADS']}")
