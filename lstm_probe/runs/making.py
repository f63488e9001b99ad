"""What every command that makes a run does: find it, or make its files in a hidden folder; measure; draw."""

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.digests import digests_of, sealed, unsealed
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import check_writable, write_whole
from lstm_probe.core.holding import TakenOverError
from lstm_probe.formats.said import in_header
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.examples import record_examples
from lstm_probe.runs.findings import quick_run
from lstm_probe.runs.measure import cell_in, measure_into
from lstm_probe.runs.phases import Phases
from lstm_probe.runs.plain import to_yaml
from lstm_probe.runs.reached import LOG, Reached, Warned, has_reached, remove_checkpoints
from lstm_probe.runs.run import Run, load_run
from lstm_probe.runs.schema import SCHEMA
from lstm_probe.runs.store import claim, config_hash, provenance, publish, run_folder
from lstm_probe.runs.summary import made_of
from lstm_probe.tasks import Task
from lstm_probe.tasks.own import task_files

log = logging.getLogger(__name__)
LEARNED = 0.5  # a target below this score was not learned, whatever its units show


@dataclass(frozen=True)
class Measuring:
    """What is to be measured on a run, and how.

    Attributes:
        names: of the analyses.
        settings: by command, complete.
        threads: of the processor.
        draw: writes the run's page into a folder; None: there is to be none.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    threads: int
    draw: Callable[[Run, Path], object] | None


def find_or_make(
    resolved: Mapping[str, Any],
    make: Callable[[Path, str], None],
    measuring: Measuring,
    *,
    outputs: str | Path,
    force: bool = False,
    fresh: bool | None = None,
) -> Run:
    """Return the run of this configuration, made unless it is there; what was not measured on it is filled in.

    Args:
        resolved: what of the configuration affects results.
        make: makes all files of the run in a folder, given that and the run's name.
        measuring: what is wanted of a run that is there.
        outputs: the folder that holds `runs/`.
        force: make it again though it is there.
        fresh: without what an attempt before left in its hidden folder; None: where it is made again.
    """
    folder = run_folder(Path(outputs), resolved)
    if folder.exists() and not force and not os.access(folder.parent, os.W_OK):  # a store that can only be read
        finished = load_run(folder)
        missing = [name for name in measuring.names if name not in finished.measured]
        log.info("%s is there already%s", folder, f"; not measured: {', '.join(missing)}" if missing else "")
        return finished
    check_writable(Path(outputs), "outputs")
    try:
        with claim(folder, lambda: log.info("another process is making %s: waiting for it", folder)) as partial:
            if not folder.exists() or force:
                _tell_of_analyses(folder)
                with making(partial, fresh=force if fresh is None else fresh):
                    (partial / "config.yaml").write_text(to_yaml(resolved))
                    make(partial, folder.name)
                    seal(partial)
                    publish(partial, folder)
            else:
                log.info("%s is there already; force=true makes it again", folder)
                _add_missing(load_run(folder), measuring, partial)
            return load_run(folder)
    except TakenOverError as error:
        if not folder.parent.is_dir():  # nobody has taken it: the disk is gone
            raise FileNotFoundError(errno.ENOENT, "is not there any more", str(folder.parent)) from error
        log.warning("%s", error)
        return find_or_make(resolved, make, measuring, outputs=outputs)


def _tell_of_analyses(folder: Path) -> None:
    """Say which analyses, made of a run later with settings of their own, go with it when it is made again."""
    if lost := sorted(path.name for path in folder.glob("analyses/[!.]*")):
        log.warning("%s: made again, without what was analysed of it later: %s", folder, ", ".join(lost))


def add_missing(run: Run, measuring: Measuring) -> Run:
    """Return a finished run with all that is to be measured on it, and its page; what is missing is added.

    Raises:
        InputError: a file of the run is missing or damaged, or its task is not there.
    """
    with claim(run.path, lambda: log.info("another process is making %s: waiting for it", run.path)) as partial:
        _add_missing(load_run(run.path), measuring, partial)
    return load_run(run.path)


def _add_missing(run: Run, measuring: Measuring, partial: Path) -> None:
    missing = [name for name in measuring.names if name not in run.measured]
    if missing:
        log.info("not measured so far, and added now: %s", ", ".join(missing))
    if missing or (run.page_left_out and measuring.draw is not None):
        fill_in(run, missing, measuring, partial)


def fill_in(run: Run, missing: Sequence[str], measuring: Measuring, partial: Path) -> None:
    """Add analyses to a finished run: in a copy of its folder, which then takes its place."""
    phases = Phases(run.info["seconds"])
    with making(partial, fresh=False):
        # What is left of a training that was to take its place is nothing of this run.
        remove_checkpoints(partial)
        reached = Reached(partial)
        reached.forget(reached.names - {*missing})
        copy_run(run, partial)
        not_ablated = bool(run.info.get("not_ablated"))
        checks = measure_into(
            partial, run.model, run.task, missing, measuring.settings, run.config["seed"], run.name, phases, not_ablated
        )
        measured = [name for name in ANALYSES if name in {*run.measured, *missing}]
        about = {key: value for key, value in run.info.items() if key not in ("files", "digest")}
        about |= {"measured": measured, "seconds": phases.seconds} | ({"checks": checks} if checks else {})
        conclude(partial, about, phases, measuring.draw)
        seal(partial)
        publish(partial, run.path, keep=True)  # with the analyses that were made of it, until now


def copy_run(run: Run, folder: Path) -> None:
    """Copy a run's files, each as it was written; a damaged one is an InputError."""
    for name in run.files or (path.name for path in run.path.iterdir() if path.is_file()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(run.read(name, bytes))


def seal(folder: Path) -> None:
    """Put the size and digest of every file of a run that is complete into its run.json, and a digest of itself."""
    info = unsealed((folder / "run.json").read_bytes())
    write_whole(folder / "run.json", sealed({**info, "files": digests_of(folder, "run.json", "analyses")}))


_warned: ContextVar[list[str] | None] = ContextVar("warned", default=None)


class RunLog(logging.FileHandler):
    """A run's log; a line that cannot be written is an error like any other file that cannot."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Let the error through instead of printing it."""
        raise


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Send the package's log to a file too; the traceback of an error that passes through ends up there."""
    handler, logger, warned = RunLog(path, encoding="utf-8"), logging.getLogger("lstm_probe"), Warned()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.addHandler(warned)
    token = _warned.set(warned.lines)
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        log.debug("failed", exc_info=True)
        error.log_file = str(path)  # type: ignore[attr-defined]
        raise
    finally:
        _warned.reset(token)
        logger.removeHandler(warned)
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def making(partial: Path, fresh: bool) -> Iterator[None]:
    """Make a run in its hidden folder, with a log of its own.

    Of a run that was interrupted, or that a full or lost disk has ended, the folder stays if there is anything to go
    on from: a checkpoint, or what has been measured. Of one that failed it stays with the log. Bad input leaves nothing
    but what an earlier, interrupted attempt had reached.
    """
    if fresh:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(exist_ok=True)
    earlier = has_reached(partial)
    try:
        with run_log(partial / LOG):
            Reached(partial).clear_away()
            yield
    except InputError:
        if not earlier:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    except (OSError, KeyboardInterrupt):
        if not has_reached(partial):
            shutil.rmtree(partial, ignore_errors=True)
        raise
    except Exception as error:
        (partial / "run.json").write_text(json.dumps({"status": "failed", "error": str(error)}))
        raise


def show_remarks(task: Task) -> None:
    """Log what a user should know of a task's data."""
    for line in task.remarks:
        warning = line.startswith("warning: ")
        log.log(logging.WARNING if warning else logging.INFO, "%s", line.removeprefix("warning: "))


def network_files(model: nn.Module, task: Task, seed: int) -> dict[str, bytes]:
    """Return the files of a network's weights, and of a few sequences recorded from it."""
    # Written by Python, which says that a disk is full in the way that everything else does.
    examples = save(record_examples(model, task, seed))
    return {"model.safetensors": save(model.state_dict(), in_header(model)), "examples.safetensors": examples}


def write_network(folder: Path, model: nn.Module, task: Task, seed: int) -> None:
    """Write a network's weights, and a few sequences recorded from it."""
    for name, content in network_files(model, task, seed).items():
        (folder / name).write_bytes(content)


def finish(
    folder: Path,
    model: nn.Module,
    task: Task,
    phases: Phases,
    about: Mapping[str, Any],
    resolved: Mapping[str, Any],
    measuring: Measuring,
) -> None:
    """Measure a network whose other files are there, write run.json, and draw.

    Args:
        folder: where the files go; `about["run"]` is what the run is called.
        model: on the CPU, in evaluation mode.
        task: what it is measured on.
        phases: those done so far.
        about: what run.json says beside the rest, `run` and `scores` among it; where it has a reason under
            `not_ablated`, nothing is clamped, and the table of ablations stays empty.
        resolved: what of the configuration affects results.
        measuring: what to measure.
    """
    name, scores, seed = about["run"], about["scores"], resolved["seed"]
    not_ablated = bool(about.get("not_ablated"))
    checks = measure_into(folder, model, task, measuring.names, measuring.settings, seed, name, phases, not_ablated)
    info = {
        "schema": SCHEMA, "status": "finished", "run": name, "task": task.name, "units": resolved["units"],
        "layers": resolved["layers"], "projection": resolved["projection"], "seed": seed,
        "hash": config_hash(resolved), **provenance(), "threads": measuring.threads, **about,
        "learned": {target: score >= LEARNED for target, score in scores.items()},
        "solved": bool(scores) and task.solved(scores), "measured": list(measuring.names),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": phases.seconds,
    }  # fmt: skip
    cell = resolved.get("cell") or cell_in(model).name
    if cell != LSTM.name:
        info["cell"] = cell
    if checks:
        info["checks"] = checks
    if files := task_files(task):
        info["task_files"] = {own: path and str(path) for own, path in files.items()}
    conclude(folder, info, phases, measuring.draw)


def conclude(folder: Path, info: dict[str, Any], phases: Phases, draw: Callable[[Run, Path], object] | None) -> None:
    """Draw a run whose tables are there, and write its run.json; what was warned of stands in it, and its summary."""
    info["warnings"] = list(dict.fromkeys([*info.get("warnings", []), *(_warned.get() or [])]))
    with phases("report", "drawing"):
        run = quick_run(Run(folder, info))
        if draw is not None:
            draw(run, folder)
        summary = made_of(run)
    info = {key: value for key, value in info.items() if key != "page"} | ({"page": False} if draw is None else {})
    whole = {**info, "summary": summary, "seconds": phases.seconds}
    (folder / "run.json").write_text(json.dumps(whole, indent=2) + "\n")
