"""Fixed points against closed forms, bisection and SciPy's root finder from thousands of places."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, root
from torch import nn

from lstm_probe.dynamics.searching import index_sum, search
from lstm_probe.dynamics.settling import Runner, fates
from lstm_probe.dynamics.solving import find_points
from lstm_probe.dynamics.step_map import StepMap


def plain(matrix, bias=None, nonlinearity="tanh"):
    """A plain network without inputs that count, of these weights."""
    matrix = torch.as_tensor(matrix, dtype=torch.float64)
    module = nn.RNN(1, len(matrix), nonlinearity=nonlinearity).double()
    with torch.no_grad():
        for values in module.parameters():
            values.zero_()
        module.weight_hh_l0.copy_(matrix)
        module.bias_hh_l0.copy_(torch.zeros(len(matrix)) if bias is None else torch.as_tensor(bias))
    return module


def searched(module, n=300, seed=0):
    step, rng = StepMap(module), torch.Generator().manual_seed(seed)
    starts = torch.rand(n, step.size, generator=rng, dtype=torch.float64) * 2 - 1
    x = torch.zeros(step.features, dtype=torch.float64)
    return search(Runner(module, step), starts, starts, x, 300, rng), step, x


@pytest.mark.parametrize("slope", [1.3, 2.0, 6.0])
def test_one_tanh_unit_has_the_roots_of_its_equation(slope):
    points, step, x = searched(plain([[slope]]))
    positive = brentq(lambda h: math.tanh(slope * h) - h, 1e-3, 1)
    assert sorted(points.states.flatten().tolist()) == pytest.approx([-positive, 0, positive], abs=1e-12)
    by_place = dict(zip(points.states.flatten().round(decimals=6).tolist(), points.sizes[:, 0].tolist()))
    assert by_place[0.0] == pytest.approx(slope)
    assert by_place[round(positive, 6)] == pytest.approx(slope * (1 - positive**2))
    assert points.unstable.sum() == 1 and index_sum(step, points, x) == 1


def test_a_saddle_close_to_two_nodes_stays_apart_from_them():
    """Of slope 1 + e the nodes lie at ±√(3e): here within a thousandth of the saddle at 0."""
    points, _, _ = searched(plain([[1 + 1e-5]]))
    near = math.sqrt(3e-5)
    assert sorted(points.states.flatten().tolist()) == pytest.approx([-near, 0, near], rel=1e-3, abs=1e-6)
    closer = find_points(
        StepMap(plain([[1 + 1e-7]])), torch.tensor([[0.0], [6e-4], [-6e-4]]).double(), torch.zeros(1).double()
    )
    assert sorted(closer.states.flatten().tolist()) == pytest.approx(
        [-math.sqrt(3e-7), 0, math.sqrt(3e-7)], rel=1e-3, abs=1e-6
    )


@pytest.mark.parametrize("seed", range(4))
def test_every_root_that_scipy_finds_is_found(seed):
    rng = np.random.default_rng(seed)
    matrix, bias = rng.normal(size=(5, 5)) * 1.1 + 1.6 * np.eye(5), rng.normal(size=5) * 0.1
    points, step, x = searched(plain(matrix, bias), seed=seed)

    def derived(h):
        return (1 - np.tanh(matrix @ h + bias) ** 2)[:, None] * matrix - np.eye(5)

    theirs = []
    for start in rng.uniform(-1, 1, size=(3000, 5)):
        found = root(lambda h: np.tanh(matrix @ h + bias) - h, start, jac=derived, tol=1e-13)
        if found.success and all(np.linalg.norm(found.x - one) > 1e-6 for one in theirs):
            theirs.append(found.x)
    assert len(theirs) >= 3
    apart = np.linalg.norm(np.array(theirs)[:, None] - points.states.numpy(), axis=2).min(1)
    assert apart.max() < 1e-9 and len(points.states) >= len(theirs)
    assert index_sum(step, points, x) == 1
    assert float(points.residual.max()) < 1e-12


def test_one_lstm_unit_has_the_roots_of_its_equation():
    """Without recurrent weights c = f c + i g; with them the roots of a scalar equation in h."""
    module = nn.LSTM(1, 1).double()
    i, f, o, slope = 0.5, 0.3, 0.9, 8.0
    with torch.no_grad():
        for values in module.parameters():
            values.zero_()
        module.bias_ih_l0.copy_(torch.logit(torch.tensor([i, f, 0.5, o], dtype=torch.float64)))
        module.bias_ih_l0[2] = 0
        module.weight_hh_l0[2] = slope

    def off(c):
        return i * math.tanh(slope * o * math.tanh(c)) / (1 - f) - c

    points, _, _ = searched(module)
    c = brentq(off, 1e-2, 3)
    told = sorted(points.states[:, 1].tolist())
    assert told == pytest.approx([-c, 0, c], abs=1e-12)
    assert points.states[:, 0].tolist() == pytest.approx([o * math.tanh(own) for own in points.states[:, 1].tolist()])


def test_a_relu_unit_that_keeps_everything_is_a_line_and_tells_no_index():
    points, step, x = searched(plain([[1.0]], nonlinearity="relu"))
    assert len(points.states) > 50 and not points.stable.any() and points.rests.all()
    assert index_sum(step, points, x) is None


def test_what_goes_round_and_what_moves_on_is_told():
    """A rotation by a quarter; one that is a little too slow to be at rest; a relu unit that adds a constant."""
    turn = plain([[0.0, -5.0], [5.0, 0.0]])
    points, step, x = searched(turn)
    ran = fates(Runner(turn, step), torch.tensor([[0.5, 0.1], [0.3, -0.7]]).double(), x, 200, points)
    assert ran.period.tolist() == [4, 4] and not ran.grows.any() and not ran.drifts.any() and (ran.ends < 0).all()
    angle = 1.0  # which no whole number of steps closes
    turn = plain(1.5 * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))
    points, step, x = searched(turn)
    starts = torch.rand(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ran = fates(Runner(turn, step), starts, x, 200, points)
    assert ran.drifts.all() and not ran.grows.any() and index_sum(step, points, x) == 1
    adding = plain([[1.0]], [0.01], "relu")
    points, step, x = searched(adding)
    ran = fates(Runner(adding, step), torch.tensor([[0.5]]).double(), x, 200, points)
    assert ran.grows.tolist() == [True] and len(points.states) == 0
    filling = plain([[0.995]], [0.01], "relu")
    points, step, x = searched(filling)
    ran = fates(Runner(filling, step), torch.zeros(1, 1).double(), x, 200, points)
    assert ran.drifts.tolist() == [True] and points.states.flatten().tolist() == pytest.approx([2.0])
    slow = plain([[0.9995]])
    points, step, x = searched(slow)
    ran = fates(Runner(slow, step), torch.tensor([[0.02], [1e-6]]).double(), x, 100, points)
    assert ran.drifts.tolist() == [True, False] and ran.ends.tolist() == [-1, 0]


def test_a_state_runs_as_in_the_module_itself_however_many_steps():
    torch.manual_seed(0)
    module = nn.LSTM(2, 4, 2).double()
    step, x = StepMap(module), torch.randn(2, dtype=torch.float64)
    states = torch.randn(3, step.size, dtype=torch.float64)
    h, c = (torch.stack([states[:, place] for place in places]) for places in (step.shown, step.held))
    with torch.no_grad():
        _, (h, c) = module(x.expand(137, 3, 2), (h, c))
    ended = Runner(module, step).run(states, x, 137)
    assert torch.allclose(ended, torch.cat([*h, *c], dim=1), atol=1e-13)
    assert torch.equal(Runner(module, step).run(states, x, 0), states)


def test_no_middle_of_two_points_is_searched_from_twice(monkeypatch):
    """A network of many points, of which several rounds are needed: each search has a place of its own."""
    rng, begun = np.random.default_rng(4), []

    def counted(step, starts, x, *known):
        begun.append(starts.clone())
        return find_points(step, starts, x, *known)

    monkeypatch.setattr("lstm_probe.dynamics.searching.find_points", counted)
    points, _, _ = searched(plain(2.5 * np.eye(4) + 0.2 * rng.normal(size=(4, 4)), 0.1 * rng.normal(size=4)), n=20)
    places = torch.cat(begun[1:])  # after those where states came to rest
    assert len(points.states) > 20 and len(places) > len(points.states)
    assert len(places.unique(dim=0)) == len(places)


@pytest.mark.parametrize("forget", [5.0, 8.0, 10.0])
@pytest.mark.parametrize("rests_at", [0.0, 0.7, -1.5])
def test_a_memory_that_fades_very_slowly_comes_to_rest_where_its_equation_says(forget, rests_at):
    """c = f c + i g and h = o tanh(c), where the gates hear nothing: one attractor, at i g / (1 − f)."""
    lstm, kept = nn.LSTM(1, 2).double(), 1 / (1 + math.exp(-forget))
    with torch.no_grad():
        for values in lstm.parameters():
            values.zero_()
        lstm.bias_ih_l0[2:4] = forget
        lstm.bias_ih_l0[4:6] = math.atanh(2 * (1 - kept) * rests_at)
    starts = 2 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = find_points(StepMap(lstm), starts, torch.zeros(1, dtype=torch.float64))
    assert len(found.states) == 1 and bool(found.stable.all())
    h = math.tanh(rests_at) / 2
    assert found.states[0].numpy() == pytest.approx([h, h, rests_at, rests_at], abs=1e-6)
    assert float(found.sizes[0, 0]) == pytest.approx(kept, abs=1e-12)
