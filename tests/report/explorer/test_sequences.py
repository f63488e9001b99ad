"""Example sequences on the page: the recorded values, as many as there is room for, signals on the units' scale."""

import numpy as np
import pytest
import torch

from lstm_probe.report.explorer.sequences import sequences_of
from tests.report.explorer.unpacking import rows, unpacked

UNITS = [(0, "forward", 2), (1, "reverse", 0), (0, "forward", 0)]
KINDS = {"count": "continuous", "angle": "circular", "phase": "categorical", "flat": "binary", "unrecorded": "binary"}


def made(lengths=(6, 4, 5), time=6, variables="chifog"):
    """Two layers of 3 and 1 units; count changes most in the second sequence, then in the third."""
    rng = np.random.default_rng(0)
    examples = {"inputs": torch.zeros(len(lengths), time, 2), "lengths": torch.tensor(lengths)}
    examples |= {f"layer0.forward.{v}": torch.tensor(rng.normal(size=(len(lengths), time, 3))) for v in variables}
    examples |= {f"layer1.reverse.{v}": torch.tensor(rng.normal(size=(len(lengths), time, 1))) for v in variables}
    count = np.outer([1, 10, 5][: len(lengths)], np.arange(time))
    phase = np.arange(len(lengths) * time).reshape(-1, time) % 3
    signals = {"count": count, "angle": 0.5 * count, "phase": phase, "flat": 0 * phase}
    return examples | {f"signal.{name}": torch.tensor(values.astype(np.float32)) for name, values in signals.items()}


def shown(examples, room=10**6, lags=None, units=UNITS, **options):
    lags = np.zeros((len(units), len(KINDS)), dtype=int) if lags is None else lags
    return sequences_of(examples, units, KINDS, lags=lags, room=room, **options)


def test_values_are_those_that_were_recorded():
    examples = made()
    found = shown(examples)
    order = [(one["number"], one["steps"]) for one in found["sequences"]]
    assert order == [(1, 4), (2, 5), (0, 6)] and found["of"] == 3 and not found["cut"] and found["missing"] == []
    assert found["variables"] == ["c", "h", "f", "i", "o", "g"]
    for v in "chifog":
        for row, (layer, direction, unit) in zip(rows(found["values"][v]), UNITS):
            whole = examples[f"layer{layer}.{direction}.{v}"].numpy()
            want = np.concatenate([whole[k, :steps, unit] for k, steps in order])
            np.testing.assert_allclose(row, want, atol=1e-4)
    want = np.concatenate([examples["signal.count"].numpy()[k, :steps] for k, steps in order])
    np.testing.assert_array_equal(unpacked(found["signals"][0]), want)
    assert found["signals"][4] is None


@pytest.mark.parametrize("lag", [0, 2])
def test_signals_are_brought_to_the_units_scale_in_least_squares(lag):
    examples = made()
    lags = np.full((3, 5), lag)
    lags[2] = 0  # another unit's lag is its own
    over = shown(examples, lags=lags)["over"]["c"]
    x = examples["layer1.reverse.c"].numpy()[..., 0]
    steps = [(k, t) for k, n in enumerate((6, 4, 5)) for t in range(lag, n)]
    here = np.array([x[k, t] for k, t in steps])
    then = {name: np.array([examples[f"signal.{name}"].numpy()[k, t - lag] for k, t in steps], dtype=float)
            for name in ("count", "angle", "phase")}  # fmt: skip
    slope, height = np.polyfit(then["count"], here, 1)
    np.testing.assert_allclose(unpacked(over[0]["terms"])[1], [height, slope], rtol=1e-4)
    design = np.array([[1, np.cos(a), np.sin(a)] for a in then["angle"]])
    np.testing.assert_allclose(unpacked(over[1]["terms"])[1], np.linalg.pinv(design) @ here, rtol=1e-3, atol=1e-5)
    means = [here[then["phase"] == k].mean() for k in range(3)]
    assert over[2]["classes"] == [0, 1, 2]
    np.testing.assert_allclose(unpacked(over[2]["terms"])[1], means, rtol=1e-4)
    assert over[3] is None and over[4] is None  # one never changes, the other was not recorded


def test_unlabelled_steps_take_no_part():
    examples = made()
    examples["signal.count"][0] = float("nan")
    found = shown(examples)
    slope, height = np.polyfit(
        np.concatenate([10 * np.arange(4), 5 * np.arange(5)]),
        np.concatenate([examples["layer1.reverse.c"].numpy()[k, :n, 0] for k, n in ((1, 4), (2, 5))]), 1,
    )  # fmt: skip
    np.testing.assert_allclose(unpacked(found["over"]["c"][0]["terms"])[1], [height, slope], rtol=1e-4)
    own = [one["number"] for one in found["sequences"]].index(0)
    assert np.isnan(unpacked(found["signals"][0])[sum(one["steps"] for one in found["sequences"][:own]) :][:6]).all()


def room_of(variables, steps, units=3, signals=4):
    return round(steps * (units * variables * 2 + signals * 4) * 4 / 3)


def test_without_room_there_are_fewer_sequences_then_fewer_variables_then_fewer_steps():
    constant = {f"signal.{name}": torch.ones(3, 6) for name in ("count", "angle", "phase", "flat")}
    examples = made() | constant  # nothing is brought to scale, and sequences stay in their order
    found = shown(examples, room=room_of(6, 10) + 1)
    assert [one["number"] for one in found["sequences"]] == [0, 1] and found["missing"] == []
    found = shown(examples, room=room_of(6, 10) - 1)
    assert [one["number"] for one in found["sequences"]] == [0] and found["missing"] == []
    found = shown(examples, room=room_of(2, 6) + 1)
    assert found["variables"] == ["c", "h"] and found["missing"] == ["f", "i", "o", "g"] and not found["cut"]
    assert set(found["values"]) == set(found["over"]) == {"c", "h"}
    found = shown(examples, room=room_of(1, 3) + 1)
    assert found["variables"] == ["c"] and found["cut"] and found["sequences"] == [{"number": 0, "steps": 3}]
    assert set(found["over"]) == {"c"}
    assert shown(examples, room=0)["sequences"] == [{"number": 0, "steps": 1}]


def test_what_brings_signals_to_scale_takes_room_too():
    fits = 2 * (32 + 48 + 48)  # of c and h: 3 units, 2, 3 and 3 terms of 4 bytes, as base64
    for more, sequences in ((fits + 1, 3), (fits - 1, 2)):
        assert len(shown(made(), room=room_of(6, 15) + more)["sequences"]) == sequences


def test_what_was_not_recorded_is_left_out():
    assert shown(made(variables="c"))["variables"] == ["c"]
    assert "h" not in shown(made(), left_out=("h",))["variables"]
    assert shown({"lengths": torch.tensor([3]), "inputs": torch.zeros(1, 3, 1)}) is None
    assert shown(made(lengths=(1,), time=1), units=UNITS[:1])["sequences"] == [{"number": 0, "steps": 1}]
