"""Running a cell over time by its step alone: one layer in one direction, or all of them as PyTorch's kernels do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_probe.cells.declared import Cell, Named, See, State, unseen

States = tuple[Tensor, ...]
#: Makes the `see` of a step, given its number as it is read.
SeeAt = Callable[[int], See]
#: Given the number of a step, the state before it and after it: the state to go on with.
Then = Callable[[int, State, State], State]


def run_steps(
    cell: Cell,
    w: Named,
    x: Float[Tensor, "time sequence feature"],
    state: Sequence[Tensor],
    lengths: Int[Tensor, " sequence"] | None = None,
    see_at: SeeAt | None = None,
    then: Then | None = None,
) -> tuple[Float[Tensor, "time sequence unit"], States]:
    """Return h of every step and the state after each sequence's last one, of one layer in one direction.

    Args:
        cell: what it is made of.
        w: its weights.
        x: what it reads, in the order of reading.
        state: before the first step, (sequence, unit) each, in the order of `cell.state`.
        lengths: after how many steps a sequence ends; its state then stays, and its h is 0. None: none ends.
        see_at: what looks at, or changes, the variables of each step.
        then: what looks at, or changes, the state after each step.
    """
    # As one matrix: how torch multiplies 3-D tensors depends on their strides and on who wants gradients, and where a
    # network is chaotic the last bit of one step decides a later one.
    read = cell.reads(w, x.flatten(0, 1)).unflatten(0, x.shape[:2])
    now: State = dict(zip(cell.state, state))
    shown = []
    for t, own in enumerate(read.unbind(0)):
        after: State = cell.step(w, own, now, unseen if see_at is None else see_at(t))
        if then is not None:
            after = then(t, now, after)
        if lengths is None:
            now = after
            shown.append(now["h"])
        else:
            goes_on = (lengths > t).unsqueeze(-1)
            now = {name: torch.where(goes_on, values, now[name]) for name, values in after.items()}
            shown.append(torch.where(goes_on, after["h"], 0.0))
    return torch.stack(shown), tuple(now[name] for name in cell.state)


def reversed_steps(
    values: Float[Tensor, "time sequence feature"], lengths: Int[Tensor, " sequence"] | None
) -> Float[Tensor, "time sequence feature"]:
    """Return each sequence's real steps in reverse order; steps beyond its length stay where they are."""
    if lengths is None:
        return values.flip(0)
    step = torch.arange(len(values), device=values.device).unsqueeze(1)
    index = torch.where(step < lengths, lengths - 1 - step, step)
    return values.gather(0, index.unsqueeze(2).expand_as(values))


@dataclass(frozen=True)
class StepKernel:
    """What stands where PyTorch has a fused kernel, and is called as it is, for a cell that has none.

    Args:
        cell: what it runs.
    """

    cell: Cell

    def __call__(self, inputs: Tensor, *args: Any) -> tuple[Tensor, ...]:
        """Return h of every step of the top layer, and the last state of every layer and direction.

        Args:
            inputs: a padded tensor, or the data of packed sequences.
            *args: for packed sequences their batch sizes first; then the states, a flat list of weights, whether there
                are biases, layers, dropout, whether it trains, whether it has two directions; for a tensor whether
                sequences come first.
        """
        if isinstance(args[0], Tensor):
            batch_sizes, (state, flat, bias, layers, dropout, training, two) = args[0], args[1:]
            x, told = pad_packed_sequence(PackedSequence(inputs, batch_sizes))
            lengths: Tensor | None = told.to(x.device)
            batch_first = False
        else:
            batch_sizes, (state, flat, bias, layers, dropout, training, two, batch_first) = None, args
            x, lengths = inputs.transpose(0, 1) if batch_first else inputs, None
        names, directions = self.cell.weights(bias), 1 + two
        lasts: list[States] = []
        for layer in range(layers):
            tops = []
            if layer and dropout and training:
                x = functional.dropout(x, dropout)
            for side in range(directions):
                k = layer * directions + side
                w = dict(zip(names, flat[k * len(names) : (k + 1) * len(names)]))
                own = reversed_steps(x, lengths) if side else x
                h, last = run_steps(self.cell, w, own, [one[k] for one in state], lengths)
                tops.append(reversed_steps(h, lengths) if side else h)
                lasts.append(last)
            x = tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)
        ends = tuple(torch.stack([last[k] for last in lasts]) for k in range(len(self.cell.state)))
        if lengths is not None:
            return pack_padded_sequence(x, lengths.cpu()).data, *ends
        return x.transpose(0, 1) if batch_first else x, *ends
