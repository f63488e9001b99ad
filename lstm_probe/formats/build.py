"""From one cell's arrays to an `nn.LSTM`: what every reader of a file ends with."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.core.budget import spend
from lstm_probe.core.errors import InputError
from lstm_probe.formats.gates import reorder
from lstm_probe.recorder.backward import BackwardLSTM


@dataclass(frozen=True)
class Cell:
    """One layer's weights in one direction, with PyTorch's names, shapes and gate order.

    Args:
        weight_ih: (4 x units, features).
        weight_hh: (4 x units, outputs); outputs equals units unless there is a projection.
        bias_ih: (4 x units,), or None where the cell has no bias.
        bias_hh: likewise; zeros where the file has one bias alone.
        weight_hr: (outputs, units), the projection, or None.
    """

    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias_ih: np.ndarray | None = None
    bias_hh: np.ndarray | None = None
    weight_hr: np.ndarray | None = None

    @property
    def units(self) -> int:
        """Return how many memories the cell has, by its weights' rows."""
        return len(self.weight_ih) // 4

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
    ) -> "Cell":
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


def dtype_of(lstm: nn.LSTM) -> torch.dtype:
    """Return the type of an LSTM's weights."""
    return lstm.get_parameter("weight_ih_l0").dtype


def build_lstm(where: str, layers: Sequence[Sequence[Cell]], *, backward: bool = False) -> nn.LSTM:
    """Return the `nn.LSTM` (batch first, evaluation mode) of these cells.

    Args:
        where: what to call it in an error: the file and the layer.
        layers: lowest first; each has its forward cell, and its reverse cell where it has two directions.
        backward: whether the one direction is from the last step to the first: a `BackwardLSTM`.

    Raises:
        InputError: cells that do not fit together as one `nn.LSTM`.
    """
    first, directions = layers[0][0], len(layers[0])
    width = first.weight_ih.shape[1]
    has_bias = any(cell.bias_ih is not None for cells in layers for cell in cells)
    weights: dict[str, np.ndarray] = {}
    for k, cells in enumerate(layers):
        if len(cells) != directions:
            raise InputError(f"{where}: layers with one and with two directions cannot be one nn.LSTM")
        for cell, suffix in zip(cells, ("", "_reverse")):
            own = _filled(cell) if has_bias else cell
            _check_shapes(f"{where}, layer {k}", own, first, width)
            weights |= {
                f"{name}_l{k}{suffix}": array
                for name, array in zip(Cell.__dataclass_fields__, astuple(own))
                if array is not None
            }
        width = directions * first.outputs
    dtype = torch_dtype(*weights.values())
    lstm = (BackwardLSTM if backward else nn.LSTM)(
        first.weight_ih.shape[1], first.units, len(layers), bias=has_bias, batch_first=True,
        bidirectional=directions == 2, proj_size=0 if first.weight_hr is None else first.outputs, dtype=dtype,
    )  # fmt: skip
    lstm.load_state_dict({name: as_tensor(f"{where}, {name}", array, dtype) for name, array in weights.items()})
    return lstm.eval()


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


def _filled(cell: Cell) -> Cell:
    """Return the cell with zeros where it has no bias."""
    zeros = np.zeros(cell.weight_ih.shape[0], cell.weight_ih.dtype)
    return replace(
        cell,
        bias_ih=zeros if cell.bias_ih is None else cell.bias_ih,
        bias_hh=zeros if cell.bias_hh is None else cell.bias_hh,
    )


def _check_shapes(where: str, cell: Cell, first: Cell, width: int) -> None:
    units, outputs = first.units, first.outputs
    projected = first.weight_hr is not None
    wanted = {
        "weight_ih": (4 * units, width),
        "weight_hh": (4 * units, outputs),
        "bias_ih": (4 * units,),
        "bias_hh": (4 * units,),
        "weight_hr": (outputs, units),
    }
    for name, shape in wanted.items():
        array = getattr(cell, name)
        if array is not None and array.shape != shape:
            raise InputError(f"{where}: {name} of shape {array.shape}; must be {shape}, to be one nn.LSTM")
    if projected != (cell.weight_hr is not None) or (not projected and outputs != units) or units < 1 or width < 1:
        raise InputError(f"{where}: {units} units with an h of {outputs} and inputs of {width}: no LSTM has this shape")
    if projected and outputs >= units:
        raise InputError(f"{where}: a projection to {outputs} of {units} units; nn.LSTM takes only shorter ones")
