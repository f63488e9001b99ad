"""What the present input tells of signals, over a stream, against the same recording in memory."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.probing.streaming import present
from lstm_probe.probing.streaming.present import InputSurvey
from lstm_probe.probing.streaming.shards import Source
from tests.probing.streaming.shards import Stream

OPTIONS = {"variables": ["c"], "untrained": 1, "lags": (0, 3)}


def recorded(kind, n=90, time=12):
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, time + 1, n)
    words = rng.integers(0, 40, (n, time))
    x = {
        "bits": rng.integers(0, 2, (n, time, 2)).astype(float), "words": rng.normal(size=(40, 6))[words],
        "numbers": rng.normal(size=(n, time, 2)), "wide": rng.normal(size=(n, time, 45)), "none": np.ones((n, time, 1)),
    }[kind]  # fmt: skip
    torch.manual_seed(0)
    inputs = torch.from_numpy(x).float()
    rec = lp.record(nn.LSTM(x.shape[-1], 2, batch_first=True), inputs, lengths=torch.from_numpy(lengths))
    product = x[..., 0] * x[..., -1] if kind != "words" else rng.normal(size=40)[words]
    noise = rng.normal(size=(n, time))
    # Three steps later the input tells what the signal was: the lag finds it.
    signals = {"product": product, "later": np.roll(product, -3, 1) + 0.1 * noise,
               "many": np.digitize(product + noise, [-1, 0, 1]), "far": product > 0.4}  # fmt: skip
    return rec, signals


def shown(rec, signals, function, **options):
    memory = function(rec, signals, **options).set_index(["signal", "lag"])
    stream = function(Stream(rec, signals, [40, 13, len(rec) - 53]), **options).set_index(["signal", "lag"])
    assert (memory.index == stream.index).all()
    ranked = memory.metric != "r2"
    off = (memory.input_only - stream.input_only).abs()
    missing = memory.input_only.isna() & stream.input_only.isna()
    assert (missing | (off <= np.where(ranked, 1e-9 + 2 * stream.attrs["auroc_error"], 1e-9))).all()
    return stream.input_only.groupby(level=[0, 1]).first()


@pytest.mark.parametrize("kind", ["bits", "words", "numbers", "wide", "none"])
def test_every_table_of_a_stream_says_what_memory_says(kind):
    rec, signals = recorded(kind)
    found = shown(rec, signals, lp.probe_units, permutations=9, bootstrap=2, **OPTIONS)
    assert shown(rec, signals, lp.memory_curves, **OPTIONS).to_numpy() == pytest.approx(found, nan_ok=True)
    groups = shown(rec, signals, lp.probe_populations, bootstrap=2, **OPTIONS)
    assert groups.to_numpy() == pytest.approx(found, nan_ok=True)
    if kind in ("bits", "numbers"):
        assert found["product", 0] > 0.98 and found["product", 3] < 0.1 and found["far", 0] > 0.95
        assert found["later", 3] > 0.8 and found["later", 0] < 0.1


def test_more_vectors_than_a_table_holds_are_fitted_with_splines(monkeypatch):
    rec, signals = recorded("words")
    options = {"permutations": 9, "bootstrap": 2, **OPTIONS}
    by_table = lp.probe_units(Stream(rec, signals, [50, 40]), **options)
    monkeypatch.setattr(present, "MOST_VECTORS", 39)
    curved = lp.probe_units(Stream(rec, signals, [50, 40]), **options)
    own = by_table.signal.eq("product") & by_table.lag.eq(0)
    # Fifty curves and products of six numbers tell 40 vectors apart, without a table's shrinkage.
    assert 0.99 < by_table.input_only[own].min() < 0.999 < curved.input_only[own].min()


def test_the_survey_counts_the_vectors_that_each_lag_reaches():
    rec, signals = recorded("words")
    survey = InputSurvey()
    Source(Stream(rec, signals, [30, 60]), None).visit(survey.add)
    x, mask = rec.inputs.numpy(), rec.mask.numpy()
    lengths = rec.lengths.numpy()
    for lag in range(12):
        some = x[:, lag:][mask[:, lag:]]
        distinct = len(np.unique(some, axis=0))
        assert survey.ways(lag, lengths, 6)[0] == (5 * distinct <= len(some)), lag
    assert len({survey.ways(lag, lengths, 6)[0] for lag in range(12)}) == 2
