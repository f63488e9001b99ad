"""What is asked of clamps and cannot be done ends in one short sentence, before anything runs."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import config
from pandas.testing import assert_frame_equal

import lstm_probe as lp
from lstm_probe.core import groups
from lstm_probe.core.errors import InputError

NET = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
BATCH = NET.sample(16, length=12, seed=1)
NO_UNIT = "units: {}: no such unit; there are layer 0, forward: 0 to 3"


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Types are checked in tests alone: whoever uses the package is told by the package."""
    monkeypatch.setattr(config, "jaxtyping_disable", True)


@pytest.mark.parametrize(("asked", "said"), [
    ({"units": 1}, "units: 1; must be a list of units"),
    ({"units": "12"}, "units: 12; must be a list of units"),
    ({"units": ["1"]}, NO_UNIT.format("'1'")),
    ({"units": [True]}, NO_UNIT.format("True")),
    ({"units": [1.0]}, NO_UNIT.format("1.0")),
    ({"units": torch.tensor([0.5])}, NO_UNIT.format("0.5")),
    ({"units": [torch.tensor([0, 1])]}, NO_UNIT.format("tensor([0, 1])")),
    ({"units": [4]}, NO_UNIT.format("4")),
    ({"units": [(0, 1), 1]}, "units: 1 stands there twice"),
    ({"window": 5}, "window=5: must be (first step, step after the last), within 0 to 12"),
    ({"window": (0, True)}, "window=(0, True): must be (first step, step after the last), within 0 to 12"),
    ({"bootstrap": -1}, "bootstrap=-1: must be a whole number from 0"),
    ({"bootstrap": 1.5}, "bootstrap=1.5: must be a whole number from 0"),
    ({"min_drop": float("nan"), "bootstrap": "5"},
     "bootstrap=5: must be a whole number from 0\nmin_drop=nan: must be a number from 0 to 1"),
    ({"min_drop": -0.1}, "min_drop=-0.1: must be a number from 0 to 1"),
    ({"donors": "x", "mode": "resample"}, "donors: a str; must be a Batch, as task.sample(512, seed=0) gives one"),
])  # fmt: skip
def test_what_a_clamp_is_asked_for(asked, said):
    with pytest.raises(InputError) as error:
        lp.ablate_units(NET.model, BATCH, **asked)
    assert str(error.value) == said


@pytest.mark.parametrize(("sets", "said"), [
    (3, "sets: 3; must be a list of sets of units, as [[3, 7], [5]]"),
    ([1, 2], "sets: set 0: 1; must be a list of units"),
    (["12"], "sets: set 0: 12; must be a list of units"),
    ([[0], []], "sets: set 1: there are none"),
    ([[0, 1], [1, 0]], "sets: unit 0 stands in several; they must not overlap"),
])  # fmt: skip
def test_sets_are_lists_of_lists(sets, said):
    with pytest.raises(InputError) as error:
        lp.ablate_sets(NET.model, BATCH, sets)
    assert str(error.value) == said


@pytest.mark.parametrize("analysis", [lp.ablate_units, lp.sufficient_units,
                                      lambda model, batch: lp.ablate_sets(model, batch, [[0]])])  # fmt: skip
def test_what_is_no_batch(analysis):
    for batch, said in ((BATCH.inputs, "batch: a Tensor; must be a Batch, as task.sample(512, seed=0) gives one"),
                        (BATCH[:0], "batch: there are no sequences")):  # fmt: skip
        with pytest.raises(InputError) as error:
            analysis(NET.model, batch)
        assert str(error.value) == said


@pytest.mark.parametrize(
    "units", [torch.tensor([2, 0]), np.array([2, 0]), (np.int64(2), torch.tensor(0)), range(2, -1, -2)]
)
def test_units_in_whatever_they_come(units):
    found = lp.ablate_units(NET.model, BATCH, units=units, bootstrap=5)
    assert_frame_equal(found, lp.ablate_units(NET.model, BATCH, units=[2, 0], bootstrap=5))
    assert found["unit"].tolist() == [2, 2, 0, 0]


def test_nothing_is_called_not_needed_where_no_sequence_has_a_step():
    short = replace(BATCH, lengths=torch.full_like(BATCH.lengths, 8))
    with pytest.raises(InputError, match="no sequence has a step there; the longest has 8 steps"):
        lp.ablate_units(NET.model, short, window=(8, 12))
    lost = lp.ablate_units(NET.model, short, window=(7, 12), bootstrap=5).query("unit == 0 and target == 'count'")
    assert lost["refit_drop"].item() > 0.01  # at the last step alone


def test_what_is_not_finite_is_named():
    inputs, (first, *_) = BATCH.inputs.clone(), BATCH.targets
    inputs[0, 0, :2] = torch.tensor([float("nan"), float("inf")])
    with pytest.raises(InputError, match=r"outputs are not finite \(largest nan\): 2 of its 960 inputs are not$"):
        lp.ablate_units(NET.model, replace(BATCH, inputs=inputs))
    values = BATCH.targets[first].clone()
    values[3, 2] = float("nan")
    with pytest.raises(InputError, match=f"The target {first} is not a finite number at a scored step"):
        lp.ablate_units(NET.model, replace(BATCH, targets=BATCH.targets | {first: values}))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_of_few_groups_it_is_said_how_often_an_interval_holds_the_truth(count, caplog):
    rng = np.random.default_rng(count)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=1000) / count
    held = [low <= 0 <= high for low, high in (np.quantile(drawn @ rng.normal(size=count), (0.025, 0.975))
                                               for _ in range(2000))]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        groups.resampled_by(np.arange(12) % count, 12)
    said = [int(word) for word in caplog.text.split() if word.isdigit()]
    assert said == [] if count > 5 else said[:2] == [count, 95] and abs(said[2] - 100 * np.mean(held)) < 3
