"""Units that track a signal, but not linearly: known answers, baselines, the null against loops, and noise."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing import probe_units
from lstm_probe.probing.analyses.curved import curved_null, curved_units, explained, orthogonal_features
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.splines import place_knots, spline_features, spline_scores
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.untrained import Networks, compare, random_part
from lstm_probe.recorder import record
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording

FAST = {"permutations": 199, "untrained": 19, "init": "torch"}


def recording(inputs, lengths=None, **variables):
    """A recording of inputs and variables given by hand."""
    lengths = np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths
    given = {key: torch.as_tensor(values) for key, values in variables.items()}
    part = LayerRecording(0, "forward", torch.as_tensor(inputs), **given)
    units = next(iter(variables.values())).shape[-1]
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(inputs.shape[-1], units))


def both(rec, signals, **settings):
    """The probes with the two columns."""
    probes = probe_units(rec, signals, bootstrap=2, **(FAST | settings))
    return curved_units(rec, signals, probes=probes, **(FAST | settings))


def nothing(units):
    """Networks that show nothing at all: weights of 0."""
    model = torch.nn.LSTM(1, units, batch_first=True)
    for tensor in model.parameters():
        torch.nn.init.zeros_(tensor)
    return [model] * 19


def integrator(units):
    """A network whose units all add up a hundredth of what they read."""
    (model, *_) = nothing(units)
    with torch.no_grad():
        model.bias_ih_l0[:] = 30.0
        model.bias_ih_l0[2 * units : 3 * units] = 0.0
        model.weight_ih_l0[2 * units : 3 * units] = 0.01
    return model


def walks(rng, *shape):
    """Noise that remembers."""
    steps = rng.normal(size=shape)
    for t in range(1, shape[1]):
        steps[:, t] += 0.9 * steps[:, t - 1]
    return steps


@pytest.fixture(scope="module")
def counting():
    """Units: the count, a squeezed one, its square, noise. Signals: the count, and what a curve alone tells of it."""
    rng = np.random.default_rng(0)
    moves = rng.choice([-1.0, 0.0, 1.0], size=(150, 30), p=[0.25, 0.5, 0.25])
    count = moves.cumsum(1)
    c = np.stack([0.1 * count, np.tanh(0.2 * count), count**2, walks(rng, 150, 30)], axis=-1)
    signals = {
        "count": count,
        "square": (count - count.mean()) ** 2,
        "size": np.abs(count),
        "low": np.abs(count) <= 2,
        "band": np.digitize(count, [-2, 2.5]),
    }
    return recording(moves[..., None], c=c), signals


def test_what_only_a_curve_tells_is_tracked_by_a_curve(counting):
    table = both(*counting).set_index(["unit", "signal"])
    shown = table.tracks_curved.unstack()
    assert shown.loc[0].to_dict() == {"count": False, "square": True, "size": True, "low": True, "band": False}
    for signal, least in (("square", 0.95), ("size", 0.95), ("low", 0.95)):
        row = table.loc[0, signal]
        assert row.curved > least and row.effect < 0.1 and not row.tracks
    # Curves of monotone functions of the count say nothing that a line does not.
    for unit in (0, 1):
        assert table.loc[unit, "count"].tracks and table.loc[unit, "count"].curved > 0.98
    assert table.loc[2, "square"].tracks and table.loc[2, "size"].tracks
    assert not shown.loc[2].any() and not shown.loc[3].any()
    assert not (table.tracks & table.tracks_curved).any()


def test_the_table_is_the_probes_with_two_more_columns(counting):
    rec, signals = counting
    probes = probe_units(rec, signals, bootstrap=2, **FAST)
    given = probes.copy()
    got = curved_units(rec, signals, probes=probes, **FAST)
    pd.testing.assert_frame_equal(probes, given)
    pd.testing.assert_frame_equal(got[probes.columns], probes)
    assert list(got.columns[-2:]) == ["curved", "tracks_curved"] and got.tracks_curved.dtype == bool
    assert got.attrs == probes.attrs
    mixed = probes.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(curved_units(rec, signals, probes=mixed, **FAST), got.loc[mixed.index])


@pytest.mark.parametrize("column", ["effect", "input_only", "time_only", "tracks"])
def test_a_curve_has_to_beat_the_line_and_every_baseline_by_the_margin(counting, column):
    rec, signals = counting
    few = {"permutations": 99, "untrained": 3, "init": "torch", "alpha": 0.25}
    probes = probe_units(rec, signals, bootstrap=2, **few)
    row = probes.index[(probes.unit == 0) & (probes.signal == "square")][0]
    before = curved_units(rec, signals, probes=probes, **few)
    assert before.tracks_curved[row]
    # b + 0.2·(1 − b) is reached by 1 − 1.25·(1 − curve), and 0.01 is the least.
    least = max(0.01, 0.25 * (1 - before.curved[row]))
    for below, flagged in ((1.01 * least, True), (0.99 * least, False)):
        probes.loc[row, column] = True if column == "tracks" else before.curved[row] - below
        got = curved_units(rec, signals, probes=probes, **few)
        assert got.tracks_curved[row] == (flagged and column != "tracks")
        assert (got.drop(row).tracks_curved == before.drop(row).tracks_curved).all()
    strict = curved_units(rec, signals, probes=probes, min_effect=0.98, min_effect_class=0.98, **few)
    assert (strict.tracks_curved == got.tracks_curved & (got.curved >= 0.98)).all()
    assert strict.tracks_curved.sum() < before.tracks_curved.sum()


def test_every_layer_variable_and_lag_has_its_own_curve():
    x = torch.randn(40, 9, 2, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    rec = record(torch.nn.LSTM(2, 3, 2, batch_first=True), x, lengths=torch.arange(40) % 4 + 6)
    signals = {"sum": x[..., 0].cumsum(1), "up": x[..., 1] > 0, "flat": torch.ones(40, 9)}
    probes = probe_units(rec, signals, lags=(0, 2), variables=["c", "f"], bootstrap=2, **FAST)
    table = curved_units(rec, signals, probes=probes, **FAST)
    study = make_study(rec, signals, None, (0, 2), ("c", "f"), 5, 0)
    view = study.views[1]
    expected = effects(spline_scores(view.features(rec[1].f), view), view)
    own = table[(table.layer == 1) & (table.variable == "f") & (table.lag == 2)]
    got = own.pivot(index="unit", columns="signal", values="curved")[["sum", "up", "flat"]].to_numpy()
    assert got == pytest.approx(expected, nan_ok=True) and np.isnan(got[:, 2]).all() and not np.isnan(got[:, :2]).any()
    assert not table[table.signal == "flat"].tracks_curved.any()


def present_and_previous():
    """An LSTM whose unit 0 holds the present input in its memory, and unit 1 the one before."""
    torch.manual_seed(0)
    model = torch.nn.LSTM(1, 2, batch_first=True)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.zero_()
        model.bias_ih_l0[[0, 1, 6, 7]] = 30.0
        model.bias_ih_l0[[2, 3]] = -30.0
        model.weight_ih_l0[4, 0] = 0.3
        model.weight_hh_l0[5, 0] = 1.0
    return model


def test_a_curve_of_the_present_input_is_no_memory():
    x = torch.randn(100, 12, 1, generator=torch.Generator().manual_seed(2))
    size = x[..., 0].abs()
    signals = {"size": size, "before": torch.cat([torch.zeros(100, 1), size[:, :-1]], 1) > 0.7}
    table = both(record(present_and_previous(), x, variables=("h", "c")), signals).set_index(
        ["variable", "unit", "signal"]
    )
    row = table.loc["c", 0, "size"]
    assert row.curved > 0.95 and row.effect < 0.1 and row.input_only > 0.95 and not row.tracks_curved
    assert table.tracks_curved["c", 1, "before"] and set(table.index[table.tracks_curved]) <= {
        ("c", 1, "before"), ("h", 1, "before")
    }  # fmt: skip


def test_untrained_units_have_curves_too():
    """Of a unit that tells no more than the best untrained units' curves do, nothing is said; p is that of a loop."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(50, 8, 1)).astype(np.float32)
    past = x[..., 0].cumsum(1)
    units = past[..., None] + 0.3 * rng.normal(size=(50, 8, 3)) * [1, 3, 9]
    rec = recording(x, c=units.astype(np.float32))
    signals = {"past": (past - past.mean()) ** 2}
    study = make_study(rec, signals, None, (0,), None, 5, 0)
    networks = Networks.of(rec, 19, 9, "torch")
    got = compare(study, networks, spline_scores, 0.05, np.ones((1, 3, 1), bool))
    (view,) = study.views
    every = []
    for k in range(19):
        other = record(rec.config.build(derive_seed(9, "untrained", k)), torch.as_tensor(x))
        every.append(effects(spline_scores(view.features(other.c), view), view)[:, 0])
    own = effects(spline_scores(view.features(rec.c), view), view)[:, 0]
    z = np.arctanh(np.sqrt(np.max(every, axis=1)))
    alone = [(z[m] - np.delete(z, m).mean()) / (np.delete(z, m).std(ddof=1) + 0.05) for m in range(19)]
    mine = (np.arctanh(np.sqrt(own)) - z.mean()) / (z.std(ddof=1) + 0.05)
    assert got.p[0, :, 0].tolist() == [(1 + sum(a >= one for a in alone)) / 20 for one in mine]
    assert 0.05 == got.p[0, 0, 0] < got.p[0, 2, 0]
    assert got.level[0, :, 0] == pytest.approx([np.percentile(np.concatenate(every), 95)] * 3, abs=1e-6)
    assert got.best[0, :, 0] == pytest.approx([np.max(every)] * 3, abs=1e-6)
    probes = probe_units(rec, signals, bootstrap=2, seed=9, **FAST)
    for untrained, tracked in ((nothing(3), [True, True, False]), ([integrator(3)] * 19, [False] * 3)):
        table = curved_units(rec, signals, probes=probes, permutations=199, seed=9, untrained=untrained)
        assert table.tracks_curved.tolist() == tracked


def brute_force(x, y, mask):
    """The R² of a regression on a unit's spline, in the steps that it is fitted on."""
    values = x[mask] / x[mask].std()
    z = spline_features(values[None], place_knots(values[None]))[0].T
    return LinearRegression().fit(z, y[mask]).score(z, y[mask])


@pytest.mark.parametrize(("null", "lag"), [("shuffle", 0), ("shuffle", 2), ("roll", 0), ("roll", 2)])
def test_the_null_is_about_what_a_curve_explains(null, lag):
    rng = np.random.default_rng(5)
    lengths = rng.choice([9, 12], size=40)
    x = walks(rng, 40, 12, 3) * [1e-3, 1, 1e4]
    signals = {"v": walks(rng, 40, 12), "b": x[..., 0] ** 2 > 1e-6, "k": np.digitize(walks(rng, 40, 12), [-1, 1])}
    study = make_study(recording(x, lengths, c=x), signals, None, (lag,), None, 4, 0)
    exchange = make_exchange(null, lengths)
    permutations = exchange.permutations(19, 3)
    view = View.make(study.signals, exchange.lengths, study.split, lag)
    z = orthogonal_features(view.features(study.blocks[0].values), view.mask)
    source = exchange.moving(view).columns.transpose(2, 0, 1).astype(np.float32)
    moved = exchange.moved(source, permutations, np.arange(40), lag)
    every = np.stack([explained(z, y, view.mask) for y in moved])
    for column in range(5):
        for k in (0, 1, 7):
            for unit in range(3):
                expected = brute_force(x[:, lag:, unit], moved[column, k].astype(float), view.mask)
                assert every[column, unit, k] == pytest.approx(expected, abs=1e-5)
    # Classes count as their mean, a signal's best is that of all units, Holm counts signals that are not asked for.
    shares = np.stack([every[0], every[1], every[2:].mean(0)])
    p = curved_null(study, np.array([False, True, True]), exchange, 19, 3, np.ones(3, bool))
    best = shares[:, :, 1:].max(1)
    own = np.array([[(1 + (best[g] >= shares[g, u, 0]).sum()) / 20 for g in range(3)] for u in range(3)])
    assert (p[0, :, 0] == 1).all()
    first = own[:, 1:].min(0).argmin()
    assert p[0, :, 1 + first] == pytest.approx(np.minimum(1, 3 * own[:, 1 + first]))
    other = np.minimum(1, np.maximum(2 * own[:, 2 - first], p[0, :, 1 + first].min()))
    assert p[0, :, 2 - first] == pytest.approx(other)


def test_noise_is_never_tracked_by_a_curve():
    """White and autocorrelated, in sequences of unequal length; and rarely so by significance alone."""
    flagged, significant = 0, 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(10, 16, 48)
        walk = walks(rng, 48, 15)
        signals = {"walk": walk, "outside": np.abs(walk) > 1, "white": rng.normal(size=(48, 15))}
        rec = recording(rng.normal(size=(48, 15, 1)), lengths, c=walks(rng, 48, 15, 4))
        settings = {"permutations": 59, "untrained": 19, "init": "torch", "seed": seed}
        probes = probe_units(rec, signals, bootstrap=2, **settings)
        flagged += curved_units(rec, signals, probes=probes, **settings).tracks_curved.any()
        # Significance alone: what untrained units tell, beside which noise has to stand too, is left out.
        bars = {"min_effect": 0.0, "min_effect_class": 0.0, "margin": 0.0, "least_margin": 0.0}
        loose = curved_units(
            rec, signals, probes=probes, alpha=0.2, **bars, **(settings | {"untrained": nothing(4), "init": None})
        )
        significant += loose.tracks_curved.any()
    assert flagged == 0
    assert significant <= 24 * 0.2 + 3 * np.sqrt(24 * 0.2 * 0.8)


def test_what_depends_on_the_step_alone_is_not_tracked_by_a_curve():
    rng = np.random.default_rng(6)
    step = np.tile(np.arange(20.0), (60, 1))
    c = (step + 0.1 * rng.normal(size=step.shape))[..., None]
    middle = np.abs(step - 9.5) + 0.1 * rng.normal(size=step.shape)
    table = both(recording(np.ones((60, 20, 1)), c=c), {"middle": middle})
    assert table.curved[0] > 0.95 and not table.tracks_curved[0]


def test_a_part_of_many_sequences_is_a_study_of_its_own():
    rng = np.random.default_rng(7)
    lengths = rng.integers(40, 71, 300)
    x = rng.normal(size=(300, 100, 1))
    signals = {"x": x[..., 0], "up": x[..., 0] > 0}
    study = make_study(recording(x, lengths, c=x, h=x**2), signals, None, (0, 3), ("h",), 5, 0)
    part = random_part(study, 1)
    taken = part.lengths.cumsum()
    assert taken[-2] < 4800 <= taken[-1] and len(part.split) == len(part.lengths)
    assert part.rec.mask.sum() == taken[-1] and part.rec.inputs.shape[:2] == part.signals[0].values.shape
    real = part.rec.mask.numpy()
    assert np.array_equal(part.blocks[0].values[..., 0].numpy()[real], part.signals[0].values[real] ** 2)
    assert np.array_equal(part.signals[1].values[real], part.signals[0].values[real] > 0)
    assert part.views[1].mask.sum() == (part.lengths - 3).sum()
    assert not np.array_equal(random_part(study, 2).lengths, part.lengths)
    # A few long sequences are all taken: sequences are what is exchanged.
    few = make_study(recording(x[:60], lengths[:60] * 0 + 100, c=x[:60]), {"x": x[:60, :, 0]}, None, (0,), None, 5, 0)
    assert random_part(few, 1) is few


def test_other_peoples_probes_are_refused(counting):
    rec, signals = counting
    probes = probe_units(rec, signals, bootstrap=2, **FAST)
    for other in (probes[1:], pd.concat([probes, probes[:1]]), probes.assign(unit=probes.unit + 1)):
        with pytest.raises(InputError, match="probes: must be the whole table that probe_units makes"):
            curved_units(rec, signals, probes=other, **FAST)
    with pytest.raises(InputError, match=r"permutations=0: .*\nalpha=2"):
        curved_units(rec, signals, probes=probes, permutations=0, alpha=2.0)
    with pytest.raises(InputError, match=r"null=shufle: must be one of shuffle roll shift\. Did you mean 'shuffle'"):
        curved_units(rec, signals, probes=probes, null="shufle")
