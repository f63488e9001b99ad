"""The past-swap against running `nn.LSTM` on every single step."""

import numpy as np
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.probing.inference.swap import can_swap, make_donors, swapped
from lstm_probe.recorder.backward import BackwardLSTM

ALL = ("h", "c", "i", "f", "g", "o")


def network(seed=0, inputs=2, units=4, kind=nn.LSTM, **options):
    torch.manual_seed(seed)
    return kind(inputs, units, batch_first=True, **options)


def wide_awake(lstm):
    """The same network with larger weights, so that it remembers more than its last input."""
    with torch.no_grad():
        for weights in lstm.parameters():
            weights *= 2
    return lstm


def states_of(rec, donors, s, edge, step, direction):
    """h and c of every layer of one direction after a step, by the rules of the swap: a donor's, its own, or none."""
    parts = [part for part in rec if part.direction == direction]
    if edge:
        return [(torch.zeros_like(part.h[0, 0]), torch.zeros_like(part.c[0, 0])) for part in parts]
    source = donors[s, step] if donors[s, step] >= 0 else s
    return [(part.h[source, step], part.c[source, step]) for part in parts]


def swapped_by_running(lstm, rec, donors, k):
    """h and c after every window of k inputs, one call of `nn.LSTM` each."""
    both, lengths = lstm.bidirectional, rec.lengths.tolist()
    out = {key: {v: part[v].clone() for v in ("h", "c")} for key, part in rec.parts.items()}
    for s, length in enumerate(lengths):
        for a in range(length - k + 1):
            b = a + k - 1
            before = a > 0 and donors[s, a - 1] >= 0
            after = both and b + 1 < length and donors[s, b + 1] >= 0
            if not before and not after:
                continue
            own = {"forward": states_of(rec, donors, s, a == 0, a - 1, "forward")}
            if both:
                own["reverse"] = states_of(rec, donors, s, b + 1 == length, b + 1, "reverse")
            order = [own[way][layer] for layer in range(lstm.num_layers) for way in own]
            state = [torch.stack([one[v] for one in order])[:, None] for v in (0, 1)]
            with torch.no_grad():
                _, (h, c) = lstm(rec.inputs[s : s + 1, a : b + 1], tuple(state))
            for (key, values), h_there, c_there in zip(out.items(), h[:, 0], c[:, 0]):
                if before if key[1] == "forward" else after:
                    place = b if key[1] == "forward" else a
                    values["h"][s, place], values["c"][s, place] = h_there, c_there
    return out


LENGTHS = [7, 9, 4, 9, 6, 2, 9, 7]


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 3}, {"proj_size": 2, "num_layers": 2}, {"bidirectional": True},
     {"bidirectional": True, "num_layers": 2, "proj_size": 3}, {"bias": False}],
)  # fmt: skip
def test_every_step_is_what_the_network_shows_when_its_past_was_anothers(k, options):
    lstm = wide_awake(network(**options)).double()
    x = torch.randn(8, 9, 2, dtype=torch.float64)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    rec = lp.record(lstm, packed)
    assert rec.lengths.tolist() == LENGTHS and can_swap(rec)
    donors = make_donors(np.array(LENGTHS), 9, seed=1)
    got, expected = swapped(rec, k, donors, ("h", "c")), swapped_by_running(lstm, rec, donors, k)
    changed = 0
    for key in rec.parts:
        for v in ("h", "c"):
            torch.testing.assert_close(got[key][v], expected[key][v], rtol=0, atol=1e-12)
            changed += int((got[key][v] != rec[key][v]).any(-1).sum())
    assert changed


def test_gates_follow_from_the_state_before_and_the_input():
    lstm = wide_awake(network(num_layers=2)).double()
    rec = lp.record(lstm, torch.randn(5, 6, 2, dtype=torch.float64))
    donors = make_donors(np.full(5, 6), 6, seed=0)
    got = swapped(rec, 2, donors, ALL)
    before = swapped(rec, 1, donors, ("h",))
    for s, t in np.argwhere(np.arange(6)[None] >= np.full((5, 1), 2)).tolist():
        d = int(donors[s, t - 2])
        h, c = rec[0].h[d, t - 2], rec[0].c[d, t - 2]
        for step in (t - 1, t):  # the lower layer by hand, from the donor's state
            pre = lstm.weight_ih_l0 @ rec.inputs[s, step] + lstm.weight_hh_l0 @ h + lstm.bias_ih_l0 + lstm.bias_hh_l0
            i, f, g, o = pre.detach().chunk(4)
            gates = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
            c = gates["f"] * c + gates["i"] * gates["g"]
            h = gates["o"] * c.tanh()
        for v, values in {**gates, "c": c, "h": h}.items():
            torch.testing.assert_close(got[0, "forward"][v][s, t], values, rtol=0, atol=1e-12)
    assert not torch.equal(before[0, "forward"]["h"], got[0, "forward"]["h"])


def test_a_network_that_reads_from_the_end_has_its_past_there():
    backward, x = wide_awake(network(kind=BackwardLSTM)), torch.randn(6, 8, 2)
    rec = lp.record(backward, x)
    forward = nn.LSTM(2, 4, batch_first=True)
    forward.load_state_dict(backward.state_dict())
    turned = lp.record(forward, x.flip(1))
    donors = make_donors(np.full(6, 8), 8, seed=3)
    for k in (1, 3):
        got = swapped(rec, k, donors, ("h", "c"))[0, "reverse"]
        other = swapped_by_running(forward, turned, donors[:, ::-1], k)[0, "forward"]
        for v in ("h", "c"):
            torch.testing.assert_close(got[v], other[v].flip(1), rtol=0, atol=1e-6)


def test_each_sequence_is_run_with_its_own_weights():
    net, x = wide_awake(network()), torch.randn(6, 7, 2)
    other = wide_awake(network(seed=5))
    with lp.recording(net) as rec:
        net(x[:3])
        net.load_state_dict(other.state_dict())
        net(x[3:])
    donors = make_donors(np.full(6, 7), 7, seed=2)
    got = swapped(rec, 2, donors, ("c",))[0, "forward"]["c"]
    for lstm, rows in ((wide_awake(network()), slice(0, 3)), (other, slice(3, 6))):
        expected = swapped_by_running(lstm, rec, donors, 2)[0, "forward"]["c"]
        torch.testing.assert_close(got[rows], expected[rows], rtol=0, atol=1e-6)
    assert {*rec.ran_with.tolist()} == {0, 1}


@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-6), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)])
def test_numbers_of_other_sizes(dtype, off):
    lstm = wide_awake(network(num_layers=2))
    x = torch.randn(6, 7, 2)
    rec, exact = lp.record(lstm.to(dtype), x.to(dtype)), lp.record(lstm.double(), x.to(dtype).double())
    donors = make_donors(np.full(6, 7), 7, seed=2)
    got, expected = swapped(rec, 2, donors, ALL), swapped(exact, 2, donors, ALL)
    for layer in (0, 1):
        for v in ALL:
            values = got[layer, "forward"][v]
            assert values.dtype == dtype
            torch.testing.assert_close(values.double(), expected[layer, "forward"][v], rtol=0, atol=off)


def test_windows_are_run_in_batches_of_any_size(monkeypatch):
    rec = lp.record(network(num_layers=2), torch.randn(6, 7, 2))
    donors = make_donors(np.full(6, 7), 7, seed=2)
    whole = swapped(rec, 3, donors, ("h", "c"))
    monkeypatch.setattr("lstm_probe.probing.inference.swap.BATCH_BYTES", 3000)
    parts = swapped(rec, 3, donors, ("h", "c"))
    for key, values in whole.items():
        for v in ("h", "c"):
            torch.testing.assert_close(parts[key][v], values[v], rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_donors_are_other_sequences_that_have_the_step(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 13, 30)
    lengths[3] = 15  # alone at its last steps
    donors = make_donors(lengths, 16, seed)
    assert not np.array_equal(donors, make_donors(lengths, 16, seed + 1))
    assert not np.array_equal(donors, make_donors(lengths, 16, seed, number=1))
    assert np.array_equal(donors, make_donors(lengths, 16, seed))
    for s, t in np.ndindex(donors.shape):
        others = [d for d in range(30) if d != s and lengths[d] > t]
        if t >= lengths[s] or not others:
            assert donors[s, t] == -1
        else:
            assert donors[s, t] in others
    for t in range(12):  # one another's, each once
        here = np.flatnonzero(lengths > t)
        assert len(here) == 1 or sorted(donors[here, t]) == here.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_donors_are_of_another_group(seed):
    rng = np.random.default_rng(seed)
    groups, lengths = np.repeat(np.arange(5), [6, 3, 2, 4, 6])[rng.permutation(21)], rng.choice([6, 9], 21)
    lengths[groups == 4] = 9
    donors = make_donors(lengths, 9, seed, groups=groups)
    for s, t in np.ndindex(donors.shape):
        here = lengths > t
        if donors[s, t] >= 0:
            assert here[donors[s, t]] and groups[donors[s, t]] != groups[s]
        elif t < lengths[s]:  # none of another group is left only where one group has more than half of them
            assert np.bincount(groups[here]).max() > here.sum() / 2
    assert (donors[:, :6] >= 0).all()
    assert (make_donors(np.full(4, 3), 3, 0, groups=np.zeros(4, dtype=int)) == -1).all()


def test_what_has_nothing_to_swap_stays_as_it_was():
    lstm, x = wide_awake(network()), torch.randn(5, 8, 2)
    rec = lp.record(lstm, x, lengths=[8, 8, 8, 3, 8])
    lone = np.full((5, 8), -1)
    for k in (1, 3, 8, 20):
        for donors in (lone, make_donors(rec.lengths.numpy(), 8, 0)):
            got = swapped(rec, k, donors, ("c",))[0, "forward"]["c"]
            assert torch.equal(got[:, :k], rec.c[:, :k]) and torch.equal(got[3, 3:], rec.c[3, 3:])
            assert torch.equal(got, rec.c) == (donors is lone or k >= 8)


def test_what_is_needed_for_a_swap():
    x = torch.randn(4, 5, 2)
    rec = lp.record(network(), x)
    assert can_swap(rec) and not can_swap(lp.record(network(), x, variables=("c",)))
    assert not can_swap(lp.Recording(rec.parts, rec.lengths, rec.config))
    dropping = network(num_layers=2, dropout=0.5)
    with lp.recording(dropping.train()) as training:
        dropping(x)
    assert not can_swap(training) and can_swap(lp.record(dropping, x))
