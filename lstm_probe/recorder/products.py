"""Gates of many steps at once: for each one matrix product and the function on it, by the fastest library at hand.

PyTorch's kernels of LSTMs use oneDNN, `torch.mm` on a processor uses MKL, which leaves the widest instructions of
processors that Intel has not made alone: there a product by oneDNN takes half the time. Its tanh takes a tenth, as
exactly (7e-8).
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


class GateProducts:
    """What gates make of the inputs of steps.

    Args:
        rows: for each gate what multiplies inputs, (input, unit).
    """

    def __init__(self, rows: Mapping[str, Float[Tensor, "input unit"]]) -> None:
        self.by_onednn = all(_is_for_onednn(values) for values in rows.values())
        self.rows = {
            gate: values.T.contiguous().to_mkldnn() if self.by_onednn else values.contiguous()
            for gate, values in rows.items()
        }

    def write(self, inputs: Float[Tensor, "step input"], into: Mapping[str, Float[Tensor, "step unit"]]) -> None:
        """Write each gate's values at some steps, in place."""
        if not self.by_onednn:
            for gate, rows in self.rows.items():
                values = torch.mm(inputs, rows, out=into[gate])
                values.tanh_() if gate == "g" else values.sigmoid_()
            return
        seen = inputs.to_mkldnn()
        for gate, rows in self.rows.items():
            values = functional.linear(seen, rows)
            if gate == "g":
                into[gate].copy_(values.tanh().to_dense())
            else:
                torch.sigmoid(values.to_dense(), out=into[gate])


def _is_for_onednn(values: Tensor) -> bool:
    fits = values.device.type == "cpu" and values.dtype == torch.float32
    return fits and torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
