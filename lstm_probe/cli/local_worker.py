"""A worker process of the local launcher: it does one job after the other, and says all that it has to say by a pipe.

Messages to the worker are `(number, overrides)` of a job, or None: no more. Messages from it are `("doing", Doing)`,
`("out", text)` and `("err", text)` of whole lines for the terminal, and `("done", JobOutcome)`.
"""

import gc
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import filter_overrides, run_job, setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import open_dict
from omegaconf.errors import OmegaConfBaseException

from lstm_probe.cli import interrupts
from lstm_probe.cli.jobs import BAD_INPUT, JobOutcome, composition_problem, explain, for_good, save_outcome
from lstm_probe.core.console import Doing, set_up_logging, watch

if TYPE_CHECKING:
    Pipe = Connection[Any, Any]
else:
    Pipe = Connection

#: Seconds between two messages on the steps of one thing.
BETWEEN = 0.1


@dataclass(frozen=True)
class Sweep:
    """What all jobs of a sweep have in common; it goes to each worker once.

    Attributes:
        task_function: does a job.
        hydra_context: composes a job's configuration.
        config: of the sweep.
        store: what Hydra knows of schemas, and of tasks of the user's own.
    """

    task_function: Callable[[Any], Any]
    hydra_context: HydraContext
    config: Any
    store: ConfigStore


class Speaker:
    """Sends messages to the leader; where it is gone, to nobody."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe, self._lock = pipe, threading.RLock()
        self._last, self._at = "", 0.0

    def send(self, kind: str, content: Any) -> None:
        """Send a message."""
        # A leader that is gone is no fault of the job, which is to end as one that was interrupted.
        with self._lock, suppress(OSError):
            self._pipe.send((kind, content))

    def doing(self, doing: Doing) -> None:
        """Say what is being done, not too often."""
        now = time.monotonic()
        if doing.words != self._last or now - self._at > BETWEEN:
            self._last, self._at = doing.words, now
            self.send("doing", doing)


class Lines(io.TextIOBase):
    """A stream whose lines go to the leader, each when it is whole."""

    def __init__(self, speaker: Speaker, kind: str) -> None:
        self._speaker, self._kind, self._begun = speaker, kind, ""

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Send the lines that are whole now."""
        whole, end, rest = (self._begun + text).rpartition("\n")
        self._begun = rest
        if end:
            self._speaker.send(self._kind, whole)
        return len(text)


def work(pipe: Pipe, sweep: Sweep) -> None:
    """Do the jobs that come, until there are no more, the leader is gone, or this process is interrupted."""
    speaker = Speaker(pipe)
    sys.stdout, sys.stderr = Lines(speaker, "out"), Lines(speaker, "err")
    with interrupts.as_worker():
        watch(speaker.doing)
        setup_globals()
        ConfigStore.instance().repo = sweep.store.repo
        with for_good():
            import torch  # noqa: F401  once, while the leader goes on

        first = True
        with suppress(EOFError, OSError):
            while (job := pipe.recv()) is not None:
                speaker.send("done", _do(sweep, *job))
                if first:  # what it has imported and set up stays, too
                    gc.collect()
                    gc.freeze()
                first = False
    # Nothing is left to do: what libraries do at the end of Python only takes time.
    os._exit(0)


def _do(sweep: Sweep, number: int, overrides: Sequence[str]) -> JobOutcome:
    """Compose a job and run it; what is wrong with its composition is its own outcome."""
    started = time.monotonic()
    folder = job_folder(sweep.config, number)
    try:
        composed = compose(sweep, number, overrides)
        done: JobOutcome = run_job(
            hydra_context=sweep.hydra_context, task_function=sweep.task_function, config=composed,
            job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir",
        ).return_value  # fmt: skip
        return done
    except Exception as error:
        interrupts.heed(error)
        set_up_logging(f"job {number}")
        outcome = JobOutcome(own_settings(overrides), seconds=time.monotonic() - started)
        if isinstance(error, HydraException | OmegaConfBaseException):
            outcome.status, outcome.error = BAD_INPUT, composition_problem(error)
        else:
            outcome.status, outcome.error = explain(error, folder)
        save_outcome(outcome, folder)
        return outcome


def own_settings(overrides: Sequence[str]) -> list[str]:
    """Return what of a job's overrides is not Hydra's."""
    return [text.lstrip("+") for text in filter_overrides(overrides)]


def compose(sweep: Sweep, number: int, overrides: Sequence[str]) -> Any:
    """Return the configuration of a job of a sweep."""
    composed = sweep.hydra_context.config_loader.load_sweep_config(sweep.config, list(overrides))
    with open_dict(composed):
        composed.hydra.job.id = f"{composed.hydra.job.name}_{number}"
        composed.hydra.job.num = number
    HydraConfig.instance().set_config(composed)
    return composed


def job_folder(config: Any, number: int) -> Path:
    """Return the folder in which the outcome of a job stands that could not say so itself."""
    return Path(str(config.hydra.sweep.dir)) / str(number)
