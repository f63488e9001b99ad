"""Exact recording of one layer of an LSTM, by the faster of two methods.

The fused kernel returns h of every step but hides c and the gates. Two ways to get them:

- `by_product`: a step's gates depend on x[t] and h[t-1] alone, and both are known once the fused kernel has given h.
  So all steps' gates are one matrix product, done in blocks that stay in the processor's cache; c then is an
  elementwise scan. It does the product with h[t-1] twice, but spends almost nothing per step.
- `by_steps`: a plain loop over steps, in place on memory laid out for it. It does every product once, and pays for
  about eight small operations per step, which is little where a step is large.

Everything is laid out time-major, so that a step is one block of memory.
"""

import warnings
from collections.abc import Collection, Sequence
from copy import copy

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.func import functional_call

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import GATE_ORDERS, VARIABLES
from lstm_probe.recorder.data import LayerRecording, LSTMConfig, Recording

States = tuple[Tensor, Tensor]
GATES = GATE_ORDERS["pytorch"]
LOOP_ORDER = ("i", "f", "o", "g")  # the three sigmoids side by side

BLOCK_BYTES = 2**21  # of pre-activations at a time: about a core's share of cache
STEP_SIZE = 2**12  # at least this many sequences × units make a step large enough for `by_steps`


def reverse_sequences(
    values: Shaped[Tensor, "sequence time *rest"], lengths: Int[Tensor, " sequence"]
) -> Shaped[Tensor, "sequence time *rest"]:
    """Return each sequence's real steps in reverse order; steps beyond its length stay where they are."""
    step = torch.arange(values.shape[1], device=values.device)
    index = torch.where(step < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - step, step)
    return values.gather(1, index.view(*index.shape, *[1] * (values.dim() - 2)).expand_as(values))


class Weights:
    """One layer's weights in one direction, in PyTorch's shapes and gate order; the two biases added up.

    Attributes:
        w_ih: (4 · unit, feature).
        w_hh: (4 · unit, output).
        bias: (4 · unit), or None.
        w_hr: the projection, (output, unit), or None.
    """

    def __init__(self, lstm: nn.LSTM | nn.LSTMCell, layer: int = 0, direction: str = "forward") -> None:
        suffix = "" if isinstance(lstm, nn.LSTMCell) else f"_l{layer}" + "_reverse" * (direction == "reverse")
        self._named = {
            name: getattr(lstm, name + suffix).detach()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
            if getattr(lstm, name + suffix, None) is not None
        }
        self.w_ih, self.w_hh = self._named["weight_ih"], self._named["weight_hh"]
        self.w_hr = self._named.get("weight_hr")
        self.bias = self._named["bias_ih"] + self._named["bias_hh"] if lstm.bias else None
        self.units, self.outputs = self.w_hh.shape[0] // 4, self.w_hh.shape[1]

    def float(self) -> "Weights":
        """Return the same weights with 32 bits."""
        other = copy(self)
        other._named = {name: values.float() for name, values in self._named.items()}
        for name in ("w_ih", "w_hh", "w_hr", "bias"):
            values = getattr(self, name)
            setattr(other, name, None if values is None else values.float())
        return other

    def rows(self, gates: Sequence[str]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what multiplies x, what multiplies h (both transposed), and the bias, of these gates in this order."""
        index = torch.cat([torch.arange(self.units) + GATES.index(gate) * self.units for gate in gates])
        index = index.to(self.w_ih.device)
        bias = None if self.bias is None else self.bias[index]
        return self.w_ih[index].T.contiguous(), self.w_hh[index].T.contiguous(), bias

    def fused(self, x: Float[Tensor, "time sequence feature"], state: States) -> Float[Tensor, "time sequence output"]:
        """Return h as PyTorch's own kernel computes it."""
        projection = 0 if self.w_hr is None else self.outputs
        shell = nn.LSTM(x.shape[-1], self.units, bias=self.bias is not None, proj_size=projection, device="meta")
        named = {f"{name}_l0": values for name, values in self._named.items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
            h: Tensor = functional_call(shell, named, (x, (state[0].unsqueeze(0), state[1].unsqueeze(0))))[0]
        return h


def _pre_activations(x: Tensor, h: Tensor | None, wx: Tensor, wh: Tensor, bias: Tensor | None, into: Tensor) -> None:
    if bias is None:
        torch.mm(x, wx, out=into)
    else:
        torch.addmm(bias, x, wx, out=into)
    if h is not None:
        into.addmm_(h, wh)


def _activate(gate: str, values: Tensor, into: Tensor) -> Tensor:
    return torch.tanh(values, out=into) if gate == "g" else torch.sigmoid(values, out=into)


def by_product(
    weights: Weights,
    x: Float[Tensor, "time sequence feature"],
    state: States,
    variables: Collection[str],
    h: Float[Tensor, "time sequence output"] | None = None,
) -> dict[str, Float[Tensor, "time sequence unit"]]:
    """Return h and the variables asked for: h from the fused kernel unless given, gates from a product."""
    if h is None:
        h = weights.fused(x, state)
    wanted = [gate for gate in GATES if gate in variables]
    needed = [gate for gate in GATES if gate in variables or ("c" in variables and gate != "o")]
    if not needed:
        return {"h": h}
    time, n, _ = x.shape
    units, width = weights.units, len(needed) * weights.units
    wx, wh, bias = weights.rows(needed)
    store = {name: x.new_empty(time, n, units) for name in [*wanted, *(["c"] if "c" in variables else [])]}
    before = torch.cat([state[0].unsqueeze(0), h[:-1]])
    steps = max(1, min(time, BLOCK_BYTES // (n * width * x.element_size())))
    buffer = x.new_empty(steps * n, width)
    c = state[1]
    for start in range(0, time, steps):
        block = slice(start, min(time, start + steps))
        seen, shown = x[block].flatten(0, 1), before[block].flatten(0, 1)
        pre = buffer[: len(seen)]
        _pre_activations(seen, shown, wx, wh, bias, pre)
        parts = dict(zip(needed, pre.view(-1, n, width).split(units, dim=-1)))
        for gate, values in parts.items():
            parts[gate] = _activate(gate, values, store[gate][block] if gate in wanted else values)
        if "c" in variables:
            written = torch.mul(parts["i"], parts["g"], out=store["c"][block])
            for kept, here in zip(parts["f"].unbind(0), written.unbind(0)):
                c = here.addcmul_(kept, c)
    return {"h": h, **store}


def by_steps(
    weights: Weights, x: Float[Tensor, "time sequence feature"], state: States, variables: Collection[str]
) -> dict[str, Float[Tensor, "time sequence unit"]]:
    """Return h and the variables asked for, from a loop over steps that works in place."""
    time, n, _ = x.shape
    units, width = weights.units, 4 * weights.units
    wx, wh, bias = weights.rows(LOOP_ORDER)
    wanted = [gate for gate in GATES if gate in variables]
    whole = len(wanted) == 4
    steps = time if whole else max(1, min(time, BLOCK_BYTES // (n * width * x.element_size())))
    gates = x.new_empty(steps, n, width)
    store = {} if whole else {gate: x.new_empty(time, n, units) for gate in wanted}
    memory = x.new_empty(time if "c" in variables else 1, n, units)
    shown = x.new_empty(time, n, weights.outputs)
    full = shown if weights.w_hr is None else x.new_empty(1, n, units)
    h, c = state
    for start in range(0, time, steps):
        block = gates[: min(time, start + steps) - start]
        _pre_activations(x[start : start + len(block)].flatten(0, 1), None, wx, wh, bias, block.flatten(0, 1))
        i, f, o, g = (part.unbind(0) for part in block.split(units, dim=-1))
        sigmoids = block[..., : 3 * units].unbind(0)
        for k, pre in enumerate(block.unbind(0)):
            t = start + k
            pre.addmm_(h, wh)
            sigmoids[k].sigmoid_()
            g[k].tanh_()
            c = torch.mul(f[k], c, out=memory[t if len(memory) > 1 else 0]).addcmul_(i[k], g[k])
            h = torch.tanh(c, out=full[t if len(full) > 1 else 0]).mul_(o[k])
            if weights.w_hr is not None:
                h = torch.mm(h, weights.w_hr.T, out=shown[t])
        for gate, values in store.items():
            values[start : start + len(block)] = dict(zip(LOOP_ORDER, block.split(units, dim=-1)))[gate]
    if whole:
        store = dict(zip(LOOP_ORDER, gates.split(units, dim=-1)))
    return {"h": shown, **store, **({"c": memory} if "c" in variables else {})}


def record_layer(
    weights: Weights,
    inputs: Float[Tensor, "sequence time feature"],
    state: States | None,
    variables: Collection[str],
) -> dict[str, Tensor]:
    """Return the variables asked for (and h always), (sequence, time, unit), of one layer in its direction of reading.

    `state` is (h0, c0), each (sequence, output) and (sequence, unit); zeros where it is None. With numbers of 16 bits h
    is what PyTorch's kernel gives, and the rest is computed from it with 32 bits and rounded at the end, since a sum
    over steps in 16 bits would drift.
    """
    x = inputs.transpose(0, 1).contiguous()
    n = len(inputs)
    if state is None:
        state = x.new_zeros(n, weights.outputs), x.new_zeros(n, weights.units)
    if x.dtype.itemsize == 2:
        h = weights.fused(x, state)
        wide = by_product(weights.float(), x.float(), (state[0].float(), state[1].float()), variables, h.float())
        return {name: values.to(x.dtype).transpose(0, 1) for name, values in wide.items()}
    large = n * weights.units >= STEP_SIZE and x.device.type == "cpu"
    method = by_steps if large and set(variables) != {"h"} else by_product
    return {name: values.transpose(0, 1) for name, values in method(weights, x, state, variables).items()}


@torch.no_grad()
def record_lstm(
    lstm: nn.LSTM,
    inputs: Float[Tensor, "sequence time feature"],
    lengths: Int[Tensor, " sequence"],
    state: States | None = None,
    variables: Sequence[str] = VARIABLES,
) -> Recording:
    """Record an `nn.LSTM` on inputs that are already (sequence, time, feature).

    Args:
        lstm: any configuration; dropout between layers is left out, as in evaluation mode.
        inputs: padded after each sequence's end.
        lengths: how many steps of each sequence are real, 1 or more.
        state: (h0, c0) as `nn.LSTM` takes them: (layer x direction, sequence, output) and (..., unit).
        variables: which of h c i f g o to keep.
    """
    unknown = [v for v in variables if v not in VARIABLES]
    if unknown:
        raise InputError(f"variables={' '.join(unknown)}: must be among {' '.join(VARIABLES)}")
    config = LSTMConfig.of(lstm)
    parts: dict[tuple[int, str], LayerRecording] = {}
    below, tops = inputs, [inputs]
    for k, (layer, direction) in enumerate(config.parts):
        backward = direction == "reverse"
        if not backward:
            below = tops[0] if len(tops) == 1 else torch.cat(tops, dim=-1)
            tops = []
        own = None if state is None else (state[0][k], state[1][k])
        seen = reverse_sequences(below, lengths) if backward else below
        got = record_layer(Weights(lstm, layer, direction), seen, own, variables)
        if backward:
            got = {name: reverse_sequences(values, lengths) for name, values in got.items()}
        tops.append(got["h"])
        kept = {name: values for name, values in got.items() if name in variables}
        parts[layer, direction] = LayerRecording(layer, direction, below, **kept)
    return Recording(parts, lengths, config)
