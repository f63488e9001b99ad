"""Losses and scores against scikit-learn, PyTorch's own and plain arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss, r2_score

from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target


def test_r2_equals_scikit_learn_on_real_steps(rng):
    spec = Target("t", "regression", size=2)
    y = torch.randn(6, 9, 2, generator=rng) + 5
    outputs = y + 0.3 * torch.randn(6, 9, 2, generator=rng)
    mask = torch.rand(6, 9, generator=rng) < 0.7
    got = float(spec.score(spec.statistics(outputs, y, mask).sum(0)))
    assert got == pytest.approx(r2_score(y[mask].numpy(), outputs[mask].numpy()), abs=1e-6)


def test_exact_sequences_by_hand():
    spec = Target("t", "multilabel", size=2)
    values = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]] * 3)
    outputs = (values - 0.5) * 8
    outputs[1, 1, 0] *= -1  # a wrong step
    outputs[2, 1, 0] *= -1  # the same, but behind the sequence's end
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    statistics = spec.statistics(outputs, values, mask)
    assert statistics[:, 1].tolist() == [1, 0, 1]
    assert float(spec.score(statistics.sum(0))) == pytest.approx(2 / 3)


def test_where_symbols_never_vary_nothing_is_explained():
    spec = Target("t", "next_symbol", size=3)
    values, mask = torch.ones(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool)
    for sure in (0.0, 2.0):
        outputs = sure * torch.nn.functional.one_hot(values, 3).float()
        assert float(spec.score(spec.statistics(outputs, values, mask).sum(0))) == 0


@pytest.mark.parametrize("level", [0.0, 0.1, -7.3, 1e6])
@pytest.mark.parametrize("off", [0.0, 0.2])
def test_of_a_number_that_never_varies_nothing_is_explained(level, off, rng):
    """The sums of many equal numbers differ by rounding: no variance is made of that, in no sample of sequences."""
    spec, mask = Target("t", "regression"), torch.ones(31, 20, dtype=torch.bool)
    values = torch.full((31, 20, 1), level)
    sums = spec.statistics(values + off * torch.rand(31, 20, 1, generator=rng), values, mask)
    counts = torch.randint(0, 4, (50, 31), generator=rng).double()
    assert bool((spec.score(counts @ sums) == 0).all())
    wide = torch.tensor([1.7e9, 1.7e9 + 1500.0], dtype=torch.float64).repeat(310).view(31, 20, 1)  # as times of day
    sums = spec.statistics(wide + 500, wide, mask)
    expected = r2_score(wide.flatten().numpy(), (wide + 500).flatten().numpy())
    assert float(spec.score(sums.sum(0))) == pytest.approx(expected, abs=0.01)


def test_large_numbers_that_differ_in_their_last_digits_are_scored_by_these(rng):
    """The first step is no target's: what stands there is not what the others are compared with."""
    spec, mask = Target("t", "regression"), torch.ones(31, 20, dtype=torch.bool)
    mask[:, 0] = False
    values = 4095.5 + torch.randint(0, 4, (31, 20, 1), generator=rng) * 2.0**-11
    outputs = values + 2.0**-11 * (torch.rand(31, 20, 1, generator=rng) < 0.1)
    values[:, 0] = 0
    expected = r2_score(values[mask].double().numpy(), outputs[mask].double().numpy())
    assert 0.8 < expected < 1
    assert float(spec.score(spec.statistics(outputs, values, mask).sum(0))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", ["binary", "class"])
def test_of_classes_that_never_vary_nothing_is_explained(loss):
    spec = Target("t", loss, size=1 if loss == "binary" else 3)
    values, mask = torch.ones(4, 5, dtype=torch.long), torch.ones(4, 5, dtype=torch.bool)
    for outputs in (torch.ones(4, 5, spec.size), -torch.ones(4, 5, spec.size)):
        assert float(spec.score(spec.statistics(outputs, values, mask).sum(0))) == 0


def test_explained_entropy(rng):
    spec = Target("t", "next_symbol", size=3, floor=0.2)
    values = torch.randint(0, 3, (5, 8), generator=rng)
    outputs = torch.randn(5, 8, 3, generator=rng)
    mask = torch.rand(5, 8, generator=rng) < 0.6
    y, p = values[mask].numpy(), outputs[mask].softmax(-1).numpy()
    shares = np.bincount(y, minlength=3) / len(y)
    entropy = -(shares * np.log(shares)).sum()
    expected = (entropy - log_loss(y, p, labels=[0, 1, 2])) / (entropy - 0.2)
    assert float(spec.score(spec.statistics(outputs, values, mask).sum(0))) == pytest.approx(expected, abs=1e-6)
    constant = torch.from_numpy(np.log(shares)).expand(5, 8, 3)
    assert float(spec.score(spec.statistics(constant, values, mask).sum(0))) == pytest.approx(0, abs=1e-9)


def test_loss_is_the_mean_over_real_steps_and_targets(rng):
    specs = (Target("a"), Target("b", "multilabel", 2), Target("c", "next_symbol", 3))
    outputs = torch.randn(4, 6, 6, generator=rng)
    values = {
        "a": torch.randn(4, 6, 1, generator=rng),
        "b": torch.randint(0, 2, (4, 6, 2), generator=rng).float(),
        "c": torch.randint(0, 3, (4, 6), generator=rng),
    }
    lengths = torch.tensor([6, 3, 1, 5])
    batch = Batch(torch.zeros(4, 6, 1), values, specs, lengths, {})
    real = torch.cat([torch.arange(6) < n for n in lengths]).view(4, 6)
    expected = (
        F.mse_loss(outputs[real][:, :1], values["a"][real])
        + F.binary_cross_entropy_with_logits(outputs[real][:, 1:3], values["b"][real])
        + F.cross_entropy(outputs[real][:, 3:], values["c"][real])
    ) / 3
    assert float(batch.loss(outputs)) == pytest.approx(float(expected), abs=1e-6)


def test_scores_are_floored_at_chance():
    batch = Batch(
        torch.zeros(1, 4, 1), {"a": torch.tensor([[[0.0], [1], [0], [1]]])}, (Target("a"),), torch.tensor([4]), {}
    )
    assert batch.scores(torch.full((1, 4, 1), 9.0)) == {"a": 0.0}


def test_accuracy_above_chance(rng):
    spec = Target("t", "class", size=3)
    values = torch.randint(0, 3, (7, 8), generator=rng).clamp(max=1)
    outputs = torch.randn(7, 8, 3, generator=rng)
    mask = torch.rand(7, 8, generator=rng) < 0.6
    right = (outputs[mask].numpy().argmax(-1) == values[mask].numpy()).mean()
    chance = np.bincount(values[mask].numpy()).max() / int(mask.sum())
    statistics = spec.statistics(outputs, values, mask)
    assert float(spec.score(statistics.sum(0))) == pytest.approx((right - chance) / (1 - chance), abs=1e-12)
    assert torch.equal(statistics[:3].sum(0) + statistics[3:].sum(0), statistics.sum(0))
    perfect = F.one_hot(values, 3).float()
    assert float(spec.score(spec.statistics(perfect, values, mask).sum(0))) == 1
    most = F.one_hot(values[mask].mode().values, 3).float().expand(7, 8, 3)
    assert float(spec.score(spec.statistics(most, values, mask).sum(0))) == pytest.approx(0, abs=1e-12)
    expected = F.cross_entropy(outputs[mask], values[mask])
    assert float(spec.losses(outputs, values)[mask].mean()) == pytest.approx(float(expected), abs=1e-6)


@pytest.fixture
def partly_scored(rng):
    specs = (Target("every"), Target("some", "class", 3))
    values = {
        "every": torch.randn(5, 6, 1, generator=rng),
        "some": torch.randint(0, 3, (5, 6), generator=rng),
    }
    steps = torch.rand(5, 6, generator=rng) < 0.5
    lengths = torch.tensor([6, 2, 4, 1, 5])
    return Batch(torch.zeros(5, 6, 1), values, specs, lengths, {}, {"some": steps})


def test_a_target_counts_at_its_scored_steps_alone(partly_scored, rng):
    batch, outputs = partly_scored, torch.randn(5, 6, 4, generator=rng)
    real = torch.cat([torch.arange(6) < n for n in batch.lengths]).view(5, 6)
    counts = real & batch.scored["some"]
    expected = (
        F.mse_loss(outputs[real][:, :1], batch.targets["every"][real])
        + F.cross_entropy(outputs[counts][:, 1:], batch.targets["some"][counts])
    ) / 2
    assert float(batch.loss(outputs)) == pytest.approx(float(expected), abs=1e-6)
    changed = outputs.clone()
    changed[~counts] *= -3
    changed[..., 0] = outputs[..., 0]
    assert batch.scores(changed) == batch.scores(outputs)
    assert float(batch.statistics(outputs)["some"][:, 1:].sum()) == int(counts.sum())


def test_scored_steps_go_with_their_sequences(partly_scored):
    order = torch.tensor([3, 0])
    part = partly_scored[order]
    assert torch.equal(part.scored["some"], partly_scored.scored["some"][order])
    assert torch.equal(part.scored_steps("every"), part.mask)


def test_a_batch_in_which_a_target_never_counts_has_a_loss(partly_scored):
    batch = partly_scored
    never = replace(batch, scored={"some": torch.zeros(5, 6, dtype=torch.bool)})
    outputs = torch.zeros(5, 6, 4)
    alone = replace(batch, target_specs=batch.target_specs[:1])
    assert float(never.loss(outputs)) == pytest.approx(float(alone.loss(outputs[..., :1])) / 2)
