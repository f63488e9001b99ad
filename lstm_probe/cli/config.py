"""Typed configuration of every command: the only place of its defaults and legal ranges.

Nothing here imports anything heavy, so that `--help` and error messages come at once.
"""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

from lstm_probe.core.fields import REQUIRED, declare
from lstm_probe.core.looks import FORMATS, STYLES
from lstm_probe.core.vocabulary import EXPORTED, GATE_ACTIVATIONS, INITS
from lstm_probe.network.settings import (
    LARGEST_SEED,
    layers_field,
    own_cell_field,
    projection_field,
    units_field,
)
from lstm_probe.reproduce import KEYS, NUM_UNITS, SIZES
from lstm_probe.runs.settings import (
    AblateSettings,
    DynamicsSettings,
    ProbeSettings,
    RunSettings,
    max_bytes_field,
    measure_field,
    outputs_field,
    threads_field,
)
from lstm_probe.sizing.settings import SizeSettings

EXAMPLE_RUN = "outputs/runs/tracking/u32-s0-1a2b3c4d"
_SIZES = f"of {NUM_UNITS}: units of its networks; null: {', '.join(map(str, SIZES))}"


def where_field() -> Any:
    """Return the field of what `runs` and `report` are to look at."""
    words = ("which runs, by any key of theirs, written by itself: units=8, task.bits=[2,3] for any of these, "
             "solved=true, learned=false")  # fmt: skip
    return declare({}, words, example="{units:8}")


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
    layer: str | None = declare(None, "which recurrent layer of the file, if there are several; lower+upper takes both",
                                example="lstm_1")  # fmt: skip
    readout: str | None = declare(None, "which linear layer reads it, if the file does not prove it",
                                  example="dense")  # fmt: skip
    forget_bias: float | None = declare(
        None, "what a TensorFlow 1 cell adds to its forget gate at run time", -100.0, 100.0
    )
    init: str | None = declare(None, "how the network began, if the file does not say: untrained ones for comparison "
                               "begin the same way", choices=INITS)  # fmt: skip
    recurrent_activation: str | None = declare(
        None, "the gates' function, where Keras weights do not say theirs", choices=GATE_ACTIVATIONS
    )
    cell: str | None = declare(None, "what the units are, where weights do not tell (PyTorch, NumPy): one that is "
                               "trained by cell=NAME, or another name of get_cell", example="rnn_relu")  # fmt: skip
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
    """Probe finished runs: what was not measured on them yet, or with other settings."""

    run: str = declare(REQUIRED, "folder of the run; or a pattern, for several", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "seed of the sequences, shuffles and resamples; null: as in the run",
                               0, LARGEST_SEED)  # fmt: skip
    card: str | None = declare(None, "print this unit's card, and draw its tuning and memory; layer.unit where there "
                               "are layers", example="3")  # fmt: skip
    own_cell: str | None = own_cell_field()
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    probe: ProbeSettings = field(default_factory=ProbeSettings)


@dataclass
class AblateConfig:
    """Ablate finished runs: what was not measured on them yet, or with other settings."""

    run: str = declare(REQUIRED, "folder of the run; or a pattern, for several", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "seed of the sequences and resamples; null: as in the run", 0, LARGEST_SEED)
    own_cell: str | None = own_cell_field()
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    ablate: AblateSettings = field(default_factory=AblateSettings)


@dataclass
class DynamicsConfig:
    """Follow the memories of finished runs: how they are written, held and read."""

    run: str = declare(REQUIRED, "folder of the run; or a pattern, for several", example=EXAMPLE_RUN)
    seed: int | None = declare(None, "seed of the sequences and resamples; null: as in the run", 0, LARGEST_SEED)
    own_cell: str | None = own_cell_field()
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
    own_cell: str | None = own_cell_field()
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
    own_cell: str | None = own_cell_field()
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    outputs: str = outputs_field()


@dataclass
class ReportConfig:
    """Put all runs found into one page and figure files."""

    runs: str | None = declare(None, "which runs: a pattern of folders; null: all of them",
                               example="'outputs/runs/tracking/u8-*'")  # fmt: skip
    where: dict[str, Any] = where_field()  # noqa: RUF009
    pages: int = declare(24, "pages that are drawn, at most, for runs that have none of their own; one takes seconds",
                         0, 1_000_000)  # fmt: skip
    own_cell: str | None = own_cell_field()
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
    own_cell: str | None = own_cell_field()
    outputs: str = outputs_field()


@dataclass
class ReproduceConfig:
    """Measure published results again, and set them side by side with ours; or make the page on num_units."""

    name: str | None = declare(None, f"one result, or {NUM_UNITS}, a page on what that means; null: list them all",
                               choices=(*KEYS, NUM_UNITS), example="dyck1")  # fmt: skip
    all: bool = declare(False, "measure every result, and make a page of them")
    seeds: int = declare(3, "networks of each result: seeds 0, 1, ...", 1, 1000)
    sizes: list[int] | None = declare(None, _SIZES, 1, 512, example="[2,8,32]")  # noqa: RUF009  as of all
    threads: int = threads_field()
    outputs: str = outputs_field()
    force: bool = declare(False, "measure again what was measured already")


@dataclass
class TruthConfig:
    """Try methods on networks whose answers are known: what each finds, misses and makes up; a table and a page."""

    all: bool = declare(
        False, "every level of each knob, and five networks of each level, so that means have intervals"
    )
    method: str | None = declare(None, "one method, or a function of your own as my_module:my_function; null: all that "
                                 "there are", example="tracks")  # fmt: skip
    methods: list[str] | None = declare(None, "several methods, your own among them; null: all that there are",  # noqa: RUF009
                                        example="[tracks,correlation]")  # fmt: skip
    knobs: list[str] | None = declare(None, "what makes the networks hard to read; null: everything that there is",  # noqa: RUF009
                                      example="[copies,decoys]")  # fmt: skip
    seeds: int | None = declare(None, "networks of each level; null: one, or five with all=true", 1, 1000)
    held_out: bool = declare(True, "networks that no method may be tuned on; false: those that are open to that")
    threads: int = threads_field()
    outputs: str = outputs_field()


@dataclass
class RunsConfig:
    """List what is in the run store."""

    runs: str | None = declare(None, "which runs: a pattern of folders; null: all of them",
                               example="'outputs/runs/tracking/u8-*'")  # fmt: skip
    where: dict[str, Any] = where_field()  # noqa: RUF009
    check: bool = declare(False, "read every file and compare it with what was written")
    merge: str | None = declare(None, "copy the runs of another store that are not here: its folder",
                                example="../laptop/outputs")  # fmt: skip
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
    "truth": TruthConfig,
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
