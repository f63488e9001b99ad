"""The launcher of every `--multirun` unless another is chosen: worker processes on all cores of this machine.

Each worker is a process that imports torch once and does one job after the other; the next job is the largest that is
left, so that no long one comes last. A worker that dies (for want of memory, by `kill -9`, by a fault of a library)
costs its own job alone: another takes its place, and the same command makes that job again. This is what joblib cannot
do: there the whole sweep ends with a TerminatedWorkerError. Interruptions are those of `interrupts`.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, env_override, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext

from lstm_probe.cli.interrupts import end_workers
from lstm_probe.cli.jobs import FAILED, JobOutcome, save_outcome
from lstm_probe.cli.local_shown import Job, Shown
from lstm_probe.cli.local_worker import Pipe, Sweep, job_folder, own_settings, work
from lstm_probe.core.console import Doing

#: Hydra takes launchers from below this name only; there is no such module.
TARGET = "hydra_plugins.lstm_probe.LocalLauncher"
PATIENCE = 5.0  # seconds in which a worker without a job ends by itself


@dataclass
class LocalConf:
    """The launcher's keys.

    Attributes:
        jobs: how many run side by side; None: as many as there are cores for.
    """

    _target_: str = TARGET
    jobs: int | None = None


class LocalLauncher(Launcher):
    """Runs the jobs of a sweep in worker processes; a single job in this one."""

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: Callable[[Any], Any], config: Any) -> None:
        """Take what Hydra gives every launcher."""
        self.config, self.context, self.task_function = config, hydra_context, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Return what became of each job, in the order of the jobs."""
        if len(job_overrides) == 1:
            alone = BasicLauncher()
            alone.setup(hydra_context=self.context, task_function=self.task_function, config=self.config)
            return alone.launch(job_overrides, initial_job_idx)
        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        sizes = [size_of(overrides, self.config) for overrides in job_overrides]
        jobs = [
            Job(initial_job_idx + k, list(overrides), own_settings(overrides), size)
            for k, (overrides, size) in enumerate(zip(job_overrides, sizes, strict=True))
        ]
        most = min(len(jobs), self.jobs or cores() // max(1, int(self.config.get("threads") or 1)) or 1)
        sweep = Sweep(self.task_function, self.context, self.config, ConfigStore.instance())
        staff.do(sweep, jobs, most)
        return [_returned(job) for job in jobs]


def register() -> None:
    """Make the launcher known to Hydra."""
    ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalConf, provider="lstm_probe")
    Plugins.instance().register(LocalLauncher)
    Plugins.instance().class_name_to_class[TARGET] = LocalLauncher


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def size_of(overrides: Sequence[str], config: Any) -> float:
    """Return how many units the network of a job has, as far as its overrides or the configuration say so."""
    for one in reversed(OverridesParser.create().parse_overrides(list(overrides))):
        if one.key_or_group == "units" and isinstance(value := one.value(), int):
            return float(value)
    units = config.get("units")
    return float(units) if isinstance(units, int) else 1.0


def _returned(job: Job) -> JobReturn:
    assert job.outcome is not None
    done = JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
    done.return_value = job.outcome
    return done


@dataclass
class Worker:
    """A process, the pipe to it, and its job."""

    process: SpawnProcess
    pipe: Pipe
    job: Job | None = None


class Workers:
    """The worker processes of a sweep, which do its batches of jobs one after the other."""

    def __init__(self) -> None:
        self.all: list[Worker] = []

    def do(self, sweep: Sweep, jobs: Sequence[Job], most: int) -> None:
        """Do these jobs, at most so many at a time."""
        queue = sorted(jobs, key=lambda job: -job.size)
        try:
            with Shown(jobs, most) as shown:
                while queue or any(worker.job for worker in self.all):
                    idle = [worker for worker in self.all if worker.job is None]
                    while queue and len(self.all) - len(idle) < most:
                        worker = idle.pop() if idle else self._start(sweep)
                        worker.job = queue.pop(0)
                        self._give(worker)
                        shown.begun(worker.job)
                    self._hear(sweep, shown)
        except BaseException:
            end_workers()
            self.all.clear()
            raise

    def _start(self, sweep: Sweep) -> Worker:
        """Start a worker: one thread, unless the user says otherwise; only its leader hears Ctrl-C."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, sweep))
        threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": "1"}
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if os.name == "posix" else None
        try:
            with env_override(threads):
                process.start()
        finally:
            if masked is not None:
                signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        theirs.close()
        worker = Worker(process, ours)
        self.all.append(worker)
        return worker

    def _give(self, worker: Worker) -> None:
        assert worker.job is not None
        worker.job.started = time.monotonic()
        try:
            worker.pipe.send((worker.job.number, worker.job.overrides))
        except OSError:  # it is dead, which is seen next
            return

    def _hear(self, sweep: Sweep, shown: Shown) -> None:
        """Wait a little for messages, and take them; see which worker is dead."""
        busy = [worker for worker in self.all if worker.job is not None]
        ready = wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)], timeout=0.25)
        for worker in busy:
            if worker.pipe in ready or worker.process.sentinel in ready:
                dead = worker.process.sentinel in ready
                try:
                    while worker.job is not None and worker.pipe.poll():
                        kind, content = worker.pipe.recv()
                        self._take(worker, kind, content, shown)
                except (EOFError, OSError):
                    dead = True
                if dead:
                    self._bury(worker, sweep, shown)
        shown.now_and_then()

    def _take(self, worker: Worker, kind: str, content: Any, shown: Shown) -> None:
        job = worker.job
        assert job is not None
        if kind == "done":
            job.outcome, worker.job = content, None
            shown.ended(job)
        elif kind == "doing":
            assert isinstance(content, Doing)
            job.doing = content
        else:
            shown.line(content, to_out=kind == "out")

    def _bury(self, worker: Worker, sweep: Sweep, shown: Shown) -> None:
        """Take a dead worker out; the job that it had has failed."""
        worker.process.join()
        worker.pipe.close()
        self.all.remove(worker)
        if (job := worker.job) is None:
            return
        seconds = time.monotonic() - (job.started or 0.0)
        job.outcome = JobOutcome(job.settings, FAILED, seconds, error=[cause(worker.process.exitcode or 0)])
        save_outcome(job.outcome, job_folder(sweep.config, job.number), f"job {job.number}")
        shown.ended(job)

    def dismiss(self) -> None:
        """Let the workers end; a sweep does so when all its batches are done."""
        for worker in self.all:
            worker.pipe.close()
        until = time.monotonic() + PATIENCE
        for worker in self.all:
            worker.process.join(max(0.0, until - time.monotonic()))
        if any(worker.process.is_alive() for worker in self.all):
            end_workers()
        self.all.clear()


#: Of the sweep that is running.
staff = Workers()


def cause(code: int) -> str:
    """Return how a process ended that was in the middle of its job.

    >>> cause(-9)
    'Its process was killed by signal 9 (SIGKILL); out of memory? The same command makes this job again.'
    >>> cause(3)
    'Its process ended with exit code 3. The same command makes this job again.'
    """
    number = -code if code < 0 else code - 128
    again = "The same command makes this job again."
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"Its process ended with exit code {code}. {again}"
    memory = "; out of memory?" if name == "SIGKILL" else "."
    return f"Its process was killed by signal {number} ({name}){memory} {again}"
