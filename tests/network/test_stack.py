"""Stacks: each member computes what the module that it was made of does."""

import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.stack import stack
from lstm_probe.network.stack_kernel import LayerFunction, ReadoutFunction

SHAPES = [
    {},
    {"num_layers": 2},
    {"proj_size": 3},
    {"bidirectional": True},
    {"bias": False},
    {"num_layers": 3, "bidirectional": True, "proj_size": 2, "batch_first": False},
    {"num_layers": 2, "bidirectional": True, "bias": False},
]


def lstms(n: int = 3, features: int = 2, units: int = 5, **shape) -> list[nn.LSTM]:
    return [nn.LSTM(features, units, **{"batch_first": True, **shape}).double() for _ in range(n)]


def close(one, other) -> None:
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("given", [False, True])
def test_outputs_states_and_gradients_are_each_modules_own(shape, given):
    modules = lstms(**shape)
    stacked = stack(modules)
    inputs = torch.randn(3, 4, 7, 2, dtype=torch.double, requires_grad=True)
    own = inputs.detach().clone().requires_grad_()
    rows = modules[0].num_layers * (1 + modules[0].bidirectional)
    sequences = inputs.shape[1 if modules[0].batch_first else 2]
    widths = (modules[0].proj_size or 5, 5)
    state = tuple(torch.randn(3, rows, sequences, n, dtype=torch.double, requires_grad=True) for n in widths)
    begun = tuple(values.detach().clone().requires_grad_() for values in state)
    outputs, (h, c) = stacked(inputs, state if given else None)
    single = [module(own[k], tuple(v[k] for v in begun) if given else None) for k, module in enumerate(modules)]
    expected = [torch.stack(values) for values in zip(*((o, *hc) for o, hc in single))]
    weights = [torch.randn_like(values) for values in expected]
    for found, values in zip((outputs, h, c), expected, strict=True):
        close(found, values)
    sum((w * found).sum() for w, found in zip(weights, (outputs, h, c))).backward()
    sum((w * values).sum() for w, values in zip(weights, expected)).backward()
    close(inputs.grad, own.grad)
    for found, values in zip(state, begun) if given else ():
        close(found.grad, values.grad)
    for name, values in stacked.named_parameters():
        close(values.grad, torch.stack([module.get_parameter(name).grad for module in modules]))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_without_gradients_it_computes_the_same(steps):
    stacked = stack(lstms(num_layers=2))
    inputs = torch.randn(3, 4, steps, 2, dtype=torch.double)
    outputs, state = stacked(inputs)
    with torch.no_grad():
        again, last = stacked(inputs)
    for one, other in zip((outputs, *state), (again, *last)):
        assert torch.equal(one, other)


def test_inputs_without_an_axis_of_members_are_for_all_of_them():
    stacked, inputs = stack(lstms()), torch.randn(4, 7, 2, dtype=torch.double, requires_grad=True)
    stacked(inputs)[0].sum().backward()
    every = inputs.detach().expand(3, 4, 7, 2).clone().requires_grad_()
    outputs, _ = stacked(every)
    close(outputs, stacked(inputs)[0])
    outputs.sum().backward()
    close(inputs.grad, every.grad.sum(0))


def test_gradients_as_differences():
    def random(*shape):
        return torch.randn(*shape, dtype=torch.double, requires_grad=True)

    for outputs, projection in ((3, None), (2, random(2, 2, 3))):
        x, h0, c0 = random(3, 2, 2, 4), random(2, outputs, 4), random(2, 3, 4)
        weights = random(2, 2 + 1 + outputs, 12)
        assert torch.autograd.gradcheck(LayerFunction.apply, (x, weights, projection, h0, c0))
        assert torch.autograd.gradcheck(LayerFunction.apply, (x.detach(), weights, projection, h0, c0))
    assert torch.autograd.gradcheck(ReadoutFunction.apply, (random(3, 2, 3, 4), random(2, 5, 3), random(2, 5)))


def test_far_out_nothing_overflows():
    modules = [nn.LSTM(1, 2, batch_first=True) for _ in range(2)]
    inputs = 1e6 * torch.randn(2, 3, 4, 1)
    outputs, _ = stack(modules)(inputs)
    torch.testing.assert_close(outputs, torch.stack([m(x)[0] for m, x in zip(modules, inputs)]))


@pytest.mark.parametrize("projection", [0, 3])
def test_models_with_a_readout(projection):
    models = [SequenceModel(2, 4, 5, layers=2, projection=projection, seed=seed).double() for seed in range(3)]
    stacked, inputs = stack(models), torch.randn(3, 4, 7, 2, dtype=torch.double)
    expected = torch.stack([model(x) for model, x in zip(models, inputs)])
    outputs = stacked(inputs)
    close(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    assert list(stacked.state_dict()) == list(models[0].state_dict())
    for name, values in stacked.named_parameters():
        close(values.grad, torch.stack([model.get_parameter(name).grad for model in models]))


def test_members_come_back_with_their_weights():
    modules = [module.eval() for module in lstms(num_layers=2, bidirectional=True)]
    modules[0].weight_ih_l0.requires_grad_(False)
    for module in modules[1:]:
        module.weight_ih_l0.requires_grad_(False)
    stacked = stack(modules)
    for module, again in zip(modules, stacked.unstack(), strict=True):
        assert type(again) is nn.LSTM and not again.training and again.weight_ih_l0.dtype == torch.double
        for name, values in module.named_parameters():
            assert torch.equal(values, again.get_parameter(name))
            assert values.requires_grad == again.get_parameter(name).requires_grad
    again = stacked.member(-1)
    with torch.no_grad():
        again.weight_hh_l1.zero_()
    assert torch.equal(stacked.weight_hh_l1[2], modules[2].weight_hh_l1)
    for k in (3, -4):
        with pytest.raises(InputError, match=f"k={k}: there are 3 members"):
            stacked.member(k)


class Own(nn.LSTM):
    def forward(self, inputs):
        return super().forward(2 * inputs)


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        ([], "there is none"),
        ([nn.GRU(2, 3)], r"modules\[0\] is a GRU"),
        ([nn.LSTM(2, 3), Own(2, 3)], r"modules\[1\] is a Own"),
        ([nn.LSTM(2, 3), nn.LSTM(2, 4)], r"modules\[1\]: hidden_size is 4, that of modules\[0\] is 3"),
        ([nn.LSTM(2, 3), nn.LSTM(2, 3, batch_first=True)], "batch_first is True"),
        ([nn.LSTM(2, 3), nn.LSTM(2, 3).double()], r"weight_ih_l0\.dtype is torch\.float64"),
        ([nn.LSTM(2, 3), nn.LSTM(2, 3).eval()], "training is False"),
        ([nn.LSTM(2, 3), SequenceModel(2, 1, 3)], "type is SequenceModel"),
        ([SequenceModel(2, 1, 3), SequenceModel(2, 2, 3)], "outputs is 2"),
        ([nn.LSTM(2, 3, num_layers=2, dropout=0.5)] * 2, r"dropout=0\.5: a stack has none"),
        ([nn.utils.parametrizations.weight_norm(nn.LSTM(2, 3), "weight_hh_l0")], "parametrized weights"),
    ],
)
def test_what_cannot_be_stacked_is_refused_with_the_reason(modules, told):
    with pytest.raises(InputError, match=told):
        stack(modules)


@pytest.mark.parametrize("shape", [(2, 4, 7, 2), (3, 4, 7, 5), (7, 2), (3, 4, 0, 2)])
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match="inputs: "):
        stack(lstms())(torch.zeros(shape, dtype=torch.double))


def test_a_state_of_another_shape_is_refused():
    state = (torch.zeros(3, 1, 4, 5), torch.zeros(3, 1, 3, 5))
    with pytest.raises(InputError, match=r"state: c is \[3, 1, 3, 5\]; it has to be \[3, 1, 4, 5\]"):
        stack(lstms())(torch.zeros(3, 4, 7, 2), state)
