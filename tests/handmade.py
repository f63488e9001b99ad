"""LSTMs with weights set by hand, so that the answer is known without training."""

import torch
from torch import nn

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel

OPEN, SHUT = 30.0, -30.0


def counter_and_latch(seed: int, units: int = 8, count_at: int = 3, latch_at: int = 5) -> SequenceModel:
    """A network on inputs (up, down, set, reset) of which one unit counts ups minus downs and another latches.

    The counter: c grows by 0.05 for an up and shrinks by 0.05 for a down, and nothing is forgotten. The latch: a set
    or a reset forgets everything and writes +0.9 or -0.9. Neither listens to other units. All other units are random,
    listen to everything, and are not read by the readout.
    """
    model = SequenceModel(4, 2, units, seed=seed)
    lstm, readout = model.lstm, model.readout
    with torch.no_grad():
        for unit in (count_at, latch_at):
            for row in range(unit, 4 * units, units):
                for weights in (lstm.weight_ih_l0, lstm.weight_hh_l0):
                    weights[row] = 0
                lstm.bias_ih_l0[row] = lstm.bias_hh_l0[row] = 0
        gate = {name: k * units for k, name in enumerate("ifgo")}
        lstm.bias_ih_l0[gate["i"] + count_at] = OPEN
        lstm.bias_ih_l0[gate["f"] + count_at] = OPEN
        lstm.bias_ih_l0[gate["o"] + count_at] = OPEN
        step = torch.atanh(torch.tensor(0.05))
        lstm.weight_ih_l0[gate["g"] + count_at, :2] = torch.stack([step, -step])
        lstm.bias_ih_l0[gate["o"] + latch_at] = OPEN
        lstm.bias_ih_l0[gate["i"] + latch_at] = SHUT
        lstm.weight_ih_l0[gate["i"] + latch_at, 2:] = 2 * OPEN
        lstm.bias_ih_l0[gate["f"] + latch_at] = OPEN
        lstm.weight_ih_l0[gate["f"] + latch_at, 2:] = 2 * SHUT
        lstm.weight_ih_l0[gate["g"] + latch_at, 2:] = torch.tensor([1.5, -1.5])
        readout.weight.zero_()
        readout.bias.zero_()
        readout.weight[0, count_at] = 1.0
        readout.weight[1, latch_at] = 1.0
    return model


def shuffled(model: SequenceModel, order: torch.Tensor) -> SequenceModel:
    """The same network with its units in another order: new unit k is old unit `order[k]`."""
    lstm: nn.LSTM = model.lstm
    units = lstm.hidden_size
    rows = torch.cat([order + k * units for k in range(4)])
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(lstm.weight_ih_l0[rows])
        lstm.weight_hh_l0.copy_(lstm.weight_hh_l0[rows][:, order])
        lstm.bias_ih_l0.copy_(lstm.bias_ih_l0[rows])
        lstm.bias_hh_l0.copy_(lstm.bias_hh_l0[rows])
        model.readout.weight.copy_(model.readout.weight[:, order])
    return model


def counting_batch(seed: int, n: int = 128, time: int = 40) -> Batch:
    """Random ups, downs, sets and resets (never both), with the true count and latch; a set fires in step 0."""
    rng = torch.Generator().manual_seed(seed)
    up, down = (torch.rand(2, n, time, generator=rng) < 0.15).float()
    which = torch.rand(n, time, generator=rng)
    set_, reset = (which < 0.1).float(), (which > 0.9).float()
    set_[:, 0], reset[:, 0] = 1, 0
    count = (up - down).cumsum(1)
    step = torch.arange(time).expand(n, time)
    event = torch.where(set_ + reset > 0, step, 0).cummax(1).values
    latch = set_.gather(1, event)
    return Batch(
        torch.stack([up, down, set_, reset], dim=-1),
        {"count": 0.05 * count.unsqueeze(-1), "latch": 0.7 * (2 * latch.unsqueeze(-1) - 1)},
        (Target("count"), Target("latch")),
        torch.full((n,), time),
        {
            "count": Signal("count", count, "continuous", "target"),
            "latch": Signal("latch", latch, "binary", "target"),
        },
    )


def silent(units: int, inputs: int = 1) -> nn.LSTM:
    """An LSTM whose weights are all 0."""
    lstm = nn.LSTM(inputs, units, batch_first=True)
    with torch.no_grad():
        for weights in lstm.parameters():
            weights.zero_()
    return lstm


def shift_register(length: int) -> nn.LSTM:
    """Unit k shows the input of k steps ago, a tenth of it."""
    lstm = silent(length)
    with torch.no_grad():
        lstm.bias_ih_l0[:length] = lstm.bias_ih_l0[3 * length :] = OPEN
        lstm.bias_ih_l0[length : 2 * length] = SHUT
        lstm.weight_ih_l0[2 * length, 0] = 0.1
        for k in range(1, length):
            lstm.weight_hh_l0[2 * length + k, k - 1] = 1.0
    return lstm


def summing() -> nn.LSTM:
    """One unit that adds up a hundredth of everything."""
    lstm = silent(1)
    with torch.no_grad():
        lstm.bias_ih_l0[[0, 1, 3]] = OPEN
        lstm.weight_ih_l0[2, 0] = 0.01
    return lstm


def copied(model: SequenceModel, unit: int, into: list[int], read: bool = True) -> SequenceModel:
    """The same network with copies of a unit in the place of others; the readout reads the mean of all, or it alone."""
    lstm: nn.LSTM = model.lstm
    units = lstm.hidden_size
    with torch.no_grad():
        for other in into:
            for k in range(0, 4 * units, units):
                for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                    weights = getattr(lstm, name)
                    weights[k + other] = weights[k + unit]
        if read:
            model.readout.weight[:, [unit, *into]] = model.readout.weight[:, [unit]] / (1 + len(into))
    return model


def flipflops(bits: int, units: int, layers: int = 1, seed: int = 0) -> SequenceModel:
    """A network that solves `flipflop`: unit k of the lowest layer holds the sign of bit k's last pulse, by rewriting.

    In the layers above, unit k passes it on. All other units are random and not read.
    """
    model = SequenceModel(bits, bits, units, layers, seed=seed)
    gates = torch.tensor([OPEN, SHUT, 0.0, OPEN]).unsqueeze(1)
    with torch.no_grad():
        for layer in range(layers):
            x, h, bias, other = (
                getattr(model.lstm, f"{name}_l{layer}").unflatten(0, (4, units))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            x[:, :bits], h[:, :bits], bias[:, :bits], other[:, :bits] = 0, 0, gates, 0
            x[2, range(bits), range(bits)] = 2.0 if layer else 8.0
            h[2, range(bits), range(bits)] = 0.0 if layer else 4.0
        model.readout.weight.zero_()
        model.readout.bias.zero_()
        model.readout.weight[range(bits), range(bits)] = 1.3 if layers == 1 else 1.4
    return model
