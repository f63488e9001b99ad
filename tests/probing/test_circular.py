"""Angles: sine and cosine together, against scikit-learn, loops, and sine and cosine as two signals of their own."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.signals import check_signals, make_signal
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.splines import spline_scores
from lstm_probe.probing.inference.evaluate import evaluate_predictions, evaluate_units
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.intervals import bootstrap_weights
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.probing.streaming.shards import Stream

FAST = {"permutations": 199, "bootstrap": 50, "untrained": 19}


def turning(rng, sequences=40, time=16, pace=0.4, start=1.0):
    """Angles that turn at random, from −π to π."""
    angle = np.cumsum(pace * rng.normal(size=(sequences, time)), 1)
    angle += start * rng.uniform(-np.pi, np.pi, (sequences, 1))
    return (angle + np.pi) % (2 * np.pi) - np.pi


def recording(c, lengths=None, inputs=None, seed=0):
    """A recording of c alone, on random inputs."""
    sequences, time, units = c.shape
    rng = np.random.default_rng(seed + 99)
    given = torch.tensor(rng.normal(size=(sequences, time, 2)) if inputs is None else inputs).float()
    parts = {(0, "forward"): LayerRecording(0, "forward", given, c=torch.tensor(c))}
    lengths = np.full(sequences, time) if lengths is None else lengths
    return Recording(parts, torch.as_tensor(lengths), LSTMConfig(given.shape[-1], units))


def circular(values, role="latent"):
    return lp.Signal("angle", torch.as_tensor(values), "circular", role)


@pytest.fixture(scope="module")
def case():
    """Unequal lengths; units that go with the angle in three ways, and two that do not."""
    rng = np.random.default_rng(4)
    angle = turning(rng)
    x = [np.cos(angle - 0.7), np.sin(angle) + 0.3 * rng.normal(size=angle.shape), np.cos(angle) ** 3]
    c = np.stack([*x, rng.normal(size=angle.shape), np.cumsum(rng.normal(size=angle.shape), 1)], -1)
    lengths = rng.integers(8, 17, size=len(angle))
    mask = np.arange(angle.shape[1]) < lengths[:, None]
    return recording(c, lengths), angle, mask, lp.Split.make(len(angle), 5, 0)


def two_columns(angle):
    return np.stack([np.sin(angle), np.cos(angle)], -1)


def by_least_squares(c, angle, mask, split, lag=0):
    """R² of sine and cosine together, by scikit-learn's fits on the other folds."""
    y, x, keep = two_columns(angle)[:, : angle.shape[1] - lag], c[:, lag:], mask[:, lag:]
    out = []
    for unit in range(c.shape[-1]):
        predicted = np.zeros(y.shape)
        for members in split.members:
            rest = np.setdiff1d(np.arange(len(y)), members)
            fit = LinearRegression().fit(x[rest][keep[rest]][:, [unit]], y[rest][keep[rest]])
            predicted[members] = fit.predict(x[members].reshape(-1, x.shape[-1])[:, [unit]]).reshape(-1, y.shape[1], 2)
        out.append(r2_score(y[keep], predicted[keep], multioutput="variance_weighted"))
    return np.array(out)


def test_scores_are_those_of_least_squares_of_both_at_every_lag(case):
    rec, angle, mask, split = case
    table = lp.probe_units(rec, {"angle": circular(angle)}, split=split, lags=(0, 3), **FAST)
    for lag in (0, 3):
        own = table[table.lag == lag]
        expected = by_least_squares(rec.c.numpy(), angle, mask, split, lag)
        assert np.allclose(own["score"], expected, atol=1e-12)
        assert np.allclose(own["effect"], np.maximum(0, expected), atol=1e-12)
    assert (table["metric"] == "circular_r2").all() and (table["kind"] == "circular").all()
    assert table.query("lag == 0")["tracks"].tolist() == [True, True, True, False, False]
    assert 0.4 < table["score"].max() < 0.55


def test_a_step_without_a_label_counts_in_no_statistic(case):
    rec, angle, mask, split = case
    some = np.random.default_rng(1).random(angle.shape) < 0.6
    table = lp.probe_units(rec, {"angle": circular(np.where(some, angle, np.nan))}, split=split, lags=(0, 2), **FAST)
    for lag in (0, 2):
        counted = mask.copy()
        counted[:, lag:] &= some[:, : angle.shape[1] - lag]
        expected = by_least_squares(rec.c.numpy(), angle, counted, split, lag)
        assert np.allclose(table[table.lag == lag]["score"], expected, atol=1e-12)
    assert table.query("lag == 0")["tracks"].tolist() == [True, True, True, False, False]


def test_what_hardly_moves_is_not_its_second_order_cosine():
    """Of an angle within ±0.05, a unit that goes with its square is at nothing, and one that goes with it at 1."""
    rng = np.random.default_rng(2)
    angle = 0.05 * np.tanh(rng.normal(size=(40, 12)).cumsum(1))
    c = np.stack([angle, angle**2 - (angle**2).mean()], -1)
    effect = lp.probe_units(recording(c), {"angle": circular(angle)}, **FAST)["effect"].to_numpy()
    assert effect[0] > 0.995 and effect[1] < 0.02
    shares = two_columns(angle).var((0, 1))
    assert shares[1] < 1e-3 * shares[0]


@pytest.mark.parametrize("turn", [lambda a: a % (2 * np.pi), lambda a: a - 2 * np.pi * (a > 0), lambda a: a])
def test_every_convention_of_a_full_circle_says_the_same(case, turn):
    rec, angle, _, split = case
    other = turn(angle)
    assert np.abs(other).max() <= 2 * np.pi
    one, two = (lp.probe_units(rec, {"angle": circular(a)}, split=split, **FAST) for a in (angle, other))
    for column in ("score", "ci_low", "ci_high", "p_family"):
        assert np.allclose(one[column], two[column], atol=1e-9)
    own = lp.tuning_curves(rec, {"angle": circular(other)}, bootstrap=5)
    pd.testing.assert_frame_equal(own, lp.tuning_curves(rec, {"angle": circular(angle)}, bootstrap=5))


def test_angles_out_of_range_are_refused_in_one_sentence(case):
    rec, angle, mask, _ = case
    degrees = np.degrees(angle % (2 * np.pi))
    for given in (degrees, angle - 7.0):
        with pytest.raises(
            InputError, match=r"^signals\['angle'\]: .*radians, from −2π to 2π \(these may be degrees\)"
        ):
            lp.probe_units(rec, {"angle": circular(given)}, **FAST)
    padded = np.where(mask, angle, 360.0)  # what is padded means nothing
    assert lp.probe_units(rec, {"angle": circular(padded)}, **FAST)["tracks"].any()
    whole = circular(np.float32([-2 * np.pi, 2 * np.pi] * 20)[:, None].repeat(16, 1))
    assert check_signals({"angle": whole}, mask)[0].values.shape == angle.shape


def test_an_angle_that_stands_still_has_no_score(case, caplog):
    rec, angle, _, _ = case
    for still in (np.full(angle.shape, np.pi), np.where(angle > 0, np.pi, -np.pi)):
        table = lp.probe_units(rec, {"angle": circular(still), "other": angle}, **FAST)
        assert table.query("signal == 'angle'")["score"].isna().all()
        assert not table.query("signal == 'angle'")["tracks"].any()
    # Two values of a full circle are a latch, and R² says so.
    axis = np.where(angle > 0, 0.0, np.pi)
    c = np.stack([axis, np.random.default_rng(0).normal(size=axis.shape)], -1)
    table = lp.probe_units(recording(c), {"angle": circular(axis)}, **FAST)
    assert table["effect"].iloc[0] == pytest.approx(1) and table["effect"].iloc[1] < 0.05


def test_p_values_are_those_of_permuted_sequences(case):
    """Every permutation by a loop: whole sequences of angles, cut to the null's lengths, fitted anew."""
    rec, angle, _, split = case
    signals, count = {"angle": circular(angle)}, 39
    table = lp.probe_units(rec, signals, split=split, permutations=count, bootstrap=5, untrained=1)
    exchange = make_exchange("shuffle", rec.lengths.numpy())
    counted = np.arange(angle.shape[1]) < exchange.lengths[:, None]
    scores = np.array([by_least_squares(rec.c.numpy(), angle[order], counted, split)
                       for order in exchange.permutations(count, 0)])  # fmt: skip
    assert np.allclose(table["p_value"], (scores >= scores[0] - 1e-5).mean(0))
    best = scores[1:].max(1)
    assert np.allclose(table["p_family"], [(1 + (best >= s - 1e-5).sum()) / (1 + count) for s in scores[0]])


def test_p_values_of_untracked_angles_are_uniform():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        c, angle = np.cumsum(rng.normal(size=(30, 10, 1)), 1), turning(rng, 30, 10)
        made = lp.probe_units(recording(c), {"angle": circular(angle)}, permutations=199, bootstrap=2, untrained=1)
        p.append(made["p_value"].iloc[0])
    assert kstest(p, "uniform").pvalue > 0.01 and np.mean(np.array(p) <= 0.1) < 0.2


@pytest.mark.parametrize("gain, least", [(0.0, 0.93), (0.3, 0.9), (1.5, 0.9)])
def test_intervals_of_units_hold_the_truth(gain, least):
    """The truth is that of a very large sample; sequences hang together."""

    def drawn(rng, sequences):
        angle = turning(rng, sequences, 12, 0.3)
        return angle, gain * np.cos(angle - 0.7) + rng.normal(size=angle.shape) + rng.normal(size=(sequences, 1))

    truth, inside, rounds = 0.0, 0, 150
    angle, x = drawn(np.random.default_rng(1), 40_000)
    fit = LinearRegression().fit(x.reshape(-1, 1), two_columns(angle).reshape(-1, 2))
    truth = r2_score(two_columns(angle).reshape(-1, 2), fit.predict(x.reshape(-1, 1)), multioutput="variance_weighted")
    weights, rng, mask = bootstrap_weights(40, 200, 0), np.random.default_rng(2), np.ones((40, 12), dtype=bool)
    for k in range(rounds):
        angle, x = drawn(rng, 40)
        signal = make_signal("angle", "circular", "latent", angle, np.zeros(0), mask)
        view = View.make([signal], np.full(40, 12), lp.Split.make(40, 5, k))
        scores = evaluate_units(standardise(x[..., None], mask), view, weights)
        inside += scores.low[0, 0] <= truth <= scores.high[0, 0]
        assert scores.low[0, 0] <= scores.score[0, 0] <= scores.high[0, 0]
    assert inside / rounds >= least


def test_scores_of_predictions_are_those_of_both_columns(case):
    """One signal of numbers beside the angle; intervals are those of whole populations, and not of predictions."""
    rec, angle, mask, split = case
    rng = np.random.default_rng(3)
    checked = check_signals({"angle": circular(angle), "value": angle + 1.0}, mask)
    view = View.make(checked, rec.lengths.numpy(), split)
    predicted = np.where(mask[..., None], view.columns + 0.8 * rng.normal(size=view.columns.shape), 0.0)
    weights = bootstrap_weights(len(angle), 80, 0)
    scores = evaluate_predictions(predicted, view, weights)
    y, p = view.columns[..., :2], predicted[..., :2]
    assert scores.score[0, 0] == pytest.approx(r2_score(y[mask], p[mask], multioutput="variance_weighted"))
    raw = two_columns(angle)[mask]
    assert np.allclose(y[mask], (raw - raw.mean(0)) / np.sqrt(raw.var(0).mean()))
    assert np.isnan([scores.low, scores.high]).all()


def weighted(table, angle, mask, lag=0, column="score"):
    """What sine and cosine as two signals of their own have together, by their shares of the spread."""
    y = two_columns(angle)[:, : angle.shape[1] - lag][mask[:, lag:]].var(0)
    sine, cosine = (table[table.signal == name][column].to_numpy() for name in ("sine", "cosine"))
    return (y[0] * sine + y[1] * cosine) / y.sum()


@pytest.mark.parametrize("lag", [0, 2])
def test_other_analyses_say_what_they_say_of_sine_and_cosine(case, lag):
    rec, angle, mask, split = case
    angle = np.abs(angle) ** 1.3 - 2.0  # so that the two have unlike spreads
    assert np.abs(angle).max() < 2 * np.pi
    one, two = {"angle": circular(angle)}, {"sine": np.sin(angle), "cosine": np.cos(angle)}
    how = {"split": split, "lags": (lag,)}
    pair = [lp.probe_populations(rec, given, bootstrap=2, untrained=1, **how) for given in (one, two)]
    assert np.allclose(pair[0]["score"], weighted(pair[1], angle, mask, lag), atol=1e-10)
    together = pair[0]["score"]
    pair = [lp.memory_curves(rec, given, untrained=1, **how) for given in (one, two)]
    assert np.allclose(pair[0]["score"], weighted(pair[1], angle, mask, lag), atol=1e-10)
    pair = [lp.probe_units(rec, given, **FAST, **how) for given in (one, two)]
    views = [View.make(check_signals(given, mask), rec.lengths.numpy(), split, lag) for given in (one, two)]
    curves = [spline_scores(view.features(rec.c), view) for view in views]
    own = pd.DataFrame({"signal": np.repeat(["sine", "cosine"], 5), "score": curves[1].T.ravel()})
    assert np.allclose(curves[0][:, 0], weighted(own, angle, mask, lag), atol=1e-10)
    probes = lp.curved_units(rec, one, probes=pair[0], split=split, permutations=39, untrained=1)
    assert np.allclose(probes["curved"], np.maximum(0, curves[0][:, 0]))
    codes = lp.signal_codes(rec, one, rotations=19, **how)
    assert np.allclose(codes["effect"], together, atol=1e-10)
    assert np.allclose(codes["best_effect"], max(0, pair[0]["score"].max()), atol=1e-10)
    crossed = [lp.cross_time(rec, given, along="lag", split=split, lags=(0, lag or 1)) for given in (one, two)]
    own = [table[(table.fitted == 0) & (table.tested == 0)] for table in crossed]
    shown = mask.copy()
    shown[:, : lag or 1] = False
    assert np.allclose(own[0]["score"], weighted(own[1], angle, shown), atol=1e-10)


def test_all_units_by_greedy_selection_are_least_squares(case):
    rec, angle, mask, split = case
    table = lp.sparse_paths(rec, {"angle": circular(angle)}, split=split, methods=["greedy"])
    y, x = two_columns(angle), rec.c.numpy()
    predicted = np.zeros(y.shape)
    for members in split.members:
        rest = np.setdiff1d(np.arange(len(y)), members)
        fit = LinearRegression().fit(x[rest][mask[rest]], y[rest][mask[rest]])
        predicted[members] = fit.predict(x[members].reshape(-1, x.shape[-1])).reshape(-1, y.shape[1], 2)
    expected = r2_score(y[mask], predicted[mask], multioutput="variance_weighted")
    assert table["score"].iloc[-1] == pytest.approx(expected, abs=1e-6)
    populations = lp.probe_populations(rec, {"angle": circular(angle)}, split=split, bootstrap=2, untrained=1)
    assert populations["score"].iloc[0] == pytest.approx(expected, abs=1e-3)
    assert populations["n_units_90"].iloc[0] == 2 and populations["score"].iloc[0] > 0.9


def test_partial_effects_add_up_the_errors_of_both(case):
    """Against scikit-learn: all that is known, with each unit and without."""
    rec, angle, mask, split = case
    bit = (np.random.default_rng(0).random(angle.shape) < 0.5).astype(int)
    table = lp.partial_effects(rec, {"angle": circular(angle), "bit": bit}, split=split, bootstrap=5)
    own = table[table.signal == "angle"]
    t = np.linspace(-1, 1, angle.shape[1])
    step = np.broadcast_to(np.stack([t, t**2, t**3], -1), (*angle.shape, 3))
    z = np.concatenate([rec.inputs.double().numpy(), step, bit[..., None]], -1)
    y = two_columns(angle)

    def left(x):
        errors = 0.0
        for members in split.members:
            rest = np.setdiff1d(np.arange(len(y)), members)
            fit = LinearRegression().fit(x[rest][mask[rest]], y[rest][mask[rest]])
            errors += ((y[members][mask[members]] - fit.predict(x[members][mask[members]])) ** 2).sum()
        return errors

    for row in own.itertuples():
        with_unit = np.concatenate([z, rec.c.numpy()[..., [row.unit]]], -1)
        assert row.partial == pytest.approx(max(0, 1 - left(with_unit) / left(z)), abs=1e-9)


def test_tuning_is_by_equal_parts_of_the_circle(case):
    rec, angle, mask, _ = case
    table = lp.tuning_curves(rec, {"angle": circular(angle)}, levels=6, bootstrap=5).query("unit == 1")
    edges = np.linspace(-np.pi, np.pi, 7)
    for row, low, high in zip(table.itertuples(), edges, edges[1:]):
        inside = mask & (angle >= low) & (angle < high)
        assert row.n == inside.sum() and row.mean == pytest.approx(rec.c.numpy()[..., 1][inside].mean())
        assert row.level == pytest.approx(angle[inside].mean())
        assert row.low == pytest.approx(angle[inside].min()) and row.high == pytest.approx(angle[inside].max())


def test_a_stream_says_what_memory_says(case):
    rec, angle, mask, split = case
    signals = {"angle": circular(np.where(mask, angle, 0.0)), "bit": (angle > 0).astype(int)}
    stream, how = Stream(rec, signals, [9, 20, 11]), {"split": split, "lags": (0, 2), "untrained": 1}
    for probe, columns in (
        (lambda r, s: lp.probe_units(r, s, permutations=19, bootstrap=30, **how), ("score", "ci_low", "ci_high")),
        (lambda r, s: lp.probe_populations(r, s, bootstrap=30, **how), ("score", "ci_low", "ci_high", "n_units_90")),
        (lambda r, s: lp.memory_curves(r, s, **how), ("score", "signal_itself", "input_only", "time_only")),
    ):
        shards, whole = (table[table.signal == "angle"] for table in (probe(stream, None), probe(rec, signals)))
        assert (shards["kind"] == "circular").all()
        for column in columns:
            assert np.allclose(shards[column].astype(float), whole[column].astype(float), atol=1e-9, equal_nan=True)
    with pytest.raises(InputError, match="radians"):
        lp.probe_units(Stream(rec, {"angle": circular(angle * 60)}, [40]), permutations=19)


def test_bits_of_angles_are_not_told(case, caplog):
    rec, angle, _, _ = case
    signals = {"value": angle, "angle": circular(angle), "last": np.sin(angle)}
    with caplog.at_level("WARNING"):
        table = lp.description_length(rec, signals).set_index("signal")
    assert "signal 'angle' is an angle" in caplog.text and np.isnan(table.loc["angle", "bits"])
    alone = lp.description_length(rec, {"last": signals["last"]}).set_index("signal")
    assert table.loc["last", "bits"] == pytest.approx(alone.loc["last", "bits"])
