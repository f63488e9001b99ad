"""How few units are enough? The others are clamped all at once, and the score stays."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import nn

from lstm_probe.causal.asked import check_batch, is_whole
from lstm_probe.causal.elimination import ALL, Shares, curve, eliminate
from lstm_probe.causal.halves import Halves, checked
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.needs import LEARNED, find_needs
from lstm_probe.causal.refit import refit_scores
from lstm_probe.core.columns import SUFFICIENT_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.order import UNIT, UnitKey
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch

log = logging.getLogger(__name__)

#: What each unit costs alone, by target.
Costs = Mapping[str, Mapping[UnitKey, float]]

#: The share of what may be lost that is left alone while a set is chosen, as other sequences will cost more.
RESERVE = 0.3
#: There are to be several sequences in each half.
LEAST_SEQUENCES = 8


class NotLearnedError(InputError):
    """There is no target that a set of units could carry."""


@torch.no_grad()
def sufficient_units(
    model: nn.Module, batch: Batch, *, keep: float = 0.99, orders: int = 0, layer: str | None = None,
    variable: str = "c", mode: str = "mean", bootstrap: int = 1000, groups: Any = None,
    alone: pd.DataFrame | None = None, check: Batch | None = None, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Find few units that carry each target, and the task, while all others are clamped at once.

    Units are left out one after the other, those that cost least alone first, each in addition to those that went
    before, as long as the rest keeps the score; those that had to stay are tried once more. Scores are those after an
    affine refit of each output, as shares of that of the network as it is; of the task, the least share of any target.
    Such a set is one of several: what stays depends on the order, and on the sequences. It is chosen with a reserve
    (0.3 of what may be lost), on one half of the sequences, and checked on the other half; or on all of them, where
    others are given to check it on.

    Args:
        model: as in `ablate_units`.
        batch: sequences that the model was not trained on, with their targets; 8 or more.
        keep: the share of the score that a set has to keep, above 0 and below 1.
        orders: how many random orders, and how many other halves, are tried besides, for the spread of the sets' sizes.
        layer, variable, mode: as in `ablate_units`; to choose, units are clamped to means of the whole batch; to check,
            to means of the sequences that check.
        bootstrap: resamples of whole sequences for the 95 % interval of the checked share; 0 for none.
        groups: as in `ablate_units`; halves are of whole groups.
        alone: what each unit costs alone, columns `ABLATION_COLUMNS`, from which the order follows; measured on the
            half that chooses where this is None.
        check: other sequences to check the sets on.
        seed: of halves, orders and resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each unit and target ("all" first), columns `SUFFICIENT_COLUMNS`: units that are left out first,
        in that order, then the set, cheapest first. `score` is on the half that chose, and missing where several units
        went at once, and between a few points from the set down to where nothing is left. Targets that were not
        learned (refitted score below 0.5) have no rows. `attrs["sufficient"]` has, by target, a dict: `kept` (how many
        units are in the set), `keep`, `checked`, `checked_low` and `checked_high` (the share that it keeps on the
        other half, with its 95 % interval), `spread` (fewest and most units of all orders and halves; None where
        `orders` is 0).

    Raises:
        InputError: a number out of its range, too few sequences, no targets or none that was learned, a table
            `alone` of other units or clamps, or a model that cannot be clamped.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> enough = lp.sufficient_units(net.model, batch)
    >>> enough.query("target == 'all' and kept").unit.tolist()
    [0, 1]
    """
    _check(batch, keep, orders, bootstrap)
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    runs = Intervening(model, batch, layer=layer, variable=variable, mode=mode, groups=codes, seed=seed)
    drops = None if alone is None else _drops(alone, runs)
    return _table(runs, codes, drops, keep, orders, bootstrap, check, seed, run, task)


@torch.no_grad()
def sufficient_sets(
    model: nn.Module, batch: Batch, *, keep: float, orders: int, variable: str, mode: str, bootstrap: int,
    min_drop: float, groups: Any = None, check: Batch | None = None, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Return `sufficient_units`' table, in the order of the costs that `ablate_units` finds; arguments as theirs.

    It is empty where no target was learned, which is said.
    """
    _check(batch, keep, orders, bootstrap)
    needs = find_needs(model, batch, layer=None, variable=variable, mode=mode, window=None, donors=None, units=None,
                       together=True, groups=groups, bootstrap=bootstrap, min_drop=min_drop, seed=seed)  # fmt: skip
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    drops = {name: {key: own[name].refit_drop for key, own in needs.costs.items()} for name in batch.targets}
    try:
        return _table(needs.subject, codes, drops, keep, orders, bootstrap, check, seed, run, task)
    except NotLearnedError as error:
        log.warning("sufficient: %s", error)
        return pd.DataFrame(columns=list(SUFFICIENT_COLUMNS))


def _table(
    runs: Intervening, codes: Int[np.ndarray, " sequence"] | None, drops: Costs | None, keep: float, orders: int,
    bootstrap: int, check: Batch | None, seed: int, run: str, task: str,
) -> pd.DataFrame:  # fmt: skip
    """Return the table; `drops` are what each unit costs alone, by target, where that is known."""
    intact = refit_scores(runs.batch, runs.intact.outputs)
    halves = Halves(runs, codes, _learned(intact), seed, check)
    names = (ALL, *(name for name in halves.targets if name != ALL))
    shares, least = halves.first, keep + RESERVE * (1 - keep)
    costs = _costs(shares) if drops is None else _with_all(
        {name: {key: drops[name][key] / intact[name] for key in runs.keys} for name in halves.targets})  # fmt: skip
    gone = _chosen(shares, names, costs, least)
    kept_there, about = checked(halves, gone, bootstrap), _spreads(halves, names, gone, least, orders)
    rows = []
    for name in names:
        kept = [unit for unit in sorted(runs.keys, key=costs[name].__getitem__) if unit not in gone[name]]
        scores = curve(shares, name, gone[name], kept)
        rows += [
            (run, task, runs.lstm.hidden_size, seed, *unit, name, k, k >= len(gone[name]), score)
            for k, (unit, score) in enumerate(zip([*gone[name], *kept], scores))
        ]
        about[name] |= {"kept": len(kept), "keep": float(keep)} | kept_there[name]
    table = pd.DataFrame(rows, columns=list(SUFFICIENT_COLUMNS))
    table.attrs["sufficient"] = about
    return table


def _check(batch: Batch, keep: float, orders: int, bootstrap: int) -> None:
    check_batch(batch)
    problems = []
    if not 0 < keep < 1:
        problems.append(f"keep={keep}: must be a number above 0 and below 1")
    for name, number in (("orders", orders), ("bootstrap", bootstrap)):
        if not is_whole(number) or number < 0:
            problems.append(f"{name}={number}: must be a whole number from 0")
    if len(batch) < LEAST_SEQUENCES:
        problems.append(
            f"sequences: {len(batch)}; must be {LEAST_SEQUENCES} or more, as one half of them chooses and the other "
            "checks"
        )
    if not batch.target_specs:
        problems.append("targets: the batch has none, so there is nothing that units could carry")
    if problems:
        raise InputError(*problems)


def _learned(intact: Mapping[str, float]) -> tuple[str, ...]:
    """Return the targets that were learned, and warn of the others."""
    learned = tuple(name for name, score in intact.items() if score >= LEARNED)
    if not learned:
        raise NotLearnedError(
            f"targets: none was learned (the best score after a refit is {max(intact.values()):.2f}, below {LEARNED}), "
            "so there is nothing that units could carry"
        )
    if ALL in intact and len(intact) > 1:
        raise NotLearnedError(f"targets: {ALL} stands for all of them here; give that target another name")
    if others := [name for name in intact if name not in learned]:
        log.warning("%s: not learned, so no set of units is looked for that carries it", ", ".join(others))
    return learned


def _drops(alone: pd.DataFrame, runs: Intervening) -> Costs:
    """Return what each unit costs alone, by target, from a table of ablations."""
    if any((alone[name] != own).any() for name, own in (("variable", runs.variable), ("mode", runs.mode))):
        raise InputError(f"alone: must be of variable={runs.variable} mode={runs.mode} only")
    known = alone.set_index(["target", *UNIT])["refit_drop"].to_dict()
    names = [spec.name for spec in runs.batch.target_specs]
    if missing := [name for name in names if any(pd.isna(known.get((name, *key))) for key in runs.keys)]:
        raise InputError(f"alone: has no refit_drop of some unit for the target {missing[0]}")
    return {name: {key: known[name, *key] for key in runs.keys} for name in names}


def _costs(shares: Shares) -> Costs:
    """Return what share of each target, and at most of any, each unit costs alone."""
    left = {key: shares.of([key]) for key in shares.runs.keys}
    return _with_all({name: {key: 1 - own[name] for key, own in left.items()} for name in shares.targets})


def _with_all(costs: Costs) -> Costs:
    return {ALL: {key: max(own[key] for own in costs.values()) for key in next(iter(costs.values()))}, **costs}


def _chosen(shares: Shares, names: Sequence[str], costs: Costs, least: float) -> dict[str, list[UnitKey]]:
    """Return, by target and of all, the units that can be left out, those that cost least alone first."""
    orders = {name: sorted(shares.runs.keys, key=costs[name].__getitem__) for name in names}
    together = {name: np.cumsum([max(costs[name][key], 0) for key in orders[name]]) for name in names}
    # So many would cost no more than they may, if what they cost alone added up.
    first = {name: max(1, int((sums <= 1 - least).sum())) for name, sums in together.items()}
    return _left_out(shares, orders, least, first)


def _left_out(
    shares: Shares, orders: Mapping[str, Sequence[UnitKey]], least: float, first: Mapping[str, int]
) -> dict[str, list[UnitKey]]:
    """Return the units that can be left out, tried in each target's order, so many at first."""
    gone: dict[str, list[UnitKey]] = {}
    for name, order in orders.items():
        one = gone and len(shares.targets) == 1
        gone[name] = gone[ALL] if one else eliminate(shares, name, order, least, first=first[name])
    return gone


def _spreads(
    halves: Halves, names: Sequence[str], gone: Mapping[str, Sequence[UnitKey]], least: float, orders: int
) -> dict[str, dict[str, Any]]:
    """Return the fewest and most units of sets from other orders and from other halves, by target and of all."""
    n = len(halves.runs.keys)
    sizes = {name: [n - len(gone[name])] for name in names}
    rng = np.random.default_rng(derive_seed(halves.seed, "orders of sufficient sets"))
    for k in range(orders):
        order = [halves.runs.keys[place] for place in rng.permutation(n)]
        # The half that checks is the first of the other halves.
        other = halves.shares(halves.split()[1] if k == 0 else halves.split(k)[0])
        found = (
            _left_out(halves.first, dict.fromkeys(names, order), least, dict.fromkeys(names, 1)),
            _chosen(other, names, _costs(other), least),
        )
        for name in names:
            sizes[name] += [n - len(one[name]) for one in found]
    return {name: {"spread": [min(own), max(own)] if orders else None} for name, own in sizes.items()}
