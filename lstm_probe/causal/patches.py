"""Does the output follow a unit's memory that comes from another sequence? Interchange, by units and by sets.

That a unit tracks a signal, and is needed, does not say that its signal is what the output reads from it: it may be
needed for something else. So its memory at one moment is taken from another sequence, and the outputs some steps later
are compared with what they do when the whole state is.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from lstm_probe.causal.following import ANY, STILL, Following, Named, NoPairsError
from lstm_probe.causal.moved import LEAST_MOVING, LEAST_PAIRS
from lstm_probe.causal.needs import Unit, keys_of
from lstm_probe.causal.pairing import moments
from lstm_probe.causal.patching import Patch, Patching, Rule
from lstm_probe.core.columns import RUN_COLUMNS, Columns, columns, interval
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.order import several_layers, unit_label
from lstm_probe.core.signal import Batch

log = logging.getLogger(__name__)

#: How many steps later the outputs are looked at.
AFTER = (1, 5, 15)

MOVED = {
    "signal": "Name of the signal in which receiver and donor differ at the moment, or " + ANY + ": all pairs.",
    "target": "Name of the target whose output is looked at.",
    "after": "Steps from the moment on; the output is that of the first step from there on at which the target counts.",
    "moved": "Share of what the whole state from the donor moves of the output, in the same direction, that this moves "
    "alone: 1: the output follows the donor, 0: not at all. Missing where there are fewer than "
    f"{LEAST_PAIRS} pairs, or nothing moves: by less than {STILL:g} of the output's spread.",
    "ci_low": interval("moved")["ci_low"] + f" Missing where the output moves in fewer than {LEAST_MOVING} pairs.",
    "ci_high": interval("moved")["ci_high"],
    "moved_same": "The same, on the same scale, among pairs that agree in the signal: what moves the output whatever "
    "the signal is. Missing where there are too few.",
    "changed": "How much it changes the output in whatever direction, as a share of what the whole state changes.",
    "reads": "yes: the output reads the signal from there: moved is at least `min_moved` by its interval, and at least "
    "as much more than moved_same. another signal: it moves so much, but that goes with another signal. little: it "
    "moves less than that either way. no: less than half of that either way. not told: the interval leaves it open, or "
    "moved_same is missing. no pair: missing.",
    "instead": "Another signal that it is: where both sequences agree in that one, less than half of moved is left.",
    "not_apart": "Signals that can't be told from this one, as too few pairs differ in one of the two alone, joined by "
    "commas (as in CSV).",
    "pairs": "How many pairs of sequences, over all moments.",
    "accuracy": "Share of pairs in which the output comes nearer to the target of the donor's inputs up to the moment "
    "than to the receiver's own, where these differ; missing without a rule of the task.",
    "moved_rule": "As moved, but as a share of what the task's rule says; of numbers.",
    "all_accuracy": "accuracy, of the whole state.",
    "all_moved_rule": "moved_rule, of the whole state.",
}
COLUMNS: Columns = columns(*RUN_COLUMNS, "layer", "direction", "unit", **MOVED)
SET_COLUMNS: Columns = columns(
    *RUN_COLUMNS, set="Units that are taken from the donor at once, by number, with their layer where there are "
    "several.", n_units="How many units that are.", **MOVED,
)  # fmt: skip


@torch.no_grad()
def patch_units(
    model: nn.Module,
    batch: Batch,
    signals: Signals = None,
    *,
    layer: str | None = None,
    units: Sequence[Unit] | None = None,
    variable: str = "c",
    steps: Sequence[int] | int | None = None,
    after: Sequence[int] = AFTER,
    donors: Any = None,
    rule: Rule | None = None,
    min_moved: float = 0.1,
    groups: Any = None,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Take each unit's memory at a moment from another sequence, and see whether the outputs follow that sequence.

    The unit goes on from the donor's c, and shows o · tanh(c) with its own output gate; all other units, and all later
    inputs, are the receiver's. What this changes of an output is projected on what the whole state from the donor
    changes (all units of all layers, h and c: the network that has read the donor's inputs up to the moment). So
    `moved` needs no rule of a task, and over units it adds up to about 1 where they act side by side.

    Args:
        model: a SequenceModel, or any module that `ablate_units` takes.
        batch: sequences that the model was not trained on, with their targets.
        signals: see `probe_units`; those of the batch where this is None. Of one that is called like a target, that
            target is looked at; of any other, all targets.
        layer: the name of the LSTM in the model, where there are several.
        units: numbers, or (layer, unit) or (layer, direction, unit); all where this is None.
        variable: what is taken: "c" (the memory, and the h that goes with it), or "h" alone.
        steps: the moments: after which steps the memory is taken; or how many of them, spread over those after which
            sequences still go on for long enough. None: five.
        after: how many steps later the outputs are looked at; in a direction that reads backwards, earlier.
        donors: where memories are taken from: a Batch with one sequence for each of the batch, or the number of
            another sequence of the batch for each. None: others that have the moment, of other groups where there are
            groups.
        rule: given inputs and lengths, the targets by name (see `Task.relabel`), NaN, or −1 of classes, where it does
            not say; None: the outputs are compared with no rule.
        min_moved: `reads` is "yes" from this share on, "little" below it and "no" below half of it, each by the whole
            interval.
        groups: one entry for each sequence, equal ones for those that are not independent of each other; those of the
            batch where this is None.
        seed: of the choice of donors.
        run, task: put into the columns of the same name.

    Returns:
        One row for each unit, signal (all pairs first, as "any"), target and number of steps after, columns `COLUMNS`.
        Intervals are over pairs of sequences, two of which depend on each other where they share one.
        `attrs["spliced"]`: whether the whole state's patch is what the network does with the donor's inputs up to the
        moment; None for a network that reads backwards, too, where "all units" are those of one direction.

    Raises:
        InputError: a moment outside of the sequences, donors of another shape, a signal that never changes, unknown
            units or another variable, or a model that cannot be edited.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> reads = lp.patch_units(net.model, batch)
    >>> reads.query("after == 1 and signal == 'any' and reads == 'yes'")[["unit", "target"]].values.tolist()
    [[0, 'count'], [1, 'latch']]
    """
    patching = Patching(model, batch, layer=layer, variable=variable, after=after, donors=donors, groups=groups,
                        seed=seed, rule=rule)  # fmt: skip
    chosen = patching.keys if units is None else keys_of(units, patching, "units")
    patches: list[Named] = [(dict(zip(("layer", "direction", "unit"), key)), Patch.of_units([key])) for key in chosen]
    return patch_table(patching, patches, signals, steps, min_moved, COLUMNS, {"run": run, "task": task, "seed": seed})


def patches_of_run(model: nn.Module, batch: Batch, *, rule: Rule, **settings: Any) -> pd.DataFrame:
    """Return `patch_units`' table for the batch's own signals, of which those that never change are left out.

    It is empty where no sequence has a donor, or goes on after it.
    """
    try:
        return patch_units(model, batch, None, rule=rule, **settings)
    except NoPairsError as error:
        log.warning("no memory was taken from another sequence: %s", error)
        return pd.DataFrame(columns=list(COLUMNS))


@torch.no_grad()
def patch_sets(
    model: nn.Module, batch: Batch, sets: Sequence[Sequence[Unit]], *, signals: Signals = None,
    layer: str | None = None, variable: str = "c", steps: Sequence[int] | int | None = None,
    after: Sequence[int] = AFTER, donors: Any = None, rule: Rule | None = None, min_moved: float = 0.1,
    groups: Any = None, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Take the memories of several units at once from another sequence, set by set.

    Args:
        model, batch: as for `patch_units`.
        sets: of units, of one direction each: numbers, or (layer, unit) or (layer, direction, unit).
        signals, layer, variable, steps, after, donors, rule, min_moved, groups, seed, run, task: as for `patch_units`.

    Returns:
        One row for each set, signal, target and number of steps after, columns `SET_COLUMNS`.

    Raises:
        InputError: as `patch_units`; or a set that is empty or has units of both directions.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> together = lp.patch_sets(net.model, batch, [[0, 1]])
    >>> together.query("after == 1 and signal == 'any'")[["target", "moved"]].round(2).values.tolist()
    [['count', 1.0], ['latch', 1.0]]
    """
    patching = Patching(model, batch, layer=layer, variable=variable, after=after, donors=donors, groups=groups,
                        seed=seed, rule=rule)  # fmt: skip
    if not len(sets):
        raise InputError("sets: there are none")
    layers, patches = several_layers(patching.keys), list[Named]()
    for k, units in enumerate(sets):
        keys = keys_of(units, patching, f"sets: set {k}")
        if len({direction for _, direction, _ in keys}) > 1:
            raise InputError(f"sets: set {k} has units of both directions, whose moments lie on different sides")
        label = " ".join(unit_label(key, layers) for key in keys)
        patches.append(({"set": label, "n_units": len(keys)}, Patch.of_units(keys)))
    return patch_table(
        patching, patches, signals, steps, min_moved, SET_COLUMNS, {"run": run, "task": task, "seed": seed}
    )


def patch_table(
    patching: Patching, patches: Sequence[Named], signals: Signals, steps: Sequence[int] | int | None, min_moved: float,
    shape: Columns, about: Mapping[str, Any],
) -> pd.DataFrame:  # fmt: skip
    """Return the table of these patches, with the columns `shape`; other arguments as those of `patch_units`."""
    following = Following(patching, signals, moments(patching.batch, steps, patching.after), min_moved)
    table = following.table(patches).assign(units=patching.lstm.hidden_size, **about)[list(shape)]
    table.attrs["spliced"] = patching.spliced
    return table
