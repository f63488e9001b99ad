"""Memories of other cells as they were wired by hand, by whatever module runs them, and in the cells' own words."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from torch import nn

import lstm_probe as lp
from lstm_probe.cells.known import NAMES, get_cell
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.flow_words import flow_rows, flow_sentences
from tests.dynamics.test_flow_cells import AFTER, BOTH, PLAIN, ROWS, N, Net, batch_of, net_of, rows_of
from tests.handmade import OPEN, counting_batch


def as_gru(layer):
    """Unit 1 is a latch: set and reset let everything go and write ± tanh(1.5); unit 0 has biases alone."""
    with torch.no_grad():
        for name, values in layer.named_parameters():
            values.uniform_(-0.5, 0.5)
            values[1::2] = 0
            if name.startswith("weight"):
                values[::2] = 0
        z, n = 3, 5  # the rows of unit 1 of two, in blocks r z n
        layer.bias_ih_l0[z] = OPEN
        layer.weight_ih_l0[z, 2:] = -2 * OPEN
        layer.weight_ih_l0[n, 2:] = torch.tensor([1.5, -1.5])
    return layer


def latched(layer):
    torch.manual_seed(1)
    model = Stepless(layer)
    with torch.no_grad():
        model.readout.weight.copy_(torch.tensor([[0.3, 0.0], [0.0, 2.0]]))
    names = ["up", "down", "set", "reset"]
    return lp.memory_flow(model, counting_batch(1, 200), input_names=names, after=(1, 5, 8), bootstrap=100)


class Stepless(nn.Module):
    """For sequences that are all whole."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.readout = layer, nn.Linear(layer.hidden_size, 2)

    def forward(self, x):
        return self.readout(self.layer(x)[0])


class Stepwise(nn.Module):
    """The same by a cell that is called for each step."""

    def __init__(self, cell, readout):
        super().__init__()
        self.cell, self.readout = cell, readout

    def forward(self, x):
        state, shown = None, []
        for step in x.unbind(1):
            state = self.cell(step) if state is None else self.cell(step, state)
            shown.append(self.readout(state))
        return torch.stack(shown, 1)


@pytest.mark.parametrize("kind", ["nn", "gru"])
def test_a_latch_of_a_gru_is_written_held_and_read_as_it_was_wired(kind):
    whole = {"input_size": 4, "hidden_size": 2, "batch_first": True}
    table = latched(as_gru(nn.GRU(**whole) if kind == "nn" else lp.GatedRNN(**whole, cell="gru")))
    written = rows_of(table, "write", 1, (0, "forward"))
    assert list(written.index[written["confirmed"].fillna(value=False)]) == ["set", "reset"]
    for name, sign in (("set", 1), ("reset", -1)):
        row = written.loc[name]
        assert row["written"] == pytest.approx(sign * math.tanh(1.5), abs=1e-6)
        assert row[["kept", "slope"]].tolist() == pytest.approx([0, 0], abs=1e-6)
        assert math.isnan(row["f"]) and math.isnan(row["i"]) and math.isnan(row["g"])
    # one of both finds each latch so already; the other turns it from one end to the other
    assert written.loc[["set", "reset"], "effect"].sum() == pytest.approx(2 * math.tanh(1.5), rel=1e-5)
    assert written.loc["nothing", "kept"] == 1
    held = rows_of(table, "hold", 1, (0, "forward")).set_index("lag")
    assert np.allclose(held["effect"], 1) and (held["gate_alone"] == 1).all() and held["confirmed"].all()
    assert (held["kept"] == 1).all() and (held["tau_forget"] == math.inf).all()
    read = rows_of(table, "read", 1, (0, "forward"))
    assert read.loc["output latch", "weight"] == pytest.approx(2, rel=1e-5)
    assert read.loc["output count", "effect"] == pytest.approx(0, abs=1e-5)
    assert read.loc["output latch", "share"] == pytest.approx(1, rel=1e-5)
    assert not read.loc[[f"unit 1 {gate}" for gate in "rzn"], "effect"].any()  # it does not hear itself
    said = list(flow_sentences(table[table["unit"] == 1], None))
    by = sorted(said[0].removeprefix("Written by ").split("; ")[0].split(" and "))
    assert by == ["reset (−0.91, z 0.00)", "set (+0.91, z 0.00)"]
    assert said[1:] == [
        "Held: without these its update gate is 1.00, and of another sequence's value 1.00 is left after 8 steps, as "
        "that gate alone would leave (1.00).",
        "Read by output latch (1.00 of its variance).",
    ]
    assert list(flow_sentences(table[table["unit"] == 0], None))[2] == (
        "Who reads it was not shown: at the steps looked at, its value is the same in all sequences."
    )
    assert flow_rows(table).set_index("unit").loc["1", ["kept", "left", "gate_alone"]].tolist() == [1, 1, 1]


def test_what_a_plain_network_holds_it_rewrites():
    """Unit 1 rests at two values, as h = tanh(2 h) has them; its own step keeps nothing."""
    layer = nn.RNN(4, 2, batch_first=True)
    with torch.no_grad():
        for values in layer.parameters():
            values.uniform_(-0.5, 0.5)
            values[1] = 0
        layer.weight_hh_l0[1, 1] = 2
        layer.weight_ih_l0[1, 2:] = torch.tensor([6.0, -6.0])
    table = latched(layer)
    rest = 0.9575040240772688  # = tanh(2 rest)
    assert math.tanh(2 * rest) == pytest.approx(rest)
    written = rows_of(table, "write", 1, (0, "forward"))
    assert list(written.index[written["confirmed"].fillna(value=False)]) == ["set", "reset"]
    assert (written["kept"] == 0).all()
    assert written.loc["set", "written"] == pytest.approx(1, abs=0.01)
    held = rows_of(table, "hold", 1, (0, "forward")).set_index("lag")
    assert np.allclose(held["effect"], 1, atol=0.1) and (held["gate_alone"] == 0).all()
    assert not held["confirmed"].any() and held["tau_forget"].isna().all()
    read = rows_of(table, "read", 1, (0, "forward"))
    assert read.loc["unit 1 h", "confirmed"] and read.loc["unit 1 h", "lag"] == 1
    held_words = list(flow_sentences(table[table["unit"] == 1], None))[1]
    assert held_words.startswith("Held: without these a step keeps 0.00 of it, but of another sequence's value ")
    assert held_words.endswith(" is left after 8 steps, where that alone would leave 0.00: it rewrites itself.")


def test_of_two_that_hold_a_value_for_each_other_neither_rewrites_itself():
    """Each reads the other, and itself so weakly that nothing would last: what is exchanged comes back after two."""
    layer = nn.RNN(4, 2, batch_first=True)
    with torch.no_grad():
        for values in layer.parameters():
            values.zero_()
        layer.weight_hh_l0.copy_(torch.tensor([[0.8, 2.0], [2.0, 0.8]]))
        layer.weight_ih_l0[:, 2:] = torch.tensor([6.0, -6.0])
    table = latched(layer)
    for unit in (0, 1):
        own = table[table["unit"] == unit]
        assert rows_of(table, "read", unit, (0, "forward")).loc[f"unit {unit} h", "confirmed"]  # it hears itself
        held = rows_of(table, "hold", unit, (0, "forward")).set_index("lag")["effect"]
        assert held[1] < 0.1 and held[8] > 0.5
        assert list(flow_sentences(own, None))[1].endswith("alone would leave 0.00: others write it again.")


def test_what_has_no_forget_gate_keeps_all():
    """A unit adds 0.05 for an up and takes 0.05 off for a down, for ever."""
    layer = lp.GatedRNN(4, 2, batch_first=True, cell="lstm_no_forget")
    with torch.no_grad():
        for values in layer.parameters():
            values.zero_()
        layer.bias_ih_l0[[1, 5]] = OPEN  # blocks i g o
        layer.weight_ih_l0[3, :2] = torch.atanh(torch.tensor([0.05, -0.05]))
    table = latched(layer)
    written = rows_of(table, "write", 1, (0, "forward"))
    assert list(written.index[written["confirmed"].fillna(value=False)]) == ["up", "down"]
    assert written.loc[["up", "down"], "signed"].tolist() == pytest.approx([0.05, -0.05], rel=1e-4)
    assert written.loc[["up", "down"], "written"].tolist() == pytest.approx([0.05, -0.05], rel=1e-4)
    assert written["f"].isna().all() and (written["kept"] == 1).all()
    held = rows_of(table, "hold", 1, (0, "forward")).set_index("lag").dropna(subset=["effect"])
    assert len(held) and np.allclose(held["effect"], 1, atol=1e-4) and (held["gate_alone"] == 1).all()
    said = list(flow_sentences(table[table["unit"] == 1], None))
    assert "a step keeps 1.00 of it, and of another sequence's value 1.00 is left" in said[1]
    assert said[1].endswith("as that alone would leave (1.00).")


def alike(one, other, atol=1e-9):
    numbers = one.select_dtypes("float64").columns
    assert np.allclose(one[numbers].astype(float), other[numbers].astype(float), rtol=0, atol=atol, equal_nan=True)
    pd.testing.assert_frame_equal(one.drop(columns=numbers), other.drop(columns=numbers))
    assert one.attrs == other.attrs


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "rnn_relu"])
def test_pytorchs_own_layers_and_cells_say_the_same(name):
    made = {"lstm": nn.LSTM, "gru": nn.GRU}.get(name, nn.RNN)
    more = {"nonlinearity": "relu"} if name == "rnn_relu" else {}
    batch = batch_of(3)
    for shape in (PLAIN, BOTH, {"bias": False}):
        stepped = net_of(name, shape)
        fused = Net(made(3, 3, batch_first=True, **shape, **more))
        fused.load_state_dict(stepped.state_dict())
        alike(*(lp.memory_flow(net, batch, after=AFTER, bootstrap=5) for net in (stepped, fused)))
    if name == "lstm":
        return
    whole = Batch(batch.inputs, batch.targets, batch.target_specs, torch.full((N,), 7), {})
    model = Stepless(net_of(name).layers).double()
    cell = {"gru": nn.GRUCell, "rnn": nn.RNNCell}.get(name, nn.RNNCell)(3, 3, **more).double()
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in model.layer.state_dict().items()})
    alike(*(lp.memory_flow(net, whole, after=AFTER, bootstrap=5) for net in (model, Stepwise(cell, model.readout))))


def test_what_no_gate_keeps_and_bends_is_not_told():
    """A cell whose memory is squashed: no share of it goes on, and none is said to."""

    def step(w, read, state, see):
        n = see("n", torch.tanh(read + state["h"] @ w["weight_hh"].T))
        return {"h": see("h", torch.tanh(2 * state["h"] + n))}

    variables = (lp.Variable("h", "memory: what it shows", "output"), lp.Variable("n", "input: what comes", "input"))
    bent = lp.Cell("tests:BENT", "bent", variables, ("n",), step)
    table = lp.memory_flow(Net(lp.GatedRNN(3, 3, batch_first=True, cell=bent)), batch_of(), after=AFTER, bootstrap=20)
    held = table[table["link"] == "hold"]
    assert held["effect"].notna().any()
    assert held[["kept", "gate_alone", "confirmed", "tau_forget"]].isna().all().all()
    assert table["written"].isna().all()
    for _, own in table.groupby("unit"):
        own.attrs = table.attrs
        said = list(flow_sentences(own, None))
        assert (
            said[1].startswith("Held: ") and said[1].endswith("is left after 2 steps.") and "nan" not in " ".join(said)
        )
    assert len(lp.figures.memory_flow(table).axes) == 9


@pytest.mark.parametrize("name", NAMES)
def test_words_are_of_the_cell(name):
    table = lp.memory_flow(net_of(name), batch_of(), after=AFTER, bootstrap=20)
    cell = get_cell(name)
    assert table.attrs["keeps"] == (cell.keeps or "")
    assert set(table.attrs["makes"]) == set(ROWS.get(name, "ifgo")) - {"o"}
    said = " ".join(line for _, own in table.groupby("unit") for line in flow_sentences(own, None))
    assert "a step keeps" in said if cell.keeps is None else f"its {cell.word(cell.keeps)} is" in said
    if "f" not in cell.names:
        assert "forget" not in said
    words = "".join(text.get_text() for text in lp.figures.memory_flow(table).findobj(Text))
    assert f"change of {cell.memory}" in words
    assert ("forget gate" in words) == (cell.keeps == "f")


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_rounding_is_no_difference_of_sequences(kind):
    """Units that hear nothing are the same in all sequences, by whatever kernel they are run."""
    torch.manual_seed(1)
    layer = kind(4, 6, batch_first=True)
    with torch.no_grad():
        for name, values in layer.named_parameters():
            if name.startswith("weight"):
                values[::2] = 0
            else:
                values.normal_(0, 1.5)
    table = lp.memory_flow(Stepless(layer), counting_batch(1, 300), units=[0, 1, 2, 4], bootstrap=10)
    for unit, own in table.groupby("unit"):
        assert own.loc[own["link"] == "hold", "effect"].isna().all() == (unit != 1)
        assert (own.loc[own["link"] == "read", "n"] == 0).all() == (unit != 1)
