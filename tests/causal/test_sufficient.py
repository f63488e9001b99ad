"""Sufficient sets against hand-built networks, and against all subsets of small ones."""

import logging
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.causal.elimination import ALL, Shares, curve, eliminate
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.sufficient import NotLearnedError, sufficient_units
from lstm_probe.core.columns import SUFFICIENT_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from tests.causal.sums import PARTS, adders, kept_of
from tests.handmade import copied, flipflops


@pytest.mark.parametrize(("listening", "mode"), [(False, "mean"), (True, "mean"), (True, "zero"), (False, "resample")])
def test_exactly_the_planted_units_are_kept(listening, mode):
    net = lp.planted.combine(PARTS, random_units=5, listening=listening, seed=2)
    table = sufficient_units(net.model, net.sample(64, length=30, seed=1), mode=mode, bootstrap=50, run="r", task="t")
    assert list(table.columns) == list(SUFFICIENT_COLUMNS) and len(table) == 4 * 8
    assert kept_of(table) == set(net.where.values())
    for name, about in table.attrs["sufficient"].items():
        assert name == ALL or kept_of(table, name) == {net.where[name]}
        assert about["kept"] == len(kept_of(table, name)) and about["spread"] is None and about["keep"] == 0.99
        assert [about[key] for key in ("checked", "checked_low", "checked_high")] == pytest.approx([1] * 3, abs=1e-6)
        own = table[table["target"] == name]
        assert list(own["order"]) == list(range(8)) and own["kept"].is_monotonic_increasing
        assert own["score"].iloc[0] == 1 and own["score"][own["kept"]].iloc[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("more", [1, 2])
def test_of_copies_one_is_kept(more):
    net = lp.planted.latch(random_units=6, seed=4)
    copies = [net.where["latch"], *[unit for unit in range(7) if unit != net.where["latch"]][:more]]
    model = copied(net.model, copies[0], copies[1:])
    table = sufficient_units(model, net.sample(40, length=30, seed=1), bootstrap=20, orders=2)
    (kept,) = kept_of(table)
    assert kept in copies
    assert table.attrs["sufficient"]["latch"]["spread"] == [1, 1]
    assert table.attrs["sufficient"]["latch"]["checked"] == pytest.approx(1, abs=1e-6)


def test_a_pair_of_which_neither_tells_anything_alone_is_kept():
    """One shows the target plus ten times a noise, the other the noise's opposite: each alone says next to nothing."""
    model, batch = adders([[0, 0, 0], [1, 10, 0], [0, -10, 0], [0, 0, 0]], noise=(1, 2))
    table = sufficient_units(model, batch, bootstrap=20)
    assert kept_of(table) == kept_of(table, "sum") == {1, 2}
    one = table[table["target"] == "sum"].set_index("order")["score"]
    assert one[2] == pytest.approx(1, abs=1e-4) and one[3] < 0.02


def test_units_of_two_layers_that_need_each_other():
    model, task = flipflops(2, 4, layers=2, seed=1), lp.get_task("flipflop", bits=2, length=20)
    table = sufficient_units(model, task.sample(32, seed=1), bootstrap=20)
    for bit in (0, 1):
        assert kept_of(table, f"bit{bit}") == {(0, bit), (1, bit)}
    assert kept_of(table) == {(layer, bit) for layer in (0, 1) for bit in (0, 1)} and len(table) == 3 * 8


def left_of(model, batch, runs):
    """What every set of clamps leaves: the squared correlation of each output with its target, by NumPy."""
    found = {}
    for size in range(len(runs.keys) + 1):
        for clamped in combinations(runs.keys, size):
            outputs = runs.outputs(clamped).outputs.numpy() if clamped else model(batch.inputs).detach().numpy()
            found[frozenset(clamped)] = [
                np.corrcoef(outputs[..., k].ravel(), batch.targets[name].numpy().ravel())[0, 1] ** 2
                if outputs[..., k].std() > 1e-6 else 0.0
                for k, name in enumerate(batch.targets)
            ]  # fmt: skip
    return {which: np.array(left) / found[frozenset()] for which, left in found.items()}


@pytest.mark.parametrize("seed", range(8))
def test_no_member_of_a_set_can_be_left_out(seed):
    """Of every subset of random networks we know what it leaves; the outputs themselves are the targets."""
    units = 3 + seed % 4
    model = SequenceModel(2, 2, units, seed=seed).eval()
    rng = torch.Generator().manual_seed(seed)
    inputs = torch.randn(16, 10, 2, generator=rng)
    with torch.no_grad():
        model.readout.weight *= 0.1 ** (2 * torch.rand(units, generator=rng))
        wanted = model(inputs)
    batch = Batch(inputs, {"a": wanted[..., :1], "b": wanted[..., 1:]}, (Target("a"), Target("b")),
                  torch.full((16,), 10), {})  # fmt: skip
    runs = Intervening(model, batch)
    with torch.no_grad():
        truth = left_of(model, batch, runs)
    falling = 0
    for least in (0.6, 0.9, 0.99):
        for target, of in (("a", lambda left: left[0]), ("b", lambda left: left[1]), (ALL, min)):
            enough = {which for which, left in truth.items() if of(left) >= least}
            shares = Shares(runs, ("a", "b"))
            order = sorted(runs.keys, key=lambda key: -of(truth[frozenset([key])]))
            results = [frozenset(eliminate(shares, target, order, least, first=first)) for first in (1, 2, units)]
            assert set(results) <= enough and shares.passes < 2**units
            singles = frozenset()
            for key in order * 2:
                singles |= {key} if singles | {key} in enough else frozenset()
            if all(which - {key} in enough for which in enough for key in which):  # more clamps never cost less
                falling += 1
                assert set(results) == {singles}
                for gone in results:
                    assert not any(gone | {key} in enough for key in set(runs.keys) - gone)
    assert falling >= 4


def test_what_had_to_stay_is_tried_once_more():
    """One unit takes half of another's noise away: it can go once that one has gone."""
    model, batch = adders([[5, 0], [0, -1], [0, 2]], noise=(1,))
    kept, less, noisy = [(0, "forward", unit) for unit in range(3)]
    shares = Shares(Intervening(model, batch), ("sum",))
    assert eliminate(shares, "sum", [less, noisy, kept], 0.95) == [noisy, less]
    # As they stand in the sum, 25 parts of the target come with 1 of noise, then with 4, 1 and none.
    left = [shares.of(which)["sum"] * 25 / 26 for which in ([], [less], [noisy], [less, noisy])]
    assert left == pytest.approx([25 / 26, 25 / 29, 25 / 26, 1], abs=0.02)
    assert kept_of(sufficient_units(model, batch, keep=0.95, bootstrap=0)) == {0}


def test_the_curve_is_what_each_set_leaves():
    model, batch = adders([[1, 0, 0, 0], [0, 0.1, 0, 0], [0, 0, 0.3, 0], [0, 0, 0, 0.2]])
    batch = replace(batch, targets={"sum": batch.inputs @ torch.tensor([[1.0], [0.1], [0.3], [0.2]])})
    table = sufficient_units(model, batch, keep=0.9, bootstrap=0)
    own = table[table["target"] == ALL]
    assert list(own["unit"]) == [1, 3, 2, 0] and list(own["kept"]) == [False, False, True, True]
    # Independent inputs of weights 1, 0.3, 0.2 and 0.1: their squares add up.
    assert own["score"].to_numpy() == pytest.approx([1, 1.13 / 1.14, 1.09 / 1.14, 1 / 1.14], abs=0.02, nan_ok=True)
    # The third of the four would leave 0.877: enough for 0.85, but not with the reserve, 0.895.
    assert kept_of(sufficient_units(model, batch, keep=0.85, bootstrap=0)) == {0, 2}
    assert kept_of(sufficient_units(model, batch, keep=0.8, bootstrap=0)) == {0}
    shares = Shares(Intervening(model, batch), ("sum",))
    keys = [(0, "forward", unit) for unit in (1, 3, 2, 0)]
    assert np.isnan(curve(shares, "sum", keys[:2], keys[2:])[1]) and np.isnan(
        table.attrs["sufficient"]["all"]["checked_low"]
    )
    shares.of(keys[:1])
    assert curve(shares, "sum", keys[:2], keys[2:])[1] == pytest.approx(1.13 / 1.14, abs=0.02)


def test_other_orders_find_other_sizes():
    """A whole and its two halves, added up: the whole alone is enough, and so are both halves without it."""
    model, batch = adders([[1, 1], [1, 0], [0, 1], [0, 0]])
    keep = 0.8  # without one half, 0.9 is left
    sorted_first = sufficient_units(model, batch, keep=keep, bootstrap=0)
    assert kept_of(sorted_first) == {1, 2} and sorted_first.attrs["sufficient"][ALL]["spread"] is None
    spread = sufficient_units(model, batch, keep=keep, bootstrap=0, orders=12)
    assert spread.attrs["sufficient"][ALL]["spread"] == spread.attrs["sufficient"]["sum"]["spread"] == [1, 2]
    pd.testing.assert_frame_equal(spread, sorted_first, check_flags=False)


def test_the_same_seed_makes_the_same_table():
    net = lp.planted.combine(PARTS, random_units=4, listening=True, seed=5)
    batch = net.sample(32, length=20, seed=1)
    one, two, other = (sufficient_units(net.model, batch, bootstrap=30, orders=1, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, two)
    assert one.attrs == two.attrs and list(one["seed"].unique()) == [3] and list(other["seed"].unique()) == [4]


def test_attrs_survive_a_file(tmp_path):
    model, batch = adders([[1, 0], [0, 1], [0, 0]])
    table = sufficient_units(model, batch, bootstrap=20, orders=1)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    assert pd.read_parquet(tmp_path / "t.parquet").attrs == table.attrs


def test_targets_that_were_not_learned_are_left_out(caplog):
    net = lp.planted.combine(PARTS[:2], random_units=2, seed=3)
    batch = net.sample(32, length=20, seed=1)
    wrong = {"latch": torch.randn(32, 20, 1, generator=torch.Generator().manual_seed(0))}
    with caplog.at_level(logging.WARNING, "lstm_probe"):
        table = sufficient_units(net.model, replace(batch, targets={**batch.targets, **wrong}), bootstrap=20)
    assert set(table["target"]) == {ALL, "count"} and kept_of(table) == {net.where["count"]}
    assert caplog.messages == ["latch: not learned, so no set of units is looked for that carries it"]
    model, batch = adders([[1.0]])
    noise = torch.randn(batch.inputs.shape, generator=torch.Generator().manual_seed(7))
    with pytest.raises(NotLearnedError, match=r"targets: none was learned \(the best score after a refit is 0\.0\d, "):
        sufficient_units(model, replace(batch, targets={"sum": noise}))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"keep": 1.0}, r"keep=1\.0: must be a number above 0 and below 1"),
        ({"keep": 0, "orders": -1}, "keep=0: must be .*\norders=-1: must be a whole number from 0"),
        ({"keep": float("nan")}, "keep=nan: must be"),
        ({"orders": -2, "bootstrap": -3}, "orders=-2: must be a whole.*\nbootstrap=-3: must be a whole"),
        ({"variable": "z", "mode": "off"}, "variable=z.*\n.*mode=off"),
        ({"groups": [1, 2]}, "groups: shape"),
    ],
)
def test_bad_input(keywords, message):
    model, batch = adders([[1.0]])
    with pytest.raises(InputError, match=message):
        sufficient_units(model, batch, **keywords)


def test_batches_that_cannot_be_split_or_have_nothing_to_carry():
    model, batch = adders([[1.0]])
    with pytest.raises(InputError, match="sequences: 7; must be 8 or more, as one half of them chooses"):
        sufficient_units(model, batch[:7])
    with pytest.raises(InputError, match="targets: the batch has none"):
        sufficient_units(model, replace(batch, targets={}, target_specs=()))
    named = replace(batch, targets={"all": batch.targets["sum"], "b": batch.targets["sum"]},
                    target_specs=(Target("all"), Target("b")))  # fmt: skip
    two = SequenceModel(1, 2, 1)
    with torch.no_grad():
        two.lstm.load_state_dict(model.lstm.state_dict())
        two.readout.weight[:] = 1.0
    with pytest.raises(InputError, match="targets: all stands for all of them here; give that target another name"):
        sufficient_units(two, named)
    assert set(sufficient_units(model, batch[:8], bootstrap=5)["target"]) == {ALL, "sum"}
