"""What the kernel of any declared cell did in one call, recomputed by the cell's step, beside what it returned."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lstm_probe.recorder.agreement import Check, allowed
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.by_cell import record_cell
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording
from lstm_probe.recorder.kernel import KernelCall, same_random_numbers
from lstm_probe.recorder.replay import EVERY_STEP, Parts, dropped
from lstm_probe.recorder.weights import States, Weights


@torch.no_grad()
def replay_cell(
    call: KernelCall, config: LSTMConfig, variables: Sequence[str], number: int = 0
) -> tuple[Parts, list[Check], Tensor]:
    """Return the recording of every layer and direction, and how well it agrees with what was returned.

    As `replay`, for other cells: h of every step is compared with the one returned, of lower layers with the one that
    the kernel gives of that layer alone; of every layer, all that is carried after each sequence's last step.
    """
    n, time = call.inputs.shape[:2]
    lengths = torch.full((n,), time, device=call.inputs.device) if call.lengths is None else call.lengths
    weights = Weights.of_flat(call.weights, len(config.parts), call.bias, config.cell)
    parts: Parts = {}
    checks: list[Check] = []
    below, tops = call.inputs, [call.inputs]
    with same_random_numbers(call.random):
        for k, (layer, direction) in enumerate(config.parts):
            if k == 0 or layer > config.parts[k - 1][0]:
                below = tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)
                below = dropped(below, call) if layer else below
                tops = []

            def turned(values: Tensor, back: bool = config.bidirectional and direction == "reverse") -> Tensor:
                return reverse_sequences(values, lengths) if back else values

            told = call.shown(k, config)
            known = None if told is None else turned(told)
            got = _layer(weights[k], turned(below), [one[k] for one in call.state], variables, known)
            if known is not None:
                checks.append(_compared(number, layer, direction, known, got["h"], call.lengths))
                got["h"] = known
            last = lengths - 1, torch.arange(n, device=lengths.device)
            for name, carried in zip(config.cell.state, call.last):
                again = got[name][last[1], last[0]]
                checks.append(_compared(number, layer, direction, carried[k], again, None, f"last {name}"))
            got = {name: turned(values) for name, values in got.items()}
            tops.append(got["h"])
            kept = {name: got[name] for name in variables}
            parts[layer, direction] = LayerRecording.of(layer, direction, below, kept, config.cell)
    return parts, checks, tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)


def _layer(
    weights: Weights, x: Tensor, state: Sequence[Tensor], variables: Sequence[str], known: Tensor | None
) -> dict[str, Tensor]:
    """Return one layer's variables, (sequence, time, unit).

    Those that follow from an h of 16 bits are computed with 32; what runs step by step is as the module ran it.
    """
    narrow = x.dtype.itemsize == 2 and weights.cell.follows_from_h
    own = weights.to(torch.float32) if narrow else weights

    def wide(values: Tensor) -> Tensor:
        return values.float() if narrow else values

    begun: States = tuple(map(wide, state))
    h = None if known is None else wide(known).transpose(0, 1)
    got = record_cell(own, wide(x).transpose(0, 1), begun, variables, h)
    return {name: values.transpose(0, 1).to(x.dtype) for name, values in got.items()}


def _compared(
    number: int, layer: int, direction: str, told: Tensor, again: Tensor, lengths: Tensor | None, what: str = EVERY_STEP
) -> Check:
    """Return the comparison of values that were returned with recomputed ones, by step where there are steps."""
    apart, size = (again - told).abs().amax(-1), told.abs().amax(-1)
    every = what == EVERY_STEP
    real = torch.ones_like(apart, dtype=torch.bool)
    if every and lengths is not None:
        real = torch.arange(apart.shape[1], device=apart.device) < lengths.unsqueeze(1)
    apart = apart.masked_fill(~real, 0)
    worst, scale = float(apart.amax()), float(size.masked_fill(~real, 0).amax())
    most = allowed(told, scale)
    step = None
    if not worst <= most:
        step = int(torch.nonzero(~(apart <= most).all(0))[0]) if every else 0
    steps = int(real.sum()) if every else len(told)
    return Check(number, layer, direction, what, len(told), steps, worst, scale, most, step)
