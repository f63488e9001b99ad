"""Units beside those of untrained networks: p by its definition, its level, families, and which networks they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference.evaluate import unit_scores
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.untrained import Networks, by_family, compare, p_of, random_part
from lstm_probe.recorder.backward import BackwardLSTM
from lstm_probe.recorder.initial import initialise

QUICK = {"permutations": 99, "bootstrap": 2, "variables": ["h", "c"]}


def p_by_definition(effect, highest):
    """One unit's and signal's p, from each network's highest effects, (network, signal)."""

    def g(e):
        return np.arctanh(np.sqrt(min(e, 1 - 1e-6)))

    count, signals = highest.shape
    table = [[g(e) for e in row] for row in highest]
    own = []
    for m in range(count):
        z = []
        for s in range(signals):
            others = [table[n][s] for n in range(count) if n != m]
            z.append((table[m][s] - np.mean(others)) / (np.std(others, ddof=1) + 0.05))
        own.append(max(z))
    out = np.empty(effect.shape)
    for place in np.ndindex(effect.shape):
        column = [row[place[-1]] for row in table]
        z = (g(effect[place]) - np.mean(column)) / (np.std(column, ddof=1) + 0.05)
        out[place] = (1 + sum(one >= z for one in own)) / (count + 1)
    return out


@pytest.mark.parametrize(("count", "signals"), [(19, 1), (19, 4), (3, 2), (40, 3)])
def test_p_by_its_definition(count, signals):
    rng = np.random.default_rng(count + signals)
    highest = rng.beta(2, 5, (count, signals))
    effect = rng.beta(2, 3, (2, 7, signals))
    got = p_of(effect, highest, np.ones(signals, bool))
    assert got == pytest.approx(p_by_definition(effect, highest), abs=1e-12)
    assert got.min() >= 1 / (count + 1) and len(np.unique(got)) > 1
    # A perfect effect is as good as can be; a signal without a score is left out, and has 1.
    assert p_of(np.ones((1, signals)), highest, np.ones(signals, bool)) == pytest.approx(1 / (count + 1))
    some = np.arange(signals) > 0
    apart = p_of(effect, highest, some)
    assert (apart[..., 0] == 1).all()
    if some.any():
        assert apart[..., 1:] == pytest.approx(p_by_definition(effect[..., 1:], highest[:, 1:]), abs=1e-12)
    assert (p_of(effect, highest[:2], np.ones(signals, bool)) == 1).all()


def test_a_network_that_tells_next_to_nothing_does_not_stand_out():
    """Of a signal out of reach all tell nothing, and one of them 0.01: a unit with 0.3 beats them all."""
    highest = np.zeros((19, 2))
    highest[4, 0], highest[:, 1] = 0.012, np.linspace(0.1, 0.3, 19)
    p = p_of(np.array([[0.3, 0.3], [0.01, 0.1]]), highest, np.ones(2, bool))
    assert p[0, 0] == pytest.approx(0.05) and p[1, 1] == 1 and p[1, 0] > 0.05


def data(seed, n=40, time=15):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, time, 2, generator=rng)
    return x, {
        "sum": x[..., 0].cumsum(1),
        "side": x[..., 1].cumsum(1) > 0,
        "before": torch.cat([torch.zeros(n, 1), x[:, :-1, 0]], 1),
    }


def studied(lstm, x, signals, lags=(0,), seed=0):
    return make_study(lp.record(lstm, x), signals, None, lags, ("h", "c"), 5, seed)


def test_highest_effects_are_those_of_each_network_over_everything():
    x, signals = data(0)
    study = studied(initialise(nn.LSTM(2, 3, 2, batch_first=True), "keras"), x, signals, lags=(0, 2))
    networks = Networks.of(study.rec, 4, 9)
    highest, levels = by_family(study, networks.families[0], 4, unit_scores)
    every = np.zeros((4, 3))
    pooled = [[[] for _ in range(4)] for _ in range(2)]
    for k in range(4):
        model = nn.LSTM(2, 3, 2, batch_first=True)
        torch.manual_seed(derive_seed(9, "untrained", k))
        other = lp.record(initialise(model, "keras"), x)
        for lag, view in enumerate(study.views):
            for b, (layer, v) in enumerate([(0, "h"), (0, "c"), (1, "h"), (1, "c")]):
                got = effects(unit_scores(view.features(other[layer][v]), view), view)
                pooled[lag][b].append(got)
                every[k] = np.maximum(every[k], got.max(0))
    assert highest == pytest.approx(every, abs=1e-9)
    expected = [[np.percentile(np.concatenate(own), (95, 100), axis=0) for own in blocks] for blocks in pooled]
    assert np.moveaxis(levels, 0, 2) == pytest.approx(np.array(expected), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("init", ["torch", "keras"])
def test_networks_of_the_same_kind_stand_out_as_often_as_is_said(init):
    """Each data set has its own signals, network and untrained networks: p ≤ 0.05 in one of 20, p ≤ 0.2 in one of 5."""
    found = []
    for seed in range(40):
        x, signals = data(seed, 20, 8)
        torch.manual_seed(10_000 + seed)
        study = studied(initialise(nn.LSTM(2, 4, batch_first=True), init), x, signals, seed=seed)
        nothing = np.zeros((1, 8, 3), bool)
        found.append(np.nanmin(compare(study, Networks.of(study.rec, 19, seed), unit_scores, 0.05, nothing).p))
    # Within these are 99.9 % of binomial samples of 40.
    assert np.sum(np.array(found) <= 0.05) <= 8
    assert 1 <= np.sum(np.array(found) <= 0.2) <= 17


def test_of_unknown_origin_the_largest_p_counts():
    x, signals = data(3)
    torch.manual_seed(1)
    lstm = initialise(nn.LSTM(2, 6, batch_first=True), "keras", 2.0)
    unknown = nn.LSTM(2, 6, batch_first=True)
    unknown.load_state_dict(lstm.state_dict())
    study = studied(unknown, x, signals)
    networks = Networks.of(study.rec, 19, 4)
    assert networks.names == (
        "torch", "keras", "torch, forget bias 1", "torch, forget bias 3", "chrono", "keras, forget bias 3"
    )  # fmt: skip
    every = np.ones((1, 12, 3), bool)
    each = [
        compare(study, Networks.of(study.rec, 19, 4, init, bias), unit_scores, 1.0, every)
        for init, bias in zip(
            ("torch", "keras", "torch", "torch", "chrono", "keras"), (None, None, 1.0, 3.0, None, 3.0), strict=True
        )
    ]
    whole = compare(study, networks, unit_scores, 1.0, every)
    assert np.array_equal(whole.p, np.max([one.p for one in each], axis=0))
    assert np.array_equal(whole.level, np.max([one.level for one in each], axis=0))
    assert len({one.p.tobytes() for one in each}) > 2


def test_a_family_after_which_nothing_is_left_is_the_last(monkeypatch):
    """And what is tracked is what is tracked when all are looked at."""
    x, signals = data(5, 60, 20)
    torch.manual_seed(2)
    study = studied(nn.LSTM(2, 4, batch_first=True), x, signals)
    networks = Networks.of(study.rec, 19, 4)
    looked_at = []

    def watched(k):
        return lambda *given: looked_at.append(k) or networks.families[k](*given)

    counted = replace(networks, families=tuple(map(watched, range(6))))
    nothing = np.zeros((1, 8, 3), bool)
    compare(study, counted, unit_scores, 0.05, nothing)
    assert set(looked_at) == {0} and len(looked_at) == 19
    for alpha in (0.05, 0.3, 0.6):
        candidates = np.random.default_rng(0).random((1, 8, 3)) < 0.4
        early = compare(study, networks, unit_scores, alpha, candidates).p
        late = compare(study, networks, unit_scores, 1.0, np.ones_like(candidates)).p
        assert np.array_equal(candidates & (early <= alpha), candidates & (late <= alpha))
        assert (early <= late).all()


def untrained_like(rec, seed=0, **changed):
    torch.manual_seed(seed)
    own = {"input_size": 2, "hidden_size": 3, "batch_first": True} | changed
    return nn.LSTM(**own)


def test_networks_may_be_given():
    x, signals = data(1)
    rec = lp.record(untrained_like(None), x)
    made = [untrained_like(rec, k) for k in range(19)]

    class Inside(nn.Module):
        def __init__(self, lstm):
            super().__init__()
            self.rnn, self.out = lstm, nn.Linear(3, 1)

    def numbered(k):
        return untrained_like(rec, k)

    count = iter(range(19))

    def next_one():
        return Inside(untrained_like(rec, next(count)))

    cells = []
    for lstm in made:
        cell = nn.LSTMCell(2, 3)
        cell.load_state_dict({name.removesuffix("_l0"): values for name, values in lstm.state_dict().items()})
        cells.append(cell)
    ways = [made, tuple(made), [Inside(lstm) for lstm in made], numbered, next_one, cells,
            [lstm.double() for lstm in (untrained_like(rec, k) for k in range(19))]]  # fmt: skip
    tables = [lp.probe_units(rec, signals, untrained=way, **QUICK) for way in ways]
    for table in tables[1:]:
        assert np.allclose(table.p_untrained, tables[0].p_untrained) and np.allclose(
            table.untrained, tables[0].untrained
        )
    assert tables[0].attrs["origins"] == ["given"] and tables[0].testable.all()
    best = max(
        effects(unit_scores(view.features(other[v]), view), view)[:, 0].max()
        for other in (lp.record(lstm, x)[0] for lstm in made) for v in "hc"
        for view in [studied(made[0], x, signals).views[0]]
    )  # fmt: skip
    sums = tables[0][tables[0].signal == "sum"]
    assert sums.untrained_best.max() == pytest.approx(best, abs=1e-6)
    # They are left as they were.
    doubles = ways[-1]
    assert all(weights.dtype == torch.float64 for lstm in doubles for weights in lstm.parameters())


@pytest.mark.parametrize(
    ("untrained", "message"),
    [
        ("nineteen", "untrained: a str; must be a whole number from 1, a list of modules, or a function"),
        (2.5, "untrained: a float; must be a whole number"),
        (None, "untrained: a NoneType; must be a whole number"),
        (nn.LSTM(2, 3), "untrained: a LSTM; must be a whole number"),
        (0, "untrained=0: must be a whole number from 1"),
        (np.int64(0), "untrained=0: must be a whole number from 1"),
        (True, "untrained=True: must be a whole number from 1"),
        ([], "untrained: there are no networks"),
        ([nn.LSTM(2, 3), "x"], "untrained: network 1 is a str; must be a module"),
        ([nn.LSTM(2, 4)], "untrained: network 0 has units=4, the recorded one 3"),
        ([nn.LSTM(2, 3), nn.LSTM(5, 3)], "untrained: network 1 has inputs=5, the recorded one 2"),
        (lambda k: nn.LSTM(2, 3, 2), "untrained: network 0 has layers=2, the recorded one 1"),
        (lambda: nn.LSTM(2, 3, bidirectional=True), "untrained: network 0 has bidirectional=True, the recorded"),
        ([nn.LSTM(2, 3, proj_size=2)], "untrained: network 0 has projection=2, the recorded one 0"),
        ([BackwardLSTM(2, 3, batch_first=True)], "untrained: network 0 has backward=True, the recorded one False"),
        ([nn.Linear(2, 3)], "untrained: network 0: Linear holds no LSTM"),
    ],
)  # fmt: skip
def test_what_are_no_untrained_networks(untrained, message, monkeypatch):
    from jaxtyping import config

    monkeypatch.setattr(config, "jaxtyping_disable", True)
    x, signals = data(1)
    rec = lp.record(untrained_like(None), x)
    with pytest.raises(InputError) as caught:
        lp.probe_units(rec, signals, untrained=untrained, **QUICK)
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"init": "kears"}, "init=kears: must be one of .* Did you mean 'keras'"),
        ({"forget_bias": 1.0}, "forget_bias=1.0: say by init how the network began, too"),
        ({"init": "unknown", "forget_bias": 1.0}, "forget_bias=1.0: say by init"),
        ({"init": "chrono", "forget_bias": 1.0}, "init=chrono: draws the forget gates' biases itself"),
        ({"init": "torch", "untrained": [nn.LSTM(2, 3)] * 19}, "init, forget_bias: for untrained networks made here"),
    ],
)
def test_what_cannot_be_said_of_how_a_network_began(given, message):
    x, signals = data(1)
    with pytest.raises(InputError, match=message):
        lp.probe_units(lp.record(untrained_like(None), x), signals, **QUICK, **given)


def test_what_is_said_of_how_a_network_began_goes_before_what_it_knows():
    x, _ = data(1)
    rec = lp.record(initialise(untrained_like(None), "keras"), x)
    assert Networks.of(rec, 19, 0).names == ("keras",)
    assert Networks.of(rec, 19, 0, "tf1", 0.0).names == ("tf1, forget bias 0",)
    assert Networks.of(rec, 19, 0, forget_bias=2.0).names == ("keras, forget bias 2",)
    assert len(Networks.of(rec, 19, 0, "unknown").names) == 6


@pytest.mark.parametrize(
    ("untrained", "alpha", "testable"),
    [(19, 0.05, True), (18, 0.05, False), (19, 0.01, False), (99, 0.01, True), (2, 0.5, False), (3, 0.25, True)],
)
def test_too_few_untrained_networks_can_tell_nothing(untrained, alpha, testable, caplog):
    x, signals = data(2, 30, 8)
    rec = lp.record(untrained_like(None), x)
    table = lp.probe_units(
        rec, {"sum": signals["sum"]}, untrained=untrained, alpha=alpha, permutations=199, bootstrap=2, init="torch",
        variables=["c"],
    )  # fmt: skip
    assert (table.testable == testable).all()
    assert (f"untrained={untrained}: too few networks: nothing can be found of sum" in caplog.text) != testable
    if not testable:
        assert not table.tracks.any()


def test_a_part_of_the_sequences_is_what_they_are_compared_on():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(300, 60, 2, generator=rng)
    torch.manual_seed(0)
    lstm = initialise(nn.LSTM(2, 3, batch_first=True), "torch")
    study = studied(lstm, x, {"sum": x[..., 0].cumsum(1)}, seed=3)
    part = random_part(study, 3)
    assert 64 <= len(part.lengths) < 300 and 4800 <= part.lengths.sum() < 4800 + 60
    table = lp.probe_units(study.rec, {"sum": x[..., 0].cumsum(1)}, seed=3, **QUICK)
    own = compare(part, Networks.of(study.rec, 19, 3), unit_scores, 0.05, np.ones((1, 6, 1), bool))
    assert table.p_untrained.to_numpy() == pytest.approx(own.p.ravel(), abs=1e-12)
    assert table.untrained_best.to_numpy() == pytest.approx(own.best.ravel(), abs=1e-12)
