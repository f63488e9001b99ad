"""Fixed points, times and flow of cells beside the LSTM: against the module, finite differences and iteration."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.cells.known import get_cell
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.dynamics.saturation import by_unit, gate_saturation, saturation_sentences
from lstm_probe.dynamics.settling import Runner
from lstm_probe.dynamics.step_map import StepMap
from lstm_probe.dynamics.timescales import timescale_sentences
from tests.causal import by_hand

NAMES = ["gru", "gru_reset_before", "rnn", "lstm_peepholes", "lstm_no_forget", "lstm_coupled", "janet", "slstm",
         "lstm_layer_norm", "lstm+gates:hard_sigmoid"]  # fmt: skip
MODULES = {name: lambda name=name: GatedRNN(3, 4, 2, cell=name) for name in NAMES} | {
    "nn.GRU": lambda: nn.GRU(3, 4, 2), "nn.GRU without biases": lambda: nn.GRU(3, 5, bias=False),
    "nn.GRUCell": lambda: nn.GRUCell(3, 4), "lstm by its step": lambda: GatedRNN(3, 4, 2, cell="lstm"),
}  # fmt: skip


def one_step(module, step, state, x):
    """What the module itself makes of states."""
    every = [torch.stack([state[:, place] for place in places]) for places in step.places.values()]
    if isinstance(module, nn.RNNCellBase):
        return module(x.expand(len(state), -1), every[0][0])
    _, after = module(x.expand(1, len(state), -1), every[0] if len(every) == 1 else tuple(every))
    return torch.cat([one for part in (after if isinstance(after, tuple) else (after,)) for one in part], dim=1)


@pytest.mark.parametrize("name", MODULES)
def test_the_map_and_its_derivative_are_the_modules_own(name):
    torch.manual_seed(len(name))
    module = MODULES[name]().double()
    step = StepMap(module)
    states, x = torch.randn(3, step.size, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    after, derived = step.jacobian(states, x)
    with torch.no_grad():
        assert torch.equal(after, step.step(states, x))
        assert (one_step(module, step, states, x) - after).abs().max() < 1e-14
        for k in range(step.size):
            by = torch.zeros(step.size, dtype=torch.float64)
            by[k] = 1e-6
            ends = [one_step(module, step, states + sign * by, x) for sign in (1, -1)]
            assert ((ends[0] - ends[1]) / 2e-6 - derived[:, :, k]).abs().max() < 1e-8
        assert derived.abs().max() > 0.1
        going = states
        for _ in range(73):
            going = step.step(going, x)
        assert (Runner(module, step).run(states, x, 73) - going).abs().max() < 1e-10


def test_an_lstm_by_its_step_has_the_fixed_points_of_pytorchs():
    torch.manual_seed(3)
    fused = nn.LSTM(2, 2, batch_first=True)
    with torch.no_grad():
        for one in fused.parameters():
            one *= 6
    stepped = GatedRNN(2, 2, batch_first=True, cell="lstm")
    stepped.load_state_dict(fused.state_dict())
    one, other = (lp.fixed_points(module, starts=64, states=64) for module in (fused, stepped))
    assert one.kind.tolist() == other.kind.tolist()
    for name in ("h", "c", "eigenvalue"):
        assert np.allclose(np.array(one[name].tolist()), np.array(other[name].tolist()), atol=1e-9)


@pytest.mark.parametrize(("kind", "seed"), [("gru", 0), ("gru", 2), ("gru_reset_before", 1), ("lstm_peepholes", 4)])
@torch.no_grad()
def test_where_iteration_ends_there_is_a_point(kind, seed):
    torch.manual_seed(seed)
    module = GatedRNN(1, 3, batch_first=True, cell=kind)
    for one in module.parameters():
        one *= 4
    x = torch.tensor([0.3], dtype=torch.float64)
    table = lp.fixed_points(module, inputs=x, starts=48, settle=100, states=16, steps=100)
    own = module.double()
    state = tuple(torch.randn(1, 400, 3, dtype=torch.float64).tanh() for _ in own.cell.state)
    for _ in range(2):
        before = torch.cat(state, dim=2)[0]
        _, last = own(x.expand(400, 1500, 1), state if len(state) > 1 else state[0])
        state = last if isinstance(last, tuple) else (last,)
    still = before[(torch.cat(state, dim=2)[0] - before).norm(dim=1) < 1e-12].numpy()
    found = np.array([[*h, *c] for h, c in zip(table.h, table.c)])
    assert len(still) > 10
    assert np.linalg.norm(still[:, None] - found[None], axis=2).min(1).max() < 1e-8
    assert table.residual.max() < 1e-11
    if kind.startswith("gru"):
        assert np.abs(found).max() < 1 and table.attrs["inputs"][0]["index"] == 1


def test_a_model_with_a_gru_and_its_batch():
    net = lp.planted.combine([lp.planted.Latch()], random_units=0, seed=0)
    batch = net.sample(32, length=10, seed=1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.out = nn.GRU(batch.inputs.shape[-1], 3, batch_first=True), nn.Linear(3, 1)

        def forward(self, x):
            return self.out(self.layers(x)[0])

    torch.manual_seed(0)
    model = Net()
    table = lp.fixed_points(model, batch, starts=64, states=64)
    assert len(table) and all(len(one) == 3 for one in table.h) and all(len(one) == 0 for one in table.c)
    want = model.out(torch.tensor(table.h.iloc[0], dtype=torch.float32))
    assert np.allclose(table.outputs.iloc[0], want.detach().numpy(), atol=1e-5)
    assert table.attrs["inputs"][0]["index"] == 1
    assert len(lp.state_space(model, batch)) > 80


@pytest.mark.parametrize("name", ["gru", "janet", "slstm", "rnn", "lstm_no_forget", "lstm_peepholes"])
@torch.no_grad()
def test_times_and_gates_are_those_of_a_loop(name):
    net = lp.planted.combine([lp.planted.Latch()], random_units=0, seed=0)
    batch = net.sample(8, length=6, seed=1)
    torch.manual_seed(1)
    module = GatedRNN(batch.inputs.shape[-1], 3, batch_first=True, cell=name)
    cell = get_cell(name)
    start = cell.start(batch.inputs, (1, 8, 3))
    every = by_hand.run(name, module, batch.inputs, [6] * 8, start)[2]

    def of(variable):
        return torch.stack([torch.stack([every[0, 0, s, variable][t] for t in range(6)]) for s in range(8)]).double()

    model = Readout(module)
    times = lp.timescales(model, batch, batch.signals)
    assert set(times.variable) == {cell.memory}
    assert np.allclose(times["size"], of(cell.memory).abs().mean((0, 1)), atol=1e-6)
    words = " ".join(timescale_sentences(times[times.unit == 0], None))
    if cell.keeps is None:
        assert times.tau_forget.isna().all() and words.startswith("Its memory goes on")
    else:
        first = 1 if name == "slstm" else 0  # of which nothing is kept at the first step
        assert np.allclose(times.tau_forget, -1 / of(cell.keeps)[:, first:].mean((0, 1)).log(), rtol=1e-4)
        assert words.startswith(f"Its {'update' if name == 'gru' else 'forget'} gate alone")
    rec = lp.record(module, batch.inputs)
    if name == "rnn":
        with pytest.raises(InputError, match="RNN has no gates between 0 and 1"):
            gate_saturation(rec)
        return
    table = gate_saturation(rec, low=0.45, high=0.55)
    for row in table.itertuples():
        values = of(row.variable)[..., row.unit]
        assert abs(row.shut - (values < 0.45).double().mean()) < 1e-9
        assert abs(row.open - (values > 0.55).double().mean()) < 1e-9
    assert set(table.variable) == set(cell.of_kind("gate"))
    if name == "gru":
        assert {"reset gate shut", "update gate open"} <= set(by_unit(table))
        assert "forget" not in " ".join(saturation_sentences(table[table.unit == 0].assign(open=0.7), None))


class Readout(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers, self.out = layers, nn.Linear(layers.hidden_size, 1)

    def forward(self, x):
        return self.out(self.layers(x)[0])
