"""Whether units are needed: each clamped alone, and those that cost nothing alone clamped at once."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int
from torch import nn

from lstm_probe.causal.asked import check_batch, check_numbers, is_whole, listed, unit_named
from lstm_probe.causal.clamp import Window
from lstm_probe.causal.halves import halves_of
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.redrawn import FEW, PART, Redrawn, means_moved
from lstm_probe.causal.scoring import Cost, Scoring
from lstm_probe.causal.status import ALONE, HARDLY_LEARNED, NEED_WORDS, NO_COST_ALONE, NOT_NEEDED, TOGETHER
from lstm_probe.causal.together import Clamping, Together, needed_together
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import resampled_by
from lstm_probe.core.order import UnitKey
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch

log = logging.getLogger(__name__)

#: Of a unit that costs nothing alone, where more is not known.
NOT_MEASURED = "not measured"
#: Why sets are clamped at once: they were given; they are all that cost nothing alone, a smallest costly set, the rest.
GIVEN, SPARE, SMALLEST, REST = "given", *(NEED_WORDS[needed] for needed in (NO_COST_ALONE, TOGETHER, NOT_NEEDED))
LEARNED = 0.5  # a target below this score was not learned

Unit = int | tuple[int, int] | UnitKey
#: Why a set was clamped at once, its units, what that costs, and whether it was off the data.
Clamped = tuple[str, tuple[UnitKey, ...], Mapping[str, Cost], bool | None]


@dataclass(frozen=True)
class Needs:
    """What clamping every unit alone, and sets of them at once, has shown.

    Attributes:
        subject: the model on its batch.
        costs: of each unit that was clamped alone, by target.
        off_data: whether that clamp was far off the data; None where that cannot be told.
        together: what was found of those that cost nothing alone; None where that was not looked at.
        needed: by unit and target: alone, together, no, or not measured.
        sets: of sets of units that were clamped at once: what they are, the costs, and whether they were off the data.
    """

    subject: Intervening
    costs: Mapping[UnitKey, Mapping[str, Cost]]
    off_data: Mapping[UnitKey, bool | None]
    together: Together | None
    needed: Mapping[tuple[UnitKey, str], str]
    sets: tuple[Clamped, ...]


_shared: ContextVar[dict[Any, Needs] | None] = ContextVar("needs", default=None)


@contextmanager
def needs_once() -> Iterator[None]:
    """Within this context, what was found of the needs of a model on a batch is kept for who asks again."""
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


def find_needs(
    model: nn.Module, batch: Batch, *, layer: str | None, variable: str, mode: str, window: Window | None,
    donors: Batch | None, units: Sequence[Unit] | None, together: bool, groups: Any, bootstrap: int, min_drop: float,
    seed: int,
) -> Needs:  # fmt: skip
    """Clamp units alone, and then those that cost nothing at once; arguments as those of `ablate_units`."""
    check_batch(batch)
    check_numbers(bootstrap, min_drop)
    kept = _shared.get()
    key = (
        id(model),
        id(batch),
        layer,
        variable,
        mode,
        window,
        id(donors),
        together,
        id(groups),
        bootstrap,
        min_drop,
        seed,
    )
    if kept is not None and units is None and key in kept:
        return kept[key]
    codes = resampled_by(batch.groups if groups is None else groups, len(batch), widened=True)
    if not batch.target_specs:
        raise InputError("ablate: the batch has no targets, so nothing can be lost")
    subject = Intervening(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                          groups=groups, seed=seed)  # fmt: skip
    scoring = Scoring(batch, subject.intact, bootstrap, seed, codes)
    chosen = subject.keys if units is None else keys_of(units, subject, "units")
    redrawn = _redrawn(subject, scoring)
    runs, around, off = [], {}, {}
    for unit in chosen:
        outcome = subject.outputs([unit])
        runs.append(scoring.of(outcome))
        around[unit] = None if redrawn is None else redrawn.runs(unit, outcome.outputs)
        off[unit] = subject.off_data([unit], outcome)
    costs = dict(zip(chosen, scoring.costs(runs, redrawn.added(around) if redrawn else ())))
    found = None
    clamping = Clamping(subject, scoring, min_drop, _elsewhere(subject, scoring, codes, seed))
    if together and units is None and scoring.samples:
        spare = [unit for unit in chosen if not any(cost.counts(min_drop) for cost in costs[unit].values())]
        nearest = sorted(spare, key=lambda unit: -max(_share(cost) for cost in costs[unit].values()))
        found = needed_together(clamping, nearest)
    named = [] if found is None else [(SPARE, tuple(sorted(found.spare))),
                                      *((SMALLEST, units) for units, _ in found.sets),
                                      *([(REST, tuple(sorted(found.rest)))] if found.sets else [])]  # fmt: skip
    sets = clamp_sets(subject, scoring, [one for one in named if one[1]], FEW, PART)
    if found is not None:
        found, sets = _surely(found, sets, min_drop)
    needs = Needs(subject, costs, off, found, _needed(costs, found, clamping, min_drop), sets)
    _warn(costs)
    if kept is not None and units is None:
        kept[key] = needs
    return needs


def _surely(found: Together, sets: Sequence[Clamped], least: float) -> tuple[Together, tuple[Clamped, ...]]:
    """Return the sets without those of which it is not sure, once their means are redrawn, that they cost anything."""
    lost = {units: {name for name, cost in costs.items() if cost.counts(least)}
            for why, units, costs, _ in sets if why == SMALLEST}  # fmt: skip
    kept = tuple((units, names & lost[units]) for units, names in found.sets if names & lost[units])
    sure = {units for units, _ in kept}
    return replace(found, sets=kept), tuple(one for one in sets if one[0] != SMALLEST or one[1] in sure)


def _share(cost: Cost) -> float:
    """Return which share of the intact score is lost after the refit."""
    return cost.refit_drop / cost.intact if cost.intact > 0 else 0.0


def _needed(
    costs: Mapping[UnitKey, Mapping[str, Cost]], found: Together | None, clamping: Clamping, least: float
) -> dict[tuple[UnitKey, str], str]:
    """Return what each unit is for each target.

    A target's other units, those that are needed for other targets among them, are "no" where all of them, clamped at
    once, cost it less than what counts; else that is asked of those alone that are needed for nothing. Of a target that
    was hardly learned there is nothing to need.
    """
    needed = {(unit, name): ALONE for unit, own in costs.items() for name, cost in own.items() if cost.counts(least)}
    if found is not None:
        needed |= {(unit, name): TOGETHER for units, names in found.sets for unit in units for name in names}
    for name, any_cost in next(iter(costs.values()), {}).items():
        if not any_cost.intact >= HARDLY_LEARNED:
            needed |= {(unit, name): NOT_MEASURED for unit in costs}
            continue
        left = [unit for unit in costs if (unit, name) not in needed]
        if found is None or not left:
            spared: Iterable[UnitKey] = ()
        elif clamping.spares(left, name):
            spared = left
        else:
            spared = found.rest if clamping.spares(found.rest, name) else ()
        needed |= {(unit, name): NOT_NEEDED if unit in spared else NOT_MEASURED for unit in left}
    return needed


def _elsewhere(
    subject: Intervening, scoring: Scoring, codes: Int[np.ndarray, " sequence"] | None, seed: int
) -> Sequence[Mapping[UnitKey, float]] | None:
    """Return how far the means of each half of the sequences are from those of all; None where rows are no sequences.

    Nowhere, where units are clamped to what is no mean, or of one group alone.
    """
    if subject.mode != "mean" or not scoring.samples:
        return ()
    counts = scoring.counts[:1].repeat(3, 1)
    for k, half in enumerate(halves_of(len(subject.batch), codes, derive_seed(seed, "halves of means"))):
        counts[2 - k, half] = 0  # of the other half
    moved = means_moved(subject, counts)
    return None if moved is None else [{unit: float(own[k]) for unit, own in moved.items()} for k in (1, 2)]


def _redrawn(subject: Intervening, scoring: Scoring, *few: int) -> Redrawn | None:
    """Return what redraws means; None where units are clamped to what is no mean, or nothing is drawn."""
    return Redrawn(subject, scoring.counts, *few) if subject.mode == "mean" and scoring.samples else None


def clamp_sets(
    subject: Intervening, scoring: Scoring, named: Sequence[tuple[str, tuple[UnitKey, ...]]], *few: int
) -> tuple[Clamped, ...]:  # fmt: skip
    """Clamp sets of units at once; `few`: in how many draws, and on how many sequences, means are redrawn."""
    outcomes = [subject.outputs(units) for _, units in named]
    redrawn = _redrawn(subject, scoring, *few) if named else None
    more = [] if redrawn is None else [redrawn.of_set(units, own.outputs) for (_, units), own in zip(named, outcomes)]
    costs = scoring.costs([scoring.of(outcome) for outcome in outcomes], more)
    off = [subject.off_data(units, outcome) for (_, units), outcome in zip(named, outcomes)]
    return tuple((why, units, cost, far) for (why, units), cost, far in zip(named, costs, off))


def _warn(costs: Mapping[UnitKey, Mapping[str, Cost]]) -> None:
    """Say loudly which targets the network did not learn."""
    intact = {name: cost.intact for name, cost in next(iter(costs.values()), {}).items()}
    if lost := [
        f"{name} (score {round(score, 2) + 0.0:.2f})" for name, score in intact.items() if not score >= LEARNED
    ]:
        log.warning("the network did not learn %s: what its units cost there says little", ", ".join(lost))


@runtime_checkable
class HasUnits(Protocol):
    """What has units: how many each layer and direction has, and all of them."""

    shape: dict[tuple[int, str], int]
    keys: list[UnitKey]


def keys_of(units: Iterable[Unit], subject: HasUnits, name: str) -> list[UnitKey]:
    """Return units as (layer, direction, unit).

    Args:
        units: numbers where there is one layer and direction, else (layer, unit) or (layer, direction, unit).
        subject: whose units they are.
        name: what they are called in an error.

    Raises:
        InputError: there is no such unit, none at all, or one twice.
    """
    parts = list(subject.shape)
    found: list[UnitKey] = []
    for unit in listed(units, name, "units"):
        given = unit_named(unit)
        if len(given) == 1 and len(parts) == 1:
            key: Any = (*parts[0], given[0])
        elif len(given) == 2:
            key = (given[0], "forward" if (given[0], "forward") in subject.shape else "reverse", given[1])
        else:
            key = given
        if not all(isinstance(part, str) or is_whole(part) for part in key) or key not in subject.keys:
            there = "; ".join(f"layer {layer}, {direction}: 0 to {n - 1}" for (layer, direction), n in
                              subject.shape.items())  # fmt: skip
            shown = f"'{unit}'" if isinstance(unit, str) else unit
            raise InputError(f"{name}: {shown}: no such unit; there are {there}")
        found.append(key)
    if not found:
        raise InputError(f"{name}: there are none")
    if twice := [key for key in dict.fromkeys(found) if found.count(key) > 1]:
        raise InputError(f"{name}: {twice[0][-1]} stands there twice")
    return found
