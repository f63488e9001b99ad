"""Units that are needed together: copies that each seem useless, in hand-built networks and in made-up ones."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_probe.causal import ablate_sets, ablate_units, needed_sets
from lstm_probe.causal.needs import find_needs
from lstm_probe.causal.together import smallest_costly
from lstm_probe.core.columns import SET_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from tests.handmade import copied, counter_and_latch, counting_batch

COUNT, LATCH = 3, 5


@given(st.lists(st.frozensets(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=4))
@settings(deadline=None, max_examples=200)
def test_a_smallest_set_is_one_of_those_that_there_are(minimal):
    """Whatever contains one of some sets is costly: what is found contains one and is one."""
    runs = []

    def costly(chosen):
        runs.append(frozenset(chosen))
        return any(one <= frozenset(chosen) for one in minimal)

    found = frozenset(smallest_costly(costly, list(range(10))))
    assert found in minimal and not any(one < found for one in minimal)
    assert len({*runs}) <= 2 * len(found) * (1 + np.ceil(np.log2(10 / len(found)))) + 2 * len(found) + 2


@given(st.integers(0, 2**20))
@settings(deadline=None, max_examples=100)
def test_what_is_found_costs_even_where_more_clamps_may_cost_less(seed):
    rng = np.random.default_rng(seed)
    table = {units: bool(rng.random() < 0.4) for k in range(7) for units in combinations(range(6), k)}
    table[tuple(range(6))] = True
    found = smallest_costly(lambda chosen: table[tuple(sorted(chosen))], list(range(6)))
    assert table[tuple(found)]


@pytest.mark.parametrize("into", [[0], [0, 6], [0, 1, 6]])
def test_copies_are_needed_together_and_what_nobody_reads_is_not(into):
    """The readout reads the mean of all latches: without one of them it is the same but for its scale."""
    model = copied(counter_and_latch(0), LATCH, into)
    batch = counting_batch(0)
    table = ablate_units(model, batch, bootstrap=200)
    needed = table.set_index(["unit", "target"])["needed"]
    copies = {LATCH, *into}
    assert needed[COUNT, "count"] == "alone"
    for unit in range(8):
        assert needed[unit, "latch"] == ("together" if unit in copies else "no")
        assert unit == COUNT or needed[unit, "count"] == "no"
    alone = table[table.target == "latch"].set_index("unit")
    assert alone.refit_drop.abs().max() < 1e-3
    # As it stands, one of them missing costs something: the output has another scale.
    assert alone.score_drop[LATCH] == pytest.approx(1 / (1 + len(into)) ** 2, abs=0.05)
    sets = needed_sets(model, batch, bootstrap=200)
    assert list(sets.columns) == list(SET_COLUMNS)
    latch = sets[sets.target == "latch"].set_index("why")
    assert latch.set["needed together"] == " ".join(map(str, sorted(copies)))
    assert latch.refit_drop["needed together"] > 0.95 < latch.refit_drop["no cost alone"]
    assert latch.n_units["no cost alone"] == 7 and abs(latch.refit_drop["not needed"]) < 1e-6


def test_each_set_of_copies_is_found():
    model = copied(copied(counter_and_latch(0), LATCH, [0]), COUNT, [1])
    table = ablate_units(model, counting_batch(0), bootstrap=200)
    together = table[table.needed == "together"]
    assert set(zip(together.target, together.unit)) == {("latch", 0), ("latch", 5), ("count", 1), ("count", 3)}
    assert (table.needed != "alone").all() and (table.needed == "no").sum() == len(table) - 4


def test_copies_among_many_units_are_found_in_few_runs():
    for into in ([9], [9, 30]):
        model = copied(counter_and_latch(1, units=32), LATCH, into)
        needs = find_needs(
            model, counting_batch(2, n=64), layer=None, variable="c", mode="mean", window=None, donors=None, units=None,
            together=True, groups=None, bootstrap=100, min_drop=0.01, seed=0,
        )  # fmt: skip
        assert [units for units, _ in needs.together.sets] == [tuple((0, "forward", k) for k in sorted([LATCH, *into]))]
        assert needs.together.passes <= 25


def test_a_decoy_that_holds_the_same_but_is_not_read_is_not_needed():
    model = copied(counter_and_latch(0), LATCH, [0], read=False)
    table = ablate_units(model, counting_batch(0), bootstrap=200)
    latch = table[table.target == "latch"].set_index("unit")["needed"]
    assert latch[LATCH] == "alone" and (latch.drop(LATCH) == "no").all()


def stacked(model: SequenceModel, seed: int) -> SequenceModel:
    """The same network with a second layer that hands on the counter and the latch, each by one unit of its own."""
    two = SequenceModel(4, 2, model.lstm.hidden_size, layers=2, seed=seed)
    units = model.lstm.hidden_size
    with torch.no_grad():
        for name, values in model.lstm.named_parameters():
            getattr(two.lstm, name).copy_(values)
        for below, unit in ((COUNT, 1), (LATCH, 2)):
            for k, gate in enumerate("ifgo"):
                for name in ("weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"):
                    getattr(two.lstm, name)[k * units + unit] = 0
                two.lstm.bias_ih_l1[k * units + unit] = {"i": 30.0, "f": -30.0, "g": 0.0, "o": 30.0}[gate]
            two.lstm.weight_ih_l1[2 * units + unit, below] = 1
        two.readout.weight.zero_()
        two.readout.weight[0, 1], two.readout.weight[1, 2] = 1, 1
        two.readout.bias.zero_()
    return two


def test_in_two_layers_the_units_on_the_way_are_needed():
    model = stacked(copied(counter_and_latch(0), LATCH, [0], read=False), 3)
    table = ablate_units(model, counting_batch(0), bootstrap=200)
    needed = table[table.needed != "no"]
    assert {(row.layer, row.unit, row.target, row.needed) for row in needed.itertuples()} == {
        (0, COUNT, "count", "alone"), (1, 1, "count", "alone"), (0, LATCH, "latch", "alone"),
        (1, 2, "latch", "alone"),
    }  # fmt: skip
    sets = ablate_sets(model, counting_batch(0), [[(0, COUNT), (1, 2)], [(0, 0), (1, 0)]], bootstrap=50)
    lost = sets.set_index(["set", "target"])["refit_drop"]
    assert list(sets.set.unique()) == ["0·3 1·2", "0·0 1·0"] and (sets.why == "given").all()
    assert lost["0·3 1·2"].min() > 0.95 and lost["0·0 1·0"].abs().max() < 1e-6


def test_where_not_all_was_looked_at_that_is_said():
    model, batch = copied(counter_and_latch(0), LATCH, [0]), counting_batch(0)
    some = ablate_units(model, batch, units=[COUNT, LATCH], bootstrap=200)
    assert list(zip(some.unit, some.target, some.needed)) == [
        (3, "count", "alone"), (3, "latch", "not measured"), (5, "count", "not measured"), (5, "latch", "not measured"),
    ]  # fmt: skip
    for table in (ablate_units(model, batch, together=False, bootstrap=200), ablate_units(model, batch, bootstrap=0)):
        assert "together" not in {*table.needed} and "no" not in {*table.needed}


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "sets: there are none"), ([[0, 1], []], "sets: set 1: there are none"),
        ([[0, 1], [1]], "sets: unit 1 stands in several; they must not overlap"),
        ([[2, 2]], "sets: set 0: 2 stands there twice"),
        ([[8]], "set 0: 8: no such unit; there are layer 0, forward: 0 to 7"),
        ([[(1, 3)]], "no such unit"), ([[(0, "reverse", 3)]], "no such unit"),
    ],
)  # fmt: skip
def test_sets_that_cannot_be_clamped(sets, message):
    with pytest.raises(InputError, match=message):
        ablate_sets(counter_and_latch(0), counting_batch(0, n=8), sets)


def test_groups_of_sets_are_those_of_single_units_where_a_set_has_one():
    model, batch = counter_and_latch(0), counting_batch(0)
    single = ablate_units(model, batch, bootstrap=100).set_index(["unit", "target"])
    one = ablate_sets(model, batch, [[COUNT], [LATCH]], bootstrap=100).set_index(["set", "target"])
    for unit in (COUNT, LATCH):
        for target in ("count", "latch"):
            for name in ("clamped", "score_drop", "refit_drop", "readout_drop"):
                assert one[name][str(unit), target] == single[name][unit, target]
            for name in ("ci_low", "refit_ci_high"):  # of as many runs in one product as there are units, or sets
                assert one[name][str(unit), target] == pytest.approx(single[name][unit, target], rel=1e-12)
