"""What is cut exactly changes nothing: the module itself is the oracle."""

import pytest
import torch
from torch import nn

from lstm_probe.capacity.exact import exact_folds
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.recorder.calling import outputs_of
from tests.capacity.made import INPUTS, LEFT, OUTPUTS, PLANTED, TAKEN, Made, batch_of, first_lstm, lstm, plant

PLANTABLE = [kind for kind in TAKEN if kind not in ("no biases", "learned states")]


def cut(model: nn.Module, **batch: object) -> tuple[nn.Module, list[tuple[int, ...]]]:
    """Return a module with what can be cut exactly left out, and which units each layer and direction keeps."""
    narrowing = Narrowing(model, batch_of(**batch), layer=first_lstm(model))  # type: ignore[arg-type]
    folds = exact_folds(narrowing)
    return narrowing.take(folds), [fold.kept for fold in folds.values()]


@torch.no_grad()
def largest_difference(model: nn.Module, small: nn.Module, **kinds: object) -> float:
    batch = batch_of(24, seed=7, **kinds)  # type: ignore[arg-type]
    return float((outputs_of(model.eval(), batch) - outputs_of(small.eval(), batch)).abs().max())


@pytest.mark.parametrize("kind", PLANTABLE)
def test_unread_units_copies_and_constants_are_cut_and_nothing_changes(kind: str) -> None:
    torch.manual_seed(1)
    model = TAKEN[kind](PLANTED)
    own = plant(model)
    small, kept = cut(model)
    assert kept == [LEFT] * (own.num_layers * (1 + own.bidirectional))
    there = next(part for part in small.modules() if isinstance(part, nn.LSTM))
    assert there.hidden_size == len(LEFT)
    assert there.weight_hh_l0.shape == (4 * len(LEFT), own.proj_size or len(LEFT))
    assert largest_difference(model, small) <= 1e-6


@pytest.mark.parametrize("kind", TAKEN)
def test_of_a_drawn_network_nothing_is_cut(kind: str) -> None:
    torch.manual_seed(2)
    model = TAKEN[kind](6)
    small, kept = cut(model)
    assert set(kept) == {tuple(range(6))}
    assert largest_difference(model, small) <= 1e-6


def test_of_states_that_do_not_begin_at_zero_only_what_is_unread_is_cut() -> None:
    torch.manual_seed(2)
    model = TAKEN["learned states"](PLANTED)
    plant(model)
    small, (kept,) = cut(model)
    assert kept == tuple(range(10))
    assert largest_difference(model, small) <= 1e-6


def test_constants_are_right_at_the_first_step() -> None:
    # Folded into biases they would be there before step 0, where h is 0.
    torch.manual_seed(3)
    model = TAKEN["every step"](PLANTED)
    plant(model, copies=False, unread=False)
    small, _ = cut(model)
    x = batch_of(8).inputs[:, :1]
    with torch.no_grad():
        assert float((model(x) - small(x)).abs().max()) <= 1e-6


def test_slow_constants_with_courses_that_differ_stay() -> None:
    torch.manual_seed(4)
    model = TAKEN["every step"](PLANTED)
    own = plant(model, copies=False, unread=False)
    with torch.no_grad():
        own.bias_ih_l0.view(4, PLANTED)[1, 8] = 3.0  # its forget gate is open: it fills up slowly
    small, (kept,) = cut(model)
    assert kept == (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11)
    assert largest_difference(model, small) <= 1e-6


def test_copies_that_hear_each_other_are_copies() -> None:
    # Each hears itself alone, by the same weight: rows that differ, and yet the same course.
    torch.manual_seed(5)
    model = TAKEN["every step"](4)
    with torch.no_grad():
        for name in ("weight_ih", "bias_ih", "bias_hh"):
            rows = getattr(model.rnn, f"{name}_l0").view(4, 4, -1)
            rows[:, 2] = rows[:, 1]
        rows = model.rnn.weight_hh_l0.view(4, 4, 4)
        rows[:, 2] = rows[:, 1]
        rows[:, 1, 1], rows[:, 1, 2] = 0.8, 0.0
        rows[:, 2, 1], rows[:, 2, 2] = 0.0, 0.8
    small, (kept,) = cut(model)
    assert kept == (0, 1, 3)
    assert largest_difference(model, small) <= 1e-6


def test_what_nearly_is_a_copy_stays() -> None:
    torch.manual_seed(6)
    model = TAKEN["every step"](PLANTED)
    own = plant(model, constants=False, unread=False)
    with torch.no_grad():
        own.weight_hh_l0.view(4, PLANTED, -1)[1, 5, 3] += 1e-3
    _, (kept,) = cut(model)
    assert 5 in kept and 6 not in kept


def test_units_that_cancel_are_unread_together() -> None:
    # Two copies, read with opposite weights: what they hand on is nothing.
    torch.manual_seed(8)
    model = Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(4), fc=nn.Linear(4, OUTPUTS))
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            rows = getattr(model.rnn, f"{name}_l0").view(4, 4, -1)
            rows[:, 3] = rows[:, 2]
        model.rnn.weight_hh_l0[:, 3] = -model.rnn.weight_hh_l0[:, 2]
        model.fc.weight[:, 3] = -model.fc.weight[:, 2]
    small, (kept,) = cut(model)
    assert kept == (0, 1)
    assert largest_difference(model, small) <= 1e-6


def test_all_layers_keep_as_many_units() -> None:
    torch.manual_seed(9)
    model = Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(PLANTED, num_layers=2), fc=nn.Linear(PLANTED, OUTPUTS))
    plant(model)
    with torch.no_grad():  # the upper layer reads everything again: it needs all of its own but the copies
        model.fc.weight.normal_()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(model.rnn, f"{name}_l1").normal_()
    small, kept = cut(model)
    assert [len(own) for own in kept] == [PLANTED, PLANTED]
    assert largest_difference(model, small) <= 1e-6


def test_a_network_that_reads_nothing_keeps_one_unit() -> None:
    model = Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=nn.LSTM(INPUTS, 5, batch_first=True), fc=nn.Linear(5, OUTPUTS))
    nn.init.zeros_(model.fc.weight)
    small, (kept,) = cut(model)
    assert len(kept) == 1
    assert largest_difference(model, small) <= 1e-6
