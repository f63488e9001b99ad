"""Modules that run otherwise than by one plain call: again in a backward pass, as copies, mapped, without values."""

import contextlib
import copy
import io

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import lstm_probe as lp
from lstm_probe.core.errors import InputError


class Steps(nn.Module):
    """Two cells that share their weights and read by turns."""

    def __init__(self, cell):
        super().__init__()
        self.one, self.other = cell(3, 5), cell(3, 5)
        for name, weight in self.one.named_parameters():
            setattr(self.other, name, weight)

    def forward(self, x):
        a = b = None
        shown = []
        for t in range(x.shape[1]):
            a, b = self.one(x[:, t], a), self.other(x[:, t].flip(1), b)
            shown.append(torch.stack([one[0] if isinstance(one, tuple) else one for one in (a, b)]))
        return torch.stack(shown, 2)


class Checkpointed(nn.Module):
    def __init__(self, rnn, reentrant):
        super().__init__()
        self.rnn, self.reentrant = rnn, reentrant

    def once(self, x):
        if isinstance(self.rnn, nn.RNNBase):
            return self.rnn(x)[0]
        state, shown = None, []
        for step in x.unbind(1):
            state = self.rnn(step, state)
            shown.append(state[0])
        return torch.stack(shown, 1)

    def forward(self, x):
        return checkpoint(self.once, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("made", [lambda: nn.LSTM(3, 5, 2, batch_first=True), lambda: nn.GRU(3, 5, batch_first=True),
                                  lambda: nn.LSTMCell(3, 5)])  # fmt: skip
def test_what_is_computed_again_in_a_backward_pass_is_recorded_once(made, reentrant):
    module = Checkpointed(made(), reentrant)
    x = torch.randn(4, 6, 3, requires_grad=True)
    with lp.recording(module) as rec:
        returned = module(x)
        returned.square().sum().backward()
    assert len(rec) == 4
    top = rec[rec.config.layers - 1]
    assert torch.allclose(top.h, returned, atol=1e-6)
    wanted = {name: one.grad.clone() for name, one in module.named_parameters()}
    module.zero_grad()
    module(x).square().sum().backward()
    assert all(torch.equal(one.grad, wanted[name]) for name, one in module.named_parameters())


def test_copies_made_while_recording_are_free():
    module = nn.Sequential(nn.LSTM(3, 5, batch_first=True))
    x, file = torch.randn(4, 6, 3), io.BytesIO()
    with lp.recording(module) as rec:
        module(x)
        twin = copy.deepcopy(module)
        torch.save(module, file)
        twin(torch.randn(2, 3, 3))
    file.seek(0)
    for one in (twin, torch.load(file, weights_only=False)):
        assert one(torch.randn(2, 3, 3))[0].shape == (2, 3, 5)
        hooks = [hook for part in one.modules() for hook in part._forward_hooks.values()]
        assert all(hook.part is None for hook in hooks)  # they keep nothing of the recording
    assert len(rec) == 4


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell])
def test_cells_that_share_their_weights_are_told_apart(cell):
    module, x = Steps(cell), torch.randn(4, 6, 3)
    with torch.no_grad():
        returned = module(x)
    for k, name in enumerate(("one", "other")):
        rec = lp.record(module, x, layer=name)
        assert rec.h.shape == returned[k].shape
        assert torch.allclose(rec.h, returned[k], atol=1e-6)


def test_a_part_by_any_of_its_names():
    module = nn.Module()
    module.one = module.other = nn.LSTM(3, 5, batch_first=True)
    module.forward = module.one.forward
    x = torch.randn(4, 6, 3)
    assert torch.equal(lp.record(module, x, layer="other").c, lp.record(module, x, layer="one").c)


def test_sequences_in_a_list_are_packed_for_any_layer():
    gru, every = nn.GRU(3, 5, bidirectional=True), [torch.randn(n, 3) for n in (4, 7, 2)]
    rec = lp.record(gru, every)
    for k, one in enumerate(every):
        with torch.no_grad():
            alone = gru(one)[0]
        both = torch.cat([part.h for part in rec.parts.values()], 2)[k, : len(one)]
        assert torch.allclose(both, alone, atol=1e-6)


def test_a_state_of_arrays():
    lstm, x, h = nn.LSTM(3, 5, batch_first=True), torch.randn(4, 6, 3), np.random.default_rng(0).normal(size=(1, 4, 5))
    with torch.no_grad():
        wanted = lstm(x, (torch.tensor(h).float(), torch.tensor(2 * h).float()))[0]
    assert torch.allclose(lp.record(lstm, x, state=(h, 2 * h)).h, wanted, atol=1e-6)
    gru = nn.GRU(3, 5, batch_first=True)
    with torch.no_grad():
        wanted = gru(x, torch.tensor(h).float())[0]
    assert torch.allclose(lp.record(gru, x, state=h).h, wanted, atol=1e-6)


X = torch.zeros(4, 6, 3)
BATCH_FIRST = torch.zeros(4, 1, 5)


def filled(module):
    module.weight_hh_l0.data[0, 0] = float("nan")
    return module


def mapped(module, x):
    with lp.recording(module):
        torch.func.vmap(module)(x)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: lp.record(nn.LSTM(3, 5, batch_first=True), (X, (BATCH_FIRST, BATCH_FIRST))),
         r"initial state: \(4, 1, 5\) and \(4, 1, 5\); must be h0 and c0 of shape \(1, 4, 5\)"),
        (lambda: lp.record(nn.LSTM(3, 5, 2, proj_size=2), X, state=(torch.zeros(2, 6, 5),) * 2),
         r"must be h0 and c0 of shape \(2, 6, 2\) and \(2, 6, 5\)"),
        (lambda: lp.record(nn.LSTM(3, 5), X, state=torch.zeros(1, 6, 5)), r": \(1, 6, 5\); must be h0 and"),
        (lambda: lp.record(nn.GRU(3, 5), X[0], state=torch.zeros(1, 6, 5)), r"must be h0 of shape \(1, 5\)"),
        (lambda: lp.record(nn.LSTM(3, 5, device="meta"), X), "on the meta device"),
        (lambda: lp.record(nn.GRUCell(3, 5, device="meta"), X[0].to("meta")), "on the meta device"),
        (lambda: mapped(nn.LSTM(3, 5), X.unsqueeze(0)), "inside of torch.func.vmap"),
        (lambda: mapped(nn.LSTMCell(3, 5), X), "inside of torch.func.vmap"),
        (lambda: lp.record(nn.LSTMCell(3, 5), X[:0, 0]), "there is no sequence"),
        (lambda: lp.record(nn.LSTM(3, 5), torch.nested.nested_tensor([X[0], X[1, :2]])), "a nested tensor; give its"),
        (lambda: lp.record(nn.LSTM(3, 5), X.numpy().astype(complex)), "inputs: complex numbers"),
        (lambda: lp.record(nn.LSTM(3, 5), X, mask="yes"), "mask: a str: must be"),
        (lambda: lp.record(nn.LSTM(3, 5), X, mask=[[1], [1, 1]]), "mask: a list: must be"),
        (lambda: lp.record(filled(nn.LSTM(3, 5)), X), "LSTM: last c is not finite .* its weights are not"),
        (lambda: lp.record(filled(nn.GRU(3, 5)), X), "GRU: .* is not finite .* its weights are not"),
        (lambda: lp.record(torch.jit.trace(nn.LSTM(3, 5), X), X), "it is TorchScript, made of LSTM"),
        (lambda: lp.record(torch.fx.symbolic_trace(nn.Linear(3, 5)), X), "it is a graph"),
        (lambda: lp.record(nn.Sequential(torch.ao.nn.quantized.dynamic.LSTM(3, 5)), X), "0 is quantised, a LSTM"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of what it will not have for long
def test_what_cannot_be_recorded_is_named(run, message):
    with pytest.raises(InputError, match=message):
        run()


class Forgiving(nn.Module):
    """Goes on without a call that went wrong."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x, first):
        with contextlib.suppress(Exception):
            self.rnn(first)
        return self.rnn(x)[0]


@pytest.mark.parametrize("made", [nn.LSTM, nn.GRU])
def test_a_refusal_that_the_module_caught_is_still_one(made):
    module = Forgiving(made(3, 5, batch_first=True))
    with pytest.raises(InputError, match="inputs: nan at sequence 0, step 0, feature 0"):
        lp.record(module, (X, X * float("nan")))
    rec = lp.record(module, (X + 1, X[..., :2]))  # a call that fails without us, too
    with torch.no_grad():
        assert torch.allclose(rec.h, module.rnn(X + 1)[0], atol=1e-6)


@pytest.mark.parametrize("cell", ["janet", "gru", "slstm"])
def test_several_modules_without_a_kernel_of_torchs_in_one_pass(cell):
    module = nn.Module()
    module.below, module.above = (lp.GatedRNN(n, 5, batch_first=True, cell=cell) for n in (3, 5))
    module.forward = lambda x: module.above(module.below(x)[0])
    x = torch.randn(4, 6, 3)
    both = lp.record(module, x, layer="all")
    for name in ("below", "above"):
        alone = lp.record(module, x, layer=name)
        assert torch.equal(both[name].h, alone.h)
        assert len(both[name].check()) == len(alone.check()) > 0
