"""Gradients of outputs by memories, by a loop over steps: the fused kernel has none of them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.core.signal import Batch


def memory_gradients(
    model: nn.Module, batch: Batch
) -> tuple[Float[Tensor, "sequence time unit"], Float[Tensor, "output sequence time unit"]]:
    """Return c, and the gradient of each output, summed over steps, by c at every step.

    Args:
        model: a SequenceModel of one layer without projection, whose sequences begin with an empty memory.
        batch: its sequences.
    """
    lstm: nn.LSTM = model.lstm  # type: ignore[assignment]
    weights = dict(lstm.named_parameters())
    from_x, from_h = weights["weight_ih_l0"].detach().T, weights["weight_hh_l0"].detach().T
    bias = (weights["bias_ih_l0"] + weights["bias_hh_l0"]).detach()
    h = c = torch.zeros(len(batch), lstm.hidden_size, dtype=from_h.dtype, requires_grad=True)
    memories, shown = [], []
    for x in batch.inputs.unbind(1):
        i, f, g, o = (x @ from_x + h @ from_h + bias).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        memories.append(c)
        shown.append(h)
    outputs: Tensor = model.readout(torch.stack(shown, dim=1))  # type: ignore[operator]
    found = [
        torch.stack(torch.autograd.grad(own.sum(), memories, retain_graph=True), dim=1) for own in outputs.unbind(-1)
    ]
    return torch.stack(memories, dim=1).detach(), torch.stack(found)
