"""Units matched between networks: copies found again, the nulls' size, networks of other tasks, and bad input."""

import logging
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.stats import ortho_group
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.network.settings import Experiment
from lstm_probe.probing.analyses.halves import make_halves
from lstm_probe.probing.analyses.matching import MATCH_COLUMNS, SIMILARITY_COLUMNS, over_networks
from lstm_probe.probing.inference.likeness import likeness
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.reproduce.networks import train


def recording(*layers, lengths=None, inputs=None):
    """A recording of layers whose c is given, each (sequence, time, unit)."""
    n, time, units = layers[0].shape
    inputs = torch.randn(n, time, 1, generator=torch.Generator().manual_seed(0)) if inputs is None else inputs
    parts = {
        (k, "forward"): LayerRecording(k, "forward", inputs, c=torch.as_tensor(values))
        for k, values in enumerate(layers)
    }
    lengths = np.full(n, time) if lengths is None else lengths
    return Recording(parts, torch.as_tensor(lengths), LSTMConfig(1, units, len(layers)))


def series(rng, n=24, time=12, units=5, rho=0.9):
    """Autoregressive units, mixed, with a trend over steps that all sequences share."""
    x = np.zeros((n, time, units))
    for t in range(time):
        x[:, t] = (rho * x[:, t - 1] if t else 0) + rng.normal(size=(n, units))
    return x @ rng.normal(size=(units, units)) + np.linspace(0, 2, time)[:, None] * rng.normal(size=units)


def responses(table):
    return table[table["by"] == "responses"].reset_index(drop=True)


def test_units_of_a_copy_are_found_again_whatever_their_order_sign_and_scale():
    rng = np.random.default_rng(0)
    x = series(rng)
    order, scale = rng.permutation(5), np.array([1, -3, 0.1, -1, 20])
    y = np.concatenate([rng.normal(size=(24, 12, 2)), x[..., order] * scale], axis=-1)
    constant = np.ones((24, 12, 1))
    rec = recording(y[..., :4], np.concatenate([y[..., 4:], constant], axis=-1))  # two layers, one unit is constant
    signals = {"first": x[..., 0] + 0.1 * rng.normal(size=(24, 12)), "none": rng.normal(size=(24, 12))}
    table = lp.match_units({"a": recording(x), "b": rec}, signals, permutations=39, task="t")
    assert list(table.columns) == list(MATCH_COLUMNS) and set(table["network"]) == {"a"} and len(table) == 10
    own = responses(table).sort_values("unit")
    place = {int(unit): divmod(int(np.flatnonzero(order == unit)[0]) + 2, 4) for unit in range(5)}
    assert [(row.other_layer, row.other_unit) for row in own.itertuples()] == [place[u] for u in range(5)]
    assert own["r"].to_numpy() == pytest.approx(np.sign(scale)[[int(np.flatnonzero(order == u)[0]) for u in range(5)]])
    assert (own["similarity"] > 1 - 1e-9).all() and (own["p_value"] == 1 / 40).all()
    assert own.iloc[0]["signal"] == own.iloc[0]["other_signal"] == "first"
    told = table[(table["by"] == "signals") & (table["unit"] == 0)].iloc[0]
    assert (told["other_layer"], told["other_unit"]) == place[0]
    assert told["similarity"] == pytest.approx(min(told["effect"], told["other_effect"])) and told["effect"] > 0.9


def test_r_and_effects_are_those_of_the_sequences_that_did_not_choose():
    rng = np.random.default_rng(1)
    x, noise, lengths = series(rng), rng.normal(size=(24, 12, 5)), np.full(24, 12)
    y, signal = x @ rng.normal(size=(5, 5)) + 3 * noise, x[..., 2] + rng.normal(size=(24, 12))
    table = responses(lp.match_units([recording(x), recording(y)], {"s": signal}, permutations=1, seed=4))
    held_out = make_halves([recording(x), recording(y)], {"s": signal}, "c", None, 4).halves[1].sequences
    assert len(held_out) == 12 and lengths.sum() == 288
    for row in table.itertuples():
        flat = [values[held_out].ravel() for values in (x[..., row.unit], y[..., row.other_unit], signal)]
        assert row.r == pytest.approx(np.corrcoef(flat[0], flat[1])[0, 1])
        assert row.effect == pytest.approx(np.corrcoef(flat[0], flat[2])[0, 1] ** 2)
        assert row.other_effect == pytest.approx(np.corrcoef(flat[1], flat[2])[0, 1] ** 2)


def test_steps_beyond_the_sequences_ends_play_no_part():
    rng = np.random.default_rng(2)
    x, y, lengths = series(rng), series(rng), rng.integers(6, 13, 24)
    changed = x.copy()
    changed[np.arange(12) >= lengths[:, None]] = 1e6
    found = [lp.match_units([recording(one, lengths=lengths), recording(y, lengths=lengths)], None, permutations=9)
             for one in (x, changed)]  # fmt: skip
    assert found[0].equals(found[1]) and found[0]["signal"].eq("").all()


def found_alike(networks, signals, seed):
    """By which measures two networks are more alike than under each of 19 exchanges: p = 0.05."""
    halves = make_halves(networks, signals, "c", None, seed)
    own, others = (halves.within(network)[1] for network in halves.networks)
    actual = halves.sums(*halves.networks)
    found = likeness(*actual, halves.owner, own, others)
    drawn = [likeness(*actual, halves.owner, own, others, sums) for sums in halves.shuffled(0, 1, 19)]
    return {key: all(found[key] > other[key] + 1e-9 for other in drawn) for key in found}


def test_unrelated_networks_are_found_alike_as_often_as_alpha_says(caplog):
    caplog.set_level(logging.ERROR)
    rng, below = np.random.default_rng(3), []
    for k in range(120):
        lengths = np.full(16, 8) if k % 2 else rng.integers(5, 9, 16)
        x, y = series(rng, 16, 8, 3), series(rng, 16, 8, 4)
        signals = {"s": x[..., 0] + rng.normal(size=(16, 8))}
        below.append(found_alike([recording(x, lengths=lengths), recording(y, lengths=lengths)], signals, k))
    low, high = stats.binom.ppf([0.001, 0.999], 120, 0.05)
    counts = pd.DataFrame(below).sum()
    assert ((counts >= low) & (counts <= high)).all(), counts


def slow(rng, *units):
    """Values of few steps; most of each a sequence has throughout."""
    return rng.normal(size=(32, 1, *units)) + 0.5 * rng.normal(size=(32, 4, *units))


def test_a_signal_that_one_network_tells_is_no_likeness_whichever_stands_first():
    alike = []
    for k in range(60):
        rng = np.random.default_rng(k)
        told = slow(rng)
        ignorant, knows = recording(slow(rng, 8)), recording(told[..., None] + 0.2 * slow(rng, 8))
        pairs = ([ignorant, knows], [knows, ignorant])
        alike.append([found_alike(pair, {"told": told}, k)["signals"] for pair in pairs])
        less = recording(told[..., None] + slow(rng, 6))
        assert k % 6 or found_alike([less, knows], {"told": told}, k)["signals"]
    counts = np.sum(alike, axis=0)
    assert (counts <= stats.binom.ppf(0.999, 60, 0.05)).all(), counts


def test_exchanged_networks_are_asked_about_the_signals_of_each_others_sequences():
    rng = np.random.default_rng(12)
    x, y = series(rng), series(rng)
    signal, lengths = x[..., 0] + y[..., 0], rng.integers(6, 13, 24)
    halves = make_halves([recording(x, lengths=lengths), recording(y, lengths=lengths)], {"s": signal}, "c", None, 0)
    (sums,) = halves.shuffled(0, 1, 1)
    for k, (half, found) in enumerate(zip(halves.halves, sums)):
        back, there = (halves.orders(network, 1)[k][0] for network in (0, 1))
        one, other = half.sequences[back], half.sequences[there]  # which sequences of either stand beside each other
        real = half.mask[back]
        for values, beside, table in ((x[one], signal[other], found.own), (y[other], signal[one], found.other)):
            expected = [np.corrcoef(values[real][:, u], beside[real])[0, 1] for u in range(5)]
            assert table[:, 0] == pytest.approx(expected)


def test_a_trend_over_steps_alone_is_no_likeness():
    rng = np.random.default_rng(4)
    trend = np.linspace(-3, 3, 12)[:, None] * np.ones(3)
    x, y = (trend + 0.3 * rng.normal(size=(24, 12, 3)) for _ in range(2))
    table = lp.network_similarity([recording(x), recording(y)], None, permutations=99, rotations=9, untrained=1)
    units = table[table["measure"] == "units"].iloc[0]
    assert units["similarity"] > 0.9 and units["shuffled"] > 0.9 and units["p_value"] > 0.05


def test_a_turned_space_is_alike_and_its_units_are_not():
    x = np.random.default_rng(5).normal(size=(40, 12, 8))  # no unit has anything of another
    turned = [x @ turn for turn in ortho_group.rvs(8, size=20, random_state=0)]
    found = []
    for y in (x[..., ::-1].copy(), *turned):
        table = lp.network_similarity([recording(x), recording(y)], None, permutations=3, rotations=39, untrained=1)
        own = table[table["network"] != "all"].set_index("measure")
        assert list(table.columns) == list(SIMILARITY_COLUMNS) and len(table) == 6
        assert (own["p_value"] == 1 / 4).all() and np.isnan(own.loc["cka", "p_rotation"])
        assert (own.loc[["cka", "procrustes"], "similarity"] > 0.98).all()
        found.append(own.loc["units", "p_rotation"])
    assert found[0] == 1 / 40 and sum(p <= 0.05 for p in found[1:]) <= stats.binom.ppf(0.999, 20, 0.05)


#: Two tasks side by side, either with inputs of its own.
BOTH = lp.get_task("compose", parts=["flipflop:length=12,bits=1", "parity:length=12"])


class Lines(nn.Module):
    """A network that reads only some of the input lines."""

    def __init__(self, model, lines):
        super().__init__()
        self.lstm, self.lines = model.lstm, lines

    def forward(self, x):
        return self.lstm(x[..., self.lines])[0]


@pytest.fixture(scope="module")
def of_two_tasks():
    """Two networks of either of two tasks, and sequences of both tasks side by side."""
    made = {}
    for name, lines in (("flipflop", slice(0, 1)), ("parity", slice(1, 2))):
        task = {"name": name, "length": 12} | ({"bits": 1} if name == "flipflop" else {})
        for seed in range(2):
            model = train(Experiment(task=task, units=4, seed=seed, steps=120)).model
            made[f"{name}{seed}"] = Lines(model, lines)
    return made, BOTH.sample(64, 3)


def test_networks_of_one_task_are_alike_and_of_independent_tasks_no_more_than_chance(of_two_tasks):
    networks, batch = of_two_tasks
    table = lp.network_similarity(networks, batch, permutations=99, rotations=9, untrained=3)
    own = table[table["network"] != "all"]
    same = own["network"].str[:4] == own["other"].str[:4]
    assert len(own) == 6 * 4 and (own[same]["p_value"] == 0.01).all()
    assert (own[~same]["p_value"] > 0.05).sum() >= 15  # 16 pairs and measures, each below 0.05 by chance 1 in 20
    assert own[same].groupby("measure")["similarity"].min()["units"] > own[~same]["similarity"].max()


@pytest.mark.parametrize("order", [1, -1])
def test_networks_of_independent_tasks_are_found_alike_as_often_as_alpha_says(of_two_tasks, order):
    networks, _ = of_two_tasks
    pair = {name: networks[name] for name in ("flipflop1", "parity1")[::order]}
    alike = pd.DataFrame([found_alike(pair, BOTH.sample(64, 100 + k), k) for k in range(60)]).sum()
    assert (alike <= stats.binom.ppf(0.999, 60, 0.05)).all(), alike


def test_modules_give_what_their_recordings_do(of_two_tasks):
    networks, batch = of_two_tasks
    pair = {name: networks[name] for name in ("flipflop0", "flipflop1")}
    recordings = {name: lp.record(model, batch.inputs, lengths=batch.lengths) for name, model in pair.items()}
    given = lp.match_units(recordings, batch.signals, permutations=5)
    assert lp.match_units(pair, batch, permutations=5).equals(given)
    assert not lp.match_units(pair, batch, permutations=5, variable="h").equals(given)


def test_untrained_networks_are_as_alike_as_such(of_two_tasks):
    _, batch = of_two_tasks
    fresh = []
    for seed in (101, 102):
        torch.manual_seed(seed)
        fresh.append(nn.LSTM(2, 6, batch_first=True))
    table = lp.network_similarity(fresh, batch, permutations=39, rotations=9, untrained=19)
    own = table[table["network"] != "all"].set_index("measure")
    assert (own["p_value"] == 1 / 40).all()  # they read the same
    assert (own["p_untrained"] > 0.05).all() and own.loc["units", "untrained"] > 0.3


def test_intervals_are_of_the_jackknife_and_cover_the_mean():
    pairs = [(a, b) for a in range(6) for b in range(a + 1, 6)]
    rng, covered = np.random.default_rng(6), 0
    for _ in range(400):
        own = rng.normal(size=6)
        values = np.array([0.5 + own[a] + own[b] + 0.1 * rng.normal() for a, b in pairs])
        low, high = over_networks(pairs, values)
        covered += low <= 0.5 <= high
    assert 0.9 <= covered / 400 <= 0.985
    n, theta = 6, values.mean()
    pseudo = [n * theta - (n - 1) * np.mean([v for p, v in zip(pairs, values) if k not in p]) for k in range(n)]
    assert (low, high) == pytest.approx(stats.t.interval(0.95, n - 1, theta, stats.sem(pseudo)))
    assert np.isnan(over_networks([(0, 1)], np.ones(1))).all()


def test_all_pairs_together_are_the_means_of_the_pairs():
    rng = np.random.default_rng(7)
    x = series(rng)
    networks = [recording(x + rng.normal(size=x.shape)) for _ in range(5)]
    table = lp.network_similarity(networks, {"s": x[..., 0]}, permutations=19, rotations=9, untrained=2)
    alone, every = table[table["network"] != "all"], table[table["network"] == "all"].set_index("measure")
    assert len(alone) == 10 * 4 and every["units"].isna().all()
    for key in ("similarity", "shuffled", "rotated", "untrained"):
        assert every[key].dropna().to_dict() == pytest.approx(alone.groupby("measure")[key].mean().dropna().to_dict())
    assert (every["ci_low"] < every["similarity"]).all() and (every["similarity"] < every["ci_high"]).all()


def test_no_interval_holds_what_no_likeness_can_be():
    """Four networks are nearly one, and the fifth is like none: their mean varies so much that t would go beyond 1."""
    rng = np.random.default_rng(3)
    x = series(rng)
    networks = [recording(x + 0.1 * rng.normal(size=x.shape)) for _ in range(4)] + [recording(series(rng))]
    table = lp.network_similarity(networks, None, permutations=9, rotations=9, untrained=2)
    alone, every = table[table["network"] != "all"], table[table["network"] == "all"].set_index("measure")
    values = alone[alone["measure"] == "units"]["similarity"].to_numpy()
    low, high = over_networks(list(combinations(range(5), 2)), values)
    assert high > 1 and every.loc["units", ["ci_low", "ci_high"]].tolist() == pytest.approx([max(low, -1), 1])
    assert every["ci_low"].min() >= -1 and every["ci_high"].max() <= 1


def test_untrained_networks_that_never_vary_say_nothing():
    x = series(np.random.default_rng(11))
    still = [recording(x, inputs=torch.zeros(24, 12, 1)), recording(x[..., :1], inputs=torch.zeros(24, 12, 1))]
    table = lp.network_similarity(still, None, permutations=9, rotations=9, untrained=5).iloc[0]
    assert np.isnan(table["p_untrained"]) and np.isnan(table["p_rotation"])  # nor does one unit have directions
    assert table["similarity"] > 0.99 and table["p_value"] == 0.1


def test_groups_stay_together_in_halves_and_in_exchanges():
    rng = np.random.default_rng(8)
    x, y, groups = series(rng, 48), series(rng, 48), np.repeat(np.arange(24), 2)
    halves = make_halves([recording(x), recording(y)], None, "c", groups, 0)
    for half in halves.halves:
        own = groups[half.sequences]
        assert np.unique(np.unique(own, return_counts=True)[1]).tolist() == [2]
        for order in half.exchange.permutations(5, 0):
            moved = own[order]
            assert all(len(np.unique(moved[own == g])) == 1 for g in own)


@pytest.mark.parametrize(
    ("networks", "given", "options", "message"),
    [
        (lambda x: [recording(x)], None, {}, "there is one only; what networks have in common cannot be concluded"),
        (lambda x: [], None, {}, "there are none"),
        (lambda x: {"all": recording(x), "b": recording(x)}, None, {}, "all stands for all pairs of them here"),
        (lambda x: [recording(x), recording(x[:, :8])], None, {}, "0 and 1 were recorded on other sequences"),
        (lambda x: [recording(x[:6])] * 2, None, {}, "recorded on 6 sequences; it takes at least 8"),
        (lambda x: {"a": recording(x), "b": recording(0 * x)}, None, {}, "b: no unit's c varies"),
        (lambda x: {"a": recording(x), "b": recording(x / 0 * 0)}, None, {}, "b: c is not a number"),
        (lambda x: [recording(x)] * 2, None, {"variable": "h"}, "variable=h: not recorded of 0; there are c"),
        (lambda x: [recording(x)] * 2, None, {"permutations": 0}, "permutations=0: must be a whole number from 1"),
        (lambda x: [recording(x), nn.LSTM(1, 2)], None, {}, "1 is a module; with modules, give the Batch"),
        (lambda x: [recording(x), "b"], None, {}, "recording: a str; match_units needs a Recording in memory"),
        (lambda x: [recording(x)] * 2, {"s": np.zeros(3)}, {}, r"signals\['s'\]: shape"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(networks, given, options, message):
    x = series(np.random.default_rng(9))
    with np.errstate(all="ignore"), pytest.raises(InputError, match=message):
        lp.match_units(networks(x), given, **options)


def test_other_inputs_are_pointed_out(caplog):
    x = series(np.random.default_rng(10))
    other = recording(x, inputs=torch.ones(24, 12, 1))
    lp.match_units({"a": recording(x), "b": other}, None, permutations=1)
    assert "other inputs went into a and b" in caplog.text
