"""The direction in which the state goes with a signal at one step, and random ones that are as long."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.causal.beside import Traced
from lstm_probe.causal.leace import FLAT

#: Ridge penalty of the read-out, in variances of a unit.
PENALTY = 1e-3


@dataclass(frozen=True)
class States:
    """The states of all layers after one step.

    Attributes:
        values: of all units, the lowest layer first.
        there: which sequences have such a step.
        widths: how many of the units each layer has.
    """

    values: Float[Tensor, "sequence unit"]
    there: Bool[Tensor, " sequence"]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Direction:
    """Along what the state is moved for a signal.

    Attributes:
        along: for one unit of the signal as it is read.
        spread: standard deviation of the signal.
        length: of `along`, in whitened states.
        r2: of the read-out on sequences that it was not fitted on.
        root: a square root of the states' covariance.
    """

    along: Float[Tensor, " unit"]
    spread: float
    length: float
    r2: float
    root: Float[Tensor, "unit axis"]

    def random(self, rng: torch.Generator) -> Float[Tensor, " unit"]:
        """Return a random direction that is as long in whitened states."""
        drawn = torch.randn(self.root.shape[1], generator=rng, dtype=self.root.dtype).to(self.root.device)
        along: Tensor = self.root @ (drawn * (self.length / drawn.norm()))
        return along


def direction_of(states: States, signal: Traced, column: int, step: int, fitted: int) -> Direction | None:
    """Return the direction of one column of a signal; None where that, or the state, is the same in all sequences.

    With w the weights of a ridge read-out and Σ the states' covariance: Σw / wᵀΣw.

    Args:
        states: at the step.
        signal: on the same sequences.
        column: of the signal.
        step: the step.
        fitted: so many sequences, from the first on, are fitted on.
    """
    z, usable = signal.columns[:, step, column], states.there & signal.known[:, step]
    first = torch.arange(len(z), device=z.device) < fitted
    x, y = states.values[usable & first].double(), z[usable & first]
    if len(y) < 2 or not float(y.std(correction=0)) > 0:
        return None
    mean, centred = x.mean(0), x - x.mean(0)
    covariance = centred.T @ centred / len(x)
    own = covariance.diagonal().sqrt().clamp(min=torch.finfo(x.dtype).tiny)
    scaled = covariance / own / own.unsqueeze(1) + PENALTY * torch.eye(len(own), dtype=x.dtype, device=x.device)
    w = torch.linalg.solve(scaled, centred.T @ (y - y.mean()) / len(x) / own) / own
    seen = float(w @ covariance @ w)
    if not seen > 0:
        return None
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > FLAT * values[-1]
    rest = usable & ~first
    told, truth = y.mean() + (states.values[rest].double() - mean) @ w, z[rest]
    total = float((truth - truth.mean()).square().sum())
    r2 = 1 - float((truth - told).square().sum()) / total if total > 0 else math.nan
    root = vectors[:, kept] * values[kept].sqrt()
    return Direction(covariance @ w / seen, float(y.std(correction=0)), seen**-0.5, r2, root)
