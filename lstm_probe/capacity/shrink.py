"""A network with fewer units that does the same: exactly, then nearly so, then by a little training."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from lstm_probe.capacity.exact import exact_folds, filled
from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.goal import SHARES, TWO_SHARES, Goal, learned_targets, split
from lstm_probe.capacity.narrowing import SAME, Narrowing, relative
from lstm_probe.capacity.sizes import Merging, Smaller
from lstm_probe.capacity.tuning import Tuner, gradual
from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import number
from lstm_probe.core.run_columns import SHRINK_COLUMNS
from lstm_probe.core.shown import Shown, SmallTable, Told, listed, named
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import find_lstm
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.recorder.leaving import undisturbed
from lstm_probe.tasks.base import Task

log = logging.getLogger(__name__)

#: The share of what may be lost that is left alone when the size is decided, as other sequences may lose more. Scores
#: before and after are of the same sequences, so this is half of what `sufficient_units` leaves, whose sets were chosen
#: by the same sequences, too.
RESERVE = 0.15
#: Largest difference at any step, as a share of the outputs' scale, that counts as none, in double precision.
EXACT = 1e-6
#: What can be cut exactly: nothing reads it, or it is always 0; it is another unit, or that with the sign turned; it is
#: proportional to another one, as both hear no input.
UNREAD, COPY, CONSTANT = "unread", "copy", "constant"
KINDS = (UNREAD, COPY, CONSTANT)


@dataclass(frozen=True, repr=False)
class Shrunk(Shown):
    """A network with fewer units.

    Attributes:
        model: of the same class, in evaluation mode; its LSTM is a plain `nn.LSTM`.
        kept: by layer and direction the numbers that its units had before, in their new order.
        units: how many each layer and direction has.
        exact: of those that were cut, how many could be exactly: "unread", "copy", "constant"; over all layers and
            directions.
        updates: how many updates of weights were done, in all trainings.
        table: what was kept, columns `SHRINK_COLUMNS`.
    """

    model: nn.Module
    kept: Mapping[Part, tuple[int, ...]]
    units: int
    exact: Mapping[str, int]
    updates: int
    table: pd.DataFrame

    def _told(self) -> Told:
        stages = self.table.drop_duplicates("stage")[["stage", "units", "updates"]]
        before = int(stages["units"].iloc[0])
        cut = listed(f"{n} {kind}" for kind, n in self.exact.items() if n)
        lines = [f"cut exactly: {cut}; updates of weights: {self.updates:,}"]
        kept = self.table[(self.table["sequences"] == "check") & (self.table["units"] == self.units)]
        told = [f"{named(target)} {number(share, 3)}" for target, share in zip(kept["target"], kept["share"])]
        lines += [f"share of the score that is kept, on sequences that chose nothing: {listed(told)}"] * bool(told)
        header = ("stage", "units", "target", "score", "share")
        rows = self.table.loc[self.table["sequences"] == "check", list(header)]
        page = SmallTable(header, [tuple(row) for row in rows.itertuples(index=False)], "On other sequences")
        each = " in each layer and direction" if len(self.kept) > 1 else ""
        below = [".model is the network, .kept the numbers that its units had, .table all that was measured"]
        return Told(f"Shrunk: {before} to {self.units} units{each}", lines, [page], below=below)


@torch.no_grad()
def shrink(
    model: nn.Module, batch: Batch, *, keep: float = 0.99, units: int | None = None, tune: int = 0,
    train: Task | Batch | None = None, check: Batch | None = None, layer: str | None = None, groups: Any = None,
    seed: int = 0,
) -> Shrunk:  # fmt: skip
    """Make a network with fewer units that keeps what it learned.

    Units that nothing reads, copies, and those that hear no input are cut exactly. Then others are merged into those
    that are kept, by least squares, without training: whatever read a unit that is cut reads its best linear prediction
    from the others instead. With `tune`, the network is made smaller yet by short trainings that are taken back where
    they lose something. Of the sequences 40 % fit, 35 % decide the size (with a
    reserve, 0.15 of what may be lost), and 25 % check; whole groups each.

    Args:
        model: any module that holds an `nn.LSTM` whose h linear or recurrent layers read; it is not changed.
        batch: sequences, 16 or more, best 1,000 that the model was not trained on: of few, chance decides the size;
            with targets, those that it learned (score 0.5 or more) have to be kept, and without its outputs.
        keep: the share of each target's score that is to be kept, above 0 and below 1.
        units: the size that is wanted, whatever it keeps; None for the smallest that keeps `keep`.
        tune: how many updates of the weights may be done; those of trainings that came to nothing count.
        train: what to train on: a task, or sequences; `batch` itself stands for those of it that fit.
        check: other sequences to check on; then half of `batch` fits, and half decides.
        layer: which LSTM, where there are several.
        groups: of the sequences, one entry each; those of a group stay together; None for `batch.groups`.
        seed: of the parts, and of what is trained on.

    Raises:
        InputError: a number out of its range, too few sequences, nothing to train on, no target that was learned, one
            unit, or a module in which something other than linear and recurrent layers depends on the width.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> small = lp.shrink(net.model, batch)
    >>> small.units, small.kept[0, "forward"]
    (2, (0, 1))
    """
    _check(model, batch, keep, units, tune, train, layer)
    parts = split(batch, SHARES if check is None else TWO_SHARES, groups, seed)
    fit, decide = parts[0], parts[1]
    targets = learned_targets(model, batch)
    named = {"chose": fit, "decided": decide, "check": parts[2] if check is None else check}
    made = _Making({name: Goal.of(model, own, targets) for name, own in named.items()})
    narrowing = Narrowing(model, fit, layer=layer)
    made.add("as it is", narrowing.units, model)
    best, exact = _exactly(narrowing, batch, units)
    size = len(next(iter(best.folds.values())).kept)
    made.add("exact", size, best.model)
    bar, goal = keep + RESERVE * (1 - keep), made.goals["decided"]
    least = max(units or 1, narrowing.lstm.proj_size + 1)
    if size > least:
        tuned = tune > 0
        best, size = _merged(made, best, size, fit, bar, layer, units, tuned)
        made.add("merged", size, best.model)
        if tuned and size > least:
            tuner = Tuner(fit if train is batch or train is None else train, model, tune, seed)
            best, stages = gradual(best, size, tuner, fit, goal, bar, layer=layer, wanted=units,
                                   least=least)  # fmt: skip
            made.updates = tuner.done
            made.rows += [("tuned", s.units, s.updates, "all", "decided", float("nan"), s.share) for s in stages]
            size = len(next(iter(best.folds.values())).kept)
            made.add("tuned", size, best.model)
    _say(made, best.model, size, narrowing.units, keep, units)
    kept = {part: fold.kept for part, fold in best.folds.items()}
    return Shrunk(best.model, kept, size, exact, made.updates, made.table())


class _Making:
    """What is kept, stage by stage."""

    def __init__(self, goals: Mapping[str, Goal]) -> None:
        self.goals = goals
        self.rows: list[tuple[Any, ...]] = []
        self.updates = 0
        self._units = 0

    def add(self, stage: str, units: int, model: nn.Module) -> None:
        """Put what a network keeps on all sequences into the table, if it is smaller than the one before."""
        if units == self._units:
            return
        self._units = units
        for name, goal in self.goals.items():
            scores = goal.scores(model)
            self.rows += [(stage, units, self.updates, target, name, score, score / goal.intact[target])
                          for target, score in scores.items()]  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Return the table."""
        return pd.DataFrame(self.rows, columns=list(SHRINK_COLUMNS))


def _check(
    model: nn.Module, batch: Batch, keep: float, units: int | None, tune: int, train: Task | Batch | None,
    layer: str | None,
) -> None:  # fmt: skip
    problems = []
    if not 0 < keep < 1:
        problems.append(f"keep={keep}: must be a number above 0 and below 1")
    if tune < 0:
        problems.append(f"tune={tune}: must be a whole number from 0")
    if tune > 0 and train is None:
        problems.append(f"tune={tune}: nothing to train on; give a task or sequences as train=")
    elif train is not None and (sizes := _sizes(train)) != (own := _sizes(batch)):
        problems.append(
            f"train: has {sizes[0]} inputs and {sizes[1]} outputs, and the sequences have {own[0]} and {own[1]}"
        )
    if problems:
        raise InputError(*problems)
    name, lstm = find_lstm(model, layer)
    most, least = lstm.hidden_size - 1, getattr(lstm, "proj_size", 0) + 1
    if units is not None and not least <= units <= most and most >= least:
        more = f", as h has {least - 1} elements" if least > 1 else ""
        raise InputError(f"units={units}: must be from {least}{more} to {most}, as {name or 'the LSTM'} has {most + 1}")


def _sizes(data: Task | Batch) -> tuple[int, int]:
    """Return how many inputs and outputs there are."""
    if isinstance(data, Batch):
        return data.inputs.shape[-1], sum(spec.size for spec in data.target_specs)
    return data.n_inputs, data.n_outputs


def _exactly(narrowing: Narrowing, batch: Batch, units: int | None) -> tuple[Smaller, dict[str, int]]:
    """Return the network without what can be cut exactly, checked on a batch, and how many units of each kind that is.

    Where that does not hold, only what nothing reads is cut; where that does not either, nothing is.
    """
    found = exact_folds(narrowing)
    if not narrowing.from_zero:
        log.warning("%s: its states do not begin at zero, so copies, and units that hear no input, are not cut exactly",
                    narrowing.name)  # fmt: skip
    for kinds in (KINDS, (UNREAD,)):
        folds = _of_kinds(found, kinds)
        size = max(len(next(iter(folds.values())).kept), units or 1)
        if size >= narrowing.units:
            break
        folds = {part: filled(fold, size) for part, fold in folds.items()}
        small = narrowing.take(folds).eval()
        if _same(narrowing.model, small, batch):
            counts = {kind: sum(own == kind for fold in folds.values() for own in _kinds(fold)) for kind in KINDS}
            return Smaller(small, folds, 1.0), counts
        log.warning("%s: without units that by its weights change nothing its outputs change, so %s", narrowing.name,
                    "only what nothing reads is cut exactly" if kinds == KINDS else "none is cut exactly")  # fmt: skip
    whole = {part: Fold.keeping(tuple(range(narrowing.units)), narrowing.units) for part in narrowing.parts}
    return Smaller(copy.deepcopy(narrowing.model).eval(), whole, 1.0), dict.fromkeys(KINDS, 0)


def _kinds(fold: Fold) -> list[str | None]:
    """Return, for each unit, how it is cut; None where it is kept."""
    kinds: list[str | None] = []
    for unit, row in enumerate(fold.matrix):
        sign = float(row.abs().max())
        kinds.append(None if unit in fold.kept else UNREAD if sign == 0 else COPY if sign == 1 else CONSTANT)
    return kinds


def _of_kinds(folds: Mapping[Part, Fold], kinds: Sequence[str]) -> dict[Part, Fold]:
    """Return folds that cut only units of these kinds; all keep as many."""
    made = {}
    for part, fold in folds.items():
        back = [unit for unit, kind in enumerate(_kinds(fold)) if kind is not None and kind not in kinds]
        made[part] = filled(fold, len(fold.kept), back)
    size = max(len(fold.kept) for fold in made.values())
    return {part: filled(fold, size) for part, fold in made.items()}


def _same(model: nn.Module, small: nn.Module, batch: Batch) -> bool:
    """Return whether two networks give the same at every step, in double precision where they take it."""
    try:
        wide = replace(batch, inputs=batch.inputs.double())
        outputs = [_outputs(copy.deepcopy(one).double(), wide) for one in (model, small)]
        tolerance = EXACT
    except RuntimeError:  # a module that makes tensors of its own precision
        outputs = [_outputs(one, batch) for one in (model, small)]
        tolerance = max(EXACT, SAME.get(outputs[0].dtype, 1e-2))
    return relative(outputs[1], outputs[0]) <= tolerance


def _outputs(model: nn.Module, batch: Batch) -> torch.Tensor:
    with undisturbed(model):
        return outputs_of(model, batch)


def _merged(
    made: _Making, best: Smaller, size: int, fit: Batch, bar: float, layer: str | None, units: int | None, tuned: bool
) -> tuple[Smaller, int]:
    """Return the network of the size that is wanted, or the smallest that keeps enough, by merging."""
    merging = Merging(best.model, fit, made.goals["decided"], layer=layer, least=units or 1)
    made.rows += [("merged", own, 0, "all", "decided", float("nan"), share) for own, share in merging.shares()]
    smallest = merging.smallest(bar) if units is None or tuned else units
    if smallest is None:
        return best, size
    merged = merging.at(smallest)
    folds = {part: fold.after(best.folds[part]) for part, fold in merged.folds.items()}
    return Smaller(merged.model, folds, merged.share), smallest


def _say(made: _Making, model: nn.Module, size: int, before: int, keep: float, units: int | None) -> None:
    """Warn where nothing was cut, or where other sequences keep less."""
    goal = made.goals["check"]
    kept = goal.kept(model)
    if units is None and size == before:
        log.warning("no size below %d keeps %g of every score", before, keep)
    elif kept < keep:
        log.warning("on sequences that did not choose it, the network of %d units keeps %.3f, which is less than %g",
                    size, kept, keep)  # fmt: skip
