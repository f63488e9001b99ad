"""Partial effects against a loop of scikit-learn's fits on raw data, and on units of which the answer is known."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import nn

from lstm_probe.core.columns import CONFOUND_COLUMNS, SIGNAL_CORRELATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split, probe_units
from lstm_probe.probing.analyses.confounds import partial_effects, signal_correlations
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording


def recording_of(inputs, units, lengths=None):
    """A recording whose memory is `units`, whatever the inputs are."""
    inputs, units = torch.as_tensor(inputs), torch.as_tensor(units)
    lengths = torch.full((len(inputs),), inputs.shape[1]) if lengths is None else torch.as_tensor(lengths)
    layer = LayerRecording(0, "forward", inputs, c=units)
    return Recording({(0, "forward"): layer}, lengths, LSTMConfig(inputs.shape[-1], units.shape[-1]))


def indicators(values, kind):
    if kind == "continuous":
        return values[..., None]
    levels = np.unique(values)
    return (values[..., None] == (levels[1:] if kind == "binary" else levels)).astype(float)


def errors(x, y, fold):
    """Held-out squared errors of each column of y by least squares on x, the sum over all folds."""
    total = np.zeros(y.shape[1])
    for k in np.unique(fold):
        if x.shape[1]:
            predicted = LinearRegression().fit(x[fold != k], y[fold != k]).predict(x[fold == k])
        else:
            predicted = y[fold != k].mean(0)
        total += np.square(y[fold == k] - predicted).sum(0)
    return total


@pytest.mark.parametrize(("seed", "lag"), [(0, 0), (1, 2), (2, 0)])
def test_effects_equal_a_loop_of_scikit_learns_fits(seed, lag):
    rng = np.random.default_rng(seed)
    sequences, time = 24, 10
    lengths = rng.integers(4, time + 1, sequences)
    lengths[:2] = time, lag
    inputs = rng.normal(size=(sequences, time, 2))
    a, b = rng.normal(size=(2, sequences, time)).cumsum(-1)
    signals = {
        "a": a,
        "b": b + 0.5 * a,
        "bit": inputs[..., 0] + b > 0,
        "state": np.digitize(a + rng.normal(size=a.shape), [-1.0, 1.0]),
        # Never in the training part of the one fold that it is in.
        "rare": (np.arange(sequences) % 4 == 3)[:, None] & (a > 0),
    }
    kinds = dict(zip(signals, ("continuous", "continuous", "binary", "categorical", "binary")))
    known = np.stack([a, b, inputs[..., 1], np.broadcast_to(np.arange(time), a.shape)], axis=-1)
    units = np.roll(known, lag, axis=1) @ rng.normal(size=(4, 5)) + 0.5 * rng.normal(size=(sequences, time, 5))
    units = units * 10.0 ** rng.integers(-6, 7, 5)
    fold = np.tile(np.arange(4), 6)
    rec = recording_of(inputs, units, np.maximum(lengths, 1))
    table = partial_effects(rec, signals, lags=(lag,), split=Split(fold), bootstrap=2).set_index(["signal", "unit"])

    real = (np.arange(time) < np.maximum(lengths, 1)[:, None])[:, lag:]
    flat_fold = np.broadcast_to(fold[:, None], real.shape)[real]
    shifted = {
        name: indicators(np.asarray(values)[:, : time - lag], kinds[name])[real] for name, values in signals.items()
    }
    t = np.broadcast_to(np.arange(lag, time)[:, None], (*real.shape, 1))[real]
    given = np.concatenate([inputs[:, lag:][real], t, t**2, t**3], axis=1)
    for name, y in shifted.items():
        z = np.concatenate([given, *(shifted[other] for other in signals if other != name)], axis=1)
        left, spread = errors(z, y, flat_fold), np.square(y - y.mean(0)).sum(0)
        for unit in range(5):
            x = units[:, lag:][real][:, [unit]]
            # On a scale of its own a unit would be lost among rounding errors.
            x = x / x.std()
            partial = (1 - errors(np.concatenate([z, x], axis=1), y, flat_fold) / left).mean()
            effect = (1 - errors(x, y, flat_fold) / spread).mean()
            row = table.loc[(name, unit)]
            assert row["partial"] == pytest.approx(max(partial, 0), abs=1e-8)
            assert row["effect"] == pytest.approx(max(effect, 0), abs=1e-8)
    assert (table["partial"] > 0.05).sum() >= 5 and (table["collinear_with"] == "").all()


def test_intervals_are_those_of_sequences_drawn_again():
    """The fits stay as they are; whole sequences are drawn."""
    rng = np.random.default_rng(0)
    inputs, y = rng.normal(size=(40, 6, 1)), rng.normal(size=(40, 6))
    units = (y + rng.normal(size=y.shape) * rng.choice([0.3, 2], (40, 1)))[..., None]
    fold = np.arange(40) % 4
    row = partial_effects(recording_of(inputs, units), {"y": y}, split=Split(fold), bootstrap=4000).iloc[0]
    t = np.broadcast_to(np.arange(6.0), y.shape)
    z = np.stack([inputs[..., 0], t, t**2, t**3], axis=-1)
    both = np.concatenate([z, units], axis=-1)
    off = np.empty((2, *y.shape))
    for k in range(4):
        for which, x in enumerate((z, both)):
            fit = LinearRegression().fit(x[fold != k].reshape(-1, x.shape[-1]), y[fold != k].ravel())
            held_out = fit.predict(x[fold == k].reshape(-1, x.shape[-1]))
            off[which, fold == k] = y[fold == k] - held_out.reshape(-1, 6)
    without, with_unit = np.square(off).sum(2)
    drawn = rng.integers(0, 40, (4000, 40))
    expected = np.percentile(1 - with_unit[drawn].sum(1) / without[drawn].sum(1), [2.5, 97.5])
    assert row["partial"] == pytest.approx(1 - with_unit.sum() / without.sum(), abs=1e-9)
    assert row[["ci_low", "ci_high"]].tolist() == pytest.approx(expected, abs=0.02)
    assert row["ci_high"] - row["ci_low"] > 0.1


def correlated(seed, sequences=80, time=15):
    """Two signals that correlate by 0.8; units: the first one, the input, and the two mixed."""
    rng = np.random.default_rng(seed)
    inputs, noise, own = rng.normal(size=(3, sequences, time, 1))
    held = rng.normal(size=(sequences, time, 1)).cumsum(1) / 3
    other = 0.8 * held / held.std() + 0.6 * own
    units = np.concatenate([held + 0.01 * noise, 3 * inputs, inputs + 0.2 * held], axis=-1)
    return recording_of(inputs, units), {"held": held[..., 0], "other": other[..., 0], "shown": inputs[..., 0] > 0}


def test_of_two_correlated_signals_only_the_one_that_is_held_is_left():
    rec, signals = correlated(0)
    table = partial_effects(rec, signals).set_index(["signal", "unit"])
    assert table.loc[("other", 0), "effect"] > 0.6 and table.loc[("other", 0), "partial"] < 0.01
    assert table.loc[("held", 0), "effect"] > 0.99 and table.loc[("held", 0), "partial"] > 0.99
    assert (table["collinear_with"] == "").all()
    inside = table.loc[("held", 0)]
    assert inside["ci_low"] <= inside["partial"] <= inside["ci_high"]


def test_a_unit_that_only_shows_the_input_adds_nothing_and_one_behind_the_input_more_than_it_has_alone():
    rec, signals = correlated(1)
    table = partial_effects(rec, signals).set_index(["signal", "unit"])
    assert table.loc[("shown", 1), "effect"] > 0.5
    assert table["partial"].xs(1, level="unit").tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert table.loc[("held", 2), "partial"] > 0.95 > 0.3 > table.loc[("held", 2), "effect"]


def test_signals_that_are_nearly_the_same_are_named_and_left_out_of_what_is_given():
    rec, signals = correlated(2)
    near = signals["held"] + 0.1 * np.random.default_rng(0).normal(size=signals["held"].shape)
    signals = {**signals, "near": near, "twin": -2 * signals["held"], "shown_too": signals["shown"].astype(int)}
    table = partial_effects(rec, signals).set_index(["signal", "unit"])
    names = table["collinear_with"].xs(0, level="unit").to_dict()
    assert names == {
        "held": "near,twin", "near": "held,twin", "twin": "held,near", "shown": "shown_too", "shown_too": "shown",
        "other": "",
    }  # fmt: skip
    assert table.loc[("held", 0), "partial"] > 0.99 and table.loc[("twin", 0), "partial"] > 0.99
    strict = partial_effects(rec, signals, max_correlation=0.9999).set_index(["signal", "unit"])
    assert strict.loc[("held", 0), "collinear_with"] == "twin" and strict.loc[("near", 0), "collinear_with"] == ""
    assert strict.loc[("near", 0), "partial"] < 0.02


def test_correlations_are_numpys_over_real_steps(caplog):
    rng = np.random.default_rng(3)
    lengths = rng.integers(2, 9, 30)
    real = np.arange(8) < lengths[:, None]
    a = rng.normal(size=(30, 8))
    state = np.digitize(a, [-0.5, 0.5])
    signals = {"a": a, "minus": 0.2 * rng.normal(size=a.shape) - a, "state": state, "low": a < -0.5, "flat": 1 + 0 * a}
    given = {name: np.where(real, values, values.max()) for name, values in signals.items()}
    with caplog.at_level(logging.WARNING):
        table = signal_correlations(recording_of(a[..., None], a[..., None], lengths), given, run="r", task="t", seed=4)
    assert tuple(table.columns) == tuple(SIGNAL_CORRELATION_COLUMNS) and len(table) == 5 * 4
    assert table.iloc[0, :4].tolist() == ["r", "t", 1, 4] and table["collinear"].dtype == bool
    r = table.set_index(["signal", "other"])["r"]
    assert r["a", "minus"] == r["minus", "a"] == pytest.approx(np.corrcoef(a[real], signals["minus"][real])[0, 1])
    each = [np.corrcoef(a[real], state[real] == k)[0, 1] for k in range(3)]
    assert r["a", "state"] == pytest.approx(max(each, key=abs))
    assert r["state", "low"] == pytest.approx(1) and r.xs("flat").isna().all()
    same = table[table["collinear"]]
    assert set(zip(same["signal"], same["other"])) == {
        ("a", "minus"), ("minus", "a"), ("state", "low"), ("low", "state")
    }  # fmt: skip
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "'a' and 'minus' are nearly the same here (r = -0.98" in told[0]
    assert told[1].startswith("signal 'low' is nearly one class of 'state' here (r = 1.000): ")


def test_what_is_undefined_is_not_a_number_and_said(caplog):
    rec, signals = correlated(4)
    step = np.broadcast_to(np.arange(15.0), signals["held"].shape)
    both = signals["held"] / signals["held"].std() - signals["other"]
    signals |= {"flat": np.ones_like(step), "step": step, "both": both}
    with caplog.at_level(logging.WARNING):
        table = partial_effects(rec, signals, variables=None).set_index(["signal", "unit"])
    assert table.loc["flat", ["effect", "partial", "ci_low", "ci_high"]].isna().all(axis=None)
    for name in ("step", "both"):
        assert table.loc[name, "effect"].notna().all() and table.loc[name, "partial"].isna().all()
        assert f"signal '{name}', lag 0: known from the input, the step index and the other signals" in caplog.text
    assert table.loc["shown", "partial"].notna().all()


def test_a_constant_a_doubled_and_a_tiny_unit_are_no_trouble():
    rec, signals = correlated(5)
    c = rec.c
    units = torch.cat([c, c[..., :1] * 1e-6 + 3e-6, c[..., :1] * 1e6, torch.ones_like(c[..., :1])], dim=-1)
    table = partial_effects(recording_of(rec.inputs, units), signals).set_index(["signal", "unit"])
    for unit in (3, 4):
        assert table["partial"].xs(unit, level="unit").tolist() == pytest.approx(
            table["partial"].xs(0, level="unit").tolist(), abs=1e-7
        )
    assert (table[["effect", "partial"]].xs(5, level="unit") < 1e-12).all(axis=None)


def test_the_table_has_the_declared_columns_and_agrees_with_probes():
    torch.manual_seed(0)
    x = torch.randn(30, 8, 2)
    rec = record(nn.LSTM(2, 3, 2, batch_first=True), x)
    signals = {"sum": x[..., 0].cumsum(1), "bit": x[..., 1] > 0}
    options = {"lags": (0, 1), "run": "r", "task": "t", "seed": 3}
    table = partial_effects(rec, signals, variables=None, bootstrap=5, **options)
    probes = probe_units(rec, signals, permutations=1, bootstrap=1, untrained=1, **options)
    assert tuple(table.columns) == tuple(CONFOUND_COLUMNS) and len(table) == 2 * 6 * 3 * 2 * 2
    keys = [c for c in list(CONFOUND_COLUMNS)[:12] if c in probes]
    pd.testing.assert_frame_equal(table[keys], probes[keys])
    sums = table["signal"] == "sum"
    assert table["effect"][sums].tolist() == pytest.approx(probes["effect"][sums].tolist(), abs=1e-12)
    memory = partial_effects(rec, signals, bootstrap=5, **options)
    same = table[table["variable"] == "c"].reset_index(drop=True)
    pd.testing.assert_frame_equal(memory, same)


def test_bad_input_is_named():
    rec, signals = correlated(6)
    with pytest.raises(InputError, match=r"max_correlation=2: must be a number from 0 to 1\nvariables=z: .*\nfolds=9"):
        partial_effects(rec, signals, max_correlation=2, variables=["z"], folds=900)
    with pytest.raises(InputError, match=r"max_correlation=-1: must be a number from 0 to 1\nsignals\['x'\]: shape"):
        signal_correlations(rec, {"x": torch.zeros(2, 2)}, max_correlation=-1)
