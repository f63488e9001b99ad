"""Over random modules as people write them: what is recorded is what the module returned, or nothing is recorded."""

import warnings
from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.cells import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.recorder import record, recording
from lstm_probe.recorder.backward import BackwardLSTM

DRAWS, PARTS = 2000, 8


class Normed(nn.LSTM):
    """Normalises what it reads; PyTorch's own LSTM does the rest."""

    def forward(self, x, hx=None):
        return super().forward(nn.functional.layer_norm(x, x.shape[-1:]), hx)


class Residual(nn.LSTM):
    """Returns something else than its h."""

    def forward(self, x, hx=None):
        h, state = super().forward(x, hx)
        return h + h.flip(-1), state


class InPlace(nn.LSTM):
    """Writes into what its kernel gave."""

    def forward(self, x, hx=None):
        h, state = super().forward(x, hx)
        return h.mul_(0.5), state


class Alone(nn.LSTM):
    """Returns its h without the state, as a copy."""

    def forward(self, x, hx=None):
        return super().forward(x, hx)[0].clone()


class Packs(nn.LSTM):
    """Packs by itself, whatever it is given."""

    def forward(self, x, hx=None):
        n, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        lengths = torch.arange(n) % time + 1
        packed = pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed, hx)[0], self.batch_first, total_length=time)


class Twice(nn.LSTM):
    """Runs its kernel twice and adds up."""

    def forward(self, x, hx=None):
        one, state = super().forward(x, hx)
        return one + super().forward(2 * x, hx)[0], state


class OwnLoop(nn.LSTM):
    """Computes an LSTM without the kernel; `leak` makes another cell of it."""

    leak = 0.0

    def forward(self, x, hx=None):
        if self.num_layers > 1 or self.bidirectional or self.proj_size or not self.bias:
            return super().forward(x, hx)
        x = x if self.batch_first else x.transpose(0, 1)
        h = c = x.new_zeros(len(x), self.hidden_size)
        if hx is not None:
            h, c = hx[0][0], hx[1][0]
        shown = []
        for t in range(x.shape[1]):
            pre = x[:, t] @ self.weight_ih_l0.T + self.bias_ih_l0 + h @ self.weight_hh_l0.T + self.bias_hh_l0
            i, f, g, o = pre.chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh() - self.leak * c
            h = o.sigmoid() * c.tanh()
            shown.append(h)
        out = torch.stack(shown, 1 if self.batch_first else 0)
        return out, (h.unsqueeze(0), c.unsqueeze(0))


class Leaky(OwnLoop):
    """Not an LSTM."""

    leak = 0.1


KINDS = (nn.LSTM, nn.LSTM, nn.LSTM, BackwardLSTM, Normed, Residual, InPlace, Alone, Packs, Twice, OwnLoop, Leaky)
WRONG = {Residual, InPlace, Twice}


def doubled(_module, _args, result):
    return (2 * result[0], *result[1:]) if isinstance(result, tuple) else 2 * result


def shifted_in_place(_module, _args, result):
    (result[0] if isinstance(result, tuple) else result).add_(0.01)


class Outer(nn.Module):
    """Calls its LSTM as `draw` says, and keeps what the LSTM returned: (sequence, time, output) and the lengths."""

    def __init__(self, rnn, calls, packed, state):
        super().__init__()
        self.rnn, self.calls, self.packed, self.state, self.returned = rnn, calls, packed, state, []

    def once(self, x, lengths, state):
        given = x if self.rnn.batch_first else x.transpose(0, 1)
        if self.packed:
            given = pack_padded_sequence(given, lengths, self.rnn.batch_first, enforce_sorted=False)
        arguments = {"hx": state} if state is not None else {}
        made = self.rnn(given, **arguments) if self.calls != "keyword" else self.rnn(input=given, **arguments)
        h, state = made if isinstance(made, tuple) else (made, None)
        if self.packed:
            h = pad_packed_sequence(h, batch_first=True, total_length=x.shape[1])[0]
        elif not self.rnn.batch_first:
            h = h.transpose(0, 1)
        return h, state

    def forward(self, x, lengths):
        n, state = len(x), None
        if self.state:
            state = tuple(one[:, :n].repeat(1, n, 1) for one in self.state)
        self.returned = []
        if self.calls == "siamese":
            pieces = [(x, state), (x.flip(0), state)]
        elif self.calls == "chunks":
            pieces = [(x[:, :2], state), (x[:, 2:], "handed on")]
        else:
            pieces = [(x, state)]
        for piece, begins in pieces:
            h, state = self.once(piece, lengths, state if isinstance(begins, str) else begins)
            handed_back = bool(self.returned) and self.calls == "siamese" and not self.packed
            self.returned.append((h.flip(0) if handed_back else h).detach().clone())  # in its caller's order
        return self.returned[-1]


def draw(seed):
    """Return a module, its inputs, and how it is drawn."""
    torch.manual_seed(seed)

    def pick(*among):
        return among[int(torch.randint(len(among), ()))]

    kind = pick(*KINDS)
    two, layers, units = kind is not BackwardLSTM and pick(True, False), pick(1, 1, 2, 3), pick(1, 3, 5)
    projection = pick(0, 0, units - 1) if units > 1 else 0
    rnn = kind(
        pick(1, 3), units, layers, bias=pick(True, True, False), batch_first=pick(True, False), bidirectional=two,
        proj_size=projection, dropout=pick(0.0, 0.4) if layers > 1 else 0.0,
    )  # fmt: skip
    scale = pick(1.0, 1.0, 4.0)
    with torch.no_grad():
        for values in rnn.parameters():
            values.mul_(scale)
    trick = pick("", "", "weight norm", "old weight norm", "pruning")
    if trick == "weight norm":
        parametrizations.weight_norm(rnn, "weight_hh_l0")
    elif trick == "old weight norm":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nn.utils.weight_norm(rnn, "weight_ih_l0")
    elif trick == "pruning":
        prune.random_unstructured(rnn, "weight_hh_l0", 0.5)
    packed = kind in (nn.LSTM, BackwardLSTM) and pick(True, False)
    calls = pick("once", "siamese", "keyword" if kind is nn.LSTM else "once")
    if kind in (nn.LSTM, Normed, Residual, InPlace, OwnLoop, Leaky) and not packed and not two:
        calls = pick(calls, "chunks")
    outputs = projection or units
    parts = layers * (1 + two)
    state = pick(None, (torch.randn(parts, 1, outputs), torch.randn(parts, 1, units)))
    hook = pick(None, None, None, doubled, shifted_in_place) if not packed else None
    if hook is not None:
        rnn.register_forward_hook(hook)
    if pick(True, False, False) and not packed and calls != "keyword":
        rnn.register_forward_pre_hook(lambda _, args: (args[0] + 0.5, *args[1:]))
    n, time = pick(1, 2, 4), pick(3, 6)
    x, lengths = torch.randn(n, time, rnn.input_size), torch.randint(1, time + 1, (n,))
    right = kind not in WRONG and hook is None and (kind is not Leaky or rnn.num_layers > 1 or two or projection)
    return Outer(rnn, calls, packed, state), x, lengths, right


@pytest.mark.parametrize("part", range(PARTS))
def test_recorded_is_returned_or_refused(part):
    outcomes = Counter()
    for seed in range(part, DRAWS, PARTS):
        net, x, lengths, right = draw(seed)
        training = bool(seed % 3 == 0)
        try:
            if training:
                with recording(net.train()) as rec:
                    net(x, lengths)
                returned = net.returned
            else:
                told = net.packed or isinstance(net.rnn, Packs)
                rec = record(net.eval(), (x, lengths), lengths=None if told else lengths)
                with torch.no_grad():
                    net(x, lengths)
                returned = net.returned
        except InputError as error:
            message = str(error)
            assert not right, (seed, type(net.rnn), message)
            assert "not what" in message or "not the h" in message or "neither its h" in message, message
            outcomes["refused"] += 1
            continue
        outcomes["recorded"] += 1
        top = [part for part in rec if part.layer == rec.config.layers - 1]
        h = torch.cat([part.h for part in top], dim=-1)
        wanted = torch.cat(returned, dim=1) if net.calls == "chunks" else torch.cat(returned)
        assert h.shape[0] == len(wanted), seed
        wanted = wanted[:, : h.shape[1]]
        real = rec.mask
        torch.testing.assert_close(h[real], wanted[real], rtol=0, atol=2e-5, msg=lambda m, seed=seed: f"{seed}: {m}")
        check = rec.check()
        assert (check["difference"] <= check["tolerance"]).all() and len(check)
        for one in rec:  # what was recorded belongs together, in the layers that nobody sees, too
            if not rec.config.projection:
                torch.testing.assert_close((one.o * one.c.tanh())[real], one.h[real], rtol=0, atol=2e-5)
    assert outcomes["recorded"] > 100 and outcomes["refused"] > 30, outcomes


class LastStepOff(OwnLoop):
    """An LSTM without the kernel, but for h of its last step: its memory is that of an LSTM to the end."""

    def forward(self, x, hx=None):
        h, (last, c) = super().forward(x, hx)
        h = torch.cat([h[:, :-1], h[:, -1:] + 0.1], dim=1)
        return h, (last + 0.1, c)


@pytest.mark.parametrize("kind", ["LSTM", "both", "projection", "GRU", "sLSTM", "calls"])
@pytest.mark.parametrize("given", ["tensor", "array", "lengths", "mask", "list"])
def test_where_new_tensors_are_made_for_the_user_changes_nothing(kind, given):
    torch.manual_seed(0)
    made = {
        "LSTM": nn.LSTM(3, 4, batch_first=True), "both": nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
        "projection": nn.LSTM(3, 4, batch_first=True, proj_size=2), "GRU": nn.GRU(3, 4, batch_first=True),
        "sLSTM": GatedRNN(3, 4, batch_first=True, cell="slstm"), "calls": TwoCalls(),
    }  # fmt: skip
    x = torch.randn(3, 5, 3)
    inputs = {"array": x.numpy(), "list": [x[0].numpy(), x[1, :3].numpy(), x[2, :2].numpy()]}.get(given, x)
    more = {"lengths": {"lengths": [5, 3, 2]}, "mask": {"mask": [[1] * 5, [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]}}
    alone = record(made[kind], inputs, **more.get(given, {}))
    with torch.device("meta"):
        rec = record(made[kind], inputs, **more.get(given, {}))
    assert rec.lengths.tolist() == alone.lengths.tolist()
    for key, part in alone.parts.items():
        for variable in rec.config.cell.names:
            torch.testing.assert_close(rec.parts[key][variable], part[variable], rtol=0, atol=0, equal_nan=True)


class TwoCalls(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0] + self.lstm(x.flip(1))[0]


def test_h_of_every_step_is_compared_and_not_the_memory_alone():
    torch.manual_seed(0)
    net, right = LastStepOff(3, 4, batch_first=True), OwnLoop(3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    with pytest.raises(InputError, match=r"h of every step .*first at step 4\): up to 0\.1 apart"):
        record(net, x)
    torch.testing.assert_close(record(right, x).h, right(x)[0].detach(), rtol=0, atol=1e-6)
