"""Interchange on networks whose answers are known, and against a plain loop over steps."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.causal.patches import COLUMNS, SET_COLUMNS, patches_of_run
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.runs.illustrations import first_patches, read_from
from tests.handmade import copied, counter_and_latch, counting_batch

PARTS = [lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()]


def only(table, signal, target=None, **more):
    rows = table[(table.signal == signal) & (table.target == (target or signal))]
    for name, value in more.items():
        rows = rows[rows[name] == value]
    return rows


@pytest.mark.parametrize(("units", "seed"), [(0, 1), (6, 2)])
def test_a_planted_holder_moves_its_output_and_no_other_unit_does(units, seed):
    net = lp.planted.combine(PARTS, random_units=units, listening=True, seed=seed)
    batch = net.sample(192, 40, seed=seed)
    table = lp.patch_units(net.model, batch, rule=lambda inputs, _: net.batch(inputs).targets)
    assert list(table) == list(COLUMNS) and table.attrs["spliced"] is True
    for name, holder in net.where.items():
        rows = only(table, name)
        own = rows[rows.unit == holder]
        assert np.allclose(own[["moved", "ci_low", "ci_high", "changed", "moved_rule", "accuracy"]], 1, atol=1e-3)
        assert set(own.reads) == {"yes"} and np.allclose(own[["all_moved_rule", "all_accuracy"]], 1, atol=1e-3)
        others = rows[rows.unit != holder]
        assert (others[["moved", "ci_low", "ci_high", "changed"]].abs() <= 1e-6).all(axis=None)
        assert set(others.reads) == {"no"} and (others.accuracy == 0).all()


def test_a_decoy_tracks_exactly_and_moves_nothing():
    model, batch = copied(counter_and_latch(0), 3, [4, 6], read=False), counting_batch(0)
    rec = lp.record(model, batch.inputs)
    assert torch.equal(rec.c[..., 4], rec.c[..., 3])
    rows = only(lp.patch_units(model, batch, batch.signals), "count")
    moved = rows.set_index(["unit", "after"]).moved
    assert (moved[[4, 6]] == 0).all() and np.allclose(moved[3], 1, atol=1e-3)
    assert set(rows[rows.unit == 4].reads) == {"no"}


@pytest.mark.parametrize("copies", [2, 4])
def test_copies_that_are_read_alike_share_what_is_moved(copies):
    into = [0, 1, 2][: copies - 1]
    model, batch = copied(counter_and_latch(1), 5, into), counting_batch(2)
    rows = only(lp.patch_units(model, batch), "latch")
    assert np.allclose(rows[rows.unit.isin([5, *into])].moved, 1 / copies, atol=1e-4)
    sets = lp.patch_sets(model, batch, [[5, *into], [3, 5], [3]])
    assert list(sets) == list(SET_COLUMNS) and list(sets.set.unique()) == [" ".join(map(str, [5, *into])), "3 5", "3"]
    moved = only(sets, "latch", after=1).moved.tolist()
    assert moved == pytest.approx([1, 1 / copies, 0], abs=1e-4)


@pytest.mark.parametrize(("copies", "word"), [(8, "yes"), (15, "little"), (22, "no")])
def test_what_is_shared_by_many_is_little_of_each(copies, word):
    model = copied(counter_and_latch(1, units=24), 5, [unit for unit in range(24) if unit not in (3, 5)][: copies - 1])
    rows = only(lp.patch_units(model, counting_batch(2), units=[5, 0]), "latch", after=1)
    assert np.allclose(rows.moved, 1 / copies, atol=1e-4) and set(rows.reads) == {word}


class Net(nn.Module):
    """An LSTM of any shape with a readout of two outputs."""

    def __init__(self, units=4, reversed_=False, **shape):
        super().__init__()
        self.lstm = nn.LSTM(3, units, batch_first=True, **shape)
        self.readout, self.reversed = nn.Linear(shape.get("proj_size") or units, 2), reversed_

    def forward(self, x):
        h = self.lstm(x)[0]
        return self.readout(h[..., h.shape[-1] // 2 :] if self.reversed else h)


def made(seed=0, time=12, n=24, loss="regression", **shape):
    torch.manual_seed(seed)
    net = Net(**shape).double()
    with torch.no_grad():
        for weights in net.parameters():
            weights *= 2.0
    inputs = torch.randn(n, time, 3, dtype=torch.float64)
    classed = loss in ("class", "next_symbol")
    values = torch.zeros(n, time, dtype=torch.long) if classed else torch.zeros(n, time, 2, dtype=torch.float64)
    sign = Signal("sign", (inputs[..., 0].cumsum(1) > 0).float(), "binary", "latent")
    return net, Batch(inputs, {"y": values}, (Target("y", loss, size=2),), torch.full((n,), time), {"sign": sign})


def looped(net, x, step, change):
    """The outputs of one sequence, its states (layer by layer h and c) changed after a step."""
    lstm, outputs = net.lstm, []
    states = [(torch.zeros(1, lstm.proj_size or lstm.hidden_size).double(), torch.zeros(1, lstm.hidden_size).double())
              for _ in range(lstm.num_layers)]  # fmt: skip
    kept = []
    for t in range(len(x)):
        below = x[t : t + 1]
        for k in range(lstm.num_layers):
            w = {name: getattr(lstm, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
            gates = below @ w["weight_ih"].T + states[k][0] @ w["weight_hh"].T + w["bias_ih"] + w["bias_hh"]
            i, f, g, o = gates.chunk(4, 1)
            c = f.sigmoid() * states[k][1] + i.sigmoid() * g.tanh()

            def shown(memory, o=o, k=k):
                h = o.sigmoid() * memory.tanh()
                return h @ getattr(lstm, f"weight_hr_l{k}").T if lstm.proj_size else h

            states[k] = shown(c), c
            if t == step:
                kept.append(states[k])
                if change is not None:
                    states[k] = change(k, *states[k], shown)
            below = states[k][0]
        outputs.append(net.readout(below)[0])
    return torch.stack(outputs), kept


def moved_by_loop(net, batch, order, unit, layer, step, after, variable, centred=False):
    top = bottom = 0.0
    for s, d in enumerate(order):
        x = batch.inputs[s]
        donor = looped(net, batch.inputs[d], step, None)[1]

        def one(k, h, c, shown, donor=donor):
            if k != layer:
                return h, c
            h, c = h.clone(), c.clone()
            if variable == "h":
                h[0, unit] = donor[k][0][0, unit]
                return h, c
            c[0, unit] = donor[k][1][0, unit]
            return shown(c), c

        base, own = looped(net, x, step, None)[0], looped(net, x, step, one)[0]
        spliced = looped(net, torch.cat([batch.inputs[d][: step + 1], x[step + 1 :]]), step, None)[0]
        a, b = (values[step + after] - base[step + after] for values in (own, spliced))
        a, b = (v - v.mean() if centred else v for v in (a, b))
        top, bottom = top + float(a @ b), bottom + float(b @ b)
    return top / bottom


@pytest.mark.parametrize("shape", [{}, {"num_layers": 2}, {"proj_size": 2}, {"loss": "class"}], ids=str)
@pytest.mark.parametrize("variable", ["c", "h"])
@torch.no_grad()
def test_moved_is_what_a_plain_loop_over_spliced_inputs_gives(shape, variable):
    net, batch = made(3, **shape)
    order = np.roll(np.arange(24), 7)
    table = lp.patch_units(net, batch, variable=variable, steps=[5], after=(1, 4), donors=order)
    assert table.attrs["spliced"] is True
    for layer in range(net.lstm.num_layers):
        for unit, after in ((0, 1), (1, 4)):
            row = table[(table.signal == "any") & (table.layer == layer) & (table.unit == unit) &
                        (table.after == after)].iloc[0]  # fmt: skip
            told = moved_by_loop(net, batch, order, unit, layer, 5, after, variable, shape.get("loss") == "class")
            assert row.moved == pytest.approx(told, abs=1e-9) and row.pairs == 24


@torch.no_grad()
def test_a_direction_that_reads_backwards_is_the_mirror_of_one_that_reads_forwards():
    net, batch = made(4)
    both = Net(reversed_=True, bidirectional=True).double()
    both.readout = net.readout
    own, other = both.lstm.state_dict(), net.lstm.state_dict()
    both.lstm.load_state_dict({**own, **{f"{name}_reverse": values for name, values in other.items()}})
    mirrored = replace(batch, inputs=batch.inputs.flip(1), signals={})
    order = np.roll(np.arange(24), 5)
    ahead = lp.patch_units(net, replace(batch, signals={}), steps=[4], donors=order)
    back = lp.patch_units(both, mirrored, steps=[7], donors=order)
    assert back.attrs["spliced"] is None
    assert np.allclose(back[back.direction == "reverse"].moved, ahead.moved, atol=1e-9, equal_nan=True)
    assert (back[back.direction == "forward"].reads == "no pair").all()


def test_a_signal_that_goes_with_another_is_not_what_is_read():
    model, batch = counter_and_latch(2), counting_batch(3, n=256)
    latch = batch.signals["latch"].values
    flips = torch.rand(len(batch), 1, generator=torch.Generator().manual_seed(0)) < 0.2
    echo = Signal("echo", torch.where(flips, 1 - latch, latch), "binary", "latent")
    twin = Signal("twin", 3 - latch, "categorical", "latent")
    table = lp.patch_units(model, batch, {**batch.signals, "echo": echo})
    row = only(table, "echo", "latch", unit=5, after=1).iloc[0]
    assert row.moved > 0.99 and row.moved_same > 0.2
    assert (row.reads, row.instead) == ("another signal", "latch")
    own = only(table, "latch", unit=5, after=1).iloc[0]
    assert (own.reads, own.instead, own.not_apart) == ("yes", "", "") and own.moved_same == 0
    table = lp.patch_units(model, batch, {**batch.signals, "twin": twin})
    assert set(only(table, "latch", unit=5).not_apart) == {"twin"}
    assert set(only(table, "twin", "latch", unit=5).reads) == {"yes"}
    assert set(only(table, "twin", "count", unit=3).reads) == {"another signal"}


def test_a_target_that_counts_at_the_end_is_looked_at_there():
    model, batch = counter_and_latch(5), counting_batch(4)
    last = torch.zeros(len(batch), 40, dtype=torch.bool)
    last[:, -1] = True
    ended = replace(batch, scored={"count": last, "latch": last})
    table = only(lp.patch_units(model, ended, steps=[10], after=(1, 5, 60)), "count", unit=3)
    assert table.moved.tolist()[:2] == pytest.approx([1, 1], abs=1e-3)
    assert list(table.reads) == ["yes", "yes", "no pair"] and table.pairs.iloc[-1] == 0
    early = replace(batch, scored={"count": ~last.roll(-19, 1).cumsum(1).bool(), "latch": last})
    assert int(early.scored["count"][0].sum()) == 20
    table = only(lp.patch_units(model, early, steps=[10], after=(1, 15)), "count", unit=3)
    assert list(table.reads) == ["yes", "no pair"]


def test_few_pairs_and_still_outputs_say_nothing():
    model, batch = counter_and_latch(5), counting_batch(4, n=8)
    table = lp.patch_units(model, batch, steps=[20])
    assert set(table.reads) == {"no pair"} and table.moved.isna().all()
    model.readout.weight.data[0] = 0
    table = lp.patch_units(model, counting_batch(4))
    assert set(only(table, "count").reads) == {"no pair"} and set(only(table, "latch", unit=5).reads) == {"yes"}


def test_what_no_pair_could_refute_is_not_told():
    """Among few pairs fewer than 20 are alike in numbers: in those that the output reads, and in those it does not."""
    model, batch = counter_and_latch(2), counting_batch(3, n=14)
    rng = torch.Generator().manual_seed(1)
    drawn = Signal("drawn", torch.randn(14, 1, generator=rng).expand(14, 40).contiguous(), "continuous", "latent")
    table = lp.patch_units(model, batch, {**batch.signals, "drawn": drawn}, steps=[10, 16, 22, 28], after=[1])
    for name in ("drawn", "count"):
        row = only(table, name, "count", unit=3).iloc[0]
        assert row.moved == pytest.approx(1, abs=1e-3) and row.ci_low > 0.9 and np.isnan(row.moved_same)
        assert row.reads == "not told" and row.pairs >= 20
    assert set(only(table, "any", "count", unit=3).reads) == {"yes"}


def test_one_sequence_has_no_donor():
    with pytest.raises(InputError, match=r"steps: after none of [\d ]+ is there a pair of sequences"):
        lp.patch_units(counter_and_latch(0), counting_batch(0, n=1))


@pytest.mark.parametrize("share", [1e-5, 0.02])
def test_an_output_that_its_memory_hardly_moves_does_not_move(share):
    class Passing(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = counter_and_latch(0)

        def forward(self, x):
            return self.net(x) * torch.tensor([share, 1.0]) + x[..., :2]

    table = lp.patch_units(Passing(), counting_batch(4), layer="net.lstm", units=[3, 5])
    assert set(only(table, "count").reads) == {"no pair"}
    assert set(only(table, "latch", unit=5, after=1).reads) == {"yes"}


def test_a_module_that_remembers_elsewhere_is_found_out(caplog):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = counter_and_latch(0)

        def forward(self, x):
            return self.net(x) + 0.1 * x.cumsum(1)[..., :2]

    batch = counting_batch(0)
    with caplog.at_level(logging.WARNING):
        table = lp.patch_units(Two(), batch, layer="net.lstm", rule=lambda *_: batch.targets)
    assert table.attrs["spliced"] is False and "not all that the module remembers" in caplog.text
    assert table.moved_rule.isna().all() and np.allclose(only(table, "latch", unit=5).moved, 1, atol=1e-3)


def test_donors_are_of_other_groups_or_those_that_are_given():
    model, batch = counter_and_latch(0), counting_batch(6, n=96)
    groups = np.repeat(np.arange(12), 8)
    grouped = lp.patch_units(model, batch, groups=groups)
    assert np.allclose(only(grouped, "latch", unit=5).moved, 1, atol=1e-3)
    given = lp.patch_units(model, batch, donors=counting_batch(7, n=96), rule=lambda *_: None)
    assert np.allclose(only(given, "latch", unit=5).moved, 1, atol=1e-3) and given.accuracy.isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [40]}, "steps: 40 lies outside of the sequences, whose steps are 0 to 39"),
        ({"steps": [39]}, "steps: after none of 39 is there a pair of sequences of which the receiver goes on for 1"),
        ({"steps": []}, "steps: there are none"),
        ({"steps": 0}, "steps=0: must be a number of moments from 1"),
        ({"after": (-1,)}, r"after=\[-1\]: must be whole numbers of steps from 0"),
        ({"variable": "f"}, "variable=f: must be one of c h"),
        ({"units": [8]}, "units: 8: no such unit; there are layer 0, forward: 0 to 7"),
        ({"donors": counting_batch(1, n=9)}, r"donors: inputs of shape \(9, 40, 4\); must be \(24, 40, 4\)"),
        ({"donors": np.arange(24)}, "donors: sequence 0 is its own donor"),
        ({"donors": [1, 2]}, "donors: must be a Batch, or the number of a sequence, 0 to 23, for each of the 24"),
        ({"signals": {"any": torch.randn(24, 40)}}, "signals: any stands for all pairs here; give that signal another"),
        ({"signals": {"no": torch.ones(24, 40)}}, r"signals\['no'\]: never changes, so no two sequences differ in it"),
        ({"rule": lambda x, _: {"count": x[..., :1]}}, "rule: of the batch's own inputs it does not say its target co"),
    ],
)  # fmt: skip
def test_bad_input_is_said(change, message):
    with pytest.raises(InputError, match=message):
        lp.patch_units(counter_and_latch(0), counting_batch(0, n=24), **change)


def test_a_run_whose_sequences_end_at_once_has_an_empty_table(caplog):
    batch = counting_batch(0, n=24, time=1)
    with caplog.at_level(logging.WARNING):
        table = patches_of_run(counter_and_latch(0), batch, rule=lambda *_: None, after=[1], steps=3)
    assert list(table) == list(COLUMNS) and not len(table) and "no memory was taken" in caplog.text
    assert not len(first_patches(table)) and not len(read_from(table))


def test_bad_sets_are_said():
    model, batch = counter_and_latch(0), counting_batch(0, n=24)
    for sets, message in (([], "sets: there are none"), ([[1], [9]], "sets: set 1: 9: no such unit")):
        with pytest.raises(InputError, match=message):
            lp.patch_sets(model, batch, sets)
