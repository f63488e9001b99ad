"""What it takes to track: bars of equal strength against a simulation, margins near 1, and each of them by keyword."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score

import lstm_probe as lp
from lstm_probe.core.scale import strength
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.inference.decision import Rule, equal_strength


@pytest.mark.parametrize("r", [0.3, 0.5, 0.7, 0.9])
def test_a_cut_into_halves_is_as_strong_as_the_number(r):
    """Of two normal variables that correlate by r: R² is r², and 2·AUROC − 1 of the cut is what the formula says."""
    rng = np.random.default_rng(0)
    unit = rng.normal(size=200_000)
    number = r * unit + np.sqrt(1 - r**2) * rng.normal(size=len(unit))
    share = 2 * roc_auc_score(number > 0, unit) - 1
    assert r2_score(number, r * unit) == pytest.approx(r**2, abs=0.01)
    assert equal_strength(r**2) == pytest.approx(share, abs=0.01)
    assert strength(np.array([share, r**2]), ["auroc", "r2"]) == pytest.approx([r**2] * 2, abs=0.012)
    # Of a rare half the effect is higher: there the bar is the milder one.
    assert 2 * roc_auc_score(number > 1.6, unit) - 1 > share


def test_the_bars_are_of_equal_strength():
    rule = Rule()
    assert rule.min_effect_class == pytest.approx(equal_strength(rule.min_effect), abs=0.005)
    x = np.random.default_rng(0).normal(size=(4, 6))
    three = {"number": x, "side": x > 0, "band": np.digitize(x, [-0.5, 0.5])}
    checked = check_signals(three, np.ones((4, 6), bool))
    assert rule.bar(checked).tolist() == [0.25, 0.46, 0.46]
    assert Rule(min_effect=1, min_effect_class=0).bar(checked).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("baseline", "least", "needed"),
    [
        (0.0, None, 0.2),
        (0.5, None, 0.6),
        (0.9, None, 0.92),
        (0.983, None, 0.993),
        (0.9, 0.02, 0.92),
        (0.95, 0.02, 0.97),
    ],
)
def test_a_share_of_what_is_left_but_some_at_least(baseline, least, needed):
    effects = np.array([needed - 1e-6, needed + 1e-6])
    assert Rule().beyond(effects, np.full(2, baseline), least).tolist() == [False, True]


def test_where_the_past_was_not_swapped_it_refuses_nothing():
    effect, swap = np.array([0.9, 0.9, 0.9, 0.9]), np.array([np.nan, 0.2, 0.87, 0.88])
    assert Rule().remembered(effect, swap).tolist() == [True, True, True, False]


def counting(rate, n, seed):
    """A count whose events come so often that the step tells nearly all of it."""
    net = lp.planted.counter(random_units=4, seed=0)
    x = net.sample(n, length=40, seed=seed).inputs.clone()
    up, down = (next(k for k, name in enumerate(net.input_names) if way in name) for way in ("up", "down"))
    x[..., up] = (torch.rand(n, 40, generator=torch.Generator().manual_seed(seed)) < rate).float()
    x[..., down] = 0
    return net, net.batch(x)


@pytest.mark.parametrize(("rate", "seed"), [(0.9, 0), (0.9, 3), (0.5, 1), (0.1, 2)])
def test_an_exact_counter_of_frequent_events_tracks(rate, seed):
    """The step alone tells 98 % of it, and an exact unit the rest: it closes all that is left."""
    net, batch = counting(rate, 120, seed)
    name = batch.target_specs[0].name
    table = lp.probe_units(
        lp.record(net.model, batch.inputs), {name: batch.signals[name]}, variables=["c"], permutations=99,
        bootstrap=2, seed=seed,
    )  # fmt: skip
    own = table[table.unit == net.where[name]].iloc[0]
    assert own.effect > 0.9999 and own.tracks and (own.time_only > 0.95) == (rate == 0.9)
    assert table.tracks.sum() == 1


@pytest.mark.parametrize(
    ("column", "keyword", "metric"),
    [("effect", "min_effect", "r2"), ("effect", "min_effect_class", "auroc"), ("p_untrained", "alpha", "r2"),
     ("past_swap", "least_swap", "r2"), ("time_only", "least_margin", "r2"), ("time_only", "margin", "auroc")],
)  # fmt: skip
def test_every_threshold_is_the_callers(column, keyword, metric):
    """Of a leaky sum of the inputs that one unit holds with noise: each threshold alone lets it through or not."""
    net, batch = counting(0.3, 80, 5)
    name = batch.target_specs[0].name
    count = batch.signals[name].values.double()
    noisy = count + torch.randn(count.shape, generator=torch.Generator().manual_seed(0))
    signals = {"s": noisy if metric == "r2" else noisy > noisy.mean()}
    rec = lp.record(net.model, batch.inputs)
    settings = {"variables": ["h", "c"], "permutations": 199, "bootstrap": 2, "init": "torch", "seed": 2}

    def own(**more):
        table = lp.probe_units(rec, signals, **settings, **more)
        return table[(table.variable == "c") & (table.unit == net.where[name])].iloc[0]

    row = own()
    assert row.tracks and row.metric == metric
    if keyword == "alpha":
        assert not own(alpha=0.04).tracks and own(alpha=0.06).tracks
        return
    if keyword.startswith("min_effect"):
        at = row.effect
        other = {"min_effect", "min_effect_class"} - {keyword}
        assert own(**{other.pop(): 1.0}).tracks
    elif keyword == "margin":
        at = (row.effect - row.time_only) / (1 - row.time_only)
    else:
        at = row.effect - row[column]
        settings["margin"] = 0.0
    assert own(**{keyword: at - 1e-3}).tracks and not own(**{keyword: min(1.0, at + 1e-3)}).tracks
