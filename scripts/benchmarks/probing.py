"""Probing beside scikit-learn: the same numbers, on one thread, in one run."""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks.timing import console, median_seconds, peak_megabytes

SEQUENCES, STEPS, UNITS, SIGNALS, FOLDS, PERMUTATIONS = 512, 50, 128, 20, 5, 1000

#: scikit-learn is timed on one unit (or signal) of so many, drawn at random, and its time multiplied.
PART = 20


def problem(classes: bool) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Return a view of the signals, standardised units, and both as (step, ...) beside the fold of each step."""
    from lstm_probe.probing import Split
    from lstm_probe.probing.data.signals import check_signals
    from lstm_probe.probing.data.view import View, standardise

    rng = np.random.default_rng(0)
    x = rng.normal(size=(SEQUENCES, STEPS, UNITS)).cumsum(1) @ rng.normal(size=(UNITS, UNITS))
    y = x[..., :SIGNALS] / x[..., :SIGNALS].std((0, 1)) + rng.normal(size=(SEQUENCES, STEPS, SIGNALS)).cumsum(1) / 5
    mask = np.ones((SEQUENCES, STEPS), dtype=bool)
    values = (y > 0).astype(int) if classes else y
    checked = check_signals({f"s{k}": values[..., k] for k in range(SIGNALS)}, mask)
    view = View.make(checked, np.full(SEQUENCES, STEPS), Split.make(SEQUENCES, FOLDS))
    return view, standardise(x, mask), view.columns.reshape(-1, SIGNALS), np.repeat(view.split.fold, STEPS)


def some(count: int) -> np.ndarray:
    """Return a random part of so many units or signals: one of `PART`, at least one."""
    return np.sort(np.random.default_rng(1).choice(count, max(1, count // PART), replace=False))


def linear_regressions(x: np.ndarray, y: np.ndarray, fold: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the held-out R² of these units for every signal: a loop of scikit-learn's fits."""
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    out = np.empty((len(units), y.shape[1]))
    for row, unit in enumerate(units):
        for signal in range(y.shape[1]):
            predicted = np.empty(len(y))
            for k in range(FOLDS):
                training = fold != k
                fit = LinearRegression().fit(x[training, unit : unit + 1], y[training, signal])
                predicted[~training] = fit.predict(x[~training, unit : unit + 1])
            out[row, signal] = r2_score(y[:, signal], predicted)
    return out


def ridge_cv(x: np.ndarray, y: np.ndarray, fold: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Return held-out ridge predictions of these signals, penalties chosen by `RidgeCV` within the training part."""
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import PredefinedSplit

    from lstm_probe.probing.fits.ridge import PENALTIES

    out = np.empty((len(x), len(signals)))
    for k in range(FOLDS):
        training = fold != k
        mean, scale = x[training].mean(0), x[training].std(0)
        inner = PredefinedSplit(fold[training])
        # Our penalty is of the mean squared error and of standardised units: alpha is that times the steps of a fit,
        # of which a fit inside the training part has fewer.
        inside = training.sum() * (FOLDS - 2) / (FOLDS - 1)
        for column, signal in enumerate(signals):
            given = (x[training] - mean) / scale, y[training, signal]
            chosen = RidgeCV(PENALTIES * inside, cv=inner, scoring="neg_mean_squared_error").fit(*given).alpha_
            fit = Ridge(chosen / inside * training.sum()).fit(*given)
            out[~training, column] = fit.predict((x[~training] - mean) / scale)
    return out


def aurocs(x: np.ndarray, y: np.ndarray, fold: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the held-out AUROC of these units for every signal: a loop of `roc_auc_score` over folds.

    Pairs of the same fold count; which way a unit is read is learned on the other folds.
    """
    from sklearn.metrics import roc_auc_score

    out = np.empty((len(units), y.shape[1]))
    for row, unit in enumerate(units):
        for signal in range(y.shape[1]):
            excess, pairs = np.zeros(FOLDS), np.zeros(FOLDS)
            for k in range(FOLDS):
                label = y[fold == k, signal]
                pairs[k] = label.sum() * (1 - label).sum()
                excess[k] = pairs[k] * (roc_auc_score(label, x[fold == k, unit]) - 0.5)
            out[row, signal] = 0.5 + (np.sign(excess.sum() - excess) * excess).sum() / pairs.sum()
    return out


def compared(
    name: str, ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], scale: float, goal: int, repeats: int
) -> list[str]:
    """Time both, the slow one once, and compare their numbers; return a row of the table."""
    ours_s = median_seconds([ours], repeats)[0]
    started = time.perf_counter()
    expected = theirs()
    theirs_s = (time.perf_counter() - started) * scale
    off = float(np.abs(ours() - expected).max())
    return [name, f"{ours_s * 1000:.0f} ms", f"{theirs_s:.1f} s", f"{theirs_s / ours_s:.0f}", f"{goal}", f"{off:.0e}"]


def scores(arguments: argparse.Namespace) -> list[list[str]]:
    """Return the rows of what scikit-learn can do too."""
    from lstm_probe.probing.fits.ridge import ridge_predictions
    from lstm_probe.probing.inference.evaluate import evaluate_units

    view, x, y, fold = problem(classes=False)
    labels, _, bits, _ = problem(classes=True)
    flat, units, signals = x.reshape(-1, UNITS), some(UNITS), some(SIGNALS)

    def ridge() -> np.ndarray:
        return ridge_predictions(x, view.columns, view).reshape(-1, SIGNALS)[:, signals]

    return [
        compared("R² of single units", lambda: evaluate_units(x, view).score[units],
                 partial(linear_regressions, flat, y, fold, units), UNITS / len(units), 200, arguments.repeats),
        compared("ridge, 8 penalties", ridge, partial(ridge_cv, flat, y, fold, signals),
                 SIGNALS / len(signals), 50, arguments.repeats),
        compared("AUROC of single units", lambda: evaluate_units(x, labels).score[units],
                 partial(aurocs, flat, bits, fold, units), UNITS / len(units), 20, arguments.repeats),
    ]  # fmt: skip


def null(classes: bool) -> None:
    """Permute the whole unit × signal table."""
    from lstm_probe.probing.inference.exchange import LengthGroups
    from lstm_probe.probing.inference.nulls import permutation_test

    view, x, _, _ = problem(classes)
    groups = LengthGroups.of(np.full(SEQUENCES, STEPS))
    permutation_test([torch.from_numpy(x)], [view], groups, PERMUTATIONS, 0)


def default_probe() -> None:
    """Probe the default run: an untrained network of 32 units on the default task."""
    from dataclasses import asdict

    from lstm_probe.network.model import SequenceModel
    from lstm_probe.network.settings import TrainingSettings
    from lstm_probe.runs.measure import Subject, measure
    from lstm_probe.runs.settings import ProbeSettings
    from lstm_probe.tasks import get_task

    task = get_task("tracking")
    model = SequenceModel(task.n_inputs, task.n_outputs, TrainingSettings().units)
    settings = asdict(ProbeSettings())
    measure(Subject(model, task, "probe", settings, 0, ""), settings["analyses"])


def one_score(name: str) -> None:
    """Compute all scores of one kind."""
    from lstm_probe.probing.fits.ridge import ridge_predictions
    from lstm_probe.probing.inference.evaluate import evaluate_units

    view, x, _, _ = problem(classes=name == "AUROC of single units")
    if name == "ridge, 8 penalties":
        ridge_predictions(x, view.columns, view)
    else:
        evaluate_units(x, view)


#: What is measured in a process of its own, since a peak of memory stays.
ALONE: dict[str, Callable[[], None]] = {
    "R² of single units": partial(one_score, "R² of single units"),
    "ridge, 8 penalties": partial(one_score, "ridge, 8 penalties"),
    "AUROC of single units": partial(one_score, "AUROC of single units"),
    f"{PERMUTATIONS} permutations, R²": partial(null, False),
    f"{PERMUTATIONS} permutations, AUROC": partial(null, True),
    "probe on the default run": default_probe,
}


def alone(name: str) -> tuple[float, float, float]:
    """Return the seconds of computing and by the clock, the making of data included, and the memory added, in MB."""
    torch.set_num_threads(1)
    from lstm_probe.probing.data.study import as_many_threads_as_torch
    from lstm_probe.runs import measure  # noqa: F401  imports are not what is measured

    before, started, computed = peak_megabytes(), time.perf_counter(), time.process_time()
    with as_many_threads_as_torch():
        ALONE[name]()
    return time.process_time() - computed, time.perf_counter() - started, peak_megabytes() - before


def run(arguments: argparse.Namespace) -> None:
    """Print what is compared with scikit-learn, then time and memory of everything, each in its own process."""
    from lstm_probe.probing.data.study import as_many_threads_as_torch

    title = f"{SEQUENCES * STEPS:,} steps × {UNITS} units × {SIGNALS} signals, {FOLDS} folds"
    table = Table(box=None, title=title, title_justify="left")
    for name in ("all of", "ours", "scikit-learn", "times", "goal", "largest difference"):
        table.add_column(name, justify="left" if name == "all of" else "right", no_wrap=True)
    with as_many_threads_as_torch():
        for row in scores(arguments):
            table.add_row(*row)
    console.print(table)
    console.print(
        f"scikit-learn was timed on a random part of its loop ({len(some(UNITS))} of {UNITS} units, "
        f"{len(some(SIGNALS))} of {SIGNALS} signals for ridge) and its time multiplied; that part is compared.\n"
    )
    table = Table(box=None)
    for name in ("alone in a process", "s of computing", "s by the clock", "MB at the peak"):
        table.add_column(name, justify="left" if name == "alone in a process" else "right", no_wrap=True)
    for name in ALONE:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            computed, seconds, megabytes = process.submit(alone, name).result()
        table.add_row(name, f"{computed:.1f}", f"{seconds:.1f}", f"{megabytes:.0f}")
    console.print(table)
    console.print("MB are above the interpreter and all imports; the data are part of them.")


def add(commands: Any) -> None:
    """Add the command `probing`."""
    commands.add_parser("probing", help="probing beside scikit-learn, its time and its memory").set_defaults(run=run)
