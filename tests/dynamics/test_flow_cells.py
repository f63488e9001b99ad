"""How memories of every declared cell are written, held and read: as plain loops have it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.cells.known import cell_of
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.dynamics.events import find_events
from lstm_probe.dynamics.writing import put_in
from lstm_probe.probing.inference.swap import make_donors
from tests.causal import by_hand
from tests.cells.test_own import MGU

STEPS, AFTER, N = [2, 3], (1, 2), 60
#: What a step multiplies the memory before it by, and what it adds, by the variables of the plain loop.
KEPT = {"gru": lambda v: v["z"], "gru_reset_before": lambda v: v["z"], "rnn": lambda v: 0 * v["h"],
        "rnn_relu": lambda v: 0 * v["h"], "lstm_no_forget": lambda v: torch.ones_like(v["c"]),
        "mgu": lambda v: 1 - v["f"]}  # fmt: skip
ADDED = {"gru": lambda v: (1 - v["z"]) * v["n"], "gru_reset_before": lambda v: (1 - v["z"]) * v["n"],
         "rnn": lambda v: v["h"], "rnn_relu": lambda v: v["h"], "mgu": lambda v: v["f"] * v["n"]}  # fmt: skip
#: The variables that have rows of weights.
ROWS = {"gru": "rzn", "gru_reset_before": "rzn", "rnn": "h", "rnn_relu": "h", "lstm_no_forget": "igo", "janet": "fg",
        "mgu": "fn", "lstm_coupled": "igo"}  # fmt: skip
PLAIN, BOTH, TWO = {}, {"bidirectional": True, "num_layers": 2}, {"num_layers": 2}


@pytest.fixture(autouse=True)
def further(monkeypatch):
    """Let two more cells be known by hand."""
    for name, step in FURTHER.items():
        monkeypatch.setitem(by_hand.STEPS, name, step)


def mgu(w, x, s, held):
    units, pre, h = len(s["h"]), w["weight_ih"] @ x + w["bias_ih"], s["h"]
    f = held("f", torch.sigmoid(pre[:units] + w["weight_hh"][:units] @ h))
    n = held("n", torch.tanh(pre[units:] + w["weight_hh"][units:] @ (f * h)))
    return {"h": held("h", (1 - f) * h + f * n)}


def coupled(w, x, s, held):
    i, g, o = (w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ s["h"] + w["bias_hh"]).chunk(3)
    i = held("i", torch.sigmoid(i))
    c = held("c", held("f", 1 - i) * s["c"] + i * held("g", torch.tanh(g)))
    return {"h": held("h", held("o", torch.sigmoid(o)) * torch.tanh(c)), "c": c}


FURTHER = {"mgu": (mgu, "h"), "lstm_coupled": (coupled, "hc")}
EVERY = [*by_hand.STEPS, *FURTHER]


class Net(nn.Module):
    """Layers of any cell, each sequence with its own length, and a linear readout of every step."""

    def __init__(self, layers, seed=0, outputs=2):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = layers
        self.readout = nn.Linear(layers.hidden_size * (1 + layers.bidirectional), outputs)
        with torch.no_grad():
            for name, values in layers.named_parameters():
                if name.startswith(("weight", "bias", "peephole")):
                    values.normal_(0, 0.8)
        self.double()

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        h = pad_packed_sequence(self.layers(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return self.readout(h)


def net_of(name, shape=PLAIN, units=3, seed=1):
    cell = MGU if name == "mgu" else name
    return Net(lp.GatedRNN(3, units, batch_first=True, cell=cell, **shape), seed)


def batch_of(seed=0, n=N, time=7):
    rng = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, time, 3, generator=rng, dtype=torch.float64)
    inputs[..., :2] = (torch.rand(n, time, 2, generator=rng) < 0.2).double()
    lengths = torch.randint(5, time + 1, (n,), generator=rng)
    return Batch(inputs, {"a": inputs[..., :1], "b": inputs[..., :1]}, (Target("a"), Target("b")), lengths, {})


def parts_of(module):
    directions = ("reverse",) if getattr(module, "backward", False) else ("forward", "reverse")
    return [(layer, way) for layer in range(module.num_layers) for way in directions[: 1 + module.bidirectional]]


def loop(name, net, inputs, lengths, exchange=None):
    """Every variable of every step by part and name, (sequence, time, unit), and the outputs.

    `exchange` is (part, unit, step, values): after this step, this unit's memory is values[sequence], where known.
    """
    module, ends = net.layers, lengths.tolist()
    back, memory = getattr(module, "backward", False), cell_of(module).memory

    def turned(values):
        return torch.stack([torch.cat([v[:n].flip(0), v[n:]]) for v, n in zip(values, ends)]) if back else values

    def held(layer, side, s, t, v, value):
        if exchange is not None and v == memory:
            part, unit, step, values = exchange
            at = ends[s] - 1 - t if back else t
            if (layer, ("forward", "reverse")[side or back]) == part and at == step and not values[s].isnan():
                value[unit] = values[s]
        return value

    k = module.num_layers * (1 + module.bidirectional)
    start = tuple(one.double() for one in cell_of(module).start(inputs, (k, len(inputs), module.hidden_size)))
    h, _, every = by_hand.run(name, module, turned(inputs), ends, start, held)
    found = {}
    for (layer, side, s, v), steps in every.items():
        part = layer, ("forward", "reverse")[side or back]
        nan = torch.full((*inputs.shape[:2], module.hidden_size), torch.nan, dtype=torch.float64)
        values = found.setdefault(part, {}).setdefault(v, nan)
        for t, value in steps.items():
            values[s, ends[s] - 1 - t if back else t] = value
    return found, net.readout(turned(h))


def rows_of(table, link, unit, part):
    own = table[(table["link"] == link) & (table["unit"] == unit) & (table["layer"] == part[0])]
    return own[own["direction"] == part[1]].set_index("other")


@torch.no_grad()
def check(name, net, seed=5, unit=1, data=0):
    """Compare all that a table says of one unit of every part with the plain loop."""
    batch = batch_of(data)
    time, ends, mask = batch.inputs.shape[1], batch.lengths, batch.mask
    table = lp.memory_flow(net, batch, steps=STEPS, after=AFTER, bootstrap=2, seed=seed, units=_units(net, unit))
    memory = cell_of(net.layers).memory
    assert set(table["variable"]) == {memory}
    parts, outputs = loop(name, net, batch.inputs, ends)
    assert list(parts) == parts_of(net.layers)
    events = find_events(net, batch.inputs, mask)
    tried = put_in(net, batch, events, None, np.random.default_rng(derive_seed(seed, "memory flow")))
    donors = torch.from_numpy(make_donors(ends.numpy(), time, seed))
    put = {}
    for k in (0, 1):
        inputs = batch.inputs.clone()
        inputs[tried.sequences, tried.steps, k] = 1
        put[f"input {k}"] = loop(name, net, inputs, ends)[0]
    for part in parts:
        _check_writes(name, rows_of(table, "write", unit, part), batch, parts[part], part, unit, memory, tried,
                      {event: other[part][memory][tried.sequences, tried.steps, unit]
                       for event, other in put.items()})  # fmt: skip
        _check_the_rest(name, table, net, batch, parts, part, unit, donors, outputs)


def _units(net, unit):
    two = net.layers.bidirectional
    back = getattr(net.layers, "backward", False)
    return [(layer, way, unit) if two or back else (layer, unit) for layer, way in parts_of(net.layers)]


def _check_writes(name, rows, batch, own, part, unit, memory, tried, after):
    sign = 1 if part[1] == "forward" else -1
    values = {v: steps[..., unit] for v, steps in own.items()}
    there = [(s, t) for s in range(len(batch)) for t in range(int(batch.lengths[s]))
             if 0 <= t - sign < int(batch.lengths[s])]  # fmt: skip
    for k, event in enumerate(("nothing", "input 0", "input 1")):
        here = [(s, t) for s, t in there if batch.inputs[s, t, :2].tolist() == [float(k == 1), float(k == 2)]]
        v = {letter: torch.stack([steps[s, t] for s, t in here]) for letter, steps in values.items()}
        row, before = rows.loc[event], torch.stack([values[memory][s, t - sign] for s, t in here])
        assert row["n"] == len(here)
        assert row["change"] == pytest.approx(float((v[memory] - before).mean()), abs=1e-9)
        assert row["size"] == pytest.approx(float((v[memory] - before).abs().mean()), abs=1e-9)
        kept = KEPT.get(name, lambda v: v["f"])(v)
        assert row["kept"] == pytest.approx(float(kept.mean()), abs=1e-9)
        added = ADDED.get(name, lambda v: v["i"] * v["g"])(v)
        assert row["written"] == pytest.approx(float(added.mean()), abs=1e-9)
        assert torch.allclose(kept * before + added, v[memory], rtol=0, atol=1e-11)
        for letter in "ifg":
            known = letter in v
            assert row[letter] == pytest.approx(float(v[letter].mean()) if known else math.nan, abs=1e-9, nan_ok=True)
        if k:
            change = after[event] - values[memory][tried.sequences, tried.steps]
            assert row["effect"] == pytest.approx(float(change.abs().mean()), abs=1e-9)
            assert row["signed"] == pytest.approx(float(change.mean()), abs=1e-9)


def _check_the_rest(name, table, net, batch, parts, part, unit, donors, outputs):
    module, memory = net.layers, cell_of(net.layers).memory
    sign, own, ends = 1 if part[1] == "forward" else -1, parts[part], batch.lengths.tolist()
    written = rows_of(table, "write", unit, part)
    writes = [k for k in (0, 1) if written.loc[f"input {k}", "confirmed"]]
    kept = KEPT.get(name, lambda v: v["f"])({v: steps[..., unit] for v, steps in own.items()})
    sums = {lag: torch.zeros(4, dtype=torch.float64) for lag in AFTER}  # left, alone, squares, pairs
    moved, shown, pairs, heard, above = torch.zeros(2), 0.0, 0, [], []
    for step in STEPS:
        donor = donors[:, step]
        values = torch.where(donor >= 0, own[memory][donor, step, unit], torch.nan)
        other, changed = loop(name, net, batch.inputs, batch.lengths, (part, unit, step, values))
        delta = values - own[memory][:, step, unit]
        for s in torch.nonzero(donor >= 0)[:, 0].tolist():
            pairs += 1
            moved = moved + (changed[s, step] - outputs[s, step]).square()
            shown += float((other[part]["h"][s, step, unit] - own["h"][s, step, unit]).square())
            if 0 <= step + sign < ends[s]:
                heard.append({v: other[part][v][s, step + sign] - own[v][s, step + sign] for v in own})
            up = part[0] + 1, part[1]
            if up in parts:
                above.append({v: other[up][v][s, step] - parts[up][v][s, step] for v in own})
            for lag in AFTER:
                path = [step + sign * k for k in range(1, lag + 1)]
                if not 0 <= path[-1] < ends[s] or any(batch.inputs[s, t, k] == 1 for k in writes for t in path):
                    continue
                left = other[part][memory][s, path[-1], unit] - own[memory][s, path[-1], unit]
                alone = torch.stack([kept[s, t] for t in path]).prod()
                one = left * delta[s], alone * delta[s] ** 2, delta[s] ** 2, torch.tensor(1.0)
                sums[lag] += torch.stack([value.double() for value in one])
    quiet = torch.stack([batch.inputs[..., k] != 1 for k in writes] or [batch.mask]).all(0) & batch.mask
    if cell_of(module).starts:
        first = torch.zeros_like(quiet)
        for s, n in enumerate(ends):
            first[s, 0 if sign > 0 else n - 1] = True
        quiet &= ~first
    held = rows_of(table, "hold", unit, part).set_index("lag")
    for lag, (left, alone, squares, n) in sums.items():
        row = held.loc[lag]
        assert row["n"] == int(n)
        assert row["kept"] == pytest.approx(float(kept[quiet].mean()), abs=1e-9)
        if n >= 20 and squares > 1e-12:
            assert row["effect"] == pytest.approx(float(left / squares), abs=1e-8)
            assert row["gate_alone"] == pytest.approx(float(alone / squares), abs=1e-8)
            assert row["confirmed"] == (abs(row["effect"] - row["gate_alone"]) <= 0.1)
    read = rows_of(table, "read", unit, part)
    sd = outputs[batch.mask].std(0, correction=0).clamp(min=0.01)
    for k, target in enumerate(("output a", "output b")):
        if shown > 1e-12:
            assert read.loc[target, "effect"] == pytest.approx(float((moved[k] / pairs).sqrt() / sd[k]), abs=1e-8)
        if part[0] == module.num_layers - 1 and name != "lstm_layer_norm" and shown > 1e-12:
            at = unit + module.hidden_size * (part[1] == "reverse" and module.bidirectional)
            assert read.loc[target, "weight"] == pytest.approx(float(net.readout.weight[k, at]), abs=1e-8)
    rows, legal = ROWS.get(name, "ifgo"), set()
    for place, changes in ((part, heard), ((part[0] + 1, part[1]), above)):
        for reader in dict.fromkeys((*rows, memory)):
            for j in range(module.hidden_size):
                label = f"unit {f'{place[0]}·' * (module.num_layers > 1)}{j}{'←' * (place[1] == 'reverse')} {reader}"
                legal.add(label)
                if label not in read.index or not changes:
                    continue
                every = parts[place][reader][..., j][batch.mask]
                spread = max(float(every.std(correction=0)), 0.01)
                rms = float(torch.stack([one[reader][j] for one in changes]).square().mean().sqrt())
                assert read.loc[label, "effect"] == pytest.approx(rms / spread, abs=1e-7)
    units = [one for one in read.index if one.startswith("unit ")]
    across = {one.replace("←", "") for one in units} - {one.replace("←", "") for one in legal}
    assert not across and (len(units) or shown <= 1e-12)
    label = f"unit {f'{part[0]}·' * (module.num_layers > 1)}{unit}{'←' * (part[1] == 'reverse')}"
    if shown > 1e-12:
        assert [one for one in units if one.startswith(f"{label} ")] == [f"{label} {reader}" for reader in rows]


@pytest.mark.parametrize("name", EVERY)
def test_every_number_is_that_of_a_plain_loop(name):
    for shape in (PLAIN, {"backward": True}):
        check(name, net_of(name, shape))


@pytest.mark.parametrize("name", ["gru", "rnn", "slstm", "mgu", "lstm_no_forget"])
def test_likewise_in_two_layers_and_both_directions(name):
    check(name, net_of(name, BOTH, seed=2))


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(EVERY), units=st.integers(1, 5), seed=st.integers(0, 999),
    shape=st.sampled_from([PLAIN, TWO, {"bias": False}, {"bidirectional": True}, {"backward": True}]),
)  # fmt: skip
def test_of_any_size_and_seed(name, units, seed, shape):
    if name in ("mgu", "lstm_layer_norm") and "bias" in shape:
        shape = PLAIN
    check(name, net_of(name, shape, units, seed), seed, unit=units - 1, data=seed)
