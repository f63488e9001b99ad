"""GatedRNN: any declared cell as a module that is made and called as `nn.LSTM` and `nn.GRU` are."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.overrides import handle_torch_function, has_torch_function

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import get_cell
from lstm_probe.cells.steps import StepKernel, reversed_steps
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import BESIDE_WEIGHTS


class GatedRNN(nn.Module):
    """Layers of any declared cell, with the arguments, weights' names and results of `nn.LSTM`.

    Args:
        input_size: features of an input.
        hidden_size: units of each layer.
        num_layers: how many layers.
        bias: whether there are biases.
        batch_first: whether sequences come first, then time.
        dropout: of h between layers, while it trains.
        bidirectional: whether each layer also runs backward.
        cell: the cell, or its name.
        backward: whether it reads from the last step to the first; what it returns stands where it was read, and the
            final state is that after the first step.

    Called on (sequence, time, feature) as `batch_first` has it, on (time, feature), or on packed sequences, and on an
    initial state: one tensor (layer x direction, sequence, unit) where h is all that is carried, else a tuple of them
    in the order of `cell.state`. Returns h of every step and the last state, in the same forms.

    Raises:
        InputError: both backward and bidirectional, or no such cell.

    >>> import torch
    >>> rnn = GatedRNN(3, 8, batch_first=True, cell="lstm+peepholes")
    >>> h, (last_h, last_c) = rnn(torch.randn(4, 10, 3))
    >>> h.shape, last_c.shape
    (torch.Size([4, 10, 8]), torch.Size([1, 4, 8]))
    """

    cell: Cell

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, *, cell: Cell | str, backward: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if backward and bidirectional:
            raise InputError("backward=True: a layer that is bidirectional reads from both ends")
        self.cell = get_cell(cell) if isinstance(cell, str) else cell
        self.kernel = StepKernel(self.cell)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.backward, self.proj_size = bidirectional, backward, 0
        self._flat_weights_names: list[str] = []
        for layer in range(num_layers):
            wide = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                for name in self.cell.weights(bias):
                    whole = f"{name}_l{layer}{suffix}"
                    shape = self.cell.shape(name, wide, hidden_size)
                    setattr(self, whole, nn.Parameter(torch.empty(shape)))
                    self._flat_weights_names.append(whole)
        self._kept_weights: list[Tensor] = []
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights as PyTorch does, within ± 1/√units; what is multiplied by normalised values begins at 1.

        What is added to them (the last row of `norm_c`) begins at 0.
        """
        most = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for name in self._flat_weights_names:
            weight = self.get_parameter(name)
            if name.startswith("norm_c"):
                weight[0], weight[1] = 1, 0
            elif name.startswith("norm_"):
                weight.fill_(1)
            else:
                weight.uniform_(-most, most)

    @property
    def _flat_weights(self) -> list[Tensor]:
        """The weights as they are now, as a kernel takes them; the same list as long as they are the same."""
        now = [getattr(self, name) for name in self._flat_weights_names]
        if len(now) != len(self._kept_weights) or any(a is not b for a, b in zip(now, self._kept_weights)):
            object.__setattr__(self, "_kept_weights", now)
        return self._kept_weights

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept_weights": []}

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put the weights into a state dict, and into its notes on modules what they are of, which they do not tell."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if (notes := getattr(destination, "_metadata", None)) is not None:
            said = {"cell": self.cell.name} | ({"backward": True} if self.backward else {})
            notes.setdefault(prefix[:-1], {})[BESIDE_WEIGHTS] = said

    def extra_repr(self) -> str:
        """Return what stands between the brackets where the module is shown."""
        told = [f"{self.input_size}, {self.hidden_size}", f"cell={self.cell.name}"]
        usual: Mapping[str, Any] = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
                                    "bidirectional": False, "backward": False}  # fmt: skip
        told += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(told)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return h of every step, and the last state."""
        if self.backward:
            return self._read_backward(input, hx)
        return self._read(input, hx)

    def _read(self, given: Any, hx: Any) -> tuple[Any, Any]:
        packed = isinstance(given, PackedSequence)
        x = given.data if packed else given
        alone = not packed and x.dim() == 2
        x = x.unsqueeze(0 if self.batch_first else 1) if alone else x
        if x.dim() != (2 if packed else 3) or x.shape[-1] != self.input_size or 0 in x.shape:
            raise InputError(f"inputs of shape {tuple(given.data.shape if packed else given.shape)}: this "
                             f"{self.cell.title} takes {self.input_size} features, and at least one step")  # fmt: skip
        n = int(given.batch_sizes[0]) if packed else x.shape[0 if self.batch_first else 1]
        shape = (self.num_layers * (1 + self.bidirectional), n, self.hidden_size)
        if hx is None:
            state = self.cell.start(x, shape)
        else:
            state = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
            state = tuple(one.unsqueeze(1) for one in state) if alone else state
            if len(state) != len(self.cell.state) or any(one.shape != shape for one in state):
                raise InputError(f"hx: must be {' '.join(self.cell.state)}, each of shape {shape}")
            if packed and given.sorted_indices is not None:
                state = tuple(one[:, given.sorted_indices] for one in state)
        rest = (state, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        args = (x, given.batch_sizes, *rest) if packed else (x, *rest, self.batch_first)
        h, *last = called(self.kernel, *args)
        if packed:
            shown: Any = PackedSequence(h, given.batch_sizes, given.sorted_indices, given.unsorted_indices)
            if given.unsorted_indices is not None:
                last = [one[:, given.unsorted_indices] for one in last]
        elif alone:
            shown, last = h.squeeze(0 if self.batch_first else 1), [one.squeeze(1) for one in last]
        else:
            shown = h
        return shown, last[0] if len(last) == 1 else tuple(last)

    def _read_backward(self, given: Any, hx: Any) -> tuple[Any, Any]:
        if isinstance(given, PackedSequence):
            shown, state = self._read(_reversed(given), hx)
            return _reversed(shown), state
        time = 0 if given.dim() == 2 or not self.batch_first else 1
        shown, state = self._read(given.flip(time), hx)
        return shown.flip(time), state


#: Modules that do all steps in one call.
Layers = nn.RNNBase | GatedRNN


def called(kernel: StepKernel, *args: Any) -> tuple[Tensor, ...]:
    """Call a kernel so that whoever watches torch's functions sees it."""
    tensors = (args[0],)
    if has_torch_function(tensors):
        made: tuple[Tensor, ...] = handle_torch_function(kernel, tensors, *args)
        return made
    return kernel(*args)


def _reversed(packed: PackedSequence) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed)
    turned = reversed_steps(padded, lengths.to(padded.device))
    return pack_padded_sequence(turned, lengths, enforce_sorted=False)
