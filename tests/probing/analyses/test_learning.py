"""Learning along checkpoints: effects are those of `probe_units`, and when signals came is what was wired."""

import copy
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.probing.analyses.learning import (
    ACQUIRED_COLUMNS,
    COLUMNS,
    acquired,
    by_signal,
    learning_sentences,
    lowest_score,
    told_before,
)

FEW = {"permutations": 99, "bootstrap": 60, "untrained": 19, "seed": 3}
PAIR = ["layer", "direction", "variable", "unit", "signal", "lag"]


def switched(net, on):
    """A planted network in which only the units of these signals are still wired; the others stay at 0."""
    model = copy.deepcopy(net.model)
    off = [unit for name, unit in net.where.items() if name not in on]
    with torch.no_grad():
        units = model.lstm.hidden_size
        for unit in off:
            for values in (
                model.lstm.weight_ih_l0,
                model.lstm.weight_hh_l0,
                model.lstm.bias_ih_l0,
                model.lstm.bias_hh_l0,
            ):
                values.view(4, units, -1)[:, unit] = 0
    return model


@pytest.fixture(scope="module")
def learned():
    """A network that gets its latch at update 10, its counter at 40, and loses its parity after 10 until 90."""
    parts = [lp.planted.Latch(), lp.planted.Counter(), lp.planted.Parity()]
    net = lp.planted.combine(parts, random_units=2, seed=1)
    on = {0: [], 5: ["parity"], 10: ["latch", "parity"], 40: ["latch", "count"], 90: ["latch", "count", "parity"]}
    return net, {update: switched(net, names) for update, names in on.items()}, net.sample(80, length=30, seed=2)


@pytest.fixture(scope="module")
def curves(learned):
    _, checkpoints, batch = learned
    return lp.learning_curves(checkpoints, batch, run="r", task="t", **FEW)


def test_effects_are_those_of_probe_units_at_each_checkpoint(learned, curves):
    _, checkpoints, batch = learned
    assert list(curves.columns) == list(COLUMNS) and len(curves) == 5 * len(batch.signals) * 5
    assert (curves["run"] == "r").all() and (curves["task"] == "t").all() and (curves["seed"] == 3).all()
    for update, model in checkpoints.items():
        rec = lp.record(model, batch.inputs, lengths=batch.lengths, variables=["c"])
        probes = lp.probe_units(rec, batch.signals, **(FEW | {"untrained": 1, "permutations": 1})).set_index(PAIR)
        own = curves[curves["update"] == update].set_index(PAIR)
        columns = ["effect", "ci_low", "ci_high", "metric", "kind"]
        pd.testing.assert_frame_equal(own.loc[probes.index, columns], probes[columns])
        scores = batch.scores(model(batch.inputs).detach())
        assert own["task_score"].unique() == pytest.approx([min(scores.values())])


def test_what_is_tracked_and_counts_is_that_of_the_last_checkpoint(learned, curves):
    net, checkpoints, batch = learned
    rec = lp.record(checkpoints[90], batch.inputs, variables=["c"])
    probes = lp.probe_units(rec, batch.signals, **FEW).set_index(PAIR)
    for update in checkpoints:
        own = curves[curves["update"] == update].set_index(PAIR).loc[probes.index]
        assert (own["tracks"] == probes["tracks"]).all()
        for key, row in probes.iterrows():
            highest = max(row["input_only"], row["time_only"])
            least = 0.25 if row["kind"] == "continuous" else 0.46
            assert own.loc[key, "bar"] == pytest.approx(max(least, highest + max(0.2 * (1 - highest), 0.01)))
    assert dict(zip(curves[curves["tracks"]]["signal"], curves[curves["tracks"]]["unit"])) == dict(net.where)


def test_each_unit_acquires_its_signal_when_it_was_wired(learned, curves):
    net, _, _ = learned
    table = acquired(curves)
    assert list(table.columns) == list(ACQUIRED_COLUMNS) and len(table) == len(curves) / 5
    own = {name: table[(table["signal"] == name) & (table["unit"] == unit)].iloc[0] for name, unit in net.where.items()}
    assert {name: (row["acquired"], row["not_yet"]) for name, row in own.items()} == {
        "latch": (10, 5), "count": (40, 10), "parity": (90, 40),
    }  # fmt: skip
    assert {name: row["after"] for name, row in own.items()} == {
        "latch": "", "count": "latch", "parity": "",  # some unit told parity before, though not for good
    }  # fmt: skip
    assert table[table["effect"] < table["bar"]]["acquired"].isna().all()
    small = by_signal(curves)
    assert small["signal"].tolist() == ["latch", "count", "parity"] and (small["units_tracking"] == 1).all()
    assert by_signal(curves.assign(tracks=False)).empty
    shuffled = curves.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(acquired(shuffled).sort_values(PAIR, ignore_index=True),
                                  table.sort_values(PAIR, ignore_index=True))  # fmt: skip


def made(effects, tracks=(), width=0.05, bar=0.25):
    """Curves of one unit for each signal, whose intervals have this half width."""
    about = {"run": "", "task": "", "units": 4, "seed": 0, "layer": 0, "direction": "forward", "variable": "c"}
    about |= {"kind": "continuous", "role": "latent", "lag": 0, "metric": "r2", "bar": bar, "task_score": 0.1}
    rows = [
        {"unit": unit, "signal": signal, "update": update, "effect": effect, "tracks": signal in tracks}
        for unit, (signal, own) in enumerate(effects.items())
        for update, effect in enumerate(own)
    ]
    table = pd.DataFrame(rows).assign(**about)
    table = table.assign(ci_low=table["effect"] - width, ci_high=table["effect"] + width)
    return table.assign(after=told_before(table))[list(COLUMNS)]


@pytest.mark.parametrize(
    ("a", "b", "width", "tracks", "after"),
    [
        ([0, 0.9, 0.9], [0, 0, 0.9], 0.05, "ab", "a"),
        ([0, 0.9, 0.9], [0, 0.9, 0.9], 0.05, "ab", ""),
        ([0, 0.9, 0.9], [0, 0.23, 0.9], 0.05, "ab", ""),  # b's interval reaches the bar
        ([0, 0.27, 0.9], [0, 0, 0.9], 0.05, "ab", ""),  # a's does not leave it
        ([0, 0.9, 0.2, 0.9], [0, 0, 0, 0.9], 0.05, "ab", ""),  # a falls back
        ([0, 0.9, 0.26, 0.9], [0, 0, 0, 0.9], 0.05, "ab", "a"),  # and here does not
        ([0.9, 0.9, 0.9], [0, 0.9, 0.9], 0.05, "ab", "a"),
        ([0, 0.9, 0.9], [0, 0, 0.9], 0.05, "b", ""),  # nobody tracks a at the end
        ([0, 0.9, 0.9], [0, 0, 0.9], 0.05, "a", ""),
        ([0, 0, 0.9, 0.9], [0, 0.9, 0, 0.9], 0.05, "ab", ""),  # b was told before, though not for good
    ],
)
def test_one_comes_before_another_only_where_the_intervals_say_so(a, b, width, tracks, after):
    table = made({"a": a, "b": b}, tracks, width)
    assert table[table["signal"] == "b"]["after"].unique().tolist() == [after]
    assert table[table["signal"] == "a"]["after"].unique().tolist() == [""]


def test_another_unit_that_may_have_told_it_leaves_the_order_open():
    both = made({"a": [0, 0.9, 0.9], "b": [0, 0, 0.9]}, "ab")
    other = both[both["signal"] == "b"].assign(unit=7, effect=[0, 0.3, 0.1], ci_high=[0.1, 0.35, 0.15], tracks=False)
    whole = pd.concat([both, other], ignore_index=True)
    assert set(told_before(whole)) == {""} and set(both["after"]) == {"", "a"}


class About:
    """Of a card: the unit's signals."""

    def __init__(self, *signals):
        best, *others = [SimpleNamespace(signal=signal, lag=0) for signal in signals] or [None]
        self.unit = SimpleNamespace(best=best, others=tuple(others))
        self.of_variable = lambda own: own


def test_a_card_says_when_of_what_is_tracked():
    table = made({"a": [0, 0.9, 0.9], "b": [0, 0, 0.9], "c": [0.8, 0.9, 0.9], "d": [0, 0, 0.9]}, "abc")
    said = {}
    for unit, signal in enumerate("abcd"):
        said[signal] = list(learning_sentences(table[table["unit"] == unit], About(signal)))
    start, end = "Along training it told", "which some unit told when none told"
    assert said == {
        "a": [f"{start} a from update 1 on, and not at 0, after c, {end} a."],
        "b": [f"{start} b from update 2 on, and not at 1, after a and c, {end} b."],
        "c": [f"{start} c before training already."],
        "d": [],
    }
    late = table.assign(update=table["update"] + 5)
    assert list(learning_sentences(late[late["unit"] == 2], About("c"))) == [
        "Along training it told c at the first checkpoint already (update 5)."
    ]
    assert not list(learning_sentences(table[:0], About("a"))) and not list(learning_sentences(table, About()))


def test_only_a_unit_that_tracks_it_at_the_end_can_have_told_it_before():
    both = made({"a": [0, 0, 0.9], "b": [0, 0, 0.9]}, "ab")
    other = both[both["signal"] == "a"].assign(unit=7, ci_low=0.85, effect=0.9, ci_high=0.95, tracks=False)
    whole = pd.concat([both, other], ignore_index=True)
    assert set(told_before(whole)) == {""}
    whole.loc[whole["unit"] == 7, "tracks"] = True
    assert set(zip(whole["signal"], told_before(whole))) == {("a", ""), ("b", "a")}


def test_networks_of_a_loop_are_scored_without_their_dropout_and_left_training(learned):
    _, checkpoints, batch = learned
    alone = lowest_score(checkpoints[90], batch)

    class Dropping(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model, self.drop = model, nn.Dropout(0.5)

        def forward(self, inputs):
            return self.drop(self.model(inputs))

    dropping = Dropping(checkpoints[90]).train()
    assert alone == lowest_score(dropping, batch) > 0.9 and dropping.training


@pytest.mark.parametrize(
    ("checkpoints", "told"),
    [
        ({}, "checkpoints: there are none; they are networks by how many updates"),
        ({-1: nn.LSTM(3, 2)}, "checkpoints: -1: must be a whole number of updates from 0"),
        ({0: nn.LSTM(3, 2), 5: nn.LSTM(3, 4)}, r"checkpoints\[5\]: not of the architecture of checkpoints\[0\]"),
    ],
)
def test_bad_input(learned, checkpoints, told):
    with pytest.raises(lp.InputError, match=told):
        lp.learning_curves(checkpoints, learned[2])


def test_a_batch_without_targets_and_a_plain_module():
    lstm = nn.LSTM(2, 3, batch_first=True)
    inputs = torch.randn(24, 8, 2)
    signals = {"sum": lp.Signal("sum", inputs[..., 0].cumsum(1))}
    batch = lp.Batch(inputs, {}, (), torch.full((24,), 8), signals)
    table = lp.learning_curves({0: lstm, 7: copy.deepcopy(lstm)}, batch, variables=None, permutations=19, untrained=1,
                               bootstrap=5)  # fmt: skip
    assert table["task_score"].isna().all() and set(table["variable"]) == set("hcifgo")
    first, last = (table[table["update"] == k].drop(columns="update").reset_index(drop=True) for k in (0, 7))
    pd.testing.assert_frame_equal(first, last)
