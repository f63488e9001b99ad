"""What a cell's step keeps of the memory before it, and which of its variables make the memory."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.cells.declared import Cell, See
from lstm_probe.dynamics.events import earlier
from lstm_probe.recorder.data import LayerRecording
from lstm_probe.recorder.weights import Weights

#: A step is a straight line in its memory if it is none by less than this share.
STRAIGHT = 1e-5
#: So many sequences show which variables make the memory.
FEW = 8

Memories = Float[Tensor, "sequence time unit"]


def readers_of(cell: Cell) -> tuple[str, ...]:
    """Return by which variables a unit hears the others: those that have rows of weights, and its memory.

    >>> from lstm_probe import get_cell
    >>> readers_of(get_cell("lstm")), readers_of(get_cell("gru")), readers_of(get_cell("rnn"))
    (('i', 'f', 'g', 'o', 'c'), ('r', 'z', 'n', 'h'), ('h',))
    """
    return tuple(dict.fromkeys((*(block for block in cell.blocks if block in cell.names), cell.memory)))


def kept_share(part: LayerRecording, weights: Weights, mask: Bool[Tensor, "sequence time"]) -> Memories:
    """Return by what each step multiplies the memory before it: the gate that keeps.

    Of a cell that declares none, each step is taken once more from other memories, with its gates and inputs as they
    were, and nothing that is heard: of an LSTM without forget gate it keeps all, a plain recurrent network nothing.
    NaN where what follows is no straight line of the unit's own memory.
    """
    cell = part.cell
    if cell.keeps is not None:
        return part[cell.keeps].double()
    held = {name: part[name].double() for kind in ("gate", "input") for name in cell.of_kind(kind)}
    deaf = {"weight_hh": torch.zeros_like(weights.w_hh)}
    before = _before(part, mask)

    def after(memory: Memories) -> Memories:
        state = {**before, cell.memory: memory}
        return _memories(part, {**weights.named, **deaf}, state, lambda name, value: held.get(name, value))

    own = before[cell.memory]
    none = after(torch.zeros_like(own))
    share, real = after(torch.ones_like(own)) - none, after(own)
    off = (none + share * own - real).abs() > STRAIGHT * (1 + real.abs())
    bent = off[mask & earlier(mask, part.direction)].any(0)
    return torch.where(bent, torch.nan, share)


def makes_memory(part: LayerRecording, weights: Weights, mask: Bool[Tensor, "sequence time"]) -> list[str]:
    """Return which of `readers_of` the memory of the same step depends on: of an LSTM all but the output gate."""
    few, real = part.map(lambda values: values[:FEW]), mask[:FEW]
    before = _before(few, real)

    def after(changed: str) -> Tensor:
        return _memories(few, weights.named, before, lambda name, value: value + (name == changed))[real]

    asis = after("")
    return [name for name in readers_of(part.cell) if not torch.equal(after(name), asis)
            and (name in part.cell.blocks or name != part.cell.memory)]  # fmt: skip


def _before(part: LayerRecording, mask: Bool[Tensor, "sequence time"]) -> dict[str, Memories]:
    """Return the state before each step."""
    real = mask.unsqueeze(-1)
    return {name: earlier(torch.where(real, part[name].double(), 0), part.direction) for name in part.cell.state}


def _memories(part: LayerRecording, named: Mapping[str, Tensor], before: Mapping[str, Tensor], see: See) -> Memories:
    """Return the memory after each step, which is taken once more."""
    cell, w = part.cell, {name: values.double() for name, values in named.items()}
    return cell.step(w, cell.reads(w, part.inputs.double()), before, see)[cell.memory]
