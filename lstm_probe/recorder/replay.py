"""What an LSTM's kernel did in one call, recomputed layer by layer, and compared with what it returned."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_probe.recorder.agreement import ROUNDINGS, Agreement, Check, allowed
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording
from lstm_probe.recorder.exact import record_layer, shown_by
from lstm_probe.recorder.kernel import KernelCall, States, same_random_numbers
from lstm_probe.recorder.weights import Weights

Parts = dict[tuple[int, str], LayerRecording]
EVERY_STEP, LAST_H, LAST_C = "h of every step", "last h", "last c"


@torch.no_grad()
def replay(
    call: KernelCall, config: LSTMConfig, variables: Sequence[str], number: int = 0
) -> tuple[Parts, list[Check], Tensor]:
    """Return the recording of every layer and direction, and how well it agrees with what was returned.

    Of the top layer h of every step was returned: its gates follow from that h, and h is recomputed from them. Of the
    layers below only the last h and c were: their h of every step is what the kernel gives of each layer alone, whose
    last must be the one returned.

    Args:
        call: what went in and what came out.
        config: of the LSTM.
        variables: which of h c i f g o to keep.
        number: of the call, for the checks.

    Returns:
        The layers, what was compared, and a copy of the top layer's h, directions side by side. Sequences are in the
        call's own order, steps in the order of reading (a `BackwardLSTM`'s last step first).
    """
    n, time = call.inputs.shape[:2]
    lengths = torch.full((n,), time, device=call.inputs.device) if call.lengths is None else call.lengths
    weights = Weights.of_flat(call.weights, len(config.parts), call.bias)
    parts: Parts = {}
    checks: list[Check] = []
    below, tops = call.inputs, [call.inputs]
    with same_random_numbers(call.random):
        for k, (layer, direction) in enumerate(config.parts):
            if k == 0 or layer > config.parts[k - 1][0]:
                below = tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)
                below = dropped(below, call) if layer else below
                tops = []
            turned = config.bidirectional and direction == "reverse"
            known, top = call.shown(k, config), layer == config.layers - 1
            part = _Layer(
                weights[k],
                reverse_sequences(below, lengths) if turned else below,
                (call.state[0][k], call.state[1][k]),
                known if known is None or not turned else reverse_sequences(known, lengths),
                call.lengths,
                top,
            )
            got, compared = part.recorded(variables, (call.last[0][k], call.last[1][k]))
            steps = int(lengths.sum())
            for one in compared:
                seen = steps if one.what == EVERY_STEP else n
                told = (one.difference, one.scale, one.allowed, one.step)
                checks.append(Check(number, layer, direction, one.what, n, seen, *told))
            if turned:
                got = {name: reverse_sequences(values, lengths) for name, values in got.items()}
            tops.append(got["h"])
            kept = {name: values for name, values in got.items() if name in variables}
            parts[layer, direction] = LayerRecording.of(layer, direction, below, kept)
    return parts, checks, tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)


@dataclass(frozen=True)
class _Compared:
    what: str
    difference: float
    scale: float
    allowed: float
    step: int | None


@dataclass(frozen=True)
class _Layer:
    """One layer in its direction of reading: what it reads, begins with, and is known to have shown."""

    weights: Weights
    inputs: Float[Tensor, "sequence time feature"]
    state: States
    known: Float[Tensor, "sequence time output"] | None
    lengths: Tensor | None
    top: bool

    def recorded(self, variables: Sequence[str], last: States) -> tuple[dict[str, Tensor], list[_Compared]]:
        """Return its variables, and what they were compared with; `last` is (h, c) after its last step."""
        got, compared = self._recorded(variables, last, True)
        if self.inputs.dtype.itemsize == 2 and any(one.step is not None for one in compared):
            return self._recorded(variables, last, False)  # a GPU's kernel need not round its memory
        return got, compared

    def _recorded(
        self, variables: Sequence[str], last: States, round_memory: bool
    ) -> tuple[dict[str, Tensor], list[_Compared]]:
        agreement = None
        if self.known is not None:
            wide = self.known.float() if self.known.dtype.itemsize == 2 else self.known
            agreement = Agreement(wide.transpose(0, 1), self.lengths)
        kept = {*variables} if agreement is not None and self.lengths is None else {*variables, "c"}
        got = record_layer(self.weights, self.inputs, self.state, kept, self.known, agreement, round_memory)
        memory = agreement.memory if "c" not in got and agreement is not None else self._last(got["c"])
        assert memory is not None
        differences = {LAST_C: (memory - last[1]).abs().amax().unsqueeze(0)}
        scales = {LAST_C: float(last[1].abs().amax())}
        if not self.top:
            differences[LAST_H] = (self._last(got["h"]) - last[0]).abs().amax().unsqueeze(0)
            scales[LAST_H] = float(last[0].abs().amax())
        if agreement is not None:
            differences[EVERY_STEP], scales[EVERY_STEP] = agreement.by_step, agreement.scale
        precise: dict[str, tuple[Tensor, float]] = {}
        compared = []
        for what, by_step in differences.items():
            most = allowed(self.inputs, scales[what])
            if not bool((by_step <= most).all()):
                precise = precise or self._precise(last)
                by_step, rounding = precise[what]
                most = max(most, ROUNDINGS * rounding)
            beyond = torch.nonzero(~(by_step <= most))
            step = None if not len(beyond) else int(beyond[0]) if what == EVERY_STEP else self.inputs.shape[1] - 1
            compared.append(_Compared(what, float(by_step.amax()), scales[what], most, step))
        return got, compared

    def _last(self, values: Tensor) -> Tensor:
        if self.lengths is None:
            return values[:, -1]
        return values[torch.arange(len(values), device=values.device), self.lengths - 1]

    def _precise(self, last: States) -> dict[str, tuple[Tensor, float]]:
        """Return differences by step, without shortcuts, and how far the recomputed values move with 64 bits."""
        runs = []
        for dtype in (torch.promote_types(self.inputs.dtype, torch.float32), torch.float64):
            weights, known = self.weights.to(dtype), None if self.known is None else self.known.to(dtype)
            state = self.state[0].to(dtype), self.state[1].to(dtype)
            got = record_layer(weights, self.inputs.to(dtype), state, {"h", "c", "o"}, known)
            free = (
                got if known is None or self.top else record_layer(weights, self.inputs.to(dtype), state, {"h"}, None)
            )
            again = shown_by(weights, got["o"], got["c"]).transpose(0, 1)
            runs.append({EVERY_STEP: again, LAST_H: self._last(free["h"]), LAST_C: self._last(got["c"])})
        returned = {LAST_H: last[0], LAST_C: last[1]}
        if self.known is not None:
            returned[EVERY_STEP] = self.known.transpose(0, 1)
        told = {}
        for what, values in returned.items():
            apart, moved = (values - runs[0][what]).abs(), (runs[1][what] - runs[0][what]).abs()
            if what == EVERY_STEP and self.lengths is not None:
                beyond = torch.arange(len(apart), device=apart.device).unsqueeze(1) >= self.lengths
                apart, moved = (one.masked_fill(beyond.unsqueeze(2), 0) for one in (apart, moved))
            by_step = apart.amax((1, 2)) if what == EVERY_STEP else apart.amax().unsqueeze(0)
            told[what] = by_step, float(moved.amax())
        return told


def dropped(below: Tensor, call: KernelCall) -> Tensor:
    """Return what a layer read of the h below it: the kernel drops some while it trains, steps before sequences."""
    if not call.dropout:
        return below
    if call.lengths is None:
        return functional.dropout(below.transpose(0, 1).contiguous(), call.dropout).transpose(0, 1)
    packed = pack_padded_sequence(below, call.lengths.cpu(), batch_first=True)
    dropped = functional.dropout(packed.data, call.dropout)
    return pad_packed_sequence(PackedSequence(dropped, packed.batch_sizes), batch_first=True)[0]
