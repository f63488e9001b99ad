"""Sequences of unequal lengths that are labelled towards their ends, lined up there for the null.

Sequences of nearby lengths are exchanged, each cut to the shortest of them, so that to exchange them is exact. Cut
behind, a label at each sequence's own last step would be left to the shortest alone; cut in front, all of them are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.inference.exchange import Exchange, LengthGroups


@dataclass(frozen=True, eq=False)
class LinedUp:
    """Signals that are labelled at the same steps, as they are exchanged.

    Attributes:
        exchange: of the steps that stand in line.
        signals: at these steps.
        steps: which of its own steps each sequence has there; None where they are as they were.
    """

    exchange: Exchange
    signals: Sequence[CheckedSignal]
    steps: Int[np.ndarray, "sequence time"] | None = None

    def values(self, values: Tensor) -> Tensor:
        """Return what was recorded, of (sequence, time, unit), at the same steps."""
        if self.steps is None:
            return values
        steps = torch.as_tensor(self.steps, device=values.device)
        return values[torch.arange(len(steps), device=values.device)[:, None], steps]


def line_up(exchange: Exchange, signals: Sequence[CheckedSignal]) -> LinedUp:
    """Return signals lined up at their sequences' ends where that keeps more of their labels, else as they are.

    Likewise where it keeps as many, and there are steps in front of all of them.

    Args:
        exchange: of whole sequences or groups of them; steps that are rolled or shifted stay where they are.
        signals: labelled at the same steps.
    """
    labelled = signals[0].labelled
    if labelled is None or not isinstance(exchange, LengthGroups):
        return LinedUp(exchange, signals)
    ways = [(at_ends(labelled, own), own) for own in (exchange, exchange.joined())]
    labels, own = max(ways, key=lambda way: way[0].sum())
    kept = signals[0].among(np.arange(labelled.shape[1]) < exchange.lengths[:, None]).sum()
    if not labels.any() or labels.sum() < kept:
        return LinedUp(exchange, signals)
    # In front of the first label nothing counts.
    reach = (own.whole - labels.argmax(1))[labels.any(1)].max()
    if labels.sum() == kept and reach >= own.lengths.max():
        return LinedUp(exchange, signals)
    lengths = np.minimum(own.lengths, reach)
    steps = np.clip((own.whole - lengths)[:, None] + np.arange(lengths.max()), 0, labelled.shape[1] - 1)
    there = np.arange(steps.shape[1]) < lengths[:, None]
    known = np.take_along_axis(labelled, steps, 1) & there
    all_known = np.array_equal(known, there)
    at = [
        replace(s, values=np.take_along_axis(s.values, steps, 1) * known, labelled=None if all_known else known)
        for s in signals
    ]
    return LinedUp(replace(own, lengths=lengths), at, steps)


def at_ends(labelled: Bool[np.ndarray, "sequence time"], exchange: LengthGroups) -> Bool[np.ndarray, "sequence time"]:
    """Return the labels among the last steps of the sequences, of as many as take part in an exchange."""
    first = (exchange.whole - exchange.lengths)[:, None]
    steps = np.arange(labelled.shape[1])
    result: np.ndarray = labelled & (steps >= first) & (steps < exchange.whole[:, None])
    return result
