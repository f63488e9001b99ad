"""Scores after an affine refit, against SciPy, scikit-learn, brute minimisation and refits by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from scipy.stats import linregress
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score

from lstm_probe.causal.refit import Summing, batch_refit_statistics, refit_score, refit_scores, refit_statistics
from lstm_probe.causal.refit_logits import refit_logits
from lstm_probe.causal.refit_readout import readout_scores
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


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_sums_made_ready_once_give_scores_as_they_stand_of_every_run_and_sample(rng, far):
    y, outputs, mask = numbers(rng, size=3, far=far)
    chosen = torch.randint(0, 2, (12, 9), generator=rng)
    specs = (Target("a"), Target("yes", "binary"), Target("b", size=2))
    lengths = torch.randint(3, 10, (12,), generator=rng)
    targets = {"a": y[..., :1], "yes": chosen, "b": y[..., 1:]}
    batch = Batch(torch.zeros(12, 9, 1), targets, specs, lengths, {}, scored={"b": mask})
    summing, counts = Summing(batch), torch.bincount(torch.randint(0, 12, (12,), generator=rng), minlength=12)
    real = torch.arange(9) < lengths.unsqueeze(1)
    for made in (outputs, outputs + 0.3 * y, outputs.float()):
        given = torch.cat([made[..., :1], made[..., 1:2] - far - 2, made[..., 1:]], dim=-1)
        sums = summing.raw(given)
        for name, part, steps in (("a", slice(1), real), ("b", slice(2, 4), real & mask)):
            rows = [(s, t) for s in range(12) for _ in range(int(counts[s])) for t in range(9) if steps[s, t]]
            seen, told = (np.array([own[s, t, part].double().numpy() for s, t in rows])
                          for own in (given, torch.cat([y[..., :1], y[..., :1], y[..., 1:]], dim=-1)))  # fmt: skip
            spec = next(one for one in specs if one.name == name)
            got = float(spec.score(counts.double() @ sums[name]))
            assert got == pytest.approx(r2_score(told, seen), rel=1e-9 if not far else 1e-3)
        right = accuracy_score(chosen[real], (given[..., 1] > 0)[real].long())
        most = max(float((chosen[real] == one).double().mean()) for one in (0, 1))
        assert float(specs[1].score(sums["yes"].sum(0))) == pytest.approx((right - most) / (1 - most))


def symbols(rng, loss="class", size=4):
    """Classes, logits that know something of them with a wrong temperature and wrong offsets, and scored steps."""
    values = torch.randint(0, size, (20, 15), generator=rng)
    logits = torch.randn(20, 15, size, generator=rng).double() + 1.5 * F.one_hot(values, size)
    logits = 0.2 * logits + torch.linspace(-1, 1, size)
    return Target("t", loss, size), logits, values, torch.rand(20, 15, generator=rng) < 0.7


def test_classes_get_the_temperature_and_offsets_of_least_cross_entropy(rng):
    spec, logits, values, mask = symbols(rng, "next_symbol")
    got = refit_logits(spec, logits, values, mask)[mask].log_softmax(-1).numpy()
    x, y = logits[mask].numpy(), values[mask].numpy()

    def entropy(theta):
        return -log_softmax(x * theta[0] + theta[1:], axis=1)[np.arange(len(y)), y].mean()

    best = minimize(entropy, np.r_[1.0, np.zeros(4)], method="BFGS", options={"gtol": 1e-7})
    assert -got[np.arange(len(y)), y].mean() == pytest.approx(best.fun, abs=1e-7)
    np.testing.assert_allclose(got, log_softmax(x * best.x[0] + best.x[1:], axis=1), atol=1e-4)
    shares = np.bincount(y) / len(y)
    share = 1 + best.fun / (shares @ np.log(shares))
    assert score(spec, logits, values, mask) == pytest.approx(share, abs=1e-6)


def test_yes_or_no_gets_the_line_of_logistic_regression(rng):
    y = torch.randint(0, 2, (20, 15, 3), generator=rng)
    logits = -0.4 * (torch.randn(20, 15, 3, generator=rng).double() + y) + 3
    mask = torch.rand(20, 15, generator=rng) < 0.7
    expected = []
    for k in range(3):
        x = logits[mask][:, k : k + 1].numpy()
        fit = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(x, y[mask][:, k].numpy())
        expected.append(fit.decision_function(x))
        one = refit_logits(Target("t", "binary"), logits[..., k : k + 1], y[..., k], mask)
        np.testing.assert_allclose(one[mask][:, 0], expected[-1], atol=1e-3)
    together = refit_logits(Target("t", "multilabel", 3), logits, y.float(), mask)
    np.testing.assert_allclose(together[mask].T, expected, atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-10, 10), st.sampled_from(["class", "next_symbol"]))
def test_no_temperature_or_offset_of_classes_matters(seed, scale, offset, loss):
    spec, logits, values, mask = symbols(torch.Generator().manual_seed(seed), loss)
    moved = scale * logits + offset * torch.tensor([1.0, 0.0, -1.0, 0.5])
    sums = refit_statistics(spec, logits, values, mask).sum(0), refit_statistics(spec, moved, values, mask).sum(0)
    if loss == "class":
        assert float((sums[0] - sums[1]).abs().max()) <= 1  # two classes may come out all but even at a step
    else:
        assert float(refit_score(spec, sums[0])) == pytest.approx(float(refit_score(spec, sums[1])), abs=1e-6)
    kept = refit_logits(spec, moved, values, mask)
    before, after = F.cross_entropy(moved[mask], values[mask]), F.cross_entropy(kept[mask], values[mask])
    assert float(after) <= float(before) + 1e-12
    assert 0 <= float(refit_score(spec, sums[0])) <= 1


@pytest.mark.parametrize("loss", ["class", "next_symbol", "binary", "multilabel"])
def test_logits_at_the_edges(rng, loss):
    size = {"binary": 1, "multilabel": 2}.get(loss, 4)
    values = torch.randint(0, max(size, 2) if loss != "multilabel" else 2, (20, 15, 2), generator=rng)
    values = values.float() if loss == "multilabel" else values[..., 0]
    mask = torch.ones(20, 15, dtype=torch.bool)
    spec = Target("t", loss, size)
    whole = {"binary": values[..., None] * 2.0 - 1, "multilabel": values * 2 - 1}
    perfect = whole[loss] if loss in whole else F.one_hot(values, size).float()
    for scale in (1e-3, 1.0, 1e3):
        assert score(spec, scale * perfect, values, mask) == pytest.approx(1, abs=1e-4)
    assert score(spec, torch.full_like(perfect, 0.3), values, mask) == pytest.approx(0, abs=1e-9)
    assert 0 <= score(spec, perfect, values, ~mask) <= 1
    assert 0 <= score(spec, perfect, torch.zeros_like(values), mask) <= 1
    assert score(spec, perfect[:1], values[:1], mask[:1]) == pytest.approx(1, abs=1e-4)
    broken = perfect.clone()
    broken[3, 4, 0] = torch.nan
    with pytest.raises(InputError, match="not a finite number"):
        score(spec, broken, values, mask)
    mask[3, 4] = False
    assert score(spec, broken, values, mask) == pytest.approx(1, abs=1e-4)


def test_many_steps_are_fitted_on_some(rng):
    values = torch.randint(0, 3, (300, 40), generator=rng)
    logits = 0.1 * (torch.randn(300, 40, 3, generator=rng) + F.one_hot(values, 3))
    mask = torch.ones(300, 40, dtype=torch.bool)
    spec = Target("t", "next_symbol", 3)
    x = np.concatenate([logits.flatten(0, 1).numpy()]).astype(float)
    y = values.flatten().numpy()

    def entropy(theta):
        return -log_softmax(x * theta[0] + theta[1:], axis=1)[np.arange(len(y)), y].mean()

    got = float(F.cross_entropy(refit_logits(spec, logits, values, mask).flatten(0, 1), values.flatten()))
    assert got == pytest.approx(minimize(entropy, np.r_[1.0, np.zeros(3)]).fun, abs=1e-3)


def test_readout_is_least_squares_from_all_units(rng):
    h = torch.randn(20, 15, 6, generator=rng)
    h = torch.cat([h, h[..., :1], torch.full_like(h[..., :1], 0.4)], dim=-1)  # one twice, one constant
    y = h[..., :2] - h[..., 2:4] + torch.randn(20, 15, 2, generator=rng)
    kind = (h[..., 4] + 0.5 * torch.randn(20, 15, generator=rng) > 0).long()
    specs = (Target("a", size=2), Target("b"), Target("c", "class", 2), Target("d", "binary"))
    steps = torch.rand(20, 15, generator=rng) < 0.6
    targets = {"a": y, "b": y[..., :1].square(), "c": kind, "d": kind}
    lengths = torch.randint(5, 16, (20,), generator=rng)
    batch = Batch(torch.zeros(20, 15, 1), targets, specs, lengths, {}, scored={"b": steps})
    h[~batch.mask] = torch.nan
    got = readout_scores(batch, h)
    for name, mask in (("a", batch.mask), ("b", batch.mask & steps)):
        x, t = h[mask].numpy(), targets[name][mask].numpy()
        assert got[name] == pytest.approx(LinearRegression().fit(x, t).score(x, t), abs=1e-6)
    x, t = h[batch.mask].numpy(), kind[batch.mask].numpy()
    line = LinearRegression().fit(x, t).predict(x)[:, None]
    right = LogisticRegression(C=1e8).fit(line, t).score(line, t)
    chance = max(t.mean(), 1 - t.mean())
    assert got["d"] == pytest.approx((right - chance) / (1 - chance), abs=0.02)
    assert got["c"] == pytest.approx(got["d"], abs=0.02)
    assert readout_scores(batch, torch.zeros_like(h)) == pytest.approx(dict.fromkeys("abcd", 0.0), abs=1e-9)


def test_whole_sequences_that_are_right_are_not_lost_to_likelier_thresholds(rng):
    """A quarter of the sequences are right by a hair, the others noise: likeliest is that nothing is ever there."""
    spec = Target("t", "multilabel", 3)
    y = (torch.rand(40, 12, 3, generator=rng) < 0.2).float()
    logits = torch.randn(40, 12, 3, generator=rng)
    logits[:10] = 0.1 * (2 * y[:10] - 1)
    mask = torch.ones(40, 12, dtype=torch.bool)
    as_it_stands = float(spec.score(spec.statistics(logits, y, mask).sum(0)))
    likeliest = float(spec.score(spec.statistics(refit_logits(spec, logits, y, mask), y, mask).sum(0)))
    assert as_it_stands == 0.25 > likeliest
    assert score(spec, logits, y, mask) == 0.25
    # Where thresholds are what is wrong, they are mended.
    assert score(spec, 5 * (2 * y - 1) + 9, y, mask) == 1
