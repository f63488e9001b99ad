"""Calls of an LSTM as they are kept until a Recording is made of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lstm_probe.cells.declared import Cell, Named
from lstm_probe.recorder.agreement import Check
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.kernel import States, state_of
from lstm_probe.recorder.replay import Parts
from lstm_probe.recorder.returned import Shown
from lstm_probe.recorder.turned import turned_parts
from lstm_probe.recorder.weights import Weights


@dataclass(frozen=True)
class Made:
    """One call that did all steps, recorded.

    Attributes:
        parts: by layer and direction.
        shown: what the kernel computed.
        state: what it began with.
        checks: what was compared.
        empty: whether it began as a sequence does that nothing stands before.
        begins: whether it was called without a state, and is empty.
        weights: of each layer and direction of an LSTM, copies; None where more than they decides what was computed.
    """

    parts: Parts
    shown: Shown
    state: States
    checks: list[Check]
    empty: bool
    begins: bool = False
    weights: Mapping[tuple[int, str], Weights] | None = None

    @property
    def last(self) -> States:
        """Return the state after its last step."""
        return self.shown.last

    def __len__(self) -> int:
        return len(self.shown.h)

    def __getitem__(self, rows: Tensor) -> "Made":
        """Return the sequences in another order."""
        parts = {key: part.map(lambda values: values[rows]) for key, part in self.parts.items()}
        state = tuple(one[:, rows] for one in self.state)
        return replace(self, parts=parts, shown=self.shown[rows], state=state)

    def turned(self, direction: str) -> "Made":
        """Return it with its steps in the reverse order, as of a layer of one direction that reads in this one."""
        n, time = self.shown.h.shape[:2]
        own = torch.full((n,), time, device=self.shown.h.device) if self.shown.lengths is None else self.shown.lengths
        parts = turned_parts(self.parts, own, direction)
        weights = self.weights and {(layer, direction): values for (layer, _), values in self.weights.items()}
        return replace(
            self, parts=parts, weights=weights, shown=replace(self.shown, h=reverse_sequences(self.shown.h, own))
        )


@dataclass(frozen=True)
class Step:
    """One call that did one step, to be recorded together with those before and after it; (sequence, ...) each.

    `place` is of how many of the caller's steps it is which, as far as that is known.
    """

    inputs: Tensor
    state: States
    last: States
    weights: Named
    empty: bool
    begins: bool = False
    place: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: Tensor) -> "Step":
        """Return the sequences in another order."""
        state, last = (tuple(one[rows] for one in each) for each in (self.state, self.last))
        return replace(self, inputs=self.inputs[rows], state=state, last=last)


@dataclass
class Frame:
    """A call of the module that is going on: what it was called with, and what its kernel has done so far."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    made: list[Made | Step] = field(default_factory=list)
    result: Any = None

    @property
    def given(self) -> Any:
        """Return the inputs."""
        return self.args[0] if self.args else self.kwargs.get("input")

    @property
    def state(self) -> Any:
        """Return the initial state."""
        return self.args[1] if len(self.args) > 1 else self.kwargs.get("hx")

    def keep(self, made: Made | Step, result: Any) -> None:
        """Take in a call of the kernel."""
        self.made.append(replace(made, begins=self.state is None and made.empty))
        first = state_of(result)[0]
        self.result = first, version_of(first)


class Hook:
    """A hook of one module. Copies of the module, made while the hook is there, get one that does nothing."""

    def __init__(self, part: nn.Module | None = None, do: Callable[..., None] | None = None) -> None:
        self.part, self.do = part, do

    def __call__(self, called: nn.Module, *given: Any) -> None:
        if called is self.part and self.do is not None:
            self.do(called, *given)

    def __reduce__(self) -> tuple[type["Hook"], tuple[()]]:
        return Hook, ()


def in_backward() -> bool:
    """Return whether a backward pass is going on; activation checkpointing then calls modules again."""
    return torch._C._current_graph_task_id() != -1


def version_of(values: Tensor) -> int | None:
    """Return a number that changes whenever a tensor is written into, None where there is no such number."""
    return None if values.is_inference() else values._version


def copied(state: Sequence[Tensor], dtype: torch.dtype) -> States:
    return tuple(one.detach().to(dtype, copy=True) for one in state)


def is_empty(cell: Cell, state: Sequence[Tensor]) -> bool:
    """Return whether a state is the one that a sequence begins with where it is given none."""
    starts = (cell.starts.get(name, 0.0) for name in cell.state)
    return all(not bool((one != start).any()) for one, start in zip(state, starts))


def one_step(cell: Cell, x: Tensor, state: Sequence[Tensor], result: Any, weights: Named) -> Step:
    def rows(values: Tensor) -> Tensor:
        own = values.detach().clone()
        return own.unsqueeze(0) if own.dim() == 1 else own

    begun = tuple(map(rows, state))
    return Step(rows(x), begun, tuple(map(rows, state_of(result))), weights, is_empty(cell, begun))
