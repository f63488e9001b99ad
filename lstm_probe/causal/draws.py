"""Which sequences each of many measurements takes, and what their spread leaves out as soon as they come back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass
class Draws:
    """Sequences for one pair after the other, whole blocks of them, those first that were drawn least.

    Attributes:
        blocks: of each sequence, the number of its block.
        counts: how often each block was drawn.
    """

    blocks: Int[np.ndarray, " sequence"]
    sequences: int
    seed: int

    def __post_init__(self) -> None:
        self.sizes = np.bincount(self.blocks)
        self.counts = np.zeros(len(self.sizes), int)
        self._rng = np.random.default_rng(self.seed)

    def next(self) -> tuple[Int[np.ndarray, " drawn"], Int[np.ndarray, " drawn"]]:
        """Return the sequences of a draw, and to which half of its blocks each belongs: 0 or 1."""
        order = self._rng.permutation(len(self.sizes))
        order = order[np.argsort(self.counts[order], kind="stable")]
        many = max(2, 1 + int(np.searchsorted(self.sizes[order].cumsum(), self.sequences)))
        taken = self._rng.permutation(order[:many])
        self.counts[taken] += 1
        half = np.full(len(self.sizes), -1)
        half[taken] = np.arange(len(taken)) % 2
        chosen = np.flatnonzero(half[self.blocks] >= 0)
        return chosen, half[self.blocks[chosen]]

    def beyond(self, drawn: int) -> float:
        """Return how much of the variance by the sequences of one draw the spread over `drawn` draws leaves out.

        The mean over draws has the variance per_draw · Σ counts² / (Σ counts)² from its sequences. The spread over
        draws, divided by their number, shows all of it if no sequence comes twice, and nothing if all are the same.
        """
        squares, total = int(np.square(self.counts).sum()), int(self.counts.sum())
        return (squares - total) / total / (drawn - 1)

    def at_best(self) -> float:
        """Return the share of that variance which any number of draws leaves."""
        blocks = len(self.sizes)
        return min(1.0, max(2.0, self.sequences / float(self.sizes.mean())) / blocks)
