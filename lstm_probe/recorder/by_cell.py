"""Exact recording of one layer of any declared cell, from its step.

Where h is all that a cell carries, every step's variables follow from its inputs and the h before it, which the fused
kernel has returned: then one call of the step does all steps, in blocks that stay in the processor's cache. A cell that
carries more is followed step after step.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from lstm_probe.cells.declared import Named, Seen, State, all_at_once
from lstm_probe.cells.gru import GRU
from lstm_probe.cells.steps import run_steps
from lstm_probe.core.vocabulary import FUSED_RNNS
from lstm_probe.recorder.weights import BLOCK_BYTES, Weights


@torch.no_grad()
def record_cell(
    weights: Weights,
    x: Float[Tensor, "time sequence feature"],
    state: Sequence[Tensor],
    variables: Collection[str],
    h: Float[Tensor, "time sequence unit"] | None = None,
) -> dict[str, Float[Tensor, "time sequence unit"]]:
    """Return variables of every step, and h and all that the cell carries.

    Args:
        weights: of the layer.
        x: what it reads, in the order of reading.
        state: before the first step, in the order of `cell.state`.
        variables: which.
        h: what it is known to have shown; h that is returned then is what its step makes of the h before.
    """
    wanted = frozenset(variables) | frozenset(weights.cell.state)
    if weights.cell.follows_from_h:
        known = fused(weights, x, state) if h is None else h
        got = _at_once(weights, x, torch.cat([state[0].unsqueeze(0), known[:-1]]), wanted)
        return got if h is not None else {**got, "h": known}
    return _step_by_step(weights, x, state, wanted, h)


def _at_once(weights: Weights, x: Tensor, before: Tensor, wanted: frozenset[str]) -> dict[str, Tensor]:
    time, n, _ = x.shape
    wide = len(weights.cell.blocks) * weights.units * x.element_size()
    steps = max(1, min(time, BLOCK_BYTES // (n * wide)))
    store = {name: x.new_empty(time, n, weights.units) for name in wanted}
    for start in range(0, time, steps):
        own = slice(start, min(time, start + steps))
        read = weights.cell.reads(weights.named, x[own].contiguous())
        for name, values in all_at_once(weights.cell, weights.named, read, {"h": before[own]}, wanted).items():
            store[name][own] = values
    return store


def _step_by_step(
    weights: Weights, x: Tensor, state: Sequence[Tensor], wanted: frozenset[str], h: Tensor | None
) -> dict[str, Tensor]:
    """Return every step's variables; each step goes on with the `h` that was shown, so that rounding does not grow."""
    store = {name: x.new_empty(len(x), x.shape[1], weights.units) for name in wanted}
    every: list[Seen] = []

    def see_at(step: int) -> Seen:
        every.append(Seen(wanted))
        if step:
            _keep(store, step - 1, every.pop(0))
        return every[-1]

    def then(step: int, before: State, after: State) -> State:
        # Where a step's h lies in memory decides how some processors add up, so that it is put where any other lies.
        return after if h is None else {**after, "h": h[step].clone(memory_format=torch.contiguous_format)}

    run_steps(weights.cell, weights.named, x, state, None, see_at, then)
    _keep(store, len(x) - 1, every[-1])
    return store


def _keep(store: dict[str, Tensor], step: int, seen: Seen) -> None:
    for name, values in seen.values.items():
        store[name][step] = values


def fused(weights: Weights, x: Tensor, state: Sequence[Tensor]) -> Tensor:
    """Return h of every step as PyTorch's own kernel computes it where there is one, else by steps."""
    cell, bias = weights.cell, "bias_ih" in weights.named
    like = {"device": "meta"}
    shell: nn.RNNBase
    if cell == GRU:
        shell = nn.GRU(x.shape[-1], weights.units, bias=bias, **like)
    elif cell.name in FUSED_RNNS:
        shell = nn.RNN(x.shape[-1], weights.units, bias=bias, nonlinearity=FUSED_RNNS[cell.name], **like)
    else:
        return run_steps(cell, weights.named, x, state)[0]
    named: Named = {f"{name}_l0": values for name, values in weights.named.items()}
    h: Tensor = functional_call(shell, dict(named), (x, state[0].unsqueeze(0).contiguous()))[0]
    return h
