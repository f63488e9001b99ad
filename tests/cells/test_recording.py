"""What is recorded of other cells beside what their module gave: in any module, and refused where it does not agree."""

import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from tests.cells import loops


class Tagger(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.readout = rnn, nn.Linear(5, 2)

    def forward(self, x):
        return self.readout(self.rnn(x)[0])


def pytorchs(name):
    return {"gru": nn.GRU, "rnn": nn.RNN}[name](3, 5, batch_first=True).double()


LOOPS = {"gru": loops.gru, "rnn": loops.rnn}


def by_hand(name, module, x, h=None):
    w = {key.removesuffix("_l0"): values.detach().numpy() for key, values in module.named_parameters()}
    w = {key.removesuffix("_l0"): values for key, values in w.items()}
    h = torch.zeros(len(x), 5).double() if h is None else h
    told = LOOPS[name](w, x.numpy().swapaxes(0, 1), [h.numpy()])
    return {key: torch.from_numpy(values.swapaxes(0, 1).copy()) for key, values in told.items()}


@pytest.mark.parametrize("block", [1, 2**30])
@pytest.mark.parametrize("name", LOOPS)
def test_pytorchs_modules_within_others_in_blocks_of_any_size(name, block, monkeypatch):
    monkeypatch.setattr("lstm_probe.recorder.by_cell.BLOCK_BYTES", block)
    torch.manual_seed(0)
    module = pytorchs(name)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    rec = lp.record(Tagger(module).double(), x, layer="rnn")
    for variable, values in by_hand(name, module, x).items():
        torch.testing.assert_close(rec[0][variable], values, rtol=0, atol=1e-12)
    state = torch.randn(1, 4, 5, dtype=torch.float64)
    begun = lp.record(module, x, state=state)
    torch.testing.assert_close(begun.h, by_hand(name, module, x, state[0])["h"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "name"), [(nn.GRUCell, "gru"), (nn.RNNCell, "rnn")])
def test_cells_that_a_loop_calls_step_by_step(cell, name):
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell(3, 5)

        def forward(self, x):
            h, out = None, []
            for now in x.unbind(1):
                h = self.cell(now, h)
                out.append(h)
            return torch.stack(out, 1)

    torch.manual_seed(1)
    model, x = Loop().double(), torch.randn(4, 7, 3, dtype=torch.float64)
    rec = lp.record(model, x)
    for variable, values in by_hand(name, model.cell, x).items():
        torch.testing.assert_close(rec[0][variable], values, rtol=0, atol=1e-12)
    assert rec.config.cell.title == name.upper()


@pytest.mark.parametrize("cell", ["gru", "rnn", "janet", "lstm_peepholes", "slstm"])
def test_what_a_hook_changes_is_refused(cell):
    module = lp.GatedRNN(3, 5, batch_first=True, cell=cell) if cell not in LOOPS else pytorchs(cell).float()
    x = torch.randn(2, 6, 3)
    lp.record(module, x)
    module.register_forward_hook(lambda _, given, result: (result[0] * 1.001, result[1]))
    with pytest.raises(InputError, match="what the module returned is not the h"):
        lp.record(module, x)


def test_a_subclass_that_computes_something_else_is_refused():
    class Own(nn.GRU):
        def forward(self, input, hx=None):
            out = torch.cumsum(torch.tanh(input @ torch.ones(3, 5).to(input)), 1)
            return out, out[:, -1].unsqueeze(0)

    with pytest.raises(InputError, match="did not run PyTorch's own GRU, and what it returned is not what a GRU"):
        lp.record(Own(3, 5, batch_first=True), torch.randn(2, 6, 3))


def test_a_kernel_that_computes_something_else_is_refused(monkeypatch):
    """A cell whose step is not a function of its inputs: recomputed, it differs."""
    calls = []

    def step(w, read, state, see):
        calls.append(None)
        return {"h": see("h", torch.tanh(read + len(calls) * 0.01))}

    variables = (lp.Variable("h", "output: what changes with every call", "output", -1, 1),)
    cell = lp.Cell("restless", "restless cell", variables, ("h",), step)
    with pytest.raises(InputError, match="h of every step recomputed from its inputs and weights is not what"):
        lp.record(lp.GatedRNN(3, 5, batch_first=True, cell=cell), torch.randn(2, 6, 3))


def test_lstms_come_first_and_others_by_name():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.lstm = nn.GRU(3, 5, batch_first=True), nn.LSTM(5, 4, batch_first=True)

        def forward(self, x):
            return self.lstm(self.gru(x)[0])[0]

    model, x = Both(), torch.randn(2, 6, 3)
    assert lp.record(model, x).c.shape == (2, 6, 4)
    assert lp.record(model, x, layer="gru").z.shape == (2, 6, 5)
    both = lp.record(model, x, layer="all")
    assert {name: rec.config.cell.title for name, rec in both.items()} == {"gru": "GRU", "lstm": "LSTM"}
    with pytest.raises(InputError, match="holds 2 recurrent layers: choose one with layer="):
        lp.record(nn.Sequential(nn.GRU(3, 3), nn.RNN(3, 3)), x)


@pytest.mark.parametrize("cell", ["gru", "rnn", "janet", "slstm"])
def test_while_a_loop_trains_each_call_has_its_own_weights(cell):
    torch.manual_seed(2)
    module = lp.GatedRNN(3, 5, batch_first=True, cell=cell)
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    x, shown = torch.randn(3, 6, 3), []
    with lp.recording(module) as rec:
        for _ in range(3):
            h, _ = module(x)
            shown.append(h.detach().clone())
            optimizer.zero_grad()
            h.square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(rec.h, torch.cat(shown))
