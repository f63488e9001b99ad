"""`hydra/launcher=ray_cluster`: each run of a sweep is a task of a Ray cluster that is there.

A run whose process or machine died is begun again by Ray on another node, and goes on from its checkpoint. When the
leader is interrupted Ray ends its runs, and the same command goes on with them.
"""

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from lstm_probe.cli.cluster import ClusterJob, ClusterLauncher
from lstm_probe.core.errors import InputError

log = logging.getLogger(__name__)

LOG = "job.log"
REACHED = 10.0  # seconds in which the cluster's head has to answer


class RayCluster(ClusterLauncher):
    """Each run of a sweep is a task of a Ray cluster."""

    name, needs, extra = "ray_cluster", "ray", "ray"

    def __init__(
        self, *, address: str, num_cpus: float, num_gpus: float, mem_gb: float | None, retries: int
    ) -> None:  # fmt: skip
        self.address = address
        self.settings = {"num_cpus": num_cpus, "num_gpus": num_gpus, "max_retries": retries}
        if mem_gb is not None:
            self.settings["memory"] = int(mem_gb * 2**30)

    def run(self, jobs: Sequence[ClusterJob]) -> list[JobReturn]:
        """Send jobs to Ray, and wait for them."""
        import ray

        started = not ray.is_initialized()
        host, _, port = self.address.rpartition(":")
        try:
            if host and "://" not in host and port.isdecimal():  # Ray itself would try for minutes
                socket.create_connection((host, int(port)), timeout=REACHED).close()
            ray.init(self.address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0]
            raise InputError(f"hydra.launcher.address={self.address}: no Ray cluster there ({reason})") from None
        try:
            return self.wait(jobs)
        finally:
            if started:
                ray.shutdown()

    def wait(self, jobs: Sequence[ClusterJob]) -> list[JobReturn]:
        """Return what became of each job, when all have ended."""
        import ray

        made: Any = ray.remote  # its annotations take no dictionary
        task = made(**self.settings)(logged)
        numbers = {task.remote(job): k for k, job in enumerate(jobs)}
        ended: dict[int, JobReturn] = {}
        log.info("%d runs on Ray; the log of each: %s", len(jobs), jobs[0].folder.parent / "<job>" / LOG)
        while len(ended) < len(jobs):
            (done, *_), _ = ray.wait([one for one, k in numbers.items() if k not in ended])
            k = numbers[done]
            try:
                ended[k] = ray.get(done)
            except ray.exceptions.RayError as error:
                reason = next(line for line in reversed(str(error).strip().splitlines()) if line.strip())
                ended[k] = jobs[k].ended(f"Ray ended it: {type(error).__name__}: {reason}",
                                         f"Its log is {jobs[k].folder / LOG}.")  # fmt: skip
            log.info("Ray: %d of %d done", len(ended), len(jobs))
        return [ended[k] for k in range(len(jobs))]


def logged(job: ClusterJob) -> Any:
    """Make a run, with its log in the job's folder."""
    path = Path(job.place) / job.folder / LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(f"on {socket.gethostname()}, process {os.getpid()}\n")
    handler, logger = logging.FileHandler(path, encoding="utf-8"), logging.getLogger("lstm_probe")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    try:
        return job()
    finally:
        logger.removeHandler(handler)
        handler.close()
