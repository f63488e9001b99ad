"""Which units does the network need? Clamp each one, and sets of them at once, and see what is lost."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from lstm_probe.causal.asked import check_batch, check_numbers, listed
from lstm_probe.causal.clamp import Window
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.needs import GIVEN, Unit, clamp_sets, find_needs, keys_of
from lstm_probe.causal.scoring import Scoring
from lstm_probe.core.columns import ABLATION_COLUMNS, SET_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import resampled_by
from lstm_probe.core.order import several_layers, unit_label
from lstm_probe.core.signal import Batch


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
    taken out. What is left is not needed if it costs nothing at the means of each half of the sequences, either: what
    holds at the means of these sequences alone is not said of the network.

    Args:
        model: a SequenceModel, or any module that holds an LSTM and maps `batch.inputs` (and `batch.lengths`, where
            its forward takes them) to outputs of shape (sequence, time, output), or, where each target counts at the
            last step alone, (sequence, output). Tokens, where there is an embedding, and steps before sequences are
            handed to it as it takes them.
        batch: sequences that the model was not trained on, with their targets.
        layer: the name of the LSTM in the model, where there are several.
        units: which units to clamp alone: numbers, or (layer, unit) or (layer, direction, unit); all where this is
            None. Of some alone it is not known which of them are needed together.
        variable: what is clamped: "c" (the memory, whatever the cell calls it), or any other of its variables.
        mode: "mean" (its mean over the batch's real steps), "zero", or "resample" (step by step the value that it has
            in another sequence).
        window: (first step, step after the last) of what is clamped; all steps where this is None.
        donors: sequences that values are resampled from, one for each of the batch; where this is None, others of the
            batch that are as long or longer, of other groups where there are groups.
        together: whether sets of units are clamped at once, to tell which are needed together and which not.
        groups: one entry for each sequence, equal ones for those that are drawn as one by the bootstrap, as they are
            not independent of each other; those of the batch where this is None.
        bootstrap: resamples of whole sequences for the 95 % intervals; without any, or of one sequence alone, nothing
            is called needed. The mean that a unit is clamped to is each resample's own (of several at once, one of
            a few resamples').
        min_drop: a cost counts where at least this share of the target's intact score is lost.
        seed: of the resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each unit and target, columns `ABLATION_COLUMNS`. What decides is `refit_drop`, with its interval
        above 0.

    Raises:
        InputError: an unknown variable, mode or unit, a window outside of the sequences, donors of another shape, or a
            model that cannot be ablated.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> effect = lp.ablate_units(net.model, batch, bootstrap=10)
    >>> effect.query("needed == 'alone'")[["unit", "target"]].values.tolist()
    [[0, 'count'], [1, 'latch']]
    """
    needs = find_needs(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                       units=units, together=together, groups=groups, bootstrap=bootstrap, min_drop=min_drop,
                       seed=seed)  # fmt: skip
    about = {"run": run, "task": task, "units": needs.subject.lstm.hidden_size, "seed": seed,
             "variable": needs.subject.variable}  # fmt: skip
    specs = {spec.name: spec.metric for spec in batch.target_specs}
    rows = [
        about | dict(zip(("layer", "direction", "unit"), unit)) | {"mode": mode, "target": name}
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

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> sets = lp.needed_sets(net.model, batch)
    >>> sets[["set", "why"]].drop_duplicates().values.tolist()
    [['2 3', 'no cost alone']]
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

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> lost = lp.ablate_sets(net.model, batch, [[0, 1], [2, 3]], bootstrap=10)
    >>> lost[["set", "target", "refit_drop"]].round(2).values.tolist()
    [['0 1', 'count', 1.0], ['0 1', 'latch', 1.0], ['2 3', 'count', 0.0], ['2 3', 'latch', 0.0]]
    """
    check_batch(batch)
    check_numbers(bootstrap)
    given = listed(sets, "sets", "sets of units, as [[3, 7], [5]]")
    codes = resampled_by(batch.groups if groups is None else groups, len(batch), widened=True)
    if not given:
        raise InputError("sets: there are none")
    subject = Intervening(model, batch, layer=layer, variable=variable, mode=mode, window=window, donors=donors,
                          groups=groups, seed=seed)  # fmt: skip
    named = [(GIVEN, tuple(keys_of(units, subject, f"sets: set {k}"))) for k, units in enumerate(given)]
    every = [unit for _, units in named for unit in units]
    if twice := [unit for unit in dict.fromkeys(every) if every.count(unit) > 1]:
        raise InputError(f"sets: unit {twice[0][-1]} stands in several; they must not overlap")
    scoring = Scoring(batch, subject.intact, bootstrap, seed, codes)
    return _set_table(subject, clamp_sets(subject, scoring, named), {"run": run, "task": task, "seed": seed})


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
