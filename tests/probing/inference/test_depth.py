"""How far back units reach, by the past-swap: networks whose memory is known, and functions that are none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference.baselines import time_only
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.evaluate import unit_scores
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.swap import DONORS, depths, make_donors, swap_effects, swapped
from tests.handmade import shift_register, summing
from tests.probing.inference.test_swap import network, wide_awake


def studied(lstm, x, signals, **more):
    rec = lp.record(lstm, x)
    study = make_study(rec, signals, None, (0,), ("h", "c"), 5, 0, **more)
    effect = np.stack([
        np.concatenate([effects(unit_scores(view.features(b.values, b.name), view), view) for b in study.blocks])
        for view in study.views
    ])  # fmt: skip
    return study, effect


def test_a_depth_is_how_many_last_inputs_are_enough():
    x = torch.randn(120, 30, 1, generator=torch.Generator().manual_seed(0))
    past = {f"ago {k}": torch.cat([torch.zeros(120, k), x[:, : 30 - k, 0]], 1) for k in range(7)}
    study, effect = studied(shift_register(7), x, past)
    got = depths(study, effect, 0 * effect, effect > 0.5, 0, unit_scores)
    expected = {0: 1, 1: 2, 2: 3, 3: 5, 4: 5, 5: 8, 6: 8}  # of 1 2 3 5 8, the first with all that is needed
    for unit in range(7):
        for row in (unit, 7 + unit):  # h and c
            assert effect[0, row, unit] > 0.9 and got[0, row, unit] == expected[unit]
            assert np.isnan(np.delete(got[0, row], unit)).all()


@pytest.mark.parametrize(("steps", "expected"), [(3, 3), (5, 5)])
def test_a_mean_of_the_last_few_inputs_needs_these(steps, expected):
    """The readout of a shift register, in one unit of a second layer."""
    torch.manual_seed(0)
    lstm = nn.LSTM(1, steps + 1, 2, batch_first=True)
    low = shift_register(steps + 1)
    with torch.no_grad():
        for weights in lstm.parameters():
            weights.zero_()
        for name, weights in low.named_parameters():
            getattr(lstm, name).copy_(weights)
        units = steps + 1
        lstm.bias_ih_l1[:units] = lstm.bias_ih_l1[3 * units :] = 30.0
        lstm.bias_ih_l1[units : 2 * units] = -30.0
        lstm.weight_ih_l1[2 * units, :steps] = 1.0
    x = torch.randn(100, 30, 1, generator=torch.Generator().manual_seed(1))
    mean = torch.nn.functional.conv1d(nn.functional.pad(x[..., 0], (steps - 1, 0))[:, None], torch.ones(1, 1, steps))
    study, effect = studied(lstm, x, {"mean": mean[:, 0] / steps})
    row = next(k for k, b in enumerate(study.blocks) if (b.layer, b.variable) == (1, "c")) * units
    wanted = np.zeros(effect.shape, bool)
    wanted[0, row, 0] = True
    assert effect[0, row, 0] > 0.95
    assert depths(study, effect, 0 * effect, wanted, 0, unit_scores)[0, row, 0] == expected


def test_sums_and_latches_need_more_than_is_looked_at():
    x = torch.randn(100, 40, 1, generator=torch.Generator().manual_seed(1))
    study, effect = studied(summing(), x, {"sum": x[..., 0].cumsum(1)})
    assert effect[0, 1, 0] > 0.99
    assert np.isinf(depths(study, effect, 0 * effect, effect > 0.5, 0, unit_scores)[0, 1, 0])
    # With a trend the swap, which keeps the step, leaves most of the effect: depth asks for what lies beyond that.
    x = x * 0.3 + 1.0
    study, effect = studied(summing(), x, {"sum": x[..., 0].cumsum(1)})
    floor = np.full(effect.shape, time_only(study.views[0])[0])
    assert 0.95 < floor[0, 1, 0] < 0.999 < effect[0, 1, 0]
    assert depths(study, effect, 0 * effect, effect > 0.5, 0, unit_scores)[0, 1, 0] == 1
    assert np.isinf(depths(study, effect, floor, effect > 0.5, 0, unit_scores)[0, 1, 0])
    latch = lp.planted.latch(random_units=2, seed=0)
    batch = latch.sample(200, length=40, seed=1)
    name = batch.target_specs[0].name
    table = lp.probe_units(
        lp.record(latch.model, batch.inputs), {name: batch.signals[name]}, permutations=39, bootstrap=2, init="torch"
    )
    own = table[(table.variable == "c") & (table.unit == latch.where[name])].iloc[0]
    assert own.tracks and own.effect > 0.99 and own.past_swap < 0.5 and own.depth >= 8


def test_what_is_left_is_the_mean_over_donors_and_only_where_it_is_wanted():
    x = torch.randn(40, 12, 2, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 4)
    labels = np.where(rng.random((40, 12)) < 0.3, np.nan, x[..., 0].numpy())
    for own in (None, groups):
        rec = lp.record(wide_awake(network(num_layers=2)), x)
        study = make_study(rec, {"x": x[..., 0].cumsum(1), "now": labels}, None, (0,), ("h", "c"), 5, 0)
        study = replace(study, groups=own)
        wanted = np.zeros((1, 16, 2), bool)
        wanted[0, [1, 5, 14], 0] = wanted[0, 6, 1] = True
        got = swap_effects(study, wanted, 2, 7, unit_scores)
        assert (np.isnan(got) == ~wanted).all()
        total = np.zeros(wanted.shape)
        for number in range(DONORS):
            donors = make_donors(study.lengths, 12, 7, number, own)
            values = swapped(study.rec, 2, donors, ("h", "c"))
            for g, part in enumerate(study.parts()):
                (view,) = part[1].views
                blocks = [values[b.layer, b.direction][b.variable] for b in study.blocks]
                found = [effects(unit_scores(view.features(own_values), view), view) for own_values in blocks]
                total[0, :, g] += np.concatenate(found)[:, 0]
        assert got[wanted] == pytest.approx((total / DONORS)[wanted], abs=1e-9)


@pytest.mark.parametrize("what", ["size", "product"])
def test_a_function_of_the_present_inputs_is_no_memory(what):
    """Trained to output |x| or x·y of the present step: the unit tells it, as a line through the inputs cannot."""
    torch.manual_seed(3)
    lstm, readout = nn.LSTM(2, 8, batch_first=True), nn.Linear(8, 1)
    steps = torch.optim.Adam([*lstm.parameters(), *readout.parameters()], lr=0.02)
    rng = torch.Generator().manual_seed(0)
    for _ in range(250):
        x = torch.randn(64, 12, 2, generator=rng)
        target = x[..., :1].abs() if what == "size" else x[..., :1] * x[..., 1:]
        loss = nn.functional.mse_loss(readout(lstm(x)[0]), target)
        steps.zero_grad()
        loss.backward()
        steps.step()
    x = torch.randn(150, 12, 2, generator=rng)
    signal = x[..., 0].abs() if what == "size" else x[..., 0] * x[..., 1]
    study, effect = studied(lstm, x, {"s": signal})
    left = swap_effects(study, effect >= 0.25, 1, 0, unit_scores)
    assert (effect >= 0.25).any() and (left[effect >= 0.25] > effect[effect >= 0.25] - 0.1).all()
    assert not Rule().remembered(effect, left)[effect >= 0.25].any()
    # And what any function of the present input tells is no memory either.
    table = lp.probe_units(lp.record(lstm, x), {"s": signal}, permutations=99, bootstrap=2, init="torch")
    assert not table.tracks.any() and table.input_only.min() > table.effect.max()
