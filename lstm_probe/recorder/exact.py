"""Exact recording of one layer of an LSTM; of other cells see `by_cell`.

The fused kernel returns h of every step but hides c and the gates. A step's gates depend on x[t] and h[t-1] alone, and
both are known once the kernel has given h. So all steps' gates are one matrix product, done in blocks that stay in the
processor's cache; c then is an elementwise scan. The product with h[t-1] is done twice, but almost nothing is spent per
step.

Everything is laid out time-major, so that a step is one block of memory.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import GatedRNN
from lstm_probe.recorder.agreement import Agreement
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.by_cell import record_cell
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording, check_variables
from lstm_probe.recorder.products import GateProducts
from lstm_probe.recorder.weights import BLOCK_BYTES, GATES, States, Weights

_IN_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


def by_product(
    weights: Weights,
    x: Float[Tensor, "time sequence feature"],
    state: States,
    variables: Collection[str],
    h: Float[Tensor, "time sequence output"] | None = None,
    agreement: Agreement | None = None,
    memory_as: torch.dtype | None = None,
) -> dict[str, Float[Tensor, "time sequence unit"]]:
    """Return h and the variables asked for: h from the fused kernel unless given, gates from products.

    With an `agreement`, h is also recomputed from the gates and the memory, and compared with the h that was given.
    `memory_as` is what a kernel of 16 bits keeps its memory in, rounding it at every step.
    """
    wanted = [gate for gate in GATES if gate in variables]
    remembered = agreement is not None or "c" in variables
    needed = [gate for gate in GATES if gate in wanted or (remembered and (gate != "o" or agreement is not None))]
    time, n, features = x.shape
    seen = _empty(x, time + 1, n, 1 + features + weights.outputs)  # what a step multiplies: 1, x[t], h[t - 1]
    seen[..., 0] = 1
    seen[:time, :, 1 : 1 + features] = x
    seen[0, :, 1 + features :] = state[0]
    shown = seen[1:, :, 1 + features :]
    shown.copy_(weights.fused(x, state) if h is None else h)
    if not needed:
        return {"h": shown}
    units = weights.units
    products = GateProducts(dict(zip(needed, torch.cat(weights.rows(needed)).split(units, dim=1))))
    steps = max(1, min(time, BLOCK_BYTES // (n * units * x.element_size())))
    kept = [*wanted, *(["c"] if "c" in variables else [])]
    store = dict(zip(kept, _empty(x, len(kept), time, n, units)))
    store |= {name: x.new_empty(steps, n, units) for name in {*needed, "c"} - {*kept}}
    c = state[1]
    for start in range(0, time, steps):
        stop = min(time, start + steps)
        here = {k: values[start:stop] if k in kept else values[: stop - start] for k, values in store.items()}
        products.write(seen[start:stop].flatten(0, 1), {gate: here[gate].view(-1, units) for gate in needed})
        if remembered:
            c = _scan(here, c, memory_as)
            c = c if "c" in kept else c.clone()  # its place is written again
        if agreement is not None:
            agreement.add(start, shown_by(weights, here["o"], here["c"], rough=True), shown[start:stop])
    if agreement is not None:
        agreement.memory = c
    return {"h": shown, **{name: store[name] for name in kept}}


def _empty(like: Tensor, *shape: int) -> Tensor:
    """Return room for numbers: NumPy's, where it can be, since it asks for large pages, which come faster."""
    if like.device.type == "cpu" and like.dtype in _IN_NUMPY:
        return torch.from_numpy(np.empty(shape, _IN_NUMPY[like.dtype]))
    return like.new_empty(shape)


def _scan(values: Mapping[str, Tensor], c: Tensor, rounded_to: torch.dtype | None) -> Tensor:
    """Write every step's memory into `values["c"]`, from the gates and the memory before; return the last.

    A kernel of 16 bits rounds gates, products and sums.
    """
    if rounded_to is not None:
        i, f, g = (values[gate].to(rounded_to) for gate in "ifg")
        c = c.to(rounded_to)
        for kept, written, into in zip(f, i * g, values["c"]):
            c = kept * c + written
            into.copy_(c)
        return values["c"][-1]
    torch.mul(values["i"], values["g"], out=values["c"])
    for kept, here in zip(values["f"].unbind(0), values["c"].unbind(0)):
        c = here.addcmul_(kept, c)
    return c


def shown_by(weights: Weights, o: Tensor, c: Tensor, rough: bool = False) -> Tensor:
    """Return h, of what the output gate lets through of the memory; `rough`: to 1e-7, in a fraction of the time."""
    h = c.mul(2).sigmoid_().mul_(2).sub_(1) if rough else c.tanh()  # a sigmoid takes a sixth of the time of a tanh
    h.mul_(o)
    return h if weights.w_hr is None else h @ weights.w_hr.T


def record_layer(
    weights: Weights,
    inputs: Float[Tensor, "sequence time feature"],
    state: States | None,
    variables: Collection[str],
    h: Float[Tensor, "sequence time output"] | None = None,
    agreement: Agreement | None = None,
    round_memory: bool = True,
) -> dict[str, Tensor]:
    """Return the variables asked for (and h always), (sequence, time, unit), of one layer in its direction of reading.

    With numbers of 16 bits h is what PyTorch's kernel gives, gates are computed from it with 32 bits and rounded at the
    end, and the memory is rounded at every step, as the processor's kernel does, unless `round_memory` is false.

    Args:
        weights: of the layer.
        inputs: what it reads.
        state: (h0, c0), each (sequence, output) and (sequence, unit), of other cells what they carry; where it is None
            that with which a sequence begins.
        variables: which to return.
        h: what the layer is known to have shown, where that is known.
        agreement: takes in h that is recomputed from the gates and the memory.
        round_memory: with 16 bits.
    """
    x = inputs.transpose(0, 1)
    n = len(inputs)
    if weights.cell != LSTM:
        begun = weights.cell.start(x, (n, weights.units)) if state is None else state
        got = record_cell(weights, x, begun, variables, None if h is None else h.transpose(0, 1))
        return {name: values.transpose(0, 1) for name, values in got.items()}
    if state is None:
        state = x.new_zeros(n, weights.outputs), x.new_zeros(n, weights.units)
    known = None if h is None else h.transpose(0, 1)
    if x.dtype.itemsize == 2:
        known = weights.fused(x, state) if known is None else known
        wide = state[0].float(), state[1].float()
        memory_as = x.dtype if round_memory else None
        got = by_product(weights.to(torch.float32), x.float(), wide, variables, known.float(), agreement, memory_as)
        return {name: values.to(x.dtype).transpose(0, 1) for name, values in got.items()}
    x = x if known is not None else x.contiguous()
    got = by_product(weights, x, state, variables, known, agreement)
    return {name: values.transpose(0, 1) for name, values in got.items()}


@torch.no_grad()
def record_lstm(
    lstm: nn.RNNBase | GatedRNN,
    inputs: Float[Tensor, "sequence time feature"],
    lengths: Int[Tensor, " sequence"],
    state: States | None = None,
    variables: Sequence[str] | None = None,
) -> Recording:
    """Record an `nn.LSTM`, or layers of another cell, that nobody else runs, as if its sequences were packed.

    Nothing is compared.

    Args:
        lstm: any configuration; dropout between layers is left out, as in evaluation mode.
        inputs: (sequence, time, feature), padded after each sequence's end.
        lengths: how many steps of each sequence are real, 1 or more.
        state: as the module takes it, in a tuple: (h0, c0), (layer x direction, sequence, output) and (..., unit).
        variables: which to keep; None for all of the cell's.
    """
    config = LSTMConfig.of(lstm)
    variables = check_variables(variables, config.cell)
    parts: dict[tuple[int, str], LayerRecording] = {}
    weights: dict[tuple[int, str], Weights] = {}
    below, tops = inputs, [inputs]
    for k, (layer, direction) in enumerate(config.parts):
        if k == 0 or layer > config.parts[k - 1][0]:
            below = tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)
            tops = []
        own = None if state is None else tuple(one[k] for one in state)
        turned = direction == "reverse"
        seen = reverse_sequences(below, lengths) if turned else below
        weights[layer, direction] = Weights.of(lstm, layer, direction if config.bidirectional else "forward")
        got = record_layer(weights[layer, direction], seen, own, variables)
        if turned:
            got = {name: reverse_sequences(values, lengths) for name, values in got.items()}
        tops.append(got["h"])
        kept = {name: values for name, values in got.items() if name in variables}
        parts[layer, direction] = LayerRecording.of(layer, direction, below, kept, config.cell)
    free = state is None or not config.bidirectional
    ran_with = torch.zeros(len(inputs), dtype=torch.long, device="cpu") if free else None
    return Recording(parts, lengths, config, weights=(weights,) if free else (), ran_with=ran_with)
