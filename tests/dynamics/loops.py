"""A plain loop over steps of an LSTM of any shape, in which one unit's memory is exchanged once."""

import torch
from torch import nn


def run(lstm, inputs, lengths, exchange=None):
    """Return by part the h, c, i, f, g, o of every step, (sequence, time, unit) each.

    `exchange` is (part, unit, step, values): after this step, this unit's c is values[sequence], where that is known.
    """
    out, below = {}, [list(one) for one in inputs]
    directions = ("forward", "reverse")[: 1 + lstm.bidirectional]
    for layer in range(lstm.num_layers):
        shown = [[[] for _ in range(inputs.shape[1])] for _ in range(len(inputs))]
        for direction in directions:
            suffix = f"_l{layer}" + "_reverse" * (direction == "reverse")
            w_ih, w_hh = getattr(lstm, f"weight_ih{suffix}"), getattr(lstm, f"weight_hh{suffix}")
            bias = getattr(lstm, f"bias_ih{suffix}") + getattr(lstm, f"bias_hh{suffix}")
            w_hr = getattr(lstm, f"weight_hr{suffix}", None)
            nan = torch.full((*inputs.shape[:2], lstm.hidden_size), torch.nan, dtype=inputs.dtype)
            kept = {letter: nan.clone() for letter in "cifgos"}
            for s in range(len(inputs)):
                h, c = inputs.new_zeros(lstm.proj_size or lstm.hidden_size), inputs.new_zeros(lstm.hidden_size)
                order = range(int(lengths[s]))
                for t in order if direction == "forward" else reversed(order):
                    gates = (w_ih @ below[s][t] + w_hh @ h + bias).chunk(4)
                    i, f, g, o = gates[0].sigmoid(), gates[1].sigmoid(), gates[2].tanh(), gates[3].sigmoid()
                    c = f * c + i * g
                    if exchange is not None and exchange[0] == (layer, direction) and exchange[2] == t:
                        value = exchange[3][s]
                        if value == value:
                            c = c.clone()
                            c[exchange[1]] = value
                    h = o * c.tanh() if w_hr is None else w_hr @ (o * c.tanh())
                    shown[s][t].append(h)
                    for letter, values in zip("cifgos", (c, i, f, g, o, o * c.tanh())):
                        kept[letter][s, t] = values
            out[layer, direction] = kept
        width = (lstm.proj_size or lstm.hidden_size) * len(directions)
        below = [[torch.cat(one) if one else inputs.new_zeros(width) for one in row] for row in shown]
    return out, torch.stack([torch.stack(row) for row in below])


class Net(nn.Module):
    """An LSTM of any shape, each sequence with its own length, and a linear readout of every step."""

    def __init__(self, inputs=3, units=4, outputs=2, seed=0, **shape):
        super().__init__()
        torch.manual_seed(seed)
        self.lstm = nn.LSTM(inputs, units, batch_first=True, **shape)
        width = (shape.get("proj_size") or units) * (1 + bool(shape.get("bidirectional")))
        self.readout = nn.Linear(width, outputs)
        with torch.no_grad():
            for name, values in self.lstm.named_parameters():
                values.mul_(2.0 if name.startswith("weight") else 1.0)
        self.double()

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        h = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return self.readout(h)
