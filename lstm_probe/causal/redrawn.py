"""What a clamp to the mean would cost if the mean were that of other sequences: it is no better known than the cost.

A score is a smooth function of the value that a unit is clamped to. So each unit is clamped a little below and a little
above its mean, too, and the parabola through a bootstrap sample's three scores says what its own mean adds. Of several
units at once, whose means move each its own way, the means of a few bootstrap samples stand for those of all.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.refit import Summing, Sums, refit_score
from lstm_probe.causal.scoring import Added, scores_of
from lstm_probe.core.order import UnitKey
from lstm_probe.core.seeding import part_of
from lstm_probe.recorder.agreement import allowed

SEQUENCES = 128  # on so many the further runs are made, if there are as many
APART = 2.0  # how far they are from the mean, in its standard errors
DRAWS = 40  # of so many samples, the means of units that are clamped at once are tried
FEW, PART = 12, 64  # the same, and on so many sequences, where many sets are clamped

#: Of each of three runs, sums over each sequence: as it stands, and after the refit.
Around = tuple[tuple[Sums, Sums], ...]


class Redrawn:
    """A model on a batch whose units are clamped to means that every bootstrap sample has of its own.

    Args:
        subject: the model on the batch; its units are clamped to their means.
        counts: how often each sequence is in each bootstrap sample, the first of which is all sequences.
        draws: of how many samples the means of units that are clamped at once are tried.
        most: on how many sequences the further runs are made.
    """

    def __init__(
        self, subject: Intervening, counts: Float[Tensor, "sample sequence"], draws: int = DRAWS, most: int = SEQUENCES
    ) -> None:
        self.draws = range(1, min(1 + draws, len(counts)))
        moved = means_moved(subject, counts)
        self.moved: Mapping[UnitKey, Float[np.ndarray, " sample"]] = {} if moved is None else moved
        self.subject = subject
        self.some: Tensor | slice = slice(None)
        if self.moved and len(subject.batch) > most:
            self._take_some(most)
        self.batch, self.counts = self.subject.batch, counts[:, self.some]
        self._summing = Summing(self.batch)

    def _take_some(self, most: int) -> None:
        """Take a part of the sequences, if the model does with it what it does with all of them."""
        some = part_of(len(self.subject.batch), most, "sequences on which means are redrawn")
        intact = self.subject.intact.outputs[some]
        try:
            part = self.subject.on(self.subject.batch[some])
        except RuntimeError:  # a model that takes batches of one size
            return
        same = part.intact.outputs.shape == intact.shape and bool(
            (part.intact.outputs - intact).abs().amax() <= allowed(intact, float(intact.abs().amax()))
        )
        if same:
            self.subject, self.some = part, some

    def runs(self, unit: UnitKey, outputs: Float[Tensor, "sequence time output"]) -> Around | None:
        """Return sums over each sequence of three runs: with a unit below its mean, at it, and above it.

        Args:
            unit: that is clamped; None comes of one whose mean is known.
            outputs: of the whole batch with the unit at its mean.
        """
        apart = self._apart(unit)
        if not apart > 0:
            return None
        below, above = (self.subject.outputs([unit], {unit: by}).outputs for by in (-apart, apart))
        three = (below, outputs[self.some], above)
        return tuple((self._summing.raw(own), self._summing.refitted(own)) for own in three)

    def added(self, found: Mapping[UnitKey, Around | None]) -> list[Added]:
        """Return for each unit what every sample's own mean adds to the scores, as they stand and after the refit."""
        there = {unit: own for unit, own in found.items() if own is not None}
        if not there:
            return [{} for _ in found]
        moved = np.stack([self.moved[unit] for unit in there], axis=1)
        apart = np.array([self._apart(unit) for unit in there])
        made: dict[UnitKey, dict[str, Any]] = {unit: {} for unit in found}
        for spec in self.batch.target_specs:
            both = []
            kinds: tuple[Callable[[Tensor], Tensor], ...] = spec.score, partial(refit_score, spec)
            for kind, score in enumerate(kinds):
                low, now, high = (scores_of(self.counts, score, [own[k][kind][spec.name] for own in there.values()])
                                  for k in range(3))  # fmt: skip
                slope, bend = (high - low) / (2 * apart), (high + low - 2 * now) / (2 * apart**2)
                more = slope * moved + bend * moved**2
                both.append(np.where(np.isfinite(more), more, 0.0))
            for k, unit in enumerate(there):
                made[unit][spec.name] = both[0][:, k], both[1][:, k]
        return [made[unit] for unit in found]

    def of_set(self, units: Sequence[UnitKey], outputs: Float[Tensor, "sequence time output"]) -> Added:
        """Return the same for units that are clamped at once; `outputs` are of the whole batch with all at their means.

        Of several, what the means of a few samples add on all sequences is dealt out to the samples in turn.
        """
        if len(units) == 1:
            return self.added({units[0]: self.runs(units[0], outputs)})[0]
        if not self.moved:
            return {}
        runs = [outputs[self.some]]
        runs += [self.subject.outputs(units, {unit: self.moved[unit][k] for unit in units}).outputs for k in self.draws]
        sums = [(self._summing.raw(own), self._summing.refitted(own)) for own in runs]
        dealt = np.resize(np.arange(1, len(runs)), len(self.counts) - 1)
        made: dict[str, Any] = {}
        for spec in self.batch.target_specs:
            both = []
            kinds: tuple[Callable[[Tensor], Tensor], ...] = spec.score, partial(refit_score, spec)
            for kind, score in enumerate(kinds):
                scores = score(torch.stack([own[kind][spec.name].sum(0) for own in sums])).numpy()
                more = scores - scores[0]
                both.append(np.append(0.0, np.where(np.isfinite(more), more, 0.0)[dealt]))
            made[spec.name] = both[0], both[1]
        return made

    def _apart(self, unit: UnitKey) -> float:
        return APART * float(self.moved[unit][1:].std()) if unit in self.moved else 0.0


def means_moved(
    subject: Intervening, counts: Float[Tensor, "sample sequence"]
) -> dict[UnitKey, Float[np.ndarray, " sample"]] | None:
    """Return how far every sample's mean of each unit is from that of the first; None where rows are no sequences."""
    n = counts.shape[1]
    found: dict[UnitKey, Float[np.ndarray, " sample"]] = {}
    if len(subject.real) % n:
        return None
    steps = counts @ subject.real.sum(1).double().cpu().view(-1, n).sum(0)
    for part, values in subject.recording.parts.items():
        real = torch.where(subject.real.unsqueeze(-1), values[subject.variable].double(), 0.0)
        sums = counts @ real.sum(1).cpu().unflatten(0, (-1, n)).sum(0)
        means = (sums / steps.clamp(min=1).unsqueeze(1)).numpy()
        found |= {(*part, unit): means[:, unit] - means[0, unit] for unit in range(means.shape[1])}
    return found
