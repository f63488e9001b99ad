"""What counts as an event, on inputs in which it can be counted by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.kinds import Signal
from lstm_probe.dynamics.events import LEAST_STEPS, MOST_EVENTS, find_events, signal_changes
from lstm_probe.probing.data.signals import check_signals

N, TIME = 60, 20
MASK = torch.arange(TIME) < torch.randint(5, TIME + 1, (N, 1), generator=torch.Generator().manual_seed(0))
LSTM = nn.LSTM(1, 1)


def drawn(*chances, seed=1):
    return (torch.rand(N, TIME, len(chances), generator=torch.Generator().manual_seed(seed))
            < torch.tensor(chances)).float()  # fmt: skip


def test_pulses_come_alone_and_are_compared_with_nothing():
    inputs = drawn(0.2, 0.1)
    found = find_events(LSTM, inputs, MASK, ["a", "b"])
    assert [event.name for event in found.found] == ["a", "b"]
    a, b = found.found
    assert torch.equal(a.here, MASK & (inputs[..., 0] == 1) & (inputs[..., 1] == 0))
    assert torch.equal(found.quiet, MASK & (inputs == 0).all(-1)) and torch.equal(found.free, found.quiet)
    assert torch.equal(b.without, found.quiet) and b.put == ((1,), (1.0,)) and b.against == (None,)
    assert torch.equal(found.comes["a"], MASK & (inputs[..., 0] == 1))


def test_a_pulse_of_several_values_has_each():
    inputs = drawn(0.2, 0.1)
    inputs[..., 0] *= torch.where(drawn(0.5, seed=2)[..., 0] > 0, 1.0, -2.0)
    found = find_events(LSTM, inputs, MASK).found
    assert [event.name for event in found] == ["input 0 = -2", "input 0 = 1", "input 1"]
    assert torch.equal(found[0].here, MASK & (inputs[..., 0] == -2) & (inputs[..., 1] == 0))


def test_a_dense_feature_is_compared_with_its_commonest_value():
    inputs = drawn(0.45, 0.1)
    found = find_events(LSTM, inputs, MASK, ["bit", "cue"])
    bit, cue = found.found
    assert bit.against == (((0,), (0.0,)),) and cue.against == (None,)
    assert torch.equal(cue.here, MASK & (inputs[..., 1] == 1))  # whatever the bit is
    assert torch.equal(bit.without, MASK & (inputs == 0).all(-1))


def test_where_something_always_comes_nothing_is_quiet():
    inputs = drawn(*[0.35] * 12)
    found = find_events(LSTM, inputs, MASK)
    assert found.quiet is None and torch.equal(found.free, MASK) and len(found.found) == 12
    assert all(event.against == (((k,), (0.0,)),) for k, event in enumerate(found.found))
    assert torch.equal(found.found[3].here, MASK & (inputs[..., 3] == 1))


def test_numbers_are_high_or_low():
    inputs = torch.randn(N, TIME, 1, generator=torch.Generator().manual_seed(2)) + 5
    found = find_events(LSTM, inputs, MASK, ["x"])
    high, low = found.found
    assert (high.name, low.name) == ("x high", "x low") and found.comes == {} and found.quiet is None
    values = inputs[..., 0]
    real = values[MASK]
    for event, level in ((high, 0.9), (low, 0.1)):
        assert event.put[1][0] == pytest.approx(float(real.quantile(level)), abs=0.02)
        assert event.against[0][1][0] == pytest.approx(float(real.median()), abs=0.02)
        assert int(event.here.sum()) == pytest.approx(0.2 * len(real), abs=2)
        assert int(event.without.sum()) == pytest.approx(0.2 * len(real), abs=2)
    assert values[high.here].min() > values[high.without].max() > values[low.here].max()


def test_symbols_are_compared_with_each_other():
    codes = torch.randint(0, 3, (N, TIME), generator=torch.Generator().manual_seed(3))
    one_hot = torch.cat([nn.functional.one_hot(codes, 3).float(), torch.randn(N, TIME, 1)], dim=-1)
    found = find_events(LSTM, one_hot, MASK, ["a", "b", "c", "noise"])
    assert [event.name for event in found.found] == ["a", "b", "c", "noise high", "noise low"]
    b = found.found[1]
    assert b.put == ((0, 1, 2), (0.0, 1.0, 0.0)) and b.against == (
        ((0, 1, 2), (1.0, 0.0, 0.0)), ((0, 1, 2), (0.0, 0.0, 1.0)))  # fmt: skip
    assert torch.equal(b.here, MASK & (codes == 1)) and torch.equal(b.without, MASK & (codes != 1))
    assert found.quiet is None and set(found.comes) == {"a", "b", "c"}
    embedded = nn.Sequential(nn.Embedding(3, 2), nn.LSTM(2, 1))
    numbered = find_events(embedded, codes.float().unsqueeze(-1), MASK, ["symbol"])
    assert [event.name for event in numbered.found] == ["symbol 0", "symbol 1", "symbol 2"]
    assert numbered.found[2].put == ((0,), (2.0,)) and torch.equal(numbered.found[2].here, MASK & (codes == 2))


def test_rare_events_and_too_many_are_left_out():
    inputs = drawn(0.2, 0.001)
    assert [event.name for event in find_events(LSTM, inputs, MASK).found] == ["input 0"]
    assert int((inputs[..., 1][MASK] == 1).sum()) < LEAST_STEPS
    codes = torch.randint(0, 40, (600, TIME), generator=torch.Generator().manual_seed(4))
    mask = torch.ones(600, TIME, dtype=torch.bool)
    many = find_events(LSTM, nn.functional.one_hot(codes, 40).float(), mask)
    assert len(many.found) == MOST_EVENTS and all(len(event.against) == MOST_EVENTS - 1 for event in many.found)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_changes_of_signals_are_those_of_a_plain_loop(direction):
    values = torch.randint(0, 3, (N, TIME), generator=torch.Generator().manual_seed(5))
    signals = {"state": Signal("state", values, "categorical"), "number": Signal("number", values.float())}
    changes = {one.name: one for one in signal_changes(check_signals(signals, MASK.numpy()), MASK, direction)}
    assert list(changes) == ["state becomes 0", "state becomes 1", "state becomes 2"]
    here = torch.zeros(N, TIME, dtype=torch.bool)
    for s in range(N):
        for t in range(int(MASK[s].sum())):
            at = t - 1 if direction == "forward" else t + 1
            if 0 <= at < int(MASK[s].sum()):
                here[s, t] = values[s, t] == 1 and values[s, at] != 1
    assert torch.equal(changes["state becomes 1"].here, here) and not changes["state becomes 1"].is_input


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.array([4, 1, 2]), ["1", "2", "4"]),
        (np.array(["go", "left", "a"]), ["a", "go", "left"]),
        (np.array([1.5, 0.5, 1.5]), ["0.5", "1.5"]),
        (np.array([True, False, True]), ["False", "True"]),
        (np.array([2, 1, np.nan]), ["1", "2"]),
    ],
)
def test_what_a_signal_becomes_is_one_of_its_own_values(values, names):
    drawn = values[torch.randint(0, 3, (N, TIME), generator=torch.Generator().manual_seed(6)).numpy()]
    changes = {one.name: one for one in signal_changes(check_signals({"s": drawn}, MASK.numpy()), MASK, "forward")}
    assert list(changes) == [f"s becomes {name}" for name in names]
    for name, change in changes.items():
        at = [drawn[s, t].item() for s, t in change.here.nonzero().tolist()]
        assert {f"s becomes {value:g}" if isinstance(value, float) else f"s becomes {value}" for value in at} == {name}


def test_names_are_one_for_each_feature():
    with pytest.raises(lp.InputError, match="input_names: 2 names; the inputs have 1 features"):
        find_events(LSTM, torch.zeros(N, TIME, 1), MASK, ["a", "b"])
