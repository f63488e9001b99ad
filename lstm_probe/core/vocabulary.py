"""The words of this project, as code: one word per thing, and what every table's columns are called.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

from dataclasses import dataclass
from pathlib import Path

#: The six recorded variables of a unit.
VARIABLES = ("h", "c", "i", "f", "g", "o")

VARIABLE_MEANINGS = {
    "h": "output: what the unit shows to the others and to the readout, o · tanh(c)",
    "c": "memory: the cell state, carried from step to step, f · c[t-1] + i · g",
    "i": "input gate: how much of the cell input is written, 0 to 1",
    "f": "forget gate: how much of the old memory is kept, 0 to 1",
    "g": "cell input: what would be written, -1 to 1",
    "o": "output gate: how much of the memory is shown, 0 to 1",
}

#: The order in which each framework stacks the four gates' rows in its weight matrices, in our letters.
GATE_ORDERS = {
    "pytorch": ("i", "f", "g", "o"),
    "keras": ("i", "f", "g", "o"),
    "tensorflow1": ("i", "g", "f", "o"),
    "onnx": ("i", "o", "f", "g"),
}

#: The cells that networks are trained of, by name; see `cells.known.get_cell`.
CELLS = ("lstm", "lstm_no_forget", "lstm_coupled", "lstm_peepholes", "lstm_layer_norm", "gru", "gru_reset_before",
         "rnn", "rnn_relu", "janet", "slstm")  # fmt: skip

#: The plain recurrent networks that PyTorch has a kernel for, by their cell, and their nonlinearity.
FUSED_RNNS = {"rnn": "tanh", "rnn+input:relu": "relu"}

#: Under which name it stands beside weights what they are of, where PyTorch and safetensors keep notes.
BESIDE_WEIGHTS = "lstm_probe"

#: What networks are exported for, and how a file of that kind ends.
EXPORTED = {"pytorch": ".pt", "keras": ".keras", "onnx": ".onnx"}

#: What makes the gates of Keras weights that do not say it.
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid", "tanh", "relu", "linear", "softsign")

#: How an untrained network begins; see `recorder.initial`.
UNKNOWN = "unknown"
INITS = ("torch", "keras", "tf1", "orthogonal", "chrono", UNKNOWN)

KINDS = ("continuous", "binary", "categorical", "circular")
#: The kinds that are numbers, scored by R²; the others are classes, scored by AUROC.
NUMBERS = ("continuous", "circular")
ROLES = {
    "target": "the network is trained to output it",
    "latent": "needed but never output",
    "distractor": "present, useless",
    "nuisance": "position and the like",
}
DIRECTIONS = ("forward", "reverse")

#: Legal words of settings, by key: what a unit is clamped to (`mode`), what chance is (`null`), how all units together
#: tell classes (`estimator`), how few units are chosen (`methods` of sparse paths), what readouts are compared along
#: (`along` of cross-time tests), and what of a signal is an event (`edge`): where a binary one rises or falls, or where
#: any one takes another value.
CLAMPED_TO = {"mean": "its mean", "zero": "0", "resample": "another sequence's values"}
MODES = tuple(CLAMPED_TO)
NULLS = ("shuffle", "roll", "shift")
ESTIMATORS = ("ridge", "logistic")
METHODS = ("greedy", "elastic_net")
ALONG = ("lag", "step")
EDGES = ("onset", "offset", "change")

#: Dimension names of inputs, of c i f g o, and of h.
DIMS = {
    "inputs": ("sequence", "time", "feature"),
    "unit": ("sequence", "time", "unit"),
    "output": ("sequence", "time", "output"),
}


def ending_problem(path: str | Path, format: str) -> str | None:
    """Return what is wrong with the ending of a file of a format, a key of `EXPORTED`; None where nothing is.

    >>> ending_problem("m.keras", "onnx")
    'path=m.keras: must end in .onnx for format=onnx'
    """
    ending = EXPORTED[format]
    return None if Path(path).suffix == ending else f"path={path}: must end in {ending} for format={format}"


@dataclass(frozen=True)
class Word:
    """One word of the project: what it means here and what others call the same thing."""

    word: str
    meaning: str
    also_called: str = ""


WORDS = (
    Word(
        "unit",
        "one scalar memory c[t, j] with its own input, forget and output gate and cell input",
        '"cell" in the 1997 literature, "neuron"',
    ),
    Word(
        "units",
        "how many units one layer has; the length of c[t]",
        "num_units (TensorFlow), units (Keras), hidden_size (PyTorch)",
    ),
    Word(
        "layer",
        "`units` parallel units that all see the whole input x[t] and the whole previous output h[t-1]",
        '"cell" in TensorFlow, "block" in some papers',
    ),
    Word("projection", "optional matrix that makes h[t] shorter than c[t] (LSTMP)", "num_proj, proj_size"),
    Word("variable", "one of the six recorded values of a unit: h c i f g o", '"activation"'),
    Word("step", "one position in a sequence", '"time step"'),
    Word("task", "a generator of sequences with targets and signals"),
    Word("signal", "a named ground-truth variable with a value at every step", '"concept", "feature"'),
    Word("lag", "how many steps back the signal's value is taken"),
    Word("set", "units that are clamped at once", '"group of units"'),
    Word("run", "one trained network with everything measured on it, in one folder"),
    Word(
        "tracks",
        "a unit's variable predicts a signal on held-out sequences beyond chance and the baselines",
        '"encodes"',
    ),
    Word(
        "drop",
        "what a target's score loses under a clamp: as it stands (score_drop), even when the output is brought back to "
        "scale (refit_drop), even when the readout is fitted again (readout_drop)",
    ),
    Word("needed alone", "clamping the unit costs", '"causal", "necessary"'),
    Word(
        "needed together",
        "it costs nothing alone, but belongs to a smallest set of such units that costs when clamped at once",
    ),
    Word(
        "not needed",
        "what is left when these sets are taken out, and costs nothing when clamped at once, at the means of each half "
        "of the sequences, too",
    ),
)
