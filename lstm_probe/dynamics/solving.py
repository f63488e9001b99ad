"""Where a map of states stands still: Levenberg-Marquardt from many states at once, duplicates merged.

Nothing is left out because it is far from where a search began.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.dynamics.linear import linear
from lstm_probe.dynamics.step_map import StepMap

#: Steps of the search, and of Newton's method after it.
STEPS, POLISH = 40, 6
#: What a search ends at, and the most that may be left of |F(s) − s|; as all distances, relative to `StepMap.scale`.
NEAR, EXACT = 1e-9, 1e-12
#: Damping at first, and from where on a search is given up; as is one that has not halved what is left in ten steps.
DAMPING, STUCK, PATIENCE = 1e-2, 1e8, 10
#: Two points are one if they are no further apart than rounding explains, which is within these.
LEAST_APART, MOST_APART = 1e-9, 1e-3
#: An eigenvalue within this of 1 in absolute value neither grows nor shrinks.
NEUTRAL = 1e-6
#: From where on a search is polished, and the damping of the shortest step then.
CLOSE, LEAST_DAMPING = 1e-3, 1e-10
BLOCK_BYTES = 2**24  # of derivatives at a time
EXACTLY = "donot_use_mm_for_euclid_dist"


@dataclass(frozen=True)
class Points:
    """Fixed points.

    Attributes:
        states: of each.
        residual: |F(s) − s|, the Euclidean norm.
        sizes: absolute values of the eigenvalues of the Jacobian, the largest first.
        reach: how far apart two of them are one.
    """

    states: Float[Tensor, "point size"]
    residual: Float[Tensor, " point"]
    sizes: Float[Tensor, "point size"]
    reach: Float[Tensor, " point"]

    @property
    def unstable(self) -> Int[Tensor, " point"]:
        """Return in how many directions each repels."""
        return (self.sizes > 1 + NEUTRAL).sum(1)

    @property
    def stable(self) -> Bool[Tensor, " point"]:
        """Return which attract in every direction."""
        return self.sizes[:, 0] < 1 - NEUTRAL

    @property
    def rests(self) -> Bool[Tensor, " point"]:
        """Return which repel in no direction: states may end there."""
        return self.unstable == 0

    def __getitem__(self, index: Tensor) -> "Points":
        return Points(*(own[index] for own in vars(self).values()))

    def __add__(self, others: "Points") -> "Points":
        return Points(*(torch.cat(both) for both in zip(vars(self).values(), vars(others).values())))


def find_points(
    step: StepMap, starts: Float[Tensor, "n size"], x: Float[Tensor, " feature"], known: Points | None = None
) -> Points:
    """Return known fixed points, and after these every other that a search from these states comes to, each once."""
    block = max(1, BLOCK_BYTES // (8 * step.size**2))
    ends = torch.cat([_polished(step, _searched(step, part, x), x) for part in starts.split(block)])
    residual = (step.step(ends, x) - ends).norm(dim=1)
    good = residual <= EXACT * step.scale(ends)  # of what is not finite this is not so
    for place in step.shown:
        good &= (ends[:, place].abs() <= step.most + LEAST_APART).all(1)
    return merged(step, ends[good], x, known)


def merged(
    step: StepMap, states: Float[Tensor, "n size"], x: Float[Tensor, " feature"], known: Points | None = None
) -> Points:
    """Return known fixed points and those of these states that are none of them, each once.

    Two of them are one if their distance is explained by rounding: by what a residual of EXACT amounts to where the
    map is least sure of a point's place, which is known from the smallest singular value of J − 1. So a saddle close
    to a node stays apart from it. On a line of fixed points, where any place is as good as its neighbours, those
    within MOST_APART are one.
    """
    known = _described(step, states[:0], x) if known is None else known
    every = torch.cat([known.states, states])
    first = apart(every, LEAST_APART * step.scale(every), len(known.states))
    more = _described(step, every[first[len(known.states) :]], x)
    more = more[apart(more.states, more.reach)]
    both = known + more
    return both[apart(both.states, both.reach, len(known.states))]


def _described(step: StepMap, states: Float[Tensor, "n size"], x: Float[Tensor, " feature"]) -> Points:
    """Return fixed points with what their derivatives tell."""
    block = max(1, BLOCK_BYTES // (8 * step.size**2))
    residual, sizes, sure = [], [], []
    for part in states.split(block):
        after, derived = step.jacobian(part, x)
        residual.append((after - part).norm(dim=1))
        sizes.append(torch.linalg.eigvals(derived).abs().sort(dim=1, descending=True).values)
        sure.append(torch.linalg.svdvals(derived - torch.eye(step.size, dtype=part.dtype)).amin(1))
    off = (EXACT / torch.cat(sure)).clamp(LEAST_APART, MOST_APART)
    return Points(states, torch.cat(residual), torch.cat(sizes), off * step.scale(states))


def apart(states: Float[Tensor, "n size"], radius: Float[Tensor, " n"], known: int = 0) -> Int[Tensor, " kept"]:
    """Return the numbers of the first states of all that lie closer together than their radius, the smaller one.

    Args:
        states: in the order in which they are kept.
        radius: of each.
        known: so many of the first are known to lie apart.
    """
    left = torch.arange(known, len(states))
    if known and len(left):
        off = torch.cdist(states[left], states[:known], compute_mode=EXACTLY)
        left = left[(off > torch.minimum(radius[left].unsqueeze(1), radius[:known])).all(1)]
    kept = list(range(known))
    while len(left):
        first, others = left[0], left[1:]
        kept.append(int(first))
        left = others[(states[others] - states[first]).norm(dim=1) > torch.minimum(radius[others], radius[first])]
    return torch.tensor(kept, dtype=torch.long)


def _searched(step: StepMap, state: Float[Tensor, "n size"], x: Float[Tensor, " feature"]) -> Tensor:
    """Return where Levenberg-Marquardt on F(s) − s leads from each state; it never gets worse."""
    state = state.clone()
    damping = torch.full((len(state),), DAMPING, dtype=state.dtype)
    own = torch.arange(len(state))
    before = torch.full((len(state),), torch.inf, dtype=state.dtype)
    near = linear(step, state, x)
    for k in range(STEPS):
        off = near.missed.norm(dim=1)
        going = (off > NEAR * step.scale(state[own])) & (damping[own] < STUCK) & off.isfinite()
        if k % PATIENCE == 0:
            going &= off < 0.5 * before[own]
            before[own] = off
        if not bool(going.all()):
            own, near, off = own[going], near[going], off[going]
        if not len(own):
            break
        tried = state[own] + near.damped(damping[own])
        better = (step.step(tried, x) - tried).norm(dim=1) < off
        moved = better.nonzero().flatten()
        state[own[moved]] = tried[moved]
        near.put(moved, linear(step, tried[moved], x))  # where it got no nearer, all is as it was
        damping[own] *= torch.where(better, 0.1, 10.0)
    return state


def _polished(step: StepMap, state: Float[Tensor, "n size"], x: Float[Tensor, " feature"]) -> Tensor:
    """Return the states after a few steps of Newton's method, wherever these come nearer.

    On a line of fixed points there is no such step: the shortest one that leads to the line is tried, too. Where what
    is kept fades very slowly, one step of Newton's leads far, along a curve that it takes for a line: what is left is
    more then, and less after a second step.
    """
    state = state.clone()
    own = torch.arange(len(state))
    for _ in range(POLISH):
        near = linear(step, state[own], x)
        off = near.missed.norm(dim=1)
        close = (off < CLOSE) & (off > 0)
        own, near, off = own[close], near[close], off[close]
        if not len(own):
            break
        ways = near.exact(), near.damped(torch.full_like(off, LEAST_DAMPING))
        tried = torch.stack([state[own] + way for way in ways])
        left = torch.stack([(step.step(at, x) - at).norm(dim=1) for at in tried]).nan_to_num(torch.inf)
        least, which = left.min(0)
        better = least < off
        if not bool(better.all()):
            stuck = ~better & tried[0].isfinite().all(1)
            again = tried[0, stuck] + linear(step, tried[0, stuck], x).exact()
            tried[0, stuck], which[stuck] = again, 0
            least[stuck] = (step.step(again, x) - again).norm(dim=1).nan_to_num(torch.inf)
            better = least < off
        own = own[better]
        state[own] = tried[which, torch.arange(len(which))][better]
    return state
