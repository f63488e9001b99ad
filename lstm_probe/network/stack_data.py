"""The data and losses of a stack: members' batches side by side, each member's loss its own.

No sum of a member's depends on who else is there: not on how many members, nor on how long their sequences are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lstm_probe.core.signal import Batch

#: Two vectors of the widest processors, in float32; sequences and parameters are padded to a multiple.
ROWS = 32


def rounded(n: int) -> int:
    """Return the next multiple of `ROWS`."""
    return -(-n // ROWS) * ROWS


def columns(inputs: Sequence[Tensor], size: int) -> Tensor:
    """Return members' inputs as (update, time, member, feature, sequence), padded with zeros.

    Args:
        inputs: each member's, of all updates, one after the other: (sequence, time, feature).
        size: sequences of an update.
    """
    count, steps = len(inputs[0]) // size, max(values.shape[1] for values in inputs)
    x = inputs[0].new_zeros(count, steps, len(inputs), inputs[0].shape[2], rounded(size))
    for k, values in enumerate(inputs):
        x[:, : values.shape[1], k, :, :size] = values.unflatten(0, (count, size)).permute(0, 2, 3, 1)
    return x


class Chunk:
    """The data of some updates, side by side: it is put there once, since a GPU takes longer to copy than to compute.

    Args:
        batches: each member's, of all these updates, one after the other.
        size: sequences of a member in an update.
    """

    def __init__(self, batches: Sequence[Batch], size: int) -> None:
        self._inputs = columns([batch.inputs for batch in batches], size)
        by_steps: dict[int, list[int]] = {}
        for k, batch in enumerate(batches):
            by_steps.setdefault(batch.inputs.shape[1], []).append(k)
        self._alike = [(own, _joined([batches[k] for k in own], size)) for own in by_steps.values()]

    def inputs(self, update: int) -> Tensor:
        """Return what members read in an update: (time, member, feature, sequence), padded with zeros."""
        return self._inputs[update]

    def losses(self, update: int, outputs: Tensor) -> Tensor:
        """Return each member's loss, as `Batch.loss` has it.

        Args:
            update: which.
            outputs: (time, member, result, sequence), padded in time and sequences.
        """
        parts, whole = [], len(self._alike) == 1
        for own, joined in self._alike:
            wide = len(own) * outputs.shape[-1]
            steps = outputs[: joined.inputs.shape[1]]
            parts.append(_losses(steps if whole else steps[:, own], joined[update * wide : (update + 1) * wide]))
        order = [k for own, _ in self._alike for k in own]
        return parts[0] if whole else torch.cat(parts)[torch.tensor(order, device=outputs.device).argsort()]


def _losses(outputs: Tensor, batch: Batch) -> Tensor:
    """Return the losses of members whose batches have equally many steps, those in a row."""
    members = outputs.shape[1]
    by_result, start, losses = outputs.permute(2, 1, 3, 0).contiguous(), 0, []
    for spec in batch.target_specs:
        own = by_result[start : start + spec.size].flatten(1, 2).permute(1, 2, 0).contiguous()
        start += spec.size
        counted = batch.scored_steps(spec.name)
        sums = (spec.losses(own, batch.targets[spec.name]) * counted).view(members, -1).sum(1)
        losses.append(sums / counted.view(members, -1).sum(1).clamp(min=1))
    return torch.stack(losses, dim=1).mean(1)


def _joined(batches: Sequence[Batch], size: int) -> Batch:
    """Return all sequences in a row: by update, member and sequence, each member's filled up by some that don't count.

    Without inputs, which `columns` has.
    """

    def joined(values: Sequence[Tensor]) -> Tensor:
        count = len(values[0]) // size
        made = values[0].new_zeros(count, len(values), rounded(size), *values[0].shape[1:])
        for k, own in enumerate(values):
            made[:, k, :size] = own.unflatten(0, (count, size))
        return made.flatten(0, 2)

    first = batches[0]
    lengths = joined([batch.lengths for batch in batches])
    return Batch(
        first.inputs.new_empty(len(lengths), first.inputs.shape[1], 0),
        {name: joined([batch.targets[name] for batch in batches]) for name in first.targets},
        first.target_specs,
        lengths,
        {},
        {name: joined([batch.scored[name] for batch in batches]) for name in first.scored},
    )
