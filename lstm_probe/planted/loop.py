"""A planted network run step by step, for many interventions at once."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.network.model import SequenceModel


class Loop:
    """A network run step by step, for several interventions at once.

    Args:
        model: with a `readout` straight from the top layer's h.
        inputs: (sequence, step, line).
    """

    def __init__(self, model: SequenceModel, inputs: Float[Tensor, "sequence step line"]) -> None:
        self.model, self.inputs = model, inputs
        lstm = model.lstm
        own = dict(lstm.named_parameters())
        self._layers = [
            (own[f"weight_ih_l{k}"].T, own[f"weight_hh_l{k}"].T, own[f"bias_ih_l{k}"] + own[f"bias_hh_l{k}"],
             own[f"weight_hr_l{k}"].T if lstm.proj_size else None)
            for k in range(lstm.num_layers)
        ]  # fmt: skip
        empty = torch.zeros(1, lstm.num_layers, 1, lstm.hidden_size, dtype=torch.bool)
        #: Of the network as it is, (step, layer, sequence, unit).
        self.memories = torch.stack([own[0] for own in self._states(empty, None, None)])

    def run(
        self, masks: Bool[Tensor, "set layer 1 unit"], *,
        held: Float[Tensor, "step layer #sequence unit"] | None = None,
        swap: tuple[int, Int[Tensor, " sequence"]] | None = None,
    ) -> Float[Tensor, "set sequence step output"]:  # fmt: skip
        """Return the outputs with sets of units held at what is given, or swapped at one step.

        Args:
            masks: which units.
            held: what their memories are, whatever they would be.
            swap: a step, and whose states each sequence gets then, h and c; everything goes on from there.
        """
        made: list[Tensor] = []
        for _ in self._states(masks, held, swap, made):
            pass
        return torch.stack(made, dim=2)

    def _states(
        self, masks: Tensor, held: Tensor | None, swap: tuple[int, Tensor] | None, outputs: list[Tensor] | None = None
    ) -> Iterator[Float[Tensor, "set layer sequence unit"]]:
        """Go through the memories after every step; the outputs of every step are put into a list."""
        lstm, n = self.model.lstm, len(self.inputs)
        shown = lstm.proj_size or lstm.hidden_size
        start = getattr(self.model, "h", None), getattr(self.model, "c", None)
        h, c = (torch.zeros(len(masks), lstm.num_layers, n, width) if own is None
                else own.expand(-1, n, -1).expand(len(masks), -1, -1, -1).clone()
                for own, width in zip(start, (shown, lstm.hidden_size)))  # fmt: skip
        for t, x in enumerate(self.inputs.unbind(1)):
            below: Tensor = x
            for k, (from_below, from_h, bias, project) in enumerate(self._layers):
                i, f, g, o = (below @ from_below + h[:, k] @ from_h + bias).chunk(4, dim=-1)
                now = f.sigmoid() * c[:, k] + i.sigmoid() * g.tanh()
                if held is not None:
                    now = torch.where(masks[:, k], held[t, k], now)
                raw = o.sigmoid() * now.tanh()
                if swap is not None and t == swap[0]:
                    now, raw = (torch.where(masks[:, k], own[:, swap[1]], own) for own in (now, raw))
                c[:, k] = now
                h[:, k] = raw if project is None else raw @ project
                below = h[:, k]
            if outputs is not None:
                outputs.append(self.model.readout(below))
            yield c.clone() if outputs is None else c
