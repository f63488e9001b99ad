"""Typed configuration of every command: the only place of its defaults and legal ranges.

Nothing here imports anything heavy, so that `--help` and error messages come at once.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import REQUIRED, declare, problem
from lstm_probe.core.looks import FORMATS, STYLES, look_of
from lstm_probe.core.vocabulary import EXPORTED, INITS, ending_problem
from lstm_probe.network.settings import (
    LARGEST_SEED,
    layers_field,
    projection_field,
    units_field,
)
from lstm_probe.reproduce import KEYS
from lstm_probe.runs.settings import (
    AblateSettings,
    DynamicsSettings,
    ProbeSettings,
    RunSettings,
    max_bytes_field,
    measure_field,
    not_given,
    outputs_field,
    threads_field,
)
from lstm_probe.sizing.settings import SizeSettings
from lstm_probe.sizing.settings import combined_problems as size_problems

EXAMPLE_RUN = "outputs/runs/tracking/u32-s0-1a2b3c4d"


@dataclass
class TrainConfig(RunSettings):
    """Train one network, then record, probe and ablate it."""


@dataclass
class SizeConfig(SizeSettings):
    """Find how many units a task needs: the smallest size that half of the trainings solve, with an interval."""


@dataclass
class ImportConfig:
    """Make a run from weights made elsewhere: record, probe and ablate them on a task or on your own table."""

    path: str = declare(REQUIRED, "file of weights: Keras, ONNX, PyTorch, safetensors, TensorFlow 1",
                        example="model.keras")  # fmt: skip
    layer: str | None = declare(None, "which LSTM of the file, if there are several; lower+upper takes both",
                                example="lstm_1")  # fmt: skip
    readout: str | None = declare(None, "which linear layer reads the LSTM, if the file does not prove it",
                                  example="dense")  # fmt: skip
    forget_bias: float | None = declare(
        None, "what a TensorFlow 1 cell adds to its forget gate at run time", -100.0, 100.0
    )
    init: str | None = declare(None, "how the network began, if the file does not say: untrained ones for comparison "
                               "begin the same way", choices=INITS)  # fmt: skip
    recurrent_activation: str | None = declare(
        None, "the gates' function, where Keras weights do not say theirs", choices=("sigmoid",)
    )
    task: dict[str, Any] | None = field(
        default=None,
        metadata={"help": "what to measure it on, such as table with task.path=<data.csv>; null: convert only"},
    )
    name: str | None = declare(None, "put before the run's name, to distinguish imported networks", example="mine")
    seed: int = declare(0, "seed of the sequences, shuffles and resamples", 0, LARGEST_SEED)
    test_sequences: int = declare(512, "sequences of the test", 16, 1_000_000)
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    outputs: str = outputs_field()
    force: bool = declare(False, "make the run again even if it exists")
    measure: str = measure_field()
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    ablate: AblateSettings = field(default_factory=AblateSettings)
    dynamics: DynamicsSettings = field(default_factory=DynamicsSettings)


@dataclass
class ProbeConfig:
    """Probe a finished run again, with other settings."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "seed of the sequences, shuffles and resamples; null: as in the run",
                               0, LARGEST_SEED)  # fmt: skip
    card: str | None = declare(None, "print this unit's card, and draw its tuning and memory; layer.unit where there "
                               "are layers", example="3")  # fmt: skip
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    probe: ProbeSettings = field(default_factory=ProbeSettings)


@dataclass
class AblateConfig:
    """Ablate a finished run again, with other settings."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "seed of the sequences and resamples; null: as in the run", 0, LARGEST_SEED)
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    ablate: AblateSettings = field(default_factory=AblateSettings)


@dataclass
class DynamicsConfig:
    """Follow the memories of a finished run: how they are written, held and read."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "seed of the sequences and resamples; null: as in the run", 0, LARGEST_SEED)
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    dynamics: DynamicsSettings = field(default_factory=DynamicsSettings)


@dataclass
class ShrinkConfig:
    """Make a run with fewer units out of a finished one: cut exactly, merged, and on demand trained a little."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    keep: float = declare(0.99, "share of each target's score that is to be kept", 0.01, 0.9999)
    units: int | None = declare(None, "the size that is wanted, whatever it keeps; null: the smallest that keeps keep",
                                1, 4096)  # fmt: skip
    tune: int = declare(0, "updates that may be done to make it smaller, on what the run was trained on",
                        0, 1_000_000)  # fmt: skip
    format: str | None = declare(None, "write a file too, into OUTPUTS/exports, as `export` does; null: none",
                                 choices=tuple(EXPORTED), example="onnx")  # fmt: skip
    sequences: int = declare(1024, "sequences that choose; others check", 16, 1_000_000)
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    outputs: str = outputs_field()
    force: bool = declare(False, "make the run again even if it exists")
    measure: str = measure_field()


@dataclass
class ExportConfig:
    """Write a run's network as a file that PyTorch, Keras or onnxruntime run without lstm_probe."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    format: str | None = declare(None, "what the file is for; null: by the ending of path", choices=tuple(EXPORTED),
                                 example="onnx")  # fmt: skip
    path: str | None = declare(None, f"file to write, which ends in {' '.join(EXPORTED.values())}; null: in OUTPUTS/"
                               "exports, by the run's name", example="model.onnx")  # fmt: skip
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    outputs: str = outputs_field()


@dataclass
class ReportConfig:
    """Put all runs found into one page and figure files."""

    runs: str | None = declare(None, "which runs: a pattern of folders; null: all of them",
                               example="'outputs/runs/tracking/u8-*'")  # fmt: skip
    outputs: str = outputs_field()


@dataclass
class FiguresConfig:
    """Draw a run's figures for a paper, a talk or a notebook, at the width at which they are printed."""

    run: str = declare(REQUIRED, "folder of the run", example=EXAMPLE_RUN)
    style: str = declare("paper", "what they are for: paper has letters of 6 to 8 points", choices=tuple(STYLES))
    width: str = declare("page", "of each figure: column (3.5 inches), page (7.2 inches), or inches")
    formats: list[str] = declare(list(FORMATS), "kinds of files", choices=FORMATS)  # noqa: RUF009
    only: list[str] | None = declare(None, "which; null: all there are", example="[units,traces]")  # noqa: RUF009
    table: str | None = declare(None, "a table of the run as CSV and LaTeX, or all; figures then only with `only`",
                                example="probes")  # fmt: skip
    columns: list[str] | None = declare(None, "of that table; null: all of them", example="[unit,signal]")  # noqa: RUF009
    to: str | None = declare(None, "folder of the files; null: one of their own in outputs/figures",
                             example="paper/figures")  # fmt: skip
    outputs: str = outputs_field()


@dataclass
class ReproduceConfig:
    """Measure published results again, and set them side by side with ours."""

    name: str | None = declare(None, "one result; null: list them all", choices=KEYS, example="dyck1")
    all: bool = declare(False, "measure every result, and make a page of them")
    seeds: int = declare(3, "networks of each result: seeds 0, 1, ...", 1, 1000)
    threads: int = threads_field()
    outputs: str = outputs_field()
    force: bool = declare(False, "measure again what was measured already")


@dataclass
class RunsConfig:
    """List what is in the run store."""

    runs: str | None = declare(None, "which runs: a pattern of folders; null: all of them",
                               example="'outputs/runs/tracking/u8-*'")  # fmt: skip
    check: bool = declare(False, "read every file and compare it with what was written")
    outputs: str = outputs_field()


@dataclass
class TasksConfig:
    """Show the task catalogue, or one task with an example."""

    name: str | None = declare(None, "one task to show; null: all of them", example="dyck1")
    seed: int = declare(0, "seed of the example", 0, LARGEST_SEED)
    outputs: str = outputs_field()


@dataclass
class DescribeConfig:
    """Show the anatomy of an LSTM: shapes, parameters, who feeds whom."""

    units: int = units_field()
    inputs: int = declare(8, "features of an input x[t]", 1, 1_000_000)
    layers: int = layers_field()
    projection: int = projection_field()
    unit: int = declare(0, "the unit to follow, counted from 0", 0, 4095)
    outputs: str = outputs_field()


#: The schema of every command, in the order of `--help`.
SCHEMAS: dict[str, type] = {
    "describe": DescribeConfig,
    "tasks": TasksConfig,
    "train": TrainConfig,
    "size": SizeConfig,
    "probe": ProbeConfig,
    "ablate": AblateConfig,
    "dynamics": DynamicsConfig,
    "import": ImportConfig,
    "shrink": ShrinkConfig,
    "export": ExportConfig,
    "report": ReportConfig,
    "figures": FiguresConfig,
    "reproduce": ReproduceConfig,
    "runs": RunsConfig,
}


#: Commands that train a network, on the default task unless another is chosen.
TRAINING = ("train", "size")


def keys_of(schema: Any, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
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
COMBINED = ("units", "largest", "unit", "name", "projection", "all", "probe.permutations", "probe.alpha", "device",
            "path", "format", "width", "checkpoints", "probe.analyses", "probe.event")  # fmt: skip


def combined_problems(config: Any) -> list[str]:
    """Return what is wrong with keys that are legal one by one."""
    problems = not_given(config)
    if isinstance(config, SizeConfig):
        problems += size_problems(config)
    elif hasattr(config, "projection") and config.projection >= config.units:
        problems.append(f"projection={config.projection}: must be below units={config.units}; 0 means no projection.")
    if hasattr(config, "unit") and config.unit >= config.units:
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
        problems.append(f"name={name}: must be letters, digits, and . _ - after the first.")
    if isinstance(config, ExportConfig) and config.path is not None and config.format in EXPORTED:
        problems += [f"{problem}." for problem in [ending_problem(config.path, config.format)] if problem]
    if isinstance(config, FiguresConfig):
        try:
            look_of(config.style, config.width)
        except InputError as error:
            problems += error.problems
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
