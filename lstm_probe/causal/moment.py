"""The state of one layer just after a step, and what goes with it where something is put in its place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.cells.declared import Cell, Seen, State
from lstm_probe.cells.lstm import LSTM


@dataclass(frozen=True)
class Moment:
    """The state of one layer in one direction, just after a step.

    Attributes:
        layer, direction: where.
        step: which step of the sequences that was.
        sequences: which of the batch's sequences the rows are: those that have such a step.
        state: after the step, by name.
        named: the layer's weights.
        x, before: what the step read, and the state before it.
        cell: what the layer is made of.
    """

    layer: int
    direction: str
    step: int
    sequences: Int[Tensor, " row"]
    state: State
    named: Mapping[str, Tensor]
    x: Float[Tensor, "row feature"]
    before: State
    cell: Cell = LSTM

    @property
    def h(self) -> Float[Tensor, "row output"]:
        """What is shown."""
        return self.state["h"]

    @property
    def memory(self) -> Float[Tensor, "row unit"]:
        """The memory, whatever the cell calls it."""
        return self.state[self.cell.memory]

    @property
    def same(self) -> tuple[Tensor, ...]:
        """The state as it is."""
        return self.but({})

    @cached_property
    def variables(self) -> Mapping[str, Float[Tensor, "row unit"]]:
        """All variables of the step, as its layer made them; h before a projection."""
        seen = Seen(frozenset(self.cell.names))
        self.cell.step(self.named, self._read, self.before, seen)
        return seen.values

    @cached_property
    def _read(self) -> Tensor:
        return self.cell.reads(self.named, self.x)

    @cached_property
    def o(self) -> Float[Tensor, "row unit"]:
        """The output gate of an LSTM's step."""
        width = self.memory.shape[-1]
        w_ih, w_hh = (self.named[name][-width:] for name in ("weight_ih", "weight_hh"))
        bias = sum(self.named[name][-width:] for name in ("bias_ih", "bias_hh") if name in self.named)
        return torch.sigmoid(self.x @ w_ih.T + self.before["h"] @ w_hh.T + bias)

    def unit_shown(self, memory: Float[Tensor, "row unit"]) -> Float[Tensor, "row unit"]:
        """Return what units show with a memory, by the step's own gates."""
        return self.o * memory.tanh() if self.cell == LSTM else self._with(memory)["h"]

    def shown(self, memory: Float[Tensor, "row unit"]) -> Float[Tensor, "row output"]:
        """Return the h that goes with a memory, by the step's own gates."""
        h = self.unit_shown(memory)
        return h @ self.named["weight_hr"].T if "weight_hr" in self.named else h

    def _with(self, memory: Float[Tensor, "row unit"]) -> State:
        """Return the state with another memory, the step being taken once more."""
        if self.cell == LSTM:
            return {"h": self.shown(memory), "c": memory}

        def see(name: str, value: Tensor) -> Tensor:
            return memory if name == self.cell.memory else value

        return self.cell.step(self.named, self._read, self.before, see)

    def with_memory(self, memory: Float[Tensor, "row unit"]) -> tuple[Tensor, ...]:
        """Return the state with another memory, and what goes with it in this step; what is not changed stays as it is.

        The step is taken once more from the state before it, and goes on with that memory.
        """
        values = {self.cell.memory: memory}
        if len(self.cell.state) > 1:
            new, old = self._with(memory), self._with(self.memory)
            values = {name: self.state[name] + (new[name] - old[name]) for name in self.cell.state} | values
        return self.but(values)

    def but(self, values: State) -> tuple[Tensor, ...]:
        """Return the state with other values of some of what is carried, by name, and nothing else changed."""
        return tuple(values.get(name, self.state[name]) for name in self.cell.state)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Moment":
        """Return the same with every tensor but the numbers of the sequences changed."""
        state, named, before = ({name: change(values) for name, values in one.items()}
                                for one in (self.state, self.named, self.before))  # fmt: skip
        return replace(self, state=state, named=named, before=before, x=change(self.x))

    def cpu(self) -> "Moment":
        """Return the same in the memory of the processor."""
        return replace(self.map(Tensor.cpu), sequences=self.sequences.cpu())


#: Given a moment, the state to go on with, in the order of `cell.state`: of an LSTM h and c.
Edit = Callable[[Moment], tuple[Tensor, ...]]
