"""What all units of a layer predict together: held-out regression on all of them, its baselines and a control task."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from lstm_probe.core.columns import POPULATION_COLUMNS
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.given import Signals
from lstm_probe.core.vocabulary import ESTIMATORS
from lstm_probe.probing.data.checks import refuse_groups
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    make_study,
    untrained_effects,
)
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.forward import fewest_units
from lstm_probe.probing.fits.logistic import logistic_predictions
from lstm_probe.probing.fits.ridge import ridge_predictions
from lstm_probe.probing.inference.baselines import control_signals
from lstm_probe.probing.inference.evaluate import Weights, evaluate_predictions, population_columns
from lstm_probe.probing.inference.population import population_of
from lstm_probe.probing.inference.present import PresentInput
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.untrained import LEVEL_NETWORKS, Networks, Untrained
from lstm_probe.probing.streaming.populations import stream_populations
from lstm_probe.probing.streaming.shards import RecordingStream
from lstm_probe.recorder.data import Recording


def probe_populations(
    rec: Recording | RecordingStream,
    signals: Signals = None,
    *,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = None,
    folds: int = 5,
    bootstrap: int = 1000,
    untrained: Untrained = 19,
    init: str | None = None,
    forget_bias: float | None = None,
    estimator: str = "ridge",
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Score all units of a layer together, by variable, against every signal, on held-out sequences.

    A ridge regression predicts the signal (for binary and categorical ones the indicator of each class, whose
    prediction is then scored by AUROC). Its penalty is chosen by inner folds of the training part alone.

    Args:
        rec: from `lstm_probe.record`; or one on disk, larger than memory, or any other stream of recordings: see
            `probing.streaming.populations` for what then differs.
        signals: as for `probe_units`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: as for `probe_units`.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o to probe; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`. With 2 there are no inner folds: the penalty is
            fixed.
        bootstrap: samples of sequences for the 95 % intervals of classes, 1 or more.
        untrained: as for `probe_units`, and so `init` and `forget_bias`; the level is that of the first five.
        estimator: "ridge", or "logistic" for a logistic regression of each class against the rest, in the score,
            that of untrained networks and the control task alike. Ridge mostly ranks steps nearly as well, and a fit
            is some hundred times faster: it needs no pass over the data, where a logistic one takes many. Streams
            have ridge alone.
        seed: everything random follows from it; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each layer, direction, variable, signal and lag, with the columns `POPULATION_COLUMNS`.
        `score` is what this read-out, trained on so few sequences, predicts. `r2_population` and the interval of
        numbers are about the R² of the best linear read-out in the population (see `probing.inference.population`):
        NaN where there are too few sequences for so many units, and no interval where there are fewer than 8 or the
        R² within the sample is above 0.99; the interval of classes is that of `score`, by bootstrap.
        `control` and `selectivity` (score − control) are on the score's scale;
        `untrained` (95th percentile over initialisations) and `input_only` on the effect's, as in
        `probe_units`. `n_units_90`, of least-squares fits whatever `estimator` says, is <NA> where the full effect
        is below 0.05. A signal without variation has NaN in place of scores. Of a stream, `attrs["auroc_error"]` is
        what any AUROC of the predictions can be off by.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.
    """
    told = f"estimator={estimator}: must be one of {' '.join(ESTIMATORS)}.{nearest(str(estimator), ESTIMATORS)}"
    problems = [] if estimator in ESTIMATORS else [told]
    settings: dict[str, Any] = {"bootstrap": bootstrap}
    settings |= {"untrained": untrained} if isinstance(untrained, int | np.integer) else {}
    attrs: dict[str, float] = {}
    if isinstance(rec, Recording):
        try:
            study = make_study(rec, signals, split, lags, variables, folds, seed, groups=groups, **settings)
        except InputError as error:
            raise InputError(*problems, *error.problems) from None
        if problems:
            raise InputError(*problems)
        networks = Networks.of(rec, untrained, seed, init, forget_bias)
        with as_many_threads_as_torch():
            measured = by_labels(study, lambda part: score_populations(part, networks, estimator, seed))
    else:
        if estimator == "logistic":
            problems.append("estimator=logistic: a stream of recordings can only be probed with ridge")
        if problems:
            raise InputError(*problems)
        refuse_groups(groups)
        with as_many_threads_as_torch():
            study, measured, off = stream_populations(
                rec, signals, split, lags, variables, folds, seed, settings,
                lambda own: Networks.of(own, untrained, seed, init, forget_bias), LEVEL_NETWORKS,
            )  # fmt: skip
        attrs["auroc_error"] = off
    first = {"run": run, "task": task, "units": study.rec.config.units, "seed": seed}
    table = assemble(study, measured, [1] * len(study.blocks), first)
    table["n_units_90"] = table["n_units_90"].astype("Int64")
    table = table[list(POPULATION_COLUMNS)]
    table.attrs.update(attrs)
    return table


def score_populations(
    study: Study, networks: Networks, estimator: str, seed: int
) -> dict[str, Float[np.ndarray, "lag block signal"]]:
    """Return every measured column, for all blocks at every lag."""

    def score(x: np.ndarray, view: View) -> np.ndarray:
        return evaluate_predictions(predict(x, [view], estimator)[0], view).score

    controls = control_signals(study.rec, study.signals, study.rec.mask.cpu().numpy(), seed)
    present, rows = PresentInput(study.rec, study.signals[0]), []
    for view in study.views:
        control = View.make(controls, study.lengths, study.split, view.lag)
        given = present.effects(view)
        for block in study.blocks:
            x = view.features(block.values, block.name)
            own = score_block(x, view, control, estimator, study.weights, study.split.blocks)
            rows.append(own | {"input_only": given})
    shape = (len(study.views), len(study.blocks), len(study.signals))
    measured = {key: np.array([row[key] for row in rows]).reshape(shape) for key in rows[0]}
    some = networks.some(study.rec, study.variables, LEVEL_NETWORKS)
    level, _ = untrained_effects(study, some, score)
    return measured | {"untrained": level}


def predict(
    x: Float[np.ndarray, "sequence time feature"], views: Sequence[View], estimator: str
) -> list[Float[np.ndarray, "sequence time column"]]:
    """Return held-out predictions of these views' columns; log-odds of classes where they are "logistic".

    Args:
        x: standardised features.
        views: of the same steps, with the same split.
        estimator: ridge or logistic.
    """
    columns = np.concatenate([view.columns for view in views], axis=-1)
    ends = np.cumsum([view.columns.shape[-1] for view in views])
    predictions = ridge_predictions(x, columns, views[0])
    if estimator == "logistic" and any(len(view.classes) for view in views):
        own = np.concatenate([view.classes + end - view.columns.shape[-1] for view, end in zip(views, ends)])
        predictions[..., own] = logistic_predictions(x, columns[..., own], views[0])
    return np.split(predictions, ends[:-1], axis=-1)


def score_block(
    x: Float[np.ndarray, "sequence time unit"],
    view: View,
    control: View,
    estimator: str,
    weights: Weights,
    groups: Shaped[np.ndarray, " sequence"] | None = None,
) -> dict[str, Float[np.ndarray, " signal"]]:
    """Return what is measured of one block at one lag.

    Args:
        x: the block's standardised units.
        view: the signals.
        control: their control tasks, in the same order.
        estimator: how classes are predicted.
        weights: of the bootstrap.
        groups: of sequences that are not independent of each other; None: each is its own.
    """
    predictions, of_control = predict(x, [view, control], estimator)
    scores = evaluate_predictions(predictions, view, weights)
    memorised = evaluate_predictions(of_control, control).score[0]
    fewest = fewest_units(x, view, effects(scores.score[0], view))
    return population_columns(scores, view, memorised, population_of(x, view, groups)) | {
        "n_units_90": np.array([np.nan if n is None else n for n in fewest], dtype=np.float64)
    }
