#!/usr/bin/env python
"""Kill a sweep again and again at random moments, go on with it, and compare its tables with an undisturbed sweep's.

    python scripts/kills.py                        100 kills, of sweeps in one process and with joblib's workers
    python scripts/kills.py --kills 10 --seed 1

Each kill is of the sweep's first process alone: SIGKILL, SIGTERM, SIGHUP or Ctrl-C. Wrong is: a process that is still
there 5 seconds later, another exit code than the signal's own, a table or weights that differ in the end, a file that
is not what was written, anything left over in the store. The exit code is 0 only if nothing was. For Linux.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import find_runs

SMALL = (
    "task=flipflop", "task.bits=2", "task.length=12", "steps=400", "evaluate_every=20", "stop_when_solved=false",
    "test_sequences=32", "probe.sequences=30", "probe.permutations=99", "probe.bootstrap=10", "probe.untrained=1",
    "probe.rotations=19", "ablate.sequences=20", "ablate.bootstrap=10",
)  # fmt: skip
LAUNCHERS = ((), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"))
KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LONGEST = 5.0  # seconds until all processes of a sweep have to be gone


def hear_all() -> None:
    """Let a new process hear Ctrl-C and hang-ups, whatever this one was told."""
    for kind in (signal.SIGINT, signal.SIGHUP):
        signal.signal(kind, signal.SIG_DFL)


def start(outputs: Path, jobs: Sequence[str], launcher: Sequence[str]) -> subprocess.Popen[str]:
    """Start a sweep in a session of its own."""
    command = [
        sys.executable,
        "-m",
        "lstm_probe",
        "train",
        "--multirun",
        *SMALL,
        *jobs,
        *launcher,
        f"outputs={outputs}",
    ]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=hear_all, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def left(session: int) -> list[int]:
    """Return the processes of a session that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(own) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def kill_at(process: subprocess.Popen[str], after: float, kind: signal.Signals) -> tuple[bool, list[str]]:
    """Kill a sweep after so many seconds; return whether it was still running, and what is wrong."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(kind)
    wrong, until = [], time.monotonic() + LONGEST
    killed = True
    while left(process.pid) and time.monotonic() < until:
        process.poll()
        time.sleep(0.05)
    if there := left(process.pid):
        wrong.append(f"{kind.name}: still there after {LONGEST:g} s: {len(there)} processes")
        for one in there:
            os.kill(one, signal.SIGKILL)
    said = process.communicate()[1]
    code = process.returncode
    if code == 0:
        killed = False
    elif code not in ({-kind} if kind == signal.SIGKILL else {128 + kind, -kind}):
        wrong.append(f"{kind.name} after {after:.2f} s: exit code {code}: {said[-500:]}")
    elif "Traceback" in said and "KeyboardInterrupt" not in said:
        wrong.append(f"{kind.name} after {after:.2f} s: {said[-500:]}")
    return killed, wrong


def compare(outputs: Path, whole: Path) -> list[str]:
    """Return how a store differs from that of an undisturbed sweep."""
    wrong = [f"left over: {path}" for path in (outputs / "runs").rglob(".*")]
    (runs, damaged), (others, _) = find_runs(outputs), find_runs(whole)
    wrong += damaged
    if [run.name for run in runs] != [run.name for run in others]:
        return [*wrong, f"{len(runs)} runs, not {len(others)}"]
    for run, other in zip(runs, others):
        try:
            run.check()
        except InputError as error:
            wrong += error.problems
            continue
        for name in ("history", *other.measured):
            a, b = (getattr(one, name).drop(columns="seconds", errors="ignore") for one in (run, other))
            try:
                pd.testing.assert_frame_equal(a, b, check_exact=True)
            except AssertionError as error:
                wrong.append(f"{run.name}: {name}: {str(error).splitlines()[0]}")
        if run.read("model.safetensors", bytes) != other.read("model.safetensors", bytes):
            wrong.append(f"{run.name}: other weights")
    return wrong


def kill_sweeps(place: Path, kills: int, seed: int, jobs: Sequence[str]) -> tuple[Counter[str], list[str]]:
    """Kill sweeps so many times, each until it is through; return what was done, and what was wrong."""
    rng, done, wrong = random.Random(seed), Counter[str](), []
    started = time.monotonic()
    undisturbed = start(place / "whole", jobs, LAUNCHERS[0])
    said = undisturbed.communicate()[1]
    if undisturbed.returncode:
        raise SystemExit(f"the undisturbed sweep failed: {said}")
    longest = time.monotonic() - started
    while done["kills"] < kills:
        launcher = LAUNCHERS[done["sweeps"] % len(LAUNCHERS)]
        outputs = place / "killed"
        killed = True
        while killed:
            enough = done["kills"] >= kills
            kind, after = rng.choice(KINDS), rng.uniform(0.3 * longest, longest) * rng.random()
            process = start(outputs, jobs, launcher)
            if enough:
                process.communicate()
                killed = False
                continue
            killed, problems = kill_at(process, after, kind)
            wrong += problems
            done["kills"] += killed
            done[kind.name] += killed
        wrong += compare(outputs, place / "whole")
        done["sweeps"] += 1
        shutil.rmtree(outputs)
    return done, wrong


def main() -> int:
    """Read the command line, kill, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", default=["units=2,3", "seed=0,1"], help="what is swept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        done, wrong = kill_sweeps(Path(place), arguments.kills, arguments.seed, arguments.jobs)
    for line in wrong:
        print(line)
    print(", ".join(f"{count} {what}" for what, count in sorted(done.items())), f"; {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
