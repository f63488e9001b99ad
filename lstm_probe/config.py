"""Typed configuration of every command: the only place of its defaults and legal ranges.

Nothing here imports anything heavy, so that `--help` and error messages come at once.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from lstm_probe.errors import InputError
from lstm_probe.fields import REQUIRED, declare, problem
from lstm_probe.reproduce import KEYS
from lstm_probe.vocabulary import VARIABLES

EXAMPLE_RUN = "outputs/runs/tracking/u32-s0-1a2b3c4d"
LARGEST_SEED = 2**32 - 1
MODES = ("mean", "zero")
CHANCES = ("shuffle", "circular")
CLASSES = ("ridge", "logistic")


def _units() -> Any:
    return declare(32, "units of each layer: how many memories c[t] holds (num_units)", 1, 4096)


def _layers() -> Any:
    return declare(1, "layers on top of each other", 1, 16)


def _projection() -> Any:
    return declare(0, "length of h[t] where it is to be shorter than c[t]; below units; 0: none", 0, 4095)


def _device() -> Any:
    return declare("cpu", "where to compute: cpu, cuda, cuda:1, mps", example="cpu")


def _threads() -> Any:
    return declare(1, "processor threads; one is fastest for networks of this size", 1, 1024)


def _outputs() -> Any:
    return declare("outputs", "folder of runs and reports", example="outputs")


@dataclass
class ProbeSettings:
    """Which unit tracks which signal."""

    sequences: int = declare(512, "sequences to record and probe", 20, 1_000_000)
    variables: list[str] = declare(  # noqa: RUF009  a list is copied for every object
        list(VARIABLES), "variables of the units to probe", choices=VARIABLES
    )
    lags: list[int] = declare(  # noqa: RUF009
        [0], "how many steps back the signals are taken", 0, 100_000
    )
    folds: int = declare(5, "parts of the held-out split, by sequence", 2, 10)
    chance: str = declare(
        "shuffle", "what chance is: whole sequences exchanged, or signals rolled in time (for few, long ones)",
        choices=CHANCES,
    )  # fmt: skip
    permutations: int = declare(1000, "shuffles of the null", 19, 1_000_000)
    bootstrap: int = declare(1000, "resamples of sequences for intervals", 10, 1_000_000)
    untrained: int = declare(5, "untrained networks of the baseline", 1, 1000)
    window: int = declare(3, "steps before the present one that the baseline of recent inputs sees", 0, 1000)
    classes: str = declare("ridge", "how all units together tell classes: ridge is many times faster", choices=CLASSES)
    rotations: int = declare(200, "random bases that the units' own is compared with", 19, 1_000_000)
    alpha: float = declare(0.05, "level of the family-wise test that decides `tracks`", 0.0001, 0.5)
    margin: float = declare(0.05, "how far above every baseline the effect must lie", 0.0, 1.0)
    min_effect: float = declare(0.25, "smallest effect that counts as tracking", 0.0, 1.0)


@dataclass
class AblateSettings:
    """Which unit the network uses."""

    sequences: int = declare(256, "sequences to run with clamped units", 16, 1_000_000)
    variable: str = declare("c", "variable to clamp", choices=VARIABLES)
    mode: str = declare("mean", "clamp to the unit's mean or to zero", choices=MODES)
    bootstrap: int = declare(1000, "resamples of sequences for intervals", 10, 1_000_000)
    min_drop: float = declare(0.01, "smallest drop that counts as used, as a share of the target's score", 0.0, 1.0)


@dataclass
class TrainConfig:
    """Train one network, then record, probe and ablate it."""

    task: dict[str, Any] = field(
        default_factory=lambda: {"name": "tracking"},
        metadata={"help": "what to learn, and task.<parameter>: see `tasks name=<task>`"},
    )
    units: int = _units()
    layers: int = _layers()
    projection: int = _projection()
    forget_bias: float = declare(0.0, "added to the forget gates' biases at the start; Keras and TensorFlow add 1",
                                 -100.0, 100.0)  # fmt: skip
    seed: int = declare(0, "weights and data follow from it", 0, LARGEST_SEED)
    steps: int = declare(3000, "updates at most", 1, 100_000_000)
    batch: int = declare(64, "sequences in an update", 1, 100_000)
    carry: int = declare(1, "batches in a row that are one running text, the state carried on; 1: none", 1, 100)
    lr: float = declare(0.03, "highest learning rate of the one-cycle schedule", 1e-7, 10.0)
    clip: float = declare(1.0, "the gradient's norm is clipped to this", 1e-6, 1e6)
    evaluate_every: int = declare(100, "updates between evaluations", 1, 100_000_000)
    stop_when_solved: bool = declare(True, "stop early when every target is solved")
    test_sequences: int = declare(512, "sequences of the final test", 16, 1_000_000)
    device: str = _device()
    threads: int = _threads()
    outputs: str = _outputs()
    force: bool = declare(False, "train again though the run is there")
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    ablate: AblateSettings = field(default_factory=AblateSettings)


@dataclass
class ImportConfig:
    """Make a run from weights made elsewhere: record, probe and ablate them on a task or on your own table."""

    path: str = declare(REQUIRED, "file of weights: Keras, ONNX, PyTorch, safetensors, TensorFlow 1",
                        example="model.keras")  # fmt: skip
    layer: str | None = declare(None, "which LSTM of the file, where there are several; lower+upper takes both",
                                example="lstm_1")  # fmt: skip
    forget_bias: float | None = declare(
        None, "what a TensorFlow 1 cell adds to its forget gate at run time", -100.0, 100.0
    )
    task: dict[str, Any] | None = field(
        default=None,
        metadata={"help": "what to measure it on, such as table with task.path=<data.csv>; null: weights alone"},
    )
    name: str | None = declare(None, "put before the run's name, to tell imported networks apart", example="mine")
    seed: int = declare(0, "sequences, shuffles and resamples follow from it", 0, LARGEST_SEED)
    test_sequences: int = declare(512, "sequences of the test", 16, 1_000_000)
    threads: int = _threads()
    outputs: str = _outputs()
    force: bool = declare(False, "make the run again though it is there")
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    ablate: AblateSettings = field(default_factory=AblateSettings)


@dataclass
class ProbeConfig:
    """Probe a finished run again, with other settings."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "sequences, shuffles and resamples follow from it; null: as in the run",
                               0, LARGEST_SEED)  # fmt: skip
    card: str | None = declare(None, "print this unit's card, and draw its tuning and memory; layer.unit where there "
                               "are layers", example="3")  # fmt: skip
    threads: int = _threads()
    probe: ProbeSettings = field(default_factory=ProbeSettings)


@dataclass
class AblateConfig:
    """Ablate a finished run again, with other settings."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "sequences and resamples follow from it; null: as in the run", 0, LARGEST_SEED)
    threads: int = _threads()
    ablate: AblateSettings = field(default_factory=AblateSettings)


@dataclass
class ReportConfig:
    """Put all runs found into one page and figure files."""

    runs: str | None = declare(None, "which runs: a pattern of folders; null: all of them",
                               example="'outputs/runs/tracking/u8-*'")  # fmt: skip
    outputs: str = _outputs()


@dataclass
class ReproduceConfig:
    """Measure published results again, and set them side by side with ours."""

    name: str | None = declare(None, "one result; null: list them all", choices=KEYS, example="dyck1")
    all: bool = declare(False, "measure every result, and make a page of them")
    seeds: int = declare(3, "networks of each result: seeds 0, 1, ...", 1, 1000)
    threads: int = _threads()
    outputs: str = _outputs()
    force: bool = declare(False, "measure again what is there")


@dataclass
class RunsConfig:
    """List what is in the run store."""

    runs: str | None = declare(None, "which runs: a pattern of folders; null: all of them",
                               example="'outputs/runs/tracking/u8-*'")  # fmt: skip
    outputs: str = _outputs()


@dataclass
class TasksConfig:
    """Show the task catalogue, or one task with an example."""

    name: str | None = declare(None, "one task to show; null: all of them", example="dyck1")
    seed: int = declare(0, "the example follows from it", 0, LARGEST_SEED)
    outputs: str = _outputs()


@dataclass
class DescribeConfig:
    """Show the anatomy of an LSTM: shapes, parameters, who feeds whom."""

    units: int = _units()
    inputs: int = declare(8, "features of an input x[t]", 1, 1_000_000)
    layers: int = _layers()
    projection: int = _projection()
    unit: int = declare(0, "the unit to follow, counted from 0", 0, 4095)
    outputs: str = _outputs()


#: The schema of every command, in the order of `--help`.
SCHEMAS: dict[str, type] = {
    "describe": DescribeConfig,
    "tasks": TasksConfig,
    "train": TrainConfig,
    "probe": ProbeConfig,
    "ablate": AblateConfig,
    "import": ImportConfig,
    "report": ReportConfig,
    "reproduce": ReproduceConfig,
    "runs": RunsConfig,
}

#: Keys that change no result: where and how a run is computed, and where it goes.
INDIFFERENT = ("device", "threads", "outputs", "force")


def configuration_folder() -> Path:
    """Return the folder of the configuration: in the installed package, else beside it in the repository."""
    inside = Path(__file__).resolve().parent / "conf"
    return inside if inside.is_dir() else inside.parent.parent / "conf"


def keys_of(schema: Any, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """Go through all keys of a schema, dotted, with their fields."""
    for f in fields(schema):
        if is_dataclass(f.type):
            yield from keys_of(f.type, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, f


def get_key(config: Any, key: str) -> Any:
    """Return the value of a dotted key."""
    for name in key.split("."):
        config = getattr(config, name)
    return config


def set_key(config: Any, key: str, value: Any) -> None:
    """Set a dotted key."""
    *parents, name = key.split(".")
    setattr(get_key(config, ".".join(parents)) if parents else config, name, value)


def validate(config: Any) -> list[str]:
    """Return every problem of a configuration, one line each, in the order of its keys."""
    problems: list[str] = []
    for key, f in keys_of(type(config)):
        if key == "task":
            problems += [] if config.task is None else task_problems(config.task)
        elif line := problem(key, f, get_key(config, key)):
            problems.append(line)
    return problems + ([] if problems else combined_problems(config))


def task_problems(task: dict[str, Any]) -> list[str]:
    """Return every problem of a task's name and parameters, one line each."""
    from lstm_probe.tasks import get_task

    parameters = {key: value for key, value in task.items() if key != "name"}
    try:
        get_task(str(task.get("name")), **parameters)
    except InputError as error:
        return list(error.problems)
    return []


#: The keys whose values must fit each other.
COMBINED = ("units", "unit", "name", "projection", "all", "probe.permutations", "probe.alpha", "device")


def combined_problems(config: Any) -> list[str]:
    """Return what is wrong with keys that are legal one by one."""
    problems = []
    if getattr(config, "projection", 0) >= getattr(config, "units", 1):
        problems.append(f"projection={config.projection}: must be below units={config.units}; 0 means no projection.")
    if getattr(config, "unit", 0) >= getattr(config, "units", 1):
        problems.append(f"unit={config.unit}: must be below units={config.units}; units count from 0.")
    if getattr(config, "all", False) and config.name is not None:
        problems.append(f"name={config.name}: all=true measures every result; leave one of the two out.")
    settings = getattr(config, "probe", None)
    if settings is not None and (settings.permutations + 1) * settings.alpha < 1:
        needed = math.ceil(1 / settings.alpha) - 1
        problems.append(
            f"probe.permutations={settings.permutations}: with probe.alpha={settings.alpha:g} "
            f"nothing could be significant; at least {needed} are needed."
        )
    name = getattr(config, "name", None)
    if isinstance(config, ImportConfig) and name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        problems.append(f"name={name}: must be letters, digits, and . _ - behind the first.")
    device = getattr(config, "device", "cpu")
    if device != "cpu":
        problems += _device_problems(device)
    return problems


def _device_problems(device: str) -> list[str]:
    import torch

    match = re.fullmatch(r"(cuda|mps)(?::(\d+))?", device)
    if not match:
        return [f"device={device}: must be cpu, cuda, cuda:<number> or mps."]
    kind, index = match[1], int(match[2] or 0)
    devices = int(torch.backends.mps.is_available()) if kind == "mps" else torch.cuda.device_count()
    there = index < devices
    return [] if there else [f"device={device}: there is no such device here; device=cpu always works."]


def complete_task(task: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a task's name and all its parameters, those not given at their defaults; None for no task."""
    if task is None:
        return None
    from lstm_probe.tasks import get_task

    made: Any = get_task(**task)  # every task is a dataclass
    return {"name": task["name"], **asdict(made)}


def result_config(config: Any) -> dict[str, Any]:
    """Return what of a configuration affects results, as plain data: all but the keys of `INDIFFERENT`."""
    resolved = {key: value for key, value in asdict(config).items() if key not in INDIFFERENT}
    if "task" in resolved:
        resolved["task"] = complete_task(resolved["task"])
    return resolved
