"""Sweeps on a cluster: what is sent to its nodes, and what the sweep's leader makes of what comes back."""

import logging
import os
import signal
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import open_dict

from lstm_probe.cli.jobs import FAILED, JobOutcome, save_outcome
from lstm_probe.cli.local_worker import job_folder
from lstm_probe.core.errors import InputError

log = logging.getLogger(__name__)


@dataclass
class ClusterJob:
    """One run of a sweep, as it is sent to another machine; call it to make the run.

    Attributes:
        number: of the job in the sweep.
        overrides: the sweep's own and those that make this job.
        place: the folder in which the sweep was started, which that machine sees too.
        context: Hydra's.
        function: what a job is.
        config: of the sweep.
        store: what Hydra knows of schemas, and of tasks of the user's own.
    """

    number: int
    overrides: list[str]
    place: Path
    context: HydraContext
    function: Callable[[Any], Any]
    config: Any
    store: ConfigStore

    def __call__(self) -> JobReturn:
        """Make the run, in whatever process this is."""
        os.chdir(self.place)
        setup_globals()
        ConfigStore.instance().repo = self.store.repo
        composed = self.context.config_loader.load_sweep_config(self.config, self.overrides)
        with open_dict(composed):
            composed.hydra.job.id, composed.hydra.job.num = str(self.number), self.number
        return run_job(
            hydra_context=self.context, task_function=self.function, config=composed,
            job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir",
        )  # fmt: skip

    def checkpoint(self) -> Any:
        """Return what is queued again when the cluster takes the node away: the same, since a run goes on by itself."""
        from submitit.helpers import DelayedSubmission

        # The signal may come a second time, by way of srun: a task that is being queued again can't be so once more.
        # And what ends this process then must not end the program before that asks for it: it inherits what is ignored.
        for kind in (signal.SIGUSR2, signal.SIGTERM):
            signal.signal(kind, signal.SIG_IGN)
        return DelayedSubmission(self)

    def ended(self, *error: str) -> JobReturn:
        """Return what became of a job that did not say so itself, and write it where it would have.

        Args:
            error: why, one line for each thing to know.
        """
        own = list(filter_overrides(self.overrides))
        outcome = JobOutcome([text.lstrip("+") for text in own], FAILED, error=list(error))
        save_outcome(outcome, self.folder, f"job {self.number}")
        returned = JobReturn(overrides=own, status=JobStatus.COMPLETED)
        returned.return_value = outcome
        return returned

    @property
    def folder(self) -> Path:
        """The job's own folder, in that of the sweep."""
        return job_folder(self.config, self.number)


def sweep_folder(config: Any) -> Path:
    """Return the folder of a sweep."""
    return Path(str(config.hydra.sweep.dir))


class ClusterLauncher(Launcher):
    """A launcher whose jobs run on other machines; its settings are those of its preset in conf/hydra/launcher/.

    Attributes:
        name: of the preset.
        needs: the package, which is not of the core.
        extra: that brings it.
    """

    name: str
    needs: str
    extra: str
    config: Any
    context: HydraContext
    function: Callable[[Any], Any]

    def setup(self, *, hydra_context: HydraContext, task_function: Callable[[Any], Any], config: Any) -> None:
        """Take what Hydra gives."""
        self.config, self.context, self.function = config, hydra_context, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Make all runs of a sweep; return what became of each, in their order."""
        setup_globals()
        sweep_folder(self.config).mkdir(parents=True, exist_ok=True)
        jobs = [
            ClusterJob(
                number, list(overrides), Path.cwd(), self.context, self.function, self.config, ConfigStore.instance()
            )
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        return self.run(jobs)

    @classmethod
    def check(cls) -> None:
        """Raise an InputError, before anything is written, where this machine lacks what it needs."""
        if find_spec(cls.needs) is None:
            raise InputError(f"hydra/launcher={cls.name}: needs {cls.needs}; pip install 'lstm-probe[{cls.extra}]'.")

    @abstractmethod
    def run(self, jobs: Sequence[ClusterJob]) -> list[JobReturn]:
        """Send jobs to the cluster, and return what became of each when all have ended.

        Raises:
            InputError: there is no cluster, or it does not take them.
        """


def register(launcher: type[ClusterLauncher]) -> None:
    """Make a launcher known to Hydra, which takes only those whose names begin as if they were its plugins."""
    Plugins.instance().register(launcher)
    Plugins.instance().class_name_to_class[f"hydra_plugins.lstm_probe.{launcher.__name__}"] = launcher
