"""Steps that a module hands to its layer from the last to the first: what is recorded stands in its caller's order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import DIRECTIONS
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.recorder.replay import Parts


def turned_parts(parts: Mapping[tuple[int, str], LayerRecording], lengths: Tensor, direction: str) -> Parts:
    """Return layers of one direction with each sequence's steps in the reverse order, as of such that read in this."""
    return {
        (layer, direction): replace(part.map(lambda values: reverse_sequences(values, lengths)), direction=direction)
        for (layer, _), part in parts.items()
    }


def turned_back(rec: Recording) -> Recording:
    """Return a recording in whose calls the steps were turned round in the order in which they were read."""
    backward = not rec.config.backward
    direction = DIRECTIONS[backward]
    weights = tuple({(layer, direction): own for (layer, _), own in every.items()} for every in rec.weights)
    return replace(rec, parts=turned_parts(rec.parts, rec.lengths, direction), weights=weights,
                   config=replace(rec.config, backward=backward))  # fmt: skip


def turned_steps(places: Sequence[tuple[int, int] | None], name: str) -> bool:
    """Return whether a cell was called for the caller's steps from the last to the first.

    Args:
        places: of each call, as `Order.place` says.
        name: of the cell, for the error.

    Raises:
        InputError: it was called once for each of them, in any other order.
    """
    steps = [one[1] for one in places if one is not None]
    every = list(range(len(places)))
    if len(steps) < len(places) or any(one is None or one[0] != len(places) for one in places) or steps == every:
        return False
    if sorted(steps) == every and steps != every[::-1]:
        raise InputError(
            f"{name}: its module hands it the steps in another order than they were handed in, and not just the last "
            "one first: which is which cannot be told; hand them in in the order in which they are read"
        )
    return steps == every[::-1] and len(steps) > 1
