"""Running an LSTM with single units clamped: the others see the clamped value at every step, and continue from it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.recorder.exact import Weights, record_layer


def _clamp(values: Tensor, units: Tensor, to: Tensor) -> Tensor:
    """Set, in the k-th copy of the network, unit `units[k]` to `to[k]` in every sequence."""
    values[torch.arange(len(units)), :, units] = to.unsqueeze(1)
    return values


def clamped_layer(
    lstm: nn.LSTM,
    layer: int,
    inputs: Float[Tensor, "sequence time feature"],
    variable: str,
    units: Int[Tensor, " copy"],
    to: Float[Tensor, " copy"],
) -> Float[Tensor, "copy sequence time output"]:
    """Return one layer's h in as many copies as there are units to clamp, each with one unit's variable held fixed.

    Args:
        lstm: unidirectional.
        layer: which of its layers.
        inputs: what the layer reads; the same for every copy.
        variable: one of h c i f g o; clamping c leaves the unit's gates alone, clamping h silences all it shows.
        units: which unit is clamped in which copy (for h: which output).
        to: the value that it is clamped to.
    """
    weights = Weights.of(lstm, layer)
    (n, time), copies = inputs.shape[:2], len(units)
    seen = inputs.transpose(0, 1) @ weights.w_ih.T
    if weights.bias is not None:
        seen += weights.bias
    h, c = inputs.new_zeros(copies, n, weights.outputs), inputs.new_zeros(copies, n, weights.units)
    shown = inputs.new_empty(copies, n, time, weights.outputs)
    for t in range(time):
        pre = torch.matmul(h, weights.w_hh.T).add_(seen[t])
        gate = dict(zip(GATE_ORDERS["pytorch"], pre.chunk(4, dim=-1)))
        for name, values in gate.items():
            values.tanh_() if name == "g" else values.sigmoid_()
        if variable in gate:
            _clamp(gate[variable], units, to)
        c.mul_(gate["f"]).addcmul_(gate["i"], gate["g"])
        if variable == "c":
            _clamp(c, units, to)
        h = gate["o"] * c.tanh()
        if weights.w_hr is not None:
            h = h @ weights.w_hr.T
        if variable == "h":
            _clamp(h, units, to)
        shown[:, :, t] = h
    return shown


def layers_above(
    lstm: nn.LSTM, layer: int, h: Float[Tensor, "sequence time output"]
) -> Float[Tensor, "sequence time output"]:
    """Return the top layer's h, given the h of `layer`."""
    for above in range(layer + 1, lstm.num_layers):
        h = record_layer(Weights.of(lstm, above), h, None, ("h",))["h"]
    return h


@contextmanager
def replaced_output(lstm: nn.LSTM, h: Float[Tensor, "sequence time output"]) -> Iterator[None]:
    """Within this context, `lstm` returns this h whatever it is given, in its own layout; then it is as before.

    Of the final states, the top layer's h is right and everything else is NaN, so that a module that reads more than
    h is found out instead of being measured wrongly.
    """

    def forward(*_: object, **__: object) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        n = len(h)
        last = h.new_full((lstm.num_layers, n, h.shape[-1]), torch.nan)
        last[-1] = h[:, -1]
        memory = h.new_full((lstm.num_layers, n, lstm.hidden_size), torch.nan)
        return (h if lstm.batch_first else h.transpose(0, 1)), (last, memory)

    lstm.forward = forward  # type: ignore[assignment, method-assign]  # hides the method until it is deleted
    try:
        yield
    finally:
        del lstm.forward
