"""How many runs sufficient sets take, and those of a trained network's run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.sufficient import sufficient_units
from lstm_probe.core.columns import SUFFICIENT_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from lstm_probe.runs.illustrations import set_rows
from lstm_probe.runs.measure import Subject, measure
from lstm_probe.runs.settings import complete
from tests.causal.sums import PARTS, adders, kept_of
from tests.handmade import flipflops


@pytest.fixture
def passes(monkeypatch):
    """Every set that is clamped, with the sequences on which it is."""
    made = []
    outputs = Intervening.outputs

    def counted(self, units, by=None):
        if by is None:  # beside its mean a unit is clamped for the interval alone
            made.append((id(self), frozenset(units)))
        return outputs(self, units, by)

    monkeypatch.setattr(Intervening, "outputs", counted)
    return made


def test_no_pass_is_made_twice_and_there_are_few(passes):
    net = lp.planted.combine(PARTS, random_units=29, listening=True, seed=1)
    batch = net.sample(64, length=20, seed=1)
    sufficient_units(net.model, batch, bootstrap=20)
    on_first_half = passes[0][0]
    choosing = [which for where, which in passes if where == on_first_half]
    assert len(choosing) == len(set(choosing)) and 32 < len(choosing) <= 2.5 * 32
    assert len(passes) - len(choosing) <= 4  # each set once on the half that checks
    passes.clear()
    latch = lp.planted.latch(random_units=31, listening=True, seed=1)
    sufficient_units(latch.model, latch.sample(64, length=20, seed=1), bootstrap=20)
    assert len(passes) <= 1.5 * 32 + 1


def test_one_by_one_as_in_a_network_that_needs_most(passes):
    """Twenty units of equal weight: at 99 % each has to stay, and none is tried more than once in addition."""
    model, batch = adders(torch.eye(20), n=32)
    sufficient_units(model, batch, bootstrap=20)
    assert 20 < len(passes) <= 2.5 * 20


def test_costs_that_are_known_already_are_not_measured_again(passes):
    model, batch = adders([[1, 0, 0], [0, 1, 0], [0, 0, 0.1], [0, 0, 0]])
    batch = replace(batch, targets={"sum": batch.inputs @ torch.tensor([[1.0], [1.0], [0.1]])})
    measured = sufficient_units(model, batch, keep=0.9, bootstrap=0)
    before = len(passes)
    passes.clear()
    drops = [0.5, 0.5, 0.005, 0.0]
    alone = pd.DataFrame(
        [(0, "forward", unit, "c", "mean", "sum", drop) for unit, drop in enumerate(drops)],
        columns=["layer", "direction", "unit", "variable", "mode", "target", "refit_drop"],
    )
    given = sufficient_units(model, batch, keep=0.9, bootstrap=0, alone=alone)
    assert kept_of(given) == kept_of(measured) == {0, 1} and len(passes) < before
    assert list(given["unit"][:2]) == [3, 2]
    for wrong, message in (
        (alone.assign(mode="zero"), "alone: must be of variable=c mode=mean only"),
        (alone[alone["unit"] != 2], "alone: has no refit_drop of some unit for the target sum"),
        (alone.assign(refit_drop=np.nan), "alone: has no refit_drop of some unit for the target sum"),
    ):
        with pytest.raises(InputError, match=message):
            sufficient_units(model, batch, alone=wrong)


def about_run(model, task, **settings):
    subject = Subject(model, task, "ablate", complete("ablate", {"sequences": 32, "bootstrap": 40, **settings}), 3, "r")
    return measure(subject, ["ablations", "sufficient"])["sufficient"]


def test_in_a_run_the_order_follows_from_the_table_of_ablations(passes):
    task, model = lp.get_task("flipflop", bits=2, length=20), flipflops(2, 5)
    table = about_run(model, task)
    assert kept_of(table) == {0, 1} and kept_of(table, "bit1") == {1} and set(table["run"]) == {"r"}
    on = list(dict.fromkeys(where for where, _ in passes))
    assert [where for where, _ in passes].count(on[0]) >= 5 and len(passes) < 40
    assert not any(len(which) == 1 for where, which in passes if where != on[0])  # alone they were clamped before
    with_orders = about_run(model, task, orders=2, keep=0.9)
    assert with_orders.attrs["sufficient"]["bit0"]["spread"] == [1, 1]
    assert with_orders.attrs["sufficient"]["bit0"]["keep"] == 0.9


def test_a_run_that_learned_nothing_has_an_empty_table(caplog):
    task = lp.get_task("flipflop", bits=2, length=20)
    table = about_run(SequenceModel(2, 2, 3, seed=0).eval(), task)
    assert table.empty and list(table.columns) == list(SUFFICIENT_COLUMNS)
    assert any(message.startswith("sufficient: targets: none was learned") for message in caplog.messages)
    assert set_rows(table).empty
