"""One step and its derivative in closed form, against PyTorch's own modules and automatic differentiation of them."""

import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.dynamics.step_map import StepMap

MODULES = {
    "lstm": lambda: nn.LSTM(3, 5),
    "lstm of three layers": lambda: nn.LSTM(3, 4, 3, batch_first=True),
    "lstm with projection": lambda: nn.LSTM(3, 5, 2, proj_size=2),
    "lstm without biases": lambda: nn.LSTM(3, 4, 2, bias=False),
    "lstm cell": lambda: nn.LSTMCell(3, 4),
    "tanh": lambda: nn.RNN(3, 4, 2),
    "relu": lambda: nn.RNN(3, 4, 2, nonlinearity="relu"),
    "tanh cell": lambda: nn.RNNCell(3, 4, bias=False),
}


def one_step(module, step, state, x):
    """What the module itself makes of a state."""
    h, c = ([state[place] for place in places] for places in (step.shown, step.held))
    if isinstance(module, nn.LSTMCell | nn.RNNCell):
        after = module(x, (h[0], c[0]) if c else h[0])
        return torch.cat(after if c else [after])
    h, c = (torch.stack(own).unsqueeze(1) if own else None for own in (h, c))
    given = x.view(1, 1, -1)
    _, after = module(given, h if c is None else (h, c))
    return torch.cat([one.flatten() for one in (after if c is not None else (after,))])


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", MODULES)
def test_the_map_and_its_derivative_are_the_modules_own(name):
    torch.manual_seed(len(name))
    module = MODULES[name]().double()
    with torch.no_grad():
        for values in module.parameters():
            values *= 2
    step = StepMap(module)
    states, x = torch.randn(6, step.size, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    after, derived = step.jacobian(states, x)
    assert torch.equal(after, step.step(states, x))
    assert torch.allclose(step.step(states, x.expand(6, 3)), after, atol=1e-14)
    for k, state in enumerate(states):
        own = torch.autograd.functional.jacobian(lambda one: one_step(module, step, one, x), state)
        assert (one_step(module, step, state, x) - after[k]).abs().max() < 1e-14
        assert (own - derived[k]).abs().max() < 1e-14 and own.abs().max() > 0.1


def test_weights_are_those_that_a_parametrization_makes_and_are_copied():
    torch.manual_seed(0)
    module = nn.utils.parametrizations.weight_norm(nn.LSTM(2, 3).double(), "weight_hh_l0")
    step = StepMap(module)
    assert torch.equal(step.layers[0].w_hh, module.weight_hh_l0.detach())
    step.layers[0].w_ih.zero_()
    assert module.weight_ih_l0.abs().min() > 0


def test_two_directions_have_no_step():
    with pytest.raises(lp.InputError, match="is bidirectional: it reads from both ends, so that no state follows"):
        StepMap(nn.LSTM(2, 3, bidirectional=True))
