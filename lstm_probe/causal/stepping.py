"""Clamps of any variable of any declared cell: its step goes on with the values that are put in their place."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.causal.clamp import Clamp
from lstm_probe.causal.donors import Trace, other_calls
from lstm_probe.causal.layers import Call, Steps
from lstm_probe.cells.declared import Cell, Named, See, Seen

#: What variables were in a direction, step after step as it was read, (time, sequence, unit).
Values = Mapping[str, Float[Tensor, "time sequence unit"]]


def clamped_by_steps(
    call: Call, clamps: Mapping[tuple[int, int], Clamp], first: int, number: int, trace: Trace | None
) -> tuple[Tensor, ...]:
    """Run a call of a kernel with clamps of any kind; arguments as those of `clamped_by_segments`."""
    wanted = {clamp.variable for clamp in clamps.values() if clamp.values is None}
    donors = {} if trace is None or not wanted else seen_sides(trace, number, call, wanted)

    def run(layer: int, side: int, one: Steps) -> None:
        clamp = clamps.get((layer, side))
        if clamp is None:
            one.run(0, len(one.x))
            return
        step = steps_read(one, clamp.direction, first)
        inside = torch.ones_like(step, dtype=torch.bool)
        if clamp.window is not None:
            inside = (step >= clamp.window[0]) & (step < clamp.window[1])
        values = None if clamp.values is not None else donors[layer, side][clamp.variable][..., list(clamp.units)]
        one.run(0, len(one.x), lambda k: holding(clamp, inside[k], None if values is None else values[k]))

    return call.through_layers(run)


def steps_read(one: Steps, direction: str, first: int) -> Int[Tensor, "time sequence"]:
    """Return which step of the sequences each is, in the order in which a direction reads them."""
    k = torch.arange(len(one.x), device=one.x.device).unsqueeze(1).expand(one.x.shape[:2])
    return first + (k if direction == "forward" else one.last - k)


def holding(
    clamp: Clamp, inside: Bool[Tensor, "*sequence"] | None, values: Float[Tensor, "*sequence unit"] | None = None
) -> See:
    """Return a `see` of one step that holds a clamp's variable, in those sequences that are inside its window.

    Args:
        clamp: what is held.
        inside: which sequences are; None for all.
        values: of the donors; None for the clamp's own.
    """
    units = list(clamp.units)

    def see(name: str, value: Tensor) -> Tensor:
        if name != clamp.variable:
            return value
        new = value.clone()
        put = clamp.constants(value) if values is None else values.to(value)
        new[..., units] = put if inside is None else torch.where(inside.unsqueeze(-1), put, value[..., units])
        return new

    return see


def seen_sides(trace: Trace, number: int, like: Call, wanted: Collection[str]) -> dict[tuple[int, int], Values]:
    """Return variables in one call of another run, by layer and side.

    Raises:
        InputError: that run called its kernel otherwise.
    """
    func, args = trace.call(number, like.given.inputs)
    key = number, frozenset(wanted)
    if key not in trace.seen:
        call = Call.of(func, args, like.cell)
        found: dict[tuple[int, int], Values] = {}

        def run(layer: int, side: int, one: Steps) -> None:
            every = [Seen(frozenset(wanted)) for _ in range(len(one.x))]
            one.run(0, len(one.x), every.__getitem__)
            found[layer, side] = {name: torch.stack([seen.values[name] for seen in every]) for name in wanted}

        call.through_layers(run)
        trace.seen[key] = found
    found = trace.seen[key]
    if len(next(iter(next(iter(found.values())).values()))) != len(like.x):
        raise other_calls(like.cell)
    return found


def single_step(cell: Cell, args: tuple[Any, ...], see: See) -> tuple[Tensor, ...]:
    """Run one step of a module that is called for each, from what its kernel is called with."""
    x, state, named = step_arguments(cell, args)
    after = cell.step(named, cell.reads(named, x), state, see)
    return tuple(after[name] for name in cell.state)


def step_arguments(cell: Cell, args: tuple[Any, ...]) -> tuple[Tensor, dict[str, Tensor], Named]:
    """Return what the kernel of one step is called with: inputs, state and weights by name."""
    x, state, *weights = args
    states = state if isinstance(state, list | tuple) else (state,)
    named = {name: values for name, values in zip(cell.weights(), weights) if values is not None}
    return x, dict(zip(cell.state, states)), named


def seen_step(cell: Cell, trace: Trace, number: int, like: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
    """Return variables in one step of another run of a module that is called for each."""
    seen = Seen(frozenset(wanted))
    single_step(cell, trace.call(number, like)[1], seen)
    return seen.values
