"""What is so in few sequences: the part on which networks are compared has some of them, and what tells it is found."""

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference.untrained import random_part
from tests.probing.streaming.shards import Stream

QUICK = {"permutations": 99, "bootstrap": 2, "variables": ["h", "c"]}


def of_few_sequences(kind):
    """A counter in 400 sequences, and what is so in 10 of them alone: at their last 5 steps, where it is high."""
    net = lp.planted.counter(random_units=1)
    batch = net.sample(400, 60, seed=1)
    count = batch.signals["count"].values
    high = torch.zeros_like(count)
    for s in count[:, 55:].amin(1).argsort(descending=True)[:10].tolist():
        high[s, 55:] = 1
    last = torch.arange(60) >= 55
    return net, batch, lp.Signal("high", torch.where(last, high, torch.nan) if kind == "continuous" else high, kind)


@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_of_what_is_rare_the_part_has_some_sequences(kind):
    net, batch, high = of_few_sequences(kind)
    rec = lp.record(net.model, batch.inputs)
    study = make_study(rec, {"high": high, "count": batch.signals["count"]}, None, (0,), ("h", "c"), 5, 0)
    has = [int((torch.from_numpy(random_part(study, seed).signals[0].values) == 1).any(1).sum()) for seed in range(8)]
    assert min(has) == 8 and max(len(random_part(study, seed).lengths) for seed in range(8)) <= 400
    plain = make_study(rec, {"count": batch.signals["count"]}, None, (0,), ("h", "c"), 5, 0)
    assert len(random_part(plain, 0).lengths) == 80  # 4800 steps


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_that_tells_what_is_rare_exactly_is_found(seed):
    """The highest counts of all: 5 of 400 sequences come so far."""
    net, batch, _ = of_few_sequences("binary")
    count = batch.signals["count"].values
    top = lp.Signal("top", (count > count.amax(1).sort().values[-6]).float(), "binary")
    assert 1 <= (top.values == 1).any(1).sum() <= 5
    rec = lp.record(net.model, batch.inputs)
    table = lp.probe_units(rec, {"top": top}, seed=seed, **QUICK | {"variables": ["c"]})
    best = table.loc[table["effect"].idxmax()]
    assert best.unit == net.where["count"] and best.effect > 0.999 and best.testable
    assert best.p_untrained == pytest.approx(0.05)


def test_of_what_a_streams_part_has_not_nothing_is_said():
    net, batch, _ = of_few_sequences("binary")
    elsewhere = np.random.default_rng(derive_seed(2, "curves")).permutation(400)[80:]
    values = torch.zeros(400, 60)
    values[elsewhere[:20], 30:] = 1
    signals = {"label": lp.Signal("label", values, "binary"), "count": batch.signals["count"]}
    stream = Stream(lp.record(net.model, batch.inputs), signals, [250, 150])
    table = lp.probe_units(stream, split=lp.Split(np.arange(400) % 5), seed=2, **QUICK)
    told = table.groupby("signal")[["testable", "tracks"]].any()
    assert told.loc["count"].all() and not told.loc["label"].any()
    assert list(table.attrs["not_testable"]) == ["label"]
