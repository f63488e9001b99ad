"""Every public figure of made-up tables of one unit, of some and of many with long names."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_probe import figures
from lstm_probe.causal.against import rank_correlations
from lstm_probe.core.anatomy import Anatomy
from lstm_probe.figures.calibration import CALIBRATION_COLUMNS, TITLES
from lstm_probe.figures.hardness import HARDNESS_COLUMNS
from lstm_probe.figures.recall_law import RECALL_COLUMNS
from lstm_probe.figures.reproduction import REPRODUCTION_COLUMNS
from lstm_probe.figures.task_example import EXAMPLE_COLUMNS
from lstm_probe.runs.illustrations import first_patches
from lstm_probe.sizing.used import USED_COLUMNS
from tests.dynamics import test_flow_words as flow
from tests.figures import (
    test_clusters,
    test_codes,
    test_coloured_text,
    test_confounds,
    test_curves,
    test_erasure,
    test_learned,
    test_patches,
    test_shares,
    test_size_search,
    test_state_space,
    test_sufficient,
    test_tracked_needed,
    test_tuning,
    test_used,
)
from tests.figures.made import history, random_tables

#: How many there are of units, and of signals or targets.
SIZES = {"one": (1, 1), "some": (8, 5), "many": (300, 12)}
Drawing = Callable[..., Figure]


def names(n: int) -> list[str]:
    """One short name, five of different lengths, or many long ones."""
    if n == 1:
        return ["count"]
    return ["count", "a_signal_with_a_long_name", "latch", "ticks", "steps_since_the_last_reset"][:n] + [
        f"a_signal_with_a_name_{k}" for k in range(5, n)
    ]


def _aligned(units: int, n: int) -> Drawing:
    table = test_learned.around(range(min(units, 9)), [f"condition {k}" for k in range(n)])
    return lambda **look: figures.aligned(table, **look)


def _recalled(most: int) -> pd.DataFrame:
    rows = [(units, seed, 8, min(units / 8, 1) - 0.01 * seed, min(units / 8, 1))
            for units in range(1, most + 1) for seed in range(3)]  # fmt: skip
    return pd.DataFrame(rows, columns=list(RECALL_COLUMNS))


def _acquisition(units: int, n: int) -> Drawing:
    updates = (0, 8, 19, 32, 49, 71, 99, 310, 1432, 3000, 100_000)
    own = {(name, units - 1, k % 2 == 0): np.linspace(0, 1 / (k + 1), 11) for k, name in enumerate(names(n))}
    return lambda **look: figures.acquisition(test_learned.along(own, updates), **look)


def _calibration(units: int, n: int) -> Drawing:
    shares, measures = (0.05, 99, 0.9, 0.85, 0.97), ("an error", "a second", "a third measure")
    rows = [(about, f"a series with a name {k}", "shift", units, 20, measure, *shares)
            for about in TITLES for k in range(n) for measure in measures]  # fmt: skip
    return lambda **look: figures.calibration(pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS)), **look)


def _codes(units: int, n: int) -> Drawing:
    kinds = [(0.9, 0.9, 0.3, 0.5, "localist"), (0.9, 0.8, 0.1, 0.3, "copies"), (0.1, 0.1, 0.1, 0.1, "not told apart"),
             test_codes.NOTHING]  # fmt: skip
    rows = [test_codes.code_row(name, *kinds[k % 4], best_unit=units, lag=k % 2) for k, name in enumerate(names(n))]
    return lambda **look: figures.codes(test_codes.code_table(*rows), **look)


def _cross_time(units: int, n: int) -> Drawing:
    shown = test_confounds.NAMES[:n]
    table = test_confounds.crossed(shown, range(0, 10 * min(units, 20), 10))
    return lambda **look: figures.cross_time(table, **look)


def _confounds(units: int, n: int) -> Drawing:
    rng = np.random.default_rng(0)
    shown = test_confounds.NAMES[:n]
    rows = [test_confounds.pair(k, shown[k % len(shown)], *rng.uniform(0.2, 1, 2), "x" * (k % 3 == 0))
            for k in range(units)]  # fmt: skip
    return lambda **look: figures.confounds(test_confounds.pairs(*rows), **look)


def _hardness(units: int, n: int) -> Drawing:
    methods = [f"a method, {k}" for k in range(3 * min(units, 6))]
    rows = [(question, level, method, k % 2 == 0, 1 - 0.05 * k, 0.9 - 0.05 * k, 1.0)
            for question in ("Which unit holds which signal", "Which target needs which unit")[: min(n, 2)]
            for level in names(n)[:6] for k, method in enumerate(methods)]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(HARDNESS_COLUMNS))
    return lambda **look: figures.hardness(table, **look)


def _memory_flow(units: int, n: int) -> Drawing:
    rows = [*(flow.write(name, 0.5 + k, k % 2 == 0) for k, name in enumerate(names(n))),
            *(flow.hold(0.9 - lag / 50, 0.8 - lag / 50, lag=lag) for lag in (1, 2, 5, 15)),
            *(flow.read(f"output {name}", 0.5 + k) for k, name in enumerate(names(n)))]  # fmt: skip
    table = pd.concat([flow.table_of(*rows, unit=unit) for unit in range(min(units, 3))])
    return lambda **look: figures.memory_flow(table, **look)


def _reproduction(units: int, n: int) -> Drawing:
    rows = [(name, f"what is measured of {name} by the paper,\nin its own units", seed, 0.1 * seed, 0.5, 0.4, 0.6, 0, 1)
            for name in names(n) for seed in range(min(units, 5))]  # fmt: skip
    return lambda **look: figures.reproduction(pd.DataFrame(rows, columns=list(REPRODUCTION_COLUMNS)), **look)


def _shares(units: int, n: int) -> Drawing:
    table = test_shares.share_table({name: (np.linspace(0.5, -0.1, units) / units).tolist() for name in names(n)})
    return lambda **look: figures.shares(table, **look)


def _sizes(units: int, n: int) -> Drawing:
    sizes = tuple(2**k for k in range(n))
    scores, seeds = zip(*(test_curves.sweep(n, sizes, 1 + 4 * (n > 5), task) for task in ("tracking", "dyck1")[:n]))
    return lambda **look: figures.capacity_curves(pd.concat(scores), pd.concat(seeds), **look)


def _size_search(units: int, n: int) -> Drawing:
    curve = test_size_search.curve(units)
    return lambda **look: figures.size_search(curve, test_size_search.TRIALS, units=1, low=1, high=None, **look)


def _state_space(units: int, n: int) -> Drawing:
    table = test_state_space.table(min(n, 4))
    table.loc[table["number"] == 1, "signals"] = "a very long name of a signal=1 " * 9
    return lambda **look: figures.state_space(table, **look)


def _sufficient(units: int, n: int) -> Drawing:
    every = ["all", *names(n)]
    scores = {name: np.linspace(1, 0.1, units).tolist() for name in every}
    table = test_sufficient.set_table(scores, dict.fromkeys(every, 1), **{every[1]: {"spread": [1, units]}})
    return lambda **look: figures.sufficient(table, **look)


def _task_example(units: int, n: int) -> Drawing:
    rows = [(part, name, "distractor", step, (step * 7 + k) % 5 / (1 + k)) for k, name in enumerate(names(n))
            for part in ("inputs", "targets", "signals") for step in range(5 * n)]  # fmt: skip
    return lambda **look: figures.task_example(pd.DataFrame(rows, columns=list(EXAMPLE_COLUMNS)), **look)


def _timescales(units: int, n: int) -> Drawing:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "layer": 0, "direction": "forward", "unit": range(units), "tau_forget": rng.uniform(0.1, 400, units),
        "tau_memory": rng.uniform(1, 90, units), "longest": 60.0, "r2": rng.random(units),
        "signal": [names(n)[k % n] for k in range(units)], "tau_signal": 3.0,
    })  # fmt: skip
    return lambda **look: figures.timescales(table, **look)


def _traces(units: int, n: int) -> Drawing:
    table = pd.concat([test_curves.trace_rows(name, k % 2 == 0, [0.0, 10.0 * k, 0.5], role=("target", "latent")[k % 2])
                       for k, name in enumerate(names(n))])  # fmt: skip
    return lambda **look: figures.traces(table, **look)


def _tuning(units: int, n: int) -> Drawing:
    values = np.linspace(-1, 1, 12)
    table = pd.concat([test_tuning.curve(np.arange(12) * 10.0 ** (k % 5), values, unit=units, signal=name, lag=k // 3,
                                         role=("target", "distractor")[k % 2])
                       for k, name in enumerate(names(n))])  # fmt: skip
    return lambda **look: figures.tuning(table, **look)


def _tracked_needed(units: int, n: int) -> Drawing:
    table = test_tracked_needed.tables(max(units, 2), min(n, 9))
    return lambda **look: figures.tracked_needed(table, rank_correlations(table), **look)


def _used(units: int, n: int) -> Drawing:
    every = ["all", *names(n)]
    scores = {name: np.linspace(1, 0.1, units).tolist() for name in every}
    table = test_used.made(scores, dict.fromkeys(every, 1), [scores["all"]])
    return lambda **look: figures.used(table, **look)


def _used_over_sizes(units: int, n: int) -> Drawing:
    rows = [(task, size, seed, 1 + seed, size / 2) for task in names(n)[:3] for size in (1, 4, 300)[:n]
            for seed in range(3)]  # fmt: skip
    return lambda **look: figures.used_over_sizes(pd.DataFrame(rows, columns=list(USED_COLUMNS)), **look)


def _of(draw: Any, table: pd.DataFrame, **options: Any) -> Drawing:
    return lambda **look: draw(table, **options, **look)


#: What draws each public figure of so many units and signals.
EVERY: dict[str, Callable[[int, int], Drawing]] = {
    "acquisition": _acquisition,
    "aligned": _aligned,
    "anatomy_figure": lambda units, n: lambda **look: figures.anatomy_figure(Anatomy(units, 3 * n), **look),
    "calibration": _calibration,
    "capacity_curves": _sizes,
    "clusters": lambda units, n: _of(figures.clusters, test_clusters.table(units, layers=min(n, 2))),
    "codes": _codes,
    "coloured_text": lambda units, n: _of(figures.coloured_text, test_coloured_text.table(
        [test_coloured_text.TEXT] * min(n, 5))),
    "confounds": _confounds,
    "cross_time": _cross_time,
    "erasure": lambda units, n: _of(figures.erasure, test_erasure.table(names(n), names(n), np.full((n, n), 0.5))),
    "hardness": _hardness,
    "learning_curve": lambda units, n: _of(figures.learning_curve, history(
        {name: [0.1, 0.5, 0.9] for name in names(n)}), solved=0.99),
    "recall_law": lambda units, n: _of(figures.recall_law, _recalled(min(units, 24))),
    "memory": lambda units, n: _of(figures.memory, test_tuning.remembered(min(units, 9), names(n))),
    "memory_flow": _memory_flow,
    "patches": lambda units, n: _of(figures.patches, first_patches(test_patches.table(units, names(n)))),
    "reproduction": _reproduction,
    "shares": _shares,
    "size_search": _size_search,
    "sparse_paths": lambda units, n: _of(figures.sparse_paths, test_codes.sparse_table(
        names(n), {"greedy": [0.2, 0.5, 0.9], "elastic_net": [0.3, 0.4, 0.8]})),
    "state_space": _state_space,
    "sufficient": _sufficient,
    "task_example": _task_example,
    "timescales": _timescales,
    "traces": _traces,
    "tracked_needed": _tracked_needed,
    "tuning": _tuning,
    "units_overview": lambda units, n: lambda **look: figures.units_overview(*random_tables(units, names(n)), **look),
    "used": _used,
    "used_over_sizes": _used_over_sizes,
}  # fmt: skip
