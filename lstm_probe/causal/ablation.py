"""Which units does the network need? Clamp each one, and sets of them at once, and see what is lost."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from lstm_probe.causal.clamp import Window
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.scoring import Cost, Scoring
from lstm_probe.causal.together import Clamping, Together, needed_together
from lstm_probe.core.columns import ABLATION_COLUMNS, SET_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.order import UnitKey, several_layers, unit_label
from lstm_probe.core.signal import Batch

log = logging.getLogger(__name__)

ALONE, TOGETHER, NO, UNKNOWN = "alone", "together", "no", "not measured"
GIVEN, SPARE, NEEDED_TOGETHER, NOT_NEEDED = "given", "no cost alone", "needed together", "not needed"
LEARNED = 0.5  # a target below this score was not learned

Unit = int | tuple[int, int] | UnitKey


@dataclass(frozen=True)
class Needs:
    """What clamping every unit alone, and sets of them at once, has shown.

    Attributes:
        subject: the model on its batch.
        costs: of each unit that was clamped alone, by target.
        off_data: whether that clamp was far off the data.
        together: what was found of those that cost nothing alone; None where that was not looked at.
        needed: by unit and target: alone, together, no, or not measured.
        sets: of sets of units that were clamped at once: what they are, the costs, and whether they were off the data.
    """

    subject: Intervening
    costs: Mapping[UnitKey, Mapping[str, Cost]]
    off_data: Mapping[UnitKey, bool]
    together: Together | None
    needed: Mapping[tuple[UnitKey, str], str]
    sets: tuple[tuple[str, tuple[UnitKey, ...], Mapping[str, Cost], bool], ...]


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
    kept = _shared.get()
    key = (id(model), id(batch), layer, variable, mode, window, id(donors), together, bootstrap, min_drop, seed)
    if kept is not None and units is None and key in kept:
        return kept[key]
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    if not batch.target_specs:
        raise InputError("ablate: the batch has no targets, so nothing can be lost")
    subject = Intervening(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                          groups=groups, seed=seed)  # fmt: skip
    scoring = Scoring(batch, subject.intact, bootstrap, seed, codes)
    chosen = subject.keys if units is None else keys_of(units, subject, "units")
    runs, off = [], {}
    for unit in chosen:
        outcome = subject.outputs([unit])
        runs.append(scoring.of(outcome))
        off[unit] = subject.off_data([unit], outcome)
    costs = dict(zip(chosen, scoring.costs(runs)))
    found = None
    clamping = Clamping(subject, scoring, min_drop)
    if together and units is None and bootstrap:
        spare = [unit for unit in chosen if not any(cost.counts(min_drop) for cost in costs[unit].values())]
        nearest = sorted(spare, key=lambda unit: -max(_share(cost) for cost in costs[unit].values()))
        found = needed_together(clamping, nearest)
    needed = _needed(costs, found, clamping, min_drop)
    named = [] if found is None else [(SPARE, tuple(sorted(found.spare))),
                                      *((NEEDED_TOGETHER, units) for units, _ in found.sets),
                                      *([(NOT_NEEDED, tuple(sorted(found.rest)))] if found.sets else [])]  # fmt: skip
    sets = _clamp_sets(subject, scoring, [one for one in named if one[1]])
    needs = Needs(subject, costs, off, found, needed, sets)
    _warn(costs)
    if kept is not None and units is None:
        kept[key] = needs
    return needs


def _share(cost: Cost) -> float:
    """Return which share of the intact score is lost after the refit."""
    return cost.refit_drop / cost.intact if cost.intact > 0 else 0.0


def _needed(
    costs: Mapping[UnitKey, Mapping[str, Cost]], found: Together | None, clamping: Clamping, least: float
) -> dict[tuple[UnitKey, str], str]:
    """Return what each unit is for each target.

    A target's other units, those that are needed for other targets among them, are "no" where all of them, clamped at
    once, cost it less than what counts; else that is asked of those alone that are needed for nothing.
    """
    needed = {(unit, name): ALONE for unit, own in costs.items() for name, cost in own.items() if cost.counts(least)}
    if found is not None:
        needed |= {(unit, name): TOGETHER for units, names in found.sets for unit in units for name in names}
    for name in next(iter(costs.values()), {}):
        left = [unit for unit in costs if (unit, name) not in needed]
        if found is None or not left:
            spared: Iterable[UnitKey] = ()
        elif clamping.spares(left, name):
            spared = left
        else:
            spared = found.rest if clamping.spares(found.rest, name) else ()
        needed |= {(unit, name): NO if unit in spared else UNKNOWN for unit in left}
    return needed


def _clamp_sets(
    subject: Intervening, scoring: Scoring, named: Sequence[tuple[str, tuple[UnitKey, ...]]]
) -> tuple[tuple[str, tuple[UnitKey, ...], Mapping[str, Cost], bool], ...]:
    """Clamp sets of units at once."""
    outcomes = [subject.outputs(units) for _, units in named]
    costs = scoring.costs([scoring.of(outcome) for outcome in outcomes])
    off = [subject.off_data(units, outcome) for (_, units), outcome in zip(named, outcomes)]
    return tuple((why, units, cost, far) for (why, units), cost, far in zip(named, costs, off))


def _warn(costs: Mapping[UnitKey, Mapping[str, Cost]]) -> None:
    """Say loudly which targets the network did not learn."""
    intact = {name: cost.intact for name, cost in next(iter(costs.values()), {}).items()}
    if lost := [f"{name} (score {score:.2f})" for name, score in intact.items() if not score >= LEARNED]:
        log.warning("the network did not learn %s: what its units cost there says little", ", ".join(lost))


def keys_of(units: Iterable[Unit], subject: Intervening, name: str) -> list[UnitKey]:
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
    for unit in units:
        given = unit if isinstance(unit, tuple) else (unit,)
        if len(given) == 1 and len(parts) == 1:
            key: Any = (*parts[0], given[0])
        elif len(given) == 2:
            key = (given[0], "forward" if (given[0], "forward") in subject.shape else "reverse", given[1])
        else:
            key = given
        if key not in subject.keys:
            there = "; ".join(f"layer {layer}, {direction}: 0 to {n - 1}" for (layer, direction), n in
                              subject.shape.items())  # fmt: skip
            raise InputError(f"{name}: {unit}: no such unit; there are {there}")
        found.append(key)
    if not found:
        raise InputError(f"{name}: there are none")
    if twice := [key for key in dict.fromkeys(found) if found.count(key) > 1]:
        raise InputError(f"{name}: {twice[0][-1]} stands there twice")
    return found


@torch.no_grad()
def ablate_units(
    model: nn.Module,
    batch: Batch,
    *,
    layer: str | None = None,
    units: Sequence[Unit] | None = None,
    variable: str = "c",
    mode: str = "mean",
    window: Window | None = None,
    donors: Batch | None = None,
    together: bool = True,
    groups: Any = None,
    bootstrap: int = 1000,
    min_drop: float = 0.01,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Clamp each unit of each layer alone and measure what is lost of each target; then say which are needed.

    The unit's variable is held at other values than its own, inside the recurrence: all other units see the
    consequences and continue from there. The model runs as it is, once for each unit: its initial states, packed
    sequences, several calls, directions and cells are its own. An unclamped run by the same way has to reproduce the
    model's outputs, else nothing is reported.

    That a unit costs nothing alone does not say that it is not needed: another may do the same. So all units that cost
    nothing alone are clamped at once; while that costs something, a smallest set of them that does is searched for, and
    taken out. What is left is not needed.

    Args:
        model: a SequenceModel, or any module that holds an LSTM and maps `batch.inputs` (and `batch.lengths`, where
            its forward takes `lengths`) to outputs of shape (sequence, time, output), or, where each target counts
            at the last step alone, (sequence, output).
        batch: sequences that the model was not trained on, with their targets.
        layer: the name of the LSTM in the model, where there are several.
        units: which units to clamp alone: numbers, or (layer, unit) or (layer, direction, unit); all where this is
            None. Of some alone it is not known which of them are needed together.
        variable: what is clamped: "c" (the memory), or any other of h c i f g o.
        mode: "mean" (its mean over the batch's real steps), "zero", or "resample" (step by step the value that it has
            in another sequence).
        window: (first step, step after the last) of what is clamped; all steps where this is None.
        donors: sequences that values are resampled from, one for each of the batch; where this is None, others of the
            batch that are as long or longer, of other groups where there are groups.
        together: whether sets of units are clamped at once, to tell which are needed together and which not.
        groups: one entry for each sequence, equal ones for those that are drawn as one by the bootstrap, as they are
            not independent of each other; those of the batch where this is None.
        bootstrap: resamples of whole sequences for the 95 % intervals; without any, nothing is called needed.
        min_drop: a cost counts where at least this share of the target's intact score is lost.
        seed: of the resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each unit and target, columns `ABLATION_COLUMNS`. What decides is `refit_drop`, with its interval
        above 0.

    Raises:
        InputError: an unknown variable, mode or unit, a window outside of the sequences, donors of another shape, or a
            model that cannot be ablated.
    """
    needs = find_needs(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                       units=units, together=together, groups=groups, bootstrap=bootstrap, min_drop=min_drop,
                       seed=seed)  # fmt: skip
    about = {"run": run, "task": task, "units": needs.subject.lstm.hidden_size, "seed": seed}
    specs = {spec.name: spec.metric for spec in batch.target_specs}
    rows = [
        about | dict(zip(("layer", "direction", "unit"), unit)) | {"variable": variable, "mode": mode, "target": name}
        | {"metric": specs[name], **cost.columns, "off_data": needs.off_data[unit], "needed": needs.needed[unit, name]}
        for unit, own in needs.costs.items() for name, cost in own.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(ABLATION_COLUMNS))


@torch.no_grad()
def needed_sets(
    model: nn.Module, batch: Batch, *, layer: str | None = None, variable: str = "c", mode: str = "mean",
    window: Window | None = None, donors: Batch | None = None, groups: Any = None, bootstrap: int = 1000,
    min_drop: float = 0.01, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Return what it costs to clamp at once: the units that cost nothing alone, the smallest sets of them that cost,
    and what is left without these.

    Args, Raises: as `ablate_units`.

    Returns:
        One row for each set and target, columns `SET_COLUMNS`.
    """
    needs = find_needs(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                       units=None, together=True, groups=groups, bootstrap=bootstrap, min_drop=min_drop,
                       seed=seed)  # fmt: skip
    return _set_table(needs.subject, needs.sets, {"run": run, "task": task, "seed": seed})


@torch.no_grad()
def ablate_sets(
    model: nn.Module, batch: Batch, sets: Sequence[Sequence[Unit]], *, layer: str | None = None, variable: str = "c",
    mode: str = "mean", window: Window | None = None, donors: Batch | None = None, groups: Any = None,
    bootstrap: int = 1000, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Clamp several units at once, set by set, and measure what is lost of each target.

    Args:
        model, batch: as for `ablate_units`.
        sets: of units, which don't overlap: numbers, or (layer, unit) or (layer, direction, unit).
        layer, variable, mode, window, donors, groups, bootstrap, seed, run, task: as for `ablate_units`.

    Returns:
        One row for each set and target, columns `SET_COLUMNS`.

    Raises:
        InputError: as `ablate_units`; or sets that are empty or overlap.
    """
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    if not len(sets):
        raise InputError("sets: there are none")
    subject = Intervening(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                          groups=groups, seed=seed)  # fmt: skip
    named = [(GIVEN, tuple(keys_of(units, subject, f"sets: set {k}"))) for k, units in enumerate(sets)]
    every = [unit for _, units in named for unit in units]
    if twice := [unit for unit in dict.fromkeys(every) if every.count(unit) > 1]:
        raise InputError(f"sets: unit {twice[0][-1]} stands in several; they must not overlap")
    scoring = Scoring(batch, subject.intact, bootstrap, seed, codes)
    return _set_table(subject, _clamp_sets(subject, scoring, named), {"run": run, "task": task, "seed": seed})


def _set_table(subject: Intervening, sets: Sequence[Any], about: Mapping[str, Any]) -> pd.DataFrame:
    specs = {spec.name: spec.metric for spec in subject.batch.target_specs}
    layers = several_layers(subject.keys)
    rows = [
        {**about, "units": subject.lstm.hidden_size, "set": " ".join(unit_label(unit, layers) for unit in units),
         "why": why, "n_units": len(units), "variable": subject.variable, "mode": subject.mode, "target": name,
         "metric": specs[name], **cost.columns, "off_data": off}
        for why, units, costs, off in sets for name, cost in costs.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(SET_COLUMNS))
