"""Is a code stable? A readout fitted at one lag, or in one window of steps, and tested at every other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from lstm_probe.core.columns import CROSS_TIME_COLUMNS, STABILITY_COLUMNS
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.given import Signals
from lstm_probe.core.vocabulary import ALONG
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, as_many_threads_as_torch, assemble, by_labels, in_memory, make_study
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.ridge import Gram, fit_ridge
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder.data import Recording

#: Below this mean effect where it was fitted, there is no code of which to ask whether it is stable.
LEAST_DIAGONAL = 0.25


def cross_time(
    rec: Recording,
    signals: Signals,
    *,
    along: str = "step",
    steps: int | Sequence[int] = 10,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0, 1, 2, 5, 10, 20),
    variables: Sequence[str] | None = ("c",),
    folds: int = 5,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Score readouts of all units of a layer at other times than those they were fitted at.

    Along steps (temporal generalisation, King & Dehaene 2014): a readout of the signal's present value is fitted
    in one window of the step index and tested in another. Is the code the same early and late in a sequence?
    Along lags: a readout of the signal's value `fitted` steps ago is tested as one of its value `tested` steps
    ago. Is the direction that predicts the signal now the one that predicts it later? All lags are compared on the
    same steps, those from the longest lag on.

    The readout is a ridge regression with a penalty chosen inside the training part, as in `probe_populations`.
    It is tested with the very weights and offset that it was fitted with, on held-out sequences: what a reader
    would get that does not know how much time has passed.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        along: lag or step.
        steps: how many windows of equal width, or each window's first step; used along steps.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: as for `probe_units`.
        lags: those to compare, each 0 or more; used along lags.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`. With 2 the penalty is fixed.
        seed: of the split; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each layer, direction, variable, signal and pair of times, with the columns
        `CROSS_TIME_COLUMNS`; `fitted` and `tested` are lags, or the first steps of windows. `score` may be far
        below chance. NaN where the signal is constant at one of the two, or too few sequences are so long.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.
    """
    rec = in_memory(rec, "cross_time")
    problems = along_problems(along, steps, int(rec.lengths.max()) if len(rec) else 0)
    lags = lags if along == "lag" else (0,)
    study = make_study(rec, signals, split, lags, variables, folds, seed, problems, groups=groups)
    partly = [signal.name for signal in study.signals if signal.labelled is not None]
    if partly and along == "lag":
        raise InputError(f"along=lag: needs signals that are labelled at every step; not so are {', '.join(partly)}")
    windows = first_steps(steps, study)

    def measure(part: Study) -> dict[str, np.ndarray]:
        base = View.make(part.signals, part.lengths, part.split)
        places = lag_places(base, part.lags) if along == "lag" else step_places(base, windows)
        values = [base.features(block.values, block.name) for block in part.blocks]
        scores = np.stack([cross_scores(x, places) for x in values], axis=1)
        return {"score": scores, "effect": effects(scores, base)}

    with as_many_threads_as_torch():
        measured = by_labels(study, measure)
    names = list(study.lags) if along == "lag" else windows
    # Each pair of times takes the place of a lag.
    pairs = replace(study, lags=tuple(range(len(names) ** 2)))
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed, "along": along}
    table = assemble(pairs, measured, [1] * len(study.blocks), first)
    times = np.array(names)
    table["fitted"], table["tested"] = times[table["lag"] // len(times)], times[table["lag"] % len(times)]
    return table[list(CROSS_TIME_COLUMNS)]


def stability(table: pd.DataFrame) -> pd.DataFrame:
    """Return how much of each signal's effect a readout keeps at other times than those it was fitted at.

    Args:
        table: columns `CROSS_TIME_COLUMNS`.

    Returns:
        One row for each block and signal, with the columns `STABILITY_COLUMNS`: `diagonal` is the mean effect
        at the time of the fit, `elsewhere` at all others, `stability` = elsewhere / diagonal: 1 for one code at
        all times, 0 for another one at each; NaN where `diagonal` is below 0.25. Along lags it can be near 1
        only where the signal itself changes slowly: no direction holds two different values.
    """
    keys = list(STABILITY_COLUMNS)[:-3]
    own = table["fitted"] == table["tested"]
    parts = table.assign(diagonal=table["effect"].where(own), elsewhere=table["effect"].where(~own))
    out = parts.groupby(keys, sort=False, as_index=False)[["diagonal", "elsewhere"]].mean()
    known = out["diagonal"] >= LEAST_DIAGONAL
    out["stability"] = (out["elsewhere"] / out["diagonal"].where(known)).astype(float)
    return out[list(STABILITY_COLUMNS)]


def along_problems(along: str, steps: Any, longest: int) -> list[str]:
    """Return one line for each thing wrong with the times to compare."""
    if along not in ALONG:
        return [f"along={along}: must be {' or '.join(ALONG)}.{nearest(along, ALONG)}"]
    if along == "lag":
        return []
    one = isinstance(steps, int | float | np.number)
    given = [steps] if one else list(steps)
    if any(isinstance(step, bool) or not isinstance(step, int | np.integer) for step in given):
        return [f"steps={steps}: must be a whole number of windows, or each window's first step"]
    if one and steps < 2:
        return [f"steps={steps}: must be 2 windows or more"]
    rising = len(given) > 1 and all(a < b for a, b in pairwise(given))
    if not one and not (rising and given[0] >= 0 and given[-1] < longest):
        return [f"steps={steps}: must be two or more first steps in rising order, from 0 to {longest - 1}"]
    return []


@dataclass(frozen=True, eq=False)
class Place:
    """One lag or window: which steps of the units, and the signals there.

    Attributes:
        name: the lag, or the first step.
        steps: of the time axis.
        view: the signals, each with mean 0 at these steps, all on the scale that they have over all steps.
        mean: what was taken off them, for each column.
    """

    name: int
    steps: slice
    view: View
    mean: Float[np.ndarray, " column"]

    @classmethod
    def of(cls, base: View, name: int, steps: slice, lag: int = 0) -> "Place":
        """Return the steps `steps` with the signals of `lag` steps before."""
        mask = base.mask[:, steps]
        columns = base.columns[:, steps.start - lag : steps.stop - lag] * mask[..., None]
        mean = np.zeros(columns.shape[-1])
        real = columns[mask]
        if len(real):
            kept = base.continuous
            mean[kept] = real[:, kept].mean(0)
            columns = np.where(mask[..., None], columns - mean, 0.0)
            # What is constant here is exactly 0.
            columns[..., kept] *= real[:, kept].max(0) > real[:, kept].min(0)
        return cls(name, steps, replace(base, mask=mask, columns=columns), mean)

    @property
    def known(self) -> list[bool]:
        """Which signals a readout can be fitted to: those that vary here, in sequences of two folds or more."""
        enough = (self.view.split.sums(self.view.n) > 0).sum() >= 2
        return [bool(enough and scored) for scored in self.view.scored]


def lag_places(base: View, lags: Sequence[int]) -> list[Place]:
    """Return the places of each lag, all at the steps that have every lag."""
    steps = slice(max(lags), base.mask.shape[1])
    return [Place.of(base, lag, steps, lag) for lag in lags]


def first_steps(steps: int | Sequence[int], study: Study) -> list[int]:
    """Return each window's first step; no more windows of equal width than there are steps."""
    if isinstance(steps, int | np.integer):
        result: list[int] = np.unique(np.linspace(0, study.lengths.max(), steps, endpoint=False).astype(int)).tolist()
        return result
    return [int(step) for step in steps]


def step_places(base: View, first: Sequence[int]) -> list[Place]:
    """Return the places of windows, each of which ends where the next one begins."""
    ends = [*first[1:], base.mask.shape[1]]
    return [Place.of(base, start, slice(start, end)) for start, end in zip(first, ends)]


def cross_scores(
    x: Float[np.ndarray, "sequence time unit"], places: Sequence[Place]
) -> Float[np.ndarray, "pair signal"]:
    """Return the held-out scores of each place's readout at each place, in the order of (fitted, tested)."""
    scores = []
    for fitted in places:
        fit = fit_ridge(Gram.per_fold(x[:, fitted.steps], fitted.view.columns, fitted.view))
        for tested in places:
            predictions = fit.held_out(x[:, tested.steps], tested.view) + (fitted.mean - tested.mean)
            predictions[~tested.view.mask] = 0
            score = evaluate_predictions(predictions, tested.view).score[0]
            scores.append(np.where(np.array(fitted.known) & tested.view.scored, score, np.nan))
    return np.stack(scores)
