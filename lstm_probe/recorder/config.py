"""What is needed to build a recurrent module anew: its cell, its sizes, and how it began."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRU
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import GatedRNN, Layers
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import seed_torch
from lstm_probe.core.vocabulary import DIRECTIONS, FUSED_RNNS, UNKNOWN
from lstm_probe.recorder.backward import BackwardLSTM
from lstm_probe.recorder.initial import OWN_FORGET_BIAS, USUAL, USUAL_WITHOUT, initialise, origin_of


@dataclass(frozen=True)
class LSTMConfig:
    """What is needed to build an untrained network of the same architecture.

    Args:
        inputs: features of an input.
        units: memories in each layer (and direction).
        layers: how many layers.
        projection: length of h where a projection shortens it, 0 where there is none.
        bias: whether there are biases.
        bidirectional: whether each layer also runs backward.
        init: how it began: an initialisation of `initial.initialise`, or unknown.
        forget_bias: likewise; None for the initialisation's own.
        backward: whether it reads from the end alone (`BackwardLSTM`).
        cell: what its units are.
    """

    inputs: int
    units: int
    layers: int = 1
    projection: int = 0
    bias: bool = True
    bidirectional: bool = False
    init: str = UNKNOWN
    forget_bias: float | None = None
    backward: bool = False
    cell: Cell = LSTM

    @classmethod
    def of(cls, lstm: Layers | nn.RNNCellBase) -> "LSTMConfig":
        """Return the configuration of a module."""
        origin, cell = origin_of(lstm), cell_of(lstm)
        if isinstance(lstm, nn.RNNCellBase):
            return cls(lstm.input_size, lstm.hidden_size, 1, 0, lstm.bias, False, *origin, False, cell)
        return cls(
            lstm.input_size, lstm.hidden_size, lstm.num_layers, lstm.proj_size, bool(lstm.bias),
            bool(lstm.bidirectional), *origin, is_backward(lstm), cell,
        )  # fmt: skip

    @property
    def begins_at(self) -> float | None:
        """What its forget gates' biases begin at, as far as that is known."""
        return OWN_FORGET_BIAS.get(self.init) if self.forget_bias is None else self.forget_bias

    @property
    def origin(self) -> str:
        """How it began, in a word: "keras", or "torch, forget bias 1"."""
        if self.forget_bias is None or self.forget_bias == OWN_FORGET_BIAS.get(self.init):
            return self.init
        return f"{self.init}, forget bias {self.forget_bias:g}"

    @property
    def usual(self) -> tuple["LSTMConfig", ...]:
        """Return untrained networks' configurations: its own, or all usual ones where it is unknown how it began."""
        if self.init != UNKNOWN:
            return (self,)
        if self.cell.keeps != "f" or "f" not in self.cell.blocks:  # then nobody begins it otherwise
            return tuple(replace(self, init=init) for init in USUAL_WITHOUT)
        return tuple(
            replace(self, init=init, forget_bias=bias if self.bias else None)
            for init, bias in USUAL
            if (self.bias or (init != "chrono" and OWN_FORGET_BIAS[init] == bias))
            and (init != "chrono" or "i" in self.cell.blocks)
        )

    def build(self, seed: int, steps: int = 100) -> Layers:
        """Return a fresh module (batch first), drawn from `seed` alone; of unknown origin, as PyTorch does.

        `steps` is the longest dependence that chrono spans.
        """
        init = "torch" if self.init == UNKNOWN else self.init
        with torch.random.fork_rng(devices=[]):
            seed_torch(seed)
            lstm = make_layers(
                self.cell, self.inputs, self.units, self.layers, bias=self.bias, bidirectional=self.bidirectional,
                projection=self.projection, backward=self.backward,
            )  # fmt: skip
            seed_torch(seed)
            return initialise(lstm, init, self.forget_bias, steps)

    @property
    def parts(self) -> tuple[tuple[int, str], ...]:
        """Return every (layer, direction), lowest layer first."""
        directions = DIRECTIONS if self.bidirectional else DIRECTIONS[self.backward :][:1]
        return tuple((layer, direction) for layer in range(self.layers) for direction in directions)


def is_backward(module: nn.Module) -> bool:
    """Return whether a module reads from the end alone."""
    return isinstance(module, BackwardLSTM) or (isinstance(module, GatedRNN) and module.backward)


def make_layers(
    cell: Cell, inputs: int, units: int, layers: int = 1, *, bias: bool = True, bidirectional: bool = False,
    projection: int = 0, backward: bool = False,
) -> Layers:  # fmt: skip
    """Return fresh layers of a cell, batch first: PyTorch's own module where there is one.

    Raises:
        InputError: a projection of anything but an LSTM.
    """
    if cell == LSTM:
        return (BackwardLSTM if backward else nn.LSTM)(
            inputs, units, layers, bias=bias, batch_first=True, bidirectional=bidirectional, proj_size=projection
        )
    if projection:
        raise InputError(f"projection={projection}: only an LSTM has one, not {cell.title}")
    if cell == GRU and not backward:
        return nn.GRU(inputs, units, layers, bias=bias, batch_first=True, bidirectional=bidirectional)
    if cell.name in FUSED_RNNS and not backward:
        return nn.RNN(inputs, units, layers, nonlinearity=FUSED_RNNS[cell.name], bias=bias, batch_first=True,
                      bidirectional=bidirectional)  # fmt: skip
    return GatedRNN(inputs, units, layers, bias, True, bidirectional=bidirectional, cell=cell, backward=backward)
