"""The answer on num_units: what is made for it, and that its sentences say what the tables do, whatever that is."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest
import torch
import yaml
from torch import nn

from lstm_probe.core.files import configuration_folder
from lstm_probe.reproduce import NUM_UNITS, SIZES
from lstm_probe.reproduce.num_units import layer, making, needed, sizes
from lstm_probe.reproduce.num_units.answer import answer, gist
from lstm_probe.reproduce.num_units.network import chosen, follow_words, network, owners
from lstm_probe.reproduce.num_units.onward import readers
from lstm_probe.reproduce.num_units.source import source
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.settings import RunSettings
from lstm_probe.runs.store import result_config
from tests.reproduce.answered import LAWFUL, TRACKED, law, material, searched


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> making.Material:
    """Networks of 2 and 8 units, two of each; only the larger ones did the whole task."""
    return material(tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> making.Material:
    """The same, and networks of 16 units."""
    return material(tmp_path_factory.mktemp("three"), sizes=(2, 8, 16))


@pytest.fixture(scope="module")
def rows(three) -> Sequence[sizes.SizeRow]:
    return sizes.sizes(three).rows


# What is made


def test_the_experiment_has_the_same_sizes_seeds_and_measures_what_is_used():
    content = yaml.safe_load((configuration_folder() / "experiment" / f"{NUM_UNITS}.yaml").read_text())
    swept = content["hydra"]["sweeper"]["params"]
    assert swept == {"units": ",".join(map(str, SIZES)), "seed": "0,1,2"}
    assert content["ablate"]["analyses"] == [*RunSettings().ablate.analyses, "used"]


def test_the_runs_are_those_of_train(tmp_path):
    from tests.cli.test_config import composed

    plan = making.plan(SIZES, 2, tmp_path)
    assert [(run.units, run.seed) for run in plan.runs] == [(u, s) for u in SIZES for s in (0, 1)]
    own = next(run for run in plan.runs if (run.units, run.seed) == (16, 1))
    assert result_config(own) == result_config(composed("train", "units=16", "seed=1"))
    assert own.ablate.analyses == composed("train", f"experiment={NUM_UNITS}").ablate.analyses
    assert result_config(plan.text) == result_config(composed("train", "experiment=python_source"))
    assert (plan.search.largest, plan.search.steps) == (64, own.steps)


def test_a_second_time_nothing_is_trained(tmp_path, monkeypatch):
    file = tmp_path / "own.py"
    file.write_text("".join(f"x{k} = {k}  # a number\n" for k in range(9000)))
    few = {"permutations": 19, "bootstrap": 10, "untrained": 1, "variables": ["c"], "sequences": 20}
    network = RunSettings(steps=2, evaluate_every=2, test_sequences=16, outputs=str(tmp_path))
    network.probe = type(network.probe)(**{**asdict(network.probe), **few})
    network.ablate = type(network.ablate)(**{**asdict(network.ablate), "sequences": 16, "bootstrap": 10})
    text = replace(network, task={"name": "python_source", "path": str(file), "length": 20}, units=2, batch=4)
    plan = making.Plan(network, text, sizes=[2, 1], seeds=1, budget=4)

    def measured(config: RunSettings) -> Measuring:
        settings = {command: asdict(getattr(config, command)) for command in ("probe", "ablate", "dynamics")}
        return Measuring(("probes", "populations", "ablations"), settings, 1, lambda run, folder: None)

    calls = []
    recall = replace(making.RESULTS["recall"], measure=lambda seed: calls.append(seed) or law(LAWFUL).values[0])
    monkeypatch.setitem(making.RESULTS, "recall", recall)
    first = making.make(plan, measured)
    assert [(run.info["units"], run.info["seed"]) for run in first.runs] == [(1, 0), (2, 0)]
    assert first.text.info["task"] == "python_source"
    assert calls == [0]
    told = answer(first)
    assert any("no size" in line.lower() for line in told.needed.many)
    assert len(first.size.trials) == len({(row.units, row.seed) for row in first.size.trials.itertuples()})
    there = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    again = making.make(plan, measured)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")} == there
    assert calls == [0]
    assert again.size.sentence == first.size.sentence


# What a layer is


def test_every_unit_reads_everything_and_keeps_one_memory_of_its_own():
    found = layer.tried()
    assert (found.reached, found.pairs, found.others, found.own) == (28, 28, 0, 4)
    assert found.shapes == ((64, 10, 4), (64, 1000, 4))
    words = " ".join(layer.tried_words(found))
    assert "(28 of 28 pairs)" in words
    assert "10 and 1,000 steps" in words
    odd = " ".join(layer.tried_words(replace(found, reached=27, others=2, own=3)))
    assert "not every unit's memory moved (27 of 28 pairs)" in odd
    assert "moved 3 units' own memory and others' in 2 cases" in odd


def test_of_a_layer_whose_memories_mix_it_would_be_seen(monkeypatch):
    """Each unit's memory is also that of the unit before it, and the last one's is forgotten."""

    class Mixing(nn.LSTM):
        def forward(self, x, state=None):
            if state is None:
                return super().forward(x)
            h, c = state
            return super().forward(x, (h, torch.cat([c[..., :1], c[..., :-1]], -1) + c * (torch.arange(4) < 3)))

    monkeypatch.setattr(layer.nn, "LSTM", Mixing)
    found = layer.tried()
    assert (found.others, found.own) == (3, 3)


@pytest.mark.parametrize(("inputs", "units"), [(1, 1), (7, 32), (5, 3)])
def test_parameters_are_those_of_the_module(inputs, units):
    (one,) = layer.counts(inputs, [units])
    module = sum(weights.numel() for weights in nn.LSTM(inputs, units).parameters())
    assert (one.formula, one.counted, one.keras) == (module, module, module - 4 * units)
    assert str(4 * units * (inputs + units + 2)) in layer.formula(units, inputs).replace(",", "")
    assert "does not give" in layer.count_words([replace(one, counted=3)])


def test_shapes_are_those_that_pytorch_gives():
    shapes = {name: shape for name, shape, _ in layer.shapes(5, 2)}
    lstm = nn.LSTM(2, 5, batch_first=True)
    x = torch.zeros(layer.SEQUENCES, layer.STEPS, 2)
    h, (last, _) = lstm(x)
    for name, tensor in (("input x", x), ("output h of every step", h), ("output h of the last step", last[0]),
                         ("weights on x, of all gates", lstm.weight_ih_l0),
                         ("weights on h, of all gates", lstm.weight_hh_l0)):  # fmt: skip
        assert shapes[name] == str(tuple(tensor.shape))


# One network


def test_the_network_is_the_first_of_the_smallest_size_that_always_did_it(three, tmp_path):
    run, why = chosen(three)
    assert (run.info["units"], run.info["seed"]) == (8, 0)
    assert "the smallest of 3 sizes that did the whole task in each of 2 networks" in why
    failed = material(tmp_path / "b", {2: {"parity": 0.1}, 8: {"parity": 0.4}})
    run, why = chosen(failed)
    assert run.info["units"] == 8
    assert "No size did the whole task in every network" in why
    assert "0.40" in why


def test_sentences_on_a_network_say_which_unit_follows_what(told):
    found = network(told)
    assert found.gist == "Each of the 5 things that it has to remember was found to have a unit of its own."
    assert (
        found.follows[2]
        == "parity: unit 2 follows it; its memory alone tells parity with an effect of 0.95 [0.93, 0.97]."
    )
    small = find_in(told.runs[0])
    assert owners(small) == {**dict.fromkeys(owners(small), ()), "count": ("0",), "latch": ("1",)}
    missing = next(fact for fact in small.signals if fact.signal == "since")
    assert "no single unit was found to track it" in follow_words(missing, ())
    other = next(fact for fact in small.signals if fact.signal == "count")
    assert "unit 0 follows another signal more closely" in follow_words(other, ())


# All sizes


def test_rows_are_those_of_the_runs(told):
    found = sizes.sizes(told)
    few, many = found.rows
    assert (few.units, few.solved, few.of, many.units, many.solved, many.of) == (2, 0, 2, 8, 2, 2)
    assert few.parameters == 4 * 2 * (7 + 2 + 2)
    assert few.own == {"count": 2, "latch": 2, "parity": 0, "leak": 0, "since": 0}
    assert set(many.own.values()) == {2}
    assert (many.alone, many.not_needed, many.used) == (["5", "5"], ["3", "3"], ["–", "–"])
    assert few.effects["parity"] == pytest.approx(0.05)
    assert (few.span("leak"), many.span("leak")) == ("0.70", "0.99")
    assert sizes.lost(few) == ["parity", "since"]
    assert found.own[2] == "parity: first with 8 units (2 of 2 networks); in every network from this size on."


def test_when_a_signal_gets_a_unit_of_its_own(rows):
    def words(*own: int) -> str:
        return sizes.own_words("x", [replace(row, own={"x": n}) for row, n in zip(rows, own, strict=True)])

    assert words(0, 0, 0) == "x: no unit of its own was found in any network."
    assert words(0, 1, 2) == "x: first with 8 units (1 of 2 networks); in every network from 16 units on."
    assert words(1, 2, 0) == "x: first with 2 units (1 of 2 networks); not in every network with 16 units."
    assert words(0, 0, 1) == "x: first with 16 units (1 of 2 networks)."


def test_what_so_many_seeds_can_show():
    assert "78 %" in sizes.seed_words(2)
    assert "63 % of all starts might fail" in sizes.seed_words(3)
    assert "Intervals are given from 5 on" in sizes.seed_words(4)
    assert "Intervals" not in sizes.seed_words(5)


# How many are needed


def test_the_law_is_told_as_it_came_out():
    lines = needed.law_words(needed.recall_table(law(LAWFUL, 2)), law(LAWFUL, 2))
    assert lines[0] == "With 8 units for 8 numbers, the networks said all of it (0.997 at least)."
    assert "4 units 0.490 (at most 0.5), 6 units 0.740 (at most 0.75)" in lines[1]
    assert lines[2].startswith("No network said more than the law allows (give or take 0.03")
    assert lines[3].startswith("As a published result, measured again: reproduced (Collins")
    broken = law({**LAWFUL, 4: 0.6, 8: 0.8})
    lines = needed.law_words(needed.recall_table(broken), broken)
    assert lines[0] == "With 8 units for 8 numbers, the networks said 0.800 at best."
    assert "1 of 4 said more than that" in lines[2]
    assert "here the law did not hold" in lines[2]
    assert "reproduced (" not in lines[3].replace("not reproduced", "")


def test_what_too_few_and_too_many_did(rows):
    assert needed.few_words(rows) == [
        "2 units: none of 2 did the whole task; parity and since were learned by none; leak (0.70) not to the full by "
        "every one."
    ]
    many = needed.many_words(rows)
    assert many[0].startswith("16 units, 2 times as many as the 8 that were enough, did the whole task in 2 of 2")
    assert "They have 1,600 parameters instead of 544" in many[1]
    assert "11 and 11 were found not to be needed" in many[2]
    for used, said in ((["5", "5"], "5"), (["5", "6"], "5 and 6")):
        told = needed.many_words([*rows[:2], replace(rows[2], used=used)])[-1]
        assert told == f"{said} of the 16 carry the task when all others are merged into them."
    assert needed.few_words(rows[1:]) == ["None of these sizes was too small."]
    assert "what more would do was not tried" in needed.many_words(rows[:2])[0]
    assert "none that could be called more than enough" in needed.many_words(rows[:1])[0]
    assert "did no harm" in needed.advice_words(rows)
    assert "just enough" in needed.advice_words(rows[:2])
    assert "no size always did" in needed.advice_words(rows[:1])
    worse = [rows[0], rows[1], replace(rows[2], solved=1)]
    assert "More did not always do better: with 16 units" in " ".join(needed.many_words(worse))
    assert "some larger networks failed" in needed.advice_words(worse)


@pytest.mark.parametrize(("things", "than"), [(3, "more"), (7, "fewer"), (5, "just as many")])
def test_what_counting_is_worth(things, than):
    found = searched({(2, 0): False, (4, 0): False, (5, 0): True, (5, 1): True, (6, 0): True, (4, 1): False})
    assert found.units == 5
    assert needed.begin_words(things, found) == (
        f"The task above asks for {things} things at once, and needs 5 units, which is {than}: only trying it out "
        "showed that."
    )


def test_a_task_that_nothing_solved_has_no_number():
    found = searched({(units, 0): False for units in (1, 4, 8, 16)})
    assert found.units is None
    assert "no size of up to 16 units was found to be enough" in needed.begin_words(5, found)


def test_the_gist_says_what_every_size_did(told, rows):
    said = gist([rows[0], replace(rows[1], solved=1), rows[2]], told.size, "tracking", 5)
    assert "in a task called tracking" in said[1] and "5 things" in said[1]
    assert said[1].endswith("with 2 units no network did it; with 16 every one of 2 did; with 8 some did.")
    assert told.size.sentence in said[2]
    assert (
        "with 2, 8 and 16 units no network did it."
        in gist([replace(row, solved=0) for row in rows], told.size, "tracking", 5)[1]
    )


def test_the_network_to_make_smaller_is_the_largest(told):
    steps = dict(step for reader in readers(told, told.runs[0]) for step in reader.steps)
    assert (
        f"run={told.of_size(max(told.sizes))[0].path}" in steps["A large network that is there already, made smaller."]
    )


# Units that people know


def test_units_that_people_know_are_told_as_they_were_found(told):
    found = source(told)
    assert [(one.name, one.unit, one.tracked) for one in found.known] == [
        ("quotes", "1", True), ("comments", "2", False), ("indentation", "3", True),
    ]  # fmt: skip
    assert found.gist == ("In this network a single unit was found for quotes (unit 1) and indentation (unit 3); none "
                          "for comments.")  # fmt: skip
    assert "unit 1: in_long_string" in " ".join(found.text["panel"].unique())
    assert len(found.text["panel"].unique()) == 2


def test_a_character_model_without_such_units(tmp_path):
    none = [(signal, unit, effect, False) for signal, unit, effect, _ in TRACKED]
    found = source(material(tmp_path, tracked=none))
    assert found.gist == "In this network no single unit was found for quotes, comments and indentation."
    assert found.text.empty
