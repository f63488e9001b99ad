"""How memories are written, held and read: as they were wired, and as plain loops over steps have it."""

import math

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.dynamics.events import find_events
from lstm_probe.dynamics.flow import COLUMNS, moments
from lstm_probe.dynamics.writing import put_in
from lstm_probe.planted.wiring import SHOWN
from lstm_probe.probing.inference.swap import make_donors
from tests.causal.test_editing import Stepwise
from tests.dynamics.loops import Net, run
from tests.handmade import copied, counter_and_latch, counting_batch, flipflops

KEYS = ["layer", "direction", "unit"]


def rows_of(table, link, unit, part=(0, "forward")):
    own = table[(table["link"] == link) & (table["unit"] == unit)]
    return own[(own["layer"] == part[0]) & (own["direction"] == part[1])].set_index("other")


@pytest.fixture(scope="module")
def planted():
    parts = [lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()]
    net = lp.planted.combine(parts, random_units=3, listening=True, seed=2)
    batch = net.sample(400, 50, seed=1)
    table = lp.memory_flow(
        net.model, batch, batch.signals, input_names=net.input_names, bootstrap=400, run="r", task="t", seed=4
    )
    return net, batch, table


def test_a_counter_is_written_held_and_read_as_it_was_wired(planted):
    net, _, table = planted
    assert list(table.columns) == list(COLUMNS) and (table["seed"] == 4).all() and (table["variable"] == "c").all()
    unit, step = net.where["count"], 2**-12
    written = rows_of(table, "write", unit)
    assert list(written.index[written["confirmed"].fillna(value=False)]) == ["count.up", "count.down"]
    for name, sign in (("count.up", 1), ("count.down", -1)):
        row = written.loc[name]
        assert row["signed"] == row["change"] == pytest.approx(sign * step, rel=1e-6)
        assert row["effect"] == row["size"] == row["beyond"] == pytest.approx(step, rel=1e-6)
        assert (row["i"], row["f"]) == (1, 1) and row["written"] == pytest.approx(sign * step, rel=1e-6)
        assert row["slope"] == pytest.approx(1) and row["agreement"] == pytest.approx(1)
    others = written.drop(["count.up", "count.down", "nothing"])
    assert (others["effect"].dropna() == 0).all() and len(others["effect"].dropna()) == 5
    held = rows_of(table, "hold", unit).set_index("lag")
    assert set(held.index) == {1, 5, 15} and (held["f"] == 1).all() and (held["tau_forget"] == math.inf).all()
    assert np.allclose(held["effect"].dropna(), 1, atol=1e-6) and (held["gate_alone"].dropna() == 1).all()
    read = rows_of(table, "read", unit)
    assert read.loc["output count", "weight"] == pytest.approx(1 / step, rel=1e-5)
    assert read.loc["output count", "share"] == pytest.approx(1, rel=1e-4) and read.loc["output count", "confirmed"]
    assert (read.loc[["output latch", "output parity"], "effect"] == 0).all()


def test_a_latch_and_a_parity_are_written_held_and_read_as_they_were_wired(planted):
    net, batch, table = planted
    unit = net.where["latch"]
    written = rows_of(table, "write", unit)
    assert list(written.index[written["confirmed"].fillna(value=False)]) == ["latch.set", "latch.reset"]
    for name, value in (("latch.set", 1), ("latch.reset", 0)):
        assert (written.loc[name, ["written", "f", "slope"]] == [value, 0, 0]).all()
    assert (written.loc["nothing", ["f", "size"]] == [1, 0]).all()
    shares = written.loc[["latch.set", "latch.reset"], "effect"]
    assert shares.sum() == pytest.approx(1)  # each changes the latches that are not so already, the others not at all
    for row in (written.loc["latch.set"], written.loc["latch.reset"]):  # a share of 400 sequences, each with one step
        half = 1.96 * math.sqrt(row["effect"] * (1 - row["effect"]) / len(batch))
        assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * half, rel=0.15)
        assert row["ci_low"] < row["effect"] < row["ci_high"]
    held = rows_of(table, "hold", unit).set_index("lag")
    assert (held["effect"] == 1).all() and held["confirmed"].all() and held["n"].is_monotonic_decreasing
    read = rows_of(table, "read", unit)
    assert read.loc["output latch", "weight"] == pytest.approx(1 / SHOWN, rel=1e-5)
    assert read.loc["output latch", "share"] == pytest.approx(1, rel=1e-5)
    assert not read.loc[[f"unit {unit} {gate}" for gate in "ifgo"], "effect"].any()  # it does not hear itself
    unit = net.where["parity"]
    flip = rows_of(table, "write", unit).loc["parity.flip"]
    assert flip["effect"] == flip["size"] == 1 and abs(flip["signed"]) < 0.2
    assert flip["slope"] == pytest.approx(-1) and flip["agreement"] == pytest.approx(1) and flip["confirmed"]
    assert rows_of(table, "read", unit).loc[f"unit {unit} i", "confirmed"]  # it hears itself


def test_changes_of_signals_are_told_of_and_not_tried(planted):
    net, _, table = planted
    rows = rows_of(table, "write", net.where["latch"])
    assert (rows.loc["latch becomes 1", ["change", "written"]] == 1).all()
    assert (rows.loc["latch becomes 0", ["change", "written"]] == [-1, 0]).all()
    assert rows.loc[["latch becomes 0", "latch becomes 1"], ["effect", "confirmed"]].isna().all().all()


def test_a_decoy_is_written_and_held_and_read_by_nobody():
    model = copied(counter_and_latch(3), 5, [1], read=False)
    with torch.no_grad():
        model.lstm.weight_hh_l0[:, 1] = 0
    batch = counting_batch(4, 400)
    table = lp.memory_flow(model, batch, units=[5, 1], input_names=["up", "down", "set", "reset"], bootstrap=20)
    for link in ("write", "hold"):
        own, decoy = (rows_of(table, link, unit).drop(columns="unit") for unit in (5, 1))
        assert own.equals(decoy)
    assert rows_of(table, "write", 1).loc[["set", "reset"], "confirmed"].all()
    read = rows_of(table, "read", 1)
    assert (read["effect"] < 1e-5).all() and not read["confirmed"].any() and not read["share"].fillna(0).any()
    own = rows_of(table, "read", 5).loc["output latch"]
    assert own["confirmed"] and own["share"] == pytest.approx(1, rel=1e-5) and own["weight"] == pytest.approx(1)


def test_copies_are_read_alike_and_shares_add_up():
    model, batch = copied(counter_and_latch(3), 5, [1, 2]), counting_batch(5, 300)
    table = lp.memory_flow(model, batch, bootstrap=2)
    outputs = table[table["other"].str.startswith("output ")]
    for unit in (5, 1, 2):
        row = rows_of(table, "read", unit).loc["output latch"]
        assert row["share"] == pytest.approx(1 / 3, rel=1e-4) and row["weight"] == pytest.approx(1 / 3, rel=1e-4)
    assert np.allclose(outputs.groupby("other")["share"].sum(), 1, atol=1e-4)


def test_what_rewrites_itself_lasts_though_its_gate_is_shut():
    task = lp.get_task("flipflop", bits=2, length=40)
    model, batch = flipflops(2, 3, 2, seed=1), task.sample(300, 1)
    table = lp.memory_flow(model, batch, input_names=task.input_names, bootstrap=20)
    for layer, left in ((0, 1), (1, 0)):
        held = rows_of(table, "hold", 0, (layer, "forward")).dropna(subset="effect").iloc[-1]
        assert held["effect"] == pytest.approx(left, abs=0.01) and held["gate_alone"] < 1e-6
        assert held["confirmed"] == (left == 0) and held.name == "pulse0 = -1, pulse0 = 1"
    read = rows_of(table, "read", 0)
    assert read.loc["unit 0·0 g", "confirmed"] and read.loc["unit 1·0 g", "confirmed"]
    assert read.loc["unit 0·0 g", "lag"] == 1 and read.loc["unit 1·0 g", "lag"] == 0
    spread = float(lp.record(model, batch.inputs)[0].h[..., 0].std(correction=0))
    assert read.loc["unit 0·0 g", "weight"] == pytest.approx(4 * spread, rel=1e-5)  # as it was wired
    assert read.loc["unit 1·0 g", "weight"] == pytest.approx(2 * spread, rel=1e-5)


SHAPES = [{}, {"num_layers": 2}, {"proj_size": 2}, {"bidirectional": True, "num_layers": 2}]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_every_number_is_that_of_a_plain_loop(shape):
    net = Net(seed=3, **shape)
    rng = torch.Generator().manual_seed(1)
    n, time = 30, 9
    inputs = torch.randn(n, time, 3, generator=rng, dtype=torch.float64)
    inputs[..., :2] = (torch.rand(n, time, 2, generator=rng) < 0.2).double()
    lengths = torch.randint(5, time + 1, (n,), generator=rng)
    batch = Batch(inputs, {"a": inputs[..., :1], "b": inputs[..., :1]}, (Target("a"), Target("b")), lengths, {})
    table = lp.memory_flow(net, batch, steps=[2, 3], after=(1, 2), bootstrap=2, seed=5)
    parts, shown = run(net.lstm, inputs, lengths)
    mask, outputs = batch.mask, net.readout(shown)
    place = np.random.default_rng(derive_seed(5, "memory flow"))
    events = find_events(net, inputs, mask)
    tried = put_in(net, batch, events, None, place)
    donors = torch.from_numpy(make_donors(lengths.numpy(), time, 5))
    donors = {step: donors[:, step] for step in (2, 3)}
    unit = 1
    for part in parts:
        _check_writes(rows_of(table, "write", unit, part), net, batch, parts, part, unit, tried)
        _check_the_rest(table, net, batch, parts, part, unit, donors, outputs)


def _before(part, c, s, t):
    at = t - 1 if part[1] == "forward" else t + 1
    return c[s, at] if 0 <= at < c.shape[1] and bool(c[s, at].isfinite()) else None


def _steps(batch, own, part, wanted):
    """Return (before, after) of c, the gates and the place of each step with a step before it and these two pulses."""
    for s in range(len(batch)):
        for t in range(int(batch.lengths[s])):
            before = _before(part, own["c"], s, t)
            if before is not None and batch.inputs[s, t, :2].tolist() == wanted:
                gates = [float(own[letter][s, t]) for letter in "ifg"]
                yield float(before), float(own["c"][s, t]), [gates[0] * gates[2], *gates]


def _check_writes(rows, net, batch, parts, part, unit, tried):
    own = {letter: values[..., unit] for letter, values in parts[part].items()}
    quiet = np.array([one[:2] for one in _steps(batch, own, part, [0, 0])])
    base = np.polyfit(*quiet.T, 1)
    assert rows.loc["nothing", "size"] == pytest.approx(np.abs(quiet[:, 1] - quiet[:, 0]).mean(), abs=1e-9)
    for k, name in enumerate(("input 0", "input 1")):
        found = list(_steps(batch, own, part, [float(k == 0), float(k == 1)]))
        before, after = np.array([one[:2] for one in found]).T
        row, line = rows.loc[name], np.polyfit(before, after, 1)
        assert row["n"] == len(found) and row["slope"] == pytest.approx(line[0], abs=1e-9)
        assert row["change"] == pytest.approx((after - before).mean(), abs=1e-9)
        assert row["size"] == pytest.approx(np.abs(after - before).mean(), abs=1e-9)
        assert row[["written", "i", "f", "g"]].tolist() == pytest.approx(
            np.mean([one[2] for one in found], 0), abs=1e-9
        )
        off = [np.abs(y - np.polyval(base, x)).mean() for x, y in ((before, after), quiet.T)]
        assert row["beyond"] == pytest.approx(off[0] - off[1], abs=1e-9)
        put, told = [], []
        for s, t in zip(tried.sequences.tolist(), tried.steps.tolist()):
            changed = batch.inputs[s : s + 1].clone()
            assert changed[0, t, 0] == 0 and changed[0, t, 1] == 0
            changed[0, t, k] = 1
            now = run(net.lstm, changed, batch.lengths[s : s + 1])[0][part]["c"][0, t, unit]
            put.append(float(now - own["c"][s, t]))
            held = _before(part, own["c"], s, t)
            told.append(np.polyval(line - base, 0.0 if held is None else float(held)))
        assert row["effect"] == pytest.approx(np.abs(put).mean(), abs=1e-9)
        assert row["signed"] == pytest.approx(np.mean(put), abs=1e-9)
        left = np.square(np.array(put) - told).sum() / np.square(put).sum()
        assert row["agreement"] == pytest.approx(1 - left, abs=1e-9)


def _check_the_rest(table, net, batch, parts, part, unit, donors, outputs):
    c, sign = parts[part]["c"], 1 if part[1] == "forward" else -1
    writes = [name for name in ("input 0", "input 1") if rows_of(table, "write", unit, part).loc[name, "confirmed"]]
    above, below, pairs = {1: 0.0, 2: 0.0}, {1: 0.0, 2: 0.0}, {1: 0, 2: 0}
    moved, gate, count = torch.zeros(2), [], 0
    for step in (2, 3):
        donor = donors[step]
        values = torch.where(donor >= 0, c[donor, step, unit], torch.nan)
        changed, shown = run(net.lstm, batch.inputs, batch.lengths, (part, unit, step, values))
        delta = (values - c[:, step, unit]).tolist()
        there = [s for s in range(len(batch)) if donor[s] >= 0]
        count += len(there)
        moved = moved + (net.readout(shown) - outputs)[there, step].square().sum(0)
        at = step + sign
        for s in there:
            if 0 <= at < int(batch.lengths[s]):
                gate.append(float(changed[part]["f"][s, at, 2] - parts[part]["f"][s, at, 2]))
            for lag in (1, 2):
                at_lag = step + sign * lag
                between = range(min(step + sign, at_lag), max(step + sign, at_lag) + 1)
                comes = any(batch.inputs[s, t, int(name[-1])] == 1 for name in writes for t in between)
                if 0 <= at_lag < int(batch.lengths[s]) and not comes:
                    pairs[lag] += 1
                    above[lag] += float(changed[part]["c"][s, at_lag, unit] - c[s, at_lag, unit]) * delta[s]
                    below[lag] += delta[s] ** 2
    held = rows_of(table, "hold", unit, part).set_index("lag")
    for lag in (1, 2):
        assert held.loc[lag, "n"] == pairs[lag]
        if pairs[lag] >= 20:
            assert held.loc[lag, "effect"] == pytest.approx(above[lag] / below[lag], abs=1e-9)
    read = rows_of(table, "read", unit, part)
    sd = outputs[batch.mask].std(0, correction=0)
    for k, name in enumerate(("output a", "output b")):
        assert read.loc[name, "effect"] == pytest.approx(float((moved[k] / count).sqrt() / sd[k]), abs=1e-9)
        if part[0] == net.lstm.num_layers - 1:
            first = (net.lstm.proj_size or 4) * (part[1] == "reverse")
            own = net.readout.weight[k, first : first + (net.lstm.proj_size or 4)]
            weight = own[unit] if net.lstm.proj_size == 0 else own @ net.lstm.weight_hr_l0[:, unit]
            assert read.loc[name, "weight"] == pytest.approx(float(weight), abs=1e-9)
        else:  # through a layer above, no weight tells what becomes of it
            assert math.isnan(read.loc[name, "weight"]) and math.isnan(read.loc[name, "share"])
    label = f"unit {part[0]}·2" if net.lstm.num_layers > 1 else "unit 2"
    forget = f"{label}{'←' * (part[1] == 'reverse')} f"
    if forget in read.index:
        suffix = f"_l{part[0]}" + "_reverse" * (part[1] == "reverse")
        hears, shows = (getattr(net.lstm, f"{name}{suffix}", None) for name in ("weight_hh", "weight_hr"))
        weight = hears[4 + 2, unit] if shows is None else hears[4 + 2] @ shows[:, unit]
        own = parts[part]["s"][..., unit][batch.mask].std(correction=0)
        assert read.loc[forget, "weight"] == pytest.approx(float(weight.abs() * own), abs=1e-9)
        spread = parts[part]["f"][..., 2][batch.mask].std(correction=0)
        assert read.loc[forget, "effect"] == pytest.approx(np.sqrt(np.mean(np.square(gate))) / float(spread), abs=1e-9)


def test_where_every_step_writes_nothing_is_kept_out():
    """One bit comes at every step and is added up or taken off: what is put in stays."""
    model = counter_and_latch(2)
    with torch.no_grad():
        model.lstm.weight_ih_l0[:, 2:] = 0
    batch = counting_batch(3, 200)
    up = (torch.rand(200, 40, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    inputs = torch.stack([up, 1 - up, torch.zeros_like(up), torch.zeros_like(up)], dim=-1)
    batch = Batch(inputs, batch.targets, batch.target_specs, batch.lengths, {})
    table = lp.memory_flow(model, batch, units=[3], input_names=["up", "down", "set", "reset"], bootstrap=20)
    written = rows_of(table, "write", 3)
    assert list(written.index) == ["up", "down"] and written["confirmed"].all()
    assert written["signed"].tolist() == pytest.approx([0.1, -0.1], rel=1e-5)  # against the other
    held = table[table["link"] == "hold"]
    assert (held["other"] == "").all() and np.allclose(held["effect"].astype(float), 1, atol=1e-4)
    assert (held["n"] == 600).all()


@torch.no_grad()
def test_a_module_that_goes_step_by_step_is_followed_alike():
    whole = Stepless(seed=1)
    steps = Stepwise(whole.lstm, whole.readout, cell=True).double()
    inputs = (torch.rand(60, 9, 3, generator=torch.Generator().manual_seed(2)) < 0.2).double()
    batch = Batch(inputs, {"y": inputs[..., :2]}, (Target("y", size=2),), torch.full((60,), 9), {})
    ours, theirs = (lp.memory_flow(net, batch, bootstrap=5, after=(1, 3)) for net in (whole, steps))
    numbers = ours.select_dtypes("float64").columns
    assert np.allclose(ours[numbers].astype(float), theirs[numbers].astype(float), atol=1e-9, equal_nan=True)
    assert ours[["other", "lag", "n"]].equals(theirs[["other", "lag", "n"]]) and len(ours) > 60


class Stepless(Net):
    """The same network for sequences that are all whole."""

    def forward(self, x):
        return self.readout(self.lstm(x)[0])


def test_moments_are_chosen_within_the_sequences():
    rec = lp.record(Net().lstm, torch.randn(6, 50, 3, dtype=torch.float64))
    chosen = moments(rec, None, (1, 5, 15))
    assert len(chosen) == 3 and min(chosen) >= 1 and max(chosen) + 15 < 50 and len({step % 2 for step in chosen}) == 2
    short = lp.record(Net().lstm, torch.randn(6, 2, 3, dtype=torch.float64))
    assert all(0 <= step < 2 for step in moments(short, None, (1, 5, 15)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": [3, 40]}, r"steps=\[3, 40\]: must be from 0 to 39"), ({"steps": []}, "must be from 0 to 39"),
        ({"after": [0]}, r"after=\[0\]: must be steps later, each from 1"), ({"units": [8]}, "no such unit"),
        ({"input_names": ["a"]}, "input_names: 1 names; the inputs have 4 features"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_said(settings, message):
    with pytest.raises(lp.InputError, match=message):
        lp.memory_flow(counter_and_latch(1), counting_batch(1, 12), bootstrap=2, **settings)


def test_one_sequence_or_one_step_says_nothing():
    with pytest.raises(lp.InputError, match="memory_flow: 1 sequence; another one's value needs at least 2"):
        lp.memory_flow(counter_and_latch(1), counting_batch(1, 1))
    with pytest.raises(lp.InputError, match="memory_flow: the sequences have one step each; nothing lasts"):
        lp.memory_flow(counter_and_latch(1), counting_batch(1, 5, 1))
