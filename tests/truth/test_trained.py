"""Trained networks with a known map: measured anew by a plain loop, with what goes on after swaps counted by hand."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.seeding import derive_seed, generator
from lstm_probe.planted.truth import brute_force
from lstm_probe.truth import cases, evaluate, gate, trained_networks
from lstm_probe.truth.interchange import (
    LEAST,
    MOST,
    passes,
)
from lstm_probe.truth.trained import (
    FOLDER,
    INDEX,
    RECIPES,
    SEQUENCES,
    averaged,
    read_index,
    read_network,
    write_network,
)

MAPPED = [name for name, recipe in RECIPES.items() if recipe.mapped]


def tracking_steps(x, value):
    """What each signal of tracking goes on as, from a value, when these events come: up to tick, then noise."""
    up, down, set_, reset, flip, tick, noise = x
    return {
        "count": value["count"] + up - down,
        "latch": 0.0 if reset else 1.0 if set_ else value["latch"],
        "parity": value["parity"] if not flip else 1 - value["parity"],
        "leak": 0.9 * value["leak"] + 0.3 * noise,
        "since": 0.0 if tick else min(value["since"] + 1, 20),
    }


def compose_steps(x, value):
    *pulses, bit = x
    found = {f"flipflop.bit{k}": pulse or value[f"flipflop.bit{k}"] for k, pulse in enumerate(pulses)}
    return found | {"parity.parity": (value["parity.parity"] + bit) % 2}


SPREADS = {"count": 5**0.5, "latch": 0.5, "parity": 0.5, "leak": 0.3 / 0.19**0.5, "since": 10 / 1.5}
FIRST = {"tracking": dict.fromkeys(SPREADS, 0.0), "compose": dict.fromkeys(
    ["flipflop.bit0", "flipflop.bit1", "flipflop.bit2", "parity.parity"], 0.0)}  # fmt: skip


def counted(task, inputs, start=None):
    """The targets of sequences, (sequence, step, target), counted step by step; from `start`, or from the beginning."""
    step, names = (tracking_steps, SPREADS) if task == "tracking" else (compose_steps, FIRST["compose"])
    spread = np.array([SPREADS.get(name, 1.0) for name in names])
    made = np.zeros((len(inputs), inputs.shape[1], len(names)))
    for s, sequence in enumerate(inputs.tolist()):
        value = FIRST[task] if start is None else dict(zip(names, start[s] * spread))
        for t, x in enumerate(sequence):
            value = step(x, value)
            made[s, t] = [value[name] for name in names]
    return made / spread


def cell_of(model):
    """The network's LSTM as a cell of PyTorch."""
    cell = nn.LSTMCell(model.lstm.input_size, model.lstm.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): values for name, values in model.lstm.state_dict().items()})
    return cell


@torch.no_grad()
def stepped(model, inputs, *, swap=None, hold=None):
    """The outputs, step by step, with units' states from others at one step, or their memories held."""
    cell, made = cell_of(model), []
    h = c = torch.zeros(len(inputs), model.lstm.hidden_size)
    for t, x in enumerate(inputs.unbind(1)):
        h, c = cell(x, (h, c))
        if swap is not None and t == swap[0]:
            _, units, donors = swap
            h, c = h.clone(), c.clone()
            h[:, units], c[:, units] = h[donors][:, units], c[donors][:, units]
        if hold is not None:
            units, at = hold
            before, c = c, c.clone()
            c[:, units] = at[units]
            shown = h / before.tanh()  # the output gate
            h = torch.where(before != 0, shown, 0.0) * c.tanh()
        made.append(model.readout(h))
    return torch.stack(made, dim=1).double().numpy()


def measured(model, units, task, inputs, donors):
    """The figures of the gate, by target, from plain loops."""
    names = list(FIRST[task])
    others = [unit for unit in range(model.lstm.hidden_size) if unit not in units.values()]
    intact, own = stepped(model, inputs), counted(task, inputs)
    spread = intact.reshape(-1, len(names)).var(0)
    time = inputs.shape[1]
    missed, missed_together, due, free, side = np.zeros((5, len(names)))
    for at in (time // 5, 2 * time // 5, 3 * time // 5, 4 * time // 5):
        on = counted(task, inputs[:, at + 1 :], start=own[donors, at])
        wanted = np.concatenate([own[donors, at][:, None], on], axis=1)
        due += ((own[:, at:] - wanted) ** 2).sum((0, 1))
        together = stepped(model, inputs, swap=(at, list(units.values()), donors))[:, at:]
        missed_together += ((together - wanted) ** 2).sum((0, 1))
        for k, name in enumerate(names):
            made = stepped(model, inputs, swap=(at, [units[name]], donors))[:, at:]
            missed[k] += ((made - wanted) ** 2).sum((0, 1))[k]
            moved = ((made - intact[:, at:]) ** 2).mean(0).max(0) / spread
            moved[k] = 0
            side = np.maximum(side, moved)
        made = stepped(model, inputs, swap=(at, others, donors))[:, at:]
        free = np.maximum(free, ((made - intact[:, at:]) ** 2).mean(0).max(0) / spread)
    r2 = 1 - ((intact - own) ** 2).mean((0, 1)) / own.var((0, 1))
    c = lp.record(model, inputs).c.flatten(0, 1).double().numpy()
    in_c = [np.corrcoef(c[:, units[name]], own[..., k].ravel())[0, 1] ** 2 for k, name in enumerate(names)]
    columns = {"follow": 1 - missed / due, "follow_together": 1 - missed_together / due, "r2": r2, "free": free}
    return pd.DataFrame(
        {"target": names, "unit": [units[name] for name in names]} | columns | {"side": side, "in_c": in_c}
    )


def inputs_of(net, n, *purpose):
    return net.task.sample(n, derive_seed(net.seed, *purpose)).inputs


def derangement(n, *purpose):
    return torch.randperm(n, generator=generator(*purpose)).roll(1)


@pytest.mark.parametrize("recipe", MAPPED)
def test_each_network_passes_the_gate_on_sequences_that_nobody_has_seen(recipe):
    nets = trained_networks(recipe)
    assert len(nets) == RECIPES[recipe].wanted
    for net in nets:
        inputs = inputs_of(net, 256, "none of the trainings", recipe)
        table = measured(net.model, net.units, net.task.name, inputs, derangement(256, 7, "somebody else"))
        for column in LEAST:
            assert (table[column] >= {"r2": 0.995}.get(column, 0.99)).all(), (recipe, net.seed, table)
        for column in MOST:
            assert (table[column] <= 0.005).all(), (recipe, net.seed, table)


@pytest.mark.parametrize("recipe", ["tracking, 16 units", "compose, 16 units"])
def test_the_gate_says_what_a_plain_loop_says_and_what_was_stored(recipe):
    net = trained_networks(recipe)[0]
    table = gate(net.model, net.task, net.units, sequences=64, seed=5)
    inputs = net.task.sample(64, derive_seed(5, "gate")).inputs
    own = measured(net.model, net.units, net.task.name, inputs, derangement(64, 5, "gate donors"))
    pd.testing.assert_frame_equal(table, own, check_dtype=False, atol=2e-5, rtol=0)
    again = gate(net.model, net.task, net.units, seed=net.seed)
    pd.testing.assert_frame_equal(again, net.gate, check_dtype=False, atol=2e-5, rtol=0)
    assert passes(again)


def test_the_task_counts_as_the_tests_do():
    for name in ("tracking, 16 units", "compose, 16 units"):
        batch = trained_networks(name)[0].sample(20, seed=3)
        targets = torch.cat([batch.targets[spec.name] for spec in batch.target_specs], dim=-1)
        assert np.allclose(counted(name.partition(",")[0], batch.inputs), targets.double().numpy(), atol=1e-5)


def test_a_network_fails_by_each_bar():
    net = trained_networks("tracking, 16 units")[0]
    for column, by in (("follow", -0.02), ("follow_together", -0.02), ("r2", -0.01), ("free", 0.006), ("side", 0.006)):
        table = net.gate.copy()
        table.loc[2, column] += by
        assert passes(net.gate) and not passes(table), column
        table.loc[2, column] = math.nan
        assert not passes(table), column


def test_swapped_units_or_others_in_their_place_fail():
    net = trained_networks("tracking, 16 units")[0]
    wrong = net.units | {"count": net.units["latch"], "latch": net.units["count"]}
    table = gate(net.model, net.task, wrong, sequences=64).set_index("target")
    assert (table.follow[["count", "latch"]] < 0.1).all() and (table.follow[["parity", "leak", "since"]] > 0.99).all()
    assert table.side["count"] > 0.1 < table.side["latch"] and not passes(table)
    other = next(unit for unit in range(16) if unit not in net.units.values())
    table = gate(net.model, net.task, net.units | {"count": other}, sequences=64).set_index("target")
    assert table.follow["count"] < 0.1 and table.free["count"] > 0.1


def test_what_is_stored_is_what_brute_force_says():
    net = trained_networks("compose, 16 units")[0]
    batch = net.sample(SEQUENCES, derive_seed(net.seed, "truth"))
    anew = averaged(brute_force(net.model, batch, largest=3, seed=net.seed))
    assert anew.sets == net.truth.sets and anew.targets == net.truth.targets
    assert np.allclose(anew.clamped, net.truth.clamped, atol=1e-5)
    assert np.allclose(anew.swapped, net.truth.swapped, atol=1e-5)
    assert np.allclose(anew.kept, net.truth.kept, atol=1e-5)


def test_clamping_costs_what_a_plain_loop_says():
    net = trained_networks("tracking, 16 units")[0]
    inputs = inputs_of(net, SEQUENCES, "truth")
    intact = stepped(net.model, inputs)
    means = lp.record(net.model, inputs).c.mean((0, 1))
    held = list(net.units.values())
    for units in ([], [held[0]], [held[2]], held[:2], [*held[3:], (held[0] + 1) % 16]):
        made = stepped(net.model, inputs, hold=(units, means))
        lost = ((made - intact) ** 2).mean((0, 1)) / intact.reshape(-1, 5).var(0)
        for k, target in enumerate(net.truth.targets):
            assert net.truth.cost([(0, unit) for unit in units], target) == pytest.approx(lost[k], abs=1e-4)


def test_a_trained_unit_is_needed_and_holds_its_signal_and_others_do_not():
    for case in cases(knobs=["trained"], seeds=2):
        net = case.net
        pairs = {(unit, name) for name, unit in net.units.items()}
        needed = case.needed.set_index(["unit", "name"]).answer
        costs = net.truth.labels.set_index(["unit", "target"]).cost
        if not net.units:
            assert set(case.holds.answer) == {None} and (needed == True).any()  # noqa: E712
            continue
        in_h = {(unit, name) for unit, name, r2 in net.gate[["unit", "target", "in_c"]].values if r2 < 0.5}
        assert all(needed[pair] is True and costs[pair] > 0.9 for pair in pairs - in_h)
        assert (costs.drop(list(pairs)) < 0.1).all()  # what free units hand on, as it were a constant
        for table, own, free in ((case.holds, pairs - in_h, None), (net.carries, pairs, False)):
            said = {(unit, name): answer for unit, name, answer in table[["unit", "name", "answer"]].values}
            assert {pair for pair, answer in said.items() if answer is True} == own
            assert all(answer is (free if unit not in net.units.values() else False)
                       for (unit, name), answer in said.items() if (unit, name) not in pairs)  # fmt: skip
        c = lp.record(net.model, case.batch.inputs).c.flatten(0, 1).double().numpy()
        signals = {name: case.batch.signals[name].values.flatten().double().numpy() for name in net.units}
        for unit, name, answer in case.holds[["unit", "name", "answer"]].itertuples(index=False):
            r = abs(np.corrcoef(c[:, unit], signals[name])[0, 1])
            assert answer is None or (r > 0.9 if answer else r < 0.15), (case.level, case.seed, unit, name, r)
        (row,) = evaluate("correlation", cases=[case]).to_dict("records")
        assert row["auroc"] == 1 and row["positives"] == len(pairs - in_h)


def test_a_unit_may_keep_its_signal_in_h_alone_while_c_says_nothing():
    """Its output gate hands the bit on to itself; holding c costs nothing, swapping the state moves the output."""
    net = trained_networks("compose, 16 units")[0]
    unit, target = net.units["flipflop.bit0"], "flipflop.bit0"
    label = net.holds.set_index(["unit", "name"]).label
    assert label[unit, target] == "in h" and (label == "in h").sum() == 1
    assert net.truth.cost([(0, unit)], target) < 0.01 < 0.3 < net.truth.cost([(0, unit)], target, how="swapped")
    rec = lp.record(net.model, net.sample(64, seed=8).inputs)
    bit = net.sample(64, seed=8).targets[target].flatten()
    r2 = {name: np.corrcoef(getattr(rec, name)[..., unit].flatten(), bit)[0, 1] ** 2 for name in "cho"}
    assert r2["c"] < 0.3 and r2["h"] > 0.98 and r2["o"] > 0.98


def test_swaps_say_of_carriers_what_they_carry():
    for net in trained_networks():
        labels = net.truth.labels
        moved = labels[labels.swap_cost >= 0.05]
        if net.units:
            assert dict(zip(moved.target, moved.unit)) == net.units and len(moved) == len(net.units)
        told = net.carries
        assert set(zip(told.unit[told.answer == True], told.name[told.answer == True])) == set(  # noqa: E712
            zip(moved.unit, moved.target)
        )


def test_networks_of_the_open_set_and_those_held_out_are_others():
    def names(held_out):
        return {(case.level, case.seed) for case in cases(knobs=["trained"], seeds=9, held_out=held_out)}

    assert not names(True) & names(False)
    assert names(True) | names(False) == {(net.recipe.name, net.seed) for net in trained_networks()}
    assert len(list(cases(knobs=["trained"], seeds=1))) == len(RECIPES)


def test_all_files_are_in_the_index_and_small():
    index = read_index()
    files = {entry["file"] for entry in index["networks"]}
    assert {path.name for path in FOLDER.iterdir()} == {*files, INDEX}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3e6
    for name, recipe in RECIPES.items():
        seeds = [entry["seed"] for entry in index["networks"] if entry["recipe"] == name]
        passed, failed = (index["tried"][name][word] for word in ("passed", "failed"))
        assert seeds == passed[: recipe.wanted] and len(seeds) == recipe.wanted
        assert sorted(passed + failed) == list(range(10))


def test_the_page_says_how_many_failed():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "truth.md").read_text(encoding="utf-8")
    for name, tried in read_index()["tried"].items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name}")]
        assert row.split("|")[2].split(",")[0].strip() == f"{len(tried['passed'])} of 10"
        assert row.split("|")[4].strip() == str(RECIPES[name].wanted)


def test_a_network_is_read_as_it_was_written(tmp_path):
    net = trained_networks("compose, 16 units")[1]
    entry = write_network(tmp_path, net.recipe, net.seed, net.model, net.units, net.gate, net.truth)
    again = read_network(tmp_path, entry)
    for name, values in net.model.state_dict().items():
        assert torch.equal(values, again.model.state_dict()[name])
    assert again.truth.labels.equals(net.truth.labels) and again.units == net.units
    assert entry == next(one for one in read_index()["networks"] if one["file"] == entry["file"])
