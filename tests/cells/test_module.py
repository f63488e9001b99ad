"""GatedRNN beside PyTorch's own modules: the same arguments, weights, results, gradients and errors."""

import copy
import pickle

import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.cells.known import NAMES
from lstm_probe.core.errors import InputError

PYTORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
KINDS = [
    {}, {"num_layers": 3}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False}, {"batch_first": True},
]  # fmt: skip


def pair(name, kind, dtype=torch.float64):
    torch.manual_seed(0)
    theirs = PYTORCH[name](3, 5, **kind).to(dtype)
    ours = lp.GatedRNN(3, 5, **kind, cell=name).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def same(one, other):
    if isinstance(one, tuple) and not isinstance(one, nn.utils.rnn.PackedSequence):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            same(a, b)
    elif isinstance(one, nn.utils.rnn.PackedSequence):
        torch.testing.assert_close(one.data, other.data)
        assert torch.equal(one.batch_sizes, other.batch_sizes)
    else:
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", PYTORCH)
def test_it_does_what_pytorch_does(name, kind):
    theirs, ours = pair(name, kind)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    same(ours(x), theirs(x))
    same(ours(x[0]), theirs(x[0]))
    first = kind.get("batch_first", False)
    n, time = (4, 6) if first else (6, 4)
    lengths = [time, 1, 2, 1, 1, time][:n]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False)
    same(ours(packed), theirs(packed))
    parts = kind.get("num_layers", 1) * (1 + kind.get("bidirectional", False))
    state = [torch.randn(parts, n, 5, dtype=torch.float64) for _ in ours.cell.state]
    begun = state[0] if len(state) == 1 else tuple(state)
    same(ours(x, begun), theirs(x, begun))
    same(ours(packed, begun), theirs(packed, begun))


@pytest.mark.parametrize("name", PYTORCH)
def test_gradients_are_pytorchs(name):
    theirs, ours = pair(name, {"num_layers": 2})
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    for module in (theirs, ours):
        module(x)[0].square().sum().backward()
    for (own, a), (its, b) in zip(ours.named_parameters(), theirs.named_parameters()):
        assert own == its
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_copied_pickled_and_loaded(name, tmp_path):
    module = lp.GatedRNN(3, 5, 2, batch_first=True, cell=name)
    x = torch.randn(2, 4, 3)
    told = module(x)[0]
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.cell == module.cell
        assert torch.equal(other(x)[0], told)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    fresh = lp.GatedRNN(3, 5, 2, batch_first=True, cell=name)
    fresh.load_state_dict(torch.load(tmp_path / "m.pt"))
    assert torch.equal(fresh(x)[0], told)


@pytest.mark.parametrize("name", NAMES)
def test_backward_reads_from_the_end(name):
    torch.manual_seed(4)
    forward = lp.GatedRNN(3, 5, batch_first=True, cell=name)
    backward = lp.GatedRNN(3, 5, batch_first=True, cell=name, backward=True)
    backward.load_state_dict(forward.state_dict())
    x = torch.randn(2, 6, 3)
    same(backward(x)[0], forward(x.flip(1))[0].flip(1))
    rec, mirrored = lp.record(backward, x), lp.record(forward, x.flip(1))
    assert [*rec.parts] == [(0, "reverse")]
    for variable in rec[0, "reverse"].variables:
        torch.testing.assert_close(rec[0, "reverse"][variable], mirrored[0][variable].flip(1))


def test_dropout_between_layers_is_recorded_as_it_fell():
    torch.manual_seed(5)
    module = lp.GatedRNN(3, 5, 3, batch_first=True, dropout=0.5, cell="janet").train()
    x = torch.randn(4, 6, 3)
    with lp.recording(module) as rec:
        shown, _ = module(x)
    assert torch.equal(rec[2].h, shown.detach())
    assert bool((rec[1].inputs == 0).any())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lp.GatedRNN(3, 4, cell="grue"), "cell=grue: must be one of lstm .*Did you mean 'gru'"),
        (lambda: lp.GatedRNN(3, 4, cell="gru+peepholes"), "gru has no option peepholes; there are gates:VALUE"),
        (lambda: lp.GatedRNN(3, 4, cell="lstm+clip:much"), "clip must be a number"),
        (lambda: lp.GatedRNN(3, 4, cell="lstm+coupled:o"), "coupled must be i .* or f"),
        (lambda: lp.GatedRNN(3, 4, cell="slstm+gate:none"), "gate must be exponential or sigmoid"),
        (lambda: lp.GatedRNN(3, 4, cell="lstm+gates:hard"), "activation hard: must be one of affine"),
        (lambda: lp.GatedRNN(3, 4, cell="lstm+gates:tanh:2"), "tanh takes 0 numbers"),
        (lambda: lp.GatedRNN(3, 4, cell="no_such_module:CELL"), "No module named 'no_such_module'"),
        (lambda: lp.GatedRNN(3, 4, cell="math:pi"), "a float; must be a lstm_probe.Cell"),
        (lambda: lp.GatedRNN(3, 4, cell="gru", bidirectional=True, backward=True), "reads from both ends"),
        (lambda: lp.GatedRNN(3, 4, cell="gru")(torch.zeros(2, 5, 4)), "takes 3 features"),
        (lambda: lp.GatedRNN(3, 4, cell="gru")(torch.zeros(2, 0, 3)), "at least one step"),
        (lambda: lp.GatedRNN(3, 4, cell="slstm")(torch.zeros(2, 5, 3), torch.zeros(1, 5, 4)), "hx: must be h c n"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
