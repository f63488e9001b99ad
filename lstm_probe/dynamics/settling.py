"""Letting states run under a constant input, on PyTorch's own kernel where there is one; what becomes of them."""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lstm_probe.cells.module import Layers
from lstm_probe.dynamics.solving import EXACTLY, Points
from lstm_probe.dynamics.step_map import StepMap
from lstm_probe.recorder.config import make_layers
from lstm_probe.recorder.kernel import Recordable, is_stepwise, state_of

PIECE = 50  # steps at a time
KERNELS = 512  # states at a time on a kernel, which makes what all of a piece's steps read before the first
#: A state is at a point within this distance of it, and at rest if it moves by less in a step.
AT, STILL = 1e-3, 1e-6
LONGEST = 32  # steps after which a cycle has closed at the latest
STRAIGHT = 0.5  # of the length of its path, how far it then gets
STEADY = 0.9  # of the way that a state has gone, the way that it goes in as many steps again, where it grows


class Runner:
    """A copy of a recurrent module, on PyTorch's kernel where there is one, in the module's own type of numbers."""

    def __init__(self, module: Recordable, step: StepMap) -> None:
        first = module.weight_hh if is_stepwise(module) else module.weight_hh_l0
        self.shell: Layers
        self.step, self.dtype = step, first.dtype if first.dtype == torch.float64 else torch.float32
        if not step.closed:
            bias = "bias_ih" in step.named[0]
            self.shell = make_layers(step.cell, step.features, step.units, len(step.named), bias=bias).to(self.dtype)
            self.shell.batch_first = False
            named = {f"{name}_l{k}": values for k, own in enumerate(step.named) for name, values in own.items()}
            self.shell.load_state_dict(named)
            return
        kind = nn.LSTM if step.gated else nn.RNN
        options = {"proj_size": getattr(module, "proj_size", 0)} if step.gated else {"nonlinearity": "tanh"}
        if step.relu:
            options["nonlinearity"] = "relu"
        self.shell = kind(step.features, step.units, len(step.layers), dtype=self.dtype, **options)
        with torch.no_grad():
            for k, layer in enumerate(step.layers):
                own = {"weight_ih": layer.w_ih, "weight_hh": layer.w_hh, "bias_ih": layer.bias, "weight_hr": layer.w_hr}
                for name, values in own.items():
                    if values is not None:
                        getattr(self.shell, f"{name}_l{k}").copy_(values)
                getattr(self.shell, f"bias_hh_l{k}").zero_()

    @torch.no_grad()
    def run(self, states: Float[Tensor, "n size"], x: Float[Tensor, " feature"], steps: int) -> Tensor:
        """Return the states after so many steps with this input, float64.

        A state that is after a whole piece what it was before, to the last bit, will be so after every other one.
        """
        states = self._piece(states.to(self.dtype), x, steps % PIECE)
        going = torch.arange(len(states))
        for _ in range(steps // PIECE):
            before = states[going]
            states[going] = self._piece(before, x, PIECE)
            going = going[(states[going] != before).any(1)]
        return states.double()

    def _piece(self, states: Float[Tensor, "n size"], x: Float[Tensor, " feature"], steps: int) -> Tensor:
        if not len(states) or not steps:
            return states.clone()
        if self.step.closed and len(states) > KERNELS:
            return torch.cat([self._piece(part, x, steps) for part in states.split(KERNELS)])
        state = tuple(torch.stack([states[:, place] for place in part]) for part in self.step.places.values())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
            _, after = self.shell(
                x.to(self.dtype).expand(steps, len(states), -1), state if len(state) > 1 else state[0]
            )
        return torch.cat([one for part in state_of(after) for one in part], dim=1)


@dataclass(frozen=True)
class Fates:
    """What becomes of states that run under a constant input.

    Attributes:
        last: the state after the last step.
        ends: the number of the point where each has come to rest; -1 for none.
        elsewhere: at rest, but at no point that was found.
        period: after how many steps each comes back to where it was, again and again; 0 for never.
        grows: moves away, straight on, as far again in as many steps again.
        drifts: everything else: still on its way.
    """

    last: Float[Tensor, "n size"]
    ends: Int[Tensor, " n"]
    elsewhere: Bool[Tensor, " n"]
    period: Int[Tensor, " n"]
    grows: Bool[Tensor, " n"]
    drifts: Bool[Tensor, " n"]


def fates(
    runner: Runner, states: Float[Tensor, "n size"], x: Float[Tensor, " feature"], steps: int, points: Points
) -> Fates:
    """Let states run and say where each ends.

    It ends at a point that attracts, or that at least repels in no direction, if it is within AT of it.
    """
    last = runner.run(states, x, steps)
    ends = torch.full((len(last),), -1)
    resting = points.rests.nonzero().flatten()
    if len(resting) and len(last):
        apart, nearest = torch.cdist(last, points.states[resting], compute_mode=EXACTLY).min(1)
        ends = torch.where(apart <= AT * runner.step.scale(points.states[resting])[nearest], resting[nearest], -1)
    left = (ends < 0).nonzero().flatten()
    path = [last[left]]
    for _ in range(LONGEST):
        path.append(runner.step.step(path[-1], x))
    trail = torch.stack(path)  # (step, state, number)
    moves = (trail[1:] - trail[:-1]).norm(dim=2)
    size = runner.step.scale(path[0])
    still = moves.amax(0) <= STILL * size
    back = (trail[1:] - trail[:1]).norm(dim=2)
    far, returns = back.amax(0), back <= torch.minimum(AT * size, 0.01 * back.amax(0))
    cycles = returns.any(0) & ~still & (far > STILL * size)
    further, first = runner.run(path[0], x, steps), states[left]
    way = (further - path[0]).norm(dim=1)
    outward = further.norm(dim=1) > path[0].norm(dim=1)
    steady = way >= STEADY * (path[0] - first).norm(dim=1)
    straight = way >= STRAIGHT * steps * moves.mean(0)
    grows = ~still & ~cycles & outward & steady & straight

    def whole(own: Tensor) -> Tensor:
        return torch.zeros(len(last), dtype=own.dtype).index_copy(0, left, own)

    period = torch.where(cycles, returns.long().argmax(0) + 1, 0)
    return Fates(last, ends, whole(still), whole(period), whole(grows), whole(~still & ~cycles & ~grows))
