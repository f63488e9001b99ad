"""Effects of units that are looked at one by one: of few units at a time, most of the time goes into calls."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.study import Block
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.scores import effects

#: So many go through an array together; with more it would not stay in the processor's cache.
TOGETHER = 64


def unit_effects(
    blocks: Sequence[Block], view: View, score: Callable[[np.ndarray, View], np.ndarray]
) -> list[Float[np.ndarray, "unit signal"]]:
    """Return the effects of each block's units, one by one; blocks of few units go through it together.

    Args:
        blocks: all of one number format.
        view: signals, mask and split.
        score: takes standardised units and a view; returns the scores of each unit by itself.
    """
    sizes = [block.values.shape[-1] for block in blocks]
    found: list[np.ndarray] = []
    start = 0
    while start < len(blocks):
        end = start + 1
        while end < len(blocks) and sum(sizes[start : end + 1]) <= TOGETHER:
            end += 1
        got = effects(score(_features(blocks[start:end], view), view), view)
        found += np.split(got, np.cumsum(sizes[start : end - 1]))
        start = end
    return found


def _features(blocks: Sequence[Block], view: View) -> Float[np.ndarray, "sequence time unit"]:
    if len(blocks) > 1:
        try:
            return view.features(torch.cat([block.values for block in blocks], dim=-1))
        except InputError:  # said below, of the one that it is about
            pass
    return np.concatenate([view.features(block.values, block.name) for block in blocks], axis=-1)
