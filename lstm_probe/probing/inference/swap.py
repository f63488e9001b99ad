"""The past-swap: what a unit shows when it has read its own last inputs, but remembers another sequence.

For every step t the states of all layers after step t − k are taken from another sequence at that very step, and the
network reads its own last k inputs from there. What is left of a unit's effect is owed to these inputs and to the step,
and to nothing that the network remembers for longer. Whatever function of the inputs the unit computes, this holds it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.study import Study, by_labels
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.untrained import Score
from lstm_probe.recorder.data import Recording
from lstm_probe.recorder.exact import record_layer
from lstm_probe.recorder.weights import Weights

Part = tuple[int, str]
Values = dict[Part, dict[str, Tensor]]

#: Memory for the windows that are run at once, in bytes.
BATCH_BYTES = 2**26


def can_swap(rec: Recording) -> bool:
    """Return whether a recording has all that is carried, and the weights with which each of its sequences ran."""
    states = all({*rec.config.cell.state} <= {*part.variables} for part in rec)
    return states and bool(rec.weights) and rec.ran_with is not None and bool((rec.ran_with >= 0).all())


def make_donors(
    lengths: Int[np.ndarray, " sequence"],
    time: int,
    seed: int,
    number: int = 0,
    groups: Int[np.ndarray, " sequence"] | None = None,
) -> Int[np.ndarray, "sequence time"]:
    """Return, for each sequence and step, another sequence that has that step; −1 where there is none.

    Sequences stand in a random order, and each takes the next one of those that are long enough: of another group where
    there are groups, if any has the step.
    """
    rng = np.random.default_rng(derive_seed(seed, "donors", number))
    order = rng.permutation(len(lengths))
    if groups is not None:
        rank = rng.permutation(int(groups.max()) + 1)
        order = order[np.argsort(rank[groups[order]], kind="stable")]
    out = np.full((len(lengths), time), -1)
    for length in np.unique(lengths):
        here = order[lengths[order] >= length]
        steps = slice(int(lengths[lengths < length].max(initial=0)), int(length))
        # Past the largest group, the next sequence is of another one, as long as no group has more than half of them.
        by = 1 if groups is None else int(np.bincount(groups[here]).max())
        if len(here) > 1:
            out[here, steps] = np.roll(here, by % len(here) or 1)[:, None]
    if groups is not None:
        own = groups[np.maximum(out, 0)] == groups[:, None]
        out[own] = -1
    return out


def swapped(rec: Recording, k: int, donors: Int[np.ndarray, "sequence time"], variables: Sequence[str]) -> Values:
    """Return the recorded variables with the past swapped k steps before; as recorded where there is nothing to swap.

    Read forward, that is so at the first k steps, and where no other sequence has the step. A backward direction's past
    is what comes later, so there it is the last k steps.

    Args:
        rec: with its weights: see `can_swap`; all that its cell carries of every layer in it.
        k: how many inputs the network reads after the swap, 1 or more.
        donors: from `make_donors`.
        variables: which to return.
    """
    out: Values = {key: {v: part[v].clone() for v in variables} for key, part in rec.parts.items()}
    lengths = rec.lengths.cpu().numpy()
    both = rec.config.bidirectional
    blocks = len(rec.config.cell.blocks)
    first, last = _windows(lengths, donors, k, rec.config.backward, both)
    for number, weights in enumerate(rec.weights):
        assert rec.ran_with is not None
        own = np.flatnonzero(rec.ran_with[first[0]].numpy() == number)
        size = 8 * k * sum(blocks * one.units + one.outputs for one in weights.values())
        step = max(1, BATCH_BYTES // size)
        for start in range(0, len(own), step):
            chosen = own[start : start + step]
            _run(rec, weights, first[:, chosen], last[:, chosen], k, donors, out)
    return out


def _windows(
    lengths: np.ndarray, donors: np.ndarray, k: int, backward: bool, both: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return sequence and first step, and sequence and last step, of every window with something to swap before it."""
    sequence, start = np.nonzero(np.arange(donors.shape[1]) + k <= lengths[:, None])
    end = start + k - 1
    before = (start > 0) & (donors[sequence, np.maximum(start - 1, 0)] >= 0)
    after = (end + 1 < lengths[sequence]) & (donors[sequence, np.minimum(end + 1, donors.shape[1] - 1)] >= 0)
    some = (before | after) if both else after if backward else before
    return np.stack([sequence, start])[:, some], np.stack([sequence, end])[:, some]


def _run(
    rec: Recording, weights: Mapping[Part, Weights], first: np.ndarray, last: np.ndarray, k: int, donors: np.ndarray,
    out: Values,
) -> None:  # fmt: skip
    sequence = torch.from_numpy(first[0])
    steps = torch.from_numpy(first[1])[:, None] + torch.arange(k)
    lengths = rec.lengths.cpu()
    below = rec.inputs.cpu()[sequence[:, None], steps]
    tops: list[Tensor] = []
    at = 0
    for key, part in rec.parts.items():
        layer, direction = key
        if layer > at:
            below, tops, at = torch.cat(tops, dim=-1), [], layer
        back = direction == "reverse"
        edge = torch.from_numpy(last[1] + 1 if back else first[1] - 1)
        there = (edge < lengths[sequence]) if back else edge >= 0
        inside = edge.clamp(0, donors.shape[1] - 1)
        donor = torch.from_numpy(donors)[sequence, inside]
        has = there & (donor >= 0)
        # At its edge a sequence begins with nothing; without a donor it keeps what it remembers.
        source = torch.where(donor >= 0, donor, sequence)
        own = weights[key].to("cpu")
        own = own.to(torch.float32) if own.w_hh.dtype.itemsize == 2 else own
        x = below.to(own.w_hh.dtype)
        cell = rec.config.cell
        state = tuple(
            torch.where(there[:, None], part[v].cpu()[source, inside], cell.starts.get(v, 0.0)).to(x)
            for v in cell.state
        )
        got = record_layer(own, x.flip(1) if back else x, state, cell.names)
        tops.append(got["h"].flip(1) if back else got["h"])
        place = torch.from_numpy(first[1] if back else last[1])[has]
        for v, values in out[key].items():
            values[sequence[has], place] = got[v][has, -1].to(values)


#: After how many of its last inputs a unit is asked whether they are enough.
DEPTHS = (1, 2, 3, 5, 8, 12, 16)

#: The share of its effect that is enough.
ENOUGH = 0.9

#: How many other sequences each one takes its past from, one after the other.
DONORS = 2


def swap_effects(
    study: Study,
    wanted: Bool[np.ndarray, "lag unit signal"],
    k: int,
    seed: int,
    score: Score,
    donors: int = DONORS,
) -> Float[np.ndarray, "lag unit signal"]:
    """Return what is left of effects with the past swapped k steps before, the mean over donors; NaN if not wanted."""
    blocks = study.blocks
    ends = np.cumsum([block.values.shape[-1] for block in blocks])
    units = np.split(wanted.any((0, 2)), ends[:-1])
    variables = [v for v in study.variables if any(u.any() for u, b in zip(units, blocks) if b.variable == v)]
    total = np.zeros(wanted.shape)
    for number in range(donors):
        sources = make_donors(study.lengths, study.rec.inputs.shape[1], seed, number, study.groups)
        values = swapped(study.rec, k, sources, variables)

        def scored(own: Study, values: Values = values) -> dict[str, np.ndarray]:
            out = np.full((len(own.views), len(wanted[0]), len(own.signals)), np.nan)
            for lag, view in enumerate(own.views):
                for block, here, end in zip(blocks, units, ends):
                    if here.any():
                        there = values[block.layer, block.direction][block.variable][..., np.flatnonzero(here)]
                        place = end - len(here) + np.flatnonzero(here)
                        out[lag, place] = effects(score(view.features(there, block.name), view), view)
            return {"effect": out}

        total += by_labels(study, scored)["effect"]
    return np.where(wanted, total / donors, np.nan)


def depths(
    study: Study,
    effect: Float[np.ndarray, "lag unit signal"],
    floor: Float[np.ndarray, "lag unit signal"],
    wanted: Bool[np.ndarray, "lag unit signal"],
    seed: int,
    score: Score,
) -> Float[np.ndarray, "lag unit signal"]:
    """Return how many last inputs give a unit 0.9 of what its effect has beyond `floor`, that of the step alone.

    One of `DEPTHS`, infinite for more than those; NaN where it is not wanted. The swap keeps the step, so that its part
    needs no input. One donor for each sequence will do.
    """
    enough = floor + ENOUGH * np.maximum(effect - floor, 0)
    out = np.where(wanted, np.inf, np.nan)
    for k in DEPTHS:
        left = np.isinf(out)
        if not left.any() or k >= study.lengths.max():
            break
        out[left & (swap_effects(study, left, k, seed, score, donors=1) >= enough)] = k
    return out
