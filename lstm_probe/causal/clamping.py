"""Running a module with units clamped: all others see the clamped values, and continue from them.

Of an `nn.LSTM`, a clamp to one value throughout is written into the weights and initial state with which PyTorch's own
kernel is called, at every one of its calls, wherever in the module they happen; so that states, packed sequences,
several calls and layers are the module's own. A gate whose weights are zero is what its bias makes of it: an input gate
of 0 and a forget gate of 1 keep a memory at its initial value. All other clamps of it: see `causal.segments`; of other
cells: `causal.stepping`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lstm_probe.causal.clamp import Clamp, hold
from lstm_probe.causal.donors import Trace
from lstm_probe.causal.layers import FUSED, Call, with_biases
from lstm_probe.causal.segments import clamped_by_segments, clamped_step
from lstm_probe.causal.stepping import clamped_by_steps, holding, seen_step, single_step
from lstm_probe.cells.declared import Cell, See, unseen
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.kernel import Arguments, Recordable, is_stepwise, watching
from lstm_probe.recorder.weights import WEIGHTS


@dataclass
class Calls:
    """Counts the calls of the kernel, and the steps of those that continue one another."""

    made: int = 0
    steps: int = 0
    title: str = LSTM.title
    last: tuple[Tensor, ...] | None = None

    def first_step(self, given: Arguments, time: int) -> int:
        """Return which step of the sequences a call begins with.

        Raises:
            InputError: it continues no earlier call.
        """
        first = self.steps
        goes_on = self.last is None or (given.packed is None and all(map(torch.equal, given.state, self.last)))
        if not goes_on:
            raise InputError(
                f"window: the module calls its {self.title} several times, with sequences of their own, so that its "
                "steps are not those of the batch; clamp all steps"
            )
        self.steps += time
        return first


@contextmanager
def clamping(
    lstm: Recordable, clamps: Sequence[Clamp], donors: Trace | None = None, beside: Callable[..., None] | None = None
) -> Iterator[Calls]:
    """Within this context, `lstm` runs with these clamps, whoever calls it; with none as it is, by the same way.

    Of a unit of an `nn.LSTM` whose h is clamped throughout, the memory after the last step is NaN: a module that reads
    it is found out.

    Args:
        lstm: the module whose kernel is watched.
        clamps: one for each layer and direction at most.
        donors: what their run handed to the kernel, where there are clamps to the values of other sequences.
        beside: told of what takes parts of a tensor outside of the kernel (see `Watching`).
    """
    cell = cell_of(lstm)
    calls = Calls(title=cell.title)
    fused = isinstance(lstm, FUSED)
    plain = fused and all(clamp.throughout for clamp in clamps)

    def handle(func: Any, args: tuple[Any, ...]) -> Any:
        number = calls.made
        calls.made += 1
        if is_stepwise(lstm):
            return _cell(func, args, clamps, number, donors, None if fused else cell)
        if plain:
            given = with_biases(Arguments.of(args))
            return func(*given.args) if not clamps else _clamped(func, given, clamps)
        call = Call.of(func, args, None if fused else cell)
        windows = any(clamp.window is not None for clamp in clamps)
        first = calls.first_step(call.given, len(call.x)) if windows else 0
        sides = {(clamp.layer, clamp.side(call.given.bidirectional)): clamp for clamp in clamps}
        run = clamped_by_segments if fused else clamped_by_steps
        made = run(call, sides, first, number, donors)
        calls.last = made[1:]
        return made

    with watching(lstm, handle, beside):
        yield calls


def _cell(
    func: Any, args: tuple[Any, ...], clamps: Sequence[Clamp], number: int, donors: Trace | None, cell: Cell | None
) -> Any:  # fmt: skip
    """Run one step of a module that is called for each; `cell` is what is run by its own step."""
    within = [one for one in clamps if one.window is None or one.window[0] <= number < one.window[1]]
    if cell is not None:
        see: See = unseen
        for clamp in within:
            own = None if clamp.values is not None or donors is None else seen_step(
                cell, donors, number, args[0], (clamp.variable,))[clamp.variable][..., list(clamp.units)]  # fmt: skip
            see = holding(clamp, None, own)
        made = single_step(cell, args, see)
        return made if isinstance(args[1], tuple) else made[0]
    if not within:
        return func(*args)
    (clamp,) = within
    donor = None if clamp.values is not None or donors is None else donors.step(number, args[0])
    return clamped_step(func, args, clamp, donor)


def _clamped(func: Any, given: Arguments, clamps: Sequence[Clamp]) -> Any:
    """Run the kernel with clamps to one value throughout in its weights and initial state."""
    directions = 1 + given.bidirectional
    each = len(given.weights) // (given.layers * directions)
    weights, state = list(given.weights), [one.clone() for one in given.state]
    shown_after: list[tuple[Clamp, int, Tensor]] = []
    silent: list[tuple[Clamp, int]] = []
    for clamp in clamps:
        side = clamp.side(given.bidirectional)
        k, units = clamp.layer * directions + side, list(clamp.units)
        own = {name: values.clone() for name, values in zip(WEIGHTS, weights[k * each : (k + 1) * each])}
        if clamp.variable == "h" and "weight_hr" in own:
            # The outputs are 0 and their values come by way of biases; the first step still reads the initial h.
            values = clamp.constants(own["weight_hh"])
            own["weight_hr"][units] = 0
            own["bias_ih"] += own["weight_hh"][:, units] @ values
            state[0][k][:, units] -= values
            columns = [side * state[0].shape[-1] + unit for unit in units]
            for above in range((clamp.layer + 1) * directions, min(clamp.layer + 2, given.layers) * directions):
                w_ih, bias = weights[above * each], weights[above * each + 2]
                weights[above * each + 2] = bias + w_ih[:, columns] @ values
            shown_after.append((clamp, k, values))
        else:
            memory = hold(own, clamp)
            if memory is not None:
                state[1][k][:, units] = memory
            if clamp.variable == "h":
                silent.append((clamp, k))
        weights[k * each : (k + 1) * each] = [own[name] for name in WEIGHTS if name in own]
    shown, h, c = func(*replace(given, weights=weights, state=state).args)
    for clamp, k, values in shown_after:
        if clamp.layer == given.layers - 1:
            shown[..., [(k % directions) * h.shape[-1] + unit for unit in clamp.units]] = values
        h[k][:, list(clamp.units)] = values
    for clamp, k in silent:
        c[k][:, list(clamp.units)] = torch.nan
    return shown, h, c


def means(values: Tensor, real: Tensor) -> Sequence[float]:
    """Return each unit's mean over real steps."""
    told: list[float] = values[real].double().mean(0).tolist()
    return told
