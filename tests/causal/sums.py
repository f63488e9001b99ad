"""Networks that add up their inputs, of which each unit shows a known part; and which units a set keeps."""

import torch

import lstm_probe as lp
from lstm_probe.causal.elimination import ALL
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from tests.handmade import OPEN, SHUT

PARTS = [lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()]


def kept_of(table, target=ALL):
    """The units of a target's set, by number, or with their layer where there are several."""
    own = table[(table["target"] == target) & table["kept"]]
    several = table["layer"].nunique() > 1
    return {(row.layer, row.unit) if several else row.unit for row in own.itertuples()}


def adders(read, n=64, time=12, seed=0, noise=()):
    """Units that each show a weighted sum of the inputs of the same step, and a target that is the sum of all units.

    Args:
        read: (unit, input), the weights.
        noise: inputs that are no part of the target, which is the sum of the others.
    """
    read = torch.as_tensor(read, dtype=torch.float32)
    units, width = read.shape
    model = SequenceModel(width, 1, units)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.lstm.bias_ih_l0[:units] = model.lstm.bias_ih_l0[3 * units :] = OPEN
        model.lstm.bias_ih_l0[units : 2 * units] = SHUT
        model.lstm.weight_ih_l0[2 * units : 3 * units] = 1e-3 * read
        model.readout.weight[:] = 1e3
    inputs = torch.randn(n, time, width, generator=torch.Generator().manual_seed(seed))
    wanted = inputs[..., [k for k in range(width) if k not in noise]].sum(-1, keepdim=True)
    return model, Batch(inputs, {"sum": wanted}, (Target("sum"),), torch.full((n,), time), {})
