"""Sequences to fit on that run beside those that are looked at, in one batch."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.causal.halves import halves_of
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals, by_name, laid_out
from lstm_probe.core.groups import resampled_by
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.probing.data.signals import CheckedSignal, check_signals

log = logging.getLogger(__name__)

#: Where no others are given, this share of the sequences is fitted on.
FITTED = 2 / 3


@dataclass(frozen=True)
class Traced:
    """A signal as it is read linearly, on all sequences.

    Attributes:
        name, kind, role: of the signal.
        columns: its value, sine and cosine, or an indicator of each class; float64.
        known: at which steps it has a value.
        parts: what its columns are called: sin and cos, or the classes; an empty word for the only one.
    """

    name: str
    kind: str
    role: str
    columns: Float[Tensor, "sequence time column"]
    known: Bool[Tensor, "sequence time"]
    parts: tuple[str, ...]

    def at(self, step: int, sequences: Int[Tensor, " row"]) -> Tensor:
        """Return which of some sequences, by their places among these, have a value at a step."""
        return torch.nonzero(self.known[sequences, step])[:, 0]


@dataclass(frozen=True)
class Beside:
    """Sequences to fit on, and those that are looked at behind them.

    Attributes:
        batch: all of them.
        fitted: how many are fitted on.
        looked: those that are looked at, alone.
        groups: which of these are drawn as one; None where each is its own.
        signals: on all of them.
    """

    batch: Batch
    fitted: int
    looked: Batch
    groups: Int[np.ndarray, " sequence"] | None
    signals: tuple[Traced, ...]

    def some(self, most: int) -> tuple["Beside", Int[Tensor, " looked"]]:
        """Return the same with at most so many sequences, without signals, and which are looked at, by their places."""
        n, device = len(self.batch), self.batch.lengths.device
        every = max(1.0, n / most)
        fit, looked = (torch.arange(0, count, every, device=device).long() for count in (self.fitted, n - self.fitted))
        whole = self.batch[torch.cat([fit, self.fitted + looked])]
        return Beside(whole, len(fit), self.looked[looked], None, ()), looked


def beside(batch: Batch, signals: Signals, fit: Batch | None, groups: Any, seed: int) -> Beside:
    """Return a batch with sequences to fit on before its own; where there are none, two thirds of it before the rest.

    Signals that are the same in all sequences at every step are left out, which is said.

    Raises:
        InputError: fewer than three sequences, other sequences of another shape or without a signal, signals that
            cannot be used, or none that varies.
    """
    given = by_name(batch.signals if signals is None else signals, batch.mask.cpu().numpy())
    codes = resampled_by(batch.groups if groups is None else groups, len(batch))
    if fit is None:
        if len(batch) < 3:
            raise InputError(f"batch: {len(batch)} sequences; there must be 3 or more, to fit on two thirds of them")
        chosen, others = halves_of(len(batch), codes, derive_seed(seed, "sequences to fit on"), FITTED)
        order = torch.from_numpy(np.concatenate([chosen, others])).to(batch.lengths.device)
        checked = [one.rows(order.cpu().numpy()) for one in check_signals(given, batch.mask.cpu().numpy())]
        whole, looked, fitted = batch[order], batch[order[len(chosen) :]], len(chosen)
        codes = None if codes is None else np.unique(codes[others], return_inverse=True)[1]
    else:
        whole, looked, fitted = joined(fit, batch), batch, len(fit)
        checked = check_signals(_together(given, fit, batch), whole.mask.cpu().numpy())
    traced = [_traced(one, whole) for one in checked]
    same = [one.name for one in traced if not (_varies(one, slice(fitted)) and _varies(one, slice(fitted, None)))]
    if len(same) == len(traced):
        raise InputError(
            f"signals: {', '.join(same)}: as far as known, the same in all sequences at every step, of those to fit on "
            "or of the others, so nothing tells of it"
        )
    if same:
        log.info("left out, as they are, as far as known, the same in all sequences at every step: %s", ", ".join(same))
    return Beside(whole, fitted, looked, codes, tuple(one for one in traced if one.name not in same))


def joined(first: Batch, then: Batch) -> Batch:
    """Return the sequences of two batches of one task in one, without signals and groups.

    Raises:
        InputError: their sequences are not alike.
    """
    if first.inputs.shape[1:] != then.inputs.shape[1:] or first.target_specs != then.target_specs:
        raise InputError(
            f"fit: inputs of shape {tuple(first.inputs.shape)}; must be (sequences, "
            f"{', '.join(map(str, then.inputs.shape[1:]))}), with the targets of the batch"
        )
    scored = {
        name: torch.cat([first.scored_steps(name), then.scored_steps(name)]) for name in {*first.scored, *then.scored}
    }
    targets = {name: torch.cat([first.targets[name], values]) for name, values in then.targets.items()}
    inputs, lengths = torch.cat([first.inputs, then.inputs]), torch.cat([first.lengths, then.lengths])
    return Batch(inputs, targets, then.target_specs, lengths, {}, scored)


def _together(given: Mapping[str, Any], fit: Batch, batch: Batch) -> dict[str, Any]:
    """Return signals on the sequences of both."""
    if missing := [name for name in given if name not in fit.signals]:
        raise InputError(f"fit: it has no signal {missing[0]!r}")
    found: dict[str, Any] = {}
    nothing = np.array(None, dtype=object)
    for name, own in given.items():
        other = fit.signals[name]
        if isinstance(own, Signal) and own.values.shape == batch.inputs.shape[:2]:
            found[name] = replace(own, values=torch.cat([other.values, own.values]))
            continue
        parts = []
        for values, mask in ((other, fit.mask), (own, batch.mask)):
            laid, known = laid_out(name, values, mask.cpu().numpy())
            parts.append(np.where(known, laid.astype(object), nothing))
        found[name] = np.concatenate(parts)
    return found


def _traced(signal: CheckedSignal, batch: Batch) -> Traced:
    device = batch.lengths.device
    known = torch.from_numpy(signal.among(batch.mask.cpu().numpy())).to(device)
    columns = torch.from_numpy(np.ascontiguousarray(signal.columns())).to(device)
    parts = ("sin", "cos") if signal.kind == "circular" else tuple(map(signal.called, range(signal.classes)))
    return Traced(signal.name, signal.kind, signal.role, columns, known, parts if columns.shape[-1] > 1 else ("",))


def _varies(signal: Traced, rows: slice) -> bool:
    """Return whether a signal differs at any step between some of the sequences."""
    known, columns = signal.known[rows].unsqueeze(-1), signal.columns[rows]
    high = columns.masked_fill(~known, -torch.inf).amax(0)
    return bool((high > columns.masked_fill(~known, torch.inf).amin(0)).any())
