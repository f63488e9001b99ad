"""Trainings that force a unit to carry a signal, and what they refuse."""

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from lstm_probe.truth import gate, train_map, trained_networks
from lstm_probe.truth.interchange import InterchangeTrainer, begin_as_parity

FLIPFLOP = lp.get_task("flipflop", bits=2, length=20, rate=0.2)


def test_a_training_by_interchange_puts_signals_where_they_shall_be_and_without_it_they_lie_elsewhere():
    forced, units = train_map(FLIPFLOP, 6, steps=300, seed=2)
    free, same = train_map(FLIPFLOP, 6, steps=300, weight=0.0, seed=2)
    assert units == same and len(set(units.values())) == 2
    table, plain = (gate(model, FLIPFLOP, units, sequences=128) for model in (forced, free))
    assert (table.follow > 0.95).all() and (plain.follow < 0.8).all() and (plain.r2 > 0.95).all()
    assert (table.free < plain.free).all()


def test_everything_follows_from_the_seed():
    def made(seed):
        model, units = train_map(FLIPFLOP, 8, steps=3, seed=seed)
        return torch.cat([values.flatten() for values in model.state_dict().values()]), units

    (a, at_a), (b, at_b), (c, at_c) = made(1), made(1), made(2)
    assert torch.equal(a, b) and at_a == at_b and not torch.equal(a, c) and at_a != at_c


def test_a_unit_that_begins_as_a_parity_about_is_one():
    task = lp.get_task("tracking", length=15)
    model = SequenceModel(7, 5, 4, seed=0)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    begin_as_parity(model, 2, task.input_names.index("flip"))
    batch = task.sample(200, seed=1)
    c = lp.record(model, batch.inputs).c[..., 2].flatten().double().numpy()
    assert np.corrcoef(c, batch.signals["parity"].values.flatten())[0, 1] > 0.98
    for name, values in model.state_dict().items():
        own = [2, 6, 10, 14] if name.startswith("lstm") else []
        rest = [row for row in range(len(values)) if row not in own]
        assert torch.equal(values[rest], before[name][rest])


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: trained_networks("tracking"), "recipe=tracking: there is none."),
        (lambda: train_map(lp.get_task("dyck"), 8), "task=dyck: each target must be one number"),
        (lambda: train_map(lp.get_task("delayed_recall"), 8), "task=delayed_recall: each target must be one number"),
        (lambda: train_map(lp.get_task("parity", min_length=5), 8), "task=parity: all sequences must be as long"),
        (lambda: train_map(FLIPFLOP, 1), "hidden=1: must be at least 2, one unit for each of bit0, bit1"),
        (lambda: train_map(FLIPFLOP, 4, flips={"bit3": "pulse0"}), "flips: bit3: pulse0: must be one of the targets"),
        (lambda: train_map(FLIPFLOP, 4, flips={"bit0": "puls"}), "and one of the lines pulse0, pulse1"),
        (lambda: trainer(units={"bit0": 1, "bit1": 1}), "must have another unit for each of bit0, bit1"),
        (lambda: trainer(units={"bit0": 1}), "must have another unit for each of bit0, bit1"),
        (lambda: trainer(units={"bit0": 1, "bit1": 4}), "there are 4 units, from 0"),
        (lambda: trainer(layers=2), "model: must have one layer, and no projection"),
        (lambda: gate(SequenceModel(2, 2, 4), FLIPFLOP, {"bit0": 1}), "must have another unit for each of bit0, bit1"),
    ],
)
def test_bad_input(make, part):
    with pytest.raises(InputError) as caught:
        make()
    assert part in "\n".join(caught.value.problems)


def trainer(units=None, layers=1):
    return InterchangeTrainer(SequenceModel(2, 2, 4, layers), FLIPFLOP, units=units or {"bit0": 0, "bit1": 1})
