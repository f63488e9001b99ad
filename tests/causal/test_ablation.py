"""Ablation against a plain step loop, against hand-built networks, and against plain arithmetic."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from lstm_probe.causal import ablate_units
from lstm_probe.core.columns import ABLATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from lstm_probe.tasks.memory.flipflop import FlipFlop
from tests.handmade import counter_and_latch, counting_batch, shuffled


def clamped_loop(lstm, layer, x, variable, unit, to):
    """One sequence and one step at a time, with one unit's variable held at a value."""
    weights = [getattr(lstm, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    out = []
    for sequence in x:
        h, c = torch.zeros(lstm.proj_size or lstm.hidden_size), torch.zeros(lstm.hidden_size)
        own = []
        for seen in sequence:
            pre = weights[0] @ seen + weights[1] @ h + weights[2] + weights[3]
            i, f, g, o = pre.chunk(4)
            v = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
            if variable in v:
                v[variable][unit] = to
            c = v["f"] * c + v["i"] * v["g"]
            if variable == "c":
                c[unit] = to
            h = v["o"] * c.tanh()
            if lstm.proj_size:
                h = getattr(lstm, f"weight_hr_l{layer}") @ h
            if variable == "h":
                h[unit] = to
            own.append(h)
        out.append(torch.stack(own))
    return torch.stack(out)


@torch.no_grad()
def test_two_layers_by_hand():
    """Lower unit clamped, upper layer and readout run by PyTorch: the table's score is that of those outputs."""
    task = FlipFlop(bits=2, length=12)
    batch = task.sample(9, seed=3)
    model = SequenceModel(2, 2, 4, layers=2, seed=5)
    table = ablate_units(model, batch, mode="zero", bootstrap=0)
    upper = nn.LSTM(4, 4, batch_first=True)
    upper.load_state_dict({f"{n}_l0": getattr(model.lstm, f"{n}_l1") for n in
                           ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})  # fmt: skip
    outputs = model.readout(upper(clamped_loop(model.lstm, 0, batch.inputs, "c", 2, 0.0))[0])
    y, e = batch.targets["bit1"][..., 0], outputs[..., 1] - batch.targets["bit1"][..., 0]
    expected = 1 - e.square().sum() / (y - y.mean()).square().sum()
    row = table.query("layer == 0 and unit == 2 and target == 'bit1'").iloc[0]
    assert row.clamped == pytest.approx(float(expected), abs=1e-5)
    assert row.score_drop == pytest.approx(max(row.intact, 0) - max(row.clamped, 0))
    said = outputs[..., 1].numpy().ravel(), y.numpy().ravel()
    whole = np.corrcoef(model(batch.inputs)[..., 1].numpy().ravel(), said[1])[0, 1] ** 2
    assert row.refit_drop == pytest.approx(min(whole - np.corrcoef(*said)[0, 1] ** 2, max(row.intact, 0)), abs=1e-5)
    assert list(table.columns) == list(ABLATION_COLUMNS)
    assert len(table) == 2 * 4 * 2


@pytest.mark.parametrize("seed", range(5))
def test_planted_units_are_isolated(seed):
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    model = shuffled(counter_and_latch(seed), order)
    where = {"count": int((order == 3).nonzero()), "latch": int((order == 5).nonzero())}
    table = ablate_units(model, counting_batch(seed), bootstrap=200)
    used = {(row.target, row.unit) for row in table[table.needed == "alone"].itertuples()}
    assert used == set(where.items())
    for target, unit in where.items():
        rows = table[table.target == target].set_index("unit")
        assert rows.intact.iloc[0] > 0.97
        assert rows.score_drop[unit] > 0.9
        assert rows.ci_low[unit] < rows.score_drop[unit] < rows.ci_high[unit]
        assert np.allclose(rows.score_drop.drop(unit), 0)


def test_a_bare_lstm_and_padding():
    """An nn.LSTM's own h may be the outputs; what stands behind a sequence's end changes nothing."""
    batch = counting_batch(0, n=16, time=10)
    lstm = nn.LSTM(4, 2, batch_first=True)
    lengths = torch.randint(2, 11, (16,), generator=torch.Generator().manual_seed(2))
    inputs = batch.inputs.clone()
    inputs[~(torch.arange(10) < lengths.unsqueeze(1))] = 99.0
    fields = {"targets": batch.targets, "target_specs": batch.target_specs, "lengths": lengths, "signals": {}}
    one, other = (type(batch)(inputs=x, **fields) for x in (batch.inputs, inputs))
    a, b = ablate_units(lstm, one, bootstrap=10), ablate_units(lstm, other, bootstrap=10)
    assert np.allclose(a.score_drop, b.score_drop, atol=1e-6)
    assert lstm.training
    assert "forward" not in vars(lstm)


@pytest.mark.parametrize(
    ("model", "keywords", "message"),
    [
        (nn.LSTM(4, 2, batch_first=True), {"variable": "z", "mode": "off"}, "variable=z.*\n.*mode=off"),
        (nn.LSTM(4, 3, batch_first=True), {}, r"the batch's targets need \(sequence, time, 2\)"),
    ],
)
def test_bad_input(model, keywords, message):
    with pytest.raises(InputError, match=message):
        ablate_units(model, counting_batch(0, n=4, time=6), **keywords)


def test_a_cost_that_rests_on_one_sequence_is_not_use():
    """A third of the bootstrap samples have no such sequence, and no drop: the interval reaches down to 0."""
    batch = counting_batch(0, n=24)
    inputs, level = batch.inputs.clone(), batch.targets["latch"].clone()
    inputs[1:, :, 2:] = 0  # only the first sequence has anything to latch
    level[1:] = 0
    rare = type(batch)(inputs, batch.targets | {"latch": level}, batch.target_specs, batch.lengths, {})
    for given, used in ((batch, True), (rare, False)):
        table = ablate_units(counter_and_latch(0), given, mode="zero", bootstrap=400)
        row = table.query("unit == 5 and target == 'latch'").iloc[0]
        assert row.score_drop > 0.5 and row.intact > 0.5
        assert (row.needed == "alone") == used == (row.refit_ci_low > 0)
        # That no cost was shown is not that there is none.
        assert used or row.needed == "not measured"


def made(batch, **targets):
    """The same batch with other targets."""
    return type(batch)(batch.inputs, batch.targets | targets, batch.target_specs, batch.lengths, {})


@torch.no_grad()
def test_a_small_cost_is_no_use_however_certain_it_is():
    """A random unit is read a little, and the targets are what the network says: it costs little, but always."""
    model, batch = counter_and_latch(0), counting_batch(0)
    model.readout.weight[0, 0] = 0.05
    outputs = model(batch.inputs)
    given = made(batch, count=outputs[..., :1], latch=outputs[..., 1:])
    for min_drop, used in ((0.01, False), (1e-5, True)):
        table = ablate_units(model, given, bootstrap=200, min_drop=min_drop)
        row = table.query("unit == 0 and target == 'count'").iloc[0]
        assert 1e-5 < row.score_drop < 0.01 and row.ci_low > 0 and row.intact > 0.999
        assert (row.needed == "alone") == used


def test_a_target_that_was_not_learned_uses_no_unit():
    """A wrong answer that gets worse still: the cost is high and certain, but the network never knew this."""
    batch, rng = counting_batch(0), torch.Generator().manual_seed(1)
    batch.inputs[..., 2:] = 0
    batch.inputs[:, 0, 2] = 1  # set for good: the latch shows 0.7 at every step
    wrong = 0.5 + 0.1 * torch.randn(batch.targets["latch"].shape, generator=rng)
    table = ablate_units(counter_and_latch(0), made(batch, latch=wrong), mode="zero", bootstrap=200)
    row = table.query("unit == 5 and target == 'latch'").iloc[0]
    assert row.intact < 0 and row.clamped < row.intact and row.score_drop == row.refit_drop == 0
    assert row.needed == "not measured"


@pytest.mark.parametrize(("level", "having", "needed"), [
    (0.0, 2, "not measured"), (0.1, 2, "not measured"), (0.0, 8, "alone"), (0.1, 8, "alone"),
])  # fmt: skip
def test_samples_without_what_is_rare_leave_an_interval(level, having, needed):
    """Of 64 sequences, so many have anything to latch: all samples do but (1 - having / 64) ** 64 of them."""
    batch = counting_batch(0, n=64)
    batch.inputs[having:, :, 2:] = 0
    batch.targets["latch"][having:] = 0
    batch.targets["latch"].add_(level)
    model = counter_and_latch(0)
    with torch.no_grad():
        model.readout.bias[1] += level
    for mode in ("mean", "zero"):
        table = ablate_units(model, batch, mode=mode, bootstrap=400)
        ends = table[["ci_low", "ci_high", "refit_ci_low", "refit_ci_high"]]
        assert ends.notna().all(axis=None) and (ends.abs() <= 1 + 1e-9).all(axis=None)
        row = table.query("unit == 5 and target == 'latch'").iloc[0]
        assert row.intact > 0.9 and row.needed == needed
        assert ((1 - having / 64) ** 64 > 0.025) == (row.refit_ci_low <= 0) == (needed != "alone")


@torch.no_grad()
@pytest.mark.parametrize("target", ["count", "latch"])
@pytest.mark.parametrize(("explained", "word"), [(0.02, "not measured"), (0.2, "alone")])
def test_nothing_is_needed_for_what_was_hardly_learned(target, explained, word):
    """Of a target that is mostly noise, the network tells a share that is known, and surely; one unit holds it."""
    batch, rng = counting_batch(0, n=400), torch.Generator().manual_seed(2)
    model, unit = counter_and_latch(0), {"count": 3, "latch": 5}[target]
    own = dict(zip(("count", "latch"), model(batch.inputs).split(1, dim=-1)))[target]
    noise = own.std() * ((1 - explained) / explained) ** 0.5
    noisy = own + noise * torch.randn(own.shape, generator=rng)
    told = float(np.corrcoef(own.ravel(), noisy.ravel())[0, 1] ** 2)
    table = ablate_units(model, made(batch, **{target: noisy}), bootstrap=200)
    own_rows = table[table["target"] == target].set_index("unit")
    row = own_rows.loc[unit]
    assert abs(row.intact - told) < 0.005 and abs(told - explained) < 0.02
    assert row.refit_ci_low > 0 and row.refit_drop > 0.5 * told  # the cost is told, whatever it is called
    assert row.needed == word
    rest = own_rows.drop(unit).needed
    assert set(rest) == ({word} if word == "not measured" else {"no"})
    assert set(table[table["target"] != target].needed) == {"alone", "no"}


def test_what_changes_nothing_has_an_interval_of_nothing():
    """Intact and clamped scores are those of the same resampled sequences, so that their luck cancels."""
    batch, rng = counting_batch(0, n=32), torch.Generator().manual_seed(1)
    noisy = batch.targets["count"] + 0.2 * torch.randn(batch.targets["count"].shape, generator=rng)
    table = ablate_units(counter_and_latch(0), made(batch, count=noisy), bootstrap=200)
    rest = table.query("unit not in (3, 5)")
    assert len(rest) == 2 * 6 and np.allclose(rest[["score_drop", "ci_low", "ci_high"]], 0, atol=1e-9)
    counted = table.query("unit == 3 and target == 'count'").iloc[0]
    assert 0.1 < counted.intact < 0.9 and counted.ci_low < counted.score_drop < counted.ci_high


def test_a_cost_that_rests_on_one_group_is_not_use_and_groups_are_drawn_as_one():
    """Six of 24 sequences have anything to latch: if they are one of four groups, that group is the sample."""
    batch = counting_batch(0, n=24)
    inputs, level = batch.inputs.clone(), batch.targets["latch"].clone()
    inputs[6:, :, 2:] = 0
    level[6:] = 0.05 * torch.randn(18, *level.shape[1:], generator=torch.Generator().manual_seed(2))
    own = torch.arange(24) // 6
    plain = type(batch)(inputs, batch.targets | {"latch": level}, batch.target_specs, batch.lengths, {})
    grouped = type(batch)(inputs, plain.targets, plain.target_specs, plain.lengths, {}, groups=own)
    settings = {"mode": "zero", "bootstrap": 2000}
    for given, more, used in (
        (plain, {}, True), (grouped, {}, False), (plain, {"groups": list("aaaaaabbbbbbccccccdddddd")}, False),
        (grouped, {"groups": range(24)}, True), (plain, {"groups": ["one"] * 24}, True),
    ):  # fmt: skip
        table = ablate_units(counter_and_latch(0), given, **settings, **more)
        row = table.query("unit == 5 and target == 'latch'").iloc[0]
        assert row.refit_drop > 0.5 and (row.needed == "alone") == used == (row.refit_ci_low > 0)
    with pytest.raises(InputError, match=r"groups: shape \(3,\); there are 24 sequences"):
        ablate_units(counter_and_latch(0), plain, groups=[1, 2, 3])


@pytest.mark.parametrize("count", [12, 3])
def test_the_interval_of_a_drop_is_that_of_groups_drawn_with_replacement(count):
    """Widened, as these are few: as Student's t of one less degrees of freedom is wider than a normal distribution."""
    batch, rng = counting_batch(1, n=36), np.random.default_rng(0)
    own = rng.permutation(np.repeat(np.arange(count), 36 // count))
    noisy = batch.targets["count"] + torch.from_numpy(rng.normal(size=count))[own][:, None, None].float() / 10
    given = made(batch, count=noisy)
    row = ablate_units(counter_and_latch(0), given, mode="zero", groups=own, bootstrap=4000).query(
        "unit == 3 and target == 'count'"
    ).iloc[0]  # fmt: skip
    model = counter_and_latch(0)
    with torch.no_grad():
        intact = model(batch.inputs)[..., 0].numpy()
        model.lstm.weight_ih_l0[3 + 2 * 8] = model.lstm.bias_ih_l0[3 + 2 * 8] = 0  # g of the counter: c stays 0
        clamped = model(batch.inputs)[..., 0].numpy()
    y, drops = noisy[..., 0].numpy(), []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(own == k) for k in rng.integers(count, size=count)])
        spread = np.square(y[rows] - y[rows].mean()).sum()
        scores = [max(1 - np.square(y[rows] - said[rows]).sum() / spread, 0) for said in (intact, clamped)]
        line = scipy.stats.linregress(intact[rows].ravel(), y[rows].ravel()).rvalue ** 2
        drops.append((scores[0] - scores[1], min(line, scores[0])))  # clamped it is constant: no line tells anything
    low, high = np.quantile([drop for drop, _ in drops], [0.025, 0.975])
    refit_low, refit_high = np.quantile([lost for _, lost in drops], [0.025, 0.975])
    whole = np.square(y - y.mean()).sum()
    assert float(row.clamped) == pytest.approx(1 - np.square(y - clamped).sum() / whole, rel=1e-3)
    assert float(row.score_drop) == pytest.approx(1 - np.square(y - intact).sum() / whole, rel=1e-3)
    wider = scipy.stats.t(count - 1).ppf(0.975) / scipy.stats.norm.ppf(0.975) * np.sqrt(count / (count - 1))
    for ends, drop, found in (
        ((low, high), row.score_drop, (row.ci_low, row.ci_high)),
        ((refit_low, refit_high), row.refit_drop, (row.refit_ci_low, row.refit_ci_high)),
    ):
        expected = [min(drop + wider * (end - drop), 1) for end in ends]
        assert list(found) == pytest.approx(expected, abs=0.1 * (ends[1] - ends[0]))


class _Past(nn.Module):
    """An LSTM beside outputs that read the present input alone."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 3, batch_first=True)

    def forward(self, x):
        return x + 0 * self.lstm(x)[0][..., :1]


@torch.no_grad()
@pytest.mark.parametrize(("explained", "word"), [(0.02, "not measured"), (0.2, "no")])
def test_what_was_hardly_learned_says_of_no_unit_that_it_is_not_needed(explained, word):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 10, 1, generator=rng)
    noisy = x + ((1 - explained) / explained) ** 0.5 * torch.randn(x.shape, generator=rng)
    batch = Batch(x, {"y": noisy}, (Target("y"),), torch.full((400,), 10), {})
    table = ablate_units(_Past(), batch, bootstrap=100)
    assert abs(table.intact[0] - (1 - float(((noisy - x) ** 2).mean() / noisy.var()))) < 1e-3
    assert set(table.needed) == {word} and (table.refit_drop.abs() < 1e-9).all()
