"""Where fixed points are searched from: states of the data, where these settle, and the middle between points found."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.settling import STILL, Runner
from lstm_probe.dynamics.solving import NEUTRAL, Points, apart, find_points
from lstm_probe.dynamics.states import States, find_recurrent, states_of
from lstm_probe.dynamics.step_map import StepMap
from lstm_probe.recorder.kernel import Recordable

#: Rounds of searching between points, and pairs of a round.
ROUNDS, PAIRS = 6, 1024
#: States at rest so close to each other begin one search. Others begin in blocks, until so many in a row bring no more.
TOGETHER, BLOCK, PATIENCE = 1e-4, 128, 3
#: So many of those that have not settled are given so many times as long.
FEW, FURTHER = 256, 10
#: The least that distances are relative to, however little the states of the data differ.
LEAST_UNIT = 1e-3


@dataclass(frozen=True)
class Setting:
    """What is searched in: a network, its map, and states to begin with."""

    model: nn.Module
    module: Recordable
    step: StepMap
    batch: Batch | None
    states: States | None
    places: Int[Tensor, "state two"]
    some: Float[Tensor, "state size"]
    spread: Float[Tensor, " size"]


def setting_of(model: nn.Module, batch: Batch | None, layer: str | None, rng: torch.Generator, most: int) -> Setting:
    """Return a network with states in random order: of a batch, or drawn where there is none."""
    name, module = find_recurrent(model, layer)
    step = StepMap(module)
    if batch is None:
        drawn = 2 * torch.randn(most, step.size, generator=rng, dtype=torch.float64)
        for place in step.shown:
            drawn[:, place] = drawn[:, place].abs() if step.relu else drawn[:, place].tanh()
        return Setting(model, module, step, None, None, torch.zeros(most, 2, dtype=torch.long), drawn, drawn.std(0))
    states = states_of(model, name, module, step, batch)
    places = states.real.nonzero()
    places = places[torch.randperm(len(places), generator=rng)]
    every = states.values[states.real]
    spread = every.std(0) if len(every) > 1 else torch.zeros(step.size, dtype=torch.float64)
    step.unit = min(1.0, max(LEAST_UNIT, float(spread.norm())))
    some = states.values[places[:, 0], places[:, 1]]
    return Setting(model, module, step, batch, states, places, some, spread)


def reads_inputs(own: Setting) -> bool:
    """Return whether the layer reads the model's own inputs, as they are."""
    if own.batch is None or own.states is None:
        return own.module is own.model
    seen, given = own.states.inputs, own.batch.inputs.detach().double().cpu()
    return seen.shape == given.shape and bool((seen == given)[own.states.real].all())


def constant_inputs(inputs: Any, features: int) -> Float[Tensor, "input feature"]:
    """Return the constant inputs, one below the other."""
    if inputs is None:
        return torch.zeros(1, features, dtype=torch.float64)
    try:
        made = torch.as_tensor(np.asarray(inputs.detach().cpu() if isinstance(inputs, Tensor) else inputs, np.float64))
    except (TypeError, ValueError):
        raise InputError(f"inputs: must be numbers, ({features}) or (input, {features})") from None
    if made.dim() not in (1, 2) or made.shape[-1] != features or not made.numel():
        raise InputError(f"inputs: of shape {tuple(made.shape)}; the recurrent layer receives {features} numbers at a "
                         f"step, so it must be ({features}) or (input, {features})")  # fmt: skip
    if not bool(made.isfinite().all()):
        raise InputError("inputs: must be finite")
    return made.reshape(-1, features)


def search(
    runner: Runner, states: Float[Tensor, "start size"], noisy: Float[Tensor, "start size"],
    x: Float[Tensor, " feature"], settle: int, rng: torch.Generator,
) -> Points:  # fmt: skip
    """Return all fixed points that are found from where states settle, from others, and between points found.

    It ends when blocks of states and the middles of all pairs bring no more; but where the indices of the points say
    that some are missing, not before all states have been tried, and other places between points, too.
    """
    step = runner.step
    rest, going = _settled(runner, states, x, settle)
    later, still_going = _settled(runner, going[:FEW], x, (FURTHER - 1) * settle)
    rest = torch.cat([rest, later])
    found = _Found(step, x, rng, find_points(step, rest[apart(rest, TOGETHER * step.scale(rest))], x))
    others = torch.cat([noisy, going[FEW:], still_going])
    nothing_new = 0
    for block in others[torch.randperm(len(others), generator=rng)].split(BLOCK):
        nothing_new = 0 if found.more(block) else nothing_new + 1
        if nothing_new >= PATIENCE:
            if not found.between() and found.complete:
                return found.points
            nothing_new = 0
    for _ in range(ROUNDS):
        found.between()
        if found.complete:
            break
        found.more(_mixed(found.points.states, rng))
    return found.points


def _settled(
    runner: Runner, states: Float[Tensor, "start size"], x: Float[Tensor, " feature"], steps: int
) -> tuple[Float[Tensor, "rest size"], Float[Tensor, "going size"]]:
    """Return where states have got to: those that have come to rest, and those that have not."""
    settled = runner.run(states, x, steps)
    moves = (runner.step.step(settled, x) - settled).norm(dim=1)
    still = moves <= STILL * runner.step.scale(settled)
    return settled[still], settled[~still]


@dataclass
class _Found:
    """Fixed points under an input that have been found, and between which of them it has been searched."""

    step: StepMap
    x: Float[Tensor, " feature"]
    rng: torch.Generator
    points: Points
    tried: Bool[Tensor, " pair"] = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))

    @property
    def complete(self) -> bool:
        """Whether their indices do not say that some are missing."""
        return index_sum(self.step, self.points, self.x) in (1.0, None)

    def more(self, starts: Float[Tensor, "start size"]) -> bool:
        """Search from these states, and return whether there were any others among what was found."""
        before = len(self.points.states)
        self.points = find_points(self.step, starts, self.x, self.points)
        return len(self.points.states) > before

    def between(self) -> bool:
        """Search from the middle of every two, again and again, and return whether there were any others.

        What was tried once is not tried again: points keep their places, and from the same middle the same is found.
        """
        found = False
        for _ in range(ROUNDS):
            pairs = torch.triu_indices(len(self.points.states), len(self.points.states), 1)
            self.tried = torch.cat([self.tried, self.tried.new_zeros(pairs.shape[1] - len(self.tried))])
            pairs = pairs[:, torch.randperm(pairs.shape[1], generator=self.rng)[:PAIRS]]
            number = pairs[1] * (pairs[1] - 1) // 2 + pairs[0]  # whatever points come after these two
            pairs = pairs[:, ~self.tried[number]]
            self.tried[number] = True
            if not self.more(self.points.states[pairs].mean(0)):
                break
            found = True
        return found


def index_sum(step: StepMap, points: Points, x: Float[Tensor, " feature"]) -> float | None:
    """Return the sum of the signs of det(1 − J), the fixed-point indices; None where it tells nothing.

    Of a map of a ball into itself it is 1 over all fixed points (Lefschetz): an LSTM is one, as its memory shrinks by f
    and grows by less than 1, and so is a tanh network. It tells nothing of a network whose state may grow without
    bound, and where points are not isolated; of a cell of which that is not known, neither.
    """
    if not step.bounded or bool(((points.sizes - 1).abs() <= NEUTRAL).any()):
        return None
    one = torch.eye(step.size, dtype=torch.float64)
    return float(torch.linalg.slogdet(one - step.jacobian(points.states, x)[1])[0].sum())


def _mixed(states: Float[Tensor, "point size"], rng: torch.Generator) -> Float[Tensor, "start size"]:
    """Return places on the lines through two points each, between them and a little beyond."""
    if not len(states):
        return states
    one, other = (torch.randint(len(states), (BLOCK,), generator=rng) for _ in range(2))
    share = 1.5 * torch.rand(BLOCK, 1, generator=rng, dtype=torch.float64) - 0.25
    return states[one] + share * (states[other] - states[one])
