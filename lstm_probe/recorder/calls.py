"""Calls of an LSTM as they are kept until a Recording is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lstm_probe.recorder.agreement import Check
from lstm_probe.recorder.exact import Weights
from lstm_probe.recorder.kernel import States
from lstm_probe.recorder.replay import Parts
from lstm_probe.recorder.returned import Shown


@dataclass(frozen=True)
class Made:
    """One call of an `nn.LSTM`, recorded.

    Attributes:
        parts: by layer and direction.
        shown: what the kernel computed.
        state: (h0, c0) that it began with.
        checks: what was compared.
        begins: whether it was called without a state, and had none.
        weights: of each layer and direction, copies; None where more than they decides what was computed.
    """

    parts: Parts
    shown: Shown
    state: States
    checks: list[Check]
    begins: bool = False
    weights: Mapping[tuple[int, str], Weights] | None = None

    @property
    def last(self) -> States:
        """Return (h, c) after its last step."""
        return self.shown.last

    def __len__(self) -> int:
        return len(self.shown.h)

    def __getitem__(self, rows: Tensor) -> "Made":
        """Return the sequences in another order."""
        parts = {key: part.map(lambda values: values[rows]) for key, part in self.parts.items()}
        state = self.state[0][:, rows], self.state[1][:, rows]
        return replace(self, parts=parts, shown=self.shown[rows], state=state)


@dataclass(frozen=True)
class Step:
    """One call of an `nn.LSTMCell`, to be recorded together with those before and after it; (sequence, ...) each."""

    inputs: Tensor
    state: States
    last: States
    weights: Weights
    begins: bool = False

    def __len__(self) -> int:
        return len(self.inputs)


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

    def keep(self, made: Made | Step, result: Sequence[Tensor]) -> None:
        """Take in a call of the kernel."""
        begins = self.state is None and not made.state[0].any() and not made.state[1].any()
        self.made.append(replace(made, begins=begins))
        self.result = result[0], version_of(result[0])


def version_of(values: Tensor) -> int | None:
    """Return a number that changes whenever a tensor is written into, None where there is no such number."""
    return None if values.is_inference() else values._version


def copied(pair: Sequence[Tensor], dtype: torch.dtype) -> States:
    h, c = pair
    return h.detach().to(dtype, copy=True), c.detach().to(dtype, copy=True)


def one_step(x: Tensor, state: Sequence[Tensor], result: Sequence[Tensor], weights: Weights) -> Step:
    def rows(values: Tensor) -> Tensor:
        own = values.detach().clone()
        return own.unsqueeze(0) if own.dim() == 1 else own

    return Step(rows(x), (rows(state[0]), rows(state[1])), (rows(result[0]), rows(result[1])), weights)
