"""Interventions through a whole model: windows, values of other sequences, far off the data, and what is refused."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.causal import ablate_sets, ablate_units
from lstm_probe.causal.intervening import Intervening, donors_of
from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from lstm_probe.tasks.registry import get_task
from tests.causal.test_any_module import BATCH, Base, Both, Cell, Packing
from tests.handmade import counter_and_latch, counting_batch

COUNT, LATCH = 3, 5


def loop(model, x, held):
    """A SequenceModel of one layer, step by step in float64; `held(t, name, v)` may change a variable."""
    lstm = model.lstm
    w = {name: getattr(lstm, f"{name}_l0").double() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    h = c = x.new_zeros(len(x), lstm.hidden_size, dtype=torch.float64)
    out, did = [], []
    for t in range(x.shape[1]):
        pre = x[:, t].double() @ w["weight_ih"].T + h @ w["weight_hh"].T + w["bias_ih"] + w["bias_hh"]
        i, f, g, o = pre.chunk(4, dim=1)
        v = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
        v = {name: held(t, name, values) for name, values in v.items()}
        c = held(t, "c", v["f"] * c + v["i"] * v["g"])
        h = held(t, "h", v["o"] * c.tanh())
        did.append({**v, "c": c, "h": h})
        out.append(h @ model.readout.weight.double().T + model.readout.bias.double())
    return torch.stack(out, dim=1), did


def as_it_is(t, name, values):
    return values


@pytest.mark.parametrize("variable", ["c", "h", "f", "o"])
@pytest.mark.parametrize("window", [None, (5, 12)])
@pytest.mark.parametrize("mode", ["mean", "zero", "resample"])
@torch.no_grad()
def test_the_table_is_that_of_a_loop_over_steps(variable, window, mode):
    """Scores, and the refit by the correlation of what the loop says with the targets."""
    batch = get_task("flipflop").sample(24, seed=3)
    model = SequenceModel(batch.inputs.shape[-1], sum(spec.size for spec in batch.target_specs), 4, seed=5)
    donors = batch[torch.randperm(24, generator=torch.Generator().manual_seed(1))]
    given = {"donors": donors} if mode == "resample" else {}
    table = ablate_units(model, batch, variable=variable, mode=mode, window=window, bootstrap=0, **given)
    whole, did = loop(model, batch.inputs, as_it_is)
    other = loop(model, donors.inputs, as_it_is)[1]
    mean = {name: torch.stack([step[name] for step in did]).flatten(0, 1).mean(0) for name in did[0]}

    def held(t, name, values):
        if name == variable and (window is None or t in range(*window)):
            values = values.clone()
            to = {"mean": mean[name][2], "zero": 0.0, "resample": other[t][name][:, 2]}
            values[:, 2] = to[mode]
        return values

    outputs = loop(model, batch.inputs, held)[0]
    for k, spec in enumerate(batch.target_specs):
        row = table[(table.unit == 2) & (table.target == spec.name)].iloc[0]
        y = batch.targets[spec.name][..., 0].double().numpy().ravel()
        said, was = outputs[..., k].numpy().ravel(), whole[..., k].numpy().ravel()
        assert row.clamped == pytest.approx(1 - np.square(said - y).sum() / np.square(y - y.mean()).sum(), abs=2e-4)
        lost = np.corrcoef(was, y)[0, 1] ** 2 - np.corrcoef(said, y)[0, 1] ** 2
        assert row.refit_drop == pytest.approx(min(lost, max(row.intact, 0)), abs=2e-4)
        assert row["mode"] == mode


def test_a_latch_is_needed_while_it_is_clamped_and_until_it_is_set_again():
    """Clamped at its mean in steps 10 to 14: what is lost is lost there, and until the next event."""
    model, batch = counter_and_latch(0), counting_batch(0)
    subject = Intervening(model, batch, window=(10, 15))
    with torch.no_grad():
        apart = (subject.outputs([(0, "forward", LATCH)]).outputs - subject.intact.outputs)[..., 1].abs() > 0.1
    assert not apart[:, :10].any() and apart[:, 10:15].all()
    event = batch.inputs[..., 2:].sum(-1) > 0
    since = torch.cumsum(event[:, 15:], dim=1) == 0
    assert torch.equal(apart[:, 15:], since)


def test_another_sequences_memory_brings_its_own_answer():
    """Each sequence gets the latch of the one before it: the output is that one's."""
    model, batch = counter_and_latch(0), counting_batch(0)
    donors = batch[torch.arange(-1, len(batch) - 1)]
    subject = Intervening(model, batch, mode="resample", donors=donors)
    with torch.no_grad():
        made, theirs = subject.outputs([(0, "forward", LATCH)]).outputs, model(donors.inputs)
    torch.testing.assert_close(made[..., 1], theirs[..., 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(made[..., 0], subject.intact.outputs[..., 0], rtol=0, atol=1e-5)
    table = ablate_units(model, batch, mode="resample", bootstrap=200)
    needed = table[table.needed == "alone"]
    assert set(zip(needed.target, needed.unit)) == {("count", COUNT), ("latch", LATCH)}
    assert not table.off_data.any()


@pytest.mark.parametrize("kind", [Base, Packing, Cell])
@torch.no_grad()
def test_of_modules_as_people_write_them_all_units_of_another_sequence_are_that_sequence(kind):
    """With every unit's h taken from the donor, the outputs are the donor's."""
    torch.manual_seed(0)
    net = kind()
    donors = donors_of(BATCH, None, 0)
    subject = Intervening(net, BATCH, variable="h", mode="resample", donors=donors)
    made = subject.outputs(subject.keys).outputs
    cut = type(BATCH)(donors.inputs, BATCH.targets, BATCH.target_specs, BATCH.lengths, {})
    theirs = net(cut.inputs, cut.lengths) if kind is Packing else net(cut.inputs)
    torch.testing.assert_close(made[BATCH.mask], theirs[BATCH.mask], rtol=0, atol=1e-6)


def test_donors_are_others_as_long_or_longer_and_of_other_groups():
    batch = BATCH
    donors = donors_of(batch, None, 0)
    assert (donors.lengths >= batch.lengths).all()
    same = [torch.equal(a, b) for a, b in zip(donors.inputs, batch.inputs)]
    assert sum(same) <= len(batch) * 0.1
    groups = torch.arange(128) % 4
    plain = counting_batch(0)
    numbered = type(plain)(
        plain.inputs,
        plain.targets,
        plain.target_specs,
        plain.lengths,
        {"own": type(plain.signals["count"])("own", groups[:, None].expand(-1, 40).float())},
    )
    assert (donors_of(numbered, groups, 0).signals["own"].values[:, 0] != groups).all()


def test_sequences_without_a_donor_are_said_or_refused(caplog):
    plain = counting_batch(0, n=40)

    def lengths(values):
        return type(plain)(plain.inputs, plain.targets, plain.target_specs, torch.tensor(values), {})

    with caplog.at_level(logging.WARNING, "lstm_probe"):
        donors_of(lengths([40, *[30] * 39]), None, 0)
    assert "1 of 40 sequences have no other that is as long" in caplog.text
    with pytest.raises(InputError, match="5 of 40 sequences have no other of another group that is as long"):
        donors_of(lengths([40] * 5 + [30] * 35), [1] * 5 + [2] * 35, 0)


def test_a_clamp_far_off_what_the_unit_took_is_said():
    """The latch is never near 0, the counter is."""
    model, batch = counter_and_latch(0), counting_batch(0)
    batch.inputs[..., 3] = 0  # it is set at once, and never reset
    with torch.no_grad():
        given = type(batch)(batch.inputs, {"count": batch.targets["count"], "latch": torch.randn(128, 40, 1)},
                            batch.target_specs, batch.lengths, {})  # fmt: skip
    off = ablate_units(model, given, mode="zero", bootstrap=0).groupby("unit").off_data.first()
    assert off[LATCH] and not off[COUNT]
    assert not ablate_units(model, given, bootstrap=0).groupby("unit").off_data.first()[[LATCH, COUNT]].any()


@torch.no_grad()
def test_h_far_outside_of_its_range_is_far_off_the_data():
    """Unit 1 amplifies what unit 0 shows: with 0 shut as it never is, 1 goes where it never was."""
    model = SequenceModel(1, 1, 2, seed=0)
    w = dict(model.lstm.named_parameters())
    for values in w.values():
        values.zero_()
    for unit in (0, 1):  # everything is written and shown, nothing is kept
        w["bias_ih_l0"][[0 + unit, 6 + unit]], w["bias_ih_l0"][2 + unit] = 30.0, -30.0
    w["bias_ih_l0"][4] = 1.0
    w["weight_ih_l0"][4] = 0.01
    w["weight_hh_l0"][5, 0], w["weight_ih_l0"][5] = 10.0, 0.3
    w["bias_ih_l0"][5] = -10 * float(torch.tensor(1.0).tanh().tanh())
    batch = get_task("flipflop").sample(16, 0)
    given = type(batch)(
        batch.inputs[..., :1], {"bit0": batch.targets["bit0"]}, batch.target_specs[:1], batch.lengths, {}
    )
    table = ablate_units(model, given, mode="zero", variable="o", bootstrap=0).groupby("unit").off_data.first()
    assert table[0]
    subject = Intervening(model, given, mode="zero")
    subject._range["values"] = tuple(dict.fromkeys(subject.keys, v) for v in (-9.0, 9.0))
    assert subject.off_data(subject.keys[:1], subject.outputs(subject.keys[:1]))
    assert not subject.off_data(subject.keys[:1], subject.intact)


def test_h_is_far_off_where_it_leaves_its_range_by_a_twentieth_in_one_of_a_hundred_steps():
    batch = counting_batch(0)
    subject = Intervening(counter_and_latch(0), batch)
    unit, shown = subject.keys[:1], subject.intact.shown
    span = float(shown[..., 2].max() - shown[..., 2].min())
    for beyond, share, off in ((0.5, 0.02, True), (0.5, 0.005, False), (0.03, 1.0, False), (0.07, 1.0, True)):
        moved = shown.clone()
        steps = torch.rand(moved.shape[:2], generator=torch.Generator().manual_seed(0)) < share
        moved[..., 2][steps] = shown[..., 2].max() + beyond * span
        assert subject.off_data(unit, replace(subject.intact, shown=moved)) == off, (beyond, share)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"window": (3, 3)}, r"window=\(3, 3\): must be \(first step, step after the last\), within 0 to 40"),
        ({"window": (0, 41)}, "within 0 to 40"),
        ({"window": (-1, 4)}, "within 0 to 40"), ({"window": (7, 5)}, "within 0 to 40"),
        ({"donors": counting_batch(1)}, "donors: only mode=resample takes values of other sequences, not mode=mean"),
        ({"mode": "resample", "donors": counting_batch(1, time=30)}, r"donors: inputs of shape \(128, 30, 4\)"),
        ({"mode": "resample", "donors": counting_batch(1, n=5)}, r"donors: inputs of shape \(5, 40, 4\); must be"),
        ({"units": [8]}, "units: 8: no such unit; there are layer 0, forward: 0 to 7"),
        ({"units": [(1, 0)]}, "no such unit"), ({"units": []}, "units: there are none"),
        ({"units": [1, 1]}, "units: 1 stands there twice"),
        ({"variable": "m"}, "variable=m: must be one of h c i f g o"),
        ({"mode": "off"}, "mode=off: must be one of mean zero resample"),
        ({"layer": "rnn"}, "layer=rnn: there is no such part; there are lstm"),
    ],
)  # fmt: skip
def test_bad_input(keywords, message):
    model = counter_and_latch(0)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        ablate_units(model, counting_batch(0), **keywords)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert not model.lstm._forward_hooks and not model.lstm._forward_pre_hooks


def test_steps_that_are_not_the_batchs_have_no_window():
    with pytest.raises(InputError, match="window: the module calls its LSTM several times"):
        ablate_units(Both(), BATCH, window=(1, 3), bootstrap=0)


class Half(Cell):
    """Reads every other step."""

    def forward(self, x):
        return super().forward(x[:, ::2]).repeat_interleave(2, dim=1)[:, : x.shape[1]]


def test_cells_that_skip_steps_have_no_window():
    with pytest.raises(InputError, match="window: the module calls its LSTMCell"):
        ablate_units(Half(), BATCH, window=(1, 3), bootstrap=0)
    assert len(ablate_sets(Half(), BATCH, [[1, 2]], bootstrap=0)) == len(BATCH.target_specs)


def test_a_network_that_did_not_learn_is_said_to(caplog):
    batch = counting_batch(0)
    with caplog.at_level(logging.WARNING, "lstm_probe"):
        table = ablate_units(SequenceModel(4, 2, 8, seed=1), batch, bootstrap=50)
    assert "the network did not learn count (score -" in caplog.text and "latch (score" in caplog.text
    assert (table.needed == "not measured").all()


def test_a_batch_without_targets_has_nothing_to_lose():
    batch = counting_batch(0, n=8)
    with pytest.raises(InputError, match="has no targets"):
        ablate_units(nn.LSTM(4, 2, batch_first=True), type(batch)(batch.inputs, {}, (), batch.lengths, {}))


@torch.no_grad()
def test_on_other_sequences_the_clamps_are_the_same():
    model, subject = counter_and_latch(0), Intervening(counter_and_latch(0), counting_batch(0))
    other = subject.on(counting_batch(9, n=16))
    assert other.clamps(other.keys[:2]) == subject.clamps(subject.keys[:2])
    torch.testing.assert_close(other.intact.outputs, model(counting_batch(9, n=16).inputs))
    with pytest.raises(InputError, match="belong to the sequences of this batch"):
        Intervening(model, counting_batch(0), mode="resample").on(counting_batch(9))
