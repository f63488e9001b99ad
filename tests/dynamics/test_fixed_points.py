"""Fixed points of networks in modules, against long runs of the modules themselves and answers that are known."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.fixed_points import COLUMNS, found_once
from lstm_probe.findings.fixed_points import fixed_point_sentences, point_rows
from tests.handmade import OPEN, flipflops

FEW = {"starts": 200, "states": 300}


def flipflop_batch(bits=2, n=60, length=20, seed=0):
    return lp.get_task("flipflop", bits=bits, length=length).sample(n, seed)


def run_itself(model, batch, steps):
    """Where the LSTM of a SequenceModel gets to in so many steps without input after each sequence, float64."""
    lstm = copy.deepcopy(model.lstm).double()
    with torch.no_grad():
        _, state = lstm(batch.inputs.double())
        h, state = lstm(torch.zeros(len(batch), steps, batch.inputs.shape[-1], dtype=torch.float64), state)
    return h, state


def vectors(table, kind=None):
    own = table if kind is None else table[table["kind"] == kind]
    return np.array([[*h, *c] for h, c in zip(own["h"], own["c"])])


@pytest.mark.parametrize(("layers", "units"), [(1, 3), (2, 4)])
def test_the_attractors_are_where_the_module_itself_ends_and_stays(layers, units):
    model, batch = flipflops(2, units, layers, seed=1).eval(), flipflop_batch()
    before = copy.deepcopy(model.state_dict())
    table = lp.fixed_points(model, batch, **FEW, run="r", task="t", seed=4)
    assert list(table.columns) == list(COLUMNS) and (table["run"] == "r").all() and (table["seed"] == 4).all()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    found = vectors(table, "attractor")
    assert len(found) == 4 and table["residual"].max() <= 1e-12
    _, (h, c) = run_itself(model, batch, 600)
    ends = torch.cat([*h, *c], dim=1).numpy()
    apart = np.linalg.norm(ends[:, None] - found[None], axis=2)
    assert apart.min(1).max() < 1e-9 and set(apart.argmin(1)) == set(range(4))
    wide = units * layers
    lstm = copy.deepcopy(model.lstm).double()
    points = torch.tensor(found)
    state = tuple(part.unflatten(1, (layers, units)).transpose(0, 1).contiguous() for part in points.split(wide, dim=1))
    with torch.no_grad():
        _, after = lstm(torch.zeros(4, 1000, 2, dtype=torch.float64), state)
    assert max(float((one - other).abs().max()) for one, other in zip(after, state)) < 1e-9


def test_each_attractor_stands_for_its_bits_and_saddles_lie_between():
    model, batch = flipflops(2, 3, seed=1).eval(), flipflop_batch()
    table = lp.fixed_points(model, batch, **FEW)
    corners = {f"bit0={a} bit1={b}" for a in (0, 1) for b in (0, 1)}
    assert set(table.loc[table["kind"] == "attractor", "signals"]) == corners
    assert dict(table["n_unstable"].value_counts()) == {0: 4, 1: 4, 2: 1}  # corners, edges and the middle of a square
    for _, row in table[table["kind"] == "attractor"].iterrows():
        signs = [int(part[-1]) * 2 - 1 for part in row["signals"].split()]
        assert (np.sign(row["outputs"]) == signs).all() and row["agreement"] == 1
        shown = model.readout(torch.tensor(row["h"]).float()).tolist()
        assert row["outputs"] == pytest.approx(shown, abs=1e-6)
        assert row["time_constant"] == pytest.approx(-1 / math.log(row["eigenvalue"]))
    assert (table.loc[table["kind"] == "saddle", "signals"] == "").all() and table["share"].sum() == pytest.approx(1)
    about = table.attrs["inputs"][0]
    assert about["ended"] == about["attractors"] == 1 and about["index"] == 1 and about["states"] == 300
    assert about["codes"] == dict.fromkeys(corners, 1.0)
    assert list(fixed_point_sentences(table)) == [
        "4 attractors (stable fixed points) under no input.",
        "All 4 combinations of bit0, bit1 that came are kept for 1,000 steps.",
        "100 % of 300 states of the data end at one of these within 1,000 steps.",
        "5 saddles lie between. All fixed-point indices add up to 1, as they do where none is missing.",
    ]
    assert list(point_rows(table)["point"]) == [0, 1, 2, 3]


def test_a_bit_that_is_not_held_is_named():
    """Bit 1 falls back to +1 where nothing comes."""
    model, batch = flipflops(2, 3, seed=1).eval(), flipflop_batch()
    with torch.no_grad():
        model.lstm.weight_hh_l0[6 + 1, 1] = 2.0
        model.lstm.bias_ih_l0[6 + 1] = 1.2
    table = lp.fixed_points(model, batch, **FEW)
    own = table[table["kind"] == "attractor"]
    assert sorted(own["signals"]) == ["bit0=0 bit1=1", "bit0=1 bit1=1"]
    assert own["agreement"].tolist() == pytest.approx([0.5, 0.5], abs=0.15)
    codes = table.attrs["inputs"][0]["codes"]
    assert [codes[f"bit0={a} bit1={b}"] for b in (1, 0) for a in (0, 1)] == [1, 1, 0, 0]
    said = " ".join(fixed_point_sentences(table))
    assert "2 of the 4 combinations of bit0, bit1 that came are kept for 1,000 steps; not kept: bit0=0 bit1=0" in said


def test_a_planted_latch_is_neutral_a_counter_moves_on_and_parity_goes_round():
    latch = lp.planted.latch()
    table = lp.fixed_points(latch.model, latch.sample(40, 30), **FEW)
    assert set(table["kind"]) == {"neutral"} and set(table["signals"]) == {"latch=0", "latch=1"}
    about = table.attrs["inputs"][0]
    assert about["ended"] == 1 and about["attractors"] == 0 and about["left_out"] > 50 and math.isnan(about["index"])
    assert "2 neutral fixed points, and" in " ".join(fixed_point_sentences(table))
    counter = lp.planted.counter()
    table = lp.fixed_points(counter.model, counter.sample(40, 30), inputs=torch.tensor([[1, 0], [0, 0]]), **FEW)
    up, none = table.attrs["inputs"]
    assert up["grows"] == 1 and up["ended"] == 0 and not (table["input"] == 0).any() and none["ended"] > 0.9
    said = list(fixed_point_sentences(table))
    assert said[0] == "No attractor (stable fixed point) was found under the constant input (1, 0)."
    assert "100 % have not come to rest, and move away as fast as ever." in said
    parity = lp.planted.parity()
    table = lp.fixed_points(parity.model, parity.sample(40, 30), inputs=[1.0], **FEW)
    about = table.attrs["inputs"][0]
    assert about["cycles"] == 1 and about["periods"] == [2] and table["kind"].tolist() == ["saddle"]
    assert "100 % go round in cycles of 2 steps." in list(fixed_point_sentences(table))


class Wrapped(nn.Module):
    """A recurrent layer behind an embedding, packed or not, as somebody's own module has it."""

    def __init__(self, rnn, packed=False, width=2):
        super().__init__()
        self.front, self.rnn, self.back = nn.Linear(width, rnn.input_size), rnn, nn.Linear(rnn.hidden_size, 1)
        self.packed = packed

    def forward(self, inputs, lengths):
        x = self.front(inputs)
        if not self.packed:
            return self.back(self.rnn(x)[0])
        made = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0]
        return self.back(pad_packed_sequence(made, batch_first=True, total_length=inputs.shape[1])[0])


def sequences(width=2, n=30, time=12):
    rng = torch.Generator().manual_seed(0)
    lengths = torch.randint(4, time + 1, (n,), generator=rng)
    targets = {"y": torch.zeros(n, time, 1)}
    return Batch(torch.randn(n, time, width, generator=rng), targets, (lp.Target("y"),), lengths, {})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "tanh", "relu"])
def test_layers_in_modules_of_ones_own(kind, packed):
    torch.manual_seed(3)
    make = nn.LSTM if kind == "lstm" else lambda *sizes, **more: nn.RNN(*sizes, nonlinearity=kind, **more)
    model = Wrapped(make(3, 4, 2, batch_first=True), packed)
    table = lp.fixed_points(model, sequences(), **FEW)
    own = table.attrs["inputs"][0]
    assert len(table) == 1 and table["share"].tolist() == [1] and not own["own_inputs"] and own["states"] > 100
    said = next(fixed_point_sentences(table))
    assert said.endswith("under an input of 0 to the recurrent layer, which no input to the model is.")
    h = torch.tensor(table["h"].iloc[0])[-4:].float()
    assert table["outputs"].iloc[0] == pytest.approx(model.back(h).tolist(), abs=1e-6)
    assert len(table["c"].iloc[0]) == (8 if kind == "lstm" else 0)


def test_a_cell_in_a_loop_is_found_too():
    class Loop(nn.Module):
        def __init__(self, cell):
            super().__init__()
            self.cell, self.back = cell, nn.Linear(4, 1)

        def forward(self, inputs):
            state, shown = None, []
            for x in inputs.unbind(1):
                state = self.cell(x, state)
                shown.append(state[0] if isinstance(state, tuple) else state)
            return self.back(torch.stack(shown, dim=1))

    torch.manual_seed(0)
    for cell in (nn.LSTMCell(2, 4), nn.RNNCell(2, 4)):
        model = Loop(cell)
        table = lp.fixed_points(model, sequences(), **FEW)
        assert len(table) == 1 and table["share"].tolist() == [1] and table.attrs["inputs"][0]["own_inputs"]
        h = torch.tensor(table["h"].iloc[0]).float()
        assert table["outputs"].iloc[0] == pytest.approx(model.back(h).tolist(), abs=1e-6)


def test_without_sequences_states_are_drawn():
    torch.manual_seed(0)
    lstm = nn.LSTM(2, 3)
    with torch.no_grad():
        lstm.bias_ih_l0[3:6] += 2
        lstm.weight_hh_l0 *= 8
    table = lp.fixed_points(lstm, inputs=[0.5, -1], **FEW)
    about = table.attrs["inputs"][0]
    assert about["drawn"] and about["input"] == [0.5, -1] and about["index"] == 1 and about["ended"] == 1
    assert table["distance"].isna().all() and not table["far"].any() and (table["signals"] == "").all()
    assert "states drawn at random" in " ".join(fixed_point_sentences(table))
    assert vectors(lp.fixed_points(lstm, inputs=[0.5, -1], **FEW)).tolist() == vectors(table).tolist()


def test_a_projection_shortens_h():
    torch.manual_seed(0)
    table = lp.fixed_points(nn.LSTM(2, 5, 2, proj_size=2), **FEW)
    assert len(table["h"].iloc[0]) == 4 and len(table["c"].iloc[0]) == 10 and table["residual"].max() < 1e-12


def test_far_points_are_told_and_kept():
    """A counter that leaks a little comes to rest, without input, at 0, and under one constant input far away."""
    model = flipflops(1, 2, seed=0).eval()
    with torch.no_grad():
        lstm = model.lstm
        lstm.weight_ih_l0[:, 0], lstm.weight_hh_l0[:] = 0, 0
        lstm.bias_ih_l0[[0, 6]] = OPEN
        lstm.bias_ih_l0[2] = math.log(0.99 / 0.01)
        lstm.weight_ih_l0[4, 0] = 0.05
    batch = flipflop_batch(1)
    near, far = (lp.fixed_points(model, batch, inputs=[x], **FEW).iloc[0] for x in (0.0, 1.0))
    assert not near["far"] and far["far"] and far["c"][0] == pytest.approx(math.tanh(0.05) / 0.01, rel=1e-6)


def test_the_table_is_the_same_from_a_file_and_only_made_once(tmp_path):
    model, batch = flipflops(2, 3, seed=1).eval(), flipflop_batch()
    with found_once():
        table = lp.fixed_points(model, batch)
        space = lp.state_space(model, batch, sequences=3)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    again = pd.read_parquet(tmp_path / "t.parquet")
    assert np.array_equal(vectors(again), vectors(table)) and list(fixed_point_sentences(again)) == list(
        fixed_point_sentences(table)
    )
    points = space[space["kind"] != "path"]
    assert points["signals"].tolist() == table["signals"].tolist() and points["kind"].tolist() == table["kind"].tolist()


def test_bad_input_is_told_in_a_sentence():
    lstm = nn.LSTM(3, 2)
    for inputs, told in (
        (
            [1.0, 2.0],
            r"inputs: of shape \(2,\); the recurrent layer receives 3 numbers at a step, so it must be",
        ),
        (np.zeros((2, 4)), r"inputs: of shape \(2, 4\)"),
        (np.zeros((0, 3)), r"inputs: of shape \(0, 3\)"),
        (["a", "b", "c"], r"inputs: must be numbers, \(3\) or \(input, 3\)"),
        ([1, math.nan, 0], "inputs: must be finite"),
    ):
        with pytest.raises(lp.InputError, match=told):
            lp.fixed_points(lstm, inputs=inputs)
    with pytest.raises(lp.InputError, match=r"starts=0: must be a whole number from 1\.\nsteps=0: must be a whole"):
        lp.fixed_points(lstm, starts=0, steps=0)
    with pytest.raises(lp.InputError, match="is bidirectional: it reads from both ends"):
        lp.fixed_points(nn.LSTM(3, 2, bidirectional=True))
    with pytest.raises(lp.InputError, match=r"Linear: holds no nn\.LSTM, nn\.GRU, nn\.RNN, cell of these or"):
        lp.fixed_points(nn.Linear(3, 2))
    with pytest.raises(lp.InputError, match="the model holds 2 recurrent layers: choose one of 0, 1"):
        lp.fixed_points(nn.Sequential(nn.RNN(2, 2), nn.RNN(2, 2)))
    with pytest.raises(lp.InputError, match="layer=lst: there is no such part"):
        lp.fixed_points(flipflops(1, 2), layer="lst")
    with pytest.raises(lp.InputError, match="sequences=-1: must be a whole number from 0"):
        lp.state_space(flipflops(1, 2), flipflop_batch(1), sequences=-1)


def test_a_plain_layer_that_does_something_else_is_refused():
    class Other(nn.RNN):
        def forward(self, *given):
            shown, last = super().forward(*given)
            return shown * 1.1, last

    with pytest.raises(lp.InputError, match="Other returned something else than its weights make of its inputs"):
        lp.fixed_points(Wrapped(Other(3, 4, batch_first=True)), sequences(), **FEW)


def test_of_a_saddle_that_lies_between_nothing_that_is_not_said():
    """One unit that forgets everything, h' = tanh(tanh(−5 h)): 0 repels, and every state goes round in a cycle of 2."""
    model = lp.SequenceModel(1, 1, 1, seed=0)
    with torch.no_grad():
        for values in model.parameters():
            values.zero_()
        model.lstm.bias_ih_l0[:] = torch.tensor([OPEN, -OPEN, 0.0, OPEN])
        model.lstm.weight_hh_l0[2, 0] = -5.0
        model.lstm.weight_ih_l0[2, 0] = 0.5
    inputs = torch.linspace(-1, 1, 120).reshape(20, 6, 1)
    batch = Batch(inputs, {"y": inputs}, (lp.Target("y"),), torch.full((20,), 6), {})
    said = list(fixed_point_sentences(lp.fixed_points(model, batch, **FEW)))
    assert "100 % go round in cycles of 2 steps." in said
    assert said[-1] == "1 saddle. All fixed-point indices add up to 1, as they do where none is missing."
