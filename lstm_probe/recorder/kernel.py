"""Calls of recurrent kernels, seen where they happen, whatever stands around them.

`nn.LSTM.forward` ends in one call of `torch._VF.lstm`, `nn.LSTMCell.forward` in one of `torch._VF.lstm_cell`, those of
`nn.GRU` and `nn.RNN` in such ones of their own, and a `GatedRNN`'s in one of its `StepKernel`. What is handed to them
is what really ran: inputs after every hook and every `forward` of a subclass, the states, and the weights after
pruning, weight norm and parametrizations.
"""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN, called
from lstm_probe.cells.steps import StepKernel
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.order import who_called

#: Modules whose units can be recorded: all steps in one call, or one step in each.
Recordable = nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell | nn.RNN | nn.RNNCell | GatedRNN
#: Of an LSTM (h, c), of other cells what they carry, h first.
States = tuple[Tensor, ...]
LSTM, CELL = torch._VF.lstm, torch._VF.lstm_cell
#: The kernels of other modules of PyTorch.
LAYERS = (LSTM, torch._VF.gru, torch._VF.rnn_tanh, torch._VF.rnn_relu)
STEPS = (CELL, torch._VF.gru_cell, torch._VF.rnn_tanh_cell, torch._VF.rnn_relu_cell)


def is_stepwise(module: nn.Module) -> bool:
    """Return whether each call of a module is one step."""
    return isinstance(module, nn.RNNCellBase)


@dataclass
class Arguments:
    """What a kernel is called with; `packed` is None for tensors, else the batch sizes of packed sequences.

    `state` holds what it begins with, h first; a kernel that carries h alone takes it alone, which is `one_state`.
    """

    inputs: Tensor
    packed: Tensor | None
    state: Sequence[Tensor]
    weights: list[Tensor]
    bias: bool
    layers: int
    dropout: float
    training: bool
    bidirectional: bool
    batch_first: bool = True
    one_state: bool = False

    @classmethod
    def of(cls, args: Sequence[Any]) -> "Arguments":
        """Return the arguments of one call by name."""
        packed = isinstance(args[3], list | tuple)
        inputs, batch_sizes, state, *rest = args if packed else (args[0], None, *args[1:])
        given = cls(inputs, batch_sizes, state_of(state), *rest)
        given.one_state = isinstance(state, Tensor)
        return given

    @property
    def drops(self) -> bool:
        """Return whether some of h between layers is dropped."""
        return self.training and self.dropout > 0 and self.layers > 1

    @property
    def args(self) -> tuple[Any, ...]:
        """Return them as the kernel takes them."""
        state = self.state[0] if self.one_state else self.state
        rest = (state, self.weights, self.bias, self.layers, self.dropout, self.training, self.bidirectional)
        if self.packed is None:
            return self.inputs, *rest, self.batch_first
        return self.inputs, self.packed, *rest

    @torch.no_grad()
    def lower(self, func: Any, random: Tensor | None) -> list[Tensor]:
        """Return h of every layer but the top one, as the kernel `func` gives it of that layer alone.

        To the last bit what the next layer read, which is what counts where a network is chaotic: the same sums in the
        same order, from tensors that lie in memory as they lay. `random` is as `KernelCall` has it.
        """
        each, sides = len(self.weights) // self.layers, 1 + self.bidirectional
        now = self
        shown: list[Tensor] = []
        with same_random_numbers(random), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
            warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
            for k in range(self.layers - 1):
                if k and self.drops:
                    swapped = self.packed is None and self.batch_first  # it drops steps before sequences
                    h = shown[-1].transpose(0, 1) if swapped else shown[-1]
                    h = functional.dropout(h, self.dropout)
                    now = replace(now, inputs=h.transpose(0, 1) if swapped else h)
                elif k:
                    now = replace(now, inputs=shown[-1])
                state = [one[k * sides : (k + 1) * sides] for one in self.state]
                now = replace(now, state=state, weights=self.weights[k * each : (k + 1) * each], layers=1)
                shown.append(func(*now.args)[0])
        return shown

    @property
    def sequences(self) -> int:
        """Return how many there are."""
        return self.inputs.shape[0 if self.batch_first else 1] if self.packed is None else int(self.packed[0])

    def padded(self, values: Tensor, copy: bool = True) -> tuple[Tensor, Tensor | None]:
        """Return inputs or outputs as (sequence, time, feature), and the lengths of packed sequences.

        Sequences are in the kernel's order: packed ones with the longest first.
        """
        values = values.detach()
        if self.packed is None:
            values = values if self.batch_first else values.transpose(0, 1)
            return values.clone() if copy else values, None
        padded, lengths = pad_packed_sequence(PackedSequence(values, self.packed), batch_first=True)
        return padded, lengths.to(values.device)


@dataclass(frozen=True)
class KernelCall:
    """One call of the LSTM kernel and what came of it; sequences are in the kernel's order.

    Attributes:
        inputs: what went in.
        lengths: of packed sequences; else None.
        state: what it began with, as the module takes it: (h0, c0) of an LSTM.
        weights: as the kernel takes them.
        bias: whether there are biases among them.
        h: of the top layer, its directions side by side.
        lower: the same of the layers below, from the first one on, where they are known.
        last: the state of every layer and direction after the last step.
        dropout: the share of h between layers that was dropped.
        random: the state of the random numbers just before, where there was dropout.
    """

    inputs: Float[Tensor, "sequence time feature"]
    lengths: Int[Tensor, " sequence"] | None
    state: States
    weights: list[Tensor]
    bias: bool
    h: Float[Tensor, "sequence time output"]
    last: States
    lower: Sequence[Float[Tensor, "sequence time output"]] = ()
    dropout: float = 0.0
    random: Tensor | None = None

    def shown(self, k: int, config: LSTMConfig) -> Float[Tensor, "sequence time output"] | None:
        """Return h of part `k` of `config.parts`, or None where it is not known."""
        sides = 1 + config.bidirectional
        every = [*self.lower, self.h] if self.lower else [None] * (config.layers - 1) + [self.h]
        h = every[k // sides]
        return None if h is None else h.chunk(sides, -1)[k % sides]


@contextmanager
def same_random_numbers(random: Tensor | None) -> Iterator[None]:
    """Within this context the processor draws what it drew from the state `random` on; then all is as it was."""
    with torch.random.fork_rng(devices=[]) if random is not None else nullcontext():
        if random is not None:
            torch.set_rng_state(random)
        yield


class Watching(TorchFunctionMode):
    """Within this context, every kernel call of one module goes by way of `handle(func, args)`, which has to run it.

    A call of all steps is known by its weights, which are the module's own; one of a single step by
    `weight_ih`, or, where that is computed anew each time or is `tied` to another module's, by happening `inside` the
    module's own call. `beside(func, args, kwargs, result)` is told of every call.
    """

    def __init__(
        self, lstm: Recordable, handle: Callable[[Any, tuple[Any, ...]], Any], inside: Callable[[], bool],
        tied: bool = False, beside: Callable[..., None] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.beside = beside
        self.lstm, self.handle, self.inside, self.tied = lstm, handle, inside, tied

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pass everything on but the module's own kernel."""
        if isinstance(func, StepKernel) or func in LAYERS:
            weights = args[3] if isinstance(args[3], list | tuple) else args[2]
            own = not is_stepwise(self.lstm) and self._is_own(weights, sys._getframe(1))
        elif func in STEPS and is_stepwise(self.lstm):
            own = self.inside() or (not self.tied and args[2] is self.lstm._parameters.get("weight_ih"))
        else:
            own = False
        if own:
            made = self.handle(func, args)
        else:
            made = called(func, *args) if isinstance(func, StepKernel) else func(*args, **(kwargs or {}))
        if self.beside is not None:
            self.beside(func, args, kwargs or {}, made)
        return made

    def _is_own(self, weights: Sequence[Tensor], asks: FrameType) -> bool:
        """Return whether a kernel's weights are the module's: its list, or the same in one that no other has."""
        own: Any = self.lstm._flat_weights
        if weights is own or len(weights) != len(own) or any(a is not b for a, b in zip(weights, own)):
            return weights is own
        caller = who_called(asks)
        others = caller.f_locals.get("self") if caller is not None else None
        return others is self.lstm or not isinstance(others, Recordable)


@contextmanager
def watching(
    lstm: Recordable, handle: Callable[[Any, tuple[Any, ...]], Any], beside: Callable[..., None] | None = None
) -> Iterator[None]:
    """Within this context every kernel call of `lstm` goes by way of `handle`; for who has no hooks of their own.

    Raises:
        InputError: some calls of `lstm` ran its kernel, and others did not, or in a thread of their own.
    """
    depth: list[int] = []
    handled = unseen = 0

    def handling(func: Any, args: tuple[Any, ...]) -> Any:
        nonlocal handled
        handled += 1
        return handle(func, args)

    def left(*_: object) -> None:
        nonlocal unseen
        before = depth.pop() if depth else None
        unseen += not depth and before == handled  # a call within another is made by what handles that

    hooks = [
        lstm.register_forward_pre_hook(lambda *_: depth.append(handled)),
        lstm.register_forward_hook(left, always_call=True),
    ]
    try:
        with Watching(lstm, handling, lambda: bool(depth), beside=beside):
            yield
    finally:
        for hook in hooks:
            hook.remove()
    if handled and unseen:
        raise InputError(
            f"{unseen} call(s) of the {cell_of(lstm).title} did not run PyTorch's own kernel where it can be seen (in "
            "another thread, or with a forward of its own): what happens in them cannot be changed"
        )


def plain_arguments(lstm: nn.RNNBase | GatedRNN, given: Any, state: Any) -> Arguments:
    """Return what the kernel would have been called with."""
    weights = [getattr(lstm, name) for name in lstm._flat_weights_names]
    rest = (weights, lstm.bias, lstm.num_layers, 0.0, False, lstm.bidirectional)
    if isinstance(given, PackedSequence):
        x, packed, n = given.data, given.batch_sizes, int(given.batch_sizes[0])
    else:
        axis = 0 if lstm.batch_first else 1
        x, packed = given.unsqueeze(axis) if given.dim() == 2 else given, None
        n = x.shape[axis]
    cell = cell_of(lstm)
    if state is None:
        parts = lstm.num_layers * (1 + lstm.bidirectional)
        h, *more = cell.start(x, (parts, n, lstm.hidden_size))
        state = (h[..., : lstm.proj_size] if lstm.proj_size else h, *more)
    else:
        state = state_of(state)
        if state[0].dim() == 2:
            state = tuple(one.unsqueeze(1) for one in state)
        elif isinstance(given, PackedSequence) and given.sorted_indices is not None:
            state = tuple(one[:, given.sorted_indices] for one in state)
    return Arguments(x, packed, state, *rest, lstm.batch_first, len(state) == 1)


def state_of(given: Any) -> States:
    """Return a state as a tuple, h first, where a module of one state takes or gives it alone."""
    return tuple(given) if isinstance(given, tuple | list) else (given,)
