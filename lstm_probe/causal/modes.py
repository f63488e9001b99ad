"""Does it matter what a unit is clamped to? Its mean, zero, and its values in other sequences, side by side.

A constant may be far from all that a unit ever did, and then the network is asked about a state that it does not know;
the values of another sequence never are (Lu, Mahloujifar & Mittal 2020; Chan and others 2022). Where the three tell
different stories, that is said.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lstm_probe.causal.needs import find_needs
from lstm_probe.core.columns import columns, interval
from lstm_probe.core.signal import Batch
from lstm_probe.core.vocabulary import MODES

_SAID = {"mean": "its mean", "zero": "zero", "resample": "its values in other sequences"}
COLUMNS = columns(
    "run", "task", "units", "seed", "layer", "direction", "unit",
    variable="Variable that is clamped.",
    target="Name of the target.",
    **{name: text for mode in MODES for name, text in {
        mode: f"What is lost after the refit with the unit clamped to {_SAID[mode]}.",
        **{f"{mode}_{end}": f"{words} {mode}." for end, words in zip(interval(""), (
            "Lower end of the 95 % interval of", "Upper end of the 95 % interval of"))},
    }.items()},
    off_data="Which of them are far off the data, joined by commas.",
    disagree="Whether it costs the target in some of the three and not in others, or two of them cost it differently: "
    "intervals apart, and by half of the larger.",
)  # fmt: skip


@torch.no_grad()
def compare_modes(
    model: nn.Module, batch: Batch, *, layer: str | None = None, variable: str = "c", groups: Any = None,
    bootstrap: int = 1000, min_drop: float = 0.01, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Clamp each unit alone to its mean, to zero, and to its values in other sequences, and compare what is lost.

    Args, Raises: as `ablate_units`.

    Returns:
        One row for each unit and target, columns `causal.modes.COLUMNS`.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> modes = lp.compare_modes(net.model, batch, bootstrap=10)
    >>> modes.query("unit == 0 and target == 'count'")[["mean", "zero"]].round(2).values.tolist()
    [[1.0, 1.0]]
    """
    needs = {
        mode: find_needs(model, batch, layer=layer, variable=variable, mode=mode, window=None, donors=None, units=None,
                         together=False, groups=groups, bootstrap=bootstrap, min_drop=min_drop, seed=seed)
        for mode in MODES
    }  # fmt: skip
    first = next(iter(needs.values()))
    rows = []
    for unit, own in first.costs.items():
        for name in own:
            costs = {mode: one.costs[unit][name] for mode, one in needs.items()}
            lost = np.array([cost.refit_drop for cost in costs.values()])
            ends = [(cost.refit_ci_low, cost.refit_ci_high) for cost in costs.values()]
            counted = {cost.counts(min_drop) for cost in costs.values()}
            apart = any(
                one[1] < other[0] and value - least > 0.5 * value and value >= min_drop
                for one, least in zip(ends, lost) for other, value in zip(ends, lost)
            )  # fmt: skip
            told = {key: value for (mode, cost), (low, high) in zip(costs.items(), ends) for key, value in (
                (mode, cost.refit_drop), (f"{mode}_ci_low", low), (f"{mode}_ci_high", high))}  # fmt: skip
            off = ",".join(mode for mode, one in needs.items() if one.off_data[unit])
            rows.append({
                "run": run, "task": task, "units": first.subject.lstm.hidden_size, "seed": seed, "layer": unit[0],
                "direction": unit[1], "unit": unit[2], "variable": first.subject.variable, "target": name, **told,
                "off_data": off, "disagree": bool(len(counted) > 1 or apart),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def disagreements(table: pd.DataFrame) -> pd.DataFrame:
    """Return the units and targets where it matters what is clamped to, the largest difference first, for the page."""
    own = table[table["disagree"].astype(bool)]
    spread = own[list(MODES)].max(axis=1) - own[list(MODES)].min(axis=1)
    kept = own.loc[spread.sort_values(ascending=False, kind="stable").index]
    return kept[["layer", "direction", "unit", "target", *MODES, "off_data"]].reset_index(drop=True)
