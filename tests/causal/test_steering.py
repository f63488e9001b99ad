"""Moves along a signal's direction, against the module itself begun from a moved state, and a planted counter."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

import lstm_probe as lp
from lstm_probe.causal.beside import beside
from lstm_probe.causal.probe_direction import PENALTY, Direction
from lstm_probe.causal.steering import COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from tests.causal.test_editing import Stepwise
from tests.causal.test_erasure import TIME, random_net

SCALE = (-2.0, -0.5, 0.0, 1.0)


def by_hand(net, batch, step, layers):
    """What the outputs are from a step on when c is moved along the direction of scikit-learn's ridge there.

    A function of how many standard deviations; and the signal, R² on the others, and how many were fitted on.
    """
    pair = beside(batch, {"sum": batch.signals["sum"]}, None, None, 0)
    fit, n = slice(pair.fitted), pair.fitted
    h, c, _ = run(net.lstm, pair.batch.inputs[:, : step + 1], None)
    x, z = torch.cat(list(c), 1).numpy(), pair.signals[0].columns[:, step, 0].numpy()
    spread = x[fit].std(0)
    ridge = Ridge(alpha=PENALTY * n).fit((x[fit] - x[fit].mean(0)) / spread, z[fit])
    w, cov = ridge.coef_ / spread, np.cov(x[fit].T, bias=True)
    along = torch.tensor(cov @ w / (w @ cov @ w))
    told = ridge.predict((x[n:] - x[fit].mean(0)) / spread)
    r2 = 1 - ((z[n:] - told) ** 2).sum() / ((z[n:] - z[n:].mean()) ** 2).sum()

    def moved(by):
        # After the step, o of each layer from what it read then, by the module's own h and c.
        after = c + (along * by * z[fit].std()).view(layers, 1, -1)
        o = h / c.tanh()
        rest = run(net.lstm, pair.batch.inputs[:, step + 1 :], (o * after.tanh(), after))[2]
        here = (o * after.tanh())[-1].unsqueeze(1)
        return net.readout(torch.cat([here, rest], 1))[n:]

    return moved, z, r2, n


def run(lstm, x, state):
    shown, (h, c) = lstm(x, state)
    return h, c, shown


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_slopes_are_those_of_the_module_begun_from_a_moved_state(layers):
    net, batch = random_net(3, 120, num_layers=layers)
    table = lp.steer(net, batch, {"sum": batch.signals["sum"]}, scale=SCALE, after=(0, 2), step=2, controls=0,
                     bootstrap=0)  # fmt: skip
    moved, z, r2, n = by_hand(net, batch, 2, layers)
    intact, spread = moved(0.0), z[:n].std()
    moves = np.array(SCALE) * spread
    for row in table.itertuples():
        outputs = [moved(by)[:, row.after, row.output] for by in SCALE]
        changes = np.stack([(one - intact[:, row.after, row.output]).numpy() for one in outputs])
        line = LinearRegression(fit_intercept=False).fit(moves[:, None], changes)
        assert row.slope == pytest.approx(line.coef_.mean(), abs=1e-9)
        mean = changes.mean(1)
        straight = LinearRegression(fit_intercept=False).fit(moves[:, None], mean)
        assert row.linear == pytest.approx(1 - ((mean - straight.predict(moves[:, None])) ** 2).sum() / (mean**2).sum())
        seen = LinearRegression().fit(z[n:, None], intact[:, row.after, row.output].numpy())
        assert row.observed == pytest.approx(seen.coef_[0], abs=1e-9)
        assert row.r2 == pytest.approx(r2, abs=1e-9) and row.sequences == 120 - n and np.isnan(row.p_value)
    assert (table["linear"] < 1 - 1e-4).all() and list(table["after"].unique()) == [0, 2]


def test_a_planted_counter_is_what_its_output_reads():
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], 3, seed=0)
    batch = net.sample(600, length=30, seed=1)
    table = lp.steer(net.model, batch, scale=(-1, 2), bootstrap=50, run="r", task="t", seed=4)
    assert list(table.columns) == list(COLUMNS) and table["step"].unique().tolist() == [14]
    assert table["after"].unique().tolist() == [1, 5, 15]
    own = table[(table["signal"] == "count") & (table["target"] == "count")]
    assert (own["slope"] - 1).abs().max() < 1e-3 and (own["linear"] > 1 - 1e-4).all()
    assert (own["ci_low"] <= own["slope"]).all() and (own["slope"] <= own["ci_high"]).all()
    assert (own["observed"] - 1).abs().max() < 0.3 and (own["p_value"] <= 0.05).all() and (own["r2"] > 0.999).all()
    assert (own["control_high"] < 0.9).all() and (own["length"] - 1).abs().max() < 0.01
    other = table[(table["signal"] == "latch") & (table["target"] == "count")]
    assert (other["slope"].abs() < 5).all() and (other["p_value"] > 0.05).all()


def test_random_directions_are_as_long_and_make_the_p_value():
    net, batch = random_net(5, 150)
    one = {"sum": batch.signals["sum"]}
    rows = [lp.steer(net, batch, one, controls=k, after=(1,), bootstrap=0, seed=1) for k in (0, 1, 2)]
    ends = [row.loc[0, ["control_low", "control_high"]].tolist() for row in rows]
    # The 5 % and 95 % quantiles of two numbers lie as far from their mean, which gives the second one.
    told = [ends[1][0], sum(ends[2]) - ends[1][0]]
    assert ends[1][0] == ends[1][1] and np.isnan(ends[0][0]) and told[0] != pytest.approx(told[1])
    assert ends[2] == pytest.approx(np.quantile(told, [0.05, 0.95]).tolist())
    slope = rows[2].loc[0, "slope"]
    assert rows[2].loc[0, "p_value"] == pytest.approx((1 + sum(abs(one) >= abs(slope) for one in told)) / 3)
    rng, root = torch.Generator().manual_seed(0), torch.randn(4, 3, dtype=torch.float64)
    along = Direction(root[:, 0], 1.0, 2.5, 0.0, root).random(rng)
    assert torch.linalg.lstsq(root, along).solution.norm() == pytest.approx(2.5)


@torch.no_grad()
def test_modules_that_go_step_by_step_give_the_same_table():
    net, batch = random_net(4, 90)
    for variable in ("c", "h"):
        models = [net, *(Stepwise(net.lstm, net.readout, cell).double() for cell in (True, False))]
        own = {"sum": batch.signals["sum"]}
        tables = [lp.steer(model, batch, own, variable=variable, controls=1, bootstrap=10) for model in models]
        for other in tables[1:]:
            pd.testing.assert_frame_equal(tables[0], other, rtol=1e-6, atol=1e-9)
    assert (tables[0]["slope"].abs() > 1e-3).any()


@torch.no_grad()
def test_lengths_labels_and_classes():
    rng = torch.Generator().manual_seed(2)
    lengths = torch.randint(3, TIME + 1, (150,), generator=rng)
    net, batch = random_net(6, 150, lengths, torch.rand(150, TIME, generator=rng) < 0.7, bidirectional=True)
    batch.signals["kind"] = Signal(
        "kind", torch.tensor([2, 7, 30])[torch.randint(0, 3, (150, TIME), generator=rng)], "categorical"
    )
    batch.signals["way"] = Signal("way", batch.inputs[..., 2].clamp(-3, 3), "circular")
    table = lp.steer(net, batch, step=3, scale=(1,), after=(0, 1), controls=1, bootstrap=5)
    parts = table.groupby("signal")["part"].unique().map(list).to_dict()
    assert parts == {"sum": [""], "sign": [""], "kind": ["2", "7", "30"], "way": ["sin", "cos"]}
    pair = beside(batch, None, None, None, 0)
    long = [int((pair.looked.lengths > 3 + after).sum()) for after in (0, 1)]
    assert table.groupby("after")["sequences"].unique().map(list).to_dict() == {0: [long[0]], 1: [long[1]]}
    assert np.isfinite(table["slope"]).all() and long[0] > long[1]


def test_what_is_the_same_at_that_step_is_left_out(caplog):
    net, batch = random_net(7, 60)
    values = torch.randn(60, TIME)
    values[:, 3] = 1.0
    with caplog.at_level(logging.INFO):
        table = lp.steer(net, batch, {"x": values, "sum": batch.signals["sum"]}, step=3, controls=0, after=(1,))
    assert set(table["signal"]) == {"sum"} and "the same in all sequences at step 3: x" in caplog.text


def test_bad_input_is_said():
    net, batch = random_net(8, 60)
    cases = [
        ({"variable": "f"}, "variable=f: must be one of c h"),
        ({"scale": (0,)}, r"scale=\(0,\): must be numbers, and one of them not 0"),
        ({"controls": -1}, "controls=-1"),
        ({"step": 6}, "step=6: must be within the sequences, 0 to 5"),
        ({"after": (-1,)}, r"after=\(-1,\): must be whole numbers from 0"),
        ({"after": (9,)}, r"after=\(9,\): beyond the end of most sequences, which have 6 steps"),
    ]
    for given, message in cases:
        with pytest.raises(InputError, match=message):
            lp.steer(net, batch, **given)
    with pytest.raises(InputError, match="steer: the batch has no targets"):
        lp.steer(net, Batch(batch.inputs, {}, (), batch.lengths, batch.signals))


def test_of_one_group_alone_there_is_no_interval():
    """Of two subjects one is fitted on; sequences of the other tell of no third."""
    net, batch = random_net(3, 60)
    subject = np.arange(60) % 2
    table = lp.steer(net, batch, {"sum": batch.signals["sum"]}, controls=0, bootstrap=50, groups=subject)
    assert table["slope"].notna().all() and table[["ci_low", "ci_high"]].isna().all(axis=None)
