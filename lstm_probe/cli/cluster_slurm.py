"""`hydra/launcher=slurm_array`: each run of a sweep is a task of a Slurm job array, sent there by submitit.

A run that is preempted or reaches its time limit is queued again, and goes on from its checkpoint. The leader waits for
the array; when it is interrupted the array goes on, and the same command later finds what it made.
"""

import logging
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn

from lstm_probe.cli.cluster import ClusterJob, ClusterLauncher, sweep_folder
from lstm_probe.core.errors import InputError

log = logging.getLogger(__name__)

LOOK = 10.0  # seconds between two looks into Slurm's queue
PATIENCE = 60.0  # seconds in which the result of a task that has ended may show up on a network disk
#: States of a task that goes on, or will; every other is an end.
GOING = {
    "PENDING", "RUNNING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "SUSPENDED", "STOPPED", "CONFIGURING",
    "COMPLETING", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT", "RESV_DEL_HOLD", "PREEMPTED",
}  # fmt: skip
#: What to do about some ends.
ADVICE = {
    "OUT_OF_MEMORY": " Ask for more memory by hydra.launcher.mem_gb=<number>.",
    "TIMEOUT": " Ask for more time by hydra.launcher.timeout_min=<number>.",
}


class SlurmArray(ClusterLauncher):
    """Each run of a sweep is a task of a Slurm job array."""

    name, needs, extra = "slurm_array", "submitit", "slurm"

    def __init__(
        self, *, partition: str | None, account: str | None, qos: str | None, timeout_min: int, requeues: int,
        cpus_per_task: int, mem_gb: float | None, gpus: int | None, array_parallelism: int, signal_delay_s: int,
        setup: Sequence[str], sbatch: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.requeues = requeues
        self.settings = {
            "job_name": "lstm_probe", "partition": partition, "account": account, "qos": qos, "time": timeout_min,
            "cpus_per_task": cpus_per_task, "mem": None if mem_gb is None else f"{round(mem_gb * 1024)}M",
            "gpus_per_node": gpus, "array_parallelism": array_parallelism, "signal_delay_s": signal_delay_s,
            "setup": list(setup), "stderr_to_stdout": True,
            # Some clusters queue nothing again that does not ask for it.
            "additional_parameters": {"requeue": True, **sbatch},
        }  # fmt: skip

    @classmethod
    def check(cls) -> None:
        """Raise an InputError where there is no submitit, or no Slurm."""
        super().check()
        if absent := [name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None]:
            raise InputError(f"hydra/launcher={cls.name}: there is no Slurm here (no {', '.join(absent)}); "
                             "type the command on a machine of the cluster.")  # fmt: skip

    def run(self, jobs: Sequence[ClusterJob]) -> list[JobReturn]:
        """Send jobs to Slurm as an array, and wait for it."""
        tasks = self.submit(jobs)
        array = tasks[0].job_id.partition("_")[0]
        log.info("Slurm job %s has %d runs; their logs: %s", array, len(jobs), tasks[0].paths.folder)
        try:
            return self.wait(array, jobs, tasks)
        except KeyboardInterrupt:
            log.warning("Slurm job %s goes on by itself; the same command finds what it makes. To end it: scancel %s",
                        array, array)  # fmt: skip
            raise

    def submit(self, jobs: Sequence[ClusterJob]) -> list[Any]:
        """Return submitit's jobs."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError

        folder = sweep_folder(self.config).absolute() / "slurm"
        executor = SlurmExecutor(folder, max_num_timeout=self.requeues)
        executor.update_parameters(**{key: value for key, value in self.settings.items() if value is not None})
        try:
            with executor.batch():
                return [executor.submit(job) for job in jobs]
        except FailedJobError as error:
            said = [line for line in str(error).splitlines() if line.strip().startswith("sbatch:")]
            raise InputError(f"hydra/launcher={self.name}: not taken by Slurm: {' '.join(said) or error}") from None

    def wait(self, array: str, jobs: Sequence[ClusterJob], tasks: Sequence[Any]) -> list[JobReturn]:
        """Return what became of each job, when all have ended."""
        ended: dict[int, JobReturn] = {}
        lost: dict[int, float] = {}
        states: dict[str, str] = {}
        looked, said = 0.0, ""
        while len(ended) < len(jobs):
            # Listed, since a network disk may deny for long that a file is there.
            there = {path.name for path in tasks[0].paths.folder.iterdir()}
            for k, task in enumerate(tasks):
                if k not in ended and task.paths.result_pickle.name in there:
                    ended[k] = result_of(jobs[k], task)
            if time.monotonic() - looked > LOOK:
                states, looked = look(array) or states, time.monotonic()
            for k, task in enumerate(tasks):
                state = states.get(task.job_id, "UNKNOWN") if states else "PENDING"
                if k in ended or state in GOING:
                    lost.pop(k, None)
                elif time.monotonic() - lost.setdefault(k, time.monotonic()) > PATIENCE:
                    ended[k] = jobs[k].ended(f"Slurm ended it: {state}.{ADVICE.get(state, '')}",
                                             f"Its log is {task.paths.stdout}.")  # fmt: skip
            counts = Counter(states.get(task.job_id, "PENDING") for k, task in enumerate(tasks) if k not in ended)
            now = f"{len(ended)} of {len(jobs)} done"
            now += "".join(f", {n} {state.lower()}" for state, n in sorted(counts.items()) if state in GOING)
            if now != said:
                log.info("Slurm job %s: %s", array, now)
                said = now
            if len(ended) < len(jobs):
                time.sleep(1)
        return [ended[k] for k in range(len(jobs))]


def look(array: str) -> dict[str, str] | None:
    """Return the state of each task of an array that Slurm still knows of; None where it does not answer."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={array}", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:
        log.warning("Slurm does not answer: %s", done.stderr.strip())
        return None
    return dict(line.split() for line in done.stdout.splitlines()) | {"": ""}


def result_of(job: ClusterJob, task: Any) -> JobReturn:
    """Return what a task left behind; of one that failed before or after its run, what became of it."""
    from submitit.core.utils import pickle_load

    what, value = pickle_load(task.paths.result_pickle)
    if what == "success":
        returned: JobReturn = value
        return returned
    reason = value.strip().splitlines()[-1]
    return job.ended(reason, f"Its log is {task.paths.stdout}.")
