"""From the arrays of layers to a module that runs them: what every reader of a file ends with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRU, RNN
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import Layers
from lstm_probe.core.budget import spend
from lstm_probe.core.errors import InputError
from lstm_probe.formats.gates import reorder
from lstm_probe.recorder.config import make_layers

#: PyTorch's names of an LSTM's weights, without the suffix.
PLAIN = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


@dataclass(frozen=True)
class Arrays:
    """One layer's weights in one direction, with PyTorch's names, shapes and order of blocks.

    Args:
        weight_ih: (blocks x units, features), of an LSTM four blocks.
        weight_hh: (blocks x units, outputs); outputs equals units unless there is a projection.
        bias_ih: (blocks x units,), or None where the layer has no bias.
        bias_hh: likewise; zeros where the file has one bias alone.
        weight_hr: (outputs, units), the projection, or None.
        more: what else its cell has, by name (`cells.Cell.extra`), such as peephole (3, units).
    """

    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias_ih: np.ndarray | None = None
    bias_hh: np.ndarray | None = None
    weight_hr: np.ndarray | None = None
    more: Mapping[str, np.ndarray] = field(default_factory=dict)

    def named(self) -> dict[str, np.ndarray]:
        """Return what there is, by PyTorch's names without the suffix."""
        return {name: array for name in PLAIN if (array := getattr(self, name)) is not None} | dict(self.more)

    @property
    def outputs(self) -> int:
        """Return the length of its h."""
        return int(self.weight_hh.shape[1])

    @classmethod
    def of_kernels(
        cls,
        where: str,
        framework: str,
        kernel: np.ndarray,
        recurrent: np.ndarray,
        bias: np.ndarray | None = None,
        projection: np.ndarray | None = None,
    ) -> "Arrays":
        """Return the cell of a framework that keeps (features, gates) and one bias: Keras, TensorFlow 1.

        Args:
            where: what to call it in an error.
            framework: whose gate order it is, a key of `vocabulary.GATE_ORDERS`.
            kernel: (features, 4 x units).
            recurrent: (outputs, 4 x units).
            bias: (4 x units,), or None.
            projection: (units, outputs), or None.

        Raises:
            InputError: arrays whose shapes do not fit each other.
        """
        arrays = {"kernel": (kernel, 2), "recurrent kernel": (recurrent, 2), "bias": (bias, 1)}
        wide = kernel.shape[-1] if kernel.ndim else 0
        for name, (array, rank) in arrays.items():
            if array is not None and (array.ndim != rank or array.shape[-1] != wide or wide % 4 or not array.size):
                raise InputError(
                    f"{where}: {name} of shape {array.shape}; an LSTM's ends in 4 x units like its kernel's "
                    f"{kernel.shape}"
                )
        return cls(
            reorder(kernel, framework).T,
            reorder(recurrent, framework).T,
            None if bias is None else reorder(bias, framework),
            None if bias is None else np.zeros_like(bias),
            None if projection is None else projection.T,
        )


def as_tensor(where: str, array: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Return a weight as a tensor of its own memory; an InputError where it is not finite floating point."""
    spend(2 * array.size * dtype.itemsize, where)  # in PyTorch's order, and as a tensor
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{where}: weights of type {array.dtype}; must be floating point (not quantised)")
    if not np.isfinite(array).all():
        raise InputError(f"{where}: has weights that are not finite (NaN or infinite)")
    return torch.tensor(np.ascontiguousarray(array), dtype=dtype)


def torch_dtype(*arrays: np.ndarray | None) -> torch.dtype:
    """Return float64 where a weight is, else float32: the types in which the weights keep every digit."""
    return torch.float64 if any(a is not None and a.dtype == np.float64 for a in arrays) else torch.float32


def dtype_of(layers: Layers) -> torch.dtype:
    """Return the type of its weights."""
    return layers.get_parameter("weight_ih_l0").dtype


def build_layers(
    where: str, layers: Sequence[Sequence[Arrays]], *, cell: Cell = LSTM, backward: bool = False
) -> Layers:
    """Return the module (batch first, evaluation mode) that runs these weights: an `nn.LSTM` wherever it can be one.

    Args:
        where: what to call it in an error: the file and the layer.
        layers: lowest first; each has its forward weights, and its reverse ones where it has two directions.
        cell: what they are of.
        backward: whether the one direction is from the last step to the first.

    Raises:
        InputError: weights that do not fit together as one module.
    """
    first, directions = layers[0][0], len(layers[0])
    width, units = first.weight_ih.shape[1], len(first.weight_ih) // len(cell.blocks)
    has_bias = any(own.bias_ih is not None for each in layers for own in each)
    weights: dict[str, np.ndarray] = {}
    for k, each in enumerate(layers):
        if len(each) != directions:
            raise InputError(f"{where}: layers with one and with two directions cannot be one module")
        for own, suffix in zip(each, ("", "_reverse")):
            filled = _filled(own) if has_bias else own
            _check_shapes(f"{where}, layer {k}", cell, filled, first, width)
            weights |= {f"{name}_l{k}{suffix}": array for name, array in filled.named().items()}
        width = directions * first.outputs
    dtype = torch_dtype(*weights.values())
    made = make_layers(
        cell, first.weight_ih.shape[1], units, len(layers), bias=has_bias, bidirectional=directions == 2,
        projection=0 if first.weight_hr is None else first.outputs, backward=backward,
    ).to(dtype)  # fmt: skip
    made.load_state_dict({name: as_tensor(f"{where}, {name}", array, dtype) for name, array in weights.items()})
    return made.eval()


def build_linear(where: str, weight: np.ndarray, bias: np.ndarray | None, dtype: torch.dtype) -> nn.Linear:
    """Return a linear layer from its weight (outputs, width) and bias (outputs,)."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=dtype)
    arrays = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    linear.load_state_dict({name: as_tensor(f"{where}, {name}", array, dtype) for name, array in arrays.items()})
    return linear.eval()


def build_embedding(where: str, weight: np.ndarray, dtype: torch.dtype) -> nn.Embedding:
    """Return an embedding from its table (tokens, features)."""
    table: nn.Embedding = nn.Embedding.from_pretrained(as_tensor(where, weight, dtype))
    return table.eval()


def _filled(own: Arrays) -> Arrays:
    """Return the same with zeros where there is no bias."""
    zeros = np.zeros(own.weight_ih.shape[0], own.weight_ih.dtype)
    return replace(
        own,
        bias_ih=zeros if own.bias_ih is None else own.bias_ih,
        bias_hh=zeros if own.bias_hh is None else own.bias_hh,
    )


def _check_shapes(where: str, cell: Cell, own: Arrays, first: Arrays, width: int) -> None:
    rows, outputs = len(first.weight_ih), first.outputs
    units = rows // len(cell.blocks)
    projected = first.weight_hr is not None
    wanted = {
        "weight_ih": (rows, width), "weight_hh": (rows, outputs), "bias_ih": (rows,), "bias_hh": (rows,),
        "weight_hr": (outputs, units), **{name: cell.shape(name, width, units) for name in cell.extra},
    }  # fmt: skip
    there = own.named()
    kind = f"nn.{cell.title}" if cell in (LSTM, GRU, RNN) else cell.title
    for name, shape in wanted.items():
        if name in cell.extra and name not in there:
            raise InputError(f"{where}: has no {name}, which {cell.a_title} needs")
        if name in there and there[name].shape != shape:
            raise InputError(f"{where}: {name} of shape {there[name].shape}; must be {shape}, to be one {kind}")
    odd = rows % len(cell.blocks) or units < 1 or width < 1
    if projected != (own.weight_hr is not None) or (not projected and outputs != units) or odd:
        raise InputError(
            f"{where}: {units} units with an h of {outputs} and inputs of {width}: no {cell.title} has this shape"
        )
    if projected and outputs >= units:
        raise InputError(f"{where}: a projection to {outputs} of {units} units; nn.LSTM takes only shorter ones")
