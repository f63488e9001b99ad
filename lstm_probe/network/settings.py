"""The settings of a network and its training: defaults, meaning, legal values.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

from dataclasses import dataclass, field
from typing import Any

from lstm_probe.core.fields import declare
from lstm_probe.core.vocabulary import CELLS, INITS, UNKNOWN

LARGEST_SEED = 2**32 - 1

#: How many times faster networks of so many units are trained as a stack than one after another on the same core, by
#: how many there are, as `scripts/benchmark.py stack` measured it on a processor; above the largest size, not at all.
STACK_GAINS: dict[int, dict[int, float]] = {
    2: {16: 2.0, 64: 2.3},
    4: {16: 2.2, 64: 2.4},
    8: {16: 1.9, 64: 2.1},
    16: {16: 1.2},
}


def stack_gain(units: int, networks: int) -> float:
    """Return how many times faster a stack of so many networks is known to be; 1 where it is not known to be."""
    size = next((size for size in STACK_GAINS if units <= size), None)
    known = [gain for count, gain in STACK_GAINS.get(size or 0, {}).items() if count <= networks]
    return max(known, default=1.0)


def units_field() -> Any:
    """Return the field of `units`, wherever it is a setting."""
    return declare(32, "units of each layer: how many memories c[t] holds (num_units)", 1, 4096)


def layers_field() -> Any:
    """Return the field of `layers`."""
    return declare(1, "layers on top of each other", 1, 16)


def projection_field() -> Any:
    """Return the field of `projection`."""
    return declare(0, "length of h[t] if it is shorter than c[t]; below units; 0: no projection", 0, 4095)


def cell_field() -> Any:
    """Return the field of `cell`, wherever it is a setting."""
    return declare("lstm", "what a unit is; options follow after plus signs; or package.module:NAME",
                   choices=CELLS, example="lstm+peepholes+clip:3", beyond="+:")  # fmt: skip


def own_cell_field() -> Any:
    """Return the field of `own_cell`, of commands on runs that are there."""
    return declare(None, "cell of your own that runs have: package.module:NAME, which is imported",
                   example="my_cells:MGU")  # fmt: skip


@dataclass
class Which:
    """Which network of an experiment."""

    units: int = units_field()
    seed: int = declare(0, "seed of the weights and of the data", 0, LARGEST_SEED)


@dataclass
class Recipe:
    """How networks are made and trained, whatever their size and seed."""

    cell: str = cell_field()
    layers: int = layers_field()
    projection: int = projection_field()
    init: str = declare("torch", "how the weights begin: as PyTorch, Keras, TensorFlow 1 draw them, orthogonal, chrono",
                        choices=[name for name in INITS if name != UNKNOWN])  # fmt: skip
    forget_bias: float | None = declare(None, "of the forget gates' biases at the start; null: as init has it "
                                        "(torch 0, keras and tf1 1)", -100.0, 100.0)  # fmt: skip
    steps: int = declare(3000, "at most this many updates", 1, 100_000_000)
    batch: int = declare(64, "sequences per update", 1, 100_000)
    tbptt: int = declare(1, "batches in a row from one running text, with the state carried over; 1: none", 1, 100)
    lr: float = declare(0.03, "highest learning rate of the one-cycle schedule", 1e-7, 10.0)
    clip: float = declare(1.0, "the gradient's norm is clipped to this", 1e-6, 1e6)
    evaluate_every: int = declare(100, "updates between evaluations", 1, 100_000_000)
    stop_when_solved: bool = declare(True, "stop early when every target is solved")
    device: str = declare("cpu", "where to compute: cpu, cuda, cuda:1, mps", example="cpu")


@dataclass
class TrainingSettings(Recipe, Which):
    """What a training is made of, besides its task; units and seed come first."""


@dataclass
class TaskChoice:
    """What to learn.

    Attributes:
        task: a task's `name`, and its parameters.
    """

    task: dict[str, Any] = field(
        default_factory=lambda: {"name": "tracking"},
        metadata={"help": "what to learn, and task.<parameter>: see `tasks name=<task>`"},
    )


@dataclass
class Experiment(TrainingSettings, TaskChoice):
    """A network, its training and its task; the task comes first."""
