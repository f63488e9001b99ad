"""How many units are used: planted networks of which it is known, all subsets of small ones, parts of the data."""

import logging
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.capacity.curves import Merging, Parts, Scores
from lstm_probe.capacity.used import COLUMNS, RESERVE, used_if_learned, used_units
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from tests.capacity.made import OUTPUTS, PLANTED, REFUSED, TAKEN, batch_of, plant
from tests.causal.sums import PARTS
from tests.handmade import OPEN, copied, flipflops


def echoed(model: torch.nn.Module, n: int = 48, seed: int = 0) -> Batch:
    """Noise, with a module's own outputs as targets, each by itself."""
    batch = batch_of(n, seed=seed)
    with torch.no_grad():
        wanted = model(batch.inputs)
    specs = tuple(Target(f"y{k}") for k in range(OUTPUTS))
    return replace(batch, targets={spec.name: wanted[..., k : k + 1] for k, spec in enumerate(specs)},
                   target_specs=specs, lengths=torch.full((n,), batch.inputs.shape[1]))  # fmt: skip


@pytest.mark.parametrize("listening", [False, True])
def test_exactly_the_planted_units_are_used(listening: bool) -> None:
    """Units that are read next to not at all go by the merge; those that are not read at all, exactly."""
    net = lp.planted.combine(PARTS, random_units=5, listening=listening, seed=2)
    units, where = 8, sorted(net.where.values())
    batch, check = net.sample(96, length=30, seed=1), net.sample(64, length=30, seed=2)
    table = used_units(net.model, batch, orders=1, check=check, run="r", task="t", seed=3)
    assert list(table.columns) == list(COLUMNS) and set(table["units"]) == {units} and set(table["run"]) == {"r"}
    about = table.attrs["used"]
    assert list(about) == ["all", *net.where]
    assert about["all"] == about["all"] | {"used": 3, "of": 8, "exact": 3, "keep": 0.99, "which": {"0 forward": where}}
    for name, unit in net.where.items():
        assert about[name]["used"] == 1 and about[name]["which"] == {"0 forward": [unit]}
        assert about[name]["checked"] > 0.99
    decoys = [unit for unit in range(units) if unit not in where]
    with torch.no_grad():
        net.model.readout.weight[:, decoys] = 1e-3 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    about = used_units(net.model, batch, orders=0, check=check).attrs["used"]
    assert about["all"]["exact"] == 8 and about["all"]["used"] == 3 and about["all"]["which"] == {"0 forward": where}


@pytest.mark.parametrize("more", [1, 2])
def test_of_copies_one_is_used(more: int) -> None:
    net = lp.planted.latch(random_units=6, seed=4)
    copies = [net.where["latch"], *[unit for unit in range(7) if unit != net.where["latch"]][:more]]
    model = copied(net.model, copies[0], copies[1:])
    about = used_units(model, net.sample(40, length=30, seed=1), orders=0).attrs["used"]["latch"]
    assert about["used"] == about["exact"] == 1 and set(about["which"]["0 forward"]) <= set(copies)
    assert about["checked"] == pytest.approx(1, abs=1e-5)


def test_layers_keep_as_many_and_whole_sequences_have_one_class() -> None:
    model, task = flipflops(2, 6, layers=2, seed=1), lp.get_task("flipflop", bits=2, length=20)
    about = used_units(model, task.sample(64, seed=1), orders=0).attrs["used"]["all"]
    assert about["used"] == 2 and about["which"] == {"0 forward": [0, 1], "1 forward": [0, 1]}
    torch.manual_seed(0)
    model = TAKEN["last states of both directions"](PLANTED)
    plant(model)
    batch = batch_of(64, seed=1)
    batch = replace(batch, lengths=torch.full((64,), batch.inputs.shape[1]))
    with torch.no_grad():
        model.fc.bias -= model(batch.inputs).mean(0)  # so that both classes come
        label = model(batch.inputs).argmax(-1, keepdim=True).expand(-1, batch.inputs.shape[1])
    last = torch.zeros_like(batch.mask)
    last[:, -1] = True
    spec = Target("which", "class", OUTPUTS)
    batch = replace(batch, targets={"which": label}, target_specs=(spec,), scored={"which": last})
    table = used_units(model, batch, orders=2)
    about = table.attrs["used"]["which"]
    assert about["exact"] == 6 and about["used"] <= 6 and len(about["which"]) == 4
    assert {len(own) for own in about["which"].values()} == {about["used"]}
    exact = table[(table["order"] == "best") & (table["kept"] == 6)]
    assert (exact["score"] == 1).all() and set(table["target"]) == {"all", "which"}


@pytest.mark.parametrize("seed", range(2))
def test_no_set_of_a_small_network_is_much_smaller(seed: int) -> None:
    """Of all 63 sets of six units, merged in the same way, the fewest that are enough are at most one fewer."""
    units, keep = 6, 0.9
    model = SequenceModel(3, OUTPUTS, units, seed=seed).eval()
    with torch.no_grad():
        model.readout.weight *= 0.05 ** (2 * torch.rand(units, generator=torch.Generator().manual_seed(seed)))
    batch = echoed(model)
    table = used_units(model, batch, keep=keep, orders=0, seed=seed)
    parts = Parts.of(batch, None, None, seed)
    merging, choose = Merging(model, parts, None), Scores(parts.choose, model, ["y0", "y1"])
    (part,) = merging.exact
    least = keep + RESERVE * (1 - keep)
    for name in ("all", "y0", "y1"):
        enough = [
            size
            for size in range(1, units + 1)
            for kept in combinations(range(units), size)
            if choose.share(name, choose.samples(merging.merged({part: kept}, cut=False))) >= least
        ]
        assert min(enough) <= table.attrs["used"][name]["used"] <= min(enough) + 1


def test_the_fewest_are_chosen_on_one_part_and_checked_on_another() -> None:
    model = SequenceModel(3, OUTPUTS, 6, seed=5).eval()
    batch, check = echoed(model), echoed(model, seed=9)
    keep = 0.951  # with three units y0 keeps 0.9536, within the reserve
    table = used_units(model, batch, keep=keep, orders=0, check=check, seed=1)
    parts = Parts.of(batch, None, check, 1)
    merging = Merging(model, parts, None)
    (part,) = merging.exact
    best = table[table["order"] == "best"]
    for name, about in table.attrs["used"].items():
        own = best[best["target"] == name].set_index("kept")
        most = 6 if name == "all" else min(5, table.attrs["used"]["all"]["used"])
        assert (
            list(own.index) == sorted({6, *range(1, most + 1)}, reverse=True)
            and own["score"][6] == own["chosen_on"][6] == 1
        )
        assert about["used"] == min(own.index[own["chosen_on"] >= keep + RESERVE * (1 - keep)])
        assert list(own.index[own["used"]]) == [about["used"]]
        assert about["checked"] == own["score"][about["used"]]
        assert about["checked_low"] <= about["checked"] <= about["checked_high"]
        small = merging.merged({part: about["which"]["0 forward"]}, cut=False)
        for own_part, column in ((parts.choose, "chosen_on"), (check, "score")):
            with torch.no_grad():
                made, wanted = small(own_part.inputs).numpy(), model(own_part.inputs).numpy()
            r2 = 1 - np.square(made - wanted).mean((0, 1)) / wanted.var((0, 1))
            left = {"all": r2.min(), "y0": r2[0], "y1": r2[1]}[name]
            assert own[column][about["used"]] == pytest.approx(left, abs=1e-5)


def test_random_orders_follow_from_the_seed() -> None:
    model = SequenceModel(3, OUTPUTS, 5, seed=5).eval()
    batch = echoed(model)
    first, again, other = (used_units(model, batch, orders=3, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again) and not first["score"].equals(other["score"])
    drawn = first[(first["order"] == "random") & (first["target"] == "all")]
    assert set(drawn["draw"]) == {1, 2, 3} and not drawn["used"].any()
    at = drawn[drawn["kept"] == 3]["chosen_on"]
    best = first[(first["order"] == "best") & (first["target"] == "all") & (first["kept"] == 3)]["chosen_on"].item()
    assert at.nunique() >= 2 and best >= at.mean()
    assert (drawn[drawn["kept"] == 5]["score"] == 1).all()


def test_parts_are_of_whole_groups() -> None:
    batch = echoed(SequenceModel(3, OUTPUTS, 4), n=40)
    order = batch.inputs[:, 0, 0].numpy()
    groups = np.repeat(np.arange(8), 5)
    for check in (None, batch_of(12, seed=4)):
        parts = Parts.of(batch, groups, check, 0)
        named = dict(zip(order, groups))
        told = [{named[value] for value in own.inputs[:, 0, 0].numpy()} for own in (parts.fit, parts.choose)]
        told += [] if check is not None else [{named[value] for value in parts.check.inputs[:, 0, 0].numpy()}]
        assert sum(map(len, told)) == 8 and set.union(*told) == set(range(8))
        assert (len(parts.fit), len(parts.choose)) == ((15, 15) if check is None else (20, 20))
    with pytest.raises(InputError, match="groups: 2; must be 3 or more"):
        Parts.of(batch, np.repeat([0, 1], 20), None, 0)


def test_what_was_not_learned_has_no_rows(caplog: pytest.LogCaptureFixture) -> None:
    model = SequenceModel(3, OUTPUTS, 5, seed=5).eval()
    batch = echoed(model)
    half = replace(batch, targets=dict(batch.targets) | {"y1": torch.randn_like(batch.targets["y1"])})
    with caplog.at_level(logging.WARNING):
        assert set(used_units(model, half, orders=0)["target"]) == {"all", "y0"}
    assert "y1: not learned" in caplog.text
    none = replace(batch, targets={name: torch.randn_like(own) for name, own in batch.targets.items()})
    with pytest.raises(NotLearnedError, match="none was learned"):
        used_units(model, none)
    with caplog.at_level(logging.WARNING):
        empty = used_if_learned(model, none)
    assert list(empty.columns) == list(COLUMNS) and empty.empty and "none was learned" in caplog.text


@pytest.mark.parametrize("kind", ["residual", "one unit"])
def test_of_what_cannot_be_made_smaller_the_table_is_empty(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    make, why = REFUSED[kind]
    model = make(PLANTED)
    batch = echoed(model)
    with pytest.raises(InputError, match=why):
        used_units(model, batch)
    with caplog.at_level(logging.WARNING):
        assert used_if_learned(model, batch).empty
    assert why in caplog.text


@pytest.mark.parametrize(("given", "words"), [({"keep": 1.0}, "keep=1.0"), ({"orders": -1}, "orders=-1")])
def test_numbers_out_of_their_range(given: dict[str, float], words: str) -> None:
    model = SequenceModel(3, OUTPUTS, 4)
    with pytest.raises(InputError, match=words):
        used_units(model, echoed(model), **given)
    with pytest.raises(InputError, match="sequences: 7; must be 16 or more"):
        used_units(model, echoed(model, n=7))
    with pytest.raises(InputError, match="the batch has none"):
        used_units(model, batch_of(16))


class Projected(torch.nn.Module):
    """Units 0 and 1 add up an input each, and are what h has; four others are random, and in nothing."""

    def __init__(self, units: int = 6):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = torch.nn.LSTM(2, units, batch_first=True, proj_size=2)
        self.out = torch.nn.Linear(2, 2)
        with torch.no_grad():
            for gate, bias in zip(range(4), (OPEN, OPEN, 0.0, OPEN)):
                for unit in (0, 1):
                    row = gate * units + unit
                    for weights in (self.rnn.weight_ih_l0, self.rnn.weight_hh_l0):
                        weights[row] = 0
                    self.rnn.bias_ih_l0[row], self.rnn.bias_hh_l0[row] = bias, 0
                    self.rnn.weight_ih_l0[row, unit] = 0.02 * (gate == 2)
            self.rnn.weight_hr_l0.copy_(torch.eye(2, units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_no_fewer_units_are_tried_than_a_projection_allows() -> None:
    model, x = Projected(), torch.randn(80, 12, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        made = model(x)
    batch = Batch(x, {"y": made}, (Target("y", size=2),), torch.full((80,), 12), {})
    table = used_units(model, batch, orders=1)
    about = table.attrs["used"]["all"]
    assert (about["used"], about["exact"]) == (3, 3) and {0, 1} < {*about["which"]["0 forward"]}
    assert about["checked"] == pytest.approx(1) and table["kept"].min() == 3
    small = Projected(3)
    with pytest.raises(InputError, match="rnn: has 3 units, the fewest that a projection to 2 can have"):
        lp.shrink(small, replace(batch, targets={"y": small(x).detach()}))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projection_to_one_number_is_not_called_one_unit() -> None:
    rnn = torch.nn.LSTM(2, 4, batch_first=True, proj_size=1)
    with pytest.raises(InputError, match="the LSTM: shows one number alone, whose readers can't be told"):
        lp.shrink(rnn, echo_of(rnn))


def echo_of(rnn: torch.nn.Module) -> Batch:
    """Noise, with what a layer shows as the target."""
    x = torch.randn(40, 8, 2, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        shown = rnn(x)[0]
    return Batch(x, {"y": shown}, (Target("y"),), torch.full((40,), 8), {})
