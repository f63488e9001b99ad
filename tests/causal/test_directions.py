"""What lies along directions of the memories, given or fitted, from other sequences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.causal.directions import COLUMNS
from lstm_probe.core.errors import InputError
from tests.causal.test_patches import made, only
from tests.handmade import counter_and_latch, counting_batch

ORDER = np.roll(np.arange(48), 7)


@torch.no_grad()
def test_along_an_axis_it_is_the_unit_and_all_axes_are_all_units():
    net, batch = made(3, n=48)
    axes = {"unit 1": 5 * np.eye(4)[1], "two": np.array([[1, 1], [1, -1], [0, 0], [0, 0.0]])}
    table = lp.patch_directions(net, batch, axes, donors=ORDER, steps=[5], after=(1, 4))
    assert list(table) == list(COLUMNS) and set(table.fitted) == {0}
    units = lp.patch_units(net, batch, units=[1], donors=ORDER, steps=[5], after=(1, 4))
    sets = lp.patch_sets(net, batch, [[0, 1]], donors=ORDER, steps=[5], after=(1, 4))
    names = ["moved", "ci_low", "ci_high", "changed"]
    assert np.allclose(table[table.axis == "unit 1"][names], units[names], equal_nan=True)
    two = table[table.axis == "two"]
    assert np.allclose(two[names], sets[names], equal_nan=True) and set(two.n_axes) == {2}


def test_a_fitted_direction_of_a_planted_memory_moves_its_output():
    model, batch = counter_and_latch(0), counting_batch(0, n=256)
    table = lp.patch_directions(model, batch, after=(1, 5))
    assert set(table.axis) == {"count", "latch"} and set(table.fitted) == {128}
    for name, other in (("count", "latch"), ("latch", "count")):
        own = table[table.axis == name]
        assert np.allclose(only(own, name).moved, 1, atol=1e-2) and set(only(own, name).reads) == {"yes"}
        assert (only(own, other).moved.abs() < 0.05).all()
    grouped = lp.patch_directions(model, batch, signals={"count": batch.signals["count"]},
                                  groups=np.repeat(np.arange(32), 8))  # fmt: skip
    assert set(grouped.axis) == {"count"} and set(grouped.signal) == {"any", "count"}


@pytest.mark.parametrize(
    ("directions", "more", "message"),
    [
        (
            {"a": np.ones(3)},
            {},
            r"directions\['a'\]: shape \(3, 1\) for \(0, 'forward'\); units are layer 0, forward: 4",
        ),
        ({"a": np.zeros(4)}, {}, r"directions\['a'\]: of length 0, or not finite"),
        ({"a": {(1, "forward"): np.ones(4)}}, {}, r"shape \(4, 1\) for \(1, 'forward'\)"),
        ({}, {}, "directions: there are none"),
        (None, {"donors": ORDER}, "donors: give directions, too"),
        (None, {"groups": np.zeros(48)}, None),
    ],
)
def test_bad_directions_are_said(directions, more, message):
    net, batch = made(3, n=48)
    if message is None:  # one group: every sequence is its own
        assert len(lp.patch_directions(net, batch, directions, **more))
        return
    with pytest.raises(InputError, match=message):
        lp.patch_directions(net, batch, directions, **more)


@torch.no_grad()
def test_units_that_are_the_same_everywhere_have_no_direction():
    """Of 0.1, the same at all steps, a mean is off by rounding."""
    net = lp.planted.latch(random_units=1)
    batch = net.sample(60, 12, seed=1)
    for values in net.model.lstm.parameters():
        values.zero_()
    net.model.lstm.bias_ih_l0[4:6] = 0.1
    batch = replace(batch, inputs=batch.inputs[:, :1], lengths=torch.ones(60, dtype=torch.long),
                    targets={k: v[:, :1] for k, v in batch.targets.items()},
                    signals={k: replace(v, values=v.values[:, :1]) for k, v in batch.signals.items()})  # fmt: skip
    with pytest.raises(lp.InputError, match="directions: there are none; those of signals need one that varies"):
        lp.patch_directions(net.model, batch, steps=[0], after=[0])
