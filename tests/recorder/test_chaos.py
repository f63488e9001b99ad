"""Chaotic networks: the last bit of one step decides a later one, so that nothing may be added up in another order."""

import itertools

import pytest
import torch
from torch import nn

import lstm_probe as lp

TIME = 150


def chaotic(make, **options):
    torch.manual_seed(0)
    module = make(7, 33, **options)
    with torch.no_grad():
        for name, values in module.named_parameters():
            values.mul_(1 if "peephole" in name else 12)
    return module


def cell(name):
    return lambda *sizes, **options: lp.GatedRNN(*sizes, cell=name, **options)


MAKERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN} | {
    name: cell(name) for name in ("janet", "slstm", "lstm+peepholes", "gru+reset_before", "lstm_layer_norm")
}


def test_these_networks_are_chaotic():
    module, x = chaotic(nn.GRU, batch_first=True), torch.randn(1, TIME, 7)
    with torch.no_grad():
        assert (module(x)[0] - module(x + 1e-7)[0])[:, -100:].abs().max() > 0.5


@pytest.mark.parametrize("name", MAKERS)
def test_every_layer_is_recorded_as_it_ran(name):
    """Each layer's h against the module's own: of the lower ones, that of a shallower module of the same weights."""
    for k, (both, (n, packed)) in enumerate(itertools.product((False, True), ((1, False), (5, False), (5, True)))):
        first = k % 2 == 0
        options = {"bias": k != 1, "bidirectional": both, "batch_first": first}
        module = chaotic(MAKERS[name], num_layers=3, **options)
        x = torch.randn(n, TIME, 7) if first else torch.randn(TIME, n, 7)
        if packed:
            x = nn.utils.rnn.pack_padded_sequence(x, [TIME - 3 * k for k in range(n)], batch_first=first)
        with torch.no_grad():
            state = module(x)[1]
        rec = lp.record(module, x, state=state)
        for layers in (1, 2, 3):
            shallow = MAKERS[name](7, 33, num_layers=layers, **options)
            shallow.load_state_dict({key: module.state_dict()[key] for key in shallow.state_dict()})
            with torch.no_grad():
                part = slice(layers * (1 + both))
                h = shallow(x, tuple(one[part] for one in state) if isinstance(state, tuple) else state[part])[0]
            h = nn.utils.rnn.pad_packed_sequence(h, batch_first=first)[0] if packed else h
            h = h if first else h.transpose(0, 1)
            sides = ("forward", "reverse")[: 1 + both]
            got = torch.cat([rec.parts[layers - 1, side]["h"] for side in sides], dim=-1)
            torch.testing.assert_close(got[rec.mask], h[rec.mask], rtol=0, atol=1e-5)


class Loop(lp.GatedRNN):
    """Computes what its cell does by a loop of its own, which adds up in another order."""

    def forward(self, x):
        h, c, shown = x.new_zeros(len(x), 33), x.new_zeros(len(x), 33), []
        for t in range(x.shape[1]):
            pre = torch.cat([x[:, t], h], -1) @ torch.cat([self.weight_ih_l0, self.weight_hh_l0], -1).T
            i, f, g, o = (pre + self.bias_ih_l0 + self.bias_hh_l0).chunk(4, -1)
            i, f = (i + self.peephole_l0[0] * c).sigmoid(), (f + self.peephole_l0[1] * c).sigmoid()
            c = f * c + i * g.tanh()
            h = (o + self.peephole_l0[2] * c).sigmoid() * c.tanh()
            shown.append(h)
        return torch.stack(shown, 1), (h.unsqueeze(0), c.unsqueeze(0))


def test_a_module_that_adds_up_in_another_order():
    torch.manual_seed(0)
    module = Loop(7, 33, cell="lstm+peepholes", batch_first=True)
    with torch.no_grad():
        for name, values in module.named_parameters():
            values.mul_(1 if "peephole" in name else 16)
        x = torch.randn(4, TIME, 7)
        shown = module(x)[0]
        apart = (lp.GatedRNN.forward(module, x)[0] - shown).abs()
    assert apart.max() > 0.1  # the same sums, and the same network by its formulas
    torch.testing.assert_close(lp.record(module, x).h, shown, rtol=0, atol=1e-4)
