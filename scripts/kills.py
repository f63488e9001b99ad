#!/usr/bin/env python
"""Kill a sweep again and again, go on with it, and compare its tables with an undisturbed sweep's.

    python scripts/kills.py                        100 kills, with the usual launcher, in one process, and with joblib
    python scripts/kills.py --kills 10 --seed 1

Each kill waits until a run is trained, measured, drawn or put into its place, or for no run at all, and a little more.
It is of the sweep's first process alone, of one of its workers, or of all: SIGKILL, or, for the first process, SIGTERM,
SIGHUP or Ctrl-C too. Wrong is: a process that is still there 10 seconds after the first was killed, another exit code
than the signal's own (1 or 0 where a worker was killed), a table or weights that differ in the end, a file that is not
what was written, anything left over in the store. The exit code is 0 only if nothing was. For Linux.
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
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.reached import LIST

SMALL = (
    "task=flipflop", "task.bits=2", "task.length=12", "steps=400", "evaluate_every=20", "stop_when_solved=false",
    "test_sequences=32", "probe.sequences=30", "probe.permutations=99", "probe.bootstrap=10", "probe.untrained=1",
    "probe.rotations=19", "ablate.sequences=20", "ablate.bootstrap=10",
)  # fmt: skip
LAUNCHERS = ((), ("hydra/launcher=basic",), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"))
PHASES = ("training", "measuring", "measuring", "drawing", "publishing", "any")
VICTIMS = ("leader", "worker", "group")
KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LONGEST = 10.0  # seconds until all processes of a sweep have to be gone


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


def phases(outputs: Path) -> set[str]:
    """Return in which phases the runs are that are being made, or were when they were killed."""
    found = set()
    for folder in outputs.glob("runs/*/.*.partial"):
        try:
            there = {path.name for path in folder.iterdir()}
        except OSError:  # it has just come into its place
            continue
        if LIST not in there:
            found.add("publishing" if "report.html" in there else "training")
        elif "run.json" in there:
            found.add("publishing")
        else:
            found.add("drawing" if "figures" in there else "measuring")
    return found


def wait_for(process: subprocess.Popen[str], outputs: Path, phase: str, after: float) -> bool:
    """Wait until a run is in a phase, or for any, and a little more; return whether the sweep still runs."""
    until = time.monotonic() + after
    while process.poll() is None and phase not in phases(outputs) and (phase != "any" or time.monotonic() < until):
        time.sleep(0.01)
    try:
        process.wait(0.0 if phase == "any" else after / 20)
    except subprocess.TimeoutExpired:
        return True
    return False


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Return a sweep's processes other than its first that do jobs."""
    found = []
    for one in left(process.pid):
        try:
            line = Path(f"/proc/{one}/cmdline").read_text()
        except OSError:
            continue
        if one != process.pid and ("spawn_main" in line or "popen_loky" in line):
            found.append(one)
    return found


def kill(
    process: subprocess.Popen[str], kind: signal.Signals, victim: str, rng: random.Random
) -> tuple[str, list[str]]:
    """Kill a sweep, or one of its workers; return which of its processes, and what is wrong."""
    there = workers(process) if victim == "worker" else []
    if there:
        os.kill(rng.choice(there), signal.SIGKILL)
        said = process.communicate()[1]
        fine = process.returncode in (0, 1) and "Traceback" not in said
        return "worker", [] if fine else [f"a worker killed: exit code {process.returncode}: {said[-500:]}"]
    if victim == "group":
        kind = signal.SIGKILL
        os.killpg(process.pid, kind)
    else:
        victim = "leader"
        process.send_signal(kind)
    wrong, until = [], time.monotonic() + LONGEST
    while left(process.pid) and time.monotonic() < until:
        process.poll()
        time.sleep(0.05)
    if still := left(process.pid):
        wrong.append(f"{kind.name}: still there after {LONGEST:g} s: {len(still)} processes")
        for one in still:
            os.kill(one, signal.SIGKILL)
    said = process.communicate()[1]
    code = process.returncode
    if code not in ({0, -kind} if kind == signal.SIGKILL else {0, 128 + kind, -kind}):
        wrong.append(f"{kind.name}: exit code {code}: {said[-500:]}")
    elif "Traceback" in said and "KeyboardInterrupt" not in said:
        wrong.append(f"{kind.name}: {said[-500:]}")
    return victim, wrong


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
    longest, outputs = time.monotonic() - started, place / "killed"
    while done["kills"] < kills:
        launcher = LAUNCHERS[done["sweeps"] % len(LAUNCHERS)]
        killed = True
        while killed:
            process = start(outputs, jobs, launcher)
            killed = done["kills"] < kills and wait_for(process, outputs, rng.choice(PHASES), longest * rng.random())
            if not killed:
                said = process.communicate()[1]
                wrong += [f"not finished: {said[-500:]}"] if process.returncode else []
                continue
            done.update(phases(outputs) or {"starting"})
            victim, problems = kill(process, rng.choice(KINDS), rng.choice(VICTIMS), rng)
            wrong += problems
            done.update(["kills", victim])
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
