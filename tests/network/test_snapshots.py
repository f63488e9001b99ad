"""Copies of the weights along a training: when, of what, and that training does not notice them."""

from itertools import pairwise

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstm_probe.network.model import SequenceModel
from lstm_probe.network.snapshots import packed, unpacked, updates_to_keep
from lstm_probe.network.training import Trainer
from lstm_probe.tasks.memory.flipflop import FlipFlop

TASK = FlipFlop(bits=2, length=12, min_length=4)
KEEP = updates_to_keep(7, 60)


def trainer(**settings):
    model = SequenceModel(TASK.n_inputs, TASK.n_outputs, 3, seed=4)
    return Trainer(model, TASK, **{"steps": 60, "evaluate_every": 20, "stop_when_solved": False, **settings})


def weights_seen(own):
    """The weights after every update, as a hook on the optimizer sees them; 0 is before the first."""
    seen = {0: {name: values.clone() for name, values in own.model.state_dict().items()}}

    def seeing(*_):
        seen[len(seen)] = {name: values.clone() for name, values in own.model.state_dict().items()}

    own._optimizer.register_step_post_hook(seeing)
    return seen


@given(st.integers(0, 60), st.integers(1, 5000))
def test_updates_rise_from_none_to_all(count, steps):
    kept = updates_to_keep(count, steps)
    assert len(kept) == min(count, steps + 1) and kept == sorted(set(kept))
    if count:
        assert kept[-1] == steps and (count == 1 or kept[0] == 0)
    gaps = [b - a for a, b in pairwise(kept)]
    assert all(a <= b + 1 for a, b in pairwise(gaps))  # dense at first


def test_copies_are_what_a_hook_sees_and_change_nothing():
    plain, kept, watched = trainer(), trainer(), trainer()
    seen = weights_seen(watched)
    histories = [plain.fit(), kept.fit(keep=KEEP), watched.fit()]
    assert not plain.kept and list(kept.kept) == KEEP and len(seen) == 61
    for update, own in kept.kept.items():
        for name, values in own.items():
            assert torch.equal(values, seen[update][name]), (update, name)
    for name, values in plain.model.state_dict().items():
        assert torch.equal(values, kept.model.state_dict()[name]) and torch.equal(values, kept.kept[60][name])
    timeless = [history.drop(columns="seconds") for history in histories]
    pd.testing.assert_frame_equal(timeless[0], timeless[1])


def test_a_training_that_stops_early_keeps_its_end():
    own = trainer(steps=3000, stop_when_solved=True, evaluate_every=50)
    own.fit(keep=updates_to_keep(10, 3000))
    assert own.step < 3000 and max(own.kept) == own.step
    assert set(own.kept) - {own.step} == {k for k in updates_to_keep(10, 3000) if k < own.step}
    assert torch.equal(own.kept[own.step]["readout.weight"], own.model.readout.weight)


def test_an_interrupted_training_keeps_the_same(tmp_path):
    whole, cut, again = trainer(), trainer(), trainer()
    whole.fit(keep=KEEP)

    def kill(progress):
        cut.save(tmp_path / "checkpoint.pt")
        if progress.step == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit(report=kill, keep=KEEP)
    again.fit(tmp_path / "checkpoint.pt", keep=KEEP)
    assert packed(again.kept) == packed(whole.kept)


def test_the_file_gives_back_every_network():
    own = trainer()
    own.fit(keep=KEEP)
    model = SequenceModel(TASK.n_inputs, TASK.n_outputs, 3, seed=9)
    read = unpacked(packed(dict(reversed(own.kept.items()))), model)
    assert list(read) == KEEP and not any(one.training for one in read.values())
    for update, one in read.items():
        assert all(torch.equal(values, own.kept[update][name]) for name, values in one.state_dict().items())
