"""What another run handed to the kernel and what came of it, so that a clamp can put its values into this one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.causal.clamp import GATES, Named, row
from lstm_probe.causal.layers import Call, Side
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.kernel import Recordable, watching


@dataclass(frozen=True)
class Donor:
    """What one layer did in one direction, step after step as it was read.

    Attributes:
        before: what stood in the gates before sigmoid and tanh, in PyTorch's order.
        h: what it showed.
        h0, c0: with what it began.
    """

    before: Float[Tensor, "time sequence four_units"]
    h: Float[Tensor, "time sequence output"]
    h0: Float[Tensor, "sequence output"]
    c0: Float[Tensor, "sequence unit"]

    @cached_property
    def c(self) -> Float[Tensor, "time sequence unit"]:
        """The memory after each step."""
        i, f, g, _ = self.before.chunk(len(GATES), dim=-1)
        memory, kept = self.c0, []
        for written, forget in zip(i.sigmoid() * g.tanh(), f.sigmoid()):
            memory = forget * memory + written
            kept.append(memory)
        return torch.stack(kept)

    def memory_before(self, step: int) -> Float[Tensor, "sequence unit"]:
        """Return the memory with which a step begins."""
        return self.c[step - 1] if step else self.c0

    def of(self, length: int, sequences: Int[Tensor, " chosen"]) -> "Donor":
        """Return the same of some sequences, up to a step."""
        return Donor(self.before[:length, sequences], self.h[:length, sequences], self.h0[sequences],
                     self.c0[sequences])  # fmt: skip

    def gates(self, gates: str, units: tuple[int, ...]) -> Float[Tensor, "time sequence row"]:
        """Return what stood in some gates of some units, gate by gate."""
        width = self.c0.shape[-1]
        return self.before[..., [one for gate in gates for one in row(gate, units, width)]]

    @classmethod
    def made(cls, named: Named, x: Tensor, h: Tensor, h0: Tensor, c0: Tensor) -> "Donor":
        """Return it from what a layer read and showed, (time, sequence, ...) each."""
        seen = torch.cat([h0.unsqueeze(0), h[:-1]])
        bias = named["bias_ih"] + named["bias_hh"]
        return cls(x @ named["weight_ih"].T + seen @ named["weight_hh"].T + bias, h, h0, c0)


@dataclass(eq=False)
class Trace:
    """All calls of the kernel in one run of a module.

    Attributes:
        cell: of the module.
        calls: what the kernel was called with.
        made: what came of each call of PyTorch's LSTM.
        seen: what came of others, as far as it was asked for.
    """

    cell: Cell = LSTM

    calls: list[tuple[Any, tuple[Any, ...]]] = field(default_factory=list)
    made: dict[int, dict[tuple[int, int], Donor]] = field(default_factory=dict)
    seen: dict[Any, Any] = field(default_factory=dict)

    def step(self, number: int, like: Tensor) -> Donor:
        """Return the donor of one call of a cell."""
        x, (h0, c0), *weights = self.call(number, like)[1]
        named = cell_weights(weights)
        if number not in self.made:
            h = self.calls[number][0](x, (h0, c0), *named.values())[0]
            self.made[number] = {(0, 0): Donor.made(named, x[None], h[None], h0, c0)}
        return self.made[number][0, 0]

    def sides(self, number: int, like: Call) -> dict[tuple[int, int], Donor]:
        """Return the donors of one call of an LSTM, by layer and side, each in the order in which it was read."""
        func, args = self.call(number, like.given.inputs)
        if number not in self.made:
            call = Call.of(func, args)
            found: dict[tuple[int, int], Donor] = {}

            def run(layer: int, side: int, one: Side) -> None:
                begun = one.h0.clone(), one.c0.clone()
                one.run(0, len(one.x))
                found[layer, side] = Donor.made(one.named, one.x, one.h, *begun)

            call.through_layers(run)
            self.made[number] = found
        if len(next(iter(self.made[number].values())).h) != len(like.x):
            raise other_calls(self.cell)
        return self.made[number]

    def call(self, number: int, like: Tensor) -> tuple[Any, tuple[Any, ...]]:
        """Return one call, if it is like one with these inputs."""
        if number >= len(self.calls) or self.calls[number][1][0].shape != like.shape:
            raise other_calls(self.cell)
        return self.calls[number]


def other_calls(cell: Cell | None) -> InputError:
    """Return what is wrong where another run calls its kernel otherwise."""
    return InputError(
        f"resample: with the donors' inputs the module calls its {(cell or LSTM).title} otherwise (another number of "
        "calls, sequences or steps), so that their values have no place in it"
    )


def cell_weights(weights: list[Any]) -> Named:
    """Return a cell's weights by name, with biases of zeros where there are none."""
    w_ih, w_hh, b_ih, b_hh = weights
    zeros = w_ih.new_zeros(len(w_ih))
    return {"weight_ih": w_ih, "weight_hh": w_hh, "bias_ih": zeros if b_ih is None else b_ih,
            "bias_hh": zeros if b_hh is None else b_hh}  # fmt: skip


@contextmanager
def tracing(lstm: Recordable) -> Iterator[Trace]:
    """Within this context, what the kernel of `lstm` is called with is kept."""
    trace = Trace(cell_of(lstm))

    def handle(func: Any, args: tuple[Any, ...]) -> Any:
        kept = tuple(one.clone() if isinstance(one, Tensor) else one for one in args)
        kept = tuple(tuple(inner.clone() for inner in one) if isinstance(one, tuple) else one for one in kept)
        trace.calls.append((func, kept))
        return func(*args)

    with watching(lstm, handle):
        yield trace
