"""The words of this project, as code: one word per thing, and what every table's columns are called.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

from dataclasses import dataclass

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

KINDS = ("continuous", "binary", "categorical")
ROLES = {
    "target": "the network is trained to output it",
    "latent": "needed but never output",
    "distractor": "present, useless",
    "nuisance": "position and the like",
}
DIRECTIONS = ("forward", "reverse")

#: Dimension names of inputs, of c i f g o, and of h.
DIMS = {
    "inputs": ("sequence", "time", "feature"),
    "unit": ("sequence", "time", "unit"),
    "output": ("sequence", "time", "output"),
}


@dataclass(frozen=True)
class Word:
    """One word of the project: what it means here and what others call the same thing."""

    word: str
    meaning: str
    also_called: str = ""


WORDS = (
    Word("unit", "one scalar memory c[t, j] with its own input, forget and output gate and cell input",
         '"cell" in the 1997 literature, "neuron"'),
    Word("units", "how many units one layer has; the length of c[t]",
         "num_units (TensorFlow), units (Keras), hidden_size (PyTorch)"),
    Word("layer", "`units` parallel units that all see the whole input x[t] and the whole previous output h[t-1]",
         '"cell" in TensorFlow, "block" in some papers'),
    Word("projection", "optional matrix that makes h[t] shorter than c[t] (LSTMP)", "num_proj, proj_size"),
    Word("variable", "one of the six recorded values of a unit: h c i f g o", '"activation"'),
    Word("step", "one position in a sequence", '"time step"'),
    Word("task", "a generator of sequences with targets and signals"),
    Word("signal", "a named ground-truth variable with a value at every step", '"concept", "feature"'),
    Word("lag", "how many steps back the signal's value is taken"),
    Word("run", "one trained network with everything measured on it, in one folder"),
    Word("tracks", "a unit's variable predicts a signal on held-out sequences beyond chance and the baselines",
         '"encodes"'),
    Word("uses", "clamping the unit makes an output worse", '"causal"'),
)

#: Columns that every table of a run starts with.
RUN_COLUMNS = ("run", "task", "units", "seed")

PROBE_COLUMNS = (
    *RUN_COLUMNS, "layer", "direction", "variable", "unit", "signal", "kind", "role", "lag", "metric", "score",
    "effect", "ci_low", "ci_high", "p_value", "p_family", "q_value", "untrained", "untrained_best", "input_only",
    "input_window", "time_only", "tracks",
)
#: The same with what a curve of each unit predicts; the probes of a run.
CURVED_COLUMNS = (*PROBE_COLUMNS, "curved", "tracks_curved")
POPULATION_COLUMNS = (
    *RUN_COLUMNS, "layer", "direction", "variable", "signal", "kind", "role", "lag", "metric", "score",
    "ci_low", "ci_high", "untrained", "input_only", "control", "selectivity", "n_units_90",
)
ABLATION_COLUMNS = (
    *RUN_COLUMNS, "layer", "direction", "unit", "variable", "mode", "target", "metric", "intact", "clamped",
    "score_drop", "ci_low", "ci_high", "uses",
)
#: What every row about a unit, and about all units of a layer together, is about.
_UNIT = (*RUN_COLUMNS, "layer", "direction", "variable", "unit")
_LAYER = (*RUN_COLUMNS, "layer", "direction", "variable")
_SIGNAL = ("signal", "kind", "role", "lag")

TUNING_COLUMNS = (*_UNIT, *_SIGNAL, "level", "low", "high", "n", "mean", "sd", "ci_low", "ci_high")
MEMORY_COLUMNS = (
    *_UNIT, *_SIGNAL, "metric", "score", "effect", "untrained", "input_only", "time_only", "signal_itself",
)
MEMORY_SPAN_COLUMNS = (*_UNIT, "signal", "kind", "role", "peak_lag", "peak_effect", "span", "beyond_signal")
CONFOUND_COLUMNS = (*_UNIT, *_SIGNAL, "effect", "partial", "ci_low", "ci_high", "collinear_with")
SIGNAL_CORRELATION_COLUMNS = (*RUN_COLUMNS, "signal", "other", "r", "collinear")
UNIT_CODE_COLUMNS = (*_UNIT, "n_signals", "best_signal", "best_effect", "selectivity", "mixing")
SIGNAL_CODE_COLUMNS = (
    *_LAYER, *_SIGNAL, "effect", "participation", "dimensionality", "best_unit", "best_effect", "rotated",
    "rotated_high", "p_rotation", "code",
)
SPARSE_COLUMNS = (*_LAYER, *_SIGNAL, "metric", "method", "n_units", "score", "effect", "chosen")
CROSS_TIME_COLUMNS = (*_LAYER, "signal", "kind", "role", "along", "fitted", "tested", "metric", "score", "effect")
STABILITY_COLUMNS = (*_LAYER, "signal", "kind", "role", "along", "diagonal", "elsewhere", "stability")
DESCRIPTION_COLUMNS = (*_LAYER, *_SIGNAL, "n", "bits", "uniform_bits", "compression", "control_bits")
POWER_COLUMNS = (
    *RUN_COLUMNS, "signal", "kind", "role", "lag", "sequences", "critical", "detectable", "effect", "sequences_needed",
)
SEED_COLUMNS = (
    "task", "units", "variable", "signal", "kind", "role", "lag", "n_seeds", "share_tracked", "best_effect", "ci_low",
    "ci_high", "tracking_units",
)
HISTORY_COLUMNS = ("step", "split", "target", "metric", "value", "learning_rate", "seconds")
