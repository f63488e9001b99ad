"""Likeness of two networks' units: against all assignments tried, explicit kernels, and SciPy."""

from itertools import permutations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from lstm_probe.probing.inference.likeness import (
    Sums,
    likeness,
    linear_cka,
    match_responses,
    match_signals,
    matched,
    procrustes,
)


def scaled(x):
    return (x - x.mean(0)) / x.std(0)


def made(rng, steps=60, units=4, others=6, columns=3, shared=0.7):
    """Two networks' units that share some, and signals that they share some with."""
    x = rng.normal(size=(steps, units))
    y = shared * x @ rng.normal(size=(units, others)) + rng.normal(size=(steps, others))
    z = x[:, :1] + y[:, :1] + rng.normal(size=(steps, columns))
    return scaled(x), scaled(y), scaled(z)


def best_by_trial(similarity):
    """The largest sum over all ways to match every unit of the smaller side."""
    if similarity.shape[0] > similarity.shape[1]:
        similarity = similarity.T
    n, m = similarity.shape
    return max(similarity[range(n), list(order)].sum() for order in permutations(range(m), n))


@pytest.mark.parametrize("shape", [(1, 3), (4, 4), (3, 5), (5, 2)])
def test_matching_is_the_best_of_all(rng, shape):
    similarity = np.random.default_rng(sum(shape)).normal(size=shape)
    rows, columns = matched(similarity)
    assert len(rows) == len({*rows}) == len({*columns}) == min(shape)
    assert similarity[rows, columns].sum() == pytest.approx(best_by_trial(similarity))


@pytest.mark.parametrize("seed", range(3))
def test_responses_are_chosen_on_one_half_and_scored_on_the_other(seed):
    rng = np.random.default_rng(seed)
    first, second = made(rng), made(rng)
    rows, columns, r = match_responses(Sums.of(*first), Sums.of(*second))
    chosen = [np.corrcoef(first[0][:, a], first[1][:, b])[0, 1] for a, b in zip(rows, columns)]
    every = np.abs(np.corrcoef(first[0].T, first[1].T)[:4, 4:])
    assert np.abs(chosen).sum() == pytest.approx(best_by_trial(every))
    held_out = [np.corrcoef(second[0][:, a], second[1][:, b])[0, 1] for a, b in zip(rows, columns)]
    assert r == pytest.approx(np.sign(chosen) * held_out)


@pytest.mark.parametrize("seed", range(3))
def test_what_units_share_of_signals_is_the_lesser_effect(seed):
    rng = np.random.default_rng(seed)
    first, second = made(rng), made(rng)
    owner = np.array([[1.0, 0], [0, 0.25], [0, 0.75]])  # the second signal has two columns

    def effect(half, part, unit, signal):
        r2 = [np.corrcoef(half[part][:, unit], half[2][:, k])[0, 1] ** 2 for k in range(3)]
        return r2[0] if signal == 0 else 0.25 * r2[1] + 0.75 * r2[2]

    def shared(half, a, b, signal):
        return min(effect(half, 0, a, signal), effect(half, 1, b, signal))

    table = np.array([[max(shared(first, a, b, g) for g in range(2)) for b in range(6)] for a in range(4)])
    rows, columns, similarity = match_signals(Sums.of(*first), Sums.of(*second), owner)
    assert table[rows, columns].sum() == pytest.approx(best_by_trial(table))
    for a, b, found in zip(rows, columns, similarity):
        best = max(range(2), key=lambda g: shared(first, a, b, g))
        assert found == pytest.approx(shared(second, a, b, best))


@pytest.mark.parametrize("seed", range(3))
def test_by_chance_either_unit_alone_tells_the_signal(seed):
    rng = np.random.default_rng(seed)
    first, (x, y, z) = made(rng), made(rng)
    owner, order = np.array([[1.0, 0], [0, 0.25], [0, 0.75]]), rng.permutation(60)
    exchanged = Sums.of(x, y[order], z[order], z)
    rows, columns, actual = match_signals(Sums.of(*first), Sums.of(x, y, z), owner)
    again, others, found = match_signals(Sums.of(*first), Sums.of(x, y, z), owner, exchanged)
    assert rows.tolist() == again.tolist() and columns.tolist() == others.tolist()

    def effects(unit, signals):
        r2 = np.array([np.corrcoef(unit, column)[0, 1] ** 2 for column in signals.T])
        return np.array([r2[0], 0.25 * r2[1] + 0.75 * r2[2]])

    for a, b, share, chance in zip(rows, columns, actual, found):
        one, other = effects(x[:, a], z), effects(y[:, b], z)
        told = np.flatnonzero(np.isclose(np.minimum(one, other), share))  # the signal that was chosen
        moved = effects(x[:, a], z[order]), effects(y[order][:, b], z)
        draws = [max(min(moved[0][g], other[g]), min(one[g], moved[1][g])) for g in told]
        assert chance == pytest.approx(draws[0]) and len(draws) == 1


def hsic(k, kernel):
    """The unbiased estimator of Song and others (2012), as they write it."""
    n = len(k)
    k, kernel = k - np.diag(np.diag(k)), kernel - np.diag(np.diag(kernel))
    one = np.ones(n)
    return (
        np.trace(k @ kernel) + (one @ k @ one) * (one @ kernel @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ kernel @ one)
    ) / (n * (n - 3))  # fmt: skip


def cka(x, y):
    own, other = x.T @ x / len(x), y.T @ y / len(y)
    return linear_cka(Sums.of(x, y, x[:, :0]), own, other)


@pytest.mark.parametrize("shared", [0.0, 0.3, 2.0])
def test_cka_is_that_of_explicit_kernels(shared):
    x, y, _ = made(np.random.default_rng(1), steps=25, shared=shared)
    k, kernel = x @ x.T, y @ y.T
    assert cka(x, y) == pytest.approx(hsic(k, kernel) / np.sqrt(hsic(k, k) * hsic(kernel, kernel)))


def test_cka_is_one_for_a_rotated_space_and_unbiased_for_an_unrelated_one():
    rng = np.random.default_rng(2)
    x, y, _ = made(rng)
    turn = ortho_group.rvs(4, random_state=0)
    assert cka(x, x) == pytest.approx(1) and cka(x, x @ turn) == pytest.approx(1)
    assert cka(x @ turn, y) == pytest.approx(cka(x, y)) == pytest.approx(cka(y, x))
    found = [cka(scaled(rng.normal(size=(20, 12))), scaled(rng.normal(size=(20, 15)))) for _ in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(300)
    assert np.isnan(cka(x[:3], y[:3]))


def test_procrustes_is_scipys_rotation_on_the_other_half():
    rng = np.random.default_rng(3)
    (x, y, z), (x2, y2, z2) = made(rng, others=4), made(rng, others=4)
    turn, _ = orthogonal_procrustes(x, y)
    expected = np.trace(turn.T @ x2.T @ y2) / (np.linalg.norm(x2) * np.linalg.norm(y2))
    assert procrustes(Sums.of(x, y, z), Sums.of(x2, y2, z2)) == pytest.approx(expected)
    own = ortho_group.rvs(4, random_state=1)
    assert procrustes(Sums.of(x, x @ own, z), Sums.of(x2, x2 @ own, z2)) == pytest.approx(1)


def test_procrustes_turns_the_smaller_space_into_the_larger():
    rng = np.random.default_rng(4)
    first, second = made(rng), made(rng)
    padded = [(np.hstack([x, np.zeros((len(x), 2))]), y) for x, y, _ in (first, second)]
    turn, _ = orthogonal_procrustes(*padded[0])
    x2, y2 = padded[1]
    expected = np.trace(turn.T @ x2.T @ y2) / (np.linalg.norm(x2) * np.linalg.norm(y2))
    assert procrustes(Sums.of(*first), Sums.of(*second)) == pytest.approx(expected)


def test_turned_sums_are_those_of_turned_units():
    x, y, z = made(np.random.default_rng(5))
    turn = ortho_group.rvs(6, random_state=2)
    found = Sums.of(x, y, z).turned(turn, y.T @ y / len(y))
    expected = Sums.of(x, scaled(y @ turn), z)
    assert found.between == pytest.approx(expected.between) and found.other == pytest.approx(expected.other)
    assert found.own == pytest.approx(expected.own)


def test_without_signals_none_are_matched():
    x, y, z = made(np.random.default_rng(6))
    sums = Sums.of(x, y, z[:, :0])
    found = likeness(sums, sums, np.zeros((0, 0)), x.T @ x / 60, y.T @ y / 60)
    assert list(found) == ["units", "cka", "procrustes"]
