"""One call of a kernel, run layer by layer and direction by direction, each in pieces of any length.

Everything is (time, sequence, feature), in the order in which a direction reads it. Sequences of a packed call stand
with the longest first, so that those that still go on are always the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_probe.causal.clamp import Named
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.steps import SeeAt, Then, run_steps
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.kernel import Arguments
from lstm_probe.recorder.weights import WEIGHTS

Lengths = Int[Tensor, " sequence"] | None
#: What PyTorch's LSTM kernel runs; all else is run by its step alone.
FUSED = nn.LSTM | nn.LSTMCell


class Read:
    """What one layer reads in one direction, (time, sequence, feature)."""

    def __init__(self, x: Float[Tensor, "time sequence feature"], lengths: Lengths) -> None:
        self.x, self.lengths = x, lengths

    def going_on(self, step: int) -> int:
        """Return how many sequences have a step; they are the first."""
        return self.x.shape[1] if self.lengths is None else int((self.lengths > step).sum())

    @property
    def last(self) -> Int[Tensor, " sequence"]:
        """Return each sequence's last step."""
        if self.lengths is not None:
            return self.lengths - 1
        return torch.full((self.x.shape[1],), len(self.x) - 1, device=self.x.device)


class Steps(Read):
    """One layer of any declared cell in one direction, run by its step alone.

    Attributes:
        h: what it shows, as far as it was run.
        state: after the last step that was run, in the order of `cell.state`.
    """

    def __init__(
        self, cell: Cell, named: Named, x: Float[Tensor, "time sequence feature"], lengths: Lengths,
        state: Sequence[Tensor],
    ) -> None:  # fmt: skip
        super().__init__(x, lengths)
        self.cell, self.named, self.state = cell, named, tuple(state)
        self.h = _zeros(x, state[0].shape[-1])  # of what no step was run

    def run(self, start: int, stop: int, see_at: SeeAt | None = None, then: Then | None = None) -> None:
        """Run some steps, from where the last ones ended; `see_at` and `then` are told numbers from 0 at `start`."""
        if start >= stop:
            return
        lengths = None if self.lengths is None else self.lengths - start
        self.h[start:stop], self.state = run_steps(
            self.cell, self.named, self.x[start:stop], self.state, lengths, see_at, then
        )


class Side(Read):
    """One layer of an LSTM in one direction, run by PyTorch's kernel.

    Attributes:
        h: what it shows, as far as it was run.
        h0, c0: the state after the last step that was run.
    """

    def __init__(
        self,
        func: Any,
        named: Named,
        x: Float[Tensor, "time sequence feature"],
        lengths: Lengths,
        h0: Tensor,
        c0: Tensor,
    ) -> None:
        super().__init__(x, lengths)
        self.func, self.named = func, named
        self.h0, self.c0 = h0.clone(), c0.clone()
        self.h = _zeros(x, h0.shape[-1])  # of what no step was run

    @property
    def state(self) -> tuple[Tensor, ...]:
        """Return the state after the last step that was run."""
        return self.h0, self.c0

    def run(self, start: int, stop: int, named: Named | None = None, further: Tensor | None = None) -> None:
        """Run some steps, from where the last ones ended, with other weights and further inputs, if there are any."""
        n = self.going_on(start)
        if start >= stop or not n:
            return
        x = self.x[start:stop, :n]
        if further is not None:
            x = torch.cat([x, further[:, :n]], dim=-1)
        lengths = None if self.lengths is None else (self.lengths[:n] - start).clamp(max=stop - start)
        h, h0, c0 = self._fused(named or self.named, x, lengths, self.h0[:n], self.c0[:n])
        if stop - start == len(self.x):
            self.h = h
        else:
            self.h[start:stop, :n] = h
        self.go_on_from(h0, c0)

    def go_on_from(self, h0: Float[Tensor, "some output"], c0: Float[Tensor, "some unit"]) -> None:
        """Have the first sequences, which still go on, go on from this state; the one before is left as it was."""
        rest = len(self.h0) - len(h0)
        new, old = (h0.to(self.h0.dtype), c0.to(self.c0.dtype)), (self.h0, self.c0)
        self.h0, self.c0 = (torch.cat([a, b[-rest:]]) if rest else a for a, b in zip(new, old))

    def _fused(
        self, named: Named, x: Tensor, lengths: Lengths, h0: Tensor, c0: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        state = h0.unsqueeze(0).contiguous(), c0.unsqueeze(0).contiguous()
        rest = ([named[name] for name in WEIGHTS if name in named], True, 1, 0.0, False, False)
        if lengths is None:
            h, last, memory = self.func(x, state, *rest, False)
            return h, last[0], memory[0]
        real = torch.arange(len(x), device=x.device).unsqueeze(1) < lengths
        data, last, memory = self.func(x[real], real.sum(1).cpu(), state, *rest)
        h = x.new_zeros(*x.shape[:2], h0.shape[-1])
        h[real] = data
        return h, last[0], memory[0]


@dataclass(frozen=True)
class Call:
    """One call of a kernel; `x` is what the lowest layer reads.

    `cell` is what is run by its step alone; None for an LSTM that PyTorch's kernel runs.
    """

    func: Any
    given: Arguments
    x: Float[Tensor, "time sequence feature"]
    lengths: Lengths
    cell: Cell | None = None

    @classmethod
    def of(cls, func: Any, args: tuple[Any, ...], cell: Cell | None = None) -> "Call":
        """Return it from what the kernel was called with."""
        given = with_biases(Arguments.of(args)) if cell is None else Arguments.of(args)
        if given.drops:
            title = LSTM.title if cell is None else cell.title
            raise InputError(f"the {title} drops some of h between its layers: put the module into evaluation mode")
        if given.packed is None:
            x, lengths = given.inputs.transpose(0, 1) if given.batch_first else given.inputs, None
        else:
            x, lengths = pad_packed_sequence(PackedSequence(given.inputs, given.packed))
            lengths = lengths.to(x.device)
        return cls(func, given, x, lengths, cell)

    def named(self, k: int) -> Named:
        """Return copies of the weights of one layer and direction, counted as the kernel does."""
        each = len(self.given.weights) // (self.given.layers * (1 + self.given.bidirectional))
        names = WEIGHTS[:each] if self.cell is None else self.cell.weights(self.given.bias)
        return {name: values.clone() for name, values in zip(names, self.given.weights[k * each : (k + 1) * each])}

    def reversed(self, values: Float[Tensor, "time sequence feature"]) -> Float[Tensor, "time sequence feature"]:
        """Return each sequence's real steps in reverse order."""
        if self.lengths is None:
            return values.flip(0)
        return reverse_sequences(values.transpose(0, 1), self.lengths).transpose(0, 1)

    def _side(self, k: int, x: Float[Tensor, "time sequence feature"]) -> Side | Steps:
        state = [one[k] for one in self.given.state]
        if self.cell is None:
            return Side(self.func, self.named(k), x, self.lengths, *state)
        return Steps(self.cell, self.named(k), x, self.lengths, state)

    def through_layers(self, run: Callable[[int, int, Any], None]) -> tuple[Tensor, ...]:
        """Go through layers and sides; `run` has to run each to its end. Return what the kernel would.

        What it is given is a `Side`, or `Steps` of what is run by its step alone.
        """
        below, ends = self.x, []
        for layer in range(self.given.layers):
            tops = []
            for side in range(1 + self.given.bidirectional):
                k = layer * (1 + self.given.bidirectional) + side
                x = self.reversed(below) if side else below
                one = self._side(k, x)
                run(layer, side, one)
                tops.append(self.reversed(one.h) if side else one.h)
                ends.append(one.state)
            below = torch.cat(tops, dim=-1) if len(tops) > 1 else tops[0]
        return self._as_given(below), *(torch.stack(every) for every in zip(*ends))

    def _as_given(self, h: Float[Tensor, "time sequence output"]) -> Tensor:
        if self.lengths is not None:
            return h[torch.arange(len(h), device=h.device).unsqueeze(1) < self.lengths]
        return h.transpose(0, 1) if self.given.batch_first else h


def _zeros(x: Float[Tensor, "time sequence feature"], width: int) -> Float[Tensor, "time sequence output"]:
    """Return zeros that lie in memory as `x` does: what reads them as they were given need not copy them."""
    time, n = x.shape[:2]
    return x.new_zeros(n, time, width).transpose(0, 1) if x.stride(0) < x.stride(1) else x.new_zeros(time, n, width)


def with_biases(given: Arguments) -> Arguments:
    """Return the same call with biases, of zeros where there were none."""
    if given.bias:
        return given
    each = len(given.weights) // (given.layers * (1 + given.bidirectional))
    weights: list[Tensor] = []
    for k in range(0, len(given.weights), each):
        zeros = given.weights[k].new_zeros(len(given.weights[k]))
        weights += [*given.weights[k : k + 2], zeros, zeros, *given.weights[k + 2 : k + each]]
    return replace(given, weights=weights, bias=True)
