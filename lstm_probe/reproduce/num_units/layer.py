"""What a layer of so many units is: counted, and tried out on PyTorch's own module."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lstm_probe.core.anatomy import FRAMEWORK_WORDS, FRAMEWORKS, Anatomy
from lstm_probe.core.seeding import generator
from lstm_probe.findings.words import listing

#: The layer that is drawn first: small enough to see all of it.
UNITS, INPUTS = 4, 3
#: Sequences and steps of the shapes that are shown, and the lengths of sequences that one layer reads.
SEQUENCES, STEPS, LENGTHS = 64, 50, (10, 1000)
#: Of the frameworks' words, those of the things that a reader meets first.
_FIRST_WORDS = ("units, H", "inputs, I", "layer", "sequence", "step", "h, output", "c, cell state", "gates in order")

#: What num_units is taken for, what that is instead, and what it is called in PyTorch and in Keras.
MISTAKEN = (
    ("the number of time steps", "how long your sequences are; the same layer reads sequences of any length",
     "the input's time axis, in both"),
    ("the number of LSTM cells in a chain",
     "drawings show the layer once for each step, side by side; that is one layer at several times, with the same "
     "weights", "nothing: there is one"),
    ("the number of layers", "how many LSTM layers stand on top of each other; each has its own units",
     "num_layers; another LSTM(...)"),
    ("the number of input features", "how many numbers come in at each step; every unit sees all of them",
     "input_size; the input's last axis"),
    ("the number of outputs of your network", "how many numbers it answers with: another layer makes them from h",
     "nn.Linear(units, outputs); Dense(outputs)"),
    ("the batch size", "how many sequences are read at once; none of them sees the others",
     "the input's batch axis, in both"),
    ("return_sequences", "whether h of every step is handed on, or only the last one; the units are the same",
     "output or h_n; return_sequences=True or False"),
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """What was seen when a layer of PyTorch's own was tried out.

    Attributes:
        reached: pairs of a number that is read (an input, or an output of one step before) and a unit whose memory
            changed when that number did.
        pairs: how many such pairs there are.
        others: pairs of two different units of which one's memory changed when the other's memory of one step before
            did, while all outputs stayed.
        own: units whose memory changed with their own of one step before.
        shapes: of the outputs, for each length that was read.
    """

    reached: int
    pairs: int
    others: int
    own: int
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Count:
    """The parameters of a layer: by the formula for PyTorch, in the module itself, and by Keras' formula."""

    units: int
    formula: int
    counted: int
    keras: int


@torch.no_grad()
def tried(units: int = UNITS, inputs: int = INPUTS, lengths: Sequence[int] = LENGTHS) -> Tried:
    """Change, one after the other, all that a layer may read, and see which unit's memory moves; read long and short.

    Args:
        units: of the layer.
        inputs: features of x[t].
        lengths: of the sequences that one and the same layer reads, in steps.
    """
    rng = generator(0, "num_units")
    lstm = nn.LSTM(inputs, units, batch_first=True).double()
    for weights in lstm.parameters():
        weights.copy_(torch.randn(weights.shape, generator=rng, dtype=torch.float64) / 4)
    x, h, c = (torch.randn(1, 1, n, generator=rng, dtype=torch.float64) for n in (inputs, units, units))

    def memory(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = lstm(x, (h, c))[1][1][0, 0]
        return found

    def moved(which: int) -> torch.Tensor:
        """Return (number changed, unit): whether the unit's memory differs."""
        rows = []
        for k in range((x, h, c)[which].shape[-1]):
            parts = [x.clone(), h.clone(), c.clone()]
            parts[which][..., k] += 0.5
            rows.append(memory(*parts) != memory(x, h, c))
        return torch.stack(rows)

    seen, carried = torch.cat([moved(0), moved(1)]), moved(2)
    shapes = tuple(tuple(lstm(torch.zeros(SEQUENCES, n, inputs, dtype=torch.float64))[0].shape) for n in lengths)
    own = int(carried.diagonal().sum())
    return Tried(int(seen.sum()), seen.numel(), int(carried.sum()) - own, own, shapes)


def tried_words(found: Tried, units: int = UNITS, inputs: int = INPUTS) -> list[str]:
    """Return what was seen, a sentence each."""
    every = "every unit's memory moved" if found.reached == found.pairs else "not every unit's memory moved"
    sees = (
        f"Tried out on PyTorch's nn.LSTM({inputs}, {units}): each of the {inputs} inputs and of the {units} outputs of "
        f"the step before was changed in turn, and {every} ({found.reached} of {found.pairs} pairs)."
    )
    only = "moved that unit's memory and no other" if (found.others, found.own) == (0, units) else (
        f"moved {found.own} units' own memory and others' in {found.others} cases")  # fmt: skip
    keeps = f"A memory of the step before that was changed, with all outputs held, {only}."
    lengths = " and ".join(f"{shape[1]:,}" for shape in found.shapes)
    same = all(shape == (shape[0], shape[1], units) for shape in found.shapes)
    told = f"{units} numbers for each step" if same else listing([str(shape) for shape in found.shapes])
    return [sees, keeps, f"And one and the same layer read sequences of {lengths} steps: its output has {told}."]


def counts(inputs: int, sizes: Sequence[int]) -> list[Count]:
    """Return how many parameters a layer has at each size, by formula and in PyTorch's module itself."""
    found = []
    for units in sizes:
        module = sum(weights.numel() for weights in nn.LSTM(inputs, units).parameters())
        found.append(Count(units, 4 * units * (inputs + units + 2), module, 4 * units * (inputs + units + 1)))
    return found


def count_words(found: Sequence[Count]) -> str:
    """Return whether formula and module agree."""
    wrong = [str(one.units) for one in found if one.formula != one.counted]
    n = len(found)
    if wrong:
        return f"The formula does not give what PyTorch's module has, with {listing(wrong)} units."
    return (f"PyTorch's module was made at {'this size' if n == 1 else f'all {n} sizes'} and its numbers counted: the "
            "formula gives the same.")  # fmt: skip


def shapes(units: int = UNITS, inputs: int = INPUTS) -> list[tuple[str, str, str]]:
    """Return what has which shape, and what it is, for a batch of `SEQUENCES` of `STEPS` steps."""

    def shape(*sizes: int) -> str:
        return f"({', '.join(map(str, sizes))})"

    return [
        ("input x", shape(SEQUENCES, STEPS, inputs), "sequences, steps, features"),
        ("output h of every step", shape(SEQUENCES, STEPS, units), "return_sequences=True; PyTorch's output"),
        ("output h of the last step", shape(SEQUENCES, units), "return_sequences=False; PyTorch's h_n without its "
                                                               "layers"),
        ("memory c", shape(SEQUENCES, STEPS, units), "one number for each unit and step; frameworks return the last "
                                                     "step's alone"),
        ("each of the gates i, f, o, and g", shape(SEQUENCES, STEPS, units), "one number for each unit and step; "
                                                                             "frameworks do not return them"),
        ("weights on x, of all gates", shape(4 * units, inputs), "4 rows for each unit; in Keras 4 columns: "
                                                                  f"{shape(inputs, 4 * units)}"),
        ("weights on h, of all gates", shape(4 * units, units), "4 rows for each unit, with a weight for each unit"),
    ]  # fmt: skip


def first_words() -> list[tuple[str, ...]]:
    """Return the frameworks' words for what a reader meets first, as `core.anatomy.FRAMEWORK_WORDS`."""
    rows = {row[0]: row for row in FRAMEWORK_WORDS}
    return [tuple(cell.replace("-\n", "").replace("\n", " ") for cell in rows[name]) for name in _FIRST_WORDS]


def written(units: int = UNITS, inputs: int = INPUTS) -> list[tuple[str, str]]:
    """Return how such a layer is written in each framework."""
    return [
        ("PyTorch", f"torch.nn.LSTM(input_size={inputs}, hidden_size={units}, batch_first=True)"),
        ("Keras", f"keras.layers.LSTM(units={units}, return_sequences=True)"),
        ("TensorFlow 1", f"tf.nn.rnn_cell.LSTMCell(num_units={units})"),
    ]


def formula(units: int = UNITS, inputs: int = INPUTS) -> str:
    """Return the formula for PyTorch's parameters with numbers put in."""
    words = FRAMEWORKS[0].formula(Anatomy(units, inputs))
    total = 4 * units * (inputs + units + 2)
    return f"{words} = 4 · {units} · ({inputs} + {units} + 2) = {total:,}"
