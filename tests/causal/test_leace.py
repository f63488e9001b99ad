"""LEACE against the package of its authors and against least squares; what is left against scikit-learn's ridge."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from lstm_probe.causal.decodable import FOLDS, PENALTIES, HeldOut
from lstm_probe.causal.leace import fit_eraser

with warnings.catch_warnings():  # it is written for an older PyTorch
    warnings.simplefilter("ignore", DeprecationWarning)
    from concept_erasure import LeaceFitter


def made(kind, n=400, seed=0, flat=False):
    """States that go with a signal, and the signal in columns."""
    rng = np.random.default_rng(seed)
    codes, angle = rng.integers(0, 4, n), rng.uniform(-np.pi, np.pi, n)
    z = {
        "number": rng.exponential(size=(n, 1)),
        "binary": (codes[:, None] > 1) * 1.0,
        "classes": np.eye(4)[codes],
        "angle": np.stack([np.sin(angle), np.cos(angle)], 1),
    }[kind]
    x = rng.normal(size=(n, 7)) @ rng.normal(size=(7, 7)) + z @ rng.normal(size=(z.shape[1], 7)) + 3
    if flat:
        x = np.concatenate([x, x[:, :1] * 2, np.ones((n, 1))], axis=1)
    return torch.tensor(x), torch.tensor(z)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("kind", "rank"), [("number", 1), ("binary", 1), ("classes", 3), ("angle", 2)])
def test_it_is_that_of_its_authors_and_leaves_nothing_to_least_squares(kind, rank, flat):
    x, z = made(kind, flat=flat)
    eraser = fit_eraser(x, z)
    assert eraser.rank == rank
    fitter = LeaceFitter(x.shape[1], z.shape[1], dtype=torch.float64, shrinkage=False, constrain_cov_trace=False,
                         svd_tol=1e-8)  # fmt: skip
    theirs = fitter.update(x, z).eraser
    other = made(kind, seed=1, flat=flat)[0]
    for states in (x, other):
        assert (eraser(states) - theirs(states)).abs().max() < 1e-9
    assert LinearRegression().fit(x, z).score(x, z) > 0.3
    left = LinearRegression(tol=1e-8).fit(eraser(x), z).score(eraser(x), z)
    assert abs(left) < 1e-10
    assert (eraser(x).mean(0) - x.mean(0)).abs().max() < 1e-12


def test_what_rounding_tells_is_left_alone():
    """A unit at rest whose last digits go with the signal: nothing is read from it, and it stays as it is."""
    x, z = made("number")
    resting = 1 + 1e-8 * z
    eraser, alone = fit_eraser(torch.cat([x, resting], 1), z), fit_eraser(x, z)
    got = eraser(torch.cat([x, resting], 1))
    assert (got[:, :7] - alone(x)).abs().max() < 1e-6 and (got[:, 7:] - resting).abs().max() < 1e-7
    moved = torch.cat([x, resting + 1e-3], 1)  # in other sequences it rests elsewhere
    assert (eraser(moved)[:, :7] - alone(x)).abs().max() < 1e-3


def test_nothing_is_taken_out_where_there_is_nothing():
    x, z = made("number")
    inside = torch.tensor(LinearRegression().fit(x, z).predict(x))
    assert fit_eraser(x, z - inside).rank == 0 and fit_eraser(x, torch.ones(len(x), 1)).rank == 0
    assert fit_eraser(torch.ones_like(x), z).rank == 0
    assert torch.equal(fit_eraser(x, z - inside)(x), x)


def test_states_keep_their_type():
    x, z = made("number")
    assert fit_eraser(x.float(), z)(x.float()).dtype == torch.float32


def ridge_r2(x, z, fold):
    """The best R² over penalties of scikit-learn's ridge on rows held out."""
    scaled = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    found = []
    for penalty in PENALTIES:
        missed = total = 0.0
        for k in range(FOLDS):
            rest, own = (fold != k).numpy(), (fold == k).numpy()
            told = Ridge(alpha=penalty * rest.sum()).fit(scaled[rest], z[rest]).predict(scaled[own])
            missed += ((z[own].numpy() - told.reshape(z[own].shape)) ** 2).sum()
            total += ((z[own] - z[rest].mean(0)) ** 2).sum().item()
        found.append(1 - missed / total)
    return max(found)


@pytest.mark.parametrize("kind", ["number", "classes"])
@pytest.mark.parametrize("noise", [0.0, 30.0])
def test_what_is_left_is_what_ridge_finds_on_other_rows(kind, noise):
    x, z = made(kind, n=230)
    x = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    fold = torch.arange(len(x)) % FOLDS
    held_out = HeldOut(x, fold)
    other = x[:, :2] + z.flip(0)[:, :1]
    for signal in (other, z):  # the same states are asked of several signals
        assert held_out.r2(signal) == pytest.approx(ridge_r2(x, signal, fold), abs=1e-9)
    assert (ridge_r2(x, z, fold) > 0.3) == (noise == 0)


def test_what_cannot_be_known_is_missing():
    x, z = made("number", n=40)
    assert np.isnan(HeldOut(x, torch.arange(40) % FOLDS).r2(torch.ones(40, 1)))
    assert np.isnan(HeldOut(x, torch.zeros(40, dtype=torch.int64)).r2(z))
