"""Clamps of every variable of every cell against a plain loop over steps."""

from dataclasses import replace

import pandas
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.causal.clamp import Clamp
from lstm_probe.causal.clamping import clamping
from lstm_probe.causal.donors import tracing
from lstm_probe.causal.editing import Editing
from lstm_probe.cells.known import cell_of, get_cell
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.core.target import Target
from tests.causal import by_hand

N, TIME = 3, 6
#: Layers and directions, and whether sequences are packed.
SHAPES = [({"bidirectional": True, "num_layers": 2}, True), ({"bias": False}, False), ({"backward": True}, True),
          ({"backward": True}, False), ({"bidirectional": True}, False)]  # fmt: skip
EVERY = [(name, variable) for name in by_hand.STEPS for variable in get_cell(name).names]


def made(name, shape, units=4):
    torch.manual_seed(3)
    module = GatedRNN(2, units, batch_first=True, cell=name, **shape).double()
    with torch.no_grad():
        for one in module.parameters():
            one.copy_(torch.randn_like(one) * (0.1 if name == "slstm" else 1))  # held n let its memory grow
    return module


def states(module, n=N):
    parts = module.num_layers * (1 + module.bidirectional)
    return tuple(torch.randn(parts, n, module.hidden_size, dtype=torch.float64) for _ in cell_of(module).state)


def called(module, x, lengths, state):
    """What a module shows of padded or packed sequences, and its last state."""
    given = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False) if lengths is not None else x
    h, last = module(given, state if len(state) > 1 else state[0])
    h = pad_packed_sequence(h, batch_first=True, total_length=TIME)[0] if lengths is not None else h
    return h, last if isinstance(last, tuple) else (last,)


def expected(name, module, x, lengths, state, clamps, donors=None):
    """The same from the plain loop."""
    own = [TIME] * len(x) if lengths is None else lengths.tolist()
    back = getattr(module, "backward", False)

    def turned(values):
        return torch.stack([torch.cat([v[:n].flip(0), v[n:]]) for v, n in zip(values, own)]) if back else values

    def held(layer, side, s, t, v, value):
        step = own[s] - 1 - t if back else t
        for clamp in clamps:
            place = clamp.layer, ("forward", "reverse").index(clamp.direction) * module.bidirectional
            inside = clamp.window is None or step in range(*clamp.window)
            if place == (layer, side) and clamp.variable == v and inside:
                for k, unit in enumerate(clamp.units):
                    value[unit] = clamp.values[k] if clamp.values else donors[layer, side, s, v][t][unit]
        return value

    h, last, every = by_hand.run(name, module, turned(x), own, state, held)
    return turned(h), last, every


@pytest.mark.parametrize(("name", "variable"), EVERY, ids=lambda one: one)
@torch.no_grad()
def test_a_clamp_holds_as_in_a_loop(name, variable):
    """Windows or none, constants and other sequences' values, layers, directions, packed or not."""
    for shape, packed in SHAPES:
        module = made(name, shape)
        x, other = torch.randn(2, N, TIME, 2, dtype=torch.float64)
        state, others = states(module), states(module)
        directions = ("reverse",) if "backward" in shape else ("forward", "reverse")[: 1 + module.bidirectional]
        lengths = torch.tensor([4, TIME, 2]) if packed else None
        with tracing(module) as trace:
            called(module, other, lengths, others)
        donors = expected(name, module, other, lengths, others, [])[2]
        for window, values in ((None, (-0.4, 0.6)), ((2, 5), (0.3, 0.9)), ((1, 3), None)):
            clamps = [Clamp(layer, way, variable, (2, 0), values, window)
                      for layer in range(module.num_layers) for way in directions[-1:]]  # fmt: skip
            with clamping(module, clamps, trace if values is None else None) as calls:
                h, last = called(module, x, lengths, state)
            assert calls.made == 1
            want, want_last, _ = expected(name, module, x, lengths, state, clamps, donors)
            torch.testing.assert_close(h, want, rtol=0, atol=1e-12)
            torch.testing.assert_close(last, want_last, rtol=0, atol=1e-12)
        with clamping(module, []):
            want = expected(name, module, x, lengths, state, [])[0]
            torch.testing.assert_close(called(module, x, lengths, state)[0], want, rtol=0, atol=1e-12)
    assert not module._forward_hooks and not module._forward_pre_hooks


@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN])
@pytest.mark.parametrize("packed", [False, True])
@torch.no_grad()
def test_pytorchs_own_layers_and_cells(kind, packed):
    """nn.GRU and nn.RNN by their own kernels' calls; cells in a loop are as a layer of one direction."""
    torch.manual_seed(0)
    name = kind.__name__.lower()
    lengths = torch.tensor([2, TIME, 4]) if packed else None
    x, other = torch.randn(2, N, TIME, 2, dtype=torch.float64)
    for shape in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False}):
        module = kind(2, 4, batch_first=True, **shape).double()
        state, others = states(module), states(module)
        with tracing(module) as trace:
            called(module, other, lengths, others)
        donors = expected(name, module, other, lengths, others, [])[2]
        for variable in cell_of(module).names:
            for window, values in ((None, (0.2, -0.7)), ((1, 4), None)):
                clamps = [Clamp(0, "forward", variable, (1, 3), values, window)]
                with clamping(module, clamps, trace if values is None else None):
                    h, last = called(module, x, lengths, state)
                want, want_last, _ = expected(name, module, x, lengths, state, clamps, donors)
                torch.testing.assert_close(h, want, rtol=0, atol=1e-12)
                torch.testing.assert_close(last, want_last, rtol=0, atol=1e-12)
                if packed or module.num_layers > 1:
                    continue
                cell = getattr(nn, f"{kind.__name__}Cell")(2, 4, bias=module.bias).double()
                cell.load_state_dict({n.removesuffix("_l0"): v for n, v in module.state_dict().items()})
                with tracing(cell) as stepwise:
                    loop(cell, other, others[0][0])
                with clamping(cell, clamps, stepwise if values is None else None) as calls:
                    torch.testing.assert_close(loop(cell, x, state[0][0]), want, rtol=0, atol=1e-12)
                assert calls.made == TIME


def loop(cell, x, h):
    shown = []
    for t in range(x.shape[1]):
        h = cell(x[:, t], h)
        shown.append(h)
    return torch.stack(shown, dim=1)


@pytest.mark.parametrize("variable", get_cell("lstm").names)
@torch.no_grad()
def test_an_lstm_by_its_step_is_clamped_as_by_pytorchs_kernel(variable):
    for shape in ({}, {"num_layers": 2, "bidirectional": True}):
        torch.manual_seed(1)
        fused = nn.LSTM(2, 5, batch_first=True, **shape)
        stepped = GatedRNN(2, 5, batch_first=True, cell="lstm", **shape)
        stepped.load_state_dict(fused.state_dict())
        x, other = torch.randn(2, N, TIME, 2)
        for window in (None, (2, 4)):
            for values in ((0.3, 0.8), None):
                clamps = [Clamp(0, "forward", variable, (1, 4), values, window)]
                shown = []
                for module in (fused, stepped):
                    with tracing(module) as trace:
                        module(other)
                    with clamping(module, clamps, trace if values is None else None):
                        shown.append(module(x)[0])
                torch.testing.assert_close(*shown, rtol=0, atol=1e-5)


class Net(nn.Module):
    def __init__(self, layers, width=1):
        super().__init__()
        self.layers = layers
        self.out = nn.Linear(layers.hidden_size * (1 + layers.bidirectional), width)

    def forward(self, x):
        return self.out(self.layers(x)[0])


def test_words_of_a_cell_that_has_no_such_variable():
    net = lp.planted.combine([lp.planted.Latch()], random_units=1, seed=0)
    batch = net.sample(16, length=8, seed=1)
    model = Net(nn.GRU(batch.inputs.shape[-1], 3, batch_first=True), sum(spec.size for spec in batch.target_specs))
    with pytest.raises(InputError, match=r"^variable=i: GRU has h r z n$"):
        lp.ablate_units(model, batch, variable="i", bootstrap=5)
    for asked, told in (("c", "h"), ("h", "h"), ("z", "z")):
        assert set(lp.ablate_units(model, batch, variable=asked, bootstrap=5).variable) == {told}


def batch_of(n=48, time=8):
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=0, seed=0)
    return net.sample(n, length=time, seed=0)


def model_of(module, batch):
    """A model that does what is asked of it, as that is what it does."""
    torch.manual_seed(5)
    model = Net(module.to(batch.inputs.dtype), 2).to(batch.inputs.dtype).eval()
    with torch.no_grad():
        targets = {"y": model(batch.inputs)}
    return model, replace(batch, targets=targets, target_specs=(Target("y", size=2),), scored={})


@pytest.mark.parametrize("name", list(by_hand.STEPS))
@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_another_memory_after_a_step_is_that_of_a_loop(name, layers):
    """The step is taken once more with the memory in its place; all later steps go on from there."""
    batch = batch_of()
    torch.manual_seed(2)
    two = layers == 2
    batch = replace(batch, inputs=batch.inputs.double())
    module = GatedRNN(batch.inputs.shape[-1], 4, layers, batch_first=True, cell=name, bidirectional=two)
    model, batch = model_of(module, batch)
    cell = get_cell(name)
    put = torch.randn(len(batch), 8, 4, dtype=torch.float64)

    def edit(at):
        if (at.layer, at.direction) != (layers - 1, "forward" if layers == 1 else "reverse"):
            return at.same
        memory = at.memory.clone()
        memory[:, 1] = put[at.sequences, at.step, 1]
        return at.with_memory(memory)

    editing = Editing(model, batch)
    assert editing.resumes == (layers == 1)
    got = editing.outputs(edit, [3, 5]).outputs
    n = [8] * 5

    def after(layer, side, s, t, x, before, new):
        if t not in (3, 5) or (layer, side) != (layers - 1, layers - 1):
            return new

        def held(v, value):
            if v == cell.memory:
                value = value.clone()
                value[1] = put[s, t, 1]
            return value

        w = {key.removesuffix(f"_l{layer}" + "_reverse" * side): v for key, v in module.named_parameters()
             if key.endswith(f"_l{layer}" + "_reverse" * side)}  # fmt: skip
        return by_hand.STEPS[name][0](w, x, before, held)

    start = tuple(one.double() for one in cell.start(batch.inputs, (layers * layers, 5, 4)))
    want = model.out(by_hand.run(name, module, batch.inputs[:5], n, start, None, after)[0])
    torch.testing.assert_close(got[:5], want, rtol=0, atol=1e-11)
    assert float((got - editing.intact.outputs).abs().max()) > 1e-4
    if editing.resumes:
        short = editing.outputs(edit, [3, 5], until=7).outputs[:, :7]
        torch.testing.assert_close(short, got[:, :7], rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def twins():
    """The same network as an nn.LSTM and as a GatedRNN of LSTMs."""
    batch = batch_of(64, 10)
    torch.manual_seed(7)
    fused = nn.LSTM(batch.inputs.shape[-1], 4, 2, batch_first=True)
    stepped = GatedRNN(batch.inputs.shape[-1], 4, 2, batch_first=True, cell="lstm")
    stepped.load_state_dict(fused.state_dict())
    model, learned = model_of(fused, batch)
    return model, model_of(stepped, batch)[0], learned


ASKED = {
    "ablate_units": lambda model, batch: lp.ablate_units(model, batch, bootstrap=20),
    "ablate_units of f": lambda model, batch: lp.ablate_units(model, batch, variable="f", mode="resample", bootstrap=5),
    "ablate_sets": lambda model, batch: lp.ablate_sets(model, batch, [[(0, 0), (1, 1)]], mode="zero", bootstrap=20),
    "needed_sets": lambda model, batch: lp.needed_sets(model, batch, bootstrap=20),
    "sufficient_units": lambda model, batch: lp.sufficient_units(model, batch, keep=0.5, orders=0, bootstrap=10),
    "compare_modes": lambda model, batch: lp.compare_modes(model, batch, bootstrap=10),
    "unit_pairs": lambda model, batch: lp.unit_pairs(model, batch, units=[(0, 0), (0, 1), (1, 2)], bootstrap=5),
    "unit_shares": lambda model, batch: lp.unit_shares(model, batch, pairs=2),
    "patch_units": lambda model, batch: lp.patch_units(model, batch, after=(1, 2)),
    "patch_directions": lambda model, batch: lp.patch_directions(model, batch, after=(1, 2)),
    "erase_signals": lambda model, batch: lp.erase_signals(model, batch, variable="both", controls=2, bootstrap=10),
    "steer": lambda model, batch: lp.steer(model, batch, after=(1, 2), controls=2, bootstrap=10),
    "memory_flow": lambda model, batch: lp.memory_flow(model, batch, batch.signals, bootstrap=10),
}  # fmt: skip


@pytest.mark.parametrize("asked", list(ASKED))
def test_a_table_of_an_lstm_by_its_step_is_that_of_pytorchs(twins, asked):
    fused, stepped, batch = twins
    one, other = ASKED[asked](fused, batch), ASKED[asked](stepped, batch)
    assert len(one)
    numbers = [name for name in one if one[name].dtype.kind == "f" and name not in ("p_value",)]
    for name in numbers:
        torch.testing.assert_close(torch.tensor(one[name].to_numpy()), torch.tensor(other[name].to_numpy()),
                                   rtol=2e-3, atol=2e-3, equal_nan=True)  # fmt: skip
    pandas.testing.assert_frame_equal(one.drop(columns=numbers), other.drop(columns=numbers), check_dtype=False)


@pytest.mark.parametrize("name", list(by_hand.STEPS))
def test_everything_is_asked_of_every_cell(name):
    batch = batch_of(64, 10)
    torch.manual_seed(7)
    model, batch = model_of(GatedRNN(batch.inputs.shape[-1], 4, 2, batch_first=True, cell=name), batch)
    memory = get_cell(name).memory
    for asked, run in ASKED.items():
        if asked in ("ablate_units of f", "needed_sets"):
            continue
        table = run(model, batch)
        assert len(table)
        if "variable" in table:
            assert set(table["variable"]) == {"both" if asked == "erase_signals" and memory != "h" else memory}
        if asked.startswith("patch"):
            assert table.attrs["spliced"]


def test_a_layer_that_reads_backward_is_patched_where_it_reads():
    """The same network on reversed sequences: what moves there moves here, the other way round."""
    batch = batch_of(48, 8)
    torch.manual_seed(4)
    tables = []
    forward = GatedRNN(batch.inputs.shape[-1], 3, batch_first=True, cell="gru")
    for module, inputs in (
        (forward, batch.inputs.flip(1)),
        (GatedRNN(batch.inputs.shape[-1], 3, batch_first=True, cell="gru", backward=True), batch.inputs),
    ):
        module.load_state_dict(forward.state_dict())
        model, own = model_of(module, replace(batch, inputs=inputs, signals={}))
        back = module is not forward
        donors = (torch.arange(48) + 1) % 48
        tables.append(lp.patch_units(model, own, steps=[3 + back], after=(1,), donors=donors.numpy(), signals={}))
    assert set(tables[1].direction) == {"reverse"}
    assert tables[0].moved.tolist() == pytest.approx(tables[1].moved.tolist(), abs=1e-4)
