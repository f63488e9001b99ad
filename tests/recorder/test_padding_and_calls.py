"""Where padding stands, which calls continue one another, what is handed in, and what a module keeps."""

import logging
from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.backward import BackwardLSTM


def lstm(**options):
    torch.manual_seed(0)
    return nn.LSTM(3, 4, batch_first=True, **options)


class Outer(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)[0]


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_lengths_only_mask(options):
    """What the module did not pack was read to its end, padding and all, in both directions."""
    net, x = Outer(lstm(**options)), torch.randn(5, 9, 3)
    lengths = torch.tensor([9, 5, 1, 7, 3])
    rec, whole, h = lp.record(net, x, lengths=lengths), lp.record(net, x), net(x).detach()
    top = rec.config.layers - 1
    shown = [rec[top, direction].h for direction in ("forward", "reverse")[: 1 + net.rnn.bidirectional]]
    torch.testing.assert_close(torch.cat(shown, -1)[rec.mask], h[rec.mask], rtol=0, atol=1e-6)
    for part in rec:
        for v in "hcifgo":
            assert torch.equal(part[v], whole[part.layer, part.direction][v])
    assert torch.equal(rec.lengths, lengths)


@pytest.mark.parametrize("how", ["padding", "mask", "numpy mask"])
def test_padding_in_front(how):
    net, x, lengths = Outer(lstm()), torch.randn(4, 6, 3), torch.tensor([6, 2, 5, 1])
    real = torch.arange(6) >= 6 - lengths.unsqueeze(1)
    told = {"padding": {"lengths": lengths, "padding": "left"}, "mask": {"mask": real},
            "numpy mask": {"mask": real.numpy()}}[how]  # fmt: skip
    rec, h = lp.record(net, x, **told), net(x).detach()
    for k, n in enumerate(lengths):
        torch.testing.assert_close(rec.h[k, :n], h[k, 6 - n :], rtol=0, atol=1e-6)
        torch.testing.assert_close(rec.inputs[k, :n], x[k, 6 - n :])
    with lp.recording(net, **told) as again:
        net(x)
    torch.testing.assert_close(again.c[rec.mask], rec.c[rec.mask])
    # Arrays of signals stand as the inputs do: what a unit holds is found in itself.
    signals = {"own": h[..., 2].numpy(), "label": np.arange(4)}
    many = {"own": np.tile(h[..., 2].numpy(), (10, 1))}
    wide = lp.record(net, x.repeat(10, 1, 1), lengths=lengths.repeat(10), padding="left", variables=("h",))
    table = lp.probe_units(wide, many, permutations=1, bootstrap=1, untrained=1).set_index("unit")
    assert table.effect[2] == pytest.approx(1, abs=1e-6) and len(signals) == 2


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"mask": torch.tensor([[1, 0, 1]] * 2)}, "real steps of sequence 0 are neither its first ones nor"),
        ({"mask": torch.tensor([[1, 1, 0], [0, 1, 1]])}, "some sequences are padded on the left"),
        ({"mask": torch.ones(3)}, r"must be \(sequence, time\)"),
        ({"mask": torch.ones(2, 3), "lengths": [3, 3]}, "lengths= was given, too"),
        ({"padding": "middle"}, "padding=middle: must be right or left"),
        ({"join": "space"}, "join=space: must be time"),
        ({"mask": torch.zeros(2, 3)}, "2 whole numbers from 1 to 3"),
    ],
)
def test_bad_padding(told, message):
    with pytest.raises(InputError, match=message):
        lp.record(lstm(), torch.zeros(2, 3, 3), **told)


class Siamese(Outer):
    def forward(self, x):
        return self.rnn(x)[0] - self.rnn(x.flip(0))[0]


class Chunks(Outer):
    def forward(self, x):
        h, state = self.rnn(x[:, :4])
        more, state = self.rnn(x[:, 4:5], tuple(one.clone() for one in state))
        return torch.cat([h, more, self.rnn(x[:, 5:], state)[0]], dim=1)


def test_two_calls_without_a_state_are_two_sets_of_sequences():
    net, x = Siamese(lstm()), torch.randn(3, 5, 3)
    rec, alone = (
        lp.record(net, x, lengths=[5, 2, 4]),
        lp.record(net.rnn, torch.cat([x, x])),
    )  # in the caller's order, both
    assert len(rec) == 6 and rec.lengths.tolist() == [5, 2, 4] * 2
    torch.testing.assert_close(rec.c, alone.c, rtol=0, atol=1e-6)
    assert lp.record(net, x, lengths=[5, 2, 4, 1, 1, 1]).lengths.tolist() == [5, 2, 4, 1, 1, 1]
    with pytest.raises(InputError, match='join="time": call 1 does not begin with the state in which call 0 ended'):
        lp.record(net, x, join="time")
    assert rec.check()["call"].nunique() == 2


def test_chunks_that_hand_their_state_on_are_one_sequence():
    net, x = Chunks(lstm(num_layers=2)), torch.randn(3, 9, 3)
    whole = lp.record(net.rnn, x)
    for rec in (lp.record(net, x), lp.record(net, x, join="time")):
        for layer in (0, 1):
            torch.testing.assert_close(rec[layer].c, whole[layer].c, rtol=0, atol=1e-6)
    rnn, state = lstm(), None
    with lp.recording(rnn, join="time") as joined:
        for piece in x.split(3, dim=1):
            _, state = rnn(piece, state)
    torch.testing.assert_close(joined.c, lp.record(rnn, x).c, rtol=0, atol=1e-6)
    with lp.recording(rnn) as apart:
        for piece in x.split(3, dim=1):
            _, state = rnn(piece, state)
    assert len(apart) == 9 and apart.c.shape[1] == 3
    batches = lp.record(Keeps(rnn), iter(x.split(3, dim=1)), join="time")
    torch.testing.assert_close(batches.c, joined.c, rtol=0, atol=1e-6)


def test_a_cell_outside_of_its_modules_forward():
    torch.manual_seed(0)
    net = nn.ModuleDict({"cell": nn.LSTMCell(3, 4), "out": nn.Linear(4, 2)})
    x, state = torch.randn(6, 2, 3), None
    with lp.recording(net) as rec, torch.no_grad():
        for step in x:
            state = net["cell"](step, state)
    whole = nn.LSTM(3, 4)
    whole.load_state_dict({f"{name}_l0": values for name, values in net["cell"].state_dict().items()})
    torch.testing.assert_close(rec.c, lp.record(whole, x).c, rtol=0, atol=1e-6)


def test_a_cell_that_reads_two_sets_by_turns_and_one_that_loses_rows():
    torch.manual_seed(0)
    cell, x = nn.LSTMCell(3, 4), torch.randn(6, 4, 3)
    one = other = None
    with lp.recording(cell) as rec, torch.no_grad():
        for step in x:
            one, other = cell(step, one), cell(2 * step, other)
    alone = [record_steps(cell, factor * x) for factor in (1, 2)]
    torch.testing.assert_close(rec.c, torch.cat(alone), rtol=0, atol=1e-6)
    lengths, state = [6, 5, 3, 1], None
    with lp.recording(cell) as shrinking, torch.no_grad():
        for t, step in enumerate(x):
            n = sum(length > t for length in lengths)
            state = cell(step[:n], None if state is None else (state[0][:n], state[1][:n]))
    assert shrinking.lengths.tolist() == lengths
    torch.testing.assert_close(shrinking.c[shrinking.mask], alone[0][shrinking.mask], rtol=0, atol=1e-6)


def record_steps(cell, x):
    state, out = None, []
    with torch.no_grad():
        for step in x:
            state = cell(step, state)
            out.append(state[1])
    return torch.stack(out, dim=1)


class Stack(nn.Module):
    """LSTMs of several sizes, as language models have them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rnns = nn.ModuleList([nn.LSTM(3, 5, batch_first=True), nn.LSTM(5, 2, batch_first=True)])

    def forward(self, x):
        for rnn in self.rnns:
            x, _ = rnn(x)
        return x


def test_several_lstms_in_one_pass():
    net, x = Stack(), torch.randn(2, 6, 3)
    every = lp.record(net, x, layer="all")
    assert list(every) == ["rnns.0", "rnns.1"]
    for name, rec in every.items():
        torch.testing.assert_close(rec.c, lp.record(net, x, layer=name).c)
    torch.testing.assert_close(every["rnns.1"].inputs, every["rnns.0"].h)
    assert list(lp.record(net, x, layer=["rnns.1"])) == ["rnns.1"]
    with pytest.raises(InputError, match=r"layer=rnns: it is a ModuleList; there are rnns\.0, rnns\.1"):
        lp.record(net, x, layer=["rnns"])


def test_what_is_handed_in():
    net, x = lstm(bidirectional=True), torch.randn(4, 6, 3)
    rec = lp.record(net, x)
    parts = ("forward", "reverse")
    for given in (x.numpy(), x.double().numpy(), iter(x.split(2)), torch.utils.data.DataLoader(x, 2),
                  torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), 3)):  # fmt: skip
        for part in parts:
            torch.testing.assert_close(lp.record(net, given)[0, part].c, rec[0, part].c, rtol=0, atol=1e-6)
            given = iter(x.split(2)) if not hasattr(given, "__len__") else given
    ragged = [x[0, :4], x[1, :1].numpy(), x[2]]
    for many in (lp.record(net, ragged), lp.record(net, [np.asarray(one) for one in ragged])):
        assert many.lengths.tolist() == [4, 1, 6]
        for k, n in enumerate((4, 1, 6)):  # each by itself
            alone = lp.record(net, x[k : k + 1, :n])
            for part in parts:
                torch.testing.assert_close(many[0, part].c[k, :n], alone[0, part].c[0], rtol=0, atol=1e-6)
    padded = lp.record(Outer(lstm()), ragged)
    assert padded.lengths.tolist() == [4, 1, 6]
    pairs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), 2)
    for given, message in (
        (pairs, r"each batch of this loader holds 2 things; .* record\(module, \(x for x, y in loader\)\)"),
        ([x[0], x[1, :, :2]], "must be .time, feature. with the same features"),
        ([], "there are no sequences"),
        (iter([]), "there are no batches"),
        (42, "a int; record takes a tensor or array"),
        (np.array([["a"]]), "inputs: must be numbers, in rows of one length"),
    ):
        with pytest.raises(InputError, match=message):
            lp.record(net, given)


class Keeps(Outer):
    """Keeps its state, what it saw and how often, in every way that people do."""

    def __init__(self, rnn):
        super().__init__(rnn)
        self.state, self.calls, self.seen, self.few = None, 0, [], deque(maxlen=2)
        self.register_buffer("mean", torch.zeros(3))
        self.box = type("Box", (), {})()
        self.box.last, self.table, self.array = torch.zeros(2), {}, np.zeros(2)

    def forward(self, x):
        h, self.state = self.rnn(x, self.state)
        self.calls += 1
        self.seen.append(x)
        self.few.append(x)
        self.mean += 1
        self.box.last.add_(1)
        self.table["x"] = x
        self.array += 1
        self.new = x
        return h


def test_a_module_is_left_with_what_it_kept():
    net, x = Keeps(lstm()), torch.randn(2, 5, 3)
    net(x)
    state, held = net.state, [one.clone() for one in net.state]
    one, other = lp.record(net, x), lp.record(net, x)
    assert torch.equal(one.c, other.c) and net.state is state
    assert all(map(torch.equal, state, held)) and net.calls == 1 and len(net.seen) == len(net.few) == 1
    assert net.mean.tolist() == [1] * 3 and net.box.last.tolist() == [1, 1] and net.array.tolist() == [1, 1]
    del net.new
    lp.record(net, x)
    assert not hasattr(net, "new") and list(net.table) == ["x"]


def test_what_cannot_be_put_back_is_named(monkeypatch, caplog):
    monkeypatch.setattr("lstm_probe.recorder.leaving.COPY_BYTES", 8)
    net = Keeps(lstm())
    with caplog.at_level(logging.WARNING):
        lp.record(net, torch.randn(2, 5, 3))
    assert "could not be undone" in caplog.text and "mean" in caplog.text


def test_check_says_what_was_compared():
    rec = lp.record(Outer(lstm(num_layers=2, bidirectional=True)), torch.randn(2, 5, 3))
    table = rec.check()
    assert set(table["compared"]) == {"h of every step", "last h", "last c"}
    assert (table["difference"] <= table["tolerance"]).all() and (table["tolerance"] <= 1e-5).all()
    whole = table[table["compared"] == "h of every step"]
    assert whole["layer"].tolist() == [0, 0, 1, 1] and whole["steps"].tolist() == [10] * 4
    by_hand = lp.Recording(rec.parts, rec.lengths, rec.config)
    assert by_hand.check().empty and list(by_hand.check().columns) == list(table.columns)


def test_weights_that_change_while_recording_is_open():
    """Each pass with its own weights, also where they are changed without PyTorch's knowledge."""
    net, x, returned = Outer(lstm()), torch.randn(4, 9, 3), []
    with lp.recording(net) as rec:
        for k in range(3):
            returned.append(net(x).detach().clone())
            net.rnn.weight_hh_l0.data.mul_(1 + k)
            net.rnn.bias_ih_l0.data += 0.5
    torch.testing.assert_close(rec.h, torch.cat(returned), rtol=0, atol=1e-6)


def test_what_was_compared_is_stored(tmp_path):
    net, x = Chunks(lstm(num_layers=2)), torch.randn(4, 9, 3)
    stored = lp.record(net, list(x.split(2)), to=tmp_path / "r")
    table = lp.open_recording(tmp_path / "r").check()
    assert table.equals(stored.check()) and table["call"].tolist() == [0] * 5 + [1] * 5
    whole = table[table["compared"] == "h of every step"]
    assert whole["steps"].tolist() == [18] * 4 and (table["difference"] <= table["tolerance"]).all()


def test_a_backward_lstm_is_stored_and_read(tmp_path):
    torch.manual_seed(0)
    net, x = BackwardLSTM(3, 4, 2, batch_first=True), torch.randn(4, 6, 3)
    both = nn.LSTM(3, 4, 1, batch_first=True, bidirectional=True)
    lp.record(net, [x[:2], x[2:]], to=tmp_path / "r")
    stored, rec = lp.open_recording(tmp_path / "r"), lp.record(net, x)
    assert list(rec.parts) == [(0, "reverse"), (1, "reverse")] and rec.config.backward
    torch.testing.assert_close(rec[1, "reverse"].h, net(x)[0].detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(stored[1, "reverse"].c[:], rec[1, "reverse"].c, rtol=0, atol=1e-6)
    one = BackwardLSTM(3, 4, batch_first=True)
    one.load_state_dict({name: getattr(both, f"{name}_reverse").detach() for name in one.state_dict()})
    for lengths in (None, [6, 2, 4, 1]):
        given = x if lengths is None else nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        a, b = lp.record(one, given)[0, "reverse"], lp.record(both, given)[0, "reverse"]
        mask = lp.record(one, given).mask
        for v in "hcifgo":
            torch.testing.assert_close(a[v][mask], b[v][mask], rtol=0, atol=1e-6)
    built = rec.config.build(seed=3)
    assert isinstance(built, BackwardLSTM) and built.num_layers == 2
