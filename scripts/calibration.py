#!/usr/bin/env python
"""Calibration: how often `probe_units` errs where the truth is known, over many simulated datasets.

    python scripts/calibration.py                     a table, a CSV and a figure in outputs/calibration
    python scripts/calibration.py --datasets 2000     more datasets, narrower intervals
    python scripts/calibration.py --datasets 40 --settings        the settings alone; or those with such words in
    python scripts/calibration.py --settings windows untrained    their names

Without any relation between units and signals: in how many datasets anything is found. With some: which share of what
is found is not there. With planted effects: how often their intervals hold the true value. Then settings by name
(`calibrating/settings.py`), in which an earlier version found what is not so, and planted memories, which are to be
found: before and now, and where sequences hang together, also with the option for that.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from calibrating.rates import chosen, setting_rates
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats
from scipy.signal import lfilter

from lstm_probe.core.seeding import derive_seed
from lstm_probe.figures.calibration import CALIBRATION_COLUMNS, calibration
from lstm_probe.figures.saving import save
from lstm_probe.probing import probe_units
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording

STEPS, UNITS, ALPHA, MEMORY = 20, 8, 0.05, 0.9
PLANTED = (0.1, 0.3, 0.5)

#: Series and null, with (sequences, steps) of each.
UNRELATED = {
    ("white", "shuffle"): ((40, STEPS), (128, STEPS), (512, STEPS)),
    ("autocorrelated", "shuffle"): ((40, STEPS), (128, STEPS), (512, STEPS)),
    ("shared trend", "shuffle"): ((40, STEPS), (128, STEPS), (512, STEPS)),
    ("white", "roll"): ((40, STEPS), (6, 300)),
    ("autocorrelated", "roll"): ((40, STEPS), (6, 300)),
}
#: A share near 95 % takes more datasets to be told from 93 and 97 %.
COVERED_TIMES = 4
COVERED = {"white": (40, 128, 512), "autocorrelated": (40, 128, 512)}


def series(rng: np.random.Generator, kind: str, n: int, steps: int, columns: int) -> np.ndarray:
    """Return stationary series with variance 1, white or not, with a trend over steps if so asked."""
    memory = 0.0 if kind == "white" else MEMORY
    noise = rng.normal(size=(n, steps + 60, columns))
    values = lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=1)[:, 60:]
    return values + (np.linspace(-2, 2, steps)[:, None] if kind == "shared trend" else 0)


def recording(units: np.ndarray) -> Recording:
    """Return a recording whose memories are these series, of a network that saw nothing but zeros."""
    n, steps, size = units.shape
    inputs = torch.zeros(n, steps, 1)
    part = LayerRecording(0, "forward", inputs, c=torch.from_numpy(units).float())
    return Recording({(0, "forward"): part}, torch.full((n,), steps), LSTMConfig(1, size))


def area(rho: float) -> float:
    """Return the AUROC of x for y > 0, where both are standard normal and correlate by rho."""
    grid = np.linspace(-8, 8, 4001)
    positive = 2 * stats.norm.pdf(grid) * stats.norm.cdf(rho * grid / np.sqrt(1 - rho**2))
    below = np.cumsum(positive[::-1]) - positive[::-1] / 2
    return float((positive * below).sum() * (grid[1] - grid[0]) ** 2)


def unrelated(kind: str, null: str, n: int, steps: int, related: int, seed: int) -> dict[str, float]:
    """Probe one dataset in which `related` units hold the first signal and nothing else is related.

    Returns:
        For each measure, whether the dataset has an error, or its share of errors among what is found.
    """
    rng = np.random.default_rng(seed)
    y, x = series(rng, kind, n, steps, 4), series(rng, kind, n, steps, UNITS)
    x[..., :related] = np.sqrt(0.3) * y[..., :1] + np.sqrt(0.7) * x[..., :related]
    signals = {
        "one": y[..., 0], "two": y[..., 1], "binary": (y[..., 2] > 0).astype(int),
        "categorical": np.digitize(y[..., 3], [-0.5, 0.5]),
    }  # fmt: skip
    folds = 5 if n >= 10 else 2
    permutations = 999 if n < 100 else 199
    table = probe_units(
        recording(x), signals, null=null, permutations=permutations, bootstrap=1, untrained=1, folds=folds, seed=seed
    )
    false = ~((table.signal == "one") & (table.unit < related))
    found = table.q_value <= ALPHA
    share = (found & false).sum() / max(1, found.sum())
    if related:
        return {"false discovery share": share}
    beyond = table.effect >= table[["untrained", "input_only", "time_only"]].max(axis=1)
    measured = {
        "any tracks": float(table.tracks.any()),
        "any tracks, no thresholds": float(((table.p_family <= ALPHA) & beyond).any()),
        "any p_family": float((table.p_family <= ALPHA).any()),
    }
    # With fewer permutations no single pair can reach a q-value that small.
    return measured | ({"any q_value": share} if len(table) / (permutations + 1) <= ALPHA else {})


def covered(kind: str, n: int, seed: int) -> dict[str, float]:
    """Return which intervals of one dataset hold the planted value."""
    rng = np.random.default_rng(seed)
    y, rho = series(rng, kind, n, STEPS, 1), np.sqrt(PLANTED)
    x = rho * y + np.sqrt(1 - rho**2) * series(rng, kind, n, STEPS, len(PLANTED))
    signals = {"value": y[..., 0], "binary": (y[..., 0] > 0).astype(int)}
    # Nothing is said of p-values here, so that a single permutation will do.
    table = probe_units(recording(x), signals, permutations=1, bootstrap=400, untrained=1, seed=seed)
    rows = table.set_index(["signal", "unit"])
    truth = {f"R² {effect}": ("value", k, effect) for k, effect in enumerate(PLANTED)}
    truth[f"AUROC {area(rho[1]):.2f}"] = ("binary", 1, 2 * area(rho[1]) - 1)
    return {
        name: float(rows.ci_low[signal, unit] <= value <= rows.ci_high[signal, unit])
        for name, (signal, unit, value) in truth.items()
    }


def summary(values: np.ndarray, about: dict[str, Any]) -> dict[str, Any]:
    """Return the mean with its 95 % interval: Clopper and Pearson's of a share of datasets, else Student's."""
    count, mean = len(values), values.mean()
    if np.isin(values, (0, 1)).all():
        low, high = stats.binomtest(int(values.sum()), count).proportion_ci(0.95)
    else:
        half = stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count)
        low, high = max(0.0, mean - half), min(1.0, mean + half)
    return about | {"datasets": count, "share": mean, "low": low, "high": high}


def measurements(datasets: int, seed: int) -> Iterator[tuple[dict[str, Any], list[dict[str, float]]]]:
    """Yield what each setting is and what every dataset of it said."""
    seeds = [derive_seed(seed, "calibration", k) for k in range(datasets)]
    for (kind, null), shapes in UNRELATED.items():
        for n, steps in shapes:
            about = {"about": "errors", "series": kind, "null": null, "sequences": n, "steps": steps, "nominal": ALPHA}
            for related in (0, 4) if kind != "shared trend" else (0,):
                yield about, [unrelated(kind, null, n, steps, related, s) for s in seeds]
    for kind, sizes in COVERED.items():
        for n in sizes:
            about = {
                "about": "coverage", "series": kind, "null": "", "sequences": n, "steps": STEPS, "nominal": 0.95,
            }  # fmt: skip
            yield about, [covered(kind, n, derive_seed(s, k)) for s in seeds for k in range(COVERED_TIMES)]


def calibrate(datasets: int, seed: int = 0) -> pd.DataFrame:
    """Return a row for each simulation and measure, with the columns `CALIBRATION_COLUMNS`."""
    settings = sum(len(s) * (1 if kind == "shared trend" else 2) for (kind, _), s in UNRELATED.items())
    settings += sum(map(len, COVERED.values()))
    rows = []
    console = Console(stderr=True)
    for about, found in track(measurements(datasets, seed), "datasets", total=settings, console=console):
        rows += [summary(np.array([own[m] for own in found]), about | {"measure": m}) for m in found[0]]
    return pd.DataFrame(rows)[list(CALIBRATION_COLUMNS)]


def rates(names: Sequence[str], datasets: int, seed: int = 0) -> pd.DataFrame:
    """Return a row for each setting of these names and each measure, with the same columns."""
    rows = []
    for name in track(names, "settings", console=Console(stderr=True)):
        for about, found in setting_rates(name, datasets, seed):
            rows += [summary(values, about | {"measure": measure}) for measure, values in found.items()]
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def show(table: pd.DataFrame) -> None:
    """Print the table."""
    out = Table(box=None)
    for name in ("series", "null", "sequences", "measure", "nominal", "share", "95 % interval"):
        out.add_column(name, justify="left" if name in ("series", "null", "measure") else "right", no_wrap=True)
    rows: Any = table.itertuples()
    for row in rows:
        shape = f"{row.sequences} × {row.steps}"
        out.add_row(row.series, row.null, shape, row.measure, f"{row.nominal:.2f}", f"{row.share:.3f}",
                    f"{row.low:.3f} to {row.high:.3f}")  # fmt: skip
    Console(width=120).print(out)


def main() -> None:
    """Read the command line, simulate, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=400, metavar="N",
                        help="of each setting, for intervals four times as many (default 400)")  # fmt: skip
    parser.add_argument("--settings", nargs="*", metavar="WORD",
                        help="settings alone; only those whose names contain one of these words")  # fmt: skip
    parser.add_argument("--outputs", type=Path, default=Path("outputs/calibration"), help="folder of CSV and figure")
    parser.add_argument("--seed", type=int, default=0, help="of all datasets (default 0)")
    arguments = parser.parse_args()
    if arguments.datasets < 2:
        parser.error(f"--datasets {arguments.datasets}: must be a whole number from 2")
    names = chosen(arguments.settings or None)
    if not names:
        parser.error(f"--settings {' '.join(arguments.settings)}: no setting has such a name")
    torch.set_num_threads(1)
    logging.getLogger("lstm_probe").setLevel(logging.ERROR)
    tables = {"settings": rates(names, arguments.datasets, arguments.seed)}
    if arguments.settings is None:
        tables = {"calibration": calibrate(arguments.datasets, arguments.seed)} | tables
    whole = pd.concat(tables.values(), ignore_index=True)
    show(whole)
    arguments.outputs.mkdir(parents=True, exist_ok=True)
    whole.to_csv(arguments.outputs / "calibration.csv", index=False)
    for name, table in tables.items():
        save(calibration(table), arguments.outputs / name)


if __name__ == "__main__":
    main()
