"""Which units a planted network's outputs need, by brute force: every set of a few units, clamped and swapped.

Nothing here knows what was planted. The network is run step by step, by a loop of its own.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.planted.loop import Loop

#: A cost from which on a set is needed, and one up to which it is not; between them neither is said.
COSTS, FREE = 0.05, 1e-6
#: The cost of rounding alone, in 32 bits and through a projection; it adds to another change twice its root times that.
DUST = 1e-8
#: An output that varies by less than this share of its variance tells nothing any more, whatever its scale.
FLAT = 1e-6
#: More sets are refused.
MOST_SETS = 20_000
#: Numbers of the states that are computed at once.
AT_ONCE = 2_000_000

#: How a set is held, and what of the cost is counted.
HOLDS = ("clamped", "resampled", "refitted", "resample_refitted")

Place = tuple[int, int]
Units = tuple[Place, ...]


@dataclass(frozen=True)
class Truth:
    """What clamping and swapping every small set of units costs each output.

    A cost is the mean squared change of an output at a step, as a share of the output's variance. What is left of it
    once the changed output is brought back to scale is 1 − r², over all sequences and steps.

    Attributes:
        units: of all layers, as (layer, unit).
        sets: of units, from the empty one on.
        targets: the target that each output is one of, in order.
        clamped: cost when a set is held at its mean.
        swapped: cost, from the swap on, when a set's states are another sequence's at one step, and go on from there.
        kept: cost when all units but the set are held at their means.
        at: the step of the swap.
        resampled: cost when what a set holds is, at every step, what it holds in another sequence; None if not tried.
        kept_resampled: cost when that is done to all units but the set; None if not tried.
        refitted, kept_refitted: as `clamped` and `kept`, brought back to scale; one step for all. None if not tried.
        resample_refitted, kept_resample_refitted: likewise when what is held is another sequence's.
        spread: variance of each output, by which a target's outputs count; None for alike.
    """

    units: Units
    sets: tuple[frozenset[Place], ...]
    targets: tuple[str, ...]
    clamped: Float[np.ndarray, "set output step"]
    swapped: Float[np.ndarray, "set output step"]
    kept: Float[np.ndarray, "set output step"]
    at: int
    resampled: Float[np.ndarray, "set output step"] | None = None
    kept_resampled: Float[np.ndarray, "set output step"] | None = None
    refitted: Float[np.ndarray, "set output one"] | None = None
    kept_refitted: Float[np.ndarray, "set output one"] | None = None
    resample_refitted: Float[np.ndarray, "set output one"] | None = None
    kept_resample_refitted: Float[np.ndarray, "set output one"] | None = None
    spread: Float[np.ndarray, " output"] | None = None

    def cost(
        self, units: Iterable[Place], target: str, *, how: str = "clamped", output: int | None = None,
        step: int | None = None,
    ) -> float:  # fmt: skip
        """Return what one set costs a target: at a step, or on average over steps.

        Args:
            units: the set, each as (layer, unit).
            target: its name.
            how: "clamped", "resampled", "swapped", "kept", "kept_resampled", "refitted", and so on.
            output: which of the target's outputs, from 0; None for all together.
            step: None for all of them; of a swap, for all from it on.
        """
        return float(self._costs(how, target, output, step)[self.sets.index(frozenset(units))])

    def _costs(self, how: str, target: str, output: int | None, step: int | None) -> Float[np.ndarray, " set"]:
        own = [k for k, name in enumerate(self.targets) if name == target]
        own = own if output is None else own[output : output + 1]
        if not own:
            which = f"target={target}" + ("" if output is None else f", output={output}")
            raise InputError(f"{which}: there is none; there are {', '.join(self.targets)}")
        everything = getattr(self, how)
        if everything is None:
            raise InputError(f"how={how}: was not tried")
        costs: np.ndarray = everything[:, own]
        steps = slice(self.at if how == "swapped" else 0, None) if step is None else slice(step, step + 1)
        weights = None if self.spread is None else self.spread[own]
        made: np.ndarray = np.average(costs[..., steps].mean(-1), axis=1, weights=weights)
        return made

    def necessary(
        self, target: str, *, how: str = "clamped", output: int | None = None, step: int | None = None
    ) -> list[frozenset[Place]]:
        """Return the smallest sets that cost a target something: none of them holds another; see `cost`."""
        costs = self._costs(how, target, output, step)
        return smallest(own for own, cost in zip(self.sets, costs) if own and cost >= COSTS)

    def sufficient(
        self, target: str, *, how: str = "kept", output: int | None = None, step: int | None = None
    ) -> list[frozenset[Place]]:
        """Return the smallest sets that do when all other units are clamped; nothing where they are too large.

        Args:
            target, output, step: as of `cost`.
            how: "kept" or "kept_resampled".
        """
        costs = self._costs(how, target, output, step)
        return smallest(own for own, cost in zip(self.sets, costs) if cost < COSTS)

    def moves(self, unit: Place, target: str | None = None) -> bool | None:
        """Return whether outputs change when a unit's states are swapped, alone or with others; None if unclear.

        Args:
            unit: as (layer, unit).
            target: its name; None for any.
        """
        names = dict.fromkeys(self.targets) if target is None else (target,)
        found = []
        for name in names:
            costs = dict(zip(self.sets, self._costs("swapped", name, None, None)))
            if any(unit in units for units in self.necessary(name, how="swapped")):
                return True
            found.append(None if _most(unit, costs) > FREE else False)
        return None if None in found else False

    @cached_property
    def labels(self) -> pd.DataFrame:
        """A row for each unit and target: layer, unit, target, cost, resample_cost, swap_cost, refit_cost,
        resample_refit_cost, label, resample_label, refit_label, resample_refit_label, carries.

        The label says what clamping at the mean shows. "alone": clamping it costs. "cancelled": so it does, and
        clamping another one too costs nothing. "redundant": it costs nothing alone, it does with others, and there is a
        set that does without it. "together": the same, where no such set is known. "unused": none of it, in any of the
        sets that were tried, which are no larger than was asked for. "unclear": a cost between those that count and
        those that do not. The second label says the same of resampling, the other two of what both cost once the
        outputs are brought back to scale; None of what was not tried. `carries` says whether outputs change when its
        states are swapped, alone; None where that is unclear.
        """
        kinds = {how: f"kept_{how}" if how != "clamped" else "kept" for how in HOLDS}
        tried = [how for how in kinds if getattr(self, how) is not None]
        rows = []
        for target in dict.fromkeys(self.targets):
            costs = {how: dict(zip(self.sets, self._costs(how, target, None, None)))
                     for how in (*tried, "swapped")}  # fmt: skip
            sets = {how: (self.necessary(target, how=how), self.sufficient(target, how=kinds[how])) for how in tried}
            for unit in self.units:
                own = frozenset([unit])
                moved = costs["swapped"][own]
                held = [costs[how][own] if how in costs else math.nan for how in kinds]
                numbers = (*held[:2], moved, *held[2:])
                words = (label_of(unit, costs[how], *sets[how]) if how in sets else None for how in kinds)
                carries = None if FREE < moved < COSTS else bool(moved >= COSTS)
                rows.append((*unit, target, *numbers, *words, carries))
        columns = ["layer", "unit", "target", "cost", "resample_cost", "swap_cost", "refit_cost", "resample_refit_cost",
                   *(f"{word}label" for word in ("", "resample_", "refit_", "resample_refit_")), "carries"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)


def label_of(
    unit: Place, costs: dict[frozenset[Place], float], needed: Sequence[frozenset[Place]],
    enough: Sequence[frozenset[Place]],
) -> str:  # fmt: skip
    """Return in a word what clamping shows of a unit; see `Truth.labels`."""
    own = frozenset([unit])
    if costs[own] >= COSTS:
        paired = min((cost for units, cost in costs.items() if len(units) == 2 and unit in units), default=1.0)
        return "cancelled" if paired < COSTS <= costs[own] - paired else "alone"
    if any(unit in units and costs[units] - costs[units - own] >= COSTS for units in needed):
        return "redundant" if any(unit not in units for units in enough) else "together"
    return "unused" if _most(unit, costs) <= FREE else "unclear"


def _most(unit: Place, costs: dict[frozenset[Place], float]) -> float:
    """Return the most that a set's cost changes by one of its units, but for what rounding adds to a change."""
    own = frozenset([unit])
    pairs = [(cost, costs[units - own]) for units, cost in costs.items() if unit in units]
    return max(abs(one - other) - 2 * math.sqrt(DUST * max(one, other)) for one, other in pairs)


def smallest(sets: Iterable[frozenset[Any]]) -> list[frozenset[Any]]:
    """Return the sets that hold none of the others.

    >>> [sorted(own) for own in smallest([frozenset({1}), frozenset({1, 2}), frozenset({3, 2})])]
    [[1], [2, 3]]
    """
    found: list[frozenset[Any]] = []
    for own in sorted(sets, key=len):
        if not any(other <= own for other in found):
            found.append(own)
    return found


@torch.no_grad()
def brute_force(model: SequenceModel, batch: Batch, *, largest: int = 3, at: int | None = None, seed: int = 0) -> Truth:
    """Return what clamping and swapping every set of up to `largest` units costs.

    Args:
        model: any SequenceModel.
        batch: sequences of one length; costs are shares of the variance of what the network gives for them.
        largest: how many units a set has at most.
        at: the step of the swap; None for the middle one.
        seed: of who is swapped with whom.

    Raises:
        InputError: more sets than `MOST_SETS`, or sequences of several lengths.
    """
    lstm = model.lstm
    units = tuple((k, u) for k in range(lstm.num_layers) for u in range(lstm.hidden_size))
    many = sum(comb(len(units), size) for size in range(largest + 1))
    if many > MOST_SETS:
        raise InputError(f"largest={largest}: {many} sets of {len(units)} units; at most {MOST_SETS}")
    n, time = batch.inputs.shape[:2]
    if (batch.lengths != time).any():
        raise InputError("batch: the sequences must have one length")
    at = time // 2 if at is None else at
    sets = [frozenset(own) for size in range(largest + 1) for own in combinations(units, size)]
    masks = torch.tensor([[unit in own for unit in units] for own in sets]).view(len(sets), lstm.num_layers, 1, -1)
    loop = Loop(model, batch.inputs)
    intact = loop.run(torch.zeros_like(masks[:1]))[0]
    spread = intact.double().flatten(0, 1).var(0, correction=0).numpy()
    donors = torch.randperm(n, generator=generator(seed, "donors")).roll(1)
    means = loop.memories.mean((0, 2), keepdim=True).expand(time, -1, -1, -1)
    others = loop.memories[:, :, donors]
    chunk = max(1, AT_ONCE // (n * len(units)))

    def costs(own: Tensor, **how: Any) -> tuple[np.ndarray, np.ndarray]:
        changes, left = [], []
        for part in own.split(chunk):
            made = loop.run(part, **how)
            changes.append((made - intact).double().square().mean(1))
            left.append(unexplained(made.double(), intact.double()))
        shares: np.ndarray = torch.cat(changes).transpose(1, 2).numpy() / np.maximum(spread, 1e-12)[:, None]
        return shares, torch.cat(left).unsqueeze(-1).numpy()

    clamped, refitted = costs(masks, held=means)
    resampled, resample_refitted = costs(masks, held=others)
    kept, kept_refitted = costs(~masks, held=means)
    kept_resampled, kept_resample_refitted = costs(~masks, held=others)
    return Truth(
        units, tuple(sets), tuple(spec.name for spec in batch.target_specs for _ in range(spec.size)),
        spread=np.maximum(spread, 1e-12), clamped=clamped, resampled=resampled,
        swapped=costs(masks, swap=(at, donors))[0], kept=kept, kept_resampled=kept_resampled, at=at,
        refitted=refitted, kept_refitted=kept_refitted, resample_refitted=resample_refitted,
        kept_resample_refitted=kept_resample_refitted,
    )  # fmt: skip


def unexplained(
    made: Float[Tensor, "set sequence step output"], intact: Float[Tensor, "sequence step output"]
) -> Float[Tensor, "set output"]:
    """Return 1 − r² of changed outputs with the intact ones: 1 of what hardly varies, 0 of what never did."""
    one, other = (values.flatten(-3, -2) for values in (made, intact))
    one, other = one - one.mean(-2, keepdim=True), other - other.mean(-2, keepdim=True)
    own, whole = one.square().sum(-2), other.square().sum(-2)
    r2 = (one * other).sum(-2).square() / (own * whole).clamp(min=1e-300)
    flat = own <= FLAT * whole
    left: Tensor = torch.where(flat & (whole > 0), 1.0, torch.where(whole > 0, (1 - r2).clamp(min=0), 0.0))
    return left
