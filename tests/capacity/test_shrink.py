"""`shrink`: planted sizes exactly, trained networks on sequences that nothing was chosen on, and what is refused."""

import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.capacity.fold import Fold
from lstm_probe.capacity.goal import SHARES, Goal, split
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.shrink import Shrunk
from lstm_probe.core.run_columns import SHRINK_COLUMNS
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.recorder.calling import outputs_of
from tests.capacity.made import LEFT, PLANTED, REFUSED, TAKEN, Made, batch_of, first_lstm, lstm, plant

TASK = lp.get_task("flipflop", bits=2, length=16)


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    """Eight units that have learned to hold two bits, which takes two."""
    made = SequenceModel(TASK.n_inputs, TASK.n_outputs, 8, seed=1)
    Trainer(made, TASK, steps=300, seed=1).fit()
    return made


@pytest.fixture(scope="module")
def shrunk(model: SequenceModel) -> Shrunk:
    return lp.shrink(model, TASK.sample(128, seed=1))


def least_share(small: nn.Module, model: nn.Module, seed: int = 99) -> float:
    """Return what is kept of the worst score, on sequences drawn anew."""
    batch = TASK.sample(512, seed)
    with torch.no_grad():
        now, before = (batch.scores(outputs_of(one.eval(), batch)) for one in (small, model))
    return min(now[name] / before[name] for name in before)


@pytest.mark.parametrize("kind", [kind for kind in TAKEN if kind not in ("no biases", "learned states")])
def test_of_planted_units_those_that_are_not_needed_are_cut_exactly(kind: str) -> None:
    torch.manual_seed(1)
    model = TAKEN[kind](PLANTED)
    own = plant(model)
    parts = own.num_layers * (1 + own.bidirectional)
    found = lp.shrink(model, batch_of(16), units=len(LEFT), layer=first_lstm(model))
    assert found.units == len(LEFT) and set(found.kept.values()) == {LEFT} and len(found.kept) == parts
    assert found.exact == {"unread": 2 * parts, "copy": 2 * parts, "constant": 2 * parts}
    assert list(found.table["stage"].unique()) == ["as it is", "exact"] and found.table["share"].min() > 1 - 1e-9
    there = found.model.get_submodule(first_lstm(model))
    assert type(there) is nn.LSTM and there.hidden_size == len(LEFT) and not found.model.training
    batch = batch_of(24, seed=7)
    with torch.no_grad():
        assert float((outputs_of(found.model, batch) - outputs_of(model.eval(), batch)).abs().max()) <= 1e-6


def test_a_size_above_the_exact_one_is_reached_exactly_too() -> None:
    torch.manual_seed(1)
    model = TAKEN["every step"](PLANTED)
    plant(model)
    found = lp.shrink(model, batch_of(16), units=8)
    assert found.units == 8 and sum(found.exact.values()) == PLANTED - 8
    assert found.table["share"].min() > 1 - 1e-9


def test_what_is_left_of_the_exact_cut_is_merged_further() -> None:
    torch.manual_seed(1)
    model = TAKEN["every step"](PLANTED)
    own = plant(model)
    found = lp.shrink(model, batch_of(32), units=4)
    (kept,) = found.kept.values()
    assert set(kept) < set(LEFT) and sum(found.exact.values()) == PLANTED - len(LEFT)
    assert list(found.table.groupby("stage", sort=False)["units"].min().items()) == [
        ("as it is", 12), ("exact", 6), ("merged", 4)]  # fmt: skip
    rows, now = own.weight_ih_l0.view(4, PLANTED, -1), found.model.rnn.weight_ih_l0.view(4, 4, -1)
    assert torch.equal(now, rows[:, list(kept)])


def test_states_that_do_not_begin_at_zero_are_said(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(2)
    model = TAKEN["learned states"](PLANTED)
    plant(model)
    found = lp.shrink(model, batch_of(16), units=10)
    assert found.exact == {"unread": 2, "copy": 0, "constant": 0}
    assert "do not begin at zero" in caplog.text


def test_a_trained_network_keeps_what_is_said(model: SequenceModel, shrunk: Shrunk) -> None:
    assert 2 <= shrunk.units <= 5
    check = shrunk.table[(shrunk.table["sequences"] == "check") & (shrunk.table["stage"] == "merged")]
    assert least_share(shrunk.model, model) >= 0.985
    assert least_share(shrunk.model, model) == pytest.approx(check["share"].min(), abs=0.01)
    assert len(shrunk.kept[0, "forward"]) == shrunk.units == shrunk.model.lstm.hidden_size
    rows, own = (one.lstm.weight_ih_l0.view(4, units, -1) for one, units in ((model, 8), (shrunk.model, shrunk.units)))
    assert torch.equal(own, rows[:, list(shrunk.kept[0, "forward"])])  # they are handed on as they are
    with torch.no_grad():  # the same class: it opens under its own size
        again = SequenceModel(TASK.n_inputs, TASK.n_outputs, shrunk.units)
        again.load_state_dict(shrunk.model.state_dict())
        batch = TASK.sample(8, 5)
        assert torch.equal(again(batch.inputs), shrunk.model(batch.inputs))


def test_the_table_has_every_size_and_the_scores_of_every_stage(model: SequenceModel, shrunk: Shrunk) -> None:
    table = shrunk.table
    assert list(table.columns) == list(SHRINK_COLUMNS) == list(lp.columns("shrink"))
    sizes = table[table["target"] == "all"]
    assert sorted(sizes["units"]) == list(range(1, 8)) and set(sizes["sequences"]) == {"decided"}
    batch = TASK.sample(128, seed=1)
    (_, _, check) = split(batch, SHARES, None, 0)
    with torch.no_grad():
        scores = check.scores(model(check.inputs))
    own = table[(table["stage"] == "as it is") & (table["sequences"] == "check")].set_index("target")
    assert own["score"].to_dict() == pytest.approx(scores) and (own["share"] == 1).all()


def test_the_same_comes_out_twice_and_the_module_is_not_changed(model: SequenceModel, shrunk: Shrunk) -> None:
    before = {name: values.clone() for name, values in model.state_dict().items()}
    model.train()
    again = lp.shrink(model, TASK.sample(128, seed=1))
    assert model.training and all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    pd.testing.assert_frame_equal(again.table, shrunk.table)
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), shrunk.model.parameters()))


def test_a_size_that_is_wanted_is_made_whatever_it_keeps(model: SequenceModel) -> None:
    found = lp.shrink(model, TASK.sample(64, seed=1), units=1, check=TASK.sample(64, seed=2))
    assert found.units == 1 and found.model.lstm.hidden_size == 1


@pytest.mark.parametrize("kinds", [{"num_layers": 2, "bidirectional": True}, {"proj_size": 3}])
def test_without_targets_the_outputs_are_kept(kinds: dict[str, int | bool]) -> None:
    torch.manual_seed(3)
    width = int(kinds.get("proj_size") or 7) * (1 + bool(kinds.get("bidirectional")))
    model = Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(7, **kinds), fc=nn.Linear(width, 2))
    found = lp.shrink(model, batch_of(64), keep=0.9)
    assert found.units < 7 and {len(own) for own in found.kept.values()} == {found.units}
    batch = batch_of(256, seed=9)
    with torch.no_grad():
        before, now = (outputs_of(one, batch)[batch.mask] for one in (model, found.model))
    assert float(((now - before).square().mean(0) / before.var(0)).max()) <= 0.12


def test_readers_are_fitted_to_what_they_gave_on_the_sequences_at_hand() -> None:
    torch.manual_seed(0)
    model = TAKEN["every step"](6)
    first, second = batch_of(16), batch_of(16, seed=1)
    folds = {(0, "forward"): Fold.keeping((0, 2, 3), 6)}
    narrowing, anew = Narrowing(model, first), Narrowing(model, first)
    narrowing.refit(narrowing.take(folds), first)
    small, other = narrowing.take(folds), anew.take(folds)
    narrowing.refit(small, second)
    anew.refit(other, second)
    assert torch.equal(small.fc.weight, other.fc.weight) and not torch.equal(small.fc.weight, model.fc.weight[:, :3])


def test_parts_are_of_whole_groups() -> None:
    groups = torch.arange(60) % 7
    batch = batch_of(60)
    parts = split(batch.map(lambda values: values), (0.5, 0.25, 0.25), groups, 0)
    rows = [{tuple(row.flatten().tolist()) for row in part.inputs} for part in parts]
    own = [{int(g) for row, g in zip(batch.inputs, groups) if tuple(row.flatten().tolist()) in part} for part in rows]
    assert sum(map(len, rows)) == 60 and sum(map(len, own)) == 7 and all(own)
    assert len(parts[0]) > len(parts[1]) > 0 and len(parts[2]) > 0


def test_an_output_that_was_not_learned_is_left_aside(model: SequenceModel, caplog: pytest.LogCaptureFixture) -> None:
    class Half(nn.Module):
        """Has lost the second bit."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * torch.tensor([1.0, 0.0])

    found = lp.shrink(Half(), TASK.sample(64, seed=1))
    names = [target.name for target in TASK.targets]
    assert set(found.table["target"]) == {"all", names[0]} and f"{names[1]}: not learned" in caplog.text


def untrained() -> SequenceModel:
    return SequenceModel(TASK.n_inputs, TASK.n_outputs, 8, seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 1.0}, "keep=1.0: must be a number above 0 and below 1"),
        ({"keep": 0.0}, "keep=0.0: must be a number above 0 and below 1"),
        ({"units": 0}, "units=0: must be from 1 to 7, as lstm has 8"),
        ({"units": 8}, "units=8: must be from 1 to 7, as lstm has 8"),
        ({"tune": -1}, "tune=-1: must be a whole number from 0"),
        ({"tune": 100}, "tune=100: nothing to train on"),
        (
            {"tune": 9, "train": lp.get_task("parity")},
            "train: has 1 inputs and 1 outputs, and the sequences have 2 and 2",
        ),
        ({"layer": "other"}, "layer=other: there is no such part"),
        ({"groups": [0, 1] * 32}, "groups: 2; must be 3 or more"),
    ],
)
def test_bad_settings(model: SequenceModel, settings: dict[str, object], message: str) -> None:
    with pytest.raises(lp.InputError, match=re.escape(message)):
        lp.shrink(model, TASK.sample(64, seed=1), **settings)  # type: ignore[arg-type]


def test_bad_modules_and_sequences(model: SequenceModel) -> None:
    batch = TASK.sample(64, seed=1)
    with pytest.raises(lp.InputError, match="targets: none was learned"):
        lp.shrink(untrained(), batch)
    with pytest.raises(lp.InputError, match="sequences: 12; must be 16 or more"):
        lp.shrink(model, batch[:12])
    with pytest.raises(lp.InputError, match="rnn: is a LSTMCell"):
        lp.shrink(REFUSED["cell"][0](4), batch_of(16))
    with pytest.raises(lp.InputError, match="has one unit"):
        lp.shrink(TAKEN["every step"](1), batch_of(16))
    with pytest.raises(lp.InputError, match="norm: depends on the width"):
        lp.shrink(REFUSED["layer norm"][0](4), batch_of(16))
    with pytest.raises(lp.InputError, match="holds 2 LSTMs"):
        lp.shrink(TAKEN["another LSTM behind"](4), batch_of(16))
    wide = lp.Batch(batch.inputs, {"y": torch.zeros(64, 16, 1)}, (Target("y", "regression", 1),), batch.lengths, {})
    with pytest.raises(lp.InputError, match="targets: the model's outputs have shape"):
        lp.shrink(model, wide)


def test_one_output_for_each_sequence_is_that_of_its_last_step() -> None:
    torch.manual_seed(11)
    model = TAKEN["last step"](PLANTED)
    plant(model)
    batch = batch_of(48)
    batch = replace(batch, lengths=torch.full_like(batch.lengths, batch.inputs.shape[1]))
    with torch.no_grad():
        values = model(batch.inputs).unsqueeze(1).expand(-1, batch.inputs.shape[1], -1)
    last = torch.zeros(batch.inputs.shape[:2], dtype=torch.bool)
    last[:, -1] = True
    batch = replace(batch, targets={"y": values}, target_specs=(Target("y", "regression", 2),), scored={"y": last})
    found = lp.shrink(model, batch, units=len(LEFT))
    assert found.units == len(LEFT) and found.table["score"].dropna().min() > 1 - 1e-6
    with torch.no_grad():
        assert float((found.model(batch.inputs) - model(batch.inputs)).abs().max()) <= 1e-6


def test_what_is_kept_is_what_the_worst_target_keeps(model: SequenceModel) -> None:
    batch = TASK.sample(32, seed=3)
    goal = Goal.of(model, batch, [spec.name for spec in batch.target_specs])
    assert len(goal.intact) > 1
    first, *others = goal.intact
    scores = {first: 0.25 * goal.intact[first], **{name: goal.intact[name] for name in others}}
    assert goal.share(scores) == pytest.approx(0.25)
