"""Event-aligned averages and conditions: against plain loops, the textbook's interval, and a latch that is wired."""

import itertools
import math
import re
import statistics

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import lstm_probe as lp
from lstm_probe.probing.analyses.aligned import COLUMNS, around_the_event, average, most_moved
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording


def recording(lengths, time=12, units=3, seed=0, padding="right"):
    """A recording of noise; `inputs` has two features, of which the first is a pulse now and then."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(len(lengths), time, 2)).astype(np.float32)
    inputs[..., 0] *= rng.random((len(lengths), time)) < 0.2
    c = rng.normal(size=(len(lengths), time, units)) + np.arange(units) * 100
    part = LayerRecording(0, "forward", torch.as_tensor(inputs), c=torch.as_tensor(c), h=torch.tanh(torch.as_tensor(c)))
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(2, units), padding=padding)


def made_signals(lengths, time=12, seed=1):
    rng = np.random.default_rng(seed)
    partly = np.where(rng.random((len(lengths), time)) < 0.2, np.nan, rng.integers(0, 3, (len(lengths), time)) / 2)
    return {
        "partly": partly,
        "bit": rng.integers(0, 2, (len(lengths), time)),
        "state": rng.choice(["red", "green", "blue"], (len(lengths), time)),
        "level": rng.integers(0, 3, (len(lengths), time)).astype(float) / 2,
    }


def by_loop(values, lengths, is_event, condition, before, after):
    """By condition and offset: the values at that distance of each event, and the sequences that they are of."""
    found = {}
    for s, length in enumerate(lengths):
        for t in range(length):
            if is_event(s, t):
                for offset in range(-before, after + 1):
                    if 0 <= t + offset < length:
                        own = found.setdefault((condition(s, t), offset), ([], []))
                        own[0].append(values[s][t + offset])
                        own[1].append(s)
    return found


EVENTS = {
    "onset": ("bit", None, lambda v, s, t: t > 0 and v["bit"][s][t] == 1 and v["bit"][s][t - 1] == 0),
    "offset": ("bit", "offset", lambda v, s, t: t > 0 and v["bit"][s][t] == 0 and v["bit"][s][t - 1] == 1),
    "change": ("bit", "change", lambda v, s, t: t > 0 and v["bit"][s][t] != v["bit"][s][t - 1]),
    "of text": ("state", None, lambda v, s, t: t > 0 and v["state"][s][t] != v["state"][s][t - 1]),
    "of numbers": ("level", "change", lambda v, s, t: t > 0 and v["level"][s][t] != v["level"][s][t - 1]),
    "where it is known": ("partly", None, lambda v, s, t: t > 0 and abs(v["partly"][s][t] - v["partly"][s][t - 1]) > 0),
    "a pulse": ("input.0", None, lambda v, s, t: v["pulse"][s][t] != 0),
    "a step": (4, None, lambda v, s, t: t == 4),
    "a step in words": ("4", None, lambda v, s, t: t == 4),
}


@pytest.mark.parametrize("kind", list(EVENTS))
def test_averages_are_those_of_plain_loops(kind):
    lengths = [12, 9, 3, 12, 7, 1, 11, 12]
    rec, signals = recording(lengths), made_signals(lengths)
    event, edge, is_event = EVENTS[kind]
    known = {**signals, "pulse": rec.inputs[..., 0].numpy()}
    about = {"run": "r", "task": "t", "seed": 7, "variables": ["c", "h"]}
    table = lp.aligned_averages(rec, signals, event=event, edge=edge, by="state", before=3, after=4, **about)
    assert list(table.columns) == list(COLUMNS) and len(table) == 2 * 3 * 3 * 8
    assert (table["seed"] == 7).all() and (table["by"] == "state").all()
    some = 0
    for variable, unit in itertools.product("ch", range(3)):
        values = rec[0][variable][..., unit].numpy()
        expected = by_loop(
            values, lengths, lambda s, t: is_event(known, s, t), lambda s, t: signals["state"][s][t], 3, 4
        )
        own = table[(table["variable"] == variable) & (table["unit"] == unit)]
        for row in own.itertuples():
            numbers, sequences = expected.get((row.condition, row.offset), ([], []))
            assert (row.n_events, row.n_sequences) == (len(numbers), len(set(sequences)))
            if not numbers:
                assert math.isnan(row.mean)
                continue
            some += 1
            mean = statistics.fmean(numbers)
            assert row.mean == pytest.approx(mean, abs=1e-12)
            if len(numbers) > 1:
                assert row.sd == pytest.approx(statistics.stdev(numbers), rel=1e-9)
            else:
                assert math.isnan(row.sd)
            clusters = [sum(x - mean for x, s in zip(numbers, sequences) if s == one) for one in set(sequences)]
            if len(clusters) < 2:
                assert math.isnan(row.ci_low) and math.isnan(row.ci_high)
                continue
            g = len(clusters)
            half = stats.t.ppf(0.975, g - 1) * math.sqrt(g / (g - 1) * sum(e**2 for e in clusters)) / len(numbers)
            assert (row.ci_low, row.ci_high) == pytest.approx((mean - half, mean + half), abs=1e-9)
    assert some > 50


def test_of_one_event_a_sequence_the_interval_is_the_textbooks():
    rec = recording([12] * 9)
    table = lp.aligned_averages(rec, {}, event=5, before=0, after=0)
    for row in table.itertuples():
        values = rec.c[:, 5, row.unit].numpy()
        low, high = stats.t.interval(0.95, 8, loc=values.mean(), scale=stats.sem(values))
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high)) and row.condition == row.by == "all"


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Trials of a sequence are alike: steps are not the sample."""
    rng, inside = np.random.default_rng(3), 0
    for _ in range(600):
        trials = rng.integers(1, 6, 8)
        cluster = np.repeat(np.arange(8), trials)
        values = (np.repeat(rng.normal(size=8), trials) + 0.3 * rng.normal(size=len(cluster)))[:, None, None]
        found = average(values, np.ones((len(cluster), 1), dtype=bool), cluster)
        inside += bool(found["ci_low"] <= 0 <= found["ci_high"])
    assert 0.89 <= inside / 600 <= 0.98


def test_windows_are_as_long_as_the_sequences_where_nothing_is_said():
    assert set(lp.aligned_averages(recording([7, 9, 4]), {}, event=2)["offset"]) == set(range(-8, 9))
    offsets = lp.aligned_averages(recording([40] * 3, time=40), {}, event=2)["offset"]
    assert (offsets.min(), offsets.max()) == (-10, 20)


def test_groups_are_the_sample_where_there_are_any():
    rec, groups = recording([12] * 8), ["a", "b", "a", "b", "c", "c", "d", "d"]
    table = lp.aligned_averages(rec, {}, event=5, before=0, after=0, groups=groups)
    codes = np.array([0, 1, 0, 1, 2, 2, 3, 3])
    values = rec.c[:, 5].numpy()
    for row in table.itertuples():
        means = [values[codes == g, row.unit].mean() for g in range(4)]  # groups of one size
        low, high = stats.t.interval(0.95, 3, loc=np.mean(means), scale=stats.sem(means))
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high)) and row.n_sequences == 8


def test_many_units_are_averaged_a_few_at_a_time(monkeypatch):
    rec, signals = recording([12] * 6, units=7), made_signals([12] * 6)
    whole = lp.aligned_averages(rec, signals, event="bit", by="state")
    monkeypatch.setattr("lstm_probe.probing.analyses.aligned.MOST_VALUES", 1)
    pd.testing.assert_frame_equal(whole, lp.aligned_averages(rec, signals, event="bit", by="state"))


def test_a_planted_latch_goes_to_its_wired_value():
    net = lp.planted.combine([lp.planted.Latch(), lp.planted.Counter()], random_units=3, seed=2)
    batch = net.sample(60, length=30, seed=1)
    rec = lp.record(net.model, batch.inputs)
    unit, line = net.where["latch"], net.input_names.index("latch.set")
    reset = batch.inputs[..., net.input_names.index("latch.reset")] > 0
    alone = ["set" if not one else "both" for one in (reset & (batch.inputs[..., line] > 0)).any(1)]
    table = lp.aligned_averages(rec, batch.signals, event=f"input.{line}", by=alone, before=2, after=2)
    own = table[(table["unit"] == unit) & (table["condition"] == "set")].set_index("offset")
    assert own.loc[0, "mean"] == pytest.approx(net.factors["latch"]) and own.loc[0, "sd"] == pytest.approx(0, abs=1e-6)
    assert (own.loc[[-2, -1, 1, 2], "sd"] > 0.1).all()
    rises = lp.aligned_averages(rec, batch.signals, event="latch", before=1, after=0)
    own = rises[rises["unit"] == unit].set_index("offset")["mean"]
    assert own.tolist() == pytest.approx([0, net.factors["latch"]], abs=1e-6)
    assert most_moved(rises, 1)["unit"].unique().tolist() == [unit]
    small = around_the_event(rises)
    assert small[small["unit"] == unit]["at_the_event"].tolist() == pytest.approx([net.factors["latch"]])
    assert "after_0_steps" not in small and "after_2_steps" in around_the_event(table)


def test_events_and_conditions_that_are_given():
    lengths = [12, 8, 12, 5]
    rec, signals = recording(lengths), made_signals(lengths)
    at = np.zeros((4, 12), dtype=bool)
    at[0, 3] = at[2, 7] = at[3, 9] = True  # the last one is not real
    table = lp.aligned_averages(rec, signals, event=at, before=0, after=0)
    assert table["mean"].tolist() == pytest.approx([float((rec.c[0, 3, u] + rec.c[2, 7, u]) / 2) for u in range(3)])
    assert (table["event"] == "events").all() and (table["n_events"] == 2).all()
    labels = [1.0, np.nan, 2.0, 2.0]
    table = lp.aligned_averages(rec, signals, event=2, by=labels, before=0, after=0)
    assert dict(table.groupby("condition")["n_events"].max()) == {"1": 1, "2": 2} and set(table["by"]) == {"label"}
    left = recording(lengths, padding="left")
    moved = {"bit": np.stack([np.roll(row, 12 - n) for row, n in zip(signals["bit"], lengths)])}
    pd.testing.assert_frame_equal(
        lp.aligned_averages(rec, {"bit": signals["bit"]}, event="bit"), lp.aligned_averages(left, moved, event="bit")
    )


def test_too_few_sequences_are_said(caplog):
    rec = recording([12] * 4)
    lp.aligned_averages(rec, {}, event=3, by=["a", "b", "a", "c"])
    assert "no intervals, where the condition is b, c" in caplog.text
    caplog.clear()
    at = np.zeros((4, 12), dtype=bool)
    at[1, 3] = at[1, 8] = True
    assert lp.aligned_averages(rec, {}, event=at)["ci_low"].isna().all()
    assert "events of one sequence alone, so there are no intervals" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"event": "bits"}, r"event=bits: no such signal. Did you mean 'bit'\? There are bit, state, still, level, in"),
        ({"event": "still"}, r"event=still: has no onset or change in any sequence: there is nothing to align to"),
        ({"event": "still", "edge": "change"}, r"event=still: has no change in any sequence"),
        ({"event": "state", "edge": "onset"}, r"edge=onset: event=state is categorical"),
        ({"event": "bit", "edge": "rise"}, r"edge=rise: must be one of onset offset change"),
        ({"event": "input.2"}, r"event=input.2: there are the inputs input.0 to input.1"),
        ({"event": "input.1"}, r"event=input.1: there is one at every step, and so nothing to align to"),
        ({"event": 12}, r"event=12: no sequence has such a step; the longest has 12, counted from 0"),
        ({"event": np.zeros((4, 12))}, r"^event: has none: there is nothing to align to"),
        ({"event": np.full((4, 12), 0.5)}, r"event: an array of events must be true or false"),
        ({"event": np.zeros((4, 11))}, r"^event: shape \(4, 11\)"),
        ({"by": "stat"}, r"by=stat: no such signal. Did you mean 'state'\?"),
        ({"by": "level"}, r"by=level: continuous, with 3 values; conditions are classes"),
        ({"by": ["a", "b"]}, r"^by: shape \(2,\)"),
        ({"by": np.full(4, np.nan)}, r"^by: no step has a label"),
        ({"before": 12}, r"before=12: must be a whole number from 0 to 11, as the longest sequence has 12 steps"),
        ({"after": -1, "before": 99}, r"before=99: must .*after=-1: must be a whole number from 0 to 11"),
        ({"variables": ["q"]}, r"variables=q: must be among those recorded: h c"),
        ({"groups": [1, 2]}, r"groups: shape \(2,\)"),
    ],
)  # fmt: skip
def test_bad_input(wrong, told):
    rec, signals = recording([12, 9, 12, 4]), made_signals([12] * 4)
    signals = {"bit": signals["bit"], "state": signals["state"], "still": np.ones((4, 12)), "level": signals["level"]}
    with pytest.raises(lp.InputError) as found:
        lp.aligned_averages(rec, signals, **{"event": "bit", **wrong})
    assert re.search(told, " ".join(found.value.problems))


def test_tuning_curves_of_each_condition_are_those_of_its_steps():
    lengths = [12, 9, 12, 4, 11, 12]
    rec, signals = recording(lengths), made_signals(lengths)
    signals["x"] = np.random.default_rng(5).normal(size=(6, 12))
    by = made_signals(lengths, seed=9)["state"]
    every = lp.tuning_curves(rec, signals, levels=3, variables=["c"], lags=(0, 2), bootstrap=5)
    table = lp.tuning_curves(rec, signals, levels=3, variables=["c"], lags=(0, 2), bootstrap=5, by=by)
    assert list(table.columns) == [*every.columns, "condition"] and set(table["condition"]) == {"red", "green", "blue"}
    edges = every.groupby(["signal", "lag", "low"], sort=False)["high"].first()
    for row in table.itertuples():  # the levels are those of all steps
        assert edges[row.signal, row.lag, row.low] == row.high
        values = [
            float(rec.c[s, t, row.unit]) for s, n in enumerate(lengths) for t in range(row.lag, n)
            if by[s, t] == row.condition and row.low <= _number(signals[row.signal], s, t - row.lag) <= row.high
        ]  # fmt: skip
        assert row.n == len(values) > 0
        assert (row.mean, row.sd) == pytest.approx((np.mean(values), np.std(values)), rel=1e-6, abs=1e-9)
    assert (
        table.groupby(["unit", "signal", "lag"])["n"]
        .sum()
        .eq(every.groupby(["unit", "signal", "lag"])["n"].sum())
        .all()
    )
    signals["first"] = np.where(by == "red", 0.0, np.nan)  # never known in a condition
    assert set(lp.tuning_curves(rec, signals, by=by).query("signal == 'first'")["condition"]) == {"red"}


def _number(signal, s, t):
    return float(np.unique(signal).tolist().index(signal[s, t])) if signal.dtype.kind in "iUS" else float(signal[s, t])


def test_memory_curves_of_each_condition_are_those_of_its_sequences_alone():
    net = lp.planted.latch(2, seed=0)
    batch = net.sample(40, length=20, seed=3)
    rec = lp.record(net.model, batch.inputs)
    by, few = np.array([0, 1, 1, 0] * 10), {"permutations": 19, "untrained": 2, "folds": 3, "seed": 4}
    groups = np.arange(40) // 2
    split = lp.Split(np.arange(40) // 2 % 4)
    table = lp.memory_curves(rec, batch.signals, by=by, groups=groups, split=split, **few)
    for k in (0, 1):
        rows = torch.as_tensor(np.flatnonzero(by == k))
        some = {name: signal.values[rows] for name, signal in batch.signals.items()}
        own = lp.memory_curves(
            rec.rows(rows), {name: lp.Signal(name, v, batch.signals[name].kind) for name, v in some.items()},
            groups=groups[rows], split=lp.Split(split.fold[rows]), **few,
        )  # fmt: skip
        got = table[table["condition"] == str(k)].drop(columns="condition").reset_index(drop=True)
        pd.testing.assert_frame_equal(got.drop(columns="role"), own.drop(columns="role"))
    with pytest.raises(lp.InputError, match="by: changes within sequence 0; a condition must be the same at all steps"):
        lp.memory_curves(rec, batch.signals, by="latch")
    with pytest.raises(lp.InputError, match=r"by=0 \(2 sequences\): folds=5: there are only 2 sequences"):
        lp.memory_curves(rec, batch.signals, by=[0, 0] + [1] * 38)
    with pytest.raises(lp.InputError, match="by=nobody: no such signal"):
        lp.memory_curves(rec, batch.signals, by="nobody")


def test_conditions_of_signals_in_every_form():
    """A tensor, a DataFrame, and sequences of their own lengths, padded in front."""
    lengths = [12] * 10
    rec, given = recording(lengths), made_signals(lengths)["bit"]
    by, few = ["a"] * 5 + ["b"] * 5, {"permutations": 19, "untrained": 2, "folds": 2, "lags": (0, 1)}
    forms = [given, torch.as_tensor(given), [row.tolist() for row in given], [torch.as_tensor(row) for row in given]]
    tables = [lp.memory_curves(rec, {"bit": form}, by=by, **few) for form in forms]
    tables.append(lp.memory_curves(rec, pd.DataFrame({"bit": given.ravel()}), by=by, **few))
    tables.append(lp.memory_curves(recording(lengths, padding="left"), {"bit": given}, by=by, **few))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)
