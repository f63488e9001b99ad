"""The networks of the published results: trained as `train experiment=<key>` trains them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
import yaml

from lstm_probe.core.files import configuration_folder
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.settings import Experiment
from lstm_probe.network.training import trainer_of
from lstm_probe.probing import probe_units
from lstm_probe.recorder import record
from lstm_probe.runs.settings import COMMANDS, AblateSettings, DynamicsSettings, ProbeSettings, RunSettings
from lstm_probe.tasks import Task, get_task


@dataclass(frozen=True)
class Trained:
    """A trained network, its task, and how many updates it took."""

    model: SequenceModel
    task: Task
    steps: int


def settings(key: str) -> Experiment:
    """Return the configuration of a result's networks, from conf/experiment/<key>.yaml; a sweep's is left out."""
    content = _load("experiment", key)
    task = next(entry["override /task"] for entry in content.pop("defaults"))
    content.pop("hydra", None)
    for command in COMMANDS:  # how its units are measured
        content.pop(command, None)
    own = content.pop("task", {})
    return Experiment(task={**_load("task", task), **own}, **{**_load("recipe", task), **content})


def run_settings(key: str, outputs: Path, threads: int) -> RunSettings:
    """Return the settings of the runs that `train experiment=<key>` makes, of each size and seed.

    Args:
        key: of the experiment.
        outputs: the folder that holds `runs/`.
        threads: of the processor.
    """
    own, content = settings(key), _load("experiment", key)
    given: dict[str, Any] = {f.name: getattr(own, f.name) for f in fields(Experiment)}
    measured = {"probe": ProbeSettings, "ablate": AblateSettings, "dynamics": DynamicsSettings}
    given |= {command: made(**content.get(command, {})) for command, made in measured.items()}
    return RunSettings(**given, outputs=str(outputs), threads=threads)


def _load(group: str, name: str) -> dict[str, Any]:
    """Return what a file of the configuration says; nothing where there is none, as of a task without a recipe."""
    path = configuration_folder() / group / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def train(config: Experiment) -> Trained:
    """Train the network of this configuration: the same as `train`, without measuring anything on it."""
    task = get_task(**config.task)
    trainer = trainer_of(config, task)
    with torch.enable_grad():  # whatever is measured around it
        trainer.fit()
    return Trained(trainer.model.eval(), task, trainer.step)


def trained(key: str, seed: int, **changes: Any) -> Trained:
    """Return a result's network of this seed, with some settings changed."""
    return train(replace(settings(key), seed=seed, **changes))


def other_lengths(task: Task, n: int, seed: int, **parameters: Any) -> Batch:
    """Return test sequences of the same task with other parameters, such as lengths."""
    other = replace(task, **parameters)  # type: ignore[type-var]  # every task is a dataclass
    return other.sample(n, derive_seed(seed, "reproduce"))


@torch.no_grad()
def best_units(
    model: SequenceModel, batch: Batch, signals: tuple[str, ...], seed: int
) -> Mapping[tuple[str, str], float]:
    """Return, for each variable (c and h) and signal, the held-out score of the unit that predicts it best."""
    rec = record(model.lstm, batch.inputs, lengths=batch.lengths, variables=["c", "h"])
    wanted = {name: batch.signals[name] for name in signals}
    table = probe_units(rec, wanted, permutations=99, bootstrap=10, untrained=1, seed=seed)
    scores = table.groupby(["variable", "signal"])["score"].max().to_dict()
    return cast(dict[tuple[str, str], float], scores)
