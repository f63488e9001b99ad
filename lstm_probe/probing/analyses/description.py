"""How many bits a signal takes for somebody who knows the units: description length by an online code.

A score says how well a probe does with all data, not how much data it took to get there. The bits of an online
code say both (Voita & Titov 2020): what is easy to read costs little early on.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.special import log_ndtr

from lstm_probe.core.columns import DESCRIPTION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.split import PartOfSplit
from lstm_probe.probing.data.study import Study, as_many_threads_as_torch, assemble, by_labels, in_memory, make_study
from lstm_probe.probing.data.view import Steps, View
from lstm_probe.probing.fits.ridge import PENALTIES, Fit, Gram, Standardised, solve_penalties, validation_errors
from lstm_probe.probing.inference.baselines import control_signals
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: To what a continuous value is told, in its signal's standard deviations. Finer digits cost the same with a
#: probe and without, and would hide what it saves.
PRECISION = 0.1

#: Inner folds over the sequences seen so far, and so the fewest that there have to be for a first fit.
INNER = 4

#: scikit-learn's C of the logistic regression, on standardised units: coefficients of about 1 are expected.
C = 1.0

#: Up to this many coefficients Newton's method is several times faster than L-BFGS; both find the same fit.
FEW = 256


def description_length(
    rec: Recording,
    signals: Signals,
    *,
    portions: Sequence[float] = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = ("c",),
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say how many bits it takes to tell each signal to somebody who has all units of a layer.

    Sequences come in random order, in portions. Each portion is told with a probe fitted on those before it,
    which the other one can fit as well. With n steps told before, a step's value costs

        −log2 ((n · p + u) / (n + 1)) bits,

    p being its probability by the probe and u by the first code, which knows no units. Of classes u is 1 / classes
    and p that of a logistic regression (C = 1). Of a continuous signal both are the probability of ± half of a
    tenth of its standard deviation around the value: under its own Gaussian (all steps' mean and variance),
    and under a Gaussian about the prediction of a ridge regression, with the mean squared error of inner folds,
    which also choose the penalty, as its variance.

    Args:
        rec: from `lstm_probe.record`, in memory, of at least 5 sequences.
        signals: as for `probe_units`.
        portions: up to which share of the sequences each portion goes, rising, the last one 1. Those that end
            before the 4th sequence, or with the one before, are joined to the next.
        groups: as for `probe_units`; a portion has whole groups.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        seed: of the order of sequences and of the control task; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each layer, direction, variable, signal and lag, with the columns `DESCRIPTION_COLUMNS`: `n`
        steps took `bits` in all, and would take `uniform_bits` by the first code alone; `compression` is
        uniform_bits / bits, 1 for units that tell nothing. Rare classes compress by being rare: compare with
        `control_bits`, the bits of a control task with the same values (see `probe_populations`). NaN for a
        signal without variation, and for an angle, which this code has no words for; a warning says so.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> bits = lp.description_length(rec, batch.signals)
    >>> bool((bits.query("signal != 'step'").compression > 10).all())
    True
    """
    rec = in_memory(rec, "description_length")
    study = make_study(rec, signals, None, lags, variables, 2, seed, portion_problems(portions), groups=groups)
    problems = []
    for _, part in study.parts():
        many = [(view.lag, view.split.independent(view.n > 0)) for view in part.views]
        what = "sequences" if study.split.blocks is None else "groups with sequences that"
        what += " are longer" if part.signals[0].labelled is None else f" have a label of {part.signals[0].name}"
        problems += [f"lags={lag}: {n} {what}; an online code needs {INNER + 1}" for lag, n in many if n <= INNER]
    if problems:
        raise InputError(*problems)
    for signal in study.signals:
        if signal.kind == "circular":
            logger.warning("description: signal %r is an angle, which this code does not tell: no bits", signal.name)
    with as_many_threads_as_torch():
        measured = by_labels(study, lambda part: count_bits(part, portions, seed))
    measured["compression"] = measured["uniform_bits"] / measured["bits"]
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    table = assemble(study, measured, [1] * len(study.blocks), first)
    return table.astype({"n": np.int64})[list(DESCRIPTION_COLUMNS)]


def count_bits(study: Study, portions: Sequence[float], seed: int) -> dict[str, Float[np.ndarray, "lag block signal"]]:
    """Return how many bits each signal takes, for all blocks at every lag."""
    controls = control_signals(study.rec, study.signals, study.rec.mask.cpu().numpy(), seed)
    rows = []
    for view in study.views:
        control = View.make(controls, study.lengths, study.split, view.lag)
        cut = Cut.of(view.n, portions, seed, study.split.blocks)
        uniform = np.array([-logs[view.mask].sum() / np.log(2) for logs in first_logs(view)])
        for block in study.blocks:
            x = view.features(block.values, block.name)
            bits = np.stack([code_bits(x, view, cut), code_bits(x, control, cut), uniform])
            told = [signal.kind != "circular" for signal in view.signals]
            bits[:, ~(view.scored & told)] = np.nan
            own = dict(zip(("bits", "control_bits", "uniform_bits"), bits))
            rows.append({"n": np.full(len(view.signals), view.n.sum()), **own})
    shape = (len(study.views), len(study.blocks), len(study.signals))
    return {key: np.array([row[key] for row in rows]).reshape(shape) for key in rows[0]}


def portion_problems(portions: Sequence[float]) -> list[str]:
    """Return a line if the portions do not rise to 1."""
    rising = np.array([0.0, *portions])
    if len(rising) > 1 and (np.diff(rising) > 0).all() and rising[-1] == 1:
        return []
    return [f"portions={portions}: must rise from above 0 to 1"]


@dataclass(frozen=True, eq=False)
class Cut:
    """Sequences in portions.

    Attributes:
        portion: of each sequence, from 0; of one without steps, the first.
        inner: its inner fold, when it is one of those seen before.
    """

    portion: Int[np.ndarray, " sequence"]
    inner: Int[np.ndarray, " sequence"]

    @classmethod
    def of(
        cls,
        n: Float[np.ndarray, " sequence"],
        portions: Sequence[float],
        seed: int,
        groups: Int[np.ndarray, " sequence"] | None = None,
    ) -> "Cut":
        """Return sequences of this many steps, or their groups, in random order, cut at these shares."""
        if groups is not None:
            whole = cls.of(np.bincount(groups, n), portions, seed)
            return cls(whole.portion[groups], whole.inner[groups])
        order = np.random.default_rng(derive_seed(seed, "description")).permutation(len(n))
        order = order[n[order] > 0]
        ends = np.unique(np.maximum(np.round(np.array(portions) * len(order)).astype(int), INNER))
        portion, inner = np.zeros(len(n), dtype=np.int64), np.zeros(len(n), dtype=np.int64)
        portion[order] = np.searchsorted(ends, np.arange(len(order)), side="right")
        inner[order] = np.arange(len(order)) % INNER
        return cls(portion, inner)

    @property
    def count(self) -> int:
        """How many portions there are."""
        return int(self.portion.max()) + 1

    def steps(
        self, mask: Bool[np.ndarray, "sequence time"]
    ) -> Iterator[tuple[Bool[np.ndarray, "sequence time"], Bool[np.ndarray, "sequence time"]]]:
        """Go through the portions: which real steps are told in each, and which were told before."""
        for k in range(self.count):
            yield mask & (self.portion == k)[:, None], mask & (self.portion < k)[:, None]


def first_logs(view: View) -> list[Float[np.ndarray, "sequence time"]]:
    """Return the log-probability of each signal's value at each step by the first code, which knows no units."""
    logs = []
    for g, signal in enumerate(view.signals):
        if signal.is_number:
            logs.append(log_interval(view.columns[..., view.owner == g][..., 0], np.ones(view.mask.shape)))
        else:
            logs.append(np.full(view.mask.shape, -np.log(max(signal.classes, 1))))
    return logs


def code_bits(x: Float[np.ndarray, "sequence time unit"], view: View, cut: Cut) -> Float[np.ndarray, " signal"]:
    """Return how many bits each signal takes for somebody who has `x`."""
    bits = np.zeros(len(view.signals))
    gaussian, column = gaussian_logs(x, view, cut), 0
    for g, (signal, first) in enumerate(zip(view.signals, first_logs(view))):
        if signal.is_number:
            logs, column = gaussian[..., column], column + int((view.owner == g).sum())
        else:
            labels = signal.values[:, : view.mask.shape[1]].astype(np.int64)
            logs = class_logs(x, labels, signal.classes, view, cut)
        for now, before in cut.steps(view.mask):
            n = before.sum()
            with np.errstate(divide="ignore"):
                mixed = np.logaddexp(np.log(n) + logs[now], first[now]) - np.log(n + 1)
            bits[g] -= mixed.sum() / np.log(2)
    return bits


def class_logs(
    x: Float[np.ndarray, "sequence time unit"],
    labels: Int[np.ndarray, "sequence time"],
    classes: int,
    view: View,
    cut: Cut,
) -> Float[np.ndarray, "sequence time"]:
    """Return the log-probability of each step's class by the fit on the portions before; 0 in the first."""
    from sklearn.linear_model import LogisticRegression

    out = np.zeros(labels.shape)
    for now, before in list(cut.steps(view.mask))[1:]:
        seen = np.unique(labels[before])
        probability = np.zeros((now.sum(), classes))
        if len(seen) == 1:
            probability[:, seen] = 1
        else:
            solver = "newton-cholesky" if len(seen) * x.shape[-1] <= FEW else "lbfgs"
            fit = LogisticRegression(C=C, solver=solver, max_iter=1000).fit(x[before], labels[before])
            probability[:, seen] = fit.predict_proba(x[now])
        with np.errstate(divide="ignore"):
            out[now] = np.log(probability[np.arange(len(probability)), labels[now]])
    return out


def gaussian_logs(
    x: Float[np.ndarray, "sequence time unit"], view: View, cut: Cut
) -> Float[np.ndarray, "sequence time continuous"]:
    """Return the log-probability of continuous signals' values by the fit on the portions before; 0 in the first."""
    y, units = view.columns[..., view.continuous], x.shape[-1]
    logs = np.zeros(y.shape)
    if not y.size:
        return logs
    groups = PartOfSplit(cut.portion * INNER + cut.inner, cut.count * INNER)
    sums = Gram.per_fold(x, y, Steps(view.lag, view.mask, groups)).sums
    before = sums.reshape(cut.count, INNER, *sums.shape[1:]).cumsum(0)
    for seen, (now, _) in zip(before, list(cut.steps(view.mask))[1:]):
        fit, deviation = fit_with_error(Gram(seen, units))
        off = y[now] - fit.intercept[0] - x[now] @ fit.coefficients[0]
        logs[now] = log_interval(off, np.broadcast_to(deviation, off.shape))
    return logs


def fit_with_error(gram: Gram) -> tuple[Fit, Float[np.ndarray, " column"]]:
    """Return the ridge fit on all groups, and the root mean square of its errors in groups left out.

    Each column's penalty is the one that errs least in groups left out.
    """
    parts = Standardised.of(gram.training())
    every = solve_penalties(parts, PENALTIES)
    errors = np.array([validation_errors(*group) for group in zip(gram.sums, parts.mean, every)]).sum(0)
    whole = gram.sums.sum(0, keepdims=True)
    part, best = Standardised.of(Gram(whole, gram.features)), errors.argmin(0)
    coefficients = np.take_along_axis(solve_penalties(part, PENALTIES), best[None, None, None], axis=1)[:, 0]
    return Fit.about(part.mean, coefficients), np.sqrt(np.maximum(errors.min(0), 0) / whole[0, 0, 0])


def log_interval(
    off: Float[np.ndarray, "*shape"], deviation: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Return the logarithm of the probability of a Gaussian between `off` ± PRECISION / 2 from its mean.

    From the tails' logarithms, which stay exact however far out that is.
    """
    scale = np.maximum(deviation, 1e-6)
    near, far = (log_ndtr((side - np.abs(off)) / scale) for side in (PRECISION / 2, -PRECISION / 2))
    result: np.ndarray = near + np.log1p(-np.exp(far - near))
    return result
