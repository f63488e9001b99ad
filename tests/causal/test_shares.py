"""Shapley values of units against all subsets, planted networks and games whose value is known."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.causal import shares
from lstm_probe.causal.draws import Draws
from lstm_probe.causal.intervening import Intervening
from lstm_probe.core.columns import PAIR_COLUMNS, SHARE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.measure import Subject
from lstm_probe.runs.settings import complete
from tests.handmade import counter_and_latch, counting_batch, silent

NEVER = 1e-9  # an error that is not reached


@pytest.fixture
def all_pairs(monkeypatch):
    """Pairs are drawn to the last, though they are no use."""
    monkeypatch.setattr(shares, "CLOSE", 0.0)


def imitated(model, n, seed, noise=0.3, time=12):
    """Random inputs, with what a network itself makes of them as targets, and some noise."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, time, model.lstm.input_size, generator=rng)
    with torch.no_grad():
        y = model(x)
    y = y + noise * y.std((0, 1)) * torch.randn(y.shape, generator=rng)
    names = [f"y{k}" for k in range(y.shape[-1])]
    targets = {name: y[..., k : k + 1] for k, name in enumerate(names)}
    return Batch(x, targets, tuple(map(Target, names)), torch.full((n,), time), {})


def lively(units, layers=1, seed=0):
    """An untrained network whose units hear each other well."""
    model = SequenceModel(2, 2, units, layers, seed=seed).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights *= 2.5
    return model


def all_subsets(model, batch):
    """Shapley values from v of all subsets, with squared correlations by NumPy."""
    runs = Intervening(model, batch)
    n, value = len(runs.keys), {}
    for k in range(n + 1):
        for kept in combinations(range(n), k):
            outputs = runs.outputs([key for u, key in enumerate(runs.keys) if u not in kept]).outputs
            value[kept] = np.array([
                0 if own.std() < 1e-6 else
                np.corrcoef(own.flatten().double(), batch.targets[spec.name].flatten().double())[0, 1] ** 2
                for spec, own in zip(batch.target_specs, outputs.unbind(-1))
            ])  # fmt: skip
    share = np.zeros((n, len(batch.target_specs)))
    for u in range(n):
        for kept in value:
            if u not in kept:
                gain = value[tuple(sorted((*kept, u)))] - value[kept]
                share[u] += gain / (n * comb(n - 1, len(kept)))
    return share


def wide(table):
    return table.pivot(index=["layer", "unit"], columns="target", values="share").to_numpy()


@pytest.mark.parametrize(("units", "layers"), [(5, 1), (2, 2)])
def test_shares_are_those_of_all_subsets(units, layers, all_pairs):
    model = lively(units, layers)
    batch = imitated(model, 48, 1)
    table = lp.unit_shares(model, batch, error=NEVER, pairs=60, sequences=48, run="r", task="t", seed=3)
    truth = all_subsets(model, batch)
    assert list(table.columns) == list(SHARE_COLUMNS) and len(table) == 2 * units * layers
    assert np.abs(wide(table) - truth).max() < 0.02 and np.abs(truth).max() > 0.2
    assert (np.abs(wide(table) - truth) <= 4 * table.pivot(index=["layer", "unit"], columns="target",
                                                           values="se").to_numpy()).all()  # fmt: skip
    assert (table["ci_low"] < table["share"]).all() and (table["share"] < table["ci_high"]).all()
    sums = table.groupby("target")["share"].sum()
    for target, whole in table.attrs["whole"].items():
        assert sums[target] == pytest.approx(whole, abs=1e-6)
    assert table.attrs["pairs"] == 60 and table.attrs["passes"] == 60 * 2 * units * layers
    assert not table.attrs["reached"] and table.attrs["largest_se"] == table["se"].max()
    assert set(table["run"]) == {"r"} and set(table["task"]) == {"t"} and set(table["seed"]) == {3}


def test_a_planted_unit_has_all_of_it_and_the_unread_have_exactly_nothing():
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()], random_units=5, seed=2)
    batch = net.sample(256, length=30, seed=1)
    table = lp.unit_shares(net.model, batch, seed=1)
    for target, unit in net.where.items():
        own = table[table["target"] == target].set_index("unit")["share"]
        assert own[unit] == pytest.approx(table.attrs["whole"][target], abs=1e-9) and own[unit] > 0.95
        assert (own.drop(unit) == 0).all()
    assert table.attrs["reached"] and table.attrs["pairs"] == 30
    again = lp.unit_shares(net.model, batch, seed=1)
    assert again.equals(table) and again.attrs == table.attrs


def copied(copies=(5, 6)):
    """A network whose latch is held by several units alike."""
    model = counter_and_latch(0)
    lstm, units = model.lstm, 8
    with torch.no_grad():
        for unit in copies[1:]:
            for k in range(4):
                for weights in (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0):
                    weights[k * units + unit] = weights[k * units + copies[0]]
            model.readout.weight[1, unit] = 1.0
    return model


@pytest.mark.parametrize("copies", [(5, 6), (5, 6, 1)])
def test_copies_share_alike(copies, all_pairs):
    table = lp.unit_shares(copied(copies), counting_batch(1, n=256), error=NEVER, pairs=20)
    own = table[table["target"] == "latch"].set_index("unit")
    assert own.loc[list(copies), "share"].sum() > 0.99
    assert (own["share"].drop(list(copies)) == 0).all()
    for unit in copies:
        off = abs(own["share"][unit] - 1 / len(copies))
        assert off <= 3 * own["se"][unit] + 0.005
    if len(copies) == 2:
        assert own["se"].max() < 0.005


class Product(nn.Module):
    """Two units, each of which holds one input of the first step; what comes out is their product."""

    def __init__(self):
        super().__init__()
        self.lstm = silent(3, 2)
        with torch.no_grad():
            self.lstm.bias_ih_l0[:6] = self.lstm.bias_ih_l0[9:] = 30.0
            self.lstm.weight_ih_l0[6, 0] = self.lstm.weight_ih_l0[7, 1] = 0.5

    def forward(self, x):
        h = self.lstm(x)[0]
        return h[..., :1] * h[..., 1:2]


def exclusive(n=32, time=5):
    a, b = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]).repeat(n // 4, 1).T
    x = torch.zeros(n, time, 2)
    x[:, 0] = torch.stack([a, b], dim=-1)
    y = (a * b)[:, None, None].expand(n, time, 1)
    return Batch(x, {"xor": y}, (Target("xor"),), torch.full((n,), time), {})


def test_two_that_need_each_other_share_alike_and_interact():
    batch = exclusive()
    table = lp.unit_shares(Product(), batch, sequences=32)
    assert table["share"].tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    pairs = lp.unit_pairs(Product(), batch)
    assert list(pairs.columns) == list(PAIR_COLUMNS) and len(pairs) == 3
    first = pairs.iloc[0]
    assert (first["unit"], first["other"], first["target"]) == (0, 1, "xor")
    assert [first[k] for k in ("drop", "other_drop", "both_drop", "interaction")] == pytest.approx([1, 1, 1, -1])
    assert pairs["interaction"][1:].tolist() == pytest.approx([0, 0])


def test_copies_interact_and_only_they_do():
    model, batch = copied(), counting_batch(1, n=64)
    pairs = lp.unit_pairs(model, batch, bootstrap=50)
    first = pairs.iloc[0]
    assert (first["unit"], first["other"], first["target"]) == (5, 6, "latch") and len(pairs) == 28 * 2
    assert first["interaction"] == pytest.approx(first["both_drop"]) and first["both_drop"] > 0.98
    assert first["ci_low"] <= first["interaction"] <= first["ci_high"]
    assert np.allclose(pairs["interaction"][1:], 0, atol=1e-9)
    some = lp.unit_pairs(model, batch, units=[6, (0, "forward", 3), 5], bootstrap=0)
    assert set(zip(some["unit"], some["other"])) == {(3, 5), (3, 6), (5, 6)} and some["ci_low"].isna().all()
    for units, message in (([3], "make no pair"), ([3, 8], "units: 8: no such unit"), ([3, 3], "twice")):
        with pytest.raises(InputError, match=message):
            lp.unit_pairs(model, batch, units=units)


def test_pairs_are_ordered_by_size_whatever_the_sign():
    model = lively(4, 2)
    batch = imitated(model, 48, 1)
    pairs = lp.unit_pairs(model, batch, bootstrap=0)
    size = pairs["interaction"].abs()
    assert size.is_monotonic_decreasing and pairs["interaction"].min() < 0 < pairs["interaction"].max()
    row = pairs.iloc[5]
    keys = [(int(row["layer"]), row["direction"], int(row["unit"])),
            (int(row["other_layer"]), row["other_direction"], int(row["other"]))]  # fmt: skip
    runs, k = Intervening(model, batch), int(row["target"][1:])

    def r2(clamped):
        y, o = batch.targets[row["target"]].flatten(), runs.outputs(clamped).outputs[..., k].flatten()
        return np.corrcoef(y.double(), o.double())[0, 1] ** 2

    with torch.no_grad():
        expected = r2(keys[:1]) + r2(keys[1:]) - r2(keys) - r2([])
    assert row["interaction"] == pytest.approx(expected, abs=1e-6)


def test_draws_take_all_before_any_twice_and_whole_groups():
    draws = Draws(np.arange(40), 10, 0)
    first = [draws.next() for _ in range(4)]
    assert sorted(np.concatenate([chosen for chosen, _ in first])) == list(range(40)) and draws.beyond(4) == 0
    assert all(sorted(half) == [0] * 5 + [1] * 5 for _, half in first)
    draws.next()
    assert draws.beyond(5) > 0 and draws.counts.max() == 2
    groups = np.repeat(np.arange(6), [3, 9, 4, 4, 4, 30])
    draws = Draws(groups, 8, 0)
    for _ in range(12):
        chosen, half = draws.next()
        taken = set(groups[chosen])
        assert len(chosen) == np.isin(groups, list(taken)).sum() >= 8 and len(taken) >= 2
        assert all(len(set(half[groups[chosen] == group])) == 1 for group in taken) and set(half) == {0, 1}
    few = Draws(np.arange(6), 10, 0)
    assert all(len(few.next()[0]) == 6 for _ in range(3)) and few.beyond(3) == pytest.approx(1)


@pytest.mark.parametrize(("n", "drawn"), [(40, 4), (40, 10), (40, 30), (10, 5), (15, 8)])
def test_the_variance_of_a_mean_over_draws_is_known_however_often_sequences_come_back(n, drawn):
    """Sequences of variance 1, 10 a draw, and noise of each draw with variance 0.04."""
    rng = np.random.default_rng(1)
    known, told = [], []
    for k in range(1500):
        values, draws = rng.standard_normal(n), Draws(np.arange(n), 10, k)
        own = np.array([values[draws.next()[0]].mean() for _ in range(drawn)]) + 0.2 * rng.standard_normal(drawn)
        known.append(np.square(draws.counts / draws.counts.sum()).sum() + 0.04 / drawn)
        told.append(own.var(ddof=1) / drawn + draws.beyond(drawn) / 10)
    assert np.mean(told) == pytest.approx(np.mean(known), rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("n", [32, 256])
def test_standard_errors_are_those_of_repeats_on_other_sequences(n, all_pairs):
    model = lively(3, seed=1)
    every = [lp.unit_shares(model, imitated(model, n, 100 + k, noise=1.0), error=NEVER, pairs=10, sequences=32, seed=k)
             for k in range(20)]  # fmt: skip
    share, se = (np.stack([table[column] for table in every]) for column in ("share", "se"))
    told = np.sqrt((se**2).mean(0)) / share.std(0, ddof=1)
    assert 0.85 < told.mean() < 1.2 and told.min() > 0.6


def test_pairs_end_where_the_sequences_are_too_few(caplog):
    model = lively(4, seed=1)
    table = lp.unit_shares(model, imitated(model, 8, 0, noise=1.0, time=5), sequences=8)
    assert not table.attrs["reached"] and 30 <= table.attrs["pairs"] < 200
    assert "more pairs do not mend it: of 8 sequences" in caplog.text
    caplog.clear()
    lp.unit_shares(model, imitated(model, 512, 0), sequences=32, pairs=2)
    assert "after 2 pairs" in caplog.text and "more pairs reach it" in caplog.text


def test_groups_are_drawn_whole(all_pairs):
    model = lively(3)
    batch = imitated(model, 64, 0)
    alike = Batch(batch.inputs[:8].repeat(8, 1, 1), {k: y[:8].repeat(8, 1, 1) for k, y in batch.targets.items()},
                  batch.target_specs, batch.lengths, {})  # fmt: skip
    alone = lp.unit_shares(model, alike, error=NEVER, pairs=20, sequences=16)
    grouped = lp.unit_shares(model, alike, error=NEVER, pairs=20, sequences=16, groups=np.arange(64) % 8)
    assert grouped["se"].max() > 1.2 * alone["se"].max()  # eight copies of eight sequences are no 64


def test_classes_are_shared_out_too():
    net = lp.planted.dyck(2, 2)
    batch = net.sample(48, length=10, seed=0)
    table = lp.unit_shares(net.model, batch, pairs=3)
    sums = table.groupby("target")["share"].sum()
    assert sums.to_dict() == pytest.approx(table.attrs["whole"], abs=1e-6)


def test_what_is_not_learned_has_no_shares(caplog):
    model, batch = counter_and_latch(0), counting_batch(0, n=64)
    other = torch.randn(64, 40, 1, generator=torch.Generator().manual_seed(0))
    batch = Batch(batch.inputs, {**batch.targets, "count": other}, batch.target_specs, batch.lengths, {})
    table = lp.unit_shares(model, batch, pairs=10)
    known = table.set_index("target")["share"]
    assert known["count"].isna().all() and known["latch"].max() > 0.9 and "count (0.0" in caplog.text
    assert table.attrs["whole"]["latch"] > 0.9
    lost = Batch(batch.inputs, dict.fromkeys(batch.targets, other), batch.target_specs, batch.lengths, {})
    with pytest.raises(InputError, match=r"below 0\.05 for every target: count"):
        lp.unit_shares(model, lost)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"error": 0.0, "pairs": 1, "sequences": 3}, r"pairs=1: .*\nsequences=3: .*\nerror=0.0: "),
        ({"mode": "resample"}, "mode=resample: the values"),
        ({"mode": "off"}, "mode=off: must be one of"),
        ({"variable": "z"}, "variable=z: must be one of"),
    ],
)
def test_bad_input(keywords, message):
    with pytest.raises(InputError, match=message):
        lp.unit_shares(counter_and_latch(0), counting_batch(0, n=16), **keywords)


def test_without_targets_there_is_nothing_to_share():
    bare = Batch(torch.zeros(8, 3, 4), {}, (), torch.full((8,), 3), {})
    for function in (lp.unit_shares, lp.unit_pairs):
        with pytest.raises(InputError, match="it has no targets"):
            function(counter_and_latch(0), bare)
    with pytest.raises(InputError, match="3 sequences; there must be 4"):
        lp.unit_shares(counter_and_latch(0), counting_batch(0, n=3))


def test_a_run_takes_more_sequences_for_shares_and_none_of_them_where_nothing_is_learned(caplog):
    analysis, task = ANALYSES["shares"], lp.get_task("flipflop", bits=1, length=8)
    model = SequenceModel(task.n_inputs, task.n_outputs, 2, seed=1).eval()
    subject = Subject(model, task, "ablate", complete("ablate", {"sequences": 16, "share_pairs": 2}), 0, "r")
    assert len(subject.batch) == 16 and len(subject.batch_for(analysis)) == 2048
    assert len(subject.batch_for(ANALYSES["ablations"])) == 16
    table = subject.table(analysis)
    assert list(table.columns) == list(analysis.columns) and len(table) == 2
    with torch.no_grad():
        model.readout.weight.zero_()
    assert len(subject.table(analysis)) == 0 and "nothing to share out" in caplog.text


def test_of_one_sequence_alone_pairs_have_no_interval():
    pairs = lp.unit_pairs(counter_and_latch(0), counting_batch(0, n=1), units=[3, 5], bootstrap=20)
    assert pairs["interaction"].notna().all() and pairs[["ci_low", "ci_high"]].isna().all(axis=None)
