"""Codes of two signals together: planted ones are found, those of one signal or of a sum are not; loops and seeds."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import SplineTransformer

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.conjunctions import interactions
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording

FAST = {"permutations": 199, "bootstrap": 30, "untrained": 2}


def recording(units, inputs=None, lengths=None, seed=0):
    """A recording of c alone, with a little noise on each unit, on inputs that say nothing."""
    rng = np.random.default_rng(seed + 1000)
    c = np.stack(units, -1)
    c = c + 0.02 * rng.normal(size=c.shape)
    given = rng.normal(size=(*c.shape[:2], 2)) if inputs is None else inputs
    parts = {(0, "forward"): LayerRecording(0, "forward", torch.tensor(given).float(), c=torch.tensor(c))}
    lengths = np.full(len(c), c.shape[1]) if lengths is None else lengths
    return Recording(parts, torch.as_tensor(lengths), LSTMConfig(given.shape[-1], c.shape[-1]))


def latch(rng, shape, rate=0.15):
    """A state of −1 or 1 that now and then changes."""
    turns = np.where(np.cumsum(rng.random(shape) < rate, 1) % 2, 1.0, -1.0)
    return turns * rng.choice([-1, 1], (shape[0], 1))


def walk(rng, shape):
    return 0.3 * np.cumsum(rng.normal(size=shape), 1)


def planted(seed, shape=(80, 24)):
    rng = np.random.default_rng(seed)
    value, one, two = walk(rng, shape), latch(rng, shape), latch(rng, shape)
    gate = (rng.random(shape) < 0.3).astype(int)
    label = rng.integers(0, 4, shape)
    angle = np.cumsum(0.4 * rng.normal(size=shape), 1) + rng.uniform(-np.pi, np.pi, (shape[0], 1))
    signals = {
        "value": value, "one": one, "two": two, "gate": gate,
        "label": lp.Signal("label", torch.tensor(label), "categorical"),
        "angle": lp.Signal("angle", torch.tensor((angle + np.pi) % (2 * np.pi) - np.pi), "circular"),
    }  # fmt: skip
    positive = {
        "value gate": value * gate, "one two": one * two, "two gate": (two > 0) ^ (gate > 0),
        "value label": value * (label == 2), "one angle": one * np.cos(angle - 0.5), "one gate": one * gate,
    }  # fmt: skip
    negative = {
        "value + one": value / value.std() + one, "value": value, "|value|": np.abs(value), "value²": value**2,
        "one": one, "label": (label == 2) * 1.0, "angle": np.cos(angle), "noise": rng.normal(size=shape),
        "walk": walk(rng, shape), "one + two": one + 0.5 * two,
    }  # fmt: skip
    units = {name: np.asarray(own, dtype=float) for name, own in {**positive, **negative}.items()}
    return signals, units, list(positive), list(negative)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_conjunctions_are_found_and_nothing_else(seed):
    signals, units, positive, negative = planted(seed)
    table = lp.conjunctions(recording(list(units.values()), seed=seed), signals, seed=seed, **FAST)
    assert len(table) == len(units) * 15
    found = table[table["found"]]
    names = np.array(list(units))[found["unit"]]
    pairs = (found["signal"] + " " + found["other"]).tolist()
    assert set(zip(names, pairs)) == {(name, name) for name in positive} and len(found) == len(positive)
    assert (found["effect"] >= 0.25).all() and (found["p_family"] <= 0.05).all()
    assert (found["ci_low"] <= found["effect"]).all() and (found["effect"] <= found["ci_high"]).all()
    both = found[(names == "one two")].iloc[0]
    assert both["effect"] > 0.95 and max(both["effect_signal"], both["effect_other"]) < 0.3
    rest = table[np.isin(np.array(list(units))[table["unit"]], negative)]
    assert rest["effect"].max() < 0.2


def test_the_effect_is_that_of_two_regressions():
    """The interaction by scikit-learn (natural splines by their own basis), then held-out least squares."""
    rng = np.random.default_rng(5)
    shape = (50, 18)
    value, gate = walk(rng, shape), (rng.random(shape) < 0.4).astype(int)
    lengths = rng.integers(9, 19, size=50)
    mask = np.arange(18) < lengths[:, None]
    rec = recording([value * gate, value + gate, rng.normal(size=shape)], lengths=lengths)
    split = lp.Split.make(50, 5, 0)
    table = lp.conjunctions(rec, {"value": value, "gate": gate}, split=split, **FAST)
    a, b = value[mask], gate[mask].astype(float)
    product = (a - a.mean()) * (b - b.mean())
    # Natural cubic splines with these five knots: cubic between them, straight outside; a basis of 5 + 2 − 3 = 4.
    knots = np.quantile(a, (0.05, 0.275, 0.5, 0.725, 0.95))
    inner = SplineTransformer(knots=knots[:, None], degree=3, extrapolation="linear").fit_transform(a[:, None])
    ends = SplineTransformer(knots=knots[:, None], degree=3, extrapolation="continue").fit(knots[:, None])
    curvature = [np.diff(ends.transform(k + 1e-3 * np.array([[-2.0], [-1.0], [0.0]])), 2, axis=0)[0] / 1e-6
                 for k in knots[[0, -1]]]  # fmt: skip
    free = np.linalg.svd(np.array(curvature))[2][2:].T
    known = np.column_stack([inner @ free, b, np.ones(len(b))])  # a spline holds a constant: one column too many
    left = product - known @ np.linalg.lstsq(known, product, rcond=1e-12)[0]
    y = np.zeros(shape)
    y[mask] = left
    for row in table.itertuples():
        predicted = np.zeros(shape)
        x = rec.c.numpy()[..., [row.unit]]
        for members in split.members:
            rest = np.setdiff1d(np.arange(50), members)
            fit = LinearRegression().fit(x[rest][mask[rest]], y[rest][mask[rest]])
            predicted[members] = fit.predict(x[members].reshape(-1, 1)).reshape(len(members), -1)
        assert row.effect == pytest.approx(max(0, r2_score(left, predicted[mask])), abs=5e-3)
    probes = lp.probe_units(rec, {"value": value, "gate": gate}, split=split, **FAST)
    assert np.allclose(table["effect_signal"], probes[probes.signal == "value"]["effect"])
    assert np.allclose(table["effect_other"], probes[probes.signal == "gate"]["effect"])


def test_false_alarms_over_seeds():
    """In random networks, and beside units of one signal and of sums, p_family ≤ 0.05 is as rare as it says."""
    alarms, found = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape = (24, 10)
        signals = {"one": latch(rng, shape), "value": walk(rng, shape), "noise": rng.normal(size=shape)}
        units = [walk(rng, shape), latch(rng, shape), rng.normal(size=shape), rng.normal(size=shape).cumsum(1)]
        table = lp.conjunctions(recording(units, seed=seed), signals, permutations=99, bootstrap=2, untrained=1)
        alarms.append((table["p_family"] <= 0.05).any())
        units = [signals["one"], signals["value"], signals["one"] + signals["value"], signals["value"] ** 2]
        table = lp.conjunctions(recording(units, seed=seed), signals, permutations=99, bootstrap=2, untrained=1)
        found.append(table["found"].any())
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean(found) <= 0.05


@pytest.mark.parametrize("classes", [2, 3])
def test_the_null_is_that_of_permuted_sequences(classes):
    """One pair, of one product or of three: p-values by a loop over whole sequences of the interactions."""
    rng = np.random.default_rng(1)
    shape, rounds = (30, 8), 59
    one, two = latch(rng, shape), rng.integers(0, classes, (30, 1)).repeat(8, 1)
    rec = recording([one * (two == 1) + 2 * rng.normal(size=shape), rng.normal(size=shape)])
    split, mask, signals = lp.Split.make(30, 5, 0), np.ones(shape, dtype=bool), {"one": one, "two": two}
    table = lp.conjunctions(rec, signals, split=split, permutations=rounds, bootstrap=5, untrained=1)
    cells = [own.values for own in interactions(*check_signals(signals, mask), mask)]
    assert len(cells) == (1 if classes == 2 else 3)
    scores = np.empty((rounds + 1, 2, len(cells)))
    for k, drawn in enumerate(make_exchange("shuffle", np.full(30, 8)).permutations(rounds, 0)):
        for unit, (cell, own) in ((u, c) for u in range(2) for c in enumerate(cells)):
            x, y, predicted = rec.c.numpy()[..., [unit]], own[drawn], np.zeros(shape)
            for members in split.members:
                rest = np.setdiff1d(np.arange(30), members)
                fit = LinearRegression().fit(x[rest].reshape(-1, 1), y[rest].ravel())
                predicted[members] = fit.predict(x[members].reshape(-1, 1)).reshape(-1, 8)
            scores[k, unit, cell] = r2_score(y.ravel(), predicted.ravel())
    best, most = scores[0].argmax(1), scores.max((1, 2))
    for unit in range(2):
        own = scores[:, unit, best[unit]]
        alone = min(1.0, len(cells) * np.mean(own >= own[0] - 1e-5))
        assert table["p_value"][unit] == pytest.approx(alone)
        family = (1 + np.sum(most[1:] >= own[0] - 1e-5)) / (rounds + 1)
        assert table["p_family"][unit] == pytest.approx(family)


def test_what_one_signal_says_of_the_other_is_no_conjunction():
    """Nested and equal signals have no interaction; of correlated ones a unit of the square of either is not found."""
    rng = np.random.default_rng(3)
    shape = (60, 16)
    on, value = (latch(rng, shape) > 0).astype(int), walk(rng, shape)
    loud = on * (rng.random(shape) < 0.5)
    like = value + 0.3 * rng.normal(size=shape)
    signals = {"on": on, "loud": loud, "same": on, "value": value, "like": like}
    table = lp.conjunctions(recording([value**2, on * 1.0, loud * 1.0, like**2]), signals, **FAST)
    for pair in (("on", "loud"), ("on", "same"), ("loud", "same")):
        own = table[(table.signal == pair[0]) & (table.other == pair[1])]
        assert own[["effect", "p_value", "p_family", "ci_low"]].isna().all().all() and not own["found"].any()
    assert not table["found"].any()


@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_a_unit_that_holds_a_known_signal_does_not_code_two_others_together(kind):
    """The product of a value and a sign, or "one or the other but not both", is found until it is a signal itself."""
    rng, shape = np.random.default_rng(0), (80, 24)
    one, two = latch(rng, shape), walk(rng, shape) if kind == "continuous" else latch(rng, shape)
    product, far = one * two, 2 * one * two + 10 * walk(rng, shape)
    rec = recording([product, rng.normal(size=shape)])
    told = []
    for more in ({}, {"far": far}, {"product": 3 - 2 * product}):
        table = lp.conjunctions(rec, {"one": one, "two": two, **more}, **FAST)
        own = table[(table["signal"] == "one") & (table["other"] == "two")]
        told.append((own["found"].tolist(), own["other_signal"].iloc[0]))
    assert [found for found, _ in told] == [[True, False], [True, False], [False, False]]
    assert told[0][1] == 0 and told[1][1] < 0.02 and told[2][1] > 0.95


@pytest.mark.parametrize("shown", ["sign", "quadrant", "gaps", "exponential"])
def test_what_another_signal_tells_is_that_of_any_function_of_it(shown):
    """The unit is the product of two signs: the sign of a third signal, a function of its classes, or what it shows."""
    rng, shape = np.random.default_rng(3), (80, 24)
    one, two = latch(rng, shape), latch(rng, shape)
    third = {
        "sign": one * two * (1 + np.abs(walk(rng, shape))),
        "quadrant": np.array(["a", "b", "c", "d"])[((one > 0) * 2 + (two > 0)).astype(int)],
        "gaps": np.where(rng.random(shape) < 0.9, one * two, np.nan),
        "exponential": np.exp(one * two * (1 + 4 * rng.random(shape))),
    }[shown]
    rec = recording([one * two + 0.05 * rng.normal(size=shape), rng.normal(size=shape)])
    table = lp.conjunctions(rec, {"one": one, "two": two, "third": third}, **FAST)
    own = table[(table["signal"] == "one") & (table["other"] == "two")]
    assert own["effect"].max() > 0.9 and own["other_signal"].min() > 0.95 and not own["found"].any()


def test_what_classes_tell_is_that_of_a_plain_regression():
    """A unit that is a, of signals b and a · b: a is what the two tell together, in part, and is known by its class."""
    rng, shape = np.random.default_rng(2), (80, 24)
    a, b = walk(rng, shape), walk(rng, shape)
    classes = np.digitize(a, [-1, 0, 2])
    signals = {"a": classes, "b": b, "ab": a * b}
    rec, split = recording([a, rng.normal(size=shape)]), lp.Split(np.arange(80) % 5)
    table = lp.conjunctions(rec, signals, split=split, **FAST)
    own = table[(table["signal"] == "b") & (table["other"] == "ab") & (table["unit"] == 0)].iloc[0]
    mask = np.ones(shape, dtype=bool)
    (both,) = interactions(*check_signals({"b": b, "ab": a * b}, mask), mask)
    dummies = np.eye(4)[classes.ravel()]
    folds = PredefinedSplit(np.repeat(np.arange(80) % 5, 24))
    line = cross_val_predict(LinearRegression(), dummies, both.values.ravel(), cv=folds)
    assert own["other_signal"] == pytest.approx(r2_score(both.values.ravel(), line))


def test_what_the_present_input_says_is_not_found():
    """A product that is an input itself: the unit has it, and so has the input."""
    rng = np.random.default_rng(4)
    shape = (60, 16)
    one, two = latch(rng, shape, 0.5), latch(rng, shape, 0.5)
    units, signals = [one * two, rng.normal(size=shape)], {"one": one, "two": two}
    inputs = np.stack([one * two, one], -1)
    shown = lp.conjunctions(recording(units, inputs), signals, **FAST)
    assert shown["effect"].max() > 0.9 and shown["input_only"].max() > 0.9 and not shown["found"].any()
    assert lp.conjunctions(recording(units), signals, **FAST)["found"].tolist() == [True, False]


def test_labels_may_be_missing_and_pairs_count_where_both_are_there():
    rng = np.random.default_rng(6)
    shape = (60, 20)
    one, two, three = (latch(rng, shape) for _ in range(3))
    gaps = [np.where(rng.random(shape) < 0.7, own, np.nan) for own in (one, two)]
    rec = recording([one * two, one * three])
    table = lp.conjunctions(rec, {"one": gaps[0], "two": gaps[1], "three": three}, **FAST)
    found = table[table["found"]]
    assert found[["unit", "signal", "other"]].values.tolist() == [[0, "one", "two"], [1, "one", "three"]]
    both = ~np.isnan(gaps[0]) & ~np.isnan(gaps[1])
    checked = check_signals({"one": gaps[0], "two": gaps[1]}, np.ones(shape, dtype=bool))
    made = interactions(*checked, np.ones(shape, dtype=bool))[0]
    assert np.array_equal(made.labelled, both) and not made.values[~both].any()
    a, b = (own[both] - own[both].mean() for own in gaps)
    z = np.column_stack([a, b])
    # Two classes are 0 and 1 there, −1 and 1 here.
    assert np.allclose(4 * made.values[both], a * b - LinearRegression().fit(z, a * b).predict(z))


def test_a_signal_tells_what_it_does_where_it_is_labelled_unless_labels_are_few():
    """Here it is the product of the two wherever it is known."""
    rng = np.random.default_rng(6)
    shape = (60, 20)
    one, two = (latch(rng, shape) for _ in range(2))
    product = one * two
    few = np.where(np.arange(60)[:, None] * 20 + np.arange(20) < 9, product, np.nan)
    for third, told in ((np.where(np.arange(20) < 18, product, np.nan), 1.0), (few, 0.0), (product, 1.0)):
        table = lp.conjunctions(recording([product]), {"one": one, "two": two, "third": third}, **FAST)
        own = table[(table["signal"] == "one") & (table["other"] == "two")].iloc[0]
        assert own["other_signal"] == pytest.approx(told, abs=0.05) and own["found"] == (told == 0)


def test_few_pairs_by_role_and_number(caplog):
    rng = np.random.default_rng(7)
    shape = (40, 10)
    signals = {name: lp.Signal(name, torch.tensor(walk(rng, shape)), "continuous", role)
               for name, role in zip("abcd", ("target", "latent", "distractor", "nuisance"))}  # fmt: skip
    rec = recording([walk(rng, shape)])
    pairs = lp.conjunctions(rec, signals, **FAST)[["signal", "other"]].values.tolist()
    assert pairs == [["a", "b"], ["a", "c"], ["b", "c"]]
    with caplog.at_level("WARNING"):
        few = lp.conjunctions(rec, signals, most=1, roles=("target", "latent", "nuisance"), **FAST)
    assert few[["signal", "other"]].values.tolist() == [["a", "b"]]
    assert "most=1 of 3 pairs of signals are looked at; left out are a and d, b and d" in caplog.text
    # However many pairs there are, one of them can be significant.
    many = {f"s{k}": latch(rng, shape) for k in range(9)}
    table = lp.conjunctions(recording([many["s0"] * many["s5"]]), many, permutations=9, bootstrap=2, untrained=1)
    assert table[table["found"]][["signal", "other"]].values.tolist() == [["s0", "s5"]]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"roles": ("target",)}, r"needs two signals with a role among target; there are: a \(latent\), b \(latent\)"),
        ({"roles": ("latnt",)}, r"roles=latnt: must be among .*Did you mean 'latent'"),
        ({"most": 0}, r"most=0: must be a whole number from 1"),
        ({"null": "shufle"}, r"null=shufle"),
        ({"variables": ["h"]}, r"variables=h"),
        ({"permutations": 0, "alpha": 2}, r"(?s)permutations=0.*alpha=2"),
    ],
)
def test_bad_input(change, message):
    rng = np.random.default_rng(0)
    signals = {name: walk(rng, (20, 6)) for name in "ab"}
    with pytest.raises(InputError, match=message):
        lp.conjunctions(recording([walk(rng, (20, 6))]), signals, **{**FAST, **change})
