"""The anatomy of an LSTM of a given size: tensors, who sees and owns what, what is recorded, parameters.

Everything here is counted from the sizes alone; no network is built. The letters: I input features, H units,
P the length of a projected output, R the length of h (P with a projection, else H).
"""

from dataclasses import dataclass
from math import prod

import pandas as pd

from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import many
from lstm_probe.core.shown import Shown, SmallTable, Told
from lstm_probe.core.vocabulary import DIMS, GATE_ORDERS, VARIABLE_MEANINGS

TENSOR_COLUMNS = ("layer", "name", "letters", "shape", "parameters", "meaning")
OWNED_COLUMNS = ("framework", "axis", "position", "gate", "index")
RECORDED_COLUMNS = ("variable", "axes", "size", "shape", "meaning")
PARAMETER_COLUMNS = ("framework", "peepholes", "layer", "part", "per_unit", "in_layer")


@dataclass(frozen=True, repr=False)
class Anatomy(Shown):
    """The sizes of an LSTM, and what follows from them.

    Args:
        units: how many units each layer has, at least 1.
        inputs: features of an input x[t], at least 1.
        layers: how many layers, at least 1.
        projection: length of h where a projection shortens it, below `units`; 0 where there is none.
        bias: whether there are biases.

    Raises:
        InputError: every size that is out of its range.
    """

    units: int
    inputs: int
    layers: int = 1
    projection: int = 0
    bias: bool = True

    def __post_init__(self) -> None:
        problems = [
            f"{key}={value}: must be a whole number of at least 1."
            for key in ("units", "inputs", "layers")
            if (value := getattr(self, key)) < 1
        ]
        if self.projection < 0 or self.projection >= self.units > 0:
            problems.append(f"projection={self.projection}: must be below units={self.units}; 0 means no projection.")
        if problems:
            raise InputError(*problems)

    @property
    def outputs(self) -> int:
        """Length R of h[t]: the projection where there is one, else the units."""
        return self.projection or self.units

    def seen(self, layer: int) -> int:
        """Return how many input features a layer reads: those of x[t], or all of h[t] of the layer below."""
        return self.inputs if layer == 0 else self.outputs

    @property
    def tensors(self) -> pd.DataFrame:
        """Every weight tensor of every layer, by PyTorch's names: columns `TENSOR_COLUMNS`."""
        return tensors(self)

    @property
    def recorded(self) -> pd.DataFrame:
        """Axes and shapes of the inputs and of a layer's six variables: columns `RECORDED_COLUMNS`."""
        return recorded(self)

    @property
    def parameters(self) -> pd.DataFrame:
        """Parameters of each gate in each layer and framework: columns `PARAMETER_COLUMNS`."""
        return parameters(self)

    def owned(self, unit: int) -> pd.DataFrame:
        """Return which rows or columns of the weights belong to one unit, by framework: columns `OWNED_COLUMNS`."""
        return owned(self, unit)

    def _told(self) -> Told:
        each = f"{many(self.layers, 'layer')} of " if self.layers > 1 else ""
        to = f", h projected to {self.projection}" if self.projection else ""
        title = f"LSTM: {each}{many(self.units, 'unit')} that each see all {many(self.inputs, 'input')}{to}"
        lines = [
            f"num_units (TensorFlow), units (Keras) and hidden_size (PyTorch) are {self.units}: the length of c[t]",
            f"c i f g o of a layer: (sequence, time, {self.units}); h: (sequence, time, {self.outputs})",
        ]
        counts = []
        for (key, peepholes), own in self.parameters.groupby(["framework", "peepholes"], sort=False):
            name = next(one.name for one in FRAMEWORKS if one.key == key)
            counts.append((name + (" with peepholes" if peepholes else ""), int(own["in_layer"].sum())))
        plain = [f"{name.partition(' ')[0]} {n:,}" for name, n in counts if "peepholes" not in name]
        lines.append(f"parameters: {', '.join(plain)}")
        weights = self.tensors.assign(shape=[" × ".join(map(str, shape)) for shape in self.tensors["shape"]])
        named = [
            ("Weights, by PyTorch's names", weights[["name", "letters", "shape", "parameters", "meaning"]]),
            ("What is recorded of a layer", self.recorded[["variable", "shape", "meaning"]]),
        ]
        tables = [SmallTable(list(map(str, table)), table.values.tolist(), caption) for caption, table in named]
        tables.append(SmallTable(("framework", "parameters"), counts, "Parameters"))
        below = ["lp.figures.anatomy_figure(...) draws it; tables: .tensors .recorded .parameters .owned(unit)"]
        return Told(title, lines, tables, below=below)

    def check_unit(self, unit: int) -> None:
        """Raise an InputError where there is no such unit."""
        if not 0 <= unit < self.units:
            raise InputError(f"unit={unit}: must be from 0 to {self.units - 1} (units={self.units}).")


def describe(units: int, inputs: int, *, layers: int = 1, projection: int = 0, bias: bool = True) -> Anatomy:
    """Return the anatomy of an LSTM of a given size: its tensors, what is recorded, parameters by framework.

    Nothing is built. `lstm_probe.figures.anatomy_figure` draws what this returns.

    Args:
        units: how many units each layer has (`num_units`, `hidden_size`), 1 or more.
        inputs: features of an input, 1 or more.
        layers: how many layers, 1 or more.
        projection: length of h where a projection shortens it, below `units`; 0 where there is none.
        bias: whether there are biases.

    Raises:
        InputError: every size that is out of its range.

    >>> describe(32, 8)
    LSTM: 32 units that each see all 8 inputs
      num_units (TensorFlow), units (Keras) and hidden_size (PyTorch) are 32: the length of c[t]
      c i f g o of a layer: (sequence, time, 32); h: (sequence, time, 32)
      parameters: PyTorch 5,376, Keras 5,248, TensorFlow 5,248, ONNX 5,376
    """
    return Anatomy(units, inputs, layers, projection, bias)


@dataclass(frozen=True)
class Framework:
    """How one framework stores an LSTM layer.

    Args:
        key: its key in GATE_ORDERS.
        name: the framework and its class.
        axis: along which axis of a weight matrix the units' gates are stacked.
        biases: bias vectors for each gate, 1 or 2.
        bias_optional: whether it can do without biases.
        projection: whether it can shorten h.
        peepholes: whether i, f and o also read their own unit's c, each through one weight.
    """

    key: str
    name: str
    axis: str
    biases: int
    bias_optional: bool
    projection: bool
    peepholes: bool = False

    def builds(self, anatomy: Anatomy) -> bool:
        """Return whether the framework has such an LSTM."""
        return (self.projection or not anatomy.projection) and (self.bias_optional or anatomy.bias)

    def formula(self, anatomy: Anatomy) -> str:
        """Return the formula for the parameters of the first layer.

        >>> FRAMEWORKS[0].formula(Anatomy(units=64, inputs=50, projection=16))
        '4H(I + P + 2) + HP'
        """
        read = ["I", "P" if anatomy.projection else "H"] + [str(self.biases)] * anatomy.bias
        terms = [f"4H({' + '.join(read)})"] + ["3H"] * self.peepholes + ["HP"] * bool(anatomy.projection)
        return " + ".join(terms)


#: After each framework's reference or source: torch.nn.LSTM; keras.layers.LSTMCell.build;
#: tensorflow/python/ops/rnn_cell_impl.py, LSTMCell.build; the ONNX operator LSTM.
FRAMEWORKS = (
    Framework("pytorch", "PyTorch nn.LSTM", "row", 2, bias_optional=True, projection=True),
    Framework("keras", "Keras LSTM", "column", 1, bias_optional=True, projection=False),
    Framework("tensorflow1", "TensorFlow 1 LSTMCell", "column", 1, bias_optional=False, projection=True),
    Framework("tensorflow1", "  with peepholes", "column", 1, False, projection=True, peepholes=True),
    Framework("onnx", "ONNX LSTM", "row", 2, bias_optional=True, projection=False),
    Framework("onnx", "  with peepholes", "row", 2, True, projection=False, peepholes=True),
)

#: One thing, five words: here, then PyTorch nn.LSTM, Keras LSTM, TensorFlow 1 LSTMCell, ONNX LSTM.
FRAMEWORK_WORDS = (
    ("units, H", "hidden_size", "units", "num_units", "hidden_size"),
    ("inputs, I", "input_size", "inputs.shape[-1]", "inputs.shape[-1]", "input_size"),
    ("layer", "layer, num_layers", "layer", '"cell"', "node"),
    ("projection, P", "proj_size, and weight_hr_l0 (P, H)", "none",
     "num_proj, and projection/kernel (H, P)", "none"),
    ("sequence", "batch", "batch", "batch", "batch"),
    ("step", "seq_len", "timestep", "time step", "seq_length"),
    ("h, output", "output, h_n hidden state", "state_h memory state", "h or m", "Y, Y_h hidden"),
    ("c, cell state", "c_n cell state", "state_c carry state", "c", "Y_c cell"),
    ("g, cell input", "g, cell gate", "c", "j, new input", "c, cell gate"),
    ("gates in order", "i f g o", "i f c o", "i j f o", "i o f c"),
    ("weights on x", "weight_ih_l0 (4H, I)", "kernel (I, 4H)",
     "kernel, upper I of its I + R rows", "W (1, 4H, I)"),
    ("weights on h", "weight_hh_l0 (4H, R)", "recurrent_kernel (H, 4H)",
     "kernel, lower R of its I + R rows", "R (1, 4H, H)"),
    ("biases", "bias_ih_l0 (4H), bias_hh_l0 (4H)", "bias (4H)",
     "bias (4H); adds 1 to f, not stored", "B (1, 8H), both in one"),
    ("peepholes", "none", "none", "w_i_diag w_f_diag w_o_diag (H each)", "P (1, 3H), optional"),
)  # fmt: skip


def tensors(anatomy: Anatomy) -> pd.DataFrame:
    """Return every weight tensor of every layer, by PyTorch's names, with TENSOR_COLUMNS."""
    H, R, P = anatomy.units, anatomy.outputs, anatomy.projection
    R_letter = "P" if P else "H"
    rows: list[tuple[int, str, str, tuple[int, ...], str]] = []
    for layer in range(anatomy.layers):
        I_letter, below = ("I", "x[t]") if layer == 0 else (R_letter, f"h[t] of layer {layer - 1}")
        rows += [
            (layer, "weight_ih", f"(4H, {I_letter})", (4 * H, anatomy.seen(layer)), f"{below} into gates"),
            (layer, "weight_hh", f"(4H, {R_letter})", (4 * H, R), "h[t-1] into gates"),
        ]
        if anatomy.bias:
            rows += [
                (layer, "bias_ih", "(4H)", (4 * H,), "a bias for each gate of each unit"),
                (layer, "bias_hh", "(4H)", (4 * H,), "another one: only their sum matters"),
            ]
        if P:
            rows.append((layer, "weight_hr", "(P, H)", (P, H), "all units' o · tanh(c) into h[t]"))
    table = pd.DataFrame(rows, columns=["layer", "name", "letters", "shape", "meaning"])
    table["name"] += "_l" + table["layer"].astype(str)
    table["parameters"] = table["shape"].map(prod)
    return table[list(TENSOR_COLUMNS)]


def owned(anatomy: Anatomy, unit: int) -> pd.DataFrame:
    """Return which rows (or columns) of the weight matrices belong to one unit, in each framework.

    Each gate has a block of H rows, and the unit's row is number `unit` of each block.

    >>> owned(Anatomy(units=32, inputs=8), unit=5).query("framework == 'pytorch'")["index"].tolist()
    [5, 37, 69, 101]
    """
    anatomy.check_unit(unit)
    axes = {framework.key: framework.axis for framework in FRAMEWORKS}
    rows = [
        (name, axes[name], position, gate, position * anatomy.units + unit)
        for name, order in GATE_ORDERS.items()
        for position, gate in enumerate(order)
    ]
    return pd.DataFrame(rows, columns=list(OWNED_COLUMNS))


def recorded(anatomy: Anatomy) -> pd.DataFrame:
    """Return the axes and shapes of the inputs and of a layer's six variables, with RECORDED_COLUMNS."""
    rows = [("x", DIMS["inputs"], anatomy.inputs, "input of layer 0")]
    meanings = dict(VARIABLE_MEANINGS)
    if anatomy.projection:
        meanings["h"] = "output: mixtures of all units' o · tanh(c), none of them one unit's own"
    for variable, meaning in meanings.items():
        axes, size = (DIMS["output"], anatomy.outputs) if variable == "h" else (DIMS["unit"], anatomy.units)
        rows.append((variable, axes, size, meaning))
    table = pd.DataFrame(rows, columns=["variable", "axes", "size", "meaning"])
    table["shape"] = [f"({', '.join(axes[:2])}, {size})" for axes, size in zip(table["axes"], table["size"])]
    return table[list(RECORDED_COLUMNS)]


def parameters(anatomy: Anatomy) -> pd.DataFrame:
    """Return the parameters of each gate, and of the projection, in each layer and framework.

    One unit's gate has a weight for each feature that the layer reads, one for each element of h[t-1], and
    its biases; its share of the projection is one column. A framework without such an LSTM has no rows.

    >>> table = parameters(Anatomy(units=10, inputs=3)).query("framework == 'pytorch'")
    >>> table["per_unit"].tolist(), int(table["in_layer"].sum())
    ([15, 15, 15, 15], 600)
    """
    rows = []
    for framework in FRAMEWORKS:
        if not framework.builds(anatomy):
            continue
        biases = framework.biases * anatomy.bias
        for layer in range(anatomy.layers):
            gate = anatomy.seen(layer) + anatomy.outputs + biases
            parts = {g: gate + (framework.peepholes and g != "g") for g in GATE_ORDERS[framework.key]}
            if anatomy.projection:
                parts["projection"] = anatomy.projection
            for part, n in parts.items():
                rows.append((framework.key, framework.peepholes, layer, part, n, n * anatomy.units))
    return pd.DataFrame(rows, columns=list(PARAMETER_COLUMNS))
