"""Recordings keep the weights that their sequences ran with: which, how many, and when there are none to keep."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.probing.inference.swap import can_swap
from lstm_probe.recorder.backward import BackwardLSTM


def lstm(kind=nn.LSTM, **options):
    torch.manual_seed(0)
    return kind(3, 4, batch_first=True, **options)


def same(weights, module, suffix):
    return all(torch.equal(values, getattr(module, name + suffix)) for name, values in weights.named.items())


class Loop(nn.Module):
    """A cell in a loop; what happens to its state between two steps is `between`'s business."""

    def __init__(self, between=lambda state: state):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.between = nn.LSTMCell(3, 4), between

    def forward(self, x):
        state, out = None, []
        for step in x.unbind(1):
            state = self.between(self.cell(step, state))
            out.append(state[0])
        return torch.stack(out, dim=1)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "proj_size": 2}, {"bias": False}])
def test_weights_by_layer_and_direction_are_copies(options):
    net, x = lstm(**options), torch.randn(5, 6, 3)
    rec = lp.record(net, x)
    (own,) = rec.weights
    assert list(own) == list(rec.parts) and rec.ran_with.tolist() == [0] * 5
    for (layer, direction), weights in own.items():
        assert same(weights, net, f"_l{layer}" + "_reverse" * (direction == "reverse"))
    kept = {name: values.clone() for name, values in own[0, "forward"].named.items()}
    with torch.no_grad():
        net.weight_hh_l0 += 1
    assert all(torch.equal(values, kept[name]) for name, values in own[0, "forward"].named.items())


def test_a_network_that_reads_from_the_end_has_its_own():
    net = lstm(BackwardLSTM)
    rec = lp.record(net, torch.randn(5, 6, 3))
    assert list(rec.weights[0]) == [(0, "reverse")] and same(rec.weights[0][0, "reverse"], net, "_l0")


def test_calls_with_the_same_weights_share_them_and_others_are_kept_apart():
    """Whether PyTorch knows of the change or not."""
    net, x = lstm(), torch.randn(2, 6, 3)
    step = torch.optim.SGD(net.parameters(), lr=0.5)
    sets = []
    with lp.recording(net) as rec:
        for k in range(5):
            sets.append({name: values.detach().clone() for name, values in net.state_dict().items()})
            loss = net(x + k)[0].pow(2).sum()
            if k == 1:
                step.zero_grad()
                loss.backward()
                step.step()
            elif k == 3:
                net.weight_ih_l0.data.mul_(1.01)
    assert len(rec.weights) == 3 and rec.ran_with.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    for number, k in enumerate((0, 2, 4)):
        named = rec.weights[number][0, "forward"].named
        assert all(torch.equal(values, sets[k][f"{name}_l0"]) for name, values in named.items())


def test_weights_that_change_within_a_sequence_are_none():
    net, x, state = lstm(), torch.randn(3, 6, 3), None
    for changes in (False, True):
        with torch.no_grad(), lp.recording(net, join="time") as rec:
            state = None
            for piece in x.split(2, dim=1):
                _, state = net(piece, state)
                net.bias_hh_l0.data += 0.1 * changes
        assert (len(rec.weights), rec.ran_with is None) == ((0, True) if changes else (1, False))
    loop = Loop()
    with torch.no_grad(), lp.recording(loop) as rec:
        loop(x)
        loop(x[:1])
        loop.cell.bias_hh += 0.1
        loop(x[:2])
    assert rec.ran_with.tolist() == [0, 0, 0, 0, 1, 1]
    first, second = (one[0, "forward"] for one in rec.weights)
    assert torch.equal(second.named["bias_hh"], loop.cell.bias_hh) and same(second, loop.cell, "")
    assert torch.allclose(first.named["bias_hh"] + 0.1, second.named["bias_hh"])
    loop = Loop(lambda state: (loop.cell.bias_hh.add_(0.1), state)[1])
    assert not lp.record(loop, x).weights


@pytest.mark.parametrize("change", [lambda h, c: (0.5 * h, c), lambda h, c: (h, c * (c > 0))])
def test_states_that_are_changed_between_steps_are_not_told_by_the_weights(change):
    x = torch.randn(3, 6, 3)
    assert len(lp.record(Loop(lambda state: tuple(one.clone() for one in state)), x).weights) == 1
    rec = lp.record(Loop(lambda state: change(*state)), x)
    assert not rec.weights and (rec.ran_with is None or (rec.ran_with == -1).all())


def test_dropout_and_a_state_for_both_directions_leave_nothing_to_keep():
    net, x = lstm(num_layers=2, dropout=0.5), torch.randn(3, 6, 3)
    with lp.recording(net.train()) as rec:
        net(x)
    assert not rec.weights and lp.record(net, x).weights
    both = lstm(bidirectional=True)
    begun = tuple(torch.ones(2, 3, 4) for _ in "hc")
    assert not lp.record(both, x, state=begun).weights
    assert lp.record(both, x, state=tuple(0 * one for one in begun)).weights
    assert lp.record(lstm(), x, state=tuple(one[:1] for one in begun)).weights  # it is at hand


def test_what_has_weights_and_what_has_none_stand_under_each_other():
    net, x = lstm(num_layers=2, dropout=0.5), torch.randn(2, 6, 3)
    with lp.recording(net) as rec:
        for train in (False, True, False):
            net.train(train)(x)
    assert rec.ran_with.tolist() == [0, 0, -1, -1, 0, 0] and len(rec.weights) == 1
    assert not can_swap(rec) and can_swap(rec.rows(torch.tensor([5, 0, 1])))


def test_rows_are_a_recording_of_some_sequences():
    net, lengths = lstm(num_layers=2), torch.tensor([6, 2, 5, 4])
    x = torch.randn(4, 6, 3)
    rec = lp.record(net, x, lengths=lengths)
    chosen = torch.tensor([3, 0, 3])
    part = rec.rows(chosen)
    alone = lp.record(net, x[chosen], lengths=lengths[chosen])
    assert part.lengths.tolist() == [4, 6, 4] and part.config == rec.config and part.weights is rec.weights
    assert part.ran_with.tolist() == [0] * 3
    for one, other in zip(part, alone):
        for v in rec[0].variables:
            torch.testing.assert_close(one[v][part.mask], other[v][part.mask], rtol=0, atol=1e-6)
    assert torch.equal(part.inputs, x[chosen]) and torch.equal(rec.inputs, x)
    by_hand = lp.Recording(rec.parts, rec.lengths, rec.config).rows(chosen)
    assert by_hand.ran_with is None and not by_hand.weights
    assert np.array_equal(by_hand[1].c, part[1].c)
