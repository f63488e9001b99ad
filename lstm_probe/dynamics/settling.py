"""Letting states run under a constant input, on PyTorch's own kernel, and telling what becomes of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.dynamics.solving import Points, scale
from lstm_probe.dynamics.step_map import Recurrent, StepMap

PIECE = 50  # steps at a time
#: A state is at a point within this distance of it, and at rest if it moves by less in a step; for a size of up to 1.
AT, STILL = 1e-3, 1e-6


class Runner:
    """A copy of a recurrent module that runs on PyTorch's kernel, in the module's own type of numbers."""

    def __init__(self, module: Recurrent, step: StepMap) -> None:
        first = module.weight_hh if isinstance(module, nn.LSTMCell | nn.RNNCell) else module.weight_hh_l0
        self.step, self.dtype = step, first.dtype if first.dtype == torch.float64 else torch.float32
        kind = nn.LSTM if step.gated else nn.RNN
        options = {"proj_size": getattr(module, "proj_size", 0)} if step.gated else {"nonlinearity": module.nonlinearity}
        self.shell = kind(step.features, step.units, len(step.layers), dtype=self.dtype, **options)
        with torch.no_grad():
            for k, layer in enumerate(step.layers):
                own = {"weight_ih": layer.w_ih, "weight_hh": layer.w_hh, "bias_ih": layer.bias, "weight_hr": layer.w_hr}
                for name, values in own.items():
                    if values is not None:
                        getattr(self.shell, f"{name}_l{k}").copy_(values)
                getattr(self.shell, f"bias_hh_l{k}").zero_()

    @torch.no_grad()
    def run(self, states: Float[Tensor, "n size"], x: Float[Tensor, " feature"], steps: int) -> Tensor:
        """Return the states after so many steps with this input, float64."""
        if not len(states):
            return states
        places = (self.step.shown, self.step.held)[: 1 + self.step.gated]
        state = tuple(torch.stack([states[:, place] for place in part]).to(self.dtype) for part in places)
        for start in range(0, steps, PIECE):
            given = x.to(self.dtype).expand(min(PIECE, steps - start), len(states), -1)
            _, after = self.shell(given, state if self.step.gated else state[0])
            state = after if self.step.gated else (after,)
        return torch.cat([one for part in state for one in part], dim=1).double()
