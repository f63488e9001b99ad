"""The LSTM and its relatives: other activations, peepholes, coupled gates, no forget gate, layer normalisation, JANET.

Blocks stand in PyTorch's order, i f g o; a cell without one of the gates leaves its block out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lstm_probe.cells.activations import activation, shortest
from lstm_probe.cells.declared import Cell, Named, See, State, Variable, linear_heard, linear_read

_ORDER = ("i", "f", "g", "o")


def _h(shown: str = "o · tanh(c)") -> Variable:
    return Variable("h", f"output: what the unit shows to the others and to the readout, {shown}", "output")


def _c(made: str = "f · c[t-1] + i · g") -> Variable:
    return Variable("c", f"memory: the cell state, carried from step to step, {made}", "memory")


_I = Variable("i", "input gate: how much of the cell input is written, 0 to 1", "gate", 0, 1)
_F = Variable("f", "forget gate: how much of the old memory is kept, 0 to 1", "gate", 0, 1)
_G = Variable("g", "cell input: what would be written, -1 to 1", "input", -1, 1)
_O = Variable("o", "output gate: how much of the memory is shown, 0 to 1", "gate", 0, 1)


def _by_block(blocks: tuple[str, ...], values: Tensor) -> dict[str, Tensor]:
    return dict(zip(blocks, values.chunk(len(blocks), dim=-1)))


@dataclass(frozen=True)
class LSTMStep:
    """One step of an LSTM.

    Attributes:
        blocks: those of i f g o that it has rows for.
        gates, input, output: activations of the three gates, of g, and of the memory as it is shown.
        peepholes: whether gates see the memory: i and f the one before, o the new one.
        coupled: whether f is 1 - i ("i"), or i is 1 - f ("f").
        clip: what stands before an activation is kept within ± this.
    """

    blocks: tuple[str, ...] = _ORDER
    gates: str = "sigmoid"
    input: str = "tanh"
    output: str = "tanh"
    peepholes: bool = False
    coupled: str = ""
    clip: float | None = None

    def __call__(self, w: Named, read: Tensor, state: State, see: See) -> dict[str, Tensor]:
        """Return the next state."""
        pre = _by_block(self.blocks, read + linear_heard(w, state["h"]))
        c = state["c"]
        i = f = None
        if "f" in self.blocks:
            f = see("f", self._gate(w, "f", pre["f"], c))
        if "i" in self.blocks:
            i = see("i", self._gate(w, "i", pre["i"], c))
        if self.coupled == "i":
            assert i is not None
            f = see("f", 1 - i)
        if self.coupled == "f":
            assert f is not None
            i = see("i", 1 - f)
        g = see("g", activation(self.input)(self._clipped(pre["g"])))
        kept = c if f is None else f * c
        c = see("c", kept + (g if i is None else i * g))
        shown = activation(self.output)(c)
        if "o" in self.blocks:
            shown = see("o", self._gate(w, "o", pre["o"], c)) * shown
        return {"h": see("h", shown), "c": c}

    def _gate(self, w: Named, name: str, pre: Tensor, memory: Tensor) -> Tensor:
        before = pre + w["peephole"]["ifo".index(name)] * memory if self.peepholes else pre
        return activation(self.gates)(self._clipped(before))

    def _clipped(self, values: Tensor) -> Tensor:
        return values if self.clip is None else values.clamp(-self.clip, self.clip)


def lstm(
    *, gates: str = "sigmoid", input: str = "tanh", output: str = "tanh", peepholes: bool = False, forget: bool = True,
    input_gate: bool = True, output_gate: bool = True, coupled: str = "", clip: float | None = None,
) -> Cell:  # fmt: skip
    """Return an LSTM.

    Args:
        gates: activation of the three gates (Keras: recurrent_activation; ONNX: f).
        input: of g (Keras: activation; ONNX: g).
        output: of the memory as it is shown (Keras: activation; ONNX: h).
        peepholes: whether gates see the memory (Gers & Schmidhuber 2000): i and f the one before, o the new one.
            The weight `peephole` is (3, unit), in the order i f o.
        forget: whether there is a forget gate; without one all is kept, f = 1 (Hochreiter & Schmidhuber 1997).
        input_gate: whether there is an input gate; without one all is written, i = 1.
        output_gate: whether there is an output gate; without one all is shown, o = 1.
        coupled: "i" for f = 1 - i, "f" for i = 1 - f (Greff and others 2017: CIFG); the other gate has no rows.
        clip: what stands before an activation is kept within ± this.
    """
    there = {"f": forget, "i": input_gate, "o": output_gate, "g": True}
    blocks = tuple(gate for gate in _ORDER if there[gate] and gate != {"i": "f", "f": "i"}.get(coupled))
    step = LSTMStep(blocks, gates, input, output, peepholes, coupled, clip)
    options = {"gates": (gates, "sigmoid"), "input": (input, "tanh"), "output": (output, "tanh"),
               "coupled": (coupled, ""), "clip": ("" if clip is None else shortest(clip), "")}  # fmt: skip
    words = [f"{key}:{value}" for key, (value, usual) in options.items() if value != usual]
    words += ["peepholes"] * peepholes + ["no_forget"] * (not forget)
    words += ["no_input_gate"] * (not input_gate) + ["no_output_gate"] * (not output_gate)
    own = activation(gates)
    bounded = {"low": own.low, "high": own.high}
    to = f", {own.low:g} to {own.high:g}" if own.low is not None and own.high is not None else ""
    g = activation(input)
    range_of_g = f", {g.low:g} to {g.high:g}" if g.low is not None and g.high is not None else ""
    shown = "c" if output == "linear" else f"{output.split(':')[0]}(c)"
    i = Variable("i", f"input gate: how much of the cell input is written{', 1 - f' * (coupled == 'f')}{to}", "gate",
                 **bounded)  # fmt: skip
    f = Variable("f", f"forget gate: how much of the old memory is kept{', 1 - i' * (coupled == 'i')}{to}", "gate",
                 **bounded)  # fmt: skip
    kept, written = "f · c[t-1]" if forget else "c[t-1]", "i · g" if input_gate else "g"
    every = (
        _h(f"o · {shown}" if output_gate else shown), _c(f"{kept} + {written}"), i, f,
        Variable("g", f"cell input: what would be written{range_of_g}", "input", g.low, g.high),
        Variable("o", f"output gate: how much of the memory is shown{to}", "gate", **bounded),
    )  # fmt: skip
    variables = tuple(variable for variable in every if there.get(variable.name, True))
    return Cell(
        "+".join(["lstm", *words]), _title(words), variables, blocks, step, ("h", "c"), "c",
        "f" if forget else None, {"peephole": (3, None)} if peepholes else {}, linear=True,
    )  # fmt: skip


def _title(words: list[str]) -> str:
    told = {"peepholes": "peepholes", "no_forget": "no forget gate",
            "no_input_gate": "no input gate", "no_output_gate": "no output gate", "coupled:i": "f = 1 - i",
            "coupled:f": "i = 1 - f"}  # fmt: skip
    more = [told.get(word) or f"{word.split(':')[0]} {':'.join(word.split(':')[1:])}" for word in words]
    return f"LSTM ({', '.join(more)})" if more else "LSTM"


@dataclass(frozen=True)
class NormedStep:
    """One step of a layer-normalised LSTM, after what `_normed_read` has made of the inputs."""

    def __call__(self, w: Named, read: Tensor, state: State, see: See) -> dict[str, Tensor]:
        """Return the next state."""
        heard = functional.linear(state["h"], w["weight_hh"])
        pre = _by_block(_ORDER, read + _normed(heard, w["norm_hh"], w.get("bias_hh")))
        i, f, o = (see(name, pre[name].sigmoid()) for name in "ifo")
        g = see("g", pre["g"].tanh())
        c = see("c", f * state["c"] + i * g)
        shown = _normed(c, w["norm_c"][0], w["norm_c"][1])
        return {"h": see("h", o * shown.tanh()), "c": c}


def _normed(values: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
    normed: Tensor = functional.layer_norm(values, values.shape[-1:], gain.flatten(), bias)
    return normed


def _normed_read(w: Named, x: Tensor) -> Tensor:
    return _normed(functional.linear(x, w["weight_ih"]), w["norm_ih"], w.get("bias_ih"))


#: Ba, Kiros & Hinton 2016: what comes from the inputs, what comes from h, and the memory where it is shown are each
#: normalised over all units.
LAYER_NORM = Cell(
    "lstm_layer_norm", "LSTM (layer-normalised)", (_h("o · tanh(normalised c)"), _c(), _I, _F, _G, _O), _ORDER,
    NormedStep(), ("h", "c"), "c", "f", {"norm_ih": (4, None), "norm_hh": (4, None), "norm_c": (2, None)},
    _normed_read,
)  # fmt: skip


@dataclass(frozen=True)
class JanetStep:
    """One step of a JANET; `beta` is what its input gate's pre-activation is shifted by."""

    beta: float = 1.0

    def __call__(self, w: Named, read: Tensor, state: State, see: See) -> dict[str, Tensor]:
        """Return the next state."""
        s, g = (read + linear_heard(w, state["h"])).chunk(2, dim=-1)
        f, i = see("f", s.sigmoid()), see("i", (self.beta - s).sigmoid())
        g = see("g", g.tanh())
        return {"h": see("h", f * state["h"] + i * g)}


def janet(*, beta: float = 1.0) -> Cell:
    """Return a JANET, an LSTM with nothing but a forget gate (van der Westhuizen & Lasenby 2018).

    Args:
        beta: with s what stands before the forget gate, f = sigmoid(s), and 1 - sigmoid(s - beta) is written.
    """
    variables = (
        Variable("h", "output and memory in one, f · h[t-1] + i · g", "output"),
        Variable("i", f"input gate: how much of the cell input is written, 1 - sigmoid(s - {beta:g}) where f = "
                 "sigmoid(s)", "gate", 0, 1), _F, _G,
    )  # fmt: skip
    name = "janet" if beta == 1 else f"janet+beta:{shortest(beta)}"
    return Cell(name, "JANET", variables, ("f", "g"), JanetStep(beta), keeps="f", linear=True)


@dataclass(frozen=True)
class ExponentialStep:
    """One step of an sLSTM; `gate` is what its forget gate is made by, "exponential" or "sigmoid"."""

    gate: str = "exponential"

    def __call__(self, w: Named, read: Tensor, state: State, see: See) -> dict[str, Tensor]:
        """Return the next state."""
        pre = _by_block(_ORDER, read + linear_heard(w, state["h"]))
        log_f = pre["f"] if self.gate == "exponential" else functional.logsigmoid(pre["f"])
        old = log_f + state["n"]
        n = see("n", torch.logaddexp(old, pre["i"]))
        f, i = see("f", (old - n).exp()), see("i", (pre["i"] - n).exp())
        g, o = see("g", pre["g"].tanh()), see("o", pre["o"].sigmoid())
        c = see("c", f * state["c"] + i * g)
        return {"h": see("h", o * c), "c": c, "n": n}


def slstm(*, gate: str = "exponential") -> Cell:
    """Return the sLSTM of xLSTM (Beck and others 2024), with one head.

    Its memory is what the paper shows of it, c / n, and n here the logarithm of the paper's normaliser, whatever it is
    stabilised by: with exponential gates exp(i) and exp(f), n[t] = log(exp(f + n[t-1]) + exp(i)), and of all that is
    remembered the share exp(f + n[t-1] - n[t]) is kept and the share exp(i - n[t]) written.

    Args:
        gate: "exponential" for exp(f), "sigmoid".
    """
    variables = (
        _h("o · c"), Variable("c", "memory: the mean of all that was written, f · c[t-1] + i · g", "memory", -1, 1),
        Variable("i", "input gate: the share of the memory that is written just now, 0 to 1", "gate", 0, 1),
        Variable("f", "forget gate: the share of the memory that is kept, 1 - i", "gate", 0, 1), _G, _O,
        Variable("n", "normaliser: the logarithm of how much was written so far", "state"),
    )  # fmt: skip
    name = "slstm" if gate == "exponential" else f"slstm+gate:{gate}"
    # exp of this is 0 in all types of numbers: nothing is remembered.
    return Cell(name, "sLSTM", variables, _ORDER, ExponentialStep(gate), ("h", "c", "n"), "c", "f",
                starts={"n": -1e4}, linear=True)  # fmt: skip


LSTM = lstm()
__all__ = ["LAYER_NORM", "LSTM", "janet", "linear_read", "lstm", "slstm"]
