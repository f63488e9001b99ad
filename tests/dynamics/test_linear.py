"""Steps of the search for fixed points, against NumPy's least squares with automatic differentiation of the modules."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.dynamics.linear import linear
from lstm_probe.dynamics.step_map import StepMap
from tests.dynamics.test_step_map import MODULES, one_step


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("damping", [1e2, 1e-2, 1e-10])
def test_a_step_is_what_least_squares_make_of_the_modules_own_derivative(name, damping):
    torch.manual_seed(len(name))
    module = MODULES[name]().double()
    with torch.no_grad():
        for values in module.parameters():
            values *= 3
    step = StepMap(module)
    states, x = 2 * torch.randn(5, step.size, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    near = linear(step, states, x)
    dampings = damping * torch.arange(1, 6, dtype=torch.float64)
    made, exact, few = near.damped(dampings), near.exact(), near[torch.tensor([3, 1])]
    assert torch.equal(few.damped(dampings[[3, 1]]), made[[3, 1]])
    for k, state in enumerate(states):
        missed = (one_step(module, step, state, x) - state).detach().numpy()
        own = torch.autograd.functional.jacobian(lambda one: one_step(module, step, one, x) - one, state).numpy()
        assert near.missed[k].numpy() == pytest.approx(missed, abs=1e-13)
        below = float(dampings[k]) ** 0.5 * np.eye(step.size)
        theirs = np.linalg.lstsq(np.vstack([own, below]), -np.append(missed, np.zeros(step.size)), rcond=None)[0]
        assert made[k].numpy() == pytest.approx(theirs, abs=1e-6 * np.abs(theirs).max())
        assert exact[k].numpy() == pytest.approx(np.linalg.solve(own, -missed), rel=1e-9, abs=1e-9)


def test_a_memory_that_never_changes_leaves_a_shortest_step_and_no_exact_one():
    """A unit that forgets nothing and writes nothing: of its equations −d_h + s · d_c + missed = 0 alone is left."""
    module = nn.LSTM(1, 1).double()
    with torch.no_grad():
        for values in module.parameters():
            values.zero_()
        module.bias_ih_l0[:2] = torch.tensor([-1e3, 1e3])  # i = 0 and f = 1, to the last bit
    near = linear(StepMap(module), torch.tensor([[0.1, 0.3]]).double(), torch.zeros(1).double())
    row, missed = np.array([-1, 0.5 * (1 - np.tanh(0.3) ** 2)]), 0.5 * np.tanh(0.3) - 0.1
    for damping in (1.0, 1e-6):
        step = near.damped(torch.tensor([damping]).double())[0].numpy()
        assert step == pytest.approx(-row * missed / (row @ row + damping))
    assert not near.exact().isfinite().any()
