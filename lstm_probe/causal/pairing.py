"""Who gives to whom, at which moments, and at which steps the outputs are looked at."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.probing.inference.swap import make_donors

#: So many moments are looked at where none are named.
MOMENTS = 5


def moments(batch: Batch, steps: Sequence[int] | int | None, after: Sequence[int]) -> list[int]:
    """Return the moments that are looked at: those that are named, or so many of them.

    Raises:
        InputError: one lies outside of the sequences.
    """
    lengths, time = batch.lengths.cpu().numpy(), batch.inputs.shape[1]
    count = MOMENTS if steps is None else steps
    if not isinstance(count, int):
        for step in count:
            if not isinstance(step, int | np.integer) or not 0 <= step < time:
                raise InputError(f"steps: {step} lies outside of the sequences, whose steps are 0 to {time - 1}")
        if not len(count):
            raise InputError("steps: there are none")
        return sorted({int(step) for step in count})
    if count < 1:
        raise InputError(f"steps={count}: must be a number of moments from 1, or the moments themselves")
    room = int(lengths.min()) - max(after)
    if room <= count:  # not every sequence goes on for long: for half of them the first look is enough
        room = int(np.median(lengths)) - min(after)
    return sorted({int(step) for step in np.linspace(0, max(room - 1, 0), count + 2)[1:-1]})


def paired(
    batch: Batch, givers: Batch, donors: Any, groups: Int[np.ndarray, " sequence"] | None, seed: int
) -> Int[np.ndarray, "sequence time"]:
    """Return each sequence's donor at each step, by its number among the givers; −1 where it has none.

    Args:
        batch: the receivers.
        givers: the sequences that values are taken from: the batch itself, or others.
        donors: as they were given.
        groups: of the batch's sequences, which take from other groups where no donors were given.
        seed: of the choice.
    """
    n, time = batch.inputs.shape[:2]
    lengths = batch.lengths.cpu().numpy()
    if donors is None:
        return make_donors(lengths, time, seed, groups=groups)
    order = np.arange(n) if isinstance(donors, Batch) else checked_order(donors, n)
    longest = np.minimum(lengths, givers.lengths.cpu().numpy()[order])
    return np.where(np.arange(time) < longest[:, None], order[:, None], -1)


def looking(batch: Batch) -> dict[tuple[str, int], Callable[[Tensor, int], Int[Tensor, " pair"]]]:
    """Return, by target and sign, what finds the first scored step of sequences from a step on; −1 where none is."""
    time, end = batch.inputs.shape[1], batch.lengths.unsqueeze(1) - 1
    last = torch.arange(time, device=end.device) == end

    def finder(scored: Bool[Tensor, "sequence time"], sign: int) -> Callable[[Tensor, int], Tensor]:
        steps = torch.arange(time, device=scored.device).expand_as(scored)
        if sign > 0:
            table = torch.where(scored, steps, time).flip(1).cummin(1).values.flip(1)
            table = torch.where(table == time, -1, table)
        else:
            table = torch.where(scored, steps, -1).cummax(1).values
            # What counts at the last step alone may be read where this direction ends.
            table = torch.where((scored == last).all(1, keepdim=True), end, table)

        def find(sequences: Tensor, step: int) -> Tensor:
            if not 0 <= step < time:
                return torch.full_like(sequences, -1)
            found: Tensor = table[sequences, step]
            return found

        return find

    return {(spec.name, sign): finder(batch.scored_steps(spec.name), sign)
            for spec in batch.target_specs for sign in (1, -1)}  # fmt: skip


def checked_donors(batch: Batch, donors: Batch) -> Batch:
    """Return the donors, one for each sequence of a batch; an InputError where their inputs have another shape."""
    if donors.inputs.shape != batch.inputs.shape:
        raise InputError(
            f"donors: inputs of shape {tuple(donors.inputs.shape)}; must be {tuple(batch.inputs.shape)}, one sequence "
            "for each of the batch"
        )
    return donors


def checked_order(donors: Any, n: int) -> Int[np.ndarray, " sequence"]:
    """Return each sequence's donor, given by number; an InputError where that is no such list."""
    order = np.asarray(donors.cpu() if isinstance(donors, Tensor) else donors)
    if order.shape != (n,) or order.dtype.kind not in "iu" or order.min() < 0 or order.max() >= n:
        raise InputError(f"donors: must be a Batch, or the number of a sequence, 0 to {n - 1}, for each of the {n}")
    if bool((order == np.arange(n)).any()):
        raise InputError(f"donors: sequence {int(np.argmax(order == np.arange(n)))} is its own donor")
    return order.astype(np.int64)
