"""`train`: train one network, then record, probe and ablate it, and draw what was found."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from lstm_probe.cli.config import TrainConfig
from lstm_probe.cli.measuring import measuring_of
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.training import VALIDATION_SEQUENCES, evaluate, trainer_of
from lstm_probe.report import print_findings
from lstm_probe.runs.making import (
    CHECKPOINT,
    Measuring,
    Phases,
    find_or_make,
    finish,
    remove_checkpoints,
    show_remarks,
    write_network,
)
from lstm_probe.runs.progress import TrainingProgress
from lstm_probe.runs.store import config_hash, result_config
from lstm_probe.tasks import Task, get_task


def run(config: TrainConfig) -> Path:
    """Make the run of this configuration, unless it is there already; print what was found; return its folder."""
    torch.set_num_threads(config.threads)
    resolved = result_config(config)
    measuring = measuring_of(config)
    making = partial(make, config, resolved, measuring)
    run = find_or_make(resolved, making, measuring, outputs=config.outputs, force=config.force)
    print_findings(run)
    return run.path


def check_sequences(task: Task, config: TrainConfig) -> None:
    """Raise an InputError, before anything is trained, if the task cannot give as many sequences as are needed."""
    wanted = {
        "test_sequences": config.test_sequences,
        "probe.sequences": config.probe.sequences,
        "ablate.sequences": config.ablate.sequences,
        "sequences of the validation": VALIDATION_SEQUENCES,
    }
    task.sample_training(1)  # raises where there is nothing to train on
    if config.tbptt > 1:
        task.sample_passages(1, config.tbptt)
    folds, held = config.probe.folds, len(task.sample(config.probe.folds))
    if held < folds:
        raise InputError(f"probe.folds={folds}: there are only {held} sequences that are not trained on.")
    most = task.most
    if most is not None:
        problems = [
            f"{key}={n}: there are only {most} different sequences that are not trained on."
            for key, n in wanted.items()
            if n > most
        ]
        if problems:
            raise InputError(*problems)


def make(config: TrainConfig, resolved: dict[str, Any], measuring: Measuring, folder: Path, name: str) -> None:
    """Make all files of a run in a folder."""
    task = get_task(**config.task)
    check_sequences(task, config)
    show_remarks(task)
    trainer = trainer_of(config, task, config=config_hash(resolved))
    model = trainer.model
    with TrainingProgress(name, task.name, config.steps) as progress:
        trainer.fit(folder / CHECKPOINT, progress.report)
    model.cpu().eval()
    phases = Phases()
    phases.seconds["train"] = round(trainer.seconds, 3)
    with phases("test", "testing"):
        scores = evaluate(model, task.sample(config.test_sequences, derive_seed(config.seed, "test")))
        trainer.add_scores("test", scores)
        trainer.history().to_parquet(folder / "history.parquet", index=False)
        write_network(folder, model, task, config.seed)
    about = {"run": name, "device": config.device, "steps_done": trainer.step, "scores": scores}
    finish(folder, model, task, phases, about, resolved, measuring)
    remove_checkpoints(folder)
