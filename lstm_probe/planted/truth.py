"""Which units a planted network's outputs need, by brute force: every set of a few units, clamped and swapped.

Nothing here knows what was planted. The network is run step by step, by a loop of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
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

#: A cost from which on a set is needed, and one up to which it is not; between them neither is said.
COSTS, FREE = 0.05, 1e-6
#: More sets are refused.
MOST_SETS = 20_000
#: Numbers of the states that are computed at once.
AT_ONCE = 2_000_000

Place = tuple[int, int]
Units = tuple[Place, ...]


@dataclass(frozen=True)
class Truth:
    """What clamping and swapping every small set of units costs each output.

    Attributes:
        units: of all layers, as (layer, unit).
        sets: of units, from the empty one on.
        targets: the outputs' names.
        clamped: share of each target's variance that is lost at each step when a set is held at its mean.
        swapped: share that changes, at each step from the swap on, when a set's states are another sequence's at one
            step, and go on from there.
        kept: share lost when all units but the set are held at their means.
        at: the step of the swap.
    """

    units: Units
    sets: tuple[frozenset[Place], ...]
    targets: tuple[str, ...]
    clamped: Float[np.ndarray, "set target step"]
    swapped: Float[np.ndarray, "set target step"]
    kept: Float[np.ndarray, "set target step"]
    at: int

    def cost(self, units: Iterable[Place], target: str, *, how: str = "clamped", step: int | None = None) -> float:
        """Return what one set costs a target: at a step, or on average over steps.

        Args:
            units: the set, each as (layer, unit).
            target: its name.
            how: "clamped", "swapped" or "kept".
            step: None for all of them; of a swap, for all from it on.
        """
        return float(self._costs(how, target, step)[self.sets.index(frozenset(units))])

    def _costs(self, how: str, target: str, step: int | None) -> Float[np.ndarray, " set"]:
        costs: np.ndarray = getattr(self, how)[:, self.targets.index(target)]
        own: np.ndarray = costs[:, self.at if how == "swapped" else 0 :].mean(1) if step is None else costs[:, step]
        return own

    def necessary(self, target: str, *, how: str = "clamped", step: int | None = None) -> list[frozenset[Place]]:
        """Return the smallest sets that cost a target something when clamped or swapped: none holds another."""
        costs = self._costs(how, target, step)
        return smallest(own for own, cost in zip(self.sets, costs) if own and cost >= COSTS)

    def sufficient(self, target: str, *, step: int | None = None) -> list[frozenset[Place]]:
        """Return the smallest sets that do when all other units are clamped; nothing where they are too large."""
        return smallest(own for own, cost in zip(self.sets, self._costs("kept", target, step)) if cost < COSTS)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """A row for each unit and target: layer, unit, target, cost, swap_cost, label, carries.

        The label says what clamping shows. "alone": clamping it costs. "cancelled": so it does, and clamping another
        one too costs nothing. "redundant": it costs nothing alone, it does with others, and there is a set that does
        without it. "together": the same, where no such set is known. "unused": none of it, in any of the sets that were
        tried, which are no larger than was asked for. "unclear": a cost between those that count and those that do not.
        `carries` says whether outputs change when its states are swapped; None
        where that is unclear.
        """
        rows = []
        for target in self.targets:
            clamped = dict(zip(self.sets, self._costs("clamped", target, None)))
            swapped = dict(zip(self.sets, self._costs("swapped", target, None)))
            needed, enough = self.necessary(target), self.sufficient(target)
            for unit in self.units:
                own = frozenset([unit])
                moved = swapped[own]
                carries = None if FREE < moved < COSTS else bool(moved >= COSTS)
                rows.append((*unit, target, clamped[own], moved, label_of(unit, clamped, needed, enough), carries))
        columns = ["layer", "unit", "target", "cost", "swap_cost", "label", "carries"]
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
    with_it = (cost - costs[units - own] for units, cost in costs.items() if unit in units)
    return "unused" if max(map(abs, with_it)) <= FREE else "unclear"


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
    intact = loop.run(torch.zeros_like(masks[:1]), None, None)[0]
    donors = torch.randperm(n, generator=generator(seed, "donors")).roll(1)
    chunk = max(1, AT_ONCE // (n * len(units)))

    def costs(own: Tensor, hold: bool) -> Float[np.ndarray, "set target step"]:
        parts = [loop.run(part, None if hold else at, donors) for part in own.split(chunk)]
        return np.concatenate([_lost(part, intact, batch) for part in parts])

    return Truth(units, tuple(sets), tuple(spec.name for spec in batch.target_specs), costs(masks, True),
                 costs(masks, False), costs(~masks, True), at)  # fmt: skip


def _lost(
    outputs: Float[Tensor, "set sequence step output"], intact: Float[Tensor, "sequence step output"], batch: Batch
) -> Float[np.ndarray, "set target step"]:
    """Return the mean squared change of each target's outputs at each step, as a share of their variance."""
    made, start = [], 0
    for spec in batch.target_specs:
        own = slice(start, start + spec.size)
        start += spec.size
        change = (outputs[..., own] - intact[..., own]).double().square().sum(-1).mean(1)
        spread = intact[..., own].double().flatten(0, 1).var(0, correction=0).sum()
        made.append((change / spread.clamp(min=1e-12)).numpy())
    return np.stack(made, axis=1)


class Loop:
    """A network run step by step, for several interventions at once.

    Args:
        model: with a `readout` straight from the top layer's h.
        inputs: (sequence, step, line).
    """

    def __init__(self, model: SequenceModel, inputs: Float[Tensor, "sequence step line"]) -> None:
        self.model, self.inputs = model, inputs
        lstm = model.lstm
        own = dict(lstm.named_parameters())
        self._layers = [
            (own[f"weight_ih_l{k}"].T, own[f"weight_hh_l{k}"].T, own[f"bias_ih_l{k}"] + own[f"bias_hh_l{k}"],
             own[f"weight_hr_l{k}"].T if lstm.proj_size else None)
            for k in range(lstm.num_layers)
        ]  # fmt: skip
        empty = torch.zeros(1, lstm.num_layers, 1, lstm.hidden_size, dtype=torch.bool)
        self._means = torch.stack(list(self._states(empty, None, None))).mean((0, 1, 3))

    def run(
        self, masks: Tensor, at: int | None, donors: Tensor | None
    ) -> Float[Tensor, "set sequence step output"]:  # fmt: skip
        """Return the outputs with a set of units held at their means, or swapped at one step.

        Args:
            masks: which units, (set, layer, 1, unit).
            at: the step of the swap; None to hold them.
            donors: whose states each sequence gets then.
        """
        made: list[Tensor] = []
        for _ in self._states(masks, at, donors, made):
            pass
        return torch.stack(made, dim=2)

    def _states(
        self, masks: Tensor, at: int | None, donors: Tensor | None, outputs: list[Tensor] | None = None
    ) -> Iterator[Float[Tensor, "set layer sequence unit"]]:
        """Go through the memories after every step; the outputs of every step are put into a list."""
        lstm, n = self.model.lstm, len(self.inputs)
        shown = lstm.proj_size or lstm.hidden_size
        start = getattr(self.model, "h", None), getattr(self.model, "c", None)
        h, c = (torch.zeros(len(masks), lstm.num_layers, n, width) if own is None
                else own.expand(-1, n, -1).expand(len(masks), -1, -1, -1).clone()
                for own, width in zip(start, (shown, lstm.hidden_size)))  # fmt: skip
        hold = at is None and bool(masks.any())
        for t, x in enumerate(self.inputs.unbind(1)):
            below: Tensor = x
            for k, (from_below, from_h, bias, project) in enumerate(self._layers):
                i, f, g, o = (below @ from_below + h[:, k] @ from_h + bias).chunk(4, dim=-1)
                now = f.sigmoid() * c[:, k] + i.sigmoid() * g.tanh()
                if hold:
                    now = torch.where(masks[:, k], self._means[k], now)
                raw = o.sigmoid() * now.tanh()
                if t == at and donors is not None:
                    now, raw = (torch.where(masks[:, k], own[:, donors], own) for own in (now, raw))
                c[:, k] = now
                h[:, k] = raw if project is None else raw @ project
                below = h[:, k]
            if outputs is not None:
                outputs.append(self.model.readout(below))
            yield c.clone() if outputs is None else c
