"""The online code against a loop of scikit-learn's fits, and the bits of signals of which all or nothing is known."""

import logging

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from torch import nn

from lstm_probe.core.columns import DESCRIPTION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.description import FEW, INNER, PRECISION, Cut, description_length, log_interval
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.fits.ridge import PENALTIES
from lstm_probe.probing.inference.baselines import control_signals
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording


def recording_of(units, inputs=None, lengths=None):
    units = torch.as_tensor(units)
    inputs = torch.zeros(*units.shape[:2], 1) if inputs is None else torch.as_tensor(inputs)
    lengths = torch.full((len(units),), units.shape[1]) if lengths is None else torch.as_tensor(lengths)
    layer = LayerRecording(0, "forward", inputs, c=units)
    return Recording({(0, "forward"): layer}, lengths, LSTMConfig(inputs.shape[-1], units.shape[-1]))


def ridge(x, y, penalty):
    scaler = StandardScaler().fit(x)
    model = Ridge(alpha=penalty * len(x)).fit(scaler.transform(x), y)
    return lambda new: model.predict(scaler.transform(new))


def interval(y, mean, deviation):
    return norm.cdf(y + PRECISION / 2, mean, deviation) - norm.cdf(y - PRECISION / 2, mean, deviation)


def gaussian(x, y, inner):
    """The probabilities of new values by the ridge fit that errs least in inner folds, and its error there."""
    errors = [
        sum(
            np.square(y[inner == k] - ridge(x[inner != k], y[inner != k], p)(x[inner == k])).sum() for k in range(INNER)
        )
        for p in PENALTIES
    ]
    fit = ridge(x, y, PENALTIES[int(np.argmin(errors))])
    return lambda new, values: interval(values, fit(new), np.sqrt(min(errors) / len(y)))


def logistic(x, labels):
    if len(np.unique(labels)) == 1:
        return lambda new, values: (values == labels[0]).astype(float)
    fit = LogisticRegression(C=1.0, max_iter=1000).fit(x, labels)
    found = list(fit.classes_)
    return lambda new, values: np.array(
        [p[found.index(v)] if v in found else 0.0 for p, v in zip(fit.predict_proba(new), values)]
    )


def expected_bits(x, values, real, cut, classes=0):
    """Portion by portion, step by step."""
    told = np.broadcast_to(cut.portion[:, None], real.shape)[real]
    inner = np.broadcast_to(cut.inner[:, None], real.shape)[real]
    x, y = x[real], values[real]
    x = (x - x.mean(0)) / x.std(0)
    y = y if classes else (y - y.mean()) / y.std()
    bits = 0.0
    for portion in range(cut.count):
        now, before = told == portion, told < portion
        first = np.full(now.sum(), 1 / classes) if classes else interval(y[now], 0, 1)
        probe = np.zeros_like(first)
        if portion:
            fit = logistic(x[before], y[before]) if classes else gaussian(x[before], y[before], inner[before])
            probe = fit(x[now], y[now])
        bits -= np.log2((before.sum() * probe + first) / (before.sum() + 1)).sum()
    return bits


@pytest.mark.parametrize(("seed", "lag"), [(0, 0), (1, 2)])
def test_bits_equal_a_loop_of_scikit_learns_fits(seed, lag):
    rng = np.random.default_rng(seed)
    sequences, time = 40, 8
    lengths = rng.integers(1, time + 1, sequences)
    x = rng.normal(size=(sequences, time, 3))
    units = x @ rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-4, 5, 4)
    before = np.roll(x, -lag, axis=1)
    signals = {
        "total": before.sum(-1) + 0.3 * rng.normal(size=(sequences, time)),
        "bit": before[..., 0] > 0,
        "state": np.digitize(before[..., 1], [-0.7, 1.2]),
        "rare": np.arange(sequences)[:, None] + 0 * before[..., 0].astype(int) == 17,
    }
    shares = (0.1, 0.3, 0.55, 1)
    rec = recording_of(units, x, lengths)
    table = description_length(rec, signals, portions=shares, lags=(lag,), seed=seed).set_index("signal")
    real = (np.arange(time) < lengths[:, None])[:, lag:]
    cut = Cut.of(real.sum(1).astype(float), shares, seed)
    checked = check_signals(signals, rec.mask.numpy())
    for signal, control in zip(checked, control_signals(rec, checked, rec.mask.numpy(), seed)):
        row, n = table.loc[signal.name], real.sum()
        for name, values in (("bits", signal.values), ("control_bits", control.values)):
            expected = expected_bits(units[:, lag:], values[:, : time - lag], real, cut, signal.classes)
            assert row[name] == pytest.approx(expected, rel=1e-3 if signal.classes else 1e-7)
        assert row["n"] == n and row["compression"] == row["uniform_bits"] / row["bits"]
        if signal.classes:
            assert row["uniform_bits"] == pytest.approx(n * np.log2(signal.classes))
        else:
            y = signal.values[:, : time - lag][real]
            y = (y - y.mean()) / y.std()
            assert row["uniform_bits"] == pytest.approx(-np.log2(interval(y, 0, 1)).sum())
    assert table.loc["total", "compression"] > 1.3 and table.loc["bit", "compression"] > 1.3


def test_what_the_units_hold_costs_the_first_portion_alone():
    rng = np.random.default_rng(0)
    state, bit = rng.integers(0, 4, (512, 25)), rng.integers(0, 2, (512, 25))
    units = np.concatenate([np.eye(4)[state], bit[..., None], rng.normal(size=(512, 25, 2))], axis=-1)
    signals = {"held": 7 + 3 * units[..., 5], "bit": bit, "state": state}
    table = description_length(recording_of(units + 0.01 * rng.normal(size=units.shape)), signals).set_index("signal")
    first = table["uniform_bits"] / 64
    assert table.loc["held", "bits"] == pytest.approx(first["held"], rel=0.1)
    assert table.loc["bit", "bits"] == pytest.approx(first["bit"], rel=0.3)
    assert table.loc["state", "bits"] == pytest.approx(first["state"], rel=0.3)


def test_units_that_know_nothing_save_nothing():
    rng = np.random.default_rng(1)
    units, other = rng.normal(size=(2, 256, 10, 5))
    signals = {"other": other[..., 0], "bit": other[..., 1] > 0, "state": other[..., 2:].argmax(-1)}
    table = description_length(recording_of(units), signals)
    assert (table["compression"] < 1.001).all() and (table["compression"] > 0.96).all()


def test_rare_classes_compress_and_so_does_their_control_task():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 10, 3))
    rec = recording_of(rng.normal(size=(200, 10, 3)), x)
    row = description_length(rec, {"rare": rng.random((200, 10)) < 0.03}).iloc[0]
    assert row["compression"] > 3 and row["bits"] == pytest.approx(row["control_bits"], rel=0.25)


def test_what_can_be_memorised_costs_no_less_than_its_control_task():
    """Units that show the symbol know a random label of each symbol as well as the signal."""
    rng = np.random.default_rng(3)
    symbols = np.eye(24)[rng.integers(0, 24, (200, 20))]
    values = symbols @ rng.normal(size=24)
    row = description_length(recording_of(symbols, symbols), {"value": values}).iloc[0]
    assert row["compression"] > 5 and row["control_bits"] == pytest.approx(row["bits"], rel=0.2)


def test_how_many_units_there_are_changes_the_solver_and_no_bits():
    """Units that are always 0 get no weight; with them there are too many coefficients for Newton's method."""
    rng = np.random.default_rng(6)
    units = rng.normal(size=(40, 10, 5))
    signals = {"state": (units[..., :3] + rng.normal(size=(40, 10, 3))).argmax(-1)}
    wide = np.concatenate([units, np.zeros((40, 10, 95))], axis=-1)
    few, many = (description_length(recording_of(u), signals)["bits"].item() for u in (units, wide))
    assert 5 * 3 <= FEW < 100 * 3 and many == pytest.approx(few, rel=1e-3)


def test_more_sequences_cost_less_for_each_step():
    rng = np.random.default_rng(4)
    units = rng.normal(size=(640, 6, 20))
    signals = {"sum": units.sum(-1) + rng.normal(size=(640, 6)), "bit": units[..., :3].sum(-1) > 0}
    each = [
        description_length(recording_of(units[:n]), {k: v[:n] for k, v in signals.items()}).set_index("signal")
        for n in (5, 20, 80, 640)
    ]
    per_step = np.array([(table["bits"] / table["n"]).tolist() for table in each])
    assert np.isfinite(per_step).all() and (np.diff(per_step, axis=0) < 0).all()
    assert (per_step[0] < [8, 1.5]).all()


def test_a_surprise_costs_no_more_than_the_first_code_and_the_share_it_has_left():
    """An outlier, and a class that never was before, after sequences in which everything was certain."""
    units = np.random.default_rng(5).normal(size=(64, 5, 2))
    signals = {"held": units[..., 0].copy(), "never": np.zeros((64, 5))}
    last = int(np.argmax(Cut.of(np.full(64, 5.0), (0.5, 1), 0).portion))
    signals["held"][last, 3] += 12
    signals["never"][last, 3] = 1
    table = description_length(recording_of(units), signals, portions=(0.5, 1)).set_index("signal")
    for name in signals:
        first = table.loc[name, "uniform_bits"] / 2
        surprise = -np.log2(norm.sf(12 / np.std(signals["held"]))) if name == "held" else 1
        assert table.loc[name, "bits"] < first * 1.6 + surprise + np.log2(161)


def test_portions_are_whole_sequences_in_random_order():
    n = np.r_[np.zeros(3), np.full(64, 7.0)]
    cut = Cut.of(n, (1 / 64, 1 / 16, 1 / 8, 0.13, 1), 0)
    assert np.bincount(cut.portion[3:]).tolist() == [4, 4, 56] and (cut.portion[:3] == 0).all()
    assert np.bincount(cut.inner[3:]).tolist() == [16] * 4
    assert sorted(cut.inner[3:][cut.portion[3:] == 0]) == [0, 1, 2, 3]
    assert not np.array_equal(cut.portion, Cut.of(n, (1 / 64, 1 / 16, 1 / 8, 0.13, 1), 1).portion)
    assert Cut.of(np.ones(5), (1 / 64, 1), 0).count == 2


def test_probabilities_stay_exact_far_out():
    off, deviation = np.array([0.0, 0.3, -2.0, 60.0]), np.array([1.0, 0.1, 0.5, 1.0])
    got = log_interval(off, deviation)
    assert got[:3] == pytest.approx(np.log(interval(off[:3], 0, deviation[:3])))
    # The interval's near end decides: log sf(z) is about −z² / 2 − log(z √(2π)).
    assert got[3] == pytest.approx(-(59.95**2) / 2 - np.log(59.95 * np.sqrt(2 * np.pi)), abs=0.01)
    assert log_interval(np.zeros(1), np.zeros(1)) == 0


def test_table_and_what_is_undefined(caplog):
    torch.manual_seed(0)
    x = torch.randn(30, 8, 2)
    rec = record(nn.LSTM(2, 3, 2, batch_first=True), x)
    signals = {"sum": x[..., 0].cumsum(1), "bit": x[..., 1] > 0, "flat": torch.ones(30, 8)}
    options = {"variables": None, "lags": (0, 1), "run": "r", "task": "t", "seed": 3}
    with caplog.at_level(logging.WARNING):
        table = description_length(rec, signals, **options)
    assert tuple(table.columns) == tuple(DESCRIPTION_COLUMNS) and len(table) == 2 * 6 * 3 * 2
    assert table.iloc[0, :4].tolist() == ["r", "t", 3, 3]
    assert table["n"].dtype == np.int64 and set(table["n"]) == {240, 210}
    bits = ["bits", "uniform_bits", "compression", "control_bits"]
    flat = table["signal"] == "flat"
    assert table.loc[flat, bits].isna().all(axis=None) and table.loc[~flat, bits].notna().all(axis=None)
    assert "signal 'flat', lag 0: constant" in caplog.text
    assert table.equals(description_length(rec, signals, **options))


@pytest.mark.parametrize("portions", [(), (0.5,), (0.5, 0.2, 1), (0, 1), (0.5, 2)])
def test_portions_that_do_not_rise_to_one_are_named(portions):
    rec = recording_of(np.random.default_rng(0).normal(size=(10, 4, 1)))
    with pytest.raises(InputError, match=r"^portions=\(.*\): must rise from above 0 to 1\nvariables=z"):
        description_length(rec, {"y": rec.c[..., 0]}, portions=portions, variables=["z"])


def test_too_few_sequences_are_named():
    units = np.random.default_rng(0).normal(size=(8, 6, 1))
    rec = recording_of(units, lengths=[6, 6, 6, 6, 3, 3, 3, 3])
    assert len(description_length(rec, {"y": units[..., 0]}, lags=(0, 2))) == 2
    with pytest.raises(InputError, match=r"^lags=3: 4 sequences are longer; an online code needs 5$"):
        description_length(rec, {"y": units[..., 0]}, lags=(0, 3))
