"""In which order units go, by trial: what outputs lose when a unit is merged into the others, readers refitted.

Before each step the closed form (see `order`) says which units are worth trying. Of these, that one goes whose loss
hurts the worst output least: its mean squared change as a share of its variance, at the steps that are scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.order import Elimination, importance
from lstm_probe.capacity.sums import Moments
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.recorder.leaving import undisturbed

TRIED = 8  # units at each step


@dataclass(frozen=True)
class Imitation:
    """How far outputs are from those of the network as it was.

    Attributes:
        batch: sequences.
        outputs: of the network as it was.
        scored: the steps that count; None where outputs are not by sequence and step.
        columns: the outputs that count.
    """

    batch: Batch
    outputs: Float[Tensor, "..."]
    scored: Bool[Tensor, "sequence time"] | None
    columns: slice

    @classmethod
    def of(cls, narrowing: Narrowing, batch: Batch, target: str | None = None) -> "Imitation":
        """Return it for a module on a batch, of one target's outputs alone or of all."""
        with undisturbed(narrowing.model):
            outputs = outputs_of(narrowing.model, batch)
        names, ends = [spec.name for spec in batch.target_specs], np.cumsum([spec.size for spec in batch.target_specs])
        columns = slice(None)
        if target is not None:
            place = names.index(target)
            columns = slice(int(ends[place]) - batch.target_specs[place].size, int(ends[place]))
        if outputs.dim() != 3 or outputs.shape[:2] != batch.mask.shape:
            return cls(batch, outputs, None, columns)
        steps = [batch.scored_steps(name) for name in (names if target is None else [target])]
        return cls(batch, outputs, torch.stack(steps).any(0) if steps else batch.mask, columns)

    def worst(self, outputs: Float[Tensor, "..."]) -> float:
        """Return the largest mean squared change of an output, as a share of its variance."""
        was = self._flat(self.outputs)
        changed = (self._flat(outputs) - was).square().mean(0) / was.var(0).clamp(min=1e-12)
        value = float(changed.max())
        return value if value == value else float("inf")

    def _flat(self, outputs: Tensor) -> Tensor:
        own = outputs[..., self.columns]
        own = own[self.scored] if self.scored is not None else own
        return own.flatten(0, -2).double()


@torch.no_grad()
def greedy_orders(
    narrowing: Narrowing, moments: Mapping[Part, Moments], batch: Batch, *, least: int = 1, tried: int = TRIED,
    target: str | None = None,
) -> dict[Part, list[int]]:  # fmt: skip
    """Return, for each layer and direction, the units in the order in which they go, those that are left at the end.

    Layers and directions lose one unit each in turn, so that all have as many.

    Args:
        narrowing: of the module.
        moments: of its units.
        batch: sequences to try on; 128 are enough.
        least: how many units are left.
        tried: how many units are tried before each step.
        target: whose outputs alone count; None for all.
    """
    goal = Imitation.of(narrowing, batch, target)
    eliminations = {
        part: Elimination(moments[part], importance(narrowing, part), offset=narrowing.offset)
        for part in narrowing.parts
    }
    while len(next(iter(eliminations.values())).kept) > least:
        for part, elimination in eliminations.items():
            best = [elimination.kept[k] for k in elimination.costs().argsort()[:tried].tolist()]
            others = {one: [*own.kept] for one, own in eliminations.items()}
            # Those whose turn has not come lose what the closed form says, so that all are as many.
            size = len(elimination.kept) - 1
            for one, own in eliminations.items():
                if one != part and len(own.kept) > size:
                    others[one].remove(own.kept[int(own.costs().argmin())])
            losses = []
            for unit in best:
                kept = {**others, part: [k for k in elimination.kept if k != unit]}
                losses.append(goal.worst(merged_outputs(narrowing, moments, kept, batch)))
            elimination.remove(best[losses.index(min(losses))])
    return {part: [*own.cut, *own.kept] for part, own in eliminations.items()}


def merged_folds(
    narrowing: Narrowing, moments: Mapping[Part, Moments], kept: Mapping[Part, list[int]]
) -> dict[Part, Fold]:
    """Return the folds that merge all other units into those that are kept, in least squares."""
    return {part: moments[part].fold(tuple(sorted(own)), offset=narrowing.offset) for part, own in kept.items()}


def merged_outputs(
    narrowing: Narrowing, moments: Mapping[Part, Moments], kept: Mapping[Part, list[int]], batch: Batch
) -> Tensor:
    """Return what a batch gives with all other units merged into those that are kept, and readers refitted on it."""
    small = narrowing.narrow(merged_folds(narrowing, moments, kept))
    narrowing.refit(small, batch)
    with undisturbed(small):
        return outputs_of(small, batch)
