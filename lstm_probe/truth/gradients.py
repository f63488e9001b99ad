"""Gradients of outputs by memories, by a loop over steps: the fused kernel has none of them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.core.signal import Batch


def memory_gradients(
    model: nn.Module, batch: Batch, *, layer: int = 0
) -> tuple[Float[Tensor, "sequence time unit"], Float[Tensor, "output sequence time unit"]]:
    """Return c of a layer, and the gradient of each output, summed over steps, by c at every step.

    Args:
        model: a SequenceModel, of any layers, with a projection or without, and with a state of its own to begin with.
        batch: its sequences.
        layer: whose c.
    """
    lstm: nn.LSTM = model.lstm  # type: ignore[assignment]
    own = {name: values.detach() for name, values in lstm.named_parameters()}
    shape = lstm.num_layers, len(batch)
    h, c = (list(torch.zeros(*shape, width, dtype=batch.inputs.dtype)) if state is None
            else list(state.expand(-1, len(batch), -1))
            for state, width in ((getattr(model, "h", None), lstm.proj_size or lstm.hidden_size),
                                 (getattr(model, "c", None), lstm.hidden_size)))  # fmt: skip
    memories: list[Tensor] = []
    shown: list[Tensor] = []
    for x in batch.inputs.unbind(1):
        for k in range(lstm.num_layers):
            bias = own[f"bias_ih_l{k}"] + own[f"bias_hh_l{k}"]
            gates = x @ own[f"weight_ih_l{k}"].T + h[k] @ own[f"weight_hh_l{k}"].T + bias
            i, f, g, o = gates.chunk(4, dim=-1)
            c[k] = f.sigmoid() * c[k] + i.sigmoid() * g.tanh()
            if k == layer and not memories:
                c[k].requires_grad_()
            h[k] = o.sigmoid() * c[k].tanh()
            if lstm.proj_size:
                h[k] = h[k] @ own[f"weight_hr_l{k}"].T
            x = h[k]
        memories.append(c[layer])
        shown.append(x)
    outputs: Tensor = model.readout(torch.stack(shown, dim=1))  # type: ignore[operator]
    found = [
        torch.stack(torch.autograd.grad(one.sum(), memories, retain_graph=True), dim=1) for one in outputs.unbind(-1)
    ]
    return torch.stack(memories, dim=1).detach(), torch.stack(found)
