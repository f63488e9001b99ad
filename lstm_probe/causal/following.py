"""From patches to a table: which pairs differ in a signal, and how far the outputs follow the donor in them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.causal.moved import PART, Dyads, Told, goes_with, share
from lstm_probe.causal.patching import Pairs, Patch, Patching, in_turn
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.given import Signals
from lstm_probe.core.target import Target
from lstm_probe.probing.data.signals import CheckedSignal, check_signals

log = logging.getLogger(__name__)

#: A patch with what its rows say of it.
Named = tuple[Mapping[str, Any], Patch]
#: The rows in which all pairs count, whatever differs between them.
ANY = "any"
#: An output that the whole state moves by less than this share of its spread does not move: by square, a thousandth.
STILL = 0.03
#: Less than this part of the smallest share that counts is nothing; what lies between is little.
NOTHING = 0.5
#: So many numbers are held at once.
MOST = 2**24

Grid = Float[np.ndarray, "pair patch"]


class NoPairsError(InputError):
    """There is no pair of sequences to look at."""


@dataclass(frozen=True, eq=False)
class Cell:
    """All pairs and patches for one target and number of steps after.

    Attributes:
        there: the pairs that have the step.
        whole: square of what the whole state changes.
        follows: what a patch changes times what the whole state changes.
        size: square of what a patch changes.
        rule: what a patch changes times what the rule says; of the whole state in the last column.
        by_rule: square of what the rule says.
        nearer: whether the output comes nearer to the rule's than to the receiver's own, NaN where these are the same;
            of the whole state in the last column.
        least: mean of `whole` up to which nothing moves.
    """

    there: Bool[np.ndarray, " pair"]
    whole: Float[np.ndarray, " pair"]
    follows: Grid
    size: Grid
    rule: Float[np.ndarray, "pair run"]
    by_rule: Float[np.ndarray, " pair"]
    nearer: Float[np.ndarray, "pair run"]
    least: float


class Following:
    """What the outputs do when some of the state is another sequence's.

    Args:
        patching: the model, its batch and donors.
        signals: those of the batch where this is None.
        moments: after which steps.
        min_moved: from which share on an output reads a signal.
    """

    def __init__(self, patching: Patching, signals: Signals, moments: Sequence[int], min_moved: float) -> None:
        self.patching, self.moments, self.min_moved = patching, moments, min_moved
        self.targets = patching.batch.target_specs
        self.own, self.other = _checked(patching, signals)

    def table(self, patches: Sequence[Named]) -> pd.DataFrame:
        """Return the rows of all patches, those of one direction after the other."""
        rows: list[dict[str, Any]] = []
        for direction in dict.fromkeys(patch.direction for _, patch in patches):
            chosen = [named for named in patches if named[1].direction == direction]
            moments = list(in_turn(self.patching, self.moments, direction))
            if not moments:
                raise NoPairsError(
                    f"steps: after none of {' '.join(map(str, self.moments))} is there a pair of sequences of which "
                    f"the receiver goes on for {min(self.patching.after)} steps or more"
                )
            pairs = sum(len(one.receivers) for one in moments)
            each = max(1, MOST // (pairs * len(self.targets) * len(self.patching.after) * 4))
            for start in range(0, len(chosen), each):
                rows += self._rows(moments, chosen[start : start + each])
        return pd.DataFrame(rows)

    def _rows(self, moments: Sequence[Pairs], patches: Sequence[Named]) -> list[dict[str, Any]]:
        cells = self._cells(moments, [patch for _, patch in patches])
        dyads, told = self._dyads(moments), self._told(moments)
        names = {spec.name for spec in self.targets}
        columns: list[tuple[dict[str, Any], Mapping[str, Any]]] = []
        for signal in (None, *told):
            shown = [signal.name] if signal is not None and signal.name in names else [s.name for s in self.targets]
            for name in shown:
                for k, after in enumerate(self.patching.after):
                    about = {"signal": ANY if signal is None else signal.name, "target": name, "after": after}
                    columns.append((about, self._column(cells[name, k], dyads, signal, told)))
        return [
            {**label, **about, **{key: values[j] for key, values in found.items()}}
            for j, (label, _) in enumerate(patches) for about, found in columns
        ]  # fmt: skip

    def _column(self, cell: Cell, dyads: Dyads, signal: Told | None, told: Sequence[Told]) -> Mapping[str, Any]:
        """Return what one signal, target and number of steps after say of every patch."""
        n = cell.follows.shape[1]
        differ = cell.there if signal is None else cell.there & signal.differ
        moved = share(cell.follows, cell.whole, dyads, differ, least=cell.least)
        none = np.full(n, np.nan)
        alike, instead, not_apart = none, [""] * n, [""] * n
        own = np.stack([moved.value, moved.low, moved.high])  # of all pairs, none are alike in anything
        if signal is not None:
            own = np.full((3, n), np.nan)
            same = cell.there & signal.same
            if dyads.enough(same) and not np.isnan(moved.value).all():
                alike = cell.follows[same].mean(0) / cell.whole[differ].mean()
            asked = np.flatnonzero(moved.low >= self.min_moved)
            if len(asked):
                apart = share(cell.follows[:, asked], cell.whole, dyads, differ, same, cell.least)
                own[:, asked] = apart.value, apart.low, apart.high
                others = [one.within(cell.there) for one in told if one is not signal]
                found, together = goes_with(
                    signal.within(cell.there), others, cell.follows[:, asked], cell.whole, dyads, moved.value[asked]
                )
                for k, other in zip(asked, found):
                    instead[k], not_apart[k] = other, together
        reads = [self._reads(*one) for one in zip(moved.value, moved.low, moved.high, *own, instead)]
        instead = [other if word == "another signal" else "" for word, other in zip(reads, instead)]
        known = not np.isnan(moved.value).all()
        changed = np.sqrt(cell.size[differ].mean(0) / cell.whole[differ].mean()) if known else none
        by_rule, accuracy = _against_rule(cell, differ)
        return {
            "moved": moved.value, "ci_low": moved.low, "ci_high": moved.high, "moved_same": alike,
            "changed": changed, "reads": reads, "instead": instead, "not_apart": not_apart,
            "pairs": [int(differ.sum())] * n, "accuracy": accuracy[:-1], "moved_rule": by_rule[:-1],
            "all_accuracy": [accuracy[-1]] * n, "all_moved_rule": [by_rule[-1]] * n,
        }  # fmt: skip

    def _reads(
        self, moved: float, low: float, high: float, own: float, own_low: float, own_high: float, instead: str
    ) -> str:
        """Return whether the output reads a signal; see the column of that name."""
        if np.isnan(moved):
            return "no pair"
        if -self.min_moved < low and high < self.min_moved:
            return "no" if max(-low, high) < NOTHING * self.min_moved else "little"
        if not low >= self.min_moved:
            return "not told"
        if instead or own_high < PART * moved:
            return "another signal"
        return "yes" if own >= PART * moved and own_low >= self.min_moved else "not told"

    def _cells(self, moments: Sequence[Pairs], patches: Sequence[Patch]) -> dict[tuple[str, int], Cell]:
        """Run every patch at every moment."""
        parts: dict[str, list[list[np.ndarray]]] = {spec.name: [] for spec in self.targets}
        for pairs in moments:
            runs = [self.patching.changed(pairs, patch) for patch in patches]
            for spec in self.targets:
                parts[spec.name].append(_kept(spec, pairs, [run[spec.name] for run in runs]))
        cells = {}
        for spec in self.targets:
            joined = [np.concatenate(values) for values in zip(*parts[spec.name])]
            there, whole, follows, size, rule, by_rule, nearer, spread = joined
            for k in range(len(self.patching.after)):
                own = there[:, k]
                seen = spread[own, k]
                least = STILL**2 * float(np.square(seen - seen.mean(0)).sum(-1).mean()) if len(seen) else 0.0
                cells[spec.name, k] = Cell(own, whole[:, k], follows[:, k], size[:, k], rule[:, k], by_rule[:, k],
                                           nearer[:, k], least)  # fmt: skip
        return cells

    def _dyads(self, moments: Sequence[Pairs]) -> Dyads:
        """Return who is in which pair."""
        patching = self.patching
        groups = np.arange(len(patching.batch)) if patching.groups is None else patching.groups
        receivers, donors = (np.concatenate([one.cpu().numpy() for one in own])
                             for own in zip(*((pairs.receivers, pairs.donors) for pairs in moments)))  # fmt: skip
        return Dyads(groups[receivers], donors + int(groups.max()) + 1 if patching.given else groups[donors])

    def _told(self, moments: Sequence[Pairs]) -> list[Told]:
        """Return of each signal which pairs differ in it; none that never differ, as the step at a moment."""
        found = []
        for own, other in zip(self.own, self.other):
            values, known = [], []
            for pairs in moments:
                at = [(pairs.receivers.cpu().numpy(), own), (pairs.donors.cpu().numpy(), other)]
                values.append([signal.values[rows, pairs.step] for rows, signal in at])
                labelled = [np.ones(len(rows), dtype=bool) if signal.labelled is None
                            else signal.labelled[rows, pairs.step] for rows, signal in at]  # fmt: skip
                known.append(labelled[0] & labelled[1])
            ours, theirs = (np.concatenate(one) for one in zip(*values))
            told = Told.of(own.name, own.kind, ours, theirs, np.concatenate(known))
            if told.differ.any():
                found.append(told)
            elif own.role != "nuisance":
                log.warning("no two sequences of a pair differ in %s at the moments %s", own.name,
                            " ".join(map(str, self.moments)))  # fmt: skip
        return found


def _checked(patching: Patching, signals: Signals) -> tuple[list[CheckedSignal], list[CheckedSignal]]:
    """Return the signals of the batch and of the donors.

    Raises:
        InputError: one that was given never changes, or is called as all pairs are, or the donors have other signals.
    """
    batch, donors = patching.batch, patching.donors
    given = batch.signals if signals is None else signals
    if not len(given):
        return [], []
    own = check_signals(given, batch.mask.cpu().numpy())
    if any(one.name == ANY for one in own):
        raise NothingThereError(f"signals: {ANY} stands for all pairs here; give that signal another name")
    real = batch.mask.cpu().numpy()
    for one in own if signals is not None else ():
        values = one.values[one.among(real)]
        if not len(values) or (values == values[0]).all():
            raise InputError(f"signals[{one.name!r}]: never changes, so no two sequences differ in it")
    if not patching.given:
        return own, own
    if missing := [one.name for one in own if one.name not in donors.signals]:
        raise InputError(f"donors: have no signal {missing[0]}, so that nobody knows in what they differ")
    theirs = check_signals({one.name: donors.signals[one.name] for one in own}, donors.mask.cpu().numpy())
    return own, theirs


def _kept(spec: Target, pairs: Pairs, runs: Sequence[Tensor]) -> list[np.ndarray]:
    """Return what is kept of one target at one moment, (pair, after) or (pair, after, patch): see `Cell`."""
    name = spec.name
    there = (pairs.look[name] >= 0).cpu().numpy()
    whole = pairs.whole[name].double()
    every = torch.stack([*runs, pairs.whole[name]], dim=2).double()  # (pair, after, patch, output)
    follows = torch.einsum("akpo,ako->akp", every[:, :, :-1], whole)
    size = every[:, :, :-1].square().sum(-1)
    rule, by_rule, nearer = _by_rule(spec, pairs, every)
    kept = [whole.square().sum(-1), follows, size, rule, by_rule, nearer, pairs.base[name].double()]
    return [there, *(one.cpu().numpy() for one in kept)]


def _by_rule(
    spec: Target, pairs: Pairs, runs: Float[Tensor, "pair after patch output"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `rule`, `by_rule` and `nearer` of a `Cell`, NaN without a rule."""
    nothing = runs.new_full(runs.shape[:3], float("nan"))
    if spec.name not in pairs.truth:
        return nothing, nothing[..., 0], nothing
    said, own = pairs.truth[spec.name]
    known = ~said.isnan().any(-1) if said.dim() == 3 else said >= 0
    rule, by_rule = nothing, nothing[..., 0]
    if spec.loss == "regression":
        apart = (said - own).double()
        by_rule = apart.square().sum(-1).masked_fill(~known, float("nan"))
        rule = torch.einsum("akpo,ako->akp", runs, apart).masked_fill(~known.unsqueeze(-1), float("nan"))
    # Where the rule says nothing, anything stands in for it: the losses there are thrown away.
    other = said.nan_to_num(0.0) if said.is_floating_point() else said.clamp(min=0)
    differs = (other != own).reshape(*known.shape, -1).any(-1) & known
    outputs = (pairs.base[spec.name].unsqueeze(2) + runs).flatten(1, 2).to(pairs.base[spec.name])
    near, far = (spec.losses(outputs, truth.repeat_interleave(runs.shape[2], 1)) for truth in (other, own))
    nearer = (near < far).double().unflatten(1, runs.shape[1:3])
    return rule, by_rule, nearer.masked_fill(~differs.unsqueeze(-1), float("nan"))


def _against_rule(cell: Cell, differ: Bool[np.ndarray, " pair"]) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each patch and the whole state, `moved_rule` and `accuracy` among these pairs; NaN where there is
    none."""
    n = cell.rule.shape[1]
    by_rule, accuracy = np.full(n, np.nan), np.full(n, np.nan)
    known = differ & ~np.isnan(cell.by_rule)
    if known.any() and (scale := cell.by_rule[known].sum()) > 0:
        by_rule = cell.rule[known].sum(0) / scale
    told = differ & ~np.isnan(cell.nearer[:, -1])
    if told.any():
        accuracy = cell.nearer[told].mean(0)
    return by_rule, accuracy
