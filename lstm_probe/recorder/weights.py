"""One layer's weights in one direction, as a module has them or a kernel takes them."""

import warnings
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.vocabulary import GATE_ORDERS

States = tuple[Tensor, ...]
GATES = GATE_ORDERS["pytorch"]
#: The names of an LSTM's weights without their suffix, in the order in which PyTorch's kernel takes them.
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")

BLOCK_BYTES = 2**21  # of pre-activations at a time: about a core's share of cache


class Weights:
    """One layer's weights in one direction, in PyTorch's shapes and gate order; the two biases added up.

    Attributes:
        named: all of them by PyTorch's own names, without the suffix.
        cell: what they are of.
        w_ih: (block · unit, feature), of an LSTM four blocks.
        w_hh: (block · unit, output).
        bias: (block · unit), or None.
        w_hr: the projection, (output, unit), or None.
    """

    def __init__(self, named: Mapping[str, Tensor], cell: Cell = LSTM) -> None:
        self.named, self.cell = {name: values.detach() for name, values in named.items()}, cell
        self.w_ih, self.w_hh = self.named["weight_ih"], self.named["weight_hh"]
        self.w_hr = self.named.get("weight_hr")
        self.bias = self.named["bias_ih"] + self.named["bias_hh"] if "bias_ih" in named else None
        self.units, self.outputs = self.w_hh.shape[0] // len(cell.blocks), self.w_hh.shape[1]

    def cpu(self) -> "Weights":
        """Return them in the memory of the processor."""
        return Weights({name: values.cpu() for name, values in self.named.items()}, self.cell)

    @classmethod
    def of(cls, lstm: nn.RNNBase | nn.RNNCellBase | GatedRNN, layer: int = 0, direction: str = "forward") -> "Weights":
        """Return the weights that a module has now."""
        cell = cell_of(lstm)
        suffix = "" if isinstance(lstm, nn.RNNCellBase) else f"_l{layer}" + "_reverse" * (direction == "reverse")
        named = {name: getattr(lstm, name + suffix, None) for name in _names(cell)}
        return cls({name: values for name, values in named.items() if values is not None}, cell)

    @classmethod
    def of_flat(cls, flat: Sequence[Tensor], parts: int, bias: bool, cell: Cell = LSTM) -> list["Weights"]:
        """Return the weights of each layer and direction from the list that a kernel takes."""
        each = len(flat) // parts
        names = [name for name in _names(cell) if bias or not name.startswith("bias")]
        return [cls(dict(zip(names, flat[k : k + each])), cell) for k in range(0, len(flat), each)]

    def to(self, where: torch.dtype | torch.device | str) -> "Weights":
        """Return the same weights on another device, or as another type of numbers."""
        return Weights({name: values.to(where) for name, values in self.named.items()}, self.cell)

    def rows(self, gates: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return bias (1, ...), what multiplies x and what multiplies h (both transposed), of these gates in order."""
        first = torch.arange(self.units, device=self.w_ih.device)  # not where new tensors are made for the user
        index = torch.cat([first + GATES.index(gate) * self.units for gate in gates])
        bias = self.w_ih.new_zeros(len(index)) if self.bias is None else self.bias[index]
        return bias.unsqueeze(0), self.w_ih[index].T.contiguous(), self.w_hh[index].T.contiguous()

    def fused(self, x: Float[Tensor, "time sequence feature"], state: States) -> Float[Tensor, "time sequence output"]:
        """Return h as PyTorch's own kernel computes it."""
        projection = 0 if self.w_hr is None else self.outputs
        shell = nn.LSTM(x.shape[-1], self.units, bias=self.bias is not None, proj_size=projection, device="meta")
        named = {f"{name}_l0": values for name, values in self.named.items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
            h: Tensor = functional_call(shell, named, (x, (state[0].unsqueeze(0), state[1].unsqueeze(0))))[0]
        return h


def _names(cell: Cell) -> tuple[str, ...]:
    return WEIGHTS if cell == LSTM else cell.weights()
