"""Moves of the state after one step, and how straight the outputs go with them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.causal.beside import Beside, Traced
from lstm_probe.causal.editing import Editing
from lstm_probe.causal.moment import Edit, Moment
from lstm_probe.causal.probe_direction import Direction, States
from lstm_probe.core.seeding import derive_seed, generator

#: A random direction counts as doing as much within this share.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Moving:
    """A model on the sequences that are looked at, whose state is moved.

    Attributes:
        editing: the model on them.
        pair: these sequences, with others before them.
        states: of all of them at the step of the move.
        step: of the move.
        later: how many steps after it outputs are looked at.
        scale: of the moves, in standard deviations of the signal.
        memory: whether the memory is moved, and h as it follows.
    """

    editing: Editing
    pair: Beside
    states: States
    step: int
    later: tuple[int, ...]
    scale: tuple[float, ...]
    memory: bool

    def rows(
        self, signal: Traced, column: int, direction: Direction, controls: int, bootstrap: int, seed: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield what moves along a direction do to every output, beside random directions of the same length."""
        moves = torch.tensor([by * direction.spread for by in self.scale], dtype=torch.float64)
        changes = self._changes(direction.along, moves)
        slopes = _slopes(changes, moves)
        others = [_slopes(self._changes(direction.random(generator(seed, "steering controls", k)), moves), moves)
                  for k in range(controls)]  # fmt: skip
        here = signal.columns[self.pair.fitted :, self.step, column]
        known = signal.known[self.pair.fitted :, self.step]
        for j, by in enumerate(self.later):
            long = self.pair.looked.lengths > self.step + by
            low, high = self._interval(slopes[long, j], long, bootstrap, seed)
            own = slopes[long, j].mean(0)
            random = np.array([one[long, j].mean(0).tolist() for one in others]).reshape(controls, len(own))
            linear = _straight(changes[:, long, j].mean(1), own, moves)
            seen = self.editing.intact.outputs[:, self.step + by].double()
            observed = _slope_on(here[long & known], seen[long & known])
            for k, (target, output) in enumerate(self._outputs()):
                ends = np.quantile(random[:, k], [0.05, 0.95]) if controls else (math.nan, math.nan)
                as_much = int((np.abs(random[:, k]) >= abs(float(own[k])) * (1 - ROUNDING)).sum())
                yield {
                    "target": target, "output": output, "after": by, "slope": float(own[k]), "ci_low": low[k],
                    "ci_high": high[k], "linear": float(linear[k]), "observed": float(observed[k]),
                    "control_low": ends[0], "control_high": ends[1], "controls": controls,
                    "p_value": (1 + as_much) / (1 + controls) if controls else math.nan,
                    "length": direction.length * direction.spread, "r2": direction.r2, "sequences": int(long.sum()),
                }  # fmt: skip

    def _outputs(self) -> list[tuple[str, int]]:
        return [(spec.name, k) for spec in self.pair.looked.target_specs for k in range(spec.size)]

    def _changes(
        self, along: Float[Tensor, " unit"], moves: Float[Tensor, " move"]
    ) -> Float[Tensor, "move sequence later output"]:
        """Return how the outputs change with each move."""
        steps, last = [self.step + by for by in self.later], self.step + self.later[-1] + 1
        intact, found = self.editing.intact.outputs[:, steps], []
        for by in moves.tolist():
            made = self.editing.outputs(self._moved(along * by), [self.step], until=last) if by else None
            found.append(torch.zeros_like(intact) if made is None else made.outputs[:, steps] - intact)
        return torch.stack(found).double()

    @cached_property
    def _own(self) -> dict[int, Moment]:
        """The moments of the move as they are, by layer."""
        found: dict[int, Moment] = {}

        def look(at: Moment) -> tuple[Tensor, ...]:
            if at.direction == "forward":
                found[at.layer] = at.map(Tensor.clone)
            return at.same

        self.editing.outputs(look, [self.step])
        return found

    def _moved(self, by: Float[Tensor, " unit"]) -> Edit:
        """Return the edit that puts every layer into its own state at the step, moved: none sees another's move yet."""
        parts = by.split(self.states.widths)

        def edit(at: Moment) -> tuple[Tensor, ...]:
            if at.direction != "forward":
                return at.same
            own, along = self._own[at.layer], parts[at.layer].to(at.h.dtype)
            return own.with_memory(own.memory + along) if self.memory else own.but({"h": own.h + along})

        return edit

    def _redrawn(self, count: int, bootstrap: int, seed: int) -> Int[np.ndarray, "sample group"]:
        """Return how often each group is in each sample: the same samples for all signals."""
        if (count, bootstrap, seed) not in self._samples:
            rng = np.random.default_rng(derive_seed(seed, "steering bootstrap"))
            drawn = rng.multinomial(count, np.full(count, 1 / count), size=bootstrap)
            self._samples[count, bootstrap, seed] = drawn
        return self._samples[count, bootstrap, seed]

    @cached_property
    def _samples(self) -> dict[tuple[int, int, int], Int[np.ndarray, "sample group"]]:
        return {}

    def _interval(
        self, slopes: Float[Tensor, "some output"], which: Bool[Tensor, " sequence"], bootstrap: int, seed: int
    ) -> Float[np.ndarray, "2 output"]:
        """Return the ends of the 95 % intervals of mean slopes, whole groups being drawn; NaN of one alone."""
        blocks = np.arange(len(which)) if self.pair.groups is None else self.pair.groups
        blocks = np.unique(blocks[which.cpu().numpy()], return_inverse=True)[1]
        if not bootstrap or len(np.unique(blocks)) < 2:
            return np.full((2, slopes.shape[1]), math.nan)
        weights = self._redrawn(int(blocks.max()) + 1, bootstrap, seed)[:, blocks]
        means = weights @ slopes.cpu().numpy() / weights.sum(1, keepdims=True)
        ends: Float[np.ndarray, "2 output"] = np.quantile(means, [0.025, 0.975], axis=0)
        return ends


def _slopes(
    changes: Float[Tensor, "move sequence later output"], moves: Float[Tensor, " move"]
) -> Float[Tensor, "sequence later output"]:
    """Return the slope of each line through 0 that is nearest to the changes."""
    slopes: Tensor = torch.tensordot(moves.to(changes.device), changes, dims=1) / float(moves.square().sum())
    return slopes


def _straight(
    changes: Float[Tensor, "move output"], slope: Float[Tensor, " output"], moves: Float[Tensor, " move"]
) -> Float[Tensor, " output"]:
    """Return how straight mean changes are, 1 on a line; NaN where nothing changes."""
    line = moves.to(changes.device).unsqueeze(1) * slope
    total = changes.square().sum(0)
    return torch.where(total > 0, 1 - (changes - line).square().sum(0) / total, math.nan)


def _slope_on(z: Float[Tensor, " some"], outputs: Float[Tensor, "some output"]) -> Float[Tensor, " output"]:
    """Return the slope of each output on a signal, NaN where that does not vary."""
    centred = z - z.mean()
    slope: Tensor = torch.tensordot(centred, outputs, dims=1) / centred.square().sum()
    return slope
