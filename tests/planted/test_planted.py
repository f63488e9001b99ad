"""Hand-built networks against plain loops over symbols, and what probes and ablation say of them."""

import random

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.planted import Counter, Dyck, Latch, Parity, combine, counter, dyck, latch, parity, rotate, rotation

FAST = {"permutations": 199, "bootstrap": 20, "untrained": 19}
THREE = (Counter(), Latch(), Parity())


def outputs_of(net, inputs):
    """What the network says, as numpy arrays by target."""
    with torch.no_grad():
        parts = net.batch(inputs).split_outputs(net.model(inputs))
    return {name: values.numpy() for name, values in parts.items()}


def events_by_hand(rows):
    """Count, latch and parity of (up, down, set, reset, flip) events, one step at a time."""
    count, held, odd, out = 0, 0, 0, []
    for up, down, set_, reset, flip in rows:
        count += int(up) - int(down)
        if set_ or reset:
            held = 0 if reset else 1
        odd ^= int(flip)
        out.append((count, held, odd))
    return np.array(out)


@pytest.mark.parametrize(("seed", "random_units", "listening"), [(0, 0, False), (1, 5, False), (2, 9, True)])
def test_counts_latches_and_parities_are_exact_over_a_thousand_steps(seed, random_units, listening):
    parts = [Counter(rate=0.4), Latch(rate=0.3), Parity(rate=0.5)]
    net = combine(parts, random_units, listening=listening, seed=seed)
    batch = net.sample(6, 1000, seed=seed)
    c = lp.record(net.model, batch.inputs).c.numpy()
    outputs = outputs_of(net, batch.inputs)
    for k, sequence in enumerate(batch.inputs[..., :5].numpy()):
        truth = events_by_hand(sequence)
        for column, name in enumerate(("count", "latch", "parity")):
            assert (c[k, :, net.where[name]] == truth[:, column] * net.factors[name]).all()
            assert (batch.signals[name].values[k].numpy() == truth[:, column]).all()
            assert (batch.targets[name][k, :, 0].numpy() == truth[:, column]).all()
            assert np.abs(outputs[name][k, :, 0] - truth[:, column]).max() < 0.02
    assert min(batch.scores(net.model(batch.inputs).detach()).values()) > 0.9999


@pytest.mark.parametrize("step", [2**-12, 0.01, 0.5])
def test_a_thousand_ups_and_as_many_downs_are_counted(step):
    net = counter(3, step=step)
    inputs = torch.zeros(2, 2000, 3)
    inputs[:, :1000, 0], inputs[:, 1000:, 1] = 1, 1
    got = lp.record(net.model, inputs).c[..., net.where["count"]] / step
    expected = torch.cat([torch.arange(1, 1001), torch.arange(999, -1, -1)])
    assert (got.round() == expected).all() and (got - expected).abs().max() < 0.05


def brackets_by_hand(symbols, k, m):
    """The legal next symbols and the stack after each symbol: below k opens, from k on closes, None waits."""
    stack, legal, stacks = [], [], []
    for s in symbols:
        if s is not None and s < k:
            stack.append(s)
        elif s is not None:
            assert stack.pop() == s - k
        closes = [bool(stack) and stack[-1] == kind for kind in range(k)]
        legal.append([len(stack) < m] * k + closes + [not stack])
        stacks.append(list(stack))
    return np.array(legal), stacks


def random_brackets(k, m, length, rng, wait=0.0):
    """A prefix of a string of Dyck-(k, m), with steps without a symbol in between."""
    stack, out = [], []
    for _ in range(length):
        if rng.random() < wait:
            out.append(None)
        elif len(stack) < m and (not stack or rng.random() < 0.5):
            stack.append(rng.randrange(k))
            out.append(stack[-1])
        else:
            out.append(k + stack.pop())
    return out


def as_inputs(strings, lines):
    inputs = torch.zeros(len(strings), len(strings[0]), lines)
    for row, string in zip(inputs, strings):
        for step, symbol in zip(row, string):
            if symbol is not None:
                step[symbol] = 1
    return inputs


@pytest.mark.parametrize(("k", "m", "units"), [(2, 3, 6), (8, 5, 40), (2, 1, 2), (3, 4, 20), (5, 2, 16), (16, 12, 132)])
@pytest.mark.parametrize("wait", [0.0, 0.2])
def test_dyck_knows_exactly_the_legal_next_symbols(k, m, units, wait):
    net = dyck(k, m, seed=k + m)
    assert net.model.lstm.hidden_size == units == len(net.where)
    rng = random.Random(k)
    strings = [random_brackets(k, m, 1000, rng, wait) for _ in range(2)]
    inputs = as_inputs(strings, 2 * k)
    logits = outputs_of(net, inputs)["dyck"]
    c = lp.record(net.model, inputs).c.numpy()
    assert np.isin(c, (-1.0, 0.0, 1.0)).all()
    batch = net.batch(inputs)
    for row, string in enumerate(strings):
        legal, stacks = brackets_by_hand(string, k, m)
        assert ((logits[row] > 0) == legal).all()
        assert (batch.targets["dyck"][row].bool().numpy() == legal).all()
        bits = (k - 1).bit_length()
        for slot in range(m):
            kinds = np.array([stack[slot] if slot < len(stack) else -1 for stack in stacks])
            for b in range(bits):
                bit = (kinds >= 0) & (kinds >> b & 1 == 1)
                for name, expected in ((f"bit{b}", bit), (f"not{b}", (kinds >= 0) & ~bit)):
                    name = f"dyck.slot{slot}.{name}"
                    assert (c[row, :, net.where[name]] == expected).all()
                    assert (batch.signals[name].values[row].numpy() == expected).all()
            for b in range(bits - 1):
                assert (c[row, :, net.where[f"dyck.slot{slot}.full{b}"]] == -1.0 * (kinds >= 0)).all()
        assert (batch.signals["dyck.depth"].values[row].numpy() == [len(stack) for stack in stacks]).all()
    assert np.abs(logits).min() > 9.9


@pytest.mark.parametrize(("k", "m"), [(2, 3), (8, 5)])
def test_dyck_generates_its_language_and_nothing_else(k, m):
    """Feed the network what it calls legal; every string must be one, and every kind and depth must come."""
    net = dyck(k, m, random_units=4, listening=True, seed=1)
    lstm, readout = net.model.lstm, net.model.readout
    rng = torch.Generator().manual_seed(0)
    n, state, legal = 8, None, (readout.bias > 0).expand(8, -1)
    assert legal[0].tolist() == [True] * k + [False] * k + [True]  # before the first symbol
    symbols = []
    with torch.no_grad():
        for _ in range(1000):
            chosen = torch.multinomial(legal[:, : 2 * k].float(), 1, generator=rng)
            symbols.append(chosen)
            x = torch.zeros(n, 1, 2 * k + 1)
            x.scatter_(2, chosen.unsqueeze(-1), 1)
            x[..., -1] = torch.randn(n, 1, generator=rng)
            h, state = lstm(x, state)
            legal = readout(h[:, 0]) > 0
    for string in torch.cat(symbols, dim=1).tolist():
        truth, stacks = brackets_by_hand(string, k, m)
        assert set(string) == set(range(2 * k)) and max(map(len, stacks)) == m
        assert (truth[range(999), string[1:]]).all()


def test_a_wrong_symbol_is_found_at_its_step():
    k, m = 4, 3
    net = dyck(k, m)
    rng = random.Random(5)
    for _ in range(20):
        string = random_brackets(k, m, 60, rng)
        legal, _ = brackets_by_hand(string, k, m)
        at = rng.randrange(1, 60)
        string[at] = rng.choice([s for s in range(2 * k) if not legal[at - 1, s]])
        inputs = as_inputs([string], 2 * k)
        said = net.model(inputs)[0] > 0
        first = next(t for t in range(1, 60) if not said[t - 1, string[t]])
        with pytest.raises(InputError, match=f"sequence 0, step {at} is not legal"):
            net.batch(inputs)
        assert first == at


@pytest.mark.parametrize(("k", "m", "units"), [(2, 1, 2), (2, 3, 6), (3, 4, 20), (8, 5, 40)])
@torch.no_grad()
def test_dyck_solves_the_task_of_that_name(k, m, units):
    """With 3m⌈log2 k⌉ − m units and none beside them; strings far longer than the task's own too."""
    model = dyck(k, m).model
    assert model.lstm.hidden_size == units and (model.lstm.input_size, model.readout.out_features) == (2 * k, 2 * k + 1)
    for lengths in ({}, {"min_length": 200, "max_length": 300}):
        task = lp.get_task("dyck", kinds=k, max_depth=m, **lengths)
        scores = task.sample(50, seed=2).scores(model(task.sample(50, seed=2).inputs))
        assert scores == {"legal": 1.0} and task.solved(scores)


@pytest.mark.parametrize("length", [1, 7, 30])
def test_samples_are_a_pure_function_of_their_seed(length):
    net = combine([*THREE, Dyck()], random_units=2)
    one, same, other = (net.sample(5, length, seed=s).inputs for s in (3, 3, 4))
    assert one.shape == (5, length, 5 + 4 + 1) and (one == same).all() and not (one == other).all()
    assert len(net.input_names) == 10 and net.input_names[-1] == "noise"
    alone = parity().sample(5, length, seed=3).inputs[..., 0]
    assert (alone == one[..., net.input_names.index("parity.flip")]).all()


def test_random_units_change_nothing_and_stand_anywhere():
    orders = set()
    batch = combine(THREE, 6).sample(8, 60)
    plain = outputs_of(combine(THREE), batch.inputs[..., :5])
    for seed in range(4):
        net = combine(THREE, 6, listening=True, seed=seed)
        orders.add(tuple(net.where.values()))
        for name, values in outputs_of(net, batch.inputs).items():
            assert np.allclose(values, plain[name], atol=1e-6)
        rest = sorted(set(range(9)) - set(net.where.values()))
        assert (net.model.readout.weight[:, rest] == 0).all()
        c = lp.record(net.model, batch.inputs).c[..., rest]
        assert (c.std((0, 1)) > 0.01).all()
    assert len(orders) == 4


def test_deaf_random_units_hear_the_noise_alone():
    net = combine(THREE, 6, seed=1)
    one, other = net.sample(8, 30, seed=1), net.sample(8, 30, seed=2)
    swapped = torch.cat([other.inputs[..., :5], one.inputs[..., 5:]], dim=-1)
    rest = sorted(set(range(9)) - set(net.where.values()))
    a, b = (lp.record(net.model, x).c[..., rest] for x in (one.inputs, swapped))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_probes_and_ablation_name_the_planted_units_and_no_other(seed):
    net = combine(THREE, 5, seed=seed)
    batch = net.sample(96, 40, seed=seed + 10)
    table = lp.probe_units(lp.record(net.model, batch.inputs), batch.signals, seed=seed, **FAST)
    tracked = table[table.tracks]
    assert set(zip(tracked.signal, tracked.unit)) == set(net.where.items())
    memory = tracked[tracked.variable == "c"].set_index("signal")
    assert set(memory.index) == {"count", "latch", "parity"} and memory.effect.min() > 0.999
    effect = lp.ablate_units(net.model, batch, bootstrap=100)
    used = effect[effect.needed == "alone"]
    assert set(zip(used.target, used.unit)) == set(net.where.items())
    assert effect.intact.min() > 0.999 and used.score_drop.min() > 0.95


@pytest.mark.parametrize("seed", range(2))
def test_among_listening_units_the_planted_ones_are_the_best(seed):
    net = combine(THREE, 12, listening=True, seed=seed)
    batch = net.sample(96, 40, seed=seed)
    table = lp.probe_units(lp.record(net.model, batch.inputs, variables=["c"]), batch.signals, **FAST)
    best = table[table.tracks].sort_values("effect").groupby("signal").unit.last()
    assert best.to_dict() == dict(net.where)
    effect = lp.ablate_units(net.model, batch, bootstrap=100)
    assert set(zip(effect[effect.needed == "alone"].target, effect[effect.needed == "alone"].unit)) == set(
        net.where.items()
    )


def test_every_unit_of_the_stack_is_found_and_used():
    net = dyck(4, 2, random_units=4, seed=2)
    batch = net.sample(96, 40, seed=1)
    table = lp.probe_units(
        lp.record(net.model, batch.inputs, variables=["c"]), batch.signals, **{**FAST, "permutations": 399}
    )
    assert set(table[table.tracks].unit) == set(net.where.values())
    rows = table.set_index(["signal", "unit"])
    for name, unit in net.where.items():
        assert rows.tracks[name, unit] and rows.effect[name, unit] == pytest.approx(1)
    effect = lp.ablate_units(net.model, batch, mode="zero", bootstrap=100)
    assert set(effect[effect.needed == "alone"].unit) == set(net.where.values()) and effect.intact.iloc[0] == 1


def test_two_of_a_kind_under_names_of_their_own():
    net = combine([Counter(), Counter(name="other"), Dyck(name="a"), Dyck(name="b")], 2, seed=4)
    assert len(set(net.where.values())) == len(net.where) == 2 + 6 + 6
    batch = net.sample(4, 200)
    c = lp.record(net.model, batch.inputs).c
    for name, unit in net.where.items():
        assert (c[..., unit] == net.factors[name] * batch.signals[name].values).all()
    assert not (batch.signals["count"].values == batch.signals["other"].values).all()


def test_float64_is_as_exact():
    net = combine([*THREE, Dyck()])
    batch = net.sample(3, 300)
    c = lp.record(net.model.double(), batch.inputs.double()).c
    for name, unit in net.where.items():
        torch.testing.assert_close(
            c[..., unit], (net.factors[name] * batch.signals[name].values).double(), rtol=1e-6, atol=1e-12
        )


def test_a_rotation_hides_units_and_leaves_the_population():
    bits = [part(name=f"{part.__name__}{k}") for part in (Latch, Parity) for k in range(4)]
    net = combine([Counter(step=0.05), *bits], 4, seed=0)
    batch = net.sample(96, 40, seed=0)
    rec = lp.record(net.model, batch.inputs)
    turned = rotate(rec, seed=1)
    q = rotation(13, seed=1)
    torch.testing.assert_close(q @ q.T, torch.eye(13, dtype=torch.float64))
    torch.testing.assert_close(turned.c.double() @ q.T, rec.c.double(), rtol=0, atol=1e-6)
    assert turned[0].variables == ("h", "c")
    assert (rotate(rec, seed=1).h == turned.h).all() and not (rotate(rec, seed=2).h == turned.h).all()
    score = {}
    for which, recording in (("own", rec), ("turned", turned)):
        c = recording.select(["c"])
        units = lp.probe_units(c, batch.signals, **FAST)
        people = lp.probe_populations(c, batch.signals).set_index("signal")
        score[which] = units.groupby("signal").effect.max(), people.score
    names = list(net.where)
    assert score["own"][0][names].min() > 0.999
    assert score["turned"][0][names].mean() < 0.85 and score["turned"][0]["count"] < 0.5
    assert score["turned"][1][names].to_numpy() == pytest.approx(score["own"][1][names].to_numpy(), abs=1e-6)


def test_rotations_are_uniform():
    """Each entry has mean 0 and mean square 1 / size, the diagonal too (which QR without care gets wrong)."""
    many = torch.stack([rotation(3, seed=s) for s in range(1500)])
    assert many.mean(0).abs().max() < 0.06
    assert (many.square().mean(0) - 1 / 3).abs().max() < 0.04


def test_layers_directions_and_projections_are_rotated_each_by_itself():
    lstm = torch.nn.LSTM(2, 5, 2, batch_first=True, bidirectional=True, proj_size=3)
    rec = lp.record(lstm, torch.randn(4, 6, 2))
    turned = rotate(rec, seed=3)
    for key, part in rec.parts.items():
        for variable, size in (("h", 3), ("c", 5)):
            expected = part[variable] @ rotation(size, 3).float()
            torch.testing.assert_close(turned.parts[key][variable], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: combine([]), ["there are none"]),
        (lambda: combine([Latch(name="step")], -3), ["step is the signal", "random_units=-3"]),
        (lambda: combine([Latch(), Counter(), Latch()], -1), ["latch appears twice", "random_units=-1"]),
        (lambda: dyck(1, 0), ["Dyck.kinds=1: must be a whole number from 2", "Dyck.max_depth=0"]),
        (lambda: counter(step=1.0, rate=1.5), ["Counter.step=1:", "Counter.rate=1.5"]),
        (lambda: latch(name=""), ["Latch.name"]),
        (lambda: latch().sample(0, -2), ["n=0", "length=-2"]),
        (
            lambda: latch().batch(torch.full((2, 3, 2), 0.5)),
            ["must be 0 or 1 on the lines latch.set, latch.reset"],
        ),
        (lambda: latch().batch(torch.zeros(2, 3, 4)), [r"inputs: shape (2, 3, 4)", "latch.set, latch.reset"]),
        (
            lambda: rotate(lp.record(latch().model, torch.zeros(2, 3, 2), variables=["f"])),
            ["only f recorded"],
        ),
    ],
)
def test_bad_input(make, parts):
    with pytest.raises(InputError) as caught:
        make()
    for part in parts:
        assert part in "\n".join(caught.value.problems)
