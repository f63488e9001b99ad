"""Which signals can be tested at all, against enumerations of every order."""

from itertools import permutations as every_order

import numpy as np
import pytest
import torch

from lstm_probe.core.kinds import Signal
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.inference import testable
from lstm_probe.probing.inference.exchange import LengthGroups, make_exchange
from lstm_probe.probing.inference.testable import arrangements, holm

STEPS = 3


def checked_of(time=STEPS, **levels):
    """One signal for each list, constant in every sequence; lists of lists as they are."""
    made = {
        name: np.array(v) if np.ndim(v) == 2 else np.repeat(np.array(v)[:, None], time, 1) for name, v in levels.items()
    }
    return check_signals(made, np.ones(next(iter(made.values())).shape, bool))


def enumerated(signal, rows):
    """How many different arrangements there are; classes may change names."""
    found = set()
    for order in every_order(range(len(rows))):
        values = np.empty_like(signal.values)
        for here, there in zip(rows, order):
            values[here] = signal.values[rows[there]]
        if signal.kind != "continuous":
            values = np.unique(values.ravel(), return_index=True)[1].argsort().argsort()[values.astype(int)]
        found.add(values.tobytes())
    return len(found)


@pytest.mark.parametrize(
    "levels",
    [
        [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1], [0, 0, 1, 1, 2, 2],
        [0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 2, 3], [0.5, 1.5, 2.5, 2.5, 7.0], [0.5, 0.5, 0.25, 0.25],
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 2])
def test_arrangements_are_those_of_an_enumeration(levels, size):
    (signal,) = checked_of(v=np.repeat(levels, size))
    groups = np.repeat(np.arange(len(levels)), size)
    rows = [np.flatnonzero(groups == k) for k in range(len(levels))]
    exchange = make_exchange("shuffle", np.full(len(groups), STEPS), groups if size > 1 else None)
    assert np.exp(arrangements(exchange, signal)) == pytest.approx(enumerated(signal, rows))


def test_arrangements_of_signals_that_change_count_sequences_that_are_alike_once():
    values = np.array([[0, 1, 1], [1, 0, 0], [0, 1, 1], [1, 1, 1]])
    (signal,) = checked_of(v=values)
    exchange = make_exchange("shuffle", np.full(4, 3))
    assert np.exp(arrangements(exchange, signal)) == pytest.approx(4 * 3)
    holes = np.where(values == 1, 1.5, np.nan) + np.arange(4)[:, None] * 0
    (signal,) = check_signals({"v": holes * [1, 2, 3]}, np.ones((4, 3), bool))
    assert np.exp(arrangements(exchange, signal)) == pytest.approx(4 * 3)


@pytest.mark.parametrize(
    ("count", "number", "label"), [(4, 0, 0), (5, 0, 0), (6, 1, 0), (7, 1, 0), (8, 1, 1), (12, 1, 1)]
)
def test_six_groups_test_a_number_and_eight_a_label(count, number, label):
    own = np.repeat(np.arange(count), 3)
    rng = np.random.default_rng(count)
    signals = {
        "level": rng.normal(size=count)[own, None] * np.ones(STEPS), "noise": rng.normal(size=(len(own), STEPS)),
        "changing": rng.integers(0, 2, size=(len(own), STEPS)),
        "label": (np.arange(count) % 2)[own, None] * np.ones(STEPS, int),
    }  # fmt: skip
    exchange = make_exchange("shuffle", np.full(len(own), STEPS), own)
    for name, values in signals.items():
        checked = check_signals({name: values}, np.ones((len(own), STEPS), bool))
        found = testable.testable_signals(exchange, checked, own, 999, 0.05)
        able = bool(label if name == "label" else number)
        assert found.each.tolist() == [able]
        told = f"{count} groups: a label that is constant in each needs 8" if name == "label" else "a signal needs 6"
        assert found.reasons[0].endswith("" if able else told) and bool(found.reasons[0]) != able


def test_a_label_of_few_arrangements_is_not_tested_where_numbers_are():
    """8 groups: 1 of 8 has 8 arrangements, 2 of 8 have 28, 4 of 8 have 70, halved."""
    own = np.repeat(np.arange(8), 2)
    exchange = make_exchange("shuffle", np.full(16, STEPS), own)
    for ones, least in ((1, 1 / 8), (2, 1 / 28), (4, 1 / 35)):
        checked = checked_of(v=(np.arange(8) < ones).astype(int)[own])
        for alpha in (0.9 * least, 1.1 * least):
            found = testable.testable_signals(exchange, checked, own, 9999, alpha)
            assert found.each[0] == (alpha > least)
        assert testable.testable_signals(exchange, checked, own, 9999, 0.9 * least).reasons == (
            f"8 groups: only {1 / least:.0f} different exchanges of it",
        )


def test_permutations_shifts_and_holm():
    rng = np.random.default_rng(0)
    plain = LengthGroups.of(np.full(30, STEPS))
    checked = checked_of(**{f"s{k}": rng.normal(size=(30, STEPS)) for k in range(3)}, flat=[1.0] * 30)
    for count, able in ((58, False), (59, True)):
        scored = np.array([True, True, True, False])
        found = testable.testable_signals(plain, checked, None, count, 0.05, scored=scored)
        assert found.each.tolist() == [able] * 3 + [False] and found.reasons[3] == "it has no score"
    assert testable.testable_signals(plain, checked, None, 58, 0.05, scored=scored).reasons[0] == (
        "permutations=58: too few for 3 signals"
    )
    assert testable.testable_signals(plain, checked, None, 9999, 0.05).reasons[3] == "the null leaves it as it is"
    for n, able in ((39, False), (40, True)):
        shifts = make_exchange("shift", np.full(n, STEPS))
        (one,) = checked_of(v=rng.normal(size=(n, STEPS)))
        found = testable.testable_signals(shifts, [one], None, 1, 0.05)
        assert found.each.tolist() == [able]
    rolls = make_exchange("roll", np.array([3, 3, 3, 3, 3]))
    moving = Signal("a", torch.randn(5, 3))
    still = np.repeat(rng.normal(size=(5, 1)), 3, 1)
    own = check_signals({"a": moving, "b": still}, np.ones((5, 3), bool))
    assert testable.testable_signals(rolls, own, None, 999, 0.1).each.tolist() == [True, False]
    assert testable.testable_signals(rolls, own, None, 999, 0.05).each.tolist() == [False, False]
    # By hand: 3 of 0.01, then 2 of 0.02, then 0.03, never falling.
    assert holm(np.array([0.03, 0.01, 0.02])).tolist() == pytest.approx([0.04, 0.03, 0.04])


def test_a_signal_with_few_arrangements_does_not_keep_others_from_being_tested():
    rng = np.random.default_rng(0)
    checked = checked_of(rare=[1] + [0] * 23, many=rng.normal(size=24))
    for alpha, able in ((0.05, [True, True]), (0.03, [False, True])):
        found = testable.testable_signals(LengthGroups.of(np.full(24, STEPS)), checked, None, 99, alpha)
        assert found.each.tolist() == able
