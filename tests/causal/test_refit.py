"""Scores after an affine refit, against SciPy, scikit-learn, brute minimisation and refits by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from lstm_probe.causal.refit import batch_refit_statistics, refit_score, refit_scores, refit_statistics
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target


def score(spec, outputs, values, mask):
    return float(refit_score(spec, refit_statistics(spec, outputs, values, mask).sum(0)))


def numbers(rng, size=2, far=0.0):
    """Targets, outputs that know something of them, and the scored steps."""
    y = torch.randn(12, 9, size, generator=rng, dtype=torch.float64) + far
    outputs = -0.3 * y + torch.randn(12, 9, size, generator=rng, dtype=torch.float64) + 2 + far
    return y, outputs, torch.rand(12, 9, generator=rng) < 0.7


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_numbers_score_the_squared_correlation_on_scored_steps(rng, far):
    y, outputs, mask = numbers(rng, far=far)
    line = [linregress(outputs[mask][:, k].numpy(), y[mask][:, k].numpy()).rvalue ** 2 for k in range(2)]
    outputs[~mask] = torch.nan
    y[~mask] = torch.inf
    assert score(Target("t", size=2), outputs, y, mask) == pytest.approx(np.mean(line), abs=1e-7)


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_a_sample_of_sequences_is_fitted_anew(rng, far):
    spec = Target("t", size=2)
    y, outputs, mask = numbers(rng, far=far)
    drawn = torch.randint(0, 12, (12,), generator=rng)
    counts = torch.bincount(drawn, minlength=12).double()
    got = float(refit_score(spec, counts @ refit_statistics(spec, outputs, y, mask)))
    rows = np.concatenate([outputs[s][mask[s]].numpy() for s in drawn]), np.concatenate([y[s][mask[s]] for s in drawn])
    expected = [np.corrcoef(rows[0][:, k], rows[1][:, k])[0, 1] ** 2 for k in range(2)]
    assert got == pytest.approx(np.mean(expected), abs=1e-9)


def test_what_does_not_vary_tells_nothing(rng):
    y, outputs, mask = numbers(rng, size=1)
    spec = Target("t")
    assert score(spec, torch.full_like(outputs, 0.1), y, mask) == 0
    assert score(spec, outputs, torch.full_like(y, 0.1), mask) == 0
    # A shift that is rounding of 32-bit numbers only, however well it follows the target.
    assert score(spec, (0.7 + 2e-7 * y).float(), y.float(), mask) == 0
    assert score(spec, (1e-8 * y).float(), y.float(), mask) == 0
    assert score(spec, outputs, y, torch.zeros_like(mask)) == 0
    assert score(spec, y[:1], y[:1], mask[:1]) == pytest.approx(1)


def test_numbers_that_are_not_finite_are_refused(rng):
    y, outputs, mask = numbers(rng)
    outputs[mask.nonzero()[0, 0], mask.nonzero()[0, 1], 0] = torch.inf
    with pytest.raises(InputError, match="'t' is not a finite number"):
        score(Target("t", size=2), outputs, y, mask)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.booleans(), st.floats(-1e3, 1e3))
def test_no_scale_or_offset_of_the_outputs_matters(seed, scale, down, offset):
    y, outputs, mask = numbers(torch.Generator().manual_seed(seed))
    spec = Target("t", size=2)
    plain = score(spec, outputs, y, mask)
    assert score(spec, outputs * (-scale if down else scale) + offset, y, mask) == pytest.approx(plain, abs=1e-6)
    raw = float(spec.score(spec.statistics(outputs, y, mask).sum(0)))
    assert max(0.0, raw) - 1e-9 <= plain <= 1


def test_targets_of_a_batch_each_at_their_own_steps(rng):
    y, outputs, mask = numbers(rng, size=4)
    specs = (Target("a"), Target("b", size=2), Target("c"))
    lengths = torch.randint(3, 10, (12,), generator=rng)
    batch = Batch(torch.zeros(12, 9, 1), {"a": y[..., :1], "b": y[..., 1:3], "c": y[..., 3:]}, specs, lengths, {})
    batch = Batch(batch.inputs, batch.targets, specs, lengths, {}, scored={"b": mask})
    own = {
        "a": score(specs[0], outputs[..., :1], y[..., :1], batch.mask),
        "b": score(specs[1], outputs[..., 1:3], y[..., 1:3], batch.mask & mask),
        "c": score(specs[2], outputs[..., 3:], y[..., 3:], batch.mask),
    }
    assert refit_scores(batch, outputs) == pytest.approx(own, abs=1e-12)
    assert list(batch_refit_statistics(batch, outputs)) == ["a", "b", "c"]
