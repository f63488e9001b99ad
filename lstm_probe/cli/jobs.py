"""One job: a command with its composed configuration; what became of it, and why."""

import errno
import gc
import json
import logging
import math
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_probe.cli import interrupts
from lstm_probe.cli.validation import validate
from lstm_probe.core.budget import at_most
from lstm_probe.core.console import out, set_up_logging, watched
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import in_one_form
from lstm_probe.core.files import write_whole
from lstm_probe.core.holding import TakenOverError

log = logging.getLogger(__name__)

#: After how many new objects Python looks for garbage among these, and after how many such looks among older ones.
SELDOM = (50_000, 20, 100)

DONE, BAD_INPUT, FAILED = "finished", "bad input", "failed"
EXIT_CODES = {DONE: 0, BAD_INPUT: 2, FAILED: 1}


@dataclass
class JobOutcome:
    """What became of a job.

    Attributes:
        settings: the overrides that make this job of a sweep, such as ["units=4", "seed=0"].
        status: "finished", "bad input" or "failed".
        seconds: how long it took.
        run: the run's folder, where there is one; of a stack, that of its first.
        scores: the run's final score of each target, 0 to 1; of a stack, the lowest of its runs.
        error: one line for each problem.
        found: whether the run was there already, as it is.
        units: of the run's network.

    As a number it is the lowest score, and as a pair that and the units: what Hydra's sweepers search by.
    """

    settings: list[str]
    status: str = DONE
    seconds: float = 0.0
    run: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    error: list[str] = field(default_factory=list)
    found: bool = False
    units: int | None = None

    def __float__(self) -> float:
        """Return the lowest score of any target; a ValueError where there is none."""
        lowest = min(self.scores.values(), default=math.nan)
        if self.status != DONE or math.isnan(lowest):
            raise ValueError(" ".join(self.error) or "it has no score")
        return lowest

    def __iter__(self) -> Iterator[float]:
        """Go through the lowest score and the number of units."""
        yield float(self)
        yield math.nan if self.units is None else float(self.units)


def run_job(command: str, composed: Any, tasks_file: Path | None = None) -> JobOutcome:
    """Run a command with its composed DictConfig. Errors end up in the outcome; Ctrl-C goes through.

    In a sweep the outcome is also written to `job.json` in the job's own folder, whatever process it runs in; so the
    user's own file of tasks, if any, is executed here unless this process has done so.
    """
    warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")  # nothing to act on
    hydra = HydraConfig.get()
    sweep = hydra.mode == RunMode.MULTIRUN
    here = (".BasicLauncher",) if watched() else (".BasicLauncher", ".LocalLauncher")
    side_by_side = sweep and not hydra.launcher._target_.endswith(here)
    with interrupts.as_worker() if side_by_side else nullcontext():
        return _outcome(command, composed, tasks_file, hydra, sweep, side_by_side)


def _outcome(
    command: str, composed: Any, tasks_file: Path | None, hydra: Any, sweep: bool, side_by_side: bool
) -> JobOutcome:
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    settings = [text.lstrip("+") for text in overrides]
    set_up_logging(f"job {hydra.job.num}" if side_by_side else "")
    outcome, started, began = JobOutcome(settings), time.monotonic(), time.time_ns()
    job_folder = Path(os.path.relpath(hydra.runtime.output_dir))
    if sweep and not watched():
        log.info("%s%s", "" if side_by_side else f"job {hydra.job.num}: ", " ".join(settings))
    try:
        if tasks_file is not None:
            from lstm_probe.tasks.own import load_tasks

            load_tasks(tasks_file)
        with _quiet(sweep and command in ("train", "import")):
            made = _call(command, composed)
        if folders := made if isinstance(made, list) else [made] if made is not None else []:
            outcome.run = str(folders[0])
            every = [json.loads((folder / "run.json").read_text()) for folder in folders]
            outcome.scores = {target: min(own["scores"][target] for own in every) for target in every[0]["scores"]}
            outcome.units = every[0].get("units")
            outcome.found = all((folder / "run.json").stat().st_mtime_ns < began for folder in folders)
    except Exception as error:
        interrupts.heed(error)
        outputs = str(composed.get("outputs", "outputs"))
        logs = job_folder if sweep else Path(outputs) / "logs"
        outcome.status, outcome.error = explain(error, logs, outputs)
    outcome.seconds = time.monotonic() - started
    if sweep:
        save_outcome(outcome, job_folder)
    return outcome


def _call(command: str, composed: Any) -> Path | list[Path] | None:
    try:
        config: Any = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:  # such as ${a key} that there is not
        raise InputError(str(error).splitlines()[0]) from None
    with at_most(getattr(config, "max_bytes", None)):
        with for_good():
            problems = validate(config)
            if problems:
                raise InputError(*problems)
            config = in_one_form(config)
            if hasattr(config, "task"):
                from lstm_probe.tasks import complete_task

                config.task = complete_task(config.task)
            name = f"{command}_" if iskeyword(command) else command
            module = import_module(f"lstm_probe.cli.commands.{name}")
        run: Callable[[Any], Path | list[Path] | None] = module.run
        interrupts.heed()
        return run(config)


@contextmanager
def for_good() -> Iterator[None]:
    """Import in this context what stays until the process ends: Python never looks for garbage among what is there by
    then, which takes half a second each time, and seldom later, where little is thrown away that refers to itself."""
    seen = len(sys.modules)
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        if len(sys.modules) > seen:
            gc.freeze()


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Keep a job's own results off the terminal: a sweep ends with a table of all jobs."""
    before, out.quiet = out.quiet, quiet
    try:
        yield
    finally:
        out.quiet = before


def save_outcome(outcome: JobOutcome, folder: Path, job: str = "") -> None:
    """Write a job's outcome into its folder, and log what was wrong; `job` is put before that."""
    path = folder / "job.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(outcome), indent=1))
    except OSError as error:
        log.warning("%s: cannot be written: %s", path, error.strerror)
    for line in outcome.error:
        log.error("%s%s", f"[{job}] " if job else "", line)


def composition_problem(error: Exception) -> list[str]:
    """Return what Hydra or OmegaConf could not compose, in one or two lines."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        there = f"{nearest(name, error.options)} There are {', '.join(error.options)}."
        return [f"{group}={name}: no such choice.{there}"]
    lines = [line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip()]
    return lines[:2]


class PartlyError(Exception):
    """Something could not be done for some of several runs; `problems` are a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


def explain(error: Exception, logs: Path, outputs: str = "") -> tuple[str, list[str]]:
    """Return the status that an error gives a job, and what to tell the user, in one or two lines.

    Args:
        error: what was raised. For a bug or a failed training, its traceback is in a log.
        logs: the folder for the traceback where the command has not already logged it.
        outputs: the folder that the command writes to.
    """
    if isinstance(error, InputError):
        return BAD_INPUT, list(error.problems)
    if isinstance(error, PartlyError):
        return FAILED, error.problems
    if isinstance(error, TakenOverError):
        return FAILED, [str(error)]
    if _disk_is_full(error) or (isinstance(error, OSError) and error.errno is not None):
        return BAD_INPUT, [explain_os_error(error, outputs)]
    path = getattr(error, "log_file", None) or _save_traceback(error, logs)
    first = (str(error).splitlines() or [""])[0]
    return FAILED, [f"{type(error).__name__}: {first}", f"The full traceback is in {path}."]


def _disk_is_full(error: Exception) -> bool:
    # safetensors and PyArrow raise errors of their own; of torch.save only the place in its source is left.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(mark in str(error) for mark in ("No space left on device", "inline_container.cc"))


def explain_os_error(error: Exception, outputs: str = "") -> str:
    """Return what is wrong with a file or folder (`outputs` where the error names none), and what to do."""
    name = getattr(error, "filename", None) or outputs
    where = f"{name}: " if name else ""
    if _disk_is_full(error):
        return f"{where}the disk is full; make room there, or choose another folder by outputs=<folder>."
    reason = getattr(error, "strerror", None) or str(error)
    return f"{where}{reason}; choose another folder, or fix that one."


def _save_traceback(error: Exception, logs: Path) -> Path | str:
    path = logs / f"error-{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.log"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(traceback.format_exception(error)))
    except OSError:
        log.exception("no log can be written, so here is the traceback", exc_info=error)
        return "the lines above"
    return path
