"""Shares and their intervals, against sums over every two pairs and simulated ratios."""

import numpy as np
import pytest
from scipy import stats

from lstm_probe.causal.moved import Dyads, Told, share


def test_the_error_is_that_of_all_pairs_which_share_a_sequence():
    rng = np.random.default_rng(0)
    receiver, donor = np.tile(np.arange(30), 3), np.concatenate([np.roll(np.arange(30), k) for k in (3, 8, 11)])
    feeling = rng.normal(size=30)
    influence = (feeling[receiver] + feeling[donor] + 0.3 * rng.normal(size=90))[:, None]
    total = sum(
        influence[a, 0] * influence[b, 0]
        for a in range(90) for b in range(90) if {receiver[a], donor[a]} & {receiver[b], donor[b]}
    )  # fmt: skip
    wider = stats.t.ppf(0.975, 29) / stats.norm.ppf(0.975) * np.sqrt(30 / 29)
    told = Dyads(receiver, donor).error(influence, np.ones(90, dtype=bool))
    assert told[0] == pytest.approx(wider * np.sqrt(total))


def test_pairs_within_one_group_count_once():
    group, influence = np.repeat(np.arange(8), 5), np.random.default_rng(1).normal(size=(40, 2))
    told = Dyads(group, group).error(influence, np.ones(40, dtype=bool))
    sums = np.stack([influence[group == k].sum(0) for k in range(8)])
    wider = stats.t.ppf(0.975, 7) / stats.norm.ppf(0.975) * np.sqrt(8 / 7)
    assert told == pytest.approx(wider * np.sqrt((sums**2).sum(0)))


def test_what_is_moved_among_pairs_alike_is_taken_off_on_the_same_scale():
    rng = np.random.default_rng(2)
    whole, follows = rng.uniform(1, 2, 100), rng.normal(1, 0.1, (100, 3))
    dyads = Dyads(np.arange(100), np.roll(np.arange(100), 1))
    differ = np.arange(100) < 60
    plain, less = share(follows, whole, dyads, differ), share(follows, whole, dyads, differ, ~differ)
    scale = whole[:60].mean()
    assert plain.value == pytest.approx(follows[:60].mean(0) / scale)
    assert less.value == pytest.approx((follows[:60].mean(0) - follows[60:].mean(0)) / scale)
    assert ((less.low < less.value) & (less.value < less.high)).all()


def test_few_pairs_that_move_have_no_interval():
    rng = np.random.default_rng(4)
    dyads, every = Dyads(np.arange(100), np.roll(np.arange(100), 1)), np.ones(100, dtype=bool)
    for moving in (9, 11):
        whole = (np.arange(100) < moving).astype(float)
        found = share((whole * rng.normal(1, 0.1, 100))[:, None], whole, dyads, every)
        assert abs(found.value[0] - 1) < 0.2 and np.isnan(found.low[0]) == (moving < 10)
    assert np.isnan(share(np.ones((100, 1)), np.zeros(100), dyads, every).value[0])
    assert np.isnan(share(np.ones((100, 1)), np.ones(100), dyads, np.arange(100) < 19).value[0])


@pytest.mark.parametrize("own", [False, True])
def test_intervals_hold_the_share_as_often_as_they_say(own):
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        value = rng.normal(size=250)
        receiver, donor = np.arange(250), np.roll(np.arange(250), 1)
        apart = value[donor] - value[receiver]
        same = rng.random(250) < 0.4 if own else np.zeros(250, dtype=bool)
        # What a sequence adds to all its pairs, and each pair by itself.
        noise = np.tanh(value[donor]) + np.tanh(value[receiver]) + rng.normal(size=250)
        follows = np.where(same, 0.2, 0.4) * apart**2 + apart**2 * noise
        found = share(follows[:, None], apart**2, Dyads(receiver, donor), ~same, same if own else None)
        held += found.low[0] <= (0.2 if own else 0.4) <= found.high[0]
    assert 0.92 <= held / 400 <= 0.98


def test_numbers_are_the_same_within_a_quarter_of_their_spread_and_angles_round_the_circle():
    own, other = np.array([0.0, 0.0, 0.0, 0.0]), np.array([0.0, 2.0, 0.3, 6.2])
    known = np.array([True, True, True, False])
    told = Told.of("x", "continuous", own, other, known)
    assert told.differ.tolist() == [False, True, True, False] and told.same.tolist() == [True, False, False, False]
    told = Told.of("x", "circular", own, other, np.ones(4, dtype=bool))
    assert told.differ.tolist() == [False, True, True, False]
    told = Told.of("x", "categorical", own, other, known)
    assert told.differ.tolist() == [False, True, True, False]
