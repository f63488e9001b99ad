"""What one call of a probe works on: checked once, and shared by units and populations."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int, Shaped
from threadpoolctl import threadpool_limits
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.probing.data.checks import check_split, choose_variables, setting_problems, unique_lags
from lstm_probe.probing.data.given import as_recorded
from lstm_probe.probing.data.signals import CheckedSignal, check_signals
from lstm_probe.probing.data.split import Split, blocks_of_series
from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.inference.baselines import PERCENTILE
from lstm_probe.probing.inference.evaluate import Scores, Weights
from lstm_probe.probing.inference.intervals import bootstrap_weights
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Block:
    """One variable of one layer in one direction."""

    layer: int
    direction: str
    variable: str
    values: Tensor

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"layer {self.layer} {self.direction} {self.variable}"


def blocks_of(rec: Recording, variables: Sequence[str]) -> list[Block]:
    """Return every block of a recording, lowest layer first."""
    return [Block(part.layer, part.direction, v, part[v]) for part in rec for v in variables]


@dataclass(frozen=True, eq=False)
class Study:
    """A recording with checked signals, a split, lags and bootstrap weights, if there is to be a bootstrap.

    The last signals may be `others`, which are not measured but may count in what is measured of the first.
    `groups` are those that the null exchanges as a whole; `split.blocks` what the bootstrap draws as one.
    Of a stream of recordings, `rec` and `checked` say what there is, without any sequences.
    """

    rec: Recording
    signals: list[CheckedSignal]
    split: Split
    variables: tuple[str, ...]
    lags: tuple[int, ...]
    lengths: Int[np.ndarray, " sequence"]
    weights: Weights
    others: int = 0
    groups: Int[np.ndarray, " sequence"] | None = None

    @property
    def blocks(self) -> list[Block]:
        """Everything that is probed."""
        return blocks_of(self.rec, self.variables)

    @cached_property
    def views(self) -> list[View]:
        """The signals at each lag; they must be labelled at the same steps, as those of one of the `parts` are."""
        return [View.make(self.signals, self.lengths, self.split, lag) for lag in self.lags]

    def parts(self, together: bool = False) -> list[tuple[list[int], "Study"]]:
        """Return studies of signals that are labelled at the same steps, each with the numbers of its own signals.

        Where signals are looked at `together`, a part has behind its own also the others that are labelled at all of
        its steps.
        """
        own: dict[int, list[int]] = {}
        for g, signal in enumerate(self.signals):
            own.setdefault(id(signal.labelled), []).append(g)
        if len(own) == 1:
            return [(list(range(len(self.signals))), self)]
        found = []
        for chosen in own.values():
            labelled = self.signals[chosen[0]].labelled
            others: list[int] = []
            if together and labelled is not None:
                known = [np.array_equal(one.among(labelled), labelled) for one in self.signals]
                others = [g for g in range(len(known)) if known[g] and g not in chosen]
            signals = [replace(self.signals[g], labelled=labelled) for g in (*chosen, *others)]
            found.append((chosen, replace(self, signals=signals, others=len(others))))
        return found

    @property
    def learnable(self) -> Bool[np.ndarray, " signal"]:
        """Of which signals something can be learned at some lag."""
        found = by_labels(self, lambda part: {"all": np.any([view.learnable for view in part.views], axis=0)})
        return found["all"]

    @property
    def scored(self) -> Bool[np.ndarray, " signal"]:
        """Which signals can be scored at some lag."""
        return by_labels(self, lambda part: {"scored": np.any([v.scored for v in part.views], axis=0)})["scored"]


def by_labels(
    study: Study,
    measure: Callable[[Study], Mapping[str, Shaped[np.ndarray, "*rest signal"]]],
    together: bool = False,
) -> dict[str, Shaped[np.ndarray, "*rest signal"]]:
    """Return what `measure` makes of the signals, of those that are labelled at the same steps at a time.

    Args:
        study: what is measured.
        measure: returns arrays by name, each with one entry for each signal of its study along the last axis.
        together: whether what is measured of a signal depends on the others: see `Study.parts`.
    """
    parts = study.parts(together)
    if len(parts) == 1:
        return dict(measure(study))
    out: dict[str, np.ndarray] = {}
    for chosen, part in parts:
        for key, values in measure(part).items():
            if key not in out:
                out[key] = np.empty((*values.shape[:-1], len(study.signals)), dtype=values.dtype)
            out[key][..., chosen] = values[..., : len(chosen)]
    return out


def in_memory(rec: Any, caller: str) -> Recording:
    """Return the recording; an InputError for anything but one in memory."""
    if not isinstance(rec, Recording):
        raise InputError(
            f"recording: a {type(rec).__name__}; {caller} needs a Recording in memory, such as one of its shards "
            "(probe_units, probe_populations and memory_curves take streams)"
        )
    return rec


def make_study(
    rec: Recording,
    signals: Signals,
    split: Split | None,
    lags: Sequence[int],
    variables: Sequence[str] | None,
    folds: int,
    seed: int,
    found: Sequence[str] = (),
    *,
    groups: Any = None,
    null: str = "shuffle",
    **settings: float,
) -> Study:
    """Return the study of a recording; an InputError names everything that is wrong with the arguments.

    Args:
        rec: what was recorded.
        signals: see `given.Signals`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        lags: how many steps back signals are taken, each 0 or more.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        folds: how many folds a split made here has.
        seed: of split and bootstrap.
        found: what is wrong with other arguments, a line each.
        groups: one entry for each sequence, equal ones for those that are not independent of each other: folds and
            bootstrap take them as one.
        null: what chance is. Under "shift", sequences are windows of one series: without a split or groups, folds and
            bootstrap take neighbours as one.
        settings: the other numbers of a call; where `bootstrap` is not among them there are no intervals.
    """
    mask, lengths = rec.mask.cpu().numpy(), rec.lengths.cpu().numpy().astype(np.int64)
    chosen, problems = choose_variables(rec, variables)
    problems = [*setting_problems(settings), *found, *problems]
    codes, series = None, null == "shift"
    try:
        codes = group_codes(groups, len(mask))
    except InputError as error:
        problems += error.problems
    several = drawn_as_one(codes)
    split, unfit = check_split(split, lengths, lags, folds, seed, several, series)
    problems += unfit
    checked: list[CheckedSignal] = []
    try:
        checked = check_signals(as_recorded(signals, rec), mask)
    except InputError as error:
        problems += error.problems
    if problems or split is None:
        raise InputError(*problems)
    samples = int(settings.get("bootstrap", 0))
    blocks = blocks_of_series(len(mask)) if series and several is None else several
    split = replace(split, blocks=blocks)
    weights = bootstrap_weights(len(mask), samples, seed, blocks) if samples else None
    study = Study(rec, checked, split, chosen, unique_lags(lags), lengths, weights, groups=codes)
    if codes is not None and several is None and not series:
        logger.warning(
            "groups: all sequences are of one group, so nothing can be tested, and folds and intervals take them one by"
            " one all the same; windows of one series can be tested with null=shift"
        )
    for _, part in study.parts():
        for view in part.views:
            warn_of_constant(view, view.lag)
    return study


def warn_of_constant(outcomes: Outcomes, lag: int) -> None:
    """Log which signals have no score."""
    for g in np.flatnonzero(~outcomes.scored).tolist():
        logger.warning(
            "signal %r, lag %d: constant, or one class only in each fold, or labelled in one alone; it has no score",
            outcomes.signals[g].name,
            lag,
        )


@contextmanager
def as_many_threads_as_torch() -> Iterator[None]:
    """Let NumPy's linear algebra use as many threads as PyTorch is set to."""
    with threadpool_limits(limits=torch.get_num_threads(), user_api="blas"):
        yield


def untrained_effects(
    study: Study, untrained: Iterable[Recording], score: Callable[[np.ndarray, View], np.ndarray]
) -> Float[np.ndarray, "level lag block signal"]:
    """Return what `score` finds in networks with random weights: the effects' 95th percentile, then the highest.

    Args:
        study: what is probed.
        untrained: recordings of these networks.
        score: takes a block's standardised units and a view; returns scores of (..., signal).
    """
    views, blocks = study.views, study.blocks
    found: list[list[list[np.ndarray]]] = [[[] for _ in blocks] for _ in views]
    for other in untrained:
        for k, block in enumerate(blocks_of(other, study.variables)):
            for lag, view in enumerate(views):
                got = effects(score(view.features(block.values, block.name), view), view)
                found[lag][k].append(got.reshape(-1, len(study.signals)))
    return untrained_levels(found)


def untrained_levels(
    found: Sequence[Sequence[Sequence[Float[np.ndarray, "_ signal"]]]],
) -> Float[np.ndarray, "level lag block signal"]:
    """Return the 95th percentile and the highest of the effects over all units of all untrained networks.

    `found` has them by lag, block and network.
    """
    levels = [[np.percentile(np.concatenate(own), (PERCENTILE, 100), axis=0) for own in blocks] for blocks in found]
    return np.moveaxis(np.array(levels), 2, 0)


def unit_columns(
    outcomes: Sequence[Outcomes],
    blocks: int,
    scores: Callable[[int, int], Scores],
    baselines: Sequence[Mapping[str, Float[np.ndarray, " signal"]]],
    levels: Mapping[str, Float[np.ndarray, "lag block signal"]],
) -> dict[str, Float[np.ndarray, "lag unit signal"]]:
    """Return score, effect, interval, r2 and baselines of all units of all blocks, at every lag.

    Args:
        outcomes: of each lag.
        blocks: how many there are.
        scores: those of a block's units, by the numbers of lag and block.
        baselines: what is the same for all units, by name, at each lag.
        levels: what is the same for all units of a block, by name.
    """
    rows: list[dict[str, np.ndarray]] = []
    for lag, own in enumerate(outcomes):
        found = []
        for block in range(blocks):
            got = scores(lag, block)
            ends = {key: effects(end, own) for key, end in (("ci_low", got.low), ("ci_high", got.high))}
            row = {"score": got.score, "effect": effects(got.score, own), **ends, "r2": got.r2, **baselines[lag]}
            row |= {key: level[lag, block] for key, level in levels.items()}
            found.append({key: np.broadcast_to(values, got.score.shape) for key, values in row.items()})
        rows.append({key: np.concatenate([row[key] for row in found]) for key in found[0]})
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def assemble(
    study: Study,
    measured: Mapping[str, Float[np.ndarray, "lag unit signal"]],
    sizes: Sequence[int],
    first: Mapping[str, Any],
) -> pd.DataFrame:
    """Return the table with a row for each unit, signal and lag, in this order.

    Args:
        study: says what blocks, signals and lags are called.
        measured: columns by name.
        sizes: how many of the units belong to each block.
        first: what the first columns say in every row.
    """
    lags, units, signals = next(iter(measured.values())).shape
    per_block: dict[str, list[Any]] = {
        "layer": [block.layer for block in study.blocks],
        "direction": [block.direction for block in study.blocks],
        "variable": [block.variable for block in study.blocks],
    }
    columns: dict[str, Any] = {key: np.repeat(np.repeat(v, sizes), signals * lags) for key, v in per_block.items()}
    columns["unit"] = np.repeat(np.concatenate([np.arange(size) for size in sizes]), signals * lags)
    for key, attribute in (("signal", "name"), ("kind", "kind"), ("role", "role"), ("metric", "metric")):
        values = np.array([getattr(signal, attribute) for signal in study.signals], dtype=str)
        columns[key] = np.tile(np.repeat(values, lags), units)
    columns["lag"] = np.tile(study.lags, units * signals)
    columns |= {key: values.transpose(1, 2, 0).ravel() for key, values in measured.items()}
    return pd.DataFrame({**{key: np.full(units * signals * lags, value) for key, value in first.items()}, **columns})
