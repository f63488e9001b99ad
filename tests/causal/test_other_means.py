"""What holds at the means of one batch alone is not said of a network: gates that are open at some constants only."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from tests.causal.sums import adders, kept_of

SIGNS, VALUE, NOISE = [0, 1], 2, 3  # units 0 and 1 hold a sign for a whole sequence each


class Gated(nn.Module):
    """Shows a value, mixed with noise as far as the sum of the two signs says, which as it is says nothing."""

    def __init__(self, mixed):
        super().__init__()
        self.lstm, self.mixed = adders(torch.eye(4))[0].lstm, mixed

    def forward(self, x):
        h = 1e3 * self.lstm(x)[0]
        share = self.mixed(h[..., 0] + h[..., 1])
        return ((1 - share) * h[..., VALUE] + share * h[..., NOISE]).unsqueeze(-1)


def steep(total):
    """Between -2, 0 and 2, which is what two signs add up to, all is noise; and one sign alone is as good."""
    return ((total.abs() > 0.01) & (total.abs() < 0.5)).float()


def slope(total):
    return torch.where(total.abs() < 1.5, total, 0.0)


def batch_of(signs, seed, groups=None):
    """Sequences with these signs, (sequence, 2), of which the value is wanted."""
    inputs = torch.randn(len(signs), 6, 4, generator=torch.Generator().manual_seed(seed))
    inputs[..., SIGNS] = torch.as_tensor(signs, dtype=torch.float32).unsqueeze(1)
    return Batch(inputs, {"value": inputs[..., [VALUE]]}, (Target("value"),), torch.full((len(signs),), 6), {},
                 groups=groups)  # fmt: skip


def balanced(n=64, seed=0, groups=None):
    """As many sequences of each two signs, so that both means are 0; in each group, where there are any."""
    every = np.array([(a, b) for a in (-1, 1) for b in (-1, 1)] * (n // 4))
    return batch_of(every if groups is not None else np.random.default_rng(seed).permutation(every), seed, groups)


def needs(model, batch, **settings):
    return lp.ablate_units(model, batch, bootstrap=100, **settings).set_index("unit").needed


def test_what_costs_nothing_at_these_means_alone_is_not_called_not_needed():
    model, batch = Gated(steep), balanced()
    assert needs(model, batch).to_dict() == {0: "not measured", 1: "not measured", 2: "alone", 3: "not measured"}
    # By the network's own equations: with the mean of a hundred other sequences, nothing of the value is left.
    others = np.random.default_rng(5).choice([-1, 1], size=(20, 100, 2)).mean(1).sum(1)
    assert steep(torch.from_numpy(others)).mean() > 0.7
    # Each half of the groups has these means, and zero is known.
    fours = torch.arange(64) // 4
    for said in (needs(model, balanced(groups=fours)), needs(model, batch, mode="zero")):
        assert said[[*SIGNS, NOISE]].tolist() == ["no"] * 3


def narrow(total):
    """All is noise where two signs add up to what they do on average in the batch below, and just there."""
    return ((total - 0.5).abs() < 0.02).float()


def test_what_costs_at_these_means_alone_is_not_called_needed_together():
    rng, own = np.random.default_rng(3), [1] * 40 + [-1] * 24  # 0.25 on average
    batch = batch_of(np.stack([rng.permutation(own), rng.permutation(own)], axis=1), 3)
    assert needs(Gated(narrow), batch).to_dict() == {0: "not measured", 1: "not measured", 2: "alone", 3: "no"}
    assert "needed together" not in set(lp.needed_sets(Gated(narrow), batch, bootstrap=100)["why"])
    # By the equations: with the mean of other sequences nothing of the value is lost in nearly all cases.
    others = rng.choice([-1, 1], p=[0.375, 0.625], size=(200, 64, 2)).mean(1).sum(1)
    assert narrow(torch.from_numpy(others)).mean() < 0.15


class OneMore(nn.Module):
    """Hands the LSTM a sequence more than the batch has."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, inputs):
        return self.inner(torch.cat([inputs, inputs[:1]]))[:-1]


def test_where_the_means_of_halves_are_not_known_nothing_is_called_not_needed():
    model = Gated(lambda total: 0 * total)
    assert needs(model, balanced())[[*SIGNS, NOISE]].tolist() == ["no"] * 3
    one_more = needs(OneMore(model), balanced())
    assert one_more[[*SIGNS, NOISE]].tolist() == ["not measured"] * 3 and one_more[VALUE] == "alone"


@pytest.mark.parametrize("given", [False, True])
def test_a_set_is_checked_at_the_means_of_the_sequences_that_check(given):
    other = batch_of(np.random.default_rng(1).choice([-1, 1], p=[0.4, 0.6], size=(64, 2)), 1) if given else None
    table = lp.sufficient_units(Gated(steep), balanced(), bootstrap=50, check=other)
    about = table.attrs["sufficient"]["value"]
    assert kept_of(table) == {VALUE} and about["checked"] < 0.1
    known = lp.sufficient_units(Gated(steep), balanced(groups=torch.arange(64) // 4), bootstrap=50)
    assert known.attrs["sufficient"]["value"]["checked"] == pytest.approx(1)


def test_intervals_of_units_that_are_clamped_at_once_hold_that_their_means_are_those_of_a_sample():
    """The signs' means are 0.2 each, so that R² is that of 0.6 values and 0.4 noise: 1 - 0.36 / (0.36 + 0.16) is lost.

    What a batch of 64 loses varies with its means; with these as known, the intervals hold a quarter of that.
    """
    rng, rows = np.random.default_rng(2), []
    for seed in range(30):
        batch = batch_of(rng.choice([-1, 1], p=[0.4, 0.6], size=(64, 2)), seed)
        lost = lp.ablate_sets(Gated(slope), batch, [SIGNS], bootstrap=200, seed=seed).iloc[0]
        rows.append([lost[name] for name in ("refit_drop", "refit_ci_low", "refit_ci_high")])
    drop, low, high = np.array(rows).T
    true = 1 - 0.36 / (0.36 + 0.16)
    assert ((low <= true) & (true <= high)).mean() >= 0.85
    assert 0.75 < (high - low).mean() / 3.92 / drop.std() < 1.3
