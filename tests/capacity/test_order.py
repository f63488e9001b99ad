"""Merges and the order in which units go, against scikit-learn and brute force."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.greedy import Imitation, greedy_orders, merged_folds, merged_outputs
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.order import READER_WEIGHT, Elimination, closed_form_order, importance
from lstm_probe.capacity.sums import Moments, moments_of
from lstm_probe.core.signal import Batch
from tests.capacity.made import TAKEN, batch_of

UNITS = 6


def drawn(seed: int = 0, units: int = UNITS) -> tuple[np.ndarray, Moments]:
    """Return correlated values of units, and their moments."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((500, units)) @ rng.standard_normal((units, units)) + rng.standard_normal(units)
    mean = torch.from_numpy(values.mean(0))
    return values, Moments(mean, torch.from_numpy(np.cov(values.T, bias=True)))


@pytest.mark.parametrize("offset", [True, False])
def test_a_merge_is_a_linear_regression(offset: bool) -> None:
    values, moments = drawn()
    kept, cut = [0, 2, 3], [1, 4, 5]
    fold = moments.fold(tuple(kept), offset=offset)
    fitted = LinearRegression(fit_intercept=offset).fit(values[:, kept], values[:, cut])
    made = values[:, kept] @ fold.matrix.numpy().T + fold.offset.numpy()
    assert np.allclose(made[:, kept], values[:, kept])
    # The ridge, 1e-4 of the variances, moves predictions by little.
    assert np.abs(made[:, cut] - fitted.predict(values[:, kept])).max() <= 2e-2 * np.abs(values).max()
    best = np.square(fitted.predict(values[:, kept]) - values[:, cut]).mean()
    assert np.square(made[:, cut] - values[:, cut]).mean() <= best * 1.01 + 1e-6


def test_moments_are_those_of_real_steps() -> None:
    torch.manual_seed(0)
    model, batch = TAKEN["every step"](UNITS), batch_of(16)
    (moments,) = moments_of(model, batch, "rnn", model.rnn).values()
    with torch.no_grad():
        h = model.rnn(batch.inputs)[0][batch.mask].double().numpy()
    assert np.allclose(moments.mean.numpy(), h.mean(0), atol=1e-6)
    assert np.allclose(moments.covariance.numpy(), np.cov(h.T, bias=True), atol=1e-6)


def test_under_a_projection_units_hand_on_what_stands_before_it() -> None:
    torch.manual_seed(0)
    model, batch = TAKEN["projection"](UNITS), batch_of(16)
    (moments,) = moments_of(model, batch, "rnn", model.rnn).values()
    with torch.no_grad():
        h = model.rnn(batch.inputs)[0][batch.mask].double()
    projected = moments.mean @ model.rnn.weight_hr_l0.detach().double().T
    assert torch.allclose(projected, h.mean(0), atol=1e-6)


def cost(moments: Moments, weights: torch.Tensor, cut: list[int]) -> float:
    """Return tr(E M) by the definition: residual covariance times importance."""
    own = moments.covariance.numpy()
    own = own + 1e-4 * own.diagonal().mean() * np.eye(len(own))
    kept = [k for k in range(len(own)) if k not in cut]
    across = own[np.ix_(cut, kept)]
    left = own[np.ix_(cut, cut)] - across @ np.linalg.solve(own[np.ix_(kept, kept)], across.T)
    return float(np.trace(left @ weights.numpy()[np.ix_(cut, cut)]))


def test_costs_brought_up_to_date_are_those_by_definition() -> None:
    _, moments = drawn(1, 7)
    rng = torch.Generator().manual_seed(0)
    root = torch.randn(7, 7, generator=rng, dtype=torch.float64)
    weights = root.T @ root
    elimination = Elimination(moments, weights, offset=True)
    while len(elimination.kept) > 1:
        expected = [cost(moments, weights, [*elimination.cut, unit]) for unit in elimination.kept]
        assert np.allclose(elimination.costs().numpy(), expected, rtol=1e-7)
        elimination.remove(elimination.kept[int(np.argmin(expected))])
    assert list(closed_form_order(moments, weights, offset=True)) == [*elimination.cut, *elimination.kept]


def test_importance_weighs_who_reads() -> None:
    torch.manual_seed(1)
    model = TAKEN["last states of both directions"](UNITS)
    narrowing = Narrowing(model, batch_of())
    rnn = model.rnn
    below = importance(narrowing, (0, "reverse"))
    rows = [rnn.weight_hh_l0_reverse, rnn.weight_ih_l1[:, UNITS:], rnn.weight_ih_l1_reverse[:, UNITS:]]
    assert torch.allclose(below, sum(w.double().T @ w.double() for w in rows))
    top = importance(narrowing, (1, "forward"))
    read = model.fc.weight[:, :UNITS].double()
    own = rnn.weight_hh_l1.double()
    assert torch.allclose(top, own.T @ own + READER_WEIGHT * read.T @ read)


def test_what_counts_is_the_output_that_changed_most() -> None:
    torch.manual_seed(1)
    model, batch = TAKEN["every step"](UNITS), batch_of(16)
    goal = Imitation.of(Narrowing(model, batch), batch)
    was = goal.outputs[batch.mask].double().numpy()
    other = goal.outputs.clone()
    other[..., 1] += torch.randn(other.shape[:2], generator=torch.Generator().manual_seed(0))
    changed = np.square(other[batch.mask].double().numpy() - was).mean(0) / was.var(0, ddof=1)
    assert np.isclose(goal.worst(other), changed[1], rtol=1e-6)
    other[:, -1] = torch.where(batch.mask[:, -1:], other[:, -1], 1e6)  # padding counts for nothing
    assert np.isclose(goal.worst(other), changed[1], rtol=1e-6)


def of_a_drawn_network(seed: int) -> tuple[Narrowing, Mapping[Part, Moments], Batch, Imitation]:
    """Return what is needed to merge units of a network with drawn weights."""
    torch.manual_seed(seed)
    model, batch = TAKEN["every step"](UNITS), batch_of(64)
    narrowing = Narrowing(model, batch)
    return narrowing, moments_of(model, batch, "rnn", model.rnn), batch, Imitation.of(narrowing, batch)


def test_the_first_unit_to_go_costs_least_of_all() -> None:
    narrowing, moments, batch, goal = of_a_drawn_network(2)
    (part,) = narrowing.parts
    losses = []
    for unit in range(UNITS):
        kept = {part: [k for k in range(UNITS) if k != unit]}
        losses.append(goal.worst(merged_outputs(narrowing, moments, kept, batch)))
    order = greedy_orders(narrowing, moments, batch)[part]
    assert sorted(order) == list(range(UNITS))
    assert order[0] == int(np.argmin(losses))


def test_a_greedy_order_is_seldom_far_from_the_best_set() -> None:
    narrowing, moments, batch, goal = of_a_drawn_network(3)
    (part,) = narrowing.parts
    order = greedy_orders(narrowing, moments, batch)[part]
    for size in (5, 4, 3):
        every = [goal.worst(merged_outputs(narrowing, moments, {part: list(kept)}, batch))
                 for kept in itertools.combinations(range(UNITS), size)]  # fmt: skip
        own = goal.worst(merged_outputs(narrowing, moments, {part: order[-size:]}, batch))
        assert own <= 2 * min(every)


def test_all_layers_and_directions_lose_one_unit_each_in_turn() -> None:
    torch.manual_seed(4)
    model, batch = TAKEN["last states of both directions"](4), batch_of(16)
    narrowing = Narrowing(model, batch)
    moments = moments_of(model, batch, "rnn", model.rnn)
    orders = greedy_orders(narrowing, moments, batch, least=2)
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders.values())
    folds = merged_folds(narrowing, moments, {part: order[-2:] for part, order in orders.items()})
    assert narrowing.take(folds).rnn.hidden_size == 2


def test_folds_one_after_the_other_are_one() -> None:
    _, moments = drawn(2)
    first = moments.fold((0, 1, 3, 4), offset=True)
    second = Fold((0, 3), torch.tensor([[1.0, 0], [0.5, 2], [-1, 0], [0, 1]]).double(), torch.ones(4).double())
    both = second.after(first)
    assert both.kept == (0, 4)
    kept = torch.tensor([0.3, -0.7]).double()
    step = first.matrix @ (second.matrix @ kept + second.offset) + first.offset
    assert torch.allclose(both.matrix @ kept + both.offset, step)
