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


def columns(inputs: Sequence[Tensor]) -> Tensor:
    """Return members' inputs as (time, member, feature, sequence), padded with zeros."""
    steps, rows = max(values.shape[1] for values in inputs), rounded(max(map(len, inputs)))
    x = inputs[0].new_zeros(steps, len(inputs), inputs[0].shape[2], rows)
    for k, values in enumerate(inputs):
        x[: values.shape[1], k, :, : len(values)] = values.permute(1, 2, 0)
    return x


def member_losses(outputs: Tensor, batches: Sequence[Batch]) -> Tensor:
    """Return each member's loss, as `Batch.loss` has it.

    Args:
        outputs: (time, member, result, sequence), padded in time and sequences.
        batches: the members' own.
    """
    by_steps: dict[int, list[int]] = {}
    for k, batch in enumerate(batches):
        by_steps.setdefault(batch.inputs.shape[1], []).append(k)
    parts = [
        _losses(outputs[:steps] if len(by_steps) == 1 else outputs[:steps, own], [batches[k] for k in own])
        for steps, own in by_steps.items()
    ]
    order = [k for own in by_steps.values() for k in own]
    return torch.cat(parts)[torch.tensor(order, device=outputs.device).argsort()] if len(parts) > 1 else parts[0]


def _losses(outputs: Tensor, batches: Sequence[Batch]) -> Tensor:
    """Return the losses of members whose batches have equally many steps."""
    steps, members, _, rows = outputs.shape
    joined, by_result, start, losses = _joined(batches, rows, steps), outputs.permute(2, 1, 3, 0).contiguous(), 0, []
    for spec in joined.target_specs:
        own = by_result[start : start + spec.size].flatten(1, 2).permute(1, 2, 0).contiguous()
        start += spec.size
        counted = joined.scored_steps(spec.name)
        sums = (spec.losses(own, joined.targets[spec.name]) * counted).view(members, -1).sum(1)
        losses.append(sums / counted.view(members, -1).sum(1).clamp(min=1))
    return torch.stack(losses, dim=1).mean(1)


def _joined(batches: Sequence[Batch], rows: int, steps: int) -> Batch:
    """Return the sequences of all members in a row, each member's filled up to `rows` by some that don't count."""

    def joined(values: Sequence[Tensor]) -> Tensor:
        more = rows - len(values[0])
        return torch.cat([torch.cat([own, own.new_zeros(more, *own.shape[1:])]) if more else own for own in values])

    first = batches[0]
    return Batch(
        first.inputs.new_empty(rows * len(batches), steps, 0),
        {name: joined([batch.targets[name] for batch in batches]) for name in first.targets},
        first.target_specs,
        joined([batch.lengths for batch in batches]),
        {},
        {name: joined([batch.scored[name] for batch in batches]) for name in first.scored},
    )
