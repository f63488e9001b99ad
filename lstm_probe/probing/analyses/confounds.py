"""What a unit says of a signal beyond the input, the step index and the other signals."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from lstm_probe.core.alike import PARTS, likeness
from lstm_probe.core.columns import CONFOUND_COLUMNS, SIGNAL_CORRELATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.joined import joined
from lstm_probe.probing.data.checks import setting_problems
from lstm_probe.probing.data.given import as_recorded
from lstm_probe.probing.data.signals import CheckedSignal, check_signals
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, as_many_threads_as_torch, assemble, by_labels, in_memory, make_study
from lstm_probe.probing.data.view import View, scaled, standardise
from lstm_probe.probing.fits.moments import Moments, unit_errors
from lstm_probe.probing.fits.ridge import Gram, Standardised
from lstm_probe.probing.inference.evaluate import Weights
from lstm_probe.probing.inference.intervals import percentile_interval
from lstm_probe.probing.inference.scores import r2
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: The step index enters as the polynomials of these degrees.
DEGREES = (1, 2, 3)

#: What has less of its variance left than this, once the rest is known, is a combination of the rest.
NOTHING_LEFT = 1e-9


def partial_effects(
    rec: Recording,
    signals: Signals,
    *,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = ("c",),
    folds: int = 5,
    bootstrap: int = 200,
    max_correlation: float = 0.9,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say what each unit adds to the prediction of each signal once everything else that is known is given.

    Given are Z: the current input x[t], the step index (polynomials of t up to degree 3), and all other signals
    at the signal's own step; those that are not labelled at all of its labelled steps are left out. With
    squared errors on held-out sequences, of least-squares fits on the others,

        partial = 1 − SSE(y | Z, unit) / SSE(y | Z), the partial R², and effect = 1 − SSE(y | unit) / SSE(y | 1).

    Of a binary or categorical signal both are means over the indicators of its classes, so that `effect` is not
    the effect of `probe_units` there, which comes from an AUROC; of a continuous signal it is the same. Of a circular
    one the errors of sine and cosine are added up.

    A signal whose correlation with another is above `max_correlation` cannot be told from it: the other is left out of
    Z, and `collinear_with` names it. A unit that tracks the one may then as well track the other. Of a signal with
    classes and of an angle one class, the sine or the cosine is enough: then only that part cannot be told apart.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: as for `probe_units`.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`.
        bootstrap: samples of sequences for the 95 % intervals, 1 or more.
        max_correlation: 0 to 1.
        seed: everything random follows from it; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, variable, signal and lag, with the columns `CONFOUND_COLUMNS`. `effect`, `partial`
        and its interval are floored at 0. `collinear_with` holds names, joined by commas, "" if there are none. NaN for
        a signal without variation; also for the partial effect of one of which Z leaves nothing unknown.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> beyond = lp.partial_effects(rec, batch.signals, bootstrap=10)
    >>> beyond.query("partial > 0.5")[["unit", "signal"]].values.tolist()
    [[0, 'count'], [1, 'latch']]
    """
    rec = in_memory(rec, "partial_effects")
    study = make_study(
        rec, signals, split, lags, variables, folds, seed, groups=groups, bootstrap=bootstrap,
        max_correlation=max_correlation,
    )  # fmt: skip
    with as_many_threads_as_torch():
        measured = by_labels(study, lambda part: measure_lags(part, max_correlation), together=True)
    sizes = [block.values.shape[-1] for block in study.blocks]
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    return assemble(study, measured, sizes, first)[list(CONFOUND_COLUMNS)]


def measure_lags(study: Study, max_correlation: float) -> dict[str, Shaped[np.ndarray, "lag unit signal"]]:
    """Return every measured column, for all units at every lag."""
    rows: list[dict[str, np.ndarray]] = []
    for view in study.views:
        same = collinear(largest_correlations(view.columns, view.mask, view.owner), max_correlation)
        told = [joined(view.signals[k].name for k in np.flatnonzero(row).tolist()) for row in same]
        row: dict[str, np.ndarray] = dict(measure(study, view, same))
        rows.append(row | {"collinear_with": np.array([told] * len(row["effect"]), dtype=object)})
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def signal_correlations(
    rec: Recording,
    signals: Signals,
    *,
    max_correlation: float = 0.9,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say how alike the signals are here: their correlations over all real steps at which both are labelled.

    Args:
        rec: says which steps are real.
        signals: as for `probe_units`.
        max_correlation: from which |r| on two signals, or parts of them, are nearly the same, 0 to 1.
        seed: what the column of that name says.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        Two rows for each pair of signals, one from each side, with the columns `SIGNAL_CORRELATION_COLUMNS`. `r`
        of signals with classes is that of the two indicators that correlate most, of an angle that of its sine or
        cosine; NaN where a signal is constant.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.
    """
    rec = in_memory(rec, "signal_correlations")
    mask, problems = rec.mask.cpu().numpy(), setting_problems({"max_correlation": max_correlation})
    checked: list[CheckedSignal] = []
    try:
        checked = check_signals(as_recorded(signals, rec), mask)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    r = np.full((len(checked), len(checked)), np.nan)
    for a, b in combinations(range(len(checked)), 2):
        steps = checked[a].among(checked[b].among(mask))
        both = [scaled(signal, steps) for signal in (checked[a], checked[b])]
        owner = np.repeat([0, 1], [columns.shape[-1] for columns in both])
        r[a, b] = r[b, a] = largest_correlations(np.concatenate(both, axis=-1), steps, owner)[0, 1]
    same = collinear(r, max_correlation)
    for a, b in zip(*np.nonzero(np.triu(same))):
        logger.warning("%s", _alike(checked[a], checked[b], r[a, b]))
    start = (run, task, rec.config.units, seed)
    return pd.DataFrame(
        [
            (*start, a.name, b.name, r[i, j], bool(same[i, j]))
            for i, a in enumerate(checked) for j, b in enumerate(checked) if i != j
        ],
        columns=list(SIGNAL_CORRELATION_COLUMNS),
    ).astype({"r": float, "collinear": bool})  # fmt: skip


def _alike(a: CheckedSignal, b: CheckedSignal, r: float) -> str:
    """Return what is said of two signals that correlate so much."""
    if {a.kind, b.kind}.isdisjoint(PARTS):
        both = f"signals {a.name!r} and {b.name!r} are nearly the same here (r = {r:.3f})"
        return f"{both}: a unit can't be said to track one rather than the other"
    if a.kind in PARTS:
        a, b = b, a  # the part first, where one is a part of the other
    how = likeness(a.kind, b.kind).format(repr(b.name))
    return f"signal {a.name!r} {how} here (r = {r:.3f}): a unit that tells that part tells of both"


def largest_correlations(
    columns: Float[np.ndarray, "sequence time column"],
    mask: Bool[np.ndarray, "sequence time"],
    owner: Int[np.ndarray, " column"],
) -> Float[np.ndarray, "signal signal"]:
    """Return, for each pair of signals, the largest correlation by size of any of their columns; NaN for none."""
    z = standardise(columns, mask)[mask]
    r = z.T @ z / max(len(z), 1)
    varies = np.diagonal(r) > 0
    signals = int(owner.max()) + 1
    out = np.full((signals, signals), np.nan)
    for a in range(signals):
        for b in range(signals):
            pairs = r[np.ix_((owner == a) & varies, (owner == b) & varies)].ravel()
            if len(pairs):
                out[a, b] = pairs[np.abs(pairs).argmax()]
    return out


def collinear(r: Float[np.ndarray, "signal signal"], max_correlation: float) -> Bool[np.ndarray, "signal signal"]:
    """Return which signals correlate by more than `max_correlation` with which others."""
    result: np.ndarray = (np.nan_to_num(np.abs(r)) > max_correlation) & ~np.eye(len(r), dtype=bool)
    return result


def step_terms(view: View) -> Float[np.ndarray, "sequence time degree"]:
    """Return the step index as Legendre polynomials, standardised; 0 off the mask."""
    time = view.mask.shape[1]
    t = np.linspace(-1, 1, time) if time > 1 else np.zeros(time)
    terms = np.stack([np.polynomial.Legendre.basis(degree)(t) for degree in DEGREES], axis=-1)
    return standardise(np.broadcast_to(terms, (len(view.mask), *terms.shape)), view.mask)


def measure(
    study: Study, view: View, same: Bool[np.ndarray, "signal signal"]
) -> dict[str, Float[np.ndarray, "unit signal"]]:
    """Return effects, partial effects and their intervals of the units of all blocks at one lag.

    Args:
        study: what is probed.
        view: the signals at the lag.
        same: which signals stay out of whose Z.
    """
    y = standardise(view.columns, view.mask)
    units = np.concatenate([view.features(block.values, block.name) for block in study.blocks], axis=-1)
    given = np.concatenate([view.features(study.rec.inputs), step_terms(view)], axis=-1)
    alone = unit_errors(Moments.of(units, y, view.mask), view.split).sum(0)
    effect = view.per_signal(r2(alone, np.einsum("std,std->sd", y, y).sum(0)))
    rest = Residuals.of(np.concatenate([given, y], axis=-1), units, view)
    out = {key: np.full_like(effect, np.nan) for key in ("partial", "ci_low", "ci_high")}
    for g in np.flatnonzero(view.scored[: len(study.signals) - study.others]).tolist():
        others = np.flatnonzero((view.owner != g) & ~same[g][view.owner])
        own = given.shape[-1] + np.flatnonzero((view.owner == g) & view.defined)
        known = np.concatenate([np.arange(given.shape[-1]), given.shape[-1] + others])
        errors, left = rest.errors(own, known)
        unknown = left.sum(0) > NOTHING_LEFT * view.n.sum()
        if not unknown.any():
            # Of a nuisance, such as the step index itself, that is no news.
            logger.log(
                logging.DEBUG if view.signals[g].role == "nuisance" else logging.WARNING,
                "signal %r, lag %d: known from the input, the step index and the other signals; no unit can add "
                "to that: it has no partial effect", view.signals[g].name, view.lag,
            )  # fmt: skip
            continue
        errors, left = errors[..., unknown], left[:, unknown]
        if view.signals[g].kind == "circular":  # one R² of sine and cosine, on their own scale
            weight = view.weight[(view.owner == g) & view.defined][unknown]
            errors, left = (errors * weight).sum(-1, keepdims=True), (left * weight).sum(-1, keepdims=True)
        low, high = percentile_interval(partial_r2(errors, left, study.weights))
        for key, value in zip(out, (partial_r2(errors, left)[0], low, high)):
            out[key][:, g] = np.maximum(value, 0)
    return {"effect": np.maximum(effect, 0), **out}


def partial_r2(
    errors: Float[np.ndarray, "sequence unit column"],
    left: Float[np.ndarray, "sequence column"],
    weights: Weights = None,
) -> Float[np.ndarray, "sample unit"]:
    """Return 1 − SSE(y | Z, unit) / SSE(y | Z) in each sample of sequences, the mean over columns.

    Without weights there is one sample, of every sequence once.
    """
    weights = np.ones((1, len(errors))) if weights is None else weights
    with_unit = (weights @ errors.reshape(len(errors), -1)).reshape(len(weights), *errors.shape[1:])
    result: np.ndarray = r2(with_unit, (weights @ left)[:, None]).mean(-1)
    return result


@dataclass(frozen=True, eq=False)
class Residuals:
    """What is needed to take some columns of `z` out of other columns and out of units.

    By the theorem of Frisch, Waugh and Lovell a fit on Z and a unit errs as the residual of y fitted on the
    residual of the unit, both with Z taken out by the training part's coefficients.
    """

    z: Float[np.ndarray, "sequence time column"]
    units: Float[np.ndarray, "sequence time unit"]
    view: View
    training: Standardised

    @classmethod
    def of(
        cls, z: Float[np.ndarray, "sequence time column"], units: Float[np.ndarray, "sequence time unit"], view: View
    ) -> "Residuals":
        """Return what one pass over the data gives."""
        gram = Gram.per_fold(z, units, view)
        everything = replace(gram, features=z.shape[-1] + units.shape[-1])
        return cls(z, units, view, Standardised.of(everything.training()))

    def errors(
        self, own: Int[np.ndarray, " column"], known: Int[np.ndarray, " known"]
    ) -> tuple[Float[np.ndarray, "sequence unit column"], Float[np.ndarray, "sequence column"]]:
        """Return each sequence's squared errors of the columns `own`, with each unit and without, given `known`."""
        (sequences, _, columns), units, n = self.z.shape, self.units.shape[-1], len(own)
        both = np.concatenate([own, columns + np.arange(units)])
        with_unit, without = np.zeros((sequences, units, n)), np.zeros((sequences, n))
        # A column that is constant in a training part correlates with nothing there.
        scales = np.where(np.isinf(self.training.scale), 1, self.training.scale)
        for members, mean, scale, r in zip(self.view.split.members, self.training.mean, scales, self.training.xx):
            shared = r[np.ix_(known, both)]
            taken = np.linalg.pinv(r[np.ix_(known, known)], rcond=NOTHING_LEFT, hermitian=True) @ shared
            left = r[np.ix_(both, both)] - shared.T @ taken
            own_left = np.diagonal(left)[n:, None]
            new = own_left > NOTHING_LEFT
            slope = left[n:, :n] * new / np.where(new, own_left, 1)
            z = self.z[members]
            parts = (np.concatenate([z[..., own], self.units[members]], axis=-1) - mean[both]) / scale[both]
            parts -= ((z[..., known] - mean[known]) / scale[known]) @ taken
            parts[~self.view.mask[members]] = 0
            y, x = parts[..., :n], parts[..., n:]
            yy = np.einsum("std,std->sd", y, y)
            xx, xy = np.einsum("stu,stu->su", x, x)[..., None], x.transpose(0, 2, 1) @ y
            square = scale[own] ** 2
            without[members] = yy * square
            with_unit[members] = (yy[:, None] - slope * (2 * xy - slope * xx)) * square
        return with_unit, without
