"""The population table of a stream, against that of the same recording in memory."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.streaming import bins, control, populations
from lstm_probe.probing.streaming.control import ControlTask
from lstm_probe.probing.streaming.shards import Shard
from tests.probing.streaming.shards import Stream

FAST = {"bootstrap": 60, "untrained": 2}
KEYS = ["layer", "direction", "variable", "signal", "kind", "role", "metric", "lag"]
SCORES, EFFECTS = ["score", "r2_population", "ci_low", "ci_high"], ["untrained", "input_only"]


@pytest.fixture(scope="module")
def walk():
    """What an untrained network knows of sums, sides and states, from sequences of several lengths."""
    rng = torch.Generator().manual_seed(0)
    x, lengths = torch.randn(90, 14, 2, generator=rng), torch.randint(6, 15, (90,), generator=rng)
    torch.manual_seed(1)
    rec = lp.record(nn.LSTM(2, 6, batch_first=True), x, lengths=lengths, variables=("h", "c"))
    total = x.cumsum(1)
    signals = {
        "sum": total[..., 0],
        "side": total[..., 1] > 0,
        "state": (total > 0).long() @ torch.tensor([1, 2]),
        "flat": np.full((90, 14), 2.5),
    }
    return rec, signals


def compare(stream, memory):
    """All but the control task, which has other labels, is what memory says."""
    pd.testing.assert_frame_equal(stream[KEYS], memory[KEYS])
    assert tuple(stream.columns) == tuple(memory.columns)
    off = stream.attrs["auroc_error"]
    for column in (*SCORES, *EFFECTS):
        # Those of untrained networks are ranked by bins of a smaller sample.
        bound = off if column in SCORES else 2 * off + (2e-4 if column == "untrained" else 0)
        # Untrained networks are recorded with 32 bits, in blocks of other sizes.
        tolerance = np.where(memory.metric == "r2", 1e-8 if column == "untrained" else 1e-9, 1e-12 + bound)
        apart = (stream[column] - memory[column]).abs()
        assert ((apart <= tolerance) | (stream[column].isna() & memory[column].isna())).all(), column
    assert (stream.control.isna() == memory.control.isna()).all()
    assert np.allclose(stream.selectivity, stream.score - stream.control, equal_nan=True)


def test_the_table_is_that_of_memory(walk, monkeypatch):
    rec, signals = walk
    monkeypatch.setattr(populations, "PATH", 2)  # several passes
    memory = lp.probe_populations(rec, signals, lags=(0, 2), **FAST)
    stream = lp.probe_populations(Stream(rec, signals, [40, 17, 33]), lags=(0, 2), **FAST)
    compare(stream, memory)
    pd.testing.assert_series_equal(stream.n_units_90, memory.n_units_90)
    assert memory[memory.kind != "continuous"].n_units_90.max() > 2
    given = lp.probe_populations(Stream(rec, {}, [45, 45]), signals, lags=(0, 2), **FAST)
    compare(given, memory)


def test_aurocs_are_within_the_error_they_state(walk, monkeypatch):
    rec, signals = walk
    memory = lp.probe_populations(rec, signals, **FAST)
    monkeypatch.setattr(bins, "BINS", 64)
    stream = lp.probe_populations(Stream(rec, signals, [50, 40]), **FAST)
    assert 1e-3 < stream.attrs["auroc_error"] < 1 / 64
    ranked = memory.metric != "r2"
    apart = (stream.score - memory.score).abs()[ranked]
    assert (apart > 0).any() and (apart <= stream.attrs["auroc_error"]).all()


@pytest.mark.parametrize("names", [["sum"], ["side"]])
def test_signals_of_one_kind_alone(walk, names):
    rec, signals = walk
    own = {name: signals[name] for name in names}
    memory = lp.probe_populations(rec, own, variables=["c"], **FAST)
    stream = lp.probe_populations(Stream(rec, own, [60, 30]), variables=["c"], **FAST)
    compare(stream, memory)
    pd.testing.assert_series_equal(stream.n_units_90, memory.n_units_90)


def test_memorised_symbols_are_not_selective():
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 24, (120, 20))
    torch.manual_seed(0)
    model = nn.LSTM(24, 48, batch_first=True)
    with torch.no_grad():
        model.weight_hh_l0.zero_()
    rec = lp.record(model, torch.eye(24)[torch.from_numpy(symbols)], variables=("g",))
    signals = {"value": rng.normal(size=24)[symbols], "side": (rng.random(24) > 0.5)[symbols]}
    table = lp.probe_populations(Stream(rec, signals, [70, 50]), **FAST)
    assert (table.score > 0.99).all() and (table.control > 0.99).all()


def test_control_labels_follow_from_vectors_or_prefixes_and_are_drawn_like_the_signal(monkeypatch):
    rng = np.random.default_rng(0)
    net = nn.LSTM(2, 1, batch_first=True)
    for levels, by_vector in ((6, True), (2, False)):  # 36 vectors that come again; 4 are too few to be types
        symbols = rng.integers(0, levels, (300, 8, 2))
        rec = lp.record(net, torch.from_numpy(symbols).float(), variables=("h",))
        checked = check_signals({"bit": rng.random((300, 8)) < 0.3}, rec.mask.numpy())
        task, shard = ControlTask(seed=0), Shard(0, 0, rec, {})
        task.add(shard, checked)
        task.close()
        assert task.by_vector == by_vector
        (made,) = task.signals(shard, checked)
        seen = {}
        for row, labels in zip(symbols, made.values):
            for t in range(8):
                key = tuple(row[t]) if by_vector else tuple(row[: t + 1].ravel())
                assert seen.setdefault(key, labels[t]) == labels[t]
        if not by_vector:
            assert len(seen) > 700 and np.mean(list(seen.values())) == pytest.approx(0.3, abs=0.05)
    monkeypatch.setattr(control, "MOST_TYPES", 1000)
    many = lp.record(net, torch.randn(400, 50, 2), variables=("h",))
    task = ControlTask(seed=0)
    for k in range(2):  # the same steps twice
        task.add(Shard(k, 400 * k, many, {}), check_signals({"bit": rng.random((400, 50))}, many.mask.numpy()))
    assert len(task.kept) <= 1000
    assert len(task.kept) * 2**task.halved == pytest.approx(20_000, rel=0.15)


def test_bad_input_is_named(walk):
    rec, signals = walk
    stream = Stream(rec, signals, [90])
    with pytest.raises(InputError, match=r"estimator=logistic: a stream of recordings can only be probed with ridge"):
        lp.probe_populations(stream, estimator="logistic", **FAST)
    with pytest.raises(InputError, match=r"bootstrap=0"):
        lp.probe_populations(stream, bootstrap=0)
    with pytest.raises(InputError, match=r"split: made for 7 sequences; the recording has 90"):
        lp.probe_populations(stream, split=lp.Split.make(7), **FAST)
