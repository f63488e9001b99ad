"""The unit table of a stream, against that of the same recording in memory, and its memory."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.streaming import first_look
from lstm_probe.probing.streaming.first_look import bootstrap_blocks
from lstm_probe.probing.streaming.survey import Sample, Spread
from tests.handmade import counter_and_latch, counting_batch
from tests.probing.streaming.shards import Stream

FAST = {"permutations": 99, "bootstrap": 60, "untrained": 2}
KEYS = ["layer", "direction", "variable", "unit", "signal", "kind", "role", "metric", "lag"]
BASELINES = ["untrained", "untrained_best", "input_only", "input_window", "time_only"]
EXACT = ["score", "effect", "ci_low", "ci_high", *BASELINES]


def compare(stream, memory, auroc=1e-3):
    """What a stream says is what memory says, apart from the null, which exchanges other sequences."""
    pd.testing.assert_frame_equal(stream[KEYS], memory[KEYS])
    assert tuple(stream.columns) == tuple(memory.columns)
    assert 0 <= stream.attrs["auroc_error"] <= auroc
    ranked = memory.metric != "r2"
    for column in EXACT:
        tolerance = np.where(ranked, 1e-12 + 2 * stream.attrs["auroc_error"], 1e-9)
        if column.startswith("untrained"):  # rounding differs with the size of a batch, and unties equal values
            tolerance = tolerance + np.where(ranked, 2e-4, 1e-6)
        off = (stream[column] - memory[column]).abs()
        assert ((off <= tolerance) | (stream[column].isna() & memory[column].isna())).all(), column


@pytest.fixture(scope="module")
def planted():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    lengths = torch.randint(12, batch.inputs.shape[1] + 1, (len(batch),), generator=torch.Generator().manual_seed(3))
    rec = lp.record(model.lstm, batch.inputs, lengths=lengths)
    state = (batch.signals["latch"].values > 0).long() + (batch.signals["count"].values > 0).long()
    return rec, {**batch.signals, "state": state, "ups": batch.inputs[..., 0].double()}


def test_the_table_is_that_of_memory_and_the_same_units_track(planted):
    rec, signals = planted
    n = len(rec)
    options = {"variables": ["h", "c"], "lags": (0, 2), "permutations": 199, "bootstrap": 60, "untrained": 19}
    memory = lp.probe_units(rec, signals, **options)
    sizes = [40, 17, n - 57]
    stream = lp.probe_units(Stream(rec, signals, sizes), **options)
    compare(stream, memory)
    assert memory.tracks.sum() >= 4
    pd.testing.assert_series_equal(stream.tracks, memory.tracks)
    # Some sequences stand beside untrained networks: of so few all of them, and in memory.
    pd.testing.assert_series_equal(stream.p_untrained, memory.p_untrained)
    assert memory.p_untrained.nunique() > 3 and stream.testable.all()
    # Shards come without weights.
    assert stream.past_swap.isna().all() and stream.depth.isna().all() and memory.past_swap.notna().any()
    # Dependence between sequences is looked for in memory alone.
    assert {key: stream.attrs[key] for key in memory.attrs if key != "dependence"} == {
        key: value for key, value in memory.attrs.items() if key != "dependence"
    }
    # The null has the same distribution.
    assert (stream.p_value - memory.p_value).abs().mean() < 0.03


def test_one_shard_has_the_very_null_of_memory(planted):
    rec, signals = planted
    options = {"variables": ["c"], "lags": (0, 1), **FAST}
    memory = lp.probe_units(rec, signals, **options)
    stream = lp.probe_units(Stream(rec, {}, [len(rec)]), signals, **options)
    compare(stream, memory)
    continuous = memory.metric == "r2"
    for column in ("p_value", "p_family", "q_value"):
        assert np.allclose(stream[column][continuous], memory[column][continuous], atol=0.011)
        assert np.allclose(stream[column], memory[column], atol=0.021)
    assert (stream.p_value == memory.p_value).mean() > 0.95


def test_what_no_exchange_within_shards_can_show_is_not_testable(caplog):
    """Where every order of every shard's sequences is tried, as few scores come out as orders are told to differ."""
    n, time = 8, 5
    rec = lp.record(
        nn.LSTM(1, 3, batch_first=True), torch.randn(n, time, 1, generator=torch.Generator().manual_seed(0))
    )
    noise = np.random.default_rng(0).normal(size=(n, time))
    labels = {"step": np.arange(time) * np.ones((n, 1)), "shard": np.arange(n)[:, None] // 4 * np.ones(time, int),
              "half": np.arange(n)[:, None] % 2 * np.ones(time, int), "noise": noise}  # fmt: skip
    table = lp.probe_units(Stream(rec, labels, [4, 4]), variables=["c"], permutations=399, bootstrap=5)
    testable = table.groupby("signal")["testable"].first()
    assert testable.to_dict() == {"step": False, "shard": False, "half": False, "noise": True}
    orders = {
        tuple(np.r_[labels["half"][list(a), 0], labels["half"][list(b), 0]])
        for a in permutations(range(4)) for b in permutations(range(4, 8))
    }  # fmt: skip
    different = {min(one, tuple(1 - v for v in one)) for one in orders}
    assert table.attrs["not_testable"] == {
        "step": "the null leaves it as it is", "shard": "the null leaves it as it is",
        "half": f"only {len(different)} different exchanges of it within shards",
    }  # fmt: skip
    assert "null=shuffle: step, shard: alike in all sequences of a length in each shard" in caplog.text
    few = lp.probe_units(Stream(rec, labels, [4, 4]), variables=["c"], permutations=19, bootstrap=5)
    assert few.attrs["not_testable"]["noise"] == "permutations=19: too few for 4 signals"


@pytest.mark.parametrize("size", [1, 3])
def test_one_shard_is_testable_where_memory_is(size):
    n, time = 12, 4
    rec = lp.record(
        nn.LSTM(1, 2, batch_first=True), torch.randn(n, time, 1, generator=torch.Generator().manual_seed(0))
    )
    own = np.arange(n)[:, None] < size
    labels = {"few": own * np.ones(time, int), "step": np.arange(time) * np.ones((n, 1)), "flat": np.ones((n, time)),
              "noise": np.random.default_rng(0).normal(size=(n, time))}  # fmt: skip
    options = {"variables": ["c"], "permutations": 199, "bootstrap": 5}
    memory, stream = lp.probe_units(rec, labels, **options), lp.probe_units(Stream(rec, labels, [n]), **options)
    assert stream.testable.tolist() == memory.testable.tolist() and 0 < memory.testable.sum() < len(memory)
    assert list(stream.attrs["not_testable"]) == list(memory.attrs["not_testable"])


def test_a_stored_recording_is_probed_with_the_signals_beside_it_or_others(tmp_path):
    task = lp.get_task("flipflop", bits=2, length=20, min_length=9)
    batches = [task.sample(30, seed=k) for k in range(3)]
    torch.manual_seed(0)
    net = nn.LSTM(2, 3, bidirectional=True, proj_size=2, batch_first=True)
    stored = lp.record(net, batches, to=tmp_path / "r", variables=("h", "f"), shard_bytes=30_000)
    assert len(list((tmp_path / "r").glob("*.safetensors"))) > 3
    inputs, lengths = (torch.cat([getattr(b, name) for b in batches]) for name in ("inputs", "lengths"))
    rec = lp.record(net, inputs, lengths=lengths, variables=("h", "f"))
    given = {name: torch.cat([b.signals[name].values for b in batches]) for name in batches[0].signals}
    signals = {name: replace(batches[0].signals[name], values=values) for name, values in given.items()}
    memory = lp.probe_units(rec, signals, **FAST)
    compare(lp.probe_units(stored, **FAST), memory)
    compare(lp.probe_units(stored, signals, **FAST), memory)
    arrays = {"bit0": given["bit0"].numpy(), "since0": stored.signals["since0"]}
    compare(lp.probe_units(stored, arrays, **FAST), lp.probe_units(rec, {k: given[k] for k in arrays}, **FAST))


def test_kinds_are_inferred_and_constants_found_over_all_shards():
    rng = np.random.default_rng(0)
    x = torch.randn(60, 6, 2, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([6] * 20 + [2] * 20 + [5] * 20)  # the second shard has no step at lag 3
    torch.manual_seed(0)
    net = nn.LSTM(2, 3, batch_first=True)
    with torch.no_grad():
        for tensor in net.parameters():
            tensor[0::3] = 0  # unit 0 is constant: gates ½, cell input 0
    rec = lp.record(net, x, lengths=lengths)
    number = np.repeat([0, 1, 2], 20)[:, None].repeat(6, 1)
    signals = {
        "words": rng.choice(["up", "down", "sideways"], (60, 6)),
        "few": rng.integers(0, 4, (60, 6)),
        "many": rng.integers(0, 40, (60, 6)),
        "below": rng.integers(-2, 2, (60, 6)),
        "side": rng.random((60, 6)) > 0.7,
        "shard": number,  # a class that only one shard has
        "constant": np.full((60, 6), 3.5),
        "last": (number == 2).astype(float),
    }
    options = {"variables": ("c", "i"), "lags": (0, 3), **FAST}
    stream, memory = lp.probe_units(Stream(rec, signals, [20] * 3), **options), lp.probe_units(rec, signals, **options)
    compare(stream, memory)
    kinds = memory.groupby("signal").kind.first()
    assert kinds.to_dict() == {
        "words": "categorical", "few": "categorical", "many": "continuous", "below": "continuous", "side": "binary",
        "shard": "categorical", "constant": "continuous", "last": "binary",
    }  # fmt: skip
    assert stream[stream.signal == "constant"].score.isna().all()
    still = stream[(stream.unit == 0) & (stream.variable == "c") & stream.score.notna()]
    assert (still.effect == 0).all() and (still.p_value == 1).all()
    # Exchanging a shard's sequences changes nothing where all of them have the same value.
    lag0 = stream[stream.lag == 0].set_index("signal")
    assert (lag0.loc[["shard", "last"]].p_value == 1).all()


@pytest.mark.parametrize("names", [["count"], ["latch"], ["latch", "state"]])
def test_signals_of_one_kind_alone(planted, names):
    rec, signals = planted
    own, options = {name: signals[name] for name in names}, {"variables": ["c"], **FAST, "untrained": 19}
    stream, memory = lp.probe_units(Stream(rec, own, [60, 68]), **options), lp.probe_units(rec, own, **options)
    compare(stream, memory)
    assert (stream.tracks == memory.tracks).all() and stream.tracks.any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_of_numbers(dtype):
    x = torch.randn(40, 7, 2, generator=torch.Generator().manual_seed(0), dtype=dtype)
    torch.manual_seed(0)
    rec = lp.record(nn.LSTM(2, 3, batch_first=True, dtype=dtype), x, variables=("c",))
    signals = {"sum": x[..., 0].double().cumsum(1), "side": x[..., 1] > 0}
    parts = {k: replace(p, inputs=p.inputs.float(), c=p.c.float()) for k, p in rec.parts.items()}
    wide = rec if dtype == torch.float64 else lp.Recording(parts, rec.lengths, rec.config)
    got = lp.probe_units(Stream(rec, signals, [20, 20]), **FAST)
    want = lp.probe_units(wide, signals, **FAST)
    narrow = dtype == torch.bfloat16  # untrained networks run in these numbers, too
    for column in ("untrained", "untrained_best"):
        assert np.allclose(got[column], want[column], atol=0.02 if narrow else 1e-9), column
    exact = [name for name in EXACT if not name.startswith("untrained")]
    pd.testing.assert_frame_equal(got[[*KEYS, *exact]], want[[*KEYS, *exact]], atol=1e-9)
    pd.testing.assert_frame_equal(
        lp.probe_units(rec, signals, **FAST)[[*KEYS, *exact]], want[[*KEYS, *exact]], atol=1e-6
    )


def test_spreads_and_samples_of_parts_are_those_of_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal([0, 1e5], size=(3000, 2)).astype(np.float32)
    spread, sample = Spread(), Sample(seed=0)
    monkeypatch.setattr("lstm_probe.probing.streaming.survey.SAMPLE", 500)
    for part in np.split(rows, [0, 10, 11, 900, 2500]):
        spread.add(part)
        sample.add([part, part[:, :1]])
    wide = rows.astype(np.float64)
    assert spread.scale.mean == pytest.approx(wide.mean(0), rel=1e-13)
    assert 1 / spread.scale.factor == pytest.approx(wide.std(0), rel=1e-9)
    got, again = sample.result()
    assert len(got) == 500 == len(np.unique(got[:, 0])) and (got[:, :1] == again).all()
    places = np.flatnonzero(np.isin(rows[:, 0], got[:, 0]))
    assert abs(places.mean() - 1500) < 150  # from everywhere alike


def test_the_bootstrap_of_many_sequences_draws_blocks_of_one_fold(monkeypatch):
    split = Split.make(1003, 5, seed=1)
    monkeypatch.setattr(first_look, "MOST_BLOCKS", 100)
    group, blocks = bootstrap_blocks(split, seed=0)
    assert len(blocks) == 100 and (blocks.fold[group] == split.fold).all()
    sizes = np.bincount(group)
    assert sizes.min() >= 10 and sizes.max() <= 11
    x = torch.randn(1003, 5, 1, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    rec = lp.record(nn.LSTM(1, 4, batch_first=True), x, variables=("c",))
    signals = {"sum": x[..., 0].cumsum(1), "side": x[..., 0].cumsum(1) > 0}
    options = {"permutations": 9, "bootstrap": 1000, "untrained": 1, "min_effect": 1.0, "alpha": 1.0}
    memory = lp.probe_units(rec, signals, **options)
    stream = lp.probe_units(Stream(rec, signals, [500, 503]), **options)
    assert np.allclose(memory.score, stream.score, atol=1e-3)
    assert np.allclose((stream.ci_high - stream.ci_low) / (memory.ci_high - memory.ci_low), 1, atol=0.25)
    assert ((stream.ci_low <= stream.effect) & (stream.effect <= stream.ci_high)).all()


def test_noise_is_not_tracked():
    tracked = alone = pairs = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        walk = rng.normal(size=(48, 25)).cumsum(1)
        torch.manual_seed(seed)
        x = torch.from_numpy(rng.normal(size=(48, 25, 1)).cumsum(1)).float()
        rec = lp.record(nn.LSTM(1, 8, batch_first=True), x, variables=("c", "h"))
        signals = {"walk": walk, "side": walk > 0, "still": np.repeat(rng.normal(size=(48, 1)), 25, 1)}
        table = lp.probe_units(
            Stream(rec, signals, [24, 24]), seed=seed, permutations=99, bootstrap=2, untrained=19, init="torch",
            margin=0, min_effect=0, min_effect_class=0, least_margin=0,
        )  # fmt: skip
        tracked, pairs = tracked + table.tracks.sum(), pairs + len(table)
        alone += (table.p_family <= 0.05).sum()
    assert tracked / pairs <= 0.01 and alone / pairs <= 0.01


def test_bad_input_is_named(planted, caplog):
    rec, signals = planted
    n, half = len(rec), len(rec) // 2
    stream = Stream(rec, signals, [half, n - half])
    broken = rec.c.clone()
    broken[half + 3, 4, 1] = torch.nan
    nan = lp.Recording({(0, "forward"): replace(rec[0], c=broken)}, rec.lengths, rec.config)
    count = signals["count"].values.clone()
    count[half + 2, 1] = torch.inf

    class Changing(Stream):
        def shards(self):
            for shard, own in super().shards():
                yield (shard if self.visits < 2 else lp.Recording(shard.parts, shard.lengths - 1, shard.config)), own

    class Uneven(Stream):
        def shards(self):
            for k, (shard, own) in enumerate(super().shards()):
                yield shard, own if k == 0 else {}

    for problem, given, options in [
        (f"c: not a number at sequence {half + 3}, step 4", Stream(nan, signals, [half, n - half]), {}),
        (f"'count'.*: inf at sequence {half + 2}, step 1", stream, {"signals": {"count": count}}),
        ("signals: there are none", Stream(rec, {}, [n]), {}),
        ("signals: there are none", rec, {}),
        ("shard 1: its signals are not those of the first", Uneven(rec, signals, [half, n - half]), {}),
        (f"'x'.*: {n + 1} sequences; there are {n}", stream, {"signals": {"x": torch.rand(n + 1, 99)}}),
        ("'x'.*: it has 11 values|'x'.*binary, but it has", stream,
         {"signals": {"x": lp.Signal("x", torch.rand(n, 99), "binary")}}),
        ("shard 0: not the one that came here before", Changing(rec, signals, [half, n - half]), {}),
        ("each shard holds one sequence", Stream(rec, signals, [1] * n), {}),
        ("there are no shards", Stream(rec, signals, []), {}),
        ("variables=q: must be among those recorded", stream, {"variables": ["q"]}),
        ("permutations=0.*\nlags=-1", stream, {"permutations": 0, "lags": [-1]}),
        ("lags=500: sequences longer than that", stream, {"lags": [500]}),
        (f"split: made for 7 sequences; the recording has {n}", stream, {"split": Split.make(7)}),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=problem):
            lp.probe_units(given, **{**FAST, **options})
    with pytest.raises(InputError, match="a stream of recordings can only be probed with shuffle"):
        lp.probe_units(stream, null="roll")
    caplog.set_level(logging.WARNING)
    lp.probe_units(Stream(rec, {"count": signals["count"]}, [6] * (n // 6)), variables=["c"], **FAST)
    assert any("fewer than 16 sequences: the null" in message for message in caplog.messages)


MEMORY = """
import sys
import torch
import lstm_probe as lp
from lstm_probe.probing.streaming import first_look, survey, untrained

def peak():
    status = open("/proc/self/status").read().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024

def stream(batches):
    for k in range(batches):
        yield task.sample(128, seed=k)

task = lp.get_task("flipflop", bits=1, length=50)
torch.set_num_threads(1)
net = torch.nn.LSTM(1, 32, batch_first=True)
settings = {"permutations": 19, "bootstrap": 50, "untrained": 1, "alpha": 1}
peaks = []
survey.SAMPLE = untrained.SAMPLE = 8192
first_look.MOST_BLOCKS = 200
for batches in (6, 6, 24):
    stored = lp.record(net, stream(batches), to=f"{sys.argv[1]}/{len(peaks)}", variables=("c",))
    lp.probe_units(stored, **settings)
    lp.probe_populations(stored, bootstrap=50, untrained=1)
    peaks.append(peak())
print(peaks[2] - peaks[1])
"""


def test_memory_does_not_grow_with_the_number_of_steps(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", MEMORY, str(tmp_path)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    # 24 shards are 20 MB, 6 shards 5 MB; the sample and the blocks, made fewer here, are complete after two.
    assert float(done.stdout) < 6
