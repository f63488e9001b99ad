"""The LSTM of many small networks at once: one batched matrix product a step, and a backward written by hand.

`torch.func.vmap` refuses PyTorch's fused LSTM, and a network of a few units leaves a processor idle between its small
operations. So the members of a stack lie beside each other in memory, as (member, feature, sequence), and every
operation works on all of them. The inputs of a step, a row of ones for the biases, and the outputs of the step before
lie in one buffer, so that one product makes all gates of a step, and one the gradients of all weights.

A tanh costs several times a sigmoid, so that tanh(x) = 2 σ(2x) − 1 takes its place; the factors are powers of two,
which change no digit.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def packed(ih: Tensor, hh: Tensor, biases: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return a layer's weights as the kernel takes them: (member, feature + 1 + output, 4 units), gates i f o g.

    Args:
        ih: (member, 4 units, feature), gates in PyTorch's order i f g o.
        hh: (member, 4 units, output).
        biases: two of (member, 4 units), where there are any.
    """
    bias = ih.new_zeros(*ih.shape[:2], 1) if biases is None else (biases[0] + biases[1]).unsqueeze(-1)
    i, f, g, o = torch.cat([ih, bias, hh], dim=-1).chunk(4, dim=1)
    return torch.cat([i, f, o, 2 * g], dim=1).mT


class LayerFunction(torch.autograd.Function):
    """One layer in one direction, for all members.

    With s = σ(W [x; 1; h]) of all four gates, those of g doubled: a' = 4 s_g − 2 is twice the cell input, and
    c' = f c' + i a' twice the memory; h = o (2 σ(c') − 1), times the projection where there is one.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weights: Tensor, projection: Tensor | None, h0: Tensor, c0: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return h at every step and c after the last.

        Args:
            ctx: what the backward needs.
            x: (time, member, feature, sequence).
            weights: as `packed` makes them.
            projection: (member, output, unit).
            h0: (member, output, sequence) at the start.
            c0: (member, unit, sequence) at the start.
        """
        (steps, members, features, sequences), units = x.shape, c0.shape[1]
        kept = steps if any(ctx.needs_input_grad) else 1
        seen = x.new_empty(steps + 1, members, weights.shape[1], sequences)
        seen[:steps, :, :features] = x
        seen[:, :, features] = 1
        seen[0, :, features + 1 :] = h0
        gates = x.new_empty(kept, members, 4 * units, sequences)
        inputs, tanh = (x.new_empty(kept, *c0.shape) for _ in range(2))
        memory = x.new_empty(kept + 1, *c0.shape)
        torch.mul(c0, 2, out=memory[0])
        minus_1, minus_2 = (torch.full((), value, dtype=x.dtype, device=x.device) for value in (-1.0, -2.0))
        all_s, all_a, all_t, all_c = (values.unbind(0) for values in (gates, inputs, tanh, memory))
        all_seen, all_h = seen.unbind(0), seen[:, :, features + 1 :].unbind(0)
        all_i, all_f, all_o, all_g = (values.unbind(0) for values in gates.split(units, dim=2))
        for t in range(steps):
            k = t if kept == steps else 0
            a, c, tanh_c = all_a[k], all_c[k + 1 if kept == steps else 1 - t % 2], all_t[k]
            torch.bmm(weights.mT, all_seen[t], out=all_s[k])
            all_s[k].sigmoid_()
            torch.add(minus_2, all_g[k], alpha=4, out=a)
            torch.mul(all_f[k], all_c[k if kept == steps else t % 2], out=c)
            c.addcmul_(all_i[k], a)
            torch.sigmoid(c, out=tanh_c)
            torch.add(minus_1, tanh_c, alpha=2, out=tanh_c)
            if projection is None:
                torch.mul(all_o[k], tanh_c, out=all_h[t + 1])
            else:
                torch.bmm(projection, all_o[k] * tanh_c, out=all_h[t + 1])
        ctx.save_for_backward(seen, weights, projection, gates, inputs, tanh, memory)
        return seen[1:, :, features + 1 :], memory[-1 if kept == steps else steps % 2] / 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor, d_c: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, the weights, the projection, h0 and c0."""
        seen, weights, projection, gates, inputs, tanh, memory = ctx.saved_tensors
        steps, members, all_units, sequences = gates.shape
        units, outputs = all_units // 4, d_h.shape[2]
        features, with_x = weights.shape[1] - outputs, ctx.needs_input_grad[0]  # the row of ones is among them
        all_s, all_a, all_t, all_c = (values.unbind(0) for values in (gates, inputs, tanh, memory))
        all_i, all_f, all_o, _ = (values.unbind(0) for values in gates.split(units, dim=2))
        all_seen, all_d_h = seen.unbind(0), d_h.unbind(0)
        d_gates = torch.empty_like(gates[0])
        d_i, d_f, d_o, d_g = d_gates.split(units, dim=1)
        scale = gates.new_ones(all_units)  # σ' is taken of all gates alike; of g the factor of a' = 4 s − 2 is missing
        scale[3 * units :] = 4
        back = (weights * scale if with_x else weights[:, features:] * scale).contiguous()
        d_seen = gates.new_empty(steps if with_x else 1, members, back.shape[1], sequences)
        d_weights, d_memory = torch.zeros_like(weights), d_c / 2
        d_out, d_next = (torch.zeros_like(d_h[0], memory_format=torch.contiguous_format) for _ in range(2))
        d_m = d_out if projection is None else torch.empty_like(d_memory)
        d_projection = None if projection is None else torch.zeros_like(projection)
        for t in range(steps - 1, -1, -1):
            torch.add(all_d_h[t], d_next, out=d_out)
            if d_projection is not None:
                d_projection.baddbmm_(d_out, (all_o[t] * all_t[t]).mT)
                torch.bmm(projection.mT, d_out, out=d_m)
            torch.mul(d_m, all_t[t], out=d_o)
            d_m.mul_(all_o[t])
            _tanh_backward(d_m, all_t[t], grad_input=d_m)
            d_memory.add_(d_m, alpha=0.5)
            torch.mul(d_memory, all_a[t], out=d_i)
            torch.mul(d_memory, all_c[t], out=d_f)
            torch.mul(d_memory, all_i[t], out=d_g)
            _sigmoid_backward(d_gates, all_s[t], grad_input=d_gates)
            d_memory.mul_(all_f[t])
            d_weights.baddbmm_(all_seen[t], d_gates.mT)
            own = d_seen[t if with_x else 0]
            torch.bmm(back, d_gates, out=own)
            d_next = own[:, features:] if with_x else own
        d_x = d_seen[:, :, : features - 1] if with_x else None
        return d_x, d_weights.mul_(scale), d_projection, d_next, d_memory * 2


class ReadoutFunction(torch.autograd.Function):
    """A linear readout of each member, step by step: what a step adds to a gradient doesn't depend on their number."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """Return (time, member, result, sequence) of h as (time, member, output, sequence).

        Args:
            ctx: what the backward needs.
            h: what is read.
            weights: (member, result, output).
            bias: (member, result).
        """
        ctx.save_for_backward(h, weights)
        results = h.new_empty(*h.shape[:2], weights.shape[1], h.shape[3])
        for own, result in zip(h.unbind(0), results.unbind(0)):
            torch.baddbmm(bias.unsqueeze(-1), weights, own, out=result)
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_results: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of h, the weights and the bias."""
        h, weights = ctx.saved_tensors
        d_h, d_weights = torch.empty_like(h, memory_format=torch.contiguous_format), torch.zeros_like(weights)
        d_bias = weights.new_zeros(weights.shape[:2])
        for own, d_own, d_result in zip(h.unbind(0), d_h.unbind(0), d_results.unbind(0)):
            torch.bmm(weights.mT, d_result, out=d_own)
            d_weights.baddbmm_(d_result, own.mT)
            d_bias.add_(d_result.sum(-1))
        return d_h, d_weights, d_bias


def layer(
    x: Tensor, weights: Tensor, projection: Tensor | None, start: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return h at every step, and h and c after the last; see `LayerFunction`."""
    h, c = LayerFunction.apply(x, weights, projection, *start)  # type: ignore[no-untyped-call]
    return h, (h[-1], c)


def readout(h: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Return what is read from h at every step; see `ReadoutFunction`."""
    results: Tensor = ReadoutFunction.apply(h, weights, bias)  # type: ignore[no-untyped-call]
    return results
