"""Parts set by hand, in every kind of network: what is needed, alone and together, how much and how little is enough.

Latches A, B (in two copies) and D (a decoy: the same as A, but not read), and E and F, of which the output tells
whether they differ: neither is of any use without the other. One more unit is random and read by nobody.
"""

import pytest
import torch
from torch import nn

from lstm_probe.causal import ablate_sets, ablate_units, sufficient_units, unit_shares
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.planted.wiring import SATURATED, STEEP

N, TIME, UNITS = 192, 24, 7
#: Which latch each unit is; two lines for each latch, of sets and of resets.
LATCHES = {2: 0, 0: 1, 5: 1, 4: 0, 1: 2, 3: 3}
#: In a network of two directions, what is read from the end.
BACKWARD = (1, 3)
KINDS = ("one layer", "two layers", "projection", "both directions", "initial states", "packed")


def wire(lstm, suffix, units):
    """Write latches into a layer's weights; they hear nothing but their own two lines."""
    w = {name: getattr(lstm, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    for unit in units:
        lines = [2 * LATCHES[unit], 2 * LATCHES[unit] + 1]
        for k in range(4):
            for values in w.values():
                values[k * UNITS + unit] = 0
        w["weight_ih"][unit, lines] = torch.tensor([STEEP, -STEEP])
        w["weight_ih"][UNITS + unit, lines] = -STEEP
        for k, bias in enumerate((-STEEP / 2, STEEP / 2, SATURATED, SATURATED)):
            w["bias_ih"][k * UNITS + unit] = bias


class Wired(nn.Module):
    """Hands its LSTM the memory that stands behind the lines of the first step, and reads it by hand."""

    def __init__(self, kind):
        super().__init__()
        options = {
            "two layers": {"num_layers": 2}, "projection": {"proj_size": 5}, "both directions": {"bidirectional": True},
        }.get(kind, {})  # fmt: skip
        torch.manual_seed(7)
        self.kind, self.lstm = kind, nn.LSTM(8, UNITS, batch_first=True, **options)
        both = kind == "both directions"
        self.shown = {unit: unit + UNITS * (both and unit in BACKWARD) for unit in LATCHES}
        with torch.no_grad():
            wire(self.lstm, "_l0", [unit for unit in LATCHES if not (both and unit in BACKWARD)])
            if both:
                wire(self.lstm, "_l0_reverse", BACKWARD)
            if kind == "projection":
                self.lstm.weight_hr_l0.zero_()
                self.shown = {unit: k for k, unit in enumerate((2, 0, 5, 1, 3))}
                for unit, k in self.shown.items():
                    self.lstm.weight_hr_l0[k, unit] = 1
            if kind == "two layers":  # each unit is handed on by the one of the same number
                for unit in LATCHES:
                    for k, bias in enumerate((SATURATED, -SATURATED, 0.0, SATURATED)):
                        for name in ("weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"):
                            getattr(self.lstm, name)[k * UNITS + unit] = 0
                        self.lstm.bias_ih_l1[k * UNITS + unit] = bias
                    self.lstm.weight_ih_l1[2 * UNITS + unit, unit] = 1

    def forward(self, x, lengths):
        state = None
        if self.kind == "initial states":
            memory = x.new_zeros(1, len(x), UNITS)
            memory[0, :, list(LATCHES)] = x[:, 0, [8 + latch for latch in LATCHES.values()]]
            state = torch.zeros_like(memory), memory
        given = x[..., :8]
        if self.kind == "packed":
            given = nn.utils.rnn.pack_padded_sequence(given, lengths, batch_first=True, enforce_sorted=False)
        h = self.lstm(given, state)[0]
        if self.kind == "packed":
            h = nn.utils.rnn.pad_packed_sequence(h, batch_first=True, total_length=x.shape[1])[0]
        one = torch.tensor(1.0).tanh()  # what a latch that holds 1 shows
        one = one.tanh().tanh() if self.kind == "two layers" else one
        a, b, other, e, f = (h[..., self.shown[unit]] / one for unit in (2, 0, 5, 1, 3))
        return torch.stack([a, (b + other) / 2, (e - f).relu() + (f - e).relu()], dim=-1)


def held(lines, start):
    """What a latch holds at each step; where a set and a reset fall together, the reset wins."""
    values = [start]
    for set_, reset in zip(lines[..., 0].unbind(1), lines[..., 1].unbind(1)):
        values.append(torch.where(reset > 0, 0.0, torch.where(set_ > 0, 1.0, values[-1])))
    return torch.stack(values[1:], dim=1)


def drawn(kind, seed=0):
    rng = torch.Generator().manual_seed(seed)
    lines = (torch.rand(N, TIME, 4, 2, generator=rng) < 0.12).float()
    start = (torch.rand(N, 4, generator=rng) < 0.5).float() * (kind == "initial states")
    lengths = torch.randint(12, TIME + 1, (N,), generator=rng) if kind == "packed" else torch.full((N,), TIME)
    signals = []
    for k in range(4):
        if kind == "both directions" and k >= 2:
            signals.append(held(lines[:, :, k].flip(1), start[:, k]).flip(1))
        else:
            signals.append(held(lines[:, :, k], start[:, k]))
    targets = {"a": signals[0], "b": signals[1], "x": (signals[2] != signals[3]).float()}
    inputs = torch.cat([lines.flatten(2), start[:, None].expand(-1, TIME, -1)], dim=-1)
    return Batch(inputs, {name: values[..., None] for name, values in targets.items()},
                 tuple(Target(name) for name in targets), lengths, {})  # fmt: skip


def keys(kind, unit):
    """The units that carry what a latch holds: itself, and the one that hands it on."""
    if kind == "both directions" and unit in BACKWARD:
        return [(0, "reverse", unit)]
    return [(layer, "forward", unit) for layer in range(1 + (kind == "two layers"))]


def answers(kind):
    """By target: units that are needed alone, those needed together, and every needed unit's share."""
    chain = 1 + (kind == "two layers")
    alone = {"a": keys(kind, 2), "b": [], "x": keys(kind, 1) + keys(kind, 3)}
    together = {"a": [], "b": keys(kind, 0) + keys(kind, 5), "x": []}
    shares = {
        name: {key: 1 / len(alone[name] + together[name]) for key in alone[name] + together[name]} for name in alone
    }
    enough = {"a": chain, "b": chain, "x": 2 * chain, "all": 4 * chain}
    return alone, together, shares, enough


@pytest.mark.parametrize("variable", ["c", "h"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_needed_alone_and_together(kind, variable):
    if kind == "projection" and variable == "h":
        pytest.skip("its h is of outputs, not of units")
    module, batch = Wired(kind), drawn(kind)
    table = ablate_units(module, batch, variable=variable, bootstrap=200)
    alone, together, _, _ = answers(kind)
    assert (table.intact > 0.95).all()
    for row in table.itertuples():
        key = (row.layer, row.direction, row.unit)
        want = "alone" if key in alone[row.target] else "together" if key in together[row.target] else "no"
        assert row.needed == want, (key, row.target)
        if want == "alone":
            assert row.refit_drop > 0.9
        else:
            assert abs(row.refit_drop) < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_sets_cost_what_they_hold(kind):
    module, batch = Wired(kind), drawn(kind)
    sets = {"copies": keys(kind, 0) + keys(kind, 5), "decoy": keys(kind, 4), "one of a pair": keys(kind, 1)}
    table = ablate_sets(module, batch, list(sets.values()), bootstrap=50)
    lost = {name: own.set_index("target").refit_drop for name, (_, own) in zip(sets, table.groupby("set", sort=False))}
    for name, target in (("copies", "b"), ("one of a pair", "x")):
        assert lost[name][target] > 0.9 and lost[name].drop(target).abs().max() < 1e-3
    assert lost["decoy"].abs().max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_shares_and_how_few_are_enough(kind):
    module, batch = Wired(kind), drawn(kind)
    _, _, shares, enough = answers(kind)
    table = unit_shares(module, batch, error=0.05, sequences=48)
    for row in table.itertuples():
        want = shares[row.target].get((row.layer, row.direction, row.unit), 0.0)
        assert row.share == pytest.approx(want, abs=1e-6 if want in (0.0, 1.0) else 4 * row.se + 0.02), row
    found = sufficient_units(module, batch)
    kept = found[found.kept].groupby("target")
    assert kept.size().to_dict() == enough
    for target in ("a", "x"):
        own = {(row.layer, row.direction, row.unit) for row in kept.get_group(target).itertuples()}
        assert own == set(shares[target])
    assert all(about["checked"] > 0.99 for about in found.attrs["sufficient"].values())
