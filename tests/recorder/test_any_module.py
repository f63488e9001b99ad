"""Recording by name from people's own models, against their own outputs and a plain step loop."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder import record, recording
from tests.recorder.test_exact import step_loop


class Tagger(nn.Module):
    """Tokens and lengths in, packed inside, as in every tutorial."""

    def __init__(self, bidirectional=True):
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.encoder = nn.ModuleDict({"rnn": nn.LSTM(5, 4, 2, bidirectional=bidirectional, dropout=0.3)})
        self.head = nn.Linear(8 if bidirectional else 4, 3)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        h, _ = self.encoder["rnn"](packed)
        return self.head(pad_packed_sequence(h, batch_first=True)[0])


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.LSTM(3, 4, batch_first=True), nn.LSTM(3, 6)

    def forward(self, x):
        return self.left(x)[0].sum() + self.right(x.transpose(0, 1))[0].sum()


class Translator(nn.Module):
    """An encoder, and a decoder that calls an `nn.LSTMCell` on its own last output."""

    def __init__(self):
        super().__init__()
        self.encoder, self.cell = nn.LSTM(3, 4, batch_first=True), nn.LSTMCell(2, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x, steps=6):
        _, (h, c) = self.encoder(x)
        h, c = h[0], c[0]
        y, ys = x.new_zeros(len(x), 2), []
        for _ in range(steps):
            h, c = self.cell(y, (h, c))
            y = self.out(h)
            ys.append(y)
        return torch.stack(ys, dim=1)


class Stepper(nn.Module):
    """Calls its LSTM once for every step, handing the states on."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, 2, batch_first=True)

    def forward(self, x):
        state, out = None, []
        for t in range(x.shape[1]):
            h, state = self.rnn(x[:, t : t + 1], state)
            out.append(h)
        return torch.cat(out, dim=1)


def fingerprint(module):
    return (
        [part.training for part in module.modules()],
        [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()],
        [p.grad for p in module.parameters()],
        torch.get_rng_state().tolist(),
    )


def test_a_model_that_packs_its_sequences():
    torch.manual_seed(0)
    model = Tagger().train()
    tokens = torch.randint(0, 11, (5, 9))
    lengths = torch.tensor([4, 9, 1, 6, 9])
    before = fingerprint(model)
    rec = record(model, (tokens, lengths), layer="encoder.rnn")
    assert fingerprint(model) == before
    by_name = record(model, {"lengths": lengths, "tokens": tokens})
    assert torch.equal(rec[1, "reverse"].c, by_name[1, "reverse"].c)
    assert torch.equal(rec.lengths, lengths)
    x, zeros = model.embedding(tokens).detach(), torch.zeros(4, 5, 4)
    with torch.no_grad():
        truth = step_loop(model.encoder["rnn"], x, lengths, zeros, zeros)
    for key, variables in truth.items():
        for name, expected in variables.items():
            torch.testing.assert_close(rec[key][name][rec.mask], expected[rec.mask], rtol=0, atol=1e-5)


def test_two_lstms_have_to_be_told_apart():
    model, x = Siamese(), torch.randn(2, 5, 3)
    with pytest.raises(InputError, match=r"holds 2 LSTMs: choose one with layer=, or all .*; there are left, right"):
        record(model, x)
    with pytest.raises(InputError, match=r"layer=rihgt: there is no such part; .* Did you mean 'right'"):
        record(model, x, layer="rihgt")
    expected = model.right(x.transpose(0, 1))[0].transpose(0, 1)
    torch.testing.assert_close(record(model, x, layer="right").h, expected.detach(), rtol=0, atol=1e-6)


def test_a_cell_in_a_loop_of_its_model():
    torch.manual_seed(0)
    model, x = Translator(), torch.randn(3, 5, 3)
    rec = record(model, x, layer="cell")
    y = model(x)
    torch.testing.assert_close(model.out(rec.h), y)
    assert rec.c.shape == (3, 6, 4)
    torch.testing.assert_close(rec.o * rec.c.tanh(), rec.h)
    torch.testing.assert_close(rec.f[:, 1:] * rec.c[:, :-1] + rec.i[:, 1:] * rec.g[:, 1:], rec.c[:, 1:])
    torch.testing.assert_close(rec.inputs[:, 1:], y[:, :-1])
    assert torch.equal(record(model, (x, 2), layer="cell").c, rec.c[:, :2])


def test_a_cell_in_a_loop_of_the_user():
    torch.manual_seed(0)
    cell, xs = nn.LSTMCell(3, 4, bias=False), torch.randn(7, 2, 3)
    with recording(cell) as rec:
        h, c = torch.zeros(2, 4), torch.zeros(2, 4)
        for x in xs:
            h, c = cell(x, (h, c))
            h.mul_(1.0)
    lstm = nn.LSTM(3, 4, bias=False)
    lstm.load_state_dict({f"{name}_l0": values for name, values in cell.state_dict().items()})
    for v in VARIABLES:
        torch.testing.assert_close(rec[0][v], record(lstm, xs)[0][v], rtol=0, atol=1e-6)


def test_an_lstm_called_once_for_every_step():
    torch.manual_seed(0)
    model, x = Stepper(), torch.randn(3, 6, 3)
    rec, whole = record(model, x), record(model.rnn, x)
    for layer in (0, 1):
        for v in VARIABLES:
            torch.testing.assert_close(rec[layer][v], whole[layer][v], rtol=0, atol=1e-6)
    assert torch.equal(record(model, x, call=-1)[1].c, rec[1].c[:, -1:])
    with pytest.raises(InputError, match=r"call=6: the LSTM was called 6 time"):
        record(model, x, call=6)


def test_recording_of_several_passes_puts_sequences_under_each_other():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4, batch_first=True)).train()
    batches = [torch.randn(2, 5, 3), torch.randn(3, 7, 3)]
    with recording(model, variables=("c",)) as rec:
        for batch in batches:
            model(batch)[0].sum().backward()
    assert model.training and model[0].weight.grad is not None and not rec.c.requires_grad
    assert rec.lengths.tolist() == [5, 5, 7, 7, 7]
    for batch, rows in zip(batches, (slice(0, 2), slice(2, 5))):
        expected = record(model, batch).c
        torch.testing.assert_close(rec.c[rows, : batch.shape[1]], expected, rtol=0, atol=1e-6)


def test_packed_sequences_and_states_given_to_the_lstm_itself():
    torch.manual_seed(0)
    lstm, x, lengths = nn.LSTM(3, 4), torch.randn(6, 4, 3), torch.tensor([2, 6, 3, 6])
    state = torch.randn(1, 4, 4), torch.randn(1, 4, 4)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    assert isinstance(packed, PackedSequence)
    rec, padded = record(lstm, packed, state=state), record(lstm, x, lengths=lengths, state=state)
    torch.testing.assert_close(rec.c[rec.mask], padded.c[rec.mask], rtol=0, atol=1e-6)
    expected = pad_packed_sequence(lstm(packed, state)[0], batch_first=True)[0].detach()
    torch.testing.assert_close(rec.h[rec.mask], expected[rec.mask], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits(dtype):
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 8, batch_first=True).to(dtype)
    x = torch.randn(4, 30, 3, dtype=dtype)
    rec = record(lstm, x)
    assert rec.c.dtype == dtype
    torch.testing.assert_close(rec.h, lstm(x)[0].detach(), rtol=0, atol=0.01)
    exact = record(lstm.double(), x.double())
    for v in VARIABLES:
        torch.testing.assert_close(rec[0][v].double(), exact[0][v], rtol=0, atol=0.03)


def runs_with_onednn(lstm, given):
    """Whether oneDNN has this LSTM in 16 bits for this processor: for those without AVX-512 it may have none."""
    try:
        lstm(given)
    except RuntimeError as error:
        assert "primitive descriptor" in str(error)
        return False
    return True


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("built", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 3}])
def test_automatic_mixed_precision(built, packed):
    """What is returned may have 32 bits, and the products that it was made of fewer."""
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 7, batch_first=True, **built)
    x = torch.randn(6, 20, 5)
    given = pack_padded_sequence(x, torch.tensor([20, 3, 7, 20, 1, 12]), True, enforce_sorted=False) if packed else x
    with torch.autocast("cpu"), torch.backends.mkldnn.flags(enabled=runs_with_onednn(lstm, given)):
        rec = record(lstm, given)
    rec.check()
    exact = record(lstm, given)
    for key, part in exact.parts.items():
        for v in VARIABLES:
            torch.testing.assert_close(rec[key][v].float()[rec.mask], part[v][rec.mask], rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("module", "inputs", "keywords", "message"),
    [
        (nn.LSTM(3, 4).double(), torch.zeros(2, 5, 3), {}, "inputs: dtype torch.float32, but the LSTM's weights"),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 3), {"state": (torch.zeros(1, 5, 4).double(),) * 2}, "h0: dtype"),
        (nn.LSTM(3, 4), torch.full((2, 5, 3), torch.inf), {}, "inputs: inf at sequence 0, step 0, feature 0"),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 3), {"layer": "x"}, "layer=x: there is no such part"),
        (nn.Sequential(nn.Linear(3, 4)), torch.zeros(2, 5, 3), {}, "holds no LSTM: nn.LSTM, nn.GRU, nn.RNN"),
        (Tagger(), (torch.zeros(2, 4).long(), torch.tensor([4, 2])), {"lengths": [4, 3]}, "differ from those"),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 3), {"lengths": [3] * 5}, "5 whole numbers from 1 to 2"),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 3), {"variables": ()}, "variables=: must be among"),
    ],
)  # fmt: skip
def test_bad_input(module, inputs, keywords, message):
    before = fingerprint(module)
    with pytest.raises(InputError, match=message):
        record(module, inputs, **keywords)
    assert fingerprint(module) == before


def test_a_module_that_never_calls_its_lstm():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(2, 3)

        def forward(self, x):
            return x

    with pytest.raises(InputError, match="was not called"):
        record(Idle(), torch.zeros(3, 2, 2))


def test_an_error_of_the_module_goes_through_and_leaves_it_as_it_was():
    model = Tagger()
    before = fingerprint(model)
    with pytest.raises(IndexError):
        record(model, (torch.full((2, 4), 99), torch.tensor([4, 2])))
    assert fingerprint(model) == before
