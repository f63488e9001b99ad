"""Sequences that are not independent: values come from another group, and groups are what is drawn."""

import pandas as pd
import torch

import lstm_probe as lp
from lstm_probe.dynamics import flow
from tests.handmade import counter_and_latch, counting_batch


def test_values_come_from_another_group(monkeypatch):
    seen = []

    class Kept(flow.Exchanging):
        def __init__(self, *given):
            super().__init__(*given)
            seen.append(self.donors)

    monkeypatch.setattr(flow, "Exchanging", Kept)
    groups = torch.arange(30) // 10
    lp.memory_flow(counter_and_latch(0), counting_batch(1, n=30), units=[3], steps=[5, 9], groups=groups, bootstrap=10)
    (donors,) = seen
    assert set(donors) == {5, 9}
    for own in donors.values():
        assert (own >= 0).all() and (groups[own] != groups).all()


def test_one_group_of_all_is_none():
    net, batch = counter_and_latch(0), counting_batch(1, n=40)
    whole, grouped = (
        lp.memory_flow(net, batch, units=[3, 5], groups=groups, bootstrap=50) for groups in (None, ["one"] * 40)
    )
    pd.testing.assert_frame_equal(whole, grouped)
    written = whole[(whole["link"] == "write") & whole["effect"].notna()]
    assert (written["ci_low"] < written["effect"]).any()
    times, as_one = (lp.timescales(net, batch, groups=groups) for groups in (None, ["one"] * 40))
    pd.testing.assert_frame_equal(times, as_one)
