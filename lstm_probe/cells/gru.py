"""The GRU, in both of its forms, and the plain recurrent network."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lstm_probe.cells.activations import activation, shortest
from lstm_probe.cells.declared import Cell, Named, See, State, Variable, linear_heard


@dataclass(frozen=True)
class GRUStep:
    """One step of a GRU.

    Attributes:
        gates, input: activations of r and z, and of n.
        before: whether r is applied to h before its product with the weights (Cho and others 2014), or after it, as
            PyTorch, cuDNN and Keras since version 2.3 do.
        clip: what stands before an activation is kept within ± this.
    """

    gates: str = "sigmoid"
    input: str = "tanh"
    before: bool = False
    clip: float | None = None

    def __call__(self, w: Named, read: Tensor, state: State, see: See) -> dict[str, Tensor]:
        """Return the next state."""
        h = state["h"]
        units = h.shape[-1]
        read_r, read_z, read_n = read.chunk(3, dim=-1)
        gate = activation(self.gates)
        if self.before:
            rows = w["weight_hh"][: 2 * units], w["weight_hh"][2 * units :]
            bias = w.get("bias_hh")
            heard_r, heard_z = functional.linear(h, rows[0], None if bias is None else bias[: 2 * units]).chunk(2, -1)
            r = see("r", gate(self._clipped(read_r + heard_r)))
            heard_n = functional.linear(r * h, rows[1], None if bias is None else bias[2 * units :])
        else:
            heard_r, heard_z, heard_n = linear_heard(w, h).chunk(3, dim=-1)
            r = see("r", gate(self._clipped(read_r + heard_r)))
            heard_n = r * heard_n
        z = see("z", gate(self._clipped(read_z + heard_z)))
        n = see("n", activation(self.input)(self._clipped(read_n + heard_n)))
        return {"h": see("h", torch.lerp(n, h, z))}

    def _clipped(self, values: Tensor) -> Tensor:
        return values if self.clip is None else values.clamp(-self.clip, self.clip)


def gru(
    *, gates: str = "sigmoid", input: str = "tanh", reset_before: bool = False, clip: float | None = None
) -> Cell:  # fmt: skip
    """Return a GRU.

    Args:
        gates: activation of r and z (Keras: recurrent_activation; ONNX: f).
        input: of n (Keras: activation; ONNX: g).
        reset_before: whether r is applied to h before its product with the weights (Keras: reset_after=False; ONNX:
            linear_before_reset=0), or after it (PyTorch).
        clip: what stands before an activation is kept within ± this.
    """
    own, made = activation(gates), activation(input)
    to = f", {own.low:g} to {own.high:g}" if own.low is not None and own.high is not None else ""
    variables = (
        Variable("h", "output and memory in one, z · h[t-1] + (1 - z) · n", "output"),
        Variable("r", f"reset gate: how much of the old h the cell input hears{to}", "gate", own.low, own.high),
        Variable("z", f"update gate: how much of the old memory is kept{to}", "gate", own.low, own.high),
        Variable("n", "cell input: what would be written", "input", made.low, made.high),
    )
    options = {
        "gates": (gates, "sigmoid"),
        "input": (input, "tanh"),
        "clip": ("" if clip is None else shortest(clip), ""),
    }
    words = [f"{key}:{value}" for key, (value, usual) in options.items() if value != usual]
    words += ["reset_before"] * reset_before
    title = f"GRU ({', '.join(word.replace('_', ' ').replace(':', ' ', 1) for word in words)})" if words else "GRU"
    return Cell("+".join(["gru", *words]), title, variables, ("r", "z", "n"),
                GRUStep(gates, input, reset_before, clip), keeps="z", linear=not reset_before)  # fmt: skip


@dataclass(frozen=True)
class RNNStep:
    """One step of a plain recurrent network; `input` is its activation."""

    input: str = "tanh"
    clip: float | None = None

    def __call__(self, w: Named, read: Tensor, state: State, see: See) -> dict[str, Tensor]:
        """Return the next state."""
        pre = read + linear_heard(w, state["h"])
        pre = pre if self.clip is None else pre.clamp(-self.clip, self.clip)
        return {"h": see("h", activation(self.input)(pre))}


def rnn(*, input: str = "tanh", clip: float | None = None) -> Cell:
    """Return a plain recurrent network (Elman 1990).

    Args:
        input: its activation.
        clip: what stands before it is kept within ± this.
    """
    made = activation(input)
    variables = (Variable("h", f"output and memory in one, {input.split(':')[0]} of inputs and h[t-1]", "output",
                          made.low, made.high),)  # fmt: skip
    words = [f"input:{input}"] * (input != "tanh") + ([] if clip is None else [f"clip:{shortest(clip)}"])
    title = "RNN" if input == "tanh" else f"RNN ({input.replace(':', ' ')})"
    return Cell("+".join(["rnn", *words]), title, variables, ("h",), RNNStep(input, clip), linear=True)


GRU, RNN = gru(), rnn()
