"""Where all sequences are of one group, who asks what a network needs is told that intervals know no other."""

import pytest

import lstm_probe as lp

NET = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
ASKED = {
    "ablate_units": lambda model, batch, groups: lp.ablate_units(model, batch, bootstrap=10, groups=groups),
    "ablate_sets": lambda model, batch, groups: lp.ablate_sets(model, batch, [[0, 1]], bootstrap=10, groups=groups),
    "patch_units": lambda model, batch, groups: lp.patch_units(model, batch, batch.signals, groups=groups),
    "erase_signals": lambda model, batch, groups: lp.erase_signals(
        model, batch, batch.signals, controls=0, groups=groups
    ),
    "memory_flow": lambda model, batch, groups: lp.memory_flow(model, batch, groups=groups),
}


@pytest.mark.parametrize("asked", ASKED)
def test_one_group_is_said_once(asked, caplog):
    batch = NET.sample(32, length=12, seed=1)
    ASKED[asked](NET.model, batch, ["subject"] * 32)
    assert caplog.text.count("all sequences are of one group") == 1
    caplog.clear()
    ASKED[asked](NET.model, batch, [k // 4 for k in range(32)])
    assert "of one group" not in caplog.text
