"""Memory curves: recordings whose memory is known by construction, baselines against loops, and spans by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score
from torch import nn

from lstm_probe.core.columns import MEMORY_COLUMNS, MEMORY_SPAN_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split, probe_units
from lstm_probe.probing.analyses.memory import default_lags, memory_curves, memory_spans
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.handmade import shift_register


def recording(inputs, c, lengths=None):
    """A recording of inputs and a memory given by hand."""
    lengths = np.full(len(c), c.shape[1]) if lengths is None else lengths
    part = LayerRecording(0, "forward", torch.as_tensor(inputs), c=torch.as_tensor(c))
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(inputs.shape[-1], c.shape[-1]))


def ago(x, k):
    """The values k steps ago; 0 before the start."""
    return np.concatenate([np.zeros((len(x), k)), x[:, : x.shape[1] - k]], axis=1)


def matrix(memory, signal, column="effect"):
    return memory[memory.signal == signal].pivot(index="unit", columns="lag", values=column)


def test_a_shift_register_remembers_each_input_at_one_lag_alone():
    x = np.random.default_rng(0).normal(size=(120, 24))
    c = np.stack([ago(x, j) for j in (0, 1, 2, 4, 7)], axis=-1)
    signals = {"x": x, "sign": x > 0, "third": np.digitize(x, [-0.5, 0.5])}
    memory = memory_curves(recording(x[..., None], c), signals, lags=(0, 1, 2, 4, 5, 7), untrained=1)
    assert tuple(memory.columns) == tuple(MEMORY_COLUMNS) and len(memory) == 5 * 3 * 6
    # The classes in the middle are not where a line through the unit is highest.
    for signal, most in (("x", 1 - 1e-9), ("sign", 1 - 1e-9), ("third", 0.6)):
        effect = matrix(memory, signal)
        for unit, lag in enumerate((0, 1, 2, 4, 7)):
            assert effect.loc[unit, lag] > most
            assert effect.loc[unit].drop(lag).max() < 0.06
    spans = memory_spans(memory).set_index(["signal", "unit"])
    for signal in ("x", "sign"):
        assert spans.loc[signal].peak_lag.tolist() == [0, 1, 2, 4, 7]
        # The present input is the unit that shows it, and nothing else.
        assert spans.loc[signal].span[1:].tolist() == spans.loc[signal].beyond_signal[1:].tolist() == [1, 2, 4, 7]
        assert np.isnan(spans.loc[signal].span[0]) and np.isnan(spans.loc[signal].beyond_signal[0])


@pytest.mark.parametrize("a", [0.6, 0.9])
def test_a_leaky_integrator_forgets_by_its_closed_form(a):
    """c[t] = a·c[t−1] + x[t] with white x: R² of x[t−k] is a^2k (1 − a²) in the long run."""
    x = np.random.default_rng(1).normal(size=(400, 120))
    c = np.zeros_like(x)
    for t in range(1, x.shape[1]):
        c[:, t] = a * c[:, t - 1] + x[:, t]
    # Its start is left out: there it has not been summing for long.
    memory = memory_curves(recording(x[:, 60:, None], c[:, 60:, None]), {"x": x[:, 60:]}, lags=range(5), untrained=1)
    expected = a ** (2 * np.arange(5)) * (1 - a**2)
    assert memory.score.to_numpy() == pytest.approx(expected, abs=0.02)
    assert memory.signal_itself.to_numpy() == pytest.approx([1, 0, 0, 0, 0], abs=0.01)


def test_a_latch_remembers_no_more_than_the_signal_and_a_longer_memory_does():
    """A bit that is redrawn now and then: held by one unit, as it was four steps ago by another."""
    rng = np.random.default_rng(2)
    bit = np.zeros((300, 30))
    for t in range(30):
        drawn = rng.random(300) < (1 if t == 0 else 0.25)
        bit[:, t] = np.where(drawn, rng.random(300) < 0.5, bit[:, t - 1])
    noise = rng.normal(size=(300, 30))
    c = np.stack([0.9 * (2 * bit - 1), ago(2 * bit - 1, 4), noise], axis=-1)
    memory = memory_curves(recording(noise[..., None], c), {"bit": bit > 0}, lags=(0, 1, 2, 4, 6), untrained=1)
    effect, itself = matrix(memory, "bit"), matrix(memory, "bit", "signal_itself")
    # A bit that has not been redrawn for k steps is what it was, else a coin.
    assert itself.loc[0].to_numpy() == pytest.approx(0.75 ** np.array([0, 1, 2, 4, 6]), abs=0.03)
    assert effect.loc[0].to_numpy() == pytest.approx(itself.loc[0].to_numpy(), abs=1e-12)
    assert effect.loc[1, 4] == pytest.approx(1) and effect.loc[1, 2] == pytest.approx(0.75**2, abs=0.06)
    spans = memory_spans(memory)
    # 0.75² = 0.56 is above 0.46, the bar of classes, and 0.75⁴ = 0.32 is not.
    assert spans.span.tolist()[:2] == [2, 6] and np.isnan(spans.span[2])
    lower = memory_spans(memory, min_effect_class=0.25)
    assert lower.span.tolist()[:2] == [4, 6]
    assert np.isnan(spans.beyond_signal[0]) and spans.beyond_signal[1] == 6


def test_signal_itself_is_the_score_of_a_univariate_fit():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 12)).cumsum(1)
    lengths = rng.integers(6, 13, 40)
    split = Split.make(40, 4, 1)
    memory = memory_curves(
        recording(x[..., None], x[..., None], lengths), {"walk": x, "up": x > 0, "bin": np.digitize(x, [-1, 1])},
        lags=(3,), split=split, untrained=1,
    )  # fmt: skip
    rows = [(split.fold[s], x[s, t], x[s, t - 3]) for s in range(40) for t in range(3, lengths[s])]
    fold, now, then = np.array(rows).T
    r2, auroc, excess, pairs = np.zeros(len(now)), [], np.zeros(3), np.zeros(3)
    for k in range(4):
        train, test = fold != k, fold == k
        r2[test] = LinearRegression().fit(now[train, None], then[train]).predict(now[test, None])
        auroc.append((roc_auc_score(then[test] > 0, now[test] > 0), (then[test] > 0).sum() * (then[test] <= 0).sum()))
        for label in range(3):
            of_now, is_label = np.eye(3)[np.digitize(now, [-1, 1])], np.digitize(then, [-1, 1]) == label
            predicted = LinearRegression().fit(of_now[train], is_label[train]).predict(of_now[test])
            count = is_label[test].sum() * (~is_label[test]).sum()
            excess[label] += count * roc_auc_score(is_label[test], predicted.round(9))
            pairs[label] += count
    got = memory.set_index("signal").signal_itself
    assert got["walk"] == pytest.approx(r2_score(then, r2), abs=1e-9)
    scores, counts = np.array(auroc).T
    assert got["up"] == pytest.approx(2 * np.average(scores, weights=counts) - 1, abs=1e-9)
    assert got["bin"] == pytest.approx(2 * (excess / pairs).mean() - 1, abs=1e-9)


def test_all_else_is_what_probe_units_says_at_each_lag():
    x = torch.randn(40, 16, 2, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    rec = record(torch.nn.LSTM(2, 3, 2, batch_first=True), x, lengths=torch.arange(40) % 9 + 8)
    signals = {"sum": x[..., 0].cumsum(1), "up": x[..., 1] > 0}
    memory = memory_curves(rec, signals, untrained=2, init="keras", seed=5, run="r", task="t")
    assert sorted(memory.lag.unique()) == [0, 1, 2, 3, 5] and set(memory.variable) == {"c"}
    probes = probe_units(
        rec, signals, lags=(0, 1, 2, 3, 5), variables=["c"], untrained=2, init="keras", seed=5, run="r", task="t",
        permutations=1, bootstrap=1,
    )  # fmt: skip
    shared = [c for c in MEMORY_COLUMNS if c not in ("signal_itself", "held")]
    assert not memory.held.any()
    # `untrained` is on all sequences here, and there on a part: of so few on all.
    pd.testing.assert_frame_equal(memory[shared], probes[shared])


QUICK = {"permutations": 199, "init": "torch"}


def test_what_a_unit_has_held_since_is_said_at_that_lag_alone():
    """By hand: a copy of 3 steps ago, one of now, one of the step and noise; and a signal that stands still."""
    rng = np.random.default_rng(3)
    x, still = rng.normal(size=(100, 20)), np.repeat(rng.normal(size=(100, 1)), 20, axis=1)
    step = np.tile(np.arange(20.0), (100, 1))
    c = np.stack([ago(x, 3) + 0.1 * rng.normal(size=x.shape), x, step, rng.normal(size=x.shape), still], axis=-1)
    signals = {"x": x, "up": x > 0, "still": still}
    table = memory_curves(recording(x[..., None], c), signals, lags=(0, 1, 3, 5), **QUICK)
    held = table[table.held]
    assert held[["unit", "signal", "lag"]].values.tolist() == [[0, "x", 3], [0, "up", 3]]
    # What has not changed since is no older value: the present one says as much.
    same = table[(table.unit == 4) & (table.signal == "still")]
    assert (same.effect > 0.99).all() and (same.signal_itself > 0.99).all()
    for more in ({"untrained": 18}, {"permutations": 19}, {"alpha": 0.001}, {"margin": 1.0}):
        assert not memory_curves(recording(x[..., None], c), signals, lags=(3,), **(QUICK | more)).held.any()
    only = memory_curves(recording(x[..., None], c), signals, lags=(3,), min_effect_class=1.0, **QUICK)
    assert only[only.held].signal.tolist() == ["x"]


def test_a_delayed_copy_is_held_and_the_swap_of_its_past_can_refuse_it():
    x = torch.randn(80, 16, 1, generator=torch.Generator().manual_seed(0))
    rec = record(shift_register(4), x, variables=("h", "c"))
    table = memory_curves(rec, {"x": x[..., 0]}, lags=(0, 1, 2, 3, 4), **QUICK)
    assert table[table.held][["unit", "lag"]].values.tolist() == [[1, 1], [2, 2], [3, 3]]
    # A past-swap that leaves nothing to be closed: no effect lies above it by all there is.
    assert not memory_curves(rec, {"x": x[..., 0]}, lags=(3,), least_swap=1.0, **QUICK).held.any()
    by_hand = Recording(rec.parts, rec.lengths, rec.config)
    assert memory_curves(by_hand, {"x": x[..., 0]}, lags=(3,), least_swap=1.0, **QUICK).held.sum() == 1
    stream = type("Stream", (), {"shards": lambda self: iter([(rec, {"x": x[..., 0]})])})()
    assert not memory_curves(stream, lags=(3,), **QUICK).held.any()


def test_default_lags_reach_half_of_a_length():
    assert default_lags(100) == (0, 1, 2, 3, 5, 8, 13, 21, 34) and default_lags(68)[-1] == 34
    assert default_lags(67)[-1] == 21 and default_lags(3) == (0, 1) and default_lags(1) == (0,)


def test_one_long_sequence_among_short_ones_does_not_stretch_the_lags(rng):
    x = torch.randn(30, 100, 2, generator=rng)
    lengths = torch.full((30,), 8)
    lengths[3] = 100
    torch.manual_seed(0)
    rec = record(nn.LSTM(2, 3, batch_first=True), x, lengths=lengths)
    table = memory_curves(rec, {"sum": x[..., 0].cumsum(1)}, untrained=1)
    assert sorted(table["lag"].unique()) == [0, 1, 2, 3]


def curve(effects, unit=0, lags=(0, 1, 2, 3, 5), untrained=0.1, itself=0.0, signal="s"):
    frame = pd.DataFrame({"lag": lags, "effect": effects})
    about = {"run": "r", "task": "t", "units": 2, "seed": 0, "layer": 0, "direction": "forward", "variable": "c"}
    about |= {"unit": unit, "signal": signal, "kind": "continuous", "role": "target", "metric": "r2"}
    about |= {"untrained": untrained, "input_only": 0.0, "time_only": 0.0, "signal_itself": itself}
    return frame.assign(score=frame.effect, held=False, **about)[list(MEMORY_COLUMNS)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"effects": [0.9, 0.8, 0.6, 0.3, 0.1]}, (0, 0.9, 3, 3)),
        # A gap ends it, and a lag before the peak is not asked about.
        ({"effects": [0.1, 0.9, 0.2, 0.8, 0.8]}, (1, 0.9, 1, 1)),
        ({"effects": [0.2, 0.2, 0.1, 0.1, 0.1]}, (0, 0.2, np.nan, np.nan)),
        ({"effects": [0.9, 0.8, 0.7, 0.6, 0.5], "untrained": [0.1, 0.1, 0.66, 0.1, 0.1]}, (0, 0.9, 1, 1)),
        # Above the signal's own present value in between.
        ({"effects": [0.9, 0.8, 0.7, 0.6, 0.5], "itself": [1, 0.9, 0.5, 0.56, 0.46]}, (0, 0.9, 5, 2)),
        ({"effects": [0.9, 0.8, 0.7, 0.6, 0.5], "itself": [0.9, 0.8, 0.7, 0.6, 0.5]}, (0, 0.9, 5, np.nan)),
        ({"effects": [np.nan] * 5}, (np.nan,) * 4),
        ({"effects": [np.nan, 0.5, 0.5, np.nan, 0.5]}, (1, 0.5, 2, 2)),
    ],
)
def test_spans_by_hand(given, expected):
    got = memory_spans(curve(**given).iloc[::-1])
    assert got.iloc[0, -4:].tolist() == pytest.approx(list(expected), nan_ok=True)


def test_every_unit_and_signal_has_one_span_in_the_order_of_the_table():
    memory = pd.concat([curve([0.9, 0.5, 0, 0, 0], unit, signal=signal) for unit in (1, 0) for signal in ("z", "a")])
    spans = memory_spans(memory, min_effect=0.6, margin=0)
    assert tuple(spans.columns) == tuple(MEMORY_SPAN_COLUMNS) and spans.span.tolist() == [0] * 4
    assert spans[["unit", "signal"]].values.tolist() == [[1, "z"], [1, "a"], [0, "z"], [0, "a"]]


def test_a_constant_signal_has_no_curve(caplog):
    x = np.random.default_rng(0).normal(size=(20, 8))
    memory = memory_curves(recording(x[..., None], x[..., None]), {"flat": np.ones((20, 8)), "x": x}, untrained=1)
    flat = memory[memory.signal == "flat"]
    assert flat[["score", "effect", "untrained", "signal_itself"]].isna().all(axis=None) and "'flat'" in caplog.text
    assert memory_spans(memory)[["peak_lag", "span"]].isna().values.tolist() == [[True, True], [False, True]]


def test_bad_input_is_named():
    x = np.random.default_rng(0).normal(size=(20, 8))
    rec = recording(x[..., None], x[..., None])
    with pytest.raises(InputError, match=r"untrained=0: .*\nvariables=f: .*\nlags=8: sequences longer than that"):
        memory_curves(rec, {"x": x}, lags=(0, 8), variables=["f"], untrained=0)
    with pytest.raises(InputError, match=r"min_effect=-1.0: must be a number from 0 to 1\nmargin=2.0: must"):
        memory_spans(curve([0.9] * 5), min_effect=-1.0, margin=2.0)
    with pytest.raises(InputError, match="recording: there are no shards"):
        memory_curves(type("Stream", (), {"shards": lambda self: iter(())})(), {"x": x})
