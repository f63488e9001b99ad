"""What every command that makes a run does: find it, or make its files in a hidden folder; measure; draw."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from safetensors.torch import save
from torch import nn

from lstm_probe.core.console import console
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import ABLATION_COLUMNS
from lstm_probe.runs.measure import measure_ablations, measure_probes, record_examples
from lstm_probe.runs.run import Run, load_run
from lstm_probe.runs.settings import AblateSettings, ProbeSettings
from lstm_probe.runs.store import claim, config_hash, provenance, publish, run_folder
from lstm_probe.tasks import Task
from lstm_probe.tasks.own import task_files

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
LEARNED = 0.5  # a target below this score was not learned, whatever its units show


def find_or_make(
    resolved: Mapping[str, Any], make: Callable[[Path, str], None], *, outputs: str | Path, force: bool = False
) -> Run:
    """Return the run of this configuration, made unless it is there.

    Args:
        resolved: what of the configuration affects results.
        make: makes all files of the run in a folder, given that and the run's name.
        outputs: the folder that holds `runs/`.
        force: make it again though it is there.
    """
    folder = run_folder(Path(outputs), resolved)
    with claim(folder, lambda: log.info("another process is making %s: waiting for it", folder)) as partial:
        if folder.exists() and not force:
            finished = load_run(folder)
            log.info("%s is there already; force=true makes it again", folder)
        else:
            with making(partial, fresh=force):
                (partial / "config.yaml").write_text(yaml.safe_dump(dict(resolved), sort_keys=False))
                make(partial, folder.name)
                publish(partial, folder)
            finished = load_run(folder)
    return finished


class RunLog(logging.FileHandler):
    """A run's log; a line that cannot be written is an error like any other file that cannot."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Let the error through instead of printing it."""
        raise


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Send the package's log to a file too; the traceback of an error that passes through ends up there."""
    handler, logger = RunLog(path, encoding="utf-8"), logging.getLogger("lstm_probe")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        log.debug("failed", exc_info=True)
        error.log_file = str(path)  # type: ignore[attr-defined]
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def making(partial: Path, fresh: bool) -> Iterator[None]:
    """Make a run in its hidden folder, with a log of its own.

    Of a run that was interrupted the folder stays if there is a checkpoint to continue from. Of one that failed it
    stays with the log. Bad input and a full disk leave nothing but what an earlier, interrupted attempt had reached.
    """
    if fresh:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(exist_ok=True)
    earlier = (partial / CHECKPOINT).exists()
    try:
        with run_log(partial / "train.log"):
            yield
    except (InputError, OSError):
        if not earlier:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    except KeyboardInterrupt:
        if not (partial / CHECKPOINT).exists():
            shutil.rmtree(partial, ignore_errors=True)
        raise
    except Exception as error:
        (partial / "run.json").write_text(json.dumps({"status": "failed", "error": str(error)}))
        raise


class Phases:
    """Seconds spent in each phase of a run, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, words: str) -> Iterator[None]:
        started = time.perf_counter()
        with console.status(words):
            yield
        self.seconds[name] = round(time.perf_counter() - started, 3)
        log.debug("%s: %.1f s", name, self.seconds[name])


def show_remarks(task: Task) -> None:
    """Log what a user should know of a task's data."""
    for line in task.remarks:
        warning = line.startswith("warning: ")
        log.log(logging.WARNING if warning else logging.INFO, "%s", line.removeprefix("warning: "))


def write_network(folder: Path, model: nn.Module, task: Task, seed: int) -> None:
    """Write a network's weights, and a few sequences recorded from it."""
    # Written by Python, which says that a disk is full in the way that everything else does.
    (folder / "model.safetensors").write_bytes(save(model.state_dict()))
    (folder / "examples.safetensors").write_bytes(save(record_examples(model, task, seed)))


def finish(
    folder: Path,
    model: nn.Module,
    task: Task,
    phases: Phases,
    about: Mapping[str, Any],
    *,
    resolved: Mapping[str, Any],
    probe: ProbeSettings,
    ablate: AblateSettings,
    threads: int,
    draw: Callable[[Run, Path], object],
) -> None:
    """Probe and ablate a network whose other files are there, write run.json, and draw.

    Args:
        folder: where the files go; `about["run"]` is what the run is called.
        model: on the CPU, in evaluation mode.
        task: what it is measured on.
        phases: those done so far.
        about: what run.json says beside the rest, `run` and `scores` among it; where it has a reason under
            `not_ablated`, nothing is clamped, and the table of ablations stays empty.
        resolved: what of the configuration affects results.
        probe: how units are probed.
        ablate: how they are clamped.
        threads: of the processor.
        draw: writes the run's page into a folder.
    """
    name, scores, seed = about["run"], about["scores"], resolved["seed"]
    with phases("probe", "probing every unit"):
        for table, content in measure_probes(model, task, probe, seed, name).items():
            content.to_parquet(folder / f"{table}.parquet", index=False)
    with phases("ablate", "clamping every unit"):
        ablations = (
            pd.DataFrame(columns=list(ABLATION_COLUMNS))
            if about.get("not_ablated")
            else measure_ablations(model, task, ablate, seed, name)
        )
        ablations.to_parquet(folder / "ablations.parquet", index=False)
    info = {
        "status": "finished", "run": name, "task": task.name, "units": resolved["units"],
        "layers": resolved["layers"], "projection": resolved["projection"], "seed": seed,
        "hash": config_hash(resolved), **provenance(), "threads": threads, **about,
        "learned": {target: score >= LEARNED for target, score in scores.items()},
        "solved": bool(scores) and task.solved(scores), "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": phases.seconds,
    }  # fmt: skip
    if files := task_files(task):
        info["task_files"] = {own: path and str(path) for own, path in files.items()}
    with phases("report", "drawing"):
        draw(Run(folder, info), folder)
    (folder / "run.json").write_text(json.dumps(info, indent=2) + "\n")
