"""What a smaller network has to keep, and on which sequences: some fit it, some decide its size, some only check."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.capacity.greedy import Imitation
from lstm_probe.causal.needs import LEARNED
from lstm_probe.causal.running import by_step
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.recorder.leaving import undisturbed

log = logging.getLogger(__name__)

#: What the score of a batch without targets is called.
OUTPUTS = "outputs"
#: Parts of the sequences that fit, decide and check; and where others check.
SHARES, TWO_SHARES = (0.4, 0.35, 0.25), (0.5, 0.5)
LEAST_EACH = 4  # sequences in the smallest part, at least


def split(batch: Batch, sizes: Sequence[float], groups: Any, seed: int) -> list[Batch]:
    """Return parts of a batch, as `places` gives them."""
    found = places(batch, sizes, groups, seed)[0]
    return [batch[torch.from_numpy(own).to(batch.lengths.device)] for own in found]


def places(
    batch: Batch, sizes: Sequence[float], groups: Any, seed: int
) -> tuple[list[Int[np.ndarray, " _"]], Int[np.ndarray, " sequence"]]:
    """Return the numbers of the sequences in each part, whole groups each, and which sequences belong together.

    Args:
        batch: the sequences.
        sizes: the parts' shares of it, which theirs are near.
        groups: as `Batch.groups`, which stand for None.
        seed: of the parts.

    Raises:
        InputError: there are too few sequences or groups.
    """
    n, parts, shares = len(batch), len(sizes), np.array(sizes)
    least = round(LEAST_EACH / shares.min())
    words = "some choose and others check"
    if n < least:
        raise InputError(f"sequences: {n}; must be {least} or more, as {words}")
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, n))
    blocks = np.arange(n) if codes is None else codes
    count = int(blocks.max()) + 1
    if count < parts:
        raise InputError(f"groups: {count}; must be {parts} or more, as {words}")
    place = np.random.default_rng(derive_seed(seed, "parts of shrink")).permutation(count)[blocks]
    ends = np.bincount(place).cumsum()
    cuts, before = [], 0
    for k, share in enumerate(np.cumsum(shares)[:-1]):
        # Each part has a group at least, those that follow too.
        legal = np.arange(before, count - (parts - 1 - k))
        before = int(legal[np.abs(ends[legal] - share * n).argmin()]) + 1
        cuts.append(before)
    part = np.searchsorted(cuts, place, side="right")
    return [np.flatnonzero(part == k) for k in range(parts)], blocks


@dataclass(frozen=True)
class Goal:
    """What a network does on some sequences, and what another one keeps of it.

    Attributes:
        batch: the sequences.
        outputs: of the network as it was.
        intact: its score of each target that has to be kept; `OUTPUTS`: 1, where there are none.
    """

    batch: Batch
    outputs: Float[Tensor, "..."]
    intact: Mapping[str, float]

    @classmethod
    def of(cls, model: nn.Module, batch: Batch, targets: Sequence[str]) -> "Goal":
        """Return it for a network.

        Raises:
            InputError: a target has no score on so few sequences.
        """
        outputs = outputs_by_step(model, batch)
        if not targets:
            return cls(batch, outputs, {OUTPUTS: 1.0})
        scores = batch.scores(outputs)
        if lost := [name for name in targets if not scores[name] > 0]:
            raise InputError(f"sequences: {len(batch)} are too few to tell the score of {lost[0]} on; give more")
        return cls(batch, outputs, {name: scores[name] for name in targets})

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Return the scores of another network.

        Without targets: 1 less the worst output's mean squared change as a share of its variance, at least 0.
        """
        outputs = outputs_by_step(model, self.batch)
        if OUTPUTS in self.intact and not self.batch.target_specs:
            return {OUTPUTS: max(0.0, 1 - self.imitation.worst(outputs))}
        scores = self.batch.scores(outputs)
        return {name: scores[name] for name in self.intact}

    @property
    def imitation(self) -> Imitation:
        """How far outputs are from those of the network as it was."""
        by_step = self.outputs.shape[:2] == self.batch.mask.shape
        return Imitation(self.batch, self.outputs, self.batch.mask if by_step else None, slice(None))

    def share(self, scores: Mapping[str, float]) -> float:
        """Return the least share of any target's score that is kept."""
        return min(scores[name] / own for name, own in self.intact.items())

    def kept(self, model: nn.Module) -> float:
        """Return the least share that another network keeps."""
        share = self.share(self.scores(model))
        return share if share == share else 0.0


def outputs_by_step(model: nn.Module, batch: Batch) -> Float[Tensor, "..."]:
    """Return what a model makes of a batch; where that has targets, by sequence and step.

    Raises:
        InputError: there are targets, and the outputs are not what they need.
    """
    with undisturbed(model):
        outputs = outputs_of(model, batch)
    return by_step(batch, outputs) if batch.target_specs else outputs


def learned_targets(model: nn.Module, batch: Batch) -> tuple[str, ...]:
    """Return the targets that a network learned, those that have to be kept; none where there are no targets.

    Raises:
        InputError: it learned none, or its outputs are not what the targets need.
    """
    if not batch.target_specs:
        return ()
    scores = batch.scores(outputs_by_step(model, batch))
    learned = tuple(name for name, score in scores.items() if score >= LEARNED)
    if not learned:
        best = max(scores.values())
        raise NotLearnedError(f"targets: none was learned (the best score is {best:.2f}, below {LEARNED}), so there is "
                              "nothing that fewer units could keep")  # fmt: skip
    if others := [name for name in scores if name not in learned]:
        log.warning("%s: not learned, so it is not looked at whether fewer units keep it", ", ".join(others))
    return learned
