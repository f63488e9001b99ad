"""A run of a network that is trained here: found in the store, or trained, tested and measured."""

import copy
import io
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load

from lstm_probe.core.errors import InputError
from lstm_probe.core.files import configuration_folder, sha256
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.yaml_files import load_yaml_file
from lstm_probe.network.checkpoint import identity_of
from lstm_probe.network.snapshots import packed, updates_to_keep
from lstm_probe.network.stacked import fit_alone
from lstm_probe.network.training import Trainer, evaluate, trainer_of
from lstm_probe.runs.analyses import chosen
from lstm_probe.runs.making import Measuring, find_or_make, finish, network_files, show_remarks
from lstm_probe.runs.measure import Subject, too_many
from lstm_probe.runs.phases import Phases, enough_memory
from lstm_probe.runs.progress import TrainingProgress
from lstm_probe.runs.reached import CHECKPOINT, Reached, listening, remove_checkpoints
from lstm_probe.runs.run import CHECKPOINTS, Run
from lstm_probe.runs.settings import RunSettings
from lstm_probe.runs.store import config_hash, provenance, result_config
from lstm_probe.tasks import Task, get_task
from lstm_probe.tasks.drawn import check_drawn

log = logging.getLogger(__name__)
NETWORK = "network"  # the step that ends with a trained and tested network


def train_run(settings: RunSettings, measuring: Measuring) -> Run:
    """Return the run of these settings, made unless it is there already.

    Args:
        settings: which network, how it is trained and tested, and where the run goes.
        measuring: what is measured on it; what is not there of that is added.

    Raises:
        InputError: the task cannot give as many sequences as are needed.
    """
    resolved = result_config(settings)
    making = partial(make, settings, resolved, measuring)
    return find_or_make(resolved, making, measuring, outputs=settings.outputs, force=settings.force)


def recipe_of(task: str) -> dict[str, Any]:
    """Return the settings that a task of this package is trained with unless others are given; empty for most."""
    path = configuration_folder() / "recipe" / f"{task}.yaml"
    return load_yaml_file(path) if path.is_file() else {}


def check_sequences(task: Task, settings: RunSettings, analyses: Sequence[str]) -> None:
    """Raise an InputError, before anything is trained, if the task cannot give the sequences that are needed.

    Args:
        task: what is learned.
        settings: of the run.
        analyses: the names of those that are to be made now.
    """
    usual = ("probe", "ablate") if analyses else ()  # a run's name is made of these settings, too
    commands = list(dict.fromkeys((*usual, *(one.command for one in chosen(analyses)))))
    wanted = {"test_sequences": settings.test_sequences}
    wanted |= {f"{command}.sequences": getattr(settings, command).sequences for command in commands}
    check_drawn(task)
    task.sample_training(1)  # raises where there is nothing to train on
    if settings.tbptt > 1:
        task.sample_passages(1, settings.tbptt)
    most, folds = task.most, settings.probe.folds
    held = len(task.sample(folds if most is None else min(folds, most))) if "probe" in commands else folds
    if held < folds:
        raise InputError(f"probe.folds={folds}: there are only {held} sequences that are not trained on.")
    if problems := [line for key, n in wanted.items() for line in too_many(key, n, most)]:
        raise InputError(*problems)


def check_told(trainer: Trainer, settings: RunSettings, measuring: Measuring, name: str) -> None:
    """Raise an InputError, before anything is trained, if an analysis was told something of the task that is wrong."""
    for analysis in (one for one in chosen(measuring.names) if one.needs):
        own, model = measuring.settings[analysis.command], copy.deepcopy(trainer.model).cpu().eval()
        Subject(model, trainer.task, analysis.command, own, settings.seed, name).table(analysis)


def make(settings: RunSettings, resolved: dict[str, Any], measuring: Measuring, folder: Path, name: str) -> None:
    """Make all files of a run in a folder."""
    task = get_task(**settings.task)
    check_sequences(task, settings, measuring.names)
    show_remarks(task)
    trainer = trainer_of(settings, task, config=config_hash(resolved))
    model = trainer.model
    check_told(trainer, settings, measuring, name)
    phases = Phases()
    about = {"run": name, "device": settings.device} | _train(trainer, settings, phases, folder, name)
    finish(folder, model, task, phases, about, resolved, measuring)
    remove_checkpoints(folder)


def _train(trainer: Trainer, settings: RunSettings, phases: Phases, folder: Path, name: str) -> dict[str, Any]:
    """Train and test a network and write its files, unless an earlier attempt has; return what run.json says of it."""
    model, task, reached = trainer.model, trainer.task, Reached(folder)
    basis = identity_of({"config": sha256(folder / "config.yaml"), "by": provenance()})
    if (known := reached.get(NETWORK, basis)) is not None:
        log.info("trained before it was interrupted")
        model.load_state_dict(load((folder / "model.safetensors").read_bytes()))
    else:
        with listening() as warned:
            with enough_memory("train"), TrainingProgress(name, task.name, settings.steps) as progress:
                kept = updates_to_keep(settings.checkpoints, settings.steps)
                # A stack of one: who else is in it changes nothing.
                fit = partial(fit_alone, trainer) if settings.stack else trainer.fit
                fit(folder / CHECKPOINT, progress.report, kept)
            own = Phases()
            own.add("train", trainer.seconds)
            model.cpu().eval()
            with own("test", "testing"):
                scores = evaluate(model, task.sample(settings.test_sequences, derive_seed(settings.seed, "test")))
                trainer.add_scores("test", scores)
                history = io.BytesIO()
                trainer.history().to_parquet(history, index=False)
                files = {"history.parquet": history.getvalue(), **network_files(model, task, settings.seed)}
                files |= {CHECKPOINTS: packed(trainer.kept)} if trainer.kept else {}
        known = {"steps_done": trainer.step, "scores": scores, "seconds": own.seconds}
        reached.add(NETWORK, basis, files, known, warned.taken())
    for phase, seconds in known["seconds"].items():
        phases.add(phase, seconds)
    model.cpu().eval()
    return {key: known[key] for key in ("steps_done", "scores")}
