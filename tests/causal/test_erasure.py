"""Erasure against a plain loop over steps with the map of LEACE's authors, and in networks whose answers are known."""

import logging
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import nn

import lstm_probe as lp
from lstm_probe.causal.beside import FITTED, beside
from lstm_probe.causal.editing import Editing
from lstm_probe.causal.erasing import Erasing, at_random, of_signal
from lstm_probe.causal.erasure import COLUMNS
from lstm_probe.causal.refit import refit_scores
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from tests.causal.test_editing import Net, Stepwise

with warnings.catch_warnings():  # it is written for an older PyTorch
    warnings.simplefilter("ignore", DeprecationWarning)
    from concept_erasure import LeaceFitter

N, TIME = 90, 6


def random_net(seed=0, n=N, lengths=None, labels=None, **shape):
    """A network with strong weights whose target is a sum of its past inputs, and that sum as a signal."""
    torch.manual_seed(seed)
    net = Net(packs=lengths is not None, **shape).double()
    for name, values in net.lstm.named_parameters():
        if name.startswith("weight"):
            values.data *= 3
    inputs = torch.randn(n, TIME, 3, dtype=torch.float64)
    lengths = torch.full((n,), TIME) if lengths is None else lengths
    sums = inputs[..., :1].cumsum(1)
    with torch.no_grad():
        learned = net(inputs, lengths) if net.packs else net(inputs)
    values = sums[..., 0].clone()
    if labels is not None:
        values[~labels] = torch.nan
    signals = {"sum": Signal("sum", values), "sign": Signal("sign", (inputs[..., 1] > 0).long(), "binary")}
    return net, Batch(inputs, {"y": learned}, (Target("y", size=2),), lengths, signals)


def theirs(x, z):
    fitter = LeaceFitter(x.shape[1], z.shape[1], dtype=torch.float64, shrinkage=False, constrain_cov_trace=False,
                         svd_tol=1e-8)  # fmt: skip
    return fitter.update(x, z).eraser


def looped(net, batch, signal, fitted, variable):
    """The network's outputs, erased in a plain loop over layers and steps; and each erased state."""
    lstm, z, known = net.lstm, signal.columns, signal.known
    x, every = batch.inputs, []
    for k in range(lstm.num_layers):
        w_ih, w_hh, b_ih, b_hh = (getattr(lstm, f"{name}_l{k}") for name in
                                  ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
        h = c = torch.zeros(len(x), lstm.hidden_size, dtype=x.dtype)
        shown = torch.zeros(*x.shape[:2], lstm.hidden_size, dtype=x.dtype)
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, dim=1)
            made = f.sigmoid() * c + i.sigmoid() * g.tanh()
            rows = torch.nonzero(known[:fitted, t])[:, 0]
            if variable in ("c", "both"):
                made = theirs(made[rows], z[rows, t])(made)
            seen = o.sigmoid() * made.tanh()
            if variable in ("h", "both"):
                seen = theirs(seen[rows], z[rows, t])(seen)
            every.append((k, t, rows, seen if variable == "h" else made))
            there = (batch.lengths > t).unsqueeze(1)
            h, c = torch.where(there, seen, h), torch.where(there, made, c)
            shown[:, t] = torch.where(there, seen, 0)
        x = shown
    return net.readout(x), every


@pytest.mark.parametrize("which", ["sum", "sign"])
@pytest.mark.parametrize("variable", ["h", "c", "both"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("ragged", [False, True])
@torch.no_grad()
def test_a_signal_is_taken_out_as_in_a_plain_loop(which, variable, layers, ragged):
    rng = torch.Generator().manual_seed(1)
    lengths = torch.randint(4, TIME + 1, (N,), generator=rng) if ragged else None
    labels = torch.rand(N, TIME, generator=rng) < 0.8 if ragged else None
    net, batch = random_net(3, N, lengths, labels, num_layers=layers)
    pair = beside(batch, None, None, None, 0)
    assert pair.fitted == round(FITTED * N)
    erasing = Erasing(pair, Editing(net, pair.batch), variable, False, 0)
    signal = next(one for one in pair.signals if one.name == which)
    outputs, states = looped(net, pair.batch, signal, pair.fitted, variable)
    made = erasing.without(of_signal(signal), signal)
    real = pair.looked.mask
    assert (made.outputs - outputs[pair.fitted :])[real].abs().max() < 1e-9
    assert (made.outputs - erasing.intact().outputs)[real].abs().max() > 1e-2 and made.rank == 1
    for _, t, rows, state in states:
        x, z = state[rows], signal.columns[rows, t]
        assert abs(LinearRegression(tol=1e-7).fit(x, z).score(x, z)) < 1e-10


@torch.no_grad()
def test_modules_that_go_step_by_step_give_the_same_table():
    net, batch = random_net(4, 240)
    models = [net, *(Stepwise(net.lstm, net.readout, cell).double() for cell in (True, False))]
    tables = [lp.erase_signals(model, batch, controls=2, bootstrap=10) for model in models]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other, rtol=1e-6)


@torch.no_grad()
def test_both_directions_are_erased():
    net, batch = random_net(5, 600, bidirectional=True)
    table = lp.erase_signals(net, batch, controls=0, bootstrap=0)
    assert (table["seen"] == 1).all() and (table["r2_left"] < 0.05).all()
    assert table["r2_before"].min() > 0.2


@torch.no_grad()
def test_what_was_looked_at_too_rarely_is_not_called_gone():
    lengths = torch.tensor([TIME, TIME - 3] * 120 + [TIME] * 60)
    net, batch = random_net(5, 300, lengths, bidirectional=True)
    labels = torch.rand(300, TIME, generator=torch.Generator().manual_seed(0)) < 0.6
    few = batch.signals["sum"].values.masked_fill(~labels, torch.nan)
    table = lp.erase_signals(net, batch, {"few": few, "sum": batch.signals["sum"]}, controls=0, bootstrap=0)
    pair, counts = beside(batch, {"few": few}, None, None, 0), []
    known = pair.signals[0].known[pair.fitted :]
    for k in range(TIME):  # backwards, sequences of one length are read at once
        counts += [int(known[:, k].sum()), *(int(known[pair.looked.lengths == n, k].sum()) for n in (TIME - 3, TIME))]
    assert table["seen"][0] == pytest.approx(sum(n for n in counts if n >= 50) / sum(counts)) and not table["gone"][0]
    assert 0 < table["seen"][0] < 0.9 and table["seen"][1] > table["seen"][0]


@pytest.fixture(scope="module")
def planted():
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch(rate=0.3)], 3, seed=0)
    return net, net.sample(1500, length=8, seed=1)


def test_each_signal_of_a_planted_network_is_what_its_own_target_lives_on(planted):
    net, batch = planted
    table = lp.erase_signals(net.model, batch, bootstrap=50, run="r", task="t", seed=3)
    assert list(table.columns) == list(COLUMNS) and table["gone"].all()
    left = table.pivot(index="signal", columns="target", values="left")
    assert left.loc["count", "count"] < 0.01 and left.loc["latch", "latch"] < 0.1
    assert left.loc["count", "latch"] > 0.99 and left.loc["latch", "count"] > 0.99
    own = table[table["signal"] == table["target"]]
    assert (own["p_value"] <= 0.05).all() and (own["control_low"] > own["ci_high"]).all()
    assert (table["p_value"][table["signal"] != table["target"]] > 0.5).all()
    assert (table["ci_low"] <= table["left"]).all() and (table["left"] <= table["ci_high"]).all()
    assert (own["r2_before"] > 0.99).all() and (own["r2_worst"] <= 0.02).all() and (own["controls"] == 20).all()


class Noisy(nn.Module):
    """A network to whose outputs noise is added, the same to the same sequence."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        noise = torch.sin(1e4 * x.cumsum(1).sum(-1, keepdim=True))
        return self.model(x) + noise * torch.tensor([0.9, 0.5])


def test_what_is_left_is_a_share_of_the_score_that_was_there(planted):
    net, batch = planted
    table = lp.erase_signals(Noisy(net.model), batch, bootstrap=50, run="r", task="t", seed=3)
    left = table.pivot(index="signal", columns="target", values="left")
    for target, other in (("count", "latch"), ("latch", "count")):
        with torch.no_grad():
            out = Noisy(net.model)(batch.inputs)[..., [*batch.targets].index(target)].flatten()
        assert np.corrcoef(out, batch.targets[target].flatten())[0, 1] ** 2 < 0.8  # the score is far from 1
        assert left.loc[other, target] == pytest.approx(1, abs=0.05)


class First(nn.Module):
    """A network of which only the first output is there."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[..., :1]


def test_a_decoy_that_nobody_reads_costs_nothing(planted):
    net, batch = planted
    alone = Batch(batch.inputs, batch.targets, batch.target_specs[:1], batch.lengths, batch.signals)
    table = lp.erase_signals(First(net.model), alone, {"latch": batch.signals["latch"]}, bootstrap=20)
    row = table.iloc[0]
    assert len(table) == 1 and row["target"] == "count" and row["gone"] and row["r2_before"] > 0.99
    assert row["left"] > 0.99 and row["p_value"] > 0.5


def test_fitted_once_the_signal_comes_back():
    net, batch = random_net(2, 900)
    own = {"sum": batch.signals["sum"]}
    once, each = (lp.erase_signals(net, batch, own, controls=0, bootstrap=0, fit_once=how) for how in (True, False))
    assert each["r2_worst"][0] <= 0.02 < 0.15 < once["r2_worst"][0] and each["gone"][0] and not once["gone"][0]


@torch.no_grad()
def test_controls_are_random_readouts_of_the_same_rank_and_decide():
    net, batch = random_net(8, 300)
    batch.signals["kind"] = Signal("kind", torch.randint(0, 3, (300, TIME)), "categorical")
    table = lp.erase_signals(net, batch, controls=7, bootstrap=0, seed=2).set_index("signal")
    assert table["rank"].to_dict() == {"sum": 1, "sign": 1, "kind": 2}
    pair = beside(batch, None, None, None, 2)
    erasing = Erasing(pair, Editing(net, pair.batch), "h", False, 2)
    intact = refit_scores(pair.looked, erasing.intact().outputs)["y"]
    for signal, rank in (("sum", 1), ("kind", 2)):
        made = [erasing.without(at_random(rank, 2, k)) for k in range(7)]
        assert {one.rank for one in made} == {rank}
        left = np.array([refit_scores(pair.looked, one.outputs)["y"] for one in made]) / intact
        row = table.loc[signal]
        assert row["control_mean"] == pytest.approx(left.mean()) and left.std() > 1e-3
        assert row["control_low"] == pytest.approx(np.quantile(left, 0.05))
        assert row["p_value"] == pytest.approx((1 + (left <= row["left"] + 1e-9).sum()) / 8)
        assert np.isnan(row["ci_low"])


def test_other_sequences_to_fit_on_are_those_of_a_half():
    net, batch = random_net(9, 300)
    pair = beside(batch, None, None, None, 0)
    names = {"sum": batch.signals["sum"], "word": np.where(batch.inputs[..., 2].numpy() > 0, "up", "down")}
    signals = {**batch.signals, "word": Signal("word", (batch.inputs[..., 2] > 0).long(), "binary")}
    whole = Batch(batch.inputs, batch.targets, batch.target_specs, batch.lengths, signals)
    half = lp.erase_signals(net, whole, {name: signals[name] for name in names}, controls=2, bootstrap=5)
    order = [next(k for k in range(300) if torch.equal(batch.inputs[k], row)) for row in pair.batch.inputs]
    fit, looked = whole[torch.tensor(order[: pair.fitted])], whole[torch.tensor(order[pair.fitted :])]
    given = lp.erase_signals(net, looked, {name: looked.signals[name] for name in names}, fit=fit, controls=2,
                             bootstrap=5)  # fmt: skip
    pd.testing.assert_frame_equal(half, given)
    plain = {"sum": looked.signals["sum"].values.numpy(), "word": looked.signals["word"].values.numpy()}
    again = lp.erase_signals(net, looked, plain, fit=fit, controls=2, bootstrap=5)
    pd.testing.assert_frame_equal(given.drop(columns=["kind", "role"]), again.drop(columns=["kind", "role"]))


def test_groups_are_fitted_on_as_a_whole():
    batch = random_net(10, 120)[1]
    groups = torch.arange(120) // 6
    pair = beside(batch, None, None, groups, 0)
    inputs = batch.inputs.flatten(1)
    own = [int(groups[(inputs == row).all(1)][0]) for row in pair.batch.inputs.flatten(1)]
    assert not set(own[: pair.fitted]) & set(own[pair.fitted :]) and pair.fitted == 78
    assert len(set(pair.groups)) == len(set(own[pair.fitted :]))


def test_a_signal_that_never_changes_is_left_out(caplog):
    net, batch = random_net(11, 60)
    step = Signal("step", torch.arange(TIME).expand(60, TIME).double())
    given = {"step": step, "sum": batch.signals["sum"]}
    with caplog.at_level(logging.INFO):
        table = lp.erase_signals(net, batch, given, controls=0, bootstrap=0)
    assert list(table["signal"]) == ["sum"] and "the same in all sequences at every step: step" in caplog.text
    assert table["seen"][0] == 0 and not table["gone"][0] and np.isnan(table["r2_worst"][0])  # too few sequences
    with pytest.raises(InputError, match="signals: step: as far as known, the same in all sequences at every step"):
        lp.erase_signals(net, batch, {"step": step})


def test_bad_input_is_said():
    net, batch = random_net(12, 60)
    cases = [
        ({"variable": "f"}, "variable=f: must be one of h c both"),
        ({"controls": -1}, "controls=-1: must be a whole number from 0"),
        ({"fit": random_net(1, 20)[1].map(lambda v: v[:, :4] if v.dim() > 1 else v.clamp(max=4))},
         r"fit: inputs of shape \(20, 4, 3\); must be \(sequences, 6, 3\)"),
        ({"fit": Batch(batch.inputs, batch.targets, batch.target_specs, batch.lengths, {})},
         "fit: it has no signal 'sum'"),
        ({"signals": {"x": torch.zeros(60, 3)}}, "signals"),
    ]  # fmt: skip
    for given, message in cases:
        signals = given.pop("signals", None)
        with pytest.raises(InputError, match=message):
            lp.erase_signals(net, batch, signals, **given)
    with pytest.raises(InputError, match="erase: the batch has no targets"):
        lp.erase_signals(net, Batch(batch.inputs, {}, (), batch.lengths, batch.signals))
    with pytest.raises(InputError, match="batch: 2 sequences; there must be 3 or more"):
        lp.erase_signals(net, batch[:2])
