"""What the tests of sweeps on clusters share: small sweeps in processes of their own, and when to leave tests out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from scripts.kills import SMALL, compare

TINY = [word for word in SMALL if not word.startswith("steps=")]
#: Its trainings take some seconds: on a quiet machine, too, long enough to be met and ended in mid-run.
SWEEP = ["train", "--multirun", *TINY, "steps=5000", "measure=light", "units=2,3", "seed=0,1"]
LONG = ["train", "--multirun", *TINY, "steps=1000000", "measure=none", "units=2,3"]

PATIENCE = 900.0  # seconds: machines that are shared can be slow


def does_not_start(name: str, reason: object) -> None:
    """Leave tests out where a cluster does not start, unless REQUIRE_<name> is set."""
    if f"REQUIRE_{name}" in os.environ:
        pytest.fail(f"{reason}")
    pytest.skip(f"does not start here: {reason}")


def needed(absent: list[str], name: str) -> pytest.MarkDecorator:
    """Leave tests out where something is absent, unless REQUIRE_<name> is set, as `.ci/run` does."""
    return pytest.mark.skipif(bool(absent) and f"REQUIRE_{name}" not in os.environ, reason=f"no {', '.join(absent)}")


@contextmanager
def begun(arguments: list[str], outputs: Path, environment: dict[str, str], python: str = sys.executable,
          before: str = "") -> Iterator[subprocess.Popen[str]]:  # fmt: skip
    """Run the program in a session of its own, at most as long as this context; `before` is Python to run first."""
    code = f"import sys\nfrom lstm_probe.cli import main\n{before}\nsys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [python, "-c", code, *arguments, f"outputs={outputs}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for(what, process: subprocess.Popen[str], seconds: float = PATIENCE):
    """Wait until `what()` is true; return it. A process that ends before that fails the test."""
    until = time.monotonic() + seconds
    while not (found := what()):
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"waited in vain: {process.communicate() if process.poll() is not None else ''}")
        time.sleep(0.05)
    return found


def checkpoint(outputs: Path, units: int, seed: int = 0) -> list[Path]:
    """Return the checkpoint of a run that is being trained."""
    return list(outputs.glob(f"runs/flipflop/.u{units}-s{seed}-*.partial/checkpoint.pt"))


def went_on(outputs: Path, units: int, seed: int) -> int:
    """Return from what step a finished run went on, as its log says; 0 where it did not."""
    (log,) = outputs.glob(f"runs/flipflop/u{units}-s{seed}-*/train.log")
    steps = [int(line.rpartition(" ")[2]) for line in log.read_text().splitlines() if "goes on from step" in line]
    return steps[-1] if steps else 0


def same(outputs: Path, whole: Path) -> None:
    """The stores hold the same runs, bit for bit but for times, and nothing else."""
    assert compare(outputs, whole) == []


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, worker_id):
    """The store of the same sweep, made here one run after the other, by the first worker that asks for it."""
    own = tmp_path_factory.getbasetemp()
    outputs = (own if worker_id == "master" else own.parent) / "undisturbed"
    with FileLock(f"{outputs}.lock"):
        if not outputs.exists():
            with begun([*SWEEP, "hydra/launcher=basic"], made := outputs.with_suffix(".made"), {}) as process:
                _, error = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, error
            made.rename(outputs)
    return outputs
