"""How long a unit's memory is held and who reads it, from what follows when it is that of another sequence, once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.order import UnitKey, unit_label
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.exchanging import Exchanging, Part, Patched, undisturbed_for
from lstm_probe.dynamics.writing import Samples, ends
from lstm_probe.recorder.data import LayerRecording
from lstm_probe.recorder.weights import Weights

#: Pairs of sequences that are needed to say how much of a difference is left.
LEAST_PAIRS = 20
#: What is left agrees with what the gate that keeps alone would leave within this.
NEAR = 0.1
#: Of what an exchange changes in an output, a weight times the change of h must leave no more than this (of squares).
LINEAR = 1e-4
#: A gate or an output that varies less than this is looked at on this scale.
LEAST_SPREAD = 0.01
#: Readers of a unit that stand in the table: those that change most, and those with the largest weights.
MOST_READERS = 8
#: Sums of squared changes below this are none.
TINY = 1e-12


def hold_rows(
    done: Sequence[Patched], kept: Float[Tensor, "sequence time"], writes: Bool[Tensor, "sequence time"],
    real: Bool[Tensor, "sequence time"], after: Sequence[int], counts: Samples,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Go through what is left of another sequence's value some steps later, where no event that writes came.

    Args:
        done: the unit's exchanges.
        kept: by what each step multiplies its memory, as the network is.
        writes: the steps at which an event comes that writes it.
        real: real steps with something to keep.
        after: steps later.
        counts: how often each sequence is in each resample; once in the first.
    """
    quiet = real & ~writes
    own = kept[quiet]
    tau = float(1 / own.mean().log().abs()) if len(own) else torch.nan
    for lag in after:
        above, alone, below, pairs = (torch.zeros(len(kept), dtype=torch.float64) for _ in range(4))
        for one in done:
            if lag not in one.left:
                continue
            left = one.left[lag]
            use = one.there & undisturbed_for(writes, one, lag) & left.isfinite()
            first, last = sorted((one.step + one.sign, one.step + one.sign * lag))
            gate = kept[:, first : last + 1].prod(1)
            squares = one.change.square()
            for sums, values in ((above, left * one.change), (alone, gate * squares), (below, squares), (pairs, 1.0)):
                sums += torch.where(use, values, 0.0)
        row: dict[str, Any] = {
            "lag": lag,
            "n": int(pairs.sum()),
            "kept": float(own.mean()) if len(own) else torch.nan,
            "tau_forget": tau,
        }
        if row["n"] < LEAST_PAIRS or not below.sum() > TINY:
            yield row
            continue
        share = ((counts @ above) / (counts @ below)).unsqueeze(1)
        row |= {"effect": share[0], **ends(share), "gate_alone": alone.sum() / below.sum()}
        if row["gate_alone"].isfinite():
            row["confirmed"] = bool((share[0] - row["gate_alone"]).abs() <= NEAR)
        yield row


@dataclass(eq=False)
class Reading:
    """Who may read a unit, and by which weights.

    Attributes:
        exchanging: the exchanges.
        weights: of each layer and direction.
        outputs: of the model as it is.
        batch: with the targets that they are of.
        least: the smallest change that counts, in standard deviations.
        layers: whether there are several, for the names.
    """

    exchanging: Exchanging
    weights: Mapping[Part, Weights]
    outputs: Float[Tensor, "sequence time output"]
    batch: Batch
    least: float
    layers: bool

    def rows(self, key: UnitKey, done: Sequence[Patched], counts: Samples) -> Iterator[dict[str, Any]]:
        """Go through the outputs and the units that read a unit."""
        shown = _shown(self.exchanging.rec.parts[key[:2]], key[2])
        if not sum(float(one.change[one.there].square().sum()) for one in done) > TINY:
            yield from ({"other": f"output {name}", "lag": 0, "n": 0} for name, *_ in self._targets)
            return
        yield from self._outputs(done, shown, counts)
        yield from self._units(key, done, shown, counts)

    @cached_property
    def _targets(self) -> list[tuple[str, slice, Float[Tensor, "step output"], Tensor]]:
        """Each target's name, its outputs, what they are at real steps less their means, and their variance."""
        found, at = [], 0
        for spec in self.batch.target_specs:
            own = slice(at, at := at + spec.size)
            y = self.outputs[self.batch.mask][:, own].double()
            y -= y.mean(0)
            found.append((spec.name, own, y, y.square().mean(0).sum()))
        return found

    def _outputs(self, done: Sequence[Patched], shown: Tensor, counts: Samples) -> Iterator[dict[str, Any]]:
        changes = torch.stack([one.outputs for one in done])
        there = torch.stack([one.there for one in done])
        moves = torch.where(there, torch.stack([one.shown for one in done]), 0)
        shown = shown[self.batch.mask]
        for name, own, y, variance in self._targets:
            change = torch.where(there.unsqueeze(-1), changes[..., own], 0)
            spread = variance.sqrt().clamp(min=LEAST_SPREAD)
            changed = self._changed(change.square().sum(-1).sum(0).unsqueeze(1), there.sum(0), spread, counts)
            row = {"other": f"output {name}", "lag": 0, "n": int(there.sum())}
            yield row | {key: values[0] for key, values in changed.items()} | _weight(change, moves, y, variance, shown)

    def _units(self, key: UnitKey, done: Sequence[Patched], shown: Tensor, counts: Samples) -> Iterator[dict[str, Any]]:
        for part in done[0].read:
            read = torch.stack([one.read[part] for one in done if part in one.read]).flatten(-2)
            there = read[..., 0].isfinite() & torch.stack([one.there for one in done if part in one.read])
            squares = torch.where(there.unsqueeze(-1), read, 0).square().sum(0)
            spread = self.exchanging.spreads[part].flatten().clamp(min=LEAST_SPREAD)
            weight = self._columns(key, part) * shown[self.batch.mask].std(correction=0)
            best = self._strongest(squares.sum(0).sqrt() / spread, weight, key, part)
            changed = self._changed(squares[:, best], there.sum(0), spread[best], counts)
            for at, k in enumerate(best):
                unit, reader = divmod(k, len(self.exchanging.readers))
                label = unit_label((*part, unit), self.layers)
                row = {"other": f"unit {label} {self.exchanging.readers[reader]}", "lag": int(part[0] == key[0])}
                yield row | {"n": int(there.sum()), "weight": float(weight[k]),
                             **{name: values[at] for name, values in changed.items()}}  # fmt: skip

    def _strongest(self, changes: Tensor, weight: Tensor, key: UnitKey, part: Part) -> list[int]:
        """Return which change most, and which weigh most; of the unit itself all that have weights, and no others."""
        chosen = {k for values in (changes, weight.nan_to_num(-1))
                  for k in values.topk(min(MOST_READERS, len(changes))).indices.tolist()}  # fmt: skip
        if part == key[:2]:
            readers, blocks = self.exchanging.readers, self.weights[part].cell.blocks
            own = {name: len(readers) * key[2] + k for k, name in enumerate(readers)}
            chosen = chosen - {*own.values()} | {k for name, k in own.items() if name in blocks}
        return sorted(chosen)

    def _changed(self, squares: Tensor, pairs: Tensor, spread: Tensor, counts: Samples) -> dict[str, Any]:
        """Return the root mean square of changes, in standard deviations, with its interval."""
        samples = ((counts @ squares) / (counts @ pairs.double()).unsqueeze(1)).sqrt() / spread
        found: dict[str, Any] = {"effect": samples[0], **ends(samples)}
        return found | {"confirmed": found["ci_low"] >= self.least}

    def _columns(self, key: UnitKey, part: Part) -> Float[Tensor, " row"]:
        """Return how strongly each reader of a part weighs what a unit shows; NaN of a memory without weights."""
        read, own = self.weights[part], self.weights[key[:2]]
        matrix = read.w_hh if part[0] == key[0] else read.w_ih
        shows = None if own.w_hr is None else own.w_hr[:, key[2]]
        if part[0] > key[0]:  # both directions of the layer below, side by side
            width = own.w_hh.shape[1]
            first = width * (key[1] == "reverse" and matrix.shape[1] > width)
            matrix = matrix[:, first : first + width]
        column = matrix[:, key[2]] if shows is None else matrix @ shows
        blocks = read.cell.blocks
        rows = column.double().abs().unflatten(0, (len(blocks), -1))
        nothing = torch.full_like(rows[0], torch.nan)
        found = [rows[blocks.index(name)] if name in blocks else nothing for name in self.exchanging.readers]
        return torch.stack(found, dim=1).flatten()


def _shown(part: LayerRecording, unit: int) -> Float[Tensor, "sequence time"]:
    """Return what a unit shows; of an LSTM before a projection."""
    if part.cell == LSTM:
        return part["o"][..., unit].double() * part["c"][..., unit].double().tanh()
    return part["h"][..., unit].double()


def _weight(
    change: Float[Tensor, "exchange sequence output"], moves: Float[Tensor, "exchange sequence"],
    y: Float[Tensor, "step output"], variance: Tensor, shown: Float[Tensor, " step"],
) -> dict[str, Any]:  # fmt: skip
    """Return with which weight an output reads what a unit shows, and the share of its variance that this brings.

    The weight is told by the exchange itself, in any module; where a change of the output is not just that weight times
    the change of what the unit shows, there is none.
    """
    squares = moves.square().sum()
    if not squares > TINY:
        return {}
    weights = (change * moves.unsqueeze(-1)).sum((0, 1)) / squares
    off = (change - weights * moves.unsqueeze(-1)).square().sum()
    if not off <= LINEAR * change.square().sum():
        return {}
    along = y.T @ shown / len(shown)
    weight = weights[0] if len(weights) == 1 else weights.norm()
    share = (weights * along).sum() / variance if variance > 0 else torch.nan
    return {"weight": float(weight), "share": float(share)}
