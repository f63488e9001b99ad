"""Intervals of a clamp's cost hold what many sequences say, although the mean is taken from the same few."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.redrawn import Redrawn
from lstm_probe.causal.scoring import Scoring
from lstm_probe.planted.loop import Loop
from lstm_probe.truth import cases


@pytest.fixture(scope="module")
def case():
    """A target that is the XOR of what two units read: what it costs to hold one of them goes with where it is held."""
    return next(iter(cases(knobs=["xor"], seeds=1)))


def readers(case):
    at = dict(zip(case.net.held.name, case.net.held.unit))
    return [int(at["a.reader"]), int(at["b.reader"])]


@torch.no_grad()
def clamped(case, batch, unit, value):
    """The output xor with a unit held at a value, by a plain loop."""
    mask = torch.zeros(1, 1, 1, case.net.model.lstm.hidden_size, dtype=torch.bool)
    mask[..., unit] = True
    held = torch.full((batch.inputs.shape[1], 1, 1, mask.shape[-1]), float(value))
    return case.batch.split_outputs(Loop(case.net.model, batch.inputs).run(mask, held=held)[0])["xor"][..., 0].double()


def r2_and_refit(made, target, weights):
    """R² as it stands and after the best line, of sequences that count so often."""
    w = np.repeat(weights, made.shape[1])
    y, o = target.double().numpy().ravel(), made.numpy().ravel()
    my, mo = np.average(y, weights=w), np.average(o, weights=w)
    syy, soo, soy = (w @ a for a in ((y - my) ** 2, (o - mo) ** 2, (y - my) * (o - mo)))
    return 1 - w @ (y - o) ** 2 / syy, soy**2 / (soo * syy)


@pytest.mark.parametrize("n", [100, 300])
def test_what_a_sample_s_own_mean_adds_is_what_a_run_with_that_mean_gives(case, n, near=2e-3):
    """Of 300 sequences, a part is run: the mean is that of all, and what it adds that of the part."""
    batch = case.sample(n, 5)
    subject = Intervening(case.net.model, batch)
    scoring = Scoring(batch, subject.intact, 12, 0, None)
    redrawn = Redrawn(subject, scoring.counts)
    keys = [(0, "forward", unit) for unit in readers(case)]
    added = redrawn.added({key: redrawn.runs(key, subject.outputs([key]).outputs) for key in keys})
    target = redrawn.batch.targets["xor"][..., 0]
    c = lp.record(case.net.model, batch.inputs).c.double().numpy()
    for key, own in zip(keys, added):
        means = c[..., key[2]].mean(1)
        as_is = clamped(case, redrawn.batch, key[2], means.mean())
        moved = []
        for k, (weights, part) in enumerate(zip(scoring.counts.numpy(), redrawn.counts.numpy())):
            before = r2_and_refit(as_is, target, part)
            mean = np.average(means, weights=weights)
            now = r2_and_refit(clamped(case, redrawn.batch, key[2], mean), target, part)
            moved.append(now[0] - before[0])
            assert [own["xor"][kind][k] for kind in (0, 1)] == pytest.approx(np.subtract(now, before), abs=near)
        assert moved[0] == 0 and np.abs(moved).max() > 2 * near


def test_intervals_are_as_wide_as_costs_vary_and_hold_them(case):
    many = case.sample(8000, 77)
    means = lp.record(case.net.model, many.inputs).c.mean((0, 1))
    target, units = many.targets["xor"][..., 0], readers(case)
    true = {unit: 1 - r2_and_refit(clamped(case, many, unit, means[unit]), target, np.ones(8000))[0] for unit in units}
    found = {unit: [] for unit in units}
    for seed in range(60):
        table = lp.ablate_units(case.net.model, case.sample(100, 1000 + seed), units=units, bootstrap=300, seed=seed)
        for row in table[table.target == "xor"].to_dict("records"):
            found[row["unit"]].append((row["score_drop"], row["ci_low"], row["ci_high"]))
    for unit, rows in found.items():
        drop, low, high = np.array(rows).T
        assert 0.8 < (high - low).mean() / 3.92 / drop.std() < 1.3  # 0.7 with the mean as known
        assert ((low <= true[unit]) & (true[unit] <= high)).mean() >= 0.88  # 0.8


def test_intervals_do_not_depend_on_the_order_of_sequences(case):
    """The further runs are made on a part of them, which is no other part of those where two kinds take turns."""
    batch, units = case.sample(256, 5), readers(case)
    own = lp.record(case.net.model, batch.inputs).c[..., units[0]].mean(1).argsort()
    taking_turns = torch.stack([own[:128], own[128:]], 1).flatten()
    low_first, width = own, []
    for order in (torch.arange(256), taking_turns, low_first):
        table = lp.ablate_units(case.net.model, batch[order], units=units, bootstrap=1000)
        width.append((table.ci_high - table.ci_low)[table.target == "xor"].to_numpy())
    for one in width[1:]:
        assert np.abs(np.log(one / width[0])).max() < 0.2  # 0.41 with every second sequence


class OneSize(nn.Module):
    """A network for batches of one size."""

    def __init__(self, inner, size):
        super().__init__()
        self.inner, self.size = inner, size

    def forward(self, inputs):
        if len(inputs) != self.size:
            raise RuntimeError("another size")
        return self.inner(inputs)


def test_a_model_for_batches_of_one_size_is_run_on_all_of_them(case):
    batch = case.sample(300, 5)
    made = [lp.ablate_units(model, batch, units=readers(case), bootstrap=50)
            for model in (OneSize(case.net.model, 300), case.net.model)]  # fmt: skip
    assert made[0].score_drop.tolist() == made[1].score_drop.tolist()
    np.testing.assert_allclose(made[0][["ci_low", "ci_high"]], made[1][["ci_low", "ci_high"]], atol=0.02)


@pytest.mark.parametrize("mode", ["zero", "resample"])
def test_what_is_no_mean_is_not_redrawn(case, mode, monkeypatch):
    monkeypatch.setattr("lstm_probe.causal.needs.Redrawn", None)
    table = lp.ablate_units(case.net.model, case.batch, mode=mode, units=readers(case), bootstrap=20)
    assert (table.ci_low <= table.ci_high).all()


def test_a_constant_unit_has_a_known_mean(case):
    constants = next(own for own in cases(knobs=["decoys"], seeds=1) if own.level == "constants")
    rec = lp.record(constants.net.model, constants.batch.inputs).c
    unit = next(k for k in range(12) if float(rec[..., k].std()) == 0)
    subject = Intervening(constants.net.model, constants.batch)
    redrawn = Redrawn(subject, Scoring(constants.batch, subject.intact, 5, 0, None).counts)
    assert redrawn.runs((0, "forward", unit), subject.intact.outputs) is None


class Centred(nn.Module):
    """What a sequence's output is depends on the others in the batch."""

    def __init__(self, net):
        super().__init__()
        self.lstm, self.readout = net.lstm, net.readout

    def forward(self, x):
        out = self.readout(self.lstm(x)[0])
        return out - out.mean(0, keepdim=True)


def test_a_part_of_the_sequences_is_taken_only_where_the_model_does_the_same_with_it(case):
    batch = case.sample(300, 5)
    for model, taken in ((case.net.model, 128), (Centred(case.net.model), 300)):
        subject = Intervening(model, batch)
        redrawn = Redrawn(subject, Scoring(batch, subject.intact, 5, 0, None).counts)
        assert len(redrawn.batch) == redrawn.counts.shape[1] == taken


def test_a_new_readout_does_not_depend_on_the_order_of_sequences():
    """It is fitted on a part of so many steps."""
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    batch = net.sample(512, length=30, seed=1)
    low_first = batch.targets["count"][..., 0].mean(1).argsort()
    taking_turns = torch.stack([low_first[:256], low_first[256:]], 1).flatten()
    found = [lp.ablate_units(net.model, batch[order], bootstrap=10).readout_drop.to_numpy()
             for order in (torch.arange(512), taking_turns)]  # fmt: skip
    np.testing.assert_allclose(*found, atol=0.01)  # 0.03 with every second sequence
